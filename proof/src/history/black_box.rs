//! Whether a history is strictly serializable, told from the lists alone.
//!
//! Elle's method. The longest read of a key shows the order in which its elements were appended;
//! from that follow the dependencies between transactions, which must have no circle. Nothing here
//! looks at a versionstamp: an engine that counts wrongly must not talk itself out of it.

use super::anomaly::{Findings, Kind, describe, describe_where};
use super::cycles::{Circle, plainest};
use super::graph::{Because, Edges, Graph, Reasons};
use super::record::{Act, ELEMENT_BYTES, History, Op, Outcome, Txn, Via, elements, id};
use std::collections::HashSet;
use std::fmt::Write as _;

pub(super) fn check(history: &History) -> Findings {
    let mut findings = Findings::default();
    let writers = Writers::of(history);
    let order = Order::of(history, &writers, &mut findings);
    find_lost(history, &writers, &order, &mut findings);
    let mut dependencies = Dependencies {
        history,
        writers: &writers,
        order: &order,
        findings: &mut findings,
        edges: Edges::with_capacity(history.txns.len() * 16),
        first_reads: vec![None; history.key_count as usize],
    };
    dependencies.of_reads();
    dependencies.of_writes();
    let nodes = dependencies.of_real_time();
    let graph = Graph::new(nodes, &dependencies.edges);
    for component in graph.components(Reasons::ALL) {
        match plainest(&graph, &component) {
            Some(circle) => findings.add(circle.kind, || tell(history, &circle)),
            None => unreachable!("a component has a circle"),
        }
    }
    findings
}

/// Who has appended an element, and what of it can be seen.
#[derive(Clone, Copy, Debug)]
struct Writer {
    txn: u32,
    key: u32,
    is_committed: bool,
    /// Whether it is what the transaction has appended to the key last.
    is_last: bool,
}

/// By the index of the element.
struct Writers(Vec<Option<Writer>>);

impl Writers {
    fn of(history: &History) -> Self {
        let mut writers: Vec<Option<Writer>> = vec![None; history.element_count as usize];
        for (number, txn) in (0..).zip(&history.txns) {
            let appends = history
                .ops(txn)
                .iter()
                .filter(|op| op.act == Act::Append)
                .map(|op| (op.key, history.element_index(op.what)));
            for (at, (key, element)) in appends.clone().enumerate() {
                for earlier in appends.clone().take(at) {
                    if let (earlier_key, Some(earlier)) = earlier
                        && earlier_key == key
                        && let Some(writer) = &mut writers[earlier as usize]
                    {
                        writer.is_last = false;
                    }
                }
                let element = element.expect("what is appended was given out");
                writers[element as usize] = Some(Writer {
                    txn: number,
                    key,
                    is_committed: txn.outcome == Outcome::Committed,
                    is_last: true,
                });
            }
        }
        Self(writers)
    }

    fn get(&self, element: u32) -> Option<&Writer> {
        self.0[element as usize].as_ref()
    }
}

/// The order of each key's elements: its longest read.
struct Order {
    /// By key; and one more for the end.
    starts: Vec<u32>,
    /// By index of the element.
    elements: Vec<u32>,
    /// By index of the element: its place in its key's order.
    places: Vec<Option<u32>>,
    /// By index of the list: whether it is the beginning of its key's order.
    is_compatible: Vec<bool>,
}

impl Order {
    fn of(history: &History, writers: &Writers, findings: &mut Findings) -> Self {
        let mut longest: Vec<&[u8]> = vec![&[]; history.key_count as usize];
        for (list, bytes) in history.lists() {
            let known = &mut longest[list.key as usize];
            if !list.is_odd && bytes.len() > known.len() {
                *known = bytes;
            }
        }
        let mut order = Self {
            starts: Vec::with_capacity(longest.len() + 1),
            elements: Vec::with_capacity(history.element_count as usize),
            places: vec![None; history.element_count as usize],
            is_compatible: Vec::with_capacity(history.list_count as usize),
        };
        for (key, bytes) in (0..).zip(&longest) {
            order.add(history, writers, key, bytes, findings);
        }
        order.starts.push(id(order.elements.len()));
        for (list, bytes) in history.lists() {
            let of_key = longest[list.key as usize];
            let is_compatible = list.is_odd || of_key.starts_with(bytes);
            order.is_compatible.push(is_compatible);
            if !is_compatible {
                find_duplicates(list.key, bytes, findings);
                let text = |bytes| elements(bytes).collect::<Vec<_>>();
                findings.add(Kind::IncompatibleOrder, || {
                    let (one, other) = (text(bytes), text(of_key));
                    format!("key {} was read as {one:x?} and as {other:x?}", list.key)
                });
            }
        }
        order
    }

