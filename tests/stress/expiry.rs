//! Entries that are written again just when they expire, while the reaper deletes what has expired.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kvick::{
    ChangeEvent, ChangeKind, ChangesFrom, Clock, Key, Kv, ManualClock, NewValue, Versionstamp,
};
use rand::RngExt;
use rand::rngs::SmallRng;

use crate::support::{Alone, eventually, random, scaled, settle, threads};

const WRITERS: usize = 4;

/// So many of each writer expire together: more than the reaper deletes in one commit.
const KEYS: usize = 6;

const MS: Duration = Duration::from_millis(1);
/// How long an entry stays.
const SHORT: Duration = Duration::from_millis(3);
/// How long one stays that the test does not live to see expire.
const LONG: Duration = Duration::from_secs(1 << 30);

/// What the threads share. The clock moves only where a writer waits.
struct Shared {
    kv: Kv,
    clock: Arc<ManualClock>,
    sweeps: AtomicUsize,
    writing: AtomicUsize,
}

/// What became of an entry in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is there, with this version, whatever the reaper does.
    Stays(Versionstamp),
    Expired,
}

/// An entry that expires, as its writer knows it.
struct Due<'s> {
    shared: &'s Shared,
    key: Key,
    versionstamp: Versionstamp,
    /// It expires at one of these times, or in between.
    from: Duration,
    to: Duration,
}

impl<'s> Due<'s> {
    fn set(shared: &'s Shared, key: Key) -> Self {
        let from = shared.clock.now() + SHORT;
        let short = NewValue::from("old").expire_in(SHORT);
        let versionstamp = shared.kv.set(&key, short).unwrap();
        let to = shared.clock.now() + SHORT;
        Self {
            shared,
            key,
            versionstamp,
            from,
            to,
        }
    }

    /// Writes it again, in one of several ways, or does not; what becomes of it.
    fn write_again(&self, random: &mut SmallRng) -> Fate {
        let Shared { kv, clock, .. } = self.shared;
        let before = clock.now();
        let long = || NewValue::from("new").expire_in(LONG);
        let written = match random.random_range(0..6) {
            // It is there from now on, whether or not the old one had expired.
            0 => return Fate::Stays(kv.set(&self.key, long()).unwrap()),
            1 => return Fate::Stays(kv.set(&self.key, "to stay").unwrap()),
            2 => kv.touch(&self.key, LONG).unwrap(),
            3 => kv.touch(&self.key, None).unwrap(),
            4 => {
                let mut operation = kv.atomic();
                operation.check_versionstamp(&self.key, self.versionstamp);
                operation.set(&self.key, long());
                operation.commit().unwrap().versionstamp()
            }
            _ => return Fate::Expired,
        };
        let Some(versionstamp) = written else {
            let now = clock.now();
            assert!(now >= self.from, "T01: {now:?} is before {:?}", self.from);
            assert!(kv.get(&self.key).unwrap().is_missing(), "T05");
            return Fate::Expired;
        };
        assert!(before < self.to, "T02: {before:?} is after {:?}", self.to);
        assert!(versionstamp > self.versionstamp);
        Fate::Stays(versionstamp)
    }

    /// What is found of it, where nobody else writes it.
    fn assert_is(&self, fate: Fate) {
        let found = self.shared.kv.get(&self.key).unwrap().versionstamp();
        let now = self.shared.clock.now();
        match fate {
            Fate::Stays(versionstamp) => assert_eq!(found, Some(versionstamp), "T08"),
            // It may have been left alone, and its time not have come.
            Fate::Expired if found.is_some() => assert_eq!(found, Some(self.versionstamp)),
            Fate::Expired => assert!(now >= self.from, "T01: {now:?} is before {:?}", self.from),
        }
    }
}

/// A writer, until it returns or panics.
struct Writing<'s>(&'s Shared);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.writing.fetch_sub(1, Ordering::Release);
    }
}

impl Shared {
    fn write(&self, writer: usize) -> BTreeSet<Versionstamp> {
        let _writing = Writing(self);
        let mut random = random(writer);
        let mut expiring = BTreeSet::new();
        for _ in 0..scaled(1_000) {
            let keys = (0..KEYS).map(|key| Key::from((writer, key)));
            let due: Vec<_> = keys.map(|key| Due::set(self, key)).collect();
            expiring.extend(due.iter().map(|due| due.versionstamp));
            // Up to just before, or just after the others wait for the same.
            let until = due[0].from.saturating_sub(random.random_range(0..=2) * MS);
            while self.clock.now() < until {
                self.clock.advance(MS);
            }
            let mut fates = Vec::new();
            for due in &due {
                if random.random_ratio(1, 6) {
                    self.clock.advance(MS);
                }
                let fate = due.write_again(&mut random);
                due.assert_is(fate);
                fates.push(fate);
            }
            // All have expired that have not been written again, and the reaper has been everywhere.
            let last = due[KEYS - 1].to;
            while self.clock.now() < last {
                self.clock.advance(MS);
            }
            let begun = self.sweeps.load(Ordering::Acquire);
            let swept = || self.sweeps.load(Ordering::Acquire);
            eventually(|| swept() >= begun + 2, swept);
            for (due, fate) in due.iter().zip(&fates) {
                due.assert_is(*fate);
                let is_there = self.kv.get(&due.key).unwrap().exists();
                assert_eq!(is_there, *fate != Fate::Expired, "T02, T08");
            }
        }
        expiring
    }

    fn reap(&self) {
        while self.writing.load(Ordering::Acquire) > 0 {
            self.kv.sweep();
            self.sweeps.fetch_add(1, Ordering::Release);
        }
    }
}

#[test]
fn the_reaper_deletes_nothing_that_was_set_again_or_touched() {
    // T08, and T01, T02 on the way.
    let alone = Alone::begin();
    let clock = Arc::new(ManualClock::default());
    let kv = Kv::builder()
        .clock(Arc::<ManualClock>::clone(&clock))
        .writer_threads(1)
        .change_history(usize::MAX, usize::MAX)
        .build();
    let mut changes = kv.changes(ChangesFrom::Now).unwrap();
    let shared = Shared {
        kv,
        clock,
        sweeps: AtomicUsize::new(0),
        writing: AtomicUsize::new(WRITERS),
    };
    let written = threads(WRITERS + 1, |thread| {
        if thread == WRITERS {
            shared.reap();
            return BTreeSet::new();
        }
        shared.write(thread)
    });
    let expiring: BTreeSet<_> = written.into_iter().flatten().collect();

    // The versionstamps tell: what was deleted is what was to expire, and nothing that came later.
    let mut newest = BTreeMap::new();
    let (mut reaped, mut written_again) = (0, 0);
    while let Some(event) = changes.try_recv().unwrap() {
        let ChangeEvent::Commit(commit) = event else {
            panic!("the history has no bound");
        };
        for (key, kind) in commit.changes() {
            let before = newest.insert(key.clone(), commit.versionstamp());
            let was_to_expire = before.is_some_and(|before| expiring.contains(&before));
            if kind == ChangeKind::Delete {
                assert!(was_to_expire, "T08: {key:?} at {before:?}");
                reaped += 1;
            } else if was_to_expire {
                written_again += 1;
            }
        }
    }
    assert_eq!(shared.kv.stats().expired_count, reaped);
    println!(
        "{} entries expired: {reaped} were deleted, {written_again} were written again before that",
        expiring.len()
    );
    assert_eq!(expiring.len() as u64, reaped + written_again);
    assert!(reaped > 0 && written_again > 0);
    settle(&shared.kv);
    drop((changes, newest, expiring, shared));
    alone.leaves_nothing();
}
