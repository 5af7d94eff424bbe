//! What the threads of a round do: lists are appended to and read, in every way there is.
//!
//! Keys come in groups of eight; a few groups are in use at a time, and which moves on with the
//! ticks. So there are always keys that nobody has written yet, whose appearance a range read must
//! not miss, and lists stay short. Of a missing key the list is empty.
//!
//! Now and then a commit also has messages, with elements of their own, which the threads receive.

use super::attempt::{Attempt, OPS_MAX, RangeRead, Step, Value};
use super::keys::Groups;
use super::latency::Latency;
use super::mailbox::{Held, Mailbox};
use super::messages::{QUEUES, delivery};
use super::note::{Sequence, note, stamp_in};
use super::record::{GROUP_KEYS, Log, Outcome, Via, id};
use kvick::{Kv, NewValue, Range, Snapshot, Transacted};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Instant;

/// Ticks until the oldest group in use gives way to a new one: by then its lists are nearly full.
const GROUP_TICKS: u32 = 400;

/// Keys of an atomic operation.
const ATOMIC_KEYS_MAX: usize = 3;

/// Messages of a transaction or an atomic operation.
const LETTERS_MAX: usize = 3;

/// Snapshots that a thread keeps, and for how many transactions at most.
const SNAPSHOTS_MAX: usize = 4;
const SNAPSHOT_KEPT_MAX: u32 = 200;

/// What the threads of a round share.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) kv: Kv,
    /// The first part of every key.
    pub(super) number: u32,
    /// Groups in use at a time: the fewer, the more conflicts.
    pub(super) groups: u32,
    /// What each thread is to do.
    pub(super) transactions: u32,
    pub(super) seed: u64,
    pub(super) now: AtomicU32,
    pub(super) stop: AtomicBool,
}

impl Round {
    /// The next tick: whatever ended before has a smaller one, whatever begins later a larger.
    pub(super) fn tick(&self) -> u32 {
        self.now.fetch_add(1, Ordering::AcqRel)
    }

    /// Groups that may have been used up to a tick: a list reads up to three side by side.
    pub(super) fn groups_begun(&self, tick: u32) -> u32 {
        tick / GROUP_TICKS + self.groups + 3
    }
}

/// What a thread has done, in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Calls: of `transact`, an atomic operation's commit, or something that reads or receives.
    pub(crate) transactions: u64,
    /// Those that took effect or only read.
    pub(crate) committed: u64,
    /// Those that gave up.
    pub(crate) aborted: u64,
    /// Attempts that could have conflicted, and those that did.
    pub(crate) attempts: u64,
    pub(crate) conflicts: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.transactions += other.transactions;
        self.committed += other.committed;
        self.aborted += other.aborted;
        self.attempts += other.attempts;
        self.conflicts += other.conflicts;
    }
}

/// A snapshot that is read some time after it was taken.
struct Kept {
    snapshot: Snapshot,
    begin: u32,
    end: u32,
    groups: [u32; 3],
    /// The transaction after which it is read.
    due: u32,
}

/// One thread of a round.
pub(super) struct Client {
    round: Arc<Round>,
    log: Log,
    counts: Counts,
    latency: Latency,
    groups: Groups,
    random: SmallRng,
    snapshots: Vec<Kept>,
    mailboxes: [Mailbox; QUEUES.len()],
    /// A message that it is handling.
    held: Option<Held>,
    /// The tick from which on the groups in use are counted.
    now: u32,
}

impl Client {
    pub(super) fn new(round: Arc<Round>, log: Log, number: u32) -> Self {
        let seed = round.seed ^ u64::from(round.number) << 32 ^ u64::from(number) << 20;
        Self {
            log,
            counts: Counts::default(),
            latency: Latency::new(),
            groups: Groups::new(round.number),
            random: SmallRng::seed_from_u64(seed),
            snapshots: Vec::with_capacity(SNAPSHOTS_MAX),
            mailboxes: std::array::from_fn(|queue| Mailbox::new(&round.kv, queue)),
            held: None,
            now: 0,
            round,
        }
    }

    pub(super) fn run(&mut self) {
        for done in 0..self.round.transactions {
            if self.round.stop.load(Ordering::Relaxed) {
                break;
            }
            let begun = Instant::now();
            self.step(done);
            self.latency.record(begun.elapsed());
            self.counts.transactions += 1;
            self.read_due_snapshots(done);
        }
        self.read_due_snapshots(u32::MAX);
        self.settle();
    }

    pub(super) fn finish(self) -> (Log, Counts, Latency) {
        (self.log, self.counts, self.latency)
    }

