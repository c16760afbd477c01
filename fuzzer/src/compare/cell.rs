//! A cell is all that one search depends on; a trial is a cell with what came of it. Results of another program, target or
//! setting are other cells, and are never mixed in.

use super::experiment::Arm;
use crate::campaign::Search;
use crate::target::build::sha256;
use interceptor::sandbox::Clock;
use serde::{Deserialize, Serialize};

/// Everything that a search depends on, but for the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// SHA-256 of the program that searches, in hex.
    pub fuzz: String,
    /// What is searched.
    pub subject: Subject,
    /// Why.
    pub role: Role,
    /// What counts as found: signatures, or their beginnings with `*`; empty: any violation.
    pub signatures: Vec<String>,
    /// Who chooses.
    pub agent: String,
    /// How candidates are drawn.
    pub search: Search,
    /// Whether there are any faults.
    pub faults: bool,
    /// Seeds every choice.
    pub seed: u64,
    /// Clusters at a time.
    pub cores: u16,
    /// Most executions.
    pub executions: u64,
    /// Most host seconds.
    pub seconds: Option<u64>,
    /// The longest schedule.
    pub horizon_ms: u64,
}

/// What is searched: a target as it is built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The target's name.
    pub target: String,
    /// Digest of its manifest and files, in hex.
    pub manifest: String,
    /// Digest of its binary, in hex.
    pub binary: String,
    /// By which clock it lives.
    pub clock: Clock,
    /// Nodes of a cluster.
    pub nodes: u8,
    /// Planted bugs that are switched on.
    pub bugs: Vec<String>,
    /// What clients work on; absent: whatever the target offers.
    pub workload: Option<String>,
}

/// Why something is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// For its bug: until that is found.
    Hunt,
    /// It has none: all the time there is, and whatever is found is a false alarm.
    Twin,
}

/// What came of a search. All but `seconds` is the same for the same cell, as long as no limit in seconds ends it and the
/// target lives by the virtual clock.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The bug, if it was found.
    pub found: Option<String>,
    /// Executions until then, or all there were.
    pub executions: u64,
    /// Host seconds until then, or in all.
    pub seconds: f64,
    /// Signatures of all findings.
    pub findings: Vec<String>,
    /// Steps of executed schedules.
    pub steps: u64,
    /// Those of them that touched anything.
    pub landed: u64,
    /// Executions that could not be judged.
    pub unknown: u64,
    /// Runs whose repetition differed.
    pub diverged: u64,
    /// Schedules that could not be run.
    pub skipped: u64,
    /// Distinct states seen after so many executions; see [`super::outside`].
    pub states: Vec<(u64, u64)>,
    /// How far the agent was from uniform in the end: total variation.
    pub distance: f64,
}

/// A search that is over: a line of the raw results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// What it depended on.
    pub cell: Cell,
    /// What came of it.
    pub outcome: Outcome,
}

impl Cell {
    /// Its digest, in hex: cells with equal keys are equal.
    ///
    /// # Panics
    /// Never: cells are plain data.
    #[must_use]
    pub fn key(&self) -> String {
        let text = serde_json::to_vec(self).expect("cells are plain data");
        sha256(&text).chars().take(32).collect()
    }

    /// Whether this arm is the one that searches.
    #[must_use]
    pub fn is_of(&self, arm: &Arm) -> bool {
        self.agent == arm.agent && self.search == arm.search && self.faults == arm.faults
    }

    /// Whether a finding with this signature is what is searched for.
    #[must_use]
    pub fn is_sought(&self, signature: &str) -> bool {
        let is_like = |pattern: &String| match pattern.strip_suffix('*') {
            Some(beginning) => signature.starts_with(beginning),
            None => signature == pattern,
        };
        self.signatures.is_empty() || self.signatures.iter().any(is_like)
    }
}
