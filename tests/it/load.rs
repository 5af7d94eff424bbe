//! Loading what is missing: one caller for all.

mod races;
mod tasks;

use crate::support::allocations::live_bytes;
use crate::support::alone::alone;
use crate::support::client::{assert_is_ours, give_up};
use crate::support::threads::{race, unstuck, wait_until};
use crate::support::{committed, everything};
use kvick::{
    Entry, Error, ErrorKind, Key, Kv, LoadError, Loading, ManualClock, NewValue, Range, Update,
};
use std::convert::Infallible;
use std::fmt::{self, Debug};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
/// A minute less a millisecond.
const NEARLY: Duration = Duration::from_millis(59_999);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const FOR_EVER: Option<Duration> = None;

/// A minute, and then half of one.
fn fresh_then_stale() -> Loading {
    Loading::default().expire_in(MINUTE).stale_for(MINUTE / 2)
}

/// What a loader fails with.
#[derive(Debug, PartialEq)]
struct Failure(u32);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failure {}", self.0)
    }
}

impl std::error::Error for Failure {}

type Loaded<E = Failure> = Result<Entry, LoadError<E>>;

fn timed() -> (Kv, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let kv = Kv::builder()
        .clock(Arc::<ManualClock>::clone(&clock))
        .background_sweep(false);
    (kv.build(), clock)
}

/// Loads a number.
fn load(kv: &Kv, key: impl Into<Key>, number: u64) -> Entry {
    let loaded = kv.get_or_load(key, FOR_EVER, || Ok::<_, Infallible>(number));
    loaded.expect("it is loaded or there")
}

/// Loads a number, while `meanwhile` happens.
fn load_while(kv: &Kv, key: &str, meanwhile: impl FnOnce()) -> Entry {
    let loaded = kv.get_or_load(key, FOR_EVER, || {
        meanwhile();
        Ok::<_, Infallible>(1_u64)
    });
    loaded.expect("nothing is refused")
}

/// A loader that must not be run.
fn never() -> Result<u64, Failure> {
    panic!("it is there")
}

#[track_caller]
fn assert_refused<E: Debug>(loaded: Loaded<E>, kind: ErrorKind) {
    match loaded {
        Err(LoadError::Refused(error)) => assert_eq!(error.kind(), kind, "{error}"),
        loaded => panic!("{loaded:?}"),
    }
}

#[test]
fn what_is_missing_is_loaded_once_and_what_is_there_is_not() {
    let (kv, clock) = timed();
    let loaded = kv
        .get_or_load(("a", 1), MINUTE, || Ok::<_, Failure>("text"))
        .unwrap();
    assert_eq!(loaded.as_str(), Some("text"));
    assert_eq!(loaded.versionstamp(), Some(kv.versionstamp()));
    assert_eq!(loaded.expires_in(), Some(MINUTE));
    assert_eq!(loaded.key(), &Key::from(("a", 1)));
    assert_eq!(kv.get(("a", 1)).unwrap(), loaded);

    clock.advance(SECOND);
    let hit = kv.get_or_load(("a", 1), MINUTE, never).unwrap();
    assert_eq!(hit, loaded);
    assert_eq!(hit.expires_in(), Some(59 * SECOND));
    assert_eq!(kv.versionstamp(), loaded.versionstamp().unwrap());
    clock.advance(MINUTE);
    assert_eq!(load(&kv, ("a", 1), 2).as_u64(), Some(2));
    assert_eq!(kv.get(("a", 1)).unwrap().expires_in(), None);
    let stats = kv.stats();
    assert_eq!((stats.load_count, stats.load_failure_count), (2, 0));
    assert_eq!((stats.load_wait_count, stats.commit_count), (0, 2));
}

#[test]
fn values_of_all_sizes_and_kinds_come_as_get_gives_them() {
    let kv = Kv::new();
    let values = [
        NewValue::from(vec![7_u8; 40_000]),
        NewValue::from(&[7_u8; 2_000][..]).into_owned(),
        NewValue::from("small"),
        NewValue::from(7_u64),
        NewValue::number(1.5),
    ];
    for (index, value) in (0_u64..).zip(values) {
        let kept = value.clone();
        let loaded = kv.get_or_load(index, MINUTE, || Ok::<_, Failure>(value));
        let loaded = loaded.unwrap();
        assert_eq!(kv.get(index).unwrap(), loaded);
        assert_eq!(loaded.value().map(NewValue::from), Some(kept));
    }
}

