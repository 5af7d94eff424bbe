//! The numbers to watch, by the `metrics` facade.

use crate::histogram::Histogram;
use crate::kv::Kv;
use crate::stats::Stats;
use metrics::{Key, Label, Level, Metadata, Recorder, Unit};
use std::time::Duration;

/// Hands the numbers of a database over to whatever recorder the `metrics` facade has: [`Kv::metrics`].
/// With the feature `metrics`.
///
/// The numbers are not pushed as they change, which would cost every operation something. Call
/// [`record`](Self::record) whenever they are wanted: before each scrape, or every few seconds.
///
/// It holds the database, as any handle does.
///
/// | name | labels | type | meaning |
/// | --- | --- | --- | --- |
/// | `kvick_entries` | | gauge | [`Stats::entry_count`] |
/// | `kvick_versions` | | gauge | [`Stats::version_count`] |
/// | `kvick_memory_bytes` | `kind`: `entries`, `index`, `messages`, `changes`, `policy` | gauge | [`Stats::entry_bytes`] and so on; their sum is [`Stats::bytes`] |
/// | `kvick_memory_limit_bytes` | | gauge | [`Stats::memory_limit`]; `+Inf` where there is none |
/// | `kvick_garbage_bytes` | | gauge | [`Stats::garbage_bytes`], which are among those of the entries |
/// | `kvick_messages` | | gauge | [`Stats::message_count`] |
/// | `kvick_watched_keys`, `kvick_key_watches`, `kvick_followers` | | gauge | [`Stats::watched_key_count`] and so on |
/// | `kvick_open_snapshots` | | gauge | [`Stats::open_snapshot_count`] |
/// | `kvick_oldest_snapshot_age_seconds` | | gauge | [`Stats::oldest_snapshot_age`]; 0 where there is none |
/// | `kvick_reads_total` | `outcome`: `hit`, `miss` | counter | [`Stats::hit_count`], [`Stats::miss_count`] |
/// | `kvick_commits_total`, `kvick_conflicts_total`, `kvick_retries_total`, `kvick_helps_total` | | counter | [`Stats::commit_count`] and so on |
/// | `kvick_expired_entries_total` | | counter | [`Stats::expired_count`] |
/// | `kvick_evicted_entries_total` | `reason`: `memory`, `entries`, `idle` | counter | [`Stats::evicted_for_memory_count`], [`Stats::evicted_for_entries_count`], [`Stats::evicted_idle_count`] |
/// | `kvick_entry_limit` | | gauge | [`Stats::entry_limit`]; `+Inf` where there is none |
/// | `kvick_entry_weight` | | gauge | [`Stats::entry_weight`], which that limit is one of |
/// | `kvick_loads_total`, `kvick_load_failures_total`, `kvick_load_waits_total` | | counter | [`Stats::load_count`] and so on |
/// | `kvick_operation_duration_seconds_bucket` | `operation`: `read`, `commit`; `le` | counter | [`Kv::latencies`], if the database has them: how many took at most `le`, powers of two of a nanosecond from 128 ns to 8.6 s, and `+Inf` |
/// | `kvick_operation_duration_seconds_count`, `kvick_operation_duration_seconds_sum` | `operation` | counter, gauge | how many there were, and what they took together |
///
/// (The facade takes durations one by one, and not what has been counted already, and its counters are
/// whole numbers: hence the parts of the histogram, by the names that Prometheus has for them.)
///
/// ```
/// use kvick::Kv;
///
/// let kv = Kv::new();
/// let metrics = kv.metrics().label("db", "sessions");
/// metrics.describe();
/// kv.set("key", 1u64)?;
/// metrics.record(); // kvick_commits_total{db="sessions"} is 1
/// # Ok::<(), kvick::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "it hands nothing over until `record`"]
pub struct Metrics {
    kv: Kv,
    labels: Vec<Label>,
}

/// What is told of a number.
struct Described {
    name: &'static str,
    unit: Unit,
    text: &'static str,
}

/// The name of a label, and its value.
type Named = (&'static str, &'static str);

/// A number, its label, where several have its name, and how it is read.
type Told<R> = (Described, Option<Named>, R);

/// How a number of this kind is read.
type Read = fn(&Stats) -> f64;

