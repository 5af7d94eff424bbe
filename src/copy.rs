//! A consistent copy of a database, written out and brought back.
//!
//! [`export`] writes what one snapshot sees, in frames with checksums ([`mod@format`]); [`import`] reads
//! that, verifies all of it, and commits it at once.

mod crc32c;
mod export;
mod format;
mod import;

pub use self::export::Exported;
pub use self::import::{ImportExpiry, ImportOptions, Imported};
