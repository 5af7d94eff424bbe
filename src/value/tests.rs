use super::{NewValue, Value, ValueKind, ValueRef};
use crate::key::BigInt;
use bytes::Bytes;

#[test]
fn what_goes_in_is_the_kind_it_says() {
    let text = String::from("text");
    let bytes = Bytes::from_static(b"text");
    let expected = Value::Bytes(bytes.clone());
    let from = [
        NewValue::from("text"),
        (&text).into(),
        text.clone().into(),
        (&b"text"[..]).into(),
        b"text".into(),
        b"text".to_vec().into(),
        (&b"text".to_vec()).into(),
        bytes.clone().into(),
        (&bytes).into(),
        (&expected).into(),
        expected.clone().into(),
        expected.as_ref().into(),
    ]
    .map(NewValue::into_owned);
    for value in from {
        assert_eq!(value.encoded_len(), 4);
        assert_eq!(Value::from(value), expected);
    }
    assert_eq!(Value::from(NewValue::from(7u64)), Value::U64(7));
    assert_eq!(Value::from(NewValue::v8(b"text")), Value::V8(bytes));
}

#[test]
fn a_value_answers_only_as_its_kind() {
    // V01: equal bytes of different kinds are different values.
    let bytes = Value::from("12345678");
    let v8 = Value::V8(Bytes::from_static(b"12345678"));
    let number = Value::U64(u64::from_le_bytes(*b"12345678"));
    assert!(bytes != v8 && v8 != number && bytes != number);
    assert_eq!([&bytes, &v8, &number].map(Value::len), [8; 3]);
    assert_eq!(
        [&bytes, &v8, &number].map(Value::kind),
        [ValueKind::Bytes, ValueKind::V8, ValueKind::U64]
    );
    assert_eq!(
        [&bytes, &v8, &number].map(|value| value.as_bytes().is_some()),
        [true, false, false]
    );
    assert_eq!(
        [&bytes, &v8, &number].map(|value| value.as_str().is_some()),
        [true, false, false]
    );
    assert_eq!(
        [&bytes, &v8, &number].map(|value| value.as_v8().is_some()),
        [false, true, false]
    );
    assert_eq!(
        [&bytes, &v8, &number].map(|value| value.as_u64().is_some()),
        [false, false, true]
    );
    for value in [bytes, v8, number] {
        assert_eq!(value.as_ref().to_owned(), value);
    }
    assert_eq!(Value::from(&b"\xff"[..]).as_str(), None);
    assert!(Value::from("").is_empty());
}

#[test]
fn numbers_and_bigints_of_javascript_come_back() {
    let bits = |value: &Value| value.as_number().map(f64::to_bits);
    for number in [
        0.0,
        -0.0,
        1.5,
        -1e300,
        f64::INFINITY,
        f64::NAN,
        f64::MIN_POSITIVE,
    ] {
        let new = NewValue::number(number);
        assert_eq!((new.kind(), new.encoded_len()), (ValueKind::V8, 11));
        assert!(new.shared_bytes().is_none());
        assert_eq!(new, number.into());
        for value in [new.clone().into(), new.into_owned().into()] {
            assert_eq!(bits(&value), Some(number.to_bits()));
            assert_eq!(value.as_bigint(), None);
        }
    }
    let longest = BigInt::from_be_bytes(true, &[0xab; 255]).unwrap();
    for bigint in [
        BigInt::from(0),
        BigInt::from(-1),
        BigInt::from(u64::MAX),
        BigInt::from(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10_u128),
        BigInt::from(i128::MIN),
        longest,
    ] {
        let new = NewValue::bigint(bigint.clone());
        assert_eq!(new, bigint.clone().into());
        let value = Value::from(new);
        assert_eq!(value.kind(), ValueKind::V8);
        assert_eq!(value.as_bigint(), Some(bigint));
        assert_eq!(value.as_number(), None);
    }
    // One that V8 can write and no `BigInt` can hold.
    let beyond = [&b"\xff\x0fZ\x80\x04"[..], &[0xab; 256]].concat();
    assert_eq!(ValueRef::V8(&beyond).as_bigint(), None);
    for other in [
        ValueRef::U64(1),
        ValueRef::Bytes(b"\xff\x0fI\x02"),
        ValueRef::V8(b"1"),
    ] {
        assert_eq!((other.as_number(), other.as_bigint()), (None, None));
    }
}

#[test]
fn owned_bytes_are_shared_and_borrowed_ones_are_not() {
    let owned = vec![7; 1000];
    let address = owned.as_ptr();
    let new = NewValue::from(owned);
    let shared = new.shared_bytes().unwrap().clone();
    assert_eq!(shared.as_ptr(), address);
    assert_eq!(
        Value::from(new.into_owned()).as_bytes().unwrap().as_ptr(),
        address
    );
    assert_eq!(
        NewValue::from(&shared).shared_bytes().unwrap().as_ptr(),
        address
    );
    assert!(NewValue::from(&shared[..]).shared_bytes().is_none());
    assert!(NewValue::from(1u64).shared_bytes().is_none());
}

#[test]
fn a_value_shows_its_size_and_not_its_content() {
    assert_eq!(format!("{:?}", Value::from("secret")), "Bytes(6 bytes)");
    assert_eq!(format!("{:?}", NewValue::v8(b"secret")), "V8(6 bytes)");
    assert_eq!(format!("{:?}", ValueRef::U64(6)), "U64(6)");
}
