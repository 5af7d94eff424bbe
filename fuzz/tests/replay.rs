//! Every input of the corpora, and random ones, on whatever compiler there is.
//!
//! `KVICK_INPUTS` says how many random inputs each target runs.

#[path = "../../tests/it/support/panics.rs"]
mod panics;

use kvick_fuzz::{TARGETS, replay};
use panics::text_of;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::panic::{self, AssertUnwindSafe};
use std::{env, fs};

/// What a target says against an input, if anything.
fn objection(target: fn(&[u8]), input: &[u8]) -> Option<String> {
    let run = AssertUnwindSafe(|| target(input));
    panic::catch_unwind(run)
        .err()
        .map(|panic| text_of(&*panic).to_owned())
}

#[test]
fn every_input_of_the_corpora_passes() {
    for (name, target) in TARGETS {
        let paths = replay::corpus(name).expect("every target has a corpus");
        assert!(!paths.is_empty(), "{name} has an empty corpus");
        for path in paths {
            let input = fs::read(&path).expect("an input can be read");
            if let Some(objection) = objection(target, &input) {
                panic!("{name}: {} fails: {objection}", path.display());
            }
        }
    }
}

#[test]
fn random_inputs_pass() {
    let inputs = env::var("KVICK_INPUTS").map_or(2_000, |text| {
        text.parse().expect("KVICK_INPUTS is a number")
    });
    for (name, target) in TARGETS {
        for seed in 0..inputs {
            let mut random = StdRng::seed_from_u64(seed);
            let mut input = vec![0; random.random_range(0..400)];
            random.fill(&mut input[..]);
            if let Some(objection) = objection(target, &input) {
                panic!("{name}: seed {seed} fails: {objection}");
            }
        }
    }
}
