//! Portfolio: a bandit that picks one of the other agents per schedule, by what each has found.
//!
//! No single agent wins on every target, so this one hedges, with a [`Bandit`]. Its reward is the share of the schedule's
//! choices that led to a new feature. At least a fifth of all schedules goes to the uniform agent, which bounds what a
//! wrong favourite can cost.
//!
//! All members learn from every transition, whoever chose it: Q-learning and its kin are off-policy.

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::{
    action::ActionId,
    agent::{Agent, StateId, Transition, Turn},
    any::AnyAgent,
    bandit::Bandit,
    draw,
};

/// The share of schedules that is always the uniform agent's.
pub const UNIFORM_SHARE_DEFAULT: f64 = 0.2;

/// One agent at a time out of several.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Portfolio {
    /// The first is the uniform agent.
    members: Vec<AnyAgent>,
    bandit: Bandit,
    /// Who chooses in this schedule; absent outside schedules.
    turn: Option<Turn>,
    choices: u64,
    choices_new: u64,
}

impl Portfolio {
    /// `members` besides the uniform agent, which is always added; `uniform_share` is within [0, 1].
    pub fn new(members: Vec<AnyAgent>, uniform_share: f64) -> Self {
        let mut all = vec![AnyAgent::Uniform(crate::uniform::Uniform)];
        all.extend(members);
        let bandit = Bandit::new(all.len(), &[uniform_share]);
        Self { members: all, bandit, turn: None, choices: 0, choices_new: 0 }
    }

    /// Each member's name and the probability that it gets the next schedule.
    pub fn shares(&self) -> Vec<(&'static str, f64)> {
        self.members.iter().map(Agent::name).zip(self.bandit.odds()).collect()
    }

    /// Who chooses in this schedule.
    fn active(&mut self) -> Option<&mut AnyAgent> {
        self.turn.and_then(|turn| self.members.get_mut(usize::from(turn.arm)))
    }
}

impl Agent for Portfolio {
    fn name(&self) -> &'static str {
        "portfolio"
    }

    fn begin(&mut self, rng: &mut dyn Rng) -> Turn {
        let turn = self.bandit.pull(rng);
        self.resume(&turn);
        self.active().map(|member| member.begin(rng));
        turn
    }

    fn resume(&mut self, turn: &Turn) {
        (self.turn, self.choices, self.choices_new) = (Some(*turn), 0, 0);
    }

    fn choose(&mut self, state: StateId, legal: &[ActionId], rng: &mut dyn Rng) -> Option<ActionId> {
        if let Some(member) = self.active() {
            return member.choose(state, legal, rng);
        }
        draw::action(legal, &self.policy(state, legal), rng)
    }

    fn learn(&mut self, transition: &Transition) {
        self.choices += 1;
        self.choices_new += u64::from(transition.new_features > 0);
        self.members.iter_mut().for_each(|member| member.learn(transition));
    }

    fn end(&mut self) {
        self.members.iter_mut().for_each(Agent::end);
        if let Some(turn) = self.turn.take().filter(|_| self.choices > 0) {
            self.bandit.reward(turn, self.choices_new as f64 / self.choices as f64);
        }
    }

    /// During a schedule that of the member which chooses; between schedules the mixture of all, by their odds.
    fn policy(&self, state: StateId, legal: &[ActionId]) -> Vec<f64> {
        if let Some(member) = self.turn.and_then(|turn| self.members.get(usize::from(turn.arm))) {
            return member.policy(state, legal);
        }
        let mut mixture = vec![0.0; legal.len()];
        for (member, odds) in self.members.iter().zip(self.bandit.odds()) {
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

    /// Teaches a schedule that began with this turn.
    fn teach(portfolio: &mut Portfolio, turn: Turn, new_features: u32) {
        portfolio.resume(&turn);
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

    /// Schedules are drawn in batches, and taught later: the winner is found all the same.
    #[test]
    fn credit_goes_to_who_chose_whatever_was_learnt_since() {
        let mut portfolio = portfolio();
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        for _ in 0..200 {
            let turns: Vec<Turn> = (0..8).map(|_| portfolio.clone().begin(&mut rng)).collect();
            for turn in turns {
                let winner = portfolio.shares()[usize::from(turn.arm)].0 == "ucb1";
                teach(&mut portfolio, turn, u32::from(winner));
            }
        }
        let shares = portfolio.shares();
        assert!((shares.iter().map(|share| share.1).sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(shares[0].1 >= UNIFORM_SHARE_DEFAULT && shares[2].1 > 0.6, "{shares:?}");
    }

    #[test]
    fn between_schedules_the_policy_is_a_mixture() {
        let mut portfolio = portfolio();
        assert!((portfolio.policy(StateId(0), &[ActionId(0)])[0] - 1.0).abs() < 1e-9);
        let turn = portfolio.begin(&mut ChaCha8Rng::seed_from_u64(1));
        assert_eq!(portfolio.policy(StateId(0), &[ActionId(0)]), [1.0]);
        teach(&mut portfolio, turn, 1);
        assert!(portfolio.turn.is_none());
    }
}
