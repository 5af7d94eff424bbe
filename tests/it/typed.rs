//! Typed values in every part of the interface, and what is said where they do not fit.
//!
//! `roundtrip` goes through the types, `vectors` has what V8 itself writes, `hostile` what nobody does.

mod hostile;
mod roundtrip;
mod vectors;

use crate::support::assert_refused;
use kvick::js::Set;
use kvick::{ErrorKind, Kv, NewValue, Update, Value};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

fn written<T: Serialize + ?Sized>(value: &T) -> Value {
    NewValue::serialize(value)
        .expect("it can be written")
        .into()
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct User {
    name: String,
    age: Option<u8>,
    #[serde(with = "serde_bytes")]
    photo: Vec<u8>,
    tags: BTreeSet<String>,
    scores: BTreeMap<i32, f64>,
    friends: Vec<User>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Job {
    Idle,
    Moved(u32),
    Sized(i8, i8),
    Named { name: String },
}

fn ann() -> User {
    User {
        name: "Ann".to_owned(),
        age: Some(30),
        photo: vec![0, 255, 7],
        tags: ["a".to_owned(), "日本".to_owned()].into(),
        scores: [(-1, 0.5), (7, -0.0)].into(),
        friends: vec![User::default(), User::default()],
    }
}

#[test]
fn typed_values_are_read_and_written_wherever_values_are() {
    // V02
    let kv = Kv::new();
    let versionstamp = kv.set_as(("user", 1), &ann()).unwrap();
    let entry = kv.get(("user", 1)).unwrap();
    assert_eq!(entry.versionstamp(), Some(versionstamp));
    assert_eq!(entry.to().unwrap(), Some(ann()));
    assert_eq!(entry.value().unwrap().to::<User>().unwrap(), ann());
    assert_eq!(kv.get_as(("user", 1)).unwrap(), Some(ann()));
    assert_eq!(kv.get_as::<User>("missing").unwrap(), None);
    kv.set_as("nothing", &()).unwrap();
    assert_eq!(kv.get_as::<Option<u8>>("nothing").unwrap(), Some(None));

    let view = kv.snapshot();
    let mut rename = kv.atomic();
    let renamed = User {
        name: "Anna".to_owned(),
        ..ann()
    };
    let value = NewValue::serialize(&renamed).unwrap();
    rename.check(&entry).set(("user", 1), value);
    assert!(rename.commit().unwrap().is_committed());
    assert_eq!(kv.get_as(("user", 1)).unwrap(), Some(renamed));
    assert_eq!(view.get(("user", 1)).unwrap().to().unwrap(), Some(ann()));

    let visits = |kv: &Kv| kv.get_as::<Vec<u32>>("visits").unwrap().unwrap();
    let visited = kv.transact(|tx| {
        let mut visits: Vec<u32> = tx.get("visits")?.to()?.unwrap_or_default();
        visits.push(1);
        tx.set("visits", NewValue::serialize(&visits)?);
        Ok(())
    });
    assert!(visited.unwrap().is_committed());
    assert_eq!(visits(&kv), [1]);
    let visited = kv.update("visits", |entry| {
        let push = || {
            let mut visits: Vec<u32> = entry.to()?.unwrap_or_default();
            visits.push(2);
            Ok(Update::set(NewValue::serialize(&visits)?))
        };
        Update::from(push())
    });
    assert!(visited.unwrap().is_committed());
    assert_eq!(visits(&kv), [1, 2]);
    let names = kv.list("user").entries().unwrap().map(|entry| {
        let user: Option<User> = entry.to().unwrap();
        user.unwrap().name
    });
    assert_eq!(names.collect::<Vec<_>>(), ["Anna"]);
}

#[test]
fn other_kinds_of_values_read_as_what_they_are() {
    // V01
    let number = Value::from(300_u64);
    assert_eq!(number.to::<u64>().unwrap(), 300);
    assert_eq!(number.to::<i16>().unwrap(), 300);
    assert_eq!(number.to::<Option<u128>>().unwrap(), Some(300));
    assert_eq!(number.to::<f64>().unwrap().to_bits(), 300_f64.to_bits());
    let text = "expected u8, found the number 300";
    assert_refused(number.to::<u8>(), ErrorKind::TypeMismatch, text);
    let text = "expected a string, found the number 300";
    assert_refused(number.to::<String>(), ErrorKind::TypeMismatch, text);
    let text = "expected struct User, found the number 300";
    assert_refused(number.to::<User>(), ErrorKind::TypeMismatch, text);

    let bytes = Value::from("naïve");
    assert_eq!(bytes.to::<&str>().unwrap(), "naïve");
    assert_eq!(bytes.to::<String>().unwrap(), "naïve");
    assert_eq!(bytes.to::<&[u8]>().unwrap(), "naïve".as_bytes());
    assert_eq!(bytes.to::<Vec<u8>>().unwrap(), "naïve".as_bytes());
    let buffer = bytes.to::<Option<serde_bytes::ByteBuf>>().unwrap();
    assert_eq!(buffer.unwrap().into_vec(), "naïve".as_bytes());
    let text = "expected u8, found bytes";
    assert_refused(bytes.to::<u8>(), ErrorKind::TypeMismatch, text);
    let no_text = Value::from(&b"\xff"[..]);
    assert_refused(no_text.to::<&str>(), ErrorKind::TypeMismatch, "bytes");
    assert_refused(no_text.to::<String>(), ErrorKind::TypeMismatch, "bytes");
}

#[test]
fn text_and_bytes_can_be_borrowed() {
    let value = written(&("plain", serde_bytes::Bytes::new(b"bytes")));
    let (text, bytes): (&str, &[u8]) = value.to().unwrap();
    assert_eq!((text, bytes), ("plain", &b"bytes"[..]));
    let within = value.as_v8().unwrap().as_ptr_range();
    assert!(within.contains(&text.as_ptr()) && within.contains(&bytes.as_ptr()));
    // That is stored as Latin-1.
    let text = "expected a borrowed string, found a string";
    assert_refused(written("é").to::<&str>(), ErrorKind::TypeMismatch, text);
}

#[test]
fn what_does_not_fit_is_told_with_its_place() {
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "it is never read")]
    struct Wanted {
        friends: Vec<BTreeMap<String, Option<i8>>>,
    }
    let place = |value: &Value| value.to::<Wanted>().unwrap_err().to_string();
    let friend = |name, number: u8| BTreeMap::from([(name, number)]);
    let friends = BTreeMap::from([("friends", [friend("a", 1), friend("b", 200)])]);
    assert_eq!(
        place(&written(&friends)),
        "value does not fit the type: expected i8, found the number 200 at friends[1].b (byte 26)"
    );
    assert_eq!(
        place(&written(&BTreeMap::from([("friend", 1)]))),
        "value does not fit the type: missing field `friends` at byte 2"
    );
    let error = |value: &Value| value.to::<Job>().unwrap_err().to_string();
    assert_eq!(
        error(&written("Busy")),
        "value does not fit the type: no variant is called \"Busy\", expected one of \
         [\"Idle\", \"Moved\", \"Sized\", \"Named\"] at byte 2"
    );
    assert!(error(&written(&"x".repeat(1_000))).len() < 200);
    let two = BTreeMap::from([("Moved", 1), ("Other", 2)]);
    assert!(error(&written(&two)).contains("an object of one property, there are more"));
    let none = BTreeMap::<String, u8>::new();
    assert!(error(&written(&none)).contains("an object without properties"));
    let secret = written(&["secret"])
        .to::<Vec<u8>>()
        .unwrap_err()
        .to_string();
    assert!(
        secret.contains("expected u8, found a string at [0]"),
        "{secret}"
    );
    let longer = written(&[1, 2, 3])
        .to::<(u8, u8)>()
        .unwrap_err()
        .to_string();
    assert!(
        longer.contains("more elements than the 2 that the type takes"),
        "{longer}"
    );
    let shorter = written(&[1]).to::<(u8, u8)>().unwrap_err().to_string();
    assert!(shorter.contains("invalid length 1"), "{shorter}");
}

