//! What has no literal of its own, as the nearest one: as kvick reads any value by serde.

use super::Literal;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

impl<'de> Deserialize<'de> for Literal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Literals)
    }
}

/// Takes whatever there is.
struct Literals;

impl<'de> Visitor<'de> for Literals {
    type Value = Literal;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JavaScript")
    }

    fn visit_bool<E>(self, is: bool) -> Result<Literal, E> {
        Ok(Literal::Bool(is))
    }

    #[expect(clippy::cast_precision_loss, reason = "V8 had it as a number")]
    fn visit_i64<E>(self, number: i64) -> Result<Literal, E> {
        Ok(Literal::Number(number as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "V8 had it as a number")]
    fn visit_u64<E>(self, number: u64) -> Result<Literal, E> {
        Ok(Literal::Number(number as f64))
    }

    fn visit_i128<E>(self, number: i128) -> Result<Literal, E> {
        Ok(Literal::BigInt(number.into()))
    }

    fn visit_u128<E>(self, number: u128) -> Result<Literal, E> {
        Ok(Literal::BigInt(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Literal, E> {
        Ok(Literal::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Literal, E> {
        Ok(Literal::Text(text.to_owned()))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Literal, E> {
        Ok(Literal::Bytes(bytes.to_vec()))
    }

    fn visit_unit<E>(self) -> Result<Literal, E> {
        Ok(Literal::Null)
    }

    fn visit_none<E>(self) -> Result<Literal, E> {
        Ok(Literal::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Literal, D::Error> {
        Literal::deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Literal, D::Error> {
        Literal::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Literal, A::Error> {
        let mut all = Vec::new();
        while let Some(element) = elements.next_element()? {
            all.push(element);
        }
        Ok(Literal::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut properties: A) -> Result<Literal, A::Error> {
        let mut all = Vec::new();
        while let Some((name, value)) = properties.next_entry::<Literal, Literal>()? {
            let name = match name {
                Literal::Text(text) => text,
                // Of a `Map`, or an index.
                other => other.to_string(),
            };
            all.push((name, value));
        }
        Ok(Literal::Object(all))
    }
}
