//! Several databases of one server.

use crate::support::{Served, TOKEN, options};
use http::Method;
use kvick::{Key, Kv};
use kvick_server::Server;
use std::time::{Duration, Instant};

const JSON: &str = r#"{"supportedVersions":[2,3]}"#;

async fn start(max: usize, idle_max: Option<Duration>) -> Served {
    let kv = Kv::new();
    let server = Server::new(kv.clone(), options()).databases(max, idle_max, |name| {
        let kv = Kv::new();
        kv.set(Key::raw("name"), name).expect("there is memory");
        kv
    });
    Served::start_with(server, kv).await
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_are_made_when_they_are_asked_for() {
    let served = start(2, None).await;
    let authorization = format!("Bearer {TOKEN}");
    let id_of = async |path: &str| {
        let metadata = served.metadata(path).await;
        metadata["databaseId"].as_str().unwrap().to_owned()
    };
    let names = ["orders", "Orders-2_x"];
    for name in names {
        let metadata = served.metadata(&format!("/{name}")).await;
        assert_eq!(metadata["endpoints"][0]["url"], format!("/{name}/v2"));
        let id = metadata["databaseId"].as_str().unwrap();
        assert_eq!(id_of(&format!("/{name}")).await, id, "the same one");
        assert_ne!(id, served.id);
        let headers = [
            ("authorization", &authorization[..]),
            ("x-denokv-version", "3"),
            ("x-denokv-database-id", id),
        ];
        let path = format!("/{name}/v2/snapshot_read");
        let body = {
            use denokv_proto::datapath as pb;
            use prost::Message;
            let ranges = vec![crate::support::one(b"name")];
            pb::SnapshotRead { ranges }.encode_to_vec()
        };
        let answer = served
            .ask(Method::POST, &path, &headers, body.clone())
            .await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(answer.status == 200 && text.contains(name), "{text:?}");
        // It is not to be had by the path of another.
        let other = served
            .ask(Method::POST, "/v2/snapshot_read", &headers, body)
            .await;
        other.assert_refused(400, "authorization");
    }
    let headers = [("authorization", &authorization[..])];
    let third = served.ask(Method::POST, "/third", &headers, JSON).await;
    third.assert_refused(400, "Too many databases (max 2): got 3");
    let long = "n".repeat(65);
    for wrong in ["/v2", "/a.b", "/a%20b", "/ä", &format!("/{long}"), "/a/b"] {
        let answer = served.ask(Method::POST, wrong, &headers, JSON).await;
        assert_eq!(answer.status, 404, "{wrong}");
    }
    // Nobody makes one without the token.
    assert_eq!(
        served.ask(Method::POST, "/orders", &[], JSON).await.status,
        401
    );
    let numbers = served.ask(Method::GET, "/metrics", &headers, "").await;
    assert!(
        numbers
            .text()
            .contains("kvick_entries{database=\"orders\"} 1"),
        "{}",
        numbers.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_one_no_others_are_made() {
    let served = Served::start().await;
    let headers = [("authorization", &format!("Bearer {TOKEN}")[..])];
    let answer = served.ask(Method::POST, "/orders", &headers, JSON).await;
    answer.assert_refused(404, "no such database");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_nobody_uses_is_closed() {
    let served = start(1, Some(Duration::from_millis(50))).await;
    let first = served.metadata("/first").await;
    let headers = [("authorization", &format!("Bearer {TOKEN}")[..])];
    let begun = Instant::now();
    // There is room for another as soon as it is gone.
    loop {
        let answer = served.ask(Method::POST, "/second", &headers, JSON).await;
        if answer.status == 200 {
            break;
        }
        answer.assert_refused(400, "Too many databases (max 1)");
        assert!(begun.elapsed() < crate::support::PATIENCE);
        tokio::task::yield_now().await;
    }
    assert!(
        begun.elapsed() >= Duration::from_millis(40),
        "{:?}",
        begun.elapsed()
    );
    assert!(first["databaseId"].is_string());
}

/// Whoever watched may be about to connect again.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_watched_until_now_is_in_use() {
    let idle_max = Duration::from_millis(400);
    let mut served = start(1, Some(idle_max)).await;
    let id = served.metadata("/first").await["databaseId"].clone();
    id.as_str().unwrap().clone_into(&mut served.id);
    let mut frames = served.watch_at("/first", &[b"k"]).await;
    frames.change().await;
    let headers = [("authorization", &format!("Bearer {TOKEN}")[..])];
    let is_there = async || {
        let answer = served.ask(Method::POST, "/second", &headers, JSON).await;
        answer.status == 400
    };
    let begun = Instant::now();
    while begun.elapsed() < 3 * idle_max {
        assert!(is_there().await, "it is watched");
    }
    let ended = Instant::now();
    drop(frames);
    while is_there().await {
        assert!(ended.elapsed() < crate::support::PATIENCE);
    }
    // The time is kept in milliseconds.
    let took = ended.elapsed() + Duration::from_millis(2);
    assert!(took >= idle_max, "{took:?}");
}

/// As where the server has been started again: `@deno/kv` does not ask for the metadata anew.
#[tokio::test(flavor = "multi_thread")]
async fn clients_go_on_where_a_database_is_another_by_the_same_name() {
    let before = start(1, None).await;
    let id = before.metadata("/orders").await["databaseId"].clone();
    drop(before);
    let after = start(1, None).await;
    let authorization = format!("Bearer {TOKEN}");
    let headers = |id| {
        [
            ("authorization", &authorization[..]),
            ("x-denokv-version", "3"),
            ("x-denokv-database-id", id),
        ]
    };
    let path = "/orders/v2/snapshot_read";
    let wrong = headers(&after.id);
    let refused = after.ask(Method::POST, path, &wrong, "").await;
    refused.assert_refused(400, "authorization");
    let numbers = after.ask(Method::GET, "/metrics", &wrong, "").await;
    assert!(
        !numbers.text().contains("orders"),
        "it was made by another's identifier"
    );
    let id = id.as_str().unwrap();
    let answer = after.ask(Method::POST, path, &headers(id), "").await;
    assert_eq!(answer.status, 200);
    assert_eq!(after.metadata("/orders").await["databaseId"], id);
}
