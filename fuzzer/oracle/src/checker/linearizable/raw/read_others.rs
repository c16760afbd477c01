//! Maps, sets, queues, stacks, counters and locks.

use super::part::{Reading, not_understood};
use crate::model::intern::Interner;
use crate::model::{counter, map, mutex, queue, set, stack};
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

/// A queue: `enqueue`, and `dequeue`, whose answer is nil when there was nothing.
#[derive(Default)]
pub(super) struct Queues<'a> {
    names: Interner<&'a Value>,
}

impl<'a> Reading<'a> for Queues<'a> {
    type Model = queue::Queue;

    fn action(&mut self, op: &'a Op) -> Result<Option<queue::Action>, Error> {
        Ok(Some(match (op.f.as_str(), op.outcome, op.value()) {
            ("enqueue", _, _) => queue::Action::Enqueue(self.names.number(&op.asked)),
            ("dequeue", Outcome::Ok, Value::Nil) => queue::Action::Empty,
            ("dequeue", Outcome::Ok, value) => queue::Action::Dequeue(self.names.number(value)),
            ("dequeue", _, _) => queue::Action::Unanswered,
            _ => return Err(not_understood(op, "enqueue or dequeue")),
        }))
    }

    fn finish(self) -> (queue::Queue, Interner<&'a Value>) {
        (queue::Queue, self.names)
    }
}

/// A stack: `push`, and `pop`, whose answer is nil when there was nothing.
#[derive(Default)]
pub(super) struct Stacks<'a> {
    names: Interner<&'a Value>,
}

impl<'a> Reading<'a> for Stacks<'a> {
    type Model = stack::Stack;

    fn action(&mut self, op: &'a Op) -> Result<Option<stack::Action>, Error> {
        Ok(Some(match (op.f.as_str(), op.outcome, op.value()) {
            ("push", _, _) => stack::Action::Push(self.names.number(&op.asked)),
            ("pop", Outcome::Ok, Value::Nil) => stack::Action::Empty,
            ("pop", Outcome::Ok, value) => stack::Action::Pop(self.names.number(value)),
            ("pop", _, _) => stack::Action::Unanswered,
            _ => return Err(not_understood(op, "push or pop")),
        }))
    }

    fn finish(self) -> (stack::Stack, Interner<&'a Value>) {
        (stack::Stack, self.names)
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
