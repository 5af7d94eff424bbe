//! What the fuzz targets do: each is a function from bytes to nothing, or to a panic.
//!
//! The bytes are read as a row of decisions ([`input`]), so that any bytes are a script and a small
//! change of the bytes is a small change of the script. Everything runs on one thread and without
//! background sweeping: what happens depends on nothing but the bytes and the seed of the hashes.
//!
//! A target stands here and not in `fuzz_targets/`, so that it can also be run without libFuzzer,
//! on a stable compiler: `tests/replay.rs` runs each over its corpus.

mod arithmetic;
mod atomic_writes;
mod copies;
mod input;
mod key_codec;
pub mod replay;
mod requests;
mod selectors;
mod snapshots;
mod typed_values;

#[path = "../../tests/it/support/attempt.rs"]
mod attempt;
#[path = "../../tests/it/support/decision.rs"]
mod decision;
#[path = "../../tests/it/support/js_value.rs"]
mod js_value;
#[expect(dead_code, reason = "the tests make entries by hand")]
#[path = "../../tests/it/copy/layout.rs"]
mod layout;
#[path = "../../tests/it/support/listing.rs"]
mod listing;
#[expect(dead_code, reason = "the histories use what is about time")]
#[path = "../../tests/it/support/model.rs"]
mod model;
#[path = "../../tests/it/support/selector.rs"]
mod selector;

pub use arithmetic::arithmetic;
pub use atomic_writes::atomic_writes;
pub use copies::copies;
pub use key_codec::{key_codec, tuple_order};
pub use requests::{framing, requests};
pub use selectors::selectors;
pub use snapshots::snapshots;
pub use typed_values::typed_values;

use kvick::{Entry, Kv, Range};
use model::{Model, assert_entries};
use selector::Selector;

/// A target: its name, which is that of its corpus, and what it runs.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub static TARGETS: [Target; 9] = [
    ("key_codec", key_codec),
    ("selectors", selectors),
    ("atomic_writes", atomic_writes),
    ("arithmetic", arithmetic),
    ("snapshots", snapshots),
    ("typed_values", typed_values),
    ("copies", copies),
    ("requests", requests),
    ("framing", framing),
];

/// The program of a target: under libFuzzer what it calls, and otherwise one that runs the inputs
/// whose files it is given.
#[macro_export]
macro_rules! target {
    ($name:ident) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|input: &[u8]| $crate::$name(input));

        #[cfg(not(fuzzing))]
        fn main() -> std::process::ExitCode {
            $crate::replay::main($crate::$name)
        }
    };
}

/// Every entry there is.
fn everything(kv: &Kv) -> Vec<Entry> {
    let all = kv.list(Range::all()).entries();
    all.expect("everything can be listed").collect()
}

/// That a database holds what a model does, and counts it.
#[track_caller]
fn assert_holds(kv: &Kv, model: &Model) {
    let expected = model.selected(&Selector::All, false);
    assert_entries(&everything(kv), &expected);
    let stats = kv.stats();
    assert_eq!(stats.entry_count, expected.len());
    assert!(stats.version_count >= expected.len());
}

/// Sweeps until nothing is kept that nobody can see. More than once only where other threads of
/// the process use the epoch too, as those of a test do.
#[track_caller]
fn settle(kv: &Kv) {
    const SWEEPS_MAX: usize = 100_000;
    for _ in 0..SWEEPS_MAX {
        kv.sweep();
        let stats = kv.stats();
        // What is freed through the epoch counts until then.
        let is_empty = stats.entry_count == 0;
        if stats.version_count == stats.entry_count && (!is_empty || stats.bytes == 0) {
            return;
        }
        std::thread::yield_now();
    }
    panic!("nothing is open, and yet this is kept: {:?}", kv.stats());
}

/// Deletes everything in a database with nothing open, after which it holds no byte.
#[track_caller]
fn assert_leaves_nothing(kv: &Kv) {
    let count = kv.stats().entry_count;
    let deleted = kv.delete_range(Range::all());
    assert_eq!(deleted.expect("all can be deleted").count, count);
    settle(kv);
    let stats = kv.stats();
    assert_eq!(
        (stats.entry_count, stats.version_count, stats.bytes),
        (0, 0, 0)
    );
    assert_eq!(everything(kv), []);
}
