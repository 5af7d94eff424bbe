//! Writing what lies in an item, one by one: elements, and properties.

use super::fault::{Fault, Result};
use super::property::Property;
use super::ser::Serializer;
use super::tag;
use serde::ser::{self, Serialize};

/// A length that is not known yet: a varint of five bytes, whatever the number.
const LENGTH_UNKNOWN: [u8; 5] = [0x80, 0x80, 0x80, 0x80, 0];

/// The elements of an array or a `Set`.
pub(super) struct Elements<'a> {
    to: &'a mut Serializer,
    length: Length,
    count: usize,
    /// Whose content the array is.
    variant: Option<&'static str>,
}

enum Length {
    Written(usize),
    /// To be written here.
    At(usize),
    /// A set has none.
    OfSet,
}

impl<'a> Elements<'a> {
    pub(super) fn array(
        to: &'a mut Serializer,
        length: Option<usize>,
        variant: Option<&'static str>,
    ) -> Result<Self> {
        to.open(tag::DENSE)?;
        let length = if let Some(length) = length {
            to.out.length(length)?;
            Length::Written(length)
        } else {
            to.out.bytes.extend_from_slice(&LENGTH_UNKNOWN);
            Length::At(to.out.position() - LENGTH_UNKNOWN.len())
        };
        Ok(Self {
            to,
            length,
            count: 0,
            variant,
        })
    }

    pub(super) fn set(to: &'a mut Serializer) -> Result<Self> {
        to.open(tag::SET)?;
        Ok(Self {
            to,
            length: Length::OfSet,
            count: 0,
            variant: None,
        })
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let written = value.serialize(&mut *self.to);
        written.map_err(|fault| {
            self.to.has_failed = true;
            within(fault.in_element(self.count), self.variant)
        })?;
        self.count += 1;
        Ok(())
    }

    fn close(self) -> Result<()> {
        let Self {
            to, length, count, ..
        } = self;
        match length {
            Length::OfSet => return to.close(tag::SET_END, count),
            Length::Written(length) if length == count => {}
            Length::Written(length) => {
                let what = format!("a sequence of {length} elements has {count}");
                return Err(within(Fault::unencodable(what), self.variant));
            }
            Length::At(start) => {
                // What does not fit is found below.
                let mut rest = u32::try_from(count).unwrap_or(0);
                let length = to.out.bytes.iter_mut().skip(start);
                for byte in length.take(LENGTH_UNKNOWN.len()) {
                    *byte |= rest.to_le_bytes()[0] & 0x7f;
                    rest >>= 7;
                }
            }
        }
        to.close(tag::DENSE_END, 0)?;
        to.out.length(count)?;
        if self.variant.is_some() {
            to.close(tag::OBJECT_END, 1)?;
        }
        Ok(())
    }
}

/// The properties of an object, or the entries of a `Map`, which it is as soon as one of the keys is
/// no string.
pub(super) struct Properties<'a> {
    to: &'a mut Serializer,
    /// Where its tag stands.
    start: usize,
    /// Where the last key stands.
    key: usize,
    count: usize,
    /// Whether a key waits for its value.
    has_key: bool,
    is_map: bool,
    /// Whose content the object is.
    variant: Option<&'static str>,
}

impl<'a> Properties<'a> {
    pub(super) fn begin(to: &'a mut Serializer, variant: Option<&'static str>) -> Result<Self> {
        let start = to.out.position();
        to.open(tag::OBJECT)?;
        Ok(Self {
            to,
            start,
            key: start,
            count: 0,
            has_key: false,
            is_map: false,
            variant,
        })
    }

    fn key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.key = self.to.out.position();
        let written = key.serialize(&mut *self.to);
        written.map_err(|fault| {
            self.to.has_failed = true;
            within(fault, self.variant)
        })?;
        self.expect_key(false)?;
        self.count += 1;
        let written = self.to.out.bytes.iter().skip(self.key);
        let tag = written.copied().find(|byte| *byte != tag::PADDING);
        if !matches!(tag, Some(tag::ONE_BYTE | tag::TWO_BYTE)) {
            self.is_map = true;
        }
        Ok(())
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.expect_key(true)?;
        let written = value.serialize(&mut *self.to);
        written.map_err(|fault| {
            self.to.has_failed = true;
            let fault = fault.in_property(&Property::written(&self.to.out.bytes, self.key));
            within(fault, self.variant)
        })
    }

    /// Keys and values take turns.
    fn expect_key(&mut self, is_there: bool) -> Result<()> {
        if self.has_key == is_there {
            self.has_key = !is_there;
            return Ok(());
        }
        self.to.has_failed = true;
        let what = "a map gives a key without a value, or a value without a key";
        Err(within(Fault::unencodable(what), self.variant))
    }

    fn close(mut self) -> Result<()> {
        self.expect_key(false)?;
        let Self { to, count, .. } = self;
        if self.is_map {
            if let Some(tag) = to.out.bytes.get_mut(self.start) {
                *tag = tag::MAP;
            }
            to.close(tag::MAP_END, count.saturating_mul(2))?;
        } else {
            to.close(tag::OBJECT_END, count)?;
        }
        if self.variant.is_some() {
            to.close(tag::OBJECT_END, 1)?;
        }
        Ok(())
    }
}

fn within(fault: Fault, variant: Option<&'static str>) -> Fault {
    match variant {
        Some(variant) => fault.in_property(variant),
        None => fault,
    }
}

macro_rules! elements {
    ($($trait:ident::$element:ident)*) => {$(
        impl ser::$trait for Elements<'_> {
            type Ok = ();
            type Error = Fault;

            fn $element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
                self.element(value)
            }

            fn end(self) -> Result<()> {
                self.close()
            }
        }
    )*};
}
elements! {
    SerializeSeq::serialize_element
    SerializeTuple::serialize_element
    SerializeTupleStruct::serialize_field
    SerializeTupleVariant::serialize_field
}

impl ser::SerializeMap for Properties<'_> {
    type Ok = ();
    type Error = Fault;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.value(value)
    }

    fn end(self) -> Result<()> {
        self.close()
    }
}

macro_rules! fields {
    ($($trait:ident)*) => {$(
        impl ser::$trait for Properties<'_> {
            type Ok = ();
            type Error = Fault;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<()> {
                self.key(name)?;
                self.value(value)
            }

            fn end(self) -> Result<()> {
                self.close()
            }
        }
    )*};
}
fields!(SerializeStruct SerializeStructVariant);
