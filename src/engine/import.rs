//! Importing: any number of entries by one commit.
//!
//! What comes is *staged* first: its versions are written, each with its memory, which is charged at
//! once, and no lock is held meanwhile. Then it is *prepared*: keys that have no record are given one, a few at a time, each under its own
//! stripe. A record without a version is nothing to anybody who reads. At last every stripe is locked,
//! all versions are linked, and one change makes them visible: as a commit of its own, or, where each
//! keeps its stamp, by raising the counter (KEPT). So what others wait for is the linking alone, and
//! the epoch is not held back while indexes grow.
//!
//! Whatever is refused, or panics, before that has the records taken back that nobody has used
//! meanwhile, and what was charged for the versions. Where the memory limit refuses it, room is made
//! first, and that step is tried again (`memory`): each changes nothing that the next attempt does not
//! find.

use super::Engine;
use super::commit::{Installed, Plan, unreserve};
use super::payload::{self, Large};
use super::single::expire;
use super::timing::CommitTime;
use super::weight::added_weight;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::moment::Moment;
use crate::mvcc::chain::{Draft, RecordRef};
use crate::mvcc::notify::Woken;
use crate::mvcc::publish::publish_kept;
use crate::mvcc::quota::Purpose;
use crate::mvcc::stripes::Locked;
use crate::sync::epoch::{self, Guard};
use crate::sync::{Planted, planted, reserve};
use crate::value::NewValue;
use crate::version::Stamp;
use smallvec::SmallVec;
use std::mem;
use std::time::Duration;

/// How many entries a batch has, at most, and the bytes of its keys, but for the last.
const BATCH: usize = 512;
const BATCH_KEY_BYTES: usize = 1 << 15;

/// How many keys are looked up together, so that they wait for memory together.
const GROUP: usize = 16;

/// An entry to be staged.
#[derive(Debug)]
pub(crate) struct Staged<'a> {
    /// Within the limits, and other than those before.
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a NewValue<'a>,
    /// What it had, in case that is kept.
    pub(crate) stamp: Stamp,
    /// How long it has from the commit on, if it expires.
    pub(crate) expire_in: Option<Duration>,
}

/// What is to be imported, in no index yet; its versions are charged. Dropping it frees it.
#[derive(Debug)]
pub(crate) struct Stage<'e> {
    engine: &'e Engine,
    batches: Vec<Batch>,
    count: usize,
}

#[derive(Debug, Default)]
struct Batch {
    /// One behind the other.
    keys: Vec<u8>,
    pieces: Vec<Piece>,
}

/// A version, and what it is to be linked with.
#[derive(Debug)]
struct Piece {
    draft: Option<Draft<Large>>,
    stamp: Stamp,
    key_bytes: u32,
    /// Whether its record was created for it.
    is_new: bool,
}

impl<'e> Stage<'e> {
    pub(crate) fn new(engine: &'e Engine) -> Self {
        Self {
            engine,
            batches: Vec::new(),
            count: 0,
        }
    }

    /// Adds an entry, and charges its version. The caller holds no lock and is not pinned.
    ///
    /// # Errors
    ///
    /// `OutOfMemory`, `MemoryLimit`, and `EntryLimit` where it is too heavy; it has not been added then.
    pub(crate) fn push(&mut self, staged: &Staged<'_>) -> Result<()> {
        let draft = self.draft(staged)?;
        if self.batches.last().is_none_or(Batch::is_full) {
            reserve(&mut self.batches, 1)?;
            let mut batch = Batch::default();
            reserve(&mut batch.pieces, BATCH)?;
            self.batches.push(batch);
        }
        let stripe = self.engine.stripe_of_batch(self.batches.len() - 1);
        if let Some(batch) = self.batches.last_mut() {
            reserve(&mut batch.keys, staged.key.len())?;
            self.engine.with_room(|| {
                let mut stripe = self.engine.stripes.lock_one(stripe);
                Ok(stripe.share.charge(draft.size(), Purpose::Growth)?)
            })?;
            batch.keys.extend_from_slice(staged.key);
            batch.pieces.push(Piece {
                draft: Some(draft),
                stamp: staged.stamp,
                // PANICS: never. The limits know no longer key.
                key_bytes: u32::try_from(staged.key.len()).expect("a key of at most 16 MiB"),
                is_new: false,
            });
        }
        self.count += 1;
        Ok(())
    }

    /// The version of an entry.
    fn draft(&self, staged: &Staged<'_>) -> Result<Draft<Large>> {
        let (engine, value) = (self.engine, staged.value);
        Ok(match staged.expire_in {
            after if engine.weighs() => {
                let weight = engine.weigh(&Key::raw(staged.key), value.as_ref())?;
                let after = after.map(|after| Moment::ZERO.after(after));
                payload::draft_weighed(value, after, weight)?
            }
            None => payload::draft(value)?,
            Some(after) => payload::draft_expiring(value, after)?,
        })
    }
}

