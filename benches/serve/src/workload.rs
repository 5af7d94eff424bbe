//! What is asked of a server again and again, and what each answer has to be.

use crate::call::{Caller, Requests};
use crate::messages::{self, Family, STAMP_BYTES, VALUE_BYTES};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// How many keys have values.
pub(crate) const KEYS: u32 = 10_000;

/// How many accounts there are: as many as one answer can have.
pub(crate) const ACCOUNTS: u32 = 1_000;

/// What is on each at first.
const BALANCE: u64 = 1_000;

/// How many keys a write sets at first.
const KEYS_A_WRITE: u32 = 100;

/// What comes of an answer.
#[derive(Debug)]
pub(crate) enum Next<A> {
    Done,
    /// Somebody else was faster. Nothing is done.
    Conflict,
    /// To be asked for.
    Ask(A),
}

pub(crate) trait Workload {
    /// What there is to know of a request.
    type Asked;

    /// What to ask for next.
    fn draw(&mut self) -> Self::Asked;

    /// Asks for it. The result is the id of the stream.
    fn ask(&mut self, asked: &Self::Asked, requests: &mut Requests) -> u32;

    /// Looks at what was answered.
    fn answered(&mut self, asked: Self::Asked, answer: &[u8]) -> Result<Next<Self::Asked>, String>;
}

/// Makes the keys and the accounts.
pub(crate) fn fill(caller: &mut Caller) -> Result<(), String> {
    let values = (0..KEYS).map(|index| (Family::Values.key(index), messages::value(index, 0)));
    let balance = BALANCE.to_be_bytes().to_vec();
    let accounts = (0..ACCOUNTS).map(|index| (Family::Accounts.key(index), balance.clone()));
    let all: Vec<_> = values.chain(accounts).collect();
    for some in all.chunks(KEYS_A_WRITE as usize) {
        caller.set(some.iter().cloned())?;
    }
    check(caller)
}

/// Looks at everything: each key has a value of its own, and no money was lost or made.
pub(crate) fn check(caller: &mut Caller) -> Result<(), String> {
    for from in (0..KEYS).step_by(ACCOUNTS as usize) {
        let entries = caller.list(Family::Values, from, ACCOUNTS)?;
        let fine = (from..).zip(&entries).all(|(index, entry)| {
            entry.key == Family::Values.key(index) && messages::is_value_of(index, &entry.value)
        });
        if !fine || entries.len() != ACCOUNTS as usize {
            return Err(format!("the values from {from} on are not what was set"));
        }
    }
    let accounts = caller.list(Family::Accounts, 0, ACCOUNTS)?;
    let sum: u64 = accounts.iter().filter_map(|it| balance(&it.value)).sum();
    let expected = BALANCE * u64::from(ACCOUNTS);
    if accounts.len() == ACCOUNTS as usize && sum == expected {
        Ok(())
    } else {
        Err(format!("the accounts sum up to {sum}, and not {expected}"))
    }
}

fn balance(value: &[u8]) -> Option<u64> {
    value.try_into().ok().map(u64::from_be_bytes)
}

/// Gets the value of a key.
#[derive(Debug)]
pub(crate) struct Get {
    random: SmallRng,
    keys: Vec<Vec<u8>>,
    bodies: Vec<Vec<u8>>,
    expected: Expected,
}

impl Get {
    pub(crate) fn new(seed: u64) -> Self {
        let keys: Vec<_> = (0..KEYS).map(|index| Family::Values.key(index)).collect();
        let bodies = keys.iter().map(|key| messages::get([key.clone()]));
        Self {
            random: SmallRng::seed_from_u64(seed),
            bodies: bodies.collect(),
            expected: Expected::of(&keys[0]),
            keys,
        }
    }
}

impl Workload for Get {
    type Asked = u32;

    fn draw(&mut self) -> u32 {
        self.random.random_range(0..KEYS)
    }

    fn ask(&mut self, asked: &u32, requests: &mut Requests) -> u32 {
        requests.read(&self.bodies[*asked as usize])
    }

    fn answered(&mut self, asked: u32, answer: &[u8]) -> Result<Next<u32>, String> {
        let key = &self.keys[asked as usize];
        if self.expected.is_like(answer, key, asked) {
            return Ok(Next::Done);
        }
        // The same in another order would be right, too.
        let ranges = messages::entries(answer)?;
        match &ranges[..] {
            [range] => match &range[..] {
                [entry] if entry.key == *key && messages::is_value_of(asked, &entry.value) => {
                    Ok(Next::Done)
                }
                _ => Err(format!("a get of the key {asked} has found {range:?}")),
            },
            _ => Err(format!("a get of one key has found {ranges:?}")),
        }
    }
}

/// The answer to a get, as messages are encoded: but for the key, and what differs from key to key and from
/// write to write.
#[derive(Debug)]
struct Expected {
    bytes: Vec<u8>,
    key_at: usize,
    value_at: usize,
    stamp_at: usize,
}

