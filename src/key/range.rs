//! Which keys a list covers.
//!
//! A [`Range`] is what the caller says; [`Bounds`] are the two encoded keys it comes to. All rules
//! about ranges are applied on the way from one to the other, in [`Range::bounds`], so a range is
//! built without a `Result` and a wrong one is refused when it is first used (R09).
//!
//! No tag of a key part is `00` or `ff`, so with P for the encoded prefix, the keys below the
//! prefix are exactly the encoded tuples from P‖`00` up to P‖`ff`; P itself is before them. Every
//! range with a prefix is cut to that interval. Without the cut, an end such as `["a\0b"]`, whose
//! bytes begin with those of `["a"]`, would let in `["a\0"]`, which is not below `["a"]` (R10).

use super::Key;
use crate::error::{Error, Result};
use crate::limits::Limits;
use bytes::Bytes;
use smallvec::SmallVec;

/// A selection of keys, to list.
///
/// Whatever converts into a [`Key`] converts into the range of all keys below it, so that
/// `list(("log",))` needs no more said.
///
/// | range | covers |
/// |---|---|
/// | [`prefix(p)`](Self::prefix) | every key that continues p; not p itself |
/// | `prefix(p)`[`.start(s)`](Self::start) | of these, s and what follows it |
/// | `prefix(p)`[`.end(e)`](Self::end) | of these, what comes before e |
/// | [`new(s, e)`](Self::new) | s and what follows it, up to but without e |
/// | [`all()`](Self::all) | everything |
/// | [`raw(s, e)`](Self::raw) | as `new`, in bytes |
///
/// A prefix is whole parts: `["a"]` is no prefix of `["ab"]` (R06). A range is checked when it is
/// used and not when it is built. Refused then, as
/// [`InvalidSelector`](crate::ErrorKind::InvalidSelector): a start or end that is not below its
/// prefix (R07), a start greater than the end (R08), and a start or end given to anything but a
/// prefix that has neither (R09). As [`KeyTooLarge`](crate::ErrorKind::KeyTooLarge): a bound longer
/// than [`Limits::key_read_bytes_max`].
///
/// ```
/// use kvick::{Key, Range};
///
/// let log = Range::prefix("log");
/// assert_eq!(log, Range::from("log"));
/// let recent = Range::prefix("log").start(("log", 7));
/// let some = Range::new(("log", 7), ("log", 9));
/// assert_ne!(recent, some);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range(Selector);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Selector {
    Prefix {
        prefix: Key,
    },
    PrefixStart {
        prefix: Key,
        start: Key,
    },
    PrefixEnd {
        prefix: Key,
        end: Key,
    },
    Between {
        start: Key,
        end: Key,
    },
    All,
    Raw {
        start: Bytes,
        end: Bytes,
    },
    /// More was asked for than a range can be; the text says what.
    Invalid(&'static str),
}

impl Range {
    /// All keys that begin with the parts of `prefix` and go on. `prefix` itself is not among them.
    /// The empty prefix covers every tuple (R05).
    pub fn prefix(prefix: impl Into<Key>) -> Self {
        let prefix = prefix.into();
        Self(Selector::Prefix { prefix })
    }

    /// Leaves out the keys of a prefix that come before `start`, which must be below the prefix.
    #[must_use]
    pub fn start(self, start: impl Into<Key>) -> Self {
        Self(match self.0 {
            Selector::Prefix { prefix } => {
                let start = start.into();
                Selector::PrefixStart { prefix, start }
            }
            Selector::Invalid(why) => Selector::Invalid(why),
            _ => Selector::Invalid("a start goes with a prefix that has no start or end yet"),
        })
    }

    /// Leaves out the keys of a prefix from `end` on, which must be below the prefix.
    #[must_use]
    pub fn end(self, end: impl Into<Key>) -> Self {
        Self(match self.0 {
            Selector::Prefix { prefix } => {
                let end = end.into();
                Selector::PrefixEnd { prefix, end }
            }
            Selector::Invalid(why) => Selector::Invalid(why),
            _ => Selector::Invalid("an end goes with a prefix that has no start or end yet"),
        })
    }

    /// All keys from `start`, included, to `end`, excluded. Nothing if they are equal.
    pub fn new(start: impl Into<Key>, end: impl Into<Key>) -> Self {
        let (start, end) = (start.into(), end.into());
        Self(Selector::Between { start, end })
    }

    /// Every key there is. Unlike the empty prefix, this also covers [raw](Key::raw) keys that no
    /// tuple could sort beside.
    pub fn all() -> Self {
        Self(Selector::All)
    }

    /// All keys whose bytes are from `start`, included, to `end`, excluded. Nothing if `start` is
    /// not before `end`, and no error then.
    pub fn raw(start: impl Into<Bytes>, end: impl Into<Bytes>) -> Self {
        let (start, end) = (start.into(), end.into());
        Self(Selector::Raw { start, end })
    }

