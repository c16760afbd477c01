//! Several data types side by side, for questions that cannot be asked of each alone: of sequential consistency, or of
//! what partition by key is worth.

use super::{Bond, Model};

/// The models of all keys; an action names its key by position.
#[derive(Clone, Debug)]
pub struct Keyed<M>(
    /// One a key.
    pub Vec<M>,
);

/// An action on one of several keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct On<A> {
    /// The key, by position.
    pub key: u32,
    /// What is done to it.
    pub action: A,
}

impl<M: Model> Model for Keyed<M> {
    type State = Vec<M::State>;
    type Action = On<M::Action>;

    fn init(&self) -> Self::State {
        self.0.iter().map(Model::init).collect()
    }

    fn step(&self, state: &Self::State, on: &Self::Action) -> Option<Self::State> {
        let key = on.key as usize;
        let after = self.0[key].step(&state[key], &on.action)?;
        let mut all = state.clone();
        all[key] = after;
        Some(all)
    }

    fn fits(&self, state: &Self::State, on: &Self::Action) -> bool {
        self.0[on.key as usize].fits(&state[on.key as usize], &on.action)
    }

    fn is_pure(&self, on: &Self::Action) -> bool {
        self.0[on.key as usize].is_pure(&on.action)
    }

    fn is_blind(&self, on: &Self::Action) -> bool {
        // what it leaves depends on what the other keys hold
        self.0.len() == 1 && self.0[0].is_blind(&on.action)
    }

    fn bond(&self, on: &Self::Action) -> Bond {
        let numbered = |number: u64| number << 24 ^ u64::from(on.key);
        match self.0[on.key as usize].bond(&on.action) {
            Bond::Source(number) => Bond::Source(numbered(number)),
            Bond::Together(number) => Bond::Together(numbered(number)),
            bond @ (Bond::Free | Bond::Kept) => bond,
        }
    }

    fn needs(&self, on: &Self::Action) -> Vec<u64> {
        let needs = self.0[on.key as usize].needs(&on.action);
        needs.into_iter().map(|number| number << 24 ^ u64::from(on.key)).collect()
    }

    fn needs_all(&self, on: &Self::Action) -> bool {
        self.0[on.key as usize].needs_all(&on.action)
    }

    fn show(&self, state: &Self::State, name: &dyn Fn(u32) -> String) -> String {
        let all = self.0.iter().zip(state).map(|(model, state)| model.show(state, name));
        all.collect::<Vec<_>>().join(", ")
    }
}
