//! Bytes of memory for an entry.
//!
//! Each store is filled in a process of its own, this program once more: what one store frees would
//! be there for the next. Counted are the bytes that are allocated, and those that the system has
//! given to the process, which include what allocators and their size classes waste.

use crate::cell::{Cell, Unit};
use crate::heap;
use crate::peers::{self, Kvick, Visit};
use crate::session::Session;
use crate::store::Store;
use crate::subject::{Subject, value};
use crate::workload::SMALL;
use std::process::{Command, Stdio};
use std::{env, fs, io};

/// The option that makes a process one that only fills a store.
pub(crate) const OPTION: &str = "memory-of";

pub(crate) const ALLOCATED: &str = "memory_allocated";
pub(crate) const RESIDENT: &str = "memory_rss";

/// With fewer entries, what the process itself needs would count.
const KEYS_MIN: u32 = 100_000;

/// What a filled store takes, in bytes for an entry.
#[derive(Clone, Copy, Debug)]
struct Taken {
    /// Not known where a store allocates by other means than the program's allocator.
    allocated: Option<f64>,
    resident: Option<f64>,
}

/// Measures these peers, and kvick beside each.
pub(crate) fn measure(session: &mut Session, peers: &[&'static str], keys: u32) -> io::Result<()> {
    for peer in peers {
        if keys < KEYS_MIN {
            session.done();
            continue;
        }
        session.doing(&format!("memory of {keys} in {peer}"));
        let (mut allocated, mut resident) = (Vec::new(), Vec::new());
        for _ in 0..session.plan.memory_rounds {
            let (kvick, theirs) = (in_child(Kvick::NAME, keys)?, in_child(peer, keys)?);
            allocated.extend(kvick.allocated.zip(theirs.allocated));
            resident.extend(kvick.resident.zip(theirs.resident));
        }
        for (name, rounds) in [(ALLOCATED, allocated), (RESIDENT, resident)] {
            if !rounds.is_empty() {
                session.report(Cell {
                    unit: Unit::Bytes,
                    ..Cell::new(name, keys, peer, &rounds)
                })?;
            }
        }
        session.done();
    }
    Ok(())
}

fn in_child(name: &str, keys: u32) -> io::Result<Taken> {
    let output = Command::new(env::current_exe()?)
        .args([&format!("--{OPTION}"), name, &keys.to_string()])
        .stderr(Stdio::inherit())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let figures: Vec<Option<f64>> = text.split_whitespace().map(|it| it.parse().ok()).collect();
    match figures[..] {
        [allocated, resident] if output.status.success() => Ok(Taken {
            allocated,
            resident,
        }),
        _ => Err(io::Error::other(format!(
            "the process that fills {name} has failed: {}",
            output.status
        ))),
    }
}

/// The work of that process: what it prints.
pub(crate) fn report(name: &str, keys: u32) -> String {
    let Taken {
        allocated,
        resident,
    } = peers::with(name, Fill(keys));
    let text = |figure: Option<f64>| figure.map_or("-".to_owned(), |it| it.to_string());
    format!("{} {}", text(allocated), text(resident))
}

struct Fill(u32);

impl Visit<Taken> for Fill {
    fn visit<S: Store>(self) -> Taken {
        let keys = self.0;
        heap::count();
        let before = (heap::live(), resident());
        let subject = Subject::<S>::filled(keys, value(SMALL));
        let after = (heap::live(), resident());
        drop(subject);
        let each = |bytes: usize| as_f64(bytes) / f64::from(keys);
        let grown = after.1.zip(before.1);
        Taken {
            allocated: S::IS_COUNTED.then(|| each(after.0 - before.0)),
            resident: grown.map(|(after, before)| each(after.saturating_sub(before))),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "of bytes, the last do not matter"
)]
fn as_f64(bytes: usize) -> f64 {
    bytes as f64
}

/// What the system has given to this process, where it says so.
fn resident() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1_024)
}