/// Numbers that go up and down, with a label of each.
const GAUGES: [Told<Read>; 17] = [
    gauge(
        "kvick_entries",
        Unit::Count,
        "keys that have a value",
        |stats| whole(stats.entry_count),
    ),
    gauge(
        "kvick_versions",
        Unit::Count,
        "versions that are kept",
        |stats| whole(stats.version_count),
    ),
    labelled(MEMORY, ("kind", "entries"), |stats| {
        whole(stats.entry_bytes)
    }),
    labelled(MEMORY, ("kind", "index"), |stats| whole(stats.index_bytes)),
    labelled(MEMORY, ("kind", "messages"), |stats| {
        whole(stats.message_bytes)
    }),
    labelled(MEMORY, ("kind", "changes"), |stats| {
        whole(stats.change_bytes)
    }),
    labelled(MEMORY, ("kind", "policy"), |stats| {
        whole(stats.policy_bytes)
    }),
    gauge(
        "kvick_entry_limit",
        Unit::Count,
        "entries that there may be",
        |stats| stats.entry_limit.map_or(f64::INFINITY, whole),
    ),
    gauge(
        "kvick_entry_weight",
        Unit::Count,
        "what all entries weigh",
        |stats| whole(stats.entry_weight),
    ),
    gauge(
        "kvick_memory_limit_bytes",
        Unit::Bytes,
        "memory that may be in use",
        |stats| stats.memory_limit.map_or(f64::INFINITY, whole),
    ),
    gauge(
        "kvick_garbage_bytes",
        Unit::Bytes,
        "memory of what is superseded or deleted and not freed yet",
        |stats| whole(stats.garbage_bytes),
    ),
    gauge(
        "kvick_messages",
        Unit::Count,
        "messages that are not done with",
        |stats| whole(stats.message_count),
    ),
    gauge(
        "kvick_watched_keys",
        Unit::Count,
        "keys that are watched",
        |stats| whole(stats.watched_key_count),
    ),
    gauge(
        "kvick_key_watches",
        Unit::Count,
        "watches of these keys",
        |stats| whole(stats.key_watch_count),
    ),
    gauge(
        "kvick_followers",
        Unit::Count,
        "those who follow changes or watch ranges",
        |stats| whole(stats.follower_count),
    ),
    gauge(
        "kvick_open_snapshots",
        Unit::Count,
        "snapshots that are open",
        |stats| whole(stats.open_snapshot_count),
    ),
    gauge(
        "kvick_oldest_snapshot_age_seconds",
        Unit::Seconds,
        "for how long the oldest open snapshot has been out of date",
        |stats| stats.oldest_snapshot_age.unwrap_or_default().as_secs_f64(),
    ),
];

const MEMORY: Described = Described {
    name: "kvick_memory_bytes",
    unit: Unit::Bytes,
    text: "memory that is in use",
};

const READS: Described = Described {
    name: "kvick_reads_total",
    unit: Unit::Count,
    text: "point reads",
};

const EVICTED: Described = Described {
    name: "kvick_evicted_entries_total",
    unit: Unit::Count,
    text: "entries that were evicted",
};

/// How a count of this kind is read.
type ReadCount = fn(&Stats) -> u64;

/// Numbers that only grow.
const COUNTERS: [Told<ReadCount>; 13] = [
    counted(READS, Some(("outcome", "hit")), |stats| stats.hit_count),
    counted(READS, Some(("outcome", "miss")), |stats| stats.miss_count),
    counter("kvick_commits_total", "commits that took effect", |stats| {
        stats.commit_count
    }),
    counter(
        "kvick_conflicts_total",
        "commits that did not, because of a conflict",
        |stats| stats.conflict_count,
    ),
    counter(
        "kvick_retries_total",
        "attempts that followed a conflict",
        |stats| stats.retry_count,
    ),
    counter(
        "kvick_helps_total",
        "commits that were decided by others than their writers",
        |stats| stats.help_count,
    ),
    counter(
        "kvick_expired_entries_total",
        "entries that were deleted because they had expired",
        |stats| stats.expired_count,
    ),
    counted(EVICTED, Some(("reason", "memory")), |stats| {
        stats.evicted_for_memory_count
    }),
    counted(EVICTED, Some(("reason", "entries")), |stats| {
        stats.evicted_for_entries_count
    }),
    counted(EVICTED, Some(("reason", "idle")), |stats| {
        stats.evicted_idle_count
    }),
    counter("kvick_loads_total", "loads that have begun", |stats| {
        stats.load_count
    }),
    counter(
        "kvick_load_failures_total",
        "loads that came to nothing",
        |stats| stats.load_failure_count,
    ),
    counter(
        "kvick_load_waits_total",
        "callers who waited for the load of another",
        |stats| stats.load_wait_count,
    ),
];

const BUCKET: Described = Described {
    name: "kvick_operation_duration_seconds_bucket",
    unit: Unit::Count,
    text: "operations that took at most so long",
};

const COUNT: Described = Described {
    name: "kvick_operation_duration_seconds_count",
    unit: Unit::Count,
    text: "operations that were timed",
};

