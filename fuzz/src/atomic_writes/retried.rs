//! The operations that are tried again. What is committed in the middle of an attempt is known, and
//! so is whether the attempt has to conflict.

use super::{Run, refusal, refusal_of_key};
use crate::assert_holds;
use crate::attempt::{Act, Attempt, Interference, Overlay, Reads};
use crate::decision::Decision;
use crate::model::Mutation;
use kvick::{
    Entry, ErrorKind, Key, Kv, Result, RetryPolicy, Transacted, Transaction, Update, Value,
};
use std::num::NonZeroU32;

/// How often an update has called its closure, and whether it had to call it again.
struct Calls {
    made: u32,
    conflicts: bool,
}

impl Run<'_> {
    fn decision(&mut self) -> Decision {
        match self.input.below(12) {
            0..3 => Decision::Keep,
            3..5 => Decision::Delete,
            10 => Decision::Abort,
            11 => Decision::Fail,
            _ => Decision::Set(self.input.value()),
        }
    }

    /// Something that nobody refuses.
    fn interference(&mut self) -> Option<Interference> {
        let key = self.input.pick(&self.keys);
        let value = self.input.one_in(2).then(|| Value::from("other"));
        let is_refused = refusal_of_key(self.kv.limits(), &key).is_some();
        let happens = self.input.one_in(2) && !is_refused;
        happens.then_some(Interference { key, value })
    }

    pub(super) fn update(&mut self) {
        let count = self.input.below(5);
        let keys: Vec<_> = (0..count).map(|_| self.input.pick(&self.keys)).collect();
        let mut decisions: Vec<_> = keys.iter().map(|_| self.decision()).collect();
        if self.input.one_in(12) {
            decisions.push(self.decision());
        }
        let interference = self.interference();
        let (mut other, mut current) = (interference.clone(), self.model.clone());
        let (kv, mut latest, mut made) = (self.kv.clone(), self.latest, 0);
        let done = self.kv.update_many(&keys, |entries| {
            made += 1;
            assert!(entries.iter().map(Entry::key).eq(&keys));
            for entry in entries {
                current.assert_read(entry);
            }
            if let Some(other) = other.take() {
                latest = other.happen(&kv);
                other.enter(&mut current, latest);
            }
            let changes = decisions.iter().map(Decision::change);
            changes.map(Update::from).collect::<Vec<_>>()
        });
        let meets = |other: &Interference| other.changes(&self.model) && keys.contains(&other.key);
        let calls = Calls {
            made,
            conflicts: interference.as_ref().is_some_and(meets),
        };
        self.model = current;
        self.latest = latest;
        self.updated(done, &keys, &decisions, &calls);
    }

    fn updated(
        &mut self,
        done: Result<Transacted<()>>,
        keys: &[Key],
        decisions: &[Decision],
        calls: &Calls,
    ) {
        let limits = self.kv.limits();
        if let Some(kind) = keys.iter().find_map(|key| refusal_of_key(limits, key)) {
            assert_eq!(calls.made, 0, "what cannot be written is not asked about");
            return self.refused(done, kind);
        }
        // The first change that ends the matter does.
        let ends = |decision: &&Decision| matches!(decision, Decision::Abort | Decision::Fail);
        match decisions.iter().find(ends) {
            Some(Decision::Fail) => return self.refused(done, ErrorKind::Other),
            Some(_) => {
                let done = done.expect("to abort is no error");
                assert!(matches!(done, Transacted::Aborted { .. }), "{done:?}");
                assert_eq!(self.kv.stats().latest, self.latest, "X02");
                return;
            }
            None => {}
        }
        if decisions.len() != keys.len() {
            return self.refused(done, ErrorKind::InvalidUpdate);
        }
        let mutations = keys.iter().zip(decisions).filter_map(|(key, decision)| {
            let (key, op) = (key.clone(), decision.op()?);
            Some(Mutation { key, op })
        });
        let mutations: Vec<_> = mutations.collect();
        if !mutations.is_empty()
            && let Some(kind) = refusal(limits, &[], &mutations)
        {
            return self.refused(done, kind);
        }
        let Transacted::Committed { versionstamp, .. } = done.expect("nothing is refused") else {
            panic!("it neither aborts nor gives up")
        };
        assert_eq!(versionstamp.is_some(), !mutations.is_empty(), "X04");
        let is_again = calls.conflicts && versionstamp.is_some();
        assert_eq!(calls.made, 1 + u32::from(is_again));
        if let Some(versionstamp) = versionstamp {
            let changes = self.model.changes(&mutations);
            self.install(changes.expect("no arithmetic is done"), versionstamp);
        }
    }

    fn act(&mut self) -> Act {
        match self.input.below(6) {
            0..2 => Act::Get(self.input.pick(&self.keys)),
            2 => Act::List {
                selector: self.input.selector(&self.keys),
                reverse: self.input.one_in(2),
                limit: self.input.one_in(2).then(|| 1 + self.input.below(3)),
            },
            _ => Act::Write(self.input.mutation(&self.keys)),
        }
    }

    pub(super) fn transact(&mut self) {
        let interference = self.interference();
        let count = self.input.below(10);
        let mut acts: Vec<_> = (0..count).map(|_| self.act()).collect();
        acts.insert(self.input.below(count + 1), Act::Interfere);
        let gives_up = self.input.one_in(16);
        // Whoever is tried again writes the same once more, over what a conflict left behind. Who
        // is not leaves it there.
        let once = self.input.one_in(3);
        let policy = RetryPolicy::default();
        let policy = if once {
            policy.attempts_max(NonZeroU32::MIN)
        } else {
            policy
        };

        let mut other = interference;
        let (kv, mut current) = (self.kv.clone(), self.model.clone());
        let (mut conflicting, mut last) = (Vec::new(), None);
        let done = self.kv.with_retry(policy).transact(|tx| {
            let base = current.clone();
            let mut attempt = Attempt {
                base: &base,
                overlay: Overlay::default(),
                reads: Reads::default(),
            };
            let mut changed = None;
            for act in &acts {
                perform(&mut attempt, tx, act, &kv);
                if let (Act::Interfere, Some(other)) = (act, other.take()) {
                    let versionstamp = other.happen(&kv);
                    changed = other.changes(&current).then(|| other.key.clone());
                    other.enter(&mut current, versionstamp);
                }
            }
            let conflicts = changed.is_some_and(|key| attempt.reads.cover(&key));
            conflicting.push(conflicts);
            last = Some((attempt.overlay, attempt.reads));
            if gives_up { tx.abort("no") } else { Ok(()) }
        });
        self.model = current;
        self.latest = self.latest.max(self.kv.stats().latest);
        let (overlay, reads) = last.expect("it is called at least once");
        if gives_up {
            let Ok(Transacted::Aborted { read, .. }) = done else {
                panic!("it was aborted: {done:?}")
            };
            assert!(read.iter().map(Entry::key).eq(&reads.keys), "X02");
            return;
        }
        let mutations = in_order(&overlay, &acts);
        if once && conflicting == [true] && !mutations.is_empty() {
            return self.exhausted(done, &mutations);
        }
        self.transacted(done, &mutations, &conflicting);
    }

    /// The only attempt has conflicted, unless it was refused.
    fn exhausted(&self, done: Result<Transacted<()>>, mutations: &[Mutation]) {
        if let Some(kind) = refusal(self.kv.limits(), &[], mutations) {
            return self.refused(done, kind);
        }
        assert!(
            matches!(done, Ok(Transacted::Exhausted { attempts: 1, .. })),
            "{done:?}"
        );
        assert_holds(&self.kv, &self.model);
    }

    fn transacted(
        &mut self,
        done: Result<Transacted<()>>,
        mutations: &[Mutation],
        conflicting: &[bool],
    ) {
        let limits = self.kv.limits();
        if !mutations.is_empty()
            && let Some(kind) = refusal(limits, &[], mutations)
        {
            return self.refused(done, kind);
        }
        let expected: &[bool] = match conflicting[0] {
            true if !mutations.is_empty() => &[true, false],
            conflicts => &[conflicts],
        };
        assert_eq!(conflicting, expected, "which attempts conflict: {done:?}");
        let changes = match self.model.changes(mutations) {
            Ok(changes) => changes,
            Err(kind) => return self.refused(done, kind),
        };
        let Ok(Transacted::Committed {
            versionstamp,
            attempts,
            ..
        }) = done
        else {
            panic!("it neither aborts nor gives up: {done:?}")
        };
        assert_eq!(attempts as usize, conflicting.len());
        assert_eq!(versionstamp.is_some(), !mutations.is_empty());
        if let Some(versionstamp) = versionstamp {
            assert_eq!(versionstamp, self.latest);
            self.stale.push(versionstamp);
            self.model.install(changes, versionstamp);
        }
    }
}

/// An act; one of a key that cannot be written cannot be read here either, because it could not be
/// checked (K08).
fn perform(attempt: &mut Attempt<'_>, tx: &mut Transaction<'_>, act: &Act, kv: &Kv) {
    if let Act::Get(key) = act
        && let Some(kind) = refusal_of_key(kv.limits(), key)
    {
        let refused = tx.get(key).map_err(|error| error.kind());
        return assert_eq!(refused, Err(kind));
    }
    attempt.act(tx, act);
}

/// The mutations of a transaction, its keys in the order in which they were first written.
fn in_order(overlay: &Overlay, acts: &[Act]) -> Vec<Mutation> {
    let written = |act: &Act| match act {
        Act::Write(mutation) => Some(mutation.key.clone()),
        _ => None,
    };
    let keys: Vec<_> = acts.iter().filter_map(written).collect();
    let mut mutations = overlay.mutations();
    mutations.sort_by_key(|mutation| keys.iter().position(|key| *key == mutation.key));
    mutations
}
