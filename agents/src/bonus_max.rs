//! BonusMax: Q-learning whose only reward is a bonus for what was rarely done, and which takes the larger of
//! that bonus and the future instead of their sum.
//!
//! Borgarelli, Enea, Majumdar, Nagendra: "Reward Augmentation in Reinforcement Learning for Testing
//! Distributed Systems", OOPSLA 2024. The target of a step is max(1/N(s, a), gamma max Q(s', .)), N counting
//! this step; values start at 1 and stay within 0 and 1. A frontier far ahead thus keeps its value on the way
//! back, whatever lies between, and no sum of small bonuses on a well-trodden path can outbid it.
//!
//! Ties are split evenly: where a state is new, every action is equally likely.

use serde::{Deserialize, Serialize};

use crate::{
    action::{ActionId, ActionSpace},
    agent::{Agent, StateId, Transition},
    table::{STATES_MAX_DEFAULT, StateTable},
};

/// What can be set.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BonusMaxSettings {
    /// Learning rate, within (0, 1].
    pub alpha: f64,
    /// Discount, within [0, 1).
    pub gamma: f64,
    /// The share of choices that are drawn uniformly, within [0, 1].
    pub epsilon: f64,
    /// How many states to remember.
    pub states_max: usize,
}

impl Default for BonusMaxSettings {
    fn default() -> Self {
        Self { alpha: 0.2, gamma: 0.95, epsilon: 0.05, states_max: STATES_MAX_DEFAULT }
    }
}

/// What is known of an action in a state.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Worth {
    value: f64,
    /// How often it was done there.
    count: u64,
}

/// Mostly greedy on the larger of bonus and future.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BonusMax {
    settings: BonusMaxSettings,
    table: StateTable<Worth>,
}

impl BonusMax {
    /// An agent that has learnt nothing yet.
    pub fn new(space: &ActionSpace, settings: BonusMaxSettings) -> Self {
        let initial = Worth { value: 1.0, count: 0 };
        Self { settings, table: StateTable::new(space.len(), settings.states_max, initial) }
    }

    /// How many states it remembers.
    pub fn states(&self) -> usize {
        self.table.states()
    }

    fn values(&self, state: StateId, legal: &[ActionId]) -> Vec<f64> {
        legal.iter().map(|&action| self.table.get(state, action).value).collect()
    }
}

impl Agent for BonusMax {
    fn name(&self) -> &'static str {
        "bonus-max"
    }

    fn learn(&mut self, transition: &Transition) {
        let BonusMaxSettings { alpha, gamma, .. } = self.settings;
        let future = self.values(transition.next, &transition.legal_next).into_iter().fold(0.0, f64::max);
        let worth = self.table.get_mut(transition.state, transition.action);
        worth.count = worth.count.saturating_add(1);
        let target = (1.0 / worth.count as f64).max(gamma * future);
        worth.value += alpha * (target - worth.value);
    }

    fn policy(&self, state: StateId, legal: &[ActionId]) -> Vec<f64> {
        let values = self.values(state, legal);
        let best = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let ties = values.iter().filter(|&&value| value == best).count() as f64;
        let epsilon = self.settings.epsilon;
        let (explore, exploit) = (epsilon / legal.len() as f64, (1.0 - epsilon) / ties);
        values.iter().map(|&value| if value == best { explore + exploit } else { explore }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::ActionInfo;

    #[test]
    fn the_larger_of_bonus_and_future_counts() {
        let actions = (0..2).map(|i| ActionInfo::fault(format!("f{i}"), i)).collect();
        let space = ActionSpace::new(actions).unwrap();
        let settings = BonusMaxSettings { alpha: 0.5, gamma: 0.5, epsilon: 0.2, states_max: 10 };
        let mut agent = BonusMax::new(&space, settings);
        let (here, both) = (StateId(0), [ActionId(0), ActionId(1)]);
        assert_eq!(agent.policy(here, &both), [0.5, 0.5]);
        let mut go = |next: u64, legal_next: &[ActionId]| {
            agent.learn(&Transition {
                state: here,
                action: ActionId(0),
                next: StateId(next),
                seen_before: true,
                visits: 1,
                new_features: 0,
                legal_next: legal_next.to_vec(),
            });
            agent.values(here, &both)[0]
        };
        assert_eq!(go(9, &both), 1.0, "the first time the bonus is 1");
        assert_eq!(go(9, &[]), 0.75, "the second time 1/2, and nothing follows");
        assert_eq!(go(9, &both), 0.625, "the third time 1/3 loses to half of a new state's 1");
        let policy = agent.policy(here, &both);
        assert!((policy[0] - 0.1).abs() < 1e-15 && (policy[1] - 0.9).abs() < 1e-15, "{policy:?}");
    }
}
