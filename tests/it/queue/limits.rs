//! What messages are limited to.

use super::{DAY, HOUR, after, drain, enqueue, listener, ms, next, timed};
use crate::support::assert_refused;
use kvick::{Delivery, ErrorKind, Key, Kv, Limits, NewValue, Value};
use std::time::Duration;

#[test]
fn delays_have_a_longest() {
    // Q04: what is negative or no number is no Duration.
    let (kv, clock) = timed();
    let before = kv.stats();
    let refused = kv.enqueue("", after(30 * DAY + ms(1)));
    let text = "Delay too long (max 2592000000 ms): got 2592000001 ms";
    assert_refused(refused, ErrorKind::InvalidEnqueue, text);
    let refused = kv.enqueue("", after(30 * DAY + Duration::from_nanos(1)));
    assert_refused(refused, ErrorKind::InvalidEnqueue, text);
    let refused = kv
        .atomic()
        .set("key", 1_u64)
        .enqueue("", after(31 * DAY))
        .commit();
    assert_refused(refused, ErrorKind::InvalidEnqueue, "Delay too long");
    let refused = kv.transact(|tx| {
        tx.enqueue("", after(31 * DAY));
        Ok(())
    });
    assert_refused(refused, ErrorKind::InvalidEnqueue, "Delay too long");
    assert_eq!(kv.stats(), before);
    enqueue(&kv, "in a month", after(30 * DAY));
    clock.set(29 * DAY + 23 * HOUR);
    let mut listener = listener(&kv);
    clock.advance(HOUR.saturating_sub(ms(1)));
    assert!(next(&mut listener).is_none());
    clock.advance(ms(1));
    assert_eq!(drain(&mut listener), ["in a month"]);
}

#[test]
fn schedules_have_a_most_and_a_longest() {
    // Q05
    let (kv, _) = timed();
    let six = Delivery::default().backoff([ms(1); 6]);
    let text = "Invalid backoffSchedule, max 5 intervals allowed: got 6";
    assert_refused(kv.enqueue("", six), ErrorKind::InvalidEnqueue, text);
    let long = Delivery::default().backoff([HOUR + ms(1), HOUR + ms(2)]);
    let text =
        "Invalid backoffSchedule, interval at index 0 is invalid (max 3600000 ms): got 3600001 ms";
    assert_refused(kv.enqueue("", long), ErrorKind::InvalidEnqueue, text);
    let long = Delivery::default().backoff([HOUR, ms(0), HOUR + ms(1)]);
    let text = "interval at index 2 is invalid";
    assert_refused(kv.enqueue("", long), ErrorKind::InvalidEnqueue, text);
    assert!(kv.queue("").is_empty());
    enqueue(&kv, "", Delivery::default().backoff([HOUR; 5]));
}

#[test]
fn payloads_have_a_largest() {
    // Q14
    let (kv, _) = timed();
    let largest = vec![b'p'; 65_536];
    kv.enqueue(&largest, Delivery::default()).unwrap();
    kv.enqueue(NewValue::v8(&largest), Delivery::default())
        .unwrap();
    let text = "Enqueue payload too large (max 65536 bytes): got 65537 bytes";
    let larger = vec![b'p'; 65_537];
    let refused = kv.enqueue(&larger, Delivery::default());
    assert_refused(refused, ErrorKind::InvalidEnqueue, text);
    let refused = kv
        .atomic()
        .set("key", 1_u64)
        .enqueue(&larger, Delivery::default())
        .commit();
    assert_refused(refused, ErrorKind::InvalidEnqueue, text);
    assert!(kv.get("key").unwrap().is_missing());
    assert_eq!(kv.queue("").len(), 2);
    let mut listener = listener(&kv);
    let message = next(&mut listener).expect("it was accepted");
    assert_eq!(message.payload(), &Value::from(&largest[..]));
    let message = next(&mut listener).expect("it was accepted");
    assert_eq!(message.payload(), &Value::V8(largest.into()));
}

#[test]
fn messages_count_to_the_limits_of_their_operation() {
    // L03, L04
    let (kv, _) = timed();
    let mut operation = kv.atomic();
    for number in 0..500_u64 {
        operation
            .set(("k", number), number)
            .enqueue(number, Delivery::default());
    }
    assert!(operation.commit().unwrap().is_committed());
    operation.enqueue(1_u64, Delivery::default());
    let text = "Too many mutations (max 1000): got 1001";
    assert_refused(operation.commit(), ErrorKind::TooManyMutations, text);

    // Twelve payloads of the largest size, and what is left of 819,200 bytes: the key, twice, and its
    // value; a payload; four bytes for each interval.
    let filled = |last: usize, intervals: usize| {
        let mut operation = kv.atomic();
        for _ in 0..12 {
            operation.enqueue(vec![0; 65_536], Delivery::default());
        }
        operation.set(Key::raw("k"), vec![0; 10]);
        let schedule = Delivery::default().backoff(vec![ms(1); intervals]);
        operation.enqueue(vec![0; last], schedule);
        operation.commit()
    };
    let left = 819_200 - 12 * 65_536 - 12;
    assert!(filled(left, 0).is_ok());
    assert!(filled(left - 20, 5).is_ok());
    let text = "Total mutation size too large (max 819200 bytes): got 819201 bytes";
    assert_refused(filled(left + 1, 0), ErrorKind::TotalTooLarge, text);
    assert_refused(filled(left - 19, 5), ErrorKind::TotalTooLarge, text);
}

#[test]
fn the_limits_of_messages_can_be_changed() {
    // L05
    let kv = Kv::builder().limits(Limits::unlimited()).build();
    let delivery = after(400 * DAY)
        .queue("q".repeat(10_000))
        .backoff([2 * HOUR; 50])
        .keys_if_undelivered((0..50_u64).map(Key::from));
    kv.enqueue(vec![0; 1 << 20], delivery).unwrap();
    kv.enqueue("", after(Duration::MAX)).unwrap();
    assert_eq!(kv.stats().message_count, 2);
    let mut limits = Limits::default();
    limits.payload_bytes_max = 3;
    limits.queue_name_bytes_max = 4;
    limits.delay_max = Duration::ZERO;
    limits.backoff_intervals_max = 0;
    limits.undelivered_keys_max = 0;
    let kv = Kv::builder().limits(limits).build();
    kv.enqueue("abc", Delivery::default().queue("mail"))
        .unwrap();
    let refused = |payload: &str, delivery: Delivery, text| {
        let refused = kv.enqueue(payload, delivery);
        assert_refused(refused, ErrorKind::InvalidEnqueue, text);
    };
    refused("abcd", Delivery::default(), "max 3 bytes");
    refused("", Delivery::default().queue("mails"), "max 4 bytes");
    refused("", after(ms(1)), "max 0 ms");
    refused("", Delivery::default().backoff([ms(1)]), "max 0 intervals");
    let keys = Delivery::default().keys_if_undelivered(["key"]);
    refused("", keys, "Too many keysIfUndelivered (max 0): got 1");
}
