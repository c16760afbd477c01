//! Executor: what runs one schedule, wherever it does so.
//!
//! Two things implement it: the runner inside this process, and a worker process that holds such a runner
//! (see [`crate::pool`]). Each holds a replica of the campaign's agent, which chooses while a run goes on and
//! learns nothing meanwhile: a run asks a clone. What there is to learn arrives afterwards through
//! [`Executor::learn`], the same for every replica and in the same order, so that replicas stay identical.

use crate::execution::Execution;
use crate::schedule::Schedule;
use agents::{Agent, AnyAgent, Transition, Turn};
use interceptor::rng::{Rng, split};
use rand::Rng as _;
use serde::{Deserialize, Serialize};

/// What to keep of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOptions {
    /// Fill [`Execution::detail`].
    pub detail: bool,
    /// Keep the event log, one line a call, in the detail.
    pub calls: bool,
}

/// What an executed schedule teaches an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Learned {
    /// What the agent drew for the run: what it taught is credited as it was chosen.
    pub turn: Turn,
    /// The choices and what came of them, complete with rewards.
    pub transitions: Vec<Transition>,
}

impl Learned {
    /// Teaches one agent: master and replicas alike, nothing else may.
    pub fn teach(&self, agent: &mut AnyAgent) {
        agent.resume(&self.turn);
        for transition in &self.transitions {
            agent.learn(transition);
        }
        agent.end();
    }
}

/// The generator of one part of an agent's choices in the run of a schedule with this seed and salt. Schedules of one seed
/// begin alike; another salt goes on in another way.
#[must_use]
pub fn stream(seed: u64, salt: u64, label: &str) -> Rng {
    match salt {
        0 => split(seed, label),
        _ => split(split(seed, label).next_u64() ^ salt, label),
    }
}

/// Why a schedule was not run. None of these is the target's misbehaviour, and none is ever a finding.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum ExecutorError {
    /// Nothing can be run: the target does not start without faults, or this host lacks something.
    #[error("cannot run the target: {why}")]
    SetUp {
        /// Which node or facility, its output, and the next step.
        why: String,
    },
    /// This schedule could not be run; others may.
    #[error("the run failed: {why}")]
    Run {
        /// What went wrong.
        why: String,
    },
    /// The user wants the program to end.
    #[error("it was interrupted")]
    Interrupted,
    /// A worker process ended or fell silent while it ran the schedule, twice.
    #[error("worker {worker} died twice on one schedule: {why}")]
    WorkerDied {
        /// Its number, from 0.
        worker: usize,
        /// How it ended the second time.
        why: String,
    },
    /// A worker process cannot be started or does not answer as it should.
    #[error("worker {worker} cannot be used: {why}")]
    Worker {
        /// Its number, from 0.
        worker: usize,
        /// What went wrong.
        why: String,
    },
}

/// A worker process that was started again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// Its number, from 0.
    pub worker: usize,
    /// How its predecessor ended.
    pub why: String,
}

/// Runs schedules, one at a time.
pub trait Executor: Send {
    /// Replaces the agent replica.
    ///
    /// # Errors
    /// When a worker process cannot be reached.
    fn adopt(&mut self, agent: &AnyAgent) -> Result<(), ExecutorError>;

    /// Teaches the replica, with [`Learned::teach`], in order; always between runs.
    ///
    /// # Errors
    /// When a worker process cannot be reached.
    fn learn(&mut self, episodes: &[Learned]) -> Result<(), ExecutorError>;

    /// Runs a schedule. From `agent_from_ms` on a clone of the replica is asked, drawing from [`stream`]; its choices
    /// are in the executed schedule, whose own `agent_from_ms` is absent.
    ///
    /// # Errors
    /// When it was not run: never because of what the target did under faults.
    fn run(&mut self, input: &Schedule, options: RunOptions) -> Result<Execution, ExecutorError>;

    /// Restarts since the last call; an executor that is no process has none.
    fn restarts(&mut self) -> Vec<Restart> {
        Vec::new()
    }
}
