//! Waiting for messages, in threads and in tasks.

use super::{DAY, HOUR, after, drain, enqueue, limited_to, listener, ms, next, text, timed};
use crate::support::assert_refused;
use crate::support::threads::{race, unstuck, wait_until};
use bytes::Bytes;
use futures_core::Stream;
use futures_core::stream::FusedStream;
use kvick::{Delivery, ErrorKind, Kv, Listener, Message, Messages, NewValue, Queue, Value};
use std::collections::HashSet;
use std::num::NonZero;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

/// A task of an executor that never runs it: how often it was woken.
#[derive(Default)]
struct Task {
    woken: AtomicUsize,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, Ordering::Relaxed);
    }
}

impl Task {
    fn poll(self: &Arc<Self>, listener: &mut Listener) -> Poll<Option<Message>> {
        let waker = Waker::from(Arc::clone(self));
        let mut context = Context::from_waker(&waker);
        Pin::new(listener).poll_next(&mut context)
    }

    /// Waits for a message that is not there.
    fn waiting(listener: &mut Listener) -> Arc<Self> {
        let task = Arc::<Self>::default();
        assert!(task.poll(listener).is_pending());
        task
    }

    fn was_woken(&self) -> usize {
        self.woken.swap(0, Ordering::Relaxed)
    }
}

#[test]
fn listeners_and_messages_can_be_sent_and_shared() {
    fn is_shared<T: Send + Sync + 'static>() {}
    is_shared::<Listener>();
    is_shared::<Message>();
    is_shared::<Messages>();
    is_shared::<Queue>();
    is_shared::<Delivery>();
}

#[test]
fn a_task_is_woken_once_for_each_message_and_no_other_with_it() {
    // Q09
    let (kv, clock) = timed();
    let mut listeners = [listener(&kv), listener(&kv.clone()), listener(&kv)];
    let tasks = listeners.each_mut().map(Task::waiting);
    let woken = || tasks.each_ref().map(|task| task.was_woken());
    // Waiting again is waiting where it was.
    assert!(tasks[0].poll(&mut listeners[0]).is_pending());
    enqueue(&kv, "one", Delivery::default());
    assert_eq!(woken(), [1, 0, 0]);
    enqueue(&kv, "late", after(ms(5)));
    assert_eq!(woken(), [0, 0, 0]);
    clock.advance(ms(5));
    kv.sweep();
    assert_eq!(woken(), [0, 1, 0]);
    let Poll::Ready(Some(one)) = tasks[0].poll(&mut listeners[0]) else {
        panic!("it was woken for it");
    };
    assert_eq!(text(&one), "one");
    one.finish().unwrap();
    // The second goes, and the third is woken instead.
    let [_, second, mut third] = listeners;
    drop(second);
    assert_eq!(woken(), [0, 0, 1]);
    assert_eq!(drain(&mut third), ["late"]);
}

#[test]
fn tasks_wait_for_their_turn_and_are_woken_for_it() {
    // Q10
    let (kv, _) = limited_to(1);
    let mut listeners = [listener(&kv), listener(&kv)];
    enqueue(&kv, "one", Delivery::default());
    enqueue(&kv, "two", Delivery::default());
    let one = next(&mut listeners[0]).expect("it is due");
    let task = Task::waiting(&mut listeners[1]);
    one.finish().unwrap();
    assert_eq!(task.was_woken(), 1);
    let Poll::Ready(Some(two)) = task.poll(&mut listeners[1]) else {
        panic!("it was woken for it");
    };
    assert_eq!(text(&two), "two");
    let task = Task::waiting(&mut listeners[0]);
    enqueue(&kv, "three", Delivery::default());
    assert_eq!(task.was_woken(), 0);
    two.fail();
    assert_eq!(task.was_woken(), 1);
    assert_eq!(drain(&mut listeners[0]), ["three"]);
}

#[test]
fn a_task_that_does_not_come_is_done_without() {
    // Q09
    let (kv, clock) = timed();
    let mut listeners = [listener(&kv), listener(&kv)];
    let tasks = listeners.each_mut().map(Task::waiting);
    enqueue(&kv, "one", Delivery::default());
    kv.sweep();
    clock.advance(ms(49));
    kv.sweep();
    assert_eq!(tasks.each_ref().map(|task| task.was_woken()), [1, 0]);
    clock.advance(ms(1));
    kv.sweep();
    assert_eq!(tasks.each_ref().map(|task| task.was_woken()), [0, 1]);
    assert!(tasks[1].poll(&mut listeners[1]).is_ready());
    assert!(tasks[0].poll(&mut listeners[0]).is_pending());
}

