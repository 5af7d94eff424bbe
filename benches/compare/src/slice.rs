//! A slice: one subject at one workload for a while.
//!
//! Operations come in batches. The keys of a batch are built before its time is taken, and are few
//! enough to stay in the nearest cache: an array of a million keys would take the caches away from
//! the stores. The time is that of the wall clock: a subject that has threads of its own cannot hide
//! what they do.

use crate::draw::{Distribution, Random};
use crate::keys;
use crate::store::{Pair, Store};
use crate::subject::Subject;
use crate::workload::{Form, Mix, Workload};
use std::hint::black_box;
use std::ops::AddAssign;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

/// How much longer a slice may last than what is timed of it: keys are drawn, and what was deleted
/// is set again.
const WALL_FACTOR: u32 = 6;

/// How many fresh stores are kept at most.
const FILLED_MAX: usize = 32;

/// Of a hundred requests of a cache, so many are for what nobody has asked for before, nearly always.
const COLD: u32 = 10;

/// What a slice is to do.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) workload: Workload,
    pub(crate) distribution: Distribution,
    pub(crate) threads: u32,
    pub(crate) time: Duration,
    /// The most that a slice may insert into the store.
    pub(crate) insert_max: u32,
}

/// Operations, and the time they took.
#[derive(Clone, Copy, Debug, Default)]
struct Timed {
    operations: u32,
    time: Duration,
}

impl AddAssign for Timed {
    fn add_assign(&mut self, other: Self) {
        self.operations += other.operations;
        self.time += other.time;
    }
}

impl Timed {
    fn per_second(self) -> f64 {
        f64::from(self.operations) / self.time.as_secs_f64().max(1e-9)
    }
}

/// Runs a slice. The result is in nanoseconds for an operation: with several threads, those after
/// which some thread has completed another.
pub(crate) fn run<S: Store>(subject: &Subject<S>, task: &Task) -> f64 {
    let throughput = if task.threads == 1 {
        Worker::new(subject, task).run().per_second()
    } else {
        let barrier = Barrier::new(task.threads as usize);
        let work = || {
            let worker = Worker::new(subject, task);
            barrier.wait();
            worker.run().per_second()
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..task.threads).map(|_| scope.spawn(work)).collect();
            let throughputs = workers.into_iter().map(ScopedJoinHandle::join);
            throughputs.map(|it| it.expect("no worker panics")).sum()
        })
    };
    1e9 / throughput
}

/// One thread of a slice.
struct Worker<'a, S: Store> {
    subject: &'a Subject<S>,
    task: &'a Task,
    random: Random,
    keys: Vec<S::Key>,
    numbers: Vec<f64>,
    steps: Vec<Step<S::Key>>,
    values: Pair,
    inserted: Vec<u32>,
    /// Those that were inserted into. To drop one leaves work to whoever comes next.
    filled: Vec<Subject<S>>,
}

/// An operation of a mix.
enum Step<K> {
    Read(K),
    Update(K),
    Insert(K),
    Scan(K, usize),
    Modify(K),
}

impl<'a, S: Store> Worker<'a, S> {
    fn new(subject: &'a Subject<S>, task: &'a Task) -> Self {
        static SEED: AtomicU64 = AtomicU64::new(0);
        Self {
            subject,
            task,
            // The same keys again would be those that the caches still hold.
            random: Random::new(SEED.fetch_add(1, Ordering::Relaxed)),
            keys: Vec::new(),
            numbers: Vec::new(),
            steps: Vec::new(),
            values: [subject.value.to_vec(), subject.value.to_vec()],
            inserted: Vec::new(),
            filled: Vec::new(),
        }
    }

    fn run(mut self) -> Timed {
        let begin = Instant::now();
        let mut sum = Timed::default();
        let insert_max = (self.task.insert_max / self.task.threads).max(1) as usize;
        while sum.time < self.task.time && begin.elapsed() < self.task.time * WALL_FACTOR {
            sum += self.batch();
            if self.inserted.len() >= insert_max {
                if self.task.workload == Workload::InsertNew {
                    break;
                }
                self.subject.forget(&self.inserted);
                self.inserted.clear();
            }
        }
        self.subject.keep_inserted(&mut self.inserted);
        sum
    }

