//! `fuzz exec`: any program in the sandbox.

use super::arguments::Exec as Arguments;
use super::exit::Exit;
use super::interrupt;
use super::output::{Output, note};
use super::rig;
use anyhow::{Context, anyhow, bail};
use fuzzer::exec::{End, Exec, Ran};
use fuzzer::plain;
use fuzzer::pool;
use fuzzer::target::copies;
use fuzzer::target::program::in_path;
use fuzzer::verify::Difference;
use interceptor::event::LogLine;
use interceptor::room::Room;
use interceptor::sandbox::{Clock, NodeFile};
use interceptor::time::{Instant, Span};
use serde_json::json;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Component, Path, PathBuf};

/// What the files of all nodes may take, in bytes.
const DISK_MAX: u64 = 1 << 30;

/// Why a run ended that the user or the system stopped.
const INTERRUPTED: &str = "it was interrupted";

/// Runs a program, once or several times.
pub fn main(args: &Arguments, output: &mut Output) -> anyhow::Result<Exit> {
    let exec = exec(args)?;
    // Opened here: in the room the file system is another one.
    let calls = args.calls.as_ref().map(|path| {
        File::create(path).map(BufWriter::new).with_context(|| format!("cannot write {}", path.display()))
    });
    let mut calls = calls.transpose()?;
    rig::note_roots();
    if exec.clock == Clock::Virtual {
        pool::pin(pool::cpus().first().copied())?;
    }
    // A signal waits meanwhile: the room is entered by one thread.
    interrupt::hold();
    let room = Room::enter(DISK_MAX)?;
    interrupt::flag_with_guests();
    let mut first: Option<Ran> = None;
    for number in 1..=args.times {
        let mut ran = match exec.run(&room, &mut |line| heard(line, exec.nodes, number, output)) {
            Err(_) if interrupt::is_wished() => {
                note(format!("run {number}: {INTERRUPTED}"));
                return Ok(Exit::Interrupted);
            }
            other => other?,
        };
        // One that had ended by itself before is what it is.
        let is_cut = interrupt::is_wished() && ran.ends.contains(&End::Running);
        if is_cut {
            ran.stopped = Some(INTERRUPTED.into());
        }
        if let (Some(file), 1) = (&mut calls, number) {
            ran.log.iter().try_for_each(|line| writeln!(file, "{line}")).context("cannot write the calls")?;
            file.flush().context("cannot write the calls")?;
        }
        output.json(&json!({ "event": "ran", "run": number, "result": ran }));
        if is_cut {
            if number > 1 {
                note(format!("in run {number}:"));
            }
            tell(&ran, &exec);
            return Ok(Exit::Interrupted);
        }
        match &first {
            None => {
                tell(&ran, &exec);
                first = Some(ran);
            }
            Some(first) if first.hash != ran.hash => {
                note(format!("run {number} is another one: hash {}", &ran.hash[..16]));
                if let Some(difference) = Difference::between(&first.log, &ran.log) {
                    note(difference.to_string());
                }
                return Ok(Exit::Nondeterminism);
            }
            Some(_) => {}
        }
    }
    if args.times > 1 {
        note(format!("{} runs, all the same", args.times));
    }
    let ran = first.expect("there is at least one run");
    Ok(exit_of(&ran))
}

/// What to run, as typed.
fn exec(args: &Arguments) -> anyhow::Result<Exec> {
    let (program, arguments) = args.command.split_first().expect("a program is required");
    let clock = args.clock.map_or(Clock::Virtual, Clock::from);
    if args.times > 1 && clock == Clock::Real {
        bail!(
            "by the real clock threads run free and no two runs are the same: --times compares nothing there"
        );
    }
    let environment = args.environment.iter().map(|text| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => bail!("--env {text}: write NAME=VALUE"),
    });
    let wanted = args.files.iter().map(|text| {
        let (from, to) = text.rsplit_once('=').unwrap_or((text, ""));
        let to = if to.is_empty() { Path::new(from).file_name().map(PathBuf::from) } else { Some(to.into()) };
        let inner = to.filter(|to| to.components().all(|part| matches!(part, Component::Normal(_))));
        match inner {
            Some(inner) => Ok((PathBuf::from(from), inner)),
            None => bail!("--file {text}: write FROM=TO, where TO is a path inside the data directory"),
        }
    });
    let placed = copies(&wanted.collect::<anyhow::Result<Vec<_>>>()?);
    let placed = placed.map_err(|why| anyhow!("--file: {why}"))?;
    let files = placed.into_iter().map(|file| NodeFile {
        path: file.path,
        content: file.content,
        executable: file.executable,
    });
    Ok(Exec {
        program: find(Path::new(program))?,
        arguments: arguments.to_vec(),
        environment: environment.collect::<anyhow::Result<_>>()?,
        files: files.collect(),
        seed: args.seed,
        nodes: args.node_count,
        time: Span(u64::try_from(args.time.as_nanos()).unwrap_or(u64::MAX)),
        clock,
        keep_calls: args.calls.is_some() || args.times > 1,
    })
}

