//! What a campaign tells while it runs: one event a line in `events.jsonl`, and all that reports are made of.

use crate::execution::Execution;
use crate::schedule::Schedule;
use crate::tally::{Counts, Tally};
use agents::Divergence;
use interceptor::sandbox::Clock;
use oracle::Function;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Something that happened in a campaign. Fields ending in `elapsed_ms` or `per_second`, and when it is
/// saved, depend on the host; everything else is determined by seed, cores and executions.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum CampaignEvent {
    /// A session begins.
    Started {
        /// The target's name.
        target: String,
        /// Planted bugs that are switched on.
        bugs: Vec<String>,
        /// Number of nodes.
        nodes: u8,
        /// The campaign's seed.
        seed: u64,
        /// The agent, parameters included.
        agent: String,
        /// Number of executors.
        cores: usize,
        /// The longest horizon, in milliseconds of the clock.
        horizon_ms: u64,
        /// By which clock clusters live.
        #[serde(default)]
        clock: Clock,
        /// Whether it goes on where an earlier session stopped.
        resumed: bool,
        /// Executions so far.
        executions: u64,
        /// Corpus entries so far.
        corpus: usize,
        /// Findings so far.
        findings: usize,
    },
    /// The run without faults is over, on every executor.
    Control {
        /// Its hash, from the first executor.
        hash: String,
        /// Whether all repetitions had this hash; absent by the host's clock, where none has.
        equal: Option<bool>,
        /// `valid`, or why that is unknown.
        verdict: String,
        /// Virtual nanoseconds of one.
        virtual_ns: u64,
        /// Host nanoseconds of one.
        wall_ns: u64,
        /// What nodes and clients used and the sandbox does not own, by name.
        #[serde(default)]
        leaks: Vec<String>,
        /// What became of its operations.
        #[serde(default)]
        operations: Tally,
    },
    /// A batch is over.
    Executed {
        /// Executions so far.
        executions: u64,
        /// Corpus entries.
        corpus: usize,
        /// Distinct features seen.
        features: usize,
        /// Distinct states visited.
        states: usize,
        /// Findings.
        findings: usize,
        /// Steps of executed schedules.
        steps: u64,
        /// Those of them that touched anything.
        landed: u64,
        /// What became of clients' operations so far, by kind.
        #[serde(default)]
        operations: BTreeMap<Function, Counts>,
        /// Executions a second of host time, in this session.
        per_second: f64,
        /// Virtual seconds a second of host time, of all clusters together, in this session.
        speed: f64,
        /// Host time of all sessions.
        elapsed_ms: u64,
        /// How likely the next candidate comes from each source; empty where that is fixed.
        #[serde(default)]
        sources: BTreeMap<Source, f64>,
    },
    /// A run that is told whole; see [`CampaignConfig::show`](super::CampaignConfig::show).
    Ran {
        /// Executions so far; absent for the control run.
        execution: Option<u64>,
        /// The run, with its detail.
        run: Box<Execution>,
    },
    /// A schedule showed something new and joined the corpus.
    NewCoverage {
        /// Executions so far.
        executions: u64,
        /// Its file name in the corpus.
        entry: String,
        /// How many of its features are new.
        new: usize,
        /// Distinct features seen.
        features: usize,
        /// Where it came from.
        source: Source,
    },
    /// A violation not reported before, run twice with the same hash; by the host's clock, seen twice.
    Finding {
        /// What was violated.
        signature: String,
        /// The signature as a directory's name, unique in the campaign.
        slug: String,
        /// The particulars in one sentence.
        summary: String,
        /// Executions so far.
        executions: u64,
        /// Host time of all sessions.
        elapsed_ms: u64,
        /// The confirming run, with its detail.
        execution: Box<Execution>,
    },
    /// A violation seen before.
    Repeat {
        /// What was violated.
        signature: String,
        /// How often by now, the first time included.
        count: u64,
    },
    /// A schedule was run twice and the runs differed: the target depends on something that the sandbox does not
    /// own.
    Diverged {
        /// What the first run violated; absent for the control run.
        signature: Option<String>,
        /// The schedule.
        schedule: Box<Schedule>,
        /// Hash of the first run.
        first: String,
        /// Hash of the second.
        second: String,
        /// What the second run violated.
        second_signature: Option<String>,
    },
    /// By the host's clock: a violation that did not show again when its schedule was repeated. It is a finding when it is
    /// seen once more, under whatever schedule.
    Unrepeated {
        /// What was violated.
        signature: String,
        /// The particulars in one sentence.
        summary: String,
        /// The schedule.
        schedule: Box<Schedule>,
        /// How often it was repeated.
        runs: u32,
    },
    /// A run could not be judged.
    Undecided {
        /// Executions so far.
        executions: u64,
        /// Why.
        why: String,
        /// The schedule.
        schedule: Box<Schedule>,
        /// Where it is kept; the first ones are.
        kept: Option<PathBuf>,
    },
    /// A worker process died and was started again.
    WorkerRestarted {
        /// Its number, from 0.
        worker: usize,
        /// How it ended.
        why: String,
    },
    /// A schedule could not be run; the campaign goes on.
    Skipped {
        /// The schedule.
        schedule: Box<Schedule>,
        /// Why.
        why: String,
    },
    /// A damaged file was set aside.
    Quarantined {
        /// Where it was.
        file: PathBuf,
        /// Where it is.
        moved_to: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A directory of a campaign has lost its memory: the campaign begins anew there.
    Forgotten {
        /// What is gone or damaged.
        why: String,
        /// Schedules of the corpus that are there, and are run again first.
        schedules: usize,
        /// Findings that are there.
        findings: usize,
    },
    /// A new campaign begins with what another one had.
    Inherited {
        /// The other's directory.
        out: PathBuf,
        /// Schedules of its corpus, which are run first.
        schedules: usize,
        /// Files there that are none.
        damaged: usize,
        /// Why what its agent learnt is not taken over; absent: it is.
        without_agent: Option<String>,
    },
    /// The directory of a finding is gone, so it counts no more and is found again.
    FindingGone {
        /// What was violated.
        signature: String,
        /// The directory's name.
        slug: String,
    },
    /// The state is on disk.
    Saved {
        /// Executions so far.
        executions: u64,
        /// How far the agent is from uniform.
        divergence: Divergence,
    },
    /// The session is over.
    Stopped {
        /// Why.
        reason: StopReason,
        /// What came of it.
        summary: Summary,
    },
}

