//! Concurrent histories, recorded and replayed: is what many threads were told strictly
//! serializable?
//!
//! The checker is `support::checker`; `controls` shows that it objects to histories that are not.

mod controls;

use crate::support::checker::{Recorder, assert_strictly_serializable};
use crate::support::client::Client;
use crate::support::deliveries::CONCURRENCY;
use crate::support::everything;
use crate::support::evicting::make_copies;
use crate::support::model::assert_entries;
use crate::support::queueing::{assert_delivered, is_nothing_in_hands};
use crate::support::seeds::for_seeds;
use crate::support::selector::Selector;
use crate::support::threads::{race, wait_until};
use crate::support::workload::{Workload, bounded, churning, crowded, hot, ranged, wide};
use kvick::{Builder, Kv, ManualClock};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::sync::Arc;
use std::time::Duration;

/// Records a history, and checks it.
fn record_and_check(workload: &Workload, random: &mut StdRng, steps: usize) {
    let kv = Kv::builder().writer_threads(workload.clients);
    record_and_check_on(kv, workload, random, steps);
}

fn record_and_check_on(kv: Builder, workload: &Workload, random: &mut StdRng, steps: usize) {
    make_copies();
    let clients = workload.clients;
    let recorder = Recorder::new(Arc::new(ManualClock::default()));
    let kv = kv.queue_concurrency(CONCURRENCY);
    let kv = &workload.limit(kv.clock(recorder.clock())).build();
    recorder.listen(kv);
    let seeds: Vec<u64> = (0..clients).map(|_| random.random()).collect();
    let histories = race(clients, |number| {
        let random = StdRng::seed_from_u64(seeds[number]);
        Client::new(number, kv, &recorder, workload, random).run(steps / clients)
    });
    let await_burials = |kv: &Kv| wait_until(|| is_nothing_in_hands(kv));
    let last = Client::new(clients, kv, &recorder, workload, StdRng::from_rng(random));
    let events = [histories.concat(), last.drain(await_burials)].concat();
    let mut model = assert_strictly_serializable(&events);
    workload.assert_bounded(&events);
    workload.use_everything(kv);
    recorder.clock().advance(Duration::from_secs(60));
    model.expire();
    assert_entries(&everything(kv), &model.selected(&Selector::All, false));
    kv.sweep();
    assert_eq!(kv.stats().entry_count, model.entries.len());
    assert_eq!(kv.stats().open_snapshot_count, 0);
    assert_delivered(kv);
}

#[test]
fn a_mixed_history_is_strictly_serializable() {
    // R03, R13, A01 to A04, A08, A09, A12, S01, S04, V03 to V05, Q01 to Q03, Q06, Q07, Q10, Q11,
    // W02
    let test = "history::a_mixed_history_is_strictly_serializable";
    for_seeds(test, 4, 4_000, |mut random, steps| {
        for threads in [2, 4] {
            record_and_check(&wide(threads), &mut random, steps);
        }
    });
}

#[test]
fn a_history_of_three_hot_keys_is_strictly_serializable() {
    let test = "history::a_history_of_three_hot_keys_is_strictly_serializable";
    for_seeds(test, 4, 4_000, |mut random, steps| {
        for threads in [2, 8] {
            record_and_check(&hot(threads), &mut random, steps);
        }
    });
}

#[test]
fn a_history_of_transactions_over_ranges_is_strictly_serializable() {
    let test = "history::a_history_of_transactions_over_ranges_is_strictly_serializable";
    for_seeds(test, 4, 4_000, |mut random, steps| {
        for threads in [3, 16] {
            record_and_check(&ranged(threads), &mut random, steps);
        }
    });
}

#[test]
fn a_history_of_keys_that_come_and_go_is_strictly_serializable() {
    let test = "history::a_history_of_keys_that_come_and_go_is_strictly_serializable";
    for_seeds(test, 4, 4_000, |mut random, steps| {
        for threads in [2, 5] {
            record_and_check(&churning(threads), &mut random, steps);
        }
    });
}

#[test]
fn a_history_of_many_keys_is_strictly_serializable() {
    let test = "history::a_history_of_many_keys_is_strictly_serializable";
    for_seeds(test, 1, 2_000, |mut random, steps| {
        for threads in [2, 4] {
            record_and_check(&crowded(threads), &mut random, steps);
        }
    });
}

#[test]
fn histories_with_random_weights_are_strictly_serializable() {
    let test = "history::histories_with_random_weights_are_strictly_serializable";
    for_seeds(test, 5, 1_000, |mut random, steps| {
        let workload = Workload::drawn(3, &mut random);
        record_and_check(&workload, &mut random, steps);
    });
}

#[test]
fn a_history_of_what_is_evicted_is_strictly_serializable() {
    let test = "history::a_history_of_what_is_evicted_is_strictly_serializable";
    for_seeds(test, 4, 2_000, |mut random, steps| {
        for threads in [2, 4] {
            let workload = bounded(crowded(threads), &mut random);
            record_and_check(&workload, &mut random, steps);
        }
    });
}

/// Small enough for Miri, which runs it in many schedules (`cargo xtask miri`).
#[test]
fn a_short_history_is_strictly_serializable() {
    let test = "history::a_short_history_is_strictly_serializable";
    for_seeds(test, 10, 24, |mut random, steps| {
        let kv = Kv::builder().writer_threads(1).background_sweep(false);
        record_and_check_on(kv, &hot(2), &mut random, steps);
    });
}
