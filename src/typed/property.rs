//! The keys of objects: names and, where they look like indices, integers.
//!
//! JavaScript has only strings as names, and V8 stores those that are indices as integers. So a
//! name reads as text or as an integer, whichever the type wants.

use super::fault::{Fault, Result};
use super::head::Head;
use super::input::Input;
use super::scalar::whole;
use serde::de::value::CowStrDeserializer;
use serde::de::{self, IntoDeserializer, Visitor};
use std::borrow::Cow;

pub(super) enum Property<'de> {
    Name(Cow<'de, str>),
    Index(i64),
}

impl<'de> Property<'de> {
    pub(super) fn read(input: &mut Input<'de>) -> Result<Self> {
        input.peek()?;
        let start = input.position();
        match input.head()? {
            Head::Text(text) => Ok(Self::Name(text.decode().map_err(|fault| fault.at(start))?)),
            Head::Integer(index) => Ok(Self::Index(index)),
            Head::Number(number) if whole(number).is_some() => {
                Ok(Self::Index(whole(number).unwrap_or_default()))
            }
            _ => Err(Fault::malformed("property with no name", start)),
        }
    }

    /// The key at a place where one has been read, to say where a fault is.
    #[cold]
    pub(super) fn shown(mut input: Input<'de>, place: usize) -> Cow<'de, str> {
        input.go_to(place);
        // The key of a map may be anything.
        Self::read(&mut input).map_or(Cow::Borrowed("?"), Self::into_name)
    }

    /// The key at a place of what is being written.
    #[cold]
    pub(super) fn written(bytes: &[u8], place: usize) -> Cow<'_, str> {
        Property::shown(Input::written(bytes), place)
    }

    fn into_name(self) -> Cow<'de, str> {
        match self {
            Self::Name(name) => name,
            Self::Index(index) => index.to_string().into(),
        }
    }

    fn visit_integer<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self {
            Self::Index(index) => visitor.visit_i64(index),
            Self::Name(name) => match name.parse() {
                Ok(number) => visitor.visit_i64(number),
                Err(_) => match name.parse() {
                    Ok(number) => visitor.visit_u64(number),
                    Err(_) => visitor.visit_str(&name),
                },
            },
        }
    }
}

macro_rules! integers {
    ($($deserialize:ident)*) => {$(
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            self.visit_integer(visitor)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for Property<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.into_name() {
            Cow::Borrowed(name) => visitor.visit_borrowed_str(name),
            Cow::Owned(name) => visitor.visit_string(name),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let name: CowStrDeserializer<'_, Fault> = self.into_name().into_deserializer();
        visitor.visit_enum(name)
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    serde::forward_to_deserialize_any! {
        bool f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map
        struct identifier ignored_any
    }
}
