//! Lists of every kind over any keys, against a `BTreeMap`.

use crate::input::Input;
use crate::listing::{Options, assert_list};
use crate::model::{Model, Stored, assert_entries};
use crate::selector::Selector;
use crate::{assert_holds, everything};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use kvick::{Cursor, ErrorKind, Key, Kv, Limits, Range, Versionstamp};

/// Runs one script: keys are stored, and then lists of them read.
///
/// # Panics
///
/// Where a list differs from what the model selects, or is refused as something else.
pub fn selectors(input: &[u8]) {
    let mut run = Run::new(Input::new(input));
    while !run.input.is_empty() {
        match run.input.below(8) {
            0 => run.delete_range(),
            1 => run.parse(),
            2 => run.combine(),
            3 | 4 => run.pages(),
            _ => run.list(),
        }
    }
    assert_holds(&run.kv, &run.model);
}

struct Run<'a> {
    input: Input<'a>,
    kv: Kv,
    model: Model,
    /// Those stored, and those that were too long to be.
    keys: Vec<Key>,
}

impl<'a> Run<'a> {
    fn new(mut input: Input<'a>) -> Self {
        let mut limits = Limits::default();
        if input.one_in(4) {
            limits.key_write_bytes_max = 12;
            limits.key_read_bytes_max = 13;
            limits.entries_max = 2;
        }
        let builder = Kv::builder().writer_threads(1).background_sweep(false);
        let mut run = Self {
            kv: builder.limits(limits).build(),
            input,
            model: Model::default(),
            keys: Vec::new(),
        };
        for _ in 0..run.input.below(24) {
            run.store();
        }
        run
    }

    fn store(&mut self) {
        let key = self.input.key(&self.keys);
        let len = key.as_bytes().len();
        let value = len as u64;
        let set = self.kv.set(&key, value);
        if len == 0 {
            assert_eq!(set.map_err(|error| error.kind()), Err(ErrorKind::KeyEmpty));
        } else if len > self.kv.limits().key_write_bytes_max {
            assert_eq!(
                set.map_err(|error| error.kind()),
                Err(ErrorKind::KeyTooLarge)
            );
        } else {
            let versionstamp = set.expect("a key within the limits can be set");
            let value = value.into();
            let stored = Stored {
                value,
                versionstamp,
            };
            self.model.entries.insert(key.clone(), stored);
        }
        self.keys.push(key);
    }

    fn options(&mut self) -> Options {
        let input = &mut self.input;
        Options {
            reverse: input.one_in(2),
            limit: input.one_in(3).then(|| input.below(6)),
            batch: input.one_in(3).then(|| input.below(5)),
            fresh_batches: input.one_in(4),
        }
    }

    /// A cursor of the range, or any other, or a text that is none (C05).
    fn cursor(&mut self, selector: &Selector) -> Option<Cursor> {
        let common = common_prefix(selector);
        let text = match self.input.below(6) {
            0 | 1 => return None,
            2 | 3 => {
                let key = self.input.key(&self.keys);
                let rest = key.as_bytes().strip_prefix(&common[..]);
                URL_SAFE.encode(rest.unwrap_or(key.as_bytes()))
            }
            4 => "====".to_owned(),
            _ => {
                let count = self.input.below(10);
                String::from_utf8_lossy(self.input.bytes(count)).into_owned()
            }
        };
        check_cursor(&text)
    }

    fn list(&mut self) {
        let selector = self.input.selector(&self.keys);
        let cursor = self.cursor(&selector);
        let options = self.options();
        let list = self.kv.list(selector.range());
        let snapshot = self.kv.snapshot();
        let fixed = snapshot.list(selector.range());
        let expected = self.expected(&selector, cursor.as_ref(), &options);
        for list in [list, fixed] {
            let list = list.after(cursor.clone().unwrap_or_default());
            assert_list(&options.on(list), &expected, options.limit);
        }
    }

