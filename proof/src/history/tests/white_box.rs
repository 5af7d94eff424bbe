//! Hand-written histories for the checker that goes by the versions.

use super::{Append, Read, ReadOwn, Sketch, kinds};
use crate::history::anomaly::Kind;
use crate::history::record::ODD_STAMP;
use crate::history::white_box::check;

#[track_caller]
fn assert_found(sketch: Sketch, expected: &[Kind]) {
    let findings = check(&sketch.history());
    assert_eq!(kinds(&findings), expected, "{findings:#?}");
}

/// Two commits, one after the other: 0 and 1 are appended to key 0, and 2 to key 1 with the latter.
fn begun() -> Sketch {
    let mut sketch = Sketch::new();
    sketch.commit(0..1, 5, &[Read(0, &[], 0), Append(0, 0)]);
    let second = [Read(0, &[0], 5), Append(0, 1), Append(1, 2)];
    sketch.commit(2..3, 7, &second);
    sketch
}

#[test]
fn what_agrees_with_the_versions_is_accepted() {
    let mut sketch = begun();
    let own = [
        Read(0, &[0, 1], 7),
        Read(2, &[], 0),
        Append(0, 3),
        ReadOwn(0, &[0, 1, 3], 7),
    ];
    sketch.commit(4..8, 8, &own);
    sketch.read(5..9, &[Read(0, &[0, 1], 7), Read(1, &[2], 7)]);
    sketch.abort(6..10, &[Read(0, &[0, 1, 3], 8), Append(1, 4)]);
    sketch.snapshot(11..12, 8, &[Read(0, &[0, 1, 3], 8), Read(1, &[2], 7)]);
    sketch.end(9, &[Read(0, &[0, 1, 3], 8), Read(1, &[2], 7)]);
    assert_found(sketch, &[]);
}

#[test]
fn what_overlaps_a_commit_may_be_before_or_after_it() {
    let mut sketch = begun();
    sketch.commit(4..20, 8, &[Read(1, &[2], 7), Append(1, 3)]);
    sketch.read(5..6, &[Read(1, &[2], 7)]);
    sketch.read(7..8, &[Read(1, &[2, 3], 8)]);
    sketch.snapshot(9..10, 8, &[Read(1, &[2, 3], 8)]);
    assert_found(sketch, &[]);
}

#[test]
fn what_was_seen_stays_seen() {
    let mut sketch = begun();
    sketch.commit(4..20, 8, &[Read(1, &[2], 7), Append(1, 3)]);
    sketch.read(5..6, &[Read(1, &[2, 3], 8)]);
    sketch.read(7..8, &[Read(1, &[2], 7)]);
    assert_found(sketch, &[Kind::StaleRead]);
}

#[test]
fn a_snapshot_older_than_what_was_over_is_stale() {
    let mut sketch = begun();
    sketch.snapshot(4..5, 6, &[Read(0, &[0], 5)]);
    assert_found(sketch, &[Kind::StaleSnapshot]);
}

#[test]
fn a_snapshot_that_shows_another_state_than_that_of_its_version_is_torn() {
    let mut sketch = begun();
    sketch.snapshot(4..5, 7, &[Read(0, &[0, 1], 7), Read(1, &[], 0)]);
    assert_found(sketch, &[Kind::TornSnapshot]);
}

#[test]
fn a_version_is_used_once() {
    let mut sketch = begun();
    sketch.commit(4..5, 7, &[Read(2, &[], 0), Append(2, 3)]);
    let findings = check(&sketch.history());
    assert!(kinds(&findings).contains(&Kind::ReusedStamp));
}

#[test]
fn a_version_is_larger_than_those_of_what_was_over() {
    let mut sketch = begun();
    sketch.commit(4..5, 6, &[Read(2, &[], 0), Append(2, 3)]);
    assert_found(sketch, &[Kind::StampAgainstRealTime]);
}

