//! Reading an item: its tag, and what the tag says, up to the items in it.

use super::fault::{Fault, Result};
use super::input::Input;
use super::scalar::{Binary, Element, Numbers, StoredBigInt, Text};
use super::tag;

/// An item without the items in it, which come next in the input.
#[derive(Clone, Copy, Debug)]
pub(super) enum Head<'de> {
    /// Null, undefined, or a hole in an array.
    Nothing,
    Bool(bool),
    Integer(i64),
    Unsigned(u64),
    Number(f64),
    BigInt(StoredBigInt<'de>),
    Text(Text<'de>),
    Binary(Binary<'de>),
    RegExp {
        source: Text<'de>,
        flags: u32,
    },
    Error,
    Object,
    Map,
    Set,
    /// Not more elements than there are bytes.
    Dense(usize),
    /// As many elements as it says, most of which may be missing.
    Sparse(usize),
    /// To the object of this number.
    Reference(usize),
}

impl<'de> Input<'de> {
    /// What Node makes of a view, where the base class of its serialisers does not; or nothing, and
    /// the object that describes a host object of Deno's comes next.
    fn host_object(&mut self, start: usize) -> Result<Option<Binary<'de>>> {
        let kind = self.varint()?;
        if kind == tag::DENO_HOST_OBJECT {
            return Ok(None);
        }
        let numbers = Numbers::of_node(kind);
        let unknown = || Fault::malformed(format!("unknown host object {kind}"), start);
        let numbers = numbers.ok_or_else(unknown)?;
        let bytes = self.sized()?;
        Ok(Some(Binary { bytes, numbers }))
    }

    /// The next item, up to the items in it.
    pub(super) fn head(&mut self) -> Result<Head<'de>> {
        let tag = self.peek()?;
        let start = self.position();
        if matches!(tag, tag::BUFFER | tag::RESIZABLE_BUFFER) {
            let bytes = self.buffer()?;
            let numbers = Numbers::U8;
            let view = self.view(Some(bytes))?;
            return Ok(Head::Binary(view.unwrap_or(Binary { bytes, numbers })));
        }
        if matches!(tag, tag::ONE_BYTE | tag::TWO_BYTE | tag::UTF8) {
            return Ok(Head::Text(self.text()?));
        }
        self.next_byte()?;
        Ok(match tag {
            tag::UNDEFINED | tag::NULL => Head::Nothing,
            tag::TRUE | tag::BOXED_TRUE => Head::Bool(true),
            tag::FALSE | tag::BOXED_FALSE => Head::Bool(false),
            tag::INT32 => {
                let zigzag = self.varint()?;
                let magnitude = i64::from(zigzag >> 1);
                Head::Integer(if zigzag & 1 == 0 {
                    magnitude
                } else {
                    -magnitude - 1
                })
            }
            tag::UINT32 => Head::Integer(self.varint()?.into()),
            tag::NUMBER | tag::BOXED_NUMBER | tag::DATE => Head::Number(self.double()?),
            tag::BIGINT | tag::BOXED_BIGINT => Head::BigInt(self.bigint()?),
            tag::BOXED_STRING => Head::Text(self.text()?),
            tag::OBJECT => Head::Object,
            tag::MAP => Head::Map,
            tag::SET => Head::Set,
            tag::DENSE => Head::Dense(self.length()?),
            tag::SPARSE => Head::Sparse(usize::try_from(self.varint()?).unwrap_or(usize::MAX)),
            tag::ERROR => Head::Error,
            tag::REGEXP => Head::RegExp {
                source: self.text()?,
                flags: self.varint()?,
            },
            tag::REFERENCE => {
                Head::Reference(usize::try_from(self.varint()?).unwrap_or(usize::MAX))
            }
            tag::HOST_OBJECT => match self.host_object(start)? {
                Some(binary) => Head::Binary(binary),
                None if self.skip_tag(tag::OBJECT)? => Head::Object,
                None => return Err(Fault::malformed("host object without content", start)),
            },
            tag => return Err(Fault::malformed(tag::refused(tag), start)),
        })
    }
}

impl From<Element> for Head<'_> {
    fn from(element: Element) -> Self {
        match element {
            Element::Signed(number) => Self::Integer(number),
            Element::Unsigned(number) => Self::Unsigned(number),
            Element::Float(number) => Self::Number(number),
        }
    }
}
