//! Friends who write down what they give to whom, all at the same time, and lose nothing.

use kvick::{Entry, Kv, Transacted, Update};
use std::thread;

/// The most gifts that anybody wants.
const GIFTS_MAX: usize = 12;

/// Puts a gift on somebody's list, unless it is there, or the list is full; whether it did.
///
/// `update` shows the newest list to the closure, and again where somebody else was faster.
fn give_gift(kv: &Kv, to: &str, gift: &str) -> kvick::Result<bool> {
    let given = kv.update(("gifts", to), |list: &Entry| {
        let list = list.as_str().unwrap_or("");
        let mut gifts: Vec<&str> = list.lines().collect();
        if gifts.contains(&gift) {
            return Update::keep();
        }
        if gifts.len() == GIFTS_MAX {
            return Update::abort("the list is full");
        }
        gifts.push(gift);
        Update::set(gifts.join("\n"))
    })?;
    Ok(match given {
        Transacted::Committed { versionstamp, .. } => versionstamp.is_some(),
        _ => false,
    })
}

fn main() -> kvick::Result<()> {
    let kv = Kv::new();
    thread::scope(|friends| {
        for friend in 0..4 {
            let kv = &kv;
            friends.spawn(move || {
                for number in 0..5 {
                    // Everybody has the same idea once.
                    let gift = match number {
                        0 => "a scarf".to_owned(),
                        _ => format!("book {number} from friend {friend}"),
                    };
                    give_gift(kv, "Shona", &gift).expect("a list can be changed");
                }
            });
        }
    });
    let list = kv.get(("gifts", "Shona"))?;
    let gifts: Vec<&str> = list.as_str().unwrap_or("").lines().collect();
    assert_eq!(gifts.len(), GIFTS_MAX);
    assert_eq!(gifts.iter().filter(|gift| **gift == "a scarf").count(), 1);
    Ok(())
}
