//! The numbers, by the `metrics` facade, as Prometheus has them in the end.

use crate::latencies::Ticking;
use kvick::{Clock, Kv, Metrics};
use metrics_exporter_prometheus::PrometheusBuilder;
use std::sync::Arc;
use std::time::Duration;

/// What is exposed after these metrics have been recorded, and are to be recorded again.
fn exposed(metrics: &[&Metrics], meanwhile: impl FnOnce()) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || {
        for metrics in metrics {
            metrics.describe();
            metrics.record();
        }
        meanwhile();
        for metrics in metrics {
            metrics.record();
        }
    });
    recorder.handle().render()
}

#[track_caller]
fn assert_has(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(
            text.lines().any(|has| has == *line),
            "no line {line} in\n{text}"
        );
    }
}

#[test]
fn every_number_is_exposed_with_its_type() {
    let kv = Kv::builder()
        .background_sweep(false)
        .memory_limit(1_000_000)
        .build();
    kv.set("there", 1_u64).unwrap();
    let snapshot = kv.snapshot();
    kv.set("there", 2_u64).unwrap();
    kv.get_many(["there", "there", "missing"]).unwrap();
    assert!(
        !kv.atomic()
            .check_absent("there")
            .commit()
            .unwrap()
            .is_committed()
    );
    let _watch = kv.watch(["there"]).unwrap();
    let text = exposed(&[&kv.metrics()], || ());
    let stats = kv.stats();
    assert_has(
        &text,
        &[
            "# TYPE kvick_entries gauge",
            "kvick_entries 1",
            "kvick_versions 2",
            &format!(
                "kvick_memory_bytes{{kind=\"entries\"}} {}",
                stats.entry_bytes
            ),
            &format!("kvick_memory_bytes{{kind=\"index\"}} {}", stats.index_bytes),
            "kvick_memory_bytes{kind=\"messages\"} 0",
            "kvick_memory_bytes{kind=\"changes\"} 0",
            "kvick_memory_bytes{kind=\"policy\"} 0",
            "kvick_memory_limit_bytes 1000000",
            "kvick_entry_limit inf",
            "kvick_entry_weight 1",
            &format!("kvick_garbage_bytes {}", stats.garbage_bytes),
            "kvick_messages 0",
            "kvick_watched_keys 1",
            "kvick_key_watches 1",
            "kvick_followers 0",
            "kvick_open_snapshots 1",
            "# TYPE kvick_oldest_snapshot_age_seconds gauge",
            "# TYPE kvick_reads_total counter",
            "kvick_reads_total{outcome=\"hit\"} 2",
            "kvick_reads_total{outcome=\"miss\"} 1",
            "# TYPE kvick_commits_total counter",
            "kvick_commits_total 2",
            "kvick_conflicts_total 1",
            "kvick_retries_total 0",
            "kvick_helps_total 0",
            "kvick_expired_entries_total 0",
            "kvick_evicted_entries_total{reason=\"memory\"} 0",
            "kvick_evicted_entries_total{reason=\"entries\"} 0",
            "kvick_evicted_entries_total{reason=\"idle\"} 0",
            "kvick_loads_total 0",
            "kvick_load_failures_total 0",
            "kvick_load_waits_total 0",
        ],
    );
    let names = text.lines().filter_map(|line| line.strip_prefix("# HELP "));
    assert!(names.clone().count() == 23, "{text}");
    assert!(
        names.clone().all(|name| name.starts_with("kvick_")),
        "{text}"
    );
    assert!(!text.contains("duration"), "nothing is timed");
    drop(snapshot);
}

#[test]
fn numbers_are_of_when_they_were_recorded_last() {
    let kv = Kv::new();
    kv.set("one", 1_u64).unwrap();
    let text = exposed(&[&kv.metrics()], || {
        kv.set("two", 1_u64).unwrap();
        kv.delete_prefix("two").unwrap();
    });
    assert_has(&text, &["kvick_commits_total 3", "kvick_entries 2"]);
    assert_has(&text, &["kvick_memory_limit_bytes inf"]);
    let text = exposed(&[&kv.metrics()], || {
        kv.delete("one").unwrap();
    });
    assert_has(&text, &["kvick_commits_total 4", "kvick_entries 1"]);
}

#[test]
fn labels_tell_databases_apart() {
    let (one, other) = (Kv::new(), Kv::new());
    one.set("key", 1_u64).unwrap();
    let labelled = |kv: &Kv, name| kv.metrics().label("db", name).label("zone", "a");
    let text = exposed(&[&labelled(&one, "one"), &labelled(&other, "other")], || ());
    assert_has(
        &text,
        &[
            "kvick_commits_total{db=\"one\",zone=\"a\"} 1",
            "kvick_commits_total{db=\"other\",zone=\"a\"} 0",
            "kvick_reads_total{db=\"one\",zone=\"a\",outcome=\"hit\"} 0",
        ],
    );
}

#[test]
fn histograms_are_exposed_as_prometheus_adds_them_up() {
    // Each read takes 200 nanoseconds.
    let clock = Ticking::by(Duration::from_nanos(200));
    let kv = Kv::builder()
        .clock(clock as Arc<dyn Clock>)
        .background_sweep(false)
        .latency_histograms(true)
        .build();
    for _ in 0..5 {
        kv.get("key").unwrap();
    }
    let text = exposed(&[&kv.metrics()], || ());
    let name = "kvick_operation_duration_seconds";
    assert_has(
        &text,
        &[
            &format!("{name}_bucket{{operation=\"read\",le=\"0.000000128\"}} 0"),
            &format!("{name}_bucket{{operation=\"read\",le=\"0.000000256\"}} 5"),
            &format!("{name}_bucket{{operation=\"read\",le=\"8.589934592\"}} 5"),
            &format!("{name}_bucket{{operation=\"read\",le=\"+Inf\"}} 5"),
            &format!("{name}_count{{operation=\"read\"}} 5"),
            &format!("{name}_sum{{operation=\"read\"}} 0.000001"),
            &format!("{name}_count{{operation=\"commit\"}} 0"),
        ],
    );
}
