//! Entries that one commit can set, within Deno's limits.

use crate::fault::Fault;
use crate::literal::key_text;
use kvick::{Entry, Limits};

/// What is to be set at once.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) entries: Vec<Entry>,
    limits: Limits,
    /// Where each key is checked too: so many checks a commit may have.
    checks_max: Option<usize>,
    bytes: usize,
    key_bytes: usize,
}

impl Batch {
    pub(crate) fn new(checks_max: Option<usize>) -> Self {
        Self {
            entries: Vec::new(),
            limits: Limits::default(),
            checks_max,
            bytes: 0,
            key_bytes: 0,
        }
    }

    /// What an entry counts: its key as that of a mutation, once more with its value, and in a check.
    fn bytes_of(&self, entry: &Entry) -> usize {
        let key = entry.key().as_bytes().len();
        key * (2 + usize::from(self.checks_max.is_some())) + value_bytes(entry)
    }

    /// Whether one more entry can be set by the same commit.
    pub(crate) fn has_room_for(&self, entry: &Entry) -> bool {
        let entries_max = self.limits.mutations_max;
        self.entries.len() < self.checks_max.unwrap_or(entries_max).min(entries_max)
            && self.bytes + self.bytes_of(entry) <= self.limits.total_bytes_max
            && self.key_bytes + entry.key().as_bytes().len() <= self.limits.total_key_bytes_max
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        self.bytes += self.bytes_of(&entry);
        self.key_bytes += entry.key().as_bytes().len();
        self.entries.push(entry);
    }

    /// The entries, which are no longer in it then.
    pub(crate) fn take(&mut self) -> Vec<Entry> {
        self.bytes = 0;
        self.key_bytes = 0;
        std::mem::take(&mut self.entries)
    }

    /// That a database with Deno's limits can have this entry at all.
    pub(crate) fn check(&self, entry: &Entry) -> Result<(), Fault> {
        let key = entry.key().as_bytes().len();
        let too_large = |what, bytes, max| {
            Fault::failed(format!(
                "{} cannot be copied: its {what} has {bytes} bytes, and Deno's databases take {max}",
                shortened(&key_text(entry.key()))
            ))
        };
        if key == 0 {
            return Err(Fault::failed(
                "the empty key cannot be copied: Deno's databases refuse it",
            ));
        }
        if key > self.limits.key_write_bytes_max {
            return Err(too_large("key", key, self.limits.key_write_bytes_max));
        }
        if value_bytes(entry) > self.limits.value_bytes_max {
            return Err(too_large(
                "value",
                value_bytes(entry),
                self.limits.value_bytes_max,
            ));
        }
        Ok(())
    }
}

fn value_bytes(entry: &Entry) -> usize {
    entry.value().map_or(0, kvick::Value::len)
}

/// The beginning of a text that may be very long.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 100;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}..", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::Batch;
    use kvick::{Entry, Key, Kv, Limits};

    fn entry(kv: &Kv, key: Key, value_bytes: usize) -> Entry {
        kv.set(key.clone(), vec![7; value_bytes])
            .expect("there are no limits");
        kv.get(key).expect("it is open")
    }

    fn unlimited() -> Kv {
        Kv::builder().limits(Limits::unlimited()).build()
    }

    /// Sets as many as there is room for in a database with Deno's limits.
    fn fill(has_checks: bool, key_bytes: usize, value_bytes: usize) -> usize {
        let (kv, deno) = (unlimited(), Kv::new());
        let mut batch = Batch::new(has_checks.then_some(100));
        for index in 0_u32.. {
            let mut key = vec![1; key_bytes];
            key[..4].copy_from_slice(&index.to_be_bytes());
            let entry = entry(&kv, Key::raw(key), value_bytes);
            batch.check(&entry).expect("it is small enough");
            let has_room = batch.has_room_for(&entry);
            batch.push(entry);
            let mut operation = deno.atomic();
            for entry in &batch.entries {
                if has_checks {
                    operation.check_absent(entry.key().clone());
                }
                operation.set(entry.key().clone(), entry.value().expect("it is there"));
            }
            let is_refused = operation.commit().is_err();
            assert_eq!(is_refused, !has_room, "{index}");
            if is_refused {
                break;
            }
            deno.delete_range(kvick::Range::all()).expect("it is open");
        }
        batch.entries.len() - 1
    }

    #[test]
    fn a_batch_is_as_large_as_a_commit_may_be_and_no_larger() {
        assert_eq!(fill(true, 4, 1), 100);
        assert_eq!(fill(false, 2_048, 1), 40);
        assert_eq!(fill(false, 10, 65_536), 12);
    }

    #[test]
    fn what_no_commit_takes_is_named() {
        let (kv, batch) = (unlimited(), Batch::new(None));
        let long = Key::from("x".repeat(3_000));
        for (entry, says) in [
            (
                entry(&kv, long, 0),
                "its key has 3002 bytes, and Deno's databases take 2048",
            ),
            (
                entry(&kv, Key::from("k"), 65_537),
                "[\"k\"] cannot be copied: its value has 65537",
            ),
        ] {
            let fault = batch.check(&entry).expect_err(says).to_string();
            assert!(fault.contains(says) && fault.len() < 300, "{fault}");
        }
    }
}
