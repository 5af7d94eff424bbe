//! Random operations on queues, beside a model that is a list.

use super::{ms, next, text};
use crate::support::everything;
use crate::support::seeds::for_seeds;
use kvick::{Delivery, Kv, Listener, ManualClock, Message};
use rand::RngExt;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

const NAMES: [&str; 3] = ["", "a", "b"];
const CONCURRENCY: usize = 3;

/// A message as the model knows it.
#[derive(Clone, Debug)]
struct Expected {
    due_ms: u64,
    /// By the order of the enqueues.
    number: usize,
    intervals_ms: Vec<u64>,
    attempt: u32,
    key: Option<u64>,
}

#[derive(Default)]
struct Model {
    now_ms: u64,
    enqueued: usize,
    waiting: [Vec<Expected>; 3],
    entries: BTreeMap<u64, String>,
}

impl Model {
    /// What a listener of a queue has to get.
    fn take(&mut self, queue: usize) -> Option<Expected> {
        let due = |message: &&Expected| message.due_ms <= self.now_ms;
        let first = self.waiting[queue].iter().filter(due);
        let first = first.min_by_key(|message| (message.due_ms, message.number));
        let number = first?.number;
        let place = self.waiting[queue]
            .iter()
            .position(|message| message.number == number)?;
        Some(self.waiting[queue].swap_remove(place))
    }

    fn fail(&mut self, queue: usize, mut message: Expected) {
        let interval = message.intervals_ms.get(message.attempt as usize - 1);
        if let Some(interval) = interval {
            message.due_ms = self.now_ms + interval;
            message.attempt += 1;
            self.waiting[queue].push(message);
        } else if let Some(key) = message.key {
            self.entries.insert(key, message.number.to_string());
        }
    }
}

struct Run {
    random: StdRng,
    kv: Kv,
    clock: Arc<ManualClock>,
    listeners: [Listener; 3],
    handled: [Vec<(Message, Expected)>; 3],
    model: Model,
}

impl Run {
    fn new(random: StdRng) -> Self {
        let clock = Arc::new(ManualClock::default());
        let kv = Kv::builder()
            .clock(Arc::<ManualClock>::clone(&clock))
            .background_sweep(false)
            .queue_concurrency(NonZero::new(CONCURRENCY).expect("it is not 0"))
            .build();
        Self {
            random,
            listeners: NAMES.map(|name| kv.queue(name).listen().expect("it is open")),
            kv,
            clock,
            handled: Default::default(),
            model: Model::default(),
        }
    }

    fn enqueue(&mut self) {
        let mut operation = self.kv.atomic();
        let is_refused = self.random.random_ratio(1, 5);
        if is_refused {
            operation.check_exists("nothing");
        }
        for _ in 0..self.random.random_range(1..4) {
            let queue = self.random.random_range(0..3);
            let delay_ms = if self.random.random() {
                self.random.random_range(0..20)
            } else {
                0
            };
            let intervals = self.random.random_range(0..3);
            let intervals_ms: Vec<u64> = (0..intervals)
                .map(|_| self.random.random_range(0..10))
                .collect();
            let key = self.random.random::<bool>();
            let key = key.then(|| self.random.random_range(0..5));
            let delivery = Delivery::default()
                .queue(NAMES[queue])
                .delay(ms(delay_ms))
                .backoff(intervals_ms.iter().copied().map(ms))
                .keys_if_undelivered(key);
            let number = self.model.enqueued;
            self.model.enqueued += 1;
            operation.enqueue(number.to_string(), delivery);
            if !is_refused {
                self.model.waiting[queue].push(Expected {
                    due_ms: self.model.now_ms + delay_ms,
                    number,
                    intervals_ms,
                    attempt: 1,
                    key,
                });
            }
        }
        let outcome = operation.commit().expect("nothing is refused");
        assert_eq!(outcome.is_committed(), !is_refused);
    }

    fn take(&mut self) {
        let queue = self.random.random_range(0..3);
        let taken = next(&mut self.listeners[queue]);
        if self.handled[queue].len() == CONCURRENCY {
            assert!(taken.is_none());
            return;
        }
        let expected = self.model.take(queue);
        let told = taken
            .as_ref()
            .map(|message| (text(message), message.attempt()));
        let wanted = expected
            .as_ref()
            .map(|message| (message.number.to_string(), message.attempt));
        assert_eq!(told, wanted, "queue {queue} at {}", self.model.now_ms);
        self.handled[queue].extend(taken.zip(expected));
    }

    fn end(&mut self) {
        let queue = self.random.random_range(0..3);
        let handled = self.handled[queue].len();
        if handled == 0 {
            return;
        }
        let one = self.random.random_range(0..handled);
        let (message, expected) = self.handled[queue].swap_remove(one);
        if self.random.random() {
            message.finish().expect("the engine is open");
        } else {
            drop(message);
            self.model.fail(queue, expected);
        }
    }

    fn check(&self) {
        for (queue, name) in NAMES.iter().enumerate() {
            let stats = self.kv.queue(name).stats();
            let waiting = &self.model.waiting[queue];
            let is_due = |message: &&Expected| message.due_ms <= self.model.now_ms;
            let due = waiting.iter().filter(is_due).count();
            assert_eq!(stats.ready_count, due);
            assert_eq!(stats.delayed_count, waiting.len() - due);
            assert_eq!(stats.running_count, self.handled[queue].len());
        }
        let entries = everything(&self.kv).into_iter();
        let values = entries.map(|entry| entry.as_str().map(str::to_owned));
        let expected = self.model.entries.values().cloned().map(Some);
        assert!(values.eq(expected));
    }
}

#[test]
fn random_operations_agree_with_a_list() {
    // Q01 to Q03, Q06, Q07, Q10, Q11
    let test = "queue::model::random_operations_agree_with_a_list";
    for_seeds(test, 100, 300, |random, steps| {
        let mut run = Run::new(random);
        for _ in 0..steps {
            match run.random.random_range(0..10) {
                0..3 => run.enqueue(),
                3..6 => run.take(),
                6..8 => run.end(),
                8 => {
                    run.model.now_ms += run.random.random_range(0..5);
                    run.clock.set(Duration::from_millis(run.model.now_ms));
                }
                _ => run.kv.sweep(),
            }
            run.check();
        }
    });
}
