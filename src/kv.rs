//! The handle.

use crate::atomic_op::AtomicOp;
use crate::builder::Builder;
use crate::engine::commit::Outcome;
use crate::engine::read::Hit;
use crate::engine::write::{Op, Write};
use crate::engine::{Engine, ReadCounts};
use crate::entry::{Entry, EntryRef};
use crate::error::{Error, Result};
use crate::expiry::Expiry;
use crate::key::{Key, Range};
use crate::limits::Limits;
use crate::list::{List, Source};
use crate::retry::RetryPolicy;
use crate::snapshot::Snapshot;
use crate::stats::Stats;
use crate::value::NewValue;
use crate::version::Versionstamp;
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::Duration;

/// A handle to an in-memory database.
///
/// Handles are cheap to clone and can be used from any number of threads; all clones share one
/// database, and it is freed when the last of them is dropped, with whatever snapshots and lists
/// still read it. [Queues](Self::queue) are handles too; watches, listeners and messages are not, and end
/// then. Nothing is ever written to disk.
///
/// Single operations are linearizable; [atomic operations](Self::atomic) and
/// [transactions](Self::transact) are strictly serializable, in the order of their versionstamps.
/// Readers are lock-free and never wait for a writer.
///
/// ```
/// use kvick::Kv;
///
/// let kv = Kv::new();
/// let versionstamp = kv.set(("users", "alice"), "Alice Liddell")?;
/// let alice = kv.get(("users", "alice"))?;
/// assert_eq!(alice.as_str(), Some("Alice Liddell"));
/// assert_eq!(alice.versionstamp(), Some(versionstamp));
/// # Ok::<(), kvick::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Kv {
    engine: Arc<Engine>,
    retry: RetryPolicy,
    is_read_only: bool,
}

impl Default for Kv {
    fn default() -> Self {
        Self::new()
    }
}

/// What a range deletion did: [`Kv::delete_range`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deleted {
    /// How many entries there were.
    pub count: usize,
    /// The version of the deletion: whatever was inserted into the range by a commit with a
    /// smaller one is gone, and nothing that came with a larger one.
    pub versionstamp: Versionstamp,
}

impl Kv {
    /// An empty database with Deno's limits. It takes a few microseconds, and less than 64 KiB.
    pub fn new() -> Self {
        Builder::new().build()
    }

