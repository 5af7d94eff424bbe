//! Values as V8 stores them, exactly.
//!
//! kvick's own conversion, by serde, has no `undefined`, and takes a `Map` for an object and a `Date` for a number.
//! Here what has a literal is told apart, and what has none is nothing: references, holes, errors, regular
//! expressions, views of other kinds.

use super::Literal;
use kvick::BigInt;

/// How deep arrays and objects may be in each other.
pub(crate) const DEPTH_MAX: usize = 128;

/// The version that is written: what Deno and Node both read.
const VERSION: u8 = 15;
/// Those that are read.
const VERSIONS: std::ops::RangeInclusive<u64> = 13..=16;
/// The first with flags in views.
const VERSION_OF_VIEW_FLAGS: u64 = 14;

/// The bytes of a value; `None` where a length does not fit into what V8 has for it.
pub(crate) fn write(literal: &Literal) -> Option<Vec<u8>> {
    let mut out = vec![0xff, VERSION];
    item(&mut out, literal)?;
    Some(out)
}

fn item(out: &mut Vec<u8>, literal: &Literal) -> Option<()> {
    match literal {
        Literal::Undefined => out.push(b'_'),
        Literal::Null => out.push(b'0'),
        Literal::Bool(is) => out.push(if *is { b'T' } else { b'F' }),
        Literal::Number(number) => write_number(out, *number),
        Literal::BigInt(bigint) => write_bigint(out, bigint),
        Literal::Text(text) => write_text(out, text)?,
        Literal::Bytes(bytes) => write_bytes(out, bytes)?,
        Literal::U64(_) => return None,
        Literal::Date(milliseconds) => {
            out.push(b'D');
            out.extend(milliseconds.to_le_bytes());
        }
        Literal::Array(elements) => {
            out.push(b'A');
            varint(out, length(elements.len())?);
            elements.iter().try_for_each(|element| item(out, element))?;
            out.extend([b'$', 0]);
            varint(out, length(elements.len())?);
        }
        Literal::Object(properties) => {
            out.push(b'o');
            for (name, value) in properties {
                write_text(out, name)?;
                item(out, value)?;
            }
            out.push(b'{');
            varint(out, length(properties.len())?);
        }
        Literal::Map(entries) => {
            out.push(b';');
            for (key, value) in entries {
                item(out, key)?;
                item(out, value)?;
            }
            out.push(b':');
            varint(out, length(entries.len().checked_mul(2)?)?);
        }
        Literal::Set(members) => {
            out.push(b'\'');
            members.iter().try_for_each(|member| item(out, member))?;
            out.push(b',');
            varint(out, length(members.len())?);
        }
    }
    Some(())
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// A length or count; V8 has 32 bits for it.
fn length(length: usize) -> Option<u64> {
    u32::try_from(length).ok().map(u64::from)
}

fn write_number(out: &mut Vec<u8>, number: f64) {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what does not fit is told apart behind it"
    )]
    let integer = number as i32;
    if f64::from(integer).to_bits() == number.to_bits() {
        out.push(b'I');
        let zigzag = (integer << 1) ^ (integer >> 31);
        varint(out, zigzag.cast_unsigned().into());
    } else {
        out.push(b'N');
        out.extend(number.to_le_bytes());
    }
}

/// In whole words of 64 bits, as V8 has them.
fn write_bigint(out: &mut Vec<u8>, bigint: &BigInt) {
    let magnitude = bigint.magnitude();
    let bytes = magnitude.len().next_multiple_of(8);
    out.push(b'Z');
    // Of 255 bytes at most.
    varint(out, (bytes as u64) << 1 | u64::from(bigint.is_negative()));
    out.extend(magnitude.iter().rev());
    out.resize(out.len() + bytes - magnitude.len(), 0);
}

/// One byte for a letter where all are Latin-1, else two for each unit of UTF-16, at an even place.
fn write_text(out: &mut Vec<u8>, text: &str) -> Option<()> {
    let latin: Option<Vec<u8>> = text
        .chars()
        .map(|letter| u8::try_from(letter).ok())
        .collect();
    if let Some(latin) = latin {
        out.push(b'"');
        varint(out, length(latin.len())?);
        out.extend(latin);
        return Some(());
    }
    let units = text.encode_utf16().count();
    let begin = out.len();
    out.push(b'c');
    varint(out, length(units.checked_mul(2)?)?);
    if !out.len().is_multiple_of(2) {
        out.insert(begin, 0);
    }
    out.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    Some(())
}

/// A `Uint8Array`: a buffer, and a view of all of it.
fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    out.push(b'B');
    varint(out, length(bytes.len())?);
    out.extend(bytes);
    out.extend([b'V', b'B', 0]);
    varint(out, length(bytes.len())?);
    out.push(0);
    Some(())
}

/// The literal of what was stored, if it has one that stands for exactly that.
pub(crate) fn read(bytes: &[u8]) -> Option<Literal> {
    let mut reader = Reader {
        rest: bytes.strip_prefix(&[0xff])?,
        version: 0,
        depth: 0,
    };
    reader.version = reader.varint()?;
    if !VERSIONS.contains(&reader.version) {
        return None;
    }
    let literal = reader.item()?;
    reader.rest.is_empty().then_some(literal)
}

