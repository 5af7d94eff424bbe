//! What becomes of messages that nobody can handle.

use super::{drain, enqueue, listener, ms, next, timed};
use crate::support::allocations::{refuse_one, was_refused};
use crate::support::threads::{race, wait_until};
use crate::support::{assert_refused, everything};
use kvick::{Delivery, ErrorKind, Key, Kv, Limits, Listener, NewValue, Value};
use std::panic::{self, AssertUnwindSafe};

fn once(keys: &[&str]) -> Delivery {
    Delivery::default()
        .backoff([])
        .keys_if_undelivered(keys.iter().copied())
}

/// Fails the message that is due.
fn fail(listener: &mut Listener) {
    next(listener).expect("one is due").fail();
}

#[test]
fn an_undelivered_message_is_written_to_its_keys() {
    // Q07, D1
    let (kv, clock) = timed();
    let mut listener = listener(&kv);
    let old = kv.set("a", 1_u64).unwrap();
    let delivery = once(&["a", "b", "a"]).backoff([ms(1)]);
    kv.enqueue(NewValue::v8(b"\xff\x0f0"), delivery).unwrap();
    let first = listener.try_recv().unwrap().expect("it is due");
    assert!(!first.is_last_attempt());
    drop(first);
    assert!(kv.get("b").unwrap().is_missing());
    clock.advance(ms(1));
    let before = kv.stats().commit_count;
    let second = listener.try_recv().unwrap().expect("it is due");
    assert!(second.is_last_attempt());
    drop(second);
    let (a, b) = (kv.get("a").unwrap(), kv.get("b").unwrap());
    assert_eq!(
        a.value(),
        Some(&Value::V8(b"\xff\x0f0".as_slice().to_owned().into()))
    );
    assert_eq!(a.value(), b.value());
    assert_eq!(a.versionstamp(), b.versionstamp());
    assert!(a.versionstamp() > Some(old));
    assert_eq!(kv.stats().commit_count, before + 1);
    assert!(kv.queue("").is_empty());
    // A value like any other.
    kv.delete("b").unwrap();
    assert_eq!(everything(&kv).len(), 1);
}

#[test]
fn a_watch_is_shown_the_dead_letter() {
    // Q08: all keys at once, by the version that they got.
    let (kv, _clock) = timed();
    let mut listener = listener(&kv);
    let mut watch = kv.watch(["a", "b"]).unwrap().into_iter();
    assert!(watch.try_recv().unwrap().is_some());
    kv.enqueue("message", once(&["a", "b"])).unwrap();
    assert_eq!(watch.try_recv().unwrap(), None);
    fail(&mut listener);
    let emission = watch.try_recv().unwrap().unwrap();
    assert_eq!(emission.changed, [0, 1]);
    for entry in &emission.entries {
        assert_eq!(entry.as_str(), Some("message"));
        assert_eq!(entry.versionstamp(), Some(emission.versionstamp));
    }
    assert_eq!(watch.try_recv().unwrap(), None);
}

#[test]
fn who_sees_the_dead_letter_finds_the_message_gone() {
    // Q07
    const ROUNDS: u64 = 500;
    let kv = Kv::new();
    race(2, |index| {
        let queue = kv.queue("");
        let mut listener = queue.listen().unwrap();
        for round in 0..ROUNDS {
            if index == 0 {
                let delivery = Delivery::default().backoff([]);
                kv.enqueue(round, delivery.keys_if_undelivered([round]))
                    .unwrap();
                fail(&mut listener);
                wait_until(|| kv.get(("seen", round)).unwrap().exists());
            } else {
                wait_until(|| kv.get(round).unwrap().exists());
                assert_eq!(queue.len(), 0);
                kv.set(("seen", round), 1_u64).unwrap();
            }
        }
    });
}

#[test]
fn a_payload_is_written_as_the_kind_that_it_is() {
    // Q07
    let (kv, clock) = timed();
    let mut listener = listener(&kv);
    let large = Value::from(vec![7; 60_000]);
    for value in [Value::from("text"), Value::from(7_u64), large] {
        // That it is to expire says nothing to a message.
        let payload = NewValue::from(&value).expire_in(ms(1));
        kv.enqueue(payload, once(&["dead"])).unwrap();
        fail(&mut listener);
        clock.advance(ms(1_000));
        assert_eq!(kv.get("dead").unwrap().value(), Some(&value));
    }
}

#[test]
fn a_message_without_keys_is_forgotten_and_mints_a_version() {
    // Q07
    let (kv, _) = timed();
    let mut listener = listener(&kv);
    enqueue(&kv, "gone", once(&[]));
    let before = kv.stats();
    fail(&mut listener);
    assert!(kv.stats().latest > before.latest);
    assert_eq!(kv.stats().message_count, 0);
    assert_eq!(everything(&kv), []);
}

