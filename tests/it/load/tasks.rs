//! Loads of tasks, polled by hand.

use super::{FOR_EVER, Failure, Loaded, MINUTE, fresh_then_stale, load, never, timed};
use crate::support::client::{assert_is_ours, give_up};
use crate::support::threads::{unstuck, wait_until};
use crate::support::wakes::Wakes;
use kvick::{Entry, ErrorKind, Kv, LoadError};
use std::cell::Cell;
use std::future::{Ready, poll_fn, ready};
use std::panic::{self, AssertUnwindSafe};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

/// A future that is done when it is polled for the last of so many times.
struct After<T> {
    polls: usize,
    result: Option<T>,
}

impl<T: Unpin> Future for After<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        self.polls -= 1;
        if self.polls > 0 {
            return Poll::Pending;
        }
        Poll::Ready(self.result.take().expect("it is polled until it is done"))
    }
}

fn after<T>(polls: usize, result: T) -> After<T> {
    let result = Some(result);
    After { polls, result }
}

fn slowly(polls: usize, number: u64) -> After<Result<u64, Failure>> {
    after(polls, Ok(number))
}

fn number(number: u64) -> Ready<Result<u64, Failure>> {
    ready(Ok(number))
}

/// A loader that must not be polled.
fn unpolled() -> impl Future<Output = Result<u64, Failure>> {
    poll_fn(|_| Poll::Ready(never()))
}

fn poll<F: Future + ?Sized>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    poll(future, Waker::noop())
}

#[track_caller]
fn done(polled: Poll<Loaded>) -> Entry {
    match polled {
        Poll::Ready(loaded) => loaded.expect("it is loaded"),
        Poll::Pending => panic!("it is not done"),
    }
}

#[test]
fn a_task_loads_what_is_missing_and_is_given_what_is_there() {
    let kv = Kv::new();
    let mut loading = pin!(kv.get_or_load_async("a", MINUTE, slowly(3, 1)));
    assert!(poll_once(loading.as_mut()).is_pending());
    assert!(poll_once(loading.as_mut()).is_pending());
    assert!(kv.get("a").unwrap().is_missing());
    let loaded = done(poll_once(loading.as_mut()));
    assert_eq!(loaded, kv.get("a").unwrap());
    assert_eq!(loaded.as_u64(), Some(1));
    let hit = pin!(kv.get_or_load_async("a", MINUTE, unpolled()));
    assert_eq!(done(poll_once(hit)), loaded);
}

/// That a future can be sent, if what it is made of can.
fn sent<F: Future + Send>(future: F) -> F {
    future
}

#[test]
fn the_future_can_be_sent_if_the_loader_can() {
    let kv = Kv::new();
    let loading = sent(kv.get_or_load_async(("a", 1), MINUTE, number(1)));
    thread::scope(|scope| {
        let loaded = scope.spawn(|| done(poll_once(pin!(loading))));
        assert_eq!(loaded.join().unwrap().as_u64(), Some(1));
    });
    // And one that cannot is a loader all the same.
    let here = Rc::new(2_u64);
    let loading = pin!(kv.get_or_load_async("b", MINUTE, async { Ok::<_, Failure>(*here) }));
    assert_eq!(done(poll_once(loading)).as_u64(), Some(2));
}

#[test]
fn a_task_that_waits_is_woken_once_and_given_what_the_other_loads() {
    let kv = Kv::new();
    let wakes = Wakes::new();
    let mut first = pin!(kv.get_or_load_async("a", MINUTE, slowly(2, 1)));
    assert!(poll_once(first.as_mut()).is_pending());
    let mut others: Vec<_> = (0..3)
        .map(|_| Box::pin(kv.get_or_load_async("a", MINUTE, unpolled())))
        .collect();
    for other in &mut others {
        // With another waker first, which is let go of.
        let gone = Wakes::new();
        assert!(poll(other.as_mut(), &gone.waker()).is_pending());
        assert!(poll(other.as_mut(), &wakes.waker()).is_pending());
        assert_eq!((Arc::strong_count(&gone), gone.count()), (1, 0));
    }
    assert_eq!(wakes.count(), 0);
    let loaded = done(poll_once(first.as_mut()));
    assert_eq!(wakes.count(), 3);
    for other in &mut others {
        assert_eq!(done(poll(other.as_mut(), &wakes.waker())), loaded);
    }
    assert_eq!(Arc::strong_count(&wakes), 1, "no waker is kept");
    let stats = kv.stats();
    assert_eq!((stats.load_count, stats.load_wait_count), (1, 3));
}

