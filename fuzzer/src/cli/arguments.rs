//! Arguments as typed. What they mean for a target is settled in [`super::rig`].

use super::amount::duration;
use super::gauge::What;
use super::source::format_named;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use fuzzer::campaign::Search;
use fuzzer::reproducer::Expected;
use interceptor::sandbox::Clock;
use oracle::format::Format;
use std::path::PathBuf;
use std::time::Duration;

const ABOUT: &str = "Finds the sequence of faults that breaks a cluster of real server processes, shrinks it, \
                     and hands you a file that breaks it again, bit for bit.";

const EXAMPLES: &str = "\
Examples:
  fuzz doctor                                      can this machine run clusters?
  fuzz targets                                     what there is to break
  fuzz run --target raft-demo --time 60s           search for a minute, with the demo's planted bugs
  fuzz run --target raft-demo --bug none           search the correct build
  fuzz replay fuzz-out/raft-demo/findings/NAME     break it again, the same way
  fuzz smoke --target raft-demo --junit out.xml    what continuous integration runs
  fuzz compare targets/raft-demo/compare.toml      which way to search finds bugs sooner?

Exit codes:
  0 clean   1 violation found   2 usage, input or set-up error   3 nondeterminism
  4 unknown (undecided, or clients were never served)   130 interrupted with nothing found

Results are on standard output, progress and logs on standard error. FUZZ_LOG=debug, or -vv, shows more.";

const RUN_EXAMPLES: &str = "\
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

const REPLAY_EXAMPLES: &str = "\
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

const VERIFY_EXAMPLES: &str = "\
Examples:
  fuzz verify --target raft-demo --schedules 20
  fuzz verify --target raft-demo --schedules 200 --load

Each random schedule is run twice: in another process, another directory and on another core the second time,
with --load beside programs that keep all cores busy. Exit code 3 shows the first event that differs. A run without faults
comes first. All runs are judged too: how many are clean, violated or unknown is told, and where the run without faults
violates something the exit code is 1, where nothing was put to the test it is 4.";

const COVERAGE_EXAMPLES: &str = "\
Examples:
  fuzz coverage fuzz-out/raft-demo                 what a campaign has seen, the rarest first, and what may be left
  fuzz coverage fuzz-out/raft-demo --lines 100 --json

Features are what a window of a run shows: events by role, what followed a message, how nodes and cluster stand, faults in
force; and orders and concurrency of events, which are counted only. How many there are in all is Chao's estimate, a lower
bound; that the next run shows a new one is Good and Turing's.";

const EXEC_EXAMPLES: &str = "\
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
2: it could not be started; 3: two runs differ; 4: the sandbox ended the run, and said why.";

const INIT_EXAMPLES: &str = "\
Examples:
  fuzz init shop --binary ./target/release/shop --command '{bin} --id {id} --peers {peers} --dir {data}' \\
       --peer '{id}={ip}:7000' --client http --port 8080 --ready /health
  fuzz init cache --binary redis-server --command '{bin} --bind {ip} --dir {data} --protected-mode no' \\
       --nodes 1 --client resp --port 6379 --ready PING
  fuzz init queue --binary ./queue --client exec --ready /health --port 9000
  fuzz init store --compose docker-compose.yml     what the file says; what cannot be carried over is told
  fuzz init store                                  asks, at a terminal

What is not given is filled in with an example to change. targets/README.md describes every field.";

const CHECK_EXAMPLES: &str = "\
Examples:
  fuzz check store/latest/history.edn              format and model are told from the history, where that is clear
  fuzz check history.edn --model cas-register --independent
                                                   values are pairs [key value]: each key is checked on its own
  fuzz check txns.edn --model list-append --set consistency=serializable --html report.html
  fuzz check texts.txt --format plume --json       one JSON object on standard output
  fuzz check fuzz-out/raft-demo/findings/NAME      the clients' history of a finding
  fuzz check history.edn --model conformance --set reference='python3 reference.py'
                                                   a program of yours says what is right
  fuzz check --list                                all models
  fuzz check --explain bank                        what a model can be told, and an example

Formats (--format, where the beginning of the file does not tell):
  edn     Jepsen's and Elle's maps, in sequence or in one vector or list; Porcupine's key-value text too
  json    the same as JSON, an object a line or in one array; what campaigns write
  txt     Jepsen's history.txt
  etcd    the logs of Jepsen's etcd test, as Porcupine has them
  plume   lines r(key,value,session,transaction), of Plume and PolySI
  awdit   lines `r key value` between lines of - and =, AWDIT's test format
  dbcop   sessions of transactions of events, dbcop's JSON
The last three have sessions, not real time: serializable and snapshot-isolation keep the order of each session there,
as those tools do, unless told otherwise (--set order=none).

Exit code 0: nothing is wrong; 1: a violation, with its evidence; 2: the input is bad, with line and column;
4: it could not be decided, in the --steps given for instance, or nothing succeeded that could be judged.";

const CONVERT_EXAMPLES: &str = "\
Examples:
  fuzz history convert history.edn --to json >history.jsonl
  fuzz history convert txns.edn --to plume --out txns.txt
  fuzz history convert history.txt --to dbcop --out history.json

