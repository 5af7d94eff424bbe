//! What no horizon shows: where snapshots are kept, and when it is time for the grace.

use super::{GRACE_STEP, Registration, Registry};
use crate::sync::{SNAPSHOT_SLOTS, epoch};
use crate::version::Stamp;
use std::sync::Arc;

#[test]
fn snapshots_take_the_first_slot_that_is_free_and_the_map_only_when_none_is() {
    let registry = Arc::new(Registry::new());
    let guard = epoch::pin();
    let register = || registry.register(Stamp::new(7), &guard);
    let overflowing = || registry.overflow.lock().values().sum::<usize>();
    let mut open: Vec<_> = (0..SNAPSHOT_SLOTS).map(|_| register()).collect();
    let slots = open.iter().map(|open: &Registration| open.slot);
    assert!(slots.eq((0..SNAPSHOT_SLOTS).map(Some)));
    assert_eq!(overflowing(), 0);
    let beyond = [register(), register()];
    assert_eq!(overflowing(), 2);
    drop(open.remove(3));
    assert_eq!(register().slot, Some(3));
    drop(beyond);
    assert_eq!(overflowing(), 0);
    assert_eq!(registry.open_count(), open.len());
}

#[test]
fn the_grace_is_due_once_for_each_step() {
    let registry = Registry::new();
    let steps = 5;
    let is_due = |stamp: &u64| registry.is_grace_due(Stamp::new(*stamp));
    let due: Vec<_> = (1..=steps * GRACE_STEP).filter(is_due).collect();
    let expected: Vec<_> = (1..=steps).map(|step| step * GRACE_STEP).collect();
    assert_eq!(due, expected);
    // Later ones that come first make up for those that they overtake.
    assert!(registry.is_grace_due(Stamp::new(100 * GRACE_STEP)));
    assert!(!registry.is_grace_due(Stamp::new(99 * GRACE_STEP)));
}
