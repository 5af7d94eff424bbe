//! Which keys a range selects, said again and differently from how the library says it.

use kvick::{ErrorKind, Key, Range};

/// A range, by what the user said.
#[derive(Clone, Debug)]
pub(crate) enum Selector {
    All,
    Prefix(Key),
    PrefixStart(Key, Key),
    PrefixEnd(Key, Key),
    Between(Key, Key),
    Raw(Key, Key),
}

impl Selector {
    pub(crate) fn range(&self) -> Range {
        match self {
            Self::All => Range::all(),
            Self::Prefix(prefix) => Range::prefix(prefix),
            Self::PrefixStart(prefix, start) => Range::prefix(prefix).start(start),
            Self::PrefixEnd(prefix, end) => Range::prefix(prefix).end(end),
            Self::Between(start, end) => Range::new(start, end),
            Self::Raw(start, end) => Range::raw(start.as_bytes().to_vec(), end.as_bytes().to_vec()),
        }
    }

    /// Why it selects nothing at all (R07, R08).
    pub(crate) fn refusal(&self) -> Option<ErrorKind> {
        let is_refused = match self {
            Self::All | Self::Prefix(_) | Self::Raw(..) => false,
            Self::PrefixStart(prefix, bound) | Self::PrefixEnd(prefix, bound) => {
                !continues(bound.as_bytes(), prefix)
            }
            Self::Between(start, end) => start > end,
        };
        is_refused.then_some(ErrorKind::InvalidSelector)
    }

    /// Whether it selects a key (R04 to R10).
    pub(crate) fn selects(&self, key: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Prefix(prefix) => is_below(key, prefix),
            Self::PrefixStart(prefix, start) => is_below(key, prefix) && key >= start.as_bytes(),
            Self::PrefixEnd(prefix, end) => is_below(key, prefix) && key < end.as_bytes(),
            Self::Between(start, end) | Self::Raw(start, end) => {
                key >= start.as_bytes() && key < end.as_bytes()
            }
        }
    }
}

/// Whether the bytes of `key` begin with those of `prefix` and go on.
fn continues(key: &[u8], prefix: &Key) -> bool {
    key.strip_prefix(prefix.as_bytes())
        .is_some_and(|rest| !rest.is_empty())
}

/// Whether `key` has the parts of `prefix` and more: what comes next is the tag of a part, and `ff`
/// is none but the second half of a zero byte in the last part of the prefix.
fn is_below(key: &[u8], prefix: &Key) -> bool {
    continues(key, prefix) && key[prefix.as_bytes().len()] != 0xff
}