#[test]
fn a_thread_waits_for_what_comes() {
    // Q02
    let (kv, clock) = timed();
    let mut waiting = listener(&kv);
    let (enqueues, moves) = (kv.clone(), Arc::clone(&clock));
    let received = unstuck(move || {
        thread::scope(|scope| {
            let receiving = scope.spawn(|| {
                let now = waiting.recv().map(|message| text(&message));
                let late = waiting.recv().map(|message| text(&message));
                (now, late, waiting)
            });
            enqueue(&enqueues, "now", Delivery::default().backoff([]));
            wait_until(|| enqueues.queue("").is_empty());
            enqueue(&enqueues, "late", after(ms(1_000)));
            moves.advance(ms(1_000));
            receiving.join().expect("it does not panic")
        })
    });
    let (now, late, mut waiting) = received;
    assert_eq!((now.unwrap(), late.unwrap()), ("now".into(), "late".into()));
    // "late" was dropped.
    assert_eq!(
        waiting.recv_timeout(Duration::ZERO).unwrap().map(drop),
        None
    );
    clock.advance(ms(100));
    let again = waiting.recv_timeout(Duration::MAX).unwrap();
    assert_eq!(again.map(|message| message.attempt()), Some(2));
    drop(kv);
}

#[test]
fn a_thread_waits_no_longer_than_it_wants() {
    // Q02
    let (kv, clock) = timed();
    let mut waiting = listener(&kv);
    enqueue(&kv, "late", after(30 * DAY));
    unstuck(move || {
        // By the system's clock: that of the database stands still.
        assert!(waiting.recv_timeout(ms(5)).unwrap().is_none());
        assert!(waiting.recv_timeout(Duration::ZERO).unwrap().is_none());
        // And by no other: that of the database goes on beyond all patience.
        thread::scope(|scope| {
            let receiving = scope.spawn(|| waiting.recv_timeout(3 * HOUR).map(|got| got.is_some()));
            for _ in 0..30 * 24 {
                assert!(!receiving.is_finished());
                clock.advance(HOUR);
            }
            assert!(receiving.join().expect("it does not panic").unwrap());
        });
    });
}

#[test]
fn what_is_delayed_comes_by_itself() {
    // Q02, Q11
    for is_swept in [true, false] {
        let kv = Kv::builder().background_sweep(is_swept).build();
        let mut listener = kv.queue("").listen().unwrap();
        let attempts = unstuck(move || {
            let delivery = after(ms(20)).backoff([ms(5)]);
            kv.enqueue("late", delivery).unwrap();
            let first = listener.recv().unwrap().attempt();
            (first, listener.recv().unwrap().attempt())
        });
        assert_eq!(attempts, (1, 2));
    }
    // A task is woken by the background sweep.
    let kv = Kv::new();
    let mut listener = kv.queue("").listen().unwrap();
    let task = Task::waiting(&mut listener);
    kv.enqueue("late", after(ms(1))).unwrap();
    wait_until(|| task.was_woken() == 1);
    assert!(task.poll(&mut listener).is_ready());
}

#[test]
fn several_listeners_share_the_messages_and_none_comes_twice() {
    // Q09, Q10
    const LISTENERS: usize = 4;
    const EACH: u64 = 500;
    const AT_ONCE: usize = 3;
    let kv = Kv::builder()
        .queue_concurrency(NonZero::new(AT_ONCE).expect("it is not 0"))
        .build();
    let (handled_at_once, producing) = (AtomicUsize::new(0), AtomicUsize::new(LISTENERS));
    let received = race(2 * LISTENERS, |index| {
        let mut received = Vec::new();
        if index < LISTENERS {
            for number in 0..EACH {
                let number = EACH * index as u64 + number;
                kv.enqueue(number, Delivery::default()).unwrap();
            }
            if producing.fetch_sub(1, Ordering::SeqCst) == 1 {
                wait_until(|| kv.queue("").is_empty());
                kv.close();
            }
            return received;
        }
        for message in kv.queue("").listen().unwrap() {
            let at_once = 1 + handled_at_once.fetch_add(1, Ordering::SeqCst);
            assert!(at_once <= AT_ONCE, "{at_once}");
            received.extend(message.payload().as_u64());
            handled_at_once.fetch_sub(1, Ordering::SeqCst);
            message.finish().unwrap();
        }
        received
    });
    // In the order of their commits, so far as each listener can tell.
    for received in &received {
        for producer in 0..LISTENERS as u64 {
            let of_producer = received.iter().filter(|number| **number / EACH == producer);
            assert!(of_producer.is_sorted());
        }
    }
    let all = received.concat();
    assert_eq!(all.len() as u64, EACH * LISTENERS as u64);
    let distinct: HashSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
}