#[test]
fn one_caller_loads_for_all() {
    const THREADS: usize = 8;
    unstuck(|| {
        let kv = Kv::new();
        for round in 0..20_u64 {
            let runs = AtomicUsize::new(0);
            let waits = kv.stats().load_wait_count;
            let loaded = race(THREADS, |thread| {
                let load = || {
                    runs.fetch_add(1, Ordering::Relaxed);
                    // Until all others wait for this one.
                    wait_until(|| kv.stats().load_wait_count - waits == THREADS as u64 - 1);
                    Ok::<_, Failure>(format!("by {thread}"))
                };
                kv.get_or_load(round, MINUTE, load).unwrap()
            });
            assert_eq!(runs.into_inner(), 1);
            let stored = kv.get(round).unwrap();
            assert!(loaded.iter().all(|entry| *entry == stored));
        }
        assert_eq!(kv.stats().load_count, 20);
    });
}

#[test]
fn misses_that_race_load_once_for_each() {
    // Without waiting for each other: whoever comes late finds the entry.
    unstuck(|| {
        let kv = Kv::new();
        let runs = AtomicUsize::new(0);
        race(8, |_| {
            for key in 0..3_000_u64 {
                let load = || {
                    runs.fetch_add(1, Ordering::Relaxed);
                    Ok::<_, Failure>(key)
                };
                let loaded = kv.get_or_load(key, FOR_EVER, load).unwrap();
                assert_eq!(loaded.as_u64(), Some(key));
                assert!(loaded.versionstamp().is_some());
            }
        });
        assert_eq!(runs.into_inner(), 3_000);
        assert_eq!(kv.stats().load_count, 3_000);
    });
}

/// Callers of one key, the first of which fails once the others wait.
fn fail_before_others<E: Send + Sync + 'static>(
    kv: &Kv,
    others: u64,
    fail: impl Fn() -> Result<u64, E> + Sync,
) -> Vec<thread::Result<Loaded<E>>> {
    let waits = kv.stats().load_wait_count;
    let first = AtomicUsize::new(0);
    let callers = usize::try_from(others).expect("they are few") + 1;
    race(callers, |thread| {
        let load = || {
            if first.fetch_add(1, Ordering::Relaxed) > 0 {
                return Ok(thread as u64);
            }
            wait_until(|| kv.stats().load_wait_count - waits == others);
            fail()
        };
        panic::catch_unwind(AssertUnwindSafe(|| kv.get_or_load("a", MINUTE, load)))
    })
}

#[test]
fn an_error_reaches_all_who_waited_and_nothing_is_stored() {
    unstuck(|| {
        let kv = Kv::new();
        let told = fail_before_others(&kv, 5, || Err(Failure(7)));
        let errors: Vec<_> = told
            .into_iter()
            .map(|told| match told {
                Ok(Err(LoadError::Failed(error))) => error,
                told => panic!("{told:?}"),
            })
            .collect();
        assert_eq!(*errors[0], Failure(7));
        assert!(errors.iter().all(|error| Arc::ptr_eq(error, &errors[0])));
        assert!(everything(&kv).is_empty());
        assert_eq!(kv.stats().commit_count, 0);
        assert_eq!(kv.stats().load_failure_count, 1);
        // Whoever comes later tries again.
        assert_eq!(load(&kv, "a", 3).as_u64(), Some(3));
    });
}

#[test]
fn after_a_panic_one_of_those_who_waited_takes_over() {
    unstuck(|| {
        let kv = Kv::new();
        let told = fail_before_others::<Failure>(&kv, 5, give_up);
        let (panicked, loaded): (Vec<_>, Vec<_>) = told.into_iter().partition(Result::is_err);
        assert_eq!(panicked.len(), 1);
        panicked
            .into_iter()
            .filter_map(Result::err)
            .for_each(assert_is_ours);
        let stored = kv.get("a").unwrap();
        assert!(stored.versionstamp().is_some());
        assert_eq!(loaded.len(), 5);
        for entry in loaded {
            assert_eq!(entry.unwrap().unwrap(), stored);
        }
        let stats = kv.stats();
        assert_eq!((stats.load_count, stats.load_failure_count), (2, 1));
        assert_eq!(stats.commit_count, 1);
    });
}

