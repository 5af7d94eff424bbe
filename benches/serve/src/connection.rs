//! A connection of HTTP/2 that costs next to nothing: frames are put together by hand, and of those that come
//! back only what tells an answer is looked at.
//!
//! What is not looked at because these requests never get there: a window of the server for what it is sent,
//! of which they use a few kilobytes.

use crate::head::Head;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const FRAME_HEAD_BYTES: usize = 9;

/// The types of frames.
mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
}

/// The flags of frames, as far as they come.
mod flag {
    pub(crate) const ACK: u8 = 1;
    pub(crate) const END_STREAM: u8 = 1;
    pub(crate) const END_HEADERS: u8 = 4;
    pub(crate) const PADDED: u8 = 8;
    pub(crate) const PRIORITY: u8 = 32;
}

/// `:status: 200`, in the static table.
const STATUS_200: u8 = 0x80 | 8;

/// The setting of how much the server may send over a stream, where nothing else is said.
const INITIAL_WINDOW_SIZE: u16 = 4;

/// How much the server may send before it is told to go on.
const WINDOW: u32 = 1 << 30;
const INITIAL_WINDOW: u32 = (1 << 16) - 1;

/// How much is read at once.
const READ_BYTES: usize = 64 << 10;

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// The half that sends.
#[derive(Debug)]
pub(crate) struct Sender {
    stream: TcpStream,
    out: Vec<u8>,
    next_id: u32,
}

/// The half that receives.
#[derive(Debug)]
pub(crate) struct Receiver {
    stream: TcpStream,
    buffer: Box<[u8]>,
    /// What of it was read, and not yet looked at.
    begin: usize,
    end: usize,
    /// What has come since the server was last told to go on.
    consumed: u32,
    /// What is to be sent: frames of the connection itself.
    pub(crate) replies: Vec<u8>,
}

/// A part of an answer.
#[derive(Debug)]
pub(crate) struct Part<'r> {
    pub(crate) id: u32,
    pub(crate) content: Content<'r>,
    /// Whether it is the last one.
    pub(crate) ends: bool,
}

#[derive(Debug)]
pub(crate) enum Content<'r> {
    /// Whether the status is 200.
    Head(bool),
    Data(&'r [u8]),
}

/// Connects.
pub(crate) fn connect(address: SocketAddr) -> io::Result<(Sender, Receiver)> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut out = PREFACE.to_vec();
    let [a, b, c, d] = WINDOW.to_be_bytes();
    let [high, low] = INITIAL_WINDOW_SIZE.to_be_bytes();
    put_frame(kind::SETTINGS, 0, 0, &[high, low, a, b, c, d], &mut out);
    let more = (WINDOW - INITIAL_WINDOW).to_be_bytes();
    put_frame(kind::WINDOW_UPDATE, 0, 0, &more, &mut out);
    let receiver = Receiver {
        stream: stream.try_clone()?,
        buffer: vec![0; READ_BYTES].into(),
        begin: 0,
        end: 0,
        consumed: 0,
        replies: Vec::new(),
    };
    let sender = Sender {
        stream,
        out,
        next_id: 1,
    };
    Ok((sender, receiver))
}

impl Sender {
    /// Adds a request to what is sent next. The result is the id of its stream.
    pub(crate) fn request(&mut self, head: &Head, body: &[u8]) -> u32 {
        let id = self.next_id;
        self.next_id += 2;
        let at = self.out.len();
        put_frame(kind::HEADERS, flag::END_HEADERS, id, &[], &mut self.out);
        head.put(body.len(), &mut self.out);
        let length = self.out.len() - at - FRAME_HEAD_BYTES;
        self.out[at..at + 3].copy_from_slice(&u24(length));
        put_frame(kind::DATA, flag::END_STREAM, id, body, &mut self.out);
        id
    }

    /// Adds the frames of the connection itself that the other half has asked for.
    pub(crate) fn reply(&mut self, replies: &mut Vec<u8>) {
        self.out.append(replies);
    }

