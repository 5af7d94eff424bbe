//! What lies in an item, one by one: properties, elements, and what a variant carries.
//!
//! Each of these goes to the end of its item and checks the counts there. A type that takes fewer
//! elements than there are is a mismatch: what it left would be lost without a word.

use super::de::Deserializer;
use super::fault::{Fault, Result};
use super::head::Head;
use super::holes::{skip_named, too_many};
use super::property::Property;
use super::scalar::Binary;
use super::tag;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer as _, Error as _, Visitor};

/// Keys and values: of an object, a `Map`, or an array with holes.
pub(super) struct Pairs {
    end: u8,
    count: usize,
    /// That of the array.
    length: Option<usize>,
    /// Where the key of the value stands that comes next.
    key: usize,
}

impl Pairs {
    pub(super) fn object() -> Self {
        Self::up_to(tag::OBJECT_END, None)
    }

    pub(super) fn map() -> Self {
        Self::up_to(tag::MAP_END, None)
    }

    pub(super) fn sparse(length: usize) -> Self {
        Self::up_to(tag::SPARSE_END, Some(length))
    }

    fn up_to(end: u8, length: Option<usize>) -> Self {
        Self {
            end,
            count: 0,
            length,
            key: 0,
        }
    }

    pub(super) fn visit<'de, V: Visitor<'de>>(
        self,
        de: &mut Deserializer<'de>,
        visitor: V,
    ) -> Result<V::Value> {
        let mut pairs = Within { de, of: self };
        let visited = visitor.visit_map(&mut pairs)?;
        let Within { de, of } = pairs;
        let start = de.input.position();
        if !de.input.skip_tag(of.end)? {
            return Err(Fault::custom("there are more properties than the type takes").at(start));
        }
        let is_map = of.end == tag::MAP_END;
        de.input
            .expect_count(if is_map { of.count * 2 } else { of.count })?;
        if let Some(length) = of.length {
            de.input.expect_count(length)?;
        }
        Ok(visited)
    }
}

/// Items that lie in another, with the reader that is among them.
pub(super) struct Within<'a, 'de, T> {
    pub(super) de: &'a mut Deserializer<'de>,
    pub(super) of: T,
}

impl<'de> de::MapAccess<'de> for Within<'_, 'de, Pairs> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let Within { de, of } = self;
        if de.input.peek()? == of.end {
            return Ok(None);
        }
        of.key = de.input.position();
        of.count += 1;
        let key = if of.end == tag::MAP_END {
            seed.deserialize(&mut **de)?
        } else {
            seed.deserialize(Property::read(&mut de.input)?)?
        };
        Ok(Some(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        let Within { de, of } = self;
        let value = seed.deserialize(&mut **de);
        value.map_err(|fault| fault.in_property(&Property::shown(de.input, of.key)))
    }
}

/// The elements of a dense array, a `Set`, or binary data.
pub(super) struct Elements<'de> {
    kind: Kind<'de>,
    /// How many have been read.
    count: usize,
}

#[derive(Clone, Copy)]
enum Kind<'de> {
    Dense(usize),
    Set,
    Binary(Binary<'de>),
}

impl<'de> Elements<'de> {
    pub(super) fn dense(length: usize) -> Self {
        Self::of(Kind::Dense(length))
    }

    pub(super) fn set() -> Self {
        Self::of(Kind::Set)
    }

    pub(super) fn binary(binary: Binary<'de>) -> Self {
        Self::of(Kind::Binary(binary))
    }

    fn of(kind: Kind<'de>) -> Self {
        Self { kind, count: 0 }
    }

    pub(super) fn visit<V: Visitor<'de>>(
        self,
        de: &mut Deserializer<'de>,
        visitor: V,
    ) -> Result<V::Value> {
        let mut elements = Within { de, of: self };
        let visited = visitor.visit_seq(&mut elements)?;
        let Within { de, of } = elements;
        let start = de.input.position();
        match of.kind {
            Kind::Dense(length) if of.count == length => {
                skip_named(de, tag::DENSE_END, 0)?;
                de.input.expect_count(length)?;
            }
            Kind::Binary(binary) if of.count == binary.len() => {}
            Kind::Set if de.input.skip_tag(tag::SET_END)? => de.input.expect_count(of.count)?,
            _ => return Err(too_many(of.count).at(start)),
        }
        Ok(visited)
    }
}

impl<'de> de::SeqAccess<'de> for Within<'_, 'de, Elements<'de>> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        let Within { de, of } = self;
        match of.kind {
            Kind::Dense(length) if of.count == length => return Ok(None),
            Kind::Set if de.input.peek()? == tag::SET_END => return Ok(None),
            Kind::Dense(_) => {
                if de.input.skip_tag(tag::HOLE)? {
                    de.pending = Some(Head::Nothing);
                }
            }
            Kind::Set => {}
            Kind::Binary(binary) => match binary.element(of.count) {
                Some(element) => de.pending = Some(element.into()),
                None => return Ok(None),
            },
        }
        let element = seed.deserialize(&mut **de);
        let element = element.map_err(|fault| fault.in_element(of.count))?;
        of.count += 1;
        Ok(Some(element))
    }

    fn size_hint(&self) -> Option<usize> {
        match self.of.kind {
            Kind::Dense(length) => Some(length.saturating_sub(self.of.count)),
            Kind::Binary(binary) => Some(binary.len().saturating_sub(self.of.count)),
            Kind::Set => None,
        }
    }
}

/// A variant with content: an object of one property.
pub(super) struct Variant<'a, 'de> {
    de: &'a mut Deserializer<'de>,
    key: usize,
}

impl<'a, 'de> Variant<'a, 'de> {
    pub(super) fn visit<V: Visitor<'de>>(
        de: &'a mut Deserializer<'de>,
        visitor: V,
    ) -> Result<V::Value> {
        if de.input.peek()? == tag::OBJECT_END {
            return Err(Fault::mismatch(&visitor, "an object without properties"));
        }
        let key = de.input.position();
        let visited = visitor.visit_enum(Variant { de: &mut *de, key })?;
        if !de.input.skip_tag(tag::OBJECT_END)? {
            let what = "a variant is an object of one property, there are more";
            return Err(Fault::custom(what).at(de.input.position()));
        }
        de.input.expect_count(1)?;
        Ok(visited)
    }

    fn content<R>(self, read: impl FnOnce(&mut Deserializer<'de>) -> Result<R>) -> Result<R> {
        let Self { de, key } = self;
        read(de).map_err(|fault| fault.in_property(&Property::shown(de.input, key)))
    }
}

impl<'de> de::EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self)> {
        let variant = seed.deserialize(Property::read(&mut self.de.input)?)?;
        Ok((variant, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<()> {
        self.content(|de| <()>::deserialize(de))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        self.content(|de| seed.deserialize(de))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value> {
        self.content(|de| de.deserialize_seq(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.content(|de| de.deserialize_any(visitor))
    }
}