    /// The keys this comes to, or why it comes to none.
    pub(crate) fn bounds(&self, limits: &Limits) -> Result<Bounds> {
        let bounds = match &self.0 {
            Selector::Prefix { prefix } => Bounds::below(prefix),
            Selector::PrefixStart { prefix, start } => {
                if !is_below(start, prefix) {
                    return Err(Error::start_outside_prefix());
                }
                Bounds::below(prefix).and_from(start.as_bytes())
            }
            Selector::PrefixEnd { prefix, end } => {
                if !is_below(end, prefix) {
                    return Err(Error::end_outside_prefix());
                }
                Bounds::below(prefix).and_before(end.as_bytes())
            }
            Selector::Between { start, end } => {
                if start > end {
                    return Err(Error::start_after_end());
                }
                Bounds {
                    start: BoundBytes::from_slice(start.as_bytes()),
                    end: Some(BoundBytes::from_slice(end.as_bytes())),
                }
            }
            Selector::All => Bounds {
                start: BoundBytes::new(),
                end: None,
            },
            Selector::Raw { start, end } => Bounds {
                start: BoundBytes::from_slice(start),
                end: Some(BoundBytes::from_slice(end)),
            },
            Selector::Invalid(why) => return Err(Error::invalid_selector(why)),
        };
        self.check_lengths(&bounds, limits)?;
        Ok(bounds)
    }

    /// Both the bounds as said and the bounds as cut must be readable, whichever is longer.
    fn check_lengths(&self, bounds: &Bounds, limits: &Limits) -> Result<()> {
        let said = [self.explicit_start(), self.explicit_end()];
        let cut = [Some(&bounds.start[..]), bounds.end.as_deref()];
        let mut lengths = said.into_iter().chain(cut).flatten().map(<[u8]>::len);
        lengths.try_for_each(|bytes| limits.check_bound(bytes))
    }

    /// The start that the caller named, uncut.
    pub(super) fn explicit_start(&self) -> Option<&[u8]> {
        match &self.0 {
            Selector::PrefixStart { start, .. } | Selector::Between { start, .. } => {
                Some(start.as_bytes())
            }
            Selector::Raw { start, .. } => Some(start),
            _ => None,
        }
    }

    /// The end that the caller named, uncut.
    pub(super) fn explicit_end(&self) -> Option<&[u8]> {
        match &self.0 {
            Selector::PrefixEnd { end, .. } | Selector::Between { end, .. } => Some(end.as_bytes()),
            Selector::Raw { end, .. } => Some(end),
            _ => None,
        }
    }

    /// The bytes that every key in the range begins with: those of the prefix, or what the bounds
    /// share, which may end in the middle of a part.
    pub(super) fn common_prefix(&self) -> &[u8] {
        match &self.0 {
            Selector::Prefix { prefix }
            | Selector::PrefixStart { prefix, .. }
            | Selector::PrefixEnd { prefix, .. } => prefix.as_bytes(),
            Selector::Between { start, end } => shared(start.as_bytes(), end.as_bytes()),
            Selector::Raw { start, end } => shared(start, end),
            Selector::All | Selector::Invalid(_) => &[],
        }
    }
}

/// Whether `key` begins with `prefix`, in bytes, and goes on.
fn is_below(key: &Key, prefix: &Key) -> bool {
    key.as_bytes().len() > prefix.as_bytes().len() && key.as_bytes().starts_with(prefix.as_bytes())
}

fn shared<'a>(a: &'a [u8], b: &[u8]) -> &'a [u8] {
    let bytes = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    &a[..bytes]
}

impl<K: Into<Key>> From<K> for Range {
    /// The range of all keys below this one.
    fn from(prefix: K) -> Self {
        Self::prefix(prefix)
    }
}

impl From<&Self> for Range {
    fn from(range: &Self) -> Self {
        range.clone()
    }
}

/// An encoded key, or what lies between two; on the heap only where it is long.
pub(crate) type BoundBytes = SmallVec<[u8; 40]>;

/// These bytes, and one more.
pub(crate) fn followed_by(bytes: &[u8], last: u8) -> BoundBytes {
    let mut bound = BoundBytes::from_slice(bytes);
    bound.push(last);
    bound
}

/// An interval of encoded keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Included.
    pub(crate) start: BoundBytes,
    /// Excluded; `None` is beyond every key.
    pub(crate) end: Option<BoundBytes>,
}

impl Bounds {
    /// No keys.
    pub(crate) fn nothing() -> Self {
        Self {
            start: BoundBytes::new(),
            end: Some(BoundBytes::new()),
        }
    }

    /// Whether no key can be in here.
    pub(crate) fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| self.start >= *end)
    }

    /// Whether a key is in here.
    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        &self.start[..] <= key && self.end.as_ref().is_none_or(|end| key < &end[..])
    }

    /// The keys below `prefix`.
    fn below(prefix: &Key) -> Self {
        Self {
            start: followed_by(prefix.as_bytes(), 0x00),
            end: Some(followed_by(prefix.as_bytes(), 0xff)),
        }
    }

    /// Of these keys, those from `start` on.
    #[must_use]
    pub(super) fn and_from(mut self, start: &[u8]) -> Self {
        if start > &self.start[..] {
            self.start = BoundBytes::from_slice(start);
        }
        self
    }

    /// Of these keys, those before `end`.
    #[must_use]
    pub(super) fn and_before(mut self, end: &[u8]) -> Self {
        if self.end.as_ref().is_none_or(|own| end < &own[..]) {
            self.end = Some(BoundBytes::from_slice(end));
        }
        self
    }
}
