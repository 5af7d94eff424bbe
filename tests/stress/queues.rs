//! Many messages through several listeners: none is lost, and none comes twice without a cause.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use futures_core::Stream;
use kvick::{Delivery, Kv, Listener, Message};
use rand::RngExt;

use crate::support::{Alone, Tracker, eventually, random, scaled, settle, threads};

const LISTENERS: usize = 4;
const PRODUCERS: usize = 2;

/// Enqueues the numbers below `count`, by several threads, and has as many listeners as there are in
/// `listen` handle them; what each returned. The queue is closed when it is empty.
fn run<R: Send>(
    kv: &Kv,
    count: usize,
    enqueue: impl Fn(u64) + Sync,
    listen: impl Fn(Listener) -> R + Sync,
) -> Vec<R> {
    let producing = AtomicUsize::new(PRODUCERS);
    let results = threads(PRODUCERS + LISTENERS, |index| {
        if index >= PRODUCERS {
            return Some(listen(kv.queue("").listen().unwrap()));
        }
        for number in (index..count).step_by(PRODUCERS) {
            enqueue(number as u64);
        }
        if producing.fetch_sub(1, Ordering::AcqRel) == 1 {
            let queue = kv.queue("");
            eventually(|| queue.is_empty(), || format!("{:?}", queue.stats()));
            kv.close();
        }
        None
    });
    results.into_iter().flatten().collect()
}

fn number(message: &Message) -> usize {
    let number = message.payload().as_u64().unwrap();
    usize::try_from(number).unwrap()
}

/// That every number below `count` was received once, and by each listener, those of one producer in
/// their order; how many each received.
fn assert_each_once(received: &[Vec<usize>], count: usize) -> Vec<usize> {
    let mut times = vec![0_u8; count];
    for received in received {
        for producer in 0..PRODUCERS {
            let of_one = received
                .iter()
                .filter(|number| **number % PRODUCERS == producer);
            assert!(of_one.is_sorted());
        }
        for number in received {
            times[*number] += 1;
        }
    }
    assert!(times.iter().all(|times| *times == 1));
    received.iter().map(Vec::len).collect()
}

fn a_second(count: usize, elapsed: Duration) -> u128 {
    count as u128 * 1_000_000 / elapsed.as_micros().max(1)
}

#[test]
fn messages_reach_one_of_several_threads_each() {
    // Q09
    let alone = Alone::begin();
    let count = scaled(20_000);
    let kv = Kv::new();
    let begin = Instant::now();
    let received = run(
        &kv,
        count,
        |number| {
            kv.enqueue(number, Delivery::default()).unwrap();
        },
        |listener| {
            let handled = listener.into_iter().map(|message| {
                let number = number(&message);
                message.finish().unwrap();
                number
            });
            handled.collect::<Vec<_>>()
        },
    );
    let elapsed = begin.elapsed();
    let shares = assert_each_once(&received, count);
    println!(
        "{count} messages of {PRODUCERS} producers through {LISTENERS} threads in {elapsed:?}: {} a second, \
         {shares:?}",
        a_second(count, elapsed)
    );
    assert_eq!(kv.stats().message_bytes, 0);
    drop((kv, received));
    alone.leaves_nothing();
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a stream to its end on this thread, which is all of an executor that it needs.
fn for_each(mut listener: Listener, mut handle: impl FnMut(Message)) {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match Pin::new(&mut listener).poll_next(&mut context) {
            Poll::Ready(Some(message)) => handle(message),
            Poll::Ready(None) => return,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn messages_reach_one_of_several_tasks_each() {
    // Q09
    let alone = Alone::begin();
    let count = scaled(20_000);
    let kv = Kv::new();
    let begin = Instant::now();
    let received = run(
        &kv,
        count,
        |number| {
            kv.enqueue(number, Delivery::default()).unwrap();
        },
        |listener| {
            let mut received = Vec::new();
            for_each(listener, |message| {
                received.push(number(&message));
                message.finish().unwrap();
            });
            received
        },
    );
    let elapsed = begin.elapsed();
    let shares = assert_each_once(&received, count);
    println!(
        "{count} messages of {PRODUCERS} producers through {LISTENERS} tasks in {elapsed:?}: {} a second, \
         {shares:?}",
        a_second(count, elapsed)
    );
    drop((kv, received));
    alone.leaves_nothing();
}

/// How often the attempts at a message fail: one in seven once, and one in seventy twice, which is
/// as often as it is tried.
fn failures(number: usize) -> u32 {
    u32::from(number.is_multiple_of(7)) + u32::from(number.is_multiple_of(70))
}

#[test]
fn messages_that_fail_are_tried_again_or_written_and_nothing_is_left() {
    // Q07, Q09, Q11, Q13
    let alone = Alone::begin();
    let count = scaled(5_000);
    let tracker = Tracker::default();
    let kv = Kv::new();
    let enqueue = |number: u64| {
        let delivery = Delivery::default()
            .delay(Duration::from_micros(number % 3_000))
            .backoff([Duration::from_millis(number % 3)])
            .keys_if_undelivered([("dead", number)]);
        let mut operation = kv.atomic();
        operation.set(("enqueued", number), tracker.value(1, 1_100));
        operation.enqueue(number, delivery);
        assert!(operation.commit().unwrap().is_committed());
    };
    let handled_by_each = run(&kv, count, enqueue, |mut listener| {
        let mut random = random(0);
        let mut handled = Vec::new();
        while let Ok(message) = listener.recv() {
            let number = number(&message);
            assert!(kv.get(("enqueued", number as u64)).unwrap().exists());
            if message.attempt() <= failures(number) {
                drop(message);
            } else {
                handled.push(number);
                message.finish().unwrap();
            }
            // Now and then a listener goes, and another comes.
            if random.random_ratio(1, 10) {
                match kv.queue("").listen() {
                    Ok(another) => listener = another,
                    Err(_) => break,
                }
            }
        }
        handled
    });
    let mut handled = handled_by_each.concat();
    drop(handled_by_each);
    handled.sort_unstable();
    let expected = (0..count).filter(|number| failures(*number) < 2);
    assert!(handled.iter().copied().eq(expected));
    let stats = kv.stats();
    let dead = count.div_ceil(70);
    assert_eq!(stats.entry_count, count + dead);
    assert_eq!((stats.message_count, stats.message_bytes), (0, 0));
    settle(&kv);
    drop((kv, handled));
    tracker.waits_for(0);
    alone.leaves_nothing();
}
