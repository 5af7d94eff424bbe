//! What a subject is asked to do: one method an operation.

use crate::keys::{self, Encoded};

/// What not every subject can do. Everything else each of them can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// To set a key to what follows from its value, if nobody else has set it since.
    Modify,
    /// The same with two keys at once.
    Transfer,
    /// To add to a number without losing what others add.
    Count,
    /// To read several keys as they were at one moment.
    GetMany,
    /// To visit entries in the order of their keys.
    List,
    /// To hold no more than so many entries, and to have what is missing loaded by one for all.
    Load,
}

/// What a list has visited: so many entries, and the sum of the first bytes of their values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) entries: usize,
    pub(crate) bytes: u64,
}

impl Listed {
    #[inline]
    pub(crate) fn visit(&mut self, value: &[u8]) {
        self.entries += 1;
        self.bytes += u64::from(value.first().copied().unwrap_or_default());
    }
}

/// The first eight bytes of a value are a number: a balance. The rest is the same in all values of
/// a length, so a value that is being made has to be changed there only.
pub(crate) fn balance(value: &[u8]) -> u64 {
    value
        .first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// The value with another balance.
pub(crate) fn with_balance(value: &mut [u8], balance: u64) -> &[u8] {
    if let Some(bytes) = value.first_chunk_mut() {
        *bytes = balance.to_le_bytes();
    }
    value
}

/// The two values that a transfer makes, laid out beforehand.
pub(crate) type Pair = [Vec<u8>; 2];

/// A subject: kvick, or a peer.
///
/// What a subject cannot do is missing from [`CAN`](Self::CAN), and never asked for. A value that is
/// given is copied in. Every operation succeeds, and so do those that race others: they are tried
/// again until they do.
pub(crate) trait Store: Sized + Sync {
    const NAME: &'static str;
    const CAN: &'static [Op];

    /// Whether what it allocates comes from the program's allocator.
    const IS_COUNTED: bool = true;

    /// The key as the subject takes it, built before time is taken.
    type Key: Send + Sync;

    /// An empty store for about so many entries.
    fn open(size: u32) -> Self;

    /// An empty store that holds no more than about so many entries, and lets go of others for those
    /// that come.
    fn open_limited(_size: u32) -> Self {
        missing::<Self>(Op::Load)
    }

    fn key(encoded: &Encoded) -> Self::Key;

    /// Shows the value to a closure: where it lies if the subject can, else a copy as cheap as it
    /// offers.
    fn look<R>(&self, key: &Self::Key, look: impl FnOnce(&[u8]) -> R) -> Option<R>;

    /// The same, with a key that is made first, from the tuple `("user-accounts", number)`.
    #[inline]
    fn look_built<R>(&self, number: f64, look: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.look(&Self::key(&keys::encoded(number)), look)
    }

    /// Sets a key, which most likely is there.
    fn set(&self, key: &Self::Key, value: &[u8]);

    /// Sets a key, which most likely is new.
    #[inline]
    fn insert(&self, key: &Self::Key, value: &[u8]) {
        self.set(key, value);
    }

    fn delete(&self, key: &Self::Key);

    /// Many keys at once, where that is faster. No time is taken.
    fn fill(&self, keys: impl Iterator<Item = Self::Key>, value: &[u8]) {
        keys.for_each(|key| self.insert(&key, value));
    }

    /// Adds one to a balance.
    fn modify(&self, _key: &Self::Key, _value: &mut [u8]) {
        missing::<Self>(Op::Modify)
    }

    /// Moves one from a balance to another, of another key.
    fn transfer(&self, _from: &Self::Key, _to: &Self::Key, _values: &mut Pair) {
        missing::<Self>(Op::Transfer)
    }

    /// Adds one to a number of eight bytes, which is 1 after the first time.
    fn count(&self, _key: &Self::Key) {
        missing::<Self>(Op::Count)
    }

    fn counted(&self, key: &Self::Key) -> u64 {
        self.look(key, balance).unwrap_or(0)
    }

    /// The entries of these keys at one moment, as if listed.
    fn get_many(&self, _keys: &[Self::Key]) -> Listed {
        missing::<Self>(Op::GetMany)
    }

    /// Visits entries, from this key on.
    fn list(&self, _start: &Self::Key, _limit: usize) -> Listed {
        missing::<Self>(Op::List)
    }

    /// The first byte of the value of a key, which is loaded if it is not there: by the subject's own
    /// way to have one load for all. To load is to copy this value.
    fn get_or_load(&self, _key: &Self::Key, _value: &[u8]) -> u8 {
        missing::<Self>(Op::Load)
    }

    /// Does now what was put off: no time is taken.
    fn settle(&self) {}
}

fn missing<S: Store>(op: Op) -> ! {
    unreachable!(
        "{} is asked for {op:?}, which it says it cannot do",
        S::NAME
    )
}
