//! Reading through: what is missing is loaded, by one caller for all.

use crate::engine::load::{Begun, Lead, Loaded};
use crate::engine::read::{Found, Hit};
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::expiry::Expiry;
use crate::key::Key;
use crate::kv::Kv;
use crate::value::NewValue;
use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::panic;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

/// How long what is loaded stays: for [`Kv::get_or_load`].
///
/// The default is for ever. A [`Duration`] is the same as `expire_in`, and `None` as the default.
///
/// ```
/// use kvick::Loading;
/// use std::time::Duration;
///
/// let minute = Duration::from_secs(60);
/// assert_eq!(Loading::from(minute), Loading::default().expire_in(minute));
/// assert_eq!(Loading::from(None), Loading::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "it says how long what is loaded stays, and loads nothing"]
pub struct Loading {
    expire_in: Option<Duration>,
    stale_for: Duration,
}

impl Loading {
    /// It is fresh for so long from the commit on that stores it. A value that says when it
    /// [expires](NewValue::expire_in) is fresh for as long as it says instead.
    pub fn expire_in(mut self, after: Duration) -> Self {
        self.expire_in = Some(after);
        self
    }

    /// Then it is stale, for so long, before it expires: the first caller that finds it so loads it
    /// anew, and all others are given what is there, at once. Default: not at all.
    ///
    /// What does not expire is never stale. An entry is stale to a caller if it has no more left than
    /// that caller's `stale_for`, whoever stored it.
    pub fn stale_for(mut self, time: Duration) -> Self {
        self.stale_for = time;
        self
    }

    /// When what is fresh for so long expires.
    fn until_expired(self, fresh: Option<Duration>) -> Expiry {
        Expiry::after(fresh.map(|fresh| fresh.saturating_add(self.stale_for)))
    }

    fn check(self) -> Result<()> {
        match self.until_expired(self.expire_in).time() {
            Some(time) if time > Expiry::MAX => Err(Error::expiry_too_large(time, Expiry::MAX)),
            _ => Ok(()),
        }
    }

    /// The value, to be stored.
    fn time(self, value: NewValue<'_>) -> NewValue<'_> {
        let fresh = value.expiry().time().or(self.expire_in);
        value.with_expiry(self.until_expired(fresh))
    }
}

impl From<Duration> for Loading {
    fn from(expire_in: Duration) -> Self {
        Some(expire_in).into()
    }
}

impl From<Option<Duration>> for Loading {
    fn from(expire_in: Option<Duration>) -> Self {
        Self {
            expire_in,
            ..Self::default()
        }
    }
}

/// Why nothing was loaded: [`Kv::get_or_load`].
///
/// Where `E` is an error, so is this; and it turns into an [`Error`] by `?`, whose
/// [`downcast_ref`](Error::downcast_ref) has the `Arc<E>`.
#[derive(Debug)]
pub enum LoadError<E> {
    /// The loader failed with this: the caller's own, or the one that it waited for.
    Failed(Arc<E>),
    /// The load could not begin, or what was loaded could not be stored. Everybody who waited is told.
    Refused(Error),
}

impl<E: fmt::Display> fmt::Display for LoadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::Refused(error) => error.fmt(f),
        }
    }
}

impl<E: StdError + 'static> StdError for LoadError<E> {
    /// What lies behind the error of the loader, whose text this one already prints.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Failed(error) => error.source(),
            Self::Refused(error) => error.source(),
        }
    }
}

impl<E> From<Error> for LoadError<E> {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl<E: StdError + Send + Sync + 'static> From<LoadError<E>> for Error {
    /// One of this crate's that a loader failed with keeps its kind.
    fn from(error: LoadError<E>) -> Self {
        match error {
            LoadError::Failed(error) => match (&error as &dyn Any).downcast_ref::<Arc<Self>>() {
                Some(own) => Self::shared(Arc::clone(own)),
                None => Self::other(error),
            },
            LoadError::Refused(error) => error,
        }
    }
}

