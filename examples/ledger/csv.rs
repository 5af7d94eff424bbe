//! The statements of an input file, line by line.
//!
//! A line is malformed by itself: it does not take others with it. So a quoted field ends on its
//! line, and what is no UTF-8 is refused line by line too.

use std::borrow::Cow;
use std::fmt;

/// What stands in the place of the account that is debited where one is opened.
pub(crate) const OPENING: &str = "@opening";

/// Longer names are refused. Keys have a limit of their own, which is far above.
const NAME_BYTES_MAX: usize = 256;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What a line says.
#[derive(Debug, PartialEq)]
pub(crate) enum Statement<'a> {
    Opening {
        account: Cow<'a, str>,
        balance: u64,
    },
    Transfer {
        from: Cow<'a, str>,
        to: Cow<'a, str>,
        amount: u64,
    },
}

/// Why a line says nothing that can be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Malformed {
    NotUtf8,
    QuoteOpen,
    AfterQuote,
    QuoteInside,
    FieldCount(usize),
    NoName(&'static str),
    NameTooLong(usize),
    NameUnprintable(String),
    NameReserved,
    NoAmount(String),
    AmountTooLarge(String),
    ZeroAmount,
    SameAccount(String),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 => f.write_str("not UTF-8"),
            Self::QuoteOpen => f.write_str("a quoted field does not end"),
            Self::AfterQuote => f.write_str("something follows a quoted field"),
            Self::QuoteInside => f.write_str("a quote in a field that is not quoted"),
            Self::FieldCount(count) => write!(f, "3 fields are wanted, not {count}"),
            Self::NoName(which) => write!(f, "the account {which} has no name"),
            Self::NameTooLong(bytes) => {
                write!(
                    f,
                    "an account name of {bytes} bytes, limit is {NAME_BYTES_MAX}"
                )
            }
            Self::NameUnprintable(name) => write!(f, "control characters in {name:?}"),
            Self::NameReserved => write!(f, "no account can be called {OPENING}"),
            Self::NoAmount(text) => write!(f, "{text:?} is not a whole number of cents"),
            Self::AmountTooLarge(text) => write!(f, "{text} is more than {}", u64::MAX),
            Self::ZeroAmount => f.write_str("nothing to move: the amount is 0"),
            Self::SameAccount(name) => write!(f, "from {name:?} to itself"),
        }
    }
}

/// The lines that say something, or should, with their numbers, counted from 1.
pub(crate) fn statements(
    text: &[u8],
) -> impl Iterator<Item = (usize, Result<Statement<'_>, Malformed>)> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let lines = text.split(|byte| *byte == b'\n');
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line).trim_ascii());
    let mut is_first = true;
    (1..).zip(lines).filter_map(move |(number, line)| {
        if line.is_empty() {
            return None;
        }
        let fields = split(line);
        let is_header = std::mem::take(&mut is_first)
            && matches!(fields.as_deref(), Ok([from, to, amount])
                if from.eq_ignore_ascii_case("from")
                    && to.eq_ignore_ascii_case("to")
                    && amount.eq_ignore_ascii_case("amount"));
        (!is_header).then(|| (number, fields.and_then(statement)))
    })
}

fn statement(fields: Vec<Cow<'_, str>>) -> Result<Statement<'_>, Malformed> {
    let count = fields.len();
    let [from, to, amount] = <[_; 3]>::try_from(fields).or(Err(Malformed::FieldCount(count)))?;
    if from == OPENING {
        return Ok(Statement::Opening {
            account: name(to, "to be opened")?,
            balance: cents(&amount)?,
        });
    }
    let (from, to) = (name(from, "from")?, name(to, "to")?);
    let amount = cents(&amount)?;
    if amount == 0 {
        return Err(Malformed::ZeroAmount);
    }
    if from == to {
        return Err(Malformed::SameAccount(from.into_owned()));
    }
    Ok(Statement::Transfer { from, to, amount })
}

fn name<'a>(name: Cow<'a, str>, which: &'static str) -> Result<Cow<'a, str>, Malformed> {
    if name.is_empty() {
        Err(Malformed::NoName(which))
    } else if name.len() > NAME_BYTES_MAX {
        Err(Malformed::NameTooLong(name.len()))
    } else if name.contains(char::is_control) {
        Err(Malformed::NameUnprintable(name.into_owned()))
    } else if name == OPENING {
        Err(Malformed::NameReserved)
    } else {
        Ok(name)
    }
}

fn cents(text: &str) -> Result<u64, Malformed> {
    // `parse` would take a plus sign.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Malformed::NoAmount(text.to_owned()));
    }
    text.parse()
        .map_err(|_| Malformed::AmountTooLarge(text.to_owned()))
}

