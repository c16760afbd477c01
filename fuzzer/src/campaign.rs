//! Campaign: the long-running loop that draws schedules, has them run, and keeps what was new.
//!
//! It owns corpus, coverage, findings and the master copy of the agent, and is the only module that names
//! libafl. It runs nothing itself ([`Executor`]s do) and prints nothing (it emits [`CampaignEvent`]s).
//!
//! Work goes in batches of one schedule per executor: draw all, run all, admit all in the order of drawing.
//! So what a campaign does depends on its seed, the number of executors and the number of executions, never
//! on which of them was faster. Each candidate has a generator of its own, made of the campaign's seed and
//! the candidate's number; a campaign that is stopped between batches and resumed goes on as if it had not
//! been.

mod allocation;
mod chronicle;
mod config;
mod coverage;
mod engine;
mod error;
mod event;
mod feedback;
mod findings;
mod input;
mod judge;
mod legacy;
mod mutator;
mod random;
mod run;
mod save;
mod scheduler;
mod stopwatch;
mod store;

pub use chronicle::{Chronicle, Class};
pub use config::{CampaignConfig, Limits, Search};
pub use coverage::FEATURES_MAX;
pub use error::CampaignError;
pub use event::{CampaignEvent, FindingSummary, Source, StopReason, Summary};
pub use legacy::Legacy;

use crate::executor::Executor;
use crate::schedule::Schedule;
use crate::tally::Tally;
use agents::{AgentMemory, Visited};
use allocation::Allocation;
use coverage::Coverage;
use engine::Engine;
use findings::Findings;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use stopwatch::Stopwatch;
use store::Store;

/// A campaign in its directory, ready to run.
pub struct Campaign {
    config: CampaignConfig,
    executors: Vec<Box<dyn Executor>>,
    store: Store,
    engine: Engine,
    memory: Memory,
    /// What happened while it was opened, for the first to listen.
    news: Vec<CampaignEvent>,
    resumed: bool,
    /// Runs that failed one after the other, up to now.
    failures: u32,
    watch: Stopwatch,
}

/// All that a campaign remembers besides the corpus.
#[derive(Debug, Serialize, Deserialize)]
struct Memory {
    counters: Counters,
    /// What became of clients' operations.
    tally: Tally,
    coverage: Coverage,
    allocation: Allocation,
    findings: Findings,
    agent: AgentMemory,
    visited: Visited,
    event_keys: Vec<String>,
    /// What features mean, of those classes that come to an end.
    words: BTreeMap<u64, String>,
    /// Schedules to be run before any is drawn.
    pending: VecDeque<Schedule>,
}

/// What a campaign counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counters {
    /// Candidates drawn; the next one's number.
    drawn: u64,
    /// Candidates executed.
    executions: u64,
    /// Host milliseconds spent in earlier sessions.
    elapsed_ms: u64,
    /// Verdicts that were undecided.
    unknown: u64,
    /// Runs whose repetition differed.
    diverged: u64,
    /// Schedules that could not be run.
    skipped: u64,
    /// Steps of executed schedules.
    steps: u64,
    /// Those of them that touched anything.
    landed: u64,
}

#[cfg(test)]
mod tests;
