//! Random schedules: legal by construction, varied in the way swarm testing varies, so that no setting hides a
//! bug for ever. (Groce et al., "Swarm testing", ISSTA 2012: leaving features out finds what including all
//! of them cannot.)

use crate::draw::log_uniform;
use crate::fault::figures;
use crate::fault::{Fault, Kind, Node};
use crate::schedule::{Family, Schedule, Step, Trigger, VERSION, Workload};
use interceptor::rng::Rng;
use rand::RngExt;
use rand::seq::{IndexedRandom, SliceRandom};
use std::collections::BTreeSet;

/// The most steps of a random or mutated schedule; an agent may add more.
pub const STEPS_MAX: usize = 64;
/// The most steps of a fresh one.
const STEPS_FRESH_MAX: usize = 8;
/// The most event keys remembered.
pub const EVENT_KEYS_MAX: usize = 512;
/// The shortest horizon of a random schedule, unless the campaign's is shorter.
const HORIZON_MS_MIN: u64 = 500;
/// The highest number of an event that is waited for.
const NTH_MAX: u64 = 256;

/// What is possible: everything the campaign knows of its target before it draws a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    /// The target's name.
    pub target: String,
    /// Planted bugs that are switched on.
    pub bugs: Vec<String>,
    /// Number of nodes, from 1 to 9.
    pub nodes: u8,
    /// The longest horizon, in virtual milliseconds.
    pub horizon_ms: u64,
    /// The kinds of faults that may be drawn.
    pub kinds: BTreeSet<Kind>,
    /// Most nodes that may be down at once; absent: all of them.
    pub max_down: Option<u8>,
    /// What clients can work on; empty: the first that the target offers.
    pub families: Vec<Family>,
    /// Keys of events that earlier executions showed; faults wait for these.
    pub event_keys: BTreeSet<String>,
}

impl Ground {
    /// All kinds of faults, no limit, no events known.
    #[must_use]
    pub fn new(target: &str, bugs: &[String], nodes: u8, horizon_ms: u64) -> Self {
        Self {
            target: target.to_owned(),
            bugs: bugs.to_vec(),
            nodes,
            horizon_ms,
            kinds: BTreeSet::from(Kind::ALL),
            max_down: None,
            families: Vec::new(),
            event_keys: BTreeSet::new(),
        }
    }

    /// Remembers event keys, up to [`EVENT_KEYS_MAX`] of them.
    pub fn remember<S: Into<String>>(&mut self, keys: impl IntoIterator<Item = S>) {
        for key in keys {
            if self.event_keys.len() >= EVENT_KEYS_MAX {
                return;
            }
            let key = key.into();
            if !key.is_empty() && !key.chars().any(char::is_control) {
                self.event_keys.insert(key);
            }
        }
    }

    /// The kinds that a cluster of this size can suffer.
    #[must_use]
    pub fn possible_kinds(&self) -> Vec<Kind> {
        let possible = |kind: &Kind| {
            (self.nodes > 1 || !kind.is_between()) && (self.max_down != Some(0) || !kind.takes_down())
        };
        self.kinds.iter().copied().filter(possible).collect()
    }

    /// A schedule without faults or agent, the same for a seed: what fails under it is noise or a broken target.
    #[must_use]
    pub fn control(&self, seed: u64) -> Schedule {
        Schedule {
            version: VERSION,
            target: self.target.clone(),
            bugs: self.bugs.clone(),
            nodes: self.nodes,
            seed: seed >> 1,
            horizon_ms: self.horizon_ms,
            workload: Workload::default(),
            agent_from_ms: None,
            agent_salt: 0,
            steps: Vec::new(),
        }
    }
}

/// A schedule without steps whose agent chooses from the beginning.
#[must_use]
pub fn exploring(ground: &Ground, rng: &mut Rng) -> Schedule {
    Schedule { agent_from_ms: Some(0), ..setting(ground, rng) }
}

/// A schedule of 1 to 8 random steps; without an agent.
#[must_use]
pub fn random(ground: &Ground, rng: &mut Rng) -> Schedule {
    let mut schedule = setting(ground, rng);
    let kinds = swarm(&ground.possible_kinds(), rng);
    let count = rng.random_range(1..=STEPS_FRESH_MAX);
    for _ in 0..count {
        if let Some(step) = step(ground, &kinds, schedule.horizon_ms, rng) {
            schedule.steps.push(step);
        }
    }
    crate::mutate::repair(&mut schedule, ground);
    schedule
}

