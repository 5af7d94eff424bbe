//! Hand-written histories for the checker that looks at the lists alone. The versions in them are
//! all 0: it must not look.

use super::{Append, Do, Malformed, Read, ReadOwn, Sketch, kinds};
use crate::history::anomaly::{Cycle, Kind, RealTime};
use crate::history::black_box::check;

fn assert_found(sketch: Sketch, names: &[&str]) {
    let findings = check(&sketch.history());
    let found: Vec<String> = kinds(&findings).iter().map(Kind::to_string).collect();
    assert_eq!(found, names, "{findings:#?}");
}

#[track_caller]
fn assert_cycle(sketch: Sketch, cycle: Cycle, real_time: RealTime) {
    let findings = check(&sketch.history());
    assert_eq!(
        kinds(&findings),
        [Kind::Cycle(cycle, real_time)],
        "{findings:#?}"
    );
}

/// Transactions that all overlap.
fn together(commits: &[&[Do<'_>]]) -> Sketch {
    let mut sketch = Sketch::new();
    for (tick, does) in (0..).zip(commits) {
        sketch.commit(tick..tick + 100, 0, does);
    }
    sketch
}

#[test]
fn what_happens_one_after_the_other_is_accepted() {
    let mut sketch = Sketch::new();
    sketch.commit(0..1, 0, &[Read(0, &[], 0), Append(0, 1)]);
    sketch.abort(2..3, &[Read(0, &[1], 0), Append(0, 2)]);
    sketch.commit(
        3..4,
        0,
        &[
            Read(0, &[1], 0),
            Append(0, 3),
            Append(0, 4),
            ReadOwn(0, &[1, 3, 4], 0),
            Read(1, &[], 0),
        ],
    );
    sketch.read(5..6, &[Read(0, &[1, 3, 4], 0), Read(0, &[1, 3, 4], 0)]);
    sketch.end(0, &[Read(0, &[1, 3, 4], 0), Read(1, &[], 0)]);
    assert_found(sketch, &[]);
}

#[test]
fn what_overlaps_may_have_happened_in_any_order() {
    let mut sketch = together(&[
        &[Read(0, &[1], 0), Append(0, 0)],
        &[Read(0, &[], 0), Append(0, 1)],
    ]);
    sketch.read(50..150, &[Read(0, &[], 0)]);
    sketch.abort(51..151, &[Read(0, &[1], 0)]);
    assert_found(sketch, &[]);
}

#[test]
fn writes_in_two_orders_are_g0() {
    let mut sketch = together(&[&[Append(0, 0), Append(1, 1)], &[Append(0, 2), Append(1, 3)]]);
    sketch.end(0, &[Read(0, &[0, 2], 0), Read(1, &[3, 1], 0)]);
    assert_cycle(sketch, Cycle::G0, RealTime::Without);
}

#[test]
fn what_was_aborted_and_seen_is_g1a() {
    let mut sketch = Sketch::new();
    sketch.abort(0..1, &[Append(0, 0)]);
    sketch.read(2..3, &[Read(0, &[0], 0)]);
    assert_found(sketch, &["G1a"]);
}

#[test]
fn half_of_a_transaction_on_a_key_is_g1b() {
    let mut sketch = together(&[&[Append(0, 0), Append(0, 1)]]);
    sketch.read(10..150, &[Read(0, &[0], 0)]);
    sketch.end(0, &[Read(0, &[0, 1], 0)]);
    let findings = check(&sketch.history());
    assert!(kinds(&findings).contains(&Kind::IntermediateRead));
}

#[test]
fn half_of_a_transaction_is_g1b_even_if_the_rest_is_never_seen() {
    let mut sketch = together(&[&[Append(0, 0), Append(0, 1)]]);
    sketch.read(10..150, &[Read(0, &[0], 0)]);
    assert_found(sketch, &["G1b"]);
}

#[test]
fn two_that_saw_each_other_are_g1c() {
    let sketch = together(&[
        &[Append(0, 0), Read(1, &[1], 0)],
        &[Append(1, 1), Read(0, &[0], 0)],
    ]);
    assert_cycle(sketch, Cycle::G1c, RealTime::Without);
}

#[test]
fn half_of_a_transaction_on_two_keys_is_g_single() {
    let mut sketch = together(&[&[Append(0, 0), Append(1, 1)]]);
    sketch.read(10..150, &[Read(0, &[], 0), Read(1, &[1], 0)]);
    sketch.end(0, &[Read(0, &[0], 0), Read(1, &[1], 0)]);
    assert_cycle(sketch, Cycle::GSingle, RealTime::Without);
}

#[test]
fn attempts_that_are_aborted_must_not_see_half_of_a_transaction_either() {
    let mut sketch = together(&[&[Append(0, 0), Append(1, 1)]]);
    sketch.abort(10..150, &[Read(0, &[], 0), Read(1, &[1], 0)]);
    sketch.end(0, &[Read(0, &[0], 0), Read(1, &[1], 0)]);
    assert_cycle(sketch, Cycle::GSingle, RealTime::Without);
}

#[test]
fn a_lost_update_is_g_single() {
    let mut sketch = together(&[
        &[Read(0, &[], 0), Append(0, 0)],
        &[Read(0, &[], 0), Append(0, 1)],
    ]);
    sketch.end(0, &[Read(0, &[0, 1], 0)]);
    assert_cycle(sketch, Cycle::GSingle, RealTime::Without);
}

#[test]
fn write_skew_is_g2_item() {
    let mut sketch = together(&[
        &[Read(0, &[], 0), Read(1, &[], 0), Append(0, 0)],
        &[Read(0, &[], 0), Read(1, &[], 0), Append(1, 1)],
    ]);
    sketch.end(0, &[Read(0, &[0], 0), Read(1, &[1], 0)]);
    assert_cycle(sketch, Cycle::G2Item, RealTime::Without);
}

#[test]
fn a_phantom_in_a_range_is_g2_item() {
    let range: Vec<_> = (0..8).map(|key| Read(key, &[], 0)).collect();
    let mut first: Vec<_> = (0..8).map(|key| Read(key, &[], 0)).collect();
    first.push(Append(8, 0));
    let mut sketch = together(&[&first, &[Read(8, &[], 0), Append(5, 1)]]);
    sketch.read(10..150, &range);
    sketch.end(0, &[Read(8, &[0], 0), Read(5, &[1], 0)]);
    assert_cycle(sketch, Cycle::G2Item, RealTime::Without);
}

#[test]
fn two_orders_seen_by_two_readers_are_g2_item() {
    let mut sketch = together(&[&[Append(0, 0)], &[Append(1, 1)]]);
    sketch.read(10..150, &[Read(0, &[0], 0), Read(1, &[], 0)]);
    sketch.read(11..151, &[Read(0, &[], 0), Read(1, &[1], 0)]);
    assert_cycle(sketch, Cycle::G2Item, RealTime::Without);
}

#[test]
fn an_append_that_is_not_there_in_the_end_is_lost() {
    let mut sketch = together(&[&[Append(0, 0)], &[Append(0, 1)], &[Append(1, 2)]]);
    sketch.end(0, &[Read(0, &[1], 0), Read(1, &[2], 0)]);
    assert_found(sketch, &["lost append"]);
}

#[test]
fn an_append_that_was_seen_and_then_vanished_is_lost() {
    let mut sketch = together(&[&[Append(0, 0)]]);
    sketch.read(50..150, &[Read(0, &[0], 0)]);
    sketch.end(0, &[Read(0, &[], 0)]);
    let findings = check(&sketch.history());
    assert!(kinds(&findings).contains(&Kind::LostAppend));
}

#[test]
fn lists_that_do_not_begin_alike_are_an_incompatible_order() {
    let mut sketch = together(&[&[Append(0, 0)], &[Append(0, 1)]]);
    sketch.read(50..150, &[Read(0, &[1], 0)]);
    sketch.read(51..151, &[Read(0, &[0, 1], 0)]);
    assert_found(sketch, &["incompatible order"]);
}

#[test]
fn an_element_twice_in_a_list_is_a_duplicate() {
    let mut sketch = together(&[&[Append(0, 0)], &[Append(0, 1)]]);
    sketch.read(50..150, &[Read(0, &[0, 1, 0], 0)]);
    assert_found(sketch, &["duplicate elements"]);
}

#[test]
fn a_transaction_that_reads_one_key_two_ways_is_internal() {
    let mut sketch = together(&[&[Append(0, 0)]]);
    sketch.read(50..150, &[Read(0, &[], 0), Read(0, &[0], 0)]);
    let findings = check(&sketch.history());
    assert!(kinds(&findings).contains(&Kind::Internal));
}

#[test]
fn a_transaction_that_does_not_see_its_own_append_is_internal() {
    let sketch = together(&[&[Read(0, &[], 0), Append(0, 0), ReadOwn(0, &[], 0)]]);
    assert_found(sketch, &["internal"]);
    let sketch = together(&[&[
        Read(0, &[], 0),
        Append(0, 0),
        Append(0, 1),
        ReadOwn(0, &[1, 0], 0),
    ]]);
    assert_found(sketch, &["internal"]);
}

#[test]
fn what_nobody_has_appended_there_is_garbage() {
    let mut sketch = together(&[&[Append(0, 0)]]);
    sketch.read(50..150, &[Read(1, &[0], 0)]);
    assert_found(sketch, &["garbage read"]);
    let mut sketch = Sketch::new();
    sketch.read(50..150, &[Read(1, &[7], 0)]);
    assert_found(sketch, &["garbage read"]);
    let mut sketch = Sketch::new();
    sketch.read(50..150, &[Read(1, &[u32::MAX], 0)]);
    assert_found(sketch, &["garbage read"]);
    let mut sketch = Sketch::new();
    sketch.read(50..150, &[Malformed(1)]);
    assert_found(sketch, &["garbage read"]);
}

#[test]
fn not_to_see_what_was_over_is_g_single_in_real_time() {
    let mut sketch = Sketch::new();
    sketch.commit(0..1, 0, &[Append(0, 0)]);
    sketch.read(2..3, &[Read(0, &[], 0)]);
    sketch.end(0, &[Read(0, &[0], 0)]);
    assert_cycle(sketch, Cycle::GSingle, RealTime::With);
}

#[test]
fn an_append_in_front_of_what_was_over_is_g0_in_real_time() {
    let mut sketch = Sketch::new();
    sketch.commit(0..1, 0, &[Append(0, 0)]);
    sketch.commit(2..3, 0, &[Append(0, 1)]);
    sketch.end(0, &[Read(0, &[1, 0], 0)]);
    assert_cycle(sketch, Cycle::G0, RealTime::With);
}

#[test]
fn to_see_what_has_not_begun_is_g1c_in_real_time() {
    let mut sketch = Sketch::new();
    sketch.read(0..1, &[Read(0, &[0], 0)]);
    sketch.commit(2..3, 0, &[Append(0, 0)]);
    sketch.end(0, &[Read(0, &[0], 0)]);
    assert_cycle(sketch, Cycle::G1c, RealTime::With);
}

#[test]
fn real_time_counts_through_others_that_overlap_both() {
    // 0 is over before 2 begins, though 1 was under way all the time.
    let mut sketch = Sketch::new();
    sketch.commit(0..3, 0, &[Append(0, 0)]);
    sketch.commit(1..9, 0, &[Append(1, 1)]);
    sketch.read(2..4, &[Read(2, &[], 0)]);
    sketch.read(5..7, &[Read(2, &[], 0)]);
    sketch.read(6..8, &[Read(0, &[], 0)]);
    sketch.end(0, &[Read(0, &[0], 0), Read(1, &[1], 0)]);
    assert_cycle(sketch, Cycle::GSingle, RealTime::With);
}
