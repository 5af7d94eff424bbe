//! Before anything is measured: whether each subject does what it is measured at.
//!
//! A subject that does nothing would be the fastest.

use crate::keys;
use crate::peers::{self, Kvick, Visit};
use crate::store::{Listed, Op, Store, balance};
use crate::subject::{Subject, value};
use crate::workload::SMALL;
use kvick::Key;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::thread;

const SIZE: u32 = 1_000;

/// How many threads race, and how often each of them does what it does.
const THREADS: u32 = 4;
const TIMES: u32 = 250;

/// Checks these peers, and kvick. Panics where one of them does not do what it should.
pub(crate) fn all(peers: &[&'static str]) {
    encoded();
    for name in peers.iter().chain(&[Kvick::NAME]) {
        peers::with(name, Check);
    }
}

/// That peers are given the very bytes that kvick makes of the tuples.
fn encoded() {
    for index in (0..SIZE).chain([u32::MAX]) {
        let number = keys::number(index);
        let key = Key::from(("user-accounts", number));
        expect::<Kvick, _>("a key", key.as_bytes(), &keys::encoded(number)[..]);
    }
}

struct Check;

impl Visit<()> for Check {
    fn visit<S: Store>(self) {
        let subject = Subject::<S>::filled(SIZE, value(SMALL));
        single(&subject);
        inserted(&subject);
        if S::CAN.contains(&Op::Modify) {
            modified(&subject);
        }
        if S::CAN.contains(&Op::Transfer) {
            transferred(&subject);
        }
        if S::CAN.contains(&Op::Count) {
            counted(&subject);
        }
        if S::CAN.contains(&Op::List) {
            listed(&subject);
        }
        if S::CAN.contains(&Op::GetMany) {
            got_many(&subject);
        }
        if S::CAN.contains(&Op::Load) {
            loaded::<S>(value(SMALL));
            limited::<S>(value(SMALL));
        }
    }
}

fn key<S: Store>(index: u32) -> S::Key {
    S::key(&keys::entry(index))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "what is compared is made for that"
)]
fn expect<S: Store, T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) {
    let name = S::NAME;
    assert!(
        found == expected,
        "{name} is not doing what it is measured at: {what} is {found:?}, not {expected:?}"
    );
}

fn single<S: Store>(Subject { store, value, .. }: &Subject<S>) {
    let read = |key: &S::Key| store.look(key, <[u8]>::to_vec);
    for index in 0..SIZE {
        let found = read(&key::<S>(index));
        expect::<S, _>("an entry", found.as_deref(), Some(*value));
        let found = store.look_built(keys::number(index), <[u8]>::to_vec);
        expect::<S, _>("an entry by its tuple", found.as_deref(), Some(*value));
        let found = read(&S::key(&keys::missing(index)));
        expect::<S, _>("a missing key", found, None);
    }
    let key = key::<S>(7);
    store.set(&key, b"another");
    let found = read(&key);
    expect::<S, _>("what was set", found.as_deref(), Some(&b"another"[..]));
    store.delete(&key);
    expect::<S, _>("what was deleted", read(&key), None);
    store.set(&key, value);
    expect::<S, _>("what was set again", read(&key).as_deref(), Some(*value));
    store.insert(&key, b"another");
    let found = read(&key);
    expect::<S, _>(
        "what was inserted over it",
        found.as_deref(),
        Some(&b"another"[..]),
    );
    store.set(&key, value);
}

fn inserted<S: Store>(subject: &Subject<S>) {
    let (mut keys, mut numbers) = (Vec::new(), Vec::new());
    subject.draw_inserted(SIZE / 4, |number, key| {
        keys.push(key);
        numbers.push(number);
    });
    let there = |keys: &[S::Key]| {
        let looks = keys
            .iter()
            .filter_map(|key| subject.store.look(key, |_| ()));
        looks.count()
    };
    expect::<S, _>("what is there of keys before insertion", there(&keys), 0);
    for key in &keys {
        subject.store.insert(key, subject.value);
    }
    expect::<S, _>("what was inserted", there(&keys), keys.len());
    subject.keep_inserted(&mut numbers);
    subject.forget_inserted();
    expect::<S, _>("what is left of insertions", there(&keys), 0);
}

/// All at once, so that what one loses of another's shows.
fn race(work: impl Fn(u32) + Sync) {
    let work = &work;
    thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || (0..TIMES).for_each(|time| work(thread * TIMES + time)));
        }
    });
}

fn modified<S: Store>(Subject { store, value, .. }: &Subject<S>) {
    race(|_| store.modify(&key::<S>(3), &mut value.to_vec()));
    let expected = balance(value) + u64::from(THREADS * TIMES);
    let found = store.look(&key::<S>(3), balance);
    expect::<S, _>("a balance to which all have added", found, Some(expected));
    let rest = store.look(&key::<S>(3), |found| found[8..] == value[8..]);
    expect::<S, _>("whether the rest of a value is as it was", rest, Some(true));
    store.set(&key::<S>(3), value);
}

