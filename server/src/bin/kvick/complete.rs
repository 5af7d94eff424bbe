//! What can follow at the prompt: commands, their options, and keys that there are.

use crate::commands::{COMMANDS, find};
use crate::line::{LineError, words};
use crate::literal::{self, key_parts_text};
use crate::store::Db;
use kvick::{Key, Range};
use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// Keys that are read at once to complete one.
const KEYS: usize = 100;

/// How often they are, where many have the same part in this place.
const READS: usize = 8;

/// For that, all in all: who types does not wait.
const PATIENCE: Duration = Duration::from_millis(700);

/// Commands that are the prompt's own.
pub(crate) const OWN: [&str; 2] = ["exit", "help"];

pub(crate) struct Prompt {
    db: Db,
    runtime: Handle,
}

impl Prompt {
    pub(crate) fn new(db: Db, runtime: Handle) -> Self {
        Self { db, runtime }
    }

    /// Where the last word begins, and what it may become.
    fn candidates(&self, line: &str) -> (usize, Vec<String>) {
        let begin = last_word(line);
        let (before, word) = line.split_at_checked(begin).unwrap_or((line, ""));
        let before = words(before).unwrap_or_default();
        let begins = |candidate: &&str| candidate.starts_with(word);
        let Some(command) = before.first() else {
            let names = COMMANDS.iter().map(|command| command.name);
            let names = names.chain(OWN).filter(begins);
            return (begin, names.map(|name| format!("{name} ")).collect());
        };
        if word.starts_with('-') {
            let usage = find(command).map_or("", |command| command.usage);
            let options = usage.split([' ', ',', '\n']);
            let options = options.filter(|option| option.starts_with("--") && option.len() > 2);
            // Those that say where the database is are not for the prompt.
            let options = options
                .filter(|it| !["--url", "--access-token-file", "--timeout", "--help"].contains(it));
            let options: BTreeSet<_> = options.filter(begins).collect();
            return (
                begin,
                options.into_iter().map(|it| format!("{it} ")).collect(),
            );
        }
        (begin, self.keys(word))
    }

    fn keys(&self, word: &str) -> Vec<String> {
        let Some(inner) = word.strip_prefix('[').or(word.is_empty().then_some("")) else {
            return Vec::new();
        };
        let (parts, partial) = parts(inner);
        let found = self
            .runtime
            .block_on(async { timeout(PATIENCE, find_keys(&self.db, &parts, &partial)).await });
        // Whatever is wrong is said by the command.
        found.ok().flatten().unwrap_or_default()
    }
}

/// Where the last word of a line begins, which may be open.
fn last_word(line: &str) -> usize {
    let ends = line
        .char_indices()
        .filter(|(_, letter)| letter.is_whitespace());
    let mut ends = ends.map(|(at, letter)| at + letter.len_utf8());
    let is_between = |end: &usize| line.get(..*end).is_some_and(|before| words(before).is_ok());
    ends.rfind(is_between).unwrap_or(0)
}

/// The parts of a key that are written, and the text of the one that is being written.
fn parts(inner: &str) -> (Key, String) {
    let commas = inner.char_indices().filter(|(_, letter)| *letter == ',');
    let mut parsed = commas.filter_map(|(at, _)| {
        let before = inner.get(..at).filter(|before| !before.trim().is_empty())?;
        let key = literal::key(&format!("[{before}]")).ok()?;
        Some((key, inner.get(at + 1..)?))
    });
    let (key, partial) = parsed.next_back().unwrap_or((Key::raw([]), inner));
    let partial = partial.trim_start();
    // As keys are shown.
    let partial = match partial.strip_prefix('\'') {
        Some(rest) => format!("\"{rest}"),
        None => partial.to_owned(),
    };
    (key, partial)
}

