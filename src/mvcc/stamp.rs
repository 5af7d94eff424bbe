//! Minting stamps, and the word in which a version carries its own.
//!
//! A commit becomes visible by one change of one word. Every version that it writes has a *stamp
//! word*; one of them, the leader's, decides for all, and the others point at it until the stamp
//! is known. The leader's word goes through these states:
//!
//! ```text
//!   INSTALLING ──► READY ──► decided          a commit of known keys
//!       ▲  │
//!       │  └─────► VALIDATING ──► decided     a commit that depends on ranges
//!       └──────────────┘ a reader kicks it back
//! ```
//!
//! - `INSTALLING`: heads are still being linked. A reader skips the version: whatever stamp the
//!   commit gets will be minted after the reader loaded its own snapshot (E-READY).
//! - `READY`: everything is linked (ALL-LINKED). The stamp may be minted by anybody: by the
//!   writer, or by a reader that will not wait for it. The first compare-and-swap wins
//!   (DECIDED-ONCE).
//! - `VALIDATING`: everything is linked, and the writer has minted or is about to mint a stamp
//!   that it will use only if its ranges are found unchanged. A reader cannot know the outcome and
//!   must not wait for it, so it kicks the word back to `INSTALLING`; the writer then mints anew,
//!   later than the reader's snapshot.
//! - decided: the stamp, for ever.
//!
//! Versions that come with stamps of their own, from a copy of another engine, have no leader. Each
//! is *kept*: its stamp holds from when the counter has been raised to it, which is one change for
//! all of them (KEPT). Then it is settled, as if it had been led.

use crate::sync::{
    AtomicU64, CachePadded, Ordering, Planted, SPIN_TURNS, Statistic, ordering, planted, spin_loop,
};
use crate::version::Stamp;

/// The one counter of an engine: mints stamps, and tells the latest, at which snapshots are taken.
#[derive(Debug)]
pub(crate) struct StampCounter {
    latest: CachePadded<AtomicU64>,
    /// Commits that were decided by somebody who met them, and not by their writers.
    helped: Statistic,
}

impl StampCounter {
    pub(crate) fn new() -> Self {
        Self {
            latest: CachePadded::new(AtomicU64::new(Stamp::ZERO.get())),
            helped: Statistic::new(),
        }
    }

    /// How many commits were decided by somebody who met them.
    pub(crate) fn helped_count(&self) -> u64 {
        self.helped.get()
    }

    /// Mints the next stamp.
    pub(crate) fn mint(&self) -> Stamp {
        // ORDERING: E-MINT, writer side. Release publishes the linked heads to whoever loads this
        // number or a later one. Acquire orders this commit after all that were minted before it:
        // a range validated after the mint sees the heads of every earlier one.
        // MODEL: publish::snapshot_is_not_torn, validated::one_of_two_that_cross_is_refused.
        let publish = ordering(Ordering::AcqRel, Planted::WeakMint);
        if planted(Planted::StampReuse) {
            // ORDERING: too weak in any case: that is the bug.
            let next = self.latest.load(Ordering::Acquire) + 1;
            // ORDERING: as above.
            self.latest.store(next, Ordering::Release);
            return Stamp::new(next);
        }
        Stamp::new(self.latest.fetch_add(1, publish) + 1)
    }

    /// Mints this very stamp, and none of those before it that have not been minted; unless it, or a
    /// later one, has been.
    pub(crate) fn mint_at(&self, stamp: Stamp) -> bool {
        // ORDERING: E-MINT, writer side, as in `mint`. Where it fails nothing is minted, though what
        // was linked is published all the same, to be rolled back.
        // MODEL: validated::key_is_the_stamp_of_its_commit.
        let publish = ordering(Ordering::AcqRel, Planted::WeakMint);
        self.latest.fetch_max(stamp.get(), publish) < stamp.get()
    }

    /// Raises the counter from zero to the stamp of what was kept, so that all of it is there; `false`
    /// where anything has been minted, and then nothing has changed.
    pub(crate) fn raise(&self, stamp: Stamp) -> bool {
        // ORDERING: E-MINT, writer side, as in `mint`: it publishes every version that is kept.
        // MODEL: kept::import_is_seen_whole, kept::snapshot_has_all_or_nothing_of_an_import.
        let publish = ordering(Ordering::AcqRel, Planted::WeakMint);
        // ORDERING: Relaxed on failure. Whoever is told so looks no further.
        self.latest
            .compare_exchange(Stamp::ZERO.get(), stamp.get(), publish, Ordering::Relaxed)
            .is_ok()
    }

