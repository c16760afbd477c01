//! The command line: arguments in, exit code out. One file a subcommand; each returns an [`Exit`] or an error, which is
//! always the caller's to mend (exit code 2).

mod amount;
mod arguments;
mod bench;
mod doctor;
mod exit;
mod gauge;
mod interrupt;
mod load;
mod output;
mod replay;
mod rig;
mod run;
mod scratch;
mod shrink;
mod smoke;
mod table;
mod targets;
mod verify;
mod worker;

use arguments::{Arguments, Command};
use clap::Parser;
use exit::Exit;
use output::Output;
use std::io::Write;
use std::process::ExitCode;

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log(arguments.verbose);
    let mut output = Output::new(arguments.json);
    let result = match &arguments.command {
        Command::Run(args) => run::main(args, &mut output),
        Command::Replay(args) => replay::main(args, &mut output),
        Command::Shrink(args) => shrink::main(args, &mut output),
        Command::Smoke(args) => smoke::main(args, &mut output),
        Command::Verify(args) => verify::main(args, &mut output),
        Command::Targets(args) => targets::main(args, &mut output),
        Command::Doctor => doctor::main(&mut output),
        Command::Bench(args) => bench::main(args, &mut output),
        Command::Worker => worker::main(),
        Command::Hog => load::spin(),
        Command::Gauge { what, repeats } => gauge::main(*what, *repeats),
        Command::Repeat { what, repeats } => gauge::repeat(*what, *repeats),
    };
    let exit = result.unwrap_or_else(|error| {
        // nobody left to tell: the exit code still says it
        let _ = writeln!(std::io::stderr(), "fuzz: {error:#}");
        Exit::Usage
    });
    exit.into()
}

/// Logs to standard error: warnings, or what `-v`, `-vv`, or FUZZ_LOG ask for.
fn log(verbose: u8) {
    let level = ["warn", "info", "debug", "trace"][usize::from(verbose.min(3))];
    let filter = tracing_subscriber::EnvFilter::try_from_env("FUZZ_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    let logger =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time();
    // an error means that there is a logger already
    let _ = logger.with_ansi(output::coloured()).try_init();
}
