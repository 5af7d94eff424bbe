//! Arrays with holes, whose elements are stored as properties, in the order of their indices.
//!
//! V8 stores so each array that may have holes, which is also what has been made with a length and
//! then filled.

use super::access::Within;
use super::de::Deserializer;
use super::fault::{Fault, Result};
use super::head::Head;
use super::property::Property;
use super::tag;
use serde::de::{self, DeserializeSeed, Error as _, Visitor};

/// The elements of an array with holes, which read as nothing.
pub(super) struct Holes {
    length: usize,
    index: usize,
    /// Of properties, the elements among them.
    count: usize,
}

impl Holes {
    pub(super) fn new(length: usize) -> Self {
        Self {
            length,
            index: 0,
            count: 0,
        }
    }

    pub(super) fn visit<'de, V: Visitor<'de>>(
        self,
        de: &mut Deserializer<'de>,
        visitor: V,
    ) -> Result<V::Value> {
        let mut elements = Within { de, of: self };
        let visited = visitor.visit_seq(&mut elements)?;
        let Within { de, of } = elements;
        if of.index < of.length {
            return Err(too_many(of.index).at(de.input.position()));
        }
        skip_named(de, tag::SPARSE_END, of.count)?;
        de.input.expect_count(of.length)?;
        Ok(visited)
    }

    /// Whether the next element is there: then its value comes next.
    fn find(&mut self, de: &mut Deserializer<'_>) -> Result<bool> {
        while de.input.peek()? != tag::SPARSE_END {
            let start = de.input.position();
            let property = Property::read(&mut de.input)?;
            self.count += 1;
            match property {
                Property::Name(_) => de.skip()?,
                Property::Index(index) => match usize::try_from(index) {
                    Ok(index) if index == self.index => return Ok(true),
                    Ok(index) if index > self.index => {
                        de.input.go_to(start);
                        self.count -= 1;
                        return Ok(false);
                    }
                    _ => return Err(Fault::malformed("elements out of order", start)),
                },
            }
        }
        Ok(false)
    }
}

impl<'de> de::SeqAccess<'de> for Within<'_, 'de, Holes> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        let Within { de, of } = self;
        if of.index == of.length {
            return Ok(None);
        }
        if !of.find(de)? {
            de.spend(1)?;
            de.pending = Some(Head::Nothing);
        }
        let element = seed.deserialize(&mut **de);
        let element = element.map_err(|fault| fault.in_element(of.index))?;
        of.index += 1;
        Ok(Some(element))
    }
}

/// Skips the properties of an array that are no elements, which are rare, and checks that there are
/// `count` with them.
pub(super) fn skip_named(de: &mut Deserializer<'_>, end: u8, mut count: usize) -> Result<()> {
    while !de.input.skip_tag(end)? {
        let start = de.input.position();
        if let Property::Index(_) = Property::read(&mut de.input)? {
            return Err(Fault::malformed("element beyond the length", start));
        }
        de.skip()?;
        count += 1;
    }
    de.input.expect_count(count)
}

#[cold]
pub(super) fn too_many(taken: usize) -> Fault {
    Fault::custom(format_args!(
        "there are more elements than the {taken} that the type takes"
    ))
}
