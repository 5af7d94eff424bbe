//! Whole runs on the engine, short ones.

use crate::history::anomaly::Kind;
use crate::history::run::{Options, run};
use kvick::Kv;
use std::time::Duration;

fn options(transactions: u64) -> Options {
    Options {
        transactions,
        threads: vec![1, 3],
        seed: 1,
        time_limit: None,
        stop_at_first: true,
    }
}

#[test]
fn a_run_finds_nothing_and_leaves_nothing() {
    let kv = Kv::new();
    let mut seen = 0;
    let report = run(&kv, &options(61_000), &mut |report| seen = report.rounds);
    assert!(report.anomalies.is_empty(), "{:#?}", report.anomalies);
    assert!((61_000..61_010).contains(&report.transactions));
    assert_eq!((report.rounds, seen), (2, 2));
    assert_eq!(kv.stats().entry_count, 0);
}

#[test]
fn a_run_ends_when_time_is_up() {
    let mut options = options(u64::MAX);
    options.time_limit = Some(Duration::from_millis(200));
    let report = run(&Kv::new(), &options, &mut |_| ());
    assert!(report.anomalies.is_empty(), "{:#?}", report.anomalies);
    assert!(report.transactions > 0);
}

#[test]
fn a_panic_of_a_thread_is_a_finding() {
    let kv = Kv::new();
    // Whatever a thread does then is refused, which it does not expect.
    kv.close();
    let report = run(&kv, &options(1000), &mut |_| ());
    let kinds: Vec<_> = report.anomalies.iter().map(|found| found.kind).collect();
    assert!(kinds.contains(&Kind::Panic), "{:#?}", report.anomalies);
    assert_eq!(report.rounds, 1, "the first anomaly is the last");
}

#[test]
fn somebody_else_who_writes_is_found_out() {
    let kv = Kv::new();
    // A key of the first round, with a list that none of its threads has written.
    kv.set((0u32, 1u32, 1u32), &[1u8, 2, 3, 4]).unwrap();
    let report = run(&kv, &options(2000), &mut |_| ());
    let kinds: Vec<_> = report.anomalies.iter().map(|found| found.kind).collect();
    for kind in [Kind::Garbage, Kind::WrongList] {
        assert!(kinds.contains(&kind), "{kind}");
    }
    assert_eq!(report.rounds, 1);
}
