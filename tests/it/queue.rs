//! Queues (Q01 to Q14, K09), by a clock that the tests move.

mod limits;
mod listeners;
mod model;
mod undelivered;

use crate::support::{assert_refused, committed, conflict, everything};
use kvick::{Delivery, ErrorKind, Kv, Listener, ManualClock, Message, Outcome, Queue, Value};
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn limited_to(concurrency: usize) -> (Kv, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let kv = Kv::builder()
        .clock(Arc::<ManualClock>::clone(&clock))
        .background_sweep(false)
        .queue_concurrency(NonZero::new(concurrency).expect("it is not 0"))
        .build();
    (kv, clock)
}

fn timed() -> (Kv, Arc<ManualClock>) {
    limited_to(100)
}

fn listener(kv: &Kv) -> Listener {
    kv.queue("").listen().expect("a queue can be listened to")
}

fn enqueue(kv: &Kv, payload: &str, delivery: Delivery) {
    kv.enqueue(payload, delivery).expect("it can be enqueued");
}

fn after(delay: Duration) -> Delivery {
    Delivery::default().delay(delay)
}

/// The next message, if it is due.
fn next(listener: &mut Listener) -> Option<Message> {
    listener.try_recv().expect("the engine is open")
}

fn text(message: &Message) -> String {
    message.payload().as_str().expect("it is a text").to_owned()
}

/// The texts of all messages that are due, each finished as it comes.
fn drain(listener: &mut Listener) -> Vec<String> {
    let messages = std::iter::from_fn(|| next(listener));
    let texts = messages.map(|message| {
        let text = text(&message);
        message.finish().expect("the engine is open");
        text
    });
    texts.collect()
}

#[test]
fn a_message_is_delivered_only_after_its_commit() {
    // Q01, A02, A07, D1
    let (kv, _) = timed();
    let mut listener = listener(&kv);
    kv.set("text", "no number").unwrap();
    let before = kv.stats();
    let failed = kv
        .atomic()
        .check_absent("text")
        .enqueue("failed check", Delivery::default())
        .commit();
    assert_eq!(conflict(failed), [0]);
    let refused = kv
        .atomic()
        .set("new", 1_u64)
        .sum("text", 1)
        .enqueue("error", Delivery::default())
        .commit();
    assert_refused(refused, ErrorKind::TypeMismatch, "sum");
    let aborted = kv.transact(|tx| {
        tx.enqueue("abort", Delivery::default());
        tx.abort::<()>("no")
    });
    assert!(!aborted.unwrap().is_committed());
    assert!(next(&mut listener).is_none());
    assert_eq!(kv.stats().commit_count, before.commit_count);
    assert_eq!(everything(&kv).len(), 1);

    let mut operation = kv.atomic();
    operation
        .check_exists("text")
        .set("new", 1_u64)
        .enqueue("one", Delivery::default())
        .enqueue("two", Delivery::default());
    let versionstamp = committed(operation.commit());
    let message = next(&mut listener).expect("it has been committed");
    assert_eq!((text(&message), message.attempt()), ("one".into(), 1));
    assert_eq!((message.versionstamp(), message.index()), (versionstamp, 0));
    assert_eq!(
        kv.get("new").unwrap().versionstamp(),
        Some(message.versionstamp())
    );
    message.finish().unwrap();
    let message = next(&mut listener).expect("there were two");
    assert_eq!((message.versionstamp(), message.index()), (versionstamp, 1));
    message.finish().unwrap();
    // The operation can be committed again, with its messages.
    assert!(operation.commit().unwrap().versionstamp() > Some(versionstamp));
    assert_eq!(drain(&mut listener), ["one", "two"]);
}