    /// Sets up a database that differs from the default.
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) fn over(engine: Arc<Engine>) -> Self {
        Self {
            engine,
            retry: RetryPolicy::default(),
            is_read_only: false,
        }
    }

    /// The engine, for reading.
    #[inline]
    pub(crate) fn reader(&self) -> Result<&Arc<Engine>> {
        open(&self.engine)
    }

    /// The engine, for writing.
    #[inline]
    pub(crate) fn writer(&self) -> Result<&Arc<Engine>> {
        if self.is_read_only {
            return Err(Error::read_only());
        }
        self.reader()
    }

    /// The engine, closed or not.
    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    pub(crate) fn retry_policy(&self) -> &RetryPolicy {
        &self.retry
    }

    /// The latest version that was minted: a read from now on sees every commit up to this one. All
    /// zeros before the first.
    ///
    /// It is that of the latest commit, or, beyond it, one that is nobody's: left by a commit which
    /// conflicted over a range, or by a reader that helped.
    pub fn versionstamp(&self) -> Versionstamp {
        self.engine.latest().into()
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        self.engine.limits()
    }

    /// A handle to the same database that retries [transactions](Self::transact) and
    /// [updates](Self::update) by another policy.
    #[must_use]
    pub fn with_retry(&self, retry: RetryPolicy) -> Self {
        Self {
            retry,
            ..self.clone()
        }
    }

    /// A handle to the same database that cannot write: every write through it fails with
    /// [`ReadOnly`](crate::ErrorKind::ReadOnly).
    #[must_use]
    pub fn read_only(&self) -> Self {
        Self {
            is_read_only: true,
            ..self.clone()
        }
    }

    /// Closes the database for every handle: each later operation fails with
    /// [`Closed`](crate::ErrorKind::Closed). Operations under way complete, and iterators go on to
    /// their end; watches (W08) and listeners end. Messages that are being handled then cannot be
    /// finished any more (Q12). Closing again does nothing.
    ///
    /// The memory is freed when the last handle is dropped, as without closing.
    pub fn close(&self) {
        self.engine.close();
    }

    /// Whether it was closed, by whichever handle.
    pub fn is_closed(&self) -> bool {
        self.engine.is_closed()
    }

    /// Reads one key: the newest version.
    ///
    /// A value of up to 1,024 bytes is copied, a larger one shared. Expected constant time.
    ///
    /// # Errors
    ///
    /// `KeyTooLarge`; `Closed`.
    pub fn get(&self, key: impl Into<Key>) -> Result<Entry> {
        let key = key.into();
        let engine = self.reader()?;
        engine.limits().check_key_read(key.as_bytes().len())?;
        if engine.times_reads() {
            return Ok(get_timed(engine, key));
        }
        let found = engine.newest(&key, |hit| hit.map(Hit::to_owned));
        engine.count_read(found.is_some());
        Ok(Entry::found(key, found))
    }

    /// Gives the newest entry of a key to `read`, where it lies: nothing is copied or allocated.
    /// `None` means that the key is missing.
    ///
    /// `read` should be short: while it runs, memory that is superseded anywhere in the process
    /// cannot be freed. It may call the database.
    ///
    /// ```
    /// # let kv = kvick::Kv::new();
    /// kv.set(("page", 7), "<html>")?;
    /// let len = kv.with_entry(("page", 7), |page| page.map(|page| page.value().len()))?;
    /// assert_eq!(len, Some(6));
    /// # Ok::<(), kvick::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `KeyTooLarge`; `Closed`.
    pub fn with_entry<R>(
        &self,
        key: impl Into<Key>,
        read: impl FnOnce(Option<EntryRef<'_>>) -> R,
    ) -> Result<R> {
        let key = key.into();
        let engine = self.reader()?;
        engine.limits().check_key_read(key.as_bytes().len())?;
        if engine.times_reads() {
            return Ok(with_entry_timed(engine, &key, read));
        }
        Ok(engine.newest(&key, |hit| {
            engine.count_read(hit.is_some());
            read(hit.map(|hit| EntryRef::new(key.as_bytes(), hit)))
        }))
    }

    /// Reads several keys, all at one moment: no commit is seen in part (R03).
    ///
    /// The entries come in the order of the keys, one for each, duplicates included (R02).
    ///
    /// # Errors
    ///
    /// `TooManyRanges` beyond [`ranges_max`](Limits::ranges_max) keys; `KeyTooLarge`; `Closed`.
    pub fn get_many<K: Into<Key>>(&self, keys: impl IntoIterator<Item = K>) -> Result<Vec<Entry>> {
        let engine = self.reader()?;
        let keys: SmallVec<[Key; 8]> = keys.into_iter().map(Into::into).collect();
        check_read(&keys, engine.limits())?;
        let mut entries = Vec::with_capacity(keys.len());
        let mut counts = ReadCounts::default();
        engine.timed_read(|| {
            engine.newest_many(keys.into_iter(), |key, hit| {
                counts.add(hit.is_some());
                entries.push(Entry::new(key, hit));
            })
        });
        engine.count_reads(counts);
        Ok(entries)
    }

    /// Selects entries by range, in the order of their keys. A key stands for the prefix: what
    /// lies below it.
    ///
    /// Nothing is read until one of the methods of [`List`] asks for entries, keys or their count.
    ///
    /// ```
    /// # let kv = kvick::Kv::new();
    /// kv.set(("log", 1), "one")?;
    /// kv.set(("log", 2), "two")?;
    /// for entry in kv.list(("log",)).reverse().limit(10).entries()? {
    ///     println!("{:?}: {:?}", entry.key(), entry.as_str());
    /// }
    /// assert_eq!(kv.list(("log",)).count()?, 2);
    /// # Ok::<(), kvick::Error>(())
    /// ```
    pub fn list(&self, range: impl Into<Range>) -> List<'_> {
        List::new(Source::Live(&self.engine), range.into())
    }

    /// A view of the database as it is now, that stays so for as long as it is kept.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.engine.open_read_point())
    }

    /// Sets a key, whatever it held. The version that the entry has now.
    ///
    /// The entry stays until it is changed; to have it expire, set a value that says so:
    /// [`NewValue::expire_in`].
    ///
    /// # Errors
    ///
    /// `KeyEmpty`, `KeyTooLarge`, `ValueTooLarge`, `TotalTooLarge`, `TotalKeysTooLarge`;
    /// `InvalidExpiry`; `OutOfMemory`; `ReadOnly`; `Closed`. Nothing has changed then.
    pub fn set<'v>(
        &self,
        key: impl Into<Key>,
        value: impl Into<NewValue<'v>>,
    ) -> Result<Versionstamp> {
        let engine = self.writer()?;
        if engine.times_commits() {
            return set_timed(engine, &key.into(), value.into());
        }
        let stamp = engine.set(&key.into(), value.into())?;
        Ok(stamp.into())
    }

    /// Sets a key that ends in the version of this very commit, which is returned:
    /// [`AtomicOp::set_versionstamped`].
    ///
    /// ```
    /// # let kv = kvick::Kv::new();
    /// let first = kv.set_versionstamped(("chat", "lobby"), "hello")?;
    /// let second = kv.set_versionstamped(("chat", "lobby"), "hello to you")?;
    /// let texts = kv.list(("chat", "lobby")).entries()?;
    /// assert!(texts.map(|text| text.key().clone()).eq([first, second].map(|at| ("chat", "lobby", at).into())));
    /// # Ok::<(), kvick::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`set`](Self::set), for the whole key.
    pub fn set_versionstamped<'v>(
        &self,
        prefix: impl Into<Key>,
        value: impl Into<NewValue<'v>>,
    ) -> Result<Versionstamp> {
        let mut write = Write::new();
        write.push_versionstamped(&prefix.into(), Op::Set(value.into()));
        let engine = self.writer()?;
        match engine.timed_write(&write, || engine.commit(&write))? {
            Outcome::Committed(effects) => Ok(effects.stamp.into()),
            Outcome::Conflict(_) => unreachable!("a commit without checks has none that can fail"),
        }
    }

    /// Deletes a key. That it was not there is no error, and mints a version all the same (A09).
    ///
    /// # Errors
    ///
    /// `KeyEmpty`, `KeyTooLarge`; `OutOfMemory`; `ReadOnly`; `Closed`. Nothing has changed then.
    pub fn delete(&self, key: impl Into<Key>) -> Result<Versionstamp> {
        let engine = self.writer()?;
        let key = key.into();
        let effects = engine.timed(|| engine.commit_mutation(&key, &Op::Delete))?;
        Ok(effects.stamp.into())
    }

    /// Changes when a key expires, and nothing else: so long after this commit, or never (`None`). The
    /// version that the entry has now; `None` where the key is missing, and then nothing has
    /// changed.
    ///
    /// ```
    /// use kvick::{Kv, NewValue};
    /// use std::time::Duration;
    ///
    /// let kv = Kv::new();
    /// let minute = Duration::from_secs(60);
    /// kv.set(("session", "alice"), NewValue::from("token").expire_in(minute))?;
    /// assert!(kv.touch(("session", "alice"), 30 * minute)?.is_some());
    /// assert!(kv.get(("session", "alice"))?.expires_in() > Some(minute));
    /// assert_eq!(kv.touch(("session", "bob"), minute)?, None);
    /// # Ok::<(), kvick::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `KeyEmpty`, `KeyTooLarge`, `InvalidExpiry`; `OutOfMemory`; `ReadOnly`; `Closed`. Nothing has
    /// changed then.
    pub fn touch(
        &self,
        key: impl Into<Key>,
        expire_in: impl Into<Option<Duration>>,
    ) -> Result<Option<Versionstamp>> {
        let expiry = Expiry::after(expire_in.into());
        let engine = self.writer()?;
        let key = key.into();
        let touched = engine.timed(|| engine.touch(&key, expiry))?;
        Ok(touched.map(|effects| effects.stamp.into()))
    }

    /// Deletes every entry of a range in one commit. Readers see all of it or nothing, and its
    /// version is ordered against every insertion into the range.
    ///
    /// Other commits wait while the range is walked, readers do not. Takes time in proportion to
    /// the entries in the range; the limits of atomic operations do not apply.
    ///
    /// # Errors
    ///
    /// Those of the range; `OutOfMemory`; `ReadOnly`; `Closed`. Nothing has changed then.
    pub fn delete_range(&self, range: impl Into<Range>) -> Result<Deleted> {
        let engine = self.writer()?;
        let bounds = range.into().bounds(engine.limits())?;
        let (count, effects) = engine.timed(|| engine.delete_range(&bounds))?;
        Ok(Deleted {
            count,
            versionstamp: effects.stamp.into(),
        })
    }

    /// Deletes every entry below a prefix, not the prefix itself: [`delete_range`] of
    /// [`Range::prefix`].
    ///
    /// [`delete_range`]: Self::delete_range
    ///
    /// # Errors
    ///
    /// Those of [`delete_range`].
    pub fn delete_prefix(&self, prefix: impl Into<Key>) -> Result<Deleted> {
        self.delete_range(Range::prefix(prefix))
    }

    /// Begins an atomic operation: checks, then mutations, all or nothing.
    pub fn atomic(&self) -> AtomicOp<'_> {
        AtomicOp::new(self)
    }

    /// Changes the [memory limit](Builder::memory_limit), or takes it away, while everything goes on.
    ///
    /// Where more is in use than the new limit allows, entries are evicted before this returns, if
    /// they may be ([`Builder::on_limit`]); otherwise commits that hold more fail until enough is
    /// deleted. It waits for a quarter of a second at most until what was evicted can be freed: while
    /// another thread reads on, that may not suffice, and the next commits go on with it.
    pub fn set_memory_limit(&self, bytes: impl Into<Option<usize>>) {
        self.engine.set_memory_limit(bytes.into());
    }

    /// The numbers to watch.
    pub fn stats(&self) -> Stats {
        Stats::of(&self.engine)
    }

    /// Does now what is done in the background otherwise, unless that is
    /// [turned off](Builder::background_sweep): deletes what has expired, wakes the listeners of
    /// messages that have become due, evicts what has been [idle](Builder::time_to_idle) for too long, and
    /// frees what has been superseded or deleted and nobody can see any more.
    ///
    /// What an open [`Snapshot`] sees stays.
    pub fn sweep(&self) {
        self.engine.keep_time_now();
        self.engine.tidy_up();
    }
}

