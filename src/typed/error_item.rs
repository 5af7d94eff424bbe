//! Errors of JavaScript, read as the object that they are to a script: `name`, `message`, `stack`
//! and `cause`, those of them that are there.

use super::de::Deserializer;
use super::fault::{Fault, Result};
use super::tag;
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{self, DeserializeSeed, Error as _, Visitor};

pub(super) struct ErrorItem<'a, 'de> {
    de: &'a mut Deserializer<'de>,
    /// Until it has been read.
    name: Option<&'static str>,
    is_named: bool,
    has_ended: bool,
}

impl<'a, 'de> ErrorItem<'a, 'de> {
    pub(super) fn visit<V: Visitor<'de>>(
        de: &'a mut Deserializer<'de>,
        visitor: V,
    ) -> Result<V::Value> {
        let start = de.input.position();
        let name = tag::error_name(de.input.next_byte()?);
        if name.is_none() {
            de.input.go_to(start);
        }
        let mut item = ErrorItem {
            de,
            name: Some(name.unwrap_or("Error")),
            is_named: false,
            has_ended: false,
        };
        let visited = visitor.visit_map(&mut item)?;
        if !item.has_ended && item.part()?.is_some() {
            return Err(Fault::custom(
                "there are more properties than the type takes",
            ));
        }
        Ok(visited)
    }

    /// What part of the error comes next.
    fn part(&mut self) -> Result<Option<&'static str>> {
        let start = self.de.input.position();
        Ok(Some(match self.de.input.next_byte()? {
            tag::ERROR_MESSAGE => "message",
            tag::ERROR_STACK => "stack",
            tag::ERROR_CAUSE => "cause",
            tag::ERROR_END => {
                self.has_ended = true;
                return Ok(None);
            }
            tag => {
                let what = format!("unknown part of an error {tag:#04x}");
                return Err(Fault::malformed(what, start));
            }
        }))
    }
}

impl<'de> de::MapAccess<'de> for ErrorItem<'_, 'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let part = if !self.is_named {
            self.is_named = true;
            Some("name")
        } else if self.has_ended {
            None
        } else {
            self.part()?
        };
        let Some(part) = part else { return Ok(None) };
        seed.deserialize(BorrowedStrDeserializer::new(part))
            .map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        if let Some(name) = self.name.take() {
            return seed.deserialize(BorrowedStrDeserializer::new(name));
        }
        seed.deserialize(&mut *self.de)
    }
}
