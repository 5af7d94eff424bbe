//! A client of a database that does not answer what it was asked.

use async_trait::async_trait;
use deno_error::JsErrorBox;
use denokv_proto::{
    AtomicWrite, CommitResult, Consistency, Database, KvEntry, KvValue, ReadRange, ReadRangeOutput,
    SnapshotReadOptions, WatchKeyOutput, WatchStream,
};
use futures_lite::future::block_on;
use futures_lite::stream;
use kvick::denokv::{Client, MessageHandle};
use kvick::{Cursor, ErrorKind, Key, Range, Result, Update};
use std::cell::RefCell;
use std::rc::Rc;

/// What it says to the next reads: an answer each, of ranges with these keys, or an error.
type Answers = Vec<Said<Vec<Vec<Key>>>>;

/// An answer, or the text of an error.
type Said<T> = std::result::Result<T, &'static str>;

/// Says what it was told to say.
#[derive(Clone, Default)]
struct Scripted {
    reads: Rc<RefCell<Answers>>,
    watched: Rc<RefCell<Vec<Said<Vec<WatchKeyOutput>>>>>,
    /// By which consistency each read was asked for.
    asked: Rc<RefCell<Vec<Consistency>>>,
}

impl Scripted {
    fn reading(mut answers: Answers) -> Client<Self> {
        answers.reverse();
        Client::new(Self {
            reads: Rc::new(RefCell::new(answers)),
            ..Self::default()
        })
    }
}

fn entry(key: &Key) -> KvEntry {
    KvEntry {
        key: key.as_bytes().to_vec(),
        value: KvValue::U64(1),
        versionstamp: [1; 10],
    }
}

#[async_trait(?Send)]
impl Database for Scripted {
    type QMH = MessageHandle;

    async fn snapshot_read(
        &self,
        _requests: Vec<ReadRange>,
        options: SnapshotReadOptions,
    ) -> std::result::Result<Vec<ReadRangeOutput>, JsErrorBox> {
        self.asked.borrow_mut().push(options.consistency);
        let answer = self.reads.borrow_mut().pop().expect("no more was expected");
        let ranges = answer.map_err(JsErrorBox::generic)?;
        let output = |keys: Vec<Key>| ReadRangeOutput {
            entries: keys.iter().map(entry).collect(),
        };
        Ok(ranges.into_iter().map(output).collect())
    }

    async fn atomic_write(
        &self,
        _write: AtomicWrite,
    ) -> std::result::Result<Option<CommitResult>, JsErrorBox> {
        Ok(None)
    }

    async fn dequeue_next_message(&self) -> std::result::Result<Option<MessageHandle>, JsErrorBox> {
        Ok(None)
    }

    fn watch(&self, _keys: Vec<Vec<u8>>) -> WatchStream {
        let outputs = self.watched.take().into_iter();
        let outputs = outputs.map(|output| output.map_err(JsErrorBox::generic));
        Box::pin(stream::iter(outputs.collect::<Vec<_>>()))
    }

    fn close(&self) {}
}

fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

const BACKEND: Option<ErrorKind> = Some(ErrorKind::Backend);

#[test]
fn a_read_that_is_answered_wrongly_is_an_error() {
    let key = || Key::from("key");
    let wrong: Answers = vec![
        Ok(vec![]),
        Ok(vec![vec![], vec![]]),
        Ok(vec![vec!["other".into()]]),
        Err("connection reset"),
    ];
    for answer in wrong {
        let client = Scripted::reading(vec![answer]);
        assert_eq!(kind(block_on(client.get(key()))), BACKEND);
    }
    let client = Scripted::reading(vec![Err("connection reset")]);
    let error = block_on(client.get(key())).expect_err("it says so");
    assert_eq!(error.to_string(), "connection reset");
    assert!(error.downcast_ref::<JsErrorBox>().is_some());
}

/// What decides nothing is checked by no commit, and is to be of no past moment either.
#[test]
fn what_updates_and_transactions_read_is_the_newest() -> Result<()> {
    let nothing = || Ok(vec![vec![]]);
    let client = Scripted::reading(vec![nothing(), nothing(), nothing(), nothing()]).eventual();
    block_on(client.get("key"))?;
    assert!(block_on(client.list("log").entries())?.is_empty());
    let kept = block_on(client.update("key", |_| Update::keep()))?;
    let read = block_on(client.transact(async |tx| tx.get("key").await))?;
    assert!(kept.is_committed() && read.is_committed());
    let asked = client.database().asked.borrow();
    let is_strong = asked.iter().map(|it| *it == Consistency::Strong);
    assert!(is_strong.eq([false, false, true, true]), "{asked:?}");
    Ok(())
}