#[test]
fn errors_reach_tasks_and_whoever_waits_for_another_type_takes_over() {
    let kv = Kv::new();
    let failing = after(2, Err::<u64, _>(Failure(1)));
    let mut first = pin!(kv.get_or_load_async("a", MINUTE, failing));
    assert!(poll_once(first.as_mut()).is_pending());
    let mut same = pin!(kv.get_or_load_async("a", MINUTE, unpolled()));
    let other = ready(Ok::<_, ErrorKind>(2_u64));
    let mut other = pin!(kv.get_or_load_async("a", MINUTE, other));
    assert!(poll_once(same.as_mut()).is_pending());
    assert!(poll_once(other.as_mut()).is_pending());
    for told in [poll_once(first), poll_once(same)] {
        let is_told =
            matches!(&told, Poll::Ready(Err(LoadError::Failed(error))) if **error == Failure(1));
        assert!(is_told, "{told:?}");
    }
    let Poll::Ready(Ok(loaded)) = poll_once(other) else {
        panic!("it loads by itself");
    };
    assert_eq!(loaded, kv.get("a").unwrap());
}

#[test]
fn a_load_that_is_dropped_at_any_point_is_taken_over() {
    const POLLS: usize = 5;
    let kv = Kv::new();
    for polls in 0..POLLS {
        let key = polls as u64;
        let mut first = Box::pin(kv.get_or_load_async(key, MINUTE, slowly(POLLS, 1)));
        let mut others: Vec<_> = [2, 3]
            .map(|own| Box::pin(kv.get_or_load_async(key, MINUTE, slowly(2, own))))
            .into();
        for _ in 0..polls {
            assert!(poll_once(first.as_mut()).is_pending());
        }
        let wakes = Wakes::new();
        for other in &mut others {
            assert!(poll(other.as_mut(), &wakes.waker()).is_pending());
        }
        drop(first);
        // One that had not begun was nobody's to take over.
        assert_eq!(wakes.count(), if polls > 0 { 2 } else { 0 });
        // The last becomes the first.
        if polls > 0 {
            assert!(poll(others[1].as_mut(), &wakes.waker()).is_pending());
            assert!(poll(others[0].as_mut(), &wakes.waker()).is_pending());
            others.swap(0, 1);
        }
        let loaded = done(poll(others[0].as_mut(), &wakes.waker()));
        assert_eq!(loaded.as_u64(), Some(if polls > 0 { 3 } else { 2 }));
        assert_eq!(done(poll(others[1].as_mut(), &wakes.waker())), loaded);
        assert_eq!(kv.get(key).unwrap(), loaded);
    }
}

#[test]
fn one_who_waits_and_goes_leaves_nothing_behind() {
    let kv = Kv::new();
    let mut first = Box::pin(kv.get_or_load_async("a", MINUTE, slowly(2, 1)));
    assert!(poll_once(first.as_mut()).is_pending());
    let (goes, stays) = (Wakes::new(), Wakes::new());
    let mut staying = pin!(kv.get_or_load_async("a", MINUTE, unpolled()));
    for _ in 0..3 {
        let mut going = Box::pin(kv.get_or_load_async("a", MINUTE, unpolled()));
        assert!(poll(going.as_mut(), &goes.waker()).is_pending());
        assert!(poll(staying.as_mut(), &stays.waker()).is_pending());
        drop(going);
        assert_eq!(Arc::strong_count(&goes), 1);
    }
    let loaded = done(poll_once(first.as_mut()));
    assert_eq!((goes.count(), stays.count()), (0, 1));
    assert_eq!(done(poll_once(staying.as_mut())), loaded);
    // Woken, and gone before it is polled.
    let mut first = Box::pin(kv.get_or_load_async("b", MINUTE, slowly(2, 1)));
    assert!(poll_once(first.as_mut()).is_pending());
    let mut going = Box::pin(kv.get_or_load_async("b", MINUTE, unpolled()));
    assert!(poll(going.as_mut(), &goes.waker()).is_pending());
    drop(first);
    assert_eq!(goes.count(), 1);
    drop(going);
    assert_eq!(load(&kv, "b", 2).as_u64(), Some(2));
}

