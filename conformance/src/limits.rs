//! What is refused before it is sent.

use crate::backend::Backend;
use kvick::denokv::{Client, Database};
use kvick::{Error, ErrorKind, Key, Limits, Result};

fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
    result.err().map(|error: Error| error.kind())
}

pub(crate) async fn keys_and_values_that_are_too_large_are_refused<B: Backend>(
    backend: &B,
) -> Result<()> {
    let client = backend.client();
    let of_bytes = |bytes| Key::raw(vec![7; bytes]);
    assert_eq!(kind(client.set(of_bytes(2_048), "x").await), None);
    assert!(client.get(of_bytes(2_048)).await?.exists());
    let too_large = Some(ErrorKind::KeyTooLarge);
    assert_eq!(kind(client.set(of_bytes(2_049), "x").await), too_large);
    assert_eq!(kind(client.delete(of_bytes(2_049)).await), too_large);
    assert_eq!(kind(client.get(of_bytes(2_049)).await), too_large);
    assert_eq!(
        kind(client.set_versionstamped(of_bytes(2_027), "x").await),
        too_large
    );
    let empty = Some(ErrorKind::KeyEmpty);
    assert_eq!(kind(client.set(Key::default(), "x").await), empty);
    assert_eq!(
        kind(client.set_versionstamped(Key::default(), "x").await),
        empty
    );
    assert!(client.get(Key::default()).await?.is_missing());
    let value = vec![0; 65_537];
    assert_eq!(
        kind(client.set("v", &value).await),
        Some(ErrorKind::ValueTooLarge)
    );
    assert_eq!(kind(client.set("v", &value[1..]).await), None);
    Ok(())
}

pub(crate) async fn operations_that_are_too_large_are_refused<B: Backend>(
    backend: &B,
) -> Result<()> {
    let client = backend.client();
    let mut checks = client.atomic();
    for n in 0..101 {
        checks.check_absent(("k", n));
    }
    assert_eq!(kind(checks.commit().await), Some(ErrorKind::TooManyChecks));
    let mut mutations = client.atomic();
    for n in 0..1_001 {
        mutations.delete(("k", n));
    }
    assert_eq!(
        kind(mutations.commit().await),
        Some(ErrorKind::TooManyMutations)
    );
    let value = vec![0; 65_536];
    let mut bytes = client.atomic();
    for n in 0..13 {
        bytes.set(("k", n), &value);
    }
    assert_eq!(kind(bytes.commit().await), Some(ErrorKind::TotalTooLarge));
    assert_eq!(client.list("k").count().await?, 0);
    // What is within them all is taken: 100 checks, and 1,000 mutations.
    let mut largest = client.atomic();
    for n in 0..100 {
        largest.check_absent(("k", n));
    }
    for n in 0..1_000 {
        largest.set(("k", n), "x");
    }
    assert!(largest.commit().await?.is_committed());
    assert_eq!(client.list("k").count().await?, 1_000);
    Ok(())
}

pub(crate) async fn reads_of_too_much_are_refused<B: Backend>(backend: &B) -> Result<()> {
    let client = backend.client();
    let ten = (0..10).map(|n| ("k", n));
    assert_eq!(client.get_many(ten).await?.len(), 10);
    let eleven = (0..11).map(|n| ("k", n));
    assert_eq!(
        kind(client.get_many(eleven).await),
        Some(ErrorKind::TooManyRanges)
    );
    assert_eq!(client.limits(), &Limits::default());
    Ok(())
}

async fn ten_checks<D: Database>(client: &Client<D>) -> Result<bool> {
    let mut operation = client.atomic();
    for n in 0..10 {
        operation.check_absent(("k", n));
    }
    Ok(operation.commit().await?.is_committed())
}

pub(crate) async fn other_limits_are_held_as_they_are_said<B: Backend>(backend: &B) -> Result<()> {
    let client = backend.client();
    let mut limits = Limits::default();
    limits.checks_max = 9;
    let strict = client.with_limits(limits);
    assert!(ten_checks(client).await?);
    assert_eq!(
        kind(ten_checks(&strict).await),
        Some(ErrorKind::TooManyChecks)
    );
    Ok(())
}
