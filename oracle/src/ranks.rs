//! Versionstamps of two engines, compared.
//!
//! Each engine has its own, with gaps of its own. What they have in common is the order: the third
//! commit of the one is the third of the other. So a versionstamp is told by its rank among those of
//! the commits that both have made.

/// A versionstamp as it is.
pub(crate) type Stamp = [u8; 10];

/// The how-many-th commit this is.
pub(crate) type Rank = usize;

/// The versionstamps of one engine's commits, by rank.
#[derive(Default)]
pub(crate) struct Ranks(Vec<Stamp>);

impl Ranks {
    /// Adds that of a commit; false if it is not larger than all before (V03).
    pub(crate) fn push(&mut self, stamp: Stamp) -> bool {
        let grows = stamp > self.latest();
        self.0.push(stamp);
        grows
    }

    pub(crate) fn latest(&self) -> Stamp {
        self.0.last().copied().unwrap_or_default()
    }

    /// The rank of a versionstamp, if it is of a commit.
    pub(crate) fn rank(&self, stamp: Stamp) -> Option<Rank> {
        self.0.binary_search(&stamp).ok()
    }

    pub(crate) fn stamp(&self, rank: Rank) -> Stamp {
        self.0[rank]
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