    fn step(&mut self, done: u32) {
        match self.random.random_range(0..100) {
            0..55 => self.transact(true, false),
            55..58 => self.transact(true, true),
            58..69 => self.transact(false, false),
            69..80 => self.atomic(),
            80..83 => self.take_snapshot(done),
            83..87 => self.get_many(),
            87..90 => self.list(),
            90 => self.get(),
            91 => self.enqueue(),
            _ => self.receive(),
        }
    }

    /// The queues to which messages go with a commit: mostly none.
    fn letters(&mut self) -> ([usize; LETTERS_MAX], usize) {
        let queues = std::array::from_fn(|_| self.random.random_range(0..QUEUES.len()));
        match self.random.random_range(0..24) {
            0 => (queues, self.random.random_range(1..=LETTERS_MAX)),
            _ => (queues, 0),
        }
    }

    fn enqueue(&mut self) {
        let begin = self.round.tick();
        self.now = begin;
        self.log.begin_txn();
        let queue = self.random.random_range(0..QUEUES.len());
        let element = self.log.fresh_element();
        self.log.messages.send(queue, element);
        let payload = element.to_le_bytes();
        let versionstamp = self.round.kv.enqueue(&payload[..], delivery(queue));
        let versionstamp = versionstamp.expect("a message can be enqueued");
        let span = begin..self.round.tick();
        let stamp = stamp_in(&self.log, Some(versionstamp));
        self.log
            .end_txn(Via::Enqueue, Outcome::Committed, span, stamp);
        self.counts.committed += 1;
    }

    /// Receives a message, and keeps it until the next time, unless it goes on with that of the last.
    fn receive(&mut self) {
        self.settle();
        let queue = self.random.random_range(0..QUEUES.len());
        let mailbox = &mut self.mailboxes[queue];
        self.held = mailbox.receive(&self.round, &mut self.log);
        if self.random.random() {
            self.settle();
        }
        self.counts.committed += 1;
    }

    fn settle(&mut self) {
        if let Some(held) = self.held.take() {
            let is_finished = self.random.random_range(0..4) > 0;
            held.settle(is_finished, &self.round, &mut self.log);
        }
    }

    /// A group that is in use, as far as this thread knows.
    fn group(&mut self) -> u32 {
        self.now / GROUP_TICKS + self.random.random_range(0..self.round.groups)
    }

    fn key_in_group(&mut self) -> usize {
        self.random.random_range(0..GROUP_KEYS as usize)
    }

    fn range_read(&mut self) -> RangeRead {
        let group = self.group();
        let (mut begin, mut end) = (0, GROUP_KEYS as usize);
        let (mut reverse, mut limit) = (false, usize::MAX);
        match self.random.random_range(0..10) {
            0..5 => {}
            5 | 6 => reverse = true,
            7 => {
                limit = self.random.random_range(1..=4);
                reverse = self.random.random();
            }
            _ => {
                begin = self.random.random_range(0..GROUP_KEYS as usize);
                end = self.random.random_range(begin..GROUP_KEYS as usize) + 1;
            }
        }
        RangeRead {
            group,
            begin,
            end,
            reverse,
            limit,
        }
    }

    fn plan(&mut self, writes: bool) -> ([Step; OPS_MAX], usize) {
        let count = self.random.random_range(1..=OPS_MAX);
        let mut steps = [Step::Get { group: 0, key: 0 }; OPS_MAX];
        for step in &mut steps[..count] {
            *step = match self.random.random_range(0..20) {
                0..8 if writes => self.append_step(),
                8..13 => Step::List(self.range_read()),
                _ => Step::Get {
                    group: self.group(),
                    key: self.key_in_group(),
                },
            };
        }
        if writes {
            steps[count - 1] = self.append_step();
        }
        (steps, count)
    }

    fn append_step(&mut self) -> Step {
        Step::Append {
            group: self.group(),
            key: self.key_in_group(),
            twice: self.random.random_range(0..8) == 0,
        }
    }

