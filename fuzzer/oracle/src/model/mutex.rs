//! A lock for one at a time: it is taken while it is free, and given back while it is taken, by whomever.

use super::Model;

/// What an answered operation does to a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Took it.
    Acquire,
    /// Gave it back.
    Release,
}

/// The lock, which is free at first. A state says whether it is taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mutex;

impl Model for Mutex {
    type State = bool;
    type Action = Action;

    fn init(&self) -> bool {
        false
    }

    fn step(&self, taken: &bool, action: &Action) -> Option<bool> {
        match (taken, action) {
            (false, Action::Acquire) => Some(true),
            (true, Action::Release) => Some(false),
            (true, Action::Acquire) | (false, Action::Release) => None,
        }
    }

    fn show(&self, taken: &bool, _: &dyn Fn(u32) -> String) -> String {
        if *taken { "taken".into() } else { "free".into() }
    }
}
