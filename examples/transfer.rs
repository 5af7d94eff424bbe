//! Ten go from Alice to Bob, twice.

use kvick::Kv;

fn main() -> kvick::Result<()> {
    let kv = Kv::new();
    let (alice, bob) = (("account", "alice"), ("account", "bob")); // keys are tuples
    kv.set(alice, 100u64)?;
    kv.set(bob, 0u64)?;
    let before = kv.snapshot(); // stays as it is, whatever is written

    // All or nothing: if what was read is still so, write.
    let read = kv.get(alice)?;
    let mut payment = kv.atomic();
    payment.check(&read).set(alice, 90u64).sum(bob, 10);
    assert!(payment.commit()?.is_committed());

    // Or let kvick try again until it is.
    let paid = kv.transact(|tx| match tx.get(alice)?.as_u64() {
        Some(balance @ 10..) => {
            tx.set(alice, balance - 10);
            tx.sum(bob, 10);
            Ok(())
        }
        _ => tx.abort("insufficient funds"),
    })?;
    assert!(paid.is_committed());
    assert_eq!(before.get(alice)?.as_u64(), Some(100));
    Ok(())
}
