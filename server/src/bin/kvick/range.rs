//! Which entries a command is about.

use crate::args::Args;
use crate::fault::Fault;
use crate::literal;
use kvick::{Key, Range};

/// `--prefix`, `--start` and `--end`, as far as they were given.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    prefix: Option<Key>,
    start: Option<Key>,
    end: Option<Key>,
}

impl Selection {
    /// Takes an option if it is one of these; says whether it was.
    pub(crate) fn take(&mut self, name: &str, args: &mut Args) -> Result<bool, Fault> {
        let place = match name {
            "prefix" => &mut self.prefix,
            "start" => &mut self.start,
            "end" => &mut self.end,
            _ => return Ok(false),
        };
        *place = Some(key(&args.text()?)?);
        Ok(true)
    }

    pub(crate) fn has_prefix(&self) -> bool {
        self.prefix.is_some()
    }

    /// The range; of everything, if nothing was given.
    pub(crate) fn range(self) -> Range {
        match (self.prefix, self.start, self.end) {
            (None, None, None) => Range::all(),
            (Some(prefix), None, None) => Range::prefix(prefix),
            (Some(prefix), Some(start), None) => Range::prefix(prefix).start(start),
            (Some(prefix), None, Some(end)) => Range::prefix(prefix).end(end),
            // Behind the last tuple that there is.
            (None, Some(start), None) => Range::raw(start.as_bytes().to_vec(), vec![0xff]),
            (None, start, Some(end)) => Range::new(start.unwrap_or_else(|| Key::raw([])), end),
            (Some(prefix), Some(start), Some(end)) => {
                if start.as_bytes().starts_with(prefix.as_bytes()) {
                    let end_of_prefix = [prefix.as_bytes(), &[0xff]].concat();
                    let end = end_of_prefix.min(end.as_bytes().to_vec());
                    Range::raw(start.as_bytes().to_vec(), end)
                } else {
                    // Which is refused as outside of it.
                    Range::prefix(prefix).start(start)
                }
            }
        }
    }
}

/// A key that was given as a literal.
pub(crate) fn key(text: &str) -> Result<Key, Fault> {
    literal::key(text).map_err(|error| {
        let hint = match text.chars().next() {
            Some(first) if first.is_alphabetic() => ". A key is written as [\"users\", 42n]",
            _ => "",
        };
        Fault::usage(format!("the key {text}: {error}{hint}"))
    })
}

#[cfg(test)]
mod tests {
    use super::{Selection, key};
    use kvick::Kv;

    #[test]
    fn a_selection_is_what_the_options_say_together() {
        let kv = Kv::new();
        for name in ["[\"a\"]", "[\"a\",1]", "[\"a\",2]", "[\"a\",3]", "[\"b\"]"] {
            kv.set(key(name).expect("it is one"), 1_u64)
                .expect("it is small");
        }
        for (prefix, start, end, expected) in [
            ("", "", "", 5),
            ("[\"a\"]", "", "", 3),
            ("[\"a\"]", "[\"a\",2]", "", 2),
            ("[\"a\"]", "", "[\"a\",2]", 1),
            ("[\"a\"]", "[\"a\",2]", "[\"a\",3]", 1),
            ("[\"a\"]", "[\"a\",2]", "[\"b\",3]", 2),
            ("", "[\"a\",2]", "", 3),
            ("", "", "[\"a\",2]", 2),
            ("", "[\"a\",2]", "[\"b\"]", 2),
        ] {
            let given = |text: &str| (!text.is_empty()).then(|| key(text).expect("it is one"));
            let selection = Selection {
                prefix: given(prefix),
                start: given(start),
                end: given(end),
            };
            let count = kv.list(selection.range()).count();
            assert_eq!(count.ok(), Some(expected), "{prefix} {start} {end}");
        }
        let outside = Selection {
            prefix: key("[\"a\"]").ok(),
            start: key("[\"b\"]").ok(),
            end: key("[\"c\"]").ok(),
        };
        assert!(kv.list(outside.range()).count().is_err());
    }
}
