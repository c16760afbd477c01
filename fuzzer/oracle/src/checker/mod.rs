//! Checkers, one a file, and [`judge`], which runs those a target asks for in a fixed order.

pub mod assertion;
pub mod bank;
pub mod causal;
pub mod causal_reverse;
pub mod collection;
pub mod conformance;
pub mod convergence;
pub mod counter;
pub mod crash;
pub mod durability;
pub mod fencing;
pub mod kafka;
pub mod linearizable;
pub mod liveness;
pub mod lock;
pub mod long_fork;
pub mod missed;
pub mod named;
pub mod output;
pub mod predicate;
pub mod process;
pub mod queue;
pub mod raft;
pub mod recovery;
pub mod sanitizer;
mod seen;
pub mod semaphore;
pub mod set;
mod shape;
#[cfg(test)]
pub(crate) mod simulation;
pub mod stats;
pub mod steady_state;
pub mod transaction;
pub mod unique_ids;
pub mod watch;

use crate::history::{Entry, ops};
use crate::op::Outcome;
use crate::verdict::{Judgement, Verdicts};
use crash::ProcessExit;
use liveness::Quiet;
use serde::{Deserialize, Serialize};

/// Everything a run left behind that an oracle may look at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observations {
    /// Client operations.
    pub history: Vec<Entry>,
    /// What nodes said of themselves, in the order in which they said it.
    pub reports: Vec<raft::Report>,
    /// Ends of nodes.
    pub exits: Vec<ProcessExit>,
    /// What nodes wrote, in the order in which they wrote it.
    pub lines: Vec<sanitizer::Line>,
    /// Assertions of clients that did not hold.
    pub assertions: Vec<assertion::Failed>,
    /// The time after the last fault, if the run had one.
    pub quiet: Option<Quiet>,
    /// Virtual nanoseconds from which on reads are final, if the run took final reads.
    pub final_from_ns: Option<u64>,
    /// Virtual nanoseconds from which on what final reads missed was asked for once more, after a change through the same
    /// nodes and a rest, if that was done: what is missed then too is lost, and not late.
    #[serde(default)]
    pub again_from_ns: Option<u64>,
}

/// Which oracles judge, and how strictly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Run [`crash`].
    pub crash: bool,
    /// Statuses with which a node may exit by itself.
    pub exit_allowed: Vec<i32>,
    /// Run [`sanitizer`].
    pub sanitizer: bool,
    /// Lines that nodes should not write: see [`output`].
    pub output: Vec<output::Pattern>,
    /// Run [`assertion`].
    pub assertion: bool,
    /// Run [`raft`].
    pub raft: bool,
    /// Run [`durability`], on runs that took final reads.
    pub durability: bool,
    /// Run [`collection`].
    pub collections: bool,
    /// What collections promise.
    pub collection: collection::Config,
    /// Run [`lock`].
    pub lock: bool,
    /// Checks by name of the operations that the others do not know.
    pub checks: Vec<named::Asked>,
    /// Run [`linearizable`].
    pub linearizability: bool,
    /// Attempts to place an operation, for each key: see [`linearizable::check`].
    pub steps_max: u64,
    /// Run [`liveness`], on runs that had a quiet period.
    pub liveness: bool,
    /// What liveness asks.
    pub progress: liveness::Config,
}

impl Default for Config {
    /// All oracles; status 0 allowed; half a million steps for each key.
    fn default() -> Self {
        Self {
            crash: true,
            exit_allowed: vec![0],
            sanitizer: true,
            output: Vec::new(),
            assertion: true,
            raft: true,
            durability: true,
            collections: true,
            collection: collection::Config::default(),
            lock: true,
            checks: Vec::new(),
            linearizability: true,
            steps_max: 500_000,
            liveness: true,
            progress: liveness::Config::default(),
        }
    }
}

impl Config {
    /// An oracle reads what clients asked and heard.
    fn reads_history(&self) -> bool {
        self.durability
            || self.collections
            || self.lock
            || self.linearizability
            || self.liveness
            || !self.checks.is_empty()
    }
}

/// Judges a run. The order of the oracles is that of [`Config`]'s fields: causes before what follows from them.
///
/// A history that breaks the rules leaves the oracles that read it undecided, and so does one in which nothing succeeded:
/// nothing judged is not valid.
#[must_use]
pub fn judge(observations: &Observations, config: &Config) -> Verdicts {
    let mut judgements = Vec::new();
    if config.crash {
        judgements.extend(crash::check(&observations.exits, &config.exit_allowed));
    }
    if config.sanitizer {
        judgements.push(sanitizer::check(&observations.lines));
    }
    if !config.output.is_empty() {
        judgements.push(output::check(&observations.lines, &config.output));
    }
    if config.assertion {
        judgements.push(assertion::check(&observations.assertions));
    }
    if config.raft {
        judgements.push(raft::check(&observations.reports));
    }
    let ops = match ops(&observations.history) {
        Ok(ops) => ops,
        Err(error) => {
            let mut history = Judgement::new("history");
            history.unknown(error.to_string());
            judgements.push(history);
            return Verdicts { judgements };
        }
    };
    if config.reads_history() && ops.iter().all(|op| op.outcome != Outcome::Ok) {
        let mut history = Judgement::new("history");
        history.unknown(match ops.len() {
            0 => "clients did nothing, so nothing that they see was judged".to_owned(),
            all => format!("none of the {all} operations succeeded, so nothing that clients see was judged"),
        });
        judgements.push(history);
    }
    let again_from_ns = observations.again_from_ns.unwrap_or(u64::MAX);
    if let (true, Some(final_from_ns)) = (config.durability, observations.final_from_ns) {
        judgements.push(durability::check(&ops, final_from_ns, again_from_ns));
    }
    if config.collections {
        judgements.push(collection::check(
            &ops,
            observations.final_from_ns,
            again_from_ns,
            config.collection,
        ));
    }
    if config.lock {
        judgements.push(lock::check(&ops));
    }
    for asked in &config.checks {
        judgements.push(named::check(observations, asked, config.steps_max));
    }
    if config.linearizability {
        judgements.push(linearizable::check(&ops, config.steps_max));
    }
    if let (true, Some(quiet)) = (config.liveness, observations.quiet) {
        judgements.push(liveness::check(&ops, quiet, &config.progress));
    }
    Verdicts { judgements }
}