/// The engine, unless it has been closed.
pub(crate) fn open(engine: &Arc<Engine>) -> Result<&Arc<Engine>> {
    if engine.is_closed() {
        return Err(Error::closed());
    }
    Ok(engine)
}

/// Refuses a read of too many keys, or of one that is too large.
pub(crate) fn check_read(keys: &[Key], limits: &Limits) -> Result<()> {
    limits.check_ranges(keys.len())?;
    keys.iter()
        .try_for_each(|key| limits.check_key_read(key.as_bytes().len()))
}

// Apart from what they time, so that this is compiled as if nobody ever did.

#[cold]
fn get_timed(engine: &Engine, key: Key) -> Entry {
    let found = engine.timed_read(|| engine.newest(&key, |hit| hit.map(Hit::to_owned)));
    engine.count_read(found.is_some());
    Entry::found(key, found)
}

#[cold]
fn with_entry_timed<R>(
    engine: &Engine,
    key: &Key,
    read: impl FnOnce(Option<EntryRef<'_>>) -> R,
) -> R {
    engine.timed_read(|| {
        engine.newest(key, |hit| {
            engine.count_read(hit.is_some());
            read(hit.map(|hit| EntryRef::new(key.as_bytes(), hit)))
        })
    })
}

#[cold]
fn set_timed(engine: &Engine, key: &Key, value: NewValue<'_>) -> Result<Versionstamp> {
    let stamp = engine.timed(|| engine.set(key, value))?;
    Ok(stamp.into())
}
