//! What the machine can do at best, measured beside everything else.
//!
//! A machine is slower one minute and faster the next, so a figure means little by itself. Each
//! group begins with two yardsticks: an epoch pin, without which nothing can be read, and one
//! atomic addition, without which nothing can be stamped. The ratio to them is what compares with
//! another run, or another machine.

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Short runs, so that all of them together take minutes. The command line overrides this.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(400))
        .sample_size(25)
        .nresamples(2_000)
        .configure_from_args()
}

/// A group, named for the operation, with the yardsticks already measured. The size only says
/// beside which measurements they stand.
pub(crate) fn group<'c>(
    c: &'c mut Criterion,
    operation: &str,
    size: u32,
) -> BenchmarkGroup<'c, WallTime> {
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
