//! Reading a range: what to read, and the iterators that do.

use crate::engine::Engine;
use crate::engine::read::{Hit, ReadPoint};
use crate::engine::scan::Walk;
use crate::entry::{Entry, EntryRef};
use crate::error::{Error, Result};
use crate::key::{Cursor, Key, Range};
use crate::kv::open;
use crate::limits::Limits;
use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Entries that a batch holds where neither a limit nor a size is given.
const BATCH_DEFAULT: usize = 100;

/// The most that a batch holds where its size is not given.
const BATCH_DEFAULT_MAX: usize = 500;

/// How many entries a closure is shown before the epoch is pinned anew.
const VISIT_BATCH: usize = 256;

/// What a list reads from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    Live(&'a Arc<Engine>),
    Fixed(&'a Arc<ReadPoint>),
}

impl<'a> Source<'a> {
    fn engine(self) -> &'a Arc<Engine> {
        match self {
            Self::Live(engine) => engine,
            Self::Fixed(point) => point.engine(),
        }
    }
}

/// A selection of entries in the order of their keys: [`Kv::list`](crate::Kv::list).
///
/// First say which entries and in what order, then ask for [`entries`](Self::entries),
/// [`keys`](Self::keys), their [`count`](Self::count), or a look at each where it lies
/// ([`for_each`](Self::for_each)). However it is read, the whole list is read at one moment, when
/// the first entry is: it contains no commit in part, none that came later, and misses none that
/// came before. The one exception is a list that says so, by
/// [`fresh_batches`](Self::fresh_batches).
///
/// ```
/// # let kv = kvick::Kv::new();
/// for number in 0..5 {
///     kv.set(("log", number), "…")?;
/// }
/// let mut newest = kv.list(("log",)).reverse().limit(2).entries()?;
/// assert!(newest.by_ref().map(|entry| entry.key().clone()).eq([("log", 4).into(), ("log", 3).into()]));
///
/// // The next page, perhaps in another process of the same program.
/// let cursor = newest.cursor().unwrap_or_default();
/// let next: Vec<_> = kv.list(("log",)).reverse().after(cursor).keys()?.collect();
/// assert_eq!(next.len(), 3);
/// # Ok::<(), kvick::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a list reads nothing until it is asked for entries, keys or a count"]
pub struct List<'a> {
    source: Source<'a>,
    range: Range,
    reverse: bool,
    limit: Option<usize>,
    batch: Option<usize>,
    cursor: Cursor,
    fresh_batches: bool,
}

