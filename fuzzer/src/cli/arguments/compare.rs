//! `fuzz compare`: what can be typed.

use clap::Args;
use std::path::PathBuf;

pub(super) const EXAMPLES: &str = "\
Examples:
  fuzz compare targets/raft-demo/compare.toml --plan
                                                   what it searches, and how long that may take
  fuzz compare targets/raft-demo/compare.toml      then read fuzz-out/compare-raft-demo/report.html
  fuzz compare mine.toml --jobs 2 --out night      stop or kill it, and run it again to go on
  fuzz compare mine.toml --report                  the page of what is there by now

An experiment; of it only version, name, a problem with its target, and an arm with its name must be there:

  version = 1
  name = \"mine\"
  about = \"Does learning pay?\"
  baseline = \"learned\"           # the arm that others are compared with; else the first
  [search]                         # what each search gets; a problem may have its own
  seeds = 30                       # or a list: [1, 2, 3]
  executions = 1000
  seconds = 600                    # a bound in time too; then results depend on the machine
  cores = 1
  horizon_ms = 10000
  [[problem]]                      # planted bugs: each is a problem of its own
  target = \"raft-demo\"
  bugs = [\"stale-read\", \"figure8-commit\"]     # names, sets, or \"all\"
  twin = true                      # the correct build is searched too, for false alarms
  [[problem]]                      # a released version, and the one with the fix
  name = \"nats-6999\"
  target = \"nats\"                  # a name, or a path from this file
  binary = \"old/nats-server\"       # instead of the manifest's
  twin = { binary = \"new/nats-server\" }        # or { target = \"nats-new\" }
  signatures = [\"queue/*\"]         # what counts as the bug; else any violation
  workload = \"queue\"
  nodes = 3
  [[arm]]
  name = \"learned\"                 # searches as `fuzz run` does
  [[arm]]
  name = \"uniform\"
  agent = \"uniform\"                # as for --agent, parameters included
  search = \"explore\"               # learned, fixed, explore or random
  [[arm]]
  name = \"off\"
  faults = false

Each search is a line of OUT/raw.jsonl, written when it is over. A line counts only for the same fuzz, binary, manifest and
settings; others stay, and are left out. OUT/report.html is the page, OUT/summary.json its figures. Executions are exact
however busy the machine is: the same search with the same seed takes the same number. What is searched for, by whom and how
long belongs in the file before the first search; more seeds may be added later.

Exit code 0: all searches are over; 2: some failed, or the file is wrong; 130: stopped before the end.";

/// `fuzz compare`
#[derive(Debug, Args)]
pub struct Compare {
    /// The experiment: a TOML file
    pub file: PathBuf,
    /// Where raw results, page and summary go; what is there is not searched again [default: ./fuzz-out/compare-NAME]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Searches at a time [default: as many as there are cores for]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
    /// Only say what would be searched, what is there already, and how long the rest may take
    #[arg(long)]
    pub plan: bool,
    /// Only make the page of what is there, finished or not
    #[arg(long, conflicts_with = "plan")]
    pub report: bool,
    /// Use binaries as they are
    #[arg(long)]
    pub no_build: bool,
}
