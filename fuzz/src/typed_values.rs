//! Typed values: reading any bytes, and reading back what was written.

use crate::input::Input;
use crate::js_value::JsValue;
use kvick::{ErrorKind, NewValue, Value, ValueRef};
use serde::de::{DeserializeOwned, IgnoredAny};
use std::collections::BTreeMap;

/// How deep the values are that are written.
const DEPTH: usize = 5;

/// Runs one input: bytes that may be a stored value, or a value to write.
///
/// # Panics
///
/// Where a promise of typed values is broken.
pub fn typed_values(input: &[u8]) {
    let mut input = Input::new(input);
    match input.below(4) {
        0 => check_bytes(input.rest()),
        1 => {
            let version = input.pick(&[13, 14, 15, 16]);
            check_bytes(&[&[0xff, version], input.rest()].concat());
        }
        _ => check_value(&value(&mut input, DEPTH)),
    }
}

/// Bytes read as each type or are refused, and what reads as anything is written again as something
/// that reads the same.
fn check_bytes(bytes: &[u8]) {
    read::<IgnoredAny>(bytes);
    read::<String>(bytes);
    read::<Option<Vec<Option<u8>>>>(bytes);
    read::<BTreeMap<i32, (f32, Vec<i64>)>>(bytes);
    read::<BTreeMap<Option<String>, Option<bool>>>(bytes);
    read::<Result<u128, Vec<char>>>(bytes);
    if let Some(value) = read::<JsValue>(bytes) {
        assert_comes_back(&value, &value);
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let error = match ValueRef::V8(bytes).to() {
        Ok(value) => return Some(value),
        Err(error) => error,
    };
    let kinds = [ErrorKind::ValueUndecodable, ErrorKind::TypeMismatch];
    assert!(kinds.contains(&error.kind()), "{bytes:02x?}: {error}");
    assert!(error.to_string().contains("byte "), "{bytes:02x?}: {error}");
    None
}

/// A value comes back from what is written of it.
fn check_value(value: &JsValue) {
    assert_comes_back(value, &value.as_read());
}

fn assert_comes_back(value: &JsValue, expected: &JsValue) {
    let written = NewValue::serialize(value).expect("it is not too deep");
    let written = Value::from(written);
    let read = written.to::<JsValue>().expect("it was written here");
    assert_eq!(&read, expected, "{written:?}");
    written.to::<IgnoredAny>().expect("it can be skipped");
    assert_cut_off(&written);
}

/// No beginning of what was written is a value, unless only the view of a buffer is missing.
fn assert_cut_off(written: &Value) {
    let bytes = written.as_v8().expect("typed values are of this kind");
    for end in 0..bytes.len().min(64) {
        let is_whole = read::<IgnoredAny>(&bytes[..end]).is_some();
        assert!(!is_whole || bytes[end] == b'V', "{bytes:02x?} up to {end}");
    }
}

fn value(input: &mut Input<'_>, depth: usize) -> JsValue {
    let kinds = if depth == 0 { 9 } else { 14 };
    match input.below(kinds) {
        0 => JsValue::Nothing,
        1 => JsValue::Bool(input.one_in(2)),
        2 => JsValue::Integer(integer(input)),
        3 => JsValue::Large(u128::from(input.number()) | 1 << 127),
        4 => JsValue::Number(f64::from_bits(input.number())),
        5 => JsValue::Number(f64::from(i32::from_le_bytes(word(input)))),
        6 => JsValue::Date(f64::from(i32::from_le_bytes(word(input)))),
        7 => JsValue::Text(text(input)),
        8 => {
            let count = input.below(5);
            JsValue::Bytes(input.bytes(count).to_vec())
        }
        9 => JsValue::Array(values(input, depth)),
        10 => JsValue::Unsized(values(input, depth)),
        11 => JsValue::Set(values(input, depth)),
        12 => JsValue::Some(Box::new(value(input, depth - 1))),
        _ => {
            let are_names = !input.one_in(4);
            let values = values(input, depth).into_iter();
            let entries = values.map(|of_it| {
                let key = if are_names {
                    JsValue::Text(text(input))
                } else {
                    value(input, depth - 1)
                };
                (key, of_it)
            });
            JsValue::Map(entries.collect())
        }
    }
}

fn values(input: &mut Input<'_>, depth: usize) -> Vec<JsValue> {
    let count = input.below(5);
    (0..count).map(|_| value(input, depth - 1)).collect()
}

fn integer(input: &mut Input<'_>) -> i128 {
    let number = i128::from(input.number()) << input.pick(&[0, 1, 32, 62, 63]);
    if input.one_in(2) { -number } else { number }
}

fn word(input: &mut Input<'_>) -> [u8; 4] {
    let mut word = [0; 4];
    let bytes = input.bytes(4);
    word[..bytes.len()].copy_from_slice(bytes);
    word
}

fn text(input: &mut Input<'_>) -> String {
    let count = match input.below(8) {
        7 => 100,
        few => few % 4,
    };
    let letters = ['a', '0', 'é', 'ÿ', 'Ā', '日', '🦕'];
    (0..count).map(|_| input.pick(&letters)).collect()
}
