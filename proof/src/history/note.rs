//! From what the engine gives to what is recorded of it.

use super::keys::Groups;
use super::record::Log;
use kvick::{Entry, EntryRef, Versionstamp};

/// The number of the commit that a versionstamp is of.
pub(crate) fn number(versionstamp: Versionstamp) -> u64 {
    let (number, rest) = versionstamp.as_bytes().split_at(8);
    // The engine promises zeros there; anything else is no stamp of a commit.
    if rest != [0, 0] {
        return u64::MAX;
    }
    number
        .iter()
        .fold(0, |all, byte| all << 8 | u64::from(*byte))
}

/// A versionstamp as a log records it.
pub(super) fn stamp_in(log: &Log, versionstamp: Option<Versionstamp>) -> u32 {
    versionstamp.map_or(0, |versionstamp| log.stamp(number(versionstamp)))
}

/// Records what a key holds for a reader that has not written it.
pub(super) fn note(log: &mut Log, key: u32, entry: &Entry) {
    let stamp = stamp_in(log, entry.versionstamp());
    match (entry.value(), entry.as_bytes()) {
        (_, Some(bytes)) => log.read(key, bytes, stamp),
        (None, _) => log.read(key, &[], stamp),
        (Some(value), None) => log.read_malformed(key, format!("{value:?}").as_bytes()),
    }
}

fn note_shown(log: &mut Log, key: u32, entry: EntryRef<'_>) {
    let stamp = stamp_in(log, Some(entry.versionstamp()));
    match entry.as_bytes() {
        Some(bytes) => log.read(key, bytes, stamp),
        None => log.read_malformed(key, format!("{:?}", entry.value()).as_bytes()),
    }
}

/// Records entries of a range of consecutive keys in ascending order: those in between are missing.
pub(super) struct Sequence {
    next: u32,
}

impl Sequence {
    pub(super) fn new(first: u32) -> Self {
        Self { next: first }
    }

    pub(super) fn note(&mut self, log: &mut Log, groups: &mut Groups, entry: EntryRef<'_>) {
        while groups.key(self.next).as_bytes() != entry.key_bytes() {
            self.note_missing(log);
            assert!(
                groups.key(self.next).as_bytes() <= entry.key_bytes(),
                "{:?} is not a key of the range, comes twice, or out of order",
                entry.key()
            );
        }
        note_shown(log, self.next, entry);
        self.next += 1;
    }

    fn note_missing(&mut self, log: &mut Log) {
        log.read(self.next, &[], 0);
        self.next += 1;
    }

    pub(super) fn finish(mut self, log: &mut Log, end: u32) {
        assert!(self.next <= end, "a list gave an entry behind the range");
        while self.next < end {
            self.note_missing(log);
        }
    }
}
