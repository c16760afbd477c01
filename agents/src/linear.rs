//! Linear: advantage learning whose values are shared between states and between actions.
//!
//! A table learns nothing where states seldom come twice, and a fault that paid off in one says nothing to it of another. Here
//! the value of an action in a state is the sum of two: what the state is worth, by its sixteen digits (see [`StateId`]), and
//! how much more the action is worth there than others, by the digits crossed with the words of the action's name, which
//! are its kind, its victim's role, its duration and what it is aimed at. What is learnt of `kill leader` where two faults are
//! in force counts, in part, for `kill follower` there, and for `kill leader` elsewhere; what was never tried is worth as
//! much as the state. (The two parts are those of Wang and others: "Dueling Network Architectures for Deep Reinforcement
//! Learning", ICML 2016.)
//!
//! The reward is for what is rare: 1 over the square root of how often the state reached has been visited, or of the rarest
//! of its digits, whichever is more; and as much again for showing something new. Traces (Peng and Williams: "Incremental
//! Multi-Step Q-Learning", Machine Learning 22, 1996) pass it on to what led there. Weights are hashed into one table of
//! fixed size (Weinberger and others: "Feature Hashing for Large Scale Multitask Learning", ICML 2009).

use ndarray::Array1;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::{
    action::{ActionId, ActionSpace},
    agent::{Agent, StateId, Transition, Turn},
    softmax::softmax,
};

/// How many weights there are; a power of two.
const WEIGHTS: usize = 1 << 15;
/// A part of a trace that is smaller is dropped.
const TRACE_MIN: f64 = 0.01;

/// The factor of what a state is worth.
const ANY_ACTION: [u64; 1] = [u64::MAX];

/// What can be set.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinearSettings {
    /// Learning rate, within (0, 1].
    pub alpha: f64,
    /// Discount, within [0, 1).
    pub gamma: f64,
    /// How much of the reward is passed on to what led to it, within [0, 1].
    pub lambda: f64,
    /// Of the softmax over values.
    pub temperature: f64,
    /// The share of choices that are drawn uniformly, within [0, 1].
    pub epsilon: f64,
}

impl Default for LinearSettings {
    fn default() -> Self {
        Self { alpha: 0.1, gamma: 0.8, lambda: 0.6, temperature: 0.1, epsilon: 0.15 }
    }
}

/// Softmax over linear values.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Linear {
    settings: LinearSettings,
    /// By action: the hashes of what it is made of.
    factors: Vec<Vec<u64>>,
    weights: Array1<f64>,
    /// How often each digit had each value.
    digits: BTreeMap<(u8, u8), u64>,
    /// What led to the present state, by weight.
    trace: BTreeMap<usize, f64>,
}

impl Linear {
    /// An agent that has learnt nothing yet.
    pub fn new(space: &ActionSpace, settings: LinearSettings) -> Self {
        let factors = |name: &str| {
            let words = name.split_whitespace().map(|word| hash(1, word));
            std::iter::once(hash(0, name)).chain(words).collect()
        };
        Self {
            settings,
            factors: space.actions().iter().map(|action| factors(&action.name)).collect(),
            weights: Array1::zeros(WEIGHTS),
            digits: BTreeMap::new(),
            trace: BTreeMap::new(),
        }
    }

    /// The weights that make up how much an action is worth in a state, besides what the state is.
    fn of_action(&self, state: StateId, action: ActionId) -> Vec<usize> {
        parts(self.factors.get(action.index()).map(Vec::as_slice).unwrap_or_default(), state)
    }

    fn mean(&self, parts: &[usize]) -> f64 {
        parts.iter().map(|part| self.weights[*part]).sum::<f64>() / parts.len().max(1) as f64
    }

    fn advantage(&self, state: StateId, action: ActionId) -> f64 {
        self.mean(&self.of_action(state, action))
    }

    fn worth(&self, state: StateId) -> f64 {
        self.mean(&parts(&ANY_ACTION, state))
    }

    fn reward(&mut self, transition: &Transition) -> f64 {
        let mut rarest = transition.visits;
        for (place, digit) in (0..).zip(transition.next.digits()) {
            let count = self.digits.entry((place, digit)).or_default();
            *count += 1;
            rarest = rarest.min(*count);
        }
        let rare = 1.0 / (rarest.max(1) as f64).sqrt();
        rare + f64::from(u8::from(transition.new_features > 0))
    }
}

/// The weights for these factors, each by itself and with each digit of the state.
fn parts(factors: &[u64], state: StateId) -> Vec<usize> {
    let digits = state.digits();
    let mut parts = Vec::with_capacity(factors.len() * (digits.len() + 1));
    for factor in factors {
        parts.push(index(*factor));
        for (place, digit) in (1..).zip(digits) {
            parts.push(index(factor.wrapping_add(mix(place << 8 | u64::from(digit)))));
        }
    }
    parts
}

