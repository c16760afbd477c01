//! Divergence: how far a policy is from drawing uniformly.
//!
//! A learner that is within noise of uniform has not learnt, whatever its coverage looks like. The measure
//! says only that. A policy can be far from uniform and still be bad; baselines such as [`crate::periodic`] are
//! far from it by design, and so is [`crate::ucb1`], which always prefers some kind for certain.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    action::ActionId,
    agent::{Agent, StateId},
    math,
};

/// At or below this total variation a policy counts as uniform. Q-learning with Mallory's published constants
/// cannot get above 0.0063, whatever the number of actions.
pub const UNIFORM_TV_MAX: f64 = 0.02;

/// Averages over visited states, weighted by visits. States with fewer than two legal actions leave no choice
/// and are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Divergence {
    /// Total variation: half the sum of |p - 1/n|; 0 is uniform, 1 - 1/n a certain choice.
    pub tv: f64,
    /// Kullback-Leibler divergence from uniform, in nats; 0 is uniform, ln n a certain choice.
    pub kl: f64,
    /// The probability of the likeliest action.
    pub max_probability: f64,
    /// What [`Self::max_probability`] would be if every choice were uniform: 1/n.
    pub uniform_probability: f64,
    /// How many states were averaged.
    pub states: u64,
    /// How many visits they had; the sum of the weights.
    pub visits: u64,
}

impl Divergence {
    /// Whether the policy could be mistaken for uniform. False where there was nothing to measure.
    pub fn is_uniform(&self) -> bool {
        self.visits > 0 && self.tv <= UNIFORM_TV_MAX
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tv, kl, max_probability, uniform_probability, states, .. } = self;
        let (best, even) = (max_probability * 100.0, uniform_probability * 100.0);
        write!(f, "tv {tv:.4}, kl {kl:.4} nats, best action {best:.2}% (uniform {even:.2}%), {states} states")
    }
}

/// Measures `agent` on `states`: which, how often visited, and what is legal there, for example
/// [`crate::Visited::sample`]. All zeros when no state leaves a choice.
pub fn divergence<'a, A: Agent + ?Sized>(
    agent: &A,
    states: impl IntoIterator<Item = (StateId, u64, &'a [ActionId])>,
) -> Divergence {
    let mut total = Divergence::default();
    for (state, visits, legal) in states {
        if legal.len() < 2 || visits == 0 {
            continue;
        }
        let even = 1.0 / legal.len() as f64;
        let weight = visits as f64;
        let policy = agent.policy(state, legal);
        total.tv += weight * policy.iter().map(|p| (p - even).abs()).sum::<f64>() / 2.0;
        total.kl += weight * policy.iter().map(|&p| kl_term(p, even)).sum::<f64>();
        total.max_probability += weight * policy.iter().copied().fold(0.0, f64::max);
        total.uniform_probability += weight * even;
        total.states += 1;
        total.visits = total.visits.saturating_add(visits);
    }
    if total.visits > 0 {
        let weight = total.visits as f64;
        total.tv /= weight;
        // Rounding may leave a hair below 0.
        total.kl = (total.kl / weight).max(0.0);
        total.max_probability /= weight;
        total.uniform_probability /= weight;
    }
    total
}

/// p ln(p / q), whose limit at p = 0 is 0.
fn kl_term(p: f64, q: f64) -> f64 {
    if p > 0.0 { p * math::ln(p / q) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uniform::Uniform;

    /// Always the first action.
    struct First;

    impl Agent for First {
        fn name(&self) -> &'static str {
            "first"
        }

        fn policy(&self, _state: StateId, legal: &[ActionId]) -> Vec<f64> {
            (0..legal.len()).map(|index| if index == 0 { 1.0 } else { 0.0 }).collect()
        }
    }

    #[test]
    fn the_extremes_are_exact() {
        let legal = [0, 1, 2, 3].map(ActionId);
        let states =
            [(StateId(1), 3, &legal[..]), (StateId(2), 1, &legal[..2]), (StateId(3), 9, &legal[..1])];
        let even = divergence(&Uniform, states);
        assert_eq!((even.tv, even.kl, even.states, even.visits), (0.0, 0.0, 2, 4));
        assert_eq!(even.max_probability, even.uniform_probability);
        assert!(even.is_uniform());
        let sure = divergence(&First, states);
        assert_eq!(sure.tv, (3.0 * 0.75 + 0.5) / 4.0);
        assert!((sure.kl - (3.0 * 4f64.ln() + 2f64.ln()) / 4.0).abs() < 1e-12);
        assert_eq!(sure.max_probability, 1.0);
        assert!(!sure.is_uniform());
        assert_eq!(
            even.to_string(),
            "tv 0.0000, kl 0.0000 nats, best action 31.25% (uniform 31.25%), 2 states"
        );
    }

    #[test]
    fn nothing_to_measure_is_not_uniform() {
        let none = divergence(&First, [(StateId(1), 5, &[ActionId(0)][..])]);
        assert_eq!(none, Divergence::default());
        assert!(!none.is_uniform());
    }
}
