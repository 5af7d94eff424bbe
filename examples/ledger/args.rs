//! The command line.

use std::ffi::OsString;
use std::fmt;
use std::num::NonZero;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use lexopt::{Arg, Parser};

pub(crate) const HELP: &str = "\
Transfers between accounts by many threads at once: a load that proves itself

Usage: ledger [OPTIONS]
       ledger --input FILE [--threads N] [--auditors N]

Every transfer reads two balances and sets both in one atomic operation, which is tried again if
somebody else was faster. Meanwhile auditors sum all balances, each time in a snapshot: every sum
must be the total. In the end every account must hold what the threads say that they have moved.

Options:
      --accounts N   how many accounts there are, from 2 to 1,000,000 [default: 1,000]
      --threads N    threads that transfer [default: as many as the machine runs at once]
      --auditors N   threads that audit; one audit is made in the end even with 0 [default: 1]
      --seconds S    how long to go on, fractions allowed [default: 3]
      --hot N        make all transfers within N of the accounts
      --by-sum       transfer by two sum mutations instead: nothing is read or checked, and nothing
                     conflicts. Nobody is refused for lack of funds then, so every account begins
                     with plenty, and what is proven is the total modulo 2^64
      --input FILE   apply the transfers of a CSV file instead of random ones; - reads standard
                     input
  -h, --help         print this

The input has one statement a line:
  @opening,ACCOUNT,BALANCE   the account exists and begins with this balance
  FROM,TO,AMOUNT             the amount is to be moved, if FROM has as much
Amounts are whole numbers of cents. Openings take effect before any transfer, wherever they stand.
The file is UTF-8, with or without a byte order mark; lines end in LF or CRLF. A field may be quoted
(\"Baker, Finch & Co.\", with \"\" for a quote in it); spaces around a field do not count. Empty lines
are skipped, and so is a first line from,to,amount.

The threads apply the transfers in no particular order, one thread (--threads 1) in that of the
file. A line is refused, and changes nothing, if it is malformed, moves nothing or to where it came
from, names an account without an opening, opens one twice, or lacks the funds when its turn comes.
Refused lines are reported on standard error, with number and reason; the final balances are
printed on standard output, as CSV, with a summary.

Exit status: 0 if all was conserved, 1 if anything was not, 2 if the command line or the input
could not be used.
";

/// What the command line asks for.
#[derive(Debug, PartialEq)]
pub(crate) enum Request {
    Help,
    Load(Load),
    Input(Input),
}

/// Random transfers for a while.
#[derive(Debug, PartialEq)]
pub(crate) struct Load {
    pub(crate) accounts: u32,
    /// All transfers are within the first so many accounts.
    pub(crate) hot: u32,
    pub(crate) crew: Crew,
    pub(crate) length: Duration,
    pub(crate) by_sum: bool,
}

/// The transfers of a file.
#[derive(Debug, PartialEq)]
pub(crate) struct Input {
    /// Standard input, where there is none.
    pub(crate) path: Option<PathBuf>,
    pub(crate) crew: Crew,
}

/// How many threads do what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Crew {
    pub(crate) threads: usize,
    pub(crate) auditors: usize,
}

/// Why the command line makes no sense.
pub(crate) type Misuse = String;

pub(crate) fn parse(mut parser: Parser) -> Result<Request, Misuse> {
    let mut options = Options::default();
    while let Some(arg) = parser.next().map_err(|error| error.to_string())? {
        let name = match arg {
            Arg::Long(name) => name.to_owned(),
            Arg::Short('h') => "help".to_owned(),
            other => return Err(other.unexpected().to_string()),
        };
        match &*name {
            "help" => return Ok(Request::Help),
            "by-sum" => options.by_sum = true,
            "accounts" | "threads" | "auditors" | "seconds" | "hot" | "input" => {
                let value = parser.value().map_err(|error| error.to_string())?;
                options.set(&name, value)?;
            }
            _ => return Err(Arg::Long(&name).unexpected().to_string()),
        }
    }
    options.request()
}

/// The options as they were given.
#[derive(Default)]
struct Options {
    accounts: Option<u32>,
    threads: Option<usize>,
    auditors: Option<usize>,
    seconds: Option<Duration>,
    hot: Option<u32>,
    by_sum: bool,
    input: Option<OsString>,
}

impl Options {
    fn set(&mut self, name: &str, value: OsString) -> Result<(), Misuse> {
        if name == "input" {
            self.input = Some(value);
            return Ok(());
        }
        let value = value.to_string_lossy();
        match name {
            "accounts" => self.accounts = Some(number(name, &value, &(2..=1_000_000))?),
            "threads" => self.threads = Some(number(name, &value, &(1..=256))?),
            "auditors" => self.auditors = Some(number(name, &value, &(0..=256))?),
            "hot" => self.hot = Some(number(name, &value, &(2..=1_000_000))?),
            _ => self.seconds = Some(seconds(&value)?),
        }
        Ok(())
    }

