//! Whether a concurrent history is strictly serializable.
//!
//! The engine shows its own order: every commit has a versionstamp. So the check is complete and
//! takes about linear time: the commits are replayed in the order of their versionstamps through a
//! [`Model`], and everything that anybody saw has to agree with that. What committed must have
//! seen the state right before itself. What only looked must have seen the state after some commit,
//! one that is not older than anything that had completed before it began. Positions of such reads
//! are chosen as early as they can be, which leaves the most room for what follows: if that does
//! not work out, nothing does.
//!
//! What expires makes no event. So an entry that may have expired while something was under way is
//! there or is not, whichever fits; before and after, it is known.

use super::deliveries::{MessageId, Received, Sent, check_deliveries};
use super::evicting::Listening;
use super::model::{Check, Model, Mutation, Stored, Window};
use super::queueing::Letters;
use super::selector::Selector;
use super::workload::expires;
use kvick::{Clock, Entry, Key, ManualClock, Value, Versionstamp};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt::Debug;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// From when to when something was under way, in ticks of the recorder, and by the clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    pub(crate) begin: u64,
    pub(crate) end: u64,
    pub(crate) clock: Window,
}

/// Something that somebody has done and been told about.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) span: Span,
    pub(crate) did: Did,
}

#[derive(Clone, Debug)]
pub(crate) enum Did {
    /// Committed: the checks held and the reads were so, right before it.
    Commit {
        versionstamp: Versionstamp,
        checks: Vec<Check>,
        reads: Vec<Seen>,
        mutations: Vec<Mutation>,
        sent: Vec<Sent>,
    },
    /// Deleted a range, which held so many entries.
    Clear {
        versionstamp: Versionstamp,
        selector: Selector,
        count: usize,
    },
    /// Did not commit: exactly these checks failed, all at one moment.
    Conflict {
        checks: Vec<Check>,
        failed: Vec<usize>,
    },
    /// Was refused: the checks held at some moment at which the mutations did not fit.
    Refusal {
        checks: Vec<Check>,
        mutations: Vec<Mutation>,
    },
    /// Saw all this at one moment; after the commit with this versionstamp, where that is known.
    Read {
        at: Option<Versionstamp>,
        seen: Vec<Seen>,
    },
    /// Asked a queue, which had no message for it, or this one.
    Receive {
        queue: &'static str,
        message: Option<Received>,
    },
    /// Has handled a message, or let it drop.
    Settle {
        id: MessageId,
        attempt: u32,
        is_finished: bool,
    },
    /// Has found that a message was written to its keys, in a commit of its own.
    Bury {
        versionstamp: Versionstamp,
        id: MessageId,
        mutations: Vec<Mutation>,
    },
    /// Was told that an entry was evicted, by a commit of its own.
    Evict {
        versionstamp: Versionstamp,
        key: Key,
    },
}

/// What a read gave.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    One(Key, Option<Stored>),
    Many {
        selector: Selector,
        reverse: bool,
        limit: Option<usize>,
        entries: Vec<(Key, Stored)>,
    },
}

impl Seen {
    pub(crate) fn one(entry: &Entry) -> Self {
        Self::One(entry.key().clone(), stored(entry))
    }

    pub(crate) fn all_of(
        selector: &Selector,
        reverse: bool,
        limit: Option<usize>,
        entries: impl IntoIterator<Item = Entry>,
    ) -> Self {
        let entries = entries.into_iter().map(|entry| {
            let stored = stored(&entry).expect("a list gives no missing entries");
            (entry.key().clone(), stored)
        });
        Self::Many {
            selector: selector.clone(),
            reverse,
            limit,
            entries: entries.collect(),
        }
    }
}

fn stored(entry: &Entry) -> Option<Stored> {
    Some(Stored {
        value: entry.value()?.clone(),
        versionstamp: entry.versionstamp()?,
    })
}

/// Counts what begins and what ends, and goes by the clock of a history.
#[derive(Debug)]
pub(crate) struct Recorder {
    now: AtomicU64,
    clock: Arc<ManualClock>,
    pub(super) letters: Letters,
    pub(super) evictions: Listening,
}

