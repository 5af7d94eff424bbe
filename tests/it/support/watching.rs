//! What a client of a history does with watches, and what it holds against what it is shown.

use super::checker::{Did, Event, Seen, Span};
use super::client::{Client, NESTED_MAX, granted};
use super::model::Op;
use super::selector::Selector;
use super::workload::expires;
use kvick::{ChangeEvent, ChangeKind, Changed, ChangesFrom, Entry, Key, Versionstamp};
use rand::RngExt;
use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::thread;
use std::time::Duration;

/// Asks, and enters the list of those who wait, and does not wait.
const NOT_AT_ALL: Duration = Duration::ZERO;

/// Whether an entry is none of those that expire.
fn lasts(entry: &Entry) -> bool {
    !expires(entry.key())
}

impl Client<'_> {
    /// A watch that is asked while others go on.
    pub(super) fn watch(&mut self) {
        if self.nested == NESTED_MAX {
            return;
        }
        self.nested += 1;
        let watched = match self.random.random_range(0..3) {
            0 => self.watch_keys(),
            1 => self.watch_range(),
            _ => self.follow(),
        };
        self.nested -= 1;
        if let Err(panic) = watched {
            panic::resume_unwind(panic);
        }
    }

    /// Takes a step, whose closure may panic. That goes on when the watch is gone: to drop one takes
    /// locks, and what unwinds in a simulation cannot wait for one.
    fn step_aside(&mut self) -> thread::Result<()> {
        panic::catch_unwind(AssertUnwindSafe(|| self.step()))
    }

    pub(super) fn saw(&mut self, span: Span, at: Option<Versionstamp>, seen: Vec<Seen>) {
        let did = Did::Read { at, seen };
        self.events.push(Event { span, did });
    }

    /// What an emission shows was so at its version. Of a raw watch, one comes for whatever this client
    /// has committed before it asks. (The others do not show what somebody has taken back. And for what
    /// others commit, one comes once they have returned, which cannot be told from here.)
    fn watch_keys(&mut self) -> thread::Result<()> {
        let count = self.random.random_range(1..=4);
        let keys: Vec<_> = (0..count).map(|_| self.key()).collect();
        let Some(watch) = granted(self.kv.watch(&keys)) else {
            return Ok(());
        };
        let is_raw = self.random.random();
        let watch = if is_raw { watch.raw() } else { watch };
        let mut watch = watch.into_iter();
        let (first, mut shown) = (self.events.len(), None);
        for _ in 0..self.random.random_range(1..5) {
            let own = self.sets_since(first).filter(|(key, _)| keys.contains(key));
            let own = own.map(|(_, versionstamp)| versionstamp).max();
            let (emission, span) = self.recorder.time(|| watch.recv_timeout(NOT_AT_ALL));
            let emission = emission.expect("the database is open");
            if let Some(emission) = emission {
                assert!(shown < Some(emission.versionstamp));
                shown = Some(emission.versionstamp);
                let seen = emission.entries.iter().map(Seen::one).collect();
                self.saw(span, shown, seen);
            }
            assert!(shown.is_some(), "the first emission comes at once");
            assert!(!is_raw || own <= shown, "{own:?} is not shown");
            self.step_aside()?;
        }
        Ok(())
    }

    /// The keys that this client has set since some event, with the versions that they got.
    fn sets_since(&self, first: usize) -> impl Iterator<Item = (&Key, Versionstamp)> {
        let events = self.events[first..].iter();
        events.flat_map(|event| {
            let (mutations, versionstamp) = match &event.did {
                Did::Commit {
                    versionstamp,
                    mutations,
                    ..
                }
                | Did::Bury {
                    versionstamp,
                    mutations,
                    ..
                } => (&mutations[..], Some(*versionstamp)),
                _ => (&[][..], None),
            };
            mutations.iter().filter_map(move |mutation| {
                let mut of_key = mutations.iter().filter(|other| other.key == mutation.key);
                let last = of_key.next_back()?;
                matches!(last.op, Op::Set(_)).then_some((&mutation.key, versionstamp?))
            })
        })
    }

    /// Keys that a change does not name were at its version as they had been listed; where there is
    /// no change, all of the range is so still.
    fn watch_range(&mut self) -> thread::Result<()> {
        let selector = self.selector();
        let watch = self.kv.watch_range(selector.range());
        let mut watch = watch.expect("a range can be watched").into_iter();
        let mut listed = Vec::new();
        for turn in 0..self.random.random_range(1..5) {
            let (change, span) = self.recorder.time(|| watch.recv_timeout(NOT_AT_ALL));
            let Some(change) = change.expect("the database is open") else {
                assert!(turn > 0, "the first comes at once");
                let still = self.still(&selector, &listed);
                self.saw(span, None, still);
                self.step_aside()?;
                continue;
            };
            if let Changed::Keys(keys) = change.changed {
                let others = |entry: &&Entry| keys.binary_search(entry.key()).is_err();
                let same = listed
                    .iter()
                    .filter(others)
                    .filter(|entry| lasts(entry))
                    .map(Seen::one);
                self.saw(span, Some(change.versionstamp), same.collect());
            }
            listed = self.list_now(&selector);
            self.step_aside()?;
        }
        Ok(())
    }

    /// What a range that has not changed holds. What expires may be gone before anybody is told.
    fn still(&self, selector: &Selector, listed: &[Entry]) -> Vec<Seen> {
        let mut keys = self.workload.keys.iter();
        if keys.any(|key| expires(key) && selector.selects(key.as_bytes())) {
            listed
                .iter()
                .filter(|entry| lasts(entry))
                .map(Seen::one)
                .collect()
        } else {
            vec![Seen::all_of(selector, false, None, listed.to_vec())]
        }
    }

    fn list_now(&mut self, selector: &Selector) -> Vec<Entry> {
        let list = || self.kv.list(selector.range()).entries().map(Vec::from_iter);
        let (listed, span) = self.recorder.time(list);
        let listed = listed.expect("a range can be listed");
        let all = Seen::all_of(selector, false, None, listed.clone());
        self.saw(span, None, vec![all]);
        listed
    }

    /// What is told to have been deleted was not there after that commit, and what this client has
    /// committed meanwhile is told.
    fn follow(&mut self) -> thread::Result<()> {
        let changes = self.kv.changes(ChangesFrom::Now);
        let mut changes = changes.expect("changes can be followed").into_iter();
        let first = self.events.len();
        for _ in 0..self.random.random_range(1..5) {
            self.step_aside()?;
        }
        let mut told = BTreeMap::new();
        let mut is_complete = true;
        let mut last = None;
        loop {
            let (event, span) = self.recorder.time(|| changes.recv_timeout(NOT_AT_ALL));
            let commit = match event.expect("the database is open") {
                None => break,
                Some(ChangeEvent::Commit(commit)) => commit,
                // Memory was refused to a commit that has gone on without.
                Some(ChangeEvent::Lagged(_)) => {
                    is_complete = false;
                    continue;
                }
            };
            let at = Some(commit.versionstamp());
            assert!(last < at, "commits are told in their order");
            last = at;
            let deleted = commit
                .changes()
                .filter(|(_, kind)| *kind == ChangeKind::Delete);
            let gone = deleted
                .map(|(key, _)| Seen::One(key.clone(), None))
                .collect();
            let set = commit
                .changes()
                .filter(|(_, kind)| *kind == ChangeKind::Set);
            let set: Vec<Key> = set.map(|(key, _)| key.clone()).collect();
            told.insert(commit.versionstamp(), set);
            // Of some time since the stream was begun, and not of now.
            let span = Span { begin: 0, ..span };
            self.saw(span, at, gone);
        }
        for (key, versionstamp) in self.sets_since(first).filter(|_| is_complete) {
            let set = told.get(&versionstamp);
            let is_told = set.is_some_and(|set| set.contains(key));
            assert!(is_told, "{versionstamp} is not told");
        }
        Ok(())
    }
}
