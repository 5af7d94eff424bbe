use super::{Queues, UNUSED_MAX};
use crate::clock::ManualClock;
use crate::delivery::Delivery;
use crate::engine::history::HistoryBounds;
use crate::engine::write::Enqueue;
use crate::engine::{Config, Engine};
use crate::limits::Limits;
use crate::moment::Moment;
use std::sync::Arc;
use std::time::Duration;

fn engine() -> (Arc<Engine>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let engine = Engine::new(Config {
        limits: Limits::default(),
        clock: Arc::<ManualClock>::clone(&clock),
        stripe_bits: 4,
        maintenance: false,
        history: HistoryBounds::default(),
        memory_limit: u64::MAX,
        entry_limit: u64::MAX,
        weigher: None,
        eviction: None,
        latency_histograms: false,
        slow_commits: None,
        queue_concurrency: 1,
    });
    (engine, clock)
}

fn enqueue(engine: &Engine, queue: &str, delay: Duration) {
    let delivery = Delivery::default().queue(queue).delay(delay);
    let payload = "message".into();
    engine
        .enqueue(&Enqueue::new(payload, delivery))
        .expect("it is within the limits");
}

fn due(queues: &Queues, now: Moment) -> Vec<String> {
    let due = queues.agenda.due(now);
    due.iter().map(ToString::to_string).collect()
}

fn names(engine: &Engine) -> usize {
    engine.queues.named.lock().queues.len()
}

#[test]
fn only_the_queues_in_which_something_is_due_are_looked_at() {
    const SECOND: Duration = Duration::from_secs(1);
    let (engine, clock) = engine();
    for number in 0..1_000 {
        // There are messages in all of them, and some are late.
        enqueue(&engine, &format!("ready {number}"), Duration::ZERO);
        enqueue(&engine, &format!("late {number}"), 3_600 * SECOND);
    }
    enqueue(&engine, "soon", SECOND);
    enqueue(&engine, "", SECOND);
    assert!(due(&engine.queues, engine.now()).is_empty());
    let next = engine.wake_queues(engine.now());
    assert_eq!(next, Some(Moment::floor(SECOND)));
    clock.advance(SECOND);
    assert_eq!(due(&engine.queues, engine.now()), ["", "soon"]);
    let next = engine.wake_queues(engine.now());
    assert_eq!(next, Some(Moment::floor(3_600 * SECOND)));
    assert_eq!(engine.all_backlogged().ready_count, 1_002);
    clock.advance(3_599 * SECOND);
    assert_eq!(due(&engine.queues, engine.now()).len(), 1_000);
    assert_eq!(engine.wake_queues(engine.now()), None);
}

#[test]
fn queues_that_are_not_used_any_more_are_forgotten_a_few_at_a_time() {
    let (engine, _clock) = engine();
    let used: Vec<_> = (0..100)
        .map(|number| engine.queue(&format!("{number}")))
        .collect();
    enqueue(&engine, "message", Duration::ZERO);
    engine.wake_queues(engine.now());
    assert_eq!(names(&engine), 101);
    drop(used);
    engine.wake_queues(engine.now());
    assert!(names(&engine) > UNUSED_MAX, "not all at once");
    for _ in 0..20 {
        engine.wake_queues(engine.now());
    }
    assert_eq!(names(&engine), 1);
    // At once, if somebody wants it.
    let used: Vec<_> = (0..100)
        .map(|number| engine.queue(&format!("{number}")))
        .collect();
    drop(used);
    engine.keep_time_now();
    assert_eq!(names(&engine), 1);
}
