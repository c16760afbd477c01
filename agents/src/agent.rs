//! Agent: the trait every algorithm implements, and what it is told.

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::{action::ActionId, bandit::Pull, draw};

/// What an agent knows of the cluster: sixteen small figures, the hexadecimal digits of one number. Tables take it as one
/// name; [`crate::linear`] looks at each digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StateId(pub u64);

impl StateId {
    /// The state with these digits, each below 16.
    #[must_use]
    pub fn of(digits: [u8; 16]) -> Self {
        Self(digits.into_iter().rev().fold(0, |state, digit| state << 4 | u64::from(digit.min(15))))
    }

    /// Its digits, the last of the number first.
    #[must_use]
    pub fn digits(self) -> [u8; 16] {
        std::array::from_fn(|place| (self.0 >> (4 * place) & 15) as u8)
    }
}

/// What followed a choice. Complete when it is handed over: the reward an agent derives from it belongs to
/// exactly this `state` and `action`, never to the step before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// Where the choice was made.
    pub state: StateId,
    /// What was done there.
    pub action: ActionId,
    /// Where it led.
    pub next: StateId,
    /// Whether `next` had been visited before this time.
    pub seen_before: bool,
    /// How often `next` has been visited, this time included; at least 1.
    pub visits: u64,
    /// How many coverage features the window showed for the first time.
    pub new_features: u32,
    /// What is legal in `next`, also when the schedule stops there: the horizon is arbitrary and says nothing
    /// of what the state is worth. Counterexample: told that nothing follows the last window, an agent marks
    /// down whatever it happened to do then, and [`crate::bonus_max`] ends up avoiding its best action. Empty
    /// only where truly nothing can follow.
    pub legal_next: Vec<ActionId>,
}

/// What an agent drew when a schedule began: who of a portfolio chooses in it. All of it is 0 for agents that draw nothing.
pub type Turn = Pull;

/// Chooses the next fault from the state it sees, and learns from what came of it.
///
/// `legal` always holds distinct actions of the space the agent was built with. Choices depend on the calls
/// made so far and on the generator, on nothing else.
pub trait Agent {
    /// The name under which [`crate::registry::build`] makes this agent.
    fn name(&self) -> &'static str;

    /// A new schedule starts; what was drawn for it.
    fn begin(&mut self, _rng: &mut dyn Rng) -> Turn {
        Turn::default()
    }

    /// What a schedule showed is going to be taught, that began with this turn: [`Self::learn`] for each of its choices,
    /// then [`Self::end`]. The agent may have learnt from others since.
    fn resume(&mut self, _turn: &Turn) {}

    /// One of `legal`, drawn from [`Self::policy`]; `None` only when `legal` is empty.
    fn choose(&mut self, state: StateId, legal: &[ActionId], rng: &mut dyn Rng) -> Option<ActionId> {
        draw::action(legal, &self.policy(state, legal), rng)
    }

    /// A choice and what it led to, told once, right after the window has passed.
    fn learn(&mut self, _transition: &Transition) {}

    /// The schedule is over.
    fn end(&mut self) {}

    /// The probability with which each of `legal`, in its order, would be chosen now. Every entry is within
    /// 0 and 1 and they sum to 1; empty when `legal` is.
    fn policy(&self, state: StateId, legal: &[ActionId]) -> Vec<f64>;
}
