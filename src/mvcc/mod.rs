//! The concurrent core: records, version chains, stamps, and when what was superseded may go.
//!
//! The files of this folder import nothing but the ground floor and are generic over the payload,
//! so that the model checker compiles these very files. Everything that a comment in here cites by
//! name is listed below.
//!
//! # Invariants
//!
//! ```text
//! SORTED        decided stamps in a chain strictly decrease from the head
//! ALL-LINKED    a leader becomes ready only after every version of its commit is linked
//! DECIDED-ONCE  a stamp word goes from ready (or validating) to one stamp, once, whoever decides
//! VISIBLE       at snapshot S exactly the versions with a decided stamp <= S are seen
//! KEEP-ONE      what is freed leaves the newest version at or below each snapshot still open
//! REACH         a link to an older version leads to memory that is there, for every reader that
//!               can follow it: one whose snapshot is below the version that it stands on
//! HORIZON       horizon <= every registered snapshot; every short reader has S >= grace
//! PINNED        no reference to a version, a record or a leaf outlives the guard it was read under
//! LED           a version that names a leader is settled, or unlinked, before its leader can be
//!               superseded or unlinked
//! INDEXED       an index holds a record only until it is removed there under the stripe of its
//!               key; the record is retired, and marked so, after it has left every index. So under
//!               its stripe, a record that is not marked is the one of its key
//! LEAVES        a record of the ordered index is in one leaf of the list, the last one whose low key
//!               is not above the record's; what the directory or the newest shortcut leads to is in
//!               the list
//! QUEUED        what waits in a sweep queue and is not past the horizon has a record that is there
//! KEPT          while versions are linked that keep stamps of their own, nothing is minted; the counter
//!               then goes from zero to the largest of them, or beyond, by one change
//! TIMED         whatever expires was announced before the stamp of its commit was minted
//! WOKEN         a watcher that has looked at S, and waits, is woken by every commit above S that
//!               touches what it watches
//! NUMBERED      a number is one thread's at most; whoever has it next finds what that has written
//! BUSY          where nothing is found to be taken, and then nobody is at work, what came of all that
//!               was taken is there
//! LIMIT         what is drawn from the quota to hold more is never beyond its limit
//! ASCENDING     stripes are locked in ascending order, at most once each
//! ```
//!
//! # Orderings
//!
//! ```text
//! E-LINK     head's store (Release) -> read's load of head (Acquire)
//! E-READY    leader's ready store (Release) -> read's load of the stamp word (Acquire)
//! E-MINT     mint (AcqRel on the counter) -> snapshot's load of the counter (Acquire)
//! E-KICK     reader's kick (Release on the word) -> writer's failed decision (Acquire)
//! E-GRACE    mint -> counter load, deferred to the epoch -> pin of every later reader
//! E-RELEASE  snapshot's slot freed (Release) -> horizon's load of the slot (Acquire)
//! E-DUE      what is due noted, under a stripe's lock -> reaper's look at the stripe, or after it;
//!            every change of the word is a read-modify-write (AcqRel), and so is the look before a
//!            rest: the later one of a note and a look knows of the other
//! E-LEAF     a leaf's array, or a shortcut, published (Release) -> search's load of it (Acquire)
//! E-WAKE     a commit's swap of a cell's word (Release) -> a watcher's setting of its bit (Acquire)
//! E-TABLE    a table or slot published (Release) -> lookup's load of it (Acquire)
//! ```

pub(crate) mod awake;
pub(crate) mod busy;
pub(crate) mod chain;
pub(crate) mod leaf;
pub(crate) mod notify;
pub(crate) mod point;
pub(crate) mod publish;
pub(crate) mod quota;
pub(crate) mod registry;
pub(crate) mod stamp;
pub(crate) mod stripes;
pub(crate) mod tally;
pub(crate) mod time;

#[cfg(all(test, not(loom)))]
mod tests;
