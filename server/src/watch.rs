//! `watch`: a body that goes on, with a frame for each change (spec 8.7).
//!
//! A frame has four bytes for its length, the lowest first, and a message; an empty one says that the watch
//! is still there. The next frame is made when the connection takes it, of what is newest then: so a
//! client that is slow holds no more than one.

use crate::activity::UnderWay;
use crate::databases::Database;
use crate::ending::Ending;
use crate::refusal::Refusal;
use crate::wire::{self, count_parts, encoding};
use bytes::{BufMut, Bytes, BytesMut};
use futures_core::Stream;
use http_body::Frame;
use kvick::{Emission, Entry, Key, ValueRef, Watch};
use prost::Message;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// Field 1 of the message, `status`: success.
const STATUS: [u8; 2] = [0x08, 1];

/// The body of a watch.
#[derive(Debug)]
pub(crate) struct WatchBody {
    /// `None` where no key is watched.
    watch: Option<Watch>,
    /// The frame that says so, until it is sent.
    empty: Option<Bytes>,
    keep_alive: Interval,
    ending: Ending,
    /// Says of its connection that something is under way.
    under_way: Option<UnderWay>,
    /// Is in use for as long as this is there.
    database: Arc<Database>,
}

impl Drop for WatchBody {
    fn drop(&mut self) {
        // Whoever watched may be about to connect again.
        self.database.visit();
    }
}

impl WatchBody {
    /// Begins to watch what a request asks for.
    pub(crate) fn begin(
        database: &Arc<Database>,
        body: Bytes,
        keep_alive: Duration,
        ending: Ending,
    ) -> Result<Self, Refusal> {
        let kv = database.kv();
        let limits = kv.limits();
        let [keys, ..] = count_parts(&body)?;
        if keys > limits.watch_keys_max {
            return Err(Refusal::too_many(
                "Too many keys",
                limits.watch_keys_max,
                keys,
            ));
        }
        let request = wire::Watch::decode(body)?;
        let keys: Vec<Key> = request
            .keys
            .iter()
            .map(|watched| Key::raw(&watched.key))
            .collect();
        let (watch, empty) = if keys.is_empty() {
            (None, Some(frame(&STATUS)))
        } else {
            (Some(kv.watch(keys)?), None)
        };
        let mut keep_alive = interval_at(Instant::now() + keep_alive, keep_alive);
        keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            watch,
            empty,
            keep_alive,
            ending,
            under_way: None,
            database: Arc::clone(database),
        })
    }

    /// It is under way until it ends.
    pub(crate) fn goes_on(&mut self, under_way: UnderWay) {
        self.under_way = Some(under_way);
    }

    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.ending.poll(context).is_ready() {
            return Poll::Ready(None);
        }
        let data = match self.poll_data(context) {
            Poll::Ready(data) => data,
            Poll::Pending if self.keep_alive.poll_tick(context).is_ready() => Some(frame(&[])),
            Poll::Pending => return Poll::Pending,
        };
        Poll::Ready(data.map(|data| Ok(Frame::data(data))))
    }

    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(empty) = self.empty.take() {
            return Poll::Ready(Some(empty));
        }
        let Some(watch) = &mut self.watch else {
            return Poll::Pending;
        };
        let emission = Pin::new(watch).poll_next(context);
        emission.map(|emission| emission.map(|emission| self.change(&emission)))
    }

    /// The frame of a change: with all keys as changed, and their entries. The protocol could leave out those
    /// that have not; but the Deno runtime (2.9.6) shows such a key as missing, and the reference leaves none
    /// out. Clients tell by the versionstamps.
    fn change(&mut self, emission: &Emission) -> Bytes {
        self.keep_alive.reset();
        let mut message = BytesMut::from(&STATUS[..]);
        for entry in &emission.entries {
            let output = KeyOutput {
                changed: true,
                entry_if_changed: entry_of(entry),
            };
            message.put_u8(0x12);
            prost::encoding::encode_varint(output.encoded_len() as u64, &mut message);
            // There is as much room as it takes.
            let _ = output.encode(&mut message);
        }
        frame(&message)
    }
}

fn frame(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(4 + message.len());
    // Ten entries of the largest size are far below.
    frame.put_u32_le(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(message);
    frame.freeze()
}

/// What there is to say of a key that is watched.
#[derive(Clone, PartialEq, Message)]
struct KeyOutput {
    #[prost(bool, tag = "1")]
    changed: bool,
    #[prost(message, optional, tag = "2")]
    entry_if_changed: Option<KvEntry>,
}

#[derive(Clone, PartialEq, Message)]
struct KvEntry {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
    #[prost(int32, tag = "3")]
    encoding: i32,
    #[prost(bytes = "bytes", tag = "4")]
    versionstamp: Bytes,
}

/// An entry, if the key has one.
fn entry_of(entry: &Entry) -> Option<KvEntry> {
    let versionstamp = entry.versionstamp()?;
    let (value, encoding) = match entry.value()?.as_ref() {
        ValueRef::Bytes(bytes) => (Bytes::copy_from_slice(bytes), encoding::BYTES),
        ValueRef::V8(bytes) => (Bytes::copy_from_slice(bytes), encoding::V8),
        ValueRef::U64(number) => (
            Bytes::copy_from_slice(&number.to_le_bytes()),
            encoding::LE64,
        ),
    };
    Some(KvEntry {
        key: Bytes::copy_from_slice(entry.key().as_bytes()),
        value,
        encoding,
        versionstamp: Bytes::copy_from_slice(versionstamp.as_bytes()),
    })
}