#[test]
fn a_transaction_enqueues_with_what_it_writes() {
    // Q01
    let (kv, _) = timed();
    let mut listener = listener(&kv);
    let mut attempts = 0;
    let done = kv.transact(|tx| {
        attempts += 1;
        let count = tx.list("counted").count()?;
        tx.get("read")?;
        tx.enqueue(format!("{count} at {attempts}"), Delivery::default());
        if attempts == 1 {
            kv.set(("counted", 1), 1_u64)?;
        }
        Ok(())
    });
    assert!(done.unwrap().is_committed());
    assert_eq!(drain(&mut listener), ["1 at 2"]);
    // With ranges and writes, and without either.
    let done = kv.transact(|tx| {
        tx.list("counted").count()?;
        tx.set(("counted", 2), 1_u64);
        tx.enqueue("ranged", Delivery::default());
        Ok(())
    });
    assert!(done.unwrap().is_committed());
    let done = kv.transact(|tx| {
        tx.enqueue("alone", Delivery::default());
        Ok(())
    });
    assert!(done.unwrap().is_committed());
    assert_eq!(drain(&mut listener), ["ranged", "alone"]);
}

#[test]
fn enqueues_are_commits_like_others() {
    // Q01
    let (kv, _) = timed();
    let first = kv.set("key", 1_u64).unwrap();
    let second = kv.enqueue("message", Delivery::default()).unwrap();
    let third = committed(kv.atomic().enqueue("other", Delivery::default()).commit());
    assert!(first < second && second < third);
    assert_eq!(kv.stats().commit_count, 3);
    assert_eq!(kv.stats().latest, third);
    assert_eq!(kv.stats().message_count, 2);
    assert!(kv.stats().message_bytes >= 2 * "message".len());
    assert_eq!(drain(&mut listener(&kv)), ["message", "other"]);
    assert_eq!(kv.stats().message_count, 0);
    assert_eq!(kv.stats().message_bytes, 0);
}

#[test]
fn a_delay_is_kept_and_overtaken() {
    // Q02
    let (kv, clock) = timed();
    let mut listener = listener(&kv);
    enqueue(&kv, "late", after(ms(1_000)));
    enqueue(&kv, "soon", after(ms(10)));
    enqueue(&kv, "now", after(Duration::ZERO));
    assert_eq!(drain(&mut listener), ["now"]);
    clock.advance(ms(9));
    assert!(next(&mut listener).is_none());
    enqueue(&kv, "later and yet before", Delivery::default());
    assert_eq!(drain(&mut listener), ["later and yet before"]);
    clock.advance(ms(1));
    assert_eq!(drain(&mut listener), ["soon"]);
    clock.advance(ms(989));
    assert!(next(&mut listener).is_none());
    clock.advance(ms(1));
    assert_eq!(drain(&mut listener), ["late"]);
    // What is less than a millisecond is not less than it says.
    enqueue(&kv, "short", after(Duration::from_nanos(1)));
    assert!(next(&mut listener).is_none());
    clock.advance(ms(1));
    assert_eq!(drain(&mut listener), ["short"]);
}

#[test]
fn nothing_is_early_where_the_clock_goes_back() {
    // Q02
    let (kv, clock) = timed();
    let mut listener = listener(&kv);
    clock.set(ms(100));
    enqueue(&kv, "at 100", Delivery::default());
    clock.set(ms(40));
    enqueue(&kv, "at 110", after(ms(10)).backoff([ms(5)]));
    enqueue(&kv, "at 40", Delivery::default());
    assert_eq!(drain(&mut listener), ["at 100", "at 40"]);
    clock.set(ms(109));
    assert!(next(&mut listener).is_none());
    clock.set(ms(110));
    let message = next(&mut listener).expect("it is due");
    clock.set(ms(0));
    drop(message);
    clock.set(ms(114));
    assert!(next(&mut listener).is_none());
    clock.set(ms(115));
    assert_eq!(drain(&mut listener), ["at 110"]);
}

#[test]
fn what_is_due_in_one_millisecond_comes_in_the_order_of_the_commits() {
    // Q03
    let (kv, clock) = timed();
    let mut listener = listener(&kv);
    enqueue(&kv, "0", after(ms(5)));
    clock.advance(ms(2));
    kv.atomic()
        .enqueue("1", after(ms(3)))
        .enqueue("2", after(ms(3)))
        .enqueue("before", after(ms(1)))
        .commit()
        .map(|outcome| assert!(outcome.is_committed()))
        .unwrap();
    clock.advance(ms(3));
    enqueue(&kv, "3", Delivery::default());
    enqueue(&kv, "4", Delivery::default());
    clock.set(Duration::ZERO);
    // A clock that goes back does not put anything before what was there.
    enqueue(&kv, "5", Delivery::default());
    assert_eq!(
        drain(&mut listener),
        ["before", "0", "1", "2", "3", "4", "5"]
    );
}

