//! One top-level field of a JSON object, found without building the object; the object may be cut short after
//! it.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// What was found.
pub(super) enum Found {
    /// The field's text: a string as it is, anything else as JSON.
    Text(String),
    /// An object (or the beginning of one) without the field.
    Missing,
    /// JSON, but no object.
    NotAnObject,
    /// No JSON.
    Garbage,
}

/// Whether JSON may begin with this byte.
pub(super) fn may_begin(byte: u8) -> bool {
    matches!(byte, b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') || byte.is_ascii_whitespace()
}

/// Looks for `field` in `bytes`; `cut` says that they are only the beginning of the object.
pub(super) fn find(bytes: &[u8], field: &str, cut: bool) -> Found {
    let text = bytes.trim_ascii_start();
    if text.first() != Some(&b'{') {
        let json = cut || serde_json::from_slice::<IgnoredAny>(text).is_ok();
        return if json { Found::NotAnObject } else { Found::Garbage };
    }
    let mut found = None;
    let mut json = serde_json::Deserializer::from_slice(text);
    let result = json.deserialize_map(Search { field, found: &mut found });
    match (found, result) {
        (Some(Value::String(text)), _) => Found::Text(text),
        (Some(other), _) => Found::Text(other.to_string()),
        (None, Ok(())) => Found::Missing,
        (None, Err(_)) if cut => Found::Missing,
        (None, Err(_)) => Found::Garbage,
    }
}

/// Walks over the fields and leaves with an error as soon as the right one was read: the rest is of no
/// interest.
struct Search<'a> {
    field: &'a str,
    found: &'a mut Option<Value>,
}

impl<'de> Visitor<'de> for Search<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(wanted) = map.next_key_seed(IsField(self.field))? {
            if wanted {
                *self.found = Some(map.next_value()?);
                return Err(A::Error::custom("found"));
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

/// Reads a name and says whether it is this one.
struct IsField<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for IsField<'_> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<bool, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for IsField<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}
