//! The metadata exchange.

use crate::support::{Http, Served, TOKEN, options};
use http::Method;
use kvick::Kv;
use kvick_server::{AccessToken, Options, ServeError, Server, TokenError};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const JSON: &str = r#"{"supportedVersions":[1,2,3]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn one_port_speaks_both_protocols() {
    // P01
    let mut served = Served::start().await;
    for http in [Http::One, Http::Two, Http::One] {
        served.speak(http);
        let metadata = served.metadata("/").await;
        assert_eq!(metadata["databaseId"], served.id);
        assert_eq!(served.read(Vec::new()).await.status, 200, "{http:?}");
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metadata_has_its_five_members_and_no_other() {
    // P02
    let served = Served::start().await;
    let headers = [("authorization", &format!("bearer {TOKEN}")[..])];
    let answer = served.ask(Method::POST, "/", &headers, JSON).await;
    assert_eq!(answer.content_type(), "application/json");
    let metadata: Value = serde_json::from_slice(&answer.body).unwrap();
    let mut members: Vec<_> = metadata.as_object().unwrap().keys().collect();
    members.sort_unstable();
    assert_eq!(
        members,
        ["databaseId", "endpoints", "expiresAt", "token", "version"]
    );
    assert_eq!(metadata["version"], 3);
    assert_eq!(metadata["token"], TOKEN);
    assert_eq!(
        metadata["endpoints"],
        json!([{ "url": "/v2", "consistency": "strong" }])
    );
    let id = metadata["databaseId"].as_str().unwrap();
    let groups: Vec<usize> = id.split('-').map(str::len).collect();
    assert_eq!(groups, [8, 4, 4, 4, 12]);
    assert!(
        id.bytes()
            .all(|byte| byte == b'-' || matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    );
    let expires_at = metadata["expiresAt"].as_str().unwrap();
    assert!(expires_at.len() == 24 && expires_at.ends_with('Z') && &expires_at[10..11] == "T");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_version_in_common_is_spoken() {
    // P02
    let served = Served::start().await;
    let headers = [("authorization", &format!("Bearer {TOKEN}")[..])];
    for (body, version) in [
        (r#"{"supportedVersions":[2,3]}"#, 3),
        (r#"{"supportedVersions":[3,2,1,7]}"#, 3),
        (r#"{"supportedVersions":[2]}"#, 2),
        (r#"{"supportedVersions":[1,2],"other":{}}"#, 2),
    ] {
        let answer = served.ask(Method::POST, "/", &headers, body).await;
        let metadata: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(metadata["version"], version, "{body}");
    }
    for body in [
        "{}",
        r#"{"supportedVersions":[1]}"#,
        r#"{"supportedVersions":[4,"3",-3,3.5]}"#,
    ] {
        let answer = served.ask(Method::POST, "/", &headers, body).await;
        answer.assert_refused(400, "no version of the protocol in common");
    }
    for body in ["", "3", r#"{"supportedVersions":3}"#, "\u{0}", "{"] {
        // Before anybody asks who it is.
        let answer = served.ask(Method::POST, "/", &[], body).await;
        answer.assert_refused(400, "minimum version is 2");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_answered_without_the_token() {
    // P03
    let served = Served::start().await;
    let bearer = |token: &str| Some(format!("Bearer {token}"));
    for (authorization, status) in [
        (None, 401),
        (Some(TOKEN.to_owned()), 401),
        (Some(format!("Basic {TOKEN}")), 401),
        (bearer(""), 401),
        (bearer(&TOKEN[1..]), 401),
        (bearer(&TOKEN.to_uppercase()), 401),
        (bearer(TOKEN), 200),
        (Some(format!("BEARER {TOKEN}")), 200),
    ] {
        let mut headers = vec![
            ("x-denokv-version", "3"),
            ("x-denokv-database-id", &served.id),
        ];
        headers.extend(authorization.as_deref().map(|it| ("authorization", it)));
        for (path, body) in [
            ("/", JSON),
            ("/v2/snapshot_read", ""),
            ("/v2/atomic_write", ""),
        ] {
            let answer = served.ask(Method::POST, path, &headers, body).await;
            assert_eq!(
                answer.status, status,
                "{path}, {authorization:?}: {:?}",
                answer.body
            );
        }
        let numbers = served.ask(Method::GET, "/metrics", &headers, "").await;
        assert_eq!(numbers.status, status, "{authorization:?}");
    }
    let token = AccessToken::new("eleven-char").map(drop);
    assert_eq!(token, Err(TokenError::TooShort { chars: 11 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_others_can_reach_needs_a_token() {
    // P03
    let listen = || TcpListener::bind("0.0.0.0:0");
    let server = Server::new(Kv::new(), Options::default());
    let ended = server.serve(listen().await.unwrap(), async {}).await;
    let Err(error @ ServeError::Unprotected { address }) = ended else {
        panic!("{ended:?}");
    };
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    let server = Server::new(Kv::new(), options());
    assert!(
        server
            .serve(listen().await.unwrap(), async {})
            .await
            .is_ok()
    );
    // On this machine alone none is asked for.
    let kv = Kv::new();
    let local = Served::start_with(Server::new(kv.clone(), Options::default()), kv).await;
    let answer = local.ask(Method::POST, "/", &[], JSON).await;
    let metadata: Value = serde_json::from_slice(&answer.body).unwrap();
    assert!(!metadata["token"].as_str().unwrap().is_empty());
}