    /// Adds the next key, with its longest read. The order ends where that goes wrong.
    fn add(
        &mut self,
        history: &History,
        writers: &Writers,
        key: u32,
        bytes: &[u8],
        findings: &mut Findings,
    ) {
        let begin = id(self.elements.len());
        self.starts.push(begin);
        find_duplicates(key, bytes, findings);
        for element in elements(bytes) {
            let index = history.element_index(element);
            let writer = index.and_then(|index| Some((index, writers.get(index)?)));
            let Some((index, writer)) = writer.filter(|(_, writer)| writer.key == key) else {
                findings.add(Kind::Garbage, || {
                    format!("key {key} was read with {element:x}, which nobody appended to it")
                });
                return;
            };
            if !writer.is_committed {
                findings.add(Kind::AbortedRead, || {
                    let writer = describe(history, writer.txn);
                    format!("key {key} was read with {element:x}, by {writer}")
                });
            }
            let place = id(self.elements.len()) - begin;
            if self.places[index as usize].replace(place).is_some() {
                // Found above.
                return;
            }
            self.elements.push(index);
        }
    }

    fn of_key(&self, key: u32) -> &[u32] {
        let begin = self.starts[key as usize] as usize;
        &self.elements[begin..self.starts[key as usize + 1] as usize]
    }
}

fn find_duplicates(key: u32, bytes: &[u8], findings: &mut Findings) {
    let list = elements(bytes);
    // A list is short, unless something is wrong.
    let (chunks, _) = bytes.as_chunks::<{ ELEMENT_BYTES }>();
    let is_twice = |(at, chunk)| chunks[..at].contains(chunk);
    if chunks.iter().enumerate().any(is_twice) {
        findings.add(Kind::Duplicate, || {
            let list: Vec<_> = list.collect();
            format!("key {key} was read as {list:x?}")
        });
    }
}

/// What committed must be in the final state.
fn find_lost(history: &History, writers: &Writers, order: &Order, findings: &mut Findings) {
    let is_final = |txn: &&Txn| txn.via == Via::Final;
    let Some(end) = history.txns.iter().rfind(is_final) else {
        return;
    };
    let mut lens = vec![0; history.key_count as usize];
    for op in history.ops(end) {
        lens[op.key as usize] = u32::from(op.len);
    }
    for (element, writer) in writers.0.iter().enumerate() {
        let Some(writer) = writer.filter(|writer| writer.is_committed) else {
            continue;
        };
        let is_there = order.places[element].is_some_and(|place| place < lens[writer.key as usize]);
        if !is_there {
            findings.add(Kind::LostAppend, || {
                let list = history.ops(end).iter().find(|op| op.key == writer.key);
                let list = list.map_or(&[][..], |op| history.seen(end, op));
                let list: Vec<_> = elements(list).collect();
                let writer_text = describe(history, writer.txn);
                format!(
                    "key {} is {list:x?} in the end, after {writer_text}",
                    writer.key
                )
            });
        }
    }
}

/// The dependencies between the transactions of a history.
struct Dependencies<'h> {
    history: &'h History,
    writers: &'h Writers,
    order: &'h Order,
    findings: &'h mut Findings,
    edges: Edges,
    /// By key: the transaction that has read it last, and where in its ops it first did.
    first_reads: Vec<Option<(u32, usize)>>,
}