    /// The latest stamp minted: the snapshot that a read beginning now is given.
    pub(crate) fn latest(&self) -> Stamp {
        // ORDERING: E-MINT, reader side. Every change of the counter is a read-modify-write, so
        // this load synchronises with the mint of each stamp up to the one it returns.
        Stamp::new(self.latest.load(Ordering::Acquire))
    }

    /// Like [`latest`](Self::latest), and whoever mints a later one finds what the caller did before.
    pub(crate) fn observe(&self) -> Stamp {
        // ORDERING: E-MINT, both sides: as the mint of no stamp. What is minted later reads what this
        // writes, and is ordered after it. MODEL: notify::nobody_waits_for_what_is_in_the_feed.
        Stamp::new(self.latest.fetch_add(0, Ordering::AcqRel))
    }
}

/// What a stamp word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Installing,
    Validating,
    Ready,
    Decided(Stamp),
    /// The version whose word decides, by its exposed address.
    Led(usize),
    /// The stamp that it has from when the counter has reached that.
    Kept(Stamp),
}

/// The stamp, or how far the commit has come towards one.
///
/// The two low bits tell what the other 62 are: `00` a stamp, `01` the address of the leader
/// (versions are aligned to eight bytes), `10` one of the three states before that, `11` a stamp
/// that is kept.
#[derive(Debug)]
pub(crate) struct StampWord(AtomicU64);

const TAG_BITS: u32 = 2;
const TAG_MASK: u64 = (1 << TAG_BITS) - 1;
const TAG_DECIDED: u64 = 0b00;
const TAG_LED: u64 = 0b01;
const TAG_KEPT: u64 = 0b11;
const INSTALLING: u64 = 0b00_10;
const VALIDATING: u64 = 0b01_10;
const READY: u64 = 0b10_10;

const fn decided(stamp: Stamp) -> u64 {
    stamp.get() << TAG_BITS
}

fn parse(word: u64) -> State {
    match word {
        // Nearly all of them.
        _ if word & TAG_MASK == TAG_DECIDED => State::Decided(Stamp::new(word >> TAG_BITS)),
        INSTALLING => State::Installing,
        VALIDATING => State::Validating,
        READY => State::Ready,
        _ if word & TAG_MASK == TAG_KEPT => State::Kept(Stamp::new(word >> TAG_BITS)),
        _ => {
            debug_assert_eq!(word & TAG_MASK, TAG_LED);
            #[expect(clippy::cast_possible_truncation, reason = "it was an address")]
            State::Led((word & !TAG_MASK) as usize)
        }
    }
}

impl StampWord {
    /// The word of a leader whose commit still links heads.
    pub(crate) fn installing() -> Self {
        Self(AtomicU64::new(INSTALLING))
    }

    /// The word of a commit of one key: linking its head links all of it.
    pub(crate) fn ready() -> Self {
        Self(AtomicU64::new(READY))
    }

    /// The word of a version that has this stamp once the counter has been raised to it. Nothing has
    /// been minted when it is linked.
    pub(crate) fn kept(stamp: Stamp) -> Self {
        if planted(Planted::EarlyKept) {
            return Self(AtomicU64::new(decided(stamp)));
        }
        Self(AtomicU64::new(decided(stamp) | TAG_KEPT))
    }

    /// The word of a version whose leader is at `address`.
    pub(crate) fn led_by(address: usize) -> Self {
        debug_assert_eq!(address as u64 & TAG_MASK, 0);
        Self(AtomicU64::new(address as u64 | TAG_LED))
    }

    pub(crate) fn state(&self) -> State {
        // ORDERING: E-READY, reader side: ready or decided means that every head of the commit is
        // linked. And had the commit minted a stamp at or below the reader's snapshot, that mint
        // would precede the load of the snapshot (E-MINT), so the word read here would be ready or
        // later: installing therefore means stamped after the snapshot.
        // MODEL: publish::snapshot_is_not_torn, publish::point_reads_see_whole_commits.
        let learn = ordering(Ordering::Acquire, Planted::WeakState);
        parse(self.0.load(learn))
    }

    /// The stamp of a version that is known to be decided: the caller holds the stripe of its key,
    /// and a commit settles every word before it gives up its stripes.
    pub(crate) fn settled(&self) -> Option<Stamp> {
        // ORDERING: Relaxed. The stripe's lock orders this after the store.
        match parse(self.0.load(Ordering::Relaxed)) {
            State::Decided(stamp) => Some(stamp),
            _ => None,
        }
    }

    /// All heads are linked: from here on anybody may decide.
    pub(crate) fn make_ready(&self) {
        // ORDERING: E-READY, writer side: publishes the heads linked before.
        // MODEL: publish::snapshot_is_not_torn.
        let publish = ordering(Ordering::Release, Planted::WeakReady);
        self.0.store(READY, publish);
    }