    fn request(self) -> Result<Request, Misuse> {
        let crew = Crew {
            threads: self.threads.unwrap_or_else(parallelism),
            auditors: self.auditors.unwrap_or(1),
        };
        if let Some(path) = &self.input {
            if let Some(option) = self.option_of_the_load() {
                return Err(format!("{option} has no meaning with --input"));
            }
            let path = (path != "-").then(|| path.into());
            return Ok(Request::Input(Input { path, crew }));
        }
        let accounts = self.accounts.unwrap_or(1_000);
        let hot = self.hot.unwrap_or(accounts);
        if hot > accounts {
            return Err(format!(
                "--hot {hot} is more than there are accounts ({accounts})"
            ));
        }
        Ok(Request::Load(Load {
            accounts,
            hot,
            crew,
            length: self.seconds.unwrap_or(Duration::from_secs(3)),
            by_sum: self.by_sum,
        }))
    }

    fn option_of_the_load(&self) -> Option<&'static str> {
        let given = [
            (self.accounts.is_some(), "--accounts"),
            (self.seconds.is_some(), "--seconds"),
            (self.hot.is_some(), "--hot"),
            (self.by_sum, "--by-sum"),
        ];
        given
            .into_iter()
            .find_map(|(is_given, name)| is_given.then_some(name))
    }
}

fn number<N>(name: &str, value: &str, allowed: &RangeInclusive<N>) -> Result<N, Misuse>
where
    N: FromStr + PartialOrd + fmt::Display,
{
    match value.parse() {
        Ok(number) if allowed.contains(&number) => Ok(number),
        _ => Err(format!(
            "--{name} wants a whole number from {} to {}, not {value:?}",
            allowed.start(),
            allowed.end()
        )),
    }
}

fn seconds(value: &str) -> Result<Duration, Misuse> {
    const MAX: Duration = Duration::from_secs(24 * 60 * 60);
    value
        .parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|length| !length.is_zero() && *length <= MAX)
        .ok_or_else(|| {
            format!(
                "--seconds wants a number above 0, at most {}, not {value:?}",
                MAX.as_secs()
            )
        })
}

fn parallelism() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Request, Misuse> {
        parse(Parser::from_args(words))
    }

    #[test]
    fn without_options_it_is_a_load_of_a_few_seconds() {
        let Ok(Request::Load(load)) = parsed(&[]) else {
            panic!("no load");
        };
        assert!(load.length <= Duration::from_secs(5));
        assert_eq!(load.hot, load.accounts);
    }

    #[test]
    fn every_option_of_the_load_is_heard() {
        let words = [
            "--accounts=20",
            "--threads",
            "3",
            "--auditors=0",
            "--seconds=0.5",
            "--hot",
            "4",
            "--by-sum",
        ];
        let crew = Crew {
            threads: 3,
            auditors: 0,
        };
        let expected = Load {
            accounts: 20,
            hot: 4,
            crew,
            length: Duration::from_millis(500),
            by_sum: true,
        };
        assert_eq!(parsed(&words), Ok(Request::Load(expected)));
    }

    #[test]
    fn a_dash_is_standard_input() {
        let Ok(Request::Input(input)) = parsed(&["--input", "-"]) else {
            panic!("no input");
        };
        assert_eq!(input.path, None);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (words, expected) in [
            (&["--accounts", "1"][..], "--accounts"),
            (&["--accounts", "many"], "\"many\""),
            (&["--accounts", "-5"], "\"-5\""),
            (&["--accounts", "99999999999999999999"], "1000000"),
            (&["--accounts"], "--accounts"),
            (&["--threads", "0"], "--threads"),
            (&["--seconds", "0"], "--seconds"),
            (&["--seconds", "-1"], "--seconds"),
            (&["--seconds", "NaN"], "--seconds"),
            (&["--seconds", "1e300"], "--seconds"),
            (&["--hot", "1"], "--hot"),
            (&["--hot", "1001"], "--hot 1001"),
            (&["--by-sum=1"], "--by-sum"),
            (&["--input", "x.csv", "--hot", "2"], "--hot"),
            (&["--input", "x.csv", "--by-sum"], "--by-sum"),
            (&["--quick"], "--quick"),
            (&["-x"], "-x"),
            (&["x.csv"], "x.csv"),
        ] {
            let misuse = parsed(words).unwrap_err();
            assert!(misuse.contains(expected), "{words:?}: {misuse}");
        }
    }
}
