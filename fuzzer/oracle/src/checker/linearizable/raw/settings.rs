//! What a check of linearizability may be told.

use crate::check::{Options, Setting};
use crate::format::edn;
use crate::raw::Error;
use crate::value::Value;

/// What is asked of an order of all operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// It respects real time.
    #[default]
    Linearizable,
    /// It respects the order within each process.
    Sequential,
    /// There need be none: each process alone sees versions in an order of their own.
    Session,
}

/// The settings as they were understood.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub consistency: Consistency,
    pub initial: Value,
    pub nil_is_unknown: bool,
    pub refusals: bool,
    pub partition: bool,
    pub threads: Option<usize>,
    pub stale_ns: Option<u64>,
    pub guarantees: Option<String>,
    pub steps_max: u64,
}

pub(super) const CONSISTENCY: Setting = Setting {
    name: "consistency",
    about: "linearizable (real time counts; so without it) or sequential (the order within each process counts)",
};
pub(super) const CONSISTENCY_OF_REGISTERS: Setting = Setting {
    name: "consistency",
    about: "linearizable (real time counts; so without it), sequential (the order within each process counts) or \
            session (each process alone: see guarantees)",
};
pub(super) const GUARANTEES: Setting = Setting {
    name: "guarantees",
    about: "with consistency=session, which: some of read-your-writes, monotonic-reads, monotonic-writes, \
            writes-follow-reads with commas between; all without it",
};
pub(super) const STALENESS: Setting = Setting {
    name: "staleness-ns",
    about: "nanoseconds by which a read may lag: it may answer what was right so long before it was asked; 0 without it",
};
pub(super) const INITIAL: Setting = Setting {
    name: "initial",
    about: "what a register holds first: a number, a text, :name or nil, or anything as EDN writes it; nil without it",
};
pub(super) const INITIAL_COUNT: Setting =
    Setting { name: "initial", about: "what the counter holds first, a whole number; 0 without it" };
pub(super) const NIL: Setting = Setting {
    name: "nil",
    about: "what an answer nil says: absent (that the register holds nil) or unknown (nothing); without it unknown if \
            `initial` is given",
};
pub(super) const REFUSALS: Setting = Setting {
    name: "refusals",
    about: "yes: a cas that failed had found another value; no (so without it): it did not happen",
};
pub(super) const PARTITION: Setting =
    Setting { name: "partition", about: "no: all keys are searched together; yes without it" };
pub(super) const THREADS: Setting = Setting {
    name: "threads",
    about: "how many keys are searched at a time; as many as there are processors without it",
};

impl Settings {
    /// Takes the settings from the options.
    ///
    /// # Errors
    /// A value that a setting does not have.
    pub fn new(options: &Options) -> Result<Self, Error> {
        let text = |name: &str| options.settings.get(name).map(String::as_str);
        let wrong = |name: &str, given: &str, expected: &str| {
            Error::at(None, format!("setting `{name}` is {given:?}, expected {expected}"))
        };
        let flag = |name: &str, default: bool| match text(name) {
            None => Ok(default),
            Some("yes") => Ok(true),
            Some("no") => Ok(false),
            Some(other) => Err(wrong(name, other, "yes or no")),
        };
        let number = |name: &str| {
            let parse =
                |text: &str| text.parse::<u64>().map_err(|_| wrong(name, text, "a whole number from 0 on"));
            text(name).map(parse).transpose()
        };
        let consistency = match text("consistency") {
            None | Some("linearizable") => Consistency::Linearizable,
            Some("sequential") => Consistency::Sequential,
            Some("session") => Consistency::Session,
            Some(other) => return Err(wrong("consistency", other, "linearizable, sequential or session")),
        };
        let nil_is_unknown = match text("nil") {
            None => text("initial").is_some_and(|initial| initial != "nil"),
            Some("unknown") => true,
            Some("absent") => false,
            Some(other) => return Err(wrong("nil", other, "absent or unknown")),
        };
        let threads = number("threads")?.map(|threads| (threads as usize).clamp(1, 256));
        Ok(Self {
            consistency,
            initial: match text("initial") {
                None => Value::Nil,
                Some(text) => {
                    value(text).ok_or_else(|| wrong("initial", text, "what EDN reads, for it begins so"))?
                }
            },
            nil_is_unknown,
            refusals: flag("refusals", false)?,
            partition: flag("partition", true)?,
            threads,
            stale_ns: number("staleness-ns")?,
            guarantees: text("guarantees").map(str::to_owned),
            steps_max: options.steps_max,
        })
    }
}

/// A value as a person types it; `None` if it begins as one of EDN and is none.
fn value(text: &str) -> Option<Value> {
    Some(match (text, text.strip_prefix(':')) {
        ("nil", _) => Value::Nil,
        ("true", _) => Value::Bool(true),
        ("false", _) => Value::Bool(false),
        (_, Some(name)) => Value::Keyword(name.into()),
        // what is a list, a set or a map in EDN is one here
        _ if text.starts_with(['[', '(', '{', '#', '"']) => return edn::value_of(text),
        _ => Value::number(text).unwrap_or_else(|| Value::text(text)),
    })
}

/// The inverse of [`value`], as a word for a shell.
pub(super) fn as_typed(value: &Value) -> String {
    let text = match value {
        Value::Text(text) if self::value(text).as_ref() == Some(value) => text.clone(),
        other => other.to_string(),
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<Settings, String> {
        let settings = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Settings::new(&Options { settings, ..Options::default() }).map_err(|error| error.to_string())
    }

    #[test]
    fn settings_are_understood_or_refused() {
        let plain = settings(&[]).unwrap();
        assert!(plain.partition && !plain.refusals && !plain.nil_is_unknown);
        let zero = settings(&[("initial", "0"), ("consistency", "sequential")]).unwrap();
        assert_eq!((zero.initial, zero.nil_is_unknown), (Value::Int(0), true));
        assert_eq!(zero.consistency, Consistency::Sequential);
        assert_eq!(settings(&[("initial", ":free")]).unwrap().initial, Value::Keyword("free".into()));
        for text in ["0", "0.5", "nil", "true", ":free", "a text", "[1 2]", "{:a 1}", "#{1}", "it's", "\"7\""]
        {
            let value = settings(&[("initial", text)]).unwrap().initial;
            let typed = as_typed(&value).replace(r"'\''", "\0");
            let plain = typed.trim_matches('\'').replace('\0', "'");
            assert_eq!(settings(&[("initial", &plain)]).unwrap().initial, value, "{text}");
        }
        let cases = [
            ("refusals", "maybe", "setting `refusals` is \"maybe\", expected yes or no"),
            ("nil", "0", "setting `nil` is \"0\", expected absent or unknown"),
            ("threads", "many", "setting `threads` is \"many\", expected a whole number from 0 on"),
        ];
        for (name, value, expected) in cases {
            assert_eq!(settings(&[(name, value)]).unwrap_err(), expected);
        }
    }
}
