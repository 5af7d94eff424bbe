//! A fixed view.

use crate::engine::read::{Hit, ReadPoint};
use crate::entry::{Entry, EntryRef};
use crate::error::Result;
use crate::key::{Key, Range};
use crate::kv::{check_read, open};
use crate::list::{List, Source};
use crate::version::Versionstamp;
use std::sync::Arc;

/// The database as it was at one moment: [`Kv::snapshot`](crate::Kv::snapshot).
///
/// Every read through it sees exactly the commits up to its [versionstamp](Self::versionstamp). It
/// can be sent to other threads and shared between them, and clones are the same view.
///
/// Taking one costs well under a microsecond. Keeping one keeps, for every key, the version that it
/// sees, and nothing else: what is written and superseded while it is open is freed as without it.
///
/// ```
/// # let kv = kvick::Kv::new();
/// kv.set("counter", 1u64)?;
/// let before = kv.snapshot();
/// kv.set("counter", 2u64)?;
/// assert_eq!(before.get("counter")?.as_u64(), Some(1));
/// assert_eq!(kv.get("counter")?.as_u64(), Some(2));
/// # Ok::<(), kvick::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Snapshot {
    point: Arc<ReadPoint>,
}

impl Snapshot {
    pub(crate) fn new(point: ReadPoint) -> Self {
        Self {
            point: Arc::new(point),
        }
    }

    pub(crate) fn point(&self) -> &Arc<ReadPoint> {
        &self.point
    }

    /// Where it stands among the versions: it sees exactly the commits with this one or a smaller.
    /// All zeros where nothing had been committed.
    pub fn versionstamp(&self) -> Versionstamp {
        self.point.at().into()
    }

    /// Reads one key.
    ///
    /// # Errors
    ///
    /// `KeyTooLarge`; `Closed`.
    pub fn get(&self, key: impl Into<Key>) -> Result<Entry> {
        let key = key.into();
        let engine = open(self.point.engine())?;
        engine.limits().check_key_read(key.as_bytes().len())?;
        Ok(self.read(key))
    }

    /// Gives the entry of a key to `read` without a copy, as
    /// [`Kv::with_entry`](crate::Kv::with_entry) does.
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
        let engine = open(self.point.engine())?;
        engine.limits().check_key_read(key.as_bytes().len())?;
        Ok(engine.at(&key, &self.point, |hit| {
            engine.count_read(hit.is_some());
            read(hit.map(|hit| EntryRef::new(key.as_bytes(), hit)))
        }))
    }

    /// Reads several keys, in the order given.
    ///
    /// # Errors
    ///
    /// `TooManyRanges` beyond [`ranges_max`](crate::Limits::ranges_max) keys; `KeyTooLarge`;
    /// `Closed`.
    pub fn get_many<K: Into<Key>>(&self, keys: impl IntoIterator<Item = K>) -> Result<Vec<Entry>> {
        let engine = open(self.point.engine())?;
        let keys: Vec<Key> = keys.into_iter().map(Into::into).collect();
        check_read(&keys, engine.limits())?;
        Ok(keys.into_iter().map(|key| self.read(key)).collect())
    }

    fn read(&self, key: Key) -> Entry {
        let engine = self.point.engine();
        let found = engine.at(&key, &self.point, |hit| hit.map(Hit::to_owned));
        engine.count_read(found.is_some());
        Entry::found(key, found)
    }

    /// Selects entries by range, as [`Kv::list`](crate::Kv::list) does.
    pub fn list(&self, range: impl Into<Range>) -> List<'_> {
        List::new(Source::Fixed(&self.point), range.into())
    }
}