#[test]
fn a_panic_of_a_future_is_its_callers_and_another_takes_over() {
    let kv = Kv::new();
    let wakes = Wakes::new();
    let turn = Cell::new(0);
    let panics = async {
        poll_fn(|_| {
            turn.set(turn.get() + 1);
            if turn.get() == 2 {
                give_up()
            } else {
                Poll::<()>::Pending
            }
        })
        .await;
        Ok::<_, Failure>(1_u64)
    };
    let mut first = Box::pin(kv.get_or_load_async("a", MINUTE, panics));
    assert!(poll_once(first.as_mut()).is_pending());
    let mut other = pin!(kv.get_or_load_async("a", MINUTE, number(2)));
    assert!(poll(other.as_mut(), &wakes.waker()).is_pending());
    let panicked = panic::catch_unwind(AssertUnwindSafe(|| poll_once(first.as_mut())));
    assert_is_ours(panicked.unwrap_err());
    assert_eq!(wakes.count(), 1);
    assert_eq!(done(poll_once(other)).as_u64(), Some(2));
}

#[test]
fn a_task_that_loads_its_own_key_is_refused() {
    let kv = Kv::new();
    let refused = async |key: &str| {
        let told = kv.get_or_load_async(key, MINUTE, unpolled()).await;
        matches!(told, Err(LoadError::Refused(error)) if error.kind() == ErrorKind::RecursiveLoad)
    };
    let loading = kv.get_or_load_async("a", MINUTE, async {
        assert!(refused("a").await);
        // Not only in the first poll.
        After {
            polls: 2,
            result: Some(()),
        }
        .await;
        let inner = kv.get_or_load_async("b", MINUTE, async {
            assert!(refused("a").await && refused("b").await);
            // A thread's way, in a task.
            let told = kv.get_or_load("a", MINUTE, never);
            assert!(told.is_err());
            Ok::<_, Failure>(2_u64)
        });
        assert!(inner.await.is_ok());
        Ok::<_, Failure>(1_u64)
    });
    let mut loading = pin!(loading);
    assert!(poll_once(loading.as_mut()).is_pending());
    // Beside it, the same thread may wait.
    let mut beside = pin!(kv.get_or_load_async("a", MINUTE, unpolled()));
    assert!(poll_once(beside.as_mut()).is_pending());
    assert_eq!(done(poll_once(loading)).as_u64(), Some(1));
    assert_eq!(done(poll_once(beside)).as_u64(), Some(1));
}

#[test]
fn a_task_revalidates_what_is_stale_while_others_get_it() {
    let (kv, clock) = timed();
    let loading = fresh_then_stale();
    let stale = done(poll_once(pin!(kv.get_or_load_async(
        "a",
        loading,
        number(1)
    ))));
    clock.advance(MINUTE);
    let mut revalidating = Box::pin(kv.get_or_load_async("a", loading, slowly(2, 2)));
    assert!(poll_once(revalidating.as_mut()).is_pending());
    let other = || {
        done(poll_once(pin!(kv.get_or_load_async(
            "a",
            loading,
            unpolled()
        ))))
    };
    assert_eq!(other(), stale);
    // Dropped, and the next one that comes revalidates.
    drop(revalidating);
    let mut revalidating = pin!(kv.get_or_load_async("a", loading, slowly(2, 3)));
    assert!(poll_once(revalidating.as_mut()).is_pending());
    assert_eq!(other(), stale);
    assert_eq!(done(poll_once(revalidating)).as_u64(), Some(3));
    assert_eq!(other().as_u64(), Some(3));
}

