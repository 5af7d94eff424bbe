//! The numbers of two databases, as Prometheus scrapes them.

#![expect(clippy::print_stdout, reason = "an example")]

use kvick::{Kv, Metrics};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::error::Error;
use std::time::Duration;

/// What a handler of `GET /metrics` answers with.
fn scrape(metrics: &[Metrics], exporter: &PrometheusHandle) -> String {
    for database in metrics {
        database.record();
    }
    exporter.render()
}

fn main() -> Result<(), Box<dyn Error>> {
    let exporter = PrometheusBuilder::new().install_recorder()?;
    let sessions = Kv::builder()
        .latency_histograms(true)
        .memory_limit(64 << 20)
        .build();
    let pages = Kv::new();
    let metrics = [("sessions", &sessions), ("pages", &pages)];
    let metrics = metrics.map(|(name, kv)| kv.metrics().label("db", name));
    metrics[0].describe(); // once for all

    for user in 0..1_000_u64 {
        sessions.set(("session", user), user)?;
    }
    for user in 0..1_500_u64 {
        sessions.get(("session", user))?;
    }
    for _ in 0..3 {
        let render = || Ok::<_, std::convert::Infallible>("<h1>Welcome</h1>");
        pages.get_or_load(("page", "/"), Duration::from_secs(60), render)?;
    }

    let text = scrape(&metrics, &exporter);
    println!("{text}");
    assert!(text.contains(r#"kvick_reads_total{db="sessions",outcome="hit"} 1000"#));
    assert!(text.contains(r#"kvick_reads_total{db="pages",outcome="hit"} 2"#));

    // The same without a recorder.
    let stats = sessions.stats();
    println!(
        "{} hits, {} misses, {} bytes",
        stats.hit_count, stats.miss_count, stats.bytes
    );
    let latencies = sessions.latencies().ok_or("they were asked for")?;
    let longer = latencies.commits.quantile(0.99).unwrap_or_default();
    println!("a commit in a hundred takes longer than {longer:?}");
    Ok(())
}
