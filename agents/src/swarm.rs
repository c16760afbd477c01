//! Swarm: each schedule gets a random subset of the fault kinds and draws uniformly from it.
//!
//! Groce, Zhang, Eide, Chen, Regehr: "Swarm Testing", ISSTA 2012. Features suppress one another: a cluster
//! that is partitioned all the time never gets far enough for a lost fsync to matter. Leaving kinds out,
//! another set each time, reaches what a draw from everything does not.

use std::collections::BTreeSet;

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::{
    action::{ActionClass, ActionId, ActionSpace},
    agent::{Agent, StateId, Turn},
    draw,
};

/// With which probability a kind takes part, as published.
pub const KEEP_DEFAULT: f64 = 0.5;

/// Uniform over a subset of the fault kinds that is drawn anew per schedule. Heals and doing nothing always
/// take part, and so does at least one fault kind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Swarm {
    space: ActionSpace,
    keep: f64,
    /// The fault kinds that take part in this schedule.
    kinds: BTreeSet<u16>,
}

impl Swarm {
    /// Before the first schedule all kinds take part. `keep` is within [0, 1].
    pub fn new(space: &ActionSpace, keep: f64) -> Self {
        Self { kinds: space.fault_kinds().into_iter().collect(), space: space.clone(), keep }
    }

    /// The fault kinds that take part in this schedule.
    pub fn kinds(&self) -> &BTreeSet<u16> {
        &self.kinds
    }

    fn takes_part(&self, action: ActionId) -> bool {
        let info = self.space.info(action);
        info.class != ActionClass::Fault || self.kinds.contains(&info.kind)
    }
}

impl Agent for Swarm {
    fn name(&self) -> &'static str {
        "swarm"
    }

    fn begin(&mut self, rng: &mut dyn Rng) -> Turn {
        let all = self.space.fault_kinds();
        self.kinds = all.iter().copied().filter(|_| draw::unit(rng) < self.keep).collect();
        if self.kinds.is_empty() && !all.is_empty() {
            self.kinds.insert(all[draw::below(all.len(), rng)]);
        }
        Turn::default()
    }

    fn policy(&self, _state: StateId, legal: &[ActionId]) -> Vec<f64> {
        // Where nothing that takes part is legal, the subset gives way.
        draw::uniform_where(legal, |action| self.takes_part(action))
            .unwrap_or_else(|| draw::uniform(legal.len()))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::action::ActionInfo;

    #[test]
    fn about_half_of_the_kinds_and_never_none() {
        let mut actions: Vec<_> = (0..4).map(|i| ActionInfo::fault(format!("fault {i}"), i)).collect();
        actions.push(ActionInfo::nothing("nothing", 9));
        let space = ActionSpace::new(actions).unwrap();
        let legal: Vec<ActionId> = space.ids().collect();
        let mut swarm = Swarm::new(&space, KEEP_DEFAULT);
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut kept = 0;
        let mut subsets = BTreeSet::new();
        for _ in 0..1_000 {
            swarm.begin(&mut rng);
            assert!(!swarm.kinds().is_empty());
            kept += swarm.kinds().len();
            subsets.insert(swarm.kinds().clone());
            let policy = swarm.policy(StateId(0), &legal);
            assert!(policy[4] > 0.0, "doing nothing always takes part");
            for action in &legal[..4] {
                assert_eq!(policy[action.index()] > 0.0, swarm.kinds().contains(&action.0));
            }
        }
        assert_eq!(subsets.len(), 15, "every subset but the empty one comes up");
        assert!((1_900..2_250).contains(&kept), "{kept}");
        // Only kinds that are left out are legal: something is chosen all the same.
        swarm.kinds = BTreeSet::from([0]);
        assert_eq!(swarm.policy(StateId(0), &legal[1..3]), [0.5, 0.5]);
    }
}