    /// Mints a stamp for a ready commit and decides it, unless somebody was faster; the stamp that
    /// holds.
    pub(crate) fn decide(&self, counter: &StampCounter) -> Stamp {
        self.decide_by(counter).0
    }

    /// The same; whether it was this caller who decided, too.
    #[inline]
    fn decide_by(&self, counter: &StampCounter) -> (Stamp, bool) {
        let minted = counter.mint();
        // ORDERING: DECIDED-ONCE. Release on success, Acquire on failure: whoever learns the stamp
        // from the word is ordered after its mint, so that a commit it begins next mints a larger
        // one. MODEL: publish::stamp_is_decided_once, publish::stamps_follow_real_time.
        match self
            .0
            .compare_exchange(READY, decided(minted), Ordering::AcqRel, Ordering::Acquire)
        {
            Ok(_) => (minted, true),
            Err(_) if planted(Planted::OwnStamp) => (minted, false),
            Err(word) => match parse(word) {
                State::Decided(stamp) => (stamp, false),
                state => unreachable!("DECIDED-ONCE: a ready word became {state:?}"),
            },
        }
    }

    /// What a reader makes of a leader's word: the stamp, or `None` where the commit will be
    /// stamped later than any snapshot taken so far. Never waits for the writer.
    pub(crate) fn resolve(&self, counter: &StampCounter) -> Option<Stamp> {
        let mut turns = 0;
        loop {
            match self.state() {
                State::Decided(stamp) => return Some(stamp),
                State::Installing => return None,
                State::Validating => {
                    // MODEL: validated::kicked_commit_is_later_than_the_snapshot.
                    if planted(Planted::NoKick) || self.kick() {
                        return None;
                    }
                }
                State::Ready if planted(Planted::SkipReady) => return None,
                // The writer is between its store and its compare-and-swap, a few nanoseconds,
                // unless it was preempted there.
                State::Ready if turns < SPIN_TURNS || planted(Planted::NoHelp) => {
                    turns = turns.saturating_add(1);
                    spin_loop();
                }
                // MODEL: publish::reads_at_a_snapshot_repeat.
                State::Ready => {
                    let (stamp, is_ours) = self.decide_by(counter);
                    if is_ours {
                        counter.helped.count();
                    }
                    return Some(stamp);
                }
                // KEPT: the counter goes from zero to above this at once. MODEL: kept::import_is_seen_whole.
                State::Kept(stamp) => return (counter.latest() >= stamp).then_some(stamp),
                State::Led(_) => unreachable!("a leader is led by nobody"),
            }
        }
    }

    /// Gives a version the stamp that it has kept, so that no later reader looks at the counter.
    pub(crate) fn settle_kept(&self) {
        // ORDERING: Relaxed. The caller has written it, and holds the stripe.
        if let State::Kept(stamp) = parse(self.0.load(Ordering::Relaxed)) {
            self.settle(stamp);
        }
    }

    /// Gives a version that is led the stamp of its leader, so that no later reader follows the
    /// pointer.
    pub(crate) fn settle(&self, stamp: Stamp) {
        // ORDERING: Release, for the same reason as in `decide`: the stamp brings its mint along.
        // MODEL: publish::point_reads_see_whole_commits.
        let publish = ordering(Ordering::Release, Planted::WeakSettle);
        self.0.store(decided(stamp), publish);
    }

    /// Announces that a stamp is about to be minted and that it will be used only if the ranges
    /// hold.
    pub(crate) fn start_validating(&self) {
        // ORDERING: E-READY, writer side, for validating as for ready: whoever sees this word or
        // the stamp that follows it sees every head linked. The mint comes after it (E-MINT), so a
        // reader whose snapshot includes that stamp sees validating or later, and kicks.
        self.0.store(VALIDATING, Ordering::Release);
    }

    /// Decides the stamp minted after [`start_validating`](Self::start_validating); `false` where
    /// a reader has kicked the word back in the meantime.
    pub(crate) fn decide_validated(&self, minted: Stamp) -> bool {
        // ORDERING: DECIDED-ONCE, as in `decide`. Acquire on failure: E-KICK, writer side.
        self.0
            .compare_exchange(
                VALIDATING,
                decided(minted),
                Ordering::AcqRel,
                Ordering::Acquire,
            )
            .is_ok()
    }

    /// Takes a validation back to before its mint.
    fn kick(&self) -> bool {
        // ORDERING: E-KICK, reader side. Release puts the reader's load of its snapshot before
        // whatever the writer does once it has seen the kick, its next mint above all: that one is
        // later than the snapshot. Relaxed on failure: the loop looks again.
        self.0
            .compare_exchange(VALIDATING, INSTALLING, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }
}
