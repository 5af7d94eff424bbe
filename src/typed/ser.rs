//! From a type to a stored value, in one pass over the type.
//!
//! What is written is what V8 writes for the same value of JavaScript, byte for byte, but for
//! numbers, where a type of Rust knows more than V8 does: `2.0_f64` is written as a number of
//! eight bytes although 32 bits would hold it.

use super::fault::{Fault, Result};
use super::js::{DATE, SET};
use super::nested::{Elements, Properties};
use super::output::Output;
use super::tag;
use super::walk::{DEPTH_MAX, WRAPPERS_MAX};
use serde::ser::{self, Serialize};

/// Writes a value, with its header.
pub(super) fn write<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    let mut serializer = Serializer {
        out: Output::new(),
        depth: 0,
        wrappers: 0,
        kind: None,
        has_failed: false,
    };
    value.serialize(&mut serializer)?;
    if serializer.has_failed {
        let what = "a part of it failed, and the type went on";
        return Err(Fault::unencodable(what));
    }
    Ok(serializer.out.bytes)
}

pub(super) struct Serializer {
    pub(super) out: Output,
    /// How many items with items are open.
    depth: usize,
    /// How many options and newtypes are.
    wrappers: usize,
    /// The item that begins here is to be of JavaScript's own kind.
    kind: Option<(usize, Kind)>,
    /// Whether an item with items lacks one. What has been written is no value then, even if the
    /// type makes nothing of the error.
    pub(super) has_failed: bool,
}

/// Kinds that Rust has no type for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Date,
    Set,
}

impl Serializer {
    /// Begins an item with items in it.
    pub(super) fn open(&mut self, tag: u8) -> Result<()> {
        if self.depth == DEPTH_MAX {
            let what = format!("the value has more than {DEPTH_MAX} levels");
            return Err(Fault::unencodable(what));
        }
        self.depth += 1;
        self.out.push(tag);
        Ok(())
    }

    /// Begins the object around what a variant carries.
    fn open_variant(&mut self, name: &str) -> Result<()> {
        self.open(tag::OBJECT)?;
        self.out.text(name)
    }

    /// Ends an item with items in it.
    pub(super) fn close(&mut self, tag: u8, count: usize) -> Result<()> {
        self.depth -= 1;
        self.out.push(tag);
        self.out.length(count)
    }

    /// Whether the item that is about to begin is to be of this kind.
    fn is_to_be(&mut self, kind: Kind) -> bool {
        let wanted = (self.out.position(), kind);
        self.kind.take_if(|of_item| *of_item == wanted).is_some()
    }

    fn wrapped<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        if self.wrappers == WRAPPERS_MAX {
            let what = format!("the value has more than {WRAPPERS_MAX} options and newtypes");
            return Err(Fault::unencodable(what));
        }
        self.wrappers += 1;
        value.serialize(&mut *self)?;
        self.wrappers -= 1;
        Ok(())
    }
}

macro_rules! integers {
    ($($serialize:ident($integer:ty))*) => {$(
        fn $serialize(self, number: $integer) -> Result<()> {
            let number = i128::from(number);
            // Of 64 bits, and so is its magnitude.
            let magnitude = u64::try_from(number.unsigned_abs()).unwrap_or(u64::MAX);
            self.out.integer(number < 0, magnitude);
            Ok(())
        }
    )*};
}

impl<'a> ser::Serializer for &'a mut Serializer {
    type Ok = ();
    type Error = Fault;
    type SerializeSeq = Elements<'a>;
    type SerializeTuple = Elements<'a>;
    type SerializeTupleStruct = Elements<'a>;
    type SerializeTupleVariant = Elements<'a>;
    type SerializeMap = Properties<'a>;
    type SerializeStruct = Properties<'a>;
    type SerializeStructVariant = Properties<'a>;

    integers! {
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64)
    }

    fn serialize_i128(self, number: i128) -> Result<()> {
        self.out.bigint(number < 0, number.unsigned_abs());
        Ok(())
    }

    fn serialize_u128(self, number: u128) -> Result<()> {
        self.out.bigint(false, number);
        Ok(())
    }

    fn serialize_bool(self, it: bool) -> Result<()> {
        self.out.push(if it { tag::TRUE } else { tag::FALSE });
        Ok(())
    }

    fn serialize_f32(self, number: f32) -> Result<()> {
        self.serialize_f64(number.into())
    }

    fn serialize_f64(self, number: f64) -> Result<()> {
        let is_date = self.is_to_be(Kind::Date);
        self.out
            .number(if is_date { tag::DATE } else { tag::NUMBER }, number);
        Ok(())
    }

    fn serialize_char(self, letter: char) -> Result<()> {
        self.out.text(letter.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, text: &str) -> Result<()> {
        self.out.text(text)
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<()> {
        self.out.binary(bytes)
    }

    fn serialize_none(self) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        self.wrapped(value)
    }

    fn serialize_unit(self) -> Result<()> {
        self.out.push(tag::NULL);
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<()> {
        self.out.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<()> {
        let kind = match name {
            DATE => Some(Kind::Date),
            SET => Some(Kind::Set),
            _ => None,
        };
        self.kind = kind.map(|kind| (self.out.position(), kind)).or(self.kind);
        self.wrapped(value)?;
        if kind.is_some() && self.kind.take().is_some() {
            return Err(Fault::unencodable("what a js::Set holds is no sequence"));
        }
        Ok(())
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<()> {
        self.open_variant(variant)?;
        let content = value.serialize(&mut *self);
        content.map_err(|fault| fault.in_property(variant))?;
        self.close(tag::OBJECT_END, 1)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Elements<'a>> {
        if self.is_to_be(Kind::Set) {
            return Elements::set(self);
        }
        Elements::array(self, length, None)
    }

    fn serialize_tuple(self, length: usize) -> Result<Elements<'a>> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_struct(self, _name: &'static str, length: usize) -> Result<Elements<'a>> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Elements<'a>> {
        self.open_variant(variant)?;
        Elements::array(self, Some(length), Some(variant))
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Properties<'a>> {
        Properties::begin(self, None)
    }

    fn serialize_struct(self, _name: &'static str, _length: usize) -> Result<Properties<'a>> {
        Properties::begin(self, None)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Properties<'a>> {
        self.open_variant(variant)?;
        Properties::begin(self, Some(variant))
    }
}
