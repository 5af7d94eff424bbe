//! A cache in front of a store that is slow: each user is looked up once, however many threads ask at
//! the same time, and what the store changes is read anew.
//!
//! The clock is driven by hand here, so that the example ends before a minute has passed. Without
//! `clock`, kvick goes by that of the system.

use kvick::{Kv, LoadError, Loading, ManualClock};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// The store that the cache is in front of.
#[derive(Default)]
struct Users {
    names: Mutex<BTreeMap<u64, String>>,
    lookups: AtomicUsize,
}

#[derive(Debug)]
struct NoSuchUser(u64);

impl fmt::Display for NoSuchUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no user {}", self.0)
    }
}

impl std::error::Error for NoSuchUser {}

impl Users {
    /// Takes its time.
    fn look_up(&self, id: u64) -> Result<String, NoSuchUser> {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        thread::yield_now();
        let names = self.names.lock().expect("nothing panics behind it");
        names.get(&id).cloned().ok_or(NoSuchUser(id))
    }

    /// First the store, then the cache: so nobody who is told of it reads the old name again, not even
    /// from a lookup that is under way.
    fn rename(&self, kv: &Kv, id: u64, name: &str) -> kvick::Result<()> {
        let mut names = self.names.lock().expect("nothing panics behind it");
        names.insert(id, name.to_owned());
        drop(names);
        kv.delete(("user", id))?;
        Ok(())
    }

    /// The name of a user, for up to a minute as it was; then, for half of one more, the first who asks
    /// looks it up, and the others go on with what is there.
    fn name(&self, kv: &Kv, id: u64) -> Result<String, LoadError<NoSuchUser>> {
        let loading = Loading::from(MINUTE).stale_for(MINUTE / 2);
        let user = kv.get_or_load(("user", id), loading, || self.look_up(id))?;
        Ok(user.as_str().unwrap_or_default().to_owned())
    }
}

fn main() -> kvick::Result<()> {
    let clock = Arc::new(ManualClock::default());
    let on_clock = Arc::<ManualClock>::clone(&clock);
    let kv = Kv::builder().clock(on_clock).build();
    let users = Users::default();
    users.rename(&kv, 7, "Alice")?;

    // Eight threads, one lookup.
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(users.name(&kv, 7).ok().as_deref(), Some("Alice")));
        }
    });
    assert_eq!(users.lookups.load(Ordering::Relaxed), 1);

    users.rename(&kv, 7, "Alice Liddell")?;
    assert_eq!(users.name(&kv, 7)?, "Alice Liddell");
    clock.advance(MINUTE); // it is stale now, and looked up again
    assert_eq!(users.name(&kv, 7)?, "Alice Liddell");
    assert_eq!(users.lookups.load(Ordering::Relaxed), 3);

    // An error is everybody's who asked, and nothing is stored of it.
    match users.name(&kv, 8) {
        Err(LoadError::Failed(error)) => assert_eq!(error.0, 8),
        other => panic!("{other:?}"),
    }
    assert_eq!(kv.list("user").count()?, 1);
    assert_eq!(kv.stats().load_count, 4);
    Ok(())
}
