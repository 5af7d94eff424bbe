//! Types as values: a shop whose orders a client in JavaScript could read.
//!
//! `cargo run --example typed_values --features serde`

use kvick::js::Date;
use kvick::{ErrorKind, Kv, NewValue};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    customer: String,
    lines: Vec<(String, u32)>,
    placed: Date,
    state: State,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum State {
    Open,
    Shipped { parcel: u64 },
}

fn main() -> kvick::Result<()> {
    let kv = Kv::new();
    let order = Order {
        customer: "Zoë".to_owned(),
        lines: vec![("tea".to_owned(), 3)],
        placed: Date(1_763_800_000_000.0), // a `Date` in JavaScript
        state: State::Open,
    };
    kv.set_as(("order", 7), &order)?;
    assert_eq!(kv.get_as(("order", 7))?, Some(order));

    // In an operation or a transaction, a type is a value like any other.
    let shipped = kv.transact(|tx| {
        let Some(mut order) = tx.get(("order", 7))?.to::<Order>()? else {
            return tx.abort("no such order");
        };
        order.state = State::Shipped { parcel: 1 << 60 }; // a bigint: no number is that exact
        tx.set(("order", 7), NewValue::serialize(&order)?);
        tx.sum("shipped", 1);
        Ok(())
    })?;
    assert!(shipped.is_committed());
    assert_eq!(kv.get_as::<u64>("shipped")?, Some(1)); // what `sum` works on reads as a number

    // What does not fit is told with its place.
    let refused = kv.get(("order", 7))?.to::<(String, u32)>();
    let refused = refused.expect_err("an order is no tuple"); // it says: found an object
    assert_eq!(refused.kind(), ErrorKind::TypeMismatch);
    Ok(())
}
