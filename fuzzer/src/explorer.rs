//! The explorer: the agent's part in one run. It says when the agent is asked, what it is offered, what its choice means, and
//! keeps what came of each choice. It has no influence on anything but the steps that it hands out.

use crate::action::{self, Bounds, Seen, Strike, View, When};
use crate::execution::Choice;
use crate::executor::stream;
use crate::manner::Manner;
use crate::schedule::{Schedule, Step, Trigger};
use agents::{ActionId, Agent, AnyAgent, StateId, Turn};
use interceptor::event::Event;
use interceptor::rng::Rng;
use rand::RngExt;
use std::collections::BTreeSet;

/// The agent of one run: a clone, for it learns nothing meanwhile.
pub struct Explorer {
    agent: AnyAgent,
    turn: Turn,
    rng: Rng,
    /// Draws instants, victims and figures.
    details: Rng,
    bounds: Bounds,
    manner: Manner,
    from_ms: u64,
    seen: Seen,
    /// Windows in which it could have been asked.
    windows: u32,
    /// The last choice, as long as nobody knows where it leads.
    open: Option<Open>,
    episode: Vec<Choice>,
}

struct Open {
    state: StateId,
    legal: Vec<ActionId>,
    action: ActionId,
    features: BTreeSet<u64>,
}

/// A window in which there is something to choose.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// What has been seen by its beginning.
    pub state: StateId,
    /// Its beginning, in milliseconds since readiness.
    pub begin_ms: u64,
    /// Its length.
    pub length_ms: u64,
}

impl Explorer {
    /// For a run of `schedule`, if that asks for an agent and there is one; `bounds` are the target's.
    #[must_use]
    pub fn of(schedule: &Schedule, agent: Option<AnyAgent>, bounds: &Bounds) -> Option<Self> {
        let (from_ms, mut agent) = schedule.agent_from_ms.zip(agent)?;
        let of = |label| stream(schedule.seed, schedule.agent_salt, label);
        let mut rng = of("agent");
        let turn = agent.begin(&mut rng);
        let manner = Manner::draw(&bounds.kinds, &mut of("manner"));
        let active_max = bounds.active_max.min(manner.active_max);
        let bounds = Bounds { kinds: manner.kinds.clone(), active_max, ..*bounds };
        Some(Self {
            agent,
            turn,
            rng,
            details: of("details"),
            bounds,
            manner,
            from_ms,
            seen: Seen::default(),
            windows: 0,
            open: None,
            episode: Vec::new(),
        })
    }

    /// A window is over that showed `features`: they are what the last choice led to.
    pub fn saw(&mut self, features: &[u64]) {
        if let Some(open) = &mut self.open {
            open.features.extend(features);
        }
    }

    /// Something happened, of which actions may be aimed at the next.
    pub fn take(&mut self, event: &Event) {
        self.seen.take(event);
    }

    /// What happened so far.
    #[must_use]
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Lets the agent choose, if it is its turn. `so_far` holds all steps that are armed.
    pub fn choose(&mut self, window: Window, view: View, so_far: &Schedule) -> Vec<Step> {
        if window.begin_ms < self.from_ms {
            return Vec::new();
        }
        self.windows += 1;
        if !(self.windows - 1).is_multiple_of(self.manner.pace) {
            return Vec::new();
        }
        let Window { state, begin_ms, length_ms } = window;
        let last_ms = (begin_ms + length_ms).min(so_far.horizon_ms).saturating_sub(1);
        let at_ms = match self.manner.is_spread {
            true => self.details.random_range(begin_ms..=last_ms.max(begin_ms)),
            false => begin_ms,
        };
        let view = View { seen: self.seen.clone(), ..view };
        let legal = action::legal(&view, &self.bounds, so_far, at_ms);
        self.close_with(state, &legal);
        let Some(action) = self.agent.choose(state, &legal, &mut self.rng) else { return Vec::new() };
        let strikes = action::resolve(action, &view, &mut self.details);
        self.open = Some(Open { state, legal, action, features: BTreeSet::new() });
        let latest_ms = so_far.horizon_ms.saturating_sub(1).max(at_ms);
        let step = |Strike { when, fault }| {
            let when = match when {
                When::After(after_ms) => Trigger::At { at_ms: (at_ms + after_ms).min(latest_ms) },
                When::On(trigger) => trigger,
            };
            Step { when, fault }
        };
        strikes.into_iter().map(step).collect()
    }

