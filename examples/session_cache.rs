//! Sessions that end by themselves: each lasts half an hour from when it was last used.
//!
//! The clock is driven by hand here, so that the example ends before half an hour has passed. Without
//! `clock`, kvick goes by that of the system.

use kvick::{Kv, ManualClock, NewValue};
use std::sync::Arc;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const SESSION: Duration = Duration::from_secs(30 * 60);

/// A new session.
fn log_in(kv: &Kv, token: &str, user: &str) -> kvick::Result<()> {
    kv.set(("session", token), NewValue::from(user).expire_in(SESSION))?;
    Ok(())
}

/// Whose session it is, if there is one. It then lasts for as long again.
fn authenticate(kv: &Kv, token: &str) -> kvick::Result<Option<String>> {
    let session = kv.get(("session", token))?;
    if kv.touch(session.key(), SESSION)?.is_none() {
        return Ok(None); // it has just ended, or there never was one
    }
    Ok(session.as_str().map(str::to_owned))
}

fn main() -> kvick::Result<()> {
    let clock = Arc::new(ManualClock::default());
    let on_clock = Arc::<ManualClock>::clone(&clock);
    let kv = Kv::builder().clock(on_clock).build();

    log_in(&kv, "4f2a", "alice")?;
    log_in(&kv, "9c31", "bob")?;
    clock.advance(20 * MINUTE);
    assert_eq!(authenticate(&kv, "4f2a")?.as_deref(), Some("alice"));
    clock.advance(20 * MINUTE);

    // Alice was here in the meantime. Bob was not, and nobody sees his session any more, whether or
    // not its memory has been freed by now.
    assert_eq!(authenticate(&kv, "4f2a")?.as_deref(), Some("alice"));
    assert_eq!(authenticate(&kv, "9c31")?, None);
    assert_eq!(kv.list("session").count()?, 1);
    assert_eq!(kv.get(("session", "4f2a"))?.expires_in(), Some(SESSION));
    Ok(())
}
