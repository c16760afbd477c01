//! What one run returned.

use crate::reproducer::sources::Sources;
use crate::schedule::{Schedule, Step};
use crate::tally::Tally;
use agents::{ActionId, StateId, Turn};
use interceptor::event::{Event, LogLine};
use interceptor::sandbox::Clock;
use oracle::{Entry, Verdict};
use serde::{Deserialize, Serialize};

/// The result of running one schedule on one target.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Execution {
    /// The executed schedule: the input's steps and the agent's choices, fully resolved.
    pub schedule: Schedule,
    /// By which clock it ran. Under the host's no other run is equal to it, and its times are real.
    pub clock: Clock,
    /// SHA-256 of the event log (every intercepted call, its arguments, result and virtual time), in hex.
    pub hash: String,
    /// What the oracles say.
    pub verdict: Verdict,
    /// Happens-before features that were seen, sorted, without repeats.
    pub features: Vec<Sighting>,
    /// What features mean that this executor has not told before, of classes that come to an end: by number, in words.
    pub words: Vec<(u64, String)>,
    /// What the agent drew for this run.
    pub turn: Turn,
    /// The agent's path through the run.
    pub episode: Vec<Choice>,
    /// For each executed step whether it fired and touched anything.
    pub landings: Vec<Landing>,
    /// Counts.
    pub statistics: Statistics,
    /// Everything a reproducer keeps; only when asked for.
    pub detail: Option<Box<Detail>>,
}

impl Execution {
    /// Nanoseconds of the run's clock at which there is most to see: when the violation became certain; in a run without
    /// one, when the last fault that touched anything was over, or the end.
    #[must_use]
    pub fn shown_ns(&self) -> u64 {
        let over = |landing: &Landing| Some(landing.ended_ns.unwrap_or(landing.fired_ns?));
        let last = self.landings.iter().filter(|landing| landing.touched > 0).filter_map(over).max();
        match (&self.verdict, last) {
            (Verdict::Violation(violation), _) => violation.at_ns,
            (_, Some(last)) => self.statistics.ready_ns.saturating_add(last),
            (_, None) => self.statistics.virtual_ns,
        }
    }

    /// It went on to its end and is unknown because clients were never served, and not because it was ended early.
    #[must_use]
    pub fn is_in_vain(&self) -> bool {
        matches!(&self.verdict, Verdict::Unknown { why } if self.statistics.tally.in_vain().as_ref() == Some(why))
    }
}

/// A feature and when the run first showed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sighting {
    /// The feature's number.
    pub feature: u64,
    /// The end of the window that showed it, in milliseconds since readiness.
    pub at_ms: u64,
}

/// One choice of the agent: in `state` it chose `action` among `legal`; when it was asked again, or nothing was chosen any
/// more, the cluster was in `next`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The state it saw.
    pub state: StateId,
    /// What it was allowed to do.
    pub legal: Vec<ActionId>,
    /// What it did.
    pub action: ActionId,
    /// The state it led to.
    pub next: StateId,
    /// What it was or would have been allowed to do there.
    pub legal_next: Vec<ActionId>,
    /// Features of the windows between the two states, sorted, without repeats.
    pub features: Vec<u64>,
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Landing {
    /// The step.
    pub step: Step,
    /// Virtual nanoseconds after readiness at which it fired; absent when its trigger never came.
    pub fired_ns: Option<u64>,
    /// What it held back, stopped or failed: packets, threads, calls. Zero: it touched nothing.
    pub touched: u64,
    /// Virtual nanoseconds after readiness at which it ended, before its time if all faults ended then; absent when it
    /// strikes at once, never fired or never ended.
    #[serde(default)]
    pub ended_ns: Option<u64>,
    /// What a power loss took: changes, bytes, names.
    #[serde(default)]
    pub took: Vec<String>,
}

/// Counts of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// Nanoseconds of the run's clock from switching on to the end.
    pub virtual_ns: u64,
    /// Nanoseconds of the run's clock from switching on until the cluster was ready.
    pub ready_ns: u64,
    /// Wall nanoseconds; this and the next are the only figures that differ between equal runs.
    pub wall_ns: u64,
    /// Wall nanoseconds until the cluster was ready.
    pub ready_wall_ns: u64,
    /// Intercepted calls.
    pub calls: u64,
    /// Messages sent.
    pub messages: u64,
    /// Client operations invoked.
    pub operations: u64,
    /// What became of them, by kind.
    #[serde(default)]
    pub tally: Tally,
    /// Windows summarised.
    pub windows: u64,
    /// Sources the guests read that the sandbox does not own, by name.
    pub leaks: Vec<String>,
}

/// Everything a reproducer keeps beside the schedule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Detail {
    /// Client operations.
    pub history: Vec<Entry>,
    /// What the shim saw.
    pub events: Vec<Event>,
    /// All output of all nodes since the start.
    pub logs: Vec<LogLine>,
    /// Names of the hosts, by their number.
    pub hosts: Vec<String>,
    /// The event log, one line an entry, when it was asked for.
    pub calls: Vec<String>,
    /// Files of the host that were a part of the run, by name, and their digests.
    pub sources: Sources,
}
