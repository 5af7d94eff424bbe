//! Bytes as a row of decisions.
//!
//! Bytes that have been used up go on as zeros, and the first choice is the plain one, so that a
//! script ends quietly. Keys are chosen to be close to each other: few parts, few letters, the bytes
//! that the encoding treats specially, and lengths around every boundary of the implementation.

use crate::model::{BoundedSum, Check, Expect, Mutation, Op};
use crate::selector::Selector;
use arbitrary::Unstructured;
use kvick::{BigInt, Key, KeyPart, NewValue, Value, Versionstamp};

/// The bytes of an input that are left.
#[derive(Debug)]
pub(crate) struct Input<'a>(Unstructured<'a>);

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(Unstructured::new(bytes))
    }

    /// Whether everything has been used.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A number below `count`, which is not 0; one byte for a small one.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        self.0.int_in_range(0..=count - 1).unwrap_or(0)
    }

    /// Seldom: once in `count` times, and not at the end.
    pub(crate) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == count - 1
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    /// So many bytes, or those that are left.
    pub(crate) fn bytes(&mut self, count: usize) -> &'a [u8] {
        let count = count.min(self.0.len());
        self.0.bytes(count).unwrap_or_default()
    }

    /// All bytes that are left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        self.bytes(usize::MAX)
    }

    /// Any number, most of them at an edge.
    pub(crate) fn number(&mut self) -> u64 {
        match self.below(9) {
            0 => 0,
            1 => 1,
            2 => u64::MAX,
            3 => u64::MAX - 1,
            4 => 1 << 63,
            5 => (1 << 63) - 1,
            6 => self.below(256) as u64,
            _ => self.0.arbitrary().unwrap_or(0),
        }
    }
}

/// Keys.
impl Input<'_> {
    fn len(&mut self) -> usize {
        if self.one_in(16) {
            self.below(100)
        } else {
            self.below(4)
        }
    }

    pub(crate) fn parts(&mut self) -> Vec<KeyPart<'static>> {
        let count = self.below(4);
        (0..count).map(|_| self.part()).collect()
    }

    /// Any part but a bigint that is too long.
    pub(crate) fn part(&mut self) -> KeyPart<'static> {
        match self.below(6) {
            0 => self.text().into(),
            1 => self.blob().into(),
            2 => self.bigint(),
            3 => self.double().into(),
            4 => true.into(),
            _ => false.into(),
        }
    }

    fn text(&mut self) -> String {
        if self.one_in(8) {
            let count = self.len();
            return String::from_utf8_lossy(self.bytes(count)).into_owned();
        }
        let count = self.len();
        let letters = ['a', '\0', '\x01', 'b', 'é', '\u{ffff}', '\u{10ffff}'];
        if count > 4 {
            return self.pick(&letters).to_string().repeat(count);
        }
        (0..count).map(|_| self.pick(&letters)).collect()
    }

    fn blob(&mut self) -> Vec<u8> {
        let count = self.len();
        if count > 4 {
            return vec![self.pick(&[b'a', 0x00, 0xff]); count];
        }
        self.bytes(count).to_vec()
    }

    fn bigint(&mut self) -> KeyPart<'static> {
        let (negative, magnitude) = self.magnitude();
        match BigInt::from_be_bytes(negative, &magnitude) {
            Ok(integer) => integer.into(),
            Err(_) => false.into(),
        }
    }

    /// A sign and a magnitude, perhaps one that is too long for a bigint of a key.
    pub(crate) fn magnitude(&mut self) -> (bool, Vec<u8>) {
        let negative = self.one_in(2);
        let count = match self.below(8) {
            0 => self.pick(&[15, 16, 17, 254, 255, 256, 300]),
            1 | 2 => 7 + self.below(4),
            _ => self.below(4),
        };
        if count > 11 {
            let mut magnitude = vec![self.pick(&[0xff, 0x00, 0x01]); count];
            magnitude[0] = self.pick(&[0x01, 0xff, 0x00]);
            return (negative, magnitude);
        }
        (negative, self.bytes(count).to_vec())
    }

    fn double(&mut self) -> f64 {
        let numbers = [0.0, 1.0, f64::MIN_POSITIVE, f64::INFINITY, f64::NAN];
        let number = match self.below(7) {
            index @ 0..5 => numbers[index],
            5 => f64::from_bits(f64::NAN.to_bits() | 1),
            _ => f64::from_bits(self.0.arbitrary().unwrap_or(0)),
        };
        if self.one_in(2) { -number } else { number }
    }

    /// A key that need be no tuple and may be the empty one, often a relative of those known.
    pub(crate) fn key(&mut self, known: &[Key]) -> Key {
        if known.is_empty() || self.one_in(3) {
            return if self.one_in(4) {
                let count = self.below(6);
                Key::raw(self.bytes(count))
            } else {
                Key::from(self.parts())
            };
        }
        let key = self.pick(known);
        let bytes = key.as_bytes();
        match self.below(6) {
            0 | 1 => key,
            2 => self.prefix(&key),
            3 => key.join(self.part()),
            4 => Key::raw([bytes, &[self.pick(&[0x00, 0xff, 0x01])]].concat()),
            _ => Key::raw(&bytes[..self.below(bytes.len() + 1)]),
        }
    }

    /// The first few parts of a key, or its first few bytes.
    fn prefix(&mut self, key: &Key) -> Key {
        if let Ok(parts) = key.parts() {
            return Key::from(&parts[..self.below(parts.len() + 1)]);
        }
        Key::raw(&key.as_bytes()[..self.below(key.as_bytes().len() + 1)])
    }

    pub(crate) fn selector(&mut self, known: &[Key]) -> Selector {
        match self.below(8) {
            0 => Selector::All,
            1 => Selector::Prefix(Key::default()),
            2 => Selector::Prefix(self.key(known)),
            3 => Selector::PrefixStart(self.key(known), self.key(known)),
            4 => Selector::PrefixEnd(self.key(known), self.key(known)),
            5 => Selector::Raw(self.key(known), self.key(known)),
            _ => {
                let (one, other) = (self.key(known), self.key(known));
                if one > other && !self.one_in(8) {
                    Selector::Between(other, one)
                } else {
                    Selector::Between(one, other)
                }
            }
        }
    }
}

