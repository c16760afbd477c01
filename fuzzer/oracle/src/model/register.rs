//! A register: holds one value or nothing; answers reads, takes writes, swaps on equality.
//!
//! Values are numbered per key, so that a state is one small integer.

use super::{Bond, Model};
use crate::op::Call;
use std::collections::BTreeMap;

/// The content of a register: a number given by [`Values`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(u32);

impl Value {
    /// The key is absent; every register begins so.
    pub const ABSENT: Self = Self(0);
    /// Stands for any value that no operation looks at; [`Values`] never gives it.
    pub const UNSEEN: Self = Self(u32::MAX);

    /// The value with a number that the caller gives; 0 is what the register holds first.
    #[must_use]
    pub const fn numbered(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// Numbers values in the order in which they are met.
#[derive(Clone, Debug, Default)]
pub struct Values<'a> {
    numbers: BTreeMap<&'a str, u32>,
}

impl<'a> Values<'a> {
    /// The number of a content.
    pub fn number(&mut self, content: Option<&'a str>) -> Value {
        let Some(text) = content else { return Value::ABSENT };
        let next = self.numbers.len() as u32 + 1;
        Value(*self.numbers.entry(text).or_insert(next))
    }

    /// What the call does; `None` for a read without an answer and for calls of other types, which do nothing.
    pub fn action(&mut self, call: &'a Call) -> Option<Action> {
        Some(match call {
            Call::Read { value, .. } => Action::Read(self.number(value.as_ref()?.as_deref())),
            Call::Write { value, .. } => Action::Write(self.number(Some(value))),
            Call::Delete { .. } => Action::Write(Value::ABSENT),
            Call::Cas { expect, result: Some(false), .. } => Action::Refuse(self.number(expect.as_deref())),
            Call::Cas { expect, value, .. } => {
                Action::Swap(self.number(expect.as_deref()), self.number(Some(value)))
            }
            _ => return None,
        })
    }
}

/// What an answered operation does to a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Saw this value.
    Read(Value),
    /// Left this value, whatever was there (a deletion leaves [`Value::ABSENT`]).
    Write(Value),
    /// Saw the first and left the second.
    Swap(Value, Value),
    /// Saw anything but this value.
    Refuse(Value),
}

impl Action {
    /// The state after it; `None` when it is impossible in `state`.
    #[must_use]
    pub fn step(self, state: Value) -> Option<Value> {
        match self {
            Self::Read(seen) => (seen == state).then_some(state),
            Self::Write(left) => Some(left),
            Self::Swap(seen, left) => (seen == state).then_some(left),
            Self::Refuse(other) => (other != state).then_some(state),
        }
    }

    /// Changes nothing, ever.
    #[must_use]
    pub const fn is_pure(self) -> bool {
        matches!(self, Self::Read(_) | Self::Refuse(_))
    }

    /// Its being possible depends on the state.
    #[must_use]
    pub const fn is_observer(self) -> bool {
        !matches!(self, Self::Write(_))
    }

    /// The value it must have seen.
    #[must_use]
    pub const fn seen(self) -> Option<Value> {
        match self {
            Self::Read(seen) | Self::Swap(seen, _) => Some(seen),
            Self::Write(_) | Self::Refuse(_) => None,
        }
    }

    /// The value it leaves, if it changes the register.
    #[must_use]
    pub const fn left(self) -> Option<Value> {
        match self {
            Self::Write(left) | Self::Swap(_, left) => Some(left),
            Self::Read(_) | Self::Refuse(_) => None,
        }
    }
}

/// The data type: it begins as [`Value::ABSENT`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Register;

impl Model for Register {
    type State = Value;
    type Action = Action;

    fn init(&self) -> Value {
        Value::ABSENT
    }

    fn step(&self, state: &Value, action: &Action) -> Option<Value> {
        action.step(*state)
    }

    fn is_pure(&self, action: &Action) -> bool {
        action.is_pure()
    }

    fn is_blind(&self, action: &Action) -> bool {
        !action.is_observer()
    }

    fn bond(&self, action: &Action) -> Bond {
        action.left().map_or(Bond::Free, |left| Bond::Source(u64::from(left.0)))
    }

    fn needs(&self, action: &Action) -> Vec<u64> {
        action.seen().map(|seen| u64::from(seen.0)).into_iter().collect()
    }

    fn needs_all(&self, action: &Action) -> bool {
        matches!(action, Action::Refuse(_))
    }

    fn show(&self, state: &Value, name: &dyn Fn(u32) -> String) -> String {
        if *state == Value::UNSEEN { "a value that nobody saw".into() } else { name(state.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps() {
        let (a, b) = (Value(1), Value(2));
        assert_eq!(Action::Read(a).step(a), Some(a));
        assert_eq!(Action::Read(a).step(b), None);
        assert_eq!(Action::Write(a).step(b), Some(a));
        assert_eq!(Action::Swap(a, b).step(a), Some(b));
        assert_eq!(Action::Swap(a, b).step(Value::ABSENT), None);
        assert_eq!(Action::Refuse(a).step(b), Some(b));
        assert_eq!(Action::Refuse(a).step(a), None);
    }

    #[test]
    fn numbers_are_stable_and_absence_is_zero() {
        let mut values = Values::default();
        let (a, b) = (values.number(Some("a")), values.number(Some("b")));
        assert_eq!((values.number(Some("a")), values.number(None)), (a, Value::ABSENT));
        assert_eq!((values.number(Some("b")), a == b), (b, false));
    }
}
