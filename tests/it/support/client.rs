//! A client of a concurrent history: does at random what can be done, and records what it is told.
//!
//! The threads of `history` are such clients, and so are the coroutines of the simulation (the
//! workspace member `proof`, which compiles this file by its path).

use super::checker::{Did, Event, Recorder, Seen, Span};
use super::model::{Check, Expect, Mutation, Op, add_check, add_mutation, committed_at};
use super::queueing::all_but_letters;
use super::selector::Selector;
use super::workload::{Step, Workload, adds_up, expires};
use kvick::{
    Delivery, Entry, EntryRef, Error, ErrorKind, Key, Kv, Message, NewValue, Outcome, RetryPolicy,
    Snapshot, Transacted, Transaction, Update, Value, Versionstamp,
};
use rand::RngExt;
use rand::rngs::StdRng;
use std::any::Any;
use std::cell::Cell;
use std::num::NonZeroU32;
use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

/// Fifty times it is too long to lie inline.
const LONG_TEXT: &str = "a text of some forty bytes, repeated ... ";

/// What an impatient client puts up with.
const ATTEMPTS_MAX: NonZeroU32 = NonZeroU32::MIN.saturating_add(2);
const DEADLINE: Duration = Duration::from_millis(20);

/// The longest time for which something stays, and by which time passes at once, and 1.
const STAYS_MAX_MS: u64 = 50;

/// The versionstamp of what does not commit.
const NEVER: Versionstamp = Versionstamp::from_bytes([0; 10]);

/// Snapshots and watches that a client keeps open, one inside the other.
pub(super) const NESTED_MAX: usize = 2;

std::thread_local! {
    /// What the closures of clients do first, when the database calls them.
    pub(crate) static ON_CALL: Cell<fn()> = const { Cell::new(|| ()) };
}

std::thread_local! {
    /// Whether allocations are refused.
    pub(crate) static MAY_REFUSE: Cell<bool> = const { Cell::new(false) };
    /// Whether not everything has room.
    static IS_BOUNDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether anything may be refused for want of room.
pub(super) fn may_refuse() -> bool {
    MAY_REFUSE.get() || IS_BOUNDED.get()
}

pub(super) fn called_back() {
    ON_CALL.get()();
}

/// One client of a history.
#[derive(Debug)]
pub(crate) struct Client<'a> {
    pub(super) kv: &'a Kv,
    /// The same database, for those who do not try for as long as it takes.
    impatient: Kv,
    pub(super) recorder: &'a Recorder,
    pub(super) workload: &'a Workload,
    pub(super) random: StdRng,
    /// Makes the values of this client unlike those of every other.
    next_value: u64,
    pub(super) nested: usize,
    /// Messages that it is handling.
    pub(super) held: Vec<Message>,
    pub(super) events: Vec<Event>,
}

impl<'a> Client<'a> {
    /// The client of this number.
    pub(crate) fn new(
        number: usize,
        kv: &'a Kv,
        recorder: &'a Recorder,
        workload: &'a Workload,
        random: StdRng,
    ) -> Self {
        let policy = RetryPolicy::default().attempts_max(ATTEMPTS_MAX);
        IS_BOUNDED.set(workload.bounds.is_some());
        Self {
            kv,
            impatient: kv.with_retry(policy.deadline(DEADLINE)),
            recorder,
            workload,
            random,
            next_value: (number as u64 + 1) * 10_000_000,
            nested: 0,
            held: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Takes so many steps; what came of them.
    pub(crate) fn run(mut self, steps: usize) -> Vec<Event> {
        for _ in 0..steps {
            self.step();
        }
        self.into_events()
    }

    /// What came of the steps taken, once nothing is being handled any more.
    pub(crate) fn into_events(mut self) -> Vec<Event> {
        while !self.held.is_empty() {
            self.settle();
        }
        self.events
    }

    pub(super) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.random.random_range(0..from.len())].clone()
    }

    pub(super) fn key(&mut self) -> Key {
        self.pick(&self.workload.keys)
    }

