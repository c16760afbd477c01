//! Values as histories hold them, before anybody says what they mean.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::fmt;

/// What EDN and JSON can write down. Values that mean the same are equal, so a value may be a key: numbers, sets and maps
/// are kept in one form, which [`Value::number`], [`Value::set`] and [`Value::map`] give them.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// `nil`, `null`
    #[default]
    Nil,
    /// A truth value.
    Bool(bool),
    /// A whole number of 64 bits.
    Int(i64),
    /// Any other number: `0.5`, `1e300`, `2/3`, `99999999999999999999`. See [`Value::number`].
    Number(String),
    /// A text.
    Text(String),
    /// EDN's `:name`, without the colon.
    Keyword(String),
    /// EDN's `name`.
    Symbol(String),
    /// EDN's `[...]` and `(...)`, JSON's `[...]`.
    List(Vec<Value>),
    /// EDN's `#{...}`, in the order of its elements. See [`Value::set`].
    Set(Vec<Value>),
    /// EDN's and JSON's `{...}`, in the order of its keys. See [`Value::map`].
    Map(Vec<(Value, Value)>),
    /// EDN's `#name value`.
    Tagged(Box<(String, Value)>),
}

impl Value {
    /// A text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// The number that a token of EDN or JSON stands for, if it is one: equal numbers are equal values, so `1.0` and
    /// `1e0` are the whole number 1.
    #[must_use]
    pub fn number(token: &str) -> Option<Self> {
        crate::number::parse(token)
    }

    /// A set, whose elements have no order. Elements that stand twice are kept: it is for others to complain.
    #[must_use]
    pub fn set(mut elements: Vec<Self>) -> Self {
        elements.sort();
        Self::Set(elements)
    }

    /// A map, whose pairs have no order.
    #[must_use]
    pub fn map(mut pairs: Vec<(Self, Self)>) -> Self {
        pairs.sort();
        Self::Map(pairs)
    }

    /// The whole number it is.
    #[must_use]
    pub const fn as_int(&self) -> Option<i64> {
        if let Self::Int(number) = self { Some(*number) } else { None }
    }

    /// The name or text it is: a text, a keyword or a symbol.
    #[must_use]
    pub fn as_name(&self) -> Option<&str> {
        match self {
            Self::Text(name) | Self::Keyword(name) | Self::Symbol(name) => Some(name),
            _ => None,
        }
    }

    /// The elements of a list or a set.
    #[must_use]
    pub fn as_elements(&self) -> Option<&[Self]> {
        match self {
            Self::List(elements) | Self::Set(elements) => Some(elements),
            _ => None,
        }
    }

    /// The value under a key that is a text, a keyword or a symbol of this name, in a map.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        let Self::Map(pairs) = self else { return None };
        pairs.iter().find(|(key, _)| key.as_name() == Some(name)).map(|(_, value)| value)
    }

    /// What kind of value it is, for messages: `a number`, `a list`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "a truth value",
            Self::Int(_) | Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::Keyword(_) => "a keyword",
            Self::Symbol(_) => "a symbol",
            Self::List(_) => "a list",
            Self::Set(_) => "a set",
            Self::Map(_) => "a map",
            Self::Tagged(_) => "a tagged value",
        }
    }
}

/// As JSON has it: names are texts, sets are lists, keys of maps are texts, and what a tag says is left out.
impl From<&Value> for Json {
    fn from(value: &Value) -> Self {
        let all = |values: &[Value]| Self::Array(values.iter().map(Self::from).collect());
        match value {
            Value::Nil => Self::Null,
            Value::Bool(truth) => (*truth).into(),
            Value::Int(number) => (*number).into(),
            Value::Number(text) => serde_json::from_str(text).unwrap_or_else(|_| text.clone().into()),
            Value::Text(text) | Value::Keyword(text) | Value::Symbol(text) => text.clone().into(),
            Value::List(values) | Value::Set(values) => all(values),
            Value::Map(pairs) => {
                let name = |key: &Value| key.as_name().map_or_else(|| key.to_string(), str::to_owned);
                Self::Object(pairs.iter().map(|(key, value)| (name(key), value.into())).collect())
            }
            Value::Tagged(tagged) => (&tagged.1).into(),
        }
    }
}

impl From<&Json> for Value {
    fn from(json: &Json) -> Self {
        match json {
            Json::Null => Self::Nil,
            Json::Bool(truth) => Self::Bool(*truth),
            Json::Number(number) => {
                let text = number.to_string();
                Self::number(&text).unwrap_or(Self::Number(text))
            }
            Json::String(text) => Self::text(text),
            Json::Array(values) => Self::List(values.iter().map(Self::from).collect()),
            Json::Object(pairs) => {
                Self::map(pairs.iter().map(|(key, value)| (Self::text(key), value.into())).collect())
            }
        }
    }
}

/// As EDN writes it: the form in which messages and evidence show values.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |f: &mut fmt::Formatter<'_>, open: &str, values: &[Self], close: &str| {
            f.write_str(open)?;
            for (position, value) in values.iter().enumerate() {
                let space = if position == 0 { "" } else { " " };
                write!(f, "{space}{value}")?;
            }
            f.write_str(close)
        };
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Bool(truth) => write!(f, "{truth}"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Number(text) | Self::Symbol(text) => f.write_str(text),
            Self::Text(text) => quoted(f, text),
            Self::Keyword(name) => write!(f, ":{name}"),
            Self::List(values) => all(f, "[", values, "]"),
            Self::Set(values) => all(f, "#{", values, "}"),
            Self::Map(pairs) => {
                f.write_str("{")?;
                for (position, (key, value)) in pairs.iter().enumerate() {
                    let comma = if position == 0 { "" } else { ", " };
                    write!(f, "{comma}{key} {value}")?;
                }
                f.write_str("}")
            }
            Self::Tagged(tagged) => write!(f, "#{} {}", tagged.0, tagged.1),
        }
    }
}

/// A text in quotes, with the escapes of EDN; other control characters stand as `\u` and their number
/// in hexadecimal.
fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            c if c.is_control() && (c as u32) < 0x1_0000 => write!(f, "\\u{:04x}", c as u32)?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_less_words() {
        let bank =
            Value::Map(vec![(Value::Int(0), Value::Int(-1)), (Value::Keyword("a".into()), Value::Nil)]);
        let value = Value::List(vec![bank, Value::Number("0.5".into()), Value::Set(vec![Value::Bool(true)])]);
        let json = Json::from(&value);
        assert_eq!(json.to_string(), r#"[{"0":-1,"a":null},0.5,[true]]"#);
        assert_eq!(Value::from(&json).to_string(), r#"[{"0" -1, "a" nil} 0.5 [true]]"#);
    }

    #[test]
    fn values_show_as_edn() {
        let value = Value::Map(vec![
            (
                Value::Keyword("f".into()),
                Value::List(vec![Value::Nil, Value::Int(-3), Value::text("a\"\n\u{1}")]),
            ),
            (Value::text("k"), Value::Set(vec![Value::Bool(true), Value::Number("0.5".into())])),
            (Value::Nil, Value::Tagged(Box::new(("inst".into(), Value::text("x"))))),
        ]);
        assert_eq!(value.to_string(), r##"{:f [nil -3 "a\"\n\u0001"], "k" #{true 0.5}, nil #inst "x"}"##);
        assert_eq!(value.get("k").and_then(Value::as_elements).map(<[Value]>::len), Some(2));
    }
}