impl Drop for Stage<'_> {
    /// Refunds what has not been linked.
    fn drop(&mut self) {
        for (number, batch) in mem::take(&mut self.batches).into_iter().enumerate() {
            let drafts = batch.pieces.iter().filter_map(|piece| piece.draft.as_ref());
            let bytes = drafts.map(Draft::size).sum();
            drop(batch);
            if bytes > 0 {
                let stripe = self.engine.stripe_of_batch(number);
                let share = &mut self.engine.stripes.lock_one(stripe).share;
                share.refund(bytes);
                share.tidy();
            }
        }
    }
}

impl Batch {
    fn is_full(&self) -> bool {
        self.pieces.len() == BATCH || self.keys.len() >= BATCH_KEY_BYTES
    }

    /// The pieces, with their keys.
    fn iter_mut(&mut self) -> impl Iterator<Item = (Key, &mut Piece)> {
        let mut rest = &self.keys[..];
        self.pieces.iter_mut().map(move |piece| {
            let key = rest.split_off(..piece.key_bytes as usize);
            (Key::raw(key.unwrap_or_default()), piece)
        })
    }

    /// Creates the records that are not there; how much more the entries are going to weigh, as it is now.
    fn create_records(&mut self, engine: &Engine, overwrites: bool) -> Result<u64> {
        let guard = epoch::pin();
        let time = CommitTime::new(engine);
        let mut come = 0;
        for (key, piece) in self.iter_mut() {
            let stripe = engine.stripe_of(key.hash_code());
            let mut stripe = engine.stripes.lock_one(stripe);
            let found = engine.find(&key, &guard);
            if let Some(record) = found {
                check_absent(&key, record, overwrites, &time)?;
            } else {
                engine.create(&mut stripe, &key, &guard)?;
                piece.is_new = true;
            }
            if let Some(draft) = &piece.draft {
                come += u64::from(added_weight((draft, found)));
            }
            let deferred = stripe.sweep.take_deferred();
            drop(stripe);
            if deferred > 0 {
                engine.deferred.add(deferred);
            }
        }
        if engine.deferred.is_due() {
            engine.deferred.flush(&guard);
        }
        Ok(come)
    }
}

/// What is staged, and the records that were created for it: to be taken back, unless it is committed.
struct Prepared<'e> {
    engine: &'e Engine,
    stage: Stage<'e>,
    overwrites: bool,
    is_committed: bool,
}

impl Engine {
    /// Commits all that is staged, or nothing; its stamp. Where stamps are kept, up to that of the
    /// export, it is that.
    ///
    /// # Errors
    ///
    /// `KeyExists`, unless it overwrites; `NotEmpty`, where stamps are kept and any was minted before;
    /// `OutOfMemory`, and `MemoryLimit`. Nothing has changed then.
    pub(crate) fn import(
        &self,
        stage: Stage<'_>,
        keeps: Option<Stamp>,
        overwrites: bool,
    ) -> Result<Stamp> {
        if keeps.is_some() && self.latest() > Stamp::ZERO {
            return Err(Error::not_empty());
        }
        if keeps == Some(Stamp::ZERO) {
            // Of an empty database in which nothing was ever committed.
            return Ok(Stamp::ZERO);
        }
        self.turn.give_way();
        let mut prepared = Prepared {
            engine: self,
            stage,
            overwrites,
            is_committed: false,
        };
        let come = prepared.create_records()?;
        self.evict_for(come);
        self.with_room(|| prepared.commit(keeps))
    }

    /// Which stripe the versions of a batch are charged to: any, because they may be given back to
    /// another. One for all of them, so that little is drawn that is not used.
    fn stripe_of_batch(&self, number: usize) -> usize {
        number % self.stripes.count()
    }
}

