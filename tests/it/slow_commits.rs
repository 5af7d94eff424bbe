//! Events of slow commits.

use crate::latencies::Ticking;
use crate::support::committed;
use kvick::{Clock, Kv, ManualClock};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

const MILLI: Duration = Duration::from_millis(1);

type Fields = BTreeMap<&'static str, String>;

/// Keeps the events that it is told.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Fields>>>);

struct Visitor<'a>(&'a mut Fields);

impl Visit for Visitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl Subscriber for Kept {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        assert_eq!(
            (event.metadata().target(), *event.metadata().level()),
            ("kvick", Level::WARN)
        );
        let mut fields = Fields::new();
        event.record(&mut Visitor(&mut fields));
        self.0
            .lock()
            .expect("nothing panics behind it")
            .push(fields);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The events of what is done; but for their messages, which are all the same.
fn told(work: impl FnOnce()) -> Vec<Fields> {
    let kept = Kept::default();
    tracing::subscriber::with_default(kept.clone(), work);
    let mut told = std::mem::take(&mut *kept.0.lock().expect("nothing panics behind it"));
    for fields in &mut told {
        assert_eq!(fields.remove("message").as_deref(), Some("slow commit"));
    }
    told
}

fn fields(of: [(&'static str, &str); 5]) -> Fields {
    of.into_iter()
        .map(|(name, value)| (name, value.to_owned()))
        .collect()
}

fn slow_from(threshold: impl Into<Option<Duration>>) -> Kv {
    Kv::builder()
        .clock(Ticking::by(MILLI) as Arc<dyn Clock>)
        .background_sweep(false)
        .slow_commits(threshold)
        .build()
}

#[test]
fn a_slow_commit_is_told_with_what_it_was() {
    let kv = slow_from(MILLI);
    let told = told(|| {
        kv.set("key", 1_u64).unwrap();
        let mut operation = kv.atomic();
        operation
            .check_absent("other")
            .set("other", 1_u64)
            .delete("key");
        for _ in 0..2 {
            let _ = operation.commit().unwrap();
        }
        kv.set((), 1_u64).unwrap_err();
        let mut attempts = 0;
        let done = kv.transact(|tx| {
            attempts += 1;
            tx.get("other")?;
            tx.list("range").count()?;
            if attempts == 1 {
                kv.delete("other")?;
            }
            tx.set("key", 1_u64);
            Ok(())
        });
        assert!(done.unwrap().is_committed());
    });
    let expected = [
        ("1", "0", "1", "committed"),
        ("2", "1", "1", "committed"),
        ("2", "1", "1", "conflict"),
        ("1", "0", "1", "refused"),
        ("1", "0", "1", "committed"),
        ("1", "2", "1", "conflict"),
        ("1", "2", "2", "committed"),
    ];
    let expected = expected.map(|(writes, checks, attempt, outcome)| {
        fields([
            ("duration_us", "1000"),
            ("writes", writes),
            ("checks", checks),
            ("attempt", attempt),
            ("outcome", &format!("{outcome:?}")),
        ])
    });
    assert_eq!(told, expected);
    assert_eq!(kv.latencies(), None);
}

#[test]
fn what_is_faster_is_not_told() {
    let work = |kv: &Kv| {
        kv.set("key", 1_u64).unwrap();
        kv.get("key").unwrap();
        committed(kv.atomic().delete("key").set("key", 2_u64).commit());
    };
    assert_eq!(
        told(|| work(&slow_from(MILLI + Duration::from_nanos(1)))),
        []
    );
    assert_eq!(told(|| work(&slow_from(None))), []);
    assert_eq!(told(|| work(&slow_from(Duration::ZERO))).len(), 2);
    let clock = Arc::new(ManualClock::default());
    let kv = Kv::builder().clock(clock).slow_commits(MILLI).build();
    assert_eq!(told(|| work(&kv)), []);
}

#[test]
fn whoever_is_told_may_use_the_database() {
    struct Asking(Kv);
    impl Subscriber for Asking {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, _: &Event<'_>) {
            // It would be told of itself, but for that `tracing` does not tell events of events.
            self.0.sum("told", 1).unwrap();
            self.0.sweep();
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }
    let kv = slow_from(MILLI);
    tracing::subscriber::with_default(Asking(kv.clone()), || {
        kv.set("key", 1_u64).unwrap();
        kv.delete_range(()).unwrap();
    });
    assert_eq!(kv.get("told").unwrap().as_u64(), Some(1));
}
