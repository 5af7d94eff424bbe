//! One suite for every database that a `kvick::denokv::Client` can run on, and be started in a process:
//! an embedded `Kv`, `denokv_sqlite` in memory, and `denokv_remote` over loopback, against a server of ours.
//!
//! Each property is a function of any `Backend`. Where a database differs, and may, it says so in
//! its `DIFFERENCES`, and nowhere else.

#[cfg(test)]
mod backend;
#[cfg(test)]
mod embedded;
#[cfg(test)]
mod expiry;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod remote;
#[cfg(test)]
mod sqlite;
#[cfg(test)]
mod suite;
#[cfg(test)]
mod sums;
#[cfg(test)]
mod transactions;
#[cfg(test)]
mod transport;
#[cfg(test)]
mod updates;
#[cfg(test)]
mod values;
#[cfg(test)]
mod watches;
#[cfg(test)]
mod writes;
