//! Mutations: small changes of a schedule that keep it legal.
//!
//! Each is a pure function of the schedule, what is possible, and the generator. [`repair`] makes legal what a
//! change (or another campaign's settings) made illegal, by mending a step where it can and dropping it where
//! it cannot.

use crate::draw::log_uniform;
use crate::fault::{DURATION_MS_MAX, Fault, Node, figures};
use crate::generate::{self, Ground, STEPS_MAX};
use crate::schedule::{Schedule, Step, Trigger};
use interceptor::rng::Rng;
use rand::RngExt;

/// A way to change one schedule; [`splice`] needs two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutation {
    /// Adds a random step.
    Insert,
    /// Takes one step out.
    Delete,
    /// Moves a step in time, or waits for an earlier or later event.
    Retime,
    /// Lets a step strike other nodes.
    Retarget,
    /// Changes how long or how hard a step strikes.
    Resize,
    /// Gives a step another trigger.
    Retrigger,
    /// Changes the seed and nothing else.
    Reseed,
    /// Changes what clients do.
    Rework,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Insert,
        Self::Delete,
        Self::Retime,
        Self::Retarget,
        Self::Resize,
        Self::Retrigger,
        Self::Reseed,
        Self::Rework,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Delete => "delete",
            Self::Retime => "retime",
            Self::Retarget => "retarget",
            Self::Resize => "resize",
            Self::Retrigger => "retrigger",
            Self::Reseed => "reseed",
            Self::Rework => "rework",
        }
    }

    /// Changes the schedule; false when there was nothing to change. The result is legal.
    pub fn apply(self, schedule: &mut Schedule, ground: &Ground, rng: &mut Rng) -> bool {
        let changed = match self {
            Self::Insert => insert(schedule, ground, rng),
            Self::Delete => delete(schedule, rng),
            Self::Reseed => {
                schedule.seed = rng.random::<u64>() >> 1;
                true
            }
            Self::Rework => {
                schedule.workload = generate::workload(ground, rng);
                true
            }
            Self::Retime | Self::Retarget | Self::Resize | Self::Retrigger => {
                let (horizon_ms, steps) = (schedule.horizon_ms, schedule.steps.len());
                if steps == 0 {
                    return false;
                }
                let step = &mut schedule.steps[rng.random_range(0..steps)];
                match self {
                    Self::Retime => retime(&mut step.when, horizon_ms, rng),
                    Self::Retarget => retarget(&mut step.fault, ground.nodes, rng),
                    Self::Resize => resize(&mut step.fault, horizon_ms, rng),
                    _ => step.when = generate::trigger(ground, horizon_ms, rng),
                }
                true
            }
        };
        repair(schedule, ground);
        changed
    }
}

fn insert(schedule: &mut Schedule, ground: &Ground, rng: &mut Rng) -> bool {
    if schedule.steps.len() >= STEPS_MAX {
        return false;
    }
    let Some(step) = generate::step(ground, &ground.possible_kinds(), schedule.horizon_ms, rng) else {
        return false;
    };
    let at = rng.random_range(0..=schedule.steps.len());
    schedule.steps.insert(at, step);
    true
}

fn delete(schedule: &mut Schedule, rng: &mut Rng) -> bool {
    if schedule.steps.is_empty() {
        return false;
    }
    let at = rng.random_range(0..schedule.steps.len());
    schedule.steps.remove(at);
    true
}

fn retime(when: &mut Trigger, horizon_ms: u64, rng: &mut Rng) {
    match when {
        Trigger::At { at_ms } => {
            let by = log_uniform(1, horizon_ms.max(1), rng);
            let moved = if rng.random() { at_ms.saturating_add(by) } else { at_ms.saturating_sub(by) };
            *at_ms = moved.min(horizon_ms);
        }
        Trigger::On { nth, .. } => {
            let by = u32::try_from(log_uniform(1, 16, rng)).expect("at most 16");
            *nth = if rng.random() { nth.saturating_add(by) } else { nth.saturating_sub(by).max(1) };
        }
    }
}