#[test]
fn close_ends_the_listeners_and_keeps_what_is_unfinished() {
    // Q12, A17
    let (kv, _) = timed();
    let mut listeners = [listener(&kv), listener(&kv), listener(&kv)];
    for name in ["finished", "kept", "dropped", "waiting"] {
        enqueue(&kv, name, Delivery::default().backoff([]));
    }
    let mut messages = listeners.each_mut().map(next).into_iter().flatten();
    messages.next().expect("there are four").finish().unwrap();
    let kept = messages.next().expect("there are three");
    drop(messages);
    assert_eq!(drain(&mut listeners[0]), ["waiting"]);
    enqueue(
        &kv,
        "waiting",
        Delivery::default().keys_if_undelivered(["dead"]),
    );
    let mut waiting = kv.queue("other").listen().unwrap();
    let task = Task::waiting(&mut waiting);
    let blocked = unstuck(move || {
        let mut blocked = kv.queue("blocked").listen().unwrap();
        thread::scope(|scope| {
            let ended = scope.spawn(|| blocked.recv().map(drop));
            kv.close();
            kv.close();
            (ended.join().expect("it does not panic"), kv.clone())
        })
    });
    let (ended, kv) = blocked;
    assert_refused(ended, ErrorKind::Closed, "Queue already closed");
    assert_eq!(task.was_woken(), 1);
    assert!(matches!(task.poll(&mut waiting), Poll::Ready(None)));
    assert!(matches!(task.poll(&mut waiting), Poll::Ready(None)));
    assert_eq!(waiting.into_iter().count(), 0);
    let [mut one, other, _] = listeners;
    assert_refused(one.try_recv(), ErrorKind::Closed, "Queue already closed");
    let timeout = one.recv_timeout(ms(1));
    assert_refused(timeout, ErrorKind::Closed, "Queue already closed");
    assert_eq!(other.into_iter().count(), 0);
    for queue in [kv.queue(""), kv.queue("new")] {
        assert_refused(queue.listen(), ErrorKind::Closed, "Queue already closed");
    }
    let refused = kv.enqueue("more", Delivery::default());
    assert_refused(refused, ErrorKind::Closed, "closed");
    // What was being handled counts as not delivered.
    assert_eq!(kv.queue("").len(), 2);
    assert_refused(kept.finish(), ErrorKind::Closed, "Queue already closed");
    assert_eq!(kv.queue("").stats().ready_count, 2);
    assert_eq!(kv.queue("").peek(), Some(Value::from("kept")));
}

#[test]
fn a_message_that_fails_after_close_is_kept_as_it_was() {
    // Q12
    let (kv, _) = timed();
    let delivery = Delivery::default()
        .backoff([])
        .keys_if_undelivered(["dead"]);
    enqueue(&kv, "kept", delivery);
    let message = next(&mut listener(&kv)).expect("it is due");
    kv.close();
    drop(message);
    assert_eq!(kv.queue("").stats().ready_count, 1);
    assert_eq!(kv.stats().entry_count, 0);
}

#[test]
fn messages_stay_for_others_when_a_handle_and_its_listeners_go() {
    // Q09, Q12
    let (kv, _) = timed();
    let other = kv.clone();
    enqueue(&kv, "one", Delivery::default().backoff([ms(0)]));
    enqueue(&kv, "two", Delivery::default());
    let mut gone = listener(&kv);
    let message = next(&mut gone).expect("it is due");
    drop((kv, gone, message));
    let mut listener = listener(&other);
    let again = next(&mut listener).expect("its attempt has failed");
    assert_eq!((text(&again), again.attempt()), ("one".into(), 2));
    again.finish().unwrap();
    assert_eq!(drain(&mut listener), ["two"]);
}

