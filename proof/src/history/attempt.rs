//! What one attempt at a transaction does.

use super::keys::{Group, Groups};
use super::note::{note, stamp_in};
use super::record::{ELEMENT_BYTES, GROUP_KEYS, Log, id};
use kvick::{Entry, Range, Transaction};

/// Operations of a transaction.
pub(super) const OPS_MAX: usize = 4;

/// A list with so many elements is not appended to any more.
const LIST_LEN_MAX: usize = 32;

/// A list as it is written.
#[derive(Debug)]
pub(super) struct Value {
    bytes: [u8; (LIST_LEN_MAX + 2) * ELEMENT_BYTES],
    len: usize,
}

impl Value {
    /// What was read, if that can be appended to.
    pub(super) fn of(read: &[u8]) -> Option<Self> {
        if read.len() >= LIST_LEN_MAX * ELEMENT_BYTES {
            return None;
        }
        let mut bytes = [0; (LIST_LEN_MAX + 2) * ELEMENT_BYTES];
        bytes[..read.len()].copy_from_slice(read);
        let len = read.len();
        Some(Self { bytes, len })
    }

    pub(super) fn push(&mut self, element: u32) {
        let end = self.len + ELEMENT_BYTES;
        self.bytes[self.len..end].copy_from_slice(&element.to_le_bytes());
        self.len = end;
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// One operation of a transaction.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Get { group: u32, key: usize },
    List(RangeRead),
    Append { group: u32, key: usize, twice: bool },
}

/// Some keys of a group.
#[derive(Clone, Copy, Debug)]
pub(super) struct RangeRead {
    pub(super) group: u32,
    pub(super) begin: usize,
    pub(super) end: usize,
    pub(super) reverse: bool,
    pub(super) limit: usize,
}

/// One attempt at a transaction.
pub(super) struct Attempt<'a> {
    pub(super) log: &'a mut Log,
    pub(super) groups: &'a mut Groups,
    /// Keys that it has appended to.
    pub(super) appended: [u32; OPS_MAX],
    pub(super) appended_count: usize,
}

impl Attempt<'_> {
    pub(super) fn perform(&mut self, tx: &mut Transaction<'_>, step: Step) -> kvick::Result<()> {
        match step {
            Step::Get { group, key } => self.get(tx, group, key).map(|_| ()),
            Step::List(range) => self.list(tx, range),
            Step::Append { group, key, twice } => self.append(tx, group, key, twice),
        }
    }

    fn get(&mut self, tx: &mut Transaction<'_>, group: u32, key: usize) -> kvick::Result<Entry> {
        let entry = tx.get(&self.groups.group(group).keys[key])?;
        let appended = &self.appended[..self.appended_count];
        note_either(self.log, appended, group * GROUP_KEYS + id(key), &entry);
        Ok(entry)
    }

    fn append(
        &mut self,
        tx: &mut Transaction<'_>,
        group: u32,
        key: usize,
        twice: bool,
    ) -> kvick::Result<()> {
        let entry = self.get(tx, group, key)?;
        let Some(mut value) = Value::of(entry.as_bytes().unwrap_or_default()) else {
            return Ok(());
        };
        let number = group * GROUP_KEYS + id(key);
        for _ in 0..=u32::from(twice) {
            let element = self.log.fresh_element();
            value.push(element);
            self.log.append(number, element);
            tx.set(entry.key(), value.bytes());
        }
        self.appended[self.appended_count] = number;
        self.appended_count += 1;
        Ok(())
    }

    fn list(&mut self, tx: &mut Transaction<'_>, read: RangeRead) -> kvick::Result<()> {
        let Group { prefix, keys } = self.groups.group(read.group);
        let range = if read.begin == 0 && read.end == keys.len() {
            Range::prefix(prefix)
        } else if let Some(end) = keys.get(read.end) {
            Range::new(&keys[read.begin], end)
        } else {
            Range::prefix(prefix).start(&keys[read.begin])
        };
        let mut listed = tx.list(range);
        if read.reverse {
            listed = listed.reverse();
        }
        if read.limit < usize::MAX {
            listed = listed.limit(read.limit);
        }
        let mut entries = listed.entries()?;
        if read.reverse {
            entries.reverse();
        }
        // Behind the last entry of a list that is full nothing was read.
        let (mut begin, mut end) = (read.begin, read.end);
        if entries.len() == read.limit {
            let keys = &self.groups.group(read.group).keys;
            let place = |entry: Option<&Entry>| {
                let found = keys
                    .iter()
                    .position(|key| Some(key) == entry.map(Entry::key));
                found.expect("a range has none but its keys")
            };
            if read.reverse {
                begin = place(entries.first());
            } else {
                end = place(entries.last()) + 1;
            }
        }
        self.note_range(read.group, begin..end, &entries);
        Ok(())
    }

    /// Records ascending entries of a range: the keys in between are missing.
    fn note_range(&mut self, group: u32, keys: std::ops::Range<usize>, entries: &[Entry]) {
        let appended = &self.appended[..self.appended_count];
        let names = &self.groups.group(group).keys;
        let mut entries = entries.iter().peekable();
        for key in keys {
            let number = group * GROUP_KEYS + id(key);
            match entries.next_if(|entry| *entry.key() == names[key]) {
                Some(entry) => note_either(self.log, appended, number, entry),
                None if appended.contains(&number) => {
                    self.log.read_malformed(number, b"own append is missing");
                }
                None => self.log.read(number, &[], 0),
            }
        }
        let next = entries.next();
        assert!(
            next.is_none(),
            "{next:?} is not of the range, or not in its order"
        );
    }
}

/// Records what a key holds for a transaction that has appended to these keys.
fn note_either(log: &mut Log, appended: &[u32], key: u32, entry: &Entry) {
    if !appended.contains(&key) {
        return note(log, key, entry);
    }
    let stamp = stamp_in(log, entry.versionstamp());
    match entry.as_bytes() {
        Some(bytes) => log.read_own(key, bytes, stamp),
        // Even if it is missing: its own append is.
        None => log.read_malformed(key, format!("{entry:?}").as_bytes()),
    }
}
