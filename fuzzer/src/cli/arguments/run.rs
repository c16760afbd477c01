//! `fuzz run`: what can be typed.

use super::which::Which;
use crate::cli::amount::duration;
use clap::{Args, ValueEnum};
use fuzzer::campaign::Search;
use std::path::PathBuf;
use std::time::Duration;

pub(super) const EXAMPLES: &str = "\
Examples:
  fuzz run --target raft-demo --time 5m            stop after five minutes
  fuzz run --target raft-demo --stop-after 1       stop at the first finding
  fuzz run --target raft-demo --seed 7 --executions 500 --cores 1
                                                   the same 500 executions every time
  fuzz run --target raft-demo --bug stale-read,lost-write
  fuzz run --target etcd --workload set            clients add to sets and read them, nothing else
  fuzz run --target etcd --launcher docker         nodes run from an image
  fuzz run --target zookeeper --clock real         threads run free, by the host's clock
  fuzz run --target raft-demo --bug none --executions 5 --keep looked-at
                                                   what does a clean run look like? looked-at/run-1/story.md
  fuzz run --target ./my-cluster/target.toml --out ./night --time 8h
                                                   run again with the same --out to go on
  fuzz run --target ./my-cluster/target.toml --out ./next --from ./night
                                                   another version begins with what the night found

Each finding is run twice, shrunk, and written to OUT/findings/NAME; story.md in it tells what happened. Any other schedule
of OUT/corpus can be looked at too: fuzz replay OUT/corpus/NAME.toml --keep DIR.

By the real clock no run is the same as another. A violation is a finding once it was seen twice, when its schedule is
repeated up to four times or later under another one; shrinking keeps a smaller schedule when repeated runs (at most 20,
a sequential test) show that it breaks about as often rather than a third as often; findings say in how many of n runs
they broke again. Ctrl-C waits for the runs under way; a second one ends at once.";

/// `fuzz run`
#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    pub which: Which,
    /// Planted bugs or sets of them, with commas; `none` is the correct build [default: the set `demo`, if any]
    #[arg(long = "bug", value_name = "NAMES")]
    pub bugs: Vec<String>,
    /// Seeds every choice [default: random, and printed]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub seed: Option<u64>,
    /// Stop after this much time, such as 60s or 5m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub time: Option<Duration>,
    /// Stop after this many executions
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub executions: Option<u64>,
    /// Stop after this many findings
    #[arg(long, value_name = "FINDINGS", value_parser = clap::value_parser!(u32).range(1..))]
    pub stop_after: Option<u32>,
    /// Who chooses faults: a name, with parameters as name:parameter=value,…
    #[arg(long, value_name = "AGENT", default_value = agents::registry::DEFAULT)]
    pub agent: String,
    /// How it searches: by what has shown most for what it cost, as it was before it learnt that, or without breeding
    #[arg(long, value_name = "SEARCH", value_enum, default_value_t)]
    pub search: SearchName,
    /// Clusters run at a time [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub cores: Option<u16>,
    /// Where findings and corpus go; an earlier campaign there goes on [default: ./fuzz-out/TARGET]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Begin a new campaign with the corpus of the one in DIR and with what its agent learnt
    #[arg(long, value_name = "DIR")]
    pub from: Option<PathBuf>,
    /// Time of the cluster's clock during which faults strike
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10s")]
    pub horizon: Duration,
    /// Nodes of a cluster [default: as the target says]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=9))]
    pub nodes: Option<u8>,
    /// Executions spent on shrinking a finding; 0 leaves it as found
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub shrink: u32,
    /// Write the run without faults and the first 100 executions to DIR too, each as a finding is written, whatever it
    /// showed
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

/// How a campaign searches, as typed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SearchName {
    /// Sources of schedules are drawn by what they have shown of late; what says much joins the corpus
    #[default]
    Learned,
    /// Sources are drawn by fixed weights, and all that is new joins the corpus
    Fixed,
    /// The agent alone, from the beginning of each schedule
    Explore,
    /// Random steps, without an agent
    Random,
}

impl From<SearchName> for Search {
    fn from(name: SearchName) -> Self {
        match name {
            SearchName::Learned => Self::Learned,
            SearchName::Fixed => Self::Fixed,
            SearchName::Explore => Self::Explore,
            SearchName::Random => Self::Random,
        }
    }
}
