//! `kvick serve`.

use crate::fault::Fault;
use crate::out::Out;
use kvick::{Clock, Kv, OnLimit, SystemClock, Versionstamp};
use kvick_server::{AccessToken, Options, Server};
use lexopt::prelude::*;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

const USAGE: &str = "\
kvick serve: serve databases in memory over the KV Connect protocol

usage: kvick serve [OPTION]...

  --addr ADDRESS             where [default: 127.0.0.1:4512]
  --access-token-file FILE   what clients have to show, at least twelve characters; otherwise
                             KVICK_ACCESS_TOKEN; without one, only on an address of this machine alone
  --tls-cert FILE            a certificate chain (PEM); with it comes
  --tls-key FILE             its key (PEM)
  --read-only                refuse writes
  --databases N              so many besides the one at `/`, at /NAME each [default: 100]
  --database-idle SECONDS    close one of these that nobody has used for so long, with what is in it
  --memory-limit BYTES       what each may take, with a suffix KiB, MiB or GiB; writes beyond are refused
  --evict                    or entries that are not used are evicted instead
  --body-limit BYTES         the most bytes of a request [default: 2MiB]
  --connections N            the most at once [default: 1024]
  --streams N                the most requests at once over one connection [default: 256]
  -h, --help                 this
";

/// What was asked for.
#[derive(Debug)]
struct Asked {
    address: SocketAddr,
    token_file: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    databases: usize,
    idle: Option<Duration>,
    memory_limit: Option<usize>,
    evicts: bool,
    options: Options,
}

pub(crate) fn command(words: Vec<OsString>) -> Result<(), Fault> {
    let Some(asked) = parse(words)? else {
        return Err(Fault::Help(USAGE));
    };
    let runtime = runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(Fault::failed)?.block_on(serve(asked))
}

fn parse(words: Vec<OsString>) -> Result<Option<Asked>, Fault> {
    let mut options = Options::default();
    // Nobody could receive them.
    options.takes_messages = false;
    let mut asked = Asked {
        address: SocketAddr::from(([127, 0, 0, 1], 4512)),
        token_file: None,
        certificate: None,
        key: None,
        databases: 100,
        idle: None,
        memory_limit: None,
        evicts: false,
        options,
    };
    let mut parser = lexopt::Parser::from_args(words);
    while let Some(word) = parser.next()? {
        match word {
            Long("addr") => asked.address = parser.value()?.parse()?,
            Long("access-token-file") => asked.token_file = Some(parser.value()?.into()),
            Long("tls-cert") => asked.certificate = Some(parser.value()?.into()),
            Long("tls-key") => asked.key = Some(parser.value()?.into()),
            Long("read-only") => asked.options.read_only = true,
            Long("databases") => asked.databases = parser.value()?.parse()?,
            Long("database-idle") => {
                asked.idle = Some(Duration::from_secs(parser.value()?.parse()?));
            }
            Long("memory-limit") => asked.memory_limit = Some(parser.value()?.parse_with(bytes)?),
            Long("evict") => asked.evicts = true,
            Long("body-limit") => {
                asked.options.body_bytes_max = parser.value()?.parse_with(bytes)?;
            }
            Long("connections") => asked.options.connections_max = parser.value()?.parse()?,
            Long("streams") => asked.options.streams_max = parser.value()?.parse()?,
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    if asked.evicts && asked.memory_limit.is_none() {
        return Err(Fault::usage("--evict goes with --memory-limit"));
    }
    if asked.certificate.is_some() != asked.key.is_some() {
        return Err(Fault::usage("--tls-cert and --tls-key go together"));
    }
    if asked.options.connections_max == 0 || asked.options.streams_max == 0 {
        return Err(Fault::usage("--connections and --streams are at least 1"));
    }
    Ok(Some(asked))
}

/// A number of bytes, with or without a suffix.
fn bytes(text: &str) -> Result<usize, String> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let unit = units
        .iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)));
    let (number, shift) = unit.unwrap_or((text, 0));
    let number = number.trim().parse::<usize>().ok();
    let bytes = number.and_then(|number| number.checked_mul(1 << shift));
    bytes.ok_or_else(|| format!("{text:?} is no number of bytes, such as 64MiB"))
}

/// The token that clients have to show, if one was given.
fn access_token(file: Option<&Path>) -> Result<Option<AccessToken>, Fault> {
    let text = match file {
        Some(file) => Some(read(file)?),
        None => match env::var("KVICK_ACCESS_TOKEN") {
            Ok(text) => Some(text),
            Err(env::VarError::NotPresent) => None,
            Err(env::VarError::NotUnicode(_)) => {
                let what = "the access token in KVICK_ACCESS_TOKEN is no text";
                return Err(Fault::failed(what));
            }
        },
    };
    let token = text.map(|text| AccessToken::new(&text)).transpose();
    token.map_err(Fault::failed)
}

