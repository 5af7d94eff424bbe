//! Deleting ranges.

use super::client::Client;
use super::entries::Entries;
use crate::engine::write::{Mutation, Op, Write};
use crate::error::Result;
use crate::key::{Key, Range};
use crate::limits::Limits;
use denokv_proto::Database;

/// How many entries are read, and deleted by one commit.
const BATCH: usize = 500;

impl<D: Database> Client<D> {
    /// Deletes the entries of a range, and says how many these were.
    ///
    /// **This is not one commit**, which is what [`Kv::delete_range`](crate::Kv::delete_range) is: the protocol deletes
    /// by keys. The entries are read, with their values, in batches of up to 500, and each batch is deleted by
    /// a commit, of no more bytes than Deno's limit, so readers can see a part of it. An entry that is changed after it was read is deleted too; one
    /// that is inserted meanwhile may stay. Where it fails, or the future is dropped, what was deleted by then
    /// stays deleted, and it can be asked for again.
    ///
    /// # Errors
    ///
    /// Those of the range; those of the database.
    pub async fn delete_range(&self, range: impl Into<Range>) -> Result<usize> {
        let limits = self.limits();
        let batch = BATCH.min(limits.entries_max).min(limits.mutations_max);
        let list = self.list(range).batch_size(batch.max(1));
        let mut entries = list.stream()?;
        let mut count = 0;
        while let Some(write) = self.next_deletion(&mut entries, batch).await? {
            count += write.mutations.len();
            self.commit(&write).await?;
        }
        Ok(count)
    }

    /// Deletes every entry below a prefix, not the prefix itself: [`delete_range`](Self::delete_range) of
    /// [`Range::prefix`].
    ///
    /// # Errors
    ///
    /// Those of [`delete_range`](Self::delete_range).
    pub async fn delete_prefix(&self, prefix: impl Into<Key>) -> Result<usize> {
        self.delete_range(Range::prefix(prefix)).await
    }

    /// The deletion of the next entries, as many as one commit may have; `None` where there are no more.
    async fn next_deletion(
        &self,
        entries: &mut Entries<'_, D>,
        batch: usize,
    ) -> Result<Option<Write<'static>>> {
        // With room for one more key of any length. Where no limit is known here, the database still has its own.
        let (limits, denos) = (self.limits(), Limits::default());
        let bytes_max = limits.total_bytes_max.min(denos.total_bytes_max);
        let key_bytes_max = limits.key_write_bytes_max.min(denos.key_write_bytes_max);
        let bytes_max = bytes_max.saturating_sub(key_bytes_max);
        let mut write = Write::new();
        let mut bytes = 0;
        while write.mutations.len() < batch.max(1) && (bytes == 0 || bytes <= bytes_max) {
            let Some(entry) = entries.next().await else {
                break;
            };
            let key = entry?.key().clone();
            bytes += key.as_bytes().len();
            let op = Op::Delete;
            write.mutations.push(Mutation { key, op });
        }
        Ok((!write.mutations.is_empty()).then_some(write))
    }
}
