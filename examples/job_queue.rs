//! Mail is sent by two workers: what fails is tried again, and what cannot be sent is kept.

use kvick::{Delivery, Kv};
use std::thread;
use std::time::Duration;

/// Hands a mail to the post, which does not know Eve, and does not find Bob at the first attempt.
fn send(to: &str, attempt: u32) -> bool {
    to == "alice" || (to == "bob" && attempt > 1)
}

fn main() -> kvick::Result<()> {
    let kv = Kv::new();
    let mail = kv.queue("mail");
    let workers = [(); 2].map(|()| mail.listen()).map(|listener| {
        let kv = kv.clone();
        thread::spawn(move || {
            for message in listener? {
                let to = message.payload().as_str().unwrap_or_default();
                if send(to, message.attempt()) {
                    kv.set(("sent", to), message.attempt().to_string())?;
                    message.finish()?;
                } // or else it is dropped, and so has failed
            }
            Ok::<_, kvick::Error>(())
        })
    });

    // A mail is enqueued with its entry in the log or not at all, and is tried three times.
    for to in ["alice", "bob", "eve"] {
        let delivery = Delivery::default()
            .queue("mail")
            .backoff([Duration::from_millis(1), Duration::from_millis(5)])
            .keys_if_undelivered([("undelivered", to)]);
        let mut operation = kv.atomic();
        operation.check_absent(("log", to)).set(("log", to), "mail");
        assert!(operation.enqueue(to, delivery).commit()?.is_committed());
    }
    while !mail.is_empty() {
        thread::yield_now();
    }
    assert_eq!(kv.get(("sent", "alice"))?.as_str(), Some("1"));
    assert_eq!(kv.get(("sent", "bob"))?.as_str(), Some("2"));
    assert_eq!(kv.get(("undelivered", "eve"))?.as_str(), Some("eve"));
    kv.close(); // ends the workers
    for worker in workers {
        worker.join().expect("no worker panics")?;
    }
    Ok(())
}
