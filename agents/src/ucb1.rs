//! UCB1 over fault kinds: a bandit that balances how often a kind led to new states against how rarely it
//! has been tried.
//!
//! Auer, Cesa-Bianchi, Fischer: "Finite-time Analysis of the Multiarmed Bandit Problem", Machine Learning
//! 47, 2002. It looks at no state: within the kind it draws uniformly. UCB1 presumes rewards that do not
//! drift; novelty does, it dries up, so old successes weigh too long.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::{
    action::{ActionId, ActionSpace},
    agent::{Agent, StateId, Transition},
    math,
};

/// The weight of the confidence bound, square root of 2 as in the paper (which writes 2 ln n under the root).
pub const WEIGHT_DEFAULT: f64 = std::f64::consts::SQRT_2;

/// Column of [`Ucb1::arms`]: how often the kind was chosen.
const PLAYS: usize = 0;
/// Column of [`Ucb1::arms`]: how often that led to a state not seen before.
const GAIN: usize = 1;

/// Plays the legal kind with the highest upper confidence bound; kinds never tried come first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ucb1 {
    /// For each action the row of its kind.
    rows: Vec<usize>,
    weight: f64,
    /// One row a kind: plays and gain.
    arms: Array2<f64>,
}

impl Ucb1 {
    /// `weight` scales the confidence bound; at least 0.
    pub fn new(space: &ActionSpace, weight: f64) -> Self {
        let kinds = space.kinds();
        let row = |kind| kinds.binary_search(&kind).expect("`kinds` holds the kind of every action");
        let rows = space.actions().iter().map(|action| row(action.kind)).collect();
        Self { rows, weight, arms: Array2::zeros((kinds.len(), 2)) }
    }

    fn bound(&self, row: usize, plays_all: f64) -> f64 {
        let (plays, gain) = (self.arms[[row, PLAYS]], self.arms[[row, GAIN]]);
        if plays == 0.0 {
            return f64::INFINITY;
        }
        gain / plays + self.weight * (math::ln(plays_all) / plays).sqrt()
    }
}

impl Agent for Ucb1 {
    fn name(&self) -> &'static str {
        "ucb1"
    }

    fn learn(&mut self, transition: &Transition) {
        let row = self.rows[transition.action.index()];
        self.arms[[row, PLAYS]] += 1.0;
        if !transition.seen_before {
            self.arms[[row, GAIN]] += 1.0;
        }
    }

    /// The best kinds share evenly, and so do the actions of each.
    fn policy(&self, _state: StateId, legal: &[ActionId]) -> Vec<f64> {
        let plays_all = self.arms.column(PLAYS).sum();
        // By kind: how many actions are legal, and the bound.
        let mut counts = vec![0u32; self.arms.nrows()];
        legal.iter().for_each(|action| counts[self.rows[action.index()]] += 1);
        let bounds: Vec<f64> = counts
            .iter()
            .enumerate()
            .map(|(row, &count)| if count == 0 { f64::NEG_INFINITY } else { self.bound(row, plays_all) })
            .collect();
        let best = bounds.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let ties = counts.iter().zip(&bounds).filter(|&(&count, &bound)| count > 0 && bound == best).count();
        legal
            .iter()
            .map(|action| {
                let row = self.rows[action.index()];
                if bounds[row] == best { 1.0 / (ties as f64 * f64::from(counts[row])) } else { 0.0 }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::ActionInfo;

    fn played(agent: &mut Ucb1, action: u16, new: bool) {
        agent.learn(&Transition {
            state: StateId(0),
            action: ActionId(action),
            next: StateId(1),
            seen_before: !new,
            visits: 1,
            new_features: 0,
            legal_next: vec![],
        });
    }

    #[test]
    fn untried_kinds_come_first_then_the_bound_decides() {
        let names = [("kill a", 3), ("kill b", 3), ("cut", 5), ("skew", 8)];
        let space =
            ActionSpace::new(names.map(|(name, kind)| ActionInfo::fault(name, kind)).to_vec()).unwrap();
        let legal: Vec<ActionId> = space.ids().collect();
        let mut agent = Ucb1::new(&space, WEIGHT_DEFAULT);
        let third = 1.0 / 3.0;
        assert_eq!(agent.policy(StateId(0), &legal), [third / 2.0, third / 2.0, third, third]);
        played(&mut agent, 0, false);
        assert_eq!(agent.policy(StateId(0), &legal), [0.0, 0.0, 0.5, 0.5]);
        played(&mut agent, 2, true);
        played(&mut agent, 3, false);
        assert_eq!(agent.policy(StateId(0), &legal), [0.0, 0.0, 1.0, 0.0]);
        // Masked: the best of what is legal.
        assert_eq!(agent.policy(StateId(0), &legal[..2]), [0.5, 0.5]);
        // One success out of many tries loses to kinds hardly tried.
        for _ in 0..20 {
            played(&mut agent, 2, false);
        }
        assert_eq!(agent.policy(StateId(0), &legal)[2], 0.0);
    }
}
