//! The command line: arguments in, exit code out. One file a subcommand; each returns an [`Exit`] or an error, which is
//! always the caller's to mend (exit code 2).

mod amount;
mod arguments;
mod bench;
mod check;
mod compare;
mod coverage;
mod doctor;
mod exec;
mod exit;
mod gauge;
mod history;
mod init;
mod interrupt;
mod load;
mod output;
mod replay;
mod rig;
mod run;
mod scratch;
mod shelf;
mod shrink;
mod smoke;
mod source;
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
        Command::Check(args) => check::main(args, &mut output),
        Command::Coverage(args) => coverage::main(args, &mut output),
        Command::History(args) => history::main(args, &mut output),
        Command::Exec(args) => exec::main(args, &mut output),
        Command::Init(args) => init::main(args, &mut output),
        Command::Targets(args) => targets::main(args, &mut output),
        Command::Doctor(args) => doctor::main(args, &mut output),
        Command::Bench(args) => bench::main(args, &mut output),
        Command::Compare(args) => compare::main(args, &mut output),
        Command::Worker => worker::main(),
        Command::Hog => load::spin(),
        Command::Gauge { what, repeats } => gauge::main(*what, *repeats),
        Command::Repeat { what, repeats } => gauge::repeat(*what, *repeats),
    };
    let exit = result.unwrap_or_else(|error| {
        if interrupt::is_wished() {
            return Exit::Interrupted;
        }
        // nobody left to tell: the exit code still says it
        let _ = writeln!(std::io::stderr(), "fuzz: {}", told(&error));
        Exit::Usage
    });
    exit.into()
}

/// An error with its causes, each told once: many say their cause themselves.
fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
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

#[cfg(test)]
mod tests {
    use super::told;
    use fuzzer::campaign::CampaignError;

    #[test]
    fn causes_are_told_once() {
        let source = || std::io::Error::from_raw_os_error(nix::libc::ENOSPC);
        let full = CampaignError::Io { what: "write", path: "out/corpus/a.toml".into(), source: source() };
        let text = told(&full.into());
        assert_eq!(text.matches("No space left").count(), 1, "{text}");
        assert!(text.starts_with("cannot write out/corpus/a.toml: No space left"), "{text}");
        let plain = anyhow::Error::from(source()).context("cannot copy the binary");
        assert_eq!(told(&plain), "cannot copy the binary: No space left on device (os error 28)");
    }
}
