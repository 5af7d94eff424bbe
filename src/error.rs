//! The one error type.
//!
//! An [`Error`] is opaque: a [`kind`](Error::kind) to match on, a text to show, and for errors that
//! came from elsewhere the error itself. What a caller is expected to meet and go on from (a check
//! that failed, a transaction that gave up) is an outcome and never an error.
//!
//! The texts that Deno's own tests look for are kept word for word, so that a client which matches
//! on them keeps working; the offending value follows them. An error is one pointer wide, because
//! it travels in the `Result` of every call and almost never exists.

#[cfg(feature = "denokv")]
mod backend;
mod copy;
mod text;

pub(crate) use self::copy::ExportPlace;

use self::copy::CopyCause;
use crate::version::ParseVersionstampError;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// An error of somebody else's, carried inside of ours.
type Source = Box<dyn StdError + Send + Sync>;

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation was refused or could not be done.
///
/// A refused operation has had no effect. Match on [`kind`](Self::kind); the text is for people.
///
/// ```
/// use kvick::{BigInt, Error, ErrorKind};
///
/// let error = BigInt::from_be_bytes(false, &[0xff; 256]).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::KeyUnencodable);
/// assert_eq!(error.to_string(), "bigint magnitude is 256 bytes, limit is 255");
/// assert_eq!(size_of::<Error>(), size_of::<usize>());
/// ```
pub struct Error(Box<Cause>);

/// What kind of thing went wrong, to match on.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A key without parts where one is written or checked.
    KeyEmpty,
    /// The encoded key, or a bound of a range, is longer than the limit.
    KeyTooLarge,
    /// A key part that has no encoding: a bigint of more than 255 bytes.
    KeyUnencodable,
    /// The bytes of a key are not an encoded tuple.
    KeyUndecodable,
    /// The value is longer than the limit.
    ValueTooLarge,
    /// A type that cannot be stored as a value: it refuses, or nests too deep.
    ValueUnencodable,
    /// The bytes of a V8 value are not what V8 writes, or stand for more than may be read.
    ValueUndecodable,
    /// One read asks for more ranges than the limit.
    TooManyRanges,
    /// One watch has more keys than the limit.
    TooManyKeys,
    /// One read asks for more entries than the limit.
    TooManyEntries,
    /// One atomic operation has more checks than the limit.
    TooManyChecks,
    /// One atomic operation has more mutations and enqueues than the limit.
    TooManyMutations,
    /// The keys and values of one atomic operation are longer, together, than the limit.
    TotalTooLarge,
    /// The keys that one atomic operation writes are longer, together, than the limit.
    TotalKeysTooLarge,
    /// A limit or batch size of zero.
    InvalidLimit,
    /// A range that selects by contradictory or impossible bounds.
    InvalidSelector,
    /// A text that is no cursor.
    InvalidCursor,
    /// A cursor that lies outside of the range it is used with.
    CursorOutOfBounds,
    /// A text that is no versionstamp.
    InvalidVersionstamp,
    /// An entry that is to expire later than can be told.
    InvalidExpiry,
    /// A mutation that does not fit the type of the stored value or of its operand, or a type that
    /// the stored value does not read as.
    TypeMismatch,
    /// The result of a sum is beyond the bounds that it was given.
    SumOutOfRange,
    /// Updates that cannot be made: not as many as there are keys.
    InvalidUpdate,
    /// A message that cannot be enqueued as was asked for: its payload, its delay, its backoff
    /// schedule, its keys if undelivered or the name of its queue is beyond a limit.
    InvalidEnqueue,
    /// A transaction was aborted by its closure: what `Transaction::abort` returns to it. The
    /// caller of the transaction gets an outcome instead.
    Aborted,
    /// The allocator refused memory that a commit wants: for a version, a key, a table, a leaf of
    /// the ordered index, or the lists of a large operation. (What is small and of a fixed size, an index node or what a read
    /// returns, is allocated as everywhere in Rust: a refusal ends the process.)
    OutOfMemory,
    /// The [memory limit](crate::Builder::memory_limit) leaves no room for what a commit or an import is
    /// going to keep, and none could be made.
    MemoryLimit,
    /// The [limit of entries](crate::Builder::entry_limit) is reached, and none may be evicted; or what is
    /// to be set is [heavier](crate::Builder::weigher) than all of it.
    EntryLimit,
    /// What is to be imported is no export, or not all of one, or has been damaged.
    InvalidExport,
    /// An export in a format of a later version than this one reads.
    ExportTooNew,
    /// A key that is to be imported has an entry already.
    KeyExists,
    /// Versionstamps that are to be kept, and a database in which something was committed.
    NotEmpty,
    /// The writer or reader of an export has failed. [`Error::downcast_ref`] gives its error.
    Io,
    /// A write to an engine that only reads.
    ReadOnly,
    /// The engine was closed, or the last handle to it is gone and a stream or a listener is left; or
    /// a watch is waited for that watches no key.
    Closed,
    /// A load that would wait for itself: a loader that loads its own key, by whatever way round.
    RecursiveLoad,
    /// The database of a client (feature `denokv`) has failed, in a way that has no kind here.
    /// [`Error::downcast_ref`] gives its error.
    Backend,
    /// What is asked for cannot be said in the protocol between a client (feature `denokv`) and its
    /// database, or the database does not do it.
    Unsupported,
    /// An error of the caller's own, passed through: see [`Error::other`].
    Other,
}

