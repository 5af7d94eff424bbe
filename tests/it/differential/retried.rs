//! The operations that are tried again: whether an attempt conflicts is known as well.
//!
//! While an attempt is under way, something else may be committed. It then has to conflict if, and
//! only if, that changed something that the attempt had read or was going to read.

use super::Run;
use crate::support::attempt::{Act, Attempt, Interference, Overlay, Reads};
use crate::support::decision::Decision;
use crate::support::model::Mutation;
use kvick::{Entry, Error, ErrorKind, Key, Kv, Result, Transacted, Update, Versionstamp};
use rand::RngExt;

impl Run {
    fn interference(&mut self) -> Option<Interference> {
        let value = self.random.random_bool(0.7).then(|| self.value());
        let key = self.key();
        let happens = self.random.random_bool(0.5);
        happens.then_some(Interference { key, value })
    }

    fn act(&mut self) -> Act {
        match self.random.random_range(0..5) {
            0 | 1 => Act::Get(self.key()),
            2 => Act::List {
                selector: self.selector(),
                reverse: self.random.random(),
                limit: (self.random.random_bool(0.4)).then(|| self.random.random_range(1..4)),
            },
            _ => Act::Write(self.mutation()),
        }
    }

    pub(super) fn transact(&mut self) {
        let mut other = self.interference();
        let count = self.random.random_range(0..8);
        let mut acts: Vec<_> = (0..count).map(|_| self.act()).collect();
        acts.insert(self.random.random_range(0..=count), Act::Interfere);
        let gives_up = self.random.random_bool(0.05);

        let (kv, mut current) = (self.kv.clone(), self.model.clone());
        let mut minted = None;
        let mut attempts = Vec::new();
        let mut last = None;
        let done = kv.transact(|tx| {
            let base = current.clone();
            let mut attempt = Attempt {
                base: &base,
                overlay: Overlay::default(),
                reads: Reads::default(),
            };
            let mut conflicts = None;
            for act in &acts {
                attempt.act(tx, act);
                if let (Act::Interfere, Some(other)) = (act, other.take()) {
                    let versionstamp = other.happen(&kv);
                    conflicts = other.changes(&current).then_some(other.key.clone());
                    other.enter(&mut current, versionstamp);
                    minted = Some(versionstamp);
                }
            }
            let conflicts = conflicts.is_some_and(|key| attempt.reads.cover(&key));
            attempts.push(conflicts && !attempt.overlay.0.is_empty());
            last = Some((attempt.overlay, attempt.reads));
            if gives_up { tx.abort("no") } else { Ok(()) }
        });
        self.model = current;
        if let Some(versionstamp) = minted {
            assert!(versionstamp > self.latest);
            self.latest = versionstamp;
        }
        let (overlay, reads) = last.expect("it is called at least once");
        if gives_up {
            return self.aborted(done, &reads);
        }
        let expected: &[bool] = if attempts[0] {
            &[true, false]
        } else {
            &[false]
        };
        assert_eq!(attempts, expected, "which attempts conflict: {done:?}");
        self.finished(done, attempts.len(), &overlay);
    }

    fn aborted(&self, done: Result<Transacted<()>>, reads: &Reads) {
        match done.expect("to abort is no error") {
            Transacted::Aborted { reason, read, .. } => {
                assert_eq!(reason.to_string(), "no");
                assert!(read.iter().map(Entry::key).eq(&reads.keys), "X02");
            }
            other => panic!("it was aborted: {other:?}"),
        }
        assert_eq!(self.kv.stats().latest, self.latest);
    }

    fn finished(&mut self, done: Result<Transacted<()>>, attempts: usize, overlay: &Overlay) {
        match self.model.changes(&overlay.mutations()) {
            Err(_) => {
                // As which, depends on the order in which the keys were written.
                let error = done.expect_err("a mutation does not fit");
                let kinds = [ErrorKind::TypeMismatch, ErrorKind::SumOutOfRange];
                assert!(kinds.contains(&error.kind()), "{error}");
            }
            Ok(changes) => match done.expect("every mutation fits") {
                Transacted::Committed {
                    versionstamp,
                    attempts: counted,
                    ..
                } => {
                    assert_eq!(counted as usize, attempts);
                    assert_eq!(versionstamp.is_some(), !overlay.0.is_empty());
                    if let Some(versionstamp) = versionstamp {
                        assert!(versionstamp > self.latest);
                        self.latest = versionstamp;
                        self.stale.push(versionstamp);
                        self.model.install(changes, versionstamp);
                    }
                }
                other => panic!("it neither aborts nor gives up: {other:?}"),
            },
        }
        // A conflict over a range may have minted a stamp for nothing.
        let latest = self.kv.stats().latest;
        assert!(latest >= self.latest);
        self.latest = latest;
    }
}

