//! What the machine can do at best, measured beside everything else.
//!
//! A machine is slower one minute and faster the next, so a figure means little by itself. Each
//! group begins with two yardsticks: an epoch pin, without which nothing can be read, and one
//! atomic addition, without which nothing can be stamped. The ratio to them is what compares with
//! another run, or another machine.

use cpu_time::ThreadTime;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BenchmarkGroup, BenchmarkId, Criterion};
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

/// A group, named for the operation, with the yardsticks already measured. The size only says
/// beside which measurements they stand.
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
    group
}