/// Keys as they could be written on, up to the part behind those that are there.
async fn find_keys(db: &Db, parts: &Key, partial: &str) -> Option<Vec<String>> {
    let below = |key: &Key, last: u8| [key.as_bytes(), &[last]].concat();
    let (mut start, end) = match partial.strip_prefix('"') {
        // Of a text, the beginning is known.
        Some(text) if !text.is_empty() && !text.contains(['\\', '"', '\0']) => {
            let start = [parts.as_bytes(), &[2], text.as_bytes()].concat();
            let end = [&start[..], &[0xff]].concat();
            (start, end)
        }
        _ => (below(parts, 0), below(parts, 0xff)),
    };
    let count = parts.parts().ok()?.len();
    let mut found = BTreeSet::new();
    for _ in 0..READS {
        let range = Range::raw(start, end.clone());
        let keys = db.list(range).limit(KEYS).keys().await.ok()?;
        // Of what is no tuple there is nothing to complete.
        for (shown, is_all) in keys.iter().filter_map(|key| key_parts_text(key, count + 1)) {
            let ending = if is_all { "]" } else { ", " };
            found.insert(format!("[{shown}{ending}"));
        }
        let last = keys.get(KEYS - 1).and_then(|last| last.parts().ok());
        let Some(part) = last.and_then(|last| last.into_iter().nth(count)) else {
            break;
        };
        // Behind everything with the same part.
        start = below(&parts.join(part), 0xff);
    }
    let part_of = |candidate: &String| {
        let shown = key_parts_text(parts, count).map(|(shown, _)| shown)?;
        let shown = if shown.is_empty() {
            "[".to_owned()
        } else {
            format!("[{shown}, ")
        };
        Some(candidate.strip_prefix(&shown)?.starts_with(partial))
    };
    found.retain(|candidate| part_of(candidate).unwrap_or(false));
    Some(found.into_iter().collect())
}

impl Completer for Prompt {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        place: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.candidates(line.get(..place).unwrap_or_default()))
    }
}

impl Validator for Prompt {
    /// What is open goes on in the next line.
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(match words(context.input()) {
            Err(LineError::Open(_)) => ValidationResult::Incomplete,
            _ => ValidationResult::Valid(None),
        })
    }
}

impl Hinter for Prompt {
    type Hint = String;
}

impl Highlighter for Prompt {}

impl Helper for Prompt {}

#[cfg(test)]
mod tests {
    use super::Prompt;
    use crate::session::client;
    use crate::store::Store;
    use kvick::Kv;
    use tokio::runtime::Builder;

    #[test]
    fn the_last_word_is_completed() {
        let kv = Kv::new();
        for name in ["al", "ann", "b\u{1b}"] {
            for number in 0..150 {
                kv.set(("users", name, number), 1_u64).expect("it is small");
            }
        }
        kv.set(("users", "ann"), 1_u64).expect("it is small");
        kv.set((1_u64, true), 1_u64).expect("it is small");
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("it starts");
        let prompt = Prompt::new(client(Store::Embedded(kv)), runtime.handle().clone());
        let (at, candidates) = prompt.candidates("");
        assert_eq!((at, candidates.len()), (0, 13), "{candidates:?}");
        for (line, begin, expected) in [
            ("co", 0, &["count ", "copy "][..]),
            ("count --st", 6, &["--start "]),
            ("get --u", 4, &[]),
            ("get ", 4, &["[\"users\", ", "[1n, "]),
            ("get [\"us", 4, &["[\"users\", "]),
            (
                "get ['users', 'a",
                4,
                &[
                    "[\"users\", \"al\", ",
                    "[\"users\", \"ann\", ",
                    "[\"users\", \"ann\"]",
                ],
            ),
            ("get [\"users\", \"b", 4, &["[\"users\", \"b\\u{1b}\", "]),
            ("get [\"users\",\"al\",99", 4, &["[\"users\", \"al\", 99]"]),
            ("set [1n, true] [\"x", 15, &[]),
            ("get {", 4, &[]),
        ] {
            let (at, candidates) = prompt.candidates(line);
            assert_eq!(at, begin, "{line}");
            assert_eq!(candidates, expected, "{line}");
        }
    }
}