/// What is written and checked.
impl Input<'_> {
    pub(crate) fn value(&mut self) -> Value {
        match self.below(8) {
            0 => Value::from(""),
            1 => Value::from(self.bytes(8)),
            2 => Value::from(vec![b'v'; self.pick(&[1_024, 1_025, 48, 49])]),
            3 => Value::V8(self.bytes(8).to_vec().into()),
            4 => Value::V8(vec![b'v'; self.pick(&[3_000, 65_536, 65_537])].into()),
            _ => Value::from(self.number()),
        }
    }

    /// A number or bigint of JavaScript, or, now and then, what is none; no bigint is so large that
    /// the sum of all those of a script would not fit into an `i128`.
    pub(crate) fn scalar(&mut self) -> Value {
        match self.below(8) {
            0..3 => NewValue::number(self.double()).into(),
            3..5 => {
                let magnitude = i128::from(self.number()) << self.pick(&[0, 1, 40]);
                let is_negative = self.one_in(2);
                NewValue::bigint(if is_negative { -magnitude } else { magnitude }).into()
            }
            5 => Value::from(self.number()),
            6 => Value::V8(self.bytes(8).to_vec().into()),
            _ => Value::V8(self.serialised().into()),
        }
    }

    /// Bytes that V8 could have written, or nearly so.
    fn serialised(&mut self) -> Vec<u8> {
        let version = self.pick(&[15, 16, 13, 12, 0x7f, 0x80]);
        let mut bytes = vec![0xff, version];
        bytes.resize(2 + self.below(3), 0);
        let tag = self.pick(b"IUNZnz0");
        bytes.push(tag);
        let count = match tag {
            b'N' | b'n' => 8,
            b'Z' | b'z' => {
                let len = self.below(10);
                let sign = usize::from(self.one_in(2));
                bytes.push((len << 1 | sign).try_into().unwrap_or(0));
                len
            }
            _ => 1 + self.below(6),
        };
        let surplus = usize::from(self.one_in(8));
        bytes.extend_from_slice(self.bytes(count + surplus));
        bytes
    }

    pub(crate) fn bounded_sum(&mut self) -> BoundedSum {
        let operand = self.scalar();
        let mut bound = || self.one_in(3).then(|| self.scalar());
        let (min, max) = (bound(), bound());
        BoundedSum {
            operand,
            min,
            max,
            is_clamped: self.one_in(3),
        }
    }

    pub(crate) fn op(&mut self) -> Op {
        match self.below(8) {
            0..3 => Op::Set(self.value()),
            3 | 4 => Op::Delete,
            5 => Op::Sum(self.number()),
            6 => Op::Min(self.number()),
            _ => Op::Max(self.number()),
        }
    }

    pub(crate) fn mutation(&mut self, keys: &[Key]) -> Mutation {
        let (key, op) = (self.pick(keys), self.op());
        Mutation { key, op }
    }

    /// A check of each kind; those of a version most often want the one that is there.
    pub(crate) fn check(
        &mut self,
        keys: &[Key],
        stale: &[Versionstamp],
        current: impl Fn(&Key) -> Option<Versionstamp>,
    ) -> Check {
        let key = self.pick(keys);
        let expect = match self.below(8) {
            0 => Expect::Absent,
            1 => Expect::Exists,
            2 => Expect::At(self.pick(stale)),
            3 => Expect::At(self.versionstamp()),
            4 => Expect::NotNewer(self.versionstamp()),
            _ => current(&key).map_or(Expect::Absent, Expect::At),
        };
        Check { key, expect }
    }

    /// Ten bytes, most of which no commit has had or can have.
    pub(crate) fn versionstamp(&mut self) -> Versionstamp {
        let mut bytes = [0; 10];
        for byte in &mut bytes {
            *byte = u8::try_from(self.below(256)).unwrap_or(0);
        }
        Versionstamp::from_bytes(bytes)
    }
}
