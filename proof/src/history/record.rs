//! What the threads of a round did and were told, in columns that are filled without allocating.
//!
//! A key holds a list of elements, each of which is appended once in a run. What is read of a key
//! is therefore the beginning of what is read of it later, and a thread keeps one growing list for
//! each key: a read is compared with that, byte by byte, and noted as its length. Only a read that
//! disagrees is kept by itself, for the checkers to object to.

use super::messages::MessageLog;
use std::ops::Range;

/// Keys in a group: what a range read covers.
pub(super) const GROUP_KEYS: u32 = 8;

/// One more than threads can have recorded a round: the number is part of every element.
pub(super) const LOGS_MAX: u32 = 1 << (u32::BITS - SERIAL_BITS);

/// The bits of an element that count; those above name the log. They wrap around, many rounds on.
const SERIAL_BITS: u32 = 27;

const SERIAL_MASK: u32 = (1 << SERIAL_BITS) - 1;

/// Bytes of an element in a value.
pub(super) const ELEMENT_BYTES: usize = size_of::<u32>();

/// The space of a list that grows: more than a key is given elements, if the engine is right.
const SLOT_BYTES: u32 = 48 * 4;

/// No list: the key was missing.
pub(super) const NO_LIST: u32 = u32::MAX;

/// A version that none of the round's commits can have: from before it, or none at all.
pub(super) const ODD_STAMP: u32 = u32::MAX;

pub(super) fn id(number: usize) -> u32 {
    u32::try_from(number).expect("a round has fewer than four billion of anything")
}

/// What a transaction did to a key, in the order in which it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Saw the first `len` elements of `what`, a list; nothing of it is its own.
    Read,
    /// The same after it had appended to the key itself.
    ReadOwn,
    /// Saw something that is no list of elements; its bytes are `what`.
    Malformed,
    /// Appended `what`, an element.
    Append,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Op {
    pub(super) key: u32,
    pub(super) what: u32,
    /// Of the entry, counted from the round's floor; 0 where the key was missing.
    pub(super) stamp: u32,
    pub(super) len: u16,
    pub(super) act: Act,
}

/// What came of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It has this stamp, and what it read was so right before.
    Committed,
    /// It only read, all at one moment.
    ReadOnly,
    /// It only read, at this stamp.
    Snapshot,
    /// It conflicted or gave up: it read all at one moment, and nothing that it appended may be
    /// seen.
    Aborted,
}

/// The call that made a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Via {
    Transact,
    Atomic,
    Enqueue,
    Snapshot,
    Get,
    GetMany,
    List,
    /// The snapshot of everything that ends a round.
    Final,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Txn {
    /// Ticks: it had not begun before the one, and was over before the other.
    pub(super) begin: u32,
    pub(super) end: u32,
    pub(super) stamp: u32,
    ops_begin: u32,
    ops_end: u32,
    log: u8,
    pub(super) via: Via,
    pub(super) outcome: Outcome,
}

impl Txn {
    pub(super) fn log(&self) -> u32 {
        self.log.into()
    }
}

/// Elements read of a key, in the order of the value.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    pub(super) key: u32,
    pub(super) len: u32,
    bytes_begin: u32,
    bytes_len: u32,
    /// Whether elements of the reader's own are in it, or something that is no element.
    pub(super) is_odd: bool,
}

/// What one thread records.
#[derive(Debug)]
pub(super) struct Log {
    number: u32,
    floor: u64,
    /// The first serial number of the round, and the next one.
    serial_begin: u32,
    serial: u32,
    txns: Vec<Txn>,
    ops: Vec<Op>,
    /// Where the ops of the transaction under way begin.
    ops_begin: usize,
    lists: Vec<List>,
    bytes: Vec<u8>,
    /// By key: the list that grows.
    growing: Vec<u32>,
    /// One more than the highest key of an op.
    key_count: u32,
    pub(super) messages: MessageLog,
}