impl Prepared<'_> {
    /// Creates the records that are not there; how much more the entries are going to weigh, about.
    fn create_records(&mut self) -> Result<u64> {
        let (engine, overwrites) = (self.engine, self.overwrites);
        let batches = self.stage.batches.iter_mut();
        let come =
            batches.map(|batch| engine.with_room(|| batch.create_records(engine, overwrites)));
        come.sum()
    }

    /// Links everything, and publishes it. Where it is refused, nothing is linked.
    fn commit(&mut self, keeps: Option<Stamp>) -> Result<Stamp> {
        let engine = self.engine;
        let mut woken = Woken::new();
        let guard = epoch::pin();
        let (mut plan, mut records) = (Plan::new(), Vec::new());
        plan.reserve_installed(self.stage.count)?;
        reserve(&mut records, self.stage.count)?;
        let mut locked = Locked::new();
        engine.stripes.lock_all(&mut locked)?;
        // KEPT: whoever mints holds a stripe, unless anything was minted before.
        if keeps.is_some() && engine.counter.observe() > Stamp::ZERO {
            return Err(Error::not_empty());
        }
        let time = CommitTime::new(engine);
        let provided = self.provide(&mut records, &time, &mut locked, &guard);
        let provided = provided.and_then(|()| {
            let drafts = self.pieces().filter_map(|piece| piece.draft.as_ref());
            let come = drafts.zip(records.iter().copied().map(Some));
            let come = come.map(added_weight).map(u64::from).sum();
            let stripe = locked.iter_mut().next();
            Ok(stripe.map_or(Ok(()), |stripe| stripe.charge_weight(come))?)
        });
        if let Err(refused) = provided {
            unreserve(&mut locked);
            return Err(refused);
        }
        let pieces = self.pieces();
        for draft in pieces.filter_map(|piece| piece.draft.as_mut()) {
            expire(draft, &time);
        }
        // From here on nothing can be refused.
        self.is_committed = true;
        for (record, piece) in records.into_iter().zip(self.pieces()) {
            let Some(draft) = piece.draft.take() else {
                continue;
            };
            let version = match keeps {
                None => plan.install.link(record, draft),
                Some(_) => record.link_kept(draft, piece.stamp),
            };
            debug_assert!(plan.installed.len() < plan.installed.capacity());
            plan.installed.push(Installed {
                record,
                version,
                place: locked.place(engine.stripe_of(record.hash())),
            });
        }
        let stamp = match keeps {
            None => plan.install.publish(&engine.counter),
            Some(stamp) => {
                let versions = plan.installed.iter().map(|installed| installed.version);
                publish_kept(versions, stamp, &engine.counter);
                stamp
            }
        };
        let makes_way = engine.finish_commit(&plan, stamp, &mut locked, &mut woken, &guard);
        drop(plan);
        engine.tick(stamp, guard, makes_way);
        Ok(stamp)
    }

    fn pieces(&mut self) -> impl Iterator<Item = &mut Piece> {
        let batches = self.stage.batches.iter_mut();
        batches.flat_map(|batch| &mut batch.pieces)
    }

    /// Finds the record of every key, or creates it after all, and makes room to note what is
    /// superseded. Every stripe is locked.
    fn provide<'g>(
        &mut self,
        records: &mut Vec<RecordRef<'g, Large>>,
        time: &CommitTime<'_>,
        locked: &mut Locked<'_, super::Stripe>,
        guard: &'g Guard,
    ) -> Result<()>
    where
        Self: 'g,
    {
        let engine = self.engine;
        for batch in &mut self.stage.batches {
            let mut pieces = batch.iter_mut();
            loop {
                let group: SmallVec<[_; GROUP]> = pieces.by_ref().take(GROUP).collect();
                if group.is_empty() {
                    break;
                }
                for (key, _) in &group {
                    engine.prefetch(key);
                }
                let found: SmallVec<[_; GROUP]> = group
                    .iter()
                    .map(|(key, _)| engine.find(key, guard))
                    .collect();
                for ((key, piece), found) in group.into_iter().zip(found) {
                    let stripe = locked.stripe(engine.stripe_of(key.hash_code()));
                    let record = if let Some(record) = found {
                        if record.head().is_some() {
                            let overwrites = self.overwrites || planted(Planted::EarlyAbsence);
                            check_absent(&key, record, overwrites, time)?;
                            (stripe.sweep)
                                .reserve_another(Purpose::Replacement, &mut stripe.share)?;
                        }
                        record
                    } else {
                        piece.is_new = true;
                        engine.create(stripe, &key, guard)?
                    };
                    debug_assert!(records.len() < records.capacity());
                    records.push(record);
                }
            }
        }
        Ok(())
    }
}

/// Refuses a key that has an entry, unless that is to be overwritten. Its stripe is locked.
fn check_absent(
    key: &Key,
    record: RecordRef<'_, Large>,
    overwrites: bool,
    time: &CommitTime<'_>,
) -> Result<()> {
    if overwrites || time.current(record).is_none() {
        return Ok(());
    }
    Err(Error::key_exists(key))
}

impl Drop for Prepared<'_> {
    /// Takes back the records that it has created, and that still have no version: somebody else may
    /// have set the key meanwhile.
    fn drop(&mut self) {
        if self.is_committed {
            return;
        }
        let engine = self.engine;
        for batch in &mut self.stage.batches {
            let guard = epoch::pin();
            for (key, piece) in batch.iter_mut() {
                if !mem::take(&mut piece.is_new) {
                    continue;
                }
                let stripe = engine.stripe_of(key.hash_code());
                let mut stripe = engine.stripes.lock_one(stripe);
                let record = engine.find(&key, &guard);
                if let Some(record) = record.filter(|record| record.head().is_none()) {
                    engine.remove_record(&mut stripe, record, &guard);
                }
                let deferred = stripe.sweep.take_deferred();
                drop(stripe);
                engine.deferred.add(deferred);
            }
            if engine.deferred.is_due() {
                engine.deferred.flush(&guard);
            }
        }
    }
}
