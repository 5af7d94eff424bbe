//! A feed beside a list of what it was given.

use super::{CHANGES_MIN, Feed, Log, Tail};
use crate::mvcc::notify::Woken;
use crate::mvcc::quota::Meter;
use crate::sync::{AtomicU64, Ordering};
use crate::version::Stamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::sync::Arc;
use std::task::{Wake, Waker};

/// Counts how often the collector is called.
struct Calls(AtomicU64);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn feed(changes_max: usize, bytes_max: usize) -> (Feed, Arc<Calls>) {
    let calls = Arc::new(Calls(AtomicU64::new(0)));
    let collector = Waker::from(Arc::clone(&calls));
    let tail = Tail::new(1, changes_max, bytes_max, collector, &Meter::unlimited());
    (Feed::new(Arc::new(tail)), calls)
}

fn push(feed: &mut Feed, key: &[u8], is_set: bool, stamp: u64) {
    let mut woken = Woken::new();
    feed.push(key, is_set, Stamp::new(stamp), &mut woken);
}

type Change = (u64, Vec<u8>, bool);

fn take(feed: &mut Feed, to: u64, log: &mut Log) -> (u64, Vec<Change>) {
    let lost = feed.take(Stamp::new(to), log);
    let changes = log
        .iter()
        .map(|(stamp, key, is_set)| (stamp.get(), key.to_vec(), is_set));
    let changes: Vec<_> = changes.collect();
    assert_eq!(changes.len(), log.len());
    (lost.get(), changes)
}

#[test]
fn what_is_taken_is_what_was_given_up_to_there() {
    let mut random = StdRng::seed_from_u64(7);
    let (mut feed, _) = feed(1_000, 1 << 20);
    let (mut log, mut model, mut stamp) = (Log::new(&Meter::unlimited()), Vec::new(), 0);
    for _ in 0..2_000 {
        stamp += random.random_range(0..3);
        let key = vec![b'k'; random.random_range(0..5)];
        let is_set = random.random_bool(0.5);
        push(&mut feed, &key, is_set, stamp);
        model.push((stamp, key, is_set));
        if random.random_bool(0.05) {
            // In the middle, too: of commits that had none yet when the collector looked.
            let to = stamp.saturating_sub(random.random_range(0..6));
            let count = model.partition_point(|(stamp, ..)| *stamp <= to);
            let expected: Vec<_> = model.drain(..count).collect();
            assert_eq!(take(&mut feed, to, &mut log), (0, expected));
        }
    }
    assert_eq!(take(&mut feed, stamp, &mut log), (0, model));
}

#[test]
fn a_feed_that_is_full_says_up_to_where_it_has_lost() {
    let (mut feed, calls) = feed(0, 0);
    let full = CHANGES_MIN as u64;
    for stamp in 1..=full {
        push(&mut feed, b"key", true, stamp);
    }
    // At a quarter, at a half, and with each one of the last quarter.
    assert_eq!(calls.0.load(Ordering::Relaxed), 2 + full / 4);
    let mut log = Log::new(&Meter::unlimited());
    // The second change of a commit finds no room, so its first is lost too.
    push(&mut feed, b"a", true, full + 1);
    push(&mut feed, b"b", true, full + 1);
    push(&mut feed, b"c", false, full + 2);
    let (lost, changes) = take(&mut feed, full + 2, &mut log);
    assert_eq!(lost, full + 1);
    let complete: Vec<_> = changes
        .into_iter()
        .filter(|(stamp, ..)| *stamp > lost)
        .collect();
    assert_eq!(complete, [(full + 2, b"c".to_vec(), false)]);
    assert_eq!(take(&mut feed, full + 2, &mut log), (0, vec![]));
}

#[test]
fn one_key_has_room_however_long_it_is() {
    let (mut feed, calls) = feed(100, 0);
    let mut log = Log::new(&Meter::unlimited());
    let key = vec![b'k'; 100_000];
    push(&mut feed, &key, true, 1);
    assert_eq!(
        take(&mut feed, 1, &mut log),
        (0, vec![(1, key.clone(), true)])
    );
    push(&mut feed, &key, true, 2);
    assert_eq!(calls.0.load(Ordering::Relaxed), 0);
    push(&mut feed, b"next", true, 3);
    assert_eq!(calls.0.load(Ordering::Relaxed), 1);
    assert_eq!(take(&mut feed, 3, &mut log), (3, vec![]));
}
