//! `fuzz smoke`: what can be typed.

use super::which::Which;
use crate::cli::amount::duration;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// `fuzz smoke`
#[derive(Debug, Args)]
pub struct Smoke {
    #[command(flatten)]
    pub which: Which,
    /// Bound on the search, such as 60s
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "60s")]
    pub time: Duration,
    /// Bound on the search in executions: the same search every time
    #[arg(long, value_name = "N")]
    pub executions: Option<u64>,
    /// Seeds the search
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub seed: u64,
    /// Planted bugs for the search
    #[arg(long = "bug", value_name = "NAMES", default_value = "none")]
    pub bugs: Vec<String>,
    /// Write JUnit XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Clusters run at a time [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub cores: Option<u16>,
    /// Where findings go [default: ./fuzz-out/TARGET-smoke, emptied first]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write what is run of corpora/, and the first 100 executions of the search, to DIR too, each as a finding is written,
    /// whatever it showed
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}
