//! A short comparison, and what it must not miss.

use crate::compare;
use crate::plant::Planted;
use crate::{Options, from_environment, run_seeds, seeds};

#[test]
fn kvick_does_what_deno_does_but_for_the_decisions() {
    // A03, A07 (D1), R10 (D9), and whatever else the operations show
    let options = from_environment(Options {
        seeds: 0..4,
        steps: 2_500,
        planted: None,
    });
    let tally = run_seeds(&options.unwrap()).unwrap_or_else(|reason| panic!("{reason}"));
    if tally.operations < 10_000 {
        // Too few were asked for to promise anything of them.
        return;
    }
    for (count, what) in [
        (tally.committed, "commits"),
        (tally.conflicts, "conflicts"),
        (tally.refused, "refusals"),
        (tally.entries, "entries"),
        (tally.versionstamped, "keys that end in versionstamps"),
        (tally.d1, "D1"),
        (tally.d9, "D9"),
    ] {
        assert!(count > 0, "no {what}: {tally:?}");
    }
}

#[test]
fn every_planted_mistake_is_reported() {
    for planted in Planted::ALL {
        let runs = (0..8).map(|seed| compare::run(seed, 1_000, Some(planted)));
        assert!(runs.into_iter().any(|run| run.is_err()), "{planted:?}");
    }
}

#[test]
fn a_difference_says_what_was_asked_and_what_each_answered() {
    let runs = (0..8).map(|seed| compare::run(seed, 1_000, Some(Planted::OneFailedCheckListed)));
    let difference = runs.into_iter().find_map(Result::err).unwrap();
    let text = difference.to_string();
    for part in [
        "operation ",
        "Write(Write { checks: [",
        "\nkvick: Conflict([",
        "\nDeno:  Conflict([",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_run_is_the_same_each_time() {
    let tallies = [(); 2].map(|()| compare::run(7, 500, None).unwrap());
    assert_eq!(format!("{:?}", tallies[0]), format!("{:?}", tallies[1]));
}

#[test]
fn seeds_are_a_number_or_a_range() {
    assert_eq!(seeds("3").unwrap(), 0..3);
    assert_eq!(seeds("17..18").unwrap(), 17..18);
    for text in ["", "a", "1..", "..2"] {
        assert!(seeds(text).is_err(), "{text}");
    }
}