    pub(super) fn selector(&mut self) -> Selector {
        self.pick(&self.workload.selectors)
    }

    /// Mostly numbers, so that arithmetic mostly fits.
    pub(super) fn value(&mut self) -> Value {
        self.next_value += 1;
        match self.random.random_range(0..12) {
            0 => Value::from(format!("value {}", self.next_value)),
            1 => Value::from(LONG_TEXT.repeat(50) + &self.next_value.to_string()),
            _ => self.next_value.into(),
        }
    }

    /// Few, most of the time; many take other ways.
    fn mutation_count(&mut self) -> usize {
        let most = if self.random.random_bool(0.1) { 24 } else { 4 };
        self.random.random_range(0..=most)
    }

    /// How long something stays.
    pub(super) fn stays(&mut self) -> Duration {
        Duration::from_millis(self.random.random_range(0..STAYS_MAX_MS))
    }

    fn mutation(&mut self) -> Mutation {
        let key = self.key();
        let op = if expires(&key) {
            match self.random.random_range(0..8) {
                0..5 => Op::SetFor(self.value(), self.stays()),
                5 | 6 => Op::Set(self.value()),
                _ => Op::Delete,
            }
        } else if let Some(scalar) = adds_up(&key) {
            self.summing(scalar)
        } else {
            self.lasting()
        };
        Mutation { key, op }
    }

    fn lasting(&mut self) -> Op {
        // Seldom, because they pile up until their range is deleted.
        if self.random.random_ratio(1, 40) {
            return Op::SetVersionstamped(self.value());
        }
        match self.random.random_range(0..8) {
            0..3 => Op::Set(self.value()),
            3..5 => Op::Delete,
            5 => Op::Min(self.random.random_range(0..1_000_000)),
            6 => Op::Max(self.random.random_range(0..1_000_000)),
            _ => Op::Sum(self.random.random_range(1..100)),
        }
    }

    /// A check of what is there now, or of something else.
    fn check(&mut self) -> Check {
        let key = self.key();
        let expect = match self.random.random_range(0..11) {
            0 => Expect::Exists,
            1 => Expect::Absent,
            2 => Expect::NotNewer(self.kv.versionstamp()),
            _ => expectation(&self.kv.get(&key).expect("a key can be read")),
        };
        Check { key, expect }
    }

    /// Takes a step of some kind.
    pub(crate) fn step(&mut self) {
        let total = self.workload.weights.iter().map(|(_, weight)| weight).sum();
        let mut ticket = self.random.random_range(0..total);
        let chosen = self.workload.weights.iter().find(|(_, weight)| {
            let is_it = ticket < *weight;
            ticket = ticket.saturating_sub(*weight);
            is_it
        });
        let chosen = chosen.expect("a ticket is below the sum of the weights");
        self.take(chosen.0);
    }

    /// Takes a step of this kind.
    pub(crate) fn take(&mut self, step: Step) {
        match step {
            Step::Set => self.set(),
            Step::Delete => self.delete(),
            Step::Atomic => self.atomic(),
            Step::Clear => self.clear(),
            Step::Transact => self.transact(false, false),
            Step::TransactRange => self.transact(true, false),
            Step::Abort => {
                let with_range = self.random.random();
                self.transact(with_range, true);
            }
            Step::Update => self.update(),
            Step::UpdateMany => self.update_many(),
            Step::Get => self.get(),
            Step::GetMany => self.get_many(),
            Step::List => self.list(),
            Step::Snapshot => self.snapshot(),
            Step::Watch => self.watch(),
            Step::Panic => self.panic(),
            Step::Touch => self.touch(),
            Step::Wait => self.wait(),
            Step::Sweep => self.kv.sweep(),
            Step::Enqueue => self.enqueue(),
            Step::Receive => self.receive(),
            Step::Settle => self.settle(),
            Step::Load => self.load(),
            Step::Import => self.import(),
            Step::Evictions => self.ask_evictions(),
        }
    }

