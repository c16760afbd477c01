//! Sequential specifications: what a data type does when one operation runs after the other.
//!
//! A [`Model`] owns a compact state and a step, nothing about time; order is the checkers' concern.

pub mod counter;
pub mod intern;
pub mod keyed;
pub mod map;
pub mod multi;
pub mod mutex;
pub mod register;
pub mod sequence;
pub mod set;

use std::hash::Hash;

/// A data type: where it begins, and what each action makes of a state.
///
/// An action is an operation with its answer. A user's own data type implements the first two functions; the others
/// let a search skip what cannot matter, and must hold of every state.
pub trait Model {
    /// What the data type holds. Equal states must behave equally.
    type State: Clone + Eq + Hash;
    /// An operation with its answer. Equal actions must behave equally.
    type Action: Clone + Eq + Hash;

    /// The state in which it begins.
    fn init(&self) -> Self::State;

    /// The state after `action`; `None` when its answer is impossible in `state`.
    fn step(&self, state: &Self::State, action: &Self::Action) -> Option<Self::State>;

    /// Whether `action` is possible in `state`.
    fn fits(&self, state: &Self::State, action: &Self::Action) -> bool {
        self.step(state, action).is_some()
    }

    /// It changes nothing, in any state: it only answers.
    fn is_pure(&self, _: &Self::Action) -> bool {
        false
    }

    /// It is possible in every state and leaves the same one after all of them: a plain write.
    fn is_blind(&self, _: &Self::Action) -> bool {
        false
    }

    /// What must stay when operations are taken away to find the few that contradict each other.
    fn bond(&self, action: &Self::Action) -> Bond {
        if self.is_pure(action) { Bond::Free } else { Bond::Kept }
    }

    /// The numbers (those of [`Bond::Source`]) that `action` looks for.
    fn needs(&self, _: &Self::Action) -> Vec<u64> {
        Vec::new()
    }

    /// `action` looks at every change, so that each may be what explains it.
    fn needs_all(&self, _: &Self::Action) -> bool {
        false
    }

    /// A state for people, given the names of numbered values; empty where there is nothing to say.
    fn show(&self, _: &Self::State, _: &dyn Fn(u32) -> String) -> String {
        String::new()
    }
}

/// When an operation may be taken away from a history without making a valid history invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bond {
    /// Always.
    Free,
    /// When nobody who stays looks for what it leaves: [`Model::needs`].
    Source(u64),
    /// With all others of the same number.
    Together(u64),
    /// Never.
    Kept,
}

/// The first few of these in brackets.
fn shown(all: impl Iterator<Item = String>) -> String {
    const SHOWN_MAX: usize = 12;
    let mut all = all.peekable();
    let mut shown: Vec<String> = all.by_ref().take(SHOWN_MAX).collect();
    let more = all.count();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    format!("[{}]", shown.join(" "))
}
