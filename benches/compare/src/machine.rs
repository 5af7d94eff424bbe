//! What a record says about where it comes from.

use crate::host::{model, said, version};
use std::process::Command;
use std::time::UNIX_EPOCH;
use std::{env, thread};

/// Whose versions a record names.
const SUBJECTS: [&str; 10] = [
    "kvick",
    "surrealmx",
    "skipdb",
    "denokv_sqlite",
    "libsqlite3-sys",
    "moka",
    "quick_cache",
    "dashmap",
    "papaya",
    "crossbeam-skiplist",
];

#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// `2026-01-31`
    pub(crate) date: String,
    cores: usize,
    model: String,
    commit: String,
    rustc: String,
    command: String,
}

impl Machine {
    pub(crate) fn this() -> Self {
        let arguments = env::args().skip(1).collect::<Vec<_>>().join(" ");
        Self {
            date: today(),
            cores: thread::available_parallelism().map_or(1, usize::from),
            model: model().unwrap_or_else(|| env::consts::ARCH.to_owned()),
            commit: said(Command::new("git").args(["describe", "--always", "--dirty"])),
            rustc: said(Command::new("rustc").arg("--version")),
            command: format!("cargo run --release -p kvick-compare -- {arguments}"),
        }
    }

    /// `2-cores-some-cpu`, for the name of a file.
    pub(crate) fn slug(&self) -> String {
        let name = format!("{} cores {}", self.cores, self.model.to_lowercase());
        let words = name.split(|c: char| !c.is_ascii_alphanumeric());
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        words.join("-")
    }

    pub(crate) fn title(&self) -> String {
        format!("{} cores, {}, {}", self.cores, self.model, self.date)
    }

    pub(crate) fn page(&self) -> String {
        let Self {
            date,
            cores,
            model,
            commit,
            rustc,
            command,
        } = self;
        let versions: Vec<String> = SUBJECTS.iter().map(|name| version(name)).collect();
        let versions = versions.join(", ");
        format!(
            "# {date}, {cores} cores\n\n\
             | | |\n| --- | --- |\n\
             | machine | {model}, {cores} cores, {} |\n\
             | compiler | {rustc}, profile release |\n\
             | commit | {commit} |\n\
             | command | `{}` |\n\
             | versions | {versions} |\n",
            env::consts::OS,
            command.trim_end(),
        )
    }
}

fn today() -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "a record has the date of its day"
    )]
    let now = std::time::SystemTime::now();
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (year, month, day) = date(since.as_secs() / 86_400);
    format!("{year}-{month:02}-{day:02}")
}

/// The date so many days after 1970 began.
fn date(mut days: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}