    /// Lets time pass.
    pub(super) fn wait(&mut self) {
        let length = self.random.random_range(1..STAYS_MAX_MS);
        let clock = self.recorder.clock();
        clock.advance(Duration::from_millis(length));
    }

    fn set(&mut self) {
        let (key, value) = (self.key(), self.value());
        if !expires(&key) && self.random.random_bool(0.3) {
            return self.calculate(key);
        }
        let (versionstamp, span) = self.recorder.time(|| self.kv.set(&key, &value));
        if let Some(versionstamp) = granted(versionstamp) {
            let op = Op::Set(value);
            self.committed(span, versionstamp, vec![Mutation { key, op }]);
        }
    }

    fn touch(&mut self) {
        let keys: Vec<_> = self
            .workload
            .keys
            .iter()
            .filter(|key| expires(key))
            .collect();
        let key = self.pick(&keys).clone();
        let (expect, op) = (Expect::Exists, Op::Touch(self.stays()));
        let checks = vec![Check {
            key: key.clone(),
            expect,
        }];
        let Op::Touch(stays) = op else { return };
        let (touched, span) = self.recorder.time(|| self.kv.touch(&key, stays));
        let Some(touched) = granted(touched) else {
            return;
        };
        let did = match touched {
            Some(versionstamp) => Did::Commit {
                versionstamp,
                checks,
                reads: Vec::new(),
                mutations: vec![Mutation { key, op }],
                sent: Vec::new(),
            },
            None => Did::Conflict {
                checks,
                failed: vec![0],
            },
        };
        self.events.push(Event { span, did });
    }

    fn delete(&mut self) {
        let key = self.key();
        let (versionstamp, span) = self.recorder.time(|| self.kv.delete(&key));
        if let Some(versionstamp) = granted(versionstamp) {
            let op = Op::Delete;
            self.committed(span, versionstamp, vec![Mutation { key, op }]);
        }
    }

    /// Notes a commit that did not depend on anything.
    pub(super) fn committed(
        &mut self,
        span: Span,
        versionstamp: Versionstamp,
        mutations: Vec<Mutation>,
    ) {
        let did = Did::Commit {
            versionstamp,
            checks: Vec::new(),
            reads: Vec::new(),
            mutations,
            sent: Vec::new(),
        };
        self.events.push(Event { span, did });
    }

    fn atomic(&mut self) {
        let check_count = self.random.random_range(0..4);
        let checks: Vec<_> = (0..check_count).map(|_| self.check()).collect();
        let mutation_count = self.mutation_count();
        let mutations: Vec<_> = (0..mutation_count).map(|_| self.mutation()).collect();
        let sent = self.letters();
        let mut operation = self.kv.atomic();
        for check in &checks {
            add_check(&mut operation, check);
        }
        for mutation in &mutations {
            add_mutation(&mut operation, mutation);
        }
        for sent in &sent {
            operation.enqueue(&sent.payload, sent.delivery());
        }
        let returns = self.random.random_bool(0.3);
        let (done, span) = self.recorder.time(|| {
            if returns {
                operation.commit_returning()
            } else {
                operation.commit().map(|outcome| (outcome, Vec::new()))
            }
        });
        if let Ok((Outcome::Committed { versionstamp }, left)) = &done
            && returns
        {
            assert_eq!(left.len(), mutations.len());
            self.left(span, *versionstamp, left);
        }
        let outcome = done.map(|(outcome, _)| outcome);
        if !matches!(outcome, Ok(Outcome::Committed { .. })) {
            self.recorder.letters.take_back(&sent);
        }
        let did = match outcome {
            Ok(Outcome::Committed { versionstamp }) => Did::Commit {
                versionstamp,
                checks,
                reads: Vec::new(),
                mutations: committed_at(versionstamp, mutations),
                sent,
            },
            Ok(Outcome::Conflict { failed_checks }) => Did::Conflict {
                checks,
                failed: failed_checks,
            },
            Err(error) if does_not_fit(&error) => {
                let mutations = committed_at(NEVER, mutations);
                Did::Refusal { checks, mutations }
            }
            Err(error) => return refused(&error),
        };
        self.events.push(Event { span, did });
    }

