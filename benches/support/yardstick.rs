//! What the machine can do at best, measured beside everything else.
//!
//! A machine is slower one minute and faster the next, so a figure means little by itself. Each
//! group begins with three yardsticks: an epoch pin, without which nothing can be read, one atomic
//! addition, without which nothing can be stamped, and one load from memory as large as the store,
//! whose address the load before it has brought: a lookup is a few of those. The ratio to them is
//! what compares with another run, or another machine.

use cpu_time::ThreadTime;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BenchmarkGroup, BenchmarkId, Criterion};
use std::cell::RefCell;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The time that the measuring thread was running. What it was kept waiting, because others ran on
/// its processor, is no property of the operation; nothing here sleeps or waits by itself.
pub(crate) struct Running;

impl Measurement for Running {
    type Intermediate = ThreadTime;
    type Value = Duration;

    fn start(&self) -> ThreadTime {
        ThreadTime::now()
    }

    fn end(&self, begin: ThreadTime) -> Duration {
        begin.elapsed()
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        WallTime.add(one, other)
    }

    fn zero(&self) -> Duration {
        WallTime.zero()
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        static WALL_TIME: WallTime = WallTime;
        WALL_TIME.formatter()
    }
}

/// Short runs, so that all of them together take minutes. The command line overrides this.
pub(crate) fn criterion() -> Criterion<Running> {
    Criterion::default()
        .with_measurement(Running)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(400))
        .sample_size(25)
        .nresamples(2_000)
        .configure_from_args()
}

/// What an entry takes of memory that a lookup can touch: its record, and a version of 100 bytes.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Lines([u32; 48]);

/// A walk through memory as large as a store, from each place to another that cannot be foreseen.
struct Walk {
    size: u32,
    next: Vec<Lines>,
}

impl Walk {
    fn new(size: u32) -> Self {
        // Each place, in random order, leads to the next of that order, and the last to the first.
        let order: Vec<u32> = shuffled(size).collect();
        let mut next = vec![Lines([0; 48]); size as usize];
        for (place, following) in order.iter().zip(order.iter().cycle().skip(1)) {
            next[*place as usize].0[0] = *following;
        }
        Self { size, next }
    }

    fn step(&self, place: u32) -> u32 {
        self.next[place as usize].0[0]
    }
}

/// The numbers below `size`, each once, in an order that is random and always the same.
pub(crate) fn shuffled(size: u32) -> impl Iterator<Item = u32> {
    let bits = size.next_power_of_two().trailing_zeros();
    let mask = (1 << bits) - 1;
    (0..=mask)
        .map(move |mut number: u32| {
            // Each step permutes the numbers of so many bits.
            for factor in [0x9e37_79b1, 0x85eb_ca77, 0xc2b2_ae3d] {
                number = number.wrapping_mul(factor) & mask;
                number ^= number >> (bits / 2);
            }
            number
        })
        .filter(move |number| *number < size)
}

thread_local! {
    /// The walk of the last group: the next one is of the same size, most of the time.
    static WALK: RefCell<Walk> = RefCell::new(Walk::new(1));
}

/// A group, named for the operation, with the yardsticks already measured. The size is the number
/// of entries that the measurements are made with.
pub(crate) fn group<'c>(
    c: &'c mut Criterion<Running>,
    operation: &str,
    size: u32,
) -> BenchmarkGroup<'c, Running> {
    let mut group = c.benchmark_group(operation);
    group.bench_function(BenchmarkId::new("pin", size), |b| {
        b.iter(|| {
            black_box(&crossbeam_epoch::pin());
        });
    });
    group.bench_function(BenchmarkId::new("fetch_add", size), |b| {
        let counter = AtomicU64::new(0);
        b.iter(|| black_box(&counter).fetch_add(1, Ordering::AcqRel));
    });
    group.bench_function(BenchmarkId::new("load", size), |b| {
        WALK.with_borrow_mut(|walk| {
            if walk.size != size {
                *walk = Walk::new(size);
            }
            let mut place = 0;
            b.iter(|| place = walk.step(place));
            black_box(place);
        });
    });
    group
}
