//! Concurrent histories, recorded and replayed: is what many threads were told strictly
//! serializable?
//!
//! The checker is `support::checker`; `controls` shows that it objects to histories that are not.

mod controls;

use crate::support::checker::{Did, Event, Recorder, Seen, assert_strictly_serializable};
use crate::support::everything;
use crate::support::model::{Check, Expect, Mutation, Op, add_check, add_mutation, assert_entries};
use crate::support::seeds::for_seeds;
use crate::support::selector::Selector;
use crate::support::threads::race;
use kvick::{Change, Entry, ErrorKind, Key, Kv, Outcome, Snapshot, Transacted, Transaction, Value};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// What the threads of a history work on, and how.
struct Workload {
    threads: usize,
    keys: Vec<Key>,
    selectors: Vec<Selector>,
    /// How often each kind of step is taken, out of the sum of all.
    weights: [(Step, u32); 12],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Set,
    Delete,
    Atomic,
    Clear,
    Transact,
    TransactRange,
    Update,
    Get,
    GetMany,
    List,
    Snapshot,
    Sweep,
}

const MIXED: [(Step, u32); 12] = [
    (Step::Set, 10),
    (Step::Delete, 6),
    (Step::Atomic, 25),
    (Step::Clear, 2),
    (Step::Transact, 12),
    (Step::TransactRange, 12),
    (Step::Update, 6),
    (Step::Get, 12),
    (Step::GetMany, 8),
    (Step::List, 8),
    (Step::Snapshot, 6),
    (Step::Sweep, 1),
];

/// Keys that come and go, some too long to lie inline, below two prefixes.
fn wide(threads: usize) -> Workload {
    let long = "long".repeat(12);
    Workload {
        threads,
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
        ],
        selectors: vec![
            Selector::All,
            Selector::Prefix("a".into()),
            Selector::Prefix("b".into()),
            Selector::Between(("a", 2).into(), ("b", 2).into()),
            Selector::PrefixStart("a".into(), ("a", "x", 1).into()),
        ],
        weights: MIXED,
    }
}

/// Three keys that everybody wants.
fn hot(threads: usize) -> Workload {
    Workload {
        threads,
        keys: vec![("a", 1).into(), ("a", 2).into(), ("b",).into()],
        selectors: vec![Selector::All, Selector::Prefix("a".into())],
        weights: MIXED,
    }
}

