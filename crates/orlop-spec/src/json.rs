//! JSON as documents of images must be: I-JSON (RFC 7493): UTF-8, no byte-order mark, no name twice in one
//! object; nested no deeper than 128. Keys are matched by exact case. The order of keys is kept.

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// The members of an object that orlop has no name for; kept as they are.
pub type Extra = Map<String, Value>;

/// Parses one strict document.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    value(bytes).and_then(|value| serde_json::from_value(value).map_err(JsonError))
}

/// Parses one strict document of any shape.
pub fn value(bytes: &[u8]) -> Result<Value, JsonError> {
    let Strict(value) = serde_json::from_slice(bytes).map_err(JsonError)?;
    Ok(value)
}

/// Canonical bytes of a value that orlop makes: compact, keys in the order of the type.
#[expect(clippy::missing_panics_doc, reason = "documents have string keys and finite numbers")]
pub fn print<T: serde::Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("documents have string keys and finite numbers")
}

/// A value that orlop makes, as one of any shape.
#[expect(clippy::missing_panics_doc, reason = "documents have string keys and finite numbers")]
pub fn to_value<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).expect("documents have string keys and finite numbers")
}

/// Reads `null` as nothing, as programs in Go write an empty list.
pub fn or_empty<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

/// Why bytes are no document.
#[derive(Debug, thiserror::Error)]
#[error("not a valid JSON document of its kind: {0}")]
pub struct JsonError(serde_json::Error);

impl JsonError {
    /// What only the whole document shows.
    pub(crate) fn said(what: String) -> Self {
        Self(serde_json::Error::custom(what))
    }
}

/// A value in which no object holds a name twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(array.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Strict(member))) = members.next_entry::<String, Strict>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom(format_args!("the name {name:?} stands twice in one object")));
            }
            object.insert(name, member);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_30_j2_duplicate_names_are_refused_at_any_depth() {
        assert!(value(br#"{"layers":[],"layers":[]}"#).is_err());
        assert!(value(br#"[{"a":{"b":1,"b":1}}]"#).is_err());
        assert!(value(br#"{"a":1,"A":2}"#).is_ok());
    }

    #[test]
    fn j2_marks_bad_text_deep_nesting_and_huge_numbers_are_refused() {
        assert!(value(b"\xef\xbb\xbf{}").is_err());
        assert!(value(b"{\"a\":\"\xff\"}").is_err());
        assert!(value(b"1e999").is_err());
        assert!(value("[".repeat(100_000).as_bytes()).is_err());
        assert!(value(b"{} {}").is_err());
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(value(nested(127).as_bytes()).is_ok());
        assert!(value(nested(129).as_bytes()).is_err());
    }

    #[test]
    fn the_order_of_keys_is_kept() {
        let text = br#"{"b":1,"a":{"z":null,"y":[true]}}"#;
        assert_eq!(print(&value(text).expect("valid")), text);
    }
}
