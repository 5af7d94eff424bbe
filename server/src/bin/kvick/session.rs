//! What a command runs in.

use crate::args::Args;
use crate::fault::Fault;
use crate::out::Out;
use crate::store::{Db, Store};
use kvick::Limits;
use kvick::denokv::Client;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

pub(crate) struct Session {
    pub(crate) out: Out,
    /// That of a prompt; the command line opens one for each command.
    held: Option<Store>,
    /// Whether a command runs that is interrupted in its own way.
    pub(crate) ends_itself: Arc<AtomicBool>,
}

impl Session {
    pub(crate) fn new(held: Option<Store>) -> Self {
        Self {
            out: Out::new(),
            held,
            ends_itself: Arc::default(),
        }
    }

    /// The database that the command is for.
    pub(crate) fn db(&self, args: &Args) -> Result<Db, Fault> {
        match &self.held {
            Some(store) => Ok(client(store.clone())),
            None => Ok(client(args.place().open()?)),
        }
    }

    /// Likewise, of a command that can do with a database of its own.
    pub(crate) fn db_or_fresh(&self, args: &Args) -> Result<Db, Fault> {
        match &self.held {
            Some(store) => Ok(client(store.clone())),
            None => Ok(client(args.place().open_or_fresh()?)),
        }
    }
}

/// The limits of writes are the database's own, which it says itself: they may be higher than Deno's.
pub(crate) fn client(store: Store) -> Db {
    let mut limits = Limits::unlimited();
    let denos = Limits::default();
    limits.ranges_max = denos.ranges_max;
    limits.entries_max = denos.entries_max;
    limits.watch_keys_max = denos.watch_keys_max;
    Client::new(store).with_limits(limits)
}
