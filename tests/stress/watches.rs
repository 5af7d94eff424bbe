//! Watches of every kind, while many threads write: none shows half a commit, none misses the last
//! state, and those who ask no more cost nothing.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use futures_core::Stream;
use kvick::{ChangeEvent, Changed, ChangesFrom, Emission, Entry, Key, Kv, Versionstamp};
use rand::RngExt;

use crate::allocator::{live_bytes, peak_bytes, reset_peak};
use crate::support::{Alone, eventually, few_stripes, random, scaled, threads};

const WRITERS: usize = 2;

fn numbers(emission: &Emission) -> Vec<u64> {
    let numbers = emission.entries.iter().map(Entry::as_u64);
    numbers.map(Option::unwrap_or_default).collect()
}

#[test]
fn no_emission_mixes_two_commits() {
    // W02, W09: two writers, each with a pair of its own; two watch both pairs.
    let alone = Alone::begin();
    let kv = few_stripes();
    let count = scaled(5_000) as u64;
    let keys = || (0..WRITERS).flat_map(|writer| [("one", writer), ("other", writer)]);
    threads(WRITERS + 2, |thread| {
        if thread < WRITERS {
            for number in 1..=count {
                let mut pair = kv.atomic();
                pair.set(("one", thread), number)
                    .set(("other", thread), number);
                assert!(pair.commit().unwrap().is_committed());
            }
            return;
        }
        let mut last = vec![0; 2 * WRITERS];
        for emission in kv.watch(keys()).unwrap() {
            let numbers = numbers(&emission);
            for pair in numbers.chunks(2) {
                assert_eq!(pair[0], pair[1]);
            }
            assert!(last <= numbers && emission.changed.len().is_multiple_of(2));
            last = numbers;
            if last.iter().all(|number| *number == count) {
                return;
            }
        }
        panic!("it has not ended");
    });
    drop(kv);
    alone.leaves_nothing();
}

#[test]
fn nothing_is_lost_between_subscribing_and_reading() {
    // W09: one watch after the other, each until it has seen what the writer is at.
    let kv = few_stripes();
    let is_done = AtomicBool::new(false);
    threads(2, |thread| {
        if thread == 0 {
            for number in 0..scaled(20_000) as u64 {
                kv.set("key", number).unwrap();
            }
            is_done.store(true, Ordering::Release);
            kv.set("key", u64::MAX).unwrap();
            return;
        }
        while !is_done.load(Ordering::Acquire) {
            let seen = kv.get("key").unwrap().as_u64().unwrap_or(0);
            let mut shown = kv.watch(["key"]).unwrap().into_iter();
            assert!(shown.any(|emission| numbers(&emission)[0] > seen || seen == u64::MAX));
        }
        let mut shown = kv.watch(["key"]).unwrap().into_iter();
        assert!(shown.any(|emission| numbers(&emission)[0] == u64::MAX));
    });
}

/// Puts its task into the line of those that are to be polled.
struct Task(usize, Sender<usize>);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        // Nobody polls any more once every task has seen the end.
        let _ = self.1.send(self.0);
    }
}

fn poll<S: Stream + Unpin>(stream: &mut S, waker: &Waker) -> Poll<Option<S::Item>> {
    Pin::new(stream).poll_next(&mut Context::from_waker(waker))
}

/// Polls all but every tenth of these streams whenever they are woken, each until `is_last` says so of
/// what it shows; beside writers that `write`.
fn poll_most<S: Stream + Unpin + Send>(
    streams: &mut [S],
    is_last: impl Fn(&S::Item) -> bool + Sync,
    write: impl Fn(usize) + Sync,
) {
    let (wake, woken) = mpsc::channel();
    let tasks = 0..streams.len();
    let wakers: Vec<_> = tasks
        .map(|index| Waker::from(Arc::new(Task(index, wake.clone()))))
        .collect();
    let mut left = 0;
    for (index, stream) in streams.iter_mut().enumerate() {
        // All of them wait, and then some ask no more.
        while poll(stream, &wakers[index]).is_ready() {}
        left += usize::from(!index.is_multiple_of(10));
    }
    let mut is_done = vec![false; streams.len()];
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let write = &write;
                scope.spawn(move || write(writer))
            })
            .collect();
        while left > 0 {
            let index = woken.recv().unwrap();
            if index.is_multiple_of(10) || is_done[index] {
                continue;
            }
            while let Poll::Ready(item) = poll(&mut streams[index], &wakers[index]) {
                let item = item.expect("it has not ended");
                if is_last(&item) {
                    is_done[index] = true;
                    left -= 1;
                    break;
                }
            }
        }
        for writer in writers {
            writer.join().unwrap();
        }
    });
}

/// Two writers at random keys of a hundred; the last state is that of the key "end", which comes when
/// both are done.
fn storm(kv: &Kv, count: usize) -> impl Fn(usize) + Sync {
    let done = std::sync::Barrier::new(WRITERS);
    move |writer| {
        let mut random = random(writer);
        for number in 0..count {
            kv.set(("key", random.random_range(0..100)), number as u64)
                .unwrap();
        }
        if done.wait().is_leader() {
            kv.set("end", 1u64).unwrap();
        }
    }
}

const WATCHERS: usize = 1_000;

/// What an engine of a hundred keys and its garbage may take, and the lists of those who wait.
const ENGINE_BYTES: usize = 2 << 20;