/// Mostly transactions over ranges, and little that deletes.
fn ranged(threads: usize) -> Workload {
    let mut workload = wide(threads);
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
fn churning(threads: usize) -> Workload {
    let mut workload = wide(threads);
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

/// One thread of a history.
struct Client<'a> {
    kv: &'a Kv,
    recorder: &'a Recorder,
    workload: &'a Workload,
    random: StdRng,
    /// Makes the values of this thread unlike those of every other.
    next_value: u64,
    events: Vec<Event>,
}

impl Client<'_> {
    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.random.random_range(0..from.len())].clone()
    }

    fn key(&mut self) -> Key {
        self.pick(&self.workload.keys)
    }

    fn selector(&mut self) -> Selector {
        self.pick(&self.workload.selectors)
    }

    /// Mostly numbers, so that arithmetic mostly fits.
    fn value(&mut self) -> Value {
        self.next_value += 1;
        match self.random.random_range(0..12) {
            0 => Value::from(format!("value {}", self.next_value)),
            1 => Value::from(format!("{:2000}", self.next_value)),
            _ => self.next_value.into(),
        }
    }

    fn mutation(&mut self) -> Mutation {
        let op = match self.random.random_range(0..8) {
            0..3 => Op::Set(self.value()),
            3..5 => Op::Delete,
            5 => Op::Min(self.random.random_range(0..1_000_000)),
            6 => Op::Max(self.random.random_range(0..1_000_000)),
            _ => Op::Sum(self.random.random_range(1..100)),
        };
        let key = self.key();
        Mutation { key, op }
    }

    /// A check of what is there now, or of something else.
    fn check(&mut self) -> Check {
        let key = self.key();
        let expect = match self.random.random_range(0..10) {
            0 => Expect::Exists,
            1 => Expect::Absent,
            _ => expectation(&self.kv.get(&key).expect("a key can be read")),
        };
        Check { key, expect }
    }

    fn step(&mut self) {
        let total = self.workload.weights.iter().map(|(_, weight)| weight).sum();
        let mut ticket = self.random.random_range(0..total);
        let chosen = self.workload.weights.iter().find(|(_, weight)| {
            let is_it = ticket < *weight;
            ticket = ticket.saturating_sub(*weight);
            is_it
        });
        match chosen.expect("a ticket is below the sum of the weights").0 {
            Step::Set => self.set(),
            Step::Delete => self.delete(),
            Step::Atomic => self.atomic(),
            Step::Clear => self.clear(),
            Step::Transact => self.transact(false),
            Step::TransactRange => self.transact(true),
            Step::Update => self.update(),
            Step::Get => self.get(),
            Step::GetMany => self.get_many(),
            Step::List => self.list(),
            Step::Snapshot => self.snapshot(),
            Step::Sweep => self.kv.sweep(),
        }
    }

    fn set(&mut self) {
        let (key, value) = (self.key(), self.value());
        let (versionstamp, span) = self.recorder.time(|| self.kv.set(&key, &value));
        let did = Did::Commit {
            versionstamp: versionstamp.expect("a value can be set"),
            checks: Vec::new(),
            reads: Vec::new(),
            mutations: vec![Mutation {
                key,
                op: Op::Set(value),
            }],
        };
        self.events.push(Event { span, did });
    }

    fn delete(&mut self) {
        let key = self.key();
        let (versionstamp, span) = self.recorder.time(|| self.kv.delete(&key));
        let did = Did::Commit {
            versionstamp: versionstamp.expect("a key can be deleted"),
            checks: Vec::new(),
            reads: Vec::new(),
            mutations: vec![Mutation {
                key,
                op: Op::Delete,
            }],
        };
        self.events.push(Event { span, did });
    }

    fn atomic(&mut self) {
        let check_count = self.random.random_range(0..4);
        let checks: Vec<_> = (0..check_count).map(|_| self.check()).collect();
        let mutation_count = self.random.random_range(0..5);
        let mutations: Vec<_> = (0..mutation_count).map(|_| self.mutation()).collect();
        let mut operation = self.kv.atomic();
        for check in &checks {
            add_check(&mut operation, check);
        }
        for mutation in &mutations {
            add_mutation(&mut operation, mutation);
        }
        let (outcome, span) = self.recorder.time(|| operation.commit());
        let did = match outcome {
            Ok(Outcome::Committed { versionstamp }) => Did::Commit {
                versionstamp,
                checks,
                reads: Vec::new(),
                mutations,
            },
            Ok(Outcome::Conflict { failed_checks }) => Did::Conflict {
                checks,
                failed: failed_checks,
            },
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TypeMismatch);
                Did::Refusal { checks, mutations }
            }
        };
        self.events.push(Event { span, did });
    }

    fn clear(&mut self) {
        let selector = self.selector();
        let (deleted, span) = self
            .recorder
            .time(|| self.kv.delete_range(selector.range()));
        let deleted = deleted.expect("a range can be deleted");
        let did = Did::Clear {
            versionstamp: deleted.versionstamp,
            selector,
            count: deleted.count,
        };
        self.events.push(Event { span, did });
    }

    /// A transaction that reads some keys, perhaps a range as well, and then writes.
    fn transact(&mut self, with_range: bool) {
        let key_count = self.random.random_range(usize::from(!with_range)..3);
        let keys: Vec<_> = (0..key_count).map(|_| self.key()).collect();
        let range = with_range.then(|| Ranged::random(self));
        let mutation_count = self.random.random_range(0..4);
        let mutations: Vec<_> = (0..mutation_count).map(|_| self.mutation()).collect();
        let (done, span) = self.recorder.time(|| {
            self.kv.transact(|tx| {
                let mut seen = Vec::new();
                for key in &keys {
                    seen.push(Seen::one(&tx.get(key)?));
                }
                if let Some(range) = &range {
                    seen.push(range.read(tx)?);
                }
                for mutation in &mutations {
                    write(tx, mutation);
                }
                Ok(seen)
            })
        });
        let did = match done {
            Ok(Transacted::Committed {
                value: seen,
                versionstamp,
                ..
            }) => match versionstamp {
                Some(versionstamp) => Did::Commit {
                    versionstamp,
                    checks: Vec::new(),
                    reads: seen,
                    mutations: as_written(mutations),
                },
                None => Did::Read { at: None, seen },
            },
            Ok(other) => panic!("nothing aborts or gives up: {other:?}"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TypeMismatch);
                Did::Refusal {
                    checks: Vec::new(),
                    mutations: as_written(mutations),
                }
            }
        };
        self.events.push(Event { span, did });
    }

    fn update(&mut self) {
        let (key, value) = (self.key(), self.value());
        let mut shown = None;
        let (done, span) = self.recorder.time(|| {
            self.kv.update(&key, |entry| {
                shown = Some(Seen::one(entry));
                match entry.as_u64() {
                    Some(number) if number % 3 == 0 => Change::keep(),
                    Some(number) if number % 3 == 1 => Change::delete(),
                    _ => Change::set(&value),
                }
            })
        });
        let shown = shown.expect("it is called at least once");
        let op = match &shown {
            Seen::One(_, Some(stored)) if stored.value.as_u64().is_some_and(|n| n % 3 == 1) => {
                Op::Delete
            }
            _ => Op::Set(value),
        };
        let did = match done.expect("nothing is refused") {
            Transacted::Committed {
                versionstamp: Some(versionstamp),
                ..
            } => Did::Commit {
                versionstamp,
                checks: Vec::new(),
                reads: vec![shown],
                mutations: vec![Mutation { key, op }],
            },
            Transacted::Committed { .. } => Did::Read {
                at: None,
                seen: vec![shown],
            },
            other => panic!("nothing aborts or gives up: {other:?}"),
        };
        self.events.push(Event { span, did });
    }

    fn read(&mut self, read: impl FnOnce(&Kv) -> Vec<Seen>) {
        let (seen, span) = self.recorder.time(|| read(self.kv));
        let did = Did::Read { at: None, seen };
        self.events.push(Event { span, did });
    }

    fn get(&mut self) {
        let key = self.key();
        self.read(|kv| vec![Seen::one(&kv.get(&key).expect("a key can be read"))]);
    }

    fn get_many(&mut self) {
        let keys = self.workload.keys.clone();
        self.read(|kv| {
            let entries = kv.get_many(keys).expect("keys can be read");
            entries.iter().map(Seen::one).collect()
        });
    }

    fn list(&mut self) {
        let range = Ranged::random(self);
        let batch = self.random.random_range(1..4);
        self.read(|kv| {
            let list = range.list(kv.list(range.selector.range()));
            let entries = list.batch_size(batch).entries();
            vec![range.seen(entries.expect("a range can be listed"))]
        });
    }

    /// A snapshot that is read while others go on, and goes on being read.
    fn snapshot(&mut self) {
        let (snapshot, span) = self.recorder.time(|| self.kv.snapshot());
        let mut seen = vec![self.look_at(&snapshot)];
        let others = self.random.random_range(0..3);
        for _ in 0..others {
            self.step();
            seen.push(self.look_at(&snapshot));
        }
        let key = self.key();
        seen.push(Seen::one(&snapshot.get(&key).expect("a key can be read")));
        let at = Some(snapshot.versionstamp());
        let did = Did::Read { at, seen };
        self.events.push(Event { span, did });
    }

    fn look_at(&mut self, snapshot: &Snapshot) -> Seen {
        let range = Ranged::random(self);
        let entries = range.list(snapshot.list(range.selector.range())).entries();
        range.seen(entries.expect("a range can be listed"))
    }
}

