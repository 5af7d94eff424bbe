//! What changes in a stripe, in the order of the commits.
//!
//! Behind the lock of each stripe, while anybody follows the changes or their history is kept: the
//! changes that nobody has collected yet. A commit adds its own there and touches nothing that other
//! stripes share, but for a word that it only reads, unless somebody waits. The stamps of a stripe
//! ascend, because its commits do.
//!
//! A feed is bounded, and gives up what it has rather than hold up a commit: where it is full, or
//! the allocator refuses, it forgets everything and says up to where.

use crate::mvcc::notify::{Cell, Woken};
use crate::mvcc::quota::{Meter, Purpose};
use crate::sync::{footprint, reserve};
use crate::version::Stamp;
use std::mem;
use std::sync::Arc;
use std::task::Waker;

/// A feed calls the collector each time that it has grown by so much, and with each change once no more
/// than a quarter of its room is left.
const CALL_EVERY: usize = 256;

/// How much more changes than the history the feeds hold together, so that one that is filled up by
/// itself, while the collector is off its processor, has room. (A change takes three words; the bytes
/// of the keys have a bound of their own.)
const SLACK: usize = 4;

/// However small the history: a feed has room for so much.
const CHANGES_MIN: usize = 64;
const BYTES_MIN: usize = 4_096;

/// What the feeds of an engine have in common.
#[derive(Debug)]
pub(super) struct Tail {
    /// Those wait here who want to know of any change.
    pub(super) readers: Cell,
    /// Empties the feeds.
    collector: Waker,
    meter: Arc<Meter>,
    changes_max: usize,
    bytes_max: usize,
}

impl Tail {
    /// For so many feeds, which are charged to this meter.
    pub(super) fn new(
        feeds: usize,
        changes_max: usize,
        bytes_max: usize,
        collector: Waker,
        meter: &Arc<Meter>,
    ) -> Self {
        Self {
            readers: Cell::new(),
            collector,
            meter: Arc::clone(meter),
            changes_max: (changes_max / feeds).saturating_mul(SLACK).max(CHANGES_MIN),
            bytes_max: (bytes_max / feeds).max(BYTES_MIN),
        }
    }
}

/// A change of one key; the key is among the bytes beside it.
#[derive(Clone, Copy, Debug)]
struct Change {
    stamp: Stamp,
    key_bytes: usize,
    is_set: bool,
}

/// Changes, in the order of their stamps.
#[derive(Debug)]
pub(super) struct Log {
    changes: Vec<Change>,
    keys: Vec<u8>,
    /// For its room.
    meter: Arc<Meter>,
}

impl Drop for Log {
    fn drop(&mut self) {
        self.meter.refund(self.room_bytes());
    }
}

impl Log {
    /// An empty one, charged to this meter.
    pub(super) fn new(meter: &Arc<Meter>) -> Self {
        Self {
            changes: Vec::new(),
            keys: Vec::new(),
            meter: Arc::clone(meter),
        }
    }

    fn room_bytes(&self) -> usize {
        let of = |bytes| if bytes == 0 { 0 } else { footprint(bytes) };
        of(self.changes.capacity() * size_of::<Change>()) + of(self.keys.capacity())
    }

    /// Makes room for so many more. Where there is none, all room is given up, with what was there.
    fn reserve(&mut self, changes: usize, key_bytes: usize) -> bool {
        let lacks = |capacity: usize, len: usize, more: usize| capacity - len < more;
        if !lacks(self.changes.capacity(), self.changes.len(), changes)
            && !lacks(self.keys.capacity(), self.keys.len(), key_bytes)
        {
            return true;
        }
        let before = self.room_bytes();
        let room = reserve(&mut self.changes, changes)
            .and_then(|()| reserve(&mut self.keys, key_bytes))
            .and_then(|()| {
                let more = self.room_bytes() - before;
                self.meter.charge(more, Purpose::Growth)
            });
        if room.is_err() {
            (self.changes, self.keys) = (Vec::new(), Vec::new());
            self.meter.refund(before);
        }
        room.is_ok()
    }

    pub(super) fn len(&self) -> usize {
        self.changes.len()
    }

    pub(super) fn clear(&mut self) {
        self.changes.clear();
        self.keys.clear();
    }

    /// Each change: its stamp, its key, and whether the key was set and not deleted.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Stamp, &[u8], bool)> {
        let mut rest = &self.keys[..];
        self.changes.iter().map(move |change| {
            let key = rest.split_off(..change.key_bytes).unwrap_or_default();
            (change.stamp, key, change.is_set)
        })
    }
}

/// The changes of one stripe.
#[derive(Debug)]
pub(super) struct Feed {
    tail: Arc<Tail>,
    log: Log,
    /// Of what came up to here, not all is in the log.
    lost: Stamp,
}

impl Feed {
    pub(super) fn new(tail: Arc<Tail>) -> Self {
        Self {
            log: Log::new(&tail.meter),
            tail,
            lost: Stamp::ZERO,
        }
    }

    /// Adds a change of the latest commit.
    pub(super) fn push(&mut self, key: &[u8], is_set: bool, stamp: Stamp, woken: &mut Woken) {
        let (count, bytes) = (self.log.changes.len(), self.log.keys.len());
        // One key has room, however long it is.
        let has_room = count < self.tail.changes_max
            && (bytes == 0 || bytes.saturating_add(key.len()) <= self.tail.bytes_max);
        if has_room && self.log.reserve(1, key.len()) {
            self.log.keys.extend_from_slice(key);
            self.log.changes.push(Change {
                stamp,
                key_bytes: key.len(),
                is_set,
            });
        } else {
            self.log.clear();
            self.lost = stamp;
        }
        // Where somebody is about it, or only reads, it is called once more.
        let quarter = self.tail.changes_max / 4;
        let is_due = count > 0 && count.is_multiple_of(CALL_EVERY.min(quarter));
        let is_nearly_full =
            count >= self.tail.changes_max - quarter || bytes >= self.tail.bytes_max / 4 * 3;
        if is_due || is_nearly_full {
            woken.call(&self.tail.collector);
        }
        self.tail.readers.stir(woken);
    }

    /// Moves what is at or below `to` into `log`, which is empty; the stamp up to which something
    /// was lost. Takes constant time, unless there is something above.
    pub(super) fn take(&mut self, to: Stamp, log: &mut Log) -> Stamp {
        log.clear();
        mem::swap(&mut self.log, log);
        let count = log.changes.partition_point(|change| change.stamp <= to);
        if count < log.changes.len() {
            let later = log.changes[count..].iter();
            let bytes: usize = later.map(|change| change.key_bytes).sum();
            let (changes, keys) = (&log.changes[count..], &log.keys[log.keys.len() - bytes..]);
            if self.log.reserve(changes.len(), bytes) {
                self.log.changes.extend_from_slice(changes);
                self.log.keys.extend_from_slice(keys);
            } else if let Some(last) = changes.last() {
                self.lost = last.stamp;
            }
            log.changes.truncate(count);
            log.keys.truncate(log.keys.len() - bytes);
        }
        mem::replace(&mut self.lost, Stamp::ZERO)
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
