//! What the threads of the churn do.

use super::held::{Held, read_group};
use super::run_queue::{RunQueue, Took};
use super::tally::{Counts, Fault, Tally, nanos};
use super::value::{GROUP_KEYS, Noise, Place, Ticket, VALUE_BYTES_MAX, draw_length};
use kvick::{ErrorKind, Kv, NewValue};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What one commit holds at most: the values of a group, and what keys and indexes take beside them.
pub(super) const WRITE_SET_BYTES: usize = GROUP_KEYS * (VALUE_BYTES_MAX + 1_024);

/// A key for so many bytes of the limit. The values of all of them would be four times what it holds.
const SINGLE_SHARE: u64 = 2_048;

/// And a group; as much again as the limit.
const GROUP_SHARE: u64 = 32_768;

/// A key for so many bytes of the limit, where all values are of the same size: four times what it holds.
const EVEN_SHARE: u64 = 256;

/// That size.
const EVEN_BYTES: usize = 1_024;

/// One value in so many expires, after so many milliseconds.
const EXPIRING_SHARE: u32 = 5;
const EXPIRY_MS: std::ops::Range<u64> = 20..520;

/// For how many milliseconds a snapshot is held, and for how many none is.
const HELD_MS: std::ops::Range<u64> = 10..50;

/// After so many operations a thread looks at what is in use, too.
const LOOK_EVERY: u64 = 1_024;

/// The share of the limit beyond which garbage is taken for what commits are refused for.
const HELD_SHARE: usize = 4;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mix {
    /// Values of 1 KiB, at keys that are all as frequent.
    Even,
    /// Everything, but for snapshots.
    Everything,
    /// That, and each thread has a snapshot open for half of the time.
    WithSnapshots,
}

/// What all threads work on.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) kv: Kv,
    pub(super) limit: usize,
    pub(super) mix: Mix,
    pub(super) noise: Noise,
    pub(super) is_over: AtomicBool,
    pub(super) counts: Vec<Counts>,
}

/// One thread of the load.
pub(super) struct Worker<'a> {
    load: &'a Load,
    counts: &'a Counts,
    random: SmallRng,
    queue: RunQueue,
    held: Option<Held>,
    /// When a snapshot is to be opened or closed.
    turn: Instant,
    value: Vec<u8>,
    tally: Tally,
}

impl<'a> Worker<'a> {
    pub(super) fn new(load: &'a Load, number: usize, seed: u64) -> Self {
        let queue = RunQueue::of_this_thread();
        let mut tally = Tally::new();
        tally.is_queue_told = queue.is_told();
        Self {
            load,
            counts: &load.counts[number],
            random: SmallRng::seed_from_u64(seed.wrapping_add(number as u64)),
            turn: queue.now(),
            queue,
            held: None,
            value: Vec::new(),
            tally,
        }
    }

    /// Goes on until it is over.
    pub(super) fn run(mut self) -> Tally {
        let begun = self.queue.waited();
        let mut number = 0_u64;
        while !self.load.is_over.load(Ordering::Relaxed) {
            self.step();
            number += 1;
            if number.is_multiple_of(LOOK_EVERY) {
                let bytes = self.load.kv.stats().bytes as u64;
                self.counts.peak.fetch_max(bytes, Ordering::Relaxed);
            }
            let queued = nanos(self.queue.waited().saturating_sub(begun));
            self.counts.queued.store(queued, Ordering::Relaxed);
        }
        self.close();
        self.tally
    }

    fn step(&mut self) {
        if self.load.mix == Mix::WithSnapshots && self.queue.now() >= self.turn {
            self.take_turn();
        }
        if self.load.mix == Mix::Even {
            let number = self
                .random
                .random_range(0..self.load.limit as u64 / EVEN_SHARE);
            match self.random.random_range(0..8) {
                0 => self.get(Place::single(number)),
                _ => self.set(Place::single(number), EVEN_BYTES),
            }
            return;
        }
        let single = Place::single(self.draw(SINGLE_SHARE));
        match self.random.random_range(0..100) {
            0..45 => {
                let length = draw_length(&mut self.random);
                self.set(single, length);
            }
            45..51 => self.delete(single),
            51..60 => self.exchange_group(),
            60 => self.delete_group(),
            61..90 => self.get(single),
            90..94 => self.get_group(),
            _ if self.held.is_some() => self.look_back(),
            _ => self.get(single),
        }
    }