impl Dependencies<'_> {
    fn of_reads(&mut self) {
        let history = self.history;
        for (number, txn) in (0..).zip(&history.txns) {
            for (at, op) in history.ops(txn).iter().enumerate() {
                match op.act {
                    Act::Append => {}
                    Act::Malformed => self
                        .findings
                        .add(Kind::Garbage, || describe(history, number)),
                    Act::ReadOwn => self.check_own_read(number, txn, at),
                    Act::Read => {
                        self.check_repeated_read(number, txn, at);
                        self.of_read(number, txn, op);
                    }
                }
            }
        }
    }

    /// A key that was read before must be as it was.
    fn check_repeated_read(&mut self, number: u32, txn: &Txn, at: usize) {
        let history = self.history;
        let op = &history.ops(txn)[at];
        match self.first_reads[op.key as usize] {
            Some((reader, first)) if reader == number => {
                let first = &history.ops(txn)[first];
                if history.seen(txn, first) != history.seen(txn, op) {
                    self.findings
                        .add(Kind::Internal, || describe(history, number));
                }
            }
            _ => self.first_reads[op.key as usize] = Some((number, at)),
        }
    }

    /// A key to which the transaction has appended must be as it was, with that at the end.
    fn check_own_read(&mut self, number: u32, txn: &Txn, at: usize) {
        let history = self.history;
        let ops = history.ops(txn);
        let op = &ops[at];
        let first = match self.first_reads[op.key as usize] {
            Some((reader, first)) if reader == number => history.seen(txn, &ops[first]),
            _ => &[],
        };
        let own = ops[..at]
            .iter()
            .filter(|earlier| earlier.act == Act::Append && earlier.key == op.key);
        let expected = elements(first).chain(own.map(|append| append.what));
        if !elements(history.seen(txn, op)).eq(expected) {
            self.findings
                .add(Kind::Internal, || describe(history, number));
        }
    }

    fn of_read(&mut self, number: u32, txn: &Txn, op: &Op) {
        let history = self.history;
        let len = usize::from(op.len);
        if len > 0 && !self.order.is_compatible[history.list_index(txn, op)] {
            return;
        }
        let order = self.order.of_key(op.key);
        let last = len.checked_sub(1).and_then(|at| order.get(at));
        if let Some(writer) = last.and_then(|last| self.writers.get(*last)) {
            if !writer.is_last && writer.txn != number {
                self.findings.add(Kind::IntermediateRead, || {
                    let (writer, reader) =
                        (describe(history, writer.txn), describe(history, number));
                    format!(
                        "of key {}, which was appended to by {writer}\n  read by {reader}",
                        op.key
                    )
                });
            }
            self.edge(writer.txn, number, Because::Read);
        }
        if let Some(writer) = order.get(len).and_then(|next| self.writers.get(*next)) {
            self.edge(number, writer.txn, Because::Missed);
        }
    }

    fn of_writes(&mut self) {
        for key in 0..self.history.key_count {
            for pair in self.order.of_key(key).windows(2) {
                let (one, other) = (self.writers.get(pair[0]), self.writers.get(pair[1]));
                if let (Some(one), Some(other)) = (one, other) {
                    self.edge(one.txn, other.txn, Because::Overwritten);
                }
            }
        }
    }

    /// An edge, unless the one that wrote has not committed: that is a finding of its own.
    fn edge(&mut self, from: u32, to: u32, because: Because) {
        let history = self.history;
        let is_writer_aborted = |writer| history.txn(writer).outcome == Outcome::Aborted;
        let is_void = match because {
            Because::Overwritten => is_writer_aborted(from) || is_writer_aborted(to),
            Because::Read => is_writer_aborted(from),
            Because::Missed => is_writer_aborted(to),
            Because::RealTime => false,
        };
        if from != to && !is_void {
            self.edges.add(from, to, because);
        }
    }

    /// What is over comes before what begins later. So that this takes two or three edges a
    /// transaction, they meet in a chain of barriers: each stands for all that had ended when
    /// something began. Returns the number of transactions and barriers.
    fn of_real_time(&mut self) -> u32 {
        let first = id(self.history.txns.len());
        let mut barrier = first;
        let (mut is_empty, mut was_passed) = (true, true);
        for tick in self.history.ticks() {
            if let Some(ended) = tick.ended {
                if was_passed {
                    // Those who began since then do not wait for this one.
                    barrier += u32::from(!is_empty);
                    if barrier > first {
                        self.edges.add(barrier - 1, barrier, Because::RealTime);
                    }
                    (is_empty, was_passed) = (false, false);
                }
                self.edges.add(ended, barrier, Because::RealTime);
            }
            if let Some(begun) = tick.begun
                && !is_empty
            {
                self.edges.add(barrier, begun, Because::RealTime);
                was_passed = true;
            }
        }
        barrier + 1
    }
}

/// A circle for somebody to read, without the barriers.
fn tell(history: &History, circle: &Circle) -> String {
    let is_txn = |node: u32| (node as usize) < history.txns.len();
    let Some(first) = circle.steps.iter().position(|(node, _)| is_txn(*node)) else {
        unreachable!("barriers alone make no circle");
    };
    let mut steps = circle.steps.clone();
    steps.rotate_left(first);
    steps.retain(|(node, _)| is_txn(*node));
    let keys: Vec<_> = (0..steps.len())
        .map(|at| shared_keys(history, steps[at].0, steps[(at + 1) % steps.len()].0))
        .collect();
    let mut text = String::new();
    for (at, (node, because)) in steps.iter().enumerate() {
        let next = steps[(at + 1) % steps.len()].0;
        let why = match because {
            Because::Overwritten => "appended before, on the same key,",
            Because::Read => "was read by",
            Because::Missed => "did not see what was appended by",
            Because::RealTime => "was over before the begin of",
        };
        // What it has to do with the one before it and the one behind.
        let (before, behind) = (&keys[(at + keys.len() - 1) % keys.len()], &keys[at]);
        let is_told = |key| before.contains(&key) || behind.contains(&key);
        let txn = describe_where(history, *node, is_told);
        let _ = write!(text, "\n  {txn}\n  ... {why} T{next}");
        if !matches!(because, Because::RealTime) {
            let _ = write!(text, ", keys {behind:?}");
        }
    }
    text
}

/// The keys that two transactions have to do with, at least one of them by appending.
fn shared_keys(history: &History, one: u32, other: u32) -> Vec<u32> {
    let keys = |txn: u32, appends_only: bool| -> HashSet<u32> {
        let ops = history.ops(history.txn(txn)).iter();
        let ops = ops.filter(|op| !appends_only || op.act == Act::Append);
        ops.map(|op| op.key).collect()
    };
    let mut shared: Vec<_> = (&keys(one, true) & &keys(other, false))
        .union(&(&keys(one, false) & &keys(other, true)))
        .copied()
        .collect();
    shared.sort_unstable();
    shared
}
