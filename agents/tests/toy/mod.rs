//! Toy worlds: small, deterministic stand-ins for a cluster, with the campaign's loop around them.

use agents::{ActionId, ActionInfo, ActionSpace, Agent, StateId, Transition, Visited};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Where every schedule starts.
pub const START: StateId = StateId(0);

/// A deterministic world: where an action leads, and what is legal.
pub trait World {
    /// Back to where schedules start.
    fn reset(&mut self) -> StateId;
    fn act(&mut self, action: ActionId) -> StateId;
    fn legal(&self) -> Vec<ActionId>;
}

/// Eleven faults of a kind each, and nothing.
pub fn twelve_actions() -> ActionSpace {
    let mut actions: Vec<_> = (0..11).map(|i| ActionInfo::fault(format!("fault {i}"), i)).collect();
    actions.push(ActionInfo::nothing("nothing", 11));
    ActionSpace::new(actions).expect("names differ")
}

/// One action that always leads somewhere new; all others lead back to the start, which is always legal.
pub struct OneBest {
    pub best: ActionId,
    fresh: u64,
    here: u64,
}

impl OneBest {
    pub fn new(best: u16) -> Self {
        Self { best: ActionId(best), fresh: 0, here: 0 }
    }
}

impl World for OneBest {
    fn reset(&mut self) -> StateId {
        self.here = 0;
        START
    }

    fn act(&mut self, action: ActionId) -> StateId {
        self.here = 0;
        if action == self.best {
            self.fresh += 1;
            self.here = self.fresh;
        }
        StateId(self.here)
    }

    fn legal(&self) -> Vec<ActionId> {
        twelve_actions().ids().collect()
    }
}

/// A row of rooms. In each, one of the actions leads on and all others lead back to the first; what is legal
/// differs from room to room but always includes the one that leads on.
pub struct Corridor {
    here: u64,
    pub deepest: u64,
}

impl Corridor {
    pub fn new() -> Self {
        Self { here: 0, deepest: 0 }
    }

    fn onward(&self) -> ActionId {
        ActionId((self.here * 5 % 12) as u16)
    }
}

impl World for Corridor {
    fn reset(&mut self) -> StateId {
        self.here = 0;
        START
    }

    fn act(&mut self, action: ActionId) -> StateId {
        self.here = if action == self.onward() { self.here + 1 } else { 0 };
        self.deepest = self.deepest.max(self.here);
        StateId(self.here)
    }

    fn legal(&self) -> Vec<ActionId> {
        let onward = self.onward();
        twelve_actions()
            .ids()
            .filter(|id| *id == onward || !u64::from(id.0).is_multiple_of(self.here % 3 + 2))
            .collect()
    }
}

/// Runs schedules as a campaign does; the actions chosen, in order.
pub fn explore(
    agent: &mut dyn Agent,
    world: &mut dyn World,
    visited: &mut Visited,
    (schedules, windows): (usize, usize),
    rng: &mut dyn Rng,
) -> Vec<ActionId> {
    let mut chosen = Vec::new();
    for _ in 0..schedules {
        let mut state = world.reset();
        let mut legal = world.legal();
        visited.enter(state, &legal);
        agent.begin(rng);
        for _ in 0..windows {
            let action = agent.choose(state, &legal, rng).expect("something is legal");
            assert!(legal.contains(&action), "{} chose what is not legal", agent.name());
            chosen.push(action);
            let next = world.act(action);
            let legal_next = world.legal();
            let entered = visited.enter(next, &legal_next);
            agent.learn(&Transition {
                state,
                action,
                next,
                seen_before: entered.seen_before,
                visits: entered.visits,
                new_features: u32::from(!entered.seen_before),
                legal_next: legal_next.clone(),
            });
            (state, legal) = (next, legal_next);
        }
        agent.end();
    }
    chosen
}

pub fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}
