//! How often the background deletes.

use super::REAP_PERIOD;
use crate::clock::ManualClock;
use crate::engine::history::HistoryBounds;
use crate::engine::write::Op;
use crate::engine::{Config, Engine};
use crate::key::Key;
use crate::limits::Limits;
use crate::moment::Moment;
use crate::value::NewValue;
use std::sync::Arc;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

#[test]
fn what_expires_within_a_period_is_deleted_together() {
    let clock = Arc::new(ManualClock::default());
    let engine = Engine::new(Config {
        limits: Limits::default(),
        clock: Arc::<ManualClock>::clone(&clock),
        stripe_bits: 2,
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
    for after in [1, 2, 3, 200] {
        let value = NewValue::from(1_u64).expire_in(after * MS);
        let set = engine.commit_mutation(&Key::from(u64::from(after)), &Op::Set(value));
        set.expect("a key can be set");
    }
    let at = |time: Duration| Some(Moment::ZERO.after(time));
    let deleted = || engine.counts().expired_count;
    assert_eq!((engine.keep_time(), deleted()), (at(MS), 0));
    clock.advance(MS);
    let from = MS + REAP_PERIOD;
    assert_eq!((engine.keep_time(), deleted()), (at(from), 1));
    clock.advance(2 * MS);
    assert_eq!((engine.keep_time(), deleted()), (at(from), 1));
    clock.set(from);
    assert_eq!((engine.keep_time(), deleted()), (at(200 * MS), 3));
    clock.set(200 * MS);
    assert_eq!((engine.keep_time(), deleted()), (None, 4));
}