/// A limit for which room can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limited {
    Memory { wanted: usize },
    Entries { wanted: usize },
}

/// A limit of entries that is reached.
struct EntryLimit {
    /// How much more they would weigh.
    wanted: usize,
    max: usize,
    /// Whether they weigh anything but 1.
    is_weighed: bool,
}

impl fmt::Display for EntryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wanted, max, .. } = self;
        if self.is_weighed {
            write!(
                f,
                "entry limit reached (max weight {max}): {wanted} more was wanted"
            )
        } else {
            write!(f, "entry limit reached (max {max} entries)")
        }
    }
}

/// What an [`Error`] points to.
enum Cause {
    /// A text that says it all.
    Text(ErrorKind, &'static str),
    /// A number above its limit. The text is `what (max {max}{unit}): got {got}{unit}`.
    Limit {
        kind: ErrorKind,
        what: &'static str,
        unit: &'static str,
        max: usize,
        got: usize,
    },
    OutOfMemory {
        bytes: usize,
    },
    MemoryLimit {
        wanted: usize,
        /// What is in use, and the limit, once somebody has looked.
        of: Option<(u64, u64)>,
    },
    EntryLimit(EntryLimit),
    BigIntTooLong {
        got: usize,
        max: usize,
    },
    Undecodable {
        what: &'static str,
        offset: usize,
    },
    /// Of `ValueUnencodable`, `ValueUndecodable` or `TypeMismatch`.
    #[cfg(feature = "serde")]
    Value {
        kind: ErrorKind,
        what: String,
    },
    NotPositive {
        what: &'static str,
    },
    ExpiryTooLarge {
        got: Duration,
        max: Duration,
    },
    NotU64 {
        operation: &'static str,
        what: &'static str,
    },
    NotV8Scalar {
        what: &'static str,
    },
    CannotSum {
        stored: &'static str,
        operand: &'static str,
    },
    BoundOfAnotherType {
        bound: &'static str,
        operand: &'static str,
    },
    SumOutOfRange {
        what: String,
    },
    UpdateCount {
        got: usize,
        keys: usize,
    },
    BackoffTooMany {
        got: usize,
        max: usize,
    },
    BackoffTooLong {
        index: usize,
        got: Duration,
        max: Duration,
    },
    /// Of an export or import.
    Copy(CopyCause),
    Versionstamp(ParseVersionstampError),
    /// Of the database of a client.
    #[cfg(feature = "denokv")]
    Backend {
        kind: ErrorKind,
        source: Source,
    },
    /// One that several callers are told.
    Shared(Arc<Error>),
    Other(Source),
}

impl Error {
    /// Wraps an error of your own, so that it passes through a closure that this crate runs.
    ///
    /// Its kind is [`ErrorKind::Other`], it prints as `source` does, and [`downcast`](Self::downcast)
    /// gives `source` back.
    ///
    /// ```
    /// use kvick::{Error, ErrorKind};
    ///
    /// let error = Error::other("insufficient funds");
    /// assert_eq!(error.kind(), ErrorKind::Other);
    /// assert_eq!(error.to_string(), "insufficient funds");
    /// ```
    pub fn other(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Cause::Other(source.into()).into()
    }

