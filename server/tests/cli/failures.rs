//! What goes wrong, and what is said of it.

use crate::support::{Served, TOKEN, command, run, runtime};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use tokio::runtime::Runtime;

/// A server that answers every request with this.
fn answering(
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
) -> (String, Runtime) {
    let runtime = runtime();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
    let listener = listener.expect("there is a port");
    let address = listener.local_addr().expect("it has one");
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = service_fn(move |_: Request<Incoming>| async move {
                let mut response = Response::builder().status(status);
                for (name, value) in headers {
                    response = response.header(*name, *value);
                }
                Ok::<_, Infallible>(response.body(body.to_owned()).expect("it is one"))
            });
            tokio::spawn(async move {
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    });
    (format!("http://{address}"), runtime)
}

/// What is wrong usage, and what is said of it.
const WRONG: &[(&[&str], &str)] = &[
    (&[], "which command?"),
    (&["fetch"], "there is no command \"fetch\""),
    (&["get"], "it takes one key"),
    (&["get", "'a'", "'b'"], "it takes one key"),
    (&["get", "users"], "A key is written as [\"users\", 42n]"),
    (&["get", "[null]"], "null is no part of a key"),
    (&["get", "--all", "'a'"], "there is no option --all"),
    (&["get", "-x", "'a'"], "there is no option -x"),
    (&["set", "'a'"], "a key and a value"),
    (&["set", "'a'", "{"], "the value: expected a name or `}`"),
    (&["set", "'a'", "[u64(1)]"], "stands by itself"),
    (
        &["set", "--json", "'a'", "{}}"],
        "the value: trailing characters",
    ),
    (
        &["set", "'a'", "1", "--if-version", "7"],
        "20 hexadecimal digits",
    ),
    (
        &[
            "set",
            "'a'",
            "1",
            "--if-absent",
            "--if-version",
            "00000000000000010000",
        ],
        "does not go with",
    ),
    (
        &["set", "'a'", "1", "--expire-in", "soon"],
        "\"soon\" is no time",
    ),
    (&["delete"], "it takes keys, or --prefix"),
    (
        &["delete", "'a'", "--prefix", "'b'"],
        "it takes keys, or --prefix",
    ),
    (&["delete", "--start", "'b'"], "go with --prefix"),
    (&["list", "--limit", "0"], "no number that fits"),
    (&["list", "--limit"], "--limit"),
    (&["list", "--keys", "--json"], "does not go with"),
    (&["watch"], "it takes keys"),
    (&["atomic"], "it takes steps"),
    (&["atomic", "set", "'a'"], "set lacks what it takes"),
    (&["atomic", "add", "'a'"], "\"add\" is no step"),
    (&["atomic", "sum", "'a'", "x"], "no integer of 64 bits"),
    (&["export"], "it takes one file"),
    (&["import"], "it takes a file"),
    (
        &["import", "--expiry", "never", "f"],
        "dated, left or dropped",
    ),
    (&["copy", "--to", "f"], "--from and --to"),
    (
        &["copy", "--from", "f", "--to", "g", "--resume", "s"],
        "go with --to URL",
    ),
    (
        &[
            "copy", "--from", "http://a", "--to", "f", "--expiry", "left",
        ],
        "goes with --from FILE",
    ),
    (&["bench", "--in-flight", "0"], "--in-flight is from 1"),
    (&["bench", "--seconds", "-1"], "--seconds"),
    (&["list", "--timeout", "now"], "is no time"),
    (
        &["repl", "--import", "f"],
        "--import is for a fresh database",
    ),
];

#[test]
fn wrong_usage_is_exit_code_2_and_says_what_is_right() {
    let served = Served::start();
    for (words, says) in WRONG {
        served.run(words).assert_failed(2, says);
    }
    for words in [
        &["get", "'a'"][..],
        &["set", "'a'", "1"],
        &["list"],
        &["export", "f"],
        &["import", "f"],
    ] {
        run(&mut command(words)).assert_failed(2, "where? Say --url URL, or KVICK_URL");
    }
}

