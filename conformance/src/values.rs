//! Keys and values.

use crate::backend::Backend;
use kvick::{BigInt, Entry, Key, NewValue, Range, Result, Value};

pub(crate) async fn keys_of_every_type_are_kept_apart_and_in_order<B: Backend>(
    backend: &B,
) -> Result<()> {
    let client = backend.client();
    let keys: Vec<Key> = vec![
        (b"\x00\xff",).into(),
        ("",).into(),
        ("a",).into(),
        ("a", "").into(),
        ("a", 1).into(),
        ("a\0b",).into(),
        ("ä",).into(),
        Key::from((BigInt::from(-1i128 << 100),)),
        Key::from((-1i64,)),
        Key::from((7u64,)),
        Key::from((-1.5,)),
        Key::from((7,)),
        (false,).into(),
        (true,).into(),
    ];
    for (index, key) in (0u64..).zip(&keys) {
        client.set(key, index).await?;
    }
    for (index, key) in (0u64..).zip(&keys) {
        assert_eq!(client.get(key).await?.as_u64(), Some(index), "{key:?}");
    }
    let mut sorted = keys.clone();
    sorted.sort();
    assert_eq!(client.list(Range::all()).keys().await?, sorted);
    let below_a = client.list("a").keys().await?;
    assert_eq!(below_a, [Key::from(("a", "")), Key::from(("a", 1))]);
    Ok(())
}

pub(crate) async fn values_of_every_kind_come_back_as_they_are<B: Backend>(
    backend: &B,
) -> Result<()> {
    let client = backend.client();
    let values = [
        Value::from("text"),
        Value::from(""),
        Value::from(&[0, 0xff][..]),
        Value::from(vec![0x5a; 65_536]),
        Value::from(0u64),
        Value::from(u64::MAX),
        NewValue::v8(b"\xff\x0f0").into(),
        NewValue::number(21.5).into(),
        NewValue::bigint(-1i128 << 100).into(),
    ];
    for value in &values {
        let set = client.set("value", value).await?;
        let read = client.get("value").await?;
        assert_eq!(read.value(), Some(value));
        assert_eq!(read.versionstamp(), Some(set));
        assert_eq!(read.expires_in(), None);
    }
    Ok(())
}

pub(crate) async fn several_keys_are_read_in_their_order_with_those_that_are_missing<B: Backend>(
    backend: &B,
) -> Result<()> {
    let client = backend.client();
    client.set("a", "1").await?;
    client.set("b", "2").await?;
    let read = client.get_many(["b", "none", "a", "b"]).await?;
    let texts: Vec<_> = read.iter().map(Entry::as_str).collect();
    assert_eq!(texts, [Some("2"), None, Some("1"), Some("2")]);
    assert!(read[1].is_missing() && read[1].versionstamp().is_none());
    assert_eq!(read[1].key(), &Key::from("none"));
    assert!(client.get_many([Key::default()]).await?[0].is_missing());
    assert!(client.get_many::<Key>([]).await?.is_empty());
    client.delete("a").await?;
    assert!(client.get("a").await?.is_missing());
    Ok(())
}