fn transferred<S: Store>(Subject { store, value, .. }: &Subject<S>) {
    const ACCOUNTS: u32 = 16;
    let balances = || (0..ACCOUNTS).map(|index| store.look(&key::<S>(index), balance).unwrap_or(0));
    let sum = || balances().fold(0, u64::wrapping_add);
    let before = sum();
    let [less, more] = [value, value].map(|value| value.to_vec());
    store.transfer(&key::<S>(0), &key::<S>(1), &mut [less, more]);
    let moved: Vec<_> = balances().take(2).collect();
    let from = balance(value);
    expect::<S, _>("what was moved", moved, vec![from - 1, from + 1]);
    race(|number| {
        let from = number % ACCOUNTS;
        let to = (from + 1 + number / ACCOUNTS % (ACCOUNTS - 1)) % ACCOUNTS;
        let mut values = [value.to_vec(), value.to_vec()];
        store.transfer(&key::<S>(from), &key::<S>(to), &mut values);
    });
    expect::<S, _>("the sum of all balances", sum(), before);
    (0..ACCOUNTS).for_each(|index| store.set(&key::<S>(index), value));
}

fn counted<S: Store>(Subject { store, .. }: &Subject<S>) {
    let key = S::key(&keys::counter());
    store.count(&key);
    expect::<S, _>("a counter", store.counted(&key), 1);
    race(|_| store.count(&key));
    let expected = 1 + u64::from(THREADS * TIMES);
    expect::<S, _>("a counter of all", store.counted(&key), expected);
    store.delete(&key);
}

/// The entries differ, so that it shows which were visited.
fn listed<S: Store>(Subject { store, value, .. }: &Subject<S>) {
    let byte = |index: u32| u8::try_from(index * 7 % 251).unwrap_or(0);
    for index in 0..SIZE {
        let mut value = value.to_vec();
        value[0] = byte(index);
        store.set(&key::<S>(index), &value);
    }
    for (start, limit) in [(0, 100), (450, 100), (950, 100), (0, 10_000), (999, 1)] {
        let visited = (start..SIZE).take(limit);
        let expected = Listed {
            entries: visited.len(),
            bytes: visited.map(|index| u64::from(byte(index))).sum(),
        };
        let what = format!("a list of {limit} from entry {start} on");
        expect::<S, _>(&what, store.list(&key::<S>(start), limit), expected);
    }
    (0..SIZE).for_each(|index| store.set(&key::<S>(index), value));
}

fn got_many<S: Store>(Subject { store, value, .. }: &Subject<S>) {
    let keys: Vec<S::Key> = (0..10).map(|index| key::<S>(index * 97)).collect();
    let expected = Listed {
        entries: 10,
        bytes: 10 * u64::from(value[0]),
    };
    expect::<S, _>("ten entries", store.get_many(&keys), expected);
}

/// Of all that are loaded at once, one is kept, and everybody is given that.
fn loaded<S: Store>(value: &[u8]) {
    let store = S::open_limited(SIZE);
    let given: Vec<AtomicU8> = (0..TIMES).map(|_| AtomicU8::new(0)).collect();
    let losers = AtomicU32::new(0);
    race(|number| {
        // So that who is first with an entry is another in each thread.
        let index = (number % TIMES + number / TIMES * (TIMES / THREADS)) % TIMES;
        let mut mine = value.to_vec();
        mine[0] = 1 + u8::try_from(number / TIMES).unwrap_or(0);
        let first = store.get_or_load(&key::<S>(index), &mine);
        let before = given[index as usize].swap(first, Ordering::Relaxed);
        if before != 0 && before != first {
            losers.fetch_add(1, Ordering::Relaxed);
        }
    });
    let losers = losers.into_inner();
    expect::<S, _>("how often two loads of a key were given", losers, 0);
    for (index, given) in (0..).zip(given) {
        let found = store.look(&key::<S>(index), |value| value[0]);
        expect::<S, _>("what was loaded", found, Some(given.into_inner()));
    }
}

/// Room is made for what comes; what waits for that is there beside what may be.
fn limited<S: Store>(value: &'static [u8]) {
    let Subject { store, .. } = Subject::<S>::limited(SIZE, value);
    let new = SIZE..100 * SIZE;
    for index in new.clone() {
        expect::<S, _>(
            "the first byte of what was loaded",
            store.get_or_load(&key::<S>(index), value),
            value[0],
        );
    }
    let there = (0..new.end).filter(|index| store.look(&key::<S>(*index), |_| ()).is_some());
    let there = there.count();
    let is_full = (SIZE as usize / 2..2 * SIZE as usize).contains(&there);
    expect::<S, _>("whether so many are there as there may be", is_full, true);
}
