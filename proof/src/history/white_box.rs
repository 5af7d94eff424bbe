//! Whether a history is strictly serializable in the order that the engine itself claims.
//!
//! Every commit has a versionstamp. So there is nothing to infer: the appends are replayed in that
//! order, and whatever anybody saw has to agree with that. What committed must have seen the state
//! right before itself; a snapshot that of its version; and what only read that of some moment, one
//! that is not older than anything that was over before it began. Moments are chosen as early as
//! they can be, which leaves the most room for what follows: if that does not work out, nothing
//! does.

use super::anomaly::{Findings, Kind, describe};
use super::record::{Act, ELEMENT_BYTES, History, ODD_STAMP, Op, Outcome, Txn, elements, id};
use std::ops::Range;

pub(super) fn check(history: &History) -> Findings {
    let mut findings = Findings::default();
    let replay = Replay::of(history, &mut findings);
    let mut placing = Placing {
        is_so: replay.lists_that_are_so(history),
        history,
        replay: &replay,
        findings: &mut findings,
        places: vec![0; history.txns.len()],
    };
    placing.run();
    findings
}

/// The commits in the order of their stamps. The first has rank 1; 0 is the state before all.
struct Replay {
    /// By rank, from 1.
    stamps: Vec<u32>,
    /// By transaction: its rank, if it has committed.
    ranks: Vec<u32>,
    /// Where a key's elements begin; and one more for the end.
    starts: Vec<u32>,
    /// The elements of the keys, as they are in the values.
    bytes: Vec<u8>,
    /// By element, as above: the rank of the commit that has appended it.
    rank_of: Vec<u32>,
}

impl Replay {
    fn of(history: &History, findings: &mut Findings) -> Self {
        let commits = commits_in_order(history, findings);
        let mut starts = vec![0; history.key_count as usize + 1];
        for (_, txn) in &commits {
            for op in appends(history, history.txn(*txn)) {
                starts[op.key as usize + 1] += 1;
            }
        }
        for key in 1..starts.len() {
            starts[key] += starts[key - 1];
        }
        let elements = *starts.last().unwrap_or(&0) as usize;
        let mut ends = starts.clone();
        let mut replay = Self {
            stamps: commits.iter().map(|(stamp, _)| *stamp).collect(),
            ranks: vec![0; history.txns.len()],
            starts,
            bytes: vec![0; elements * ELEMENT_BYTES],
            rank_of: vec![0; elements],
        };
        for (rank, (_, number)) in (1..).zip(&commits) {
            replay.ranks[*number as usize] = rank;
            for op in appends(history, history.txn(*number)) {
                let end = &mut ends[op.key as usize];
                let at = *end as usize;
                *end += 1;
                replay.rank_of[at] = rank;
                let begin = at * ELEMENT_BYTES;
                let bytes = &mut replay.bytes[begin..begin + ELEMENT_BYTES];
                bytes.copy_from_slice(&op.what.to_le_bytes());
            }
        }
        replay
    }

    fn key(&self, key: u32) -> Range<usize> {
        self.starts[key as usize] as usize..self.starts[key as usize + 1] as usize
    }

    /// Whether a key's value at some time was this.
    fn begins_with(&self, key: u32, bytes: &[u8]) -> bool {
        self.bytes_of(key).starts_with(bytes)
    }

    /// A key's value in the end.
    fn bytes_of(&self, key: u32) -> &[u8] {
        let Range { start, end } = self.key(key);
        &self.bytes[start * ELEMENT_BYTES..end * ELEMENT_BYTES]
    }

    /// By index of the list: whether it is what the commits make of its key.
    fn lists_that_are_so(&self, history: &History) -> Vec<bool> {
        let lists = history.lists();
        lists
            .map(|(list, bytes)| self.begins_with(list.key, bytes))
            .collect()
    }

    /// The ranks after which a key has so many elements; empty where no commit made them so many.
    fn ranks_with(&self, key: u32, len: u16) -> Range<u32> {
        let ranks = &self.rank_of[self.key(key)];
        let len = usize::from(len);
        let from = len.checked_sub(1).map_or(Some(&0), |at| ranks.get(at));
        match (from, ranks.get(len)) {
            (Some(from), to) => *from..*to.unwrap_or(&u32::MAX),
            (None, _) => 0..0,
        }
    }

    /// The stamp of a rank; 0 for that before all.
    fn stamp(&self, rank: u32) -> u32 {
        let at = (rank as usize).checked_sub(1);
        at.map_or(0, |at| self.stamps[at])
    }

    /// How many commits have this stamp or a smaller.
    fn rank_at(&self, stamp: u32) -> u32 {
        id(self.stamps.partition_point(|known| *known <= stamp))
    }
}

fn appends<'h>(history: &'h History, txn: &Txn) -> impl Iterator<Item = &'h Op> {
    let ops = history.ops(txn).iter();
    ops.filter(|op| op.act == Act::Append)
}

/// The commits, with their stamps. Stamps that cannot be are found, and left out.
fn commits_in_order(history: &History, findings: &mut Findings) -> Vec<(u32, u32)> {
    let mut commits = Vec::with_capacity(history.txns.len());
    for (number, txn) in (0..).zip(&history.txns) {
        if txn.outcome != Outcome::Committed {
            continue;
        }
        if txn.stamp == 0 || txn.stamp == ODD_STAMP {
            findings.add(Kind::ImpossibleStamp, || describe(history, number));
        } else {
            commits.push((txn.stamp, number));
        }
    }
    commits.sort_unstable();
    for pair in commits.windows(2) {
        if pair[0].0 == pair[1].0 {
            findings.add(Kind::ReusedStamp, || {
                let (one, other) = (describe(history, pair[0].1), describe(history, pair[1].1));
                format!("{one}\n  {other}")
            });
        }
    }
    commits
}