impl Log {
    pub(super) fn new(number: u32) -> Self {
        assert!(number < LOGS_MAX, "elements have no room for so many logs");
        Self {
            number,
            floor: 0,
            serial_begin: 0,
            serial: 0,
            txns: Vec::new(),
            ops: Vec::new(),
            ops_begin: 0,
            lists: Vec::new(),
            bytes: Vec::new(),
            growing: Vec::new(),
            key_count: 0,
            messages: MessageLog::default(),
        }
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Begins a round after the commit with the stamp `floor`. The space of the last is kept.
    pub(super) fn begin_round(&mut self, floor: u64) {
        self.floor = floor;
        self.serial_begin = self.serial;
        self.txns.clear();
        self.ops.clear();
        self.ops_begin = 0;
        self.lists.clear();
        self.bytes.clear();
        self.growing.clear();
        self.key_count = 0;
        self.messages.clear();
    }

    /// An element that was never given out in any round that could still be seen.
    pub(super) fn fresh_element(&mut self) -> u32 {
        let element = self.number << SERIAL_BITS | self.serial;
        self.serial = (self.serial + 1) & SERIAL_MASK;
        element
    }

    /// A stamp as it is recorded.
    pub(super) fn stamp(&self, stamp: u64) -> u32 {
        let since = stamp.checked_sub(self.floor);
        let since = since.and_then(|since| u32::try_from(since).ok());
        since.unwrap_or(ODD_STAMP)
    }

    /// The next ops are those of a new transaction.
    pub(super) fn begin_txn(&mut self) {
        self.ops_begin = self.ops.len();
    }

    pub(super) fn end_txn(&mut self, via: Via, outcome: Outcome, span: Range<u32>, stamp: u32) {
        let is_committed = outcome == Outcome::Committed;
        let sent = if is_committed { stamp } else { 0 };
        self.messages.end_txn(sent, &span);
        self.txns.push(Txn {
            begin: span.start,
            end: span.end,
            stamp,
            ops_begin: id(self.ops_begin),
            ops_end: id(self.ops.len()),
            log: u8::try_from(self.number).expect("a log's number is small"),
            via,
            outcome,
        });
        self.ops_begin = self.ops.len();
    }

    /// Forgets what the transaction under way has read. What it has appended stays.
    pub(super) fn forget_reads(&mut self) {
        let mut kept = self.ops_begin;
        for at in self.ops_begin..self.ops.len() {
            if self.ops[at].act == Act::Append {
                self.ops[kept] = self.ops[at];
                kept += 1;
            }
        }
        self.ops.truncate(kept);
    }

    pub(super) fn append(&mut self, key: u32, element: u32) {
        self.push(Act::Append, key, element, 0, 0);
    }

    /// A key was read and holds `bytes`, or is missing, with an empty list that has no stamp.
    pub(super) fn read(&mut self, key: u32, bytes: &[u8], stamp: u32) {
        match u16::try_from(bytes.len() / ELEMENT_BYTES) {
            Ok(len) if bytes.len().is_multiple_of(ELEMENT_BYTES) => {
                let list = if len == 0 {
                    NO_LIST
                } else {
                    self.list_of(key, bytes)
                };
                self.push(Act::Read, key, list, len, stamp);
            }
            _ => self.read_malformed(key, bytes),
        }
    }

    /// The same, after the transaction has appended to the key.
    pub(super) fn read_own(&mut self, key: u32, bytes: &[u8], stamp: u32) {
        match u16::try_from(bytes.len() / ELEMENT_BYTES) {
            Ok(len) if bytes.len().is_multiple_of(ELEMENT_BYTES) => {
                let list = self.new_list(key, bytes, true);
                self.push(Act::ReadOwn, key, list, len, stamp);
            }
            _ => self.read_malformed(key, bytes),
        }
    }

    /// A key was read and holds what nobody has written.
    pub(super) fn read_malformed(&mut self, key: u32, bytes: &[u8]) {
        let list = self.new_list(key, bytes, true);
        self.push(Act::Malformed, key, list, 0, 0);
    }

    fn push(&mut self, act: Act, key: u32, what: u32, len: u16, stamp: u32) {
        self.key_count = self.key_count.max(key + 1);
        self.ops.push(Op {
            key,
            what,
            stamp,
            len,
            act,
        });
    }

    /// A list that begins with these bytes: the one that grows, or one of its own.
    fn list_of(&mut self, key: u32, bytes: &[u8]) -> u32 {
        let at = key as usize;
        if at >= self.growing.len() {
            self.growing.resize(at + 1, NO_LIST);
        }
        if self.growing[at] == NO_LIST {
            if bytes.len() > SLOT_BYTES as usize {
                return self.new_list(key, bytes, false);
            }
            self.growing[at] = self.new_list(key, &[], false);
            self.bytes.resize(self.bytes.len() + SLOT_BYTES as usize, 0);
        }
        let number = self.growing[at];
        let list = &mut self.lists[number as usize];
        let begin = list.bytes_begin as usize;
        let known = list.bytes_len as usize;
        let shared = known.min(bytes.len());
        let agrees = self.bytes[begin..begin + shared] == bytes[..shared];
        if !agrees || bytes.len() > SLOT_BYTES as usize {
            return self.new_list(key, bytes, false);
        }
        if bytes.len() > known {
            self.bytes[begin + known..begin + bytes.len()].copy_from_slice(&bytes[known..]);
            list.bytes_len = id(bytes.len());
            list.len = id(bytes.len() / ELEMENT_BYTES);
        }
        number
    }

    fn new_list(&mut self, key: u32, bytes: &[u8], is_odd: bool) -> u32 {
        self.lists.push(List {
            key,
            len: id(bytes.len() / ELEMENT_BYTES),
            bytes_begin: id(self.bytes.len()),
            bytes_len: id(bytes.len()),
            is_odd,
        });
        self.bytes.extend_from_slice(bytes);
        id(self.lists.len() - 1)
    }

    fn bytes(&self, list: u32) -> &[u8] {
        // A missing key has an empty list.
        let Some(list) = self.lists.get(list as usize) else {
            return &[];
        };
        let begin = list.bytes_begin as usize;
        &self.bytes[begin..begin + list.bytes_len as usize]
    }
}

/// The elements in a value.
pub(super) fn elements(bytes: &[u8]) -> impl ExactSizeIterator<Item = u32> {
    let (elements, _) = bytes.as_chunks::<ELEMENT_BYTES>();
    elements.iter().map(|bytes| u32::from_le_bytes(*bytes))
}

/// All that was recorded in a round.
#[derive(Debug)]
pub(super) struct History {
    logs: Vec<Log>,
    pub(super) txns: Vec<Txn>,
    /// One more than the highest number of a key that was read or written.
    pub(super) key_count: u32,
    /// One more than the last tick.
    pub(super) tick_count: u32,
    /// For each log, where its elements begin when all of them are counted.
    element_bases: Vec<u32>,
    pub(super) element_count: u32,
    /// The same for lists.
    list_bases: Vec<u32>,
    pub(super) list_count: u32,
}

impl History {
    /// The logs are numbered as they stand.
    pub(super) fn new(logs: Vec<Log>) -> Self {
        let mut history = Self {
            txns: Vec::with_capacity(logs.iter().map(|log| log.txns.len()).sum()),
            logs: Vec::new(),
            key_count: 0,
            tick_count: 0,
            element_bases: Vec::new(),
            element_count: 0,
            list_bases: Vec::new(),
            list_count: 0,
        };
        for log in &logs {
            history.txns.extend_from_slice(&log.txns);
            history.element_bases.push(history.element_count);
            history.element_count += log.serial.wrapping_sub(log.serial_begin) & SERIAL_MASK;
            history.list_bases.push(history.list_count);
            history.list_count += id(log.lists.len());
            history.key_count = history.key_count.max(log.key_count);
        }
        let ends = history.txns.iter().map(|txn| txn.end + 1).max();
        history.tick_count = ends.unwrap_or(0);
        history.logs = logs;
        history
    }

