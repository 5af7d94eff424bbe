//! How far a copy has come: in a file, so that it can go on from there.

use crate::fault::Fault;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Names that are tried for a new file.
const TRIES: u32 = 100;

/// What is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) from: String,
    pub(crate) to: String,
    /// What tells the export that is copied from others in the same place; nothing, of a URL.
    #[serde(default)]
    export: String,
    /// What was to be copied, as text.
    pub(crate) prefix: String,
    /// The last key that was copied, in base64.
    after: String,
    /// How many entries up to it.
    pub(crate) entries: u64,
}

impl State {
    pub(crate) fn new(from: &str, to: &str, export: &str, prefix: &str) -> Self {
        Self {
            export: export.to_owned(),
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
        if state.export != self.export {
            let from = &state.from;
            return Err(fault(&format!(
                "this is not known to be of a copy of the export that {from} is now"
            )));
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
    let file = &behind_links(file);
    let there = fs::metadata(file).ok();
    let (partial, mut new) = create_beside(file, there.is_some())?;
    let fault = |error: io::Error| Fault::failed(error).of(partial.display());
    let whole = |new: &mut File| {
        if let Some(there) = &there {
            new.set_permissions(there.permissions()).map_err(fault)?;
        }
        let done = write(new)?;
        new.sync_all().map_err(fault)?;
        fs::rename(&partial, file).map_err(fault)?;
        Ok(done)
    };
    let written = whole(&mut new);
    if written.is_err() {
        // What is left of it is of no use; that it cannot be removed is not what is to be said.
        let _ = fs::remove_file(&partial);
    }
    written
}

/// Removes what [`State::write`] has written, if there is anything.
pub(crate) fn remove(file: &Path) -> Result<(), Fault> {
    match fs::remove_file(behind_links(file)) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Fault::failed(error).of(file.display()))
        }
        _ => Ok(()),
    }
}

/// What a link leads to is replaced, and not the link; also where it is not there yet.
fn behind_links(file: &Path) -> PathBuf {
    if let Ok(target) = fs::canonicalize(file) {
        return target;
    }
    match (fs::read_link(file), file.parent()) {
        (Ok(target), Some(folder)) => folder.join(target),
        _ => file.to_owned(),
    }
}

/// A new file beside another. There may be one that somebody else writes, or has left there. Nobody else can read it
/// where it is to take over what the other one allows.
fn create_beside(file: &Path, is_private: bool) -> Result<(PathBuf, File), Fault> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if is_private {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    #[cfg(not(unix))]
    let _ = is_private;
    let mut tries = 0;
    loop {
        let mut name = file.file_name().map(OsString::from).unwrap_or_default();
        name.push(format!(".{}-{tries}.partial", std::process::id()));
        let partial = file.with_file_name(name);
        match options.open(&partial) {
            Ok(new) => return Ok((partial, new)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists && tries < TRIES => tries += 1,
            Err(error) => return Err(Fault::failed(error).of(partial.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::replace;
    use std::fs;
    use std::io::Write;

    #[test]
    fn what_somebody_else_writes_beside_it_is_left_alone() {
        let folder = std::env::temp_dir().join(format!("kvick-beside-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("it can be made");
        let file = folder.join("f");
        let first = folder.join(format!("f.{}-0.partial", std::process::id()));
        fs::write(&first, "theirs").expect("it can be written");
        let done = replace(&file, |new| {
            new.write_all(b"ours").map_err(crate::fault::Fault::failed)
        });
        let read = |path| fs::read_to_string(path).ok();
        let found = (done.is_ok(), read(&file), read(&first));
        fs::remove_dir_all(&folder).expect("it is ours");
        let is = |text: &str| Some(text.to_owned());
        assert_eq!(found, (true, is("ours"), is("theirs")));
    }
}