    fn batch(&mut self) -> Timed {
        let (store, value) = (&self.subject.store, self.subject.value);
        let count = self.task.workload.batch();
        self.keys.clear();
        match self.task.workload {
            Workload::InsertNew => self.insert_new(),
            Workload::GetHit => {
                self.draw_entries(count);
                timed(&self.keys, |key| look(store, key))
            }
            Workload::GetMiss => {
                for _ in 0..count {
                    let index = self.random.below(self.subject.size);
                    self.keys.push(S::key(&keys::missing(index)));
                }
                timed(&self.keys, |key| look(store, key))
            }
            Workload::GetBuilt => {
                let (random, distribution) = (&mut self.random, &self.task.distribution);
                let numbers = (0..count).map(|_| keys::number(random.index(distribution)));
                self.numbers.clear();
                self.numbers.extend(numbers);
                timed(&self.numbers, |number| {
                    store.look_built(*number, |value| value[0])
                })
            }
            Workload::SetExisting => {
                self.draw_entries(count);
                timed(&self.keys, |key| store.set(key, value))
            }
            Workload::Delete => {
                let count = count.min(self.subject.size / 4);
                self.subject.draw_deleted(count, &mut self.keys);
                let sum = timed(&self.keys, |key| store.delete(key));
                self.keys.iter().for_each(|key| store.insert(key, value));
                sum
            }
            Workload::ReadCheckSet => {
                self.draw_entries(count);
                let [scratch, _] = &mut self.values;
                timed(&self.keys, |key| store.modify(key, scratch))
            }
            Workload::Transfer => {
                self.draw_pairs(count);
                let values = &mut self.values;
                let (pairs, _) = self.keys.as_chunks::<2>();
                timed(pairs, |[from, to]| store.transfer(from, to, values))
            }
            Workload::HotCounter => {
                self.keys.push(S::key(&keys::counter()));
                let key = &self.keys[0];
                timed(&[(); 256], |()| store.count(key))
            }
            Workload::GetMany10 => {
                self.draw_entries(count * 10);
                let (tens, _) = self.keys.as_chunks::<10>();
                timed(tens, |keys| store.get_many(keys))
            }
            Workload::List100 => self.list(count, 100),
            Workload::List10000 => self.list(count, 10_000),
            Workload::Ycsb(mix) => self.mixed(mix, count),
            Workload::ReadThrough(form) => {
                self.draw_requested(count);
                match form {
                    Form::GetOrLoad => timed(&self.keys, |key| store.get_or_load(key, value)),
                    Form::GetThenSet => timed(&self.keys, |key| get_then_set(store, key, value)),
                }
            }
        }
    }

    fn draw_entries(&mut self, count: u32) {
        for _ in 0..count {
            let index = self.random.index(&self.task.distribution);
            self.keys.push(S::key(&keys::entry(index)));
        }
    }

    /// What a cache is asked for that holds what the distribution has, and nothing else that is drawn.
    fn draw_requested(&mut self, count: u32) {
        for _ in 0..count {
            let key = if self.random.below(100) < COLD {
                keys::missing(self.random.below(u32::MAX))
            } else {
                keys::entry(self.random.index(&self.task.distribution))
            };
            self.keys.push(S::key(&key));
        }
    }

    /// Each key is another than the one that it is paired with.
    fn draw_pairs(&mut self, count: u32) {
        for _ in 0..count {
            let from = self.random.index(&self.task.distribution);
            let mut to = self.random.index(&self.task.distribution);
            if from == to {
                to = (from + 1) % self.subject.size;
            }
            let pair = [from, to].map(|index| S::key(&keys::entry(index)));
            self.keys.extend(pair);
        }
    }

    /// From random keys on, after which there are so many entries, unless the store is smaller.
    fn list(&mut self, count: u32, len: u32) -> Timed {
        let last = self.subject.size.saturating_sub(len);
        for _ in 0..count {
            let index = self.random.index(&self.task.distribution).min(last);
            self.keys.push(S::key(&keys::entry(index)));
        }
        let store = &self.subject.store;
        timed(&self.keys, |start| store.list(start, len as usize))
    }

