//! Atomic operations.

use crate::backend::Backend;
use kvick::{Key, Outcome, Result, Versionstamp};

pub(crate) async fn versionstamps_grow_and_all_entries_of_a_commit_have_its_own<B: Backend>(
    backend: &B,
) -> Result<()> {
    let client = backend.client();
    let first = client.set("a", "1").await?;
    let second = client.delete("missing").await?;
    assert!(first < second);
    let mut operation = client.atomic();
    operation.set("b", "2").set("c", "3");
    let third = operation.commit().await?.versionstamp();
    assert!(Some(second) < third);
    for entry in client.get_many(["b", "c"]).await? {
        assert_eq!(entry.versionstamp(), third);
    }
    assert!(
        client.atomic().commit().await?.versionstamp() > third,
        "of nothing at all"
    );
    Ok(())
}

pub(crate) async fn a_check_holds_for_what_was_read_and_for_nothing_else<B: Backend>(
    backend: &B,
) -> Result<()> {
    let client = backend.client();
    let absent = client.get("key").await?;
    let commits = async |entry| {
        let mut operation = client.atomic();
        operation.check(entry).set("written", "yes");
        Ok::<_, kvick::Error>(operation.commit().await?.is_committed())
    };
    assert!(commits(&absent).await?);
    let stamp = client.set("key", "1").await?;
    assert!(!commits(&absent).await?);
    let present = client.get("key").await?;
    assert!(commits(&present).await?);
    // An equal value is another version.
    client.set("key", "1").await?;
    assert!(!commits(&present).await?);
    let mut of_stamp = client.atomic();
    of_stamp.check_versionstamp("key", stamp);
    assert!(!of_stamp.commit().await?.is_committed());
    client.delete("key").await?;
    assert!(commits(&absent).await?);
    let mut of_absent = client.atomic();
    of_absent.check_absent("key");
    assert!(of_absent.commit().await?.is_committed());
    Ok(())
}

pub(crate) async fn a_versionstamp_that_is_in_use_nowhere_matches_nothing<B: Backend>(
    backend: &B,
) -> Result<()> {
    let client = backend.client();
    client.set("key", "1").await?;
    for bytes in [[0; 10], [0xff; 10], [0, 0, 0, 0, 0, 0, 0, 1, 0, 1]] {
        for key in ["key", "missing"] {
            let mut operation = client.atomic();
            operation.check_versionstamp(key, Versionstamp::from_bytes(bytes));
            assert!(!operation.commit().await?.is_committed(), "{key} {bytes:?}");
        }
    }
    Ok(())
}

pub(crate) async fn an_operation_with_a_failed_check_changes_nothing<B: Backend>(
    backend: &B,
) -> Result<()> {
    let client = backend.client();
    client.set("kept", "old").await?;
    client.set("count", 1u64).await?;
    let mut operation = client.atomic();
    operation
        .check_absent("new")
        .check_absent("kept")
        .set("new", "x")
        .delete("kept")
        .sum("count", 1);
    let outcome = operation.commit().await?;
    // Which have failed is not told.
    assert_eq!(
        outcome,
        Outcome::Conflict {
            failed_checks: Vec::new()
        }
    );
    let read = client.get_many(["new", "kept", "count"]).await?;
    assert!(read[0].is_missing());
    assert_eq!(read[1].as_str(), Some("old"));
    assert_eq!(read[2].as_u64(), Some(1));
    Ok(())
}

pub(crate) async fn an_operation_can_be_committed_again<B: Backend>(backend: &B) -> Result<()> {
    let client = backend.client();
    let mut operation = client.atomic();
    operation.sum("count", 2).set("last", "it");
    let first = operation.commit().await?.versionstamp();
    assert!(operation.clone().commit().await?.versionstamp() > first);
    assert_eq!(client.get("count").await?.as_u64(), Some(4));
    operation.check_absent("last");
    assert!(!operation.commit().await?.is_committed());
    Ok(())
}

pub(crate) async fn mutations_apply_in_their_order<B: Backend>(backend: &B) -> Result<()> {
    let client = backend.client();
    let mut operation = client.atomic();
    operation.set("n", 5u64).sum("n", 3).min("n", 7).max("n", 2);
    operation.set("gone", "x").delete("gone");
    operation.delete("back").set("back", "y");
    assert!(operation.commit().await?.is_committed());
    let read = client.get_many(["n", "gone", "back"]).await?;
    assert_eq!(read[0].as_u64(), Some(7));
    assert!(read[1].is_missing());
    assert_eq!(read[2].as_str(), Some("y"));
    Ok(())
}

pub(crate) async fn keys_end_in_the_versionstamp_of_their_commit<B: Backend>(
    backend: &B,
) -> Result<()> {
    let client = backend.client();
    let first = client.set_versionstamped(("log", "a"), "one").await?;
    let mut operation = client.atomic();
    operation
        .set_versionstamped(("log", "a"), "two")
        .set("beside", "it")
        .set_versionstamped(("log", "b"), 3u64);
    let Outcome::Committed { versionstamp } = operation.commit().await? else {
        unreachable!("there is no check")
    };
    let keys = [
        Key::from(("log", "a", first)),
        Key::from(("log", "a", versionstamp)),
    ];
    assert_eq!(client.list(("log", "a")).keys().await?, keys);
    let read = client.get(("log", "b", versionstamp)).await?;
    assert_eq!(read.as_u64(), Some(3));
    assert_eq!(read.versionstamp(), Some(versionstamp));
    Ok(())
}
