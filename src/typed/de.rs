//! From a stored value to a type, straight over the bytes: nothing is built in between.
//!
//! References cost nothing where there are none. The first that is met has all objects found, by
//! number, in one walk over the value; then what it refers to is read once more. Where it lies in
//! what it refers to, that has no end, and is refused. A value may so stand for more than it holds:
//! what is read again, and the holes of arrays, are counted ([`Deserializer::spend`]).

use super::access::{Elements, Pairs, Variant};
use super::error_item::ErrorItem;
use super::fault::{Fault, Result};
use super::head::Head;
use super::holes::Holes;
use super::input::Input;
use super::scalar::{Binary, Numbers, whole};
use super::tag;
use super::walk::{self, DEPTH_MAX, Form, Object, WRAPPERS_MAX};
use crate::value::ValueRef;
use serde::de::value::{CowStrDeserializer, MapDeserializer};
use serde::de::{self, Deserialize, Error as _, IntoDeserializer, Visitor};
use std::borrow::Cow;

/// Holes, and bytes that are read again, beyond as many as the value has bytes.
const SPARE_MIN: usize = 65_536;

/// Reads a value as a type.
pub(super) fn read<'de, T: Deserialize<'de>>(value: ValueRef<'de>) -> Result<T> {
    let (input, pending) = match value {
        ValueRef::V8(bytes) => (Input::new(bytes)?, None),
        ValueRef::U64(number) => (Input::nothing(), Some(Head::Unsigned(number))),
        ValueRef::Bytes(bytes) => {
            let numbers = Numbers::U8;
            let binary = Binary { bytes, numbers };
            (Input::nothing(), Some(Head::Binary(binary)))
        }
    };
    let mut deserializer = Deserializer {
        spare: input.len().saturating_add(SPARE_MIN),
        first: input,
        input,
        pending,
        depth: 0,
        wrappers: 0,
        objects: None,
    };
    let read = T::deserialize(&mut deserializer)?;
    deserializer.input.expect_end()?;
    Ok(read)
}

pub(super) struct Deserializer<'de> {
    pub(super) input: Input<'de>,
    /// What comes next, in place of the next item: something that has no items in it.
    pub(super) pending: Option<Head<'de>>,
    /// At the beginning of the value.
    first: Input<'de>,
    /// How many items with items are open.
    depth: usize,
    /// How many options and newtypes are.
    wrappers: usize,
    /// Holes and bytes that may still be read without being there.
    spare: usize,
    /// By number, once one has been wanted.
    objects: Option<Vec<Object>>,
}

