//! What goes wrong with exports and imports, and where.

use super::{Cause, Error, ErrorKind, Source};
use std::fmt;
use std::io;

/// A cause of this kind.
pub(super) enum CopyCause {
    Invalid {
        what: &'static str,
        place: ExportPlace,
    },
    TooNew {
        got: u16,
        max: u16,
    },
    /// Something that is refused wherever it comes from, in an export.
    Refused {
        refused: Error,
        place: ExportPlace,
    },
    /// Of which the text is cut, where it is long.
    KeyExists {
        key: String,
    },
    Io {
        doing: &'static str,
        at: u64,
        source: Source,
    },
}

/// A place in an export.
#[derive(Clone, Copy)]
pub(crate) struct ExportPlace {
    /// How many bytes are before it.
    pub(crate) at: u64,
    /// The number of its frame, or of the next.
    pub(crate) frame: u64,
}

/// So much of a key is shown.
const SHOWN_KEY_CHARS: usize = 200;

impl CopyCause {
    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid { .. } => ErrorKind::InvalidExport,
            Self::TooNew { .. } => ErrorKind::ExportTooNew,
            Self::Refused { refused, .. } => refused.kind(),
            Self::KeyExists { .. } => ErrorKind::KeyExists,
            Self::Io { .. } => ErrorKind::Io,
        }
    }

    /// The error of a writer or reader.
    pub(super) fn io(&self) -> Option<&Source> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<CopyCause> for Error {
    #[cold]
    fn from(cause: CopyCause) -> Self {
        Cause::Copy(cause).into()
    }
}

impl Error {
    pub(crate) fn invalid_export(what: &'static str, place: ExportPlace) -> Self {
        CopyCause::Invalid { what, place }.into()
    }

    pub(crate) fn export_too_new(got: u16, max: u16) -> Self {
        CopyCause::TooNew { got, max }.into()
    }

    /// What is refused by itself, at a place in an export. What has nothing to do with the export stays
    /// what it is.
    pub(crate) fn in_export(self, place: ExportPlace) -> Self {
        if matches!(self.kind(), ErrorKind::OutOfMemory | ErrorKind::MemoryLimit) {
            return self;
        }
        let refused = self;
        CopyCause::Refused { refused, place }.into()
    }

    pub(crate) fn key_exists(key: &impl fmt::Debug) -> Self {
        let mut key = format!("{key:?}");
        if let Some((end, _)) = key.char_indices().nth(SHOWN_KEY_CHARS) {
            key.truncate(end);
            key.push('…');
        }
        CopyCause::KeyExists { key }.into()
    }

    pub(crate) fn not_empty() -> Self {
        let text = "versionstamps can be kept only where nothing was ever committed";
        Cause::Text(ErrorKind::NotEmpty, text).into()
    }

    /// `at` says how much has been written before.
    pub(crate) fn export_unwritten(error: io::Error, at: u64) -> Self {
        let (doing, source) = ("written", error.into());
        CopyCause::Io { doing, at, source }.into()
    }

    /// `at` says how much has been read before.
    pub(crate) fn export_unread(error: io::Error, at: u64) -> Self {
        let (doing, source) = ("read", error.into());
        CopyCause::Io { doing, at, source }.into()
    }
}

impl fmt::Display for ExportPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}, frame {}", self.at, self.frame)
    }
}

impl fmt::Display for CopyCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid { what, place } => write!(f, "invalid export: {what}, {place}"),
            Self::TooNew { got, max } => write!(
                f,
                "the export has format version {got}, at byte 8; the newest that can be read is {max}"
            ),
            Self::Refused { refused, place } => write!(f, "{refused}, in the export {place}"),
            Self::KeyExists { key } => write!(f, "the key exists already: {key}"),
            Self::Io { doing, at, source } => {
                write!(f, "the export could not be {doing}, at byte {at}: {source}")
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Error, ErrorKind, ExportPlace};
    use crate::error::Limited;
    use std::error::Error as _;
    use std::io;

    #[test]
    fn a_refusal_keeps_its_kind_and_gains_a_place() {
        let place = ExportPlace { at: 7, frame: 1 };
        let error = Error::value_too_large(2, 1).in_export(place);
        assert_eq!(error.kind(), ErrorKind::ValueTooLarge);
        let text = "Value too large (max 1 bytes): got 2 bytes, in the export at byte 7, frame 1";
        assert_eq!(error.to_string(), text);
        let error = Error::out_of_memory(9).in_export(place);
        assert_eq!(error.to_string(), Error::out_of_memory(9).to_string());
        let error = Error::memory_limit_reached(9, 8, 16).in_export(place);
        assert_eq!(
            error.refused_by_limit(),
            Some(Limited::Memory { wanted: 9 })
        );
    }

    #[test]
    fn a_long_key_is_shown_in_part() {
        let error = Error::key_exists(&"é".repeat(1_000));
        let shown = error.to_string().chars().filter(|c| *c == 'é').count();
        assert_eq!(shown, 199);
        assert!(error.to_string().ends_with('…'));
    }

    #[test]
    fn the_error_of_a_writer_is_given_back() {
        let disk_full = || Error::export_unwritten(io::ErrorKind::StorageFull.into(), 3);
        let error = disk_full();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.source().is_none());
        let inner = error.downcast_ref::<io::Error>();
        assert!(inner.is_some_and(|inner| inner.kind() == io::ErrorKind::StorageFull));
        assert!(error.downcast_ref::<std::fmt::Error>().is_none());
        let error = error.downcast::<std::fmt::Error>().unwrap_err();
        assert_eq!(error.to_string(), disk_full().to_string());
        let inner = error.downcast::<io::Error>().unwrap();
        assert_eq!(inner.kind(), io::ErrorKind::StorageFull);
    }
}
