//! Any agent: one type for all algorithms, so that a campaign can hold and save whichever was asked for.

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::{
    action::ActionId,
    agent::{Agent, StateId, Transition, Turn},
    bonus_max::BonusMax,
    linear::Linear,
    mallory::Mallory,
    negative_visits::NegativeVisits,
    periodic::Periodic,
    portfolio::Portfolio,
    swarm::Swarm,
    ucb1::Ucb1,
    uniform::Uniform,
};

/// One of the algorithms. New ones are added at the end: saved agents name theirs by position.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each variant is documented by its module")]
pub enum AnyAgent {
    Uniform(Uniform),
    Swarm(Swarm),
    Periodic(Periodic),
    Mallory(Mallory),
    NegativeVisits(NegativeVisits),
    BonusMax(BonusMax),
    Ucb1(Ucb1),
    Portfolio(Box<Portfolio>),
    Linear(Linear),
}

/// Evaluates `$body` with `$agent` bound to the algorithm inside.
macro_rules! inside {
    ($any:expr, $agent:ident => $body:expr) => {
        match $any {
            AnyAgent::Uniform($agent) => $body,
            AnyAgent::Swarm($agent) => $body,
            AnyAgent::Periodic($agent) => $body,
            AnyAgent::Mallory($agent) => $body,
            AnyAgent::NegativeVisits($agent) => $body,
            AnyAgent::BonusMax($agent) => $body,
            AnyAgent::Ucb1($agent) => $body,
            AnyAgent::Portfolio($agent) => $body,
            AnyAgent::Linear($agent) => $body,
        }
    };
}

impl Agent for AnyAgent {
    fn name(&self) -> &'static str {
        inside!(self, agent => agent.name())
    }

    fn begin(&mut self, rng: &mut dyn Rng) -> Turn {
        inside!(self, agent => agent.begin(rng))
    }

    fn resume(&mut self, turn: &Turn) {
        inside!(self, agent => agent.resume(turn));
    }

    fn choose(&mut self, state: StateId, legal: &[ActionId], rng: &mut dyn Rng) -> Option<ActionId> {
        inside!(self, agent => agent.choose(state, legal, rng))
    }

    fn learn(&mut self, transition: &Transition) {
        inside!(self, agent => agent.learn(transition));
    }

    fn end(&mut self) {
        inside!(self, agent => agent.end());
    }

    fn policy(&self, state: StateId, legal: &[ActionId]) -> Vec<f64> {
        inside!(self, agent => agent.policy(state, legal))
    }
}
