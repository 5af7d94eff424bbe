//! kvick
#[cfg(loom)]
compile_error!("the models live in loom-tests: run `cargo models`");

mod clock;
mod index;
mod mvcc;
mod sync;
mod version;

pub use clock::{Clock, ManualClock, SystemClock};
pub use version::{ParseVersionstampError, Versionstamp};
