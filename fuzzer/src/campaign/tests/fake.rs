//! A target that is a function: five nodes of nothing, and a bug that needs two faults in order.

use crate::execution::{Choice, Detail, Execution, Landing, Sighting, Statistics};
use crate::executor::{Executor, ExecutorError, Learned, RunOptions, stream};
use crate::fault::{Direction, Fault, Kind, Node};
use crate::schedule::{Schedule, Step, Trigger};
use agents::{ActionId, ActionInfo, ActionSpace, Agent, AnyAgent, StateId, Turn};
use interceptor::event::{Event, EventKind, HostId, MessageId};
use interceptor::sandbox::Clock;
use interceptor::time::Instant;
use oracle::{Evidence, Verdict, Violation};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Virtual milliseconds between two choices.
const WINDOW_MS: u64 = 1000;

/// How the fake misbehaves, besides its bug.
#[derive(Clone, Debug, Default)]
pub struct Flaws {
    /// The control run is called bad.
    pub noisy: bool,
    /// Hashes differ from run to run.
    pub nondeterministic: bool,
    /// Schedules with this kind of fault cannot be run.
    pub fails_on: Option<Kind>,
    /// Runs with this kind of fault are ended early, each at another place.
    pub ends_on: Option<Kind>,
    /// The run of this number is interrupted, and all after it.
    pub interrupted_at: Option<u64>,
    /// Counts runs.
    pub runs: Arc<AtomicU64>,
}

/// Runs schedules by thinking about them.
pub struct Fake {
    pub agent: AnyAgent,
    pub flaws: Flaws,
}

impl Fake {
    pub fn boxed(flaws: &Flaws) -> Box<dyn Executor> {
        let agent = agents::build("uniform", &actions()).unwrap();
        Box::new(Self { agent, flaws: flaws.clone() })
    }
}

/// Nothing, or one of two faults on one of three nodes.
pub fn actions() -> ActionSpace {
    let mut actions = vec![ActionInfo::nothing("nothing", 0)];
    for node in 1..=3 {
        actions.push(ActionInfo::fault(format!("partition n{node}"), 1));
        actions.push(ActionInfo::fault(format!("kill n{node}"), 2));
    }
    ActionSpace::new(actions).unwrap()
}

fn fault_of(action: ActionId) -> Option<Fault> {
    let index = u8::try_from(action.0).unwrap().checked_sub(1)?;
    let node = Node(index / 2 + 1);
    Some(match index % 2 {
        0 => Fault::Partition { side: vec![node], direction: Direction::Both, for_ms: 700 },
        _ => Fault::Kill { node, down_ms: 300 },
    })
}

fn fired_ms(when: &Trigger) -> u64 {
    match when {
        Trigger::At { at_ms } => *at_ms,
        Trigger::On { nth, .. } => u64::from(*nth) * 20,
    }
}

fn hash(parts: &[&dyn std::fmt::Debug]) -> u64 {
    let digest = Sha256::digest(format!("{parts:?}"));
    u64::from_le_bytes(digest[..8].try_into().unwrap())
}

/// What happened: how far along the bug it came, when, and the features.
fn think(schedule: &Schedule) -> (u32, u64, Vec<u64>) {
    let mut steps: Vec<(u64, &Step)> = schedule.steps.iter().map(|s| (fired_ms(&s.when), s)).collect();
    steps.sort_by_key(|(at, _)| *at);
    let (mut stage, mut since, mut before) = (0, 0, None);
    let mut features = vec![hash(&[&"calm"])];
    for (at, step) in steps {
        let kind = step.fault.kind();
        let what = (kind, step.fault.victims());
        features.push(hash(&[&before, &what]));
        before = Some(kind);
        match &step.fault {
            Fault::Partition { side, direction: Direction::Both, for_ms }
                if *side == [Node(1)] && *for_ms > 500 =>
            {
                (stage, since) = (1, at);
            }
            Fault::Kill { node: Node(2), .. } if stage == 1 && at > since && at < since + 1500 => {
                (stage, since) = (2, at);
            }
            _ => {}
        }
        features.push(hash(&[&"stage", &stage]));
    }
    features.sort_unstable();
    features.dedup();
    (stage, since, features)
}

