//! A connection of HTTP/1.1 that sends whatever bytes it is given.

use crate::drawn::Request;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Ended {
    Answered {
        status: u16,
        goes_on: bool,
    },
    /// The connection was closed without an answer.
    Closed,
}

pub(crate) struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
    /// Where the body of the answer lies in that.
    body: std::ops::Range<usize>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("it listens");
        stream.set_nodelay(true).expect("it is a socket");
        Self {
            stream,
            read: Vec::new(),
            body: 0..0,
        }
    }

    /// Sends a request, and reads the answer as far as it has an end.
    pub(crate) async fn ask(&mut self, request: &Request) -> Ended {
        self.read.clear();
        if self.stream.write_all(&request.bytes).await.is_err() {
            // It was closed before all was sent; there may be an answer.
            return self.answer().await;
        }
        if request.ends {
            let _ = self.stream.shutdown().await;
        }
        self.answer().await
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.read[self.body.clone()]
    }

    async fn answer(&mut self) -> Ended {
        let head = loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if !self.more().await {
                return Ended::Closed;
            }
        };
        let text = String::from_utf8_lossy(&self.read[..head]).to_ascii_lowercase();
        let Some(status) = text
            .strip_prefix("http/1.")
            .and_then(|rest| rest.get(2..5)?.parse().ok())
        else {
            return Ended::Closed;
        };
        let length = text
            .split_once("content-length: ")
            .and_then(|(_, rest)| rest.split("\r\n").next()?.parse::<usize>().ok());
        let Some(length) = length else {
            // A watch: it goes on.
            let goes_on = false;
            return Ended::Answered { status, goes_on };
        };
        while self.read.len() < head + length {
            if !self.more().await {
                return Ended::Closed;
            }
        }
        self.body = head..head + length;
        let goes_on = !text.contains("connection: close") && self.read.len() == head + length;
        Ended::Answered { status, goes_on }
    }

    /// Whether there was more.
    async fn more(&mut self) -> bool {
        matches!(self.stream.read_buf(&mut self.read).await, Ok(count) if count > 0)
    }
}

/// What the metadata says that the database is.
pub(crate) async fn database_id(address: SocketAddr, token: &str) -> String {
    let body = r#"{"supportedVersions":[3]}"#;
    let head = format!(
        "POST / HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {token}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut connection = Connection::open(address).await;
    let ended = connection.ask(&Request::of(head.into_bytes())).await;
    assert!(
        matches!(ended, Ended::Answered { status: 200, .. }),
        "{ended:?}"
    );
    let text = String::from_utf8_lossy(connection.body()).into_owned();
    let (_, rest) = text.split_once("\"databaseId\":\"").expect("it has one");
    rest.split('"').next().unwrap_or_default().to_owned()
}
