//! What a line of a trace means.

use foldhash::quality::FixedState;
use std::ffi::OsStr;
use std::hash::BuildHasher;
use std::path::Path;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `first count ignored number`: the pages from the first one on, so many.
    Arc,
    /// One number a line.
    Ids,
    /// Twitter's: `timestamp,key,key size,value size,client,operation,ttl`. What is no get is no
    /// request.
    Twitter,
}

pub(crate) const NAMES: [&str; 3] = ["arc", "ids", "twitter"];

/// How many pages a line may ask for.
const PAGES_MAX: u64 = 1 << 20;

const GETS: [&str; 2] = ["get", "gets"];

const OTHER_OPERATIONS: [&str; 9] = [
    "set", "add", "replace", "cas", "append", "prepend", "delete", "incr", "decr",
];

/// Ids in a row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Requested {
    pub(crate) first: u64,
    pub(crate) count: u64,
}

impl Format {
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "arc" => Some(Self::Arc),
            "ids" => Some(Self::Ids),
            "twitter" => Some(Self::Twitter),
            _ => None,
        }
    }

    /// By what the file is called, `.zst` aside: `.lis` and `.csv`, or else ids.
    pub(crate) fn of(path: &Path) -> Self {
        let packed = path.extension() == Some(OsStr::new("zst"));
        let stem = path.file_stem().filter(|_| packed).map(Path::new);
        match stem.unwrap_or(path).extension().and_then(OsStr::to_str) {
            Some("lis") => Self::Arc,
            Some("csv") => Self::Twitter,
            _ => Self::Ids,
        }
    }

    /// What a line asks for. The error says what is wrong with it.
    pub(crate) fn requested(self, line: &str) -> Result<Option<Requested>, String> {
        match self {
            Self::Arc => pages(line).map(Some),
            Self::Ids => Ok(Some(Requested {
                first: number(line.trim(), "id")?,
                count: 1,
            })),
            Self::Twitter => key(line),
        }
    }
}

fn pages(line: &str) -> Result<Requested, String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [first, count, ignored, request] = fields[..] else {
        return Err(format!("it has {} fields, not 4", fields.len()));
    };
    number(ignored, "third field")?;
    number(request, "request number")?;
    let (first, count) = (number(first, "page")?, number(count, "count")?);
    if count > PAGES_MAX {
        return Err(format!("it asks for {count} pages, limit is {PAGES_MAX}"));
    }
    if first.checked_add(count).is_none() {
        return Err(format!("there are no {count} pages from {first} on"));
    }
    Ok(Requested { first, count })
}

fn key(line: &str) -> Result<Option<Requested>, String> {
    let fields: Vec<&str> = line.split(',').collect();
    // A key may have commas in it.
    let [time, key @ .., key_size, value_size, client, operation, ttl] = &fields[..] else {
        return Err(format!("it has {} fields, not 7", fields.len()));
    };
    if key.is_empty() {
        return Err("it has 6 fields, not 7".to_owned());
    }
    for (field, name) in [
        (time, "timestamp"),
        (key_size, "key size"),
        (value_size, "value size"),
        (client, "client"),
        (ttl, "ttl"),
    ] {
        number(field.trim(), name)?;
    }
    if GETS.contains(operation) {
        // Two of 64 bits are hardly ever the same.
        let first = FixedState::default().hash_one(key);
        return Ok(Some(Requested { first, count: 1 }));
    }
    if !OTHER_OPERATIONS.contains(operation) {
        return Err(format!("\"{operation}\" is no operation"));
    }
    Ok(None)
}

fn number(text: &str, name: &str) -> Result<u64, String> {
    let parsed = text.parse();
    parsed.map_err(|_| format!("its {name}, \"{text}\", is no number below 2^64"))
}