#[test]
fn who_waits_for_an_error_of_another_type_loads_by_itself() {
    unstuck(|| {
        let kv = Kv::new();
        let is_loading = AtomicUsize::new(0);
        let of_another = |answer: Result<u64, &'static str>| {
            wait_until(|| is_loading.load(Ordering::Relaxed) == 1);
            kv.get_or_load("a", MINUTE, || answer)
        };
        thread::scope(|scope| {
            let failed = scope.spawn(|| {
                kv.get_or_load("a", MINUTE, || {
                    is_loading.store(1, Ordering::Relaxed);
                    wait_until(|| kv.stats().load_wait_count == 2);
                    Err::<u64, _>(Failure(1))
                })
            });
            let same = scope.spawn(|| {
                wait_until(|| is_loading.load(Ordering::Relaxed) == 1);
                kv.get_or_load("a", MINUTE, never)
            });
            let other = scope.spawn(|| of_another(Err("other")));
            for told in [failed, same] {
                let told = told.join().unwrap();
                assert!(matches!(told, Err(LoadError::Failed(error)) if *error == Failure(1)));
            }
            let told = other.join().unwrap();
            assert!(matches!(told, Err(LoadError::Failed(error)) if *error == "other"));
        });
        assert_eq!(of_another(Ok(9)).unwrap().as_u64(), Some(9));
    });
}

#[test]
fn what_is_refused_reaches_all_and_changes_nothing() {
    unstuck(|| {
        let kv = Kv::new();
        let too_large = || Ok::<_, Failure>(vec![0_u8; 65_537]);
        let waits = kv.stats().load_wait_count;
        let told = race(4, |_| {
            kv.get_or_load("a", MINUTE, || {
                wait_until(|| kv.stats().load_wait_count - waits == 3);
                too_large()
            })
        });
        for told in told {
            let Err(LoadError::Refused(error)) = told else {
                panic!("{told:?}");
            };
            assert_eq!(error.kind(), ErrorKind::ValueTooLarge);
            let text = "Value too large (max 65536 bytes): got 65537 bytes";
            assert_eq!(error.to_string(), text);
            assert!(format!("{error:?}").contains(text));
        }
        let stats = kv.stats();
        assert_eq!((stats.load_count, stats.load_failure_count), (1, 1));
        assert_eq!((stats.entry_count, stats.commit_count), (0, 0));
    });
}

#[test]
fn what_cannot_be_stored_is_refused_before_it_is_loaded() {
    let kv = Kv::new();
    assert_refused(kv.get_or_load((), MINUTE, never), ErrorKind::KeyEmpty);
    let long = "k".repeat(2_049);
    let told = kv.get_or_load(&*long, MINUTE, never);
    assert_refused(told, ErrorKind::KeyTooLarge);
    // Also what together is too long, and also where the key is there.
    kv.set("a", 1_u64).unwrap();
    let years = Duration::from_secs(8_200_000_000_000);
    let loading = Loading::default().expire_in(years).stale_for(MINUTE);
    for key in ["a", "b"] {
        assert!(kv.get_or_load("a", years, never).is_ok());
        let told = kv.get_or_load(key, loading, never);
        assert_refused(told, ErrorKind::InvalidExpiry);
        let told = kv.read_only().get_or_load(key, MINUTE, never);
        assert_refused(told, ErrorKind::ReadOnly);
    }
    // One that the value itself asks for.
    let told = kv.get_or_load("b", Loading::default().stale_for(MINUTE), || {
        Ok::<_, Failure>(NewValue::from(1_u64).expire_in(years))
    });
    assert_refused(told, ErrorKind::InvalidExpiry);
    kv.close();
    assert_refused(kv.get_or_load("a", MINUTE, never), ErrorKind::Closed);
    assert_eq!(kv.stats().load_count, 1);
}

#[test]
fn errors_are_told_apart_and_turn_into_kvicks_own() {
    let kv = Kv::new();
    let failed = kv.get_or_load("a", MINUTE, || Err::<u64, _>(Failure(3)));
    let failed = failed.unwrap_err();
    assert_eq!(failed.to_string(), "failure 3");
    let error = Error::from(failed);
    assert_eq!(error.kind(), ErrorKind::Other);
    assert_eq!(
        error.downcast_ref::<Arc<Failure>>(),
        Some(&Arc::new(Failure(3)))
    );
    let refused = kv.get_or_load((), MINUTE, never).unwrap_err();
    assert_eq!(refused.to_string(), "key cannot be empty");
    assert_eq!(Error::from(refused).kind(), ErrorKind::KeyEmpty);
    // Kvick's own, of a loader that uses it.
    let own = |error: fn() -> Error| {
        let failed = kv.get_or_load("a", MINUTE, || Err::<u64, _>(error()));
        Error::from(failed.expect_err("it fails"))
    };
    assert_eq!(
        own(|| Kv::new().set((), 1_u64).unwrap_err()).kind(),
        ErrorKind::KeyEmpty
    );
    let other = own(|| Error::other(Failure(4)));
    assert_eq!(other.downcast_ref(), Some(&Failure(4)));
    assert_eq!(other.downcast::<Failure>().unwrap(), Failure(4));
}