    /// What a list should give: the entries, or why it is refused.
    fn expected(
        &self,
        selector: &Selector,
        cursor: Option<&Cursor>,
        options: &Options,
    ) -> Result<Vec<(&Key, &Stored)>, ErrorKind> {
        let limits = self.kv.limits();
        if let Some(refusal) = refusal(options, limits).or_else(|| selector.refusal()) {
            return Err(refusal);
        }
        if longest_bound(selector) > limits.key_read_bytes_max {
            return Err(ErrorKind::KeyTooLarge);
        }
        let mut expected = self.model.selected(selector, options.reverse);
        if let Some(cursor) = cursor.filter(|cursor| !cursor.is_empty()) {
            let place = place(selector, cursor);
            if is_beyond(selector, &place, options.reverse) {
                return Err(ErrorKind::CursorOutOfBounds);
            }
            let bound = place.len() + usize::from(!options.reverse);
            if bound > limits.key_read_bytes_max {
                return Err(ErrorKind::KeyTooLarge);
            }
            // Strictly behind the place (C02).
            expected.retain(|(key, _)| {
                let order = key.as_bytes().cmp(&place);
                if options.reverse {
                    order.is_lt()
                } else {
                    order.is_gt()
                }
            });
        }
        expected.truncate(options.limit.unwrap_or(usize::MAX));
        Ok(expected)
    }

    /// A list in pages, each from the text of the cursor of the one before (C03).
    fn pages(&mut self) {
        let selector = self.input.selector(&self.keys);
        let options = Options {
            reverse: self.input.one_in(2),
            limit: None,
            batch: None,
            fresh_batches: false,
        };
        let mut entries = Vec::new();
        let mut cursor = Cursor::default();
        let Ok(expected) = self.expected(&selector, None, &options) else {
            return;
        };
        let expected_len = expected.len();
        for _ in 0..=expected_len {
            let limit = 1 + self.input.below(4);
            let place = cursor.to_string().parse::<Cursor>();
            let place = place.expect("a cursor's text is a cursor");
            assert_eq!(place, cursor);
            let list = options.on(self.kv.list(selector.range())).limit(limit);
            let mut page = list.after(place).entries().expect("a page can be read");
            let before = entries.len();
            entries.extend(page.by_ref());
            cursor = page.cursor().expect("a list that has begun has a place");
            if entries.len() - before < limit {
                assert!(cursor.is_empty(), "C04");
                break;
            }
        }
        let expected = self.model.selected(&selector, options.reverse);
        assert_entries(&entries, &expected);
    }

    fn delete_range(&mut self) {
        let selector = self.input.selector(&self.keys);
        let expected = selector.refusal().or_else(|| {
            let is_too_long = longest_bound(&selector) > self.kv.limits().key_read_bytes_max;
            is_too_long.then_some(ErrorKind::KeyTooLarge)
        });
        match (self.kv.delete_range(selector.range()), expected) {
            (Ok(deleted), None) => {
                assert_eq!(deleted.count, self.model.delete_selected(&selector));
            }
            (Err(error), Some(refusal)) => assert_eq!(error.kind(), refusal),
            (done, expected) => panic!("{selector:?}: {done:?}, but {expected:?} is expected"),
        }
        assert_holds(&self.kv, &self.model);
    }

    /// Texts that are or are not what they should be (C05, A05).
    fn parse(&mut self) {
        let count = self.input.below(41);
        let text = String::from_utf8_lossy(self.input.bytes(count)).into_owned();
        check_cursor(&text);
        check_versionstamp(&text);
        let digits = text.bytes().map(|byte| format!("{byte:02X}"));
        check_versionstamp(&digits.take(10).collect::<String>());
    }

    /// Bounds that no range can have are refused, and only when it is used (R09).
    fn combine(&mut self) {
        let selector = self.input.selector(&self.keys);
        let bound = self.input.key(&self.keys);
        if matches!(selector, Selector::Prefix(_)) {
            return;
        }
        let range = if self.input.one_in(2) {
            selector.range().start(bound)
        } else {
            selector.range().end(bound)
        };
        let before = everything(&self.kv);
        let refused = self.kv.list(&range).count().map_err(|error| error.kind());
        assert_eq!(refused, Err(ErrorKind::InvalidSelector), "{range:?}");
        let refused = self.kv.delete_range(&range).map_err(|error| error.kind());
        assert_eq!(refused.map(drop), Err(ErrorKind::InvalidSelector));
        assert_eq!(everything(&self.kv), before);
        assert_eq!(Range::from(&range), range);
    }
}

