//! Asks both engines the same, and tells where their answers differ.
//!
//! There is one expected answer to everything. Mostly it is that of Deno; where a decision of
//! docs/semantics.md says that Deno is not copied, it is the one that the decision names, and that
//! Deno does what is said of it is checked as well:
//!
//! - **D1.** An operation that is refused has had no effect here. In Deno it has had that of the
//!   mutations before the one that was refused: exactly what an operation of these alone does.
//! - **D9.** A list under a prefix ends with the prefix here. In Deno it goes on to the named end;
//!   asked to end with the prefix, Deno gives what is given here.

use crate::deno::Deno;
use crate::draw::{Draw, Known};
use crate::kvick::{self, Kvick};
use crate::op::{Change, Op, Read, Request, Row, Write, Written};
use crate::plant::Planted;
use crate::ranks::{Ranks, Stamp};
use ::kvick::{Key, Snapshot, Versionstamp};
use std::fmt;
use std::ops::Add;

/// After how many operations everything is compared, and kvick forgets what it can.
const OPERATIONS_BETWEEN_AUDITS: usize = 64;

/// What was compared, and how often the decisions mattered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) operations: u64,
    pub(crate) committed: u64,
    pub(crate) conflicts: u64,
    pub(crate) refused: u64,
    pub(crate) ranges: u64,
    pub(crate) entries: u64,
    /// Operations with keys that end in their versionstamp.
    pub(crate) versionstamped: u64,
    /// Operations that were refused, and that Deno did in part.
    pub(crate) d1: u64,
    /// Ranges in which Deno left the prefix.
    pub(crate) d9: u64,
}

/// An answer that is not what it should be.
#[derive(Debug)]
pub(crate) struct Difference {
    /// Counted from 0.
    operation: usize,
    asked: String,
    what: &'static str,
    kvick: String,
    deno: String,
}

/// The two engines, and what is known about them.
struct Pair {
    kvick: Kvick,
    deno: Deno,
    /// The versionstamps of kvick's commits, and of Deno's.
    ours: Ranks,
    theirs: Ranks,
    known: Known,
    tally: Tally,
}

/// Why two answers are not the same; both as texts.
struct Unlike {
    what: &'static str,
    kvick: String,
    deno: String,
}

/// Does `steps` random operations on two empty databases.
pub(crate) fn run(seed: u64, steps: usize, planted: Option<Planted>) -> Result<Tally, Difference> {
    let mut draw = Draw::new(seed);
    let mut pair = Pair::open(seed, planted);
    for step in 0..steps {
        let op = draw.op(&pair.known);
        let audit = step % OPERATIONS_BETWEEN_AUDITS == OPERATIONS_BETWEEN_AUDITS - 1;
        let mut done = pair.step(&op);
        if done.is_ok() && (audit || step + 1 == steps) {
            pair.kvick.sweep();
            done = pair.read(&[Request::all()]);
        }
        done.map_err(|unlike| Difference {
            operation: step,
            asked: format!("{op:?}"),
            what: unlike.what,
            kvick: unlike.kvick,
            deno: unlike.deno,
        })?;
    }
    Ok(pair.tally)
}

impl Pair {
    fn open(seed: u64, planted: Option<Planted>) -> Self {
        Self {
            kvick: Kvick::open(planted),
            deno: Deno::open(seed),
            ours: Ranks::default(),
            theirs: Ranks::default(),
            known: Known::default(),
            tally: Tally::default(),
        }
    }

    fn step(&mut self, op: &Op) -> Result<(), Unlike> {
        self.tally.operations += 1;
        match op {
            Op::Write(write) => self.write(write),
            Op::Read(requests) => self.read(requests),
        }
    }

    fn write(&mut self, write: &Write) -> Result<(), Unlike> {
        let before = self.kvick.snapshot();
        let ours = self.kvick.write(write, &self.ours);
        let theirs = self.deno.write(write, &self.theirs);
        match (&ours, &theirs) {
            (Written::Committed(our_stamp), Written::Committed(their_stamp)) => {
                self.tally.committed += 1;
                if !self.ours.push(*our_stamp) || !self.theirs.push(*their_stamp) {
                    return Err(unlike("a versionstamp that is no larger", &ours, &theirs));
                }
                self.tally.versionstamped += u64::from(write.has_versionstamped());
                self.note(write);
                Ok(())
            }
            (Written::Conflict(_), Written::Conflict(_)) if ours == theirs => {
                self.tally.conflicts += 1;
                Ok(())
            }
            (Written::Refused(ours), Written::Refused(theirs)) if is_text_of(ours, theirs) => {
                self.tally.refused += 1;
                self.refused(write, &before)
            }
            _ => Err(unlike("what became of it", &ours, &theirs)),
        }
    }