/// Fails where the peak since `reset_peak` is too far above what there was.
fn assert_bounded(before: usize, bytes: usize) {
    let more = peak_bytes().saturating_sub(before);
    println!("at most {more} bytes more, {bytes} allowed");
    assert!(more <= bytes, "{more} bytes more, {bytes} allowed");
}

#[test]
fn a_hundred_of_a_thousand_watches_may_stall() {
    // W05
    let alone = Alone::begin();
    let kv = few_stripes();
    let mut watches: Vec<_> = (0..WATCHERS)
        .map(|index| {
            kv.watch([Key::from(("key", index % 100)), "end".into()])
                .unwrap()
        })
        .collect();
    let before = live_bytes();
    reset_peak();
    let is_last = |emission: &Emission| emission.entries[1].exists();
    poll_most(&mut watches, is_last, storm(&kv, scaled(10_000)));
    assert_bounded(before, ENGINE_BYTES);
    // Those that stalled are shown the last state, and no other.
    for watch in watches.iter_mut().step_by(10) {
        let Poll::Ready(Some(emission)) = poll(watch, Waker::noop()) else {
            panic!("there is something new");
        };
        let keys = emission.entries.iter().map(Entry::key);
        assert_eq!(emission.entries, kv.get_many(keys).unwrap());
        assert!(poll(watch, Waker::noop()).is_pending());
    }
    drop((kv, watches));
    alone.leaves_nothing();
}

/// What the history may take, by its bounds and three times over, with its changes at their largest.
const HISTORY: (usize, usize) = (2_000, 256 << 10);
const HISTORY_BYTES: usize = 3 * (256 << 10) + 2_000 * 64;

fn with_history() -> Kv {
    let (changes, bytes) = HISTORY;
    let builder = Kv::builder().writer_threads(2);
    builder.change_history(changes, bytes).build()
}

#[test]
fn a_hundred_of_a_thousand_streams_of_changes_may_stall() {
    // W05
    let alone = Alone::begin();
    let kv = with_history();
    let mut streams: Vec<_> = (0..WATCHERS)
        .map(|_| kv.changes(ChangesFrom::Now).unwrap())
        .collect();
    let before = live_bytes();
    reset_peak();
    let end = Key::from("end");
    let is_last = |event: &ChangeEvent| match event {
        ChangeEvent::Commit(commit) => commit.changes().any(|(key, _)| *key == end),
        ChangeEvent::Lagged(_) => false,
    };
    poll_most(&mut streams, is_last, storm(&kv, scaled(2_000)));
    assert_bounded(before, ENGINE_BYTES + HISTORY_BYTES);
    let end = kv.get("end").unwrap().versionstamp();
    for stream in &mut streams {
        let mut last = stream.told();
        while let Poll::Ready(Some(event)) = poll(stream, Waker::noop()) {
            let told: Versionstamp = match event {
                ChangeEvent::Commit(commit) => commit.versionstamp(),
                ChangeEvent::Lagged(floor) => floor,
            };
            assert!(last < Some(told));
            last = Some(told);
        }
        // Readers that help leave versions unused, so it may know of more.
        assert!(last == end && stream.told() >= end);
    }
    drop((kv, streams));
    alone.leaves_nothing();
}

#[test]
fn a_hundred_of_a_thousand_watches_of_ranges_may_stall() {
    // W05
    let alone = Alone::begin();
    let kv = with_history();
    let mut watches: Vec<_> = (0..WATCHERS).map(|_| kv.watch_range(()).unwrap()).collect();
    let before = live_bytes();
    reset_peak();
    let end = Key::from("end");
    let is_last = |change: &kvick::RangeChange| match &change.changed {
        Changed::Everything => kv.get(&end).unwrap().exists(),
        Changed::Keys(keys) => keys.contains(&end),
    };
    poll_most(&mut watches, is_last, storm(&kv, scaled(2_000)));
    assert_bounded(before, ENGINE_BYTES + HISTORY_BYTES);
    let end = kv.get("end").unwrap().versionstamp();
    for watch in watches.iter_mut().step_by(10) {
        let Poll::Ready(Some(change)) = poll(watch, Waker::noop()) else {
            panic!("there is something new");
        };
        assert!(Some(change.versionstamp) >= end);
        assert!(poll(watch, Waker::noop()).is_pending());
    }
    drop((kv, watches));
    alone.leaves_nothing();
}

#[test]
fn watches_that_come_and_go_beside_writers_leave_nothing() {
    // W08
    let alone = Alone::begin();
    let kv = few_stripes();
    threads(4, |thread| {
        let mut random = random(thread);
        for number in 0..scaled(4_000) as u64 {
            let key = random.random_range(0..20u32);
            match thread {
                0 | 1 => {
                    kv.set(key, number).unwrap();
                }
                2 => {
                    let mut watch = kv.watch([key, key + 1]).unwrap().into_iter();
                    assert!(watch.try_recv().unwrap().is_some());
                }
                _ => {
                    let mut range = kv.watch_range(()).unwrap().into_iter();
                    let mut changes = kv.changes(ChangesFrom::Now).unwrap().into_iter();
                    assert!(range.try_recv().unwrap().is_some());
                    let _ = changes.try_recv().unwrap();
                }
            }
        }
    });
    eventually(
        || {
            kv.sweep();
            kv.stats().version_count == kv.stats().entry_count
        },
        || format!("{:?}", kv.stats()),
    );
    drop(kv);
    alone.leaves_nothing();
}
