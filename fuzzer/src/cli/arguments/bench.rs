//! `fuzz bench`: what can be typed.

use super::which::Which;
use clap::Args;

/// `fuzz bench`
#[derive(Debug, Args)]
pub struct Bench {
    #[command(flatten)]
    pub which: Which,
    /// Runs of each measurement
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    pub runs: u32,
}