#[test]
fn listeners_end_and_messages_go_when_the_last_handle_is_gone() {
    // Q12: as watches do, and without a close.
    let dropped = Arc::new(());
    let payload = || Bytes::from_owner(Payload(Arc::clone(&dropped)));
    let (kv, _) = timed();
    for _ in 0..3 {
        kv.enqueue(payload(), Delivery::default().backoff([]))
            .unwrap();
    }
    let mut listeners = [listener(&kv), listener(&kv)];
    let [one, other] = listeners.each_mut().map(next);
    let mut waiting = kv.queue("other").listen().unwrap();
    let task = Task::waiting(&mut waiting);
    let mut blocked = kv.queue("blocked").listen().unwrap();
    let queue = kv.queue("");
    drop(kv);
    // A queue is a handle.
    assert!(!waiting.is_terminated());
    assert_eq!((task.was_woken(), queue.len()), (0, 3));
    let ended = unstuck(move || {
        thread::scope(|scope| {
            let ended = scope.spawn(|| blocked.recv().map(drop));
            drop(queue);
            ended.join().expect("it does not panic")
        })
    });
    assert_refused(ended, ErrorKind::Closed, "Queue already closed");
    assert_eq!(task.was_woken(), 1);
    assert!(waiting.is_terminated());
    assert!(matches!(task.poll(&mut waiting), Poll::Ready(None)));
    let [mut listener, _] = listeners;
    assert_refused(
        listener.try_recv(),
        ErrorKind::Closed,
        "Queue already closed",
    );
    // Only what is in hand is still there, and leads nowhere.
    assert_eq!(Arc::strong_count(&dropped), 3);
    let finished = one.expect("it was due").finish();
    assert_refused(finished, ErrorKind::Closed, "Queue already closed");
    drop((other, listener));
    assert_eq!(Arc::strong_count(&dropped), 1);
}

/// A payload that tells how many of it there are.
struct Payload(#[expect(dead_code, reason = "it is counted")] Arc<()>);

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        &[1; 2_000]
    }
}

#[test]
fn a_listener_is_terminated_when_nothing_comes_any_more() {
    // Q12
    let (kv, _) = timed();
    enqueue(&kv, "one", Delivery::default());
    let mut listener = listener(&kv);
    assert!(!listener.is_terminated());
    let task = Arc::<Task>::default();
    assert!(task.poll(&mut listener).is_ready());
    assert!(task.poll(&mut listener).is_pending());
    assert!(!listener.is_terminated(), "there may be more");
    kv.close();
    assert!(listener.is_terminated());
    assert!(matches!(task.poll(&mut listener), Poll::Ready(None)));
    assert!(listener.is_terminated());
}

#[test]
fn a_task_whose_listener_takes_without_it_is_woken_to_ask_again() {
    // Q09: what a task was promised is not swallowed by who takes without waiting.
    let (kv, clock) = timed();
    let mut waiting = listener(&kv);
    let task = Task::waiting(&mut waiting);
    // Nothing is there: it waits on.
    assert!(next(&mut waiting).is_none());
    enqueue(&kv, "one", Delivery::default());
    assert_eq!(task.was_woken(), 1);
    assert_eq!(drain(&mut waiting), ["one"]);
    assert_eq!(task.was_woken(), 0);
    // Before anybody was called for it.
    for take in [Listener::try_recv, |listener: &mut Listener| {
        listener.recv_timeout(Duration::ZERO)
    }] {
        assert!(task.poll(&mut waiting).is_pending());
        enqueue(&kv, "late", after(ms(5)));
        clock.advance(ms(5));
        let late = take(&mut waiting).unwrap().expect("it is due");
        assert_eq!(task.was_woken(), 1);
        assert!(task.poll(&mut waiting).is_pending());
        late.finish().unwrap();
    }
    enqueue(&kv, "two", Delivery::default());
    assert_eq!(task.was_woken(), 1);
}