#[test]
fn a_loader_may_do_everything() {
    unstuck(|| {
        let kv = Kv::new();
        kv.set("x", 1_u64).unwrap();
        let loaded = kv.get_or_load("a", MINUTE, || {
            assert_eq!(load(&kv, "b", 2).as_u64(), Some(2));
            committed(kv.atomic().set("c", 1_u64).delete("x").commit());
            let updated = kv.update("c", |_| Update::set(2_u64))?;
            assert!(updated.is_committed());
            kv.sweep();
            // Every stripe, from here and from another thread.
            kv.delete_range(Range::new("b", "z"))?;
            thread::scope(|scope| {
                scope.spawn(|| kv.delete_prefix("p")).join().unwrap()?;
                scope.spawn(|| kv.set("d", 1_u64)).join().unwrap()
            })?;
            Ok::<_, Error>(7_u64)
        });
        assert_eq!(loaded.unwrap(), kv.get("a").unwrap());
        assert_eq!(kv.get("a").unwrap().as_u64(), Some(7));
    });
}

#[test]
fn a_load_that_waits_for_itself_is_refused() {
    unstuck(|| {
        let kv = Kv::new();
        let loaded = kv.get_or_load("a", MINUTE, || {
            // The own key, and a key whose loader loads the own.
            assert_refused(kv.get_or_load("a", MINUTE, never), ErrorKind::RecursiveLoad);
            let other = kv.get_or_load("b", MINUTE, || -> Result<u64, Failure> {
                assert_refused(kv.get_or_load("a", MINUTE, never), ErrorKind::RecursiveLoad);
                Err(Failure(1))
            });
            assert!(matches!(other, Err(LoadError::Failed(_))));
            Ok::<_, Failure>(7_u64)
        });
        assert_eq!(loaded.unwrap().as_u64(), Some(7));
        assert!(kv.get("b").unwrap().is_missing());
    });
}

#[test]
fn loads_that_wait_for_each_other_are_refused() {
    // Three threads in a circle: whoever closes it is told, and the others then end.
    unstuck(|| {
        for _ in 0..50 {
            let kv = Kv::new();
            let loading = AtomicUsize::new(0);
            let told = race(3, |thread| {
                let (own, next) = (thread as u64, (thread as u64 + 1) % 3);
                kv.get_or_load(own, MINUTE, || {
                    loading.fetch_add(1, Ordering::Relaxed);
                    wait_until(|| loading.load(Ordering::Relaxed) == 3);
                    // Of one error type with the load that it waits for.
                    let never = || -> Result<u64, ErrorKind> { panic!("it is being loaded") };
                    match kv.get_or_load(next, MINUTE, never) {
                        Ok(entry) => Ok(entry.as_u64().unwrap_or(0)),
                        Err(LoadError::Refused(error)) => Err(error.kind()),
                        Err(LoadError::Failed(_)) => Err(ErrorKind::Other),
                    }
                })
            });
            let kinds = told.into_iter().map(|told| match told {
                Err(LoadError::Failed(kind)) => *kind,
                told => panic!("{told:?}"),
            });
            let mut kinds: Vec<_> = kinds.collect();
            kinds.sort_by_key(|kind| *kind == ErrorKind::RecursiveLoad);
            assert_eq!(
                kinds,
                [ErrorKind::Other, ErrorKind::Other, ErrorKind::RecursiveLoad]
            );
        }
    });
}

#[test]
fn what_is_set_during_a_load_wins() {
    let kv = Kv::new();
    for (key, set) in [("set", 0), ("sum", 1), ("atomic", 2), ("transaction", 3)] {
        let loaded = load_while(&kv, key, || match set {
            0 => drop(kv.set(key, 5_u64).unwrap()),
            1 => drop(kv.sum(key, 5).unwrap()),
            2 => drop(committed(
                kv.atomic().set("other", 1_u64).set(key, 5_u64).commit(),
            )),
            _ => {
                let set = kv.transact(|tx| {
                    tx.get("other")?;
                    tx.set(key, 5_u64);
                    Ok(())
                });
                assert!(set.unwrap().is_committed());
            }
        });
        assert_eq!(loaded.as_u64(), Some(5), "{key}");
        assert!(loaded.versionstamp().is_some());
        assert_eq!(loaded, kv.get(key).unwrap());
    }
}

