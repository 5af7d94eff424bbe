//! The policy beside a plain map of what is there.

use super::{Entries, PIECE_SLOTS, Policy, Seen, Slot, USES_MAX};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

#[derive(Default)]
struct Map {
    entries: RefCell<HashMap<u64, (u8, Seen)>>,
    held: HashSet<u64>,
}

impl Entries for Map {
    fn look(&self, slot: &Slot) -> Option<Seen> {
        let entries = self.entries.borrow();
        let (number, seen) = entries.get(&slot.hash)?;
        (*number == slot.number).then_some(*seen)
    }

    fn set_uses(&self, slot: &Slot, uses: u32) {
        if let Some((_, seen)) = self.entries.borrow_mut().get_mut(&slot.hash) {
            seen.uses = uses;
        }
    }

    fn is_held(&self, slot: &Slot) -> bool {
        self.held.contains(&slot.hash)
    }
}

/// A cache with room for so much.
struct Cache {
    policy: Policy,
    map: Map,
    room: u64,
    used: u64,
    next: u8,
}

fn hash(id: u64) -> u64 {
    let mixed = (id ^ (id >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

impl Cache {
    fn new(room: u64) -> Self {
        Self {
            policy: Policy::new(),
            map: Map::default(),
            room,
            used: 0,
            next: 0,
        }
    }

    /// Whether it was there; it is now.
    fn get(&mut self, id: u64, weight: u32) -> bool {
        let hash = hash(id);
        if let Some((_, seen)) = self.map.entries.borrow_mut().get_mut(&hash) {
            seen.uses = (seen.uses + 1).min(USES_MAX);
            return true;
        }
        self.next = self.next.wrapping_add(1);
        let seen = Seen { uses: 0, weight };
        self.map
            .entries
            .borrow_mut()
            .insert(hash, (self.next, seen));
        self.used += u64::from(weight);
        let slot = Slot::new(hash, self.next, weight);
        self.policy.arrive(slot, &self.map);
        while self.used > self.room {
            self.evict();
        }
        false
    }

    fn evict(&mut self) {
        self.policy.fit_ghosts(|_| true);
        let victim = self.policy.evict(&self.map).expect("something is there");
        let gone = self.map.entries.borrow_mut().remove(&victim.hash);
        let (number, seen) = gone.expect("what is to go is there");
        assert_eq!(number, victim.number);
        self.used -= u64::from(seen.weight);
    }

    fn delete(&mut self, id: u64) {
        let gone = self.map.entries.borrow_mut().remove(&hash(id));
        if let Some((_, seen)) = gone {
            self.used -= u64::from(seen.weight);
            self.policy.depart(&self.map);
        }
    }

    /// How many of these were there, in a hundred.
    fn percent(&mut self, ids: impl ExactSizeIterator<Item = u64>) -> usize {
        let count = ids.len();
        let hits = ids.filter(|id| self.get(*id, 1)).count();
        hits * 100 / count
    }
}

#[test]
fn all_that_comes_can_go_whatever_happens_to_it() {
    let mut random = StdRng::seed_from_u64(1);
    let mut cache = Cache::new(300_000);
    for step in 0..60_000_u32 {
        let id = random.random_range(0..2_000);
        match random.random_range(0..10) {
            0..=5 => drop(cache.get(id, random.random_range(1..1_000))),
            6..=8 => cache.delete(id),
            _ if cache.map.entries.borrow().is_empty() => {}
            _ if step.is_multiple_of(2) => cache.evict(),
            _ => {
                cache.policy.fit_ghosts(|_| true);
                let victim = cache.policy.evict(&cache.map).expect("something is there");
                cache.policy.keep(victim);
            }
        }
        if step.is_multiple_of(20_000) {
            // Everything at once: what is deleted leaves no slots for ever.
            (0..2_000).for_each(|id| cache.delete(id));
        }
        let there = cache.map.entries.borrow().len();
        assert!(cache.policy.len() <= 2 * there + 2_000 + 2 * PIECE_SLOTS);
    }
    while !cache.map.entries.borrow().is_empty() {
        cache.evict();
    }
    assert_eq!(cache.used, 0);
    assert_eq!(cache.policy.evict(&cache.map), None);
    assert_eq!((cache.policy.len(), cache.policy.total()), (0, 0));
}

#[test]
fn keys_that_come_and_go_without_eviction_leave_few_slots() {
    let mut cache = Cache::new(u64::MAX);
    for id in 0..200_000 {
        cache.get(id, 1);
        if id >= 100 {
            cache.delete(id - 100);
        }
        assert!(cache.policy.len() < 1_000, "{}", cache.policy.len());
    }
    assert!(cache.policy.heap_bytes() < 100_000);
}

#[test]
fn a_loop_over_more_than_fits_is_kept_for_the_most_part() {
    let mut cache = Cache::new(800);
    let mut passes = || cache.percent((0..20_000_usize).map(|at| at as u64 % 1_000));
    passes();
    let percent = passes();
    assert!((65..80).contains(&percent), "{percent}");
}

#[test]
fn a_scan_does_not_push_out_what_is_used() {
    let mut random = StdRng::seed_from_u64(2);
    let mut cache = Cache::new(1_000);
    let mut hot = |cache: &mut Cache| {
        let ids: Vec<_> = (0..5_000).map(|_| random.random_range(0..800)).collect();
        cache.percent(ids.into_iter())
    };
    hot(&mut cache);
    assert!(hot(&mut cache) >= 99);
    cache.percent((10_000..15_000_u64).collect::<Vec<_>>().into_iter());
    let percent = hot(&mut cache);
    assert!(percent >= 95, "{percent}");
}

#[test]
fn what_is_new_and_used_takes_the_place_of_what_was() {
    let mut random = StdRng::seed_from_u64(3);
    let mut cache = Cache::new(1_000);
    for from in [0, 10_000, 20_000] {
        let ids: Vec<_> = (0..40_000)
            .map(|_| from + random.random_range(0..900))
            .collect();
        cache.percent(ids[..20_000].iter().copied());
        let percent = cache.percent(ids[20_000..].iter().copied());
        assert!(percent >= 95, "{percent}");
    }
}

#[test]
fn what_is_held_is_passed_by_where_only_the_young_are_to_go() {
    let mut cache = Cache::new(1_000);
    for id in 0..1_000 {
        cache.get(id, 1);
    }
    cache.map.held = (0..1_000).map(hash).collect();
    assert_eq!(cache.policy.evict_young(&cache.map), None);
    assert_eq!(cache.policy.len(), 1_000);
    cache.room = u64::MAX;
    cache.policy.is_filling = false;
    cache.policy.full = 1_000;
    for id in 1_000..1_010 {
        cache.get(id, 1);
    }
    for id in 1_000..1_010 {
        let victim = cache.policy.evict_young(&cache.map);
        assert_eq!(victim.map(|slot| slot.hash), Some(hash(id)));
    }
    assert_eq!(cache.policy.evict_young(&cache.map), None);
}

#[test]
fn where_memory_is_short_there_are_as_many_ghosts_as_it_allows() {
    let mut cache = Cache::new(8_000);
    for id in 0..8_000 {
        cache.get(id, 1);
    }
    let policy = &mut cache.policy;
    let bytes = |policy: &Policy| policy.ghosts.heap_bytes();
    let mut fit = |left: usize| {
        let before = bytes(policy);
        let mut charged = 0;
        policy.fit_ghosts(|bytes| {
            charged = if bytes <= left { bytes } else { 0 };
            charged > 0
        });
        assert_eq!(bytes(policy), before + charged, "what it takes was charged");
        bytes(policy)
    };
    // For all it takes 144,000.
    assert_eq!(fit(8_000), 0, "too few to be of use");
    let some = fit(40_000);
    assert!((20_000..=40_000).contains(&some), "{some}");
    assert_eq!(
        fit(20_000),
        some,
        "known ones are not forgotten for a few more"
    );
    let more = fit(40_000);
    assert!((2 * some..=some + 40_000).contains(&more), "{more}");
    assert!(fit(200_000) > 130_000);
    let all = fit(200_000);
    assert_eq!(fit(200_000), all, "there are as many as there are to be");
}

#[test]
fn what_is_gone_is_counted_once_whatever_it_weighed_and_whenever_it_is_told() {
    let mut cache = Cache::new(1_000);
    let mut ids = (0..).step_by(7);
    for round in 0..20 {
        for id in ids.by_ref().take(500) {
            cache.get(id, 1);
        }
        let held: Vec<_> = cache.map.entries.borrow().keys().copied().collect();
        let mut late = 0;
        for (number, hash) in held.iter().take(300).enumerate() {
            let mut entries = cache.map.entries.borrow_mut();
            let (_, seen) = entries.get_mut(hash).expect("it is there");
            // Overwritten by what is heavier, and then deleted.
            cache.used += 999;
            seen.weight = 1_000;
            entries.remove(hash);
            drop(entries);
            cache.used -= 1_000;
            if number % 3 == round % 3 {
                late += 1;
            } else {
                cache.policy.depart(&cache.map);
            }
        }
        for _ in 0..2 * cache.policy.pieces() {
            cache.policy.tidy(&cache.map);
        }
        // Some are told of when their slots have been dropped.
        for _ in 0..late {
            cache.policy.depart(&cache.map);
        }
        assert_eq!(cache.policy.untidy_pieces(), 0, "{round}");
        assert_eq!(cache.policy.total(), cache.used, "{round}");
        assert_eq!(cache.policy.len(), cache.map.entries.borrow().len());
    }
}