    /// At first what grows a store by a quarter; of a small one, in which that is quickly done, that
    /// is a fresh one each time.
    fn insert_new(&mut self) -> Timed {
        let Self { subject, task, .. } = *self;
        let value = subject.value;
        if task.insert_max >= task.workload.batch() {
            let (keys, inserted) = (&mut self.keys, &mut self.inserted);
            subject.draw_inserted(task.workload.batch(), |number, key| {
                keys.push(key);
                inserted.push(number);
            });
            return timed(&self.keys, |key| subject.store.insert(key, value));
        }
        let fresh = Subject::<S>::filled(subject.size, value);
        fresh.draw_inserted(subject.size / 4, |_, key| self.keys.push(key));
        let sum = timed(&self.keys, |key| fresh.store.insert(key, value));
        if self.filled.len() == FILLED_MAX {
            self.filled.clear();
        }
        self.filled.push(fresh);
        sum
    }

    fn mixed(&mut self, mix: Mix, count: u32) -> Timed {
        self.steps.clear();
        for _ in 0..count {
            let step = self.step(mix);
            self.steps.push(step);
        }
        let (store, value) = (&self.subject.store, self.subject.value);
        let [scratch, _] = &mut self.values;
        timed(&self.steps, |step| match step {
            Step::Read(key) => {
                black_box(look(store, key));
            }
            Step::Update(key) => store.set(key, value),
            Step::Insert(key) => store.insert(key, value),
            Step::Scan(start, len) => {
                black_box(store.list(start, *len));
            }
            Step::Modify(key) => store.modify(key, scratch),
        })
    }

    fn step(&mut self, mix: Mix) -> Step<S::Key> {
        let mut drawn = self.random.below(100);
        let mut is = |share: u32| {
            let is = drawn < share;
            drawn = drawn.wrapping_sub(share);
            is
        };
        if is(mix.insert) {
            let mut drawn = None;
            self.subject.draw_inserted(1, |number, key| {
                self.inserted.push(number);
                drawn = Some(Step::Insert(key));
            });
            return drawn.expect("one is drawn");
        }
        let index = self.random.index(&self.task.distribution);
        let key = S::key(&keys::entry(index));
        if is(mix.read) {
            Step::Read(key)
        } else if is(mix.update) {
            Step::Update(key)
        } else if is(mix.scan) {
            Step::Scan(key, self.random.below(100) as usize + 1)
        } else {
            Step::Modify(key)
        }
    }
}

/// Asks a cache for so many batches, and sets what it does not have; the share that it had. No time is
/// taken.
pub(crate) fn hits<S: Store>(subject: &Subject<S>, task: &Task, batches: u32) -> f64 {
    let mut worker = Worker::new(subject, task);
    let (mut hits, batch) = (0, task.workload.batch());
    for _ in 0..batches {
        worker.keys.clear();
        worker.draw_requested(batch);
        let found =
            (worker.keys.iter()).filter_map(|key| get_then_set(&subject.store, key, subject.value));
        hits += u32::try_from(found.count()).unwrap_or(0);
    }
    f64::from(hits) / f64::from(batches * batch)
}

/// The first byte of a value; where there is none, it is set, as what is new.
#[inline]
fn get_then_set<S: Store>(store: &S, key: &S::Key, value: &[u8]) -> Option<u8> {
    let found = look(store, key);
    if found.is_none() {
        store.insert(key, value);
    }
    found
}

#[inline]
fn look<S: Store>(store: &S, key: &S::Key) -> Option<u8> {
    store.look(key, |value| value[0])
}

/// Takes the time of an operation on each of what was drawn.
fn timed<T, R>(drawn: &[T], mut operation: impl FnMut(&T) -> R) -> Timed {
    let begin = Instant::now();
    for one in drawn {
        black_box(operation(black_box(one)));
    }
    let time = begin.elapsed();
    Timed {
        operations: u32::try_from(drawn.len()).unwrap_or(u32::MAX),
        time,
    }
}