#[test]
fn what_was_loaded_before_a_deletion_is_not_stored() {
    let kv = Kv::new();
    let delete = |how: usize, key: &str| match how {
        0 => drop(kv.delete(key).unwrap()),
        1 => drop(committed(kv.atomic().set("x", 1_u64).delete(key).commit())),
        2 => drop(kv.delete_range(Range::all()).unwrap()),
        3 => {
            kv.set(key, 5_u64).unwrap();
            kv.delete(key).unwrap();
        }
        4 => drop(kv.delete_range(Range::new("k", "z")).unwrap()),
        _ => {
            let deleted = kv.transact(|tx| {
                tx.delete(key);
                Ok(())
            });
            assert!(deleted.unwrap().is_committed());
        }
    };
    for how in 0..6 {
        let key = format!("key {how}");
        let loaded = load_while(&kv, &key, || {
            delete(how, &key);
            // Whoever comes now does not wait for what is older.
            assert_eq!(load(&kv, &*key, 2).as_u64(), Some(2));
            kv.delete(&*key).unwrap();
        });
        // The caller gets what it has loaded, as an entry that is not there.
        assert_eq!(loaded.as_u64(), Some(1), "{how}");
        assert_eq!(loaded.versionstamp(), None);
        assert!(kv.get(&*key).unwrap().is_missing());
        assert!(
            kv.atomic()
                .check(&loaded)
                .set(&*key, 3_u64)
                .commit()
                .unwrap()
                .is_committed()
        );
    }
    assert_eq!(kv.stats().load_failure_count, 0);
}

#[test]
fn what_names_other_keys_or_commits_nothing_leaves_a_load_alone() {
    let kv = Kv::new();
    let loaded = load_while(&kv, "key", || {
        kv.delete("kex").unwrap();
        kv.delete_prefix("key").unwrap();
        kv.delete_range(Range::new("key ", "z")).unwrap();
        kv.touch("key", MINUTE).unwrap();
        let conflict = kv.atomic().check_exists("key").delete("key").commit();
        assert!(!conflict.unwrap().is_committed());
        let checked = kv.atomic().check_absent("key").set("other", 1_u64).commit();
        assert!(checked.unwrap().is_committed());
        kv.get("key").unwrap();
    });
    assert!(loaded.versionstamp().is_some());
    assert_eq!(kv.get("key").unwrap(), loaded);
}

#[test]
fn a_stale_entry_is_loaded_anew_by_one_and_given_to_all_others() {
    let (kv, clock) = timed();
    let first = kv.get_or_load("a", fresh_then_stale(), || Ok::<_, Failure>(1_u64));
    let first = first.unwrap();
    assert_eq!(first.expires_in(), Some(MINUTE * 3 / 2));
    clock.advance(NEARLY);
    assert_eq!(
        kv.get_or_load("a", fresh_then_stale(), never).unwrap(),
        first
    );
    clock.advance(MS);
    let second = kv.get_or_load("a", fresh_then_stale(), || {
        // Others, also the loader itself, are given what is there; who wants none that is stale, too.
        let stale = kv.get_or_load("a", fresh_then_stale(), never);
        assert_eq!(stale.unwrap(), first);
        assert_eq!(kv.get_or_load("a", MINUTE, never).unwrap(), first);
        Ok::<_, Failure>(2_u64)
    });
    let second = second.unwrap();
    assert_eq!(second.as_u64(), Some(2));
    assert!(second.versionstamp() > first.versionstamp());
    assert_eq!(
        kv.get_or_load("a", fresh_then_stale(), never).unwrap(),
        second
    );
    assert_eq!(kv.stats().load_wait_count, 0);
}

