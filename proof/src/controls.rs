//! Positive controls: bugs planted in the engine, each of which has to be found.
//!
//! A checker that has never caught anything proves nothing. Each bug is run in a process of its
//! own, because what it does may end in a crash, which counts as found, or in no end at all, which
//! does not.

use kvick::Planted;
use std::env;
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a bug may go unnoticed. On a quiet machine the rarest takes some five seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many transactions of an engine without a bug are looked at as well.
const SOUND_TRANSACTIONS: &str = "240000";

/// How much of a report is shown.
const SUMMARY_CHARS: usize = 100;

/// What has to find a bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Simulation,
    Faults,
    Histories,
}

/// What simulations say.
const WRONG: &[&str] = &["not strictly serializable"];
const STALE: &[&str] = &["StaleCommit"];
const FREED: &[&str] = &["what was freed"];

/// Each bug, what has to find it, and what the report has to say: of histories, the last words are
/// those of the white box, and the others those of the black box where it is sure to see the bug.
const CONTROLS: [(Planted, By, &[&str]); 52] = [
    (Planted::UnlockedCheck, By::Simulation, WRONG),
    (Planted::StaleRecord, By::Simulation, &[]),
    (Planted::UntrackedReads, By::Simulation, STALE),
    (Planted::TornBatch, By::Simulation, &[]),
    (Planted::EarlyReady, By::Simulation, &[]),
    (Planted::ValidateFirst, By::Simulation, STALE),
    (Planted::StampReuse, By::Simulation, &["Versionstamp"]),
    (Planted::LatePin, By::Simulation, &["pinned behind a lock"]),
    (Planted::DescendingLocks, By::Simulation, &["deadlock"]),
    (Planted::EarlyGrace, By::Simulation, FREED),
    (Planted::LateRegistration, By::Simulation, &[]),
    (Planted::HeldTooLittle, By::Simulation, &[]),
    (Planted::OwnStamp, By::Simulation, WRONG),
    (Planted::SkipReady, By::Simulation, WRONG),
    (Planted::NoKick, By::Simulation, WRONG),
    (Planted::Uncopied, By::Simulation, &[]),
    (Planted::ClearAlways, By::Simulation, &[]),
    (Planted::TornSplit, By::Simulation, &[]),
    (Planted::DeadLeaf, By::Simulation, &[]),
    (Planted::PassedLeaf, By::Simulation, &[]),
    (Planted::KeptShortcut, By::Simulation, FREED),
    (Planted::Undead, By::Simulation, &[]),
    (Planted::UndeadCheck, By::Simulation, &[]),
    (Planted::EarlyReap, By::Simulation, &[]),
    (Planted::KeptTimer, By::Simulation, &[]),
    (Planted::TornFeed, By::Simulation, &[]),
    (Planted::ForeseenStamp, By::Simulation, &[]),
    (Planted::EarlyHandover, By::Simulation, &["NoMessage"]),
    (Planted::LateHandover, By::Simulation, &["Overtaken"]),
    (Planted::ShortLease, By::Simulation, &["SharedMessage"]),
    (Planted::LostRetry, By::Simulation, &["LostMessage"]),
    (Planted::EarlyRetry, By::Simulation, &["EarlyMessage"]),
    (Planted::LostLetter, By::Simulation, &["LostMessage"]),
    (Planted::UnreadClock, By::Simulation, &["MissedMessage"]),
    (Planted::CrowdedQueue, By::Simulation, &["Crowd"]),
    (Planted::OutdatedLoad, By::Simulation, WRONG),
    (Planted::Unnumbered, By::Simulation, &["slots of"]),
    (Planted::PinnedVictim, By::Simulation, &["pinned: "]),
    (Planted::EarlyVictim, By::Simulation, &["Eviction"]),
    (Planted::UnmintedEviction, By::Simulation, WRONG),
    (Planted::UnwokenEviction, By::Simulation, WRONG),
    (Planted::UntoldEviction, By::Simulation, WRONG),
    (Planted::EarlyAbsence, By::Simulation, WRONG),
    (Planted::KeptRecord, By::Faults, &["Refuse"]),
    (Planted::NoHelp, By::Faults, &["Delay"]),
    (
        Planted::UntrackedReads,
        By::Histories,
        &["G2-item", "stale commit"],
    ),
    (Planted::UnlockedCheck, By::Histories, &["stale commit"]),
    (Planted::ValidateFirst, By::Histories, &["stale commit"]),
    (Planted::StampReuse, By::Histories, &["reused versionstamp"]),
    (
        Planted::EarlyHandover,
        By::Histories,
        &["message not as enqueued"],
    ),
    (Planted::ShortLease, By::Histories, &["shared message"]),
    (Planted::LostRetry, By::Histories, &["lost message"]),
];