    /// Notes which commit the keys are of now.
    fn note(&mut self, write: &Write) {
        let rank = self.known.commits;
        self.known.commits += 1;
        for mutation in &write.mutations {
            match mutation.change {
                Change::Delete => self.known.current.remove(&mutation.key),
                // Each has a key of its own, which no later operation names.
                Change::SetVersionstamped(_) => continue,
                _ => self.known.current.insert(mutation.key.clone(), rank),
            };
        }
    }

    /// After an operation that both have refused (D1): kvick has done nothing of it, Deno what comes
    /// before the mistake. kvick is then made to do that too, so that both go on from the same.
    fn refused(&mut self, write: &Write, before: &Snapshot) -> Result<(), Unlike> {
        let keys = write.keys();
        let requests = write.written();
        let was = read(before, &requests);
        let is = read(&self.kvick.snapshot(), &requests);
        let theirs = self.deno.read(&requests);
        if was != is {
            let [was, is] = [was, is].map(|read| show(&read, &self.ours));
            return Err(Unlike {
                what: "a refused operation that has changed kvick (A07)",
                kvick: format!("{is}, where there was {was}"),
                deno: show(&theirs, &self.theirs),
            });
        }
        if self.same(&is, &theirs).is_err() {
            self.tally.d1 += 1;
        }

        self.do_what_can_be_done(write);
        let ours = read(&self.kvick.snapshot(), &requests);
        self.same(&ours, &theirs).map_err(|unlike| Unlike {
            what: "what Deno has left is not what precedes the mistake (D1)",
            ..unlike
        })?;
        // What this has written is of a commit that neither has told of.
        let (our_stamps, their_stamps) = (untold(&ours, &self.ours), untold(&theirs, &self.theirs));
        match (&our_stamps[..], &their_stamps[..]) {
            ([], []) => {}
            ([our_stamp], [their_stamp])
                if self.ours.push(*our_stamp) && self.theirs.push(*their_stamp) => {}
            _ => {
                let what = "the versionstamp of what was done in part";
                return Err(unlike(what, &our_stamps, &their_stamps));
            }
        }
        self.known.commits = self.ours.len();
        for (key, rows) in keys.into_iter().zip(ours.iter().flatten()) {
            let rank = rows.first().and_then(|row| self.ours.rank(row.stamp));
            match rank {
                None => self.known.current.remove(key),
                Some(rank) => self.known.current.insert(key.clone(), rank),
            };
        }
        Ok(())
    }

    /// Has kvick do as many of the mutations as it takes.
    fn do_what_can_be_done(&self, write: &Write) {
        let mut counts = (0..write.mutations.len()).rev();
        counts.find(|count| {
            let written = self.kvick.write(&write.beginning(*count), &self.ours);
            matches!(written, Written::Committed(_))
        });
    }

    fn read(&mut self, requests: &[Request]) -> Result<(), Unlike> {
        let ours = self.kvick.read(requests);
        let mut theirs = self.deno.read(requests);
        let lists = requests.iter().zip(theirs.iter_mut().flatten());
        for (request, list) in lists {
            let Some(end) = request.select.end_of_prefix() else {
                continue;
            };
            if list.iter().any(|row| row.key >= end) {
                // D9: the answer that is expected is the one to the range that ends with the prefix.
                self.tally.d9 += 1;
                let cut = self.deno.read_up_to(request, end);
                *list = cut.into_iter().flatten().flatten().collect();
            }
        }
        self.tally.ranges += requests.len() as u64;
        self.tally.entries += ours.iter().flatten().flatten().count() as u64;
        self.same(&ours, &theirs)
    }

