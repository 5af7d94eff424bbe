//! The commit number, inside and outside.
//!
//! Inside the engine a commit is named by a [`Stamp`], a 64-bit number. Outside it is the
//! [`Versionstamp`] that Deno KV shows: ten bytes, the first eight of which are the stamp in
//! big-endian order and the last two of which are zero, so that byte order, hexadecimal order and
//! commit order agree (V03).

use std::fmt;
use std::str::FromStr;

/// The internal commit number. The first commit of an engine has stamp 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Stamp(u64);

impl Stamp {
    /// Older than every commit: a read at this stamp sees an empty engine.
    pub(crate) const ZERO: Self = Self(0);

    /// The largest stamp that a stamp word can hold beside its tag bits. At a billion commits a
    /// second it is reached after 146 years.
    pub(crate) const MAX: Self = Self((1 << 62) - 1);

    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }

    pub(crate) const fn get(self) -> u64 {
        self.0
    }
}

/// The version of an entry: which commit wrote it.
///
/// Ten bytes, shown as twenty lower-case hexadecimal digits. Versionstamps of one engine grow
/// strictly with the order of its commits, all entries that one commit wrote carry the same one,
/// and the gaps between them mean nothing. They say nothing across engines.
///
/// ```
/// let kv = kvick::Kv::new();
/// let first = kv.set(("log", 1), "one")?;
/// let second = kv.set(("log", 2), "two")?;
/// assert!(first < second);
/// assert_eq!(first.to_string().len(), 20);
/// assert_eq!(first.to_string().parse(), Ok(first));
/// # Ok::<(), kvick::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Versionstamp([u8; 10]);

impl Versionstamp {
    /// The versionstamp with these bytes. Any ten bytes are one; whether a commit ever had it is
    /// another matter.
    pub const fn from_bytes(bytes: [u8; 10]) -> Self {
        Self(bytes)
    }

    /// The ten bytes.
    pub const fn to_bytes(self) -> [u8; 10] {
        self.0
    }

    /// The bytes, borrowed.
    pub const fn as_bytes(&self) -> &[u8; 10] {
        &self.0
    }
}

impl From<Stamp> for Versionstamp {
    fn from(stamp: Stamp) -> Self {
        let mut bytes = [0; 10];
        let (number, _) = bytes.split_at_mut(8);
        number.copy_from_slice(&stamp.get().to_be_bytes());
        Self(bytes)
    }
}

impl Versionstamp {
    /// The smallest stamp whose versionstamp is not below this one.
    pub(crate) fn ceiling(self) -> Stamp {
        let floor = self.floor();
        let is_above = self > floor.into();
        Stamp::new(floor.get().saturating_add(is_above.into())).min(Stamp::MAX)
    }

    /// The largest stamp whose versionstamp is not above this one.
    pub(crate) fn floor(self) -> Stamp {
        let number = self.0.first_chunk::<8>().copied().unwrap_or_default();
        Stamp::new(u64::from_be_bytes(number)).min(Stamp::MAX)
    }

    /// The stamp this stands for, or `None` where no commit of any engine can have it: zero, the
    /// last two bytes in use, or beyond [`Stamp::MAX`] (A05).
    pub(crate) fn stamp(self) -> Option<Stamp> {
        let (number, [0, 0]) = self.0.split_first_chunk::<8>()? else {
            return None;
        };
        let stamp = Stamp::new(u64::from_be_bytes(*number));
        (stamp > Stamp::ZERO && stamp <= Stamp::MAX).then_some(stamp)
    }
}

impl fmt::Display for Versionstamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Versionstamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Versionstamp({self})")
    }
}

/// Why a text is no versionstamp: it is not exactly twenty hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseVersionstampError {
    len: usize,
    /// Where something else than a digit is, of as many bytes as there should be.
    at: Option<usize>,
}

impl fmt::Display for ParseVersionstampError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("versionstamp must be 20 hexadecimal digits, got ")?;
        match self.at {
            None => write!(f, "{} bytes of text", self.len),
            Some(at) => write!(f, "something else at byte {at}"),
        }
    }
}

impl std::error::Error for ParseVersionstampError {}

impl FromStr for Versionstamp {
    type Err = ParseVersionstampError;

    /// Twenty hexadecimal digits, upper or lower case (A05).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let at = text.bytes().position(|byte| !byte.is_ascii_hexdigit());
        let error = ParseVersionstampError {
            len: text.len(),
            at: at.filter(|_| text.len() == 20),
        };
        let digits: &[u8; 20] = text.as_bytes().try_into().map_err(|_| error)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(error);
        let mut bytes = [0; 10];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = *pair else {
                return Err(error);
            };
            *byte = u8::try_from(digit(high)? << 4 | digit(low)?).map_err(|_| error)?;
        }
        Ok(Self(bytes))
    }
}
