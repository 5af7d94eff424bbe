//! What the tests share.

use std::env;
use std::fmt;
use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kvick::{Kv, Versionstamp};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use crate::allocator;

/// What may be allocated after a test that was not before it: the test harness notes results and
/// prints, and the thread that sweeps keeps a list.
pub(crate) const TOLERANCE_BYTES: usize = 64 << 10;

/// What an engine with [`few_stripes`] may keep beside what is in it: room in its two queues of
/// garbage, for 64 pieces of 48 bytes in each of 32 stripes.
pub(crate) const ROOM_BYTES: usize = 2 * 32 * 64 * 48;

/// How long something that has to happen may take on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// A number of things to do, as `STRESS_SCALE` wants it.
pub(crate) fn scaled(count: usize) -> usize {
    count * number_in_env("STRESS_SCALE", 1)
}

/// The random numbers of a thread.
pub(crate) fn random(thread: usize) -> SmallRng {
    SmallRng::seed_from_u64((seed() as u64) << 32 | thread as u64)
}

fn seed() -> usize {
    number_in_env("STRESS_SEED", 1)
}

fn number_in_env(name: &str, default: usize) -> usize {
    match env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is not a whole number: {text:?}")),
        Err(_) => default,
    }
}

/// A test that runs while no other does, and what was allocated when it began.
pub(crate) struct Alone {
    live_bytes: usize,
    _turn: MutexGuard<'static, ()>,
}

impl Alone {
    pub(crate) fn begin() -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        // A test that failed has left nothing behind that the next one could trip over.
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        println!("STRESS_SEED={}", seed());
        // What is allocated once for the process, or the thread, is there from now on.
        let kv = Kv::new();
        kv.set("warm", "up").unwrap();
        kv.set("warm", "up").unwrap();
        kv.sweep();
        drop(kv);
        flush_epoch();
        Self {
            live_bytes: allocator::live_bytes(),
            _turn: turn,
        }
    }

    /// How much more is allocated than when the test began.
    pub(crate) fn grown_bytes(&self) -> usize {
        allocator::live_bytes().saturating_sub(self.live_bytes)
    }

    /// Waits until everything that the test has allocated is freed.
    pub(crate) fn leaves_nothing(self) {
        eventually(
            || {
                flush_epoch();
                self.grown_bytes() <= TOLERANCE_BYTES
            },
            || format!("{} bytes are left", self.grown_bytes()),
        );
    }
}

/// Lets the epoch run what was deferred and is due.
pub(crate) fn flush_epoch() {
    for _ in 0..4 {
        crossbeam_epoch::pin().flush();
    }
}

/// Waits until `condition` holds; if it takes too long, `state` says what there is instead.
pub(crate) fn eventually<S: fmt::Display>(condition: impl Fn() -> bool, state: impl Fn() -> S) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE, "too late: {}", state());
        thread::yield_now();
    }
}

/// An engine with 32 stripes on any machine.
pub(crate) fn few_stripes() -> Kv {
    Kv::builder().writer_threads(2).build()
}

/// Sweeps until every version that is kept is the only one of its key.
pub(crate) fn settle(kv: &Kv) {
    eventually(
        || {
            kv.sweep();
            garbage(kv) == 0
        },
        || format!("{:?}", kv.stats()),
    );
}

/// How many versions are kept that are not the newest of their key.
pub(crate) fn garbage(kv: &Kv) -> usize {
    let stats = kv.stats();
    stats.version_count - stats.entry_count
}

/// The number of a commit.
pub(crate) fn number(versionstamp: Versionstamp) -> u64 {
    let (number, _) = versionstamp.as_bytes().split_at(8);
    number
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Runs `run` on so many threads at once, each given its number, and waits until the threads have
/// ended, and not only returned: what is theirs alone has then been freed too.
pub(crate) fn threads<R: Send>(count: usize, run: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let start = Barrier::new(count);
    let run = |number| {
        start.wait();
        run(number)
    };
    thread::scope(|scope| {
        let spawned: Vec<_> = (0..count)
            .map(|number| scope.spawn(move || run(number)))
            .collect();
        let joined = spawned.into_iter().map(thread::ScopedJoinHandle::join);
        joined
            .map(|result| result.unwrap_or_else(|panic| panic::resume_unwind(panic)))
            .collect()
    })
}

/// Values that are counted for as long as they live.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tracker {
    live: Arc<AtomicUsize>,
}

struct Tracked {
    bytes: Vec<u8>,
    live: Arc<AtomicUsize>,
}

impl Tracker {
    /// A value of this length, of which each byte is `byte`.
    pub(crate) fn value(&self, byte: u8, len: usize) -> Bytes {
        self.live.fetch_add(1, Ordering::Relaxed);
        Bytes::from_owner(Tracked {
            bytes: vec![byte; len],
            live: Arc::clone(&self.live),
        })
    }

    /// How many of the values live.
    pub(crate) fn live_count(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// Waits until so many live.
    pub(crate) fn waits_for(&self, count: usize) {
        eventually(
            || {
                flush_epoch();
                self.live_count() == count
            },
            || format!("{} values live, {count} wanted", self.live_count()),
        );
    }
}

impl AsRef<[u8]> for Tracked {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.live.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The value in the middle, of those measured.
pub(crate) fn median<T: Ord + Copy>(measured: &mut [T]) -> T {
    measured.sort_unstable();
    measured[measured.len() / 2]
}
