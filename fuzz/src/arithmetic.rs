//! Sums, least and most: of every kind of value, in one operation and across several.

use crate::assert_holds;
use crate::attempt::{Act, Attempt, Overlay, Reads};
use crate::input::Input;
use crate::model::{BoundedSum, Changes, Model, Mutation, Op, add_mutation};
use kvick::{ErrorKind, Key, Kv, Result, Transacted, Value, Versionstamp};
use num_bigint::{BigInt, Sign};

/// Runs one script: a few keys are given values, and then arithmetic is done on them three times
/// over: one mutation after the other, all in one atomic operation, all in one transaction.
///
/// # Panics
///
/// Where one of them comes to something else than the rules of arithmetic say.
pub fn arithmetic(input: &[u8]) {
    let mut input = Input::new(input);
    let keys = [
        Key::from("n"),
        Key::from(("n", 1)),
        Key::from("m".repeat(40)),
    ];
    let keys = &keys[..=input.below(keys.len())];
    let mut runs = [Run::new(), Run::new(), Run::new()];
    for key in keys {
        if input.one_in(2) {
            let value = if input.one_in(2) {
                input.scalar()
            } else {
                input.value()
            };
            // One that is too large is for other targets.
            if value.len() <= 65_536 {
                for run in &mut runs {
                    run.set(key, &value);
                }
            }
        }
    }
    while !input.is_empty() {
        let count = 1 + input.below(12);
        let mut mutations = vec![mutation(&mut input, keys)];
        while mutations.len() < count && !input.is_empty() {
            mutations.push(mutation(&mut input, keys));
        }
        let [apart, together, transacted] = &mut runs;
        for mutation in mutations.chunks(1) {
            apart.in_one_operation(mutation);
        }
        together.in_one_operation(&mutations);
        transacted.in_one_transaction(&mutations);
    }
    for run in &runs {
        assert_holds(&run.kv, &run.model);
    }
}

fn mutation(input: &mut Input<'_>, keys: &[Key]) -> Mutation {
    let key = input.pick(keys);
    let op = match input.below(16) {
        10..15 => Op::SumWith(input.bounded_sum()),
        15 => Op::Set(input.scalar()),
        0..4 => Op::Sum(input.number()),
        4..6 => Op::Min(input.number()),
        6..8 => Op::Max(input.number()),
        8 => Op::Delete,
        _ if input.one_in(4) => Op::Set(Value::from("no number")),
        _ => Op::Set(Value::from(input.number())),
    };
    Mutation { key, op }
}

/// What a mutation comes to, in arithmetic that does not wrap by itself.
fn combined(stored: Option<&Value>, op: &Op) -> Result<Option<Value>, ErrorKind> {
    let operand = match op {
        Op::SumWith(sum) => return added(stored, sum).map(Some),
        Op::Set(value) | Op::SetFor(value, _) | Op::SetVersionstamped(value) => {
            return Ok(Some(value.clone()));
        }
        Op::Touch(_) => return Ok(stored.cloned()),
        Op::Delete => return Ok(None),
        Op::Sum(operand) | Op::Min(operand) | Op::Max(operand) => u128::from(*operand),
    };
    let stored = match stored {
        None => None,
        Some(Value::U64(number)) => Some(u128::from(*number)),
        Some(_) => return Err(ErrorKind::TypeMismatch),
    };
    let result = match (op, stored) {
        (Op::Sum(_), Some(stored)) => (stored + operand) % (1 << 64),
        (Op::Min(_), Some(stored)) if stored <= operand => stored,
        (Op::Max(_), Some(stored)) if stored >= operand => stored,
        _ => operand,
    };
    let number = u64::try_from(result).expect("a sum is taken modulo 2^64");
    Ok(Some(Value::U64(number)))
}

/// A number of any kind, as it is read and written here.
#[derive(Clone, PartialEq, PartialOrd)]
enum Term {
    U64(u64),
    Number(f64),
    BigInt(BigInt),
}

