use super::Limits;
use crate::error::{ErrorKind, Result};
use crate::key::Key;

#[test]
fn every_maximum_is_inclusive() {
    // K08, L01-L04, R02
    type Check = fn(&Limits, usize) -> Result<()>;
    let checks: [(Check, usize, ErrorKind); 10] = [
        (Limits::check_key_write, 2_048, ErrorKind::KeyTooLarge),
        (Limits::check_key_read, 2_048, ErrorKind::KeyTooLarge),
        (Limits::check_bound, 2_049, ErrorKind::KeyTooLarge),
        (Limits::check_value, 65_536, ErrorKind::ValueTooLarge),
        (Limits::check_ranges, 10, ErrorKind::TooManyRanges),
        (Limits::check_watch_keys, 10, ErrorKind::TooManyKeys),
        (Limits::check_entries, 1_000, ErrorKind::TooManyEntries),
        (Limits::check_checks, 100, ErrorKind::TooManyChecks),
        (Limits::check_mutations, 1_000, ErrorKind::TooManyMutations),
        (Limits::check_total, 819_200, ErrorKind::TotalTooLarge),
    ];
    let limits = Limits::default();
    for (check, max, kind) in checks {
        assert!(check(&limits, max).is_ok(), "{kind:?}");
        assert_eq!(check(&limits, max + 1).unwrap_err().kind(), kind);
        assert!(check(&Limits::unlimited(), max + 1).is_ok(), "{kind:?}");
    }
    assert!(limits.check_total_keys(81_920).is_ok());
    let error = limits.check_total_keys(81_921).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TotalKeysTooLarge);
}

#[test]
fn the_empty_key_is_read_and_not_written() {
    // K08
    let limits = Limits::default();
    assert!(limits.check_key_read(0).is_ok());
    assert_eq!(
        limits.check_key_write(0).unwrap_err().to_string(),
        "key cannot be empty"
    );
}

#[test]
fn zero_bytes_count_twice_in_a_key() {
    // L01
    let limits = Limits::default();
    let check = |zeros| limits.check_key_write(Key::from(vec![0; zeros]).as_bytes().len());
    assert!(check(1_023).is_ok());
    assert_eq!(check(1_024).unwrap_err().kind(), ErrorKind::KeyTooLarge);
}

#[test]
fn what_can_be_written_can_be_read() {
    let limits = Limits {
        key_write_bytes_max: 5_000,
        ..Limits::default()
    };
    let limits = limits.clamped();
    assert!(limits.check_key_write(5_000).is_ok());
    assert!(limits.check_key_read(5_000).is_ok());
    assert_eq!(Limits::default().clamped(), Limits::default());
    let unlimited = Limits::unlimited();
    assert!(
        unlimited
            .check_key_write(Limits::KEY_BYTES_HARD_MAX)
            .is_ok()
    );
    assert!(unlimited.check_key_read(Limits::KEY_BYTES_HARD_MAX).is_ok());
    assert!(
        unlimited
            .check_key_write(Limits::KEY_BYTES_HARD_MAX + 1)
            .is_err()
    );
}
