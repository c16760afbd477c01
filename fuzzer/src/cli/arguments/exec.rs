//! `fuzz exec`: what can be typed.

use super::which::ClockName;
use crate::cli::amount::duration;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

pub(super) const EXAMPLES: &str = "\
Examples:
  fuzz exec -- python3 -c 'import time; time.sleep(3600); print(time.time())'
                                                   an hour of its time, in no time; --time bounds it
  fuzz exec --times 2 -- ./server --help           two runs: are they the same, call by call?
  fuzz exec --node-count 3 -- ./server --id {id} --listen {ip}:7000 --peers {ips} --dir {data}
  fuzz exec --file app.js=app.js -- node --single-threaded app.js
  fuzz exec --calls calls.log -- ./server          every intercepted call, with its result and its time

What the program writes is on standard output and standard error. On standard error it ends with: how the program ended,
the calls that it was refused, what it used that the sandbox does not own, and the hash of the run.
{id}, {ip}, {ip:2}, {ips}, {nodes} and {data} mean what they mean in a manifest.

Exit code 0: it ended with status 0, or was still running when its time was over; 1: with another, or by a signal;
2: it could not be started; 3: two runs differ; 4: the sandbox ended the run, and said why;
130: it was interrupted.";

/// `fuzz exec`
#[derive(Debug, Args)]
pub struct Exec {
    /// Seeds every choice of the sandbox
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How many nodes run it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=9))]
    pub node_count: u8,
    /// The most time it gets by its own clock, such as 500ms or 1h
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "60s")]
    pub time: Duration,
    /// By which clock it lives
    #[arg(long, value_name = "CLOCK", value_enum)]
    pub clock: Option<ClockName>,
    /// Something in its environment, which holds PATH, HOME and LANG only. May be repeated
    #[arg(long = "env", value_name = "NAME=VALUE")]
    pub environment: Vec<String>,
    /// A file that it finds in its data directory, where it starts. May be repeated
    #[arg(long = "file", value_name = "FROM=TO")]
    pub files: Vec<String>,
    /// Write all intercepted calls of the first run
    #[arg(long, value_name = "FILE")]
    pub calls: Option<PathBuf>,
    /// Run it as often, and compare: any difference is exit code 3
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub times: u64,
    /// The program, by path or by its name in PATH, and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM")]
    pub command: Vec<String>,
}
