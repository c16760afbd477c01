//! `fuzz replay`: what can be typed.

use super::which::{ClockName, LauncherName};
use clap::Args;
use std::path::PathBuf;

pub(super) const EXAMPLES: &str = "\
Examples:
  fuzz replay fuzz-out/raft-demo/findings/NAME     exit code 1: it broke again, bit for bit
  fuzz replay schedule.toml                        run one schedule, whatever comes of it
  fuzz replay schedule.toml --keep looked-at       and look at it: looked-at/story.md, timeline.svg, history.jsonl
  fuzz replay fuzz-out/raft-demo/findings/NAME --times 10
                                                   ten runs, all the same; exit code 3 when one is not
  fuzz replay fuzz-out/raft-demo/findings/NAME --allow-changed
                                                   has my mend helped? 0: yes
  fuzz replay fuzz-out/zookeeper/findings/NAME --times 20
                                                   found by the real clock: how often does it break?

A finding of the real clock is run --times times and breaks in k of n, told with the interval that this leaves for the
rate. Exit code 1: at least once; 3: never.
Without --allow-changed a binary other than the recorded one is refused, and so are another manifest, other files that
nodes or clients are given, and other programs of theirs: they cannot run the same way. The target is the manifest that the
finding names, wherever this is typed; where that is gone, a target of its name, else the copy in the finding.";

/// `fuzz replay`
#[derive(Debug, Args)]
pub struct Replay {
    /// The directory of a finding, or a schedule.toml
    pub path: PathBuf,
    /// Run it though the binary, the manifest, or a file or program that it names is not the recorded one
    #[arg(long)]
    pub allow_changed: bool,
    /// The target, when it is not the one the schedule names
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
    /// Use the binary as it is
    #[arg(long)]
    pub no_build: bool,
    /// Where nodes live [default: as recorded]
    #[arg(long, value_name = "LAUNCHER", value_enum)]
    pub launcher: Option<LauncherName>,
    /// By which clock it lives [default: as recorded]
    #[arg(long, value_name = "CLOCK", value_enum)]
    pub clock: Option<ClockName>,
    /// How often it is run: by the virtual clock all runs must be the same one, by the real clock a rate is measured
    /// [default: 1 and 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub times: Option<u64>,
    /// Write the run to DIR as a finding is written, whatever it showed: history, logs, calls, timeline, what became of
    /// faults; of several runs by the real clock the one that is told
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}
