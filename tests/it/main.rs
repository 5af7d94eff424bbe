//! The integration tests, in one binary so that they link once.

mod docs;
mod ledger;
mod tidy;
