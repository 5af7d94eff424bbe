//! Keys, as the database sees them (K01 to K10). Their encoding is tested where it is.

use crate::support::{assert_refused, each_key, everything, keys};
use kvick::{BigInt, Entry, ErrorKind, Key, KeyPart, Kv, Range};

/// A key of each of these parts, stored in reverse.
fn stored(keys: &[Key]) -> Kv {
    let kv = Kv::new();
    for key in keys.iter().rev() {
        kv.set(key, "value").expect("it is set");
    }
    kv
}

#[test]
fn a_key_of_parts_is_found_by_its_encoding() {
    // K01: what Deno has written as these bytes, this finds by these parts.
    let vectors: [(Key, &[u8]); 8] = [
        ("hello".into(), b"\x02hello\0"),
        ("f\0o".into(), b"\x02f\0\xffo\0"),
        ([1u8, 2, 0, 7, 8].into(), b"\x01\x01\x02\0\xff\x07\x08\0"),
        ((-5_551_212_i64).into(), b"\x11\xab\x4b\x93"),
        ((1_u128 << 64).into(), b"\x1d\x09\x01\0\0\0\0\0\0\0\0"),
        (123.456.into(), b"\x21\xc0\x5e\xdd\x2f\x1a\x9f\xbe\x77"),
        ((false, true).into(), b"\x26\x27"),
        (
            f64::NEG_INFINITY.into(),
            b"\x21\0\x0f\xff\xff\xff\xff\xff\xff",
        ),
    ];
    let kv = Kv::new();
    for (key, encoded) in &vectors {
        kv.set(Key::raw(encoded), "by its bytes").unwrap();
        assert_eq!(
            kv.get(key).unwrap().as_str(),
            Some("by its bytes"),
            "{key:?}"
        );
        kv.set(key, "by its parts").unwrap();
    }
    for entry in everything(&kv) {
        assert_eq!(entry.as_str(), Some("by its parts"));
        let parts = entry.key().parts().unwrap();
        assert_eq!(Key::from(parts), *entry.key());
    }
    assert_eq!(everything(&kv).len(), vectors.len());
}

#[test]
fn types_of_parts_are_listed_in_their_order() {
    // K02, K03
    let ordered = [
        b"\xff".into(),
        "".into(),
        BigInt::from_be_bytes(false, &[0xff; 255]).unwrap().into(),
        f64::NEG_INFINITY.into(),
        false.into(),
        true.into(),
    ];
    let kv = stored(&ordered);
    assert_eq!(keys(&kv, ()), ordered);
    assert!(Key::from(u64::MAX) < Key::from(-1.0));
}

#[test]
fn zeros_are_two_keys_and_nans_one_of_each_sign() {
    // K04
    let ordered = [
        (-f64::NAN).into(),
        f64::NEG_INFINITY.into(),
        (-0.0).into(),
        0.0.into(),
        f64::INFINITY.into(),
        f64::NAN.into(),
    ];
    let kv = stored(&ordered);
    assert_eq!(keys(&kv, ()), ordered);
    let other_nan = f64::from_bits(f64::NAN.to_bits() | 0x1234);
    assert!(kv.get(other_nan).unwrap().exists());
    assert!(kv.get(-other_nan).unwrap().exists());
}

#[test]
fn what_javascript_calls_equal_are_two_keys() {
    // K05
    let kv = Kv::new();
    kv.set(1, "number").unwrap();
    kv.set(1_u64, "bigint").unwrap();
    kv.set("", "text").unwrap();
    kv.set(b"", "bytes").unwrap();
    assert_eq!(kv.get(1).unwrap().as_str(), Some("number"));
    assert_eq!(kv.get(1_u64).unwrap().as_str(), Some("bigint"));
    assert_eq!(kv.get("").unwrap().as_str(), Some("text"));
    assert_eq!(kv.get(b"").unwrap().as_str(), Some("bytes"));
    assert_eq!(keys(&kv, ()).len(), 4);
    assert_eq!(keys(&kv, ""), []);
}

#[test]
fn a_key_is_listed_before_those_that_continue_it() {
    // K06
    let ordered = [
        "a".into(),
        ("a", "x").into(),
        "a\0".into(),
        ("a\0", "y").into(),
        "ab".into(),
    ];
    let kv = stored(&ordered);
    assert_eq!(keys(&kv, ()), ordered);
    assert_eq!(keys(&kv, Range::all()), ordered);
}

