//! Who takes part: caches that hold a number of entries, each asked as a read-through cache.
//!
//! The keys are numbers and the values are nothing: what is measured is what a cache keeps. All of
//! them hash by the same function with the same seed, so that a run can be repeated.

use foldhash::fast::FixedState;
use quick_cache::sync::DefaultLifecycle;
use quick_cache::{OptionsBuilder, UnitWeighter};

/// A cache that is being replayed to.
pub(crate) trait Contestant {
    /// Asks for an id, and inserts it if it is not there. Whether it was.
    fn get_or_insert(&mut self, id: u64) -> bool;

    /// How many entries it holds now.
    fn held(&self) -> u64;
}

/// A cache, in one of the ways to look after it.
pub(crate) struct Entrant {
    pub(crate) cache: &'static str,
    /// What its user does beside asking and inserting.
    pub(crate) upkeep: &'static str,
    pub(crate) open: fn(entries: u64) -> Box<dyn Contestant>,
}

const NOTHING: &str = "left alone";

/// In the order of the tables: the ways of one cache stand together.
pub(crate) const ALL: [Entrant; 5] = [
    Entrant {
        cache: "kvick",
        upkeep: NOTHING,
        open: Kvick::open,
    },
    Entrant {
        cache: "moka",
        upkeep: NOTHING,
        open: |entries| Moka::open(entries, None),
    },
    Entrant {
        cache: "moka",
        upkeep: "run_pending_tasks after every insertion",
        open: |entries| Moka::open(entries, Some(1)),
    },
    Entrant {
        cache: "moka",
        upkeep: "run_pending_tasks after every 64th insertion",
        open: |entries| Moka::open(entries, Some(64)),
    },
    Entrant {
        cache: "quick_cache",
        upkeep: NOTHING,
        open: QuickCache::open,
    },
];

struct Kvick(kvick::Kv);

impl Kvick {
    fn open(entries: u64) -> Box<dyn Contestant> {
        let builder = kvick::Kv::builder()
            .entry_limit(usize::try_from(entries).unwrap_or(usize::MAX))
            .on_limit(kvick::OnLimit::Evict);
        Box::new(Self(builder.build()))
    }
}

impl Contestant for Kvick {
    fn get_or_insert(&mut self, id: u64) -> bool {
        let found = self.0.with_entry(id, |entry| entry.is_some());
        if found.expect("a key can be read") {
            return true;
        }
        self.0.set(id, 0_u64).expect("room is made");
        false
    }

    fn held(&self) -> u64 {
        self.0.stats().entry_count as u64
    }
}

/// Its policy does not run at once: reads and insertions wait in queues until there are 64 of them,
/// or until it is told to.
struct Moka {
    cache: moka::sync::Cache<u64, (), FixedState>,
    /// After how many insertions it is told.
    every: Option<u32>,
    inserted: u32,
}

impl Moka {
    fn open(entries: u64, every: Option<u32>) -> Box<dyn Contestant> {
        let builder = moka::sync::Cache::builder().max_capacity(entries);
        Box::new(Self {
            cache: builder.build_with_hasher(FixedState::default()),
            every,
            inserted: 0,
        })
    }
}

impl Contestant for Moka {
    fn get_or_insert(&mut self, id: u64) -> bool {
        if self.cache.get(&id).is_some() {
            return true;
        }
        self.cache.insert(id, ());
        self.inserted += 1;
        if self.every.is_some_and(|every| self.inserted >= every) {
            self.cache.run_pending_tasks();
            self.inserted = 0;
        }
        false
    }

    fn held(&self) -> u64 {
        self.cache.iter().map(|_| 1).sum()
    }
}

struct QuickCache(quick_cache::sync::Cache<u64, (), UnitWeighter, FixedState>);

impl QuickCache {
    fn open(entries: u64) -> Box<dyn Contestant> {
        let items = usize::try_from(entries).unwrap_or(usize::MAX);
        let mut options = OptionsBuilder::new();
        options
            .estimated_items_capacity(items)
            .weight_capacity(entries);
        Box::new(Self(quick_cache::sync::Cache::with_options(
            options.build().expect("both capacities are given"),
            UnitWeighter,
            FixedState::default(),
            DefaultLifecycle::default(),
        )))
    }
}

impl Contestant for QuickCache {
    fn get_or_insert(&mut self, id: u64) -> bool {
        if self.0.get(&id).is_some() {
            return true;
        }
        self.0.insert(id, ());
        false
    }

    fn held(&self) -> u64 {
        self.0.iter().map(|_| 1).sum()
    }
}
