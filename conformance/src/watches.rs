//! Watching keys.

use crate::backend::Backend;
use kvick::{ErrorKind, Key, Result};

pub(crate) async fn a_watch_shows_the_entries_at_once_and_when_one_has_changed<B: Backend>(
    backend: &B,
) -> Result<()> {
    let client = backend.client();
    client.set("a", 1u64).await?;
    let mut watch = client.watch(["a", "b"])?;
    let first = watch.recv().await?;
    assert_eq!(first.changed, [0, 1]);
    assert_eq!(first.entries[0].as_u64(), Some(1));
    assert!(first.entries[1].is_missing());
    assert_eq!(Some(first.versionstamp), first.entries[0].versionstamp());

    let set = client.set("b", 2u64).await?;
    let second = watch.recv().await?;
    assert_eq!(second.changed, [1]);
    assert_eq!(second.entries[0], first.entries[0]);
    assert_eq!(second.entries[1].as_u64(), Some(2));
    assert_eq!(second.entries[1].versionstamp(), Some(set));
    assert!(second.versionstamp >= set);

    client.delete("a").await?;
    let third = watch.recv().await?;
    assert_eq!(third.changed, [0]);
    assert!(third.entries[0].is_missing() && third.entries[1].exists());
    Ok(())
}

pub(crate) async fn a_watch_shows_nothing_that_is_no_change<B: Backend>(backend: &B) -> Result<()> {
    let client = backend.client();
    let mut watch = client.watch(["a", "a"])?;
    assert!(watch.recv().await?.entries[0].is_missing());
    client.delete("a").await?;
    client.set("beside", "x").await?;
    client.set("a", "set").await?;
    let next = watch.recv().await?;
    assert_eq!(next.changed, [0, 1]);
    assert_eq!(next.entries[1].as_str(), Some("set"));
    Ok(())
}

pub(crate) async fn a_watch_of_no_keys_ends_at_once<B: Backend>(backend: &B) -> Result<()> {
    let client = backend.client();
    let mut watch = client.watch::<Key>([])?;
    assert_eq!(watch.recv().await.unwrap_err().kind(), ErrorKind::Closed);
    let keys = (0..11).map(|n| ("k", n));
    assert_eq!(
        client.watch(keys).unwrap_err().kind(),
        ErrorKind::TooManyKeys
    );
    Ok(())
}

pub(crate) async fn a_watch_of_a_key_that_ends_in_a_versionstamp_shows_it<B: Backend>(
    backend: &B,
) -> Result<()> {
    let client = backend.client();
    let set = client.set_versionstamped("log", "one").await?;
    let mut watch = client.watch([("log", set)])?;
    assert_eq!(watch.recv().await?.entries[0].as_str(), Some("one"));
    client.delete(("log", set)).await?;
    assert!(watch.recv().await?.entries[0].is_missing());
    // Of one that is to come, no key is known; but its commit is shown by any other key that it sets.
    let mut latest = client.watch(["latest"])?;
    assert!(latest.recv().await?.entries[0].is_missing());
    let mut operation = client.atomic();
    operation
        .set_versionstamped("log", "two")
        .set("latest", "two");
    let stamp = operation.commit().await?.versionstamp();
    assert_eq!(latest.recv().await?.entries[0].versionstamp(), stamp);
    Ok(())
}

pub(crate) async fn operations_fail_and_watches_end_once_the_database_is_closed<B: Backend>(
    backend: &B,
) -> Result<()> {
    let client = backend.client();
    let mut watch = client.watch(["a"])?;
    assert!(watch.recv().await?.entries[0].is_missing());
    if B::DIFFERENCES.closes {
        client.close();
        assert_eq!(client.get("a").await.unwrap_err().kind(), ErrorKind::Closed);
        let error = client.set("a", "x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
    }
    if B::DIFFERENCES.ends_watches {
        assert_eq!(watch.recv().await.unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(watch.recv().await.unwrap_err().kind(), ErrorKind::Closed);
    }
    Ok(())
}