/// Where a candidate came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// It was given: a seed, or a file put into the corpus.
    Given,
    /// The agent alone.
    Explore,
    /// Random steps.
    Random,
    /// A changed corpus entry.
    Mutate,
    /// The beginning of a corpus entry, then the agent.
    Prolong,
    /// A corpus entry up to the rarest that it showed, then the agent.
    Return,
}

impl Source {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Explore => "explore",
            Self::Random => "random",
            Self::Mutate => "mutate",
            Self::Prolong => "prolong",
            Self::Return => "return",
        }
    }
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// Its time was up.
    Time,
    /// It had its number of executions.
    Executions,
    /// It had its number of findings.
    Findings,
    /// It was asked to.
    Interrupted,
}

/// What came of a campaign, over all its sessions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Executions.
    pub executions: u64,
    /// Host time.
    pub elapsed_ms: u64,
    /// Executions a second of host time.
    pub per_second: f64,
    /// Corpus entries.
    pub corpus: usize,
    /// Distinct features.
    pub features: usize,
    /// Distinct states.
    pub states: usize,
    /// Findings, by signature.
    pub findings: Vec<FindingSummary>,
    /// Findings of this session.
    pub findings_now: u32,
    /// Verdicts that were undecided.
    pub unknown: u64,
    /// Runs whose repetition differed.
    pub diverged: u64,
    /// Violations by the host's clock that were seen once and not again.
    #[serde(default)]
    pub unrepeated: u64,
    /// Schedules that could not be run.
    pub skipped: u64,
    /// Steps of executed schedules.
    pub steps: u64,
    /// Those of them that touched anything.
    pub landed: u64,
    /// What became of clients' operations.
    #[serde(default)]
    pub operations: Tally,
    /// How far the agent is from uniform.
    pub divergence: Divergence,
}

impl Summary {
    /// Why it is not known whether the target keeps its promises, if clients were never served; nothing of a campaign that
    /// has not run.
    #[must_use]
    pub fn in_vain(&self) -> Option<String> {
        if self.executions == 0 { None } else { self.operations.in_vain() }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingSummary {
    /// What was violated.
    pub signature: String,
    /// Its directory's name.
    pub slug: String,
    /// What the execution that showed it first showed, in a sentence.
    #[serde(default)]
    pub summary: String,
    /// How often.
    pub count: u64,
    /// Number of the execution that showed it first.
    pub execution: u64,
}
