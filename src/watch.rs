//! Watching keys, as the user sees it.

use crate::blocking::{self, Blocking, receives};
use crate::engine::watch::Watcher;
use crate::entry::Entry;
use crate::error::Result;
use crate::key::Key;
use crate::kv::Kv;
use crate::version::Versionstamp;
use futures_core::Stream;
use futures_core::stream::FusedStream;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// Some keys, watched: [`Kv::watch`].
///
/// A [`Stream`] of [`Emission`]s, for whatever runtime polls it; a thread waits for them by
/// [`recv`](Self::recv), or in a `for` loop, by [`Blocking`]:
///
/// ```
/// # let kv = kvick::Kv::new();
/// kv.set(("account", "alice"), 100u64)?;
/// for emission in kv.watch([("account", "alice"), ("account", "bob")])? {
///     let [alice, bob] = &emission.entries[..] else { break };
///     println!("{:?} and {:?}", alice.as_u64(), bob.as_u64());
///     if bob.exists() {
///         break;
///     }
///     kv.set(("account", "bob"), 1u64)?; // by another thread, most often
/// }
/// # Ok::<(), kvick::Error>(())
/// ```
///
/// A commit can be shown once it has returned, if not sooner. Changes are coalesced: whoever comes late
/// is shown the newest state and none in between, so one that is slow, or asks no more, takes no memory
/// for it, and holds up no writer. It remembers versionstamps and no values, and keeps neither a
/// snapshot nor the database: it ends when the database is closed, or its last handle is gone (W08).
/// Dropping it ends the watch.
#[must_use = "a watch shows nothing until it is asked"]
pub struct Watch {
    watcher: Watcher,
}

/// The keys of a [`Watch`], all as they were at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Emission {
    /// The moment: the entries are as all commits up to this version left them, and as none after it
    /// did. Of a client (feature `denokv`), which is not told, the largest that any of them has had.
    pub versionstamp: Versionstamp,
    /// One for each key, in the order of the keys (W01).
    pub entries: Vec<Entry>,
    /// The indexes, ascending, of those that have another version than in the emission before. All of
    /// them in the first; none, perhaps, in one of a [raw](Watch::raw) watch.
    pub changed: Vec<usize>,
}

impl Watch {
    /// Also shows what changes nothing: an emission follows every commit that sets or deletes one of
    /// the keys, even if it was not there to be deleted (W04). They are coalesced all the same.
    pub fn raw(mut self) -> Self {
        self.watcher.set_raw();
        self
    }
}

impl Stream for Watch {
    type Item = Emission;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Emission>> {
        let look = self
            .watcher
            .poll(context.waker(), |key, hit| Entry::new(key.clone(), hit));
        look.map(|look| {
            look.map(|look| Emission {
                versionstamp: look.at.into(),
                entries: look.entries,
                changed: look.changed,
            })
        })
    }
}

impl FusedStream for Watch {
    fn is_terminated(&self) -> bool {
        self.watcher.is_ended()
    }
}

receives!(Watch, Emission, "The next emission.");

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch ")?;
        f.debug_list().entries(self.watcher.keys()).finish()
    }
}

impl Kv {
    /// Watches keys: shows their entries at once, and again whenever one of them has got another
    /// version, all of them as they were at one moment.
    ///
    /// The versionstamp decides, not the value: to set an equal value is a change, to delete a key that
    /// is not there is none (W03). A change that is taken back before the watch is asked may never be
    /// shown. A watch of no keys ends at once (W06). A key may be given more than once.
    ///
    /// Takes a lock of each key's stripe for a moment. A commit of a key that is watched looks it up in
    /// a table, and wakes whoever waits for it when it is done.
    ///
    /// # Errors
    ///
    /// `TooManyKeys` beyond [`watch_keys_max`](crate::Limits::watch_keys_max); `KeyTooLarge`;
    /// `OutOfMemory`; `Closed`.
    pub fn watch<K: Into<Key>>(&self, keys: impl IntoIterator<Item = K>) -> Result<Watch> {
        let engine = self.reader()?;
        let keys: Vec<Key> = keys.into_iter().map(Into::into).collect();
        engine.limits().check_watch_keys(keys.len())?;
        for key in &keys {
            engine.limits().check_key_read(key.as_bytes().len())?;
        }
        let watcher = Watcher::new(engine, keys)?;
        Ok(Watch { watcher })
    }
}