    fn clear(&mut self) {
        let selector = match self.selector() {
            Selector::All => all_but_letters(),
            selector => selector,
        };
        self.clear_all(selector);
    }

    /// Deletes a range.
    pub(super) fn clear_all(&mut self, selector: Selector) {
        let (deleted, span) = self
            .recorder
            .time(|| self.kv.delete_range(selector.range()));
        if let Some(deleted) = granted(deleted) {
            let did = Did::Clear {
                versionstamp: deleted.versionstamp,
                selector,
                count: deleted.count,
            };
            self.events.push(Event { span, did });
        }
    }

    /// A transaction that reads some keys, perhaps a range as well, and then writes, or gives up.
    fn transact(&mut self, with_range: bool, gives_up: bool) {
        let key_count = self.random.random_range(usize::from(!with_range)..3);
        let keys: Vec<_> = (0..key_count).map(|_| self.key()).collect();
        let range = with_range.then(|| Ranged::random(self));
        let mutation_count = self.mutation_count();
        let mutations: Vec<_> = (0..mutation_count).map(|_| self.mutation()).collect();
        let sent = self.letters();
        let mut abandoned = Vec::new();
        let kv = self.some_kv();
        let (done, span) = self.recorder.time(|| {
            kv.transact(|tx| {
                called_back();
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
                for sent in &sent {
                    tx.enqueue(&sent.payload, sent.delivery());
                }
                called_back();
                if gives_up {
                    abandoned = seen;
                    return tx.abort("enough");
                }
                Ok(seen)
            })
        });
        let is_sent = matches!(&done, Ok(done) if done.is_committed());
        if !is_sent {
            self.recorder.letters.take_back(&sent);
        }
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
                    mutations: committed_at(versionstamp, as_written(mutations)),
                    sent,
                },
                None if sent.is_empty() => Did::Read { at: None, seen },
                None => panic!("what enqueues has a versionstamp"),
            },
            Ok(Transacted::Exhausted { .. }) => return,
            Ok(Transacted::Aborted { .. }) if gives_up => Did::Read {
                at: None,
                seen: abandoned,
            },
            Ok(other) => panic!("nothing else aborts or gives up: {other:?}"),
            Err(error) if does_not_fit(&error) => Did::Refusal {
                checks: Vec::new(),
                mutations: committed_at(NEVER, as_written(mutations)),
            },
            Err(error) => return refused(&error),
        };
        self.events.push(Event { span, did });
    }

    /// Decides by what is there: see [`decide`].
    fn update(&mut self) {
        let (key, value) = (self.key(), self.value());
        let mut shown = Vec::new();
        let kv = self.some_kv();
        let (done, span) = self.recorder.time(|| {
            kv.update(&key, |entry| {
                called_back();
                shown = vec![Seen::one(entry)];
                change(entry.value(), &value)
            })
        });
        self.updated(span, done, shown, &[value]);
    }

    fn update_many(&mut self) {
        let mut keys = [self.key(), self.key(), self.key()].to_vec();
        keys.sort();
        keys.dedup();
        let values: Vec<_> = keys.iter().map(|_| self.value()).collect();
        let mut shown = Vec::new();
        let kv = self.some_kv();
        let (done, span) = self.recorder.time(|| {
            kv.update_many(&keys, |entries| {
                called_back();
                shown = entries.iter().map(Seen::one).collect();
                let pairs = entries.iter().zip(&values);
                let changes = pairs.map(|(entry, value)| change(entry.value(), value));
                changes.collect::<Vec<_>>()
            })
        });
        self.updated(span, done, shown, &values);
    }

    /// Notes what came of an update.
    fn updated(
        &mut self,
        span: Span,
        done: kvick::Result<Transacted<()>>,
        shown: Vec<Seen>,
        values: &[Value],
    ) {
        let Some(done) = granted(done) else { return };
        let did = match done {
            Transacted::Committed {
                versionstamp: Some(versionstamp),
                ..
            } => {
                let pairs = shown.iter().zip(values);
                let mutations = pairs.filter_map(|(seen, value)| mutation_of(seen, value));
                Did::Commit {
                    versionstamp,
                    checks: Vec::new(),
                    mutations: mutations.collect(),
                    reads: shown,
                    sent: Vec::new(),
                }
            }
            Transacted::Committed { .. } => Did::Read {
                at: None,
                seen: shown,
            },
            Transacted::Exhausted { .. } => return,
            other => panic!("nothing aborts: {other:?}"),
        };
        self.events.push(Event { span, did });
    }

    /// The database, by a handle that tries for as long as it takes, or by one that does not.
    fn some_kv(&mut self) -> Kv {
        if self.random.random_bool(0.2) {
            self.impatient.clone()
        } else {
            self.kv.clone()
        }
    }

    /// Something of the caller's panics in the middle of an operation, which is then as if it had
    /// not been.
    fn panic(&mut self) {
        let kind = self.random.random_range(0..5);
        let (key, value) = (self.key(), self.value());
        let kv = self.kv;
        let operation = || match kind {
            0 => drop(kv.transact::<()>(|tx| {
                tx.set(&key, &value);
                tx.enqueue(&value, Delivery::default());
                tx.list(()).count()?;
                give_up()
            })),
            1 => drop(kv.update(&key, |_| give_up::<Update>())),
            2 => drop(kv.with_entry(&key, |_| give_up::<()>())),
            3 => drop(kv.list(()).for_each(|_: EntryRef<'_>| give_up())),
            _ => drop(kv.snapshot().with_entry(&key, |_| give_up::<()>())),
        };
        // Where there is no entry, there may be nothing that panics.
        if let Err(panic) = panic::catch_unwind(AssertUnwindSafe(operation)) {
            assert_is_ours(panic);
        }
    }

    fn read(&mut self, read: impl FnOnce(&Kv) -> Vec<Seen>) {
        let (seen, span) = self.recorder.time(|| read(self.kv));
        let did = Did::Read { at: None, seen };
        self.events.push(Event { span, did });
    }

    fn get(&mut self) {
        let key = self.key();
        if self.random.random() {
            self.read(|kv| vec![Seen::one(&kv.get(&key).expect("a key can be read"))]);
            return;
        }
        self.read(|kv| {
            let shown = kv.with_entry(&key, |entry| {
                called_back();
                entry.map(EntryRef::to_entry)
            });
            let shown = shown.expect("a key can be looked at");
            vec![shown.map_or_else(|| Seen::One(key, None), |entry| Seen::one(&entry))]
        });
    }

    fn get_many(&mut self) {
        let count = self.random.random_range(1..=10);
        let keys: Vec<_> = (0..count).map(|_| self.key()).collect();
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
            let list = list.batch_size(batch);
            if batch == 1 {
                let entries = list.entries();
                return vec![range.seen(entries.expect("a range can be listed"))];
            }
            let mut entries = Vec::new();
            let shown = list.for_each(|entry| {
                called_back();
                entries.push(entry.to_entry());
            });
            shown.expect("a range can be looked at");
            vec![range.seen(entries)]
        });
    }

    /// A snapshot that is read while others go on, and goes on being read.
    fn snapshot(&mut self) {
        if self.nested == NESTED_MAX {
            return;
        }
        self.nested += 1;
        let (snapshot, span) = self.recorder.time(|| self.kv.snapshot());
        let mut seen = vec![self.look_at(&snapshot)];
        let others = self.random.random_range(0..3);
        for _ in 0..others {
            self.step();
            seen.push(self.look_at(&snapshot));
        }
        let key = self.key();
        seen.push(Seen::one(&snapshot.get(&key).expect("a key can be read")));
        self.nested -= 1;
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

/// The result, unless the allocator refused.
pub(super) fn granted<T>(result: kvick::Result<T>) -> Option<T> {
    result.map_err(|error| refused(&error)).ok()
}

/// Whether a mutation does not fit what is stored.
pub(super) fn does_not_fit(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::TypeMismatch | ErrorKind::SumOutOfRange
    )
}

