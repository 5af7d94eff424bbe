//! Histories of real threads, and whether they are strictly serializable.
//!
//! A run goes in rounds: threads append to lists and read them ([`workload`]), each recording what
//! it does and is told ([`record`]); then two checkers look at the whole round. One trusts the
//! engine's versionstamps and replays in their order ([`white_box`]), the other looks at nothing
//! but the lists ([`black_box`]). Neither would do alone: a bug in the versionstamps would lead the
//! first astray, and the second does not see that an entry's version is wrong. What is received of the
//! queues is looked at apart ([`messages`]).

mod anomaly;
mod attempt;
mod black_box;
mod cli;
mod cycles;
mod graph;
mod keys;
mod latency;
mod mailbox;
mod messages;
mod note;
mod record;
mod run;
#[cfg(test)]
mod tests;
mod white_box;
mod workload;

pub(crate) use cli::{command, seed};
pub(crate) use latency::Latency;
pub(crate) use note::number;
pub(crate) use run::{Options, Report, run};
