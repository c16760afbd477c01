//! Q-learning with a softmax policy: the part that [`crate::mallory`] and [`crate::negative_visits`] share.
//! They differ in the reward alone.

use serde::{Deserialize, Serialize};

use crate::{
    action::{ActionId, ActionSpace},
    agent::{StateId, Transition},
    softmax::softmax,
    table::{STATES_MAX_DEFAULT, StateTable},
};

/// What can be set.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct QSettings {
    /// Learning rate, within (0, 1]: how much of the old value a step replaces.
    pub alpha: f64,
    /// Discount, within [0, 1): how much the value of the next state counts.
    pub gamma: f64,
    /// Softmax temperature, above 0, in units of reward. Far above the spread of the values it drowns them.
    pub temperature: f64,
    /// How many states to remember.
    pub states_max: usize,
}

impl QSettings {
    /// These three, and the default bound on memory.
    pub const fn new(alpha: f64, gamma: f64, temperature: f64) -> Self {
        Self { alpha, gamma, temperature, states_max: STATES_MAX_DEFAULT }
    }
}

/// A table of values and how it is read and written. Values start at 0, which is optimistic where rewards
/// are negative: what was never tried looks best.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct QLearner {
    pub(crate) settings: QSettings,
    values: StateTable<f64>,
}

impl QLearner {
    pub(crate) fn new(space: &ActionSpace, settings: QSettings) -> Self {
        Self { settings, values: StateTable::new(space.len(), settings.states_max, 0.0) }
    }

    /// Watkins' rule: the value moves by alpha towards the reward plus what the best next choice is worth.
    /// Where nothing can follow, the reward stands alone.
    pub(crate) fn learn(&mut self, transition: &Transition, reward: f64) {
        let QSettings { alpha, gamma, .. } = self.settings;
        let next = transition
            .legal_next
            .iter()
            .map(|&action| *self.values.get(transition.next, action))
            .reduce(f64::max)
            .unwrap_or(0.0);
        let value = self.values.get_mut(transition.state, transition.action);
        *value += alpha * (reward + gamma * next - *value);
    }

    pub(crate) fn policy(&self, state: StateId, legal: &[ActionId]) -> Vec<f64> {
        let values: Vec<f64> = legal.iter().map(|&action| *self.values.get(state, action)).collect();
        softmax(&values, self.settings.temperature)
    }

    pub(crate) fn states(&self) -> usize {
        self.values.states()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::ActionInfo;

    fn learner(states_max: usize) -> QLearner {
        let actions = (0..2).map(|i| ActionInfo::fault(format!("f{i}"), i)).collect();
        let space = ActionSpace::new(actions).unwrap();
        QLearner::new(&space, QSettings { states_max, ..QSettings::new(0.5, 0.8, 1.0) })
    }

    fn step(state: u64, action: u16, next: u64, legal_next: &[u16]) -> Transition {
        Transition {
            state: StateId(state),
            action: ActionId(action),
            next: StateId(next),
            seen_before: true,
            visits: 1,
            new_features: 0,
            legal_next: legal_next.iter().copied().map(ActionId).collect(),
        }
    }

    #[test]
    fn one_step_by_hand() {
        let mut q = learner(10);
        q.learn(&step(1, 0, 2, &[]), -4.0);
        q.learn(&step(1, 1, 2, &[]), -2.0);
        assert_eq!(*q.values.get(StateId(1), ActionId(0)), -2.0);
        // The best of the legal next actions counts: -1 if both are legal, -2 if only the first is.
        q.learn(&step(0, 0, 1, &[0, 1]), 1.0);
        q.learn(&step(0, 1, 1, &[0]), 1.0);
        assert!((q.values.get(StateId(0), ActionId(0)) - 0.5 * (1.0 - 0.8)).abs() < 1e-15);
        assert!((q.values.get(StateId(0), ActionId(1)) - 0.5 * (1.0 - 0.8 * 2.0)).abs() < 1e-15);
    }

    #[test]
    fn memory_is_bounded() {
        let mut q = learner(5);
        for state in 0..1_000 {
            q.learn(&step(state, 0, state + 1, &[0, 1]), -1.0);
        }
        assert_eq!(q.states(), 5);
    }
}
