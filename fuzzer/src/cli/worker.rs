//! `fuzz worker`: runs schedules for another `fuzz`, which talks to it through standard input and output.

use super::exit::Exit;
use fuzzer::executor::{Executor, ExecutorError};
use fuzzer::pool::{self, Setup};
use fuzzer::run::Runner;
use fuzzer::target::Target;
use interceptor::room::Room;

/// What the files of one cluster may take, in bytes.
const DISK_MAX: u64 = 1 << 30;

/// Answers until the parent is gone.
pub fn main() -> anyhow::Result<Exit> {
    pool::serve_stdio(runner)?;
    Ok(Exit::Clean)
}

fn runner(setup: &Setup) -> Result<Box<dyn Executor>, ExecutorError> {
    let set_up = |why: String| ExecutorError::SetUp { why };
    let target = Target::load(&setup.manifest).map_err(|error| set_up(error.to_string()))?;
    let room = Room::enter(DISK_MAX).map_err(|error| set_up(error.to_string()))?;
    pool::end_with_parent();
    let runner = Runner::new(&target, &setup.binary, &setup.launcher, None, room)?;
    Ok(Box::new(runner.with_clock(setup.clock)))
}
