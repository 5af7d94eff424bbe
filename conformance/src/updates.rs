//! Read, decide, write.

use crate::backend::Backend;
use kvick::{Entry, ErrorKind, Result, Transacted, Update};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;
use tokio::runtime::Handle;

pub(crate) async fn an_update_is_shown_the_entry_and_sets_what_it_says<B: Backend>(
    backend: &B,
) -> Result<()> {
    let client = backend.client();
    let add = |entry: &Entry| Update::set(entry.as_u64().unwrap_or(0) + 1);
    for expected in 1..4 {
        let updated = client.update("n", add).await?;
        assert_eq!(updated.attempts(), 1);
        let Transacted::Committed { versionstamp, .. } = updated else {
            unreachable!("nobody else is here")
        };
        let read = client.get("n").await?;
        assert_eq!(read.as_u64(), Some(expected));
        assert_eq!(read.versionstamp(), versionstamp);
    }
    let kept = client.update("n", |_| Update::keep()).await?;
    assert!(matches!(
        kept,
        Transacted::Committed {
            versionstamp: None,
            ..
        }
    ));
    assert!(
        client
            .update("n", |_| Update::delete())
            .await?
            .is_committed()
    );
    assert!(client.get("n").await?.is_missing());
    let failed = client.update("n", |_| Err::<Update, _>(kvick::Error::other("no")));
    assert_eq!(failed.await.unwrap_err().kind(), ErrorKind::Other);
    Ok(())
}

pub(crate) async fn an_update_that_is_aborted_changes_nothing_and_says_what_it_read<B: Backend>(
    backend: &B,
) -> Result<()> {
    let client = backend.client();
    client.set("a", 5u64).await?;
    let aborted = client.update("a", |_| Update::abort("no")).await?;
    let Transacted::Aborted { reason, read, .. } = aborted else {
        unreachable!("it says so")
    };
    assert_eq!(
        (reason.to_string(), read[0].as_u64()),
        ("no".to_owned(), Some(5))
    );
    // Of more keys than one read may have.
    let keys: Vec<_> = (0..25).map(|n| ("many", n)).collect();
    let aborted = client.update_many(keys, |_| Update::abort("no")).await?;
    assert!(matches!(aborted, Transacted::Aborted { read, .. } if read.len() == 25));
    assert_eq!(client.get("a").await?.as_u64(), Some(5));
    Ok(())
}

pub(crate) async fn an_update_of_several_keys_is_one_commit<B: Backend>(backend: &B) -> Result<()> {
    let client = backend.client();
    client.set(("n", 3), 100u64).await?;
    let keys = || (0..25).map(|n| ("n", n));
    let updated = client.update_many(keys(), |entries| {
        let updates = entries.iter().map(|entry| match entry.as_u64() {
            Some(_) => Update::keep(),
            None => Update::set(7u64),
        });
        updates.collect::<Vec<_>>()
    });
    assert!(updated.await?.is_committed());
    let entries = client.list("n").entries().await?;
    assert_eq!(entries.len(), 25);
    assert!(
        entries[4..]
            .iter()
            .all(|entry| entry.versionstamp() == entries[0].versionstamp())
    );
    assert_ne!(entries[3].versionstamp(), entries[0].versionstamp());
    let too_few = client.update_many(keys(), |_| vec![Update::keep()]).await;
    assert_eq!(too_few.unwrap_err().kind(), ErrorKind::InvalidUpdate);
    let too_many = client.update_many((0..101).map(|n| ("n", n)), |_| Update::abort("no"));
    assert_eq!(too_many.await.unwrap_err().kind(), ErrorKind::TooManyChecks);
    Ok(())
}

pub(crate) async fn touching_an_entry_keeps_its_value_and_gives_it_a_version<B: Backend>(
    backend: &B,
) -> Result<()> {
    let client = backend.client();
    let hour = Duration::from_secs(3_600);
    assert_eq!(client.touch("a", hour).await?, None);
    assert!(client.get("a").await?.is_missing());
    let set = client.set("a", "text").await?;
    let touched = client.touch("a", hour).await?;
    assert!(touched > Some(set));
    let read = client.get("a").await?;
    assert_eq!(
        (read.as_str(), read.versionstamp()),
        (Some("text"), touched)
    );
    if B::DIFFERENCES.expires_at_once {
        backend.advance(hour + Duration::from_secs(60));
        assert!(client.get("a").await?.is_missing());
        client.set("a", "text").await?;
        client.touch("a", hour).await?;
        client.touch("a", None).await?;
        backend.advance(hour + Duration::from_secs(60));
        assert!(client.get("a").await?.exists());
    }
    Ok(())
}

pub(crate) async fn updates_of_many_threads_are_all_counted<B: Backend>(backend: &B) -> Result<()> {
    let client = backend.client();
    let runtime = Handle::current();
    let added: Vec<Result<()>> = thread::scope(|scope| {
        let threads = (0..3).map(|_| {
            let (client, runtime) = (client.clone(), runtime.clone());
            scope.spawn(move || {
                runtime.block_on(async {
                    for _ in 0..30 {
                        let add = |entry: &Entry| Update::set(entry.as_u64().unwrap_or(0) + 1);
                        assert!(client.update("n", add).await?.is_committed());
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
    added.into_iter().collect::<Result<()>>()?;
    assert_eq!(client.get("n").await?.as_u64(), Some(90));
    Ok(())
}