#[test]
fn the_value_says_how_long_it_is_fresh_if_it_does() {
    let (kv, clock) = timed();
    let hour = 60 * MINUTE;
    let value = || Ok::<_, Failure>(NewValue::from(1_u64).expire_in(hour));
    let loaded = kv.get_or_load("a", fresh_then_stale(), value).unwrap();
    assert_eq!(loaded.expires_in(), Some(hour + MINUTE / 2));
    assert_eq!(kv.get("a").unwrap().expires_in(), loaded.expires_in());
    clock.advance(59 * MINUTE);
    assert_eq!(
        kv.get_or_load("a", fresh_then_stale(), never).unwrap(),
        loaded
    );
    let kept = || Ok::<_, Failure>(NewValue::from(1_u64).keep_expiry());
    let loaded = kv.get_or_load("b", MINUTE, kept).unwrap();
    assert_eq!(loaded.expires_in(), Some(MINUTE));
    // At once is at once.
    let loaded = kv.get_or_load("c", Duration::ZERO, || Ok::<_, Failure>(1_u64));
    assert_eq!(loaded.unwrap().expires_in(), Some(Duration::ZERO));
    assert!(kv.get("c").unwrap().is_missing());
}

#[test]
fn a_stale_entry_stays_when_loading_it_anew_fails() {
    let (kv, clock) = timed();
    let loading = fresh_then_stale();
    let first = kv
        .get_or_load("a", loading, || Ok::<_, Failure>(1_u64))
        .unwrap();
    clock.advance(MINUTE + SECOND);
    let failed = kv.get_or_load("a", loading, || {
        let stale = kv.get_or_load("a", loading, never).unwrap();
        assert_eq!(stale, first);
        Err::<u64, _>(Failure(1))
    });
    assert!(failed.is_err());
    assert_eq!(kv.get("a").unwrap(), first);
    let panicked = panic::catch_unwind(AssertUnwindSafe(|| {
        kv.get_or_load("a", loading, || -> Result<u64, Failure> { give_up() })
    }));
    assert_is_ours(panicked.unwrap_err());
    assert_eq!(kv.get("a").unwrap(), first);
    clock.advance(MINUTE / 2);
    let second = kv
        .get_or_load("a", loading, || Ok::<_, Failure>(2_u64))
        .unwrap();
    assert_eq!(second.as_u64(), Some(2));
}

#[test]
fn that_an_entry_expires_outdates_no_load_but_deleting_it_does() {
    let (kv, clock) = timed();
    for is_deleted in [false, true] {
        let first = kv.get_or_load("a", fresh_then_stale(), || Ok::<_, Failure>(1_u64));
        assert_eq!(first.unwrap().as_u64(), Some(1));
        clock.advance(MINUTE + SECOND);
        let second = kv.get_or_load("a", fresh_then_stale(), || {
            clock.advance(MINUTE);
            if is_deleted {
                kv.delete("a").unwrap();
            }
            kv.sweep();
            assert!(kv.get("a").unwrap().is_missing());
            Ok::<_, Failure>(2_u64)
        });
        let second = second.unwrap();
        assert_eq!(second.as_u64(), Some(2));
        assert_eq!(second.versionstamp().is_none(), is_deleted);
        assert_eq!(kv.get("a").unwrap().exists(), !is_deleted);
        assert_eq!(kv.stats().expired_count, 1, "the reaper has deleted it");
        kv.delete("a").unwrap();
    }
}

#[test]
fn a_load_under_way_completes_when_the_database_is_closed() {
    unstuck(|| {
        let kv = Kv::new();
        let told = race(3, |_| {
            kv.get_or_load("a", MINUTE, || {
                wait_until(|| kv.stats().load_wait_count == 2);
                kv.close();
                Ok::<_, Failure>(1_u64)
            })
        });
        for told in told {
            assert_eq!(told.unwrap().as_u64(), Some(1));
        }
        assert_refused(kv.get_or_load("a", MINUTE, never), ErrorKind::Closed);
    });
}

#[test]
fn a_load_that_is_over_leaves_nothing_behind() {
    alone("load::a_load_that_is_over_leaves_nothing_behind", || {
        let kv = Kv::builder().background_sweep(false).build();
        let turn = |turn: u64| {
            let key = turn % 64;
            let failed = kv.get_or_load(key, FOR_EVER, || Err::<u64, _>(vec![0_u8; 64]));
            assert!(failed.is_err());
            let loaded = kv.get_or_load(key, FOR_EVER, || {
                kv.delete(key).unwrap();
                Ok::<_, Failure>(turn)
            });
            assert_eq!(loaded.unwrap().versionstamp(), None);
            let panicked = panic::catch_unwind(AssertUnwindSafe(|| {
                kv.get_or_load(key, FOR_EVER, || -> Result<u64, Failure> { give_up() })
            }));
            assert!(panicked.is_err());
        };
        (0..1_000).for_each(turn);
        let before = live_bytes();
        (0..20_000).for_each(turn);
        let more = live_bytes() - before;
        assert!(more < 16_384, "{more} bytes more");
    });
}
