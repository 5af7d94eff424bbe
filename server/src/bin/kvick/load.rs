//! Entries on their way from one database to another.

use crate::batch::Batch;
use crate::fault::Fault;
use crate::store::{Db, Store};
use crate::transport::NOT_KNOWN;
use kvick::denokv::Client;
use kvick::{AtomicOp, Entry, ErrorKind, Key, NewValue, Outcome, Range};
use std::time::{Duration, Instant};

/// Entries that are read at a time: the most that the protocol has.
const READ: usize = 1_000;

/// Checks of one commit: as many as Deno has, and as few as its server denokv has kept.
const CHECKS: usize = 100;
const CHECKS_FEW: usize = 10;

/// Before a commit that was turned away is tried again, at first.
const PAUSE: Duration = Duration::from_millis(100);

/// Where entries come from. Of a database of this process it is one snapshot, and expiry is known.
pub(crate) enum Source<'a> {
    Embedded(Box<kvick::Entries>),
    Hosted(Box<kvick::denokv::Entries<'a, Store>>),
}

impl<'a> Source<'a> {
    pub(crate) fn new(db: &'a Db, range: Range) -> Result<Self, Fault> {
        Ok(match db.database() {
            Store::Embedded(kv) => Self::Embedded(Box::new(kv.list(range).entries()?)),
            Store::Hosted(_) => Self::Hosted(Box::new(db.list(range).batch_size(READ).stream()?)),
        })
    }

    pub(crate) async fn next(&mut self) -> Result<Option<Entry>, Fault> {
        match self {
            Self::Embedded(entries) => Ok(entries.next()),
            Self::Hosted(entries) => Ok(entries.next().await.transpose()?),
        }
    }
}

/// What has become of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) copied: u64,
    /// Not copied, because the key was there.
    pub(crate) present: u64,
    /// Not copied either, because their time was over before it came to that.
    pub(crate) expired: u64,
    pub(crate) commits: u64,
}

/// Sets entries in batches.
pub(crate) struct Load<'a> {
    db: &'a Client<Store>,
    if_absent: bool,
    batch: Batch,
    /// When what the source says of expiry was so: when both were made.
    since: Instant,
    pub(crate) totals: Totals,
}

impl<'a> Load<'a> {
    pub(crate) fn new(db: &'a Client<Store>, if_absent: bool) -> Self {
        Self {
            db,
            if_absent,
            batch: Batch::new(if_absent.then_some(CHECKS)),
            since: Instant::now(),
            totals: Totals::default(),
        }
    }

    /// Takes an entry. When it has no room beside those that wait, they are set first; the last key of
    /// these then.
    pub(crate) async fn push(&mut self, entry: Entry) -> Result<Option<Key>, Fault> {
        if self.db.database().kv().is_none() {
            self.batch.check(&entry)?;
        }
        let set = if self.batch.has_room_for(&entry) {
            None
        } else {
            self.flush().await?
        };
        self.batch.push(entry);
        Ok(set)
    }

    /// Sets those that wait; the last of their keys.
    pub(crate) async fn flush(&mut self) -> Result<Option<Key>, Fault> {
        let entries = self.batch.take();
        let last = entries.last().map(|entry| entry.key().clone());
        match self.set(entries.clone()).await {
            Err(error) if self.if_absent && entries.len() > CHECKS_FEW && is_refusal(&error) => {
                self.batch = Batch::new(Some(CHECKS_FEW));
                for some in entries.chunks(CHECKS_FEW) {
                    self.set(some.to_vec()).await?;
                }
            }
            done => done?,
        }
        Ok(last)
    }

    /// Sets entries, but for those that are there and are to be left alone.
    async fn set(&mut self, mut entries: Vec<Entry>) -> kvick::Result<()> {
        let count = entries.len();
        entries.retain(|entry| self.left(entry) != Some(Duration::ZERO));
        self.totals.expired += (count - entries.len()) as u64;
        while !entries.is_empty() {
            if self.commit(&entries).await? {
                self.totals.copied += entries.len() as u64;
                self.totals.commits += 1;
                break;
            }
            entries = self.absent(entries).await?;
        }
        Ok(())
    }

    /// Whether the checks held.
    async fn commit(&self, entries: &[Entry]) -> kvick::Result<bool> {
        let begin = Instant::now();
        let mut pause = PAUSE;
        loop {
            let error = match self.operation(entries).commit().await {
                Ok(outcome) => return Ok(matches!(outcome, Outcome::Committed { .. })),
                Err(error) => error,
            };
            let is_late = begin.elapsed() + pause > self.db.database().timeout();
            // Too many requests; or the answer was lost, and to set it again does no harm. What is 5xx else was
            // tried again below.
            let text = error.to_string();
            let is_temporary = error.kind() == ErrorKind::Backend
                && (text.contains("(status=429") || text.contains(NOT_KNOWN));
            if is_late || !is_temporary {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    /// How long an entry still has, if it expires.
    fn left(&self, entry: &Entry) -> Option<Duration> {
        let after = entry.expires_in()?;
        Some(after.saturating_sub(self.since.elapsed()))
    }

    fn operation(&self, entries: &[Entry]) -> AtomicOp<'a, Client<Store>> {
        let mut operation = self.db.atomic();
        for entry in entries {
            let Some(value) = entry.value() else {
                continue;
            };
            let value = NewValue::from(value);
            let value = match self.left(entry) {
                // It has expired since it was looked at.
                Some(Duration::ZERO) => continue,
                Some(left) => value.expire_in(left),
                None => value,
            };
            if self.if_absent {
                operation.check_absent(entry.key().clone());
            }
            operation.set(entry.key().clone(), value);
        }
        operation
    }

    /// Those whose keys are not there.
    async fn absent(&mut self, entries: Vec<Entry>) -> kvick::Result<Vec<Entry>> {
        let mut absent = Vec::new();
        for some in entries.chunks(self.db.limits().ranges_max.max(1)) {
            let keys = some.iter().map(|entry| entry.key().clone());
            let there = self.db.get_many(keys).await?;
            for (entry, there) in some.iter().zip(there) {
                if there.is_missing() {
                    absent.push(entry.clone());
                } else {
                    self.totals.present += 1;
                }
            }
        }
        Ok(absent)
    }
}

/// Whether the server finds fault with the request, which may have too many checks for it.
fn is_refusal(error: &kvick::Error) -> bool {
    let text = error.to_string();
    text.contains("(status=400") && !text.contains(NOT_KNOWN)
}

/// Reads everything of a database into another one.
pub(crate) async fn all(
    source: &mut Source<'_>,
    load: &mut Load<'_>,
    mut each: impl FnMut(u64, Option<Key>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut taken = 0;
    while let Some(entry) = source.next().await? {
        let set = load.push(entry).await?;
        taken += 1;
        if set.is_some() {
            // A prompt is to be able to interrupt it.
            tokio::task::yield_now().await;
        }
        each(taken, set)?;
    }
    let set = load.flush().await?;
    each(taken, set)
}
