//! Reading a range: what to read.

use super::client::Client;
use super::entries::Entries;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::key::{Cursor, Key, Range};
use denokv_proto::Database;
use std::fmt;

/// Entries that a batch holds where neither a limit nor a size is given.
const BATCH_DEFAULT: usize = 100;

/// The most that a batch holds where its size is not given.
const BATCH_DEFAULT_MAX: usize = 500;

/// A selection of entries in the order of their keys: [`Client::list`].
///
/// First say which entries and in what order, then ask for a [`stream`](Self::stream) of them, for all
/// [`entries`](Self::entries), their [`keys`](Self::keys), or their [`count`](Self::count).
///
/// It is read a batch at a time, each one call of the database and **each at its own moment**, as Deno reads, and
/// [`fresh_batches`](crate::List::fresh_batches) of a `Kv`'s list. The keys come in order and none comes twice, but
/// what commits meanwhile is seen from the next batch on. A list of one batch is of one moment.
///
/// ```
/// # use kvick::{Kv, denokv::Client};
/// # let client = Client::new(Kv::new());
/// # futures_lite::future::block_on(async {
/// for number in 0..5 {
///     client.set(("log", number), "…").await?;
/// }
/// let mut newest = client.list(("log",)).reverse().limit(2).stream()?;
/// while let Some(entry) = newest.next().await {
///     println!("{:?}", entry?.key());
/// }
///
/// // The next page, perhaps in another process of the same program.
/// let cursor = newest.cursor().unwrap_or_default();
/// let next = client.list(("log",)).reverse().after(cursor).keys().await?;
/// assert_eq!(next.len(), 3);
/// # Ok::<(), kvick::Error>(())
/// # })?;
/// # Ok::<(), kvick::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a list reads nothing until it is asked for entries, keys or a count"]
pub struct List<'a, D> {
    pub(super) client: &'a Client<D>,
    pub(super) range: Range,
    pub(super) reverse: bool,
    pub(super) limit: Option<usize>,
    batch: Option<usize>,
    pub(super) cursor: Cursor,
}

impl<D> fmt::Debug for List<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List")
            .field("range", &self.range)
            .field("reverse", &self.reverse)
            .field("limit", &self.limit)
            .field("batch", &self.batch)
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}

impl<'a, D: Database> List<'a, D> {
    pub(super) fn new(client: &'a Client<D>, range: Range) -> Self {
        Self {
            client,
            range,
            reverse: false,
            limit: None,
            batch: None,
            cursor: Cursor::default(),
        }
    }

    /// From the highest key to the lowest. The bounds stay what they are: the start is in the
    /// range, the end is not (R04).
    pub fn reverse(mut self) -> Self {
        self.reverse = true;
        self
    }

    /// At most this many entries; 0 is refused (R11). Default: all.
    pub fn limit(mut self, entries: usize) -> Self {
        self.limit = Some(entries);
        self
    }

    /// Read this many entries at a time. Default: the limit, or 100, but at most 500 (R12).
    ///
    /// 0 is refused, and so is more than [`entries_max`](crate::Limits::entries_max). A batch is what is held
    /// in memory, and what the database sends at once.
    pub fn batch_size(mut self, entries: usize) -> Self {
        self.batch = Some(entries);
        self
    }

    /// Behind the place of a cursor, in the direction of the list: after it, or in
    /// [`reverse`](Self::reverse) before it (C02).
    ///
    /// A cursor is meaningful with the range that it came from, on any database that has the keys.
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.cursor = cursor;
        self
    }

    /// The entries, as they are asked for. It reads nothing yet.
    ///
    /// # Errors
    ///
    /// `InvalidLimit` for a limit or batch size of 0; `TooManyEntries` for too large a batch; those
    /// of the range: `InvalidSelector`, `KeyTooLarge`; those of the cursor: `InvalidCursor`,
    /// `CursorOutOfBounds`.
    pub fn stream(self) -> Result<Entries<'a, D>> {
        Entries::new(self)
    }

    /// All of the entries.
    ///
    /// # Errors
    ///
    /// Those of [`stream`](Self::stream); those of the database.
    pub async fn entries(self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut stream = self.stream()?;
        while let Some(entry) = stream.next().await {
            entries.push(entry?);
        }
        Ok(entries)
    }

    /// The keys. The protocol has no way to ask for these alone, so the values are sent too.
    ///
    /// # Errors
    ///
    /// Those of [`entries`](Self::entries).
    pub async fn keys(self) -> Result<Vec<Key>> {
        let mut keys = Vec::new();
        let mut stream = self.stream()?;
        while let Some(entry) = stream.next().await {
            keys.push(entry?.key().clone());
        }
        Ok(keys)
    }

    /// How many entries there are. All of them are sent for it, a batch at a time.
    ///
    /// # Errors
    ///
    /// Those of [`entries`](Self::entries).
    pub async fn count(self) -> Result<usize> {
        let mut count = 0;
        let mut stream = self.stream()?;
        while let Some(entry) = stream.next().await {
            entry?;
            count += 1;
        }
        Ok(count)
    }

    /// How many entries a batch is to have.
    pub(super) fn batch_size_checked(&self) -> Result<usize> {
        let limits = self.client.limits();
        if self.limit == Some(0) {
            return Err(Error::limit_is_zero());
        }
        match self.batch {
            Some(0) => Err(Error::batch_size_is_zero()),
            Some(batch) => limits.check_entries(batch).map(|()| batch),
            None => Ok(self
                .limit
                .unwrap_or(BATCH_DEFAULT)
                .min(BATCH_DEFAULT_MAX)
                .min(limits.entries_max)
                .max(1)),
        }
    }
}