    /// The last choice has led to `state`; nothing is chosen there, but it is known what could have been.
    pub fn close(&mut self, state: StateId, view: View, so_far: &Schedule, now_ms: u64) {
        if self.open.is_some() {
            let view = View { seen: self.seen.clone(), ..view };
            let legal = action::legal(&view, &self.bounds, so_far, now_ms);
            self.close_with(state, &legal);
        }
    }

    fn close_with(&mut self, next: StateId, legal_next: &[ActionId]) {
        let choice = self.open.take().map(|Open { state, legal, action, features }| Choice {
            state,
            legal,
            action,
            next,
            legal_next: legal_next.to_vec(),
            features: features.into_iter().collect(),
        });
        self.episode.extend(choice);
    }

    /// All choices of the run that are closed, and what the agent drew for it.
    #[must_use]
    pub fn into_episode(self) -> (Turn, Vec<Choice>) {
        (self.turn, self.episode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;

    const LENGTH_MS: u64 = 250;

    fn view() -> View {
        let roles = ["leader", "follower", "follower"].map(|role| Some(role.to_owned())).to_vec();
        View { roles, up: vec![true; 3], active: Vec::new(), seen: Seen::default() }
    }

    fn exploring(salt: u64) -> Schedule {
        Schedule { horizon_ms: 10_000, agent_from_ms: Some(1_000), agent_salt: salt, ..Fake::schedule() }
    }

    /// All steps of a run in which nothing is ever seen, and its episode.
    fn play(schedule: &Schedule) -> (Vec<Step>, Vec<Choice>) {
        let agent = agents::build("uniform", &action::space()).unwrap();
        let mut explorer = Explorer::of(schedule, Some(agent), &Bounds::default()).unwrap();
        let mut so_far = schedule.clone();
        for begin_ms in (0..schedule.horizon_ms).step_by(LENGTH_MS as usize) {
            explorer.saw(&[begin_ms]);
            let window = Window { state: StateId(begin_ms), begin_ms, length_ms: LENGTH_MS };
            so_far.steps.extend(explorer.choose(window, view(), &so_far));
        }
        explorer.saw(&[schedule.horizon_ms]);
        explorer.close(StateId(schedule.horizon_ms), view(), &so_far, schedule.horizon_ms);
        (so_far.steps, explorer.into_episode().1)
    }

    #[test]
    fn equal_salts_go_on_alike_and_others_do_not() {
        assert_eq!(play(&exploring(3)), play(&exploring(3)));
        let continuations: BTreeSet<String> =
            (0..20).map(|salt| format!("{:?}", play(&exploring(salt)).0)).collect();
        assert_eq!(continuations.len(), 20);
    }

    #[test]
    fn each_choice_keeps_what_it_led_to_and_what_could_be_done_there() {
        for salt in 0..20 {
            let (_, episode) = play(&exploring(salt));
            assert_eq!(episode[0].state, StateId(1_000), "nobody is asked before");
            for pair in episode.windows(2) {
                assert_eq!((pair[0].next, &pair[0].legal_next), (pair[1].state, &pair[1].legal));
            }
            let last = episode.last().unwrap();
            assert!(!last.legal_next.is_empty(), "the horizon says nothing of what a state is worth");
            // Every window belongs to the choice before it, however seldom the agent is asked.
            let seen: Vec<u64> = episode.iter().flat_map(|choice| choice.features.clone()).collect();
            assert_eq!(seen, (1_000 + LENGTH_MS..=10_000).step_by(LENGTH_MS as usize).collect::<Vec<_>>());
        }
    }
}