/// A range and how to read it.
struct Ranged {
    selector: Selector,
    reverse: bool,
    limit: Option<usize>,
}

impl Ranged {
    fn random(client: &mut Client<'_>) -> Self {
        Self {
            selector: client.selector(),
            reverse: client.random.random(),
            limit: client
                .random
                .random_bool(0.3)
                .then(|| client.random.random_range(1..4)),
        }
    }

    fn list<'a>(&self, mut list: kvick::List<'a>) -> kvick::List<'a> {
        if self.reverse {
            list = list.reverse();
        }
        if let Some(limit) = self.limit {
            list = list.limit(limit);
        }
        list
    }

    fn read(&self, tx: &mut Transaction<'_>) -> kvick::Result<Seen> {
        let mut list = tx.list(self.selector.range());
        if self.reverse {
            list = list.reverse();
        }
        if let Some(limit) = self.limit {
            list = list.limit(limit);
        }
        Ok(self.seen(list.entries()?))
    }

    fn seen(&self, entries: impl IntoIterator<Item = Entry>) -> Seen {
        Seen::all_of(&self.selector, self.reverse, self.limit, entries)
    }
}

/// What holds of an entry as it was read.
fn expectation(entry: &Entry) -> Expect {
    entry.versionstamp().map_or(Expect::Absent, Expect::At)
}