#[test]
fn threads_and_tasks_wait_for_each_other() {
    unstuck(|| {
        let kv = Kv::new();
        // A thread for a task.
        let mut task = Box::pin(kv.get_or_load_async("a", FOR_EVER, slowly(2, 1)));
        assert!(poll_once(task.as_mut()).is_pending());
        thread::scope(|scope| {
            let thread = scope.spawn(|| kv.get_or_load("a", FOR_EVER, never));
            wait_until(|| kv.stats().load_wait_count == 1);
            let loaded = done(poll_once(task.as_mut()));
            assert_eq!(thread.join().unwrap().unwrap(), loaded);
        });
        // A task for a thread; also one that takes over from a thread.
        for is_given_up in [false, true] {
            let key = if is_given_up { "b" } else { "c" };
            let (kv, goes_on) = (&kv, AtomicBool::new(false));
            let wakes = Wakes::new();
            thread::scope(|scope| {
                let begun = kv.stats().load_count;
                let thread = scope.spawn(|| {
                    let load = || {
                        wait_until(|| goes_on.load(Ordering::Relaxed));
                        if is_given_up {
                            give_up()
                        } else {
                            Ok::<_, Failure>(1_u64)
                        }
                    };
                    panic::catch_unwind(AssertUnwindSafe(|| kv.get_or_load(key, FOR_EVER, load)))
                });
                wait_until(|| kv.stats().load_count > begun);
                let mut task = pin!(kv.get_or_load_async(key, FOR_EVER, number(2)));
                assert!(poll(task.as_mut(), &wakes.waker()).is_pending());
                goes_on.store(true, Ordering::Relaxed);
                wait_until(|| wakes.count() == 1);
                let own = if is_given_up { 2 } else { 1 };
                assert_eq!(done(poll_once(task)).as_u64(), Some(own));
                assert_eq!(thread.join().unwrap().is_err(), is_given_up);
            });
        }
    });
}

/// A waker that loads.
struct Loads(Kv, AtomicU64);

impl Wake for Loads {
    fn wake(self: Arc<Self>) {
        let loaded = self.0.get_or_load("a", MINUTE, || Ok::<_, Failure>(5_u64));
        let number = loaded.ok().and_then(|entry| entry.as_u64());
        self.1.store(number.unwrap_or(0), Ordering::Relaxed);
    }
}

#[test]
fn whoever_is_woken_by_an_error_may_load_at_once() {
    let kv = Kv::new();
    let failing = after(2, Err::<u64, _>(Failure(1)));
    let mut first = pin!(kv.get_or_load_async("a", MINUTE, failing));
    assert!(poll_once(first.as_mut()).is_pending());
    let loads = Arc::new(Loads(kv.clone(), AtomicU64::new(0)));
    let mut other = pin!(kv.get_or_load_async("a", MINUTE, unpolled()));
    let waker = Waker::from(Arc::clone(&loads));
    assert!(poll(other.as_mut(), &waker).is_pending());
    assert!(matches!(poll_once(first), Poll::Ready(Err(_))));
    assert_eq!(loads.1.load(Ordering::Relaxed), 5);
    assert!(matches!(poll_once(other), Poll::Ready(Err(_))));
}

/// A waker that panics.
struct Panicking;

impl Wake for Panicking {
    fn wake(self: Arc<Self>) {
        give_up::<()>();
    }
}

#[test]
fn a_waker_that_panics_keeps_nobody_from_being_woken() {
    let kv = Kv::new();
    let mut first = pin!(kv.get_or_load_async("a", MINUTE, slowly(2, 1)));
    assert!(poll_once(first.as_mut()).is_pending());
    let wakes = Wakes::new();
    let mut others = [0, 1, 2].map(|_| Box::pin(kv.get_or_load_async("a", MINUTE, unpolled())));
    for (other, waker) in others.iter_mut().zip([
        wakes.waker(),
        Waker::from(Arc::new(Panicking)),
        wakes.waker(),
    ]) {
        assert!(poll(other.as_mut(), &waker).is_pending());
    }
    assert_eq!(done(poll_once(first)).as_u64(), Some(1));
    assert_eq!(wakes.count(), 2);
}