    /// What kind of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        match *self.0 {
            Cause::Text(kind, _) | Cause::Limit { kind, .. } => kind,
            #[cfg(feature = "denokv")]
            Cause::Backend { kind, .. } => kind,
            #[cfg(feature = "serde")]
            Cause::Value { kind, .. } => kind,
            Cause::BigIntTooLong { .. } => ErrorKind::KeyUnencodable,
            Cause::Undecodable { .. } => ErrorKind::KeyUndecodable,
            Cause::OutOfMemory { .. } => ErrorKind::OutOfMemory,
            Cause::MemoryLimit { .. } => ErrorKind::MemoryLimit,
            Cause::EntryLimit(_) => ErrorKind::EntryLimit,
            Cause::NotPositive { .. } => ErrorKind::InvalidLimit,
            Cause::ExpiryTooLarge { .. } => ErrorKind::InvalidExpiry,
            Cause::NotU64 { .. }
            | Cause::NotV8Scalar { .. }
            | Cause::CannotSum { .. }
            | Cause::BoundOfAnotherType { .. } => ErrorKind::TypeMismatch,
            Cause::SumOutOfRange { .. } => ErrorKind::SumOutOfRange,
            Cause::UpdateCount { .. } => ErrorKind::InvalidUpdate,
            Cause::BackoffTooMany { .. } | Cause::BackoffTooLong { .. } => {
                ErrorKind::InvalidEnqueue
            }
            Cause::Copy(ref cause) => cause.kind(),
            Cause::Versionstamp(_) => ErrorKind::InvalidVersionstamp,
            Cause::Shared(ref error) => error.kind(),
            Cause::Other(_) => ErrorKind::Other,
        }
    }

    /// The error given to [`other`](Self::other), or that of a writer, a reader, or the database of a client,
    /// if it was an `E`.
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        match &*self.0 {
            Cause::Copy(cause) => cause.io()?.downcast_ref(),
            Cause::Other(source) => source.downcast_ref(),
            #[cfg(feature = "denokv")]
            Cause::Backend { source, .. } => source.downcast_ref(),
            Cause::Shared(error) => error.downcast_ref(),
            _ => None,
        }
    }

    /// Takes out the error given to [`other`](Self::other), or that of a writer or reader.
    ///
    /// ```
    /// use kvick::Error;
    ///
    /// let error = Error::other("12a".parse::<u32>().unwrap_err());
    /// assert!(error.downcast::<std::num::ParseIntError>().is_ok());
    /// ```
    ///
    /// # Errors
    ///
    /// This error itself, if there was none or it was not an `E`.
    pub fn downcast<E: StdError + Send + Sync + 'static>(self) -> Result<E, Self> {
        match *self.0 {
            Cause::Other(source) => match source.downcast() {
                Ok(source) => Ok(*source),
                Err(source) => Err(Cause::Other(source).into()),
            },
            Cause::Copy(CopyCause::Io { doing, at, source }) => match source.downcast() {
                Ok(source) => Ok(*source),
                Err(source) => Err(CopyCause::Io { doing, at, source }.into()),
            },
            // Of one that others have as well there is no taking out.
            Cause::Shared(error) => match Arc::try_unwrap(error) {
                Ok(error) => error.downcast(),
                Err(error) => Err(Cause::Shared(error).into()),
            },
            cause => Err(cause.into()),
        }
    }
}

/// The constructors, one for each text.
impl Error {
    /// The same error, of one of those who are told it.
    pub(crate) fn shared(error: Arc<Self>) -> Self {
        Cause::Shared(error).into()
    }

    pub(crate) fn recursive_load() -> Self {
        let text = "load would wait for itself: its key is being loaded further up";
        Cause::Text(ErrorKind::RecursiveLoad, text).into()
    }

    pub(crate) fn key_empty() -> Self {
        Cause::Text(ErrorKind::KeyEmpty, "key cannot be empty").into()
    }

    pub(crate) fn key_too_large_for_write(got: usize, max: usize) -> Self {
        Self::too_long(ErrorKind::KeyTooLarge, "Key too large for write", got, max)
    }

    /// `got` is the length of the range bound, which for the read of one key is the key and a byte.
    pub(crate) fn key_too_large_for_read(got: usize, max: usize) -> Self {
        Self::too_long(ErrorKind::KeyTooLarge, "Key too large for read", got, max)
    }

    pub(crate) fn key_unencodable(got: usize, max: usize) -> Self {
        Cause::BigIntTooLong { got, max }.into()
    }

    pub(crate) fn key_undecodable(what: &'static str, offset: usize) -> Self {
        Cause::Undecodable { what, offset }.into()
    }

    pub(crate) fn value_too_large(got: usize, max: usize) -> Self {
        Self::too_long(ErrorKind::ValueTooLarge, "Value too large", got, max)
    }

