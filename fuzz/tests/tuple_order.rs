//! The law of the encoding, `cmp(tuples) == cmp(bytes)`, over as many pairs as are asked for.

use std::env;

#[test]
fn byte_order_is_tuple_order() {
    let pairs = env::var("KVICK_PAIRS").map_or(100_000, |text| {
        text.parse().expect("KVICK_PAIRS is a number")
    });
    kvick_fuzz::tuple_order(pairs, 0x6b76_6963);
}
