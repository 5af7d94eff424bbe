//! Reading the bytes: numbers, lengths, strings and binary data.
//!
//! No length is believed before the bytes that it claims have been found.

use super::fault::{Fault, Result};
use super::scalar::{Binary, Numbers, StoredBigInt, Text};
use super::tag;

/// The bytes of a value, and how far they have been read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input<'de> {
    bytes: &'de [u8],
    position: usize,
    version: u32,
}

impl<'de> Input<'de> {
    /// Behind the header.
    pub(super) fn new(bytes: &'de [u8]) -> Result<Self> {
        let mut input = Self {
            bytes,
            position: 0,
            version: 0,
        };
        if input.next_byte()? != tag::VERSION {
            return Err(Fault::malformed("no header of V8", 0));
        }
        input.version = input.varint()?;
        if !(tag::VERSION_MIN..=tag::VERSION_MAX).contains(&input.version) {
            let what = format!(
                "version {} of the format, {} to {} are read",
                input.version,
                tag::VERSION_MIN,
                tag::VERSION_MAX
            );
            return Err(Fault::malformed(what, 1));
        }
        Ok(input)
    }

    /// For a value that is no item.
    pub(super) fn nothing() -> Self {
        Self::written(&[])
    }

    /// What has been written so far.
    pub(super) fn written(bytes: &'de [u8]) -> Self {
        Self {
            bytes,
            position: 0,
            version: tag::VERSION_WRITTEN.into(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The offset of the byte that is read next.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// Goes to where it has been before.
    pub(super) fn go_to(&mut self, position: usize) {
        self.position = position;
    }

    pub(super) fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.position)
    }

    /// The next tag, which stays where it is.
    pub(super) fn peek(&mut self) -> Result<u8> {
        loop {
            match self.bytes.get(self.position) {
                Some(&tag::PADDING) => self.position += 1,
                Some(&tag::OBJECT_COUNT) => {
                    self.position += 1;
                    self.varint()?;
                }
                Some(&tag) => return Ok(tag),
                None => return Err(self.ended()),
            }
        }
    }

    /// Reads the next tag, if it is this one.
    pub(super) fn skip_tag(&mut self, tag: u8) -> Result<bool> {
        let is_next = self.peek()? == tag;
        self.position += usize::from(is_next);
        Ok(is_next)
    }

    /// As [`skip_tag`](Self::skip_tag), where the value may end as well.
    fn skip_view_tag(&mut self) -> bool {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let padding = rest.iter().take_while(|byte| **byte == tag::PADDING);
        let padding = padding.count();
        let is_next = rest.get(padding) == Some(&tag::VIEW);
        if is_next {
            self.position += padding + 1;
        }
        is_next
    }

    /// Nothing but padding is left.
    pub(super) fn expect_end(&mut self) -> Result<()> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        if rest.iter().any(|byte| *byte != tag::PADDING) {
            let what = format!("{} bytes after the value", rest.len());
            return Err(Fault::malformed(what, self.position));
        }
        Ok(())
    }

    pub(super) fn next_byte(&mut self) -> Result<u8> {
        let byte = self.bytes.get(self.position);
        let byte = *byte.ok_or_else(|| self.ended())?;
        self.position += 1;
        Ok(byte)
    }

    pub(super) fn varint(&mut self) -> Result<u32> {
        let start = self.position;
        let number = self.wide_varint()?;
        u32::try_from(number).map_err(|_| Fault::malformed("varint above 32 bits", start))
    }

