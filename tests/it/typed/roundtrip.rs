//! What is written reads as what it was, whatever the type.

use super::{Job, ann, written};
use crate::support::js_value::JsValue;
use crate::support::seeds::for_seeds;
use kvick::ValueKind;
use kvick::js::{Date, Set};
use rand::RngExt;
use rand::rngs::StdRng;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;

#[expect(clippy::needless_pass_by_value, reason = "most are made for the call")]
#[track_caller]
fn assert_comes_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T) {
    let written = written(&value);
    assert_eq!(written.kind(), ValueKind::V8);
    let read: T = written.to().expect("what was written can be read");
    assert_eq!(read, value, "{:02x?}", written.as_v8());
}

#[test]
fn integers_come_back_at_every_edge() {
    let edges = (0..64).flat_map(|bit| {
        let power = 1_i128 << bit;
        [power - 1, power, power + 1, -power, 1 - power, -1 - power]
    });
    for number in edges {
        for value in [number, number << 62] {
            assert_comes_back(value);
        }
        if let Ok(number) = u64::try_from(number) {
            assert_comes_back(number);
        }
        if let Ok(number) = i64::try_from(number) {
            assert_comes_back(number);
            assert_comes_back(JsValue::Integer(number.into()));
        }
    }
    assert_comes_back((i8::MIN, i16::MIN, i32::MIN, i64::MIN, i128::MIN));
    assert_comes_back((u8::MAX, u16::MAX, u32::MAX, u64::MAX, u128::MAX));
    assert_comes_back((0_u128, 0_i128, i128::MAX));
}

#[test]
fn each_type_of_serde_comes_back() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Unit;
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Metres(f32);
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Point(i8, u8);

    assert_comes_back(((), Unit, Metres(1.5), Point(-1, 1)));
    assert_comes_back((true, false, 'x', 'é', '日', '🦕'));
    assert_comes_back((f64::MIN_POSITIVE, f64::INFINITY, 2.0, -0.5, f32::MAX));
    assert_comes_back([None, Some(1), Some(2)]);
    assert_comes_back(vec![Job::Idle, Job::Moved(7), Job::Sized(-1, 1)]);
    let name = "Ann".to_owned();
    assert_comes_back(Job::Named { name });
    assert_comes_back(BTreeMap::from([(Some(1), Job::Idle), (None, Job::Idle)]));
    assert_comes_back(BTreeMap::from([('a', 1), ('日', 2)]));
    assert_comes_back(BTreeMap::from([((1, true), "tuple".to_owned())]));
    assert_comes_back(HashMap::from([(u64::MAX, [0.5; 3]), (1, [1.0; 3])]));
    assert_comes_back(HashSet::from([1, 2, 3]));
    assert_comes_back(ann());
    assert_comes_back(vec![ann(); 10]);
    assert_comes_back(Date(1.5));
    assert_comes_back(Set(vec![Set(vec![1, 2]), Set(vec![])]));
    let nan = written(&f64::NAN).to::<f64>().unwrap();
    assert!(nan.is_nan());
}

#[test]
fn what_serde_buffers_first_comes_back_too() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Flat {
        id: i64,
        #[serde(flatten)]
        rest: BTreeMap<String, i64>,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "type")]
    enum Tagged {
        Big { number: i64, ratio: f64 },
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u64),
        Text(String),
    }

    // Beyond 32 bits, where JavaScript has no integers any more.
    let rest = [("a".to_owned(), 1 << 40), ("b".to_owned(), -(1 << 60))].into();
    assert_comes_back(Flat { id: 1 << 50, rest });
    let number = 1 << 52;
    assert_comes_back(Tagged::Big { number, ratio: 2.0 });
    assert_comes_back([Either::Number(u64::MAX), Either::Text("x".to_owned())]);
}

fn random_value(random: &mut StdRng, depth: u32) -> JsValue {
    const LETTERS: [char; 6] = ['a', '0', 'é', 'ÿ', '日', '🦕'];
    let kinds = if depth == 0 { 9 } else { 14 };
    let count = random.random_range(0..5);
    let values = |random: &mut StdRng| {
        let values = (0..count).map(|_| random_value(random, depth - 1));
        values.collect::<Vec<_>>()
    };
    let text = |random: &mut StdRng| {
        let highest = random.random_range(1..=LETTERS.len());
        let letters = (0..count).map(|_| LETTERS[random.random_range(0..highest)]);
        JsValue::Text(letters.collect())
    };
    match random.random_range(0..kinds) {
        0 => JsValue::Nothing,
        1 => JsValue::Bool(random.random()),
        2 => JsValue::Integer(random.random::<i128>() >> random.random_range(0..128)),
        3 => JsValue::Large(random.random::<u128>() | 1 << 127),
        4 => JsValue::Number(f64::from_bits(random.random())),
        5 => JsValue::Number(f64::from(random.random::<i32>())),
        6 => JsValue::Date(f64::from(random.random::<i32>()) * 1e4),
        7 => text(random),
        8 => JsValue::Bytes((0..count).map(|_| random.random()).collect()),
        9 => JsValue::Array(values(random)),
        10 => JsValue::Unsized(values(random)),
        11 => JsValue::Set(values(random)),
        12 => JsValue::Some(Box::new(random_value(random, depth - 1))),
        _ => {
            let are_names = random.random();
            let mut entries: Vec<(JsValue, JsValue)> = Vec::new();
            for value in values(random) {
                let key = if are_names {
                    text(random)
                } else {
                    random_value(random, depth - 1)
                };
                // As JavaScript wants them.
                if entries
                    .iter()
                    .all(|(known, _)| known.as_read() != key.as_read())
                {
                    entries.push((key, value));
                }
            }
            JsValue::Map(entries)
        }
    }
}

#[test]
fn random_values_come_back() {
    for_seeds(
        "typed::roundtrip::random_values_come_back",
        64,
        100,
        |mut random, steps| {
            for _ in 0..steps {
                let value = random_value(&mut random, 4);
                let written = written(&value);
                let read: JsValue = written
                    .to()
                    .unwrap_or_else(|error| panic!("{value:?}: {error}"));
                assert_eq!(read, value.as_read(), "{:02x?}", written.as_v8());
                // What was read is written as something that reads the same.
                let again = super::written(&read).to::<JsValue>().unwrap();
                assert_eq!(again, read);
            }
        },
    );
}
