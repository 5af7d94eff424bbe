//! What the clients of a history work on, and how.

use super::evicting::Bounds;
use super::selector::Selector;
use kvick::Key;
use rand::{Rng, RngExt};

/// Of messages that may wait or be handled.
pub(crate) const LETTERS_MAX: usize = 40;

/// Keys, ranges of them, and how often each kind of step is taken.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    pub(crate) clients: usize,
    pub(crate) keys: Vec<Key>,
    pub(crate) selectors: Vec<Selector>,
    /// How many of the queues are used.
    pub(crate) queue_count: usize,
    /// How many messages may wait or be handled, so that they come round.
    pub(crate) letters_max: usize,
    /// How often each kind of step is taken, out of the sum of all.
    pub(crate) weights: [(Step, u32); 24],
    /// Where not everything has room.
    pub(crate) bounds: Option<Bounds>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Set,
    Delete,
    Atomic,
    Clear,
    Transact,
    TransactRange,
    /// A transaction that gives up in the end.
    Abort,
    Update,
    UpdateMany,
    Get,
    GetMany,
    List,
    /// A snapshot that stays open while other steps are taken.
    Snapshot,
    /// A watch, of keys or of a range, or the stream of all changes, asked while other steps are taken.
    Watch,
    /// A closure of the caller's that panics.
    Panic,
    /// A key of those that expire is kept for longer, if it is there.
    Touch,
    /// Time passes.
    Wait,
    Sweep,
    /// A message alone. Others come with atomic operations and transactions.
    Enqueue,
    /// A queue is asked for a message, which is kept while other steps are taken.
    Receive,
    /// A message that was kept is finished, or dropped.
    Settle,
    /// A key is read through, while other steps are taken.
    Load,
    /// A copy is brought back.
    Import,
    /// Somebody asks what was evicted, where anything is.
    Evictions,
}

/// Whether a key is one of those of which numbers and bigints of JavaScript are kept: the first or the
/// others.
pub(crate) fn adds_up(key: &Key) -> Option<Scalar> {
    [("n", Scalar::Number), ("i", Scalar::BigInt)]
        .into_iter()
        .find(|(prefix, _)| key.as_bytes().starts_with(Key::from(*prefix).as_bytes()))
        .map(|(_, scalar)| scalar)
}

/// What is added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    Number,
    BigInt,
}

const MIXED: [(Step, u32); 24] = [
    (Step::Set, 10),
    (Step::Delete, 6),
    (Step::Atomic, 25),
    (Step::Clear, 2),
    (Step::Transact, 12),
    (Step::TransactRange, 12),
    (Step::Abort, 2),
    (Step::Update, 6),
    (Step::UpdateMany, 4),
    (Step::Get, 12),
    (Step::GetMany, 8),
    (Step::List, 8),
    (Step::Snapshot, 6),
    (Step::Watch, 5),
    (Step::Panic, 1),
    (Step::Touch, 3),
    (Step::Wait, 5),
    (Step::Sweep, 1),
    (Step::Enqueue, 3),
    (Step::Receive, 14),
    (Step::Settle, 8),
    (Step::Load, 4),
    (Step::Import, 2),
    (Step::Evictions, 4),
];

/// Whether a key is one of those that are set to expire now and then. With them there is no
/// arithmetic: what that comes to would depend on when exactly it was.
pub(crate) fn expires(key: &Key) -> bool {
    key.as_bytes().starts_with(Key::from("t").as_bytes())
}

/// Keys that come and go, some too long to lie inline, below two prefixes.
pub(crate) fn wide(clients: usize) -> Workload {
    let long = "long".repeat(12);
    Workload {
        clients,
        keys: vec![
            ("a", 1).into(),
            ("a", 2).into(),
            ("a", 3).into(),
            ("a", "x", 1).into(),
            ("a", &*long, 1).into(),
            ("a", &*long, 2).into(),
            ("b", 1).into(),
            ("b", 2).into(),
            ("b", 3).into(),
            ("c",).into(),
            ("i", 1).into(),
            ("n", 1).into(),
            ("t", 1).into(),
            ("t", 2).into(),
            ("t", 3).into(),
        ],
        selectors: vec![
            Selector::All,
            Selector::Prefix("a".into()),
            Selector::Prefix("b".into()),
            Selector::Between(("a", 2).into(), ("b", 2).into()),
            Selector::PrefixStart("a".into(), ("a", "x", 1).into()),
            Selector::Prefix("t".into()),
        ],
        queue_count: 2,
        letters_max: LETTERS_MAX,
        weights: MIXED,
        bounds: None,
    }
}

/// Five keys that everybody wants.
pub(crate) fn hot(clients: usize) -> Workload {
    Workload {
        clients,
        keys: vec![
            ("a", 1).into(),
            ("a", 2).into(),
            ("b",).into(),
            ("n",).into(),
            ("t",).into(),
        ],
        selectors: vec![Selector::All, Selector::Prefix("a".into())],
        queue_count: 2,
        letters_max: LETTERS_MAX,
        weights: MIXED,
        bounds: None,
    }
}

/// Mostly transactions over ranges, and little that deletes.
pub(crate) fn ranged(clients: usize) -> Workload {
    let mut workload = wide(clients);
    for (step, weight) in &mut workload.weights {
        match step {
            Step::TransactRange => *weight = 60,
            Step::Snapshot | Step::List => *weight = 20,
            _ => {}
        }
    }
    workload
}

/// Keys are deleted as often as they are written, swept at once, and come again; by commits that
/// are often taken back.
pub(crate) fn churning(clients: usize) -> Workload {
    let mut workload = wide(clients);
    for (step, weight) in &mut workload.weights {
        match step {
            Step::Delete | Step::Set => *weight = 30,
            Step::TransactRange => *weight = 40,
            Step::Clear | Step::Sweep => *weight = 10,
            _ => {}
        }
    }
    workload
}

/// Many keys, so that tables grow and shrink and have full neighbourhoods.
pub(crate) fn crowded(clients: usize) -> Workload {
    let mut workload = churning(clients);
    workload
        .keys
        .extend((0..150).map(|number| ("d", number).into()));
    workload.selectors.push(Selector::Prefix("d".into()));
    workload
}

/// Mostly messages of one queue, and few at a time: so two are often committed at once, and asked for
/// at once.
pub(crate) fn mailing(clients: usize) -> Workload {
    let mut workload = hot(clients);
    workload.queue_count = 1;
    workload.letters_max = 5;
    for (step, weight) in &mut workload.weights {
        match step {
            Step::Enqueue => *weight = 60,
            Step::Receive | Step::Settle => *weight = 80,
            _ => *weight = 1,
        }
    }
    workload
}

/// The same, where not everything has room.
pub(crate) fn bounded(mut workload: Workload, random: &mut impl Rng) -> Workload {
    workload.bounds = Some(Bounds::drawn(workload.keys.len(), random));
    workload.look_for_idle();
    workload
}

impl Workload {
    /// One of the others, with some steps more frequent, and some left out.
    pub(crate) fn drawn(clients: usize, random: &mut impl Rng) -> Self {
        let workloads = [wide, hot, ranged, churning, crowded, mailing];
        let mut workload = workloads[random.random_range(0..workloads.len())](clients);
        for (step, weight) in &mut workload.weights {
            *weight *= [0, 1, 1, 3][random.random_range(0..4)];
            if *step == Step::Atomic {
                *weight += 1;
            }
        }
        if random.random_ratio(1, 3) {
            workload = bounded(workload, random);
        }
        workload
    }
}
