//! Following the commits, and watching ranges (W01 to W03, W05, W08, W09).

use crate::support::allocations::live_bytes;
use crate::support::alone::alone;
use crate::support::threads::{race, unstuck};
use crate::support::wakes::{Wakes, poll};
use crate::support::{assert_refused, committed, each_key};
use kvick::{
    Blocking, ChangeEvent, ChangeKind, ChangeStream, Changed, ChangesFrom, CommitChanges,
    ErrorKind, Key, Kv, Range, RangeChange, RangeWatch, Versionstamp,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::task::Poll;
use std::thread;

fn follow(kv: &Kv, from: ChangesFrom) -> Blocking<ChangeStream> {
    kv.changes(from).expect("it is open").into_iter()
}

/// A commit, by its version and its changes.
type Told = (Versionstamp, Vec<(Key, ChangeKind)>);

fn told(commit: &CommitChanges) -> Told {
    let changes = commit.changes().map(|(key, kind)| (key.clone(), kind));
    (commit.versionstamp(), changes.collect())
}

#[track_caller]
fn commit_of(event: Option<ChangeEvent>) -> Told {
    match event {
        Some(ChangeEvent::Commit(commit)) => told(&commit),
        other => panic!("no commit: {other:?}"),
    }
}

/// The next commits, as many as there are.
fn commits(stream: &mut Blocking<ChangeStream>) -> Vec<Told> {
    std::iter::from_fn(|| stream.try_recv().expect("the database is open"))
        .map(|event| commit_of(Some(event)))
        .collect()
}

#[test]
fn commits_are_told_in_their_order_with_their_keys() {
    // W02, W03
    let kv = Kv::new();
    kv.set("before", 1_u64).unwrap();
    let mut stream = follow(&kv, ChangesFrom::Now);
    assert_eq!(stream.try_recv().unwrap(), None);

    let one = kv.set("b", 1_u64).unwrap();
    let mut operation = kv.atomic();
    operation
        .set("c", 1_u64)
        .delete("missing")
        .sum("a", 1)
        .delete("b")
        .set("c", 2_u64);
    let two = committed(operation.commit());
    assert!(
        !kv.atomic()
            .check_absent("a")
            .set("a", 9_u64)
            .commit()
            .unwrap()
            .is_committed()
    );
    kv.delete("missing").unwrap();
    committed(kv.atomic().check_exists("a").commit());
    let three = kv.delete_range(Range::all()).unwrap().versionstamp;
    let expected = [
        (one, vec![("b".into(), ChangeKind::Set)]),
        (
            two,
            vec![
                ("a".into(), ChangeKind::Set),
                ("b".into(), ChangeKind::Delete),
                ("c".into(), ChangeKind::Set),
            ],
        ),
        (
            three,
            ["a", "before", "c"]
                .map(|key| (key.into(), ChangeKind::Delete))
                .to_vec(),
        ),
    ];
    assert_eq!(commits(&mut stream), expected);
    // Another goes on after the first.
    let mut other = follow(&kv, ChangesFrom::After(one));
    assert_eq!(commits(&mut other), expected[1..]);
    assert_eq!(other.into_inner().told(), Some(three));
}

#[test]
fn a_stream_goes_on_from_where_another_was() {
    // W08
    let kv = Kv::builder().keep_change_history(true).build();
    let zero = kv.snapshot().versionstamp();
    let mut versions = Vec::new();
    for number in 0..10 {
        versions.push(kv.set(number, 1_u64).unwrap());
    }
    for (index, version) in versions.iter().enumerate() {
        let mut stream = follow(&kv, ChangesFrom::After(*version));
        let told = commits(&mut stream).into_iter().map(|(version, _)| version);
        assert!(told.eq(versions[index + 1..].iter().copied()));
    }
    assert_eq!(
        commits(&mut follow(&kv, ChangesFrom::After(zero))).len(),
        10
    );
    assert_eq!(commits(&mut follow(&kv, ChangesFrom::Now)), []);
}

#[test]
fn a_stream_that_comes_too_late_is_told_so() {
    // W05: the history is bounded.
    let kv = Kv::builder()
        .change_history(100, 1 << 20)
        .writer_threads(1)
        .build();
    let mut stalled = follow(&kv, ChangesFrom::Now);
    let mut live = follow(&kv, ChangesFrom::Now);
    let versions: Vec<_> = (0..1_000_u64)
        .map(|number| {
            let version = kv.set(number % 7, number).unwrap();
            assert_eq!(commit_of(live.try_recv().unwrap()).0, version);
            version
        })
        .collect();
    assert_eq!(
        stalled.try_recv().unwrap(),
        Some(ChangeEvent::Lagged(versions[899]))
    );
    let rest = commits(&mut stalled)
        .into_iter()
        .map(|(version, _)| version);
    assert!(rest.eq(versions[900..].iter().copied()));
    // Bytes count as well: the keys'.
    let kv = Kv::builder().change_history(1_000_000, 10_000).build();
    let (mut stalled, mut live) = (follow(&kv, ChangesFrom::Now), follow(&kv, ChangesFrom::Now));
    for number in 0..100_u64 {
        kv.set((vec![1; 1_000], number), number).unwrap();
        commit_of(live.try_recv().unwrap());
    }
    let Some(ChangeEvent::Lagged(_)) = stalled.try_recv().unwrap() else {
        panic!("it is told so")
    };
    let rest = commits(&mut stalled).len();
    assert!((5..10).contains(&rest), "{rest}");
}

#[test]
fn where_nobody_collects_the_writers_do_or_say_what_is_lost() {
    // W05: with one key, all is in one feed.
    let kv = Kv::builder().change_history(10_000, 1 << 20).build();
    let mut stalled = follow(&kv, ChangesFrom::Now);
    let mut last = kv.set("key", 0_u64).unwrap();
    for number in 1..100_000_u64 {
        last = kv.set("key", number).unwrap();
    }
    let Some(ChangeEvent::Lagged(_)) = stalled.try_recv().unwrap() else {
        panic!("it is told so")
    };
    let rest = commits(&mut stalled);
    // The history, and what had not been sorted into it.
    assert!((10_000..12_000).contains(&rest.len()), "{}", rest.len());
    assert_eq!(rest.last().unwrap().0, last);
    // A commit that is larger than the history is lost, and only it.
    for number in 0..20_000_u64 {
        kv.set(("many", number), number).unwrap();
    }
    commits(&mut follow(&kv, ChangesFrom::Now));
    assert_eq!(kv.delete_prefix("many").unwrap().count, 20_000);
    let next = kv.set("key", 1_u64).unwrap();
    let Some(ChangeEvent::Lagged(_)) = stalled.try_recv().unwrap() else {
        panic!("it is told so")
    };
    assert_eq!(
        commits(&mut stalled),
        [(next, vec![("key".into(), ChangeKind::Set)])]
    );
}

#[test]
fn what_no_history_reaches_is_told_at_once() {
    // W08
    let kv = Kv::new();
    let first = kv.set("a", 1_u64).unwrap();
    // Nobody followed then.
    let zero = Kv::new().snapshot().versionstamp();
    let latest = kv.snapshot().versionstamp();
    let foreign = Versionstamp::from_bytes([7; 10]);
    let future = "00000000000000ff0000".parse().unwrap();
    for from in [zero, foreign, future] {
        let mut stream = follow(&kv, ChangesFrom::After(from));
        assert_eq!(
            stream.try_recv().unwrap(),
            Some(ChangeEvent::Lagged(latest))
        );
        assert_eq!(stream.try_recv().unwrap(), None);
    }
    let mut stream = follow(&kv, ChangesFrom::After(first));
    let second = kv.set("a", 1_u64).unwrap();
    assert_eq!(commit_of(stream.try_recv().unwrap()).0, second);
    // The last one that followed has taken the history along.
    drop(stream);
    let mut stream = follow(&kv, ChangesFrom::After(first));
    assert_eq!(
        stream.try_recv().unwrap(),
        Some(ChangeEvent::Lagged(second))
    );
}

fn watch_range(kv: &Kv, range: impl Into<Range>) -> Blocking<RangeWatch> {
    let watch = kv.watch_range(range);
    let mut watch = watch.expect("the range is a good one").into_iter();
    let first = watch
        .try_recv()
        .ok()
        .flatten()
        .expect("the first comes at once");
    assert_eq!(first.changed, Changed::Everything);
    assert_eq!(first.versionstamp, kv.snapshot().versionstamp());
    watch
}

#[test]
fn a_range_watch_tells_which_of_its_keys_have_changed() {
    // W01, W02, W03
    let kv = Kv::new();
    kv.set(("log", 1), 1_u64).unwrap();
    let mut log = watch_range(&kv, "log");
    let mut some = watch_range(&kv, Range::new(("log", 3), ("log", 5)));
    let mut none = watch_range(&kv, Range::raw("b", "a"));
    assert_eq!(log.try_recv().unwrap(), None);

    let mut operation = kv.atomic();
    operation
        .set(("log", 4), 1_u64)
        .delete(("log", 1))
        .set("log", 1_u64)
        .set(("other", 1), 1_u64);
    let one = committed(operation.commit());
    kv.delete(("log", 9)).unwrap();
    let change = log.try_recv().unwrap().unwrap();
    assert_eq!(
        change.changed,
        Changed::Keys(each_key([("log", 1), ("log", 4)]))
    );
    // Up to what is there now, the deletion that changed nothing included.
    assert_eq!(change.versionstamp, kv.snapshot().versionstamp());
    assert!(change.versionstamp > one);
    // Coalesced, each key once.
    let mut last = one;
    for number in 0..100_u64 {
        last = kv.set(("log", number % 5), number).unwrap();
    }
    let change = log.try_recv().unwrap().unwrap();
    assert_eq!(
        change.changed,
        Changed::Keys(
            (0..5_u64)
                .map(|number| Key::from(("log", number)))
                .collect()
        )
    );
    assert_eq!((change.versionstamp, log.try_recv().unwrap()), (last, None));

    let change = some.try_recv().unwrap().unwrap();
    assert_eq!(change.changed, Changed::Keys(each_key([("log", 4)])));
    assert_eq!(
        (some.try_recv().unwrap(), none.try_recv().unwrap()),
        (None, None)
    );
    let refused = kv.watch_range(Range::new("b", "a"));
    assert_refused(
        refused,
        ErrorKind::InvalidSelector,
        "Start key is greater than end key",
    );
}

#[test]
fn a_range_watch_that_comes_too_late_says_that_everything_may_have_changed() {
    // W05
    let kv = Kv::builder().change_history(100, 1 << 20).build();
    let mut watch = watch_range(&kv, "log");
    for number in 0..1_000_u64 {
        kv.set(("log", number), number).unwrap();
    }
    let change = watch.try_recv().unwrap().unwrap();
    assert_eq!(change.changed, Changed::Everything);
    assert_eq!(change.versionstamp, kv.snapshot().versionstamp());
    assert_eq!(watch.try_recv().unwrap(), None);
    kv.set(("log", 7), 7_u64).unwrap();
    assert_eq!(
        watch.try_recv().unwrap().unwrap().changed,
        Changed::Keys(each_key([("log", 7)]))
    );
}

#[test]
fn those_who_follow_are_woken_once_and_by_the_end() {
    // W05, W08, W09
    let kv = Kv::new();
    let (mut stream, mut range) = (
        kv.changes(ChangesFrom::Now).unwrap(),
        kv.watch_range("a").unwrap(),
    );
    let (all, some) = (Wakes::new(), Wakes::new());
    assert!(poll(&mut range, &some.waker()).is_ready());
    for round in 1..4 {
        while poll(&mut stream, &all.waker()).is_ready() {}
        while poll(&mut range, &some.waker()).is_ready() {}
        for number in 0..10_u64 {
            kv.set(("a", number), number).unwrap();
        }
        assert_eq!((all.count(), some.count()), (round, round));
    }
    // Woken by what is not in the range, it goes on waiting.
    while poll(&mut stream, &all.waker()).is_ready() {}
    while poll(&mut range, &some.waker()).is_ready() {}
    kv.set("b", 1_u64).unwrap();
    assert!(poll(&mut range, &some.waker()).is_pending());
    kv.set(("a", 1), 1_u64).unwrap();
    assert_eq!(some.count(), 5);
    assert!(poll(&mut stream, &all.waker()).is_ready());
    kv.close();
    assert_eq!(poll(&mut stream, &all.waker()), Poll::Ready(None));
    assert_eq!(poll(&mut range, &some.waker()), Poll::Ready(None));
    assert_refused(kv.changes(ChangesFrom::Now), ErrorKind::Closed, "closed");
    assert_refused(kv.watch_range("a"), ErrorKind::Closed, "closed");
}

#[test]
fn a_thread_that_follows_is_woken_by_the_last_handle() {
    // W08
    let kv = Kv::new();
    let (stream, range) = (follow(&kv, ChangesFrom::Now), watch_range(&kv, ()));
    let stream = thread::spawn(move || stream.count());
    let range = thread::spawn(move || range.map(|change: RangeChange| change.versionstamp).max());
    kv.set("a", 1_u64).unwrap();
    let last = kv.set("b", 1_u64).unwrap();
    drop(kv);
    let (count, newest) = unstuck(move || (stream.join().unwrap(), range.join().unwrap()));
    assert!(count <= 2);
    assert!(newest.is_none_or(|newest| newest <= last));
}

#[test]
fn the_changes_of_many_threads_make_up_the_database() {
    // W02, W09: nothing is missing, torn, twice, or out of order.
    const THREADS: usize = 3;
    let kv = Kv::builder().writer_threads(2).build();
    let stream = follow(&kv, ChangesFrom::Now);
    let follower = thread::spawn(move || {
        let mut last = None;
        let mut copy = BTreeMap::new();
        for event in stream {
            let (versionstamp, changes) = commit_of(Some(event));
            assert!(last < Some(versionstamp));
            last = Some(versionstamp);
            if changes[0].0 == Key::from("end") {
                break;
            }
            for (key, kind) in changes {
                match kind {
                    ChangeKind::Set => copy.insert(key, versionstamp),
                    _ => copy.remove(&key),
                };
            }
        }
        copy
    });
    let counts = race(THREADS, |thread| {
        let mut random = StdRng::seed_from_u64(thread as u64);
        let mut count = 0;
        for number in 0..1_500_u64 {
            let mut operation = kv.atomic();
            for _ in 0..random.random_range(1..4) {
                let key = ("k", random.random_range(0..40_u64));
                if random.random_bool(0.3) {
                    operation.delete(key);
                } else {
                    operation.set(key, number);
                }
            }
            committed(operation.commit());
            count += 1;
            if number % 500 == 499 {
                let _ = kv
                    .delete_range(Range::new(("k", 5_u64), ("k", 15_u64)))
                    .unwrap();
            }
        }
        count
    });
    assert_eq!(counts, vec![1_500; THREADS]);
    kv.set("end", 1_u64).unwrap();
    let copy = unstuck(move || follower.join().expect("it does not panic"));
    let there: BTreeMap<_, _> = kv
        .list("k")
        .entries()
        .unwrap()
        .map(|entry| (entry.key().clone(), entry.versionstamp().unwrap()))
        .collect();
    assert_eq!(copy, there);
}

#[test]
fn those_who_follow_come_and_go_and_leave_nothing() {
    // W08
    alone(
        "changes::those_who_follow_come_and_go_and_leave_nothing",
        || {
            let kv = Kv::builder().background_sweep(false).build();
            let wakes = Wakes::new();
            let turn = |number: u64| {
                let mut stream = kv.changes(ChangesFrom::Now).unwrap();
                let mut range = kv.watch_range("a").unwrap();
                kv.set("a", number).unwrap();
                assert!(poll(&mut stream, &wakes.waker()).is_ready());
                assert!(poll(&mut stream, &wakes.waker()).is_pending());
                assert!(poll(&mut range, &wakes.waker()).is_ready());
                assert!(poll(&mut range, &wakes.waker()).is_pending());
            };
            (0..100).for_each(turn);
            let before = live_bytes();
            (0..2_000).for_each(turn);
            let more = live_bytes() - before;
            assert!(more < 4_096, "{more} bytes more");
        },
    );
}