fn read(file: &Path) -> Result<String, Fault> {
    fs::read_to_string(file).map_err(|error| Fault::failed(format!("{}: {error}", file.display())))
}

fn tls(certificate: &Path, key: &Path) -> Result<ServerConfig, Fault> {
    let refuse = |file: &Path| {
        let file = file.display().to_string();
        move |error: &dyn std::fmt::Display| Fault::failed(format!("{file}: {error}"))
    };
    let chain =
        CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| refuse(certificate)(&error))?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| refuse(key)(&error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(Fault::failed)?.with_no_client_auth();
    config
        .with_single_cert(chain, secret)
        .map_err(Fault::failed)
}

/// What no database had that this one may take the place of: clients still know what they read from it. So
/// it grows with the time, by some sixteen millions in a second, which is more than are served.
fn not_before() -> Versionstamp {
    let number = u64::try_from(SystemClock.wall_time().as_nanos() >> 6).unwrap_or(0);
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Versionstamp::from_bytes(bytes)
}

fn database(memory_limit: Option<usize>, evicts: bool) -> Kv {
    let mut builder = Kv::builder().versionstamps_after(not_before());
    if let Some(limit) = memory_limit {
        builder = builder.memory_limit(limit);
    }
    if evicts {
        builder = builder.on_limit(OnLimit::Evict);
    }
    builder.build()
}

async fn serve(asked: Asked) -> Result<(), Fault> {
    let Asked {
        memory_limit,
        evicts,
        ..
    } = asked;
    let mut options = asked.options;
    options.access_token = access_token(asked.token_file.as_deref())?;
    let (is_open, scheme) = (
        options.access_token.is_none(),
        if asked.certificate.is_some() {
            "https"
        } else {
            "http"
        },
    );
    let mut server = Server::new(database(memory_limit, evicts), options);
    if asked.databases > 0 {
        server = server.databases(asked.databases, asked.idle, move |_| {
            database(memory_limit, evicts)
        });
    }
    if let (Some(certificate), Some(key)) = (&asked.certificate, &asked.key) {
        server = server.tls(tls(certificate, key)?);
    }
    let listener = TcpListener::bind(asked.address).await;
    let listener =
        listener.map_err(|error| Fault::failed(format!("{}: {error}", asked.address)))?;
    let address = listener.local_addr().map_err(Fault::failed)?;
    let access = if is_open {
        ", without an access token"
    } else {
        ""
    };
    let mut out = Out::new();
    // Whether anybody reads it or not, there are clients.
    let _ = out.line(&format!("serving / at {scheme}://{address}{access}"));
    let _ = out.flush();
    server
        .serve(listener, told_to_end())
        .await
        .map_err(Fault::failed)
}

/// Is ready when the process is told to end.
async fn told_to_end() {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            }
            return;
        }
    }
    let _ = interrupted.await;
}

#[cfg(test)]
mod tests {
    use super::{bytes, not_before, parse};
    use kvick::{Clock, SystemClock};
    use std::ffi::OsString;

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn bytes_may_have_a_unit() {
        assert_eq!(bytes("64MiB"), Ok(64 << 20));
        assert_eq!(bytes("1 KiB"), Ok(1_024));
        assert_eq!(bytes("7"), Ok(7));
        for wrong in ["", "MiB", "-1", "1.5GiB", "64MB", "18446744073709551615GiB"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn versionstamps_go_on_where_the_server_is_started_again() {
        let first = not_before();
        let seconds = |versionstamp: kvick::Versionstamp| {
            let (number, _) = versionstamp.as_bytes().split_at(8);
            u64::from_be_bytes(number.try_into().expect("eight bytes")) / 15_625_000
        };
        assert!(not_before() >= first);
        let since = SystemClock.wall_time();
        assert!(since.as_secs().abs_diff(seconds(first)) <= 1);
    }

    #[test]
    fn options_that_do_not_go_together_are_refused() {
        for (wrong, says) in [
            ("--evict", "--memory-limit"),
            ("--tls-cert file", "go together"),
            ("--connections 0", "at least 1"),
            ("--addr nowhere", "nowhere"),
            ("--memory-limit much", "64MiB"),
            ("--other", "--other"),
            ("word", "word"),
        ] {
            let fault = parse(words(wrong)).expect_err(wrong).to_string();
            assert!(fault.contains(says), "{wrong}: {fault}");
        }
        let asked = parse(words(
            "--addr [::1]:0 --memory-limit 1GiB --evict --databases 0",
        ));
        let asked = asked.expect("it is fine").expect("it is no call for help");
        assert!(asked.address.is_ipv6() && asked.evicts && asked.databases == 0);
        assert_eq!(asked.memory_limit, Some(1 << 30));
        assert!(parse(words("--help")).expect("it is fine").is_none());
    }
}