/// Why nothing can be read like this (R11).
fn refusal(options: &Options, limits: &Limits) -> Option<ErrorKind> {
    if options.limit == Some(0) || options.batch == Some(0) {
        return Some(ErrorKind::InvalidLimit);
    }
    let is_too_large = options
        .batch
        .is_some_and(|batch| batch > limits.entries_max);
    is_too_large.then_some(ErrorKind::TooManyEntries)
}

/// A text is a cursor where it is URL-safe base64 with padding, or one of the two that say more:
/// checked against another decoder (C05).
fn check_cursor(text: &str) -> Option<Cursor> {
    let is_one = text == "====" || URL_SAFE.decode(text).is_ok();
    match text.parse::<Cursor>() {
        Ok(cursor) => {
            assert!(is_one, "{text:?} is taken for a cursor");
            assert_eq!(cursor.to_string(), text);
            assert_eq!(cursor.is_empty(), text.is_empty());
            Some(cursor)
        }
        Err(error) => {
            assert!(!is_one, "{text:?} is not taken for a cursor");
            assert_eq!(error.kind(), ErrorKind::InvalidCursor);
            None
        }
    }
}

/// A versionstamp is twenty hexadecimal digits of either case (A05).
fn check_versionstamp(text: &str) {
    let is_one = text.len() == 20 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match text.parse::<Versionstamp>() {
        Ok(versionstamp) => {
            assert!(is_one, "{text:?} is taken for a versionstamp");
            assert_eq!(versionstamp.to_string(), text.to_ascii_lowercase());
            let bytes = versionstamp.to_bytes();
            assert_eq!(Versionstamp::from_bytes(bytes), versionstamp);
        }
        Err(error) => {
            assert!(!is_one, "{text:?}: {error}");
            assert_eq!(
                kvick::Error::from(error).kind(),
                ErrorKind::InvalidVersionstamp
            );
        }
    }
}

/// What every key of a range begins with, so that a cursor leaves it out (C01).
fn common_prefix(selector: &Selector) -> Vec<u8> {
    match selector {
        Selector::All => Vec::new(),
        Selector::Prefix(prefix)
        | Selector::PrefixStart(prefix, _)
        | Selector::PrefixEnd(prefix, _) => prefix.as_bytes().to_vec(),
        Selector::Between(start, end) | Selector::Raw(start, end) => {
            let both = start.as_bytes().iter().zip(end.as_bytes());
            let shared = both.take_while(|(start, end)| start == end);
            shared.map(|(byte, _)| *byte).collect()
        }
    }
}

/// The key that a cursor names.
fn place(selector: &Selector, cursor: &Cursor) -> Vec<u8> {
    let mut place = common_prefix(selector);
    if cursor.as_ref() != "====" {
        let rest = URL_SAFE.decode(cursor.as_ref());
        place.extend(rest.expect("a cursor is base64"));
    }
    place
}

/// Whether a list has left its range at a place: before a named start, or in reverse after a named
/// end (C06).
fn is_beyond(selector: &Selector, place: &[u8], reverse: bool) -> bool {
    match (selector, reverse) {
        (
            Selector::PrefixStart(_, start) | Selector::Between(start, _) | Selector::Raw(start, _),
            false,
        ) => [place, &[0x00]].concat() < start.as_bytes().to_vec(),
        (Selector::PrefixEnd(_, end) | Selector::Between(_, end) | Selector::Raw(_, end), true) => {
            place > end.as_bytes()
        }
        _ => false,
    }
}

/// The longest bound that a range names or comes to, in bytes (L01).
fn longest_bound(selector: &Selector) -> usize {
    let len = |key: &Key| key.as_bytes().len();
    match selector {
        Selector::All => 0,
        // The keys below a prefix lie between it and one byte more.
        Selector::Prefix(prefix) => len(prefix) + 1,
        Selector::PrefixStart(prefix, bound) | Selector::PrefixEnd(prefix, bound) => {
            (len(prefix) + 1).max(len(bound))
        }
        Selector::Between(start, end) | Selector::Raw(start, end) => len(start).max(len(end)),
    }
}