fn write(tx: &mut Transaction<'_>, mutation: &Mutation) {
    let key = &mutation.key;
    match &mutation.op {
        Op::Set(value) => tx.set(key, value),
        Op::Delete => tx.delete(key),
        Op::Sum(operand) => tx.sum(key, *operand),
        Op::Min(operand) => tx.min(key, *operand),
        Op::Max(operand) => tx.max(key, *operand),
    }
}

/// The mutations that are left of those of a transaction: a set or a deletion makes forgotten what
/// was to be done to the key before.
fn as_written(mutations: Vec<Mutation>) -> Vec<Mutation> {
    let mut written: Vec<Mutation> = Vec::new();
    for mutation in mutations {
        if matches!(mutation.op, Op::Set(_) | Op::Delete) {
            written.retain(|earlier| earlier.key != mutation.key);
        }
        written.push(mutation);
    }
    written
}

/// Records a history, and checks it.
fn record_and_check(workload: &Workload, random: &mut StdRng, steps: usize) {
    let kv = Kv::builder().writer_threads(workload.threads).build();
    let recorder = Recorder::default();
    let seeds: Vec<u64> = (0..workload.threads).map(|_| random.random()).collect();
    let histories = race(workload.threads, |index| {
        let mut client = Client {
            kv: &kv,
            recorder: &recorder,
            workload,
            random: StdRng::seed_from_u64(seeds[index]),
            next_value: (index as u64 + 1) * 10_000_000,
            events: Vec::new(),
        };
        for _ in 0..steps / workload.threads {
            client.step();
        }
        client.events
    });
    let model = assert_strictly_serializable(&histories.concat());
    assert_entries(&everything(&kv), &model.selected(&Selector::All, false));
    assert_eq!(kv.stats().entry_count, model.entries.len());
    assert_eq!(kv.stats().open_snapshot_count, 0);
}

#[test]
fn a_mixed_history_is_strictly_serializable() {
    // R03, R13, A01 to A04, A08, A09, A12, S01, S04, V03 to V05
    let test = "history::a_mixed_history_is_strictly_serializable";
    for_seeds(test, 4, 4_000, |mut random, steps| {
        for threads in [2, 4] {
            record_and_check(&wide(threads), &mut random, steps);
        }
    });
}

#[test]
fn a_history_of_three_hot_keys_is_strictly_serializable() {
    let test = "history::a_history_of_three_hot_keys_is_strictly_serializable";
    for_seeds(test, 4, 4_000, |mut random, steps| {
        for threads in [2, 8] {
            record_and_check(&hot(threads), &mut random, steps);
        }
    });
}

#[test]
fn a_history_of_transactions_over_ranges_is_strictly_serializable() {
    let test = "history::a_history_of_transactions_over_ranges_is_strictly_serializable";
    for_seeds(test, 4, 4_000, |mut random, steps| {
        for threads in [3, 16] {
            record_and_check(&ranged(threads), &mut random, steps);
        }
    });
}

#[test]
fn a_history_of_keys_that_come_and_go_is_strictly_serializable() {
    let test = "history::a_history_of_keys_that_come_and_go_is_strictly_serializable";
    for_seeds(test, 4, 4_000, |mut random, steps| {
        for threads in [2, 5] {
            record_and_check(&churning(threads), &mut random, steps);
        }
    });
}