fn retarget(fault: &mut Fault, nodes: u8, rng: &mut Rng) {
    match fault {
        Fault::Partition { side, direction, .. } => {
            if rng.random() {
                *side = generate::side(nodes, rng);
            } else {
                *direction = figures::direction(rng);
            }
        }
        Fault::Link { from, to, .. } | Fault::Delay { from, to, .. } | Fault::Stall { from, to, .. } => {
            if rng.random() {
                std::mem::swap(from, to);
            } else {
                *to = generate::other(*from, nodes, rng);
            }
        }
        Fault::Reset { a, b } => {
            *a = generate::node(nodes, rng);
            *b = generate::other(*a, nodes, rng);
        }
        single => {
            for victim in single.victims_mut() {
                *victim = generate::other(*victim, nodes, rng);
            }
        }
    }
}

fn resize(fault: &mut Fault, horizon_ms: u64, rng: &mut Rng) {
    let by_own_measure = rng.random::<bool>();
    match fault {
        Fault::Delay { delay_ms, jitter_ms, .. } if by_own_measure => {
            *delay_ms = figures::DELAY_MS.near(*delay_ms, rng);
            *jitter_ms = if rng.random() { 0 } else { figures::JITTER_MS.near(*jitter_ms, rng) };
        }
        Fault::PowerLoss { loss, .. } if by_own_measure => *loss = figures::loss(rng),
        Fault::ClockRate { percent, .. } if by_own_measure => *percent = figures::percent(rng.random(), rng),
        Fault::SlowFsync { delay_ms, .. } if by_own_measure => {
            *delay_ms = figures::SYNC_MS.near(*delay_ms, rng);
        }
        Fault::NoSpace { bytes, .. } if by_own_measure => *bytes = figures::room(rng),
        Fault::ClockJump { by_ms, .. } => {
            let size = figures::JUMP_MS.near(by_ms.unsigned_abs(), rng).cast_signed();
            *by_ms = if rng.random_ratio(1, 4) == (*by_ms < 0) { size } else { -size };
        }
        Fault::FsyncError { count, .. } => *count = figures::FAILURES.draw_u32(rng),
        other => {
            if let Some(lasts_ms) = other.lasts_ms_mut() {
                *lasts_ms = figures::DURATION_MS.up_to(horizon_ms).near(*lasts_ms, rng);
            }
        }
    }
}

/// Takes the beginning of `schedule` and the end of `other`: cut between two steps of each, at random.
pub fn splice(schedule: &mut Schedule, other: &Schedule, ground: &Ground, rng: &mut Rng) -> bool {
    if schedule.steps.is_empty() || other.steps.is_empty() {
        return false;
    }
    schedule.steps.truncate(rng.random_range(0..=schedule.steps.len()));
    schedule.steps.extend_from_slice(&other.steps[rng.random_range(0..other.steps.len())..]);
    repair(schedule, ground);
    true
}

/// Keeps the beginning of the schedule and lets the agent go on from there: right after the last instant that
/// is kept, or from the beginning when all kept steps wait for events. Each time it goes on in another way.
pub fn prolong(schedule: &mut Schedule, ground: &Ground, rng: &mut Rng) {
    schedule.steps.truncate(rng.random_range(0..=schedule.steps.len()));
    let instants = schedule.steps.iter().filter_map(|step| match step.when {
        Trigger::At { at_ms } => Some(at_ms + 1),
        Trigger::On { .. } => None,
    });
    schedule.agent_from_ms = Some(instants.max().unwrap_or(0).min(schedule.horizon_ms));
    schedule.agent_salt = rng.random();
    repair(schedule, ground);
}

/// Goes back to the instant `at_ms` and lets the agent go on from there, each time in another way. Up to then the run is the
/// one that the schedule gives, call by call; steps that wait for events still do.
pub fn return_to(schedule: &mut Schedule, at_ms: u64, ground: &Ground, rng: &mut Rng) {
    let at_ms = at_ms.min(schedule.horizon_ms);
    schedule.steps.retain(|step| !matches!(step.when, Trigger::At { at_ms: at } if at >= at_ms));
    schedule.agent_from_ms = Some(at_ms);
    schedule.agent_salt = rng.random();
    repair(schedule, ground);
}