    /// The three kinds of what goes wrong between a type and a value. `what` says where as well.
    #[cfg(feature = "serde")]
    pub(crate) fn value_refused(kind: ErrorKind, what: String) -> Self {
        Cause::Value { kind, what }.into()
    }

    pub(crate) fn too_many_ranges(got: usize, max: usize) -> Self {
        Self::too_many(ErrorKind::TooManyRanges, "Too many ranges", got, max)
    }

    pub(crate) fn too_many_keys(got: usize, max: usize) -> Self {
        Self::too_many(ErrorKind::TooManyKeys, "Too many keys", got, max)
    }

    pub(crate) fn too_many_entries(got: usize, max: usize) -> Self {
        Self::too_many(ErrorKind::TooManyEntries, "Too many entries", got, max)
    }

    pub(crate) fn too_many_checks(got: usize, max: usize) -> Self {
        Self::too_many(ErrorKind::TooManyChecks, "Too many checks", got, max)
    }

    pub(crate) fn too_many_mutations(got: usize, max: usize) -> Self {
        Self::too_many(ErrorKind::TooManyMutations, "Too many mutations", got, max)
    }

    pub(crate) fn total_too_large(got: usize, max: usize) -> Self {
        let what = "Total mutation size too large";
        Self::too_long(ErrorKind::TotalTooLarge, what, got, max)
    }

    pub(crate) fn total_keys_too_large(got: usize, max: usize) -> Self {
        let what = "Total key size too large";
        Self::too_long(ErrorKind::TotalKeysTooLarge, what, got, max)
    }

    #[cold]
    pub(crate) fn out_of_memory(bytes: usize) -> Self {
        Cause::OutOfMemory { bytes }.into()
    }

    #[cold]
    pub(crate) fn memory_limit(wanted: usize) -> Self {
        Cause::MemoryLimit { wanted, of: None }.into()
    }

    pub(crate) fn memory_limit_reached(wanted: usize, used: u64, limit: u64) -> Self {
        let of = Some((used, limit));
        Cause::MemoryLimit { wanted, of }.into()
    }

    #[cold]
    pub(crate) fn entry_limit(wanted: usize) -> Self {
        Self::entry_limit_reached(wanted, 0, false)
    }

    pub(crate) fn entry_limit_reached(wanted: usize, max: usize, is_weighed: bool) -> Self {
        Cause::EntryLimit(EntryLimit {
            wanted,
            max,
            is_weighed,
        })
        .into()
    }

    pub(crate) fn entry_too_heavy(got: usize, max: usize) -> Self {
        Cause::Limit {
            kind: ErrorKind::EntryLimit,
            what: "Entry too heavy",
            unit: "",
            max,
            got,
        }
        .into()
    }

    /// The same; where a limit of entries has refused it, with how much more all of it would weigh.
    pub(crate) fn wanting_entries(self, wanted: impl FnOnce() -> u64) -> Self {
        match self.refused_by_limit() {
            Some(Limited::Entries { .. }) => {
                Self::entry_limit(usize::try_from(wanted()).unwrap_or(usize::MAX))
            }
            _ => self,
        }
    }

    /// Which limit has refused it, if one has for which room can be made.
    pub(crate) fn refused_by_limit(&self) -> Option<Limited> {
        match *self.0 {
            Cause::MemoryLimit { wanted, .. } => Some(Limited::Memory { wanted }),
            Cause::EntryLimit(EntryLimit { wanted, .. }) => Some(Limited::Entries { wanted }),
            _ => None,
        }
    }

    pub(crate) fn limit_is_zero() -> Self {
        Cause::NotPositive { what: "Limit" }.into()
    }

    pub(crate) fn batch_size_is_zero() -> Self {
        Cause::NotPositive { what: "batchSize" }.into()
    }

    pub(crate) fn expiry_too_large(got: Duration, max: Duration) -> Self {
        Cause::ExpiryTooLarge { got, max }.into()
    }

    pub(crate) fn invalid_selector(what: &'static str) -> Self {
        Cause::Text(ErrorKind::InvalidSelector, what).into()
    }

    pub(crate) fn start_outside_prefix() -> Self {
        Self::invalid_selector("Start key is not in the keyspace defined by prefix")
    }

    pub(crate) fn end_outside_prefix() -> Self {
        Self::invalid_selector("End key is not in the keyspace defined by prefix")
    }

    pub(crate) fn start_after_end() -> Self {
        Self::invalid_selector("Start key is greater than end key")
    }

    pub(crate) fn invalid_cursor() -> Self {
        Cause::Text(ErrorKind::InvalidCursor, "invalid cursor").into()
    }