impl Recorder {
    pub(crate) fn new(clock: Arc<ManualClock>) -> Self {
        Self {
            now: AtomicU64::new(0),
            clock,
            letters: Letters::default(),
            evictions: Listening::default(),
        }
    }

    pub(crate) fn clock(&self) -> Arc<ManualClock> {
        Arc::clone(&self.clock)
    }

    /// Does something, and notes from when to when.
    pub(crate) fn time<R>(&self, work: impl FnOnce() -> R) -> (R, Span) {
        let begin = self.now.fetch_add(1, Ordering::SeqCst);
        let earliest = self.clock.now();
        let result = work();
        let clock = (earliest, self.clock.now());
        let end = self.now.fetch_add(1, Ordering::SeqCst);
        (result, Span { begin, end, clock })
    }
}

/// What is wrong with a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Two commits have one versionstamp, or one has an impossible one.
    Versionstamp,
    /// A commit went through whose checks did not hold.
    Check,
    /// A commit went through that had seen what was not so any more, or never.
    StaleCommit,
    /// A commit went through although a mutation did not fit.
    Mutation,
    /// What was not there was evicted.
    Eviction,
    /// A deletion of a range counted other entries than there were.
    Count,
    /// A commit has a smaller versionstamp than something that was over before it began had seen.
    RealTime,
    /// Something was seen, or a check failed, that was so at no moment at which it could be seen.
    Read,
    /// A message was received that no commit had enqueued so.
    NoMessage,
    /// A message was received again while somebody had it, or after it was done with.
    SharedMessage,
    /// A message was received before it was due.
    EarlyMessage,
    /// A message was neither finished nor buried, or it was both.
    LostMessage,
    /// A message was received before another one that was due before it.
    Overtaken,
    /// Nobody was given a message that was due, although one was asked for.
    MissedMessage,
    /// More messages were handled at once than may be.
    Crowd,
}

/// Replays a history that began with an empty database.
pub(crate) fn check(events: &[Event]) -> Result<Model, (Wrong, String)> {
    let (model, versions) = replay(events)?;
    place_all(events, &versions)?;
    check_deliveries(events)?;
    Ok(model)
}

/// Panics where a history is not strictly serializable.
#[track_caller]
pub(crate) fn assert_strictly_serializable(events: &[Event]) -> Model {
    match check(events) {
        Ok(model) => model,
        Err((wrong, event)) => panic!("not strictly serializable: {wrong:?}: {event}"),
    }
}

/// How much the entries weighed at most, but for those that expire.
pub(crate) fn most_weight(events: &[Event], weight: impl Fn(&Key) -> u32) -> u64 {
    let mut commits: Vec<_> = events
        .iter()
        .filter_map(|event| Some((versionstamp_of(event)?, event)))
        .collect();
    commits.sort_by_key(|(versionstamp, _)| *versionstamp);
    let mut model = Model::default();
    let weights = commits.into_iter().map(|(_, event)| {
        perform(&mut model, event).expect("it was replayed before");
        let lasting = model.entries.keys();
        let lasting = lasting.filter(|key| !model.deadlines.contains_key(*key));
        lasting.map(|key| u64::from(weight(key))).sum()
    });
    weights.max().unwrap_or(0)
}

pub(super) fn fail<T>(wrong: Wrong, event: impl Debug) -> Result<T, (Wrong, String)> {
    Err((wrong, format!("{event:#?}")))
}

/// Every version of every key.
#[derive(Debug, Default)]
struct Versions(BTreeMap<Key, BTreeMap<Versionstamp, Version>>);

/// What a commit has made of a key, and when that expires, if it does.
type Version = (Option<Value>, Option<Window>);

impl Versions {
    fn note(&mut self, key: Key, versionstamp: Versionstamp, version: Version) {
        let versions = self.0.entry(key).or_default();
        versions.insert(versionstamp, version);
    }

    fn at(&self, key: &Key, place: Versionstamp) -> Option<(Stored, Option<Window>)> {
        let (versionstamp, version) = self.0.get(key)?.range(..=place).next_back()?;
        let stored = Stored {
            value: version.0.clone()?,
            versionstamp: *versionstamp,
        };
        Some((stored, version.1))
    }

