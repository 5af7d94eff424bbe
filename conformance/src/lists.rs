//! Ranges.

use crate::backend::Backend;
use kvick::denokv::{Client, Database};
use kvick::{Cursor, ErrorKind, Key, Range, Result};

async fn fill<D: Database>(client: &Client<D>, count: u64) -> Result<Vec<Key>> {
    client.set("log", "not below itself").await?;
    client.set("lot", "beside").await?;
    let keys: Vec<Key> = (0..count).map(|n| Key::from(("log", n))).collect();
    for keys in keys.chunks(500) {
        let mut operation = client.atomic();
        for key in keys {
            operation.set(key, "entry");
        }
        assert!(operation.commit().await?.is_committed());
    }
    Ok(keys)
}

pub(crate) async fn a_list_has_the_keys_of_its_range_in_order_and_in_reverse<B: Backend>(
    backend: &B,
) -> Result<()> {
    let client = backend.client();
    let keys = fill(client, 9).await?;
    let log = Range::prefix("log");
    let at = |n: u64| ("log", n);
    let ranges = [
        (log.clone(), 0..9),
        (log.clone().start(at(3)), 3..9),
        (log.clone().end(at(3)), 0..3),
        (Range::new(at(2), at(5)), 2..5),
        (Range::new(at(2), at(2)), 2..2),
        (Range::prefix("none"), 0..0),
    ];
    for (range, numbers) in ranges {
        let mut expected = keys[numbers].to_vec();
        assert_eq!(client.list(&range).keys().await?, expected, "{range:?}");
        assert_eq!(client.list(&range).count().await?, expected.len());
        expected.reverse();
        let reversed = client.list(&range).reverse().keys().await?;
        assert_eq!(reversed, expected, "{range:?} in reverse");
    }
    let entries = client.list("log").entries().await?;
    assert!(entries.iter().all(|entry| entry.as_str() == Some("entry")));
    assert_eq!(client.list(Range::all()).count().await?, 11);
    for wrong in [
        log.clone().start("elsewhere"),
        Range::new(at(5), at(2)),
        log.start(at(1)).end(at(2)),
    ] {
        let error = client.list(wrong).stream().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidSelector, "{error}");
    }
    Ok(())
}

pub(crate) async fn a_list_goes_on_after_its_cursor_in_both_directions<B: Backend>(
    backend: &B,
) -> Result<()> {
    let client = backend.client();
    let mut keys = fill(client, 7).await?;
    for reverse in [false, true] {
        let mut cursor = Cursor::default();
        let mut seen = Vec::new();
        loop {
            let mut list = client.list("log").limit(3).after(cursor);
            if reverse {
                list = list.reverse();
            }
            let mut page = list.stream()?;
            let mut count = 0;
            while let Some(entry) = page.next().await {
                seen.push(entry?.key().clone());
                count += 1;
            }
            // As text, as it would leave the program.
            cursor = page.cursor().unwrap_or_default().to_string().parse()?;
            if count < 3 {
                assert!(cursor.is_empty(), "the range is exhausted");
                break;
            }
        }
        assert_eq!(seen, keys);
        keys.reverse();
    }
    let begun = client.list("log").stream()?;
    assert_eq!(begun.cursor(), None);
    Ok(())
}

pub(crate) async fn batches_of_any_size_come_to_the_same_list<B: Backend>(
    backend: &B,
) -> Result<()> {
    let client = backend.client();
    let mut keys = fill(client, 12).await?;
    for reverse in [false, true] {
        for batch in [1, 2, 3, 12, 13, 1_000] {
            let mut list = client.list("log").batch_size(batch);
            if reverse {
                list = list.reverse();
            }
            assert_eq!(list.clone().keys().await?, keys, "by {batch}");
            assert_eq!(list.limit(5).keys().await?, keys[..5], "by {batch}");
        }
        keys.reverse();
    }
    Ok(())
}

pub(crate) async fn a_list_that_is_limited_ends_there<B: Backend>(backend: &B) -> Result<()> {
    let client = backend.client();
    let keys = fill(client, 5).await?;
    let mut limited = client.list("log").limit(2).stream()?;
    let mut seen = Vec::new();
    while let Some(entry) = limited.next().await {
        seen.push(entry?.key().clone());
    }
    assert_eq!(seen, keys[..2]);
    assert!(limited.next().await.is_none());
    assert!(limited.cursor().is_some_and(|cursor| !cursor.is_empty()));
    let kind = |error: kvick::Error| error.kind();
    let zero = client.list("log").limit(0).count().await.map_err(kind);
    assert_eq!(zero, Err(ErrorKind::InvalidLimit));
    let zero = client.list("log").batch_size(0).count().await.map_err(kind);
    assert_eq!(zero, Err(ErrorKind::InvalidLimit));
    let many = client
        .list("log")
        .batch_size(1_001)
        .count()
        .await
        .map_err(kind);
    assert_eq!(many, Err(ErrorKind::TooManyEntries));
    Ok(())
}

pub(crate) async fn what_is_below_a_prefix_is_deleted_in_batches<B: Backend>(
    backend: &B,
) -> Result<()> {
    let client = backend.client();
    fill(client, 1_203).await?;
    let some = Range::new(("log", 0u64), ("log", 3u64));
    assert_eq!(client.delete_range(some).await?, 3);
    assert_eq!(client.delete_prefix("log").await?, 1_200);
    assert_eq!(client.delete_prefix("log").await?, 0);
    let left = client.list(Range::all()).keys().await?;
    assert_eq!(left, [Key::from("log"), Key::from("lot")]);
    Ok(())
}