impl Executor for Fake {
    fn adopt(&mut self, agent: &AnyAgent) -> Result<(), ExecutorError> {
        self.agent = agent.clone();
        Ok(())
    }

    fn learn(&mut self, episodes: &[Learned]) -> Result<(), ExecutorError> {
        episodes.iter().for_each(|episode| episode.teach(&mut self.agent));
        Ok(())
    }

    fn run(&mut self, input: &Schedule, options: RunOptions) -> Result<Execution, ExecutorError> {
        let run = self.flaws.runs.fetch_add(1, Ordering::Relaxed);
        if input.steps.iter().any(|step| Some(step.fault.kind()) == self.flaws.fails_on) {
            return Err(ExecutorError::Run { why: "it does that".into() });
        }
        if self.flaws.interrupted_at.is_some_and(|at| run >= at) {
            return Err(ExecutorError::Interrupted);
        }
        let mut executed = input.clone();
        let (mut turn, mut episode) = (Turn::default(), Vec::new());
        if let Some(from) = executed.agent_from_ms.take() {
            let mut agent = self.agent.clone();
            let mut rng = stream(input.seed, input.agent_salt, "agent");
            executed.agent_salt = 0;
            let legal: Vec<ActionId> = actions().ids().collect();
            turn = agent.begin(&mut rng);
            let mut at_ms = from;
            while at_ms < executed.horizon_ms {
                let state = StateId(u64::from(think(&executed).0));
                let action = agent.choose(state, &legal, &mut rng).unwrap();
                let step = fault_of(action).map(|fault| Step { when: Trigger::At { at_ms }, fault });
                executed.steps.extend(step);
                let (next, _, features) = think(&executed);
                let next = StateId(u64::from(next));
                let legal_next = legal.clone();
                episode.push(Choice { state, legal: legal.clone(), action, next, legal_next, features });
                at_ms += WINDOW_MS;
            }
        }
        let (stage, since, features) = think(&executed);
        let is_bad = stage == 2 || (self.flaws.noisy && executed.steps.is_empty());
        let ends = executed.steps.iter().any(|step| Some(step.fault.kind()) == self.flaws.ends_on);
        let verdict = if ends {
            Verdict::Unknown { why: format!("node n2, thread 1: it ran {run} ms") }
        } else if is_bad {
            Verdict::Violation(Violation {
                signature: "fake/lost".into(),
                oracle: "fake".into(),
                summary: "n2 lost what n1 had".into(),
                evidence: Evidence::default(),
                at_ns: since * 1_000_000,
            })
        } else {
            Verdict::Valid
        };
        let noise = if self.flaws.nondeterministic || ends { run } else { 0 };
        let landings = executed.steps.iter().map(|step| Landing {
            step: step.clone(),
            fired_ns: Some(fired_ms(&step.when) * 1_000_000),
            touched: 1,
            ended_ns: None,
            took: vec![],
        });
        let sent = Event {
            at: Instant(1),
            host: HostId(0),
            kind: EventKind::Send {
                message: MessageId(0),
                peer: HostId(1),
                label: "append".into(),
                bytes: 9,
            },
        };
        Ok(Execution {
            clock: Clock::Virtual,
            hash: format!("{:016x}", hash(&[&executed, &noise])),
            verdict,
            features: features.into_iter().map(|feature| Sighting { feature, at_ms: WINDOW_MS }).collect(),
            words: vec![],
            turn,
            episode,
            landings: landings.collect(),
            statistics: Statistics { virtual_ns: executed.horizon_ms * 1_000_000, ..Statistics::default() },
            detail: options.detail.then(|| Box::new(Detail { events: vec![sent], ..Detail::default() })),
            schedule: executed,
        })
    }
}