/// The reasons for which anything here may fail, and only where something does refuse memory, or room.
/// Nothing has changed then.
pub(super) fn refused(error: &Error) {
    let may_be = match error.kind() {
        ErrorKind::OutOfMemory => MAY_REFUSE.get(),
        ErrorKind::MemoryLimit | ErrorKind::EntryLimit => IS_BOUNDED.get(),
        _ => false,
    };
    assert!(may_be, "nothing refuses it: {error}");
}

/// What closures of clients panic with.
const PANIC: &str = "a panic of the caller's";

/// A panic that does not print.
pub(crate) fn give_up<T>() -> T {
    panic::resume_unwind(Box::new(PANIC))
}

/// Goes on panicking, unless it was a client's own closure that has.
pub(crate) fn assert_is_ours(panic: Box<dyn Any + Send>) {
    if panic.downcast_ref::<&str>() != Some(&PANIC) {
        panic::resume_unwind(panic);
    }
}

/// What an update does with a value: by its number, so that it can be told afterwards.
#[derive(Clone, Copy)]
enum Decision {
    Keep,
    Delete,
    Set,
}

fn decide(stored: Option<&Value>) -> Decision {
    match stored.and_then(Value::as_u64).map(|number| number % 3) {
        Some(0) => Decision::Keep,
        Some(1) => Decision::Delete,
        _ => Decision::Set,
    }
}