impl<'a> List<'a> {
    pub(crate) fn new(source: Source<'a>, range: Range) -> Self {
        Self {
            source,
            range,
            reverse: false,
            limit: None,
            batch: None,
            cursor: Cursor::default(),
            fresh_batches: false,
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
    /// 0 is refused, and so is more than [`entries_max`](Limits::entries_max). A batch is what an
    /// iterator holds in memory.
    pub fn batch_size(mut self, entries: usize) -> Self {
        self.batch = Some(entries);
        self
    }

    /// Behind the place of a cursor, in the direction of the list: after it, or in
    /// [`reverse`](Self::reverse) before it (C02).
    ///
    /// A cursor is meaningful with the range that it came from.
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.cursor = cursor;
        self
    }

    /// Read each batch at its own moment, as Deno does, and not all of them at one.
    ///
    /// The keys still come in order and none comes twice, but what commits while the list is read
    /// is seen from the next batch on (R12). A list of a snapshot is always of that snapshot.
    pub fn fresh_batches(mut self) -> Self {
        self.fresh_batches = true;
        self
    }

    /// The entries, copied out: an iterator that reads a batch at a time.
    ///
    /// It has a snapshot open from the end of its first batch to that of its last, or until it is
    /// dropped.
    ///
    /// # Errors
    ///
    /// `InvalidLimit` for a limit or batch size of 0; `TooManyEntries` for too large a batch; those
    /// of the range: `InvalidSelector`, `KeyTooLarge`; those of the cursor: `InvalidCursor`,
    /// `CursorOutOfBounds`; `Closed`.
    pub fn entries(self) -> Result<Entries> {
        Batches::new(self, |key, hit| Entry::new(Key::raw(key), Some(hit))).map(Entries)
    }

    /// The keys without the values, otherwise as [`entries`](Self::entries).
    ///
    /// # Errors
    ///
    /// Those of [`entries`](Self::entries).
    pub fn keys(self) -> Result<Keys> {
        Batches::new(self, |key, _| Key::raw(key)).map(Keys)
    }

    /// How many entries there are. Takes time in proportion to that.
    ///
    /// # Errors
    ///
    /// Those of [`entries`](Self::entries).
    pub fn count(self) -> Result<usize> {
        let mut count = 0;
        self.for_each(|_| count += 1)?;
        Ok(count)
    }

    /// Shows each entry to `each`, where it lies: nothing is copied or allocated.
    ///
    /// `each` should be short: while it runs, memory that is superseded anywhere in the process
    /// cannot be freed. It may call the database.
    ///
    /// ```
    /// # let kv = kvick::Kv::new();
    /// kv.set(("page", 1), "one")?;
    /// kv.set(("page", 2), "three")?;
    /// let mut bytes = 0;
    /// kv.list(("page",)).for_each(|entry| bytes += entry.value().len())?;
    /// assert_eq!(bytes, 8);
    /// # Ok::<(), kvick::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`entries`](Self::entries).
    pub fn for_each(self, mut each: impl FnMut(EntryRef<'_>)) -> Result<()> {
        let never_breaks = self.try_for_each(|entry| {
            each(entry);
            ControlFlow::<()>::Continue(())
        });
        never_breaks.map(|_| ())
    }

    /// Like [`for_each`](Self::for_each), until `each` breaks off.
    ///
    /// # Errors
    ///
    /// Those of [`entries`](Self::entries).
    pub fn try_for_each<B>(
        self,
        mut each: impl FnMut(EntryRef<'_>) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>> {
        let engine = open(self.source.engine())?;
        self.batch_size_checked(engine.limits())?;
        let mut walk = self.walk(engine.limits())?;
        let mut left = self.limit.unwrap_or(usize::MAX);
        let mut opened = None;
        while left > 0 && !walk.is_done() {
            let mut flow = ControlFlow::Continue(());
            let visit = |key: &[u8], hit: Hit<'_>| {
                left -= 1;
                flow = each(EntryRef::new(key, hit));
                if flow.is_break() || left == 0 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            };
            let point = match &self.source {
                Source::Fixed(point) => Some(&***point),
                Source::Live(_) => opened.as_ref(),
            };
            if self.fresh_batches || point.is_some() {
                let _ = engine.scan(&mut walk, VISIT_BATCH, point, visit);
            } else {
                opened = engine.scan_opening(&mut walk, VISIT_BATCH, visit);
            }
            if flow.is_break() {
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn walk(&self, limits: &Limits) -> Result<Walk> {
        let bounds = self.range.bounds(limits)?;
        let bounds = bounds.resume(&self.range, &self.cursor, self.reverse, limits)?;
        Ok(Walk::new(bounds, self.reverse))
    }

    fn batch_size_checked(&self, limits: &Limits) -> Result<usize> {
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
                // A list is read by some number of entries, whatever may be asked for.
                .max(1)),
        }
    }
}

/// How a batch is to be read.
#[derive(Debug)]
enum Reading {
    /// At this moment; the next one at the same.
    Opening,
    /// At an open snapshot.
    Open(Arc<ReadPoint>),
    /// At this moment; the next one at its own.
    Fresh,
}

/// What an iterator gives out.
trait Item {
    fn key(&self) -> &Key;
}

impl Item for Entry {
    fn key(&self) -> &Key {
        self.key()
    }
}

impl Item for Key {
    fn key(&self) -> &Key {
        self
    }
}

/// A list being read, a batch at a time.
struct Batches<T> {
    engine: Arc<Engine>,
    reading: Reading,
    range: Range,
    walk: Walk,
    batch: usize,
    /// How many are still to be given out, where there is a limit.
    left: Option<usize>,
    make: fn(&[u8], Hit<'_>) -> T,
    read: VecDeque<T>,
    place: Place,
}

/// How far the items have been given out. A cursor is made of it only when one is asked for.
#[derive(Debug)]
enum Place {
    /// None yet: where the list was told to begin.
    Begin(Option<Cursor>),
    At(Key),
    End,
}

impl<T: Item> Batches<T> {
    fn new(list: List<'_>, make: fn(&[u8], Hit<'_>) -> T) -> Result<Self> {
        let engine = Arc::clone(open(list.source.engine())?);
        let batch = list.batch_size_checked(engine.limits())?;
        let walk = list.walk(engine.limits())?;
        let reading = match list.source {
            Source::Fixed(point) => Reading::Open(Arc::clone(point)),
            Source::Live(_) if list.fresh_batches => Reading::Fresh,
            Source::Live(_) => Reading::Opening,
        };
        Ok(Self {
            engine,
            reading,
            range: list.range,
            walk,
            batch,
            left: list.limit,
            make,
            read: VecDeque::new(),
            place: Place::Begin((!list.cursor.is_empty()).then_some(list.cursor)),
        })
    }

    /// Reads the next batch. It can be empty and not be the last.
    fn fill(&mut self) {
        let batch = self.left.map_or(self.batch, |left| left.min(self.batch));
        let (read, make, left) = (&mut self.read, self.make, self.left);
        // Breaks off where the limit is reached: nothing will be read after that.
        let each = |key: &[u8], hit: Hit<'_>| {
            read.push_back(make(key, hit));
            if left == Some(read.len()) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        match &self.reading {
            Reading::Opening => {
                if let Some(point) = self.engine.scan_opening(&mut self.walk, batch, each) {
                    self.reading = Reading::Open(Arc::new(point));
                }
            }
            Reading::Open(point) => {
                let _ = self.engine.scan(&mut self.walk, batch, Some(point), each);
            }
            Reading::Fresh => {
                let _ = self.engine.scan(&mut self.walk, batch, None, each);
            }
        }
        if self.walk.is_done() || self.left.is_some_and(|left| self.read.len() >= left) {
            // That was all. The snapshot is not needed for what has been read.
            self.reading = Reading::Fresh;
        }
    }

    fn next(&mut self) -> Option<T> {
        if self.left == Some(0) {
            return None;
        }
        while self.read.is_empty() && !self.walk.is_done() {
            self.fill();
        }
        let Some(item) = self.read.pop_front() else {
            self.place = Place::End;
            return None;
        };
        if let Some(left) = &mut self.left {
            *left -= 1;
        }
        self.place = Place::At(item.key().clone());
        Some(item)
    }

    fn cursor(&self) -> Option<Cursor> {
        match &self.place {
            Place::Begin(cursor) => cursor.clone(),
            Place::At(key) => Some(Cursor::after(&self.range, key.as_bytes())),
            Place::End => Some(Cursor::default()),
        }
    }
}

macro_rules! iterator {
    ($(#[$doc:meta])* $name:ident gives $item:ty) => {
        $(#[$doc])*
        ///
        /// It is lazy: the first batch is read when the first item is asked for. It goes on after
        /// [`Kv::close`](crate::Kv::close).
        pub struct $name(Batches<$item>);

        impl $name {
            /// Where the list is: for [`List::after`], to go on from here later.
            ///
            /// `None` before the first item, unless the list itself began after a cursor; then it
            /// is that one. Empty when the range is exhausted. When the limit has ended the list,
            /// it is the place of the last item (C04).
            pub fn cursor(&self) -> Option<Cursor> {
                self.0.cursor()
            }
        }

        impl Iterator for $name {
            type Item = $item;

            fn next(&mut self) -> Option<Self::Item> {
                self.0.next()
            }
        }

        impl FusedIterator for $name {}

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("range", &self.0.range)
                    .field("cursor", &self.0.cursor())
                    .finish_non_exhaustive()
            }
        }
    };
}

iterator! {
    /// The entries of a list: [`List::entries`].
    Entries gives Entry
}

iterator! {
    /// The keys of a list: [`List::keys`].
    Keys gives Key
}
