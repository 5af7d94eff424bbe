//! The command `kvick`, run as users run it, against servers within the tests.

mod bulk;
mod documented;
mod entries;
mod failures;
mod prompt;
mod support;
mod terminal;
mod watching;