/// The fields of a line.
fn split(line: &[u8]) -> Result<Vec<Cow<'_, str>>, Malformed> {
    let mut rest = str::from_utf8(line).or(Err(Malformed::NotUtf8))?;
    let mut fields = Vec::new();
    loop {
        let (field, after) = match rest.trim_start().strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => plain(rest)?,
        };
        fields.push(field);
        match after {
            Some(after) => rest = after,
            None => return Ok(fields),
        }
    }
}

/// A field, and what follows its comma.
type Field<'a> = (Cow<'a, str>, Option<&'a str>);

fn plain(text: &str) -> Result<Field<'_>, Malformed> {
    let (field, after) = match text.split_once(',') {
        Some((field, after)) => (field, Some(after)),
        None => (text, None),
    };
    if field.contains('"') {
        return Err(Malformed::QuoteInside);
    }
    Ok((field.trim().into(), after))
}

/// The field whose opening quote has been passed.
fn unquote(text: &str) -> Result<Field<'_>, Malformed> {
    let mut from = 0;
    let end = loop {
        let quote = text[from..].find('"').ok_or(Malformed::QuoteOpen)? + from;
        if !text[quote + 1..].starts_with('"') {
            break quote;
        }
        from = quote + 2;
    };
    let field = &text[..end];
    let field = if from == 0 {
        field.into()
    } else {
        field.replace("\"\"", "\"").into()
    };
    let after = text[end + 1..].trim_start();
    match after.strip_prefix(',') {
        Some(after) => Ok((field, Some(after))),
        None if after.is_empty() => Ok((field, None)),
        None => Err(Malformed::AfterQuote),
    }
}

