//! Model checks of the concurrent core. An empty crate in every ordinary build.
#![cfg(loom)]
