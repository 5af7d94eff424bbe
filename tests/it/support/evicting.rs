//! What a client of a history does where entries are evicted, and with copies.
//!
//! Evictions are commits that nobody makes: the database tells of each whoever asks, and the checker
//! believes it that something has gone if it was told so, and for no other reason.

use super::checker::{Did, Event, Recorder, Span, most_weight};
use super::client::{Client, refused};
use super::model::{Check, Expect, Mutation, Op};
use super::workload::{Step, Workload, expires};
use kvick::{
    Builder, ErrorKind, EvictionEvent, EvictionReason, Evictions, ImportOptions, Key, Kv,
    ManualClock, NewValue, OnLimit, Range, Value,
};
use rand::{Rng, RngExt};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// More than there are evictions in a history that nobody asks about.
const ROOM: usize = 1 << 16;

/// Where the keys of undelivered messages are, which are not to go before they are found.
const UNDELIVERED: &str = "~";

/// The least number of entries: the messages of a history leave up to seven that only they delete.
const ENTRIES_MIN: usize = 8;

/// What a database may hold, and which of its entries may go.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    /// Entries, or what they weigh.
    entries: Option<usize>,
    is_weighed: bool,
    bytes: Option<usize>,
    idle: Option<Duration>,
    only: Vec<Key>,
    pinned: Vec<Key>,
}

impl Bounds {
    /// So that entries are evicted all the time.
    pub(crate) fn drawn(keys: usize, random: &mut impl Rng) -> Self {
        let (of_entries, of_bytes) = match random.random_range(0..8) {
            0..5 => (true, false),
            5..7 => (false, true),
            _ => (false, false),
        };
        let is_weighed = of_entries && random.random();
        let least = ENTRIES_MIN + if is_weighed { ENTRIES_MIN } else { 0 };
        let most = (keys * 2 / 3).max(ENTRIES_MIN + 1) + least - ENTRIES_MIN;
        let may_idle = !(of_entries || of_bytes) || random.random_ratio(1, 4);
        let idle = may_idle.then(|| Duration::from_millis(random.random_range(20..200)));
        let pinned = match random.random_range(0..3) {
            0 => vec![UNDELIVERED.into()],
            1 => vec![UNDELIVERED.into(), "b".into()],
            _ => vec![UNDELIVERED.into(), ("a", 1).into(), "t".into()],
        };
        let only = match random.random_range(0..3) {
            0 => ["a", "b", "d", "t"].map(Key::from).to_vec(),
            _ => Vec::new(),
        };
        Self {
            entries: of_entries.then(|| random.random_range(least..=most)),
            is_weighed,
            bytes: of_bytes.then(|| random.random_range(12..40) << 10),
            idle,
            only,
            pinned,
        }
    }

    fn limit(&self, mut builder: Builder) -> Builder {
        builder = builder.on_limit(OnLimit::Evict);
        if let Some(entries) = self.entries {
            builder = builder.entry_limit(entries);
        }
        if self.is_weighed {
            builder = builder.weigher(|key, _| weight(key));
        }
        if let Some(bytes) = self.bytes {
            builder = builder.memory_limit(bytes);
        }
        if let Some(idle) = self.idle {
            // Whoever sweeps looks for what is idle. In the background that would go on when all have
            // been asked what was evicted.
            builder = builder.time_to_idle(idle).background_sweep(false);
        }
        builder = self.only.iter().fold(builder, Builder::evict_only);
        self.pinned.iter().fold(builder, Builder::pin)
    }

    /// Whether an entry may be evicted, said differently from how the library says it.
    pub(crate) fn may_go(&self, key: &Key) -> bool {
        let is_in = |prefix: &Key| key.as_bytes().strip_prefix(prefix.as_bytes()).is_some();
        let is_asked_for = self.only.is_empty() || self.only.iter().any(is_in);
        is_asked_for && !self.pinned.iter().any(is_in)
    }

    fn may_say(&self, reason: EvictionReason) -> bool {
        match reason {
            EvictionReason::Memory => self.bytes.is_some(),
            EvictionReason::Entries => self.entries.is_some(),
            EvictionReason::Idle => self.idle.is_some(),
            _ => false,
        }
    }
}

/// What an entry weighs: that of an undelivered message nothing but 1.
fn weight(key: &Key) -> u32 {
    let is_of = |prefix: &str| key.as_bytes().starts_with(Key::from(prefix).as_bytes());
    match () {
        () if is_of("a") => 3,
        () if is_of("b") => 2,
        () => 1,
    }
}

impl Workload {
    /// A database for it.
    pub(crate) fn limit(&self, builder: Builder) -> Builder {
        match &self.bounds {
            Some(bounds) => bounds.limit(builder),
            None => builder,
        }
    }

    /// That there never were more entries than there may be.
    #[track_caller]
    pub(crate) fn assert_bounded(&self, events: &[Event]) {
        let Some(bounds) = &self.bounds else {
            return;
        };
        if let Some(limit) = bounds.entries {
            let weight = |key: &Key| if bounds.is_weighed { weight(key) } else { 1 };
            let most = most_weight(events, weight);
            assert!(most <= limit as u64, "{most} entries, and not {limit}");
        }
    }

