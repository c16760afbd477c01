//! Arguments as typed. What they mean for a target is settled in [`super::rig`].

mod bench;
mod check;
mod compare;
mod coverage;
mod doctor;
mod exec;
mod history;
mod init;
mod replay;
mod run;
mod shrink;
mod smoke;
mod targets;
mod verify;
mod which;

use super::gauge::What;
pub use bench::Bench;
pub use check::Check;
use clap::{ArgAction, Parser, Subcommand};
pub use compare::Compare;
pub use coverage::Coverage;
pub use doctor::Doctor;
pub use exec::Exec;
pub use history::{Convert, History};
pub use init::{Init, Speaks};
pub use replay::Replay;
pub use run::Run;
pub use shrink::Shrink;
pub use smoke::Smoke;
pub use targets::Targets;
pub use verify::Verify;
pub use which::{LauncherName, Which};

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
    #[command(after_help = run::EXAMPLES)]
    Run(Run),
    /// Run a finding, or any schedule, again
    #[command(after_help = replay::EXAMPLES)]
    Replay(Replay),
    /// Make a finding's schedule smaller
    Shrink(Shrink),
    /// Run what is kept in corpora/, then search for a bounded time
    Smoke(Smoke),
    /// Say what a campaign has covered, what is rare, and what may be left
    #[command(after_help = coverage::EXAMPLES)]
    Coverage(Coverage),
    /// Check that equal schedules give equal runs
    #[command(after_help = verify::EXAMPLES)]
    Verify(Verify),
    /// Judge a history of operations, whoever recorded it
    #[command(after_help = check::EXAMPLES)]
    Check(Check),
    /// Convert histories between the formats of Jepsen, Porcupine, Plume, AWDIT and dbcop
    #[command(subcommand)]
    History(History),
    /// Run any program in the sandbox, with nothing around it
    #[command(after_help = exec::EXAMPLES)]
    Exec(Exec),
    /// Write the manifest of a new target
    #[command(after_help = init::EXAMPLES)]
    Init(Init),
    /// List targets, their bugs and sets of bugs
    Targets(Targets),
    /// Check what this machine can do, and which targets can be run on it
    Doctor(Doctor),
    /// Measure what a run costs on this machine
    Bench(Bench),
    /// Compare ways to search, on many bugs and seeds
    #[command(after_help = compare::EXAMPLES)]
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
