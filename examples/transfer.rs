//! Ten go from Alice to Bob, twice.

use kvick::{Kv, Outcome};

fn main() -> kvick::Result<()> {
    let kv = Kv::new();
    kv.set(("account", "alice"), 100u64)?;
    kv.set(("account", "bob"), 0u64)?;

    // Read, decide, and write if nobody was faster.
    let read = kv.get_many([("account", "alice"), ("account", "bob")])?;
    let (alice, bob) = (read[0].as_u64().unwrap_or(0), read[1].as_u64().unwrap_or(0));
    let outcome = kv
        .atomic()
        .check(&read[0])
        .check(&read[1])
        .set(("account", "alice"), alice - 10)
        .set(("account", "bob"), bob + 10)
        .commit()?;
    assert!(matches!(outcome, Outcome::Committed { .. }));

    // Or let kvick try again until it holds.
    let moved = kv.transact(|tx| {
        let alice = tx.get(("account", "alice"))?.as_u64().unwrap_or(0);
        if alice < 10 {
            return tx.abort("insufficient funds");
        }
        tx.set(("account", "alice"), alice - 10);
        tx.sum(("account", "bob"), 10);
        Ok(())
    })?;
    assert!(moved.is_committed());

    let view = kv.snapshot(); // stays as it is, whatever is written
    let total: u64 = view
        .list(("account",))
        .entries()?
        .filter_map(|entry| entry.as_u64())
        .sum();
    assert_eq!(total, 100);
    Ok(())
}
