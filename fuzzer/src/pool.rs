//! Pool: worker processes, one a core, each with a runner of its own.
//!
//! The parent talks to a worker in [`crate::codec`] frames: a request, then its one reply. A worker that dies
//! or falls silent is started again and gets its target and its agent anew; the schedule it ran is tried once
//! more and then given up. A worker does not outlive its parent: it ends when its standard input does.

mod serve;
mod worker;

pub use serve::{end_with_parent, pin, serve, serve_stdio};
pub use worker::{Link, Program, Worker};

use crate::execution::Execution;
use crate::executor::{ExecutorError, Learned, RunOptions};
use crate::launcher::Launcher;
use crate::schedule::Schedule;
use agents::AnyAgent;
use interceptor::sandbox::Clock;
use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a worker needs to make its runner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// The target's name.
    pub target: String,
    /// Its manifest.
    pub manifest: PathBuf,
    /// Its binary, built; in the image, where there is one.
    pub binary: PathBuf,
    /// Where nodes live.
    pub launcher: Launcher,
    /// By which clock clusters live.
    pub clock: Clock,
    /// Planted bugs that are switched on.
    pub bugs: Vec<String>,
    /// Number of nodes.
    pub nodes: u8,
    /// The processor this worker keeps to; absent: any.
    pub cpu: Option<usize>,
    /// Whatever else the runner wants to know.
    pub settings: BTreeMap<String, String>,
}

/// What a worker is asked.
#[derive(Debug, Serialize, Deserialize)]
enum Request {
    /// Make the runner.
    Setup(Box<Setup>),
    /// Replace the agent replica.
    Adopt(Box<AnyAgent>),
    /// Teach it.
    Learn(Vec<Learned>),
    /// Run a schedule.
    Run(Box<Schedule>, RunOptions),
    /// End in order.
    Quit,
}

/// What a worker answers.
#[derive(Debug, Serialize, Deserialize)]
enum Reply {
    /// It is done, and there is nothing to tell.
    Done,
    /// The schedule was run.
    Ran(Box<Execution>),
    /// It could not be done.
    Failed(ExecutorError),
}

/// The processors that this process may use: one worker each. The first is the one it is on now, so that two
/// programs that need one each as a rule take different ones.
#[must_use]
pub fn cpus() -> Vec<usize> {
    let mut cpus: Vec<usize> = sched_getaffinity(Pid::from_raw(0)).map_or_else(
        |_| vec![0],
        |set| (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).collect(),
    );
    let here = nix::sched::sched_getcpu().ok().and_then(|cpu| cpus.iter().position(|it| *it == cpu));
    cpus.rotate_left(here.unwrap_or(0));
    cpus
}

#[cfg(test)]
mod tests;