/// The program's file: a path from the working directory, or a name in PATH.
fn find(program: &Path) -> anyhow::Result<PathBuf> {
    let is_name = program.components().count() == 1 && !program.is_absolute();
    let found = if is_name { in_path(program) } else { Some(program.to_owned()) };
    let Some(found) = found else {
        let here = if program.is_file() {
            format!("; ./{} is in this directory", program.display())
        } else {
            String::new()
        };
        bail!("there is no program `{}` in PATH{here}", program.display());
    };
    // Not where links lead: many programs look at the name they were called by.
    let found = std::path::absolute(&found).with_context(|| format!("cannot find {}", program.display()))?;
    match plain::other(&found) {
        Ok(None) => {}
        Ok(Some(what)) => bail!("{} is {what}, and no program", found.display()),
        Err(error) => bail!("{} is no program: {error}", found.display()),
    }
    Ok(found)
}

fn heard(line: &LogLine, nodes: u8, run: u64, output: &mut Output) {
    let node = format!("n{}", line.host.0 + 1);
    output.json(&json!({
        "event": "line", "run": run, "node": node, "stderr": line.stderr, "at_ns": line.at.0, "text": line.text,
    }));
    if run > 1 {
        return;
    }
    let text = if nodes > 1 { format!("{node} {}", line.text) } else { line.text.clone() };
    if line.stderr {
        note(text);
    } else {
        output.text(text);
    }
}

/// How it ended, on standard error: standard output is the program's.
fn tell(ran: &Ran, exec: &Exec) {
    for (node, end) in ran.ends.iter().enumerate() {
        let who = if exec.nodes > 1 { format!("n{}: ", node + 1) } else { String::new() };
        note(match end {
            End::Status(status) => format!("{who}ended with status {status}"),
            End::Signal(signal) => format!("{who}ended by signal {signal}"),
            End::Running if ran.stopped.is_some() => format!("{who}was still running"),
            End::Running => format!("{who}was still running after {}; --time gives it more", exec.time),
        });
    }
    if let Some(why) = &ran.stopped {
        note(format!("the run was ended: {why}"));
    }
    for refused in &ran.refused {
        let who = if exec.nodes > 1 { format!("n{} ", refused.node) } else { String::new() };
        let times = if refused.count == 1 { String::new() } else { format!(", {} times", refused.count) };
        note(format!("refused: {who}{}{times}", refused.what));
    }
    ran.leaks.iter().for_each(|leak| note(format!("not the sandbox's: {leak}")));
    let hash = match exec.clock {
        // what it was when it was interrupted is chance
        Clock::Virtual if ran.stopped.as_deref() == Some(INTERRUPTED) => String::new(),
        Clock::Virtual => format!(" · hash {}", &ran.hash[..16]),
        Clock::Real => String::new(),
    };
    note(format!("{} s of its time · {} calls{hash}", Instant(ran.virtual_ns), ran.calls));
}

/// A program that failed is what a violation is elsewhere; one that is still running has not failed.
fn exit_of(ran: &Ran) -> Exit {
    if ran.ends.iter().any(|end| !matches!(end, End::Status(0) | End::Running)) {
        Exit::Violation
    } else if ran.stopped.is_some() {
        Exit::Unknown
    } else {
        Exit::Clean
    }
}