    fn transact(&mut self, writes: bool, gives_up: bool) {
        let begin = self.round.tick();
        self.now = begin;
        let (steps, count) = self.plan(writes);
        let (queues, letters) = self.letters();
        let queues = if writes { &queues[..letters] } else { &[] };
        // Where other threads get in, if they are more than there are processors.
        let pause_after = self.random.random_range(0..32);
        let kv = &self.round.kv;
        let mut attempt = Attempt {
            log: &mut self.log,
            groups: &mut self.groups,
            appended: [0; OPS_MAX],
            appended_count: 0,
        };
        // Of the attempt under way: the tick before it, and the one after its last read.
        let mut span = begin..begin;
        let mut attempts = 0;
        let transacted = kv.transact(|tx| {
            if attempts > 0 {
                let lost = span.clone();
                let log = &mut *attempt.log;
                log.end_txn(Via::Transact, Outcome::Aborted, lost, 0);
                span.start = span.end;
            }
            attempts += 1;
            attempt.log.begin_txn();
            attempt.appended_count = 0;
            for (at, step) in steps[..count].iter().enumerate() {
                attempt.perform(tx, *step)?;
                if at == pause_after {
                    thread::yield_now();
                }
            }
            for queue in queues {
                let element = attempt.log.fresh_element();
                attempt.log.messages.send(*queue, element);
                tx.enqueue(&element.to_le_bytes()[..], delivery(*queue));
            }
            span.end = self.round.tick();
            if gives_up {
                return tx.abort("so that nothing of it is seen");
            }
            Ok(())
        });
        let has_written = attempt.appended_count > 0 || !queues.is_empty();
        self.counts.attempts += attempts;
        self.counts.conflicts += attempts - 1;
        match transacted.expect("nothing that a transaction does is refused") {
            Transacted::Committed { versionstamp, .. } if has_written => {
                span.end = self.round.tick();
                let stamp = stamp_in(&self.log, versionstamp);
                self.log
                    .end_txn(Via::Transact, Outcome::Committed, span, stamp);
                self.counts.committed += 1;
            }
            Transacted::Committed { versionstamp, .. } => {
                assert_eq!(versionstamp, None, "nothing was written");
                self.log.end_txn(Via::Transact, Outcome::ReadOnly, span, 0);
                self.counts.committed += 1;
            }
            Transacted::Aborted { .. } if gives_up => {
                self.log.end_txn(Via::Transact, Outcome::Aborted, span, 0);
                self.counts.aborted += 1;
            }
            other => panic!("the transaction came to what it cannot come to: {other:?}"),
        }
    }

    /// Different keys, so many of these.
    fn few_keys(&mut self) -> ([u32; ATOMIC_KEYS_MAX], usize) {
        let mut chosen = [0; ATOMIC_KEYS_MAX];
        let mut count = 0;
        for _ in 0..self.random.random_range(1..=ATOMIC_KEYS_MAX) {
            let key = self.group() * GROUP_KEYS + id(self.key_in_group());
            if !chosen[..count].contains(&key) {
                chosen[count] = key;
                count += 1;
            }
        }
        (chosen, count)
    }

    /// Reads keys, and appends to all of them if they are still as they were read.
    fn atomic(&mut self) {
        let begin = self.round.tick();
        self.now = begin;
        self.log.begin_txn();
        let (chosen, count) = self.few_keys();
        let chosen = &chosen[..count];
        let (queues, letters) = self.letters();
        let kv = &self.round.kv;
        let at_once = self.random.random();
        let entries = if at_once {
            let keys = chosen.iter().map(|key| self.groups.key(*key).clone());
            kv.get_many(keys).expect("keys can be read")
        } else {
            let get = |key: &u32| kv.get(self.groups.key(*key)).expect("a key can be read");
            chosen.iter().map(get).collect()
        };
        if self.random.random_range(0..16) == 0 {
            thread::yield_now();
        }
        let mut values = [const { None }; ATOMIC_KEYS_MAX];
        for ((key, entry), value) in chosen.iter().zip(&entries).zip(&mut values) {
            note(&mut self.log, *key, entry);
            *value = Value::of(entry.as_bytes().unwrap_or_default());
            if let Some(value) = value {
                let element = self.log.fresh_element();
                value.push(element);
                self.log.append(*key, element);
            }
        }
        let is_full = values.iter().all(Option::is_none);
        if is_full {
            // Nothing to append, so these were only reads; of one moment if they were made at once.
            if !at_once && count > 1 {
                self.log.forget_reads();
            }
            let span = begin..self.round.tick();
            self.log.end_txn(Via::GetMany, Outcome::ReadOnly, span, 0);
            self.counts.committed += 1;
            return;
        }
        let mut operation = kv.atomic();
        for (entry, value) in entries.iter().zip(&values) {
            operation.check(entry);
            if let Some(value) = value {
                operation.set(entry.key(), value.bytes());
            }
        }
        for queue in &queues[..letters] {
            let element = self.log.fresh_element();
            self.log.messages.send(*queue, element);
            operation.enqueue(
                NewValue::from(&element.to_le_bytes()[..]).into_owned(),
                delivery(*queue),
            );
        }
        let outcome = operation.commit().expect("the operation can be committed");
        let span = begin..self.round.tick();
        self.counts.attempts += 1;
        if outcome.is_committed() {
            let stamp = stamp_in(&self.log, outcome.versionstamp());
            self.log
                .end_txn(Via::Atomic, Outcome::Committed, span, stamp);
            self.counts.committed += 1;
        } else {
            if !at_once && count > 1 {
                self.log.forget_reads();
            }
            self.log.end_txn(Via::Atomic, Outcome::Aborted, span, 0);
            self.counts.conflicts += 1;
        }
    }