Formats: edn, json, txt (Jepsen's history.txt), kv (Porcupine's key-value text), etcd (logs), plume, awdit, dbcop. What a format has no word for
is an error that names the entry; edn has a word for everything.";

const COMPARE_EXAMPLES: &str = "\
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

/// Everything that can be typed.
#[derive(Debug, Parser)]
#[command(name = "fuzz", version, about = ABOUT, after_help = EXAMPLES, max_term_width = 110)]
pub struct Arguments {
    /// The subcommand.
    #[command(subcommand)]
    pub command: Command,
    /// Results as JSON lines
    #[arg(long, global = true)]
    pub json: bool,
    /// More on standard error; twice for more still
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Search for faults that break a target
    #[command(after_help = RUN_EXAMPLES)]
    Run(Run),
    /// Run a finding, or any schedule, again
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay(Replay),
    /// Make a finding's schedule smaller
    Shrink(Shrink),
    /// Run what is kept in corpora/, then search for a bounded time
    Smoke(Smoke),
    /// Say what a campaign has covered, what is rare, and what may be left
    #[command(after_help = COVERAGE_EXAMPLES)]
    Coverage(Coverage),
    /// Check that equal schedules give equal runs
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(Verify),
    /// Judge a history of operations, whoever recorded it
    #[command(after_help = CHECK_EXAMPLES)]
    Check(Check),
    /// Convert histories between the formats of Jepsen, Porcupine, Plume, AWDIT and dbcop
    #[command(subcommand)]
    History(History),
    /// Run any program in the sandbox, with nothing around it
    #[command(after_help = EXEC_EXAMPLES)]
    Exec(Exec),
    /// Write the manifest of a new target
    #[command(after_help = INIT_EXAMPLES)]
    Init(Init),
    /// List targets, their bugs and sets of bugs
    Targets(Targets),
    /// Check what this machine can do, and which targets can be run on it
    Doctor(Doctor),
    /// Measure what a run costs on this machine
    Bench(Bench),
    /// Compare ways to search, on many bugs and seeds
    #[command(after_help = COMPARE_EXAMPLES)]
    Compare(Compare),
    /// Run schedules for a campaign (started by it)
    #[command(hide = true)]
    Worker,
    /// Keep a core busy (started by verify)
    #[command(hide = true)]
    Hog,
    /// Measure what a guest's calls cost (started by bench)
    #[command(hide = true)]
    Gauge {
        /// What the guest repeats
        what: What,
        /// How often
        repeats: u64,
    },
    /// Repeat something (started by gauge, as a guest)
    #[command(hide = true)]
    Repeat {
        /// What
        what: What,
        /// How often
        repeats: u64,
    },
}

/// Which target, and how it is built.
#[derive(Clone, Debug, Args)]
pub struct Which {
    /// A name under targets/, or the path of a target.toml or its directory
    #[arg(long, value_name = "NAME", default_value = "raft-demo")]
    pub target: String,
    /// Use the binary as it is
    #[arg(long)]
    pub no_build: bool,
    /// Where nodes live: on this machine's file system, or in containers of the target's image (Docker or Podman)
    #[arg(long, value_name = "LAUNCHER", value_enum, default_value_t)]
    pub launcher: LauncherName,
    /// By which clock it lives: its own, which makes runs repeat bit for bit, or the host's, where threads run free and
    /// findings have a rate [default: as the manifest says, mostly virtual]
    #[arg(long, value_name = "CLOCK", value_enum)]
    pub clock: Option<ClockName>,
    /// What clients work on: one of the manifest's families, such as register or set [default: any of them]
    #[arg(long, value_name = "FAMILY")]
    pub workload: Option<String>,
}

/// Where nodes live, as typed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LauncherName {
    /// Programs of this machine
    #[default]
    Native,
    /// Programs of an image; needs root
    Docker,
}

impl LauncherName {
    /// That of a finding.
    #[must_use]
    pub fn recorded(expected: Option<&Expected>) -> Self {
        match expected {
            Some(expected) if expected.environment.launcher == "docker" => Self::Docker,
            _ => Self::Native,
        }
    }
}

/// By which clock a cluster lives, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ClockName {
    /// Time is the sandbox's: runs repeat bit for bit, and idle time is skipped
    Virtual,
    /// Time is the host's and threads run free: for what the virtual clock does not carry
    Real,
}