    /// Sends what was added.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if !self.out.is_empty() {
            self.stream.write_all(&self.out)?;
            self.out.clear();
        }
        Ok(())
    }
}

impl Receiver {
    /// Waits until something has come.
    pub(crate) fn read(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.begin..self.end, 0);
        (self.begin, self.end) = (0, self.end - self.begin);
        acknowledge_at_once(&self.stream)?;
        match self.stream.read(&mut self.buffer[self.end..])? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            count => {
                self.end += count;
                Ok(())
            }
        }
    }

    /// The next part of an answer that has come.
    pub(crate) fn next(&mut self) -> io::Result<Option<Part<'_>>> {
        loop {
            let Some((kind, flags, id, begin, end)) = self.frame() else {
                return Ok(None);
            };
            self.begin = end;
            match kind {
                kind::DATA | kind::HEADERS => {
                    let whole = kind == kind::DATA || flags & flag::END_HEADERS != 0;
                    if !whole || flags & (flag::PADDED | flag::PRIORITY) != 0 {
                        return Err(unexpected(kind, flags, &self.buffer[begin..end]));
                    }
                    self.consume(end - begin);
                    let payload = &self.buffer[begin..end];
                    let content = match kind {
                        kind::DATA => Content::Data(payload),
                        _ => Content::Head(payload.first() == Some(&STATUS_200)),
                    };
                    let ends = flags & flag::END_STREAM != 0;
                    return Ok(Some(Part { id, content, ends }));
                }
                kind::SETTINGS | kind::PING if flags & flag::ACK == 0 => {
                    let payload = &self.buffer[begin..end];
                    let echo = if kind == kind::PING { payload } else { &[] };
                    put_frame(kind, flag::ACK, 0, echo, &mut self.replies);
                }
                kind::RST_STREAM | kind::GOAWAY => {
                    return Err(unexpected(kind, flags, &self.buffer[begin..end]));
                }
                _ => {}
            }
        }
    }

    /// The next frame, if all of it has come: its type, flags and stream, and where its payload is.
    fn frame(&self) -> Option<(u8, u8, u32, usize, usize)> {
        let come = &self.buffer[self.begin..self.end];
        let (head, rest) = come.split_first_chunk::<FRAME_HEAD_BYTES>()?;
        let [high, middle, low, kind, flags, id @ ..] = *head;
        let length = u32::from_be_bytes([0, high, middle, low]) as usize;
        let begin = self.begin + FRAME_HEAD_BYTES;
        let is_whole = rest.len() >= length;
        is_whole.then(|| (kind, flags, u32::from_be_bytes(id), begin, begin + length))
    }

    /// Tells the server to go on, once it has used up half of what it may send.
    fn consume(&mut self, bytes: usize) {
        self.consumed += u32::try_from(bytes).unwrap_or(0);
        if self.consumed > WINDOW / 2 {
            let more = self.consumed.to_be_bytes();
            put_frame(kind::WINDOW_UPDATE, 0, 0, &more, &mut self.replies);
            self.consumed = 0;
        }
    }
}

/// The kernel acknowledges what comes next at once. A server that waits for that before it sends more, because
/// it has not been told to send small packets, would otherwise be measured by how long the kernel puts it off.
#[cfg_attr(
    not(target_os = "linux"),
    expect(
        unused_variables,
        clippy::unnecessary_wraps,
        reason = "there is no such option"
    )
)]
fn acknowledge_at_once(stream: &TcpStream) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_quickack(true)?;
    Ok(())
}

fn put_frame(kind: u8, flags: u8, id: u32, payload: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&u24(payload.len()));
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(payload);
}

fn u24(length: usize) -> [u8; 3] {
    let [_, bytes @ ..] = u32::try_from(length).unwrap_or(0).to_be_bytes();
    bytes
}

fn unexpected(kind: u8, flags: u8, payload: &[u8]) -> io::Error {
    let text = payload.escape_ascii();
    io::Error::other(format!("a frame {kind} with the flags {flags:#x}: {text}"))
}
