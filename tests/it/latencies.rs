//! How long operations take, where that is asked for.

use crate::support::committed;
use crate::support::threads::race;
use kvick::{Clock, Delivery, Histogram, Kv, Update};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const MILLI: Duration = Duration::from_millis(1);

/// A clock that goes on by as much as it is told whenever it is looked at, and counts how often it is.
#[derive(Debug, Default)]
pub(crate) struct Ticking {
    pub(crate) step_ns: AtomicU64,
    now_ns: AtomicU64,
    pub(crate) looks: AtomicU64,
}

impl Clock for Ticking {
    fn now(&self) -> Duration {
        self.looks.fetch_add(1, Ordering::Relaxed);
        let step = self.step_ns.load(Ordering::Relaxed);
        Duration::from_nanos(self.now_ns.fetch_add(step, Ordering::Relaxed) + step)
    }
}

impl Ticking {
    pub(crate) fn by(step: Duration) -> Arc<Self> {
        let clock = Self::default();
        clock.set_step(step);
        Arc::new(clock)
    }

    fn set_step(&self, step: Duration) {
        let step = u64::try_from(step.as_nanos()).expect("less than centuries");
        self.step_ns.store(step, Ordering::Relaxed);
    }
}

fn timed(clock: &Arc<Ticking>) -> Kv {
    Kv::builder()
        .clock(Arc::clone(clock) as Arc<dyn Clock>)
        .background_sweep(false)
        .latency_histograms(true)
        .build()
}

fn counts(kv: &Kv) -> (u64, u64) {
    let latencies = kv.latencies().expect("they were asked for");
    (latencies.reads.count(), latencies.commits.count())
}

#[test]
fn no_clock_is_read_unless_it_is_asked_for() {
    let clock = Ticking::by(MILLI);
    let kv = Kv::builder()
        .clock(Arc::clone(&clock) as Arc<dyn Clock>)
        .background_sweep(false)
        .build();
    kv.set("key", 1_u64).unwrap();
    kv.get("key").unwrap();
    kv.get_many(["key", "missing"]).unwrap();
    kv.with_entry("key", |_| ()).unwrap();
    committed(kv.atomic().sum("key", 1).commit());
    kv.transact(|tx| tx.get("key").map(|_| tx.delete("key")))
        .unwrap()
        .committed()
        .unwrap();
    drop(kv.snapshot());
    assert_eq!(clock.looks.load(Ordering::Relaxed), 0);
    assert_eq!(kv.latencies(), None);
}

#[test]
fn each_read_and_each_commit_is_timed_once() {
    let kv = timed(&Ticking::by(MILLI));
    let mut before = counts(&kv);
    let mut new = || {
        let now = counts(&kv);
        let new = (now.0 - before.0, now.1 - before.1);
        before = now;
        new
    };
    kv.get("key").unwrap();
    kv.get_many(["key", "missing"]).unwrap();
    kv.with_entry("key", |_| ()).unwrap();
    assert_eq!(new(), (3, 0));
    kv.set("key", 1_u64).unwrap();
    kv.set("other", [7_u8; 5_000].as_slice()).unwrap();
    kv.delete("key").unwrap();
    kv.touch("key", MILLI).unwrap();
    kv.sum("key", 1).unwrap();
    assert_eq!(new(), (0, 5));
    committed(kv.atomic().set("key", 1_u64).set("other", 1_u64).commit());
    let (outcome, _) = kv.atomic().sum("key", 1).commit_returning().unwrap();
    assert!(outcome.is_committed());
    assert!(
        !kv.atomic()
            .check_absent("key")
            .delete("key")
            .commit()
            .unwrap()
            .is_committed()
    );
    kv.set_versionstamped("log", 1_u64).unwrap();
    kv.delete_prefix("log").unwrap();
    kv.enqueue("letter", Delivery::default()).unwrap();
    assert_eq!(new(), (0, 6));
    assert!(
        kv.update("key", |_| Update::set(1_u64))
            .unwrap()
            .is_committed()
    );
    let mut attempts = 0;
    let done = kv.transact(|tx| {
        attempts += 1;
        tx.get("key")?;
        if attempts == 1 {
            kv.delete("key")?;
        }
        tx.set("key", 3_u64);
        Ok(())
    });
    assert_eq!(done.unwrap().attempts(), 2);
    assert_eq!(new(), (0, 4), "an update, two attempts, and a deletion");
    let loaded = kv.get_or_load("new", None, || "1".parse::<u64>());
    loaded.unwrap();
    assert_eq!(new(), (0, 1));
    kv.set((), 1_u64).unwrap_err();
    assert_eq!(new(), (0, 1), "what is refused takes time as well");
}

