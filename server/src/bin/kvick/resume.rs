//! How far a copy has come: in a file, so that it can go on from there.

use crate::fault::Fault;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// What is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) from: String,
    pub(crate) to: String,
    /// What was to be copied, as text.
    pub(crate) prefix: String,
    /// The last key that was copied, in base64.
    after: String,
    /// How many entries up to it.
    pub(crate) entries: u64,
}

impl State {
    pub(crate) fn new(from: &str, to: &str, prefix: &str) -> Self {
        Self {
            from: from.to_owned(),
            to: to.to_owned(),
            prefix: prefix.to_owned(),
            after: String::new(),
            entries: 0,
        }
    }

    /// What a file says of the same copy; this, if there is none.
    pub(crate) fn or_in(self, file: &Path) -> Result<Self, Fault> {
        let fault =
            |what: &dyn std::fmt::Display| Fault::failed(format!("{}: {what}", file.display()));
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(self),
            Err(error) => return Err(fault(&error)),
        };
        let state: Self = serde_json::from_str(&text).map_err(|error| fault(&error))?;
        if (&state.from, &state.to, &state.prefix) != (&self.from, &self.to, &self.prefix) {
            let (from, to) = (&state.from, &state.to);
            return Err(fault(&format!(
                "this is of another copy, from {from} to {to}"
            )));
        }
        if BASE64_STANDARD.decode(&state.after).is_err() {
            return Err(fault(&"its key is not base64"));
        }
        Ok(state)
    }

    /// The last key that was copied, if one was.
    pub(crate) fn after(&self) -> Option<Vec<u8>> {
        let key = BASE64_STANDARD.decode(&self.after).ok()?;
        (!key.is_empty()).then_some(key)
    }

    pub(crate) fn advance(&mut self, key: &[u8], entries: u64) {
        self.after = BASE64_STANDARD.encode(key);
        self.entries = entries;
    }

    pub(crate) fn write(&self, file: &Path) -> Result<(), Fault> {
        let text = serde_json::to_string(self).map_err(Fault::failed)?;
        replace(file, |new| {
            new.write_all(text.as_bytes()).map_err(Fault::failed)
        })
    }
}

/// Writes a file beside another, and puts it in its place when it is whole.
pub(crate) fn replace<T>(
    file: &Path,
    write: impl FnOnce(&mut File) -> Result<T, Fault>,
) -> Result<T, Fault> {
    // What a link leads to is replaced, and not the link.
    let target = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let file = &target;
    let partial = partial(file);
    let fault = |error: std::io::Error| Fault::failed(format!("{}: {error}", partial.display()));
    let written = File::create_new(&partial)
        .map_err(fault)
        .and_then(|mut new| {
            if let Ok(there) = fs::metadata(file) {
                // Whoever could not read it before cannot now.
                new.set_permissions(there.permissions()).map_err(fault)?;
            }
            let done = write(&mut new)?;
            new.sync_all().map_err(fault)?;
            fs::rename(&partial, file).map_err(fault)?;
            Ok(done)
        });
    if written.is_err() {
        // What is left of it is of no use; that it cannot be removed is not what is to be said.
        let _ = fs::remove_file(&partial);
    }
    written
}

fn partial(file: &Path) -> PathBuf {
    let mut name = file.file_name().map(OsString::from).unwrap_or_default();
    name.push(format!(".{}.partial", std::process::id()));
    file.with_file_name(name)
}
