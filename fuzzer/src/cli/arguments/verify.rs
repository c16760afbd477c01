//! `fuzz verify`: what can be typed.

use super::which::Which;
use crate::cli::amount::duration;
use clap::Args;
use std::time::Duration;

pub(super) const EXAMPLES: &str = "\
Examples:
  fuzz verify --target raft-demo --schedules 20
  fuzz verify --target raft-demo --schedules 200 --load

Each random schedule is run twice: in another process, another directory and on another core the second time,
with --load beside programs that keep all cores busy. Exit code 3 shows the first event that differs. A run without faults
comes first. All runs are judged too: how many are clean, violated or unknown is told, and where the run without faults
violates something the exit code is 1, where nothing was put to the test it is 4.";

/// `fuzz verify`
#[derive(Debug, Args)]
pub struct Verify {
    #[command(flatten)]
    pub which: Which,
    /// Random schedules to compare
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub schedules: u64,
    /// Keep all cores busy during second runs
    #[arg(long)]
    pub load: bool,
    /// Planted bugs
    #[arg(long = "bug", value_name = "NAMES", default_value = "none")]
    pub bugs: Vec<String>,
    /// Seeds the schedules
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub seed: u64,
    /// Virtual time during which faults strike
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10s")]
    pub horizon: Duration,
    /// Nodes of a cluster [default: as the target says]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=9))]
    pub nodes: Option<u8>,
}