#[test]
fn keys_of_undelivered_messages_are_keys_that_can_be_written() {
    // K09
    let (kv, _) = timed();
    let refused = |keys: &[Key], kind, text| {
        let delivery = || Delivery::default().keys_if_undelivered(keys.iter().cloned());
        assert_refused(kv.enqueue("", delivery()), kind, text);
        let operation = kv.atomic().enqueue("", delivery()).commit();
        assert_refused(operation, kind, text);
    };
    refused(
        &[Key::from("a"), Key::from(())],
        ErrorKind::KeyEmpty,
        "key cannot be empty",
    );
    refused(
        &[Key::raw(vec![1; 2_049])],
        ErrorKind::KeyTooLarge,
        "Key too large for write (max 2048 bytes)",
    );
    let keys: Vec<_> = (0..11_u64).map(Key::from).collect();
    refused(
        &keys,
        ErrorKind::InvalidEnqueue,
        "Too many keysIfUndelivered (max 10): got 11",
    );
    assert!(kv.queue("").is_empty());
    let delivery = Delivery::default().keys_if_undelivered(keys[1..].iter().cloned());
    enqueue(&kv, "", delivery.backoff([]));
    fail(&mut listener(&kv));
    assert_eq!(everything(&kv).len(), 10);
}

#[test]
fn a_panic_or_an_error_is_a_failed_attempt_and_the_listener_goes_on() {
    // Q13
    let (kv, clock) = timed();
    let mut listener = listener(&kv);
    enqueue(&kv, "panics", once(&["dead"]).backoff([ms(5)]));
    enqueue(&kv, "errs", once(&["dead too"]));
    let caught = panic::catch_unwind(AssertUnwindSafe(|| {
        let _message = next(&mut listener);
        panic::resume_unwind(Box::new("of the handler"));
    }));
    assert!(caught.is_err());
    let handle = |listener: &mut Listener| -> kvick::Result<()> {
        let message = listener.try_recv()?;
        kv.set((), "an empty key")?;
        message.map_or(Ok(()), kvick::Message::finish)
    };
    assert_refused(handle(&mut listener), ErrorKind::KeyEmpty, "");
    assert_eq!(kv.get("dead too").unwrap().as_str(), Some("errs"));
    assert!(next(&mut listener).is_none());
    clock.advance(ms(5));
    assert_eq!(drain(&mut listener), ["panics"]);
    assert!(kv.get("dead").unwrap().is_missing());
}

#[test]
fn what_cannot_be_written_for_want_of_memory_is_kept_until_it_can() {
    // Q07
    let clock = std::sync::Arc::new(kvick::ManualClock::default());
    let kv = Kv::builder()
        .limits(Limits::unlimited())
        .clock(std::sync::Arc::<kvick::ManualClock>::clone(&clock))
        .background_sweep(false)
        .build();
    let mut listener = listener(&kv);
    let keys: Vec<_> = (0..1_000_u64).map(Key::from).collect();
    let delivery = Delivery::default().backoff([]);
    enqueue(&kv, "dead", delivery.keys_if_undelivered(keys));
    let before = kv.stats();
    let message = next(&mut listener).expect("it is due");
    // The list of what is to be written.
    refuse_one(4_096, 0);
    message.fail();
    assert!(was_refused());
    let stats = kv.stats();
    assert_eq!((stats.commit_count, stats.entry_count), (1, 0));
    assert_eq!(stats.message_bytes, before.message_bytes);
    assert_eq!(kv.queue("").stats().undelivered_count, 1);
    // Its attempts are over.
    clock.advance(ms(999));
    kv.sweep();
    assert!(next(&mut listener).is_none());
    assert_eq!(kv.stats().entry_count, 0);
    clock.advance(ms(1));
    refuse_one(4_096, 1);
    kv.sweep();
    assert!(was_refused());
    assert_eq!(kv.stats().entry_count, 0);
    clock.advance(ms(1_000));
    kv.sweep();
    assert_eq!(kv.stats().entry_count, 1_000);
    assert_eq!(kv.get(999_u64).unwrap().as_str(), Some("dead"));
    assert_eq!(kv.stats().message_count, 0);
    assert_eq!(kv.stats().message_bytes, 0);
}

#[test]
fn a_message_for_which_there_is_no_memory_is_refused() {
    // Q01, A07
    let (kv, _) = timed();
    let payload = vec![b'p'; 60_000];
    refuse_one(4_096, 0);
    let refused = kv.enqueue(&payload, Delivery::default());
    assert!(was_refused());
    assert_refused(refused, ErrorKind::OutOfMemory, "60000 bytes");
    let mut operation = kv.atomic();
    for number in 0..1_000_u64 {
        operation.enqueue(number, Delivery::default());
    }
    let mut granted = 0;
    loop {
        refuse_one(4_096, granted);
        let outcome = operation.commit();
        if !was_refused() {
            assert!(outcome.unwrap().is_committed());
            break;
        }
        assert_refused(outcome, ErrorKind::OutOfMemory, "out of memory");
        assert_eq!((kv.stats().message_count, kv.stats().commit_count), (0, 0));
        granted += 1;
    }
    assert!(granted >= 2, "{granted}");
    assert_eq!(kv.stats().message_count, 1_000);
}
