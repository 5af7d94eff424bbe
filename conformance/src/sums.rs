//! Arithmetic.

use crate::backend::Backend;
use kvick::{BigInt, ErrorKind, NewValue, Result, Sum};

pub(crate) async fn u64s_are_added_modulo_two_to_the_64<B: Backend>(backend: &B) -> Result<()> {
    let client = backend.client();
    let first = client.sum("n", 5).await?;
    assert_eq!(client.get("n").await?.as_u64(), Some(5));
    assert!(client.sum("n", 3u64.wrapping_neg()).await? > first);
    assert_eq!(client.get("n").await?.as_u64(), Some(2));
    client.sum("n", 3u64.wrapping_neg()).await?;
    assert_eq!(client.get("n").await?.as_u64(), Some(u64::MAX));
    client.sum_with("n", 2u64).await?;
    assert_eq!(client.get("n").await?.as_u64(), Some(1));
    Ok(())
}

pub(crate) async fn the_least_and_the_greatest_are_kept<B: Backend>(backend: &B) -> Result<()> {
    let client = backend.client();
    for (operand, least, greatest) in [(5, 5, 5), (7, 5, 7), (3, 3, 7)] {
        client.min("least", operand).await?;
        client.max("greatest", operand).await?;
        let read = client.get_many(["least", "greatest"]).await?;
        assert_eq!(read[0].as_u64(), Some(least));
        assert_eq!(read[1].as_u64(), Some(greatest));
    }
    Ok(())
}

pub(crate) async fn numbers_and_bigints_are_added_within_bounds<B: Backend>(
    backend: &B,
) -> Result<()> {
    let client = backend.client();
    client.sum_with("t", Sum::number(20.5)).await?;
    client.sum_with("t", Sum::number(0.25)).await?;
    assert_eq!(client.get("t").await?.as_number(), Some(20.75));
    let warmer = Sum::number(1.0).at_most(21.0);
    let error = client.sum_with("t", warmer.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SumOutOfRange, "{error}");
    assert_eq!(client.get("t").await?.as_number(), Some(20.75));
    client.sum_with("t", warmer.clamped()).await?;
    assert_eq!(client.get("t").await?.as_number(), Some(21.0));

    client.set("b", NewValue::bigint(1i128 << 100)).await?;
    client.sum_with("b", Sum::bigint(-1)).await?;
    let less = BigInt::from((1i128 << 100) - 1);
    assert_eq!(client.get("b").await?.as_bigint(), Some(less));
    let floor = Sum::bigint(-1i128 << 101)
        .at_least(BigInt::from(0))
        .clamped();
    client.sum_with("b", floor).await?;
    assert_eq!(client.get("b").await?.as_bigint(), Some(BigInt::from(0)));
    Ok(())
}

pub(crate) async fn arithmetic_with_another_type_is_refused_and_changes_nothing<B: Backend>(
    backend: &B,
) -> Result<()> {
    let client = backend.client();
    client.set("text", "1").await?;
    client.set("number", NewValue::number(1.0)).await?;
    let refused = [
        client.sum("text", 1).await.unwrap_err(),
        client.min("text", 1).await.unwrap_err(),
        client.max("number", 1).await.unwrap_err(),
        client.sum_with("number", Sum::bigint(1)).await.unwrap_err(),
        client.sum_with("text", Sum::number(1.0)).await.unwrap_err(),
        client
            .sum_with("none", Sum::encoded("1"))
            .await
            .unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.kind(), ErrorKind::TypeMismatch, "{error}");
    }
    let mut operation = client.atomic();
    operation.set("beside", "x").sum("text", 1);
    let error = operation.commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TypeMismatch, "{error}");
    if B::DIFFERENCES.refuses_whole {
        assert!(client.get("beside").await?.is_missing());
    }
    assert_eq!(client.get("text").await?.as_str(), Some("1"));
    assert!(client.get("none").await?.is_missing());
    let mut operand = client.atomic();
    operand.min_with("n", "no number");
    let error = operand.commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TypeMismatch, "{error}");
    Ok(())
}