impl Kv {
    /// Reads a key; where it is missing, has `load` find out what it is to hold, and sets it to that.
    ///
    /// Of all callers that miss a key at the same time, threads and tasks alike, one runs its loader,
    /// and the others wait for it. All of them get the entry, with the version that it was stored
    /// with, or the error that the loader returned. A hit costs what [`get`](Self::get) costs.
    ///
    /// ```
    /// use kvick::Kv;
    /// use std::num::ParseIntError;
    /// use std::time::Duration;
    ///
    /// let kv = Kv::new();
    /// let minute = Duration::from_secs(60);
    /// let answer = kv.get_or_load(("answer", 1), minute, || "42".parse::<u64>())?;
    /// assert_eq!(answer.as_u64(), Some(42));
    /// assert_eq!(answer.expires_in(), Some(minute));
    /// // It is there now.
    /// let again = kv.get_or_load(("answer", 1), minute, || -> Result<u64, ParseIntError> { unreachable!() })?;
    /// assert_eq!(again.versionstamp(), answer.versionstamp());
    /// // Nothing is stored of an error.
    /// assert!(kv.get_or_load(("answer", 2), minute, || "forty-two".parse::<u64>()).is_err());
    /// assert!(kv.get(("answer", 2))?.is_missing());
    /// # Ok::<(), kvick::Error>(())
    /// ```
    ///
    /// **Beside other writers.** What was loaded is stored only if no commit has named the key since
    /// the load began. Where one has set it, that entry is the result. Where one has deleted it, also
    /// while it was missing, or a range around it, what was loaded is older than that, and is not
    /// stored: those who already waited get it, in an entry without a versionstamp, and whoever comes
    /// after the deletion loads anew. That an entry expires is no such commit.
    ///
    /// **Panics.** One in `load` unwinds to its caller, nothing is stored, and one of those who wait
    /// runs its own loader. So it is where the loading future is dropped.
    ///
    /// **Errors of several types.** Callers of one key may have loaders with different error types.
    /// Who waited for an error of another type runs its own loader.
    ///
    /// **In `load`** everything may be done, also other keys loaded: nothing is locked meanwhile. A
    /// load that would wait for itself is refused with `RecursiveLoad`: of the own key, and of one
    /// whose loader waits, in its thread, for this one, and so on around. Not noticed is what
    /// goes by ways that this crate does not see: a loader that waits for another thread or task, which
    /// loads the key; and a future that waits for another, and is not being polled meanwhile. What a
    /// loader polls in its own thread counts as the loader, whichever task it is.
    ///
    /// To revalidate what is about to expire, while others still get it: [`Loading::stale_for`].
    ///
    /// # Errors
    ///
    /// [`Failed`](LoadError::Failed) with what the loader returned. [`Refused`](LoadError::Refused)
    /// with `RecursiveLoad`, with what [`set`](Self::set) is refused with, or with `ReadOnly`, also
    /// where the key is there. Nothing has changed then.
    pub fn get_or_load<'v, V, E>(
        &self,
        key: impl Into<Key>,
        loading: impl Into<Loading>,
        load: impl FnOnce() -> Result<V, E>,
    ) -> Result<Entry, LoadError<E>>
    where
        V: Into<NewValue<'v>>,
        E: Send + Sync + 'static,
    {
        let (key, loading) = (key.into(), loading.into());
        if let Some(found) = self.find_fresh(&key, loading)? {
            return Ok(Entry::found(key, Some(found)));
        }
        let mut is_counted = false;
        loop {
            let waiting = match self.begin_load(&key, loading, &mut is_counted)? {
                Begun::Found(found) => return Ok(Entry::found(key.clone(), Some(found))),
                Begun::Leading(ours) => {
                    // What becomes of the value is the caller's code, too.
                    let load = || load().map(|value| loading.time(value.into()));
                    let loaded = ours.run(load);
                    return finish(ours, key.clone(), loaded);
                }
                Begun::Waiting(waiting) => waiting,
            };
            if let Some(result) = told(&key, waiting.wait(self.engine())?) {
                return result;
            }
        }
    }

    /// [`get_or_load`](Self::get_or_load) for a task: `load` is a future, which is polled only if the
    /// key is missing and nobody else loads it.
    ///
    /// It needs no runtime. The future that is returned can be sent if `load` can. Threads and tasks
    /// wait for each other's loads.
    ///
    /// It can be dropped at any time. While it loads, one of those who wait takes over then. As long as
    /// it is kept and not polled, they wait: poll it until it is done, or drop it.
    ///
    /// ```
    /// use kvick::{Kv, Loading};
    /// use std::convert::Infallible;
    /// use std::time::Duration;
    ///
    /// async fn page(kv: &Kv, path: &str) -> kvick::Result<String> {
    ///     let loading = Loading::default().expire_in(Duration::from_secs(60)).stale_for(Duration::from_secs(10));
    ///     let render = async { Ok::<_, Infallible>(format!("<h1>{path}</h1>")) };
    ///     let page = kv.get_or_load_async(("page", path), loading, render).await?;
    ///     Ok(page.as_str().unwrap_or_default().to_owned())
    /// }
    /// # use std::task::{Context, Poll, Waker};
    /// # let kv = Kv::new();
    /// # let page = std::pin::pin!(page(&kv, "/index"));
    /// # let Poll::Ready(page) = page.poll(&mut Context::from_waker(Waker::noop())) else { unreachable!() };
    /// # assert_eq!(page?, "<h1>/index</h1>");
    /// # Ok::<(), kvick::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`get_or_load`](Self::get_or_load).
    pub fn get_or_load_async<'v, V, E>(
        &self,
        key: impl Into<Key>,
        loading: impl Into<Loading>,
        load: impl Future<Output = Result<V, E>>,
    ) -> impl Future<Output = Result<Entry, LoadError<E>>>
    where
        V: Into<NewValue<'v>>,
        E: Send + Sync + 'static,
    {
        let (key, loading) = (key.into(), loading.into());
        async move {
            if let Some(found) = self.find_fresh(&key, loading)? {
                return Ok(Entry::found(key, Some(found)));
            }
            let mut load = pin!(load);
            let mut is_counted = false;
            loop {
                let mut waiting = match self.begin_load(&key, loading, &mut is_counted)? {
                    Begun::Found(found) => return Ok(Entry::found(key.clone(), Some(found))),
                    Begun::Leading(ours) => {
                        let run = poll_fn(|context| {
                            let poll = || {
                                let polled = load.as_mut().poll(context);
                                polled.map_ok(|value| loading.time(value.into()))
                            };
                            ours.run(poll).map_or_else(
                                |panic| Poll::Ready(Err(panic)),
                                |polled| polled.map(Ok),
                            )
                        });
                        let loaded = run.await;
                        return finish(ours, key.clone(), loaded);
                    }
                    Begun::Waiting(waiting) => waiting,
                };
                let loaded = poll_fn(|context| waiting.poll(context.waker())).await;
                if let Some(result) = told(&key, loaded) {
                    return result;
                }
            }
        }
    }

    /// What a key holds, if it is there and need not be loaded anew.
    fn find_fresh(&self, key: &Key, loading: Loading) -> Result<Option<Found>> {
        let engine = self.writer()?;
        loading.check()?;
        let found = engine.newest(key, |hit| {
            let hit = hit?;
            let left = hit.time_left().get();
            left.is_none_or(|left| left > loading.stale_for)
                .then(|| Hit::to_owned(hit))
        });
        if found.is_some() {
            engine.count_read(true);
        } else {
            engine.limits().check_key_write(key.as_bytes().len())?;
        }
        Ok(found)
    }

    /// Begins to load a key that was not there, or stale. The call counts as one read, and as a hit if it
    /// is given at once what is there.
    fn begin_load<'a>(
        &'a self,
        key: &'a Key,
        loading: Loading,
        is_counted: &mut bool,
    ) -> Result<Begun<'a>> {
        let begun = self.engine().begin_load(key, loading.stale_for)?;
        if !mem::replace(is_counted, true) {
            let is_hit = matches!(begun, Begun::Found(_));
            self.engine().count_read(is_hit);
        }
        Ok(begun)
    }
}

