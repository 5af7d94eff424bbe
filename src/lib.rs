//! kvick
#[cfg(loom)]
compile_error!("the models live in loom-tests: run `cargo models`");

mod clock;
mod error;
mod index;
mod key;
mod limits;
mod mvcc;
mod sync;
mod value;
mod version;

pub use clock::{Clock, ManualClock, SystemClock};
pub use error::{Error, ErrorKind, Result};
pub use key::{BigInt, Cursor, Key, KeyPart, Range};
pub use limits::Limits;
pub use value::{NewValue, Value, ValueKind, ValueRef};
pub use version::{ParseVersionstampError, Versionstamp};
