//! Negative visits: Q-learning that is punished for reaching a state by as many points as it has visits.
//!
//! Where Mallory's reward is -1 for every state seen before, this one keeps telling common states from rare
//! ones: what was reached twice stays attractive, what was reached a thousand times does not. The reward is
//! one of the baselines in Borgarelli, Enea, Majumdar, Nagendra: "Reward Augmentation in Reinforcement
//! Learning for Testing Distributed Systems", OOPSLA 2024; constant negative rewards go back to Mukherjee,
//! Deligiannis, Biswas, Lal: "Learning-Based Controlled Concurrency Testing", OOPSLA 2020.
//!
//! Values have no lower bound, so the policy sharpens as visits accumulate: at temperature 1 a difference of
//! some tens of visits already decides. An action that has become improbable is drawn again once the
//! others have been visited as often.

use serde::{Deserialize, Serialize};

use crate::{
    action::{ActionId, ActionSpace},
    agent::{Agent, StateId, Transition},
    q_learning::{QLearner, QSettings},
};

/// What the agent uses unless told otherwise.
pub const DEFAULT: QSettings = QSettings::new(0.3, 0.7, 1.0);

/// Q-learning, reward minus the visits of the state reached.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NegativeVisits {
    learner: QLearner,
}

impl NegativeVisits {
    /// An agent that has learnt nothing yet.
    pub fn new(space: &ActionSpace, settings: QSettings) -> Self {
        Self { learner: QLearner::new(space, settings) }
    }

    /// How many states it remembers.
    pub fn states(&self) -> usize {
        self.learner.states()
    }
}

impl Agent for NegativeVisits {
    fn name(&self) -> &'static str {
        "negative-visits"
    }

    fn learn(&mut self, transition: &Transition) {
        self.learner.learn(transition, -(transition.visits as f64));
    }

    fn policy(&self, state: StateId, legal: &[ActionId]) -> Vec<f64> {
        self.learner.policy(state, legal)
    }
}