impl From<ClockName> for Clock {
    fn from(name: ClockName) -> Self {
        match name {
            ClockName::Virtual => Self::Virtual,
            ClockName::Real => Self::Real,
        }
    }
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

/// `fuzz shrink`
#[derive(Debug, Args)]
pub struct Shrink {
    /// The directory of a finding: its schedule.toml becomes smaller; original.toml stays
    pub path: PathBuf,
    /// Most executions
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub executions: u32,
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
}

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

/// `fuzz coverage`
#[derive(Debug, Args)]
pub struct Coverage {
    /// The campaign's directory
    pub out: PathBuf,
    /// Most lines of a list
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub lines: usize,
}

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

/// `fuzz check`
#[derive(Debug, Args)]
pub struct Check {
    /// The history: a file, `-` for standard input, or the directory of a finding or of a run of Jepsen's
    #[arg(required_unless_present_any = ["list", "explain"])]
    pub history: Option<PathBuf>,
    /// What it is a history of [default: told from its operations, where that is clear]
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Its format [default: told from its beginning]
    #[arg(long, value_name = "FORMAT", value_parser = format_named)]
    pub format: Option<Format>,
    /// Values are pairs [key value], as Jepsen's `independent` has them
    #[arg(long)]
    pub independent: bool,
    /// Tell the model something; `--explain` shows what it understands. May be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// Most steps of a search; beyond, the verdict is unknown [default: 10000000]
    #[arg(long, value_name = "N")]
    pub steps: Option<u64>,
    /// Write verdict, evidence and pictures as a page of HTML
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// List the models
    #[arg(long, conflicts_with = "history")]
    pub list: bool,
    /// Tell what a model can be told, or what an anomaly is, with a history in which it is found
    #[arg(long, value_name = "NAME", conflicts_with_all = ["history", "list"])]
    pub explain: Option<String>,
}

/// `fuzz history`
#[derive(Debug, Subcommand)]
pub enum History {
    /// Write a history in another format
    #[command(after_help = CONVERT_EXAMPLES)]
    Convert(Convert),
}

/// `fuzz history convert`
#[derive(Debug, Args)]
pub struct Convert {
    /// The history: a file, `-` for standard input, or the directory of a finding or of a run of Jepsen's
    pub history: PathBuf,
    /// The format to write
    #[arg(long, value_name = "FORMAT", value_parser = format_named)]
    pub to: Format,
    /// The format to read [default: told from its beginning]
    #[arg(long, value_name = "FORMAT", value_parser = format_named)]
    pub format: Option<Format>,
    /// Values that are read are pairs [key value], as Jepsen's `independent` has them
    #[arg(long)]
    pub independent: bool,
    /// Write keys and values as such pairs
    #[arg(long)]
    pub to_independent: bool,
    /// The file to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `fuzz doctor`
#[derive(Debug, Args)]
pub struct Doctor {
    /// Only this target: a name under targets/, or the path of a target.toml or its directory
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
}

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

/// `fuzz init`
#[derive(Debug, Args)]
pub struct Init {
    /// The target's name: lower-case letters, digits, `-` and `.`
    pub name: String,
    /// Directory to write target.toml to [default: targets/NAME where there is a targets/, else NAME]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Nodes, command, environment, ports and health check from this Docker Compose file; other flags come before it
    #[arg(long, value_name = "FILE")]
    pub compose: Option<PathBuf>,
    /// Variables of the Compose file, after those of the environment; may be given again [default: the .env beside it]
    #[arg(long, value_name = "FILE", requires = "compose")]
    pub env_file: Vec<PathBuf>,
    /// Nodes of a cluster [default: 3]
    #[arg(long, value_name = "N")]
    pub nodes: Option<u8>,
    /// The program: a path, or a name in PATH
    #[arg(long, value_name = "PATH")]
    pub binary: Option<String>,
    /// Its command line, in words [default: {bin} --listen {ip}:7000 --peers {peers} --dir {data}]
    #[arg(long, value_name = "WORDS")]
    pub command: Option<String>,
    /// One peer, for {peers} [default: {ip}:7000]
    #[arg(long, value_name = "TEXT")]
    pub peer: Option<String>,
    /// What clients speak [default: http]
    #[arg(long)]
    pub client: Option<Speaks>,
    /// The port they speak to [default: 8000]
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// What tells that a node is ready: the path of an HTTP GET, or a command of RESP [default: that its port accepts]
    #[arg(long, value_name = "QUESTION")]
    pub ready: Option<String>,
}

impl Init {
    /// No flag describes the target.
    pub fn says_nothing(&self) -> bool {
        let texts = [&self.binary, &self.command, &self.peer, &self.ready];
        let numbers = self.nodes.is_some() || self.port.is_some() || self.client.is_some();
        self.compose.is_none() && !numbers && texts.iter().all(|text| text.is_none())
    }
}

/// What clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Speaks {
    /// HTTP, requests by template
    Http,
    /// RESP, commands by template
    Resp,
    /// Our own HTTP and JSON, see targets/README.md
    KvHttp,
    /// A program speaks for them
    Exec,
}

/// `fuzz targets`
#[derive(Debug, Args)]
pub struct Targets {
    /// Only this one, with the stories of its bugs
    #[arg(value_name = "NAME")]
    pub target: Option<String>,
    /// Only say whether this manifest can be used, with the files and programs that it names
    #[arg(long, value_name = "FILE", conflicts_with = "target")]
    pub check: Option<String>,
}

/// `fuzz bench`
#[derive(Debug, Args)]
pub struct Bench {
    #[command(flatten)]
    pub which: Which,
    /// Runs of each measurement
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    pub runs: u32,
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