/// Makes a schedule legal on this ground. What already is legal is left as it is.
pub fn repair(schedule: &mut Schedule, ground: &Ground) {
    schedule.target.clone_from(&ground.target);
    schedule.bugs.clone_from(&ground.bugs);
    schedule.nodes = ground.nodes;
    schedule.seed &= u64::MAX >> 1;
    schedule.agent_salt &= if schedule.agent_from_ms.is_some() { u64::MAX >> 1 } else { 0 };
    schedule.horizon_ms = schedule.horizon_ms.clamp(1, ground.horizon_ms.max(1));
    let horizon_ms = schedule.horizon_ms;
    if let Some(from) = &mut schedule.agent_from_ms {
        *from = (*from).min(horizon_ms);
    }
    let workload = &mut schedule.workload;
    workload.clients = workload.clients.max(1);
    workload.rate = workload.rate.max(1);
    workload.keys = workload.keys.max(1);
    let possible = ground.possible_kinds();
    schedule.steps.retain(|step| possible.contains(&step.fault.kind()));
    for step in &mut schedule.steps {
        repair_step(step, ground.nodes, horizon_ms);
    }
    schedule.steps.retain(|step| step.check(ground.nodes, horizon_ms).is_ok());
    schedule.steps.truncate(STEPS_MAX);
    if let Some(max) = ground.max_down {
        limit_down(schedule, max);
    }
}

fn repair_step(step: &mut Step, nodes: u8, horizon_ms: u64) {
    let nearest = |node: &mut Node| node.0 = node.0.clamp(1, nodes);
    match &mut step.when {
        Trigger::At { at_ms } => *at_ms = (*at_ms).min(horizon_ms),
        Trigger::On { node, peer, nth, .. } => {
            *nth = (*nth).max(1);
            node.iter_mut().chain(peer.iter_mut()).for_each(nearest);
            if node == peer {
                *peer = None;
            }
        }
    }
    step.fault.victims_mut().into_iter().for_each(nearest);
    let next = |node: Node| Node(if node.0 >= nodes { 1 } else { node.0 + 1 });
    match &mut step.fault {
        Fault::Partition { side, .. } => {
            side.sort();
            side.dedup();
            side.truncate(usize::from(nodes.saturating_sub(1)));
        }
        Fault::Link { from, to, .. } | Fault::Delay { from, to, .. } | Fault::Stall { from, to, .. }
            if from == to =>
        {
            *to = next(*from);
        }
        Fault::Reset { a, b } if a == b => *b = next(*a),
        _ => {}
    }
    if let Some(lasts_ms) = step.fault.lasts_ms_mut() {
        *lasts_ms = (*lasts_ms).clamp(1, DURATION_MS_MAX);
    }
}