#[test]
fn a_wrong_token_is_refused_at_once() {
    let served = Served::start();
    for token in ["wrong-horse-battery", ""] {
        let mut command = served.command(&["get", "'a'"]);
        let done = run(command.env("KVICK_ACCESS_TOKEN", token));
        done.assert_failed(1, "401 Unauthorized");
        assert!(!done.err.contains("wrong-horse"), "{}", done.err);
    }
    let mut command = served.command(&["get", "'a'"]);
    let done = run(command.env("KVICK_ACCESS_TOKEN", "a\nb"));
    done.assert_failed(1, "visible characters of ASCII");
    #[cfg(unix)]
    {
        // That of another service is not shown in its place.
        use std::os::unix::ffi::OsStringExt;
        let mut command = served.command(&["get", "'a'"]);
        command.env("DENO_KV_ACCESS_TOKEN", TOKEN);
        let token = std::ffi::OsString::from_vec(vec![0xff; 12]);
        let done = run(command.env("KVICK_ACCESS_TOKEN", token));
        done.assert_failed(1, "KVICK_ACCESS_TOKEN is no text");
    }
}

#[test]
fn a_token_comes_by_a_file_or_either_name() {
    let served = Served::start();
    let folder = crate::support::Folder::new();
    let file = folder.file("token");
    std::fs::write(&file, format!("{TOKEN}\n")).expect("it can be written");
    let mut by_file = served.command(&["count", "--access-token-file", &file]);
    run(by_file.env_remove("KVICK_ACCESS_TOKEN")).assert_ok();
    let mut by_name = served.command(&["count"]);
    run(by_name
        .env_remove("KVICK_ACCESS_TOKEN")
        .env("DENO_KV_ACCESS_TOKEN", TOKEN))
    .assert_ok();
    served
        .run(&["count", "--access-token-file", &folder.file("none")])
        .assert_failed(1, "No such file");
}

#[test]
fn who_cannot_be_reached_is_given_up() {
    // Nobody listens on it any more.
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
        listener.local_addr().expect("it has one")
    };
    let url = format!("http://{address}");
    for words in [
        &["get", "'a'"][..],
        &["set", "'a'", "1"],
        &["list"],
        &["watch", "'a'"],
        &["export", "-"],
        &["bench"],
    ] {
        let words = [words, &["--url", &url, "--timeout", "300ms"]].concat();
        let done = run(&mut command(&words));
        done.assert_failed(1, "within 300ms");
        assert!(done.err.contains("Connection refused"), "{}", done.err);
    }
    let done = run(&mut command(&[
        "set",
        "'a'",
        "1",
        "--url",
        &url,
        "--timeout",
        "1ms",
    ]));
    done.assert_failed(1, "whether it was written is not known");
}

#[test]
fn what_is_no_url_is_refused() {
    for (url, says) in [
        ("nowhere", "relative URL without a base"),
        ("ftp://localhost", "http:// or https://"),
        ("http://a:b@localhost", "--access-token-file"),
    ] {
        run(&mut command(&["list", "--url", url])).assert_failed(1, says);
    }
    for (url, says) in [
        ("http://a:secret@localhost", "--access-token-file"),
        ("HTTPS://a:secret@localhost", "--access-token-file"),
        ("ftp://a:secret@localhost", "this is no URL"),
    ] {
        let done = run(&mut command(&["copy", "--from", url, "--to", "f"]));
        done.assert_failed(1, says);
        assert!(!done.err.contains("secret"), "{}", done.err);
    }
}

#[test]
fn a_redirection_is_not_followed_with_the_token() {
    let (url, _runtime) = answering(308, &[("location", "http://elsewhere.example/")], "");
    let done = run(&mut command(&["list", "--url", &url]));
    done.assert_failed(1, "it redirects to http://elsewhere.example/");
}

#[test]
fn an_answer_that_is_none_of_a_database_is_said() {
    for (status, body, says) in [
        (200, "<html>", "Failed to parse metadata"),
        (404, "nothing here\u{1b}[2J", "404 Not Found"),
        (503, "later", "it answers 503 Service Unavailable"),
        (
            200,
            r#"{"version":3,"databaseId":"6c5a5f1c-7b0b-4a5e-9c0b-2f9c7d4ad0a1","endpoints":[{"url":"/v2","consistency":"strong"}],"token":"a\nb","expiresAt":"2100-01-01T00:00:00Z"}"#,
            "the token of the metadata is none",
        ),
        (
            200,
            r#"{"version":3,"databaseId":"6c5a5f1c-7b0b-4a5e-9c0b-2f9c7d4ad0a1","endpoints":[{"url":"https://127.0.0.1/v2","consistency":"strong"}],"token":"ab","expiresAt":"2100-01-01T00:00:00Z"}"#,
            "has another scheme than the database",
        ),
    ] {
        let (url, _runtime) = answering(status, &[], body);
        let done = run(&mut command(&["list", "--url", &url, "--timeout", "500ms"]));
        done.assert_failed(1, says);
        assert!(!done.err.contains('\u{1b}'), "{:?}", done.err);
    }
}

