use super::{Error, ErrorKind};
use crate::version::Versionstamp;
use std::error::Error as _;
use std::fmt;

fn assert_texts<const N: usize>(texts: [(Error, ErrorKind, &str); N]) {
    for (error, kind, text) in texts {
        assert_eq!(error.kind(), kind);
        assert_eq!(error.to_string(), text);
        assert_eq!(
            format!("{error:?}"),
            format!("Error {{ kind: {kind:?}, text: {text:?} }}")
        );
    }
}

#[test]
fn limits_keep_denos_words_and_add_the_value() {
    assert_texts([
        (
            Error::key_empty(),
            ErrorKind::KeyEmpty,
            "key cannot be empty",
        ),
        (
            Error::key_too_large_for_write(2100, 2048),
            ErrorKind::KeyTooLarge,
            "Key too large for write (max 2048 bytes): got 2100 bytes",
        ),
        (
            Error::key_too_large_for_read(2100, 2049),
            ErrorKind::KeyTooLarge,
            "Key too large for read (max 2049 bytes): got 2100 bytes",
        ),
        (
            Error::value_too_large(65537, 65536),
            ErrorKind::ValueTooLarge,
            "Value too large (max 65536 bytes): got 65537 bytes",
        ),
        (
            Error::too_many_ranges(11, 10),
            ErrorKind::TooManyRanges,
            "Too many ranges (max 10): got 11",
        ),
        (
            Error::too_many_entries(1001, 1000),
            ErrorKind::TooManyEntries,
            "Too many entries (max 1000): got 1001",
        ),
        (
            Error::out_of_memory(4096),
            ErrorKind::OutOfMemory,
            "out of memory: 4096 bytes were refused by the allocator",
        ),
        (
            Error::too_many_checks(101, 100),
            ErrorKind::TooManyChecks,
            "Too many checks (max 100): got 101",
        ),
        (
            Error::too_many_mutations(1001, 1000),
            ErrorKind::TooManyMutations,
            "Too many mutations (max 1000): got 1001",
        ),
        (
            Error::total_too_large(819_201, 819_200),
            ErrorKind::TotalTooLarge,
            "Total mutation size too large (max 819200 bytes): got 819201 bytes",
        ),
        (
            Error::total_keys_too_large(81_921, 81_920),
            ErrorKind::TotalKeysTooLarge,
            "Total key size too large (max 81920 bytes): got 81921 bytes",
        ),
        (
            Error::limit_is_zero(),
            ErrorKind::InvalidLimit,
            "Limit must be a positive integer: got 0",
        ),
        (
            Error::batch_size_is_zero(),
            ErrorKind::InvalidLimit,
            "batchSize must be a positive integer: got 0",
        ),
    ]);
}

#[test]
fn refusals_keep_denos_words() {
    assert_texts([
        (
            Error::stored_not_u64("sum"),
            ErrorKind::TypeMismatch,
            "Failed to perform 'sum' mutation on a non-U64 value in the database",
        ),
        (
            Error::operand_not_u64("min"),
            ErrorKind::TypeMismatch,
            "Failed to perform 'min' mutation on a non-U64 operand",
        ),
        (
            Error::not_v8_scalar("lower bound"),
            ErrorKind::TypeMismatch,
            "Some of the parameters are not valid V8 values: the lower bound is neither a number \
             nor a bigint",
        ),
        (
            Error::stored_not_scalar(),
            ErrorKind::TypeMismatch,
            "Failed to perform 'sum' mutation: unsupported value type in the database",
        ),
        (
            Error::cannot_sum("BigInt", "Number"),
            ErrorKind::TypeMismatch,
            "Cannot sum BigInt with Number",
        ),
        (
            Error::bound_of_another_type("KvU64", "BigInt"),
            ErrorKind::TypeMismatch,
            "Min/max parameters have different types than the operand: KvU64 beside BigInt",
        ),
        (
            Error::bounded_u64(),
            ErrorKind::TypeMismatch,
            "Cannot use min/max parameters with KvU64 operands",
        ),
        (
            Error::sum_out_of_range("45 is above 44".to_owned()),
            ErrorKind::SumOutOfRange,
            "The result of a Sum operation would exceed its range limit: 45 is above 44",
        ),
        (
            Error::invalid_update(1, 2),
            ErrorKind::InvalidUpdate,
            "one update is wanted for each of 2 keys, got 1",
        ),
        (Error::ended(), ErrorKind::Closed, "the stream has ended"),
        (
            Error::aborted(),
            ErrorKind::Aborted,
            "the transaction was aborted",
        ),
        (
            Error::read_only(),
            ErrorKind::ReadOnly,
            "the engine is read-only",
        ),
        (Error::closed(), ErrorKind::Closed, "the engine is closed"),
    ]);
}

#[cfg(feature = "serde")]
#[test]
fn what_is_between_a_type_and_a_value_is_told_by_kind() {
    let refused = |kind| Error::value_refused(kind, "why at byte 7".to_owned());
    assert_texts([
        (
            refused(ErrorKind::ValueUnencodable),
            ErrorKind::ValueUnencodable,
            "value cannot be encoded: why at byte 7",
        ),
        (
            refused(ErrorKind::ValueUndecodable),
            ErrorKind::ValueUndecodable,
            "value cannot be decoded: why at byte 7",
        ),
        (
            refused(ErrorKind::TypeMismatch),
            ErrorKind::TypeMismatch,
            "value does not fit the type: why at byte 7",
        ),
    ]);
}

#[test]
fn an_error_is_one_word_and_travels() {
    fn travels<T: Send + Sync + 'static>() {}
    travels::<Error>();
    assert_eq!(size_of::<Error>(), size_of::<usize>());
    assert_eq!(size_of::<Result<(), Error>>(), size_of::<usize>());
}

#[derive(Debug)]
struct Outer(fmt::Error);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("outer")
    }
}

impl std::error::Error for Outer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn an_error_of_the_callers_own_comes_back_whole() {
    let error = Error::other(Outer(fmt::Error));
    assert_eq!(error.kind(), ErrorKind::Other);
    assert_eq!(error.to_string(), "outer");
    assert!(error.source().unwrap().is::<fmt::Error>());
    assert!(error.downcast_ref::<Outer>().is_some());
    assert!(error.downcast_ref::<fmt::Error>().is_none());
    let error = error.downcast::<fmt::Error>().unwrap_err();
    assert!(error.downcast::<Outer>().is_ok());
    let error = Error::key_empty().downcast::<Outer>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyEmpty);
}

#[test]
fn a_text_that_is_no_versionstamp_is_an_error() {
    let parse = |text: &str| -> Result<Versionstamp, Error> { Ok(text.parse()?) };
    let error = parse("12").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidVersionstamp);
    let text = "versionstamp must be 20 hexadecimal digits, got 2 bytes of text";
    assert_eq!(error.to_string(), text);
    let error = parse("000000000000x0000000").unwrap_err();
    let text = "versionstamp must be 20 hexadecimal digits, got something else at byte 12";
    assert_eq!(error.to_string(), text);
}
