//! Maps, sets, queues, stacks, counters and locks.

use super::part::{Reading, not_understood};
use crate::model::intern::Interner;
use crate::model::sequence::{self, Sequence};
use crate::model::{counter, map, mutex, set};
use crate::op::Outcome;
use crate::raw::{Error, Op};
use crate::value::Value;
use std::borrow::Cow;
use std::sync::Arc;

/// An entry of a map: `get`, `put`, `append`. Nothing is the empty text; what is no text counts as it is written.
#[derive(Default)]
pub(super) struct Entries {
    answers: Vec<Arc<str>>,
}

fn text(value: &Value) -> Cow<'_, str> {
    match (value, value.as_name()) {
        (Value::Nil, _) => "".into(),
        (_, Some(text)) => text.into(),
        (other, None) => other.to_string().into(),
    }
}

/// The value, where it is `[key value]` and the history does not keep keys apart.
fn beside_key<'a>(op: &Op, value: &'a Value) -> &'a Value {
    match (&op.key, value.as_elements()) {
        (None, Some([_, value])) => value,
        _ => value,
    }
}

impl<'a> Reading<'a> for Entries {
    type Model = map::Entry;

    fn action(&mut self, op: &'a Op) -> Result<Option<map::Action>, Error> {
        Ok(match op.f.as_str() {
            "get" if op.outcome == Outcome::Ok => {
                let seen: Arc<str> = text(beside_key(op, op.value())).into();
                self.answers.push(seen.clone());
                Some(map::Action::Get(seen))
            }
            "get" => None,
            "put" => Some(map::Action::Put(text(beside_key(op, &op.asked)).into())),
            "append" => Some(map::Action::Append(text(beside_key(op, &op.asked)).into())),
            _ => return Err(not_understood(op, "get, put or append")),
        })
    }

    fn finish(self) -> (map::Entry, Interner<&'a Value>) {
        (map::Entry::new(self.answers), Interner::default())
    }
}

/// A set: `add`, `remove`, `contains` of `[element truth]`, `read` of all elements.
#[derive(Default)]
pub(super) struct Sets<'a> {
    names: Interner<&'a Value>,
}

impl<'a> Reading<'a> for Sets<'a> {
    type Model = set::Set;

    fn action(&mut self, op: &'a Op) -> Result<Option<set::Action>, Error> {
        Ok(match op.f.as_str() {
            "add" => Some(set::Action::Add(self.names.number(&op.asked))),
            "remove" => Some(set::Action::Remove(self.names.number(&op.asked))),
            "contains" | "read" if op.outcome != Outcome::Ok => None,
            "contains" => match op.value().as_elements() {
                Some([element, Value::Bool(is_in)]) => {
                    Some(set::Action::Contains(self.names.number(element), *is_in))
                }
                _ => return Err(op.error("its value is not understood, expected [element truth]")),
            },
            "read" => {
                let elements = match op.value() {
                    Value::Nil => &[],
                    value => value.as_elements().ok_or_else(|| {
                        op.error(format!("its value is {}, expected a list or set", value.kind()))
                    })?,
                };
                let mut numbers: Vec<u32> =
                    elements.iter().map(|element| self.names.number(element)).collect();
                numbers.sort_unstable();
                numbers.dedup();
                Some(set::Action::Read(numbers.into()))
            }
            _ => return Err(not_understood(op, "add, remove, contains or read")),
        })
    }

    fn finish(self) -> (set::Set, Interner<&'a Value>) {
        (set::Set, self.names)
    }
}

/// A queue: `enqueue`, and `dequeue`; or a stack: `push`, and `pop`. What takes out is answered with nil when there was
/// nothing.
pub(super) struct Sequences<'a> {
    names: Interner<&'a Value>,
    model: Sequence,
}

impl Sequences<'_> {
    pub(super) fn new(model: Sequence) -> Self {
        Self { names: Interner::default(), model }
    }
}

impl<'a> Reading<'a> for Sequences<'a> {
    type Model = Sequence;

    fn action(&mut self, op: &'a Op) -> Result<Option<sequence::Action>, Error> {
        let (put, take) = match self.model {
            Sequence::Queue => ("enqueue", "dequeue"),
            Sequence::Stack => ("push", "pop"),
        };
        Ok(Some(match (op.outcome, op.value()) {
            _ if op.f == put => sequence::Action::Put(self.names.number(&op.asked)),
            _ if op.f != take => return Err(not_understood(op, &format!("{put} or {take}"))),
            (Outcome::Ok, Value::Nil) => sequence::Action::Empty,
            (Outcome::Ok, value) => sequence::Action::Take(self.names.number(value)),
            _ => sequence::Action::Unanswered,
        }))
    }

    fn finish(self) -> (Sequence, Interner<&'a Value>) {
        (self.model, self.names)
    }
}

/// A counter: `add` of a whole number, `increment` and `decrement` (by one, if they do not say), `read`.
pub(super) struct Counters {
    pub initial: i64,
}

impl<'a> Reading<'a> for Counters {
    type Model = counter::Counter;

    fn action(&mut self, op: &'a Op) -> Result<Option<counter::Action>, Error> {
        let amount = |value: &Value| {
            value
                .as_int()
                .ok_or_else(|| op.error(format!("its value is {}, expected a whole number", value.kind())))
        };
        let amount_or_one = |value: &Value| if *value == Value::Nil { Ok(1) } else { amount(value) };
        Ok(match op.f.as_str() {
            "add" => Some(counter::Action::Add(amount(&op.asked)?)),
            "increment" => Some(counter::Action::Add(amount_or_one(&op.asked)?)),
            "decrement" => {
                let lower = amount_or_one(&op.asked)?.checked_neg();
                Some(counter::Action::Add(lower.ok_or_else(|| op.error("its value is too low"))?))
            }
            "read" if op.outcome == Outcome::Ok => Some(counter::Action::Read(amount(op.value())?)),
            "read" => None,
            _ => return Err(not_understood(op, "add, increment, decrement or read")),
        })
    }

    fn finish(self) -> (counter::Counter, Interner<&'a Value>) {
        (counter::Counter { initial: self.initial }, Interner::default())
    }
}

/// A lock: `acquire`, `release`.
#[derive(Default)]
pub(super) struct Locks;

impl<'a> Reading<'a> for Locks {
    type Model = mutex::Mutex;

    fn action(&mut self, op: &'a Op) -> Result<Option<mutex::Action>, Error> {
        match op.f.as_str() {
            "acquire" | "lock" => Ok(Some(mutex::Action::Acquire)),
            "release" | "unlock" => Ok(Some(mutex::Action::Release)),
            _ => Err(not_understood(op, "acquire or release")),
        }
    }

    fn finish(self) -> (mutex::Mutex, Interner<&'a Value>) {
        (mutex::Mutex, Interner::default())
    }
}