/// When each attempt at a message comes that always fails, by the clock.
fn attempts_of(delivery: Delivery) -> Vec<Duration> {
    let (kv, clock) = timed();
    let mut listener = listener(&kv);
    enqueue(&kv, "failing", delivery);
    let (mut now, mut attempts) = (Duration::ZERO, Vec::new());
    while now < ms(200_000) {
        while let Some(message) = next(&mut listener) {
            attempts.push(now);
            assert_eq!(message.attempt() as usize, attempts.len());
            if attempts.len().is_multiple_of(2) {
                message.fail();
            }
        }
        now += ms(1);
        clock.set(now);
    }
    assert!(kv.queue("").is_empty());
    attempts
}

#[test]
fn attempts_are_as_many_as_intervals_and_one() {
    // Q06
    assert_eq!(
        attempts_of(Delivery::default().backoff([ms(1)])),
        [ms(0), ms(1)]
    );
    assert_eq!(attempts_of(Delivery::default().backoff([])), [ms(0)]);
    let again = Delivery::default().delay(ms(3)).backoff([ms(0), ms(20)]);
    assert_eq!(attempts_of(again), [ms(3), ms(3), ms(23)]);
    let attempts = attempts_of(Delivery::default());
    let intervals = [100, 1_000, 5_000, 30_000, 60_000].map(ms);
    let gaps = attempts
        .windows(2)
        .map(|pair| pair[1].saturating_sub(pair[0]));
    assert_eq!(gaps.collect::<Vec<_>>(), intervals);
    assert_eq!(attempts.iter().filter(|at| **at < ms(10_000)).count(), 4);
}

#[test]
fn a_message_is_nobody_elses_while_it_is_kept() {
    // Q11, D3, D4
    let (kv, clock) = timed();
    let mut listener = listener(&kv);
    enqueue(&kv, "long", Delivery::default());
    let message = next(&mut listener).expect("it is due");
    for _ in 0..10 {
        clock.advance(DAY);
        kv.sweep();
        assert!(next(&mut listener).is_none());
    }
    assert_eq!(kv.queue("").stats().running_count, 1);
    drop(message);
    assert!(next(&mut listener).is_none());
    clock.advance(ms(99));
    assert!(next(&mut listener).is_none());
    clock.advance(ms(1));
    let message = next(&mut listener).expect("its interval has passed");
    assert_eq!(message.attempt(), 2);
    message.finish().unwrap();
    clock.advance(DAY);
    assert!(next(&mut listener).is_none());
    assert!(kv.queue("").is_empty());
}

#[test]
fn no_more_messages_are_handled_at_once_than_may_be() {
    // Q10, D3
    let (kv, clock) = timed();
    for number in 0..300 {
        enqueue(&kv, &number.to_string(), Delivery::default());
    }
    let mut listeners = [listener(&kv), listener(&kv.clone()), listener(&kv)];
    let mut handled = Vec::new();
    for turn in 0.. {
        match next(&mut listeners[turn % 3]) {
            Some(message) => handled.push(message),
            None => break,
        }
    }
    assert_eq!(handled.len(), 100);
    assert_eq!(kv.queue("").stats().running_count, 100);
    assert_eq!(kv.queue("").len(), 300);
    // Another queue has its own.
    kv.enqueue("other", Delivery::default().queue("other"))
        .unwrap();
    let mut other = kv.queue("other").listen().unwrap();
    assert!(next(&mut other).is_some());
    assert!(next(&mut listeners[0]).is_none());
    // One that is finished makes room for one, and so does one that fails.
    handled.pop().expect("there are 100").finish().unwrap();
    handled.push(next(&mut listeners[1]).expect("there is room"));
    assert!(next(&mut listeners[2]).is_none());
    handled.pop().expect("there are 100").fail();
    handled.push(next(&mut listeners[2]).expect("there is room"));
    clock.advance(ms(100));
    assert!(next(&mut listeners[0]).is_none());
    drop(handled);
    assert!(next(&mut listeners[0]).is_some());
}