    fn wide_varint(&mut self) -> Result<u64> {
        let start = self.position;
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.next_byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Fault::malformed("varint above 64 bits", start))
    }

    /// Checks a count that is stored behind what it counts.
    pub(super) fn expect_count(&mut self, count: usize) -> Result<()> {
        let start = self.position;
        let stored = self.varint()?;
        if usize::try_from(stored) == Ok(count) {
            return Ok(());
        }
        let what = format!("count of {stored} after {count}");
        Err(Fault::malformed(what, start))
    }

    /// A length, of as many bytes as are there, or of elements that take one or more.
    pub(super) fn length(&mut self) -> Result<usize> {
        let start = self.position;
        let length = self.wide_varint()?;
        let left = self.left();
        match usize::try_from(length) {
            Ok(length) if length <= left => Ok(length),
            _ => {
                let what = format!("length of {length} with {left} bytes left");
                Err(Fault::malformed(what, start))
            }
        }
    }

    fn take(&mut self, length: usize) -> Result<&'de [u8]> {
        let end = self.position.saturating_add(length);
        let bytes = self.bytes.get(self.position..end);
        let bytes = bytes.ok_or_else(|| self.ended())?;
        self.position = end;
        Ok(bytes)
    }

    pub(super) fn sized(&mut self) -> Result<&'de [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    pub(super) fn double(&mut self) -> Result<f64> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8)?);
        Ok(f64::from_le_bytes(bytes))
    }

    pub(super) fn bigint(&mut self) -> Result<StoredBigInt<'de>> {
        let start = self.position;
        let field = self.varint()?;
        let length = usize::try_from(field >> 1).unwrap_or(usize::MAX);
        if length > self.left() {
            let what = format!("bigint of {length} bytes with {} left", self.left());
            return Err(Fault::malformed(what, start));
        }
        Ok(StoredBigInt {
            is_negative: field & 1 == 1,
            magnitude: self.take(length)?,
        })
    }

    /// A string item, where nothing else can be.
    pub(super) fn text(&mut self) -> Result<Text<'de>> {
        let tag = self.peek()?;
        let start = self.position;
        self.position += 1;
        match tag {
            tag::ONE_BYTE => Ok(Text::Latin1(self.sized()?)),
            tag::UTF8 => Ok(Text::Utf8(self.sized()?)),
            tag::TWO_BYTE => {
                let bytes = self.sized()?;
                if !bytes.len().is_multiple_of(2) {
                    return Err(Fault::malformed("string of UTF-16 with half a unit", start));
                }
                Ok(Text::Utf16(bytes))
            }
            _ => Err(Fault::malformed("no string where one has to be", start)),
        }
    }

    /// The buffer that begins here, without a view of it.
    pub(super) fn buffer(&mut self) -> Result<&'de [u8]> {
        let is_resizable = self.peek()? == tag::RESIZABLE_BUFFER;
        self.position += 1;
        if !is_resizable {
            return self.sized();
        }
        let start = self.position;
        let length = self.wide_varint()?;
        self.wide_varint()?;
        match usize::try_from(length) {
            Ok(length) if length <= self.left() => self.take(length),
            _ => {
                let what = format!("length of {length} with {} bytes left", self.left());
                Err(Fault::malformed(what, start))
            }
        }
    }

    /// The view that comes next, if one does; of `buffer`, or, where that is not known, of nothing.
    pub(super) fn view(&mut self, buffer: Option<&'de [u8]>) -> Result<Option<Binary<'de>>> {
        let start = self.position;
        if !self.skip_view_tag() {
            return Ok(None);
        }
        let kind = self.next_byte()?;
        let numbers = Numbers::of_view(kind);
        let unknown = || Fault::malformed(format!("unknown view {kind:#04x}"), start);
        let numbers = numbers.ok_or_else(unknown)?;
        let offset = self.wide_varint()?;
        let length = self.wide_varint()?;
        let flags = if self.version >= tag::VERSION_OF_VIEW_FLAGS {
            self.varint()?
        } else {
            0
        };
        let Some(buffer) = buffer else {
            let bytes = &[];
            return Ok(Some(Binary { bytes, numbers }));
        };
        let offset = usize::try_from(offset).ok();
        let after = offset.and_then(|offset| buffer.get(offset..));
        // The first flag says that the view ends where the buffer does, and has no length.
        let bytes = if flags & 1 == 1 {
            after
        } else {
            let length = usize::try_from(length).ok();
            after.and_then(|after| after.get(..length?))
        };
        let bytes = bytes.ok_or_else(|| Fault::malformed("view beyond its buffer", start))?;
        Ok(Some(Binary { bytes, numbers }))
    }

    #[cold]
    fn ended(&self) -> Fault {
        Fault::malformed("the value ends too early", self.bytes.len())
    }
}
