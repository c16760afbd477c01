//! Agent: the trait every algorithm implements, and what it is told.

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::{action::ActionId, draw};

/// The abstraction of a window of the timeline: what an agent knows of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StateId(pub u64);

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

/// Chooses the next fault from the state it sees, and learns from what came of it.
///
/// `legal` always holds distinct actions of the space the agent was built with. Choices depend on the calls
/// made so far and on the generator, on nothing else.
pub trait Agent {
    /// The name under which [`crate::registry::build`] makes this agent.
    fn name(&self) -> &'static str;

    /// A new schedule starts.
    fn begin(&mut self, _rng: &mut dyn Rng) {}

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
