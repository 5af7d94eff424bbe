//! Keys: tuples of parts, held as their order-preserving encoding.
//!
//! A [`Key`] is encoded when it is built, once, and is bytes from then on: what the engine hashes,
//! compares and stores. Its parts exist only while it is built ([`part`], [`convert`]) and when
//! somebody asks for them back ([`codec`]). A [`Range`] selects keys, and a [`Cursor`] marks a
//! place in one.
//!
//! Short keys are held inline and long ones shared, so that building a short key allocates nothing
//! and cloning a key never does. Building cannot fail: the one part without an encoding, a huge
//! bigint, is refused where that bigint is made, and length is a matter of limits, which are
//! checked where the key is used.

mod bigint;
mod codec;
mod convert;
mod cursor;
mod encoder;
mod map;
mod part;
mod range;

pub use self::bigint::BigInt;
pub use self::cursor::Cursor;
pub use self::part::KeyPart;
pub use self::range::Range;

pub(crate) use self::map::KeyMap;
pub(crate) use self::range::{BoundBytes, Bounds, followed_by};

use self::encoder::Encoder;
use crate::error::Result;
use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The longest key that is held inline.
const INLINE_BYTES_MAX: usize = size_of::<Inline>() - 1;

/// The name of an entry: a tuple of [parts](KeyPart).
///
/// Everything that takes a key takes whatever converts into one: a tuple of up to eight parts, an
/// array of parts of one type, or a single part, which is the tuple of itself. `()` is the empty
/// key, which can be read (nothing is there) and listed under, but not written.
///
/// ```
/// use kvick::Key;
///
/// let key = Key::from(("account", "alice", 1));
/// assert_eq!(format!("{key:?}"), r#"["account", "alice", 1]"#);
/// assert_eq!(Key::from(["account", "alice"]).join(1), key);
/// assert_eq!(Key::from("account"), Key::from(("account",)));
/// ```
///
/// Keys sort part by part, as [`KeyPart`] says, and a key before the keys that it is the beginning
/// of. **An integer becomes a number or a bigint by its type**; [`KeyPart`] says which and why, and
/// the two are different keys. **An array of `u8` is one part of bytes**, not a tuple of numbers.
///
/// ```
/// use kvick::Key;
///
/// assert!(Key::from(("a",)) < Key::from(("a", "x")));
/// assert!(Key::from(("a", "x")) < Key::from(("ab",)));
/// assert_ne!(Key::from(("users", 1)), Key::from(("users", 1u64)));
/// assert_eq!(Key::from([1u8, 2]), Key::from((b"\x01\x02",)));
/// ```
///
/// A type of your own becomes usable as a part with `impl From<..> for KeyPart<'_>`, and as a whole
/// key with `impl From<..> for Key`.
#[derive(Clone)]
pub struct Key {
    /// Of the bytes, or of the words that hold them and their number. A key that is used again, or twice in one operation, is hashed once; and what
    /// was just copied is not read back at once in other pieces, which processors are slow at.
    hash: u64,
    repr: Repr,
}

/// A key of at most [`INLINE_BYTES_MAX`] bytes is always `Inline`.
#[derive(Clone)]
enum Repr {
    Inline(Inline),
    Shared(Arc<[u8]>),
}

/// What is held inline: the bytes of a key, zeros, and in the last place their number. It makes a
/// `Key` six words: the hash, the tag, and these four, which are copied as whole words. (As an array
/// of 31 and a number they would be copied in pieces that overlap, and processors are slow at
/// reading back what was just written in other pieces.)
#[derive(Clone, Copy)]
#[repr(align(8))]
struct Inline([u8; 32]);

impl Inline {
    /// From words with the first byte of each lowest.
    #[inline]
    fn new(words: [u64; 4]) -> Self {
        let mut bytes = [0; 32];
        for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
            *bytes = word.to_le_bytes();
        }
        Self(bytes)
    }
}

/// The hash of an encoded key: the same for equal keys within a process, and not to be foreseen
/// from outside, so that nobody can choose keys that collide.
#[inline]
fn hash_of(write: impl FnOnce(&mut FoldHasher<'_>)) -> u64 {
    let mut hasher = FoldHasher::with_seed(0, seed());
    write(&mut hasher);
    hasher.finish()
}

#[cfg(not(any(simulated, fuzzing)))]
#[inline]
fn seed() -> &'static SharedSeed {
    SharedSeed::global_random()
}

/// The same in every process: what a simulation does is repeated from its own seed alone, and what
/// a fuzzer does from its input.
#[cfg(any(simulated, fuzzing))]
fn seed() -> &'static SharedSeed {
    SharedSeed::global_fixed()
}