    /// The state of some keys after a commit.
    fn model_at<'k>(&self, keys: impl IntoIterator<Item = &'k Key>, place: Versionstamp) -> Model {
        let mut model = Model::default();
        for key in keys {
            if let Some((stored, deadline)) = self.at(key, place) {
                model.entries.insert(key.clone(), stored);
                let deadline = deadline.map(|deadline| (key.clone(), deadline));
                model.deadlines.extend(deadline);
            }
        }
        model
    }

    /// The next commit that changed one of some keys.
    fn next_change<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k Key>,
        place: Versionstamp,
    ) -> Option<Versionstamp> {
        let after = (Bound::Excluded(place), Bound::Unbounded);
        let changes = keys
            .into_iter()
            .filter_map(|key| self.0.get(key)?.range(after).next());
        changes.map(|(versionstamp, _)| *versionstamp).min()
    }

    fn keys_of(&self, seen: &[Seen]) -> Vec<&Key> {
        let mut keys = Vec::new();
        for seen in seen {
            match seen {
                Seen::One(key, _) => keys.extend(self.0.get_key_value(key).map(|(key, _)| key)),
                Seen::Many { selector, .. } => {
                    let all = self.0.keys();
                    keys.extend(all.filter(|key| selector.selects(key.as_bytes())));
                }
            }
        }
        keys
    }
}

fn versionstamp_of(event: &Event) -> Option<Versionstamp> {
    match event.did {
        Did::Commit { versionstamp, .. }
        | Did::Clear { versionstamp, .. }
        | Did::Bury { versionstamp, .. }
        | Did::Evict { versionstamp, .. } => Some(versionstamp),
        _ => None,
    }
}

/// Runs all commits in the order of their versionstamps.
fn replay(events: &[Event]) -> Result<(Model, Versions), (Wrong, String)> {
    let mut commits: Vec<_> = events
        .iter()
        .filter_map(|event| Some((versionstamp_of(event)?, event)))
        .collect();
    commits.sort_by_key(|(versionstamp, _)| *versionstamp);
    let (mut model, mut versions) = (Model::default(), Versions::default());
    let mut last = Versionstamp::from_bytes([0; 10]);
    for (versionstamp, event) in commits {
        if versionstamp <= last || versionstamp.as_bytes()[8..] != [0, 0] {
            return fail(Wrong::Versionstamp, event);
        }
        last = versionstamp;
        for key in perform(&mut model, event)? {
            let version = (model.value(&key), model.deadlines.get(&key).copied());
            versions.note(key, versionstamp, version);
        }
    }
    Ok((model, versions))
}

/// Runs one commit; the keys that it wrote.
fn perform(model: &mut Model, event: &Event) -> Result<Vec<Key>, (Wrong, String)> {
    match &event.did {
        Did::Commit {
            versionstamp,
            checks,
            reads,
            mutations,
            ..
        } => {
            let mut states = model.possible(event.span.clock);
            states.retain(|state| state.failed(checks).is_empty());
            if states.is_empty() {
                return fail(Wrong::Check, event);
            }
            let as_seen = |state: &Model| reads.iter().all(|seen| is_so(state, seen));
            if !states.iter().any(as_seen) {
                return fail(Wrong::StaleCommit, event);
            }
            match model.changes(mutations) {
                Ok(changes) => {
                    let keys = changes.keys().cloned().collect();
                    model.install(changes, *versionstamp);
                    model.retime(mutations, event.span.clock);
                    Ok(keys)
                }
                Err(_) => fail(Wrong::Mutation, event),
            }
        }
        Did::Clear {
            selector, count, ..
        } => {
            let selected = model.selected(selector, false);
            let keys: Vec<_> = selected.into_iter().map(|(key, _)| key.clone()).collect();
            let mut states = model.possible(event.span.clock);
            let is_counted = |state: &mut Model| state.delete_selected(selector) == *count;
            if !states.iter_mut().any(is_counted) {
                return fail(Wrong::Count, event);
            }
            model.delete_selected(selector);
            Ok(keys)
        }
        Did::Bury {
            versionstamp,
            mutations,
            ..
        } => match model.changes(mutations) {
            Ok(changes) => {
                let keys = changes.keys().cloned().collect();
                model.install(changes, *versionstamp);
                model.retime(mutations, event.span.clock);
                Ok(keys)
            }
            Err(_) => fail(Wrong::Mutation, event),
        },
        Did::Evict { key, .. } => {
            let is_there = model.entries.remove(key).is_some();
            model.deadlines.remove(key);
            // What has expired is evicted as long as it is not deleted, which nobody is told of.
            if !is_there && !expires(key) {
                return fail(Wrong::Eviction, event);
            }
            Ok(vec![key.clone()])
        }
        _ => Ok(Vec::new()),
    }
}