#[test]
fn a_bigint_of_255_bytes_is_a_key_and_a_longer_one_is_none() {
    // K07
    for negative in [false, true] {
        let largest = BigInt::from_be_bytes(negative, &[0xff; 255]).unwrap();
        let kv = Kv::new();
        kv.set(KeyPart::from(largest.clone()), "value").unwrap();
        let entry = kv.get((largest.clone(),)).unwrap();
        assert!(entry.exists());
        let checked = kv.atomic().check(&entry).commit().unwrap();
        assert!(checked.is_committed());
        assert_eq!(entry.key().parts().unwrap(), [KeyPart::from(largest)]);

        let longer = BigInt::from_be_bytes(negative, &[1; 256]);
        assert_refused(longer, ErrorKind::KeyUnencodable, "256 bytes");
    }
}

#[test]
fn the_empty_key_is_missing_and_cannot_be_written() {
    // K08
    let kv = Kv::new();
    assert!(kv.get(()).unwrap().is_missing());
    assert!(kv.get_many([(), ()]).unwrap().iter().all(Entry::is_missing));
    assert!(kv.with_entry((), |entry| entry.is_none()).unwrap());
    assert!(kv.snapshot().get(()).unwrap().is_missing());

    let text = "key cannot be empty";
    assert_refused(kv.set((), 1_u64), ErrorKind::KeyEmpty, text);
    assert_refused(kv.delete(()), ErrorKind::KeyEmpty, text);
    let refused = [
        kv.atomic().sum((), 1).commit(),
        kv.atomic().min((), 1).commit(),
        kv.atomic().max((), 1).commit(),
        kv.atomic().check_absent(()).commit(),
        kv.atomic().check_exists(()).commit(),
        kv.atomic().check(&kv.get(()).unwrap()).commit(),
        kv.atomic().set("a", 1_u64).set((), 1_u64).commit(),
    ];
    for refused in refused {
        assert_refused(refused, ErrorKind::KeyEmpty, text);
    }
    let updated = kv.update((), |_| kvick::Update::set(1_u64));
    assert_refused(updated, ErrorKind::KeyEmpty, text);
    let transacted = kv.transact(|tx| tx.get(()).map(drop));
    assert_refused(transacted, ErrorKind::KeyEmpty, text);
    let transacted = kv.transact(|tx| {
        tx.set((), 1_u64);
        Ok(())
    });
    assert_refused(transacted, ErrorKind::KeyEmpty, text);
    assert_eq!(everything(&kv), []);
}

#[test]
fn bytes_that_are_no_tuple_are_keys_like_others() {
    // K10
    let raw = [Key::raw([0x00]), Key::raw([0x01]), Key::raw([0xff, 0x01])];
    let kv = stored(&raw);
    kv.set("a", "tuple").unwrap();
    for key in &raw {
        assert_eq!(kv.get(key).unwrap().as_str(), Some("value"));
        let parts = kv.get(key).unwrap().key().parts().map(drop);
        assert_refused(parts, ErrorKind::KeyUndecodable, "cannot be decoded");
    }
    assert_eq!(kv.get("a").unwrap().as_str(), Some("tuple"));
    let everything = [raw[0].clone(), raw[1].clone(), "a".into(), raw[2].clone()];
    assert_eq!(keys(&kv, Range::all()), everything);
    assert_eq!(
        keys(&kv, Range::raw(&b"\x01"[..], &b"\x02"[..])),
        [raw[1].clone()]
    );
    kv.delete(&raw[1]).unwrap();
    assert!(kv.get(&raw[1]).unwrap().is_missing());
}

#[test]
fn keys_of_every_length_are_found_and_listed_in_order() {
    // Around each length at which a key is held in another way, and with long common beginnings.
    let mut lengths: Vec<_> = (0..100).collect();
    lengths.extend([255, 256, 257, 1_000, 2_046]);
    let all = each_key(lengths.iter().map(|len| "k".repeat(*len)));
    let kv = stored(&all);
    for key in &all {
        assert!(kv.get(key).unwrap().exists(), "{key:?}");
        let neighbour = Key::raw([&key.as_bytes()[..key.as_bytes().len() - 1], b"j"].concat());
        assert!(kv.get(neighbour).unwrap().is_missing());
    }
    assert_eq!(keys(&kv, ()), all);
    for key in all.iter().step_by(2) {
        kv.delete(key).unwrap();
        kv.sweep();
    }
    let kept: Vec<_> = all.into_iter().skip(1).step_by(2).collect();
    assert_eq!(keys(&kv, ()), kept);
}