struct Reader<'b> {
    rest: &'b [u8],
    version: u64,
    depth: usize,
}

impl<'b> Reader<'b> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn bytes(&mut self, count: usize) -> Option<&'b [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(bytes)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(self.varint()?).ok()
    }

    fn double(&mut self) -> Option<f64> {
        let bytes = self.bytes(8)?.first_chunk()?;
        Some(f64::from_le_bytes(*bytes))
    }

    /// The next tag, behind its padding.
    fn tag(&mut self) -> Option<u8> {
        loop {
            match self.byte()? {
                0 => {}
                tag => return Some(tag),
            }
        }
    }

    fn item(&mut self) -> Option<Literal> {
        let tag = self.tag()?;
        self.tagged(tag)
    }

    fn tagged(&mut self, tag: u8) -> Option<Literal> {
        Some(match tag {
            b'_' => Literal::Undefined,
            b'0' => Literal::Null,
            b'T' => Literal::Bool(true),
            b'F' => Literal::Bool(false),
            b'I' => {
                let zigzag = u32::try_from(self.varint()?).ok()?;
                let number = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
                Literal::Number(number.into())
            }
            b'U' => Literal::Number(u32::try_from(self.varint()?).ok()?.into()),
            b'N' => Literal::Number(self.double()?),
            b'Z' => self.bigint()?,
            b'"' | b'c' | b'S' => Literal::Text(self.text(tag)?),
            b'D' => Literal::Date(self.double()?),
            b'B' => self.view()?,
            b'A' | b'o' | b';' | b'\'' => {
                if self.depth == DEPTH_MAX {
                    return None;
                }
                self.depth += 1;
                let nested = self.nested(tag);
                self.depth -= 1;
                nested?
            }
            _ => return None,
        })
    }

    fn bigint(&mut self) -> Option<Literal> {
        let field = self.varint()?;
        let count = usize::try_from(field >> 1).ok()?;
        let mut magnitude = self.bytes(count)?.to_vec();
        magnitude.reverse();
        let bigint = BigInt::from_be_bytes(field & 1 == 1, &magnitude).ok()?;
        Some(Literal::BigInt(bigint))
    }

    fn text(&mut self, tag: u8) -> Option<String> {
        let count = self.length()?;
        let bytes = self.bytes(count)?;
        match tag {
            b'"' => Some(bytes.iter().copied().map(char::from).collect()),
            b'c' => {
                let (units, rest) = bytes.as_chunks();
                let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
                let text = char::decode_utf16(units).collect::<Result<_, _>>().ok()?;
                rest.is_empty().then_some(text)
            }
            _ => String::from_utf8(bytes.to_vec()).ok(),
        }
    }

    /// A buffer with the view of all of its bytes behind it.
    fn view(&mut self) -> Option<Literal> {
        let count = self.length()?;
        let bytes = self.bytes(count)?;
        let is_view = self.tag()? == b'V' && self.byte()? == b'B';
        let is_whole = self.length()? == 0 && self.length()? == count;
        let flags = match self.version {
            ..VERSION_OF_VIEW_FLAGS => 0,
            _ => self.varint()?,
        };
        (is_view && is_whole && flags == 0).then(|| Literal::Bytes(bytes.to_vec()))
    }

    /// Items up to this tag.
    fn items_until(&mut self, end: u8) -> Option<Vec<Literal>> {
        let mut items = Vec::new();
        loop {
            match self.tag()? {
                tag if tag == end => return Some(items),
                tag => items.push(self.tagged(tag)?),
            }
        }
    }

    fn nested(&mut self, tag: u8) -> Option<Literal> {
        match tag {
            b'A' => {
                let count = self.length()?;
                let mut elements = Vec::new();
                for _ in 0..count {
                    elements.push(self.item()?);
                }
                // Of properties beside the elements there are none.
                let is_plain = self.tag()? == b'$' && self.length()? == 0;
                (is_plain && self.length()? == count).then_some(Literal::Array(elements))
            }
            b'\'' => {
                let members = self.items_until(b',')?;
                (self.length()? == members.len()).then_some(Literal::Set(members))
            }
            b';' => {
                let items = self.items_until(b':')?;
                let count = self.length()?;
                let entries = in_pairs(items)?;
                (count == 2 * entries.len()).then_some(Literal::Map(entries))
            }
            _ => {
                let items = self.items_until(b'{')?;
                let count = self.length()?;
                let named = in_pairs(items)?
                    .into_iter()
                    .map(|(name, value)| match name {
                        Literal::Text(name) => Some((name, value)),
                        // An index.
                        Literal::Number(number) => {
                            Some((Literal::Number(number).to_string(), value))
                        }
                        _ => None,
                    });
                let properties: Vec<_> = named.collect::<Option<_>>()?;
                (count == properties.len()).then_some(Literal::Object(properties))
            }
        }
    }
}

fn in_pairs(items: Vec<Literal>) -> Option<Vec<(Literal, Literal)>> {
    let mut items = items.into_iter();
    let mut pairs = Vec::with_capacity(items.len() / 2);
    while let Some(first) = items.next() {
        pairs.push((first, items.next()?));
    }
    Some(pairs)
}