    pub(super) fn into_logs(self) -> Vec<Log> {
        self.logs
    }

    pub(super) fn messages(&self) -> impl Iterator<Item = &MessageLog> {
        self.logs.iter().map(|log| &log.messages)
    }

    pub(super) fn txn(&self, txn: u32) -> &Txn {
        &self.txns[txn as usize]
    }

    pub(super) fn ops(&self, txn: &Txn) -> &[Op] {
        &self.logs[usize::from(txn.log)].ops[txn.ops_begin as usize..txn.ops_end as usize]
    }

    /// The bytes of which an op read the beginning.
    pub(super) fn list(&self, txn: &Txn, op: &Op) -> &[u8] {
        self.logs[usize::from(txn.log)].bytes(op.what)
    }

    /// What an op read.
    pub(super) fn seen(&self, txn: &Txn, op: &Op) -> &[u8] {
        match op.act {
            Act::Malformed => self.list(txn, op),
            _ => &self.list(txn, op)[..usize::from(op.len) * ELEMENT_BYTES],
        }
    }

    /// The number of the list that an op read of, when all are counted.
    pub(super) fn list_index(&self, txn: &Txn, op: &Op) -> usize {
        (self.list_bases[usize::from(txn.log)] + op.what) as usize
    }

    /// Every list, in the order of its index, with its bytes.
    pub(super) fn lists(&self) -> impl Iterator<Item = (&List, &[u8])> {
        self.logs.iter().flat_map(|log| {
            let lists = (0..).zip(&log.lists);
            lists.map(|(number, list)| (list, log.bytes(number)))
        })
    }

    /// The number of an element when all are counted; nothing where it was not given out in this
    /// round.
    pub(super) fn element_index(&self, element: u32) -> Option<u32> {
        let log = (element >> SERIAL_BITS) as usize;
        let base = *self.element_bases.get(log)?;
        let after = self.element_bases.get(log + 1);
        let after = *after.unwrap_or(&self.element_count);
        let since = element.wrapping_sub(self.logs[log].serial_begin) & SERIAL_MASK;
        (since < after - base).then_some(base + since)
    }

    /// Every tick, with what ends there and what begins then.
    pub(super) fn ticks(&self) -> Vec<Tick> {
        let mut ticks = vec![Tick::default(); self.tick_count as usize];
        for (number, txn) in (0..).zip(&self.txns) {
            let begun = ticks[txn.begin as usize].begun.replace(number);
            let ended = ticks[txn.end as usize].ended.replace(number);
            assert!(
                begun.is_none() && ended.is_none(),
                "a tick is given out once"
            );
        }
        ticks
    }
}

/// An attempt begins at the tick at which the one before it ended, so both can be there; the end
/// comes first.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tick {
    pub(super) ended: Option<u32>,
    pub(super) begun: Option<u32>,
}