    pub(crate) fn cursor_out_of_bounds() -> Self {
        Cause::Text(ErrorKind::CursorOutOfBounds, "cursor out of bounds").into()
    }

    /// The stored value is not what `operation` (`sum`, `min`, `max`) works on.
    pub(crate) fn stored_not_u64(operation: &'static str) -> Self {
        let what = "value in the database";
        Cause::NotU64 { operation, what }.into()
    }

    /// The operand is not what `operation` (`min`, `max`) works with.
    pub(crate) fn operand_not_u64(operation: &'static str) -> Self {
        let what = "operand";
        Cause::NotU64 { operation, what }.into()
    }

    /// What a sum was given (`operand`, `lower bound`, `upper bound`) is nothing to calculate with.
    pub(crate) fn not_v8_scalar(what: &'static str) -> Self {
        Cause::NotV8Scalar { what }.into()
    }

    /// The stored value is nothing that a number or a bigint can be added to.
    pub(crate) fn stored_not_scalar() -> Self {
        let text = "Failed to perform 'sum' mutation: unsupported value type in the database";
        Cause::Text(ErrorKind::TypeMismatch, text).into()
    }

    /// Types are named as Deno names them: `BigInt`, `Number`, `KvU64`.
    pub(crate) fn cannot_sum(stored: &'static str, operand: &'static str) -> Self {
        Cause::CannotSum { stored, operand }.into()
    }

    pub(crate) fn bound_of_another_type(bound: &'static str, operand: &'static str) -> Self {
        Cause::BoundOfAnotherType { bound, operand }.into()
    }

    pub(crate) fn bounded_u64() -> Self {
        let text = "Cannot use min/max parameters with KvU64 operands";
        Cause::Text(ErrorKind::TypeMismatch, text).into()
    }

    /// `what` says which result is beyond which bound.
    pub(crate) fn sum_out_of_range(what: String) -> Self {
        Cause::SumOutOfRange { what }.into()
    }

    pub(crate) fn invalid_update(got: usize, keys: usize) -> Self {
        Cause::UpdateCount { got, keys }.into()
    }

    pub(crate) fn aborted() -> Self {
        Cause::Text(ErrorKind::Aborted, "the transaction was aborted").into()
    }

    pub(crate) fn read_only() -> Self {
        Cause::Text(ErrorKind::ReadOnly, "the engine is read-only").into()
    }

    pub(crate) fn closed() -> Self {
        Cause::Text(ErrorKind::Closed, "the engine is closed").into()
    }

    /// What whoever asks a stream is told that has ended.
    pub(crate) fn ended() -> Self {
        Cause::Text(ErrorKind::Closed, "the stream has ended").into()
    }

    /// What a listener is told.
    pub(crate) fn queue_closed() -> Self {
        Cause::Text(ErrorKind::Closed, "Queue already closed").into()
    }

    pub(crate) fn payload_too_large(got: usize, max: usize) -> Self {
        let what = "Enqueue payload too large";
        Self::too_long(ErrorKind::InvalidEnqueue, what, got, max)
    }

    pub(crate) fn queue_name_too_long(got: usize, max: usize) -> Self {
        Self::too_long(ErrorKind::InvalidEnqueue, "Queue name too long", got, max)
    }

    pub(crate) fn too_many_undelivered_keys(got: usize, max: usize) -> Self {
        let what = "Too many keysIfUndelivered";
        Self::too_many(ErrorKind::InvalidEnqueue, what, got, max)
    }

    pub(crate) fn delay_too_long(got: Duration, max: Duration) -> Self {
        Cause::Limit {
            kind: ErrorKind::InvalidEnqueue,
            what: "Delay too long",
            unit: " ms",
            max: whole_ms(max),
            got: whole_ms(got),
        }
        .into()
    }

    pub(crate) fn too_many_backoff_intervals(got: usize, max: usize) -> Self {
        Cause::BackoffTooMany { got, max }.into()
    }

    pub(crate) fn backoff_interval_too_long(index: usize, got: Duration, max: Duration) -> Self {
        Cause::BackoffTooLong { index, got, max }.into()
    }

    fn too_long(kind: ErrorKind, what: &'static str, got: usize, max: usize) -> Self {
        let unit = " bytes";
        Cause::Limit {
            kind,
            what,
            unit,
            max,
            got,
        }
        .into()
    }

