//! A little of everything, for the mutation tests.

use super::{Options, faults, run};

#[test]
fn simulations_end_well() {
    let options = Options {
        seeds: 0..120,
        steps: 1_000,
        threads: 2,
        time_limit: None,
        tell: false,
    };
    let report = run(&options);
    assert!(report.divergence.is_none(), "{:?}", report.divergence);
    assert_eq!(report.seeds, 120);
}

#[test]
fn faults_leave_nothing() {
    assert_eq!(faults::run(8), Ok(()));
}
