//! Model checks of the concurrent core. An empty crate in every ordinary build.
//!
//! Compiles the very source files of floors 0 and 1, and of the ordered index with a stand-in for the
//! skiplist, by path, against loom: `cargo models`.
#![cfg(loom)]
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "the models use a part of what the engine uses"
)]

#[path = "../../src/backlog.rs"]
mod backlog;
#[path = "../../src/flight.rs"]
mod flight;
#[path = "../../src/index.rs"]
mod index;
mod memory;
#[cfg(test)]
mod models;
#[path = "../../src/moment.rs"]
mod moment;
#[path = "../../src/mvcc/mod.rs"]
mod mvcc;
#[path = "../../src/policy.rs"]
mod policy;
#[path = "../../src/sync.rs"]
mod sync;
#[path = "../../src/version.rs"]
mod version;