/// What snapshot isolation still forbids: without the tracking of reads there is write skew, and
/// nothing else.
const FORBIDDEN_BY_SI: [&str; 6] = [
    "anomaly: G0",
    "anomaly: G1",
    "anomaly: G-single",
    "anomaly: lost append",
    "anomaly: incompatible order",
    "anomaly: duplicate",
];

/// Plants every bug; how many there were.
pub(crate) fn run() -> Result<usize, String> {
    accuse_nobody()?;
    for (bug, by, words) in CONTROLS {
        let (took, said) = find_as(bug, by, words)?;
        let strange = FORBIDDEN_BY_SI
            .iter()
            .find(|anomaly| said.contains(**anomaly));
        if let (Some(strange), Planted::UntrackedReads) = (strange, bug) {
            return Err(format!("{bug:?} is snapshot isolation, but: {strange}"));
        }
        let said: String = summary(&said).chars().take(SUMMARY_CHARS).collect();
        println!(
            "{bug:?} found by {by:?} after {:.1} s: {said}",
            took.as_secs_f64()
        );
    }
    Ok(CONTROLS.len())
}

/// That histories of the same build without a bug are found to be good ones.
fn accuse_nobody() -> Result<(), String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(program)
        .args(["histories", "--transactions", SOUND_TRANSACTIONS])
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stdout);
    Err(format!("without a bug, and yet: {said}"))
}

/// Runs a process with a bug until it says what it has to; after how long, and all that it said. What
/// a bug leads to first is another thing from seed to seed.
fn find_as(bug: Planted, by: By, words: &[&str]) -> Result<(Duration, String), String> {
    let begin = Instant::now();
    let mut from = 0;
    loop {
        let said = find(bug, by, from, begin)?;
        let proof = match by {
            By::Simulation | By::Faults => "to repeat it",
            By::Histories => "anomaly: ",
        };
        if words.iter().all(|words| said.contains(words)) && said.contains(proof) {
            return Ok((begin.elapsed(), said));
        }
        from = match seed_of(&said) {
            Some(seed) if by == By::Simulation => seed + 1,
            _ => {
                return Err(format!(
                    "{bug:?} was to be found as {words:?}, and was: {said}"
                ));
            }
        };
    }
}

/// The seed of a simulation that did not end well.
fn seed_of(said: &str) -> Option<u64> {
    let (_, seed) = said.rsplit_once("simulate --seeds ")?;
    seed.split_once("..")?.0.parse().ok()
}

/// Runs a process with a bug until it ends; what it said.
fn find(bug: Planted, by: By, from: u64, begin: Instant) -> Result<String, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    let seeds = format!("{from}..1000000000");
    match by {
        By::Simulation => command.args(["simulate", "--seeds", &seeds]),
        By::Faults => command.arg("faults"),
        By::Histories => command.args(["histories", "--seconds", "60"]),
    };
    command.args(["--plant", &format!("{bug:?}")]);
    command
        .env("RUST_BACKTRACE", "0")
        .env_remove("KVICK_SEEDS")
        .env_remove("KVICK_STEPS");
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let out = thread::spawn(move || read(out));
    let err = thread::spawn(move || read(err));
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break status,
            None if begin.elapsed() > PATIENCE => {
                // It may have ended by itself just now.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!(
                    "{bug:?} was not found by {by:?} within {PATIENCE:?}, from seed {from} on"
                ));
            }
            None => thread::park_timeout(Duration::from_millis(5)),
        }
    };
    let said = [out, err]
        .map(|reader| reader.join().unwrap_or_default())
        .concat();
    if status.success() {
        return Err(format!("{bug:?} was not found by {by:?}: {said}"));
    }
    Ok(said)
}

/// The line that says most.
fn summary(said: &str) -> &str {
    let find = |mark: &str| said.lines().find(|line| line.contains(mark));
    let found = find("anomaly: ").or_else(|| find("seed "));
    found.or_else(|| said.lines().last()).unwrap_or("(a crash)")
}

fn read(from: Option<impl Read>) -> String {
    let mut text = Vec::new();
    if let Some(mut from) = from {
        // What could be read is what was said.
        let _ = from.read_to_end(&mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}
