//! Committing an atomic operation of a client.

use super::client::Client;
use crate::atomic_op::{AtomicOp, Outcome};
use crate::error::Result;
use denokv_proto::Database;

/// What is committed by a client, to whatever database it has (feature `denokv`).
impl<D: Database> AtomicOp<'_, Client<D>> {
    /// Commits: all of it takes effect, its messages included, or nothing.
    ///
    /// Which checks have failed is not told: `failed_checks` of a [conflict](Outcome::Conflict) is empty.
    ///
    /// # Errors
    ///
    /// `TooManyChecks`, `TooManyMutations`, `KeyEmpty`, `KeyTooLarge`, `ValueTooLarge`,
    /// `TotalTooLarge`, `TotalKeysTooLarge`; `InvalidExpiry`, `InvalidEnqueue`; `Unsupported`, of an expiry
    /// that is to be kept, of arithmetic that is to expire, and of a queue with a name. Nothing has been sent
    /// then. `TypeMismatch`, `SumOutOfRange` and whatever else the database has against it: nothing has
    /// changed then, unless the answer was [lost](Client#errors).
    pub async fn commit(&self) -> Result<Outcome> {
        let committed = self.target.commit(&self.write).await?;
        Ok(match committed {
            Some(versionstamp) => Outcome::Committed { versionstamp },
            None => Outcome::Conflict {
                failed_checks: Vec::new(),
            },
        })
    }
}