#[test]
fn queues_have_names_and_know_nothing_of_each_other() {
    // Q09
    let (kv, _) = timed();
    let both = kv
        .atomic()
        .enqueue("to b", Delivery::default().queue("b"))
        .enqueue("to none", Delivery::default())
        .enqueue("to a", Delivery::default().queue("a"))
        .enqueue("to b too", Delivery::default().queue("b"))
        .commit();
    let versionstamp = committed(both);
    let queues: [Queue; 3] = ["", "a", "b"].map(|name| kv.queue(name));
    assert_eq!(queues.each_ref().map(Queue::len), [1, 1, 2]);
    assert_eq!(queues[2].peek(), Some(Value::from("to b")));
    assert_eq!(queues[2].name(), "b");
    let other_handle = kv.clone();
    let mut listener = other_handle.queue("b").listen().unwrap();
    let message = next(&mut listener).expect("it is due");
    assert_eq!((message.queue(), text(&message)), ("b", "to b".into()));
    assert_eq!(message.versionstamp(), versionstamp);
    message.finish().unwrap();
    assert_eq!(queues[2].peek(), Some(Value::from("to b too")));
    assert_eq!(drain(&mut listener), ["to b too"]);
    assert_eq!(queues.each_ref().map(Queue::len), [1, 1, 0]);
    assert_eq!(queues[2].peek(), None);
    assert_eq!(drain(&mut kv.queue("a").listen().unwrap()), ["to a"]);
}

#[test]
fn a_queue_tells_what_it_holds() {
    let (kv, clock) = limited_to(1);
    let queue = kv.queue("mail");
    assert_eq!(queue.stats(), kv.queue("none").stats());
    let mail = || Delivery::default().queue("mail");
    kv.enqueue(vec![7; 1_000], mail().delay(ms(5))).unwrap();
    kv.enqueue("now", mail()).unwrap();
    let stats = queue.stats();
    assert_eq!((stats.ready_count, stats.delayed_count), (1, 1));
    assert!((1_000..2_000).contains(&stats.bytes), "{stats:?}");
    assert_eq!(queue.peek(), Some(Value::from("now")));
    let message = queue.listen().unwrap().try_recv().unwrap();
    assert_eq!(queue.stats().running_count, 1);
    clock.advance(ms(5));
    assert_eq!(queue.stats().ready_count, 1);
    assert_eq!(queue.len(), 2);
    // It is not its turn yet, and can be seen.
    assert_eq!(queue.peek().map(|payload| payload.len()), Some(1_000));
    assert_eq!(format!("{queue:?}"), "Queue(\"mail\")");
    assert_eq!(
        format!("{:?}", queue.listen().unwrap()),
        "Listener(\"mail\")"
    );
    let shown = format!("{:?}", message.expect("it was due"));
    for part in ["Message", "mail", "Bytes(3 bytes)", "attempt: 1"] {
        assert!(shown.contains(part), "{shown}");
    }
}

#[test]
fn who_may_not_write_enqueues_and_listens_to_nothing() {
    // A17
    let (kv, _) = timed();
    let reader = kv.read_only();
    let refused = reader.enqueue("", Delivery::default());
    assert_refused(refused, ErrorKind::ReadOnly, "read-only");
    let refused = reader.atomic().enqueue("", Delivery::default()).commit();
    assert_refused(refused, ErrorKind::ReadOnly, "read-only");
    let refused = reader.transact(|tx| {
        tx.enqueue("", Delivery::default());
        Ok(())
    });
    assert_refused(refused, ErrorKind::ReadOnly, "read-only");
    assert_refused(reader.queue("").listen(), ErrorKind::ReadOnly, "read-only");
    enqueue(&kv, "seen", Delivery::default());
    assert_eq!(reader.queue("").peek(), Some(Value::from("seen")));
    assert_eq!(reader.queue("").len(), 1);
    let committed: Outcome = kv.atomic().commit().unwrap();
    assert!(committed.is_committed());
}
