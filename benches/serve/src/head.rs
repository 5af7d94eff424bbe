//! The heads of requests, as HPACK has them: like those of the clients, with the fields by their indices that
//! are the same each time, and the path, the authorization and the length spelled out.

use std::io::Write;

/// What the static table has, by their numbers.
const METHOD_POST: u8 = 0x80 | 3;
const SCHEME_HTTP: u8 = 0x80 | 6;
const PATH: u8 = 4;
const AUTHORIZATION: u8 = 23;
const CONTENT_LENGTH: u8 = 28;

/// How many there are; those that were sent come after.
const STATIC_FIELDS: u8 = 61;

/// What a literal that is not to be kept has for its name at most, before it goes on in another byte.
const NAME_PREFIX: u8 = 15;

/// The head of a request to one path, but for its length.
#[derive(Clone, Debug)]
pub(crate) struct Head(Vec<u8>);

impl Head {
    /// Adds the whole block.
    pub(crate) fn put(&self, length: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
        put_name(CONTENT_LENGTH, out);
        let at = out.len();
        out.push(0);
        // PANICS: never. A vector takes whatever it is given.
        let _ = write!(out, "{length}");
        out[at] = byte(out.len() - at - 1);
    }
}

/// The fields that a server keeps of a connection, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Heads(Vec<(&'static str, String)>);

impl Heads {
    /// The head of a request to a path. It is to be sent: the server keeps what is new in it.
    pub(crate) fn head(&mut self, path: &str, token: &str, kept: &[(&'static str, &str)]) -> Head {
        let mut out = vec![METHOD_POST, SCHEME_HTTP];
        put_name(PATH, &mut out);
        put_text(path, &mut out);
        for (name, value) in kept {
            self.put_kept(name, value, &mut out);
        }
        put_name(AUTHORIZATION, &mut out);
        put_text(&format!("Bearer {token}"), &mut out);
        Head(out)
    }

    fn put_kept(&mut self, name: &'static str, value: &str, out: &mut Vec<u8>) {
        let Self(sent) = self;
        let place = sent
            .iter()
            .rev()
            .position(|(n, v)| *n == name && v == value);
        if let Some(place) = place {
            out.push(0x80 | (STATIC_FIELDS + 1 + byte(place)));
        } else {
            out.push(0x40);
            put_text(name, out);
            put_text(value, out);
            sent.push((name, value.to_owned()));
        }
    }
}

/// A literal that is not kept, with its name from the static table.
fn put_name(index: u8, out: &mut Vec<u8>) {
    if index < NAME_PREFIX {
        out.push(index);
    } else {
        out.extend([NAME_PREFIX, index - NAME_PREFIX]);
    }
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    out.push(byte(text.len()));
    out.extend_from_slice(text.as_bytes());
}

/// All that is counted here is below 127: the longest is the authorization.
fn byte(count: usize) -> u8 {
    let byte = u8::try_from(count).ok().filter(|byte| *byte < 127);
    byte.expect("what the heads of these requests have is short")
}

#[cfg(test)]
mod tests {
    use super::Heads;

    #[test]
    fn what_was_sent_is_an_index_from_then_on() {
        let mut heads = Heads::default();
        let kept = [("a", "b"), ("c", "d")];
        let head = |heads: &mut Heads| {
            let mut out = Vec::new();
            heads.head("/", "t", &kept).put(10, &mut out);
            out
        };
        let before = b"\x83\x86\x04\x01/";
        let after = b"\x0f\x08\x08Bearer t\x0f\x0d\x0210";
        let fields: &[&[u8]] = &[before, b"\x40\x01a\x01b\x40\x01c\x01d", after];
        assert_eq!(head(&mut heads), fields.concat());
        let fields: &[&[u8]] = &[before, b"\xbf\xbe", after];
        assert_eq!(head(&mut heads), fields.concat());
    }
}