/// Gives every transaction a place among the commits that agrees with real time: the rank of the
/// commit that it is, or comes right after.
struct Placing<'h> {
    history: &'h History,
    replay: &'h Replay,
    /// By index of the list.
    is_so: Vec<bool>,
    findings: &'h mut Findings,
    /// By transaction.
    places: Vec<u32>,
}

impl Placing<'_> {
    fn run(&mut self) {
        // The latest place of anything that is over.
        let mut over = 0;
        for tick in self.history.ticks() {
            if let Some(ended) = tick.ended {
                over = over.max(self.places[ended as usize]);
            }
            if let Some(begun) = tick.begun {
                self.places[begun as usize] = self.place(begun, over);
            }
        }
    }

    /// Finds fault with a transaction, and returns its place.
    fn place(&mut self, number: u32, over: u32) -> u32 {
        let history = self.history;
        let txn = history.txn(number);
        match txn.outcome {
            Outcome::Committed => {
                let rank = self.replay.ranks[number as usize];
                if rank == 0 {
                    // It has an impossible stamp, which has been found.
                    return over;
                }
                if rank <= over {
                    self.add_after(Kind::StampAgainstRealTime, number, over);
                }
                self.check_all_at(Kind::StaleCommit, number, rank - 1);
                rank
            }
            Outcome::Snapshot => {
                if txn.stamp == ODD_STAMP {
                    self.findings
                        .add(Kind::ImpossibleStamp, || describe(history, number));
                    return over;
                }
                let rank = self.replay.rank_at(txn.stamp);
                if rank < over {
                    self.add_after(Kind::StaleSnapshot, number, over);
                }
                self.check_all_at(Kind::TornSnapshot, number, rank);
                rank
            }
            Outcome::ReadOnly | Outcome::Aborted => {
                let mut ranks = over..u32::MAX;
                for op in history.ops(txn) {
                    if let Some(of_read) = self.ranks_of(number, txn, op) {
                        ranks.start = ranks.start.max(of_read.start);
                        ranks.end = ranks.end.min(of_read.end);
                    }
                }
                if ranks.is_empty() {
                    self.add_after(Kind::StaleRead, number, over);
                    return over;
                }
                ranks.start
            }
        }
    }

    fn add_after(&mut self, kind: Kind, number: u32, over: u32) {
        let (history, replay) = (self.history, self.replay);
        self.findings.add(kind, || {
            let stamp = replay.stamp(over);
            let commit = replay.ranks.iter().position(|rank| *rank == over);
            let commit = commit.map_or_else(String::new, |txn| describe(history, id(txn)));
            let txn = describe(history, number);
            format!("{txn}\n  after the version {stamp} had been seen, or was over: {commit}")
        });
    }

    /// All that a transaction has read must be so after the commit of a rank.
    fn check_all_at(&mut self, kind: Kind, number: u32, rank: u32) {
        let history = self.history;
        let txn = history.txn(number);
        for op in history.ops(txn) {
            if let Some(ranks) = self.ranks_of(number, txn, op)
                && !ranks.contains(&rank)
            {
                self.findings.add(kind, || {
                    let txn = describe(history, number);
                    format!("key {} was not so at its time: {txn}", op.key)
                });
            }
        }
    }

    /// The ranks after which it was so what an op has read. Nothing for what is no read, and for
    /// what was never so, which is a finding.
    fn ranks_of(&mut self, number: u32, txn: &Txn, op: &Op) -> Option<Range<u32>> {
        let (history, replay) = (self.history, self.replay);
        if op.act != Act::Read {
            self.check_own_version(number, txn, op);
            return None;
        }
        let is_so = op.len == 0
            || self.is_so[history.list_index(txn, op)]
            || replay.begins_with(op.key, history.seen(txn, op));
        let ranks = replay.ranks_with(op.key, op.len);
        if !is_so || ranks.is_empty() {
            self.findings.add(Kind::WrongList, || {
                let seen: Vec<_> = elements(history.seen(txn, op)).collect();
                let all: Vec<_> = elements(replay.bytes_of(op.key)).collect();
                let reader = describe(history, number);
                format!(
                    "key {} was read as {seen:x?}, and the commits made it {all:x?}: {reader}",
                    op.key
                )
            });
            return None;
        }
        if replay.stamp(ranks.start) != op.stamp {
            self.findings.add(Kind::WrongVersion, || {
                format!("key {}: {}", op.key, describe(history, number))
            });
        }
        Some(ranks)
    }

    /// What a transaction has written itself has, for it, the version that was there before. (The
    /// other checker compares the lists.)
    fn check_own_version(&mut self, number: u32, txn: &Txn, op: &Op) {
        let history = self.history;
        let mut reads = history.ops(txn).iter();
        if op.act == Act::ReadOwn
            && let Some(first) = reads.find(|read| read.act == Act::Read && read.key == op.key)
            && first.stamp != op.stamp
        {
            self.findings.add(Kind::WrongVersion, || {
                format!("key {}: {}", op.key, describe(history, number))
            });
        }
    }
}