const SUM: Described = Described {
    name: "kvick_operation_duration_seconds_sum",
    unit: Unit::Seconds,
    text: "what all operations took that were timed",
};

/// The bounds of the buckets that are handed over: powers of two, in nanoseconds.
const BOUNDS: std::ops::RangeInclusive<u32> = 7..=33;

const METADATA: Metadata<'static> = Metadata::new("kvick", Level::INFO, Some(module_path!()));

const fn gauge(name: &'static str, unit: Unit, text: &'static str, read: Read) -> Told<Read> {
    (Described { name, unit, text }, None, read)
}

const fn labelled(described: Described, label: Named, read: Read) -> Told<Read> {
    (described, Some(label), read)
}

const fn counter(name: &'static str, text: &'static str, read: ReadCount) -> Told<ReadCount> {
    let unit = Unit::Count;
    counted(Described { name, unit, text }, None, read)
}

const fn counted(described: Described, label: Option<Named>, read: ReadCount) -> Told<ReadCount> {
    (described, label, read)
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn whole(number: usize) -> f64 {
    number as f64
}

impl Kv {
    /// Hands the numbers of this database over to the recorder of the `metrics` facade, when asked to.
    pub fn metrics(&self) -> Metrics {
        Metrics {
            kv: self.clone(),
            labels: Vec::new(),
        }
    }
}

impl Metrics {
    /// Adds a label to every number: that which tells this database from others, say.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push(Label::new(name.into(), value.into()));
        self
    }

    /// Tells the recorder the units and meanings of the numbers. Once is enough, for all databases, as soon
    /// as the recorder is installed.
    pub fn describe(&self) {
        metrics::with_recorder(|recorder| {
            for (one, _, _) in GAUGES {
                recorder.describe_gauge(one.name.into(), Some(one.unit), one.text.into());
            }
            recorder.describe_gauge(SUM.name.into(), Some(SUM.unit), SUM.text.into());
            let counters = COUNTERS.map(|(one, _, _)| one);
            for one in counters.into_iter().chain([BUCKET, COUNT]) {
                recorder.describe_counter(one.name.into(), Some(one.unit), one.text.into());
            }
        });
    }

    /// Hands all numbers over, as they are now. It takes some microseconds, as [`Kv::stats`] does.
    ///
    /// Numbers that fall are told as they are, and counters only if they have grown.
    pub fn record(&self) {
        let stats = self.kv.stats();
        let latencies = self.kv.latencies();
        metrics::with_recorder(|recorder| {
            for (one, label, read) in GAUGES {
                self.set_gauge(recorder, one.name, label.as_slice(), read(&stats));
            }
            for (one, label, read) in COUNTERS {
                self.set_counter(recorder, one.name, label.as_slice(), read(&stats));
            }
            if let Some(latencies) = latencies {
                self.record_histogram(recorder, "read", &latencies.reads);
                self.record_histogram(recorder, "commit", &latencies.commits);
            }
        });
    }

    fn record_histogram(&self, recorder: &dyn Recorder, operation: &'static str, of: &Histogram) {
        let operation = ("operation", operation);
        let mut buckets = of.buckets().peekable();
        let mut passed = 0;
        for bound in BOUNDS {
            // The buckets of the histogram end where those that are handed over do, a nanosecond before.
            let bound = Duration::from_nanos(1 << bound);
            while let Some((_, count)) = buckets.next_if(|(longest, _)| *longest < bound) {
                passed += count;
            }
            let le = bound.as_secs_f64().to_string();
            self.set_counter(recorder, BUCKET.name, &[operation, ("le", &le)], passed);
        }
        let count = of.count();
        self.set_counter(recorder, BUCKET.name, &[operation, ("le", "+Inf")], count);
        self.set_counter(recorder, COUNT.name, &[operation], count);
        self.set_gauge(recorder, SUM.name, &[operation], of.sum().as_secs_f64());
    }

    fn set_gauge(
        &self,
        recorder: &dyn Recorder,
        name: &'static str,
        labels: &[(&'static str, &str)],
        value: f64,
    ) {
        let key = self.key(name, labels);
        recorder.register_gauge(&key, &METADATA).set(value);
    }

    fn set_counter(
        &self,
        recorder: &dyn Recorder,
        name: &'static str,
        labels: &[(&'static str, &str)],
        value: u64,
    ) {
        let key = self.key(name, labels);
        recorder.register_counter(&key, &METADATA).absolute(value);
    }

    fn key(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Key {
        let own = labels
            .iter()
            .map(|(name, value)| Label::new(*name, (*value).to_owned()));
        Key::from_parts(
            name,
            self.labels.iter().cloned().chain(own).collect::<Vec<_>>(),
        )
    }
}
