//! Mallory's agent: Q-learning that is punished for reaching a state it has seen.
//!
//! Meng, Pîrlea, Roychoudhury, Sergey: "Greybox Fuzzing of Distributed Systems", CCS 2023. Reward 0 for a
//! state not seen before and -1 for any other, alpha 0.1, gamma 0.6, softmax at temperature 100.
//!
//! With those constants it hardly learns. Values stay within -1 / (1 - 0.6) = -2.5 and 0; divided by 100 they
//! differ by 0.025 at most, so the best of twelve actions is drawn with at most 8.53 % against 8.33 % for a
//! uniform draw. The agent is kept as published, as a yardstick; the same agent at a temperature of 1 or
//! below does use what it has learnt. One thing is not reproduced: here a reward belongs to the choice that
//! earned it, not to the one before.

use serde::{Deserialize, Serialize};

use crate::{
    action::{ActionId, ActionSpace},
    agent::{Agent, StateId, Transition},
    q_learning::{QLearner, QSettings},
};

/// The published constants.
pub const PUBLISHED: QSettings = QSettings::new(0.1, 0.6, 100.0);

/// Q-learning, reward 0 for a new state and -1 for a seen one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Mallory {
    learner: QLearner,
}

impl Mallory {
    /// An agent that has learnt nothing yet.
    pub fn new(space: &ActionSpace, settings: QSettings) -> Self {
        Self { learner: QLearner::new(space, settings) }
    }

    /// How many states it remembers.
    pub fn states(&self) -> usize {
        self.learner.states()
    }
}

impl Agent for Mallory {
    /// `mallory` at the published temperature, otherwise the name of the temperature nearest to it.
    fn name(&self) -> &'static str {
        match self.learner.settings.temperature {
            t if t >= 10.0 => "mallory",
            t if t >= 2.0 => "mallory-t3",
            t if t >= 0.6 => "mallory-t1",
            _ => "mallory-t0.3",
        }
    }

    fn learn(&mut self, transition: &Transition) {
        self.learner.learn(transition, if transition.seen_before { -1.0 } else { 0.0 });
    }

    fn policy(&self, state: StateId, legal: &[ActionId]) -> Vec<f64> {
        self.learner.policy(state, legal)
    }
}