impl<'de> Deserializer<'de> {
    /// Reads the next head and gives it to `read`, with what it refers to if it refers.
    fn with_head<R>(&mut self, read: impl FnOnce(&mut Self, Head<'de>) -> Result<R>) -> Result<R> {
        if let Some(head) = self.pending.take() {
            return read(self, head);
        }
        self.input.peek()?;
        let start = self.input.position();
        match self.input.head()? {
            Head::Reference(number) => self.with_object(number, start, read),
            head => read(self, head),
        }
        .map_err(|fault| fault.at(start))
    }

    /// Reads an object once more, for the reference at `place`.
    fn with_object<R>(
        &mut self,
        number: usize,
        place: usize,
        read: impl FnOnce(&mut Self, Head<'de>) -> Result<R>,
    ) -> Result<R> {
        let objects = match &mut self.objects {
            Some(objects) => objects,
            none => none.insert(walk::objects(self.first)?),
        };
        let object = objects.get(number).filter(|object| object.start < place);
        let Some(&Object { form, start, end }) = object else {
            let what = format!("reference to object {number}, which has not begun");
            return Err(Fault::malformed(what, place));
        };
        if place < end {
            return Err(Fault::custom("the value contains itself"));
        }
        let after = self.input;
        self.input.go_to(start);
        if form == Form::Buffer {
            let bytes = self.input.buffer()?;
            self.input = after;
            let numbers = Numbers::U8;
            let view = self.input.view(Some(bytes))?;
            let binary = view.unwrap_or(Binary { bytes, numbers });
            self.spend(binary.bytes.len())?;
            return read(self, Head::Binary(binary));
        }
        let read = self.deeper(|this| match this.input.head()? {
            // A view of a buffer that is referred to itself.
            Head::Reference(buffer) => this.with_object(buffer, start, read),
            head => read(this, head),
        })?;
        // That of the objects in it has been spent when they ended, so that what is not spent yet
        // is never more than the value times its depth.
        let length = self.input.position().saturating_sub(start);
        self.input = after;
        self.spend(length)?;
        Ok(read)
    }

    /// Counts what is read without being there.
    pub(super) fn spend(&mut self, amount: usize) -> Result<()> {
        let spare = self.spare.checked_sub(amount);
        self.spare = spare.ok_or_else(|| {
            let what = "its references and holes stand for too much";
            Fault::malformed(what, self.input.position())
        })?;
        Ok(())
    }

    /// Reads what lies in an item.
    pub(super) fn deeper<R>(&mut self, read: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
        if self.depth == DEPTH_MAX {
            return Err(walk::too_deep(self.input.position()));
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    /// Reads what lies in an option or a newtype.
    fn wrapped<R>(&mut self, read: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
        if self.wrappers == WRAPPERS_MAX {
            let what = format!("more than {WRAPPERS_MAX} options and newtypes");
            return Err(Fault::malformed(what, self.input.position()));
        }
        self.wrappers += 1;
        let read = read(self);
        self.wrappers -= 1;
        read
    }

    /// Skips the next item.
    pub(super) fn skip(&mut self) -> Result<()> {
        if self.pending.take().is_some() {
            return Ok(());
        }
        walk::skip(&mut self.input, self.depth)
    }

    fn visit<V: Visitor<'de>>(&mut self, head: Head<'de>, visitor: V) -> Result<V::Value> {
        match head {
            Head::Nothing => visitor.visit_unit(),
            Head::Bool(it) => visitor.visit_bool(it),
            Head::Integer(number) => visitor.visit_i64(number),
            Head::Unsigned(number) => visitor.visit_u64(number),
            Head::Number(number) => match whole(number) {
                Some(number) => visitor.visit_i64(number),
                None => visitor.visit_f64(number),
            },
            Head::BigInt(bigint) => bigint.visit(visitor),
            Head::Text(text) => match text.decode()? {
                Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
                Cow::Owned(text) => visitor.visit_string(text),
            },
            Head::Binary(binary) if binary.numbers == Numbers::U8 => {
                visitor.visit_borrowed_bytes(binary.bytes)
            }
            Head::RegExp { source, flags } => {
                let parts = [
                    ("source", source.decode()?),
                    ("flags", tag::regexp_flags(flags).into()),
                ];
                let parts = MapDeserializer::new(parts.into_iter());
                self.deeper(|_| visitor.visit_map(parts))
            }
            Head::Error => self.deeper(|this| ErrorItem::visit(this, visitor)),
            Head::Object => self.deeper(|this| Pairs::object().visit(this, visitor)),
            Head::Map => self.deeper(|this| Pairs::map().visit(this, visitor)),
            Head::Binary(_) | Head::Dense(_) | Head::Set | Head::Sparse(_) => {
                self.visit_elements(head, visitor)
            }
            // `with_head` follows references, and gives none to anybody.
            Head::Reference(_) => Err(Fault::undecodable("reference to a reference")),
        }
    }

    fn visit_elements<V: Visitor<'de>>(&mut self, head: Head<'de>, visitor: V) -> Result<V::Value> {
        match head {
            Head::Binary(binary) => {
                self.deeper(|this| Elements::binary(binary).visit(this, visitor))
            }
            Head::Dense(length) => self.deeper(|this| Elements::dense(length).visit(this, visitor)),
            Head::Set => self.deeper(|this| Elements::set().visit(this, visitor)),
            Head::Sparse(length) => self.deeper(|this| Holes::new(length).visit(this, visitor)),
            head => self.visit(head, visitor),
        }
    }
}

impl<'de> de::Deserializer<'de> for &mut Deserializer<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.with_head(|this, head| this.visit(head, visitor))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let is_nothing = match &self.pending {
            Some(head) => matches!(head, Head::Nothing),
            None => matches!(self.input.peek()?, tag::NULL | tag::UNDEFINED),
        };
        if is_nothing {
            self.skip()?;
            return visitor.visit_none();
        }
        self.wrapped(|this| visitor.visit_some(this))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        self.wrapped(|this| visitor.visit_newtype_struct(this))
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.with_head(|this, head| match head {
            Head::Binary(binary) => visitor.visit_borrowed_bytes(binary.bytes),
            head => this.visit(head, visitor),
        })
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.with_head(|this, head| this.visit_elements(head, visitor))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.with_head(|this, head| match head {
            Head::Sparse(length) => this.deeper(|this| Pairs::sparse(length).visit(this, visitor)),
            head => this.visit(head, visitor),
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.with_head(|this, head| match head {
            Head::Text(text) => {
                let name = text.decode()?;
                let name: CowStrDeserializer<'_, Fault> = name.into_deserializer();
                visitor.visit_enum(name)
            }
            Head::Object => this.deeper(|this| Variant::visit(this, visitor)),
            head => this.visit(head, visitor),
        })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.skip()?;
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string unit unit_struct
        struct identifier
    }
}
