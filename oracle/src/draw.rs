//! Random operations.
//!
//! In most runs the keys are few, so that operations meet, and close to each other: beginnings of one
//! another, neighbours by a byte, bytes that are no tuple, the longest that may be written. What a
//! check expects is right more often than not, so that commits and conflicts are both frequent.

use crate::op::{Change, Check, Cut, Expect, Mutation, Op, Request, Select, Sum, Write};
use crate::ranks::Rank;
use kvick::{BigInt, Key, NewValue, Value};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::ops::Range;

/// How many of the chosen keys a run has.
const KEYS: Range<usize> = 6..32;

/// How many more a run may have, so that they are in several leaves of kvick's index.
const MANY_KEYS: Range<u64> = 100..600;

/// The longest key that kvick and the runtime write, in bytes.
const LONGEST_KEY_BYTES: usize = 2_048;

/// What a versionstamp adds to the length of a key that ends in it.
const VERSIONSTAMP_BYTES: usize = 22;

/// The largest value, in bytes.
const LARGEST_VALUE_BYTES: usize = 65_536;

/// How many ranges one read may have.
const RANGES_MAX: usize = 10;

pub(crate) struct Draw {
    random: StdRng,
    keys: Vec<Key>,
}

/// Which commit each key is of, as far as an operation is drawn by it.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) current: HashMap<Key, Rank>,
    /// How many commits there have been.
    pub(crate) commits: usize,
}