#[test]
fn what_a_server_refuses_is_said_in_its_words() {
    let served = Served::start();
    let long = format!("'{}'", "x".repeat(70_000));
    served
        .run(&["set", "'k'", &long])
        .assert_failed(1, "Value too large (max 65536 bytes)");
    served.shows(&["set", "'k'", "'text'"]);
    served
        .run(&["atomic", "sum", "'k'", "1"])
        .assert_failed(1, "non-U64");
    let read_only = Served::of(served.kv.read_only());
    read_only
        .run(&["set", "'k'", "1"])
        .assert_failed(1, "read-only");
}

#[test]
fn tls_is_spoken_to_who_can_show_a_certificate() {
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;
    use tokio_rustls::rustls::{ServerConfig, crypto::ring};
    let made =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("it can be made");
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("there are some")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("they go together");
    let served = Served::with(kvick::Kv::new(), "https", |server| server.tls(config));
    let url = served.url.replace("127.0.0.1", "localhost");
    let folder = crate::support::Folder::new();
    let trusted = folder.file("trusted.pem");
    std::fs::write(&trusted, made.cert.pem()).expect("it can be written");
    let mut set = served.command(&["set", "'k'", "1", "--url", &url]);
    run(set.env("SSL_CERT_FILE", &trusted)).assert_ok();
    assert!(served.kv.get("k").expect("it is open").exists());

    let other =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("it can be made");
    std::fs::write(&trusted, other.cert.pem()).expect("it can be written");
    let mut set = served.command(&["set", "'k'", "1", "--url", &url, "--timeout", "1s"]);
    run(set.env("SSL_CERT_FILE", &trusted)).assert_failed(1, "certificate");
}

/// A way to a server that is cut when that has answered a write: before a frame of this type of its answer.
struct Cut {
    url: String,
    /// How many writes have come through.
    writes: Arc<AtomicUsize>,
}

/// Frames of HTTP/2: those of an answer's head, and of its body.
const HEADERS: u8 = 1;
const DATA: u8 = 0;

/// What stands in the message of a write that is cut.
const LOST: &[u8] = b"lost-here";

impl Cut {
    fn before(frame: u8, served: &Served) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
        let address = listener.local_addr().expect("it has one");
        let behind = served.url.trim_start_matches("http://");
        let behind = behind.trim_end_matches('/').to_owned();
        let writes = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&writes);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let upstream = TcpStream::connect(&behind).expect("it listens");
                let copy = |stream: &TcpStream| stream.try_clone().expect("there are files");
                let (from, to) = (copy(&client), copy(&upstream));
                let (is_write, seen) = (Arc::new(AtomicBool::new(false)), Arc::clone(&seen));
                let noted = Arc::clone(&is_write);
                thread::spawn(move || requests(from, to, &noted, &seen));
                thread::spawn(move || answers(upstream, client, &is_write, frame));
            }
        });
        let url = format!("http://{address}");
        Self { url, writes }
    }
}

fn requests(mut from: TcpStream, mut to: TcpStream, is_write: &AtomicBool, writes: &AtomicUsize) {
    let mut bytes = vec![0; 65_536];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if bytes[..count].windows(LOST.len()).any(|it| it == LOST) {
            is_write.store(true, Ordering::SeqCst);
            writes.fetch_add(1, Ordering::SeqCst);
        }
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
}

/// Lets whole frames through.
fn answers(mut from: TcpStream, mut to: TcpStream, is_write: &AtomicBool, cut: u8) {
    let mut head = [0; 9];
    while from.read_exact(&mut head).is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        if from.read_exact(&mut payload).is_err() {
            return;
        }
        if head[3] == cut && is_write.load(Ordering::SeqCst) {
            // Of both copies.
            let _ = to.shutdown(Shutdown::Both);
            let _ = from.shutdown(Shutdown::Both);
            return;
        }
        if to.write_all(&[&head[..], &payload].concat()).is_err() {
            return;
        }
    }
}

#[test]
fn a_write_whose_answer_is_lost_is_not_sent_again() {
    for frame in [HEADERS, DATA] {
        let served = Served::start();
        let cut = Cut::before(frame, &served);
        let mut set = command(&["set", "--url", &cut.url, "['k']", "'lost-here'"]);
        let done = run(set.env("KVICK_ACCESS_TOKEN", TOKEN));
        done.assert_failed(1, "whether it was written is not known");
        assert_eq!(cut.writes.load(Ordering::SeqCst), 1, "it was sent again");
        let written = served.kv.get("k").expect("it is open");
        assert!(written.exists(), "and it was done");
    }
}
