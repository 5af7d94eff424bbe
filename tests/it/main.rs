//! The integration tests, in one binary so that they link once.

mod atomic;
mod cursor;
mod differential;
mod docs;
mod history;
mod keys;
mod ledger;
mod list;
mod reads;
mod support;
mod tidy;
mod transact;
mod update;
mod values;
