//! A line of the prompt, in words.

use std::fmt;

/// Why a line has no words.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LineError {
    /// There has to be more: a bracket or a quote is open.
    Open(char),
    /// A bracket that was not opened.
    Closed(char),
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(open) => write!(f, "`{open}` is not closed"),
            Self::Closed(closed) => write!(f, "`{closed}` was not opened"),
        }
    }
}

/// The words of a line: a literal is one word, whatever is in it, and keeps its quotes.
pub(crate) fn words(line: &str) -> Result<Vec<String>, LineError> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut open = Vec::new();
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            space if space.is_whitespace() && open.is_empty() => {
                end(&mut words, &mut word);
                continue;
            }
            '[' | '{' | '(' => open.push(letter),
            ']' | '}' | ')' => {
                let opened = open.pop();
                if !matches!(
                    (opened, letter),
                    (Some('['), ']') | (Some('{'), '}') | (Some('('), ')')
                ) {
                    return Err(LineError::Closed(letter));
                }
            }
            quote @ ('"' | '\'') => {
                word.push(quote);
                loop {
                    let Some(letter) = letters.next() else {
                        return Err(LineError::Open(quote));
                    };
                    word.push(letter);
                    match letter {
                        '\\' => word.extend(letters.next()),
                        letter if letter == quote => break,
                        _ => {}
                    }
                }
                continue;
            }
            _ => {}
        }
        word.push(letter);
    }
    if let Some(open) = open.pop() {
        return Err(LineError::Open(open));
    }
    end(&mut words, &mut word);
    Ok(words)
}

/// `new Date(0)` is one literal.
fn end(words: &mut Vec<String>, word: &mut String) {
    match words.last_mut() {
        Some(last) if last == "new" && !word.is_empty() => {
            last.push(' ');
            last.push_str(word);
            word.clear();
        }
        _ if !word.is_empty() => words.push(std::mem::take(word)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{LineError, words};

    #[test]
    fn a_literal_is_one_word() {
        for (line, expected) in [
            ("", &[][..]),
            ("  list  ", &["list"]),
            ("get [\"a\", 1n]", &["get", "[\"a\", 1n]"]),
            (
                "set ['a b'] {x: [1, \"} \\\" \"]} --json",
                &["set", "['a b']", "{x: [1, \"} \\\" \"]}", "--json"],
            ),
            ("set 'k' b\"\\x00 \"", &["set", "'k'", "b\"\\x00 \""]),
            (
                "set 'k' new  Date( 0 ) x",
                &["set", "'k'", "new Date( 0 )", "x"],
            ),
            ("export \"my file\"", &["export", "\"my file\""]),
        ] {
            assert_eq!(words(line).expect(line), expected, "{line}");
        }
    }

    #[test]
    fn what_is_open_is_to_go_on() {
        for (line, expected) in [
            ("get [\"a\"", LineError::Open('[')),
            ("get {x: (", LineError::Open('(')),
            ("get \"a", LineError::Open('"')),
            ("get 'a\\'", LineError::Open('\'')),
            ("get a]", LineError::Closed(']')),
            ("get [a)", LineError::Closed(')')),
        ] {
            assert_eq!(words(line), Err(expected), "{line}");
        }
    }
}
