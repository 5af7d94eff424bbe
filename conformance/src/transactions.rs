//! Any reads, then any writes.

use crate::backend::Backend;
use kvick::denokv::{Client, Database};
use kvick::{Entry, ErrorKind, Result, RetryPolicy, Sum, Transacted};
use std::num::NonZeroU32;
use std::thread::{self, ScopedJoinHandle};
use tokio::runtime::Handle;

const ACCOUNTS: u64 = 3;
const BEGUN_WITH: u64 = 100;

/// Moves something between two accounts, by reads of both.
async fn transfer<D: Database>(
    client: &Client<D>,
    from: u64,
    to: u64,
    amount: u64,
) -> Result<bool> {
    let moved = client.transact(async |tx| {
        let balance = tx.get(("account", from)).await?.as_u64().unwrap_or(0);
        let held = tx.get(("account", to)).await?.as_u64().unwrap_or(0);
        if balance < amount {
            return tx.abort("insufficient funds");
        }
        tx.set(("account", from), balance - amount);
        tx.set(("account", to), held + amount);
        Ok(())
    });
    Ok(moved.await?.is_committed())
}

pub(crate) async fn transactions_of_many_threads_conserve_what_they_move<B: Backend>(
    backend: &B,
) -> Result<()> {
    let client = backend.client();
    for account in 0..ACCOUNTS {
        client.set(("account", account), BEGUN_WITH).await?;
    }
    let runtime = Handle::current();
    let moved: Vec<Result<()>> = thread::scope(|scope| {
        let threads = (0..3u64).map(|thread| {
            let (client, runtime) = (client.clone(), runtime.clone());
            scope.spawn(move || {
                runtime.block_on(async {
                    for turn in 0..20u64 {
                        let from = (thread + turn) % ACCOUNTS;
                        let to = (from + 1 + turn % 2) % ACCOUNTS;
                        transfer(&client, from, to, 1 + turn * 7 % 40).await?;
                        let entries = client.list("account").entries().await?;
                        let sum: u64 = entries.iter().filter_map(Entry::as_u64).sum();
                        assert_eq!(sum, ACCOUNTS * BEGUN_WITH, "in between");
                    }
                    Ok(())
                })
            })
        });
        let threads: Vec<_> = threads.collect();
        let joined = threads.into_iter().map(ScopedJoinHandle::join);
        joined
            .map(|joined| joined.expect("no thread panics"))
            .collect()
    });
    moved.into_iter().collect()
}

pub(crate) async fn a_transaction_sees_its_own_writes<B: Backend>(backend: &B) -> Result<()> {
    let client = backend.client();
    client.set("n", 5u64).await?;
    client.set("text", "x").await?;
    let done = client.transact(async |tx| {
        tx.sum("n", 3);
        tx.max("n", 20);
        tx.min("n", 19);
        assert_eq!(tx.get("n").await?.as_u64(), Some(19));
        tx.set("new", "y");
        assert_eq!(tx.get("new").await?.as_str(), Some("y"));
        tx.delete("text");
        let read = tx.get_many(["text", "n", "text"]).await?;
        assert!(read[0].is_missing() && read[2].is_missing() && read[1].exists());
        tx.sum_with("t", Sum::number(0.5));
        assert_eq!(tx.get("t").await?.as_number(), Some(0.5));
        tx.set_versionstamped("log", "done");
        Ok(7)
    });
    let Transacted::Committed {
        value,
        versionstamp,
        ..
    } = done.await?
    else {
        unreachable!("nobody else is here")
    };
    assert_eq!(value, 7);
    let read = client.get_many(["n", "new", "text", "t"]).await?;
    assert_eq!((read[0].as_u64(), read[1].as_str()), (Some(19), Some("y")));
    assert!(read[2].is_missing());
    assert_eq!(read[3].as_number(), Some(0.5));
    let logged = client.list("log").entries().await?;
    assert_eq!(logged[0].versionstamp(), versionstamp);
    let refused = client.transact(async |tx| {
        tx.sum("new", 1);
        tx.get("new").await
    });
    assert_eq!(refused.await.unwrap_err().kind(), ErrorKind::TypeMismatch);
    Ok(())
}

pub(crate) async fn a_transaction_whose_reads_have_changed_is_run_again<B: Backend>(
    backend: &B,
) -> Result<()> {
    let client = backend.client();
    let mut runs = 0u32;
    let done = client.transact(async |tx| {
        runs += 1;
        assert_eq!(tx.get("flag").await?.is_missing(), runs == 1);
        if runs == 1 {
            client.set("flag", "by somebody else").await?;
            assert!(tx.get("flag").await?.is_missing(), "it is as it was read");
        }
        tx.set("runs", u64::from(runs));
        Ok(())
    });
    assert_eq!(done.await?.attempts(), 2);
    assert_eq!(client.get("runs").await?.as_u64(), Some(2));
    // What is not read does not conflict.
    let done = client.transact(async |tx| {
        client.sum("runs", 1).await?;
        tx.sum("runs", 1);
        Ok(())
    });
    assert_eq!(done.await?.attempts(), 1);
    assert_eq!(client.get("runs").await?.as_u64(), Some(4));
    Ok(())
}

pub(crate) async fn a_transaction_that_only_reads_has_read_at_one_moment<B: Backend>(
    backend: &B,
) -> Result<()> {
    let client = backend.client();
    for aborts in [false, true] {
        client.set("a", 0u64).await?;
        client.set("b", 0u64).await?;
        let mut runs = 0u32;
        let done = client.transact(async |tx| {
            runs += 1;
            let a = tx.get("a").await?.as_u64();
            if runs == 1 {
                let mut both = client.atomic();
                both.sum("a", 1).sum("b", 1);
                assert!(both.commit().await?.is_committed());
            }
            let b = tx.get("b").await?.as_u64();
            if aborts {
                return tx.abort(format!("{a:?} {b:?}"));
            }
            Ok((a, b))
        });
        match done.await? {
            Transacted::Committed {
                value,
                versionstamp,
                attempts,
                ..
            } => {
                assert_eq!(value, (Some(1), Some(1)));
                assert_eq!((versionstamp, attempts), (None, 2));
            }
            Transacted::Aborted {
                reason,
                read,
                attempts,
                ..
            } => {
                assert_eq!(reason.to_string(), "Some(1) Some(1)");
                assert_eq!((read.len(), attempts), (2, 2));
            }
            _ => unreachable!("it may be tried for ever"),
        }
    }
    Ok(())
}

pub(crate) async fn a_transaction_that_conflicts_too_often_is_exhausted<B: Backend>(
    backend: &B,
) -> Result<()> {
    let twice = NonZeroU32::MIN.saturating_add(1);
    let client = backend.client();
    let patient = client.with_retry(RetryPolicy::default().attempts_max(twice));
    let exhausted = patient.transact(async |tx| {
        tx.get("n").await?;
        client.sum("n", 1).await?;
        tx.set("other", "x");
        Ok(())
    });
    assert!(matches!(
        exhausted.await?,
        Transacted::Exhausted { attempts: 2, .. }
    ));
    assert_eq!(client.get("n").await?.as_u64(), Some(2));
    assert!(client.get("other").await?.is_missing());
    let failed = client.transact(async |tx| {
        tx.set("other", "x");
        Err::<(), _>(kvick::Error::other("no"))
    });
    assert_eq!(failed.await.unwrap_err().to_string(), "no");
    assert!(client.get("other").await?.is_missing());
    Ok(())
}
