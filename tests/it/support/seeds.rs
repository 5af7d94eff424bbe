//! Random runs that can be repeated.
//!
//! `KVICK_SEEDS` says which: a number of seeds, or a range such as `17..18`. `KVICK_STEPS` says how
//! long each run is.

use super::panics::text_of;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::env;
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe};

/// Runs `run` with a generator for each seed, and a number of steps. A run that fails says how to
/// repeat it: `test` is the full name of the test that calls this.
#[track_caller]
pub(crate) fn for_seeds(test: &str, seeds: u64, steps: usize, run: impl Fn(StdRng, usize)) {
    let seeds = seeds_wanted().unwrap_or(0..seeds);
    let steps = steps_wanted().unwrap_or(steps);
    for seed in seeds {
        let run = || run(StdRng::seed_from_u64(seed), steps);
        if let Err(panic) = panic::catch_unwind(AssertUnwindSafe(run)) {
            let next = seed + 1;
            panic!(
                "seed {seed} fails; to repeat it:\n    KVICK_SEEDS={seed}..{next} \
                 KVICK_STEPS={steps} cargo test --test it -- --exact {test}\n{}",
                text_of(&*panic)
            );
        }
    }
}

fn seeds_wanted() -> Option<Range<u64>> {
    let text = env::var("KVICK_SEEDS").ok()?;
    let (first, end) = text.split_once("..").unwrap_or(("0", &text));
    let number = |text: &str| {
        text.parse()
            .expect("KVICK_SEEDS is a number or a range a..b")
    };
    Some(number(first)..number(end))
}

fn steps_wanted() -> Option<usize> {
    let text = env::var("KVICK_STEPS").ok()?;
    Some(text.parse().expect("KVICK_STEPS is a number"))
}
