//! Many threads, much data, and what must be left of it: nothing.
//!
//! The tests count what the engine allocates, with an allocator of their own, so they run one after
//! the other whatever the number of test threads, and wait for a state and never for a time. They
//! are also run under the address and leak sanitizers (`cargo xtask asan`).
//!
//! `STRESS_SCALE=50 cargo test --release --test stress` makes everything fifty times as large: a
//! million keys, ten million updates. `STRESS_SEED` chooses other random numbers. What was measured
//! is printed, for `--nocapture` to show.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "it is a test from its first line to its last"
)]

mod allocator;
mod churn;
mod closures;
mod engines;
mod expiry;
mod garbage;
mod queues;
mod readers;
mod snapshots;
mod support;
mod watches;
