//! Uniform: every legal action is equally likely, always. The baseline that every learner has to beat.
//!
//! Uniform over actions is not uniform over kinds: a kind with many victims and durations is drawn more often.

use serde::{Deserialize, Serialize};

use crate::{
    action::ActionId,
    agent::{Agent, StateId},
    draw,
};

/// Draws from the legal actions, learns nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Uniform;

impl Agent for Uniform {
    fn name(&self) -> &'static str {
        "uniform"
    }

    fn policy(&self, _state: StateId, legal: &[ActionId]) -> Vec<f64> {
        draw::uniform(legal.len())
    }
}
