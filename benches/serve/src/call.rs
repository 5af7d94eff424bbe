//! One request after the other, over a connection: to begin, and to look at what came of it.

use crate::connection::{self, Receiver, Sender};
use crate::flight::Flights;
use crate::head::{Head, Heads};
use crate::messages::{self, Family};
use denokv_proto::datapath::KvEntry;
use serde::Deserialize;
use std::net::SocketAddr;
use std::time::Instant;

/// What asks for the metadata.
const METADATA_REQUEST: &[u8] = br#"{"supportedVersions":[2,3]}"#;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    version: u64,
    database_id: String,
    token: String,
}

/// What requests are sent by.
#[derive(Debug)]
pub(crate) struct Requests {
    sender: Sender,
    read: Head,
    write: Head,
}

impl Requests {
    /// Adds a read to what is sent next. The result is the id of its stream, as of a write.
    pub(crate) fn read(&mut self, body: &[u8]) -> u32 {
        self.sender.request(&self.read, body)
    }

    pub(crate) fn write(&mut self, body: &[u8]) -> u32 {
        self.sender.request(&self.write, body)
    }

    /// Sends what was added, and what the connection itself has to say.
    pub(crate) fn flush(&mut self, replies: &mut Vec<u8>) -> Result<(), String> {
        self.sender.reply(replies);
        self.sender.flush().map_err(|error| error.to_string())
    }
}

/// A connection, and the heads of what is asked for over it.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) requests: Requests,
    pub(crate) receiver: Receiver,
}

impl Caller {
    /// Connects, and asks for the metadata.
    pub(crate) fn connect(address: SocketAddr, token: &str) -> Result<Self, String> {
        let halves = connection::connect(address).map_err(|error| error.to_string())?;
        let (mut sender, mut receiver) = halves;
        let mut heads = Heads::default();
        let authority = address.to_string();
        let json = [
            (":authority", &*authority),
            ("content-type", "application/json"),
        ];
        let head = heads.head("/", token, &json);
        let answer = call(&mut sender, &mut receiver, &head, METADATA_REQUEST)?;
        let metadata: Metadata =
            serde_json::from_slice(&answer).map_err(|error| error.to_string())?;
        let version = metadata.version.to_string();
        let fields = [
            (":authority", &*authority),
            ("content-type", "application/x-protobuf"),
            ("x-denokv-version", &*version),
            ("x-denokv-database-id", &*metadata.database_id),
        ];
        // The first one tells the server what to keep; from the second one on, all are alike.
        let first = heads.head("/v2/snapshot_read", &metadata.token, &fields);
        call(&mut sender, &mut receiver, &first, &[])?;
        let requests = Requests {
            sender,
            read: heads.head("/v2/snapshot_read", &metadata.token, &fields),
            write: heads.head("/v2/atomic_write", &metadata.token, &fields),
        };
        Ok(Self { requests, receiver })
    }

    /// The entries of a range.
    pub(crate) fn list(
        &mut self,
        family: Family,
        from: u32,
        count: u32,
    ) -> Result<Vec<KvEntry>, String> {
        let body = family.list(from, count);
        let answer = self.call(|requests| &requests.read, &body)?;
        let ranges = messages::entries(&answer)?;
        Ok(ranges.into_iter().flatten().collect())
    }

    /// Sets keys, of which the server has to have been told nothing.
    pub(crate) fn set(
        &mut self,
        to: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
    ) -> Result<(), String> {
        let body = messages::set(Vec::new(), to);
        let answer = self.call(|requests| &requests.write, &body)?;
        if messages::is_committed(&answer)? {
            Ok(())
        } else {
            Err("a write without checks has failed one".to_owned())
        }
    }
}

impl Caller {
    fn call(&mut self, head: fn(&Requests) -> &Head, body: &[u8]) -> Result<Vec<u8>, String> {
        let head = head(&self.requests).clone();
        call(&mut self.requests.sender, &mut self.receiver, &head, body)
    }
}

/// Sends a request, and waits for its answer.
fn call(
    sender: &mut Sender,
    receiver: &mut Receiver,
    head: &Head,
    body: &[u8],
) -> Result<Vec<u8>, String> {
    let mut flights = Flights::default();
    let id = sender.request(head, body);
    flights.begin(id, Instant::now(), ());
    loop {
        sender.reply(&mut receiver.replies);
        sender.flush().map_err(|error| error.to_string())?;
        receiver.read().map_err(|error| error.to_string())?;
        while let Some(part) = receiver.next().map_err(|error| error.to_string())? {
            if let Some(landed) = flights.take(&part)? {
                return Ok(landed.body);
            }
        }
    }
}
