//! Periodic: one kind of fault per schedule, broken and healed in turn, with random pauses between.
//!
//! This is the shape of a Jepsen test: one nemesis, started and stopped in a cycle, its operations staggered
//! by a random delay (<https://jepsen-io.github.io/jepsen/jepsen.generator.html>, `stagger` and `cycle`).

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::{
    action::{ActionClass, ActionId, ActionSpace},
    agent::{Agent, StateId, Turn},
    draw,
};

/// Mean pause between two operations, in windows.
pub const PAUSE_DEFAULT: usize = 3;

/// Alternates between a fault of the schedule's kind and a heal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Periodic {
    space: ActionSpace,
    /// Mean pause, in windows.
    pause: usize,
    /// The fault kind of this schedule; `None` before the first and where there is no fault at all.
    kind: Option<u16>,
    /// Whether the last operation was a fault, so that a heal is due.
    broken: bool,
    /// How many windows are still to pass untouched.
    wait: usize,
}

impl Periodic {
    /// `pause` is the mean number of windows between two operations; pauses are drawn evenly from 0 to twice
    /// as many.
    pub fn new(space: &ActionSpace, pause: usize) -> Self {
        Self { space: space.clone(), pause, kind: None, broken: false, wait: 0 }
    }

    /// The fault kind of this schedule.
    pub fn kind(&self) -> Option<u16> {
        self.kind
    }

    /// The legal actions that are due now, evenly; `None` when nothing that is due is legal.
    fn due(&self, legal: &[ActionId]) -> Option<Vec<f64>> {
        let of = |class, kind: Option<u16>| {
            draw::uniform_where(legal, |action| {
                let info = self.space.info(action);
                info.class == class && kind.is_none_or(|kind| info.kind == kind)
            })
        };
        if self.wait > 0 {
            None
        } else if self.broken {
            of(ActionClass::Heal, self.kind).or_else(|| of(ActionClass::Heal, None))
        } else {
            of(ActionClass::Fault, Some(self.kind?))
        }
    }
}

impl Agent for Periodic {
    fn name(&self) -> &'static str {
        "periodic"
    }

    fn begin(&mut self, rng: &mut dyn Rng) -> Turn {
        let kinds = self.space.fault_kinds();
        self.kind = (!kinds.is_empty()).then(|| kinds[draw::below(kinds.len(), rng)]);
        self.broken = false;
        self.wait = draw::below(2 * self.pause + 1, rng);
        Turn::default()
    }

    fn choose(&mut self, state: StateId, legal: &[ActionId], rng: &mut dyn Rng) -> Option<ActionId> {
        let action = draw::action(legal, &self.policy(state, legal), rng)?;
        if self.wait > 0 {
            self.wait -= 1;
        } else if self.broken || self.space.class(action) == ActionClass::Fault {
            // A heal that is due but not legal counts as done: the fault has ended by itself.
            self.broken = !self.broken;
            self.wait = draw::below(2 * self.pause + 1, rng);
        }
        Some(action)
    }

    fn policy(&self, _state: StateId, legal: &[ActionId]) -> Vec<f64> {
        self.due(legal)
            .or_else(|| draw::uniform_where(legal, |a| self.space.class(a) == ActionClass::Nothing))
            .unwrap_or_else(|| draw::uniform(legal.len()))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::action::ActionInfo;

    fn space() -> ActionSpace {
        ActionSpace::new(vec![
            ActionInfo::nothing("nothing", 0),
            ActionInfo::fault("kill leader", 1),
            ActionInfo::fault("kill follower", 1),
            ActionInfo::heal("restart", 1),
            ActionInfo::fault("partition", 2),
            ActionInfo::heal("rejoin", 2),
        ])
        .unwrap()
    }

    #[test]
    fn breaks_and_heals_one_kind_in_turn() {
        let space = space();
        let all: Vec<ActionId> = space.ids().collect();
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut agent = Periodic::new(&space, 2);
        let mut kinds = std::collections::BTreeSet::new();
        for _ in 0..40 {
            agent.begin(&mut rng);
            kinds.extend(agent.kind());
            let mut operations = Vec::new();
            let mut idle = 0;
            for _ in 0..60 {
                let action = agent.choose(StateId(0), &all, &mut rng).unwrap();
                if space.class(action) == ActionClass::Nothing {
                    idle += 1;
                    assert!(idle <= 4, "a pause is at most twice the mean");
                } else {
                    idle = 0;
                    assert_eq!(Some(space.kind(action)), agent.kind());
                    operations.push(space.class(action));
                }
            }
            assert!(operations.len() >= 12);
            for (index, class) in operations.into_iter().enumerate() {
                let due = if index % 2 == 0 { ActionClass::Fault } else { ActionClass::Heal };
                assert_eq!(class, due);
            }
        }
        assert_eq!(kinds.len(), 2, "every kind gets its schedule");
    }

    #[test]
    fn goes_on_without_legal_heals() {
        let space = space();
        let legal = [ActionId(0), ActionId(1), ActionId(4)];
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut agent = Periodic::new(&space, 0);
        agent.begin(&mut rng);
        let classes: Vec<_> =
            (0..6).map(|_| space.class(agent.choose(StateId(0), &legal, &mut rng).unwrap())).collect();
        use ActionClass::{Fault, Nothing};
        assert_eq!(classes, [Fault, Nothing, Fault, Nothing, Fault, Nothing]);
    }
}
