//! A counter: amounts, which may be negative, are added; the sum is read.

use super::Model;

/// What an answered operation does to a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Added this amount.
    Add(i64),
    /// Saw this sum.
    Read(i64),
}

/// The counter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counter {
    /// What it holds first.
    pub initial: i64,
}

impl Model for Counter {
    type State = i64;
    type Action = Action;

    fn init(&self) -> i64 {
        self.initial
    }

    fn step(&self, state: &i64, action: &Action) -> Option<i64> {
        match action {
            Action::Add(amount) => state.checked_add(*amount),
            Action::Read(sum) => (sum == state).then_some(*state),
        }
    }

    fn is_pure(&self, action: &Action) -> bool {
        matches!(action, Action::Read(_) | Action::Add(0))
    }

    fn show(&self, state: &i64, _: &dyn Fn(u32) -> String) -> String {
        state.to_string()
    }
}