#[test]
fn a_version_is_larger_than_what_was_seen_before() {
    let mut sketch = begun();
    sketch.commit(4..20, 9, &[Read(1, &[2], 7), Append(1, 3)]);
    sketch.snapshot(5..6, 8, &[]);
    sketch.read(7..8, &[Read(1, &[2, 3], 9)]);
    sketch.commit(9..10, 8, &[Read(2, &[], 0), Append(2, 4)]);
    assert_found(sketch, &[Kind::StampAgainstRealTime]);
}

#[test]
fn a_commit_has_a_version_of_the_round() {
    for stamp in [0, ODD_STAMP] {
        let mut sketch = begun();
        sketch.commit(4..5, stamp, &[Read(2, &[], 0), Append(2, 3)]);
        assert_found(sketch, &[Kind::ImpossibleStamp]);
    }
    let mut sketch = begun();
    sketch.snapshot(4..5, ODD_STAMP, &[]);
    assert_found(sketch, &[Kind::ImpossibleStamp]);
}

#[test]
fn an_entry_has_the_version_of_the_commit_that_wrote_it() {
    for stamp in [0, 5, 6, 8, ODD_STAMP] {
        let mut sketch = begun();
        sketch.read(4..5, &[Read(0, &[0, 1], stamp)]);
        assert_found(sketch, &[Kind::WrongVersion]);
    }
    let mut sketch = begun();
    sketch.read(4..5, &[Read(2, &[], 5)]);
    assert_found(sketch, &[Kind::WrongVersion]);
}

#[test]
fn what_a_transaction_has_written_has_the_version_from_before_for_it() {
    let mut sketch = begun();
    let does = [Read(1, &[2], 7), Append(1, 3), ReadOwn(1, &[2, 3], 8)];
    sketch.commit(4..5, 8, &does);
    assert_found(sketch, &[Kind::WrongVersion]);
}

#[test]
fn a_commit_that_read_what_was_not_so_any_more_is_stale() {
    let mut sketch = begun();
    sketch.commit(4..20, 8, &[Read(1, &[2], 7), Append(1, 3)]);
    sketch.commit(5..21, 9, &[Read(1, &[2], 7), Append(2, 4)]);
    assert_found(sketch, &[Kind::StaleCommit]);
}

#[test]
fn a_commit_that_missed_what_appeared_in_its_range_is_stale() {
    let mut sketch = begun();
    sketch.commit(4..20, 8, &[Read(3, &[], 0), Append(3, 3)]);
    let mut does: Vec<_> = (2..8).map(|key| Read(key, &[], 0)).collect();
    does.push(Append(9, 4));
    sketch.commit(5..21, 9, &does);
    assert_found(sketch, &[Kind::StaleCommit]);
}

#[test]
fn reads_of_two_moments_are_stale() {
    let does = [Read(0, &[0, 1], 7), Read(1, &[], 0)];
    let mut sketch = begun();
    sketch.read(1..9, &does);
    assert_found(sketch, &[Kind::StaleRead]);
    let mut sketch = begun();
    sketch.abort(1..9, &does);
    assert_found(sketch, &[Kind::StaleRead]);
}

#[test]
fn a_read_older_than_what_was_over_is_stale() {
    let mut sketch = begun();
    sketch.read(4..5, &[Read(0, &[0], 5)]);
    assert_found(sketch, &[Kind::StaleRead]);
}

#[test]
fn a_list_is_what_the_commits_made_it() {
    for list in [&[1][..], &[0, 2], &[0, 1, 3]] {
        let mut sketch = begun();
        sketch.read(4..5, &[Read(0, list, 7)]);
        assert_found(sketch, &[Kind::WrongList]);
    }
}

#[test]
fn a_list_is_never_seen_between_two_appends_of_one_commit() {
    let mut sketch = Sketch::new();
    sketch.commit(0..9, 5, &[Read(0, &[], 0), Append(0, 0), Append(0, 1)]);
    sketch.read(1..8, &[Read(0, &[0], 5)]);
    assert_found(sketch, &[Kind::WrongList]);
}
