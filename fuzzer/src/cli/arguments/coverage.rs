//! `fuzz coverage`: what can be typed.

use clap::Args;
use std::path::PathBuf;

pub(super) const EXAMPLES: &str = "\
Examples:
  fuzz coverage fuzz-out/raft-demo                 what a campaign has seen, the rarest first, and what may be left
  fuzz coverage fuzz-out/raft-demo --lines 100 --json

Features are what a window of a run shows: events by role, what followed a message, how nodes and cluster stand, faults in
force; and orders and concurrency of events, which are counted only. How many there are in all is Chao's estimate, a lower
bound; that the next run shows a new one is Good and Turing's.";

/// `fuzz coverage`
#[derive(Debug, Args)]
pub struct Coverage {
    /// The campaign's directory
    pub out: PathBuf,
    /// Most lines of a list
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub lines: usize,
}