impl Term {
    fn read(value: &Value) -> Result<Self, ErrorKind> {
        match value {
            Value::U64(number) => Ok(Self::U64(*number)),
            Value::V8(bytes) => Self::parse(bytes).ok_or(ErrorKind::TypeMismatch),
            Value::Bytes(_) => Err(ErrorKind::TypeMismatch),
        }
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = varint(bytes.strip_prefix(b"\xff")?)?;
        let start = rest.iter().position(|&byte| byte != 0)?;
        let (tag, rest) = (rest[start], &rest[start + 1..]);
        let (term, rest) = match tag {
            b'I' => {
                let (zigzag, rest) = varint(rest)?;
                let half = i64::from(zigzag / 2);
                let number = if zigzag % 2 == 0 { half } else { -half - 1 };
                (Self::Number(i32::try_from(number).ok()?.into()), rest)
            }
            b'U' => {
                let (number, rest) = varint(rest)?;
                (Self::Number(number.into()), rest)
            }
            b'N' => {
                let (double, rest) = rest.split_at_checked(8)?;
                (
                    Self::Number(f64::from_le_bytes(double.try_into().ok()?)),
                    rest,
                )
            }
            b'Z' => {
                let (bits, rest) = varint(rest)?;
                let (digits, rest) = rest.split_at_checked(bits as usize / 2)?;
                let sign = if bits % 2 == 0 {
                    Sign::Plus
                } else {
                    Sign::Minus
                };
                (Self::BigInt(BigInt::from_bytes_le(sign, digits)), rest)
            }
            _ => return None,
        };
        (version >= 13 && rest.is_empty()).then_some(term)
    }

    fn write(&self) -> Value {
        let bytes = match self {
            Self::U64(number) => return Value::U64(*number),
            Self::Number(number) if number.is_nan() => b"\xff\x0fN\0\0\0\0\0\0\xf8\x7f".to_vec(),
            Self::Number(number) => [&b"\xff\x0fN"[..], &number.to_le_bytes()].concat(),
            Self::BigInt(number) => {
                let digits: Vec<u8> = number
                    .iter_u64_digits()
                    .flat_map(u64::to_le_bytes)
                    .collect();
                let sign = usize::from(number.sign() == Sign::Minus);
                let head = u8::try_from(2 * digits.len() + sign).expect("they are small");
                [&[0xff, 0x0f, b'Z', head], &digits[..]].concat()
            }
        };
        Value::V8(bytes.into())
    }

