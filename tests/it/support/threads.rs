//! Threads that start together, and waiting that ends.

use std::sync::Barrier;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything here may take before it counts as stuck. Far more than a loaded machine needs.
const DEADLINE: Duration = Duration::from_secs(50);

/// Runs `work` on several threads that begin together; what each came to, in order.
pub(crate) fn race<R: Send>(threads: usize, work: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let (barrier, work) = (Barrier::new(threads), &work);
    let run = |index| {
        barrier.wait();
        work(index)
    };
    let run = &run;
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|index| scope.spawn(move || run(index)))
            .collect();
        let done = running.into_iter().map(|thread| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        done.collect()
    })
}

/// Runs what must not get stuck; its result.
#[track_caller]
pub(crate) fn unstuck<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, result) = mpsc::channel();
    let worker = thread::spawn(move || {
        // Nobody listens any more once the deadline has passed.
        let _ = done.send(work());
    });
    match result.recv_timeout(DEADLINE) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => panic!("stuck: not done within {DEADLINE:?}"),
        Err(RecvTimeoutError::Disconnected) => match worker.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => unreachable!("a worker that does not panic sends its result"),
        },
    }
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn wait_until(mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < DEADLINE, "not so within {DEADLINE:?}");
        thread::yield_now();
    }
}