/// Seed, horizon and workload; no steps yet.
fn setting(ground: &Ground, rng: &mut Rng) -> Schedule {
    let mut schedule = ground.control(rng.random());
    if rng.random_ratio(1, 4) {
        schedule.horizon_ms = rng.random_range(ground.horizon_ms / 2..=ground.horizon_ms);
    }
    schedule.horizon_ms = schedule.horizon_ms.clamp(HORIZON_MS_MIN.min(ground.horizon_ms), ground.horizon_ms);
    schedule.workload = workload(ground, rng);
    schedule
}

/// What clients do: the usual load half of the time, on any of the families where there are several.
#[must_use]
pub fn workload(ground: &Ground, rng: &mut Rng) -> Workload {
    let family = ground.families.choose(rng).copied();
    if rng.random_ratio(1, 2) {
        return Workload { family, ..Workload::default() };
    }
    Workload {
        family,
        clients: rng.random_range(1..=8),
        rate: u32::try_from(log_uniform(5, 100, rng)).expect("at most 100"),
        keys: rng.random_range(1..=6),
        operations: None,
    }
}

/// A random subset, not empty when there is anything to choose: all of them one time in four.
fn swarm(kinds: &[Kind], rng: &mut Rng) -> Vec<Kind> {
    if kinds.len() < 2 || rng.random_ratio(1, 4) {
        return kinds.to_vec();
    }
    let mut shuffled = kinds.to_vec();
    shuffled.shuffle(rng);
    shuffled.truncate(rng.random_range(1..=kinds.len()));
    shuffled
}

/// A random step before `horizon_ms`; `None` when no kind is possible.
#[must_use]
pub fn step(ground: &Ground, kinds: &[Kind], horizon_ms: u64, rng: &mut Rng) -> Option<Step> {
    let kind = *kinds.choose(rng)?;
    Some(Step { when: trigger(ground, horizon_ms, rng), fault: fault(kind, ground.nodes, horizon_ms, rng) })
}

/// A random instant, or a random event when any are known: one time in three. What sort of event is drawn first:
/// messages have many keys, a change of role few.
#[must_use]
pub fn trigger(ground: &Ground, horizon_ms: u64, rng: &mut Rng) -> Trigger {
    let stem = |event: &str| event.split(':').next().unwrap_or_default().to_owned();
    let stems: BTreeSet<String> = ground.event_keys.iter().map(|event| stem(event)).collect();
    let stems: Vec<&String> = stems.iter().collect();
    let drawn = stems.choose(rng).copied();
    let keys: Vec<&String> = ground.event_keys.iter().filter(|event| Some(&stem(event)) == drawn).collect();
    match keys.choose(rng) {
        Some(event) if rng.random_ratio(1, 3) => {
            let node = rng.random_ratio(1, 2).then(|| node(ground.nodes, rng));
            let stem = stem(event);
            let has_peer =
                matches!(stem.as_str(), "send" | "receive" | "connect" | "connect_failed" | "disconnect");
            let peer = (has_peer && rng.random_ratio(1, 4)).then(|| self::node(ground.nodes, rng));
            Trigger::On {
                event: (*event).clone(),
                node,
                peer: peer.filter(|peer| Some(*peer) != node),
                nth: u32::try_from(log_uniform(1, NTH_MAX, rng)).expect("at most NTH_MAX"),
            }
        }
        _ => Trigger::At { at_ms: rng.random_range(0..horizon_ms.max(1)) },
    }
}

/// A random fault of this kind. A kind that needs two nodes must not be asked of a single one.
#[must_use]
pub fn fault(kind: Kind, nodes: u8, horizon_ms: u64, rng: &mut Rng) -> Fault {
    let for_ms = figures::DURATION_MS.up_to(horizon_ms).draw(rng);
    let victim = node(nodes, rng);
    match kind {
        Kind::Partition => {
            Fault::Partition { side: side(nodes, rng), direction: figures::direction(rng), for_ms }
        }
        Kind::Link => Fault::Link { from: victim, to: other(victim, nodes, rng), for_ms },
        Kind::Delay => {
            let (delay_ms, jitter_ms) = figures::delay(rng);
            Fault::Delay { from: victim, to: other(victim, nodes, rng), delay_ms, jitter_ms, for_ms }
        }
        Kind::Stall => Fault::Stall { from: victim, to: other(victim, nodes, rng), for_ms },
        Kind::Reset => Fault::Reset { a: victim, b: other(victim, nodes, rng) },
        Kind::Kill => Fault::Kill { node: victim, down_ms: for_ms },
        Kind::PowerLoss => Fault::PowerLoss { node: victim, loss: figures::loss(rng), down_ms: for_ms },
        Kind::Pause => Fault::Pause { node: victim, for_ms },
        Kind::ClockJump => {
            let by_ms = figures::JUMP_MS.draw(rng).cast_signed();
            Fault::ClockJump { node: victim, by_ms: if rng.random() { by_ms } else { -by_ms } }
        }
        Kind::ClockRate => {
            Fault::ClockRate { node: victim, percent: figures::percent(rng.random(), rng), for_ms }
        }
        Kind::SlowFsync => Fault::SlowFsync { node: victim, delay_ms: figures::SYNC_MS.draw(rng), for_ms },
        Kind::FsyncError => Fault::FsyncError { node: victim, count: figures::FAILURES.draw_u32(rng) },
        Kind::NoSpace => Fault::NoSpace { node: victim, bytes: figures::room(rng), for_ms },
    }
}

