//! What a commit has left under the keys that it has written.
//!
//! The commit itself keeps no note of it: its versions are still there, and are read like any others,
//! at its own stamp. They cannot have gone, however much has been written since, because the guard is
//! older than the stamp: to the grace this is a short reader, whose snapshot is not older than its
//! guard (E-GRACE).

use super::Engine;
use super::calls::Calls;
use super::commit::{Effects, Outcome};
use super::payload;
use super::read::Hit;
use super::write::{Op, Write, check_single};
use crate::error::Result;
use crate::key::Key;
use crate::moment::Moment;
use crate::mvcc::notify::Woken;
use crate::sync::epoch::{self, Guard};
use crate::sync::reserve;
use crate::version::Stamp;

impl Engine {
    /// Like [`commit`](Self::commit). If it commits, the key of each mutation is given to `read`, in
    /// their order, with what the commit has left there.
    pub(crate) fn commit_returning<R>(
        &self,
        write: &Write<'_>,
        read: impl FnMut(Key, Option<Hit<'_>>) -> R,
    ) -> Result<(Outcome, Vec<R>)> {
        write.check_limits(self.limits(), self.single)?;
        if self.weighs() {
            return self.with_weights(write, |weighed| {
                self.commit_weighed_returning(weighed, read)
            });
        }
        self.commit_weighed_returning(write, read)
    }

    /// The same, of what is within the limits, and weighed where that counts.
    fn commit_weighed_returning<R>(
        &self,
        write: &Write<'_>,
        mut read: impl FnMut(Key, Option<Hit<'_>>) -> R,
    ) -> Result<(Outcome, Vec<R>)> {
        let mut all_left = Vec::new();
        reserve(&mut all_left, write.mutations.len())?;
        // First, because that may take long, and nothing is freed while this is pinned. For the same
        // reason others are woken when it is pinned no more.
        self.turn.give_way();
        let mut calls = Calls::new();
        let outcome = self.with_room(|| {
            // PINNED: before the commit. MODEL: registry::what_a_commit_left_is_there_for_itself.
            let guard = epoch::pin();
            let outcome = self.commit_checked(write, &mut calls)?;
            if let Outcome::Committed(Effects { stamp }) = outcome {
                all_left.extend(write.keys_at(stamp).map(|key| {
                    let left = self.left(&key, stamp, &guard);
                    read(key, left)
                }));
            }
            Ok(outcome)
        })?;
        Ok((outcome, all_left))
    }

    /// Like [`commit_mutation`](Self::commit_mutation); `read` is given what it has left.
    pub(crate) fn commit_mutation_returning<R>(
        &self,
        key: &Key,
        op: &Op<'_>,
        mut read: impl FnMut(Option<Hit<'_>>) -> R,
    ) -> Result<R> {
        check_single(key, op, self.limits(), self.single)?;
        let weighed = self.weighed(key, op)?;
        let op = weighed.as_ref().unwrap_or(op);
        self.turn.give_way();
        let mut woken = Woken::new();
        self.with_room(|| {
            // PINNED: as above.
            let guard = epoch::pin();
            let Effects { stamp } = self.commit_mutation_checked(key, op, &mut woken)?;
            Ok(read(self.left(key, stamp, &guard)))
        })
    }

    /// What the commit with this stamp has left under a key, whether or not it has expired since.
    fn left<'g>(&self, key: &Key, stamp: Stamp, guard: &'g Guard) -> Option<Hit<'g>> {
        let (version, written) = self.find(key, guard)?.at(stamp, &self.counter)?;
        if written != stamp || version.is_tombstone() {
            return None;
        }
        let now = if payload::expires(version) {
            self.now()
        } else {
            Moment::ZERO
        };
        Some(Hit::written((version, stamp), now))
    }
}
