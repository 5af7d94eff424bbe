//! Messages.

use crate::backend::Backend;
use kvick::{Delivery, ErrorKind, NewValue, Result, Value};
use std::time::Duration;

pub(crate) async fn a_message_comes_as_it_was_enqueued_and_is_finished<B: Backend>(
    backend: &B,
) -> Result<()> {
    let client = backend.client();
    if !B::DIFFERENCES.has_queues {
        let error = client.enqueue("x", Delivery::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        return Ok(());
    }
    let mut listener = client.listen();
    let text: Value = NewValue::v8(b"\xff\x0f\"\x02hi").into();
    let payloads = [
        (NewValue::from("Dear Alice"), Value::from("Dear Alice")),
        (NewValue::from(&text), text.clone()),
        (NewValue::from(7u64), NewValue::bigint(7u64).into()),
    ];
    for (payload, expected) in payloads {
        client.enqueue(payload, Delivery::default()).await?;
        let message = listener.recv().await?;
        assert_eq!(message.payload(), &expected);
        message.finish().await?;
    }
    Ok(())
}

pub(crate) async fn a_message_that_fails_is_delivered_again_and_in_the_end_set<B: Backend>(
    backend: &B,
) -> Result<()> {
    if !B::DIFFERENCES.has_queues {
        return Ok(());
    }
    let client = backend.client();
    let mut listener = client.listen();
    let delivery = Delivery::default()
        .backoff([Duration::ZERO])
        .keys_if_undelivered([("undelivered", 1)]);
    let text = NewValue::v8(b"\xff\x0f\"\x02hi");
    client.enqueue(text.clone(), delivery).await?;
    for _ in 0..2 {
        let message = listener.recv().await?;
        assert_eq!(message.payload(), &Value::from(text.clone()));
        message.fail().await?;
    }
    let mut watch = client.watch([("undelivered", 1)])?;
    let mut undelivered = watch.recv().await?;
    while undelivered.entries[0].is_missing() {
        undelivered = watch.recv().await?;
    }
    assert_eq!(undelivered.entries[0].value(), Some(&text.into()));
    Ok(())
}

pub(crate) async fn a_message_of_an_operation_that_conflicts_is_not_enqueued<B: Backend>(
    backend: &B,
) -> Result<()> {
    if !B::DIFFERENCES.has_queues {
        return Ok(());
    }
    let client = backend.client();
    client.set("taken", "x").await?;
    let mut lost = client.atomic();
    lost.check_absent("taken")
        .enqueue("lost", Delivery::default());
    assert!(!lost.commit().await?.is_committed());
    let mut sent = client.atomic();
    sent.enqueue("sent", Delivery::default()).set("sent", "x");
    assert!(sent.commit().await?.is_committed());
    let message = client.listen().recv().await?;
    assert_eq!(message.payload().as_str(), Some("sent"));
    message.finish().await
}

pub(crate) async fn what_the_protocol_cannot_say_of_a_message_is_unsupported<B: Backend>(
    backend: &B,
) -> Result<()> {
    let client = backend.client();
    let named = client.enqueue("x", Delivery::default().queue("mail")).await;
    assert_eq!(named.unwrap_err().kind(), ErrorKind::Unsupported);
    let large = vec![0; 65_537];
    let large = client.enqueue(&large, Delivery::default()).await;
    assert_eq!(large.unwrap_err().kind(), ErrorKind::InvalidEnqueue);
    Ok(())
}