#[test]
fn what_cannot_be_written_is_refused_with_its_place() {
    struct Lies;
    impl Serialize for Lies {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            serde::ser::SerializeSeq::end(to.serialize_seq(Some(3))?)
        }
    }
    struct Refuses;
    impl Serialize for Refuses {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("not today"))
        }
    }
    struct Forgets;
    impl Serialize for Forgets {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            let mut map = to.serialize_map(None)?;
            assert!(map.serialize_entry("key", &Refuses).is_err());
            map.end()
        }
    }
    struct Halves;
    impl Serialize for Halves {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            let mut map = to.serialize_map(None)?;
            map.serialize_key("key")?;
            map.end()
        }
    }
    let refused = |value: Result<NewValue<'_>, kvick::Error>, text: &str| {
        assert_refused(value, ErrorKind::ValueUnencodable, text);
    };
    let kv = Kv::new();
    let text = "value cannot be encoded: not today at a[1]";
    refused(
        NewValue::serialize(&BTreeMap::from([("a", (1, Refuses))])),
        text,
    );
    refused(
        NewValue::serialize(&Forgets),
        "a part of it failed, and the type went on",
    );
    refused(NewValue::serialize(&Halves), "a key without a value");
    refused(NewValue::serialize(&Lies), "a sequence of 3 elements has 0");
    refused(
        NewValue::serialize(&Set(1)),
        "a js::Set holds is no sequence",
    );
    refused(
        NewValue::serialize(&Set(ann())),
        "a js::Set holds is no sequence",
    );
    let nothing = kv.set_as("key", &Refuses);
    assert_refused(nothing, ErrorKind::ValueUnencodable, "not today");
    let large = kv.set_as("key", &"x".repeat(65_536));
    assert_refused(large, ErrorKind::ValueTooLarge, "Value too large");
    assert!(kv.get("key").unwrap().is_missing());
}