#[test]
fn a_task_that_does_not_come_keeps_no_other_from_the_next_message() {
    // Q09: without anybody who looks after the time.
    let (kv, _) = timed();
    let mut listeners = [listener(&kv), listener(&kv), listener(&kv)];
    let tasks = listeners.each_mut().map(Task::waiting);
    let woken = || tasks.each_ref().map(|task| task.was_woken());
    let mut faster = listener(&kv);
    enqueue(&kv, "one", Delivery::default());
    assert_eq!(woken(), [1, 0, 0]);
    assert_eq!(drain(&mut faster), ["one"]);
    enqueue(&kv, "two", Delivery::default());
    assert_eq!(woken(), [0, 1, 0]);
    enqueue(&kv, "three", Delivery::default());
    assert_eq!(woken(), [0, 0, 1]);
    assert!(tasks[2].poll(&mut listeners[2]).is_ready());
}

#[test]
fn room_that_is_made_is_not_left_to_a_task_that_does_not_come() {
    // Q09, Q10: also where the thread that keeps time has had nothing to do before.
    let kv = Kv::builder()
        .queue_concurrency(NonZero::new(1).expect("it is not 0"))
        .build();
    enqueue(&kv, "one", Delivery::default());
    enqueue(&kv, "two", Delivery::default());
    let one = next(&mut listener(&kv)).expect("it is due");
    let mut listeners = [listener(&kv), listener(&kv)];
    let tasks = listeners.each_mut().map(Task::waiting);
    // It serves all engines one after the other: after twice it has been here.
    for _ in 0..2 {
        let other = Kv::new();
        let soon = NewValue::from("value").expire_in(ms(1));
        other.set("key", soon).unwrap();
        wait_until(|| other.stats().expired_count == 1);
    }
    one.finish().unwrap();
    wait_until(|| tasks[1].was_woken() == 1);
    assert_eq!(tasks[0].was_woken(), 1);
    assert!(tasks[1].poll(&mut listeners[1]).is_ready());
}

#[test]
fn queues_that_nobody_uses_are_forgotten() {
    let kv = Kv::builder().background_sweep(false).build();
    let kept = Delivery::default().queue("kept");
    kv.enqueue("kept", kept).unwrap();
    let held = kv.queue("held");
    for number in 0..10_000 {
        let name = format!("{number}");
        kv.enqueue("", Delivery::default().queue(&*name)).unwrap();
        assert_eq!(drain(&mut kv.queue(&*name).listen().unwrap()), [""]);
    }
    kv.sweep();
    assert_eq!(kv.stats().message_count, 1);
    assert_eq!(kv.queue("kept").peek(), Some(Value::from("kept")));
    kv.enqueue("", Delivery::default().queue("held")).unwrap();
    assert_eq!(held.len(), 1);
}

/// A waker that uses the database, in every way that takes a lock.
struct Nosy {
    kv: Kv,
    woken: AtomicUsize,
}

impl Wake for Nosy {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, Ordering::Relaxed);
        let _ = self.kv.delete_range(());
        let _ = self.kv.enqueue("", Delivery::default().queue("nosy"));
        self.kv.sweep();
        assert!(self.kv.stats().message_count > 0);
    }
}

#[test]
fn a_waker_may_use_the_database() {
    // Q09
    let woken = unstuck(|| {
        let (kv, clock) = limited_to(1);
        let nosy = Arc::new(Nosy {
            kv: kv.clone(),
            woken: AtomicUsize::new(0),
        });
        let waker = Waker::from(Arc::clone(&nosy));
        let mut context = Context::from_waker(&waker);
        let mut waiting = listener(&kv);
        let mut wait = || Pin::new(&mut waiting).poll_next(&mut context);
        let mut woken = Vec::new();
        let mut note = || woken.push(nosy.woken.swap(0, Ordering::Relaxed));
        // A commit of a message alone, and one with keys.
        assert!(wait().is_pending());
        enqueue(&kv, "peeked", Delivery::default());
        note();
        let mut other = listener(&kv);
        let first = next(&mut other).expect("it is due");
        assert!(wait().is_pending());
        let both = kv
            .atomic()
            .set("key", 1_u64)
            .enqueue("peeked", Delivery::default())
            .commit();
        assert!(both.unwrap().is_committed());
        note();
        // A message that is finished makes room, and so does one that fails.
        first.finish().unwrap();
        note();
        let second = next(&mut other).expect("it is due");
        assert!(wait().is_pending());
        enqueue(&kv, "peeked", after(ms(10)));
        second.fail();
        clock.advance(ms(10));
        kv.sweep();
        note();
        // A listener that goes, and the end.
        drop(waiting);
        note();
        woken
    });
    assert_eq!(woken, [1, 0, 1, 1, 0]);
}