/// Tells everybody what the loader has come to; the caller, too.
fn finish<E: Send + Sync + 'static>(
    lead: Lead<'_>,
    key: Key,
    loaded: thread::Result<Result<NewValue<'_>, E>>,
) -> Result<Entry, LoadError<E>> {
    match loaded {
        Err(panic) => {
            drop(lead);
            panic::resume_unwind(panic)
        }
        Ok(Ok(value)) => entry(key, lead.store(value)),
        Ok(Err(error)) => {
            let error = Arc::new(error);
            lead.fail(Arc::<E>::clone(&error));
            Err(LoadError::Failed(error))
        }
    }
}

/// What somebody is told who has waited; nothing where there is nothing for this one.
fn told<E: Send + Sync + 'static>(
    key: &Key,
    loaded: Option<Loaded>,
) -> Option<Result<Entry, LoadError<E>>> {
    let loaded = loaded?;
    if matches!(&loaded, Loaded::Failed(error) if !error.is::<E>()) {
        return None;
    }
    Some(entry(key.clone(), loaded))
}

fn entry<E: Send + Sync + 'static>(key: Key, loaded: Loaded) -> Result<Entry, LoadError<E>> {
    match loaded {
        Loaded::Entry(value, stamp, left) => {
            let versionstamp = stamp.map(Into::into);
            Ok(Entry::from_parts(key, Some(value), versionstamp, left))
        }
        Loaded::Failed(error) => match error.downcast() {
            Ok(error) => Err(LoadError::Failed(error)),
            Err(_) => unreachable!("errors of another type are told nobody"),
        },
        Loaded::Refused(error) => Err(LoadError::Refused(Error::shared(error))),
    }
}