    /// Where something may go because it is idle, it is looked at so often that it does.
    pub(crate) fn look_for_idle(&mut self) {
        if self
            .bounds
            .as_ref()
            .is_some_and(|bounds| bounds.idle.is_some())
        {
            for (step, weight) in &mut self.weights {
                if matches!(step, Step::Sweep | Step::Wait) {
                    *weight = (*weight).max(15);
                }
            }
        }
    }

    /// Uses everything, so that nothing is idle.
    pub(crate) fn use_everything(&self, kv: &Kv) {
        if self.bounds.is_some() {
            let everything = kv.list(Range::all()).entries();
            for entry in everything.expect("everything can be listed") {
                kv.get(entry.key()).expect("the database is open");
            }
        }
    }
}

/// What there is to be told, while nobody asks.
#[derive(Debug, Default)]
pub(super) struct Listening(Mutex<Option<Evictions>>);

impl Listening {
    /// Never held while the database is called.
    fn exchange(&self, evictions: Option<Evictions>) -> Option<Evictions> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *kept, evictions)
    }
}

impl Recorder {
    /// Listens for what is evicted from now on.
    pub(crate) fn listen(&self, kv: &Kv) {
        let evictions = kv.evictions(ROOM).expect("there is memory");
        self.evictions.exchange(Some(evictions));
    }
}

impl Client<'_> {
    /// Asks what was evicted, unless somebody else does.
    pub(super) fn ask_evictions(&mut self) {
        let Some(bounds) = &self.workload.bounds else {
            return;
        };
        let Some(mut evictions) = self.recorder.evictions.exchange(None) else {
            return;
        };
        loop {
            let (told, span) = self.recorder.time(|| evictions.try_recv());
            match told.expect("the database is open") {
                None => break,
                Some(EvictionEvent::Evicted(eviction)) => {
                    assert!(bounds.may_go(&eviction.key), "pinned: {:?}", eviction.key);
                    assert!(bounds.may_say(eviction.reason), "{eviction:?}");
                    // Some time before it was told.
                    let clock = (Duration::ZERO, span.clock.1);
                    let did = Did::Evict {
                        versionstamp: eviction.versionstamp,
                        key: eviction.key,
                    };
                    let span = Span {
                        begin: 0,
                        clock,
                        ..span
                    };
                    self.events.push(Event { span, did });
                }
                Some(event) => panic!("there is room for all: {event:?}"),
            }
        }
        self.recorder.evictions.exchange(Some(evictions));
    }

    /// Brings a copy back that was made before the history, over what is there, or where nothing is.
    pub(super) fn import(&mut self) {
        let copy = self.pick(&copies()[..]);
        let overwrites = self.random.random();
        let mut options = ImportOptions::default();
        if overwrites {
            options = options.overwrite();
        }
        let import = || self.kv.import(&copy.bytes[..], &options);
        let (imported, span) = self.recorder.time(import);
        let imported = match imported {
            Ok(imported) => imported,
            Err(error) if error.kind() == ErrorKind::KeyExists => {
                assert!(!overwrites, "{error}");
                return;
            }
            Err(error) => return refused(&error),
        };
        assert_eq!(imported.entries, copy.mutations.len() as u64);
        let keys = copy.mutations.iter().map(|mutation| mutation.key.clone());
        let expect = Expect::Absent;
        let checks = keys.map(|key| Check { key, expect });
        let did = Did::Commit {
            versionstamp: imported.versionstamp,
            checks: checks.filter(|_| !overwrites).collect(),
            reads: Vec::new(),
            mutations: copy.mutations.clone(),
            sent: Vec::new(),
        };
        self.events.push(Event { span, did });
    }
}

/// A copy, and what importing it does.
#[derive(Clone, Debug)]
struct Copied {
    bytes: Arc<[u8]>,
    mutations: Vec<Mutation>,
}

/// Copies of a few entries. Made once, by whoever asks first, and not by a client of a simulation:
/// it would be a part of that.
fn copies() -> &'static [Copied; 3] {
    static COPIES: OnceLock<[Copied; 3]> = OnceLock::new();
    COPIES.get_or_init(|| {
        let keys: [&[Key]; 3] = [
            &[("a", 1).into(), ("a", 2).into(), ("b",).into()],
            &[("t",).into(), ("t", 1).into(), ("t", 2).into()],
            &[
                ("a", 2).into(),
                ("a", "x", 1).into(),
                ("b", 1).into(),
                ("c",).into(),
                ("d", 7).into(),
                ("t", 2).into(),
            ],
        ];
        keys.map(copied)
    })
}

/// Makes the copies.
pub(crate) fn make_copies() {
    copies();
}

fn copied(keys: &[Key]) -> Copied {
    let clock = Arc::new(ManualClock::default());
    let kv = Kv::builder().clock(clock).background_sweep(false).build();
    let values = keys.iter().zip(1_u64..);
    let mutations = values.map(|(key, number)| {
        let (value, stays) = (Value::from(number), Duration::from_millis(10 * number));
        let op = if expires(key) {
            kv.set(key, NewValue::from(&value).expire_in(stays))
                .expect("there is room");
            Op::SetFor(value, stays)
        } else {
            kv.set(key, &value).expect("there is room");
            Op::Set(value)
        };
        let key = key.clone();
        Mutation { key, op }
    });
    let mutations = mutations.collect();
    let mut bytes = Vec::new();
    kv.export(&mut bytes).expect("a vector can be written to");
    let bytes = bytes.into();
    Copied { bytes, mutations }
}