    /// That two answers are the same, versionstamps by their ranks.
    fn same(&self, ours: &Read, theirs: &Read) -> Result<(), Unlike> {
        // A key may end in the versionstamp of its commit, which is another on each side.
        let same_key = |our_row: &Row, their_row: &Row| {
            let ours = our_row
                .key
                .strip_suffix(&versionstamp_part(our_row.stamp)[..]);
            let theirs = their_row
                .key
                .strip_suffix(&versionstamp_part(their_row.stamp)[..]);
            our_row.key == their_row.key || (ours.is_some() && ours == theirs)
        };
        let same_rows = |(our_row, their_row): (&Row, &Row)| {
            same_key(our_row, their_row)
                && our_row.value == their_row.value
                && self.ours.rank(our_row.stamp) == self.theirs.rank(their_row.stamp)
        };
        let same_lists = |(our_list, their_list): (&Vec<Row>, &Vec<Row>)| {
            our_list.len() == their_list.len() && our_list.iter().zip(their_list).all(same_rows)
        };
        let (our_text, their_text) = match (ours, theirs) {
            (Ok(our_lists), Ok(their_lists)) if our_lists.len() == their_lists.len() => {
                let mut lists = our_lists.iter().zip(their_lists).enumerate();
                let Some((index, lists)) = lists.find(|(_, lists)| !same_lists(*lists)) else {
                    return Ok(());
                };
                let text = |rows, ranks| format!("range {index}: {}", show_rows(rows, ranks));
                (text(lists.0, &self.ours), text(lists.1, &self.theirs))
            }
            _ => (show(ours, &self.ours), show(theirs, &self.theirs)),
        };
        Err(Unlike {
            what: "what is read",
            kvick: our_text,
            deno: their_text,
        })
    }
}

/// The last part of a key that ends in a versionstamp.
fn versionstamp_part(stamp: Stamp) -> Vec<u8> {
    Key::from(Versionstamp::from_bytes(stamp))
        .as_bytes()
        .to_vec()
}

fn read(snapshot: &Snapshot, requests: &[Request]) -> Read {
    kvick::rows(snapshot, requests).map_err(|error| error.to_string())
}

/// The versionstamps that are of no commit.
fn untold(read: &Read, ranks: &Ranks) -> Vec<Stamp> {
    let stamps = read.iter().flatten().flatten().map(|row| row.stamp);
    let mut stamps: Vec<_> = stamps
        .filter(|stamp| ranks.rank(*stamp).is_none())
        .collect();
    stamps.sort_unstable();
    stamps.dedup();
    stamps
}

fn unlike(what: &'static str, ours: &impl fmt::Debug, theirs: &impl fmt::Debug) -> Unlike {
    Unlike {
        what,
        kvick: format!("{ours:?}"),
        deno: format!("{theirs:?}"),
    }
}

fn show(read: &Read, ranks: &Ranks) -> String {
    match read {
        Ok(lists) => {
            let lists: Vec<_> = lists.iter().map(|rows| show_rows(rows, ranks)).collect();
            lists.join(", ")
        }
        Err(error) => error.clone(),
    }
}

/// Entries as a reader wants them: with the rank of the commit that they are of.
fn show_rows(rows: &[Row], ranks: &Ranks) -> String {
    let show = |row: &Row| {
        let key = Key::raw(&row.key);
        let rank = ranks.rank(row.stamp);
        let rank = rank.map_or("no commit".to_owned(), |rank| format!("commit {rank}"));
        format!("{key:?} = {:?} of {rank}", row.value)
    };
    let rows: Vec<_> = rows.iter().map(show).collect();
    format!("[{}]", rows.join(", "))
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            operation,
            asked,
            what,
            kvick,
            deno,
        } = self;
        write!(
            f,
            "operation {operation}: {what}\n  {asked}\nkvick: {kvick}\nDeno:  {deno}"
        )
    }
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            operations: self.operations + other.operations,
            committed: self.committed + other.committed,
            conflicts: self.conflicts + other.conflicts,
            refused: self.refused + other.refused,
            ranges: self.ranges + other.ranges,
            entries: self.entries + other.entries,
            versionstamped: self.versionstamped + other.versionstamped,
            d1: self.d1 + other.d1,
            d9: self.d9 + other.d9,
        }
    }
}

/// Whether a refusal says what Deno's says, and then perhaps more.
fn is_text_of(ours: &str, theirs: &str) -> bool {
    match theirs {
        // Deno tells what cannot be read apart from what is no number. Nobody can add to either.
        "invalid v8 value" | "operand cannot be empty" | "unsupported value type" => {
            ours.contains("unsupported value type")
        }
        _ => ours
            .strip_prefix(theirs)
            .is_some_and(|more| more.is_empty() || more.starts_with(':')),
    }
}
