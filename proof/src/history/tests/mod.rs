//! That the checkers object to what is wrong, by its name, and to nothing else.

mod black_box;
mod messages;
mod runs;
mod simulated;
mod white_box;

use super::anomaly::{Findings, Kind};
use super::record::{ELEMENT_BYTES, History, Log, Outcome, Via};
use std::ops::Range;

/// Elements that are given out: 0 and so on.
const ELEMENTS: u32 = 16;

/// One thing that a transaction does. Of a read, what was read and the version of the entry.
enum Do<'a> {
    Read(u32, &'a [u32], u32),
    ReadOwn(u32, &'a [u32], u32),
    Malformed(u32),
    Append(u32, u32),
}

use Do::{Append, Malformed, Read, ReadOwn};

/// A history written by hand.
struct Sketch {
    log: Log,
}

impl Sketch {
    fn new() -> Self {
        let mut log = Log::new(0);
        log.begin_round(0);
        for element in 0..ELEMENTS {
            assert_eq!(log.fresh_element(), element);
        }
        Self { log }
    }

    fn add(&mut self, via: Via, outcome: Outcome, span: Range<u32>, stamp: u32, does: &[Do<'_>]) {
        self.log.begin_txn();
        for it in does {
            match *it {
                Read(key, list, stamp) => self.log.read(key, &bytes(list), stamp),
                ReadOwn(key, list, stamp) => self.log.read_own(key, &bytes(list), stamp),
                Malformed(key) => self.log.read_malformed(key, b"no list"),
                Append(key, element) => self.log.append(key, element),
            }
        }
        self.log.end_txn(via, outcome, span, stamp);
    }

    fn commit(&mut self, span: Range<u32>, stamp: u32, does: &[Do<'_>]) {
        self.add(Via::Transact, Outcome::Committed, span, stamp, does);
    }

    fn abort(&mut self, span: Range<u32>, does: &[Do<'_>]) {
        self.add(Via::Transact, Outcome::Aborted, span, 0, does);
    }

    fn read(&mut self, span: Range<u32>, does: &[Do<'_>]) {
        self.add(Via::Transact, Outcome::ReadOnly, span, 0, does);
    }

    fn snapshot(&mut self, span: Range<u32>, stamp: u32, does: &[Do<'_>]) {
        self.add(Via::Snapshot, Outcome::Snapshot, span, stamp, does);
    }

    /// The final state, after everything.
    fn end(&mut self, stamp: u32, does: &[Do<'_>]) {
        self.add(Via::Final, Outcome::Snapshot, 1000..1001, stamp, does);
    }

    fn history(self) -> History {
        History::new(vec![self.log])
    }
}

fn bytes(list: &[u32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(list.len() * ELEMENT_BYTES);
    for element in list {
        bytes.extend_from_slice(&element.to_le_bytes());
    }
    bytes
}

/// The kinds of what was found, each once, in the order of their names.
fn kinds(findings: &Findings) -> Vec<Kind> {
    let mut kinds: Vec<_> = findings.told.iter().map(|told| told.kind).collect();
    kinds.sort_by_key(ToString::to_string);
    kinds.dedup();
    kinds
}