    /// One of the keys or groups of which there is one for so many bytes of the limit. Half of the time it
    /// is of the first sixteenth.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a part of a number of keys"
    )]
    fn draw(&mut self, share: u64) -> u64 {
        let count = (self.load.limit as u64 / share) as f64;
        (self.random.random::<f64>().powi(4) * count) as u64
    }

    fn set(&mut self, place: Place, length: usize) {
        let ticket = Ticket::new(self.random.random(), length);
        self.load.noise.write(place, ticket, &mut self.value);
        let mut value = NewValue::from(&self.value[..]);
        let may_expire = self.load.mix != Mix::Even;
        if may_expire && self.random.random_range(0..EXPIRING_SHARE) == 0 {
            let after = self.random.random_range(EXPIRY_MS);
            value = value.expire_in(Duration::from_millis(after));
        }
        let begun = self.queue.begin();
        let done = self.load.kv.set(place.key(), value);
        self.settle(begun, done.map(|_| true));
    }

    fn delete(&mut self, place: Place) {
        let begun = self.queue.begin();
        let done = self.load.kv.delete(place.key());
        self.settle_deletion(begun, done.map(|_| true));
    }

    fn get(&mut self, place: Place) {
        let begun = self.queue.begin();
        let entry = self.load.kv.get(place.key());
        self.settle_read(begun);
        match entry {
            Ok(entry) => {
                let value = entry.as_bytes();
                let read = value.map(|value| self.load.noise.read(place, value));
                self.note(Fault::Value, read.transpose());
            }
            Err(error) => self.note(Fault::Error, Err::<(), _>(format!("get: {error}"))),
        }
    }

    /// Reads a group, checks that nobody has changed it, and sets all of it anew.
    fn exchange_group(&mut self) {
        let places = Place::group(self.draw(GROUP_SHARE));
        let commit = self.random.random();
        let expires = self.random.random_range(0..EXPIRING_SHARE) == 0;
        let values = places.map(|place| {
            let ticket = Ticket::new(commit, draw_length(&mut self.random));
            let mut value = Vec::new();
            self.load.noise.write(place, ticket, &mut value);
            let value = NewValue::from(value);
            if expires {
                value.expire_in(Duration::from_millis(EXPIRY_MS.start))
            } else {
                value
            }
        });
        let Some(entries) = self.read_group(places) else {
            return;
        };
        let mut operation = self.load.kv.atomic();
        for (entry, value) in entries.iter().zip(values) {
            operation.check(entry).set(entry.key().clone(), value);
        }
        let begun = self.queue.begin();
        let done = operation.commit();
        self.settle(begun, done.map(|outcome| outcome.is_committed()));
    }

    fn delete_group(&mut self) {
        let mut operation = self.load.kv.atomic();
        for place in Place::group(self.draw(GROUP_SHARE)) {
            operation.delete(place.key());
        }
        let begun = self.queue.begin();
        let done = operation.commit();
        self.settle_deletion(begun, done.map(|outcome| outcome.is_committed()));
    }

    fn get_group(&mut self) {
        let places = Place::group(self.draw(GROUP_SHARE));
        self.read_group(places);
    }

    fn read_group<const N: usize>(&mut self, places: [Place; N]) -> Option<Vec<kvick::Entry>> {
        let begun = self.queue.begin();
        let entries = self.load.kv.get_many(places.map(Place::key));
        self.settle_read(begun);
        match entries {
            Ok(entries) => {
                let found = read_group(&self.load.noise, places, &entries);
                self.note(Fault::Value, found);
                Some(entries)
            }
            Err(error) => {
                self.note(Fault::Error, Err::<(), _>(format!("get_many: {error}")));
                None
            }
        }
    }

    /// Reads through the snapshot: something else, or what it has shown before.
    fn look_back(&mut self) {
        let (single, group) = (self.draw(SINGLE_SHARE), self.draw(GROUP_SHARE));
        let draw = self.random.random_range(0..1_000_usize);
        let Some(held) = &mut self.held else {
            return;
        };
        let noise = &self.load.noise;
        let begun = self.queue.begin();
        let seen = match draw % 8 {
            0 | 1 => held.read(noise, Place::single(single)),
            2 => held.read_group(noise, group),
            _ => held.read_again(noise, draw / 8),
        };
        self.settle_read(begun);
        self.note(Fault::Value, seen);
    }

    /// Opens a snapshot, or closes the one that is open.
    fn take_turn(&mut self) {
        let millis = self.random.random_range(HELD_MS);
        self.turn = self.queue.now() + Duration::from_millis(millis);
        if self.held.is_some() {
            self.close();
        } else {
            self.tally.snapshots += 1;
            self.held = Some(Held::open(&self.load.kv));
        }
    }

    fn close(&mut self) {
        if let Some(held) = self.held.take() {
            let closed = held.close(&self.load.noise);
            self.note(Fault::Value, closed);
        }
    }

    fn settle_read(&mut self, begun: Instant) {
        let took = self.queue.end(begun);
        self.tally.read.record(took);
        Counts::count(&self.counts.done);
    }

    /// A commit that began then has taken effect, or not, or has been refused.
    fn settle(&mut self, begun: Instant, done: kvick::Result<bool>) {
        let took = self.end(begun);
        match done {
            Err(error) if error.kind() == ErrorKind::MemoryLimit => {
                self.tally.refused.record(took);
                self.note_refused(&error);
            }
            done => self.settle_done(took, done),
        }
    }

    /// The same of one that only deletes.
    fn settle_deletion(&mut self, begun: Instant, done: kvick::Result<bool>) {
        let took = self.end(begun);
        self.settle_done(took, done);
    }

    fn settle_done(&mut self, took: Took, done: kvick::Result<bool>) {
        self.tally.committed.record(took);
        match done {
            Ok(true) => Counts::count(&self.counts.done),
            Ok(false) => Counts::count(&self.counts.conflicts),
            Err(error) => self.note(Fault::Error, Err::<(), _>(format!("commit: {error}"))),
        }
    }

    fn end(&mut self, begun: Instant) -> Took {
        let took = self.queue.end(begun);
        self.counts.note_longest(took);
        self.tally.longs.note(begun, took);
        took
    }

    #[cold]
    fn note_refused(&mut self, error: &kvick::Error) {
        if self.load.mix != Mix::WithSnapshots {
            let what = format!("refused without a snapshot: {error}");
            self.note(Fault::Refused, Err::<(), _>(what));
        }
        let garbage = self.load.kv.stats().garbage_bytes;
        if garbage > self.load.limit / HELD_SHARE {
            Counts::count(&self.counts.held);
        } else {
            Counts::count(&self.counts.refused);
        }
    }

    fn note<T>(&mut self, fault: Fault, result: Result<T, String>) {
        if let Err(what) = result {
            self.tally.faults.note(fault, what);
        }
    }
}