impl Expected {
    fn of(key: &[u8]) -> Self {
        let mut bytes = Vec::new();
        let mut entry = Vec::new();
        let field = |number: u8, content: &[u8], out: &mut Vec<u8>| {
            // All are shorter than 128, but for the two around them.
            out.extend([number << 3 | 2, u8::try_from(content.len()).unwrap_or(0)]);
            out.extend_from_slice(content);
        };
        field(1, key, &mut entry);
        let value_at = entry.len() + 2;
        field(2, &messages::value(0, 0), &mut entry);
        entry.extend([3 << 3, 3]);
        let stamp_at = entry.len() + 2;
        field(4, &[0; STAMP_BYTES], &mut entry);
        for length in [entry.len() + 3, entry.len()] {
            bytes.push(1 << 3 | 2);
            prost::encoding::encode_varint(length as u64, &mut bytes);
        }
        let begin = bytes.len();
        bytes.extend(entry);
        bytes.extend([4 << 3, 1, 8 << 3, 1]);
        Self {
            bytes,
            key_at: begin + 2,
            value_at: begin + value_at,
            stamp_at: begin + stamp_at,
        }
    }

    fn is_like(&self, answer: &[u8], key: &[u8], index: u32) -> bool {
        let is_same = |from: usize, to: usize| answer[from..to] == self.bytes[from..to];
        let (key_end, value_end) = (self.key_at + key.len(), self.value_at + VALUE_BYTES);
        answer.len() == self.bytes.len()
            && is_same(0, self.key_at)
            && answer[self.key_at..key_end] == *key
            && is_same(key_end, self.value_at)
            && answer[self.value_at..self.value_at + 8] == u64::from(index).to_be_bytes()
            && is_same(self.value_at + 16, value_end)
            && is_same(value_end, self.stamp_at)
            && is_same(self.stamp_at + STAMP_BYTES, self.bytes.len())
    }
}

/// Sets the value of a key.
#[derive(Debug)]
pub(crate) struct Set {
    random: SmallRng,
    bodies: Vec<Vec<u8>>,
    /// Where in each the part of the value is that differs.
    which_at: usize,
    which: u64,
}

impl Set {
    pub(crate) fn new(seed: u64) -> Self {
        let body = |index| {
            let to = (Family::Values.key(index), messages::value(index, u64::MAX));
            messages::set(Vec::new(), [to])
        };
        let bodies: Vec<_> = (0..KEYS).map(body).collect();
        let mark = u64::MAX.to_be_bytes();
        let which_at = bodies[0].windows(mark.len()).position(|it| it == mark);
        Self {
            random: SmallRng::seed_from_u64(seed),
            which_at: which_at.expect("the body has the value in it"),
            bodies,
            which: 0,
        }
    }
}

impl Workload for Set {
    type Asked = u32;

    fn draw(&mut self) -> u32 {
        self.random.random_range(0..KEYS)
    }

    fn ask(&mut self, asked: &u32, requests: &mut Requests) -> u32 {
        self.which += 1;
        let body = &mut self.bodies[*asked as usize];
        body[self.which_at..self.which_at + 8].copy_from_slice(&self.which.to_be_bytes());
        requests.write(body)
    }

    fn answered(&mut self, _: u32, answer: &[u8]) -> Result<Next<u32>, String> {
        // As it is encoded: success, and a versionstamp.
        let is_fine = answer.len() == 4 + STAMP_BYTES && answer.starts_with(&[0x08, 1, 0x12, 10]);
        if is_fine || messages::is_committed(answer)? {
            Ok(Next::Done)
        } else {
            Err("a write without checks has failed one".to_owned())
        }
    }
}

/// Reads two accounts, and moves money from one to the other if nobody has changed either since.
#[derive(Debug)]
pub(crate) struct Transfer(SmallRng);

impl Transfer {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SmallRng::seed_from_u64(seed))
    }
}

/// One of the two requests.
#[derive(Debug)]
pub(crate) enum Step {
    Read(Vec<u8>),
    Write(Vec<u8>),
}

impl Workload for Transfer {
    type Asked = Step;

    fn draw(&mut self) -> Step {
        let from = self.0.random_range(0..ACCOUNTS);
        let to = (from + self.0.random_range(1..ACCOUNTS)) % ACCOUNTS;
        Step::Read(messages::get([from, to].map(|it| Family::Accounts.key(it))))
    }

    fn ask(&mut self, asked: &Step, requests: &mut Requests) -> u32 {
        match asked {
            Step::Read(body) => requests.read(body),
            Step::Write(body) => requests.write(body),
        }
    }

    fn answered(&mut self, asked: Step, answer: &[u8]) -> Result<Next<Step>, String> {
        if let Step::Write(_) = asked {
            let is_committed = messages::is_committed(answer)?;
            return Ok(if is_committed {
                Next::Done
            } else {
                Next::Conflict
            });
        }
        let entries: Vec<_> = messages::entries(answer)?.into_iter().flatten().collect();
        let balances: Vec<u64> = entries.iter().filter_map(|it| balance(&it.value)).collect();
        let [from, to] = balances[..] else {
            return Err(format!("two accounts were read, and found: {entries:?}"));
        };
        let amount = from.min(self.0.random_range(1..=10));
        let keys: Vec<Vec<u8>> = entries.iter().map(|entry| entry.key.clone()).collect();
        let after = [from - amount, to + amount].map(|balance| balance.to_be_bytes().to_vec());
        let body = messages::set(entries, keys.into_iter().zip(after));
        Ok(Next::Ask(Step::Write(body)))
    }
}