    fn get(&mut self) {
        let begin = self.round.tick();
        self.now = begin;
        let key = self.group() * GROUP_KEYS + id(self.key_in_group());
        let entry = self.round.kv.get(self.groups.key(key));
        let span = begin..self.round.tick();
        self.log.begin_txn();
        note(&mut self.log, key, &entry.expect("a key can be read"));
        self.end_read(Via::Get, span);
    }

    fn get_many(&mut self) {
        let begin = self.round.tick();
        self.now = begin;
        let mut chosen = [0; 8];
        for key in &mut chosen {
            *key = self.group() * GROUP_KEYS + id(self.key_in_group());
        }
        let keys = chosen.iter().map(|key| self.groups.key(*key).clone());
        let entries = self.round.kv.get_many(keys);
        let span = begin..self.round.tick();
        self.log.begin_txn();
        for (key, entry) in chosen.iter().zip(&entries.expect("keys can be read")) {
            note(&mut self.log, *key, entry);
        }
        self.end_read(Via::GetMany, span);
    }

    /// Reads one to three groups side by side.
    fn list(&mut self) {
        let begin = self.round.tick();
        self.now = begin;
        let first = self.group();
        let after = first + self.random.random_range(1..=3);
        let round = self.round.number;
        let range = Range::new((round, first), (round, after));
        self.log.begin_txn();
        let mut sequence = Sequence::new(first * GROUP_KEYS);
        let (log, groups) = (&mut self.log, &mut self.groups);
        let listed = self.round.kv.list(range);
        listed
            .for_each(|entry| sequence.note(log, groups, entry))
            .expect("a range can be read");
        sequence.finish(log, after * GROUP_KEYS);
        let span = begin..self.round.tick();
        self.end_read(Via::List, span);
    }

    fn end_read(&mut self, via: Via, span: std::ops::Range<u32>) {
        self.log.end_txn(via, Outcome::ReadOnly, span, 0);
        self.counts.committed += 1;
    }

    fn take_snapshot(&mut self, done: u32) {
        let begin = self.round.tick();
        let snapshot = self.round.kv.snapshot();
        let end = self.round.tick();
        self.now = begin;
        let kept_for = match self.random.random_range(0..4) {
            0 => 0,
            1 => self.random.random_range(0..SNAPSHOT_KEPT_MAX),
            _ => self.random.random_range(0..SNAPSHOT_KEPT_MAX / 10),
        };
        let groups = [self.group(), self.group(), self.group()];
        if self.snapshots.len() == SNAPSHOTS_MAX {
            let oldest = self.snapshots.remove(0);
            self.read_snapshot(&oldest);
        }
        self.snapshots.push(Kept {
            snapshot,
            begin,
            end,
            groups,
            due: done + kept_for,
        });
        self.counts.committed += 1;
    }

    fn read_due_snapshots(&mut self, done: u32) {
        while let Some(at) = self.snapshots.iter().position(|kept| kept.due <= done) {
            let kept = self.snapshots.remove(at);
            self.read_snapshot(&kept);
        }
    }

    fn read_snapshot(&mut self, kept: &Kept) {
        self.log.begin_txn();
        let round = self.round.number;
        for group in kept.groups {
            let (log, groups) = (&mut self.log, &mut self.groups);
            let mut sequence = Sequence::new(group * GROUP_KEYS);
            let listed = kept.snapshot.list((round, group));
            listed
                .for_each(|entry| sequence.note(log, groups, entry))
                .expect("a range can be read");
            sequence.finish(log, (group + 1) * GROUP_KEYS);
            let key = group * GROUP_KEYS + self.random.random_range(0..GROUP_KEYS);
            let entry = kept.snapshot.get(self.groups.key(key));
            note(&mut self.log, key, &entry.expect("a key can be read"));
        }
        let stamp = stamp_in(&self.log, Some(kept.snapshot.versionstamp()));
        let span = kept.begin..kept.end;
        self.log
            .end_txn(Via::Snapshot, Outcome::Snapshot, span, stamp);
    }
}
