//! What operations on logs say.

use super::super::shape::{elements, not_understood, wrong_value};
use crate::model::intern::Interner;
use crate::op::Outcome;
use crate::raw::{Error, Op};
use crate::value::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A message that was sent to a log or polled from it.
pub struct Message<'a> {
    /// The log, by number.
    pub log: u32,
    /// Where in the log, as far as the operation knows.
    pub offset: Option<i64>,
    /// The message.
    pub value: &'a Value,
}

/// What an operation did.
pub enum Action<'a> {
    /// It sent and polled.
    Messages {
        /// In the order in which they were sent.
        sends: Vec<Message<'a>>,
        /// In the order in which they were polled.
        polls: Vec<Message<'a>>,
        /// Logs whose place may have changed meanwhile.
        rebalanced: BTreeSet<u32>,
    },
    /// The client works on other logs from now on.
    Assign {
        /// These.
        logs: BTreeSet<u32>,
        /// From the beginning.
        is_rewound: bool,
    },
    /// Nothing of interest.
    Other,
}

/// Logs as numbers.
#[derive(Default)]
pub struct Keys<'a> {
    names: Vec<String>,
    by_name: BTreeMap<String, u32>,
    /// Keys as they were written, and the log of each.
    values: Interner<&'a Value>,
    logs: Vec<u32>,
}

impl<'a> Keys<'a> {
    /// The name of a log.
    pub fn name(&self, log: u32) -> &str {
        &self.names[log as usize]
    }

    fn log(&mut self, key: &'a Value) -> u32 {
        let value = self.values.number(key) as usize;
        if let Some(log) = self.logs.get(value) {
            return *log;
        }
        let name = key.as_name().map_or_else(|| key.to_string(), str::to_owned);
        let log = *self.by_name.entry(name).or_insert_with_key(|name| {
            self.names.push(name.clone());
            u32::try_from(self.names.len() - 1).expect("a history has less than 2^32 logs")
        });
        self.logs.push(log);
        log
    }
}

/// Takes an operation apart.
pub fn action<'a>(op: &'a Op, keys: &mut Keys<'a>) -> Result<Action<'a>, Error> {
    let field = |name: &str| op.extra.iter().find(|(other, _)| other == name).map(|(_, value)| value);
    match op.f.as_str() {
        "send" | "poll" | "txn" => {
            let mut rebalanced = BTreeSet::new();
            for event in field("rebalance-log").and_then(Value::as_elements).unwrap_or_default() {
                let changed = event.get("keys").and_then(Value::as_elements).unwrap_or_default();
                rebalanced.extend(changed.iter().map(|key| keys.log(key)));
            }
            let (sends, polls) = messages(op, keys)?;
            Ok(Action::Messages { sends, polls, rebalanced })
        }
        "assign" | "subscribe" => {
            let logs = elements(op, &op.asked)?.iter().map(|key| keys.log(key)).collect();
            let is_rewound = field("seek-to-beginning?") == Some(&Value::Bool(true));
            Ok(Action::Assign { logs, is_rewound })
        }
        f if f == "crash" || f.starts_with("debug") => Ok(Action::Other),
        _ => Err(not_understood(op, "send, poll, txn, assign, subscribe or crash")),
    }
}

type Messages<'a> = (Vec<Message<'a>>, Vec<Message<'a>>);

fn messages<'a>(op: &'a Op, keys: &mut Keys<'a>) -> Result<Messages<'a>, Error> {
    let (mut sends, mut polls) = (Vec::new(), Vec::new());
    // A completion in info may tell how far the operation came.
    let answered = op.answered.as_ref().filter(|answered| **answered != Value::Nil);
    let value = answered.unwrap_or(&op.asked);
    for part in elements(op, value)? {
        let refuse =
            || wrong_value(op, part, "[send key value], [send key [offset value]] or [poll {key ...}]");
        let all = part.as_elements().ok_or_else(refuse)?;
        match (all.first().and_then(Value::as_name), &all[all.len().min(1)..]) {
            (Some("send"), [key, sent]) => {
                let (offset, value) = match sent.as_elements() {
                    Some([offset, value]) if answered.is_some() => (number(op, offset)?, value),
                    _ => (None, sent),
                };
                sends.push(Message { log: keys.log(key), offset, value });
            }
            (Some("poll"), []) => {}
            (Some("poll"), [Value::Map(logs)]) if op.outcome != Outcome::Fail => {
                for (key, pairs) in logs {
                    let pairs = elements(op, pairs)?;
                    let Some(_) = pairs.first() else { continue };
                    let log = keys.log(key);
                    polls.reserve(pairs.len());
                    for pair in pairs {
                        let Some([offset, value]) = pair.as_elements() else { return Err(refuse()) };
                        polls.push(Message { log, offset: number(op, offset)?, value });
                    }
                }
            }
            (Some("poll"), [Value::Map(_) | Value::Nil]) => {}
            _ => return Err(refuse()),
        }
    }
    Ok((sends, polls))
}

fn number(op: &Op, offset: &Value) -> Result<Option<i64>, Error> {
    match offset {
        Value::Nil => Ok(None),
        Value::Int(offset) => Ok(Some(*offset)),
        _ => Err(wrong_value(op, offset, "an offset or nil")),
    }
}