/// A payload that uses the database when it is dropped.
struct Caller {
    kv: Kv,
    dropped: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Caller {
    fn as_ref(&self) -> &[u8] {
        &[0; 10]
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        let _ = self.kv.enqueue("", Delivery::default().queue("dropped"));
        let _ = self.kv.delete_range(());
        self.kv.sweep();
    }
}

#[test]
fn a_payload_may_use_the_database_as_it_is_dropped() {
    // Q07
    let dropped = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&dropped);
    unstuck(move || {
        let (kv, _) = timed();
        let payload = || {
            let (kv, dropped) = (kv.clone(), Arc::clone(&counted));
            Bytes::from_owner(Caller { kv, dropped })
        };
        let mut listener = listener(&kv);
        let dropped = |count| assert_eq!(counted.load(Ordering::Relaxed), count);
        // Refused, in conflict, finished, forgotten.
        let once = || Delivery::default().backoff([]);
        kv.enqueue(payload(), after(31 * DAY))
            .map(drop)
            .unwrap_err();
        dropped(1);
        let mut operation = kv.atomic();
        operation.check_exists("none").enqueue(payload(), once());
        assert!(!operation.commit().unwrap().is_committed());
        drop(operation);
        dropped(2);
        kv.enqueue(payload(), once()).unwrap();
        next(&mut listener).expect("it is due").finish().unwrap();
        dropped(3);
        kv.enqueue(payload(), once()).unwrap();
        next(&mut listener).expect("it is due").fail();
        dropped(4);
    });
    assert_eq!(dropped.load(Ordering::Relaxed), 4);
}

#[test]
fn a_queue_is_in_the_order_of_the_versionstamps() {
    // Q03: also where commits meet, and those who read one enqueue at once.
    const PRODUCERS: usize = 4;
    const EACH: u64 = 300;
    let kv = Kv::new();
    let orders = race(PRODUCERS + 1, |index| {
        let mut order = Vec::new();
        if index == PRODUCERS {
            let mut listener = kv.queue("").listen().unwrap();
            while order.len() as u64 != EACH * PRODUCERS as u64 {
                let message = listener.recv().unwrap();
                order.push((message.versionstamp(), message.index(), text(&message)));
                message.finish().unwrap();
            }
            return order;
        }
        for _ in 0..EACH {
            let done = kv.transact(|tx| {
                let count = match index {
                    0 => tx.list("counts").count()? as u64,
                    _ => tx.get("count")?.as_u64().unwrap_or(0),
                };
                if index > 1 {
                    tx.set("count", count + 1);
                    tx.set(("counts", count), 1_u64);
                }
                tx.enqueue(format!("{index} {count:05}"), Delivery::default());
                Ok(())
            });
            assert!(done.unwrap().is_committed());
        }
        order
    });
    let order = orders.concat();
    assert_eq!(order.len() as u64, EACH * PRODUCERS as u64);
    assert!(order.is_sorted_by(|one, other| one.0 < other.0));
    // What the commits counted is in the order of the messages too.
    let counts = order.iter().map(|(_, _, text)| &text[2..]);
    assert!(counts.is_sorted());
}

/// A task that panics when it is woken.
struct Bad;

impl Wake for Bad {
    fn wake(self: Arc<Self>) {
        panic!("a waker may panic");
    }
}

#[test]
fn a_waker_that_panics_keeps_nobody_from_being_woken() {
    // Q09, Q13: nor from enqueueing, nor from closing.
    let (kv, _clock) = timed();
    let mut bad = [listener(&kv), listener(&kv)];
    let waker = Waker::from(Arc::new(Bad));
    for listener in &mut bad {
        let mut context = Context::from_waker(&waker);
        assert!(Pin::new(listener).poll_next(&mut context).is_pending());
    }
    let mut good = [listener(&kv), listener(&kv)];
    let tasks = good.each_mut().map(Task::waiting);
    let messages = |op: &mut kvick::AtomicOp<'_>, count: usize| {
        for _ in 0..count {
            op.enqueue("message", Delivery::default());
        }
    };
    let mut op = kv.atomic();
    messages(&mut op, 3);
    assert!(op.commit().is_ok_and(|outcome| outcome.is_committed()));
    assert_eq!(tasks.each_ref().map(|task| task.was_woken()), [1, 0]);
    kv.close();
    assert_eq!(tasks[1].was_woken(), 1);
}
