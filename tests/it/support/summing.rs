//! What a client of a history does with numbers, and what it is told of what it has done.

use super::checker::{Did, Event, Seen, Span};
use super::client::{Client, does_not_fit, refused};
use super::model::{BoundedSum, Mutation, Op};
use super::workload::{Scalar, adds_up, expires};
use kvick::{Entry, Key, NewValue, Value, Versionstamp};
use rand::RngExt;

impl Client<'_> {
    /// A number or a bigint of JavaScript, none of them large.
    fn scalar(&mut self, scalar: Scalar) -> Value {
        let number: i32 = self.random.random_range(-1_000..1_000);
        let scalar = match scalar {
            Scalar::Number => NewValue::number(f64::from(number) / 4.0),
            Scalar::BigInt => NewValue::bigint(number),
        };
        scalar.into()
    }

    /// What is done where numbers or bigints are kept: mostly they are added to, within bounds or not.
    pub(super) fn summing(&mut self, scalar: Scalar) -> Op {
        match self.random.random_range(0..6) {
            0 => Op::Set(self.scalar(scalar)),
            1 => Op::Delete,
            _ => {
                let mut bound = |often| self.random.random_bool(often).then(|| self.scalar(scalar));
                let (min, max) = (bound(0.2), bound(0.2));
                Op::SumWith(BoundedSum {
                    operand: self.scalar(scalar),
                    min,
                    max,
                    is_clamped: self.random.random_bool(0.7),
                })
            }
        }
    }

    /// Changes a number, and is told what it is then.
    pub(super) fn calculate(&mut self, key: Key) {
        let operand = self.random.random_range(0..1_000_000);
        let op = match adds_up(&key) {
            Some(scalar) => self.summing(scalar),
            None => match self.random.random_range(0..3) {
                0 => Op::Sum(operand),
                1 => Op::Min(operand),
                _ => Op::Max(operand),
            },
        };
        let (kv, mutations) = (self.kv, vec![Mutation { key, op }]);
        let [Mutation { key, op }] = &mutations[..] else {
            return;
        };
        let (left, span) = self.recorder.time(|| {
            Some(match op {
                Op::Sum(operand) => kv.sum(key, *operand),
                Op::Min(operand) => kv.min(key, *operand),
                Op::Max(operand) => kv.max(key, *operand),
                Op::SumWith(sum) => kv.sum_with(key, sum.as_sum()),
                _ => return None,
            })
        });
        let Some(left) = left else { return };
        match left {
            Ok(left) => {
                let versionstamp = left.versionstamp().expect("it is there then");
                self.committed(span, versionstamp, mutations);
                self.left(span, versionstamp, &[left]);
            }
            Err(error) if does_not_fit(&error) => {
                let checks = Vec::new();
                let did = Did::Refusal { checks, mutations };
                self.events.push(Event { span, did });
            }
            Err(error) => refused(&error),
        }
    }

    /// Notes what a commit gave back of what it has written. Of what expires it may be more than is
    /// seen by others.
    pub(super) fn left(&mut self, span: Span, versionstamp: Versionstamp, left: &[Entry]) {
        let lasting = left.iter().filter(|entry| !expires(entry.key()));
        let did = Did::Read {
            at: Some(versionstamp),
            seen: lasting.map(Seen::one).collect(),
        };
        self.events.push(Event { span, did });
    }
}