#[test]
fn a_list_that_is_answered_wrongly_ends_with_an_error() -> Result<()> {
    let at = |n: u64| Key::from(("log", n));
    let wrong: Answers = vec![
        Ok(vec![]),
        Ok(vec![vec![at(3), at(4), at(5)]]),
        Ok(vec![vec![at(3), at(2)]]),
        Ok(vec![vec![at(1), at(1)]]),
        Ok(vec![vec!["elsewhere".into()]]),
        Ok(vec![vec![Key::from("log")]]),
        Err("connection reset"),
    ];
    for answer in wrong {
        let client = Scripted::reading(vec![answer]);
        let listed = block_on(client.list("log").batch_size(2).entries());
        assert_eq!(kind(listed), BACKEND);
    }
    // In reverse, what comes has to go down.
    let client = Scripted::reading(vec![Ok(vec![vec![at(3), at(4)]])]);
    assert_eq!(
        kind(block_on(client.list("log").reverse().entries())),
        BACKEND
    );
    // What was given out before stays, and the cursor is where it can be gone on from.
    let client = Scripted::reading(vec![Ok(vec![vec![at(1), at(2)]]), Err("connection reset")]);
    let mut entries = client.list("log").batch_size(2).stream()?;
    for n in [1, 2] {
        let entry = block_on(entries.next()).expect("there is one")?;
        assert_eq!(entry.key(), &at(n));
    }
    assert!(block_on(entries.next()).is_some_and(|error| error.is_err()));
    assert!(block_on(entries.next()).is_none());
    let cursor = entries.cursor().unwrap_or_default();
    assert_ne!(cursor, Cursor::default());
    let client = Scripted::reading(vec![Ok(vec![vec![at(2)]])]);
    let behind = client.list("log").after(cursor).entries();
    assert_eq!(kind(block_on(behind)), BACKEND, "it lies before the cursor");
    Ok(())
}

#[test]
fn nothing_is_asked_of_a_range_without_keys() -> Result<()> {
    let client = Scripted::reading(Vec::new());
    let nothing = Range::new("a", "a");
    assert_eq!(block_on(client.list(nothing).count())?, 0);
    assert!(block_on(client.get_many::<Key>([]))?.is_empty());
    Ok(())
}

#[test]
fn a_write_without_checks_that_conflicts_is_an_error() {
    let client = Scripted::reading(Vec::new());
    assert_eq!(kind(block_on(client.set("key", "x"))), BACKEND);
    assert_eq!(
        kind(block_on(client.set_versionstamped("key", "x"))),
        BACKEND
    );
    let mut operation = client.atomic();
    operation.check_absent("key").set("key", "x");
    assert!(block_on(operation.commit()).is_ok_and(|outcome| !outcome.is_committed()));
    assert_eq!(
        kind(block_on(client.listen().recv())),
        Some(ErrorKind::Closed)
    );
}

#[test]
fn a_watch_that_is_answered_wrongly_says_so_and_goes_on() -> Result<()> {
    let key = Key::from("key");
    let changed = |key: &Key| WatchKeyOutput::Changed {
        entry: Some(entry(key)),
    };
    let scripted = Scripted::default();
    scripted.watched.replace(vec![
        Ok(vec![WatchKeyOutput::Unchanged]),
        Ok(vec![]),
        Ok(vec![changed(&Key::from("other"))]),
        Err("connection reset"),
        Ok(vec![changed(&key)]),
        // No change, whatever it says.
        Ok(vec![changed(&key)]),
        Ok(vec![WatchKeyOutput::Unchanged]),
        Ok(vec![WatchKeyOutput::Changed { entry: None }]),
    ]);
    let client = Client::new(scripted);
    let mut watch = client.watch([&key])?;
    for _ in 0..4 {
        assert_eq!(kind(block_on(watch.recv())), BACKEND);
    }
    assert_eq!(block_on(watch.recv())?.entries[0].as_u64(), Some(1));
    let gone = block_on(watch.recv())?;
    assert!(gone.entries[0].is_missing());
    assert_eq!(gone.versionstamp.to_bytes(), [1; 10], "it does not go back");
    assert_eq!(kind(block_on(watch.recv())), Some(ErrorKind::Closed));
    Ok(())
}
