//! What is wrong with a request, the first thing wrong first.

use crate::support::{Served, TOKEN};
use http::Method;

const ID: &str = "00000000-0000-4000-8000-000000000000";

#[tokio::test(flavor = "multi_thread")]
async fn the_first_thing_wrong_is_told_first() {
    // P04
    let served = Served::start().await;
    let right = format!("Bearer {TOKEN}");
    let version = ("x-denokv-version", "3");
    let authorization = ("authorization", &right[..]);
    let id = ("x-denokv-database-id", &served.id[..]);
    let (read, junk) = ("/v2/snapshot_read", "\u{ff}not a message");
    let get = || Method::GET;
    for (method, path, headers, status, says) in [
        // Everything is wrong with it, and then one thing less each time.
        (get(), "/v2/other", &[][..], 404, "nothing at this path"),
        (get(), read, &[], 400, "x-denokv-version"),
        (
            get(),
            read,
            &[("x-denokv-version", "1")],
            400,
            "x-denokv-version",
        ),
        (get(), read, &[version], 401, "authorization is missing"),
        (
            get(),
            read,
            &[version, ("authorization", "Bearer wrong-token")],
            401,
            "not that of",
        ),
        (
            get(),
            read,
            &[version, authorization],
            400,
            "x-denokv-database-id",
        ),
        (
            get(),
            read,
            &[version, authorization, ("x-denokv-database-id", "nil")],
            400,
            "x-denokv-database-id",
        ),
        // With the word by which the Deno runtime asks for the metadata again.
        (
            get(),
            read,
            &[version, authorization, ("x-denokv-database-id", ID)],
            400,
            "authorization",
        ),
        (
            Method::POST,
            read,
            &[version, authorization, id],
            400,
            "not the message",
        ),
    ] {
        let answer = served.ask(method, path, headers, junk).await;
        answer.assert_refused(status, says);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_is_posted_and_no_more_is_asked_for() {
    // P04
    let served = Served::start().await;
    let right = format!("Bearer {TOKEN}");
    let read = "/v2/snapshot_read";
    // Neither a content type nor a user agent is asked for, and either version will do.
    let headers = [
        ("x-denokv-version", "2"),
        ("authorization", &right[..]),
        ("x-denokv-database-id", &served.id[..]),
    ];
    let answer = served.ask(Method::POST, read, &headers, "").await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    for method in [
        Method::GET,
        Method::PUT,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
    ] {
        let answer = served.ask(method.clone(), read, &headers, "").await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.headers["allow"], "POST");
        assert_eq!(served.ask(method, "/", &[], "").await.status, 405);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_beyond_the_cap_is_refused() {
    // P04
    let served = Served::start().await;
    for path in ["/v2/snapshot_read", "/v2/atomic_write", "/v2/watch"] {
        let answer = served.post(path, vec![0; (2 << 20) + 1]).await;
        answer.assert_refused(413, "max 2097152 bytes");
        // One that is as large as it may be is looked at.
        let answer = served.post(path, vec![0; 2 << 20]).await;
        answer.assert_refused(400, "not the message");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_to_know_is_told_that_it_is_well_and_its_numbers() {
    let mut served = Served::start().await;
    served.kv.set("key", 1_u64).unwrap();
    let well = served.ask(Method::GET, "/healthz", &[], "").await;
    assert_eq!((well.status.as_u16(), well.text()), (200, "ok\n"));
    let headers = [("authorization", &format!("Bearer {TOKEN}")[..])];
    let numbers = served.ask(Method::GET, "/metrics", &headers, "").await;
    assert_eq!(numbers.status, 200);
    let text = numbers.text();
    for line in [
        "kvick_entries{database=\"\"} 1",
        "kvick_commits_total{database=\"\"} 1",
        "kvick_server_requests_total{operation=\"look\",status=\"2xx\"} 1",
        "kvick_server_connections 1",
    ] {
        assert!(
            text.lines().any(|other| other == line),
            "{line} is not in {text}"
        );
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_the_head_gets_no_body() {
    let served = Served::start().await;
    let answer = served.ask(Method::HEAD, "/healthz", &[], "").await;
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b""[..]));
    assert_eq!(answer.headers["content-length"], "3");
    let answer = served.ask(Method::HEAD, "/metrics", &[], "").await;
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (401, &b""[..]));
}

/// It is read before the token is looked at.
#[tokio::test(flavor = "multi_thread")]
async fn the_body_of_a_metadata_request_is_small() {
    let served = Served::start().await;
    let body = |length: usize| format!("{{\"supportedVersions\":[{}3]}}", " ".repeat(length));
    let answer = served.ask(Method::POST, "/", &[], body(16_000)).await;
    assert_eq!(answer.status, 401);
    let answer = served.ask(Method::POST, "/", &[], body(16_384)).await;
    answer.assert_refused(413, "too large (max 16384 bytes)");
}