/// Drops each step that could take one node too many down.
fn limit_down(schedule: &mut Schedule, max: u8) {
    let steps = std::mem::take(&mut schedule.steps);
    for step in steps {
        let takes_down = step.fault.kind().takes_down();
        schedule.steps.push(step);
        if takes_down && schedule.check_down(max).is_err() {
            schedule.steps.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use interceptor::rng::split;
    use proptest::prelude::*;
    use rand::seq::IndexedRandom;

    fn ground(nodes: u8, max_down: Option<u8>) -> Ground {
        let mut ground = Ground::new("demo", &[], nodes, 8000);
        ground.max_down = max_down;
        ground.remember(["send:append", "fsync"]);
        ground
    }

    proptest! {
        #[test]
        fn mutated_schedules_stay_legal_and_can_be_written(
            seed: u64, nodes in 1_u8..=9, max_down in proptest::option::of(0_u8..=3), rounds in 1_usize..40,
        ) {
            let ground = ground(nodes, max_down);
            let mut rng = split(seed, "test");
            let mut schedule = generate::random(&ground, &mut rng);
            let other = generate::random(&ground, &mut rng);
            for _ in 0..rounds {
                match rng.random_range(0..10) {
                    0 => { splice(&mut schedule, &other, &ground, &mut rng); }
                    1 => prolong(&mut schedule, &ground, &mut rng),
                    _ => { Mutation::ALL.choose(&mut rng).unwrap().apply(&mut schedule, &ground, &mut rng); }
                }
                prop_assert_eq!(schedule.check(), Ok(()));
                prop_assert_eq!(max_down.map_or(Ok(()), |max| schedule.check_down(max)), Ok(()));
                prop_assert!(schedule.steps.len() <= STEPS_MAX);
            }
            let text = schedule.to_toml();
            let parsed = Schedule::parse(&text);
                prop_assert_eq!(parsed, Ok(schedule), "{}", text);
        }

        #[test]
        fn repair_fits_any_schedule_to_any_ground(
            seed: u64, from in 1_u8..=9, to in 1_u8..=9, max_down in proptest::option::of(0_u8..=3),
        ) {
            let mut rng = split(seed, "test");
            let mut schedule = generate::random(&ground(from, None), &mut rng);
            let mut narrow = ground(to, max_down);
            narrow.horizon_ms = 1000;
            repair(&mut schedule, &narrow);
            prop_assert_eq!(schedule.check(), Ok(()));
            prop_assert_eq!(max_down.map_or(Ok(()), |max| schedule.check_down(max)), Ok(()));
            let once = schedule.clone();
            repair(&mut schedule, &narrow);
            prop_assert_eq!(schedule, once);
        }
    }

    #[test]
    fn legal_schedules_are_left_alone_by_repair() {
        let ground = ground(3, None);
        let mut rng = split(5, "alone");
        for _ in 0..100 {
            let schedule = generate::random(&ground, &mut rng);
            let mut repaired = schedule.clone();
            repair(&mut repaired, &ground);
            assert_eq!(repaired, schedule);
        }
    }

    #[test]
    fn each_mutation_changes_something() {
        let ground = ground(3, None);
        let mut rng = split(9, "each");
        for mutation in Mutation::ALL {
            let changed = (0..50)
                .filter(|_| {
                    let before = generate::random(&ground, &mut rng);
                    let mut after = before.clone();
                    mutation.apply(&mut after, &ground, &mut rng) && after != before
                })
                .count();
            assert!(changed > 10, "{} changed {changed} of 50", mutation.name());
        }
    }

    #[test]
    fn the_agent_goes_on_after_the_last_kept_instant() {
        let ground = ground(3, None);
        let mut schedule = ground.control(4);
        let at =
            |at_ms| Step { when: Trigger::At { at_ms }, fault: Fault::Kill { node: Node(1), down_ms: 5 } };
        schedule.steps = vec![at(100), at(700)];
        let mut froms = std::collections::BTreeSet::new();
        let mut salts = std::collections::BTreeSet::new();
        for seed in 0..40 {
            let mut longer = schedule.clone();
            prolong(&mut longer, &ground, &mut split(seed, "p"));
            froms.insert((longer.steps.len(), longer.agent_from_ms));
            salts.insert(longer.agent_salt);
        }
        assert_eq!(salts.len(), 40, "each goes on in its own way");
        assert_eq!(froms.into_iter().collect::<Vec<_>>(), [(0, Some(0)), (1, Some(101)), (2, Some(701))]);
    }

    #[test]
    fn a_return_keeps_what_led_to_the_instant_and_nothing_else_of_the_clock() {
        let ground = ground(3, None);
        let fault = Fault::Kill { node: Node(1), down_ms: 5 };
        let at = |at_ms| Step { when: Trigger::At { at_ms }, fault: fault.clone() };
        let on = Trigger::On { event: "fsync".into(), node: None, peer: None, nth: 9 };
        let on = Step { when: on, fault: fault.clone() };
        let mut schedule = ground.control(4);
        schedule.steps = vec![at(100), on.clone(), at(750), at(900)];
        return_to(&mut schedule, 750, &ground, &mut split(1, "r"));
        assert_eq!((schedule.steps, schedule.agent_from_ms), (vec![at(100), on], Some(750)));
    }

    #[test]
    fn no_more_nodes_go_down_than_allowed() {
        let ground = ground(5, Some(1));
        let mut schedule = ground.control(4);
        let kill = |node, at_ms, down_ms| Step {
            when: Trigger::At { at_ms },
            fault: Fault::Kill { node: Node(node), down_ms },
        };
        schedule.steps = vec![kill(1, 0, 100), kill(2, 99, 5), kill(2, 100, 5), kill(1, 50, 10)];
        assert_eq!(schedule.down_at_once(), 2);
        repair(&mut schedule, &ground);
        assert_eq!(schedule.steps, vec![kill(1, 0, 100), kill(2, 100, 5), kill(1, 50, 10)]);
    }
}
