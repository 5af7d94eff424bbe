//! The entries of a list, as they come.

use super::client::Client;
use super::list::List;
use super::wire;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::key::{BoundBytes, Bounds, Cursor, Key, Range, followed_by};
use deno_error::JsErrorBox;
use denokv_proto::{Database, KvEntry, ReadRange, ReadRangeOutput};
use futures_core::Stream;
use futures_core::stream::FusedStream;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The most bytes of the bound that stands for the end of all keys: one more than Deno lets a key have.
const END_OF_ALL_BYTES: usize = 2_049;

/// A batch that is being read.
type Reading<'a> = Pin<Box<dyn Future<Output = Result<Vec<ReadRangeOutput>, JsErrorBox>> + 'a>>;

/// The entries of a list, as they are asked for: [`List::stream`].
///
/// A [`Stream`], and without one, [`next`](Self::next). Dropping it, or a `next` of it that is not done, loses
/// nothing but what was read ahead.
#[must_use = "a stream reads nothing until it is asked for entries"]
pub struct Entries<'a, D> {
    client: &'a Client<D>,
    range: Range,
    /// What is left to read.
    bounds: Bounds,
    reverse: bool,
    batch: usize,
    /// How many are still to be given out, where there is a limit.
    left: Option<usize>,
    /// With how many entries it was asked for.
    reading: Option<(usize, Reading<'a>)>,
    read: VecDeque<Entry>,
    is_read: bool,
    place: Place,
}

/// How far the entries have been given out.
enum Place {
    /// None yet: where the list was told to begin.
    Begin(Option<Cursor>),
    At(Key),
    End,
}

impl<D> fmt::Debug for Entries<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries")
            .field("range", &self.range)
            .field("reverse", &self.reverse)
            .finish_non_exhaustive()
    }
}

impl<'a, D: Database> Entries<'a, D> {
    pub(super) fn new(list: List<'a, D>) -> Result<Self> {
        let batch = list.batch_size_checked()?;
        let limits = list.client.limits();
        let bounds = list.range.bounds(limits)?;
        let bounds = bounds.resume(&list.range, &list.cursor, list.reverse, limits)?;
        Ok(Self {
            client: list.client,
            range: list.range,
            is_read: bounds.is_empty(),
            bounds,
            reverse: list.reverse,
            batch,
            left: list.limit,
            reading: None,
            read: VecDeque::new(),
            place: Place::Begin((!list.cursor.is_empty()).then_some(list.cursor)),
        })
    }

    /// The next entry; `None` at the end, and after an error.
    pub async fn next(&mut self) -> Option<Result<Entry>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// Where the list is: for [`List::after`], to go on from here later.
    ///
    /// `None` before the first entry, unless the list itself began after a cursor; then it
    /// is that one. Empty when the range is exhausted. When the limit has ended the list, or an error, it
    /// is the place of the last entry (C04).
    pub fn cursor(&self) -> Option<Cursor> {
        match &self.place {
            Place::Begin(cursor) => cursor.clone(),
            Place::At(key) => Some(Cursor::after(&self.range, key.as_bytes())),
            Place::End => Some(Cursor::default()),
        }
    }

    /// Asks for the next batch.
    fn begin(&mut self) {
        let batch = self.left.map_or(self.batch, |left| left.min(self.batch));
        let limit = u32::try_from(batch).unwrap_or(u32::MAX);
        let limit = NonZeroU32::new(limit).unwrap_or(NonZeroU32::MIN);
        let end = self.bounds.end.as_ref().map_or_else(
            || {
                let limits = self.client.limits();
                vec![0xff; limits.key_read_bytes_max.min(END_OF_ALL_BYTES)]
            },
            |end| end.to_vec(),
        );
        let request = ReadRange {
            start: self.bounds.start.to_vec(),
            end,
            limit,
            reverse: self.reverse,
        };
        let client = self.client;
        let options = client.read_options();
        let reading = client.database().snapshot_read(vec![request], options);
        let asked = usize::try_from(limit.get()).unwrap_or(usize::MAX);
        self.reading = Some((asked, reading));
    }

    /// Takes in a batch, of which so many entries were asked for.
    fn take_in(&mut self, asked: usize, outputs: Vec<ReadRangeOutput>) -> Result<()> {
        let Ok([output]) = <[ReadRangeOutput; 1]>::try_from(outputs) else {
            return Err(Error::unexpected("not as many ranges as were asked for"));
        };
        if output.entries.len() > asked {
            return Err(Error::unexpected("more entries than were asked for"));
        }
        self.is_read = output.entries.len() < asked;
        for entry in output.entries {
            self.pass(&entry)?;
            self.read.push_back(wire::entry(entry));
        }
        Ok(())
    }

    /// What is left lies behind this entry, which must be in what was left.
    fn pass(&mut self, entry: &KvEntry) -> Result<()> {
        if !self.bounds.contains(&entry.key) {
            return Err(Error::unexpected("an entry out of order or of the range"));
        }
        if self.reverse {
            self.bounds.end = Some(BoundBytes::from_slice(&entry.key));
        } else {
            self.bounds.start = followed_by(&entry.key, 0);
        }
        Ok(())
    }

    fn give_out(&mut self, entry: Entry) -> Entry {
        if let Some(left) = &mut self.left {
            *left -= 1;
        }
        self.place = Place::At(entry.key().clone());
        entry
    }
}

impl<D: Database> Stream for Entries<'_, D> {
    type Item = Result<Entry>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if this.left == Some(0) {
                return Poll::Ready(None);
            }
            if let Some(entry) = this.read.pop_front() {
                return Poll::Ready(Some(Ok(this.give_out(entry))));
            }
            let Some((asked, reading)) = &mut this.reading else {
                if this.is_read || this.bounds.is_empty() {
                    this.place = Place::End;
                    return Poll::Ready(None);
                }
                this.begin();
                continue;
            };
            let (asked, outputs) = (*asked, ready!(reading.as_mut().poll(context)));
            this.reading = None;
            let taken = outputs.map_err(Error::from_database);
            let taken = taken.and_then(|outputs| this.take_in(asked, outputs));
            if let Err(error) = taken {
                // Whether there are more is not known, so this is no end that a cursor could tell of.
                this.read.clear();
                this.left = Some(0);
                return Poll::Ready(Some(Err(error)));
            }
        }
    }
}

impl<D: Database> FusedStream for Entries<'_, D> {
    fn is_terminated(&self) -> bool {
        self.left == Some(0) || (self.is_read && self.read.is_empty() && self.reading.is_none())
    }
}
