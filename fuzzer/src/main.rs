//! `fuzz`: finds the sequence of faults that breaks a cluster, shrinks it, and replays it bit for bit.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
