//! Portfolio: a bandit that picks one of the other agents per schedule, by what each has found.
//!
//! No single agent wins on every target, so this one hedges. The bandit is EXP3.S, made for rewards that
//! drift (Auer, Cesa-Bianchi, Freund, Schapire: "The Nonstochastic Multiarmed Bandit Problem", SIAM Journal
//! on Computing 32, 2002). Its reward is the share of the schedule's windows that showed a new feature. At
//! least a fifth of all schedules goes to the uniform agent, which bounds what a wrong favourite can cost.
//!
//! All members learn from every transition, whoever chose it: Q-learning and its kin are off-policy.

use ndarray::Array1;
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::{
    action::ActionId,
    agent::{Agent, StateId, Transition},
    any::AnyAgent,
    draw, math,
};

/// The share of schedules that is always the uniform agent's.
pub const UNIFORM_SHARE_DEFAULT: f64 = 0.2;
/// EXP3's gamma: the share of the bandit's choices that is spread evenly over all members.
const EXPLORE: f64 = 0.1;
/// EXP3.S's alpha: what part of all weight is spread evenly after each schedule, so that none dies out.
const SHARE_BACK: f64 = 0.002;

/// One agent at a time out of several.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Portfolio {
    /// The first is the uniform agent.
    members: Vec<AnyAgent>,
    /// One a member; they sum to 1.
    weights: Array1<f64>,
    uniform_share: f64,
    /// Who chooses in this schedule.
    active: usize,
    /// With which probability it was picked; 0 outside schedules.
    picked_with: f64,
    windows: u64,
    windows_new: u64,
}

impl Portfolio {
    /// `members` besides the uniform agent, which is always added; `uniform_share` is within [0, 1].
    pub fn new(members: Vec<AnyAgent>, uniform_share: f64) -> Self {
        let mut all = vec![AnyAgent::Uniform(crate::uniform::Uniform)];
        all.extend(members);
        let weights = Array1::from_elem(all.len(), 1.0 / all.len() as f64);
        Self { members: all, weights, uniform_share, active: 0, picked_with: 0.0, windows: 0, windows_new: 0 }
    }

    /// Who chooses in this schedule, or between schedules, who chose in the last.
    pub fn active(&self) -> &AnyAgent {
        &self.members[self.active]
    }

    /// Each member's name and the probability that it gets the next schedule.
    pub fn shares(&self) -> Vec<(&'static str, f64)> {
        self.members.iter().map(Agent::name).zip(self.odds()).collect()
    }

    fn odds(&self) -> Vec<f64> {
        let even = EXPLORE / self.members.len() as f64;
        let bandit = self.weights.iter().map(|weight| (1.0 - EXPLORE) * weight + even);
        bandit
            .enumerate()
            .map(|(index, share)| {
                (1.0 - self.uniform_share) * share + if index == 0 { self.uniform_share } else { 0.0 }
            })
            .collect()
    }

    /// Raises the active member's weight by what its schedule found, and gives a little back to all.
    fn reward(&mut self, gain: f64) {
        let count = self.members.len() as f64;
        let odds = self.picked_with.max(1e-6);
        // The gain is at most 1 and the odds at least (1 - uniform share) * EXPLORE / count; cut where a
        // uniform share near 1 would make the exponent run away.
        let growth = (EXPLORE * gain / odds / count).min(50.0);
        self.weights[self.active] *= math::exp(growth);
        let sum = self.weights.sum();
        self.weights.mapv_inplace(|weight| (weight / sum) * (1.0 - SHARE_BACK) + SHARE_BACK / count);
    }
}

