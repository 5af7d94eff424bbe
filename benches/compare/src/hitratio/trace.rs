//! Traces: who asked for what, in order.

use super::format::{Format, Requested};
use foldhash::fast::FixedState;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// Four bytes each are in memory.
const REQUESTS_MAX: usize = 500_000_000;

const LINE_MAX: u64 = 4_096;

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Ids are numbered as they first come, from 0 on.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(crate) name: String,
    pub(crate) requests: Vec<u32>,
    numbers: HashMap<u64, u32, FixedState>,
}

impl Trace {
    pub(crate) fn new(name: String) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }

    /// How many different ids are asked for.
    pub(crate) fn footprint(&self) -> u64 {
        self.numbers.len() as u64
    }

    pub(crate) fn push(&mut self, id: u64) {
        // There are no more than `REQUESTS_MAX`.
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        self.requests.push(*self.numbers.entry(id).or_insert(next));
    }
}

/// Why a file is no trace.
#[derive(Debug)]
pub(crate) enum Unreadable {
    File(io::Error),
    /// Counted from 1, and what is wrong.
    Line(u64, String),
    Empty,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Line(line, why) => write!(f, "line {line} is damaged: {why}"),
            Self::Empty => f.write_str("it has no requests"),
        }
    }
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}

/// Reads a file, packed by zstd or not. Without a format, the file's name says which it is.
pub(crate) fn read(path: &Path, format: Option<Format>) -> Result<Trace, Unreadable> {
    let mut file = BufReader::new(File::open(path)?);
    let name = path.file_name().unwrap_or(path.as_os_str());
    // It goes into a column.
    let name = name.to_string_lossy().replace([',', '|'], "_");
    let format = format.unwrap_or_else(|| Format::of(path));
    if file.fill_buf()?.starts_with(&ZSTD_MAGIC) {
        let frames = Frames(Some(frame(file, FrameDecoder::new())?));
        return lines(BufReader::new(frames), name, format);
    }
    lines(file, name, format)
}

/// Reads lines. Blank ones are passed over.
pub(crate) fn lines(
    mut source: impl BufRead,
    name: String,
    format: Format,
) -> Result<Trace, Unreadable> {
    let mut trace = Trace::new(name);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let mut limited = source.by_ref().take(LINE_MAX + 1);
        if limited.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let damaged = |why| Unreadable::Line(number, why);
        if line.len() as u64 > LINE_MAX {
            return Err(damaged(format!("it is longer than {LINE_MAX} bytes")));
        }
        let text = str::from_utf8(&line).map_err(|_| damaged("it is not UTF-8".to_owned()))?;
        if text.trim().is_empty() {
            continue;
        }
        let requested = format.requested(text.trim_end()).map_err(damaged)?;
        let Some(Requested { first, count }) = requested else {
            continue;
        };
        if trace.requests.len() as u64 + count > REQUESTS_MAX as u64 {
            return Err(damaged(format!(
                "with it, there are more than {REQUESTS_MAX} requests"
            )));
        }
        (first..first + count).for_each(|id| trace.push(id));
    }
    if trace.requests.is_empty() {
        return Err(Unreadable::Empty);
    }
    Ok(trace)
}

type Frame = StreamingDecoder<BufReader<File>, FrameDecoder>;

fn frame(source: BufReader<File>, decoder: FrameDecoder) -> io::Result<Frame> {
    StreamingDecoder::new_with_decoder(source, decoder).map_err(io::Error::other)
}

/// What a file's frames unpack to, one after the other. It is none after an error.
struct Frames(Option<Frame>);

impl Read for Frames {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(mut current) = self.0.take() {
            let read = current.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                self.0 = Some(current);
                return Ok(read);
            }
            let (mut source, decoder) = current.into_parts();
            if !source.fill_buf()?.is_empty() {
                self.0 = Some(frame(source, decoder)?);
            }
        }
        Ok(0)
    }
}
