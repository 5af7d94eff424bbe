//! The words of a command.

use crate::fault::Fault;
use crate::place::Place;
use lexopt::{Arg, Parser};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// One of them.
#[derive(Debug)]
pub(crate) enum Word {
    /// `--name` or `-n`, without the hyphens. What it takes is asked for behind it.
    Option(String),
    Value(OsString),
}

/// What follows the name of a command. What every command takes, where the database is, is taken out.
pub(crate) struct Args {
    parser: Parser,
    usage: &'static str,
    /// None where the database is open already.
    place: Option<Place>,
}

impl Args {
    pub(crate) fn new(words: Vec<OsString>, usage: &'static str) -> Self {
        Self {
            place: Some(Place::default()),
            ..Self::within(words, usage)
        }
    }

    /// Of a command for a database that is open already.
    pub(crate) fn within(words: Vec<OsString>, usage: &'static str) -> Self {
        Self {
            parser: Parser::from_args(words),
            usage,
            place: None,
        }
    }

    pub(crate) fn next(&mut self) -> Result<Option<Word>, Fault> {
        loop {
            if let Some(mut rest) = self.parser.try_raw_args()
                && rest.peek().is_some_and(is_negative)
            {
                return Ok(rest.next().map(Word::Value));
            }
            let name = match self.parser.next()? {
                None => return Ok(None),
                Some(Arg::Value(value)) => return Ok(Some(Word::Value(value))),
                Some(Arg::Long(name)) => name.to_owned(),
                Some(Arg::Short(name)) => name.to_string(),
            };
            let Some(place) = &mut self.place else {
                return self.option(name);
            };
            match &name[..] {
                "url" => place.url = Some(text(self.parser.value()?)?),
                "access-token-file" => place.token_file = Some(self.parser.value()?.into()),
                "timeout" => place.timeout = time(&text(self.parser.value()?)?)?,
                _ => return self.option(name),
            }
        }
    }

    fn option(&self, name: String) -> Result<Option<Word>, Fault> {
        match &name[..] {
            "h" | "help" => Err(Fault::Help(self.usage)),
            _ => Ok(Some(Word::Option(name))),
        }
    }

    /// What the option before it takes, as text.
    pub(crate) fn text(&mut self) -> Result<String, Fault> {
        text(self.parser.value()?)
    }

    pub(crate) fn path(&mut self) -> Result<PathBuf, Fault> {
        let word = self.parser.value()?;
        Ok(self.file(word))
    }

    /// The file of this name. In a line of the prompt, quotes hold one together that has spaces.
    pub(crate) fn file(&self, word: OsString) -> PathBuf {
        let unquoted = word.to_str().filter(|_| self.place.is_none());
        let unquoted = unquoted.and_then(|text| {
            let quote = text.chars().next().filter(|first| "\"'".contains(*first))?;
            text.strip_prefix(quote)?.strip_suffix(quote)
        });
        match unquoted {
            Some(name) => PathBuf::from(name),
            None => PathBuf::from(word),
        }
    }

    pub(crate) fn time(&mut self) -> Result<Duration, Fault> {
        time(&self.text()?)
    }

    pub(crate) fn number<N: FromStr>(&mut self) -> Result<N, Fault> {
        let text = self.text()?;
        let refuse = |_| Fault::usage(format!("{text:?} is no number that fits"));
        text.parse().map_err(refuse)
    }

    /// Where the database is to be.
    pub(crate) fn place(&self) -> Place {
        self.place.clone().unwrap_or_default()
    }

    /// That an option is not known.
    pub(crate) fn unknown(&self, name: &str) -> Fault {
        let hyphens = if name.chars().count() == 1 { "-" } else { "--" };
        Fault::usage(format!(
            "there is no option {hyphens}{name}\n\n{}",
            self.usage
        ))
    }

    /// That something is missing, or too much.
    pub(crate) fn refused(&self, what: &str) -> Fault {
        Fault::usage(format!("{what}\n\n{}", self.usage))
    }
}

/// Whether it is a number, and not an option.
fn is_negative(word: &OsStr) -> bool {
    let bytes = word.as_encoded_bytes();
    bytes.starts_with(b"-Infinity")
        || bytes.starts_with(b"-NaN")
        || matches!(bytes, [b'-', next, ..] if next.is_ascii_digit() || *next == b'.')
}

pub(crate) fn text(word: OsString) -> Result<String, Fault> {
    let refuse = |word: OsString| Fault::usage(format!("{} is not UTF-8", word.display()));
    word.into_string().map_err(refuse)
}

fn time(text: &str) -> Result<Duration, Fault> {
    let time = humantime::parse_duration(text).ok();
    time.ok_or_else(|| Fault::usage(format!("{text:?} is no time, such as 10s or 1h 30m")))
}

#[cfg(test)]
mod tests {
    use super::{Args, Word};
    use crate::fault::Fault;
    use std::ffi::OsString;

    fn args(text: &str) -> Args {
        Args::new(text.split(' ').map(OsString::from).collect(), "usage: x")
    }

    fn all(args: &mut Args) -> Result<Vec<String>, Fault> {
        let mut words = Vec::new();
        while let Some(word) = args.next()? {
            words.push(match word {
                Word::Option(name) => format!("option {name}"),
                Word::Value(value) => value.to_string_lossy().into_owned(),
            });
        }
        Ok(words)
    }

    #[test]
    fn a_negative_number_is_no_option() {
        let mut args = args("a -1 -.5n -Infinity -NaN -x --json -- --json");
        let words = all(&mut args).expect("all of it is fine");
        let expected = [
            "a",
            "-1",
            "-.5n",
            "-Infinity",
            "-NaN",
            "option x",
            "option json",
            "--json",
        ];
        assert_eq!(words, expected);
    }

    #[test]
    fn where_the_database_is_can_stand_anywhere() {
        let mut args = args("a --url http://x --timeout=2s b");
        assert_eq!(all(&mut args).expect("all of it is fine"), ["a", "b"]);
        assert_eq!(args.place().url.as_deref(), Some("http://x"));
        assert_eq!(args.place().timeout.as_secs(), 2);
    }

    #[test]
    fn within_a_prompt_it_cannot() {
        let mut args = Args::within(vec!["--url".into()], "");
        assert_eq!(all(&mut args).expect("it is an option"), ["option url"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (wrong, says) in [
            ("--timeout soon", "soon"),
            ("--url", "--url"),
            ("--help", "usage: x"),
        ] {
            let fault = all(&mut args(wrong)).expect_err(wrong).to_string();
            assert!(fault.contains(says), "{wrong}: {fault}");
        }
    }
}