/// Keys from which a run takes some.
fn universe() -> Vec<Key> {
    let long = "l".repeat(300);
    let mut keys: Vec<Key> = vec![
        "".into(),
        ("", "").into(),
        b"".into(),
        b"\0".into(),
        b"\0\xff".into(),
        "a".into(),
        ("a", "").into(),
        ("a", "x").into(),
        ("a", "x", "").into(),
        ("a", "y", 1).into(),
        ("a", 0).into(),
        ("a", -0.0).into(),
        ("a", f64::NAN).into(),
        ("a", 0_u64).into(),
        ("a", u64::MAX).into(),
        ("a", true).into(),
        ("a", b"\0").into(),
        "a\0".into(),
        "a\0b".into(),
        ("a\0", "y").into(),
        "a\u{1}".into(),
        "ab".into(),
        (BigInt::from(-1_i64), -1).into(),
        true.into(),
        (true, false).into(),
        Key::raw([0x00]),
        Key::raw([0x01]),
        Key::raw([0x02, b'a']),
        Key::raw([0x02, b'a', 0x00, 0x05]),
        Key::raw([0xff]),
        Key::raw([0xff, 0xff]),
        Key::raw(vec![0x02; LONGEST_KEY_BYTES]),
        (&*long,).into(),
        (&*long, 1).into(),
        (&*long, 2).into(),
    ];
    keys.extend((27..=40).map(|len| Key::from("m".repeat(len))));
    keys
}

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut keys = universe();
        let count = random.gen_range(KEYS);
        while keys.len() > count {
            keys.swap_remove(random.gen_range(0..keys.len()));
        }
        if random.gen_bool(0.25) {
            let many = 0..random.gen_range(MANY_KEYS);
            keys.extend(many.map(|number| Key::from(("n", number / 10, number))));
        }
        Self { random, keys }
    }

    pub(crate) fn op(&mut self, known: &Known) -> Op {
        if self.random.gen_bool(0.6) {
            Op::Write(self.write(known))
        } else {
            Op::Read(self.read())
        }
    }

    fn write(&mut self, known: &Known) -> Write {
        let checks = self.random.gen_range(0..4);
        // Many mutations take another way in the engine than few.
        let mutations = if self.random.gen_bool(0.05) { 40 } else { 4 };
        let mutations = self.random.gen_range(0..=mutations);
        Write {
            checks: (0..checks).map(|_| self.check(known)).collect(),
            mutations: self.mutations(mutations),
        }
    }

    fn check(&mut self, known: &Known) -> Check {
        let key = self.key();
        let current = known.current.get(&key).copied();
        let expect = match self.random.gen_range(0..20) {
            0 => Expect::Zeros,
            1 => Expect::Absent,
            2 | 3 if known.commits > 0 => Expect::At(self.random.gen_range(0..known.commits)),
            _ => current.map_or(Expect::Absent, Expect::At),
        };
        Check { key, expect }
    }

    /// Half of them on the key of the one before.
    fn mutations(&mut self, count: usize) -> Vec<Mutation> {
        let mut key = self.key();
        let mut mutations = Vec::with_capacity(count);
        for _ in 0..count {
            if self.random.gen_bool(0.5) {
                key = self.key();
            }
            let change = self.change(key.as_bytes().len());
            let key = key.clone();
            mutations.push(Mutation { key, change });
        }
        mutations
    }

    fn change(&mut self, key_bytes: usize) -> Change {
        // More and more of them are there.
        let is_short = key_bytes + VERSIONSTAMP_BYTES <= LONGEST_KEY_BYTES;
        if is_short && self.random.gen_bool(0.03) {
            return Change::SetVersionstamped(self.value());
        }
        let operand = match self.random.gen_range(0..6) {
            0 => 0,
            1 => 1,
            2 => u64::MAX,
            3 => 1 << 63,
            _ => self.random.gen_range(0..=u64::MAX),
        };
        match self.random.gen_range(0..10) {
            0..=2 => Change::Set(self.value()),
            3 => Change::Delete,
            4 | 5 => Change::Sum(operand),
            6 => Change::Min(operand),
            7 => Change::Max(operand),
            _ => Change::SumOf(self.sum()),
        }
    }

    /// A sum of numbers or of bigints, mostly without bounds, and with such as it may meet.
    fn sum(&mut self) -> Sum {
        let is_bigint = self.random.gen_bool(0.5);
        let bound = |draw: &mut Self| {
            let is_bounded = draw.random.gen_bool(0.2);
            is_bounded.then(|| draw.scalar(is_bigint))
        };
        Sum {
            operand: self.scalar(is_bigint),
            min: bound(self),
            max: bound(self),
            is_clamped: self.random.gen_bool(0.2),
        }
    }

    /// A number or a bigint of JavaScript.
    fn scalar(&mut self, is_bigint: bool) -> Value {
        let small = self.random.gen_range(-3_i64..100);
        if is_bigint {
            let bigint = match self.random.gen_range(0..8) {
                0 => BigInt::from(i64::MIN),
                1 => BigInt::from(u64::MAX),
                2 => BigInt::from(-i128::from(u64::MAX)),
                3 => BigInt::from(i128::MAX),
                4 => BigInt::from(self.random.gen_range(i128::MIN..=i128::MAX)),
                _ => BigInt::from(small),
            };
            return NewValue::bigint(bigint).into();
        }
        let number = match self.random.gen_range(0..10) {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => f64::NEG_INFINITY,
            3 => -0.0,
            4 => 0.1,
            5 => f64::MAX,
            #[expect(clippy::cast_precision_loss, reason = "it is small")]
            _ => small as f64,
        };
        NewValue::number(number).into()
    }

    /// Numbers, for the most part, so that arithmetic seldom meets anything else.
    fn value(&mut self) -> Value {
        let bytes = |len: usize| vec![b'v'; len];
        match self.random.gen_range(0..40) {
            0 => Value::from(""),
            1 => Value::from(bytes(1_024)),
            2 => Value::from(bytes(1_025)),
            3 => {
                let bytes: [u8; 8] = self.random.r#gen();
                Value::V8(bytes[..self.random.gen_range(0..8)].to_vec().into())
            }
            4 => Value::V8(bytes(3_000).into()),
            5 if self.random.gen_bool(0.02) => Value::from(bytes(LARGEST_VALUE_BYTES)),
            6 => Value::from(u64::MAX),
            7..=9 => Value::from(7_u64),
            10..=13 => {
                let is_bigint = self.random.gen_bool(0.5);
                self.scalar(is_bigint)
            }
            _ => Value::from(self.random.gen_range(0..=u64::MAX)),
        }
    }

    fn read(&mut self) -> Vec<Request> {
        let count = if self.random.gen_bool(0.2) {
            RANGES_MAX
        } else {
            3
        };
        let count = self.random.gen_range(0..=count);
        let keys_alone = self.random.gen_bool(0.3);
        (0..count).map(|_| self.request(keys_alone)).collect()
    }

    fn request(&mut self, key_alone: bool) -> Request {
        let select = if key_alone {
            Select::One(self.any_key())
        } else {
            self.select()
        };
        let limit = if self.random.gen_bool(0.5) { 5 } else { 100 };
        let batch = self
            .random
            .gen_bool(0.3)
            .then(|| self.random.gen_range(1..4));
        Request {
            select,
            limit: NonZeroU32::MIN.saturating_add(self.random.gen_range(0..limit)),
            reverse: self.random.gen_range(0..2) == 0,
            batch,
        }
    }

    fn select(&mut self) -> Select {
        let (one, other) = (self.any_key(), self.any_key());
        match self.random.gen_range(0..8) {
            0 => Select::One(one),
            1..=3 => Select::Between {
                start: one.as_bytes().to_vec(),
                end: other.as_bytes().to_vec(),
            },
            // In bytes, the end continues the prefix; in parts it does not (D9).
            4 if self.random.gen_bool(0.3) => Select::Below {
                prefix: "a".into(),
                cut: Cut::From(("a\0", "z").into()),
            },
            _ => self.below(one, other),
        }
    }

    /// The keys below some parts of a key, cut where another is below them too. Below is meant in
    /// bytes, as the runtime means it.
    fn below(&mut self, key: Key, other: Key) -> Select {
        let prefix = self.prefix(&key);
        let is_below = |bound: &Key| {
            let (bound, prefix) = (bound.as_bytes(), prefix.as_bytes());
            bound.len() > prefix.len() && bound.starts_with(prefix)
        };
        let bound = [other, key].into_iter().find(is_below);
        let cut = match bound {
            None => Cut::Nothing,
            Some(bound) => match self.random.gen_range(0..3) {
                0 => Cut::Nothing,
                1 => Cut::Before(bound),
                _ => Cut::From(bound),
            },
        };
        Select::Below { prefix, cut }
    }

    /// The first few parts of a key, or its first few bytes.
    fn prefix(&mut self, key: &Key) -> Key {
        if let Ok(parts) = key.parts() {
            let count = self.random.gen_range(0..=parts.len());
            return Key::from(&parts[..count]);
        }
        Key::raw(&key.as_bytes()[..self.random.gen_range(0..=key.as_bytes().len())])
    }

    fn key(&mut self) -> Key {
        self.keys[self.random.gen_range(0..self.keys.len())].clone()
    }

    /// One that there may be, or seldom the empty key, which can be read and not written.
    fn any_key(&mut self) -> Key {
        if self.random.gen_bool(0.03) {
            Key::default()
        } else {
            self.key()
        }
    }
}