#[test]
fn durations_are_told_to_a_sixteenth() {
    let clock = Ticking::by(MILLI);
    let kv = timed(&clock);
    let reads = || kv.latencies().expect("they were asked for").reads;
    assert_eq!(
        (reads().quantile(0.5), reads().max(), reads().mean()),
        (None, None, None)
    );
    for (step, times) in [(MILLI, 90), (10 * MILLI, 9), (100 * MILLI, 1)] {
        clock.set_step(step);
        for _ in 0..times {
            kv.get("key").unwrap();
        }
    }
    let reads = reads();
    assert_eq!(reads.count(), 100);
    assert_eq!(reads.sum(), (90 + 90 + 100) * MILLI);
    assert_eq!(reads.mean(), Some(Duration::from_micros(2_800)));
    assert_eq!(reads.max(), Some(100 * MILLI));
    assert_eq!(reads.quantile(1.0), Some(100 * MILLI));
    let is_about = |part: f64, duration: Duration| {
        let told = reads.quantile(part).expect("there are some");
        assert!(
            duration <= told && told <= duration + duration / 16,
            "{part}: {told:?}"
        );
    };
    for (part, duration) in [
        (-1.0, 1),
        (0.0, 1),
        (0.5, 1),
        (0.9, 1),
        (0.91, 10),
        (0.99, 10),
    ] {
        is_about(part, duration * MILLI);
    }
    for part in [0.991, 0.999, 1.0, 7.0, f64::INFINITY] {
        assert_eq!(reads.quantile(part), Some(100 * MILLI), "{part}");
    }
    is_about(f64::NAN, MILLI);
    let buckets: Vec<_> = reads.buckets().map(|(_, count)| count).collect();
    assert_eq!(buckets, [90, 9, 1]);
}

#[test]
fn what_takes_very_long_is_counted_and_the_longest_is_told() {
    const HOUR: Duration = Duration::from_secs(3_600);
    let clock = Ticking::by(Duration::ZERO);
    let kv = timed(&clock);
    kv.get("key").unwrap();
    clock.set_step(HOUR);
    kv.get("key").unwrap();
    let reads = kv.latencies().unwrap().reads;
    assert_eq!(
        (reads.count(), reads.sum(), reads.max()),
        (2, HOUR, Some(HOUR))
    );
    assert_eq!(reads.quantile(0.5), Some(Duration::ZERO));
    assert_eq!(reads.quantile(0.6), Some(HOUR));
    let buckets: Vec<_> = reads.buckets().collect();
    assert_eq!(buckets, [(Duration::ZERO, 1), (HOUR, 1)]);
}

#[test]
fn a_difference_has_what_came_in_between() {
    let clock = Ticking::by(100 * MILLI);
    let kv = timed(&clock);
    let reads = || kv.latencies().expect("they were asked for").reads;
    kv.get("key").unwrap();
    let before = reads();
    clock.set_step(MILLI);
    kv.get("key").unwrap();
    kv.get("key").unwrap();
    let between: Histogram = reads().since(&before);
    assert_eq!((between.count(), between.sum()), (2, 2 * MILLI));
    let most = between.max().unwrap();
    assert!(MILLI <= most && most <= MILLI + MILLI / 16, "{most:?}");
    assert_eq!(between.quantile(1.0), Some(most));
    let nothing = reads().since(&reads());
    assert_eq!((nothing.count(), nothing.max()), (0, None));
}

#[test]
fn no_duration_of_many_threads_is_lost() {
    const THREADS: usize = 100;
    const READS: u64 = 300;
    let kv = Kv::builder().latency_histograms(true).build();
    race(THREADS, |_| {
        for _ in 0..READS {
            kv.get("key").unwrap();
        }
    });
    let reads = kv.latencies().unwrap().reads;
    assert_eq!(reads.count(), THREADS as u64 * READS);
    let in_buckets: u64 = reads.buckets().map(|(_, count)| count).sum();
    assert_eq!(in_buckets, reads.count());
    assert!(reads.max() >= reads.mean());
}