/// A name as a field of the output, in quotes where it needs them.
pub(crate) fn quote(name: &str) -> Cow<'_, str> {
    if name.contains([',', '"']) || name.trim() != name {
        format!("\"{}\"", name.replace('"', "\"\"")).into()
    } else {
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transfer<'a>(from: &'a str, to: &'a str, amount: u64) -> Statement<'a> {
        Statement::Transfer {
            from: from.into(),
            to: to.into(),
            amount,
        }
    }

    fn opening(account: &str, balance: u64) -> Statement<'_> {
        Statement::Opening {
            account: account.into(),
            balance,
        }
    }

    fn all(text: &str) -> Vec<(usize, Statement<'_>)> {
        statements(text.as_bytes())
            .map(|(line, statement)| (line, statement.unwrap()))
            .collect()
    }

    fn malformed(line: impl AsRef<[u8]>) -> Malformed {
        let (_, statement) = statements(line.as_ref()).next().unwrap();
        statement.unwrap_err()
    }

    #[test]
    fn lines_keep_their_numbers_past_a_header_and_empty_lines() {
        let text = "from,to,amount\n@opening,ann,5\n\n  \nann,bob,2\n";
        assert_eq!(
            all(text),
            [(2, opening("ann", 5)), (5, transfer("ann", "bob", 2))]
        );
    }

    #[test]
    fn a_byte_order_mark_and_carriage_returns_are_not_content() {
        let text = "\u{feff}From,To,Amount\r\nann,bob,2\r\n";
        assert_eq!(all(text), [(2, transfer("ann", "bob", 2))]);
    }

    #[test]
    fn the_last_line_needs_no_end() {
        assert_eq!(all("ann,bob,2"), [(1, transfer("ann", "bob", 2))]);
    }

    #[test]
    fn a_header_is_only_the_first_line() {
        let lines: Vec<_> = statements(b"ann,bob,2\nfrom,to,amount").collect();
        assert_eq!(lines[1], (2, Err(Malformed::NoAmount("amount".to_owned()))));
    }

    #[test]
    fn a_quoted_field_may_hold_commas_quotes_and_outer_spaces() {
        let text = r#" "Baker, Finch & Co." , "the ""old"" mill"," 7","#;
        let text = text.trim_end_matches(',');
        assert_eq!(
            malformed(text),
            Malformed::NoAmount(" 7".to_owned()),
            "a quoted space is content"
        );
        let text = r#" "Baker, Finch & Co." , "the ""old"" mill","7" "#;
        let expected = transfer("Baker, Finch & Co.", r#"the "old" mill"#, 7);
        assert_eq!(all(text), [(1, expected)]);
        assert_eq!(all(r#""""",b,1"#), [(1, transfer("\"", "b", 1))]);
    }

    #[test]
    fn spaces_around_a_plain_field_are_not_content() {
        let expected = transfer("Zoë Łukasz", "b", 18_446_744_073_709_551_615);
        let text = " Zoë Łukasz ,\tb , 18446744073709551615 ";
        assert_eq!(all(text), [(1, expected)]);
    }

    #[test]
    fn an_opening_may_be_of_nothing_and_a_transfer_not() {
        assert_eq!(all("@opening,ann,0"), [(1, opening("ann", 0))]);
        assert_eq!(malformed("ann,bob,0"), Malformed::ZeroAmount);
    }

    #[test]
    fn what_is_malformed_is_told_apart() {
        for (line, expected) in [
            ("ann,bob", Malformed::FieldCount(2)),
            ("ann", Malformed::FieldCount(1)),
            ("ann,bob,1,", Malformed::FieldCount(4)),
            (",bob,1", Malformed::NoName("from")),
            ("ann,\"\",1", Malformed::NoName("to")),
            ("@opening,,1", Malformed::NoName("to be opened")),
            ("@opening,@opening,1", Malformed::NameReserved),
            ("ann,\"@opening\",1", Malformed::NameReserved),
            ("ann,bob,", Malformed::NoAmount(String::new())),
            ("ann,bob,-1", Malformed::NoAmount("-1".to_owned())),
            ("ann,bob,+1", Malformed::NoAmount("+1".to_owned())),
            ("ann,bob,1.50", Malformed::NoAmount("1.50".to_owned())),
            ("ann,bob,1e3", Malformed::NoAmount("1e3".to_owned())),
            (
                "ann,bob,18446744073709551616",
                Malformed::AmountTooLarge("18446744073709551616".to_owned()),
            ),
            ("ann, ann ,1", Malformed::SameAccount("ann".to_owned())),
            ("\"ann,bob,1", Malformed::QuoteOpen),
            ("\"ann\"\",bob,1", Malformed::QuoteOpen),
            ("\"ann\"x,bob,1", Malformed::AfterQuote),
            ("an\"n,bob,1", Malformed::QuoteInside),
            (
                "a\u{1b}[1m,bob,1",
                Malformed::NameUnprintable("a\u{1b}[1m".to_owned()),
            ),
        ] {
            assert_eq!(malformed(line), expected, "{line:?}");
        }
        assert_eq!(malformed(b"ann,b\xffb,1"), Malformed::NotUtf8);
        let long = format!("{},bob,1", "a".repeat(257));
        assert_eq!(malformed(long), Malformed::NameTooLong(257));
    }

    #[test]
    fn a_malformed_line_leaves_the_next_one_alone() {
        let lines: Vec<_> = statements(b"\"ann,bob,1\nann,bob,2").collect();
        assert_eq!(lines[0], (1, Err(Malformed::QuoteOpen)));
        assert_eq!(lines[1], (2, Ok(transfer("ann", "bob", 2))));
    }

    #[test]
    fn a_name_that_was_printed_reads_back_the_same() {
        for name in ["ann", "Baker, Finch & Co.", "the \"old\" mill", " a "] {
            let line = format!("{},b,1", quote(name));
            assert_eq!(all(&line), [(1, transfer(name, "b", 1))]);
        }
    }
}
