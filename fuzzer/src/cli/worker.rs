//! `fuzz worker`: runs schedules for another `fuzz`, which talks to it through standard input and output.

use super::exit::Exit;
use fuzzer::{pool, run};

/// Answers until the parent is gone.
pub fn main() -> anyhow::Result<Exit> {
    pool::serve_stdio(run::executor)?;
    Ok(Exit::Clean)
}