/// The updates.
impl Run {
    fn decision(&mut self) -> Decision {
        match self.random.random_range(0..20) {
            0 => Decision::Abort,
            1 => Decision::Fail,
            2..6 => Decision::Keep,
            6..9 => Decision::Delete,
            _ => Decision::Set(self.value()),
        }
    }

    pub(super) fn update(&mut self) {
        let (key, decision) = (self.key(), self.decision());
        self.update_keys(&[key], &[decision], |kv, keys, decide| {
            kv.update(&keys[0], |entry| {
                let mut changes = decide(std::slice::from_ref(entry))?;
                Ok::<_, Error>(changes.remove(0))
            })
        });
    }

    pub(super) fn update_many(&mut self) {
        let keys = self.keys(0..6);
        let decisions: Vec<_> = keys.iter().map(|_| self.decision()).collect();
        self.update_keys(&keys, &decisions, |kv, keys, decide| {
            kv.update_many(keys, |entries| decide(entries))
        });
    }

    fn update_keys(
        &mut self,
        keys: &[Key],
        decisions: &[Decision],
        update: impl FnOnce(
            &Kv,
            &[Key],
            &mut dyn FnMut(&[Entry]) -> Result<Vec<Update>>,
        ) -> Result<Transacted<()>>,
    ) {
        let interference = self.interference();
        let (kv, mut current) = (self.kv.clone(), self.model.clone());
        let mut other = interference.clone();
        let mut calls = 0;
        let done = update(&self.kv, keys, &mut |entries| {
            calls += 1;
            assert!(entries.iter().map(Entry::key).eq(keys));
            for entry in entries {
                current.assert_read(entry);
            }
            if let Some(other) = other.take() {
                other.enter(&mut current, other.happen(&kv));
            }
            decisions.iter().map(Decision::change).collect()
        });
        let meets = |other: &Interference| other.changes(&self.model) && keys.contains(&other.key);
        let conflicts = interference.as_ref().is_some_and(meets);
        self.model = current;
        self.latest = self.latest.max(self.newest());
        self.updated(done, keys, decisions, (calls, conflicts));
    }

    /// The largest versionstamp of the model.
    fn newest(&self) -> Versionstamp {
        let stored = self.model.entries.values();
        let versionstamps = stored.map(|stored| stored.versionstamp);
        versionstamps.max().unwrap_or(self.latest)
    }

    fn updated(
        &mut self,
        done: Result<Transacted<()>>,
        keys: &[Key],
        decisions: &[Decision],
        (calls, conflicts): (u32, bool),
    ) {
        // The first that ends the matter, in the order of the keys, does; an error before all.
        if decisions.iter().any(|one| matches!(one, Decision::Fail)) {
            assert_eq!(done.expect_err("it fails").kind(), ErrorKind::Other);
        } else if decisions.iter().any(|one| matches!(one, Decision::Abort)) {
            let done = done.expect("to abort is no error");
            assert!(matches!(done, Transacted::Aborted { .. }), "{done:?}");
        } else {
            let mutations = keys.iter().zip(decisions).filter_map(|(key, decision)| {
                let (key, op) = (key.clone(), decision.op()?);
                Some(Mutation { key, op })
            });
            let mutations: Vec<_> = mutations.collect();
            let Transacted::Committed { versionstamp, .. } = done.expect("nothing is refused")
            else {
                panic!("it neither aborts nor gives up")
            };
            assert_eq!(versionstamp.is_some(), !mutations.is_empty(), "X04");
            assert_eq!(calls, 1 + u32::from(conflicts && versionstamp.is_some()));
            if let Some(versionstamp) = versionstamp {
                let changes = self.model.changes(&mutations);
                let changes = changes.expect("no arithmetic is done");
                self.model.install(changes, versionstamp);
                assert!(versionstamp > self.latest);
            }
        }
        self.latest = self.kv.stats().latest;
    }
}