    fn is_of_the_kind_of(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// A varint of at most 32 bits, and what is behind it.
fn varint(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let last = bytes.iter().take(5).position(|&byte| byte < 0x80)?;
    let digits = bytes[..=last].iter().rev();
    let number = digits.fold(0, |number, &byte| (number << 7) + u64::from(byte & 0x7f));
    Some((number.try_into().ok()?, &bytes[last + 1..]))
}

/// As what a sum is refused whatever is stored.
fn misfit(sum: &BoundedSum) -> Result<(), ErrorKind> {
    let operand = Term::read(&sum.operand)?;
    let mut is_plain = !sum.is_clamped;
    for bound in sum.min.iter().chain(&sum.max) {
        is_plain = false;
        if !Term::read(bound)?.is_of_the_kind_of(&operand) {
            return Err(ErrorKind::TypeMismatch);
        }
    }
    if matches!(operand, Term::U64(_)) && !is_plain {
        return Err(ErrorKind::TypeMismatch);
    }
    Ok(())
}

/// What a sum of numbers or bigints comes to.
fn added(stored: Option<&Value>, sum: &BoundedSum) -> Result<Value, ErrorKind> {
    misfit(sum)?;
    let Some(stored) = stored else {
        return Ok(sum.operand.clone());
    };
    let is_plain = sum.min.is_none() && sum.max.is_none() && !sum.is_clamped;
    let mut result = match (Term::read(stored)?, Term::read(&sum.operand)?) {
        (Term::U64(stored), Term::U64(operand)) => Term::U64(stored.wrapping_add(operand)),
        (Term::Number(stored), Term::Number(operand)) => Term::Number(stored + operand),
        (Term::BigInt(stored), Term::BigInt(operand)) => Term::BigInt(stored + operand),
        (Term::U64(stored), Term::BigInt(operand)) if is_plain => {
            let operand = u64::try_from(&operand).map_err(|_| ErrorKind::TypeMismatch)?;
            Term::U64(stored.wrapping_add(operand))
        }
        _ => return Err(ErrorKind::TypeMismatch),
    };
    for (bound, is_min) in [(&sum.min, true), (&sum.max, false)] {
        let Some(bound) = bound else { continue };
        let bound = Term::read(bound)?;
        if (is_min && result < bound) || (!is_min && result > bound) {
            if !sum.is_clamped {
                return Err(ErrorKind::SumOutOfRange);
            }
            result = bound;
        }
    }
    Ok(result.write())
}

/// A database, and what it should hold.
struct Run {
    kv: Kv,
    model: Model,
}

impl Run {
    fn new() -> Self {
        let builder = Kv::builder().writer_threads(1).background_sweep(false);
        Self {
            kv: builder.build(),
            model: Model::default(),
        }
    }

    fn set(&mut self, key: &Key, value: &Value) {
        let versionstamp = self.kv.set(key, value).expect("a value can be set");
        let change = (key.clone(), Some(value.clone()));
        self.model.install([change].into(), versionstamp);
    }

    /// What mutations come to, in order; the model agrees.
    fn changes(&self, mutations: &[Mutation]) -> Result<Changes, ErrorKind> {
        let changes = self.combined(mutations);
        assert_eq!(self.model.changes(mutations), changes);
        changes
    }

    fn combined(&self, mutations: &[Mutation]) -> Result<Changes, ErrorKind> {
        for mutation in mutations {
            if let Op::SumWith(sum) = &mutation.op {
                misfit(sum)?;
            }
        }
        let mut changes = Changes::new();
        for Mutation { key, op } in mutations {
            let stored = match changes.get(key) {
                Some(value) => value.clone(),
                None => self.model.value(key),
            };
            changes.insert(key.clone(), combined(stored.as_ref(), op)?);
        }
        Ok(changes)
    }

    fn in_one_operation(&mut self, mutations: &[Mutation]) {
        let mut operation = self.kv.atomic();
        for mutation in mutations {
            add_mutation(&mut operation, mutation);
        }
        let done = operation.commit().map(|outcome| outcome.versionstamp());
        drop(operation);
        if let (Err(kind), Err(error)) = (self.changes(mutations), &done) {
            assert_eq!(error.kind(), kind);
        }
        self.finish(mutations, done);
    }

    /// With a read after each mutation, so that those that are not committed yet are seen as well.
    fn in_one_transaction(&mut self, mutations: &[Mutation]) {
        let mut kept = Vec::new();
        let done = self.kv.transact(|tx| {
            let mut attempt = Attempt {
                base: &self.model,
                overlay: Overlay::default(),
                reads: Reads::default(),
            };
            for mutation in mutations {
                attempt.act(tx, &Act::Write(mutation.clone()));
                attempt.act(tx, &Act::Get(mutation.key.clone()));
            }
            kept = attempt.overlay.mutations();
            Ok(())
        });
        let done = done.map(|done| match done {
            Transacted::Committed { versionstamp, .. } => versionstamp,
            other => panic!("nobody is in its way: {other:?}"),
        });
        self.finish(&kept, done);
    }

    /// All of the mutations have taken effect, or, where one does not fit, none (A07, S02, S06 to
    /// S10). As what it is refused, where several do not fit, depends on their order.
    fn finish(&mut self, mutations: &[Mutation], done: Result<Option<Versionstamp>>) {
        match (self.changes(mutations), done) {
            (Ok(changes), Ok(Some(versionstamp))) => self.model.install(changes, versionstamp),
            (Err(_), Err(error)) => {
                let kinds = [ErrorKind::TypeMismatch, ErrorKind::SumOutOfRange];
                assert!(kinds.contains(&error.kind()), "{error}");
            }
            (expected, done) => panic!("{done:?}, where {expected:?} is expected"),
        }
        for Mutation { key, .. } in mutations {
            self.model
                .assert_read(&self.kv.get(key).expect("a key can be read"));
        }
    }
}