/// Whether a state is what was seen.
fn is_so(model: &Model, seen: &Seen) -> bool {
    match seen {
        Seen::One(key, stored) => model.get(key) == stored.as_ref(),
        Seen::Many {
            selector,
            reverse,
            limit,
            entries,
        } => {
            let mut selected = model.selected(selector, *reverse);
            selected.truncate(limit.unwrap_or(usize::MAX));
            let seen = entries.iter().map(|(key, stored)| (key, stored));
            selected.into_iter().eq(seen)
        }
    }
}

/// Gives everything a place in the order that agrees with real time.
fn place_all(events: &[Event], versions: &Versions) -> Result<(), (Wrong, String)> {
    let mut by_begin: Vec<_> = events.iter().collect();
    by_begin.sort_by_key(|event| event.span.begin);
    // What is under way, by its end; and the latest place of anything that is over.
    let mut open = BinaryHeap::new();
    let mut over = Versionstamp::from_bytes([0; 10]);
    for event in by_begin {
        while let Some(&Reverse((end, place))) = open.peek()
            && end < event.span.begin
        {
            over = over.max(place);
            open.pop();
        }
        let place = match versionstamp_of(event) {
            Some(versionstamp) if versionstamp > over => versionstamp,
            Some(_) => return fail(Wrong::RealTime, (over, event)),
            None => match place_of(event, over, versions) {
                Some(place) => place,
                None => return fail(Wrong::Read, (over, event)),
            },
        };
        open.push(Reverse((event.span.end, place)));
    }
    Ok(())
}

/// The first place from `over` on at which something that changed nothing can have happened.
fn place_of(event: &Event, over: Versionstamp, versions: &Versions) -> Option<Versionstamp> {
    let (keys, known): (Vec<&Key>, _) = match &event.did {
        Did::Conflict { checks, .. } => (checks.iter().map(|check| &check.key).collect(), None),
        Did::Refusal { checks, mutations } => {
            let checked = checks.iter().map(|check| &check.key);
            let changed = mutations.iter().map(|mutation| &mutation.key);
            (checked.chain(changed).collect(), None)
        }
        Did::Read { at, seen } => (versions.keys_of(seen), *at),
        // Whoever has a message comes after its commit. A message is settled at any time.
        Did::Receive {
            message: Some(message),
            ..
        } => return Some(over.max(message.id.0)),
        Did::Receive { .. } | Did::Settle { .. } => return Some(over),
        Did::Commit { .. } | Did::Clear { .. } | Did::Bury { .. } | Did::Evict { .. } => {
            unreachable!("a commit has its place")
        }
    };
    let happens = |place| {
        let states = versions
            .model_at(keys.iter().copied(), place)
            .possible(event.span.clock);
        states.iter().any(|model| match &event.did {
            Did::Conflict { checks, failed } => model.failed(checks) == *failed,
            Did::Refusal { checks, mutations } => {
                model.failed(checks).is_empty() && model.changes(mutations).is_err()
            }
            Did::Read { seen, .. } => seen.iter().all(|seen| is_so(model, seen)),
            _ => false,
        })
    };
    if let Some(known) = known {
        return (known >= over && happens(known)).then_some(known);
    }
    let mut place = over;
    while !happens(place) {
        place = versions.next_change(keys.iter().copied(), place)?;
    }
    Some(place)
}