impl Key {
    /// The key of these parts.
    ///
    /// ```
    /// use kvick::Key;
    ///
    /// let path = "usr/share/doc";
    /// assert_eq!(Key::from_parts(path.split('/')), Key::from(("usr", "share", "doc")));
    /// ```
    pub fn from_parts<'a, P: Into<KeyPart<'a>>>(parts: impl IntoIterator<Item = P>) -> Self {
        let mut encoder = Encoder::new();
        for part in parts {
            encoder.part(&part.into());
        }
        encoder.finish()
    }

    /// The key that is exactly these bytes, whether or not they are an encoded tuple.
    ///
    /// It sorts among the other keys by its bytes. [`parts`](Self::parts) fails on it unless the
    /// bytes happen to be an encoding (K10), and a list under a prefix sees it only where they
    /// look like one.
    ///
    /// ```
    /// use kvick::Key;
    ///
    /// assert_eq!(Key::raw(b"\x02a\0"), Key::from("a"));
    /// assert_eq!(format!("{:?}", Key::raw("a")), "raw 0x61");
    /// ```
    pub fn raw(bytes: impl AsRef<[u8]>) -> Self {
        Self::from_encoded(bytes.as_ref())
    }

    /// This key with one more part at its end.
    ///
    /// ```
    /// use kvick::Key;
    ///
    /// let users = Key::from("users");
    /// assert_eq!(users.join("alice").join(7), Key::from(("users", "alice", 7)));
    /// ```
    #[must_use]
    pub fn join<'a, P: Into<KeyPart<'a>>>(&self, part: P) -> Self {
        let mut encoder = Encoder::new();
        encoder.extend(self.as_bytes());
        encoder.part(&part.into());
        encoder.finish()
    }

    /// The parts, in order.
    ///
    /// ```
    /// use kvick::{Key, KeyPart};
    ///
    /// let key = Key::from(("account", "alice"));
    /// let [KeyPart::String(_), KeyPart::String(name)] = &key.parts()?[..] else { panic!() };
    /// assert_eq!(name, "alice");
    /// # Ok::<(), kvick::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`KeyUndecodable`](crate::ErrorKind::KeyUndecodable) if the key is no encoded tuple, which
    /// only a [raw](Self::raw) key can fail to be.
    pub fn parts(&self) -> Result<Vec<KeyPart<'_>>> {
        codec::decode(self.as_bytes())
    }

    /// The encoded key.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.repr {
            Repr::Inline(Inline(bytes)) => {
                let [.., len] = *bytes;
                &bytes[..usize::from(len)]
            }
            Repr::Shared(bytes) => bytes,
        }
    }

    /// The hash of the encoded key, all of whose bits depend on all of its bytes.
    pub(crate) fn hash_code(&self) -> u64 {
        self.hash
    }

    /// Whether this is the key without parts.
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }

    /// The key with this encoding.
    #[inline]
    pub(crate) fn from_encoded(encoded: &[u8]) -> Self {
        let mut key = Encoder::new();
        key.extend(encoded);
        key.finish()
    }

    /// The key with these words, the first byte of each lowest: its bytes, zeros, and its length.
    #[inline]
    fn inline(words: [u64; 4]) -> Self {
        Self {
            // The length is among them, so there is no end that would have to be cut off.
            hash: hash_of(|hasher| words.into_iter().for_each(|word| hasher.write_u64(word))),
            repr: Repr::Inline(Inline::new(words)),
        }
    }

    /// The key with an encoding that is too long to be held inline.
    fn shared(encoded: &[u8]) -> Self {
        Self {
            hash: hash_of(|hasher| hasher.write(encoded)),
            repr: Repr::Shared(encoded.into()),
        }
    }
}

impl Default for Key {
    /// The empty key.
    fn default() -> Self {
        Encoder::new().finish()
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

// Equality, order and hash are those of the bytes, as `Borrow` asks.
impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
            && match (&self.repr, &other.repr) {
                // What lies behind the key is zero in both.
                (Repr::Inline(one), Repr::Inline(other)) => one.0 == other.0,
                _ => self.as_bytes() == other.as_bytes(),
            }
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Debug for Key {
    /// The parts as JavaScript would write them, `["account", "alice", 1n]`, or `raw 0x…` where the
    /// bytes are no tuple.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Ok(parts) = self.parts() {
            let mut list = f.debug_list();
            for part in parts {
                list.entry(&format_args!("{part}"));
            }
            list.finish()
        } else {
            f.write_str("raw 0x")?;
            let mut bytes = self.as_bytes().iter();
            bytes.try_for_each(|byte| write!(f, "{byte:02x}"))
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