impl Agent for Portfolio {
    fn name(&self) -> &'static str {
        "portfolio"
    }

    fn begin(&mut self, rng: &mut dyn Rng) {
        let odds = self.odds();
        self.active = draw::weighted(&odds, rng).unwrap_or(0);
        self.picked_with = odds[self.active];
        (self.windows, self.windows_new) = (0, 0);
        self.members[self.active].begin(rng);
    }

    fn choose(&mut self, state: StateId, legal: &[ActionId], rng: &mut dyn Rng) -> Option<ActionId> {
        if self.picked_with > 0.0 {
            self.members[self.active].choose(state, legal, rng)
        } else {
            draw::action(legal, &self.policy(state, legal), rng)
        }
    }

    fn learn(&mut self, transition: &Transition) {
        self.windows += 1;
        self.windows_new += u64::from(transition.new_features > 0);
        self.members.iter_mut().for_each(|member| member.learn(transition));
    }

    fn end(&mut self) {
        self.members[self.active].end();
        if self.windows > 0 && self.picked_with > 0.0 {
            self.reward(self.windows_new as f64 / self.windows as f64);
        }
        self.picked_with = 0.0;
    }

    /// During a schedule that of the member which chooses; between schedules the mixture of all, by their odds.
    fn policy(&self, state: StateId, legal: &[ActionId]) -> Vec<f64> {
        if self.picked_with > 0.0 {
            return self.members[self.active].policy(state, legal);
        }
        let mut mixture = vec![0.0; legal.len()];
        for (member, odds) in self.members.iter().zip(self.odds()) {
            for (sum, probability) in mixture.iter_mut().zip(member.policy(state, legal)) {
                *sum += odds * probability;
            }
        }
        mixture
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::{
        action::{ActionInfo, ActionSpace},
        swarm::Swarm,
        ucb1::Ucb1,
    };

    fn portfolio() -> Portfolio {
        let space = ActionSpace::new(vec![ActionInfo::fault("kill", 0)]).unwrap();
        let members = vec![AnyAgent::Swarm(Swarm::new(&space, 0.5)), AnyAgent::Ucb1(Ucb1::new(&space, 1.0))];
        Portfolio::new(members, UNIFORM_SHARE_DEFAULT)
    }

    /// Plays schedules in which only `winner` finds anything; how many each member got.
    fn play(portfolio: &mut Portfolio, winner: &str, schedules: u32, rng: &mut ChaCha8Rng) -> [u32; 3] {
        let mut got = [0; 3];
        for _ in 0..schedules {
            portfolio.begin(rng);
            got[portfolio.active] += 1;
            let new_features = u32::from(portfolio.active().name() == winner);
            for _ in 0..4 {
                portfolio.learn(&Transition {
                    state: StateId(0),
                    action: ActionId(0),
                    next: StateId(0),
                    seen_before: true,
                    visits: 2,
                    new_features,
                    legal_next: vec![ActionId(0)],
                });
            }
            portfolio.end();
        }
        got
    }

    #[test]
    fn follows_the_winner_even_when_it_changes_and_keeps_a_fifth_uniform() {
        let mut portfolio = portfolio();
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        play(&mut portfolio, "ucb1", 600, &mut rng);
        let first = play(&mut portfolio, "ucb1", 1_000, &mut rng);
        assert!(first[2] > 650, "{first:?}");
        assert!(first[0] > 170, "{first:?}");
        play(&mut portfolio, "swarm", 1_000, &mut rng);
        let second = play(&mut portfolio, "swarm", 1_000, &mut rng);
        assert!(second[1] > 650, "{second:?}");
        let shares = portfolio.shares();
        assert!((shares.iter().map(|share| share.1).sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(shares[0].1 >= UNIFORM_SHARE_DEFAULT);
    }

    #[test]
    fn weights_stay_sound_at_the_edge() {
        let mut portfolio = portfolio();
        portfolio.uniform_share = 1.0;
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        assert_eq!(play(&mut portfolio, "uniform", 2_000, &mut rng), [2_000, 0, 0]);
        portfolio.active = 2;
        portfolio.picked_with = 0.0;
        portfolio.reward(1.0);
        assert!((portfolio.weights.sum() - 1.0).abs() < 1e-9);
    }
}