/// Any node.
#[must_use]
pub fn node(nodes: u8, rng: &mut Rng) -> Node {
    Node(rng.random_range(1..=nodes.max(1)))
}

/// Any node but this; the same one when there is no other.
#[must_use]
pub fn other(than: Node, nodes: u8, rng: &mut Rng) -> Node {
    if nodes < 2 {
        return than;
    }
    let drawn = rng.random_range(1..nodes);
    Node(if drawn >= than.0 { drawn + 1 } else { drawn })
}

/// One node half of the time, else any proper part of the cluster, in order.
#[must_use]
pub fn side(nodes: u8, rng: &mut Rng) -> Vec<Node> {
    if nodes < 3 || rng.random() {
        return vec![node(nodes, rng)];
    }
    let mut all: Vec<Node> = (1..=nodes).map(Node).collect();
    all.shuffle(rng);
    all.truncate(rng.random_range(1..usize::from(nodes)));
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use interceptor::rng::split;
    use proptest::prelude::*;

    pub(crate) fn ground(nodes: u8, max_down: Option<u8>) -> Ground {
        let mut ground = Ground::new("demo", &["stale".into()], nodes, 8000);
        ground.max_down = max_down;
        ground.remember(["send:append", "receive:vote", "fsync", "two\nlines", ""]);
        ground
    }

    proptest! {
        #[test]
        fn every_random_schedule_can_be_run_and_written(
            seed: u64, nodes in 1_u8..=9, max_down in proptest::option::of(0_u8..=3),
        ) {
            let ground = ground(nodes, max_down);
            let mut rng = split(seed, "test");
            for schedule in [random(&ground, &mut rng), exploring(&ground, &mut rng), ground.control(seed)] {
                prop_assert_eq!(schedule.check(), Ok(()));
                prop_assert_eq!(max_down.map_or(Ok(()), |max| schedule.check_down(max)), Ok(()));
                let text = schedule.to_toml();
                prop_assert!(schedule.steps.len() <= STEPS_FRESH_MAX);
                let parsed = Schedule::parse(&text);
                prop_assert_eq!(parsed, Ok(schedule), "{}", text);
            }
        }
    }

    #[test]
    fn all_kinds_and_both_triggers_are_drawn() {
        let ground = ground(3, None);
        let mut rng = split(1, "coverage");
        let schedules: Vec<Schedule> = (0..300).map(|_| random(&ground, &mut rng)).collect();
        let steps: Vec<&Step> = schedules.iter().flat_map(|schedule| &schedule.steps).collect();
        let kinds: BTreeSet<Kind> = steps.iter().map(|step| step.fault.kind()).collect();
        assert_eq!(kinds, BTreeSet::from(Kind::ALL));
        let events = steps.iter().filter(|step| matches!(step.when, Trigger::On { .. })).count();
        assert!((steps.len() / 5..steps.len() / 2).contains(&events), "{events} of {}", steps.len());
        let swarms: BTreeSet<usize> = schedules
            .iter()
            .map(|s| s.steps.iter().map(|s| s.fault.kind()).collect::<BTreeSet<_>>().len())
            .collect();
        assert!(swarms.contains(&1) && swarms.len() > 4, "{swarms:?}");
    }

    #[test]
    fn equal_seeds_give_equal_schedules() {
        let ground = ground(3, Some(1));
        let draw = |seed| random(&ground, &mut split(seed, "x"));
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }

    #[test]
    fn keys_that_cannot_be_written_are_not_remembered() {
        assert_eq!(ground(3, None).event_keys.len(), 3);
    }
}