    fn too_many(kind: ErrorKind, what: &'static str, got: usize, max: usize) -> Self {
        let unit = "";
        Cause::Limit {
            kind,
            what,
            unit,
            max,
            got,
        }
        .into()
    }
}

/// Rounded up, so that what exceeds a limit shows as more than it.
fn whole_ms(time: Duration) -> usize {
    let is_whole = time.subsec_nanos().is_multiple_of(1_000_000);
    let ms = time.as_millis() + u128::from(!is_whole);
    usize::try_from(ms).unwrap_or(usize::MAX)
}

impl From<Cause> for Error {
    /// Apart, so that whoever may fail pays a call for it where it does.
    #[cold]
    #[inline(never)]
    fn from(cause: Cause) -> Self {
        Self(Box::new(cause))
    }
}

impl From<ParseVersionstampError> for Error {
    fn from(error: ParseVersionstampError) -> Self {
        Cause::Versionstamp(error).into()
    }
}

/// What is the matter with a typed value, by the kind of the error.
#[cfg(feature = "serde")]
fn value_refusal(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ValueUnencodable => "value cannot be encoded",
        ErrorKind::ValueUndecodable => "value cannot be decoded",
        _ => "value does not fit the type",
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Cause::Text(_, text) => f.write_str(text),
            Cause::Limit {
                what,
                unit,
                max,
                got,
                ..
            } => {
                write!(f, "{what} (max {max}{unit}): got {got}{unit}")
            }
            Cause::BigIntTooLong { got, max } => {
                write!(f, "bigint magnitude is {got} bytes, limit is {max}")
            }
            Cause::Undecodable { what, offset } => {
                write!(f, "key cannot be decoded: {what} at byte {offset}")
            }
            #[cfg(feature = "serde")]
            Cause::Value { kind, what } => write!(f, "{}: {what}", value_refusal(*kind)),
            Cause::OutOfMemory { bytes } => {
                let text = "bytes were refused by the allocator";
                write!(f, "out of memory: {bytes} {text}")
            }
            Cause::MemoryLimit { wanted, of } => text::write_memory_limit(f, *wanted, *of),
            Cause::EntryLimit(limit) => limit.fmt(f),
            Cause::NotPositive { what } => write!(f, "{what} must be a positive integer: got 0"),
            Cause::ExpiryTooLarge { got, max } => {
                let (got, max) = (got.as_millis(), max.as_millis());
                write!(f, "expireIn is too large (max {max} ms): got {got} ms")
            }
            Cause::NotU64 { operation, what } => write!(
                f,
                "Failed to perform '{operation}' mutation on a non-U64 {what}"
            ),
            Cause::NotV8Scalar { what } => write!(
                f,
                "Some of the parameters are not valid V8 values: the {what} is neither a number nor \
                 a bigint"
            ),
            Cause::CannotSum { stored, operand } => write!(f, "Cannot sum {stored} with {operand}"),
            Cause::BoundOfAnotherType { bound, operand } => write!(
                f,
                "Min/max parameters have different types than the operand: {bound} beside {operand}"
            ),
            Cause::SumOutOfRange { what } => write!(
                f,
                "The result of a Sum operation would exceed its range limit: {what}"
            ),
            Cause::UpdateCount { got, keys } => {
                write!(f, "one update is wanted for each of {keys} keys, got {got}")
            }
            Cause::BackoffTooMany { got, max } => {
                write!(
                    f,
                    "Invalid backoffSchedule, max {max} intervals allowed: got {got}"
                )
            }
            Cause::BackoffTooLong { index, got, max } => {
                text::write_backoff_too_long(f, *index, *got, *max)
            }
            Cause::Copy(cause) => cause.fmt(f),
            Cause::Versionstamp(source) => source.fmt(f),
            Cause::Shared(error) => error.fmt(f),
            Cause::Other(source) => source.fmt(f),
            #[cfg(feature = "denokv")]
            Cause::Backend { source, .. } => source.fmt(f),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug.field("kind", &self.kind());
        match &*self.0 {
            Cause::Other(source) => debug.field("source", source),
            _ => debug.field("text", &self.to_string()),
        };
        debug.finish()
    }
}

impl StdError for Error {
    /// What lies behind the error given to [`other`](Error::other). That error itself is not in the
    /// chain a second time: this one already prints its text.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &*self.0 {
            Cause::Copy(cause) => cause.io()?.source(),
            Cause::Other(source) => source.source(),
            #[cfg(feature = "denokv")]
            Cause::Backend { source, .. } => source.source(),
            Cause::Shared(error) => error.source(),
            _ => None,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
