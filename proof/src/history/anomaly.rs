//! What can be wrong with a history, and how it is told.

use super::record::{Act, History, Op, Outcome, Txn, elements};
use std::fmt::{self, Write as _};

/// A finding, named as Adya, Elle and we name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A transaction disagrees with itself: with what it read or wrote before.
    Internal,
    /// An element is twice in a list.
    Duplicate,
    /// An element nobody has appended there, or a value that is no list.
    Garbage,
    /// Two reads of a key, neither of which is the beginning of the other.
    IncompatibleOrder,
    /// What was committed is not there in the end.
    LostAppend,
    /// G1a: an element of a transaction that has not committed was seen.
    AbortedRead,
    /// G1b: a transaction's elements were seen in part.
    IntermediateRead,
    /// Transactions depend on each other in a circle.
    Cycle(Cycle, RealTime),
    /// Not a version that a commit of the round can have.
    ImpossibleStamp,
    /// Two commits have one version.
    ReusedStamp,
    /// A version is older than something that was over before its commit began.
    StampAgainstRealTime,
    /// A commit had read what was not so any more right before it.
    StaleCommit,
    /// An entry had another version than that of the commit that wrote it.
    WrongVersion,
    /// A list is not what the commits make it, in the order of their versions.
    WrongList,
    /// A snapshot is older than something that was over before it was taken.
    StaleSnapshot,
    /// A snapshot shows something that was not so at its version.
    TornSnapshot,
    /// Reads of one moment, and there was no such moment at which they could have been made.
    StaleRead,
    /// What was deleted after the round was not what had been there.
    Leftover,
    /// A message was received that no commit had enqueued so.
    WrongMessage,
    /// A message was received by two at once, or after it was done with.
    SharedMessage,
    /// A message was enqueued, and neither finished nor given up for good.
    LostMessage,
    /// A message was received before one that had been enqueued earlier.
    OvertakenMessage,
    /// Nobody was given a message that waited.
    MissedMessage,
    /// Code of the engine, or of this program, panicked.
    Panic,
    /// A round came to no end.
    Stall,
}

/// The dependencies in a circle: of writes alone, of writes and reads, with one missed write, with
/// several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cycle {
    G0,
    G1c,
    GSingle,
    G2Item,
}

impl Cycle {
    fn name(self) -> &'static str {
        match self {
            Self::G0 => "G0",
            Self::G1c => "G1c",
            Self::GSingle => "G-single",
            Self::G2Item => "G2-item",
        }
    }
}

/// Whether it takes the order of real time to close the circle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RealTime {
    Without,
    With,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Internal => "internal",
            Self::Duplicate => "duplicate elements",
            Self::Garbage => "garbage read",
            Self::IncompatibleOrder => "incompatible order",
            Self::LostAppend => "lost append",
            Self::AbortedRead => "G1a",
            Self::IntermediateRead => "G1b",
            Self::Cycle(cycle, RealTime::Without) => cycle.name(),
            Self::Cycle(cycle, RealTime::With) => return write!(f, "{}-realtime", cycle.name()),
            Self::ImpossibleStamp => "impossible versionstamp",
            Self::ReusedStamp => "reused versionstamp",
            Self::StampAgainstRealTime => "versionstamp against real time",
            Self::StaleCommit => "stale commit",
            Self::WrongVersion => "wrong version of an entry",
            Self::WrongList => "list not as committed",
            Self::StaleSnapshot => "stale snapshot",
            Self::TornSnapshot => "torn snapshot",
            Self::StaleRead => "stale read",
            Self::Leftover => "leftover",
            Self::WrongMessage => "message not as enqueued",
            Self::SharedMessage => "shared message",
            Self::LostMessage => "lost message",
            Self::OvertakenMessage => "overtaken message",
            Self::MissedMessage => "missed message",
            Self::Panic => "panic",
            Self::Stall => "stall",
        })
    }
}

/// Something that must not have happened.
#[derive(Clone, Debug)]
pub(crate) struct Anomaly {
    pub(crate) kind: Kind,
    /// What happened, for somebody to read.
    pub(crate) detail: String,
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.detail)
    }
}

/// Anomalies told in full; the others of a checker are only counted.
const TOLD_MAX: usize = 8;

/// What a checker has found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) told: Vec<Anomaly>,
    pub(super) count: u64,
}

impl Findings {
    pub(super) fn add(&mut self, kind: Kind, detail: impl FnOnce() -> String) {
        self.count += 1;
        // A flood of one kind must not hide what else there is.
        let alike = self.told.iter().filter(|told| told.kind == kind).count();
        if alike < TOLD_MAX {
            let detail = detail();
            self.told.push(Anomaly { kind, detail });
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.told.extend(other.told);
        self.count += other.count;
    }
}

/// A transaction for somebody to read: where it was made, when, and what it did.
pub(super) fn describe(history: &History, number: u32) -> String {
    describe_where(history, number, |_| true)
}

/// The same of what it did to some keys.
pub(super) fn describe_where(
    history: &History,
    number: u32,
    is_told: impl Fn(u32) -> bool,
) -> String {
    let txn = history.txn(number);
    let mut text = format!(
        "T{number} ({:?} of thread {}, {}, ticks {}..{})",
        txn.via,
        txn.log(),
        outcome(txn),
        txn.begin,
        txn.end
    );
    let mut untold = 0;
    for op in history.ops(txn) {
        if !is_told(op.key) {
            untold += 1;
            continue;
        }
        let (key, stamp) = (op.key, op.stamp);
        let did = match op.act {
            Act::Append => format!("append {:x} to key {key}", op.what),
            Act::Malformed => {
                let bytes = history.seen(txn, op);
                format!("read of key {key} {bytes:x?}, which is no list")
            }
            Act::Read => format!("read of key {key} {} of {stamp}", end_of(history, txn, op)),
            Act::ReadOwn => format!(
                "read of key {key} {} of {stamp}, own appends included",
                end_of(history, txn, op)
            ),
        };
        // Writing to a string does not fail.
        let _ = write!(text, "\n    {did}");
    }
    if untold > 0 {
        let _ = write!(text, "\n    and {untold} other operations");
    }
    text
}

/// A list that was read; of a long one, how many elements and the last.
fn end_of(history: &History, txn: &Txn, op: &Op) -> String {
    const TOLD_MAX: usize = 4;
    let list: Vec<u32> = elements(history.seen(txn, op)).collect();
    let more = list.len().saturating_sub(TOLD_MAX);
    let end = format!("{:x?}", &list[more..]);
    if more == 0 {
        end
    } else {
        format!("[{more} more, {}", &end[1..])
    }
}

fn outcome(txn: &Txn) -> String {
    match txn.outcome {
        Outcome::Committed => format!("committed as {}", txn.stamp),
        Outcome::ReadOnly => "read only".to_owned(),
        Outcome::Snapshot => format!("at {}", txn.stamp),
        Outcome::Aborted => "aborted".to_owned(),
    }
}
