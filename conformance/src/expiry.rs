//! Entries that expire.

use crate::backend::Backend;
use kvick::{Entry, ErrorKind, NewValue, Result, Sum};
use std::time::Duration;

pub(crate) async fn an_entry_is_there_until_it_expires<B: Backend>(backend: &B) -> Result<()> {
    let client = backend.client();
    let hour = Duration::from_secs(3_600);
    let soon = NewValue::from("token").expire_in(hour);
    client.set("set", soon.clone()).await?;
    client
        .set_versionstamped("versionstamped", soon.clone())
        .await?;
    let mut operation = client.atomic();
    operation.set("atomic", soon.clone()).set("stays", "x");
    assert!(operation.commit().await?.is_committed());
    client.set("again", soon).await?;
    client.set("again", "stays now").await?;
    let keys = ["set", "atomic", "stays", "again"];
    assert!(client.get_many(keys).await?.iter().all(Entry::exists));
    assert_eq!(client.list("versionstamped").count().await?, 1);
    if B::DIFFERENCES.expires_at_once {
        // The clocks of a client and of its server need not agree to the second.
        backend.advance(Duration::from_secs(3_570));
        assert!(client.get("set").await?.exists());
        backend.advance(Duration::from_secs(60));
        let read = client.get_many(keys).await?;
        let exist: Vec<_> = read.iter().map(Entry::exists).collect();
        assert_eq!(exist, [false, false, true, true]);
        assert_eq!(client.list("versionstamped").count().await?, 0);
        let mut absent = client.atomic();
        absent.check_absent("set");
        assert!(absent.commit().await?.is_committed());
    }
    let too_late = NewValue::from("x").expire_in(Duration::MAX);
    let error = client.set("late", too_late).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidExpiry);
    Ok(())
}

pub(crate) async fn what_the_protocol_cannot_say_of_an_expiry_is_unsupported<B: Backend>(
    backend: &B,
) -> Result<()> {
    let client = backend.client();
    let minute = Duration::from_secs(60);
    let refused = [
        client.set("k", NewValue::from("x").keep_expiry()).await,
        client.sum_with("k", Sum::u64(1).keep_expiry()).await,
        client
            .sum_with("k", Sum::encoded(NewValue::from(1u64).expire_in(minute)))
            .await,
    ];
    for refused in refused {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported);
    }
    assert!(client.get("k").await?.is_missing());
    Ok(())
}