impl Agent for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn resume(&mut self, _turn: &Turn) {
        self.trace.clear();
    }

    fn learn(&mut self, transition: &Transition) {
        let LinearSettings { alpha, gamma, lambda, .. } = self.settings;
        let reward = self.reward(transition);
        let Transition { state, action, next, .. } = *transition;
        // What the next state is worth as it is used, not its best action: over some seventy actions, the largest of values
        // that are mostly noise would be noise.
        let future = if transition.legal_next.is_empty() { 0.0 } else { self.worth(next) };
        let error = reward + gamma * future - self.worth(state) - self.advantage(state, action);
        self.trace.retain(|_, share| {
            *share *= gamma * lambda;
            *share > TRACE_MIN
        });
        for part in parts(&ANY_ACTION, state).into_iter().chain(self.of_action(state, action)) {
            self.trace.insert(part, 1.0);
        }
        for (part, share) in &self.trace {
            self.weights[*part] += alpha * error * share;
        }
    }

    fn end(&mut self) {
        self.trace.clear();
    }

    fn policy(&self, state: StateId, legal: &[ActionId]) -> Vec<f64> {
        let values: Vec<f64> = legal.iter().map(|action| self.advantage(state, *action)).collect();
        let LinearSettings { temperature, epsilon, .. } = self.settings;
        let even = epsilon / legal.len() as f64;
        softmax(&values, temperature).into_iter().map(|p| even + (1.0 - epsilon) * p).collect()
    }
}

fn index(hash: u64) -> usize {
    (mix(hash) % WEIGHTS as u64) as usize
}

fn hash(seed: u64, text: &str) -> u64 {
    text.bytes().fold(mix(seed), |hash, byte| mix(hash ^ u64::from(byte)))
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::ActionInfo;

    fn space() -> ActionSpace {
        let names = ["nothing", "kill leader", "kill follower", "pause leader", "pause follower"];
        ActionSpace::new((0..).zip(names).map(|(kind, name)| ActionInfo::fault(name, kind)).collect())
            .unwrap()
    }

    fn all() -> Vec<ActionId> {
        space().ids().collect()
    }

    fn step(state: u64, action: u16, next: u64, new_features: u32) -> Transition {
        Transition {
            state: StateId(state),
            action: ActionId(action),
            next: StateId(next),
            seen_before: true,
            visits: 10_000,
            new_features,
            legal_next: all(),
        }
    }

    /// Killing pays off, whoever and wherever; nothing else does.
    fn taught() -> Linear {
        let mut agent = Linear::new(&space(), LinearSettings::default());
        for round in 0..400 {
            let action = (round % 5) as u16;
            // `kill follower` is never tried.
            let action = if action == 2 { 1 } else { action };
            agent.resume(&Turn::default());
            agent.learn(&step(round % 16, action, round * 7 % 16, u32::from(action == 1)));
            agent.end();
        }
        agent
    }

    #[test]
    fn what_pays_off_is_chosen_also_in_states_that_were_never_seen() {
        let policy = taught().policy(StateId(0xabc0), &all());
        assert!(policy[1] > 0.5 && policy[1] > 5.0 * policy[3], "{policy:?}");
        assert!((policy.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_learnt_of_one_action_counts_for_its_kin() {
        let agent = taught();
        let value = |action| agent.advantage(StateId(3), ActionId(action));
        assert!(value(2) > value(4) + 0.1, "kill follower {} and pause follower {}", value(2), value(4));
    }

    #[test]
    fn digits_of_the_state_tell_when_it_pays_off() {
        let mut agent = Linear::new(&space(), LinearSettings::default());
        for round in 0..2_000_u64 {
            let (digit, action) = (round % 3, (round / 3 % 5) as u16);
            agent.resume(&Turn::default());
            let pays = (digit == 2) == (action == 3);
            agent.learn(&step((digit << 8) | (round % 7), action, 0, u32::from(pays && action == 3)));
            agent.end();
        }
        let at = |digit: u64| agent.policy(StateId(digit << 8), &all())[3];
        assert!(at(2) > 1.4 * at(1) && at(2) > 0.7, "{} and {}", at(2), at(1));
    }

    #[test]
    fn a_reward_reaches_what_led_to_it() {
        let mut agent = Linear::new(&space(), LinearSettings::default());
        for _ in 0..20 {
            agent.resume(&Turn::default());
            agent.learn(&step(0x10, 3, 0x20, 0));
            agent.learn(&step(0x20, 4, 0x30, 1));
            agent.end();
        }
        let value = |action| agent.advantage(StateId(0x10), ActionId(action));
        assert!(value(3) > value(1), "{} and {}", value(3), value(1));
    }
}