fn change(stored: Option<&Value>, value: &Value) -> Update {
    match decide(stored) {
        Decision::Keep => Update::keep(),
        Decision::Delete => Update::delete(),
        Decision::Set => Update::set(value),
    }
}

/// The mutation that an update which saw this has come to.
fn mutation_of(seen: &Seen, value: &Value) -> Option<Mutation> {
    let Seen::One(key, stored) = seen else {
        return None;
    };
    let op = match decide(stored.as_ref().map(|stored| &stored.value)) {
        Decision::Keep => return None,
        Decision::Delete => Op::Delete,
        Decision::Set => Op::Set(value.clone()),
    };
    let key = key.clone();
    Some(Mutation { key, op })
}

/// What holds of an entry as it was read.
pub(super) fn expectation(entry: &Entry) -> Expect {
    entry.versionstamp().map_or(Expect::Absent, Expect::At)
}

fn write(tx: &mut Transaction<'_>, mutation: &Mutation) {
    let key = &mutation.key;
    match &mutation.op {
        Op::Set(value) => tx.set(key, value),
        Op::SetFor(value, stays) => tx.set(key, NewValue::from(value).expire_in(*stays)),
        Op::Touch(stays) => tx.touch(key, *stays),
        Op::Delete => tx.delete(key),
        Op::Sum(operand) => tx.sum(key, *operand),
        Op::Min(operand) => tx.min(key, *operand),
        Op::Max(operand) => tx.max(key, *operand),
        Op::SumWith(sum) => tx.sum_with(key, sum.as_sum()),
        Op::SetVersionstamped(value) => tx.set_versionstamped(key, value),
    }
}

/// The mutations that are left of those of a transaction: a set or a deletion makes forgotten what
/// was to be done to the key before.
fn as_written(mutations: Vec<Mutation>) -> Vec<Mutation> {
    let mut written: Vec<Mutation> = Vec::new();
    for mutation in mutations {
        if matches!(mutation.op, Op::Set(_) | Op::SetFor(..) | Op::Delete) {
            let is_other = |earlier: &Mutation| {
                matches!(earlier.op, Op::SetVersionstamped(_)) || earlier.key != mutation.key
            };
            written.retain(is_other);
        }
        written.push(mutation);
    }
    written
}
