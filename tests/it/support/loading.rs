//! Reading through, by a client.

use super::checker::{Did, Event, Seen};
use super::client::{
    Client, NESTED_MAX, assert_is_ours, called_back, expectation, give_up, refused,
};
use super::model::{Check, Expect, Mutation, Op};
use super::workload::expires;
use kvick::{Entry, LoadError, Loading, NewValue};
use rand::RngExt;
use std::cell::Cell;
use std::future::poll_fn;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// How often a load is polled, at most, before it is dropped.
const POLLS_MAX: u32 = 4;

/// How long some entries are stale, of those that expire.
const STALE: Duration = Duration::from_millis(20);

/// What becomes of a loader.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Loads,
    Fails,
    Panics,
}

/// What loaders of clients fail with.
#[derive(Debug)]
struct Failed;

type Told = Result<Entry, LoadError<Failed>>;

impl Client<'_> {
    /// Reads a key through, while other steps are taken. What is missing, or stale, is loaded, or
    /// waited for, or given up.
    pub(super) fn load(&mut self) {
        if self.nested == NESTED_MAX {
            return;
        }
        self.nested += 1;
        let (key, value, stays) = (self.key(), self.value(), self.stays());
        let fate = [Fate::Fails, Fate::Panics, Fate::Loads][self.random.random_range(0..12).min(2)];
        let pauses = self.random.random_range(0..3);
        let (loading, op) = if expires(&key) {
            let loading = Loading::from(stays).stale_for(STALE);
            (loading, Op::SetFor(value.clone(), stays + STALE))
        } else {
            (Loading::default(), Op::Set(value.clone()))
        };
        // What the key held once the load had begun: it has to hold it until that is stored.
        let (kv, held) = (self.kv, Cell::new(None));
        let is_bounded = self.workload.bounds.is_some();
        let load = async {
            called_back();
            let entry = kv.get(&key).expect("a key can be read");
            let expect = match expectation(&entry) {
                // That something was evicted is no reason not to store what was loaded in its place.
                Expect::At(versionstamp) if is_bounded => Expect::NotNewer(versionstamp),
                expect => expect,
            };
            held.set(Some(expect));
            pause(pauses).await;
            match fate {
                Fate::Loads => Ok(NewValue::from(&value)),
                Fate::Fails => Err(Failed),
                Fate::Panics => give_up(),
            }
        };
        let recorder = self.recorder;
        let reading = kv.get_or_load_async(&key, loading, load);
        let (told, span) = recorder.time(|| self.poll(fate, Box::pin(reading)));
        self.nested -= 1;
        let Some(entry) = told else { return };
        let did = match (entry.versionstamp(), held.take()) {
            (Some(versionstamp), Some(expect)) if entry.value() == Some(&value) => Did::Commit {
                versionstamp,
                checks: vec![Check {
                    key: key.clone(),
                    expect,
                }],
                reads: Vec::new(),
                mutations: vec![Mutation { key, op }],
                sent: Vec::new(),
            },
            // There before, or set by somebody else meanwhile.
            (Some(_), _) => Did::Read {
                at: None,
                seen: vec![Seen::one(&entry)],
            },
            // Loaded before it was deleted, and stored by nobody.
            (None, _) => return,
        };
        self.events.push(Event { span, did });
    }

    /// Polls a load now and then; the entry, if there is one in the end.
    fn poll(
        &mut self,
        fate: Fate,
        mut reading: Pin<Box<impl Future<Output = Told>>>,
    ) -> Option<Entry> {
        for _ in 0..self.random.random_range(1..=POLLS_MAX) {
            let mut context = Context::from_waker(Waker::noop());
            let poll = || reading.as_mut().poll(&mut context);
            let polled = panic::catch_unwind(AssertUnwindSafe(poll));
            match polled {
                Ok(Poll::Pending) => {
                    // What unwinds here cannot let others go on.
                    let step = panic::catch_unwind(AssertUnwindSafe(|| self.step()));
                    if let Err(panic) = step {
                        drop(reading);
                        panic::resume_unwind(panic);
                    }
                }
                Ok(Poll::Ready(Ok(entry))) => return Some(entry),
                Ok(Poll::Ready(Err(LoadError::Failed(_)))) => return None,
                Ok(Poll::Ready(Err(LoadError::Refused(error)))) => {
                    refused(&error);
                    return None;
                }
                Err(panic) if matches!(fate, Fate::Panics) => {
                    assert_is_ours(panic);
                    return None;
                }
                Err(panic) => panic::resume_unwind(panic),
            }
        }
        None
    }
}

/// Is done when it is polled once more than so often.
async fn pause(mut pauses: u32) {
    poll_fn(|_| {
        let is_over = pauses == 0;
        pauses = pauses.saturating_sub(1);
        if is_over {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}
