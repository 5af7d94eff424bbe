//! What else the machine does meanwhile: figures of a round are good as far as it does nothing else.

use std::fs;
use std::process;
use std::thread;
use std::time::{Duration, Instant};

/// The part of all processors that others may have had in a round.
const OTHERS_MAX: f64 = 0.05;

/// How often is looked whether others have ended.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Counts of processor time, in the ticks of the kernel.
#[derive(Clone, Copy, Debug)]
struct Times {
    all: u64,
    idle: u64,
    /// Of the processes of this group: this program, and what it has started.
    ours: u64,
}

/// A time to count from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Since(Times);

impl Since {
    pub(crate) fn now() -> Self {
        Self(times())
    }

    /// The part of all processors that others have had since.
    #[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^53")]
    pub(crate) fn others(self) -> f64 {
        let Self(before) = self;
        let now = times();
        let all = now.all.saturating_sub(before.all).max(1);
        let idle = now.idle.saturating_sub(before.idle);
        let ours = now.ours.saturating_sub(before.ours);
        all.saturating_sub(idle + ours) as f64 / all as f64
    }
}

/// Whether what was measured while others had so much is good.
pub(crate) fn is_quiet(others: f64) -> bool {
    others <= OTHERS_MAX
}

/// Waits until nobody else does much, but not for longer than that.
pub(crate) fn wait(until: Instant) {
    while Instant::now() < until {
        let since = Since::now();
        #[expect(clippy::disallowed_methods, reason = "it is time itself that passes")]
        thread::sleep(LOOK_EVERY);
        if is_quiet(since.others()) {
            return;
        }
    }
}

fn times() -> Times {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or_default();
    let counts = line.split_whitespace().skip(1);
    let counts: Vec<u64> = counts.filter_map(|count| count.parse().ok()).collect();
    // user, nice, system, idle, waiting, and interrupts, which are not those of a process.
    let [user, nice, system, idle, waiting] = [0, 1, 2, 3, 4].map(|at| {
        let count = counts.get(at).copied();
        count.unwrap_or_default()
    });
    Times {
        all: user + nice + system + idle + waiting,
        idle: idle + waiting,
        ours: ours(),
    }
}

fn ours() -> u64 {
    let Some((group, _)) = of_process(process::id()) else {
        return 0;
    };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter_map(of_process)
        .filter(|(its, _)| *its == group)
        .map(|(_, ticks)| ticks)
        .sum()
}

/// The group of a process, and the time that it has had.
fn of_process(id: u32) -> Option<(u64, u64)> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // After the name, which may have anything in it.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse().ok();
    let (group, user, system): (u64, u64, u64) = (number(2)?, number(11)?, number(12)?);
    Some((group, user + system))
}
