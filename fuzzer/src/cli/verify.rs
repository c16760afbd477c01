//! `fuzz verify`: random schedules, each run twice under different circumstances.

use super::arguments::Verify;
use super::exit::Exit;
use super::load::Load;
use super::output::{Output, note};
use super::rig::{self, Rig};
use super::scratch::Scratch;
use agents::statistics::wilson;
use anyhow::bail;
use fuzzer::execution::Execution;
use fuzzer::executor::Executor;
use fuzzer::generate::{self, Ground};
use fuzzer::pool::{Link, Setup, Worker, cpus};
use fuzzer::report::last_words;
use fuzzer::report::stopwatch::Stopwatch;
use fuzzer::reproducer::environment::cores;
use fuzzer::reproducer::schedule_text;
use fuzzer::verify::{Divergence, Judged, twice};
use interceptor::rng::split;
use interceptor::sandbox::Clock;
use oracle::Verdict;
use rand::Rng as _;
use serde_json::json;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Host time between two lines of progress.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// Verifies.
pub fn main(args: &Verify, output: &mut Output) -> anyhow::Result<Exit> {
    let rig = Rig::prepare(&args.which)?;
    if rig.clock == Clock::Real {
        bail!(
            "there is nothing to verify by the real clock: threads run free there, so no two runs are equal; measure how \
             often a finding breaks with `fuzz replay`, or pass --clock virtual"
        );
    }
    let manifest = &rig.target.manifest;
    let bugs = manifest.bugs_named(&args.bugs)?;
    let nodes = args.nodes.unwrap_or(manifest.nodes);
    output.text(rig::headline(&rig, Some(args.seed)));
    let elsewhere = Elsewhere::make()?;
    let cpus = cpus();
    let mut quiet = Worker::spawn(0, rig::program()?, rig.setup(&bugs, nodes, cpus.first().copied()))?;
    let mut disturbed = elsewhere.worker(rig.setup(&bugs, nodes, cpus.last().copied()))?;
    let agent = agents::build("uniform", &Rig::actions("uniform")?)?;
    quiet.adopt(&agent)?;
    disturbed.adopt(&agent)?;
    let horizon_ms = u64::try_from(args.horizon.as_millis()).unwrap_or(u64::MAX);
    let mut ground = Ground::new(rig.target.name(), &bugs, nodes, horizon_ms);
    ground.kinds = manifest.faults.kinds();
    ground.max_down = manifest.faults.max_down;
    ground.families.clone_from(&rig.families);
    let hogs = if args.load { cores() * 2 } else { 0 };
    let watch = Stopwatch::start();
    let mut said = Duration::ZERO;
    let control = ground.control(split(args.seed, "verify control").next_u64());
    let control = twice((&mut quiet, &mut disturbed), &control, || Load::start(hogs))?;
    if let Some(divergence) = control.divergence {
        tell_leaks(control.first.statistics.leaks.iter(), output);
        return Ok(diverged("the run without faults", &divergence, 0, output));
    }
    let control = control.first;
    tell_control(&control, output);
    let mut judged = Judged::default();
    for number in 0..args.schedules {
        let mut rng = split(args.seed, &format!("verify {number}"));
        // every second one lets the agent choose, which must be as repeatable as the rest
        let schedule = if number % 2 == 0 {
            generate::random(&ground, &mut rng)
        } else {
            generate::exploring(&ground, &mut rng)
        };
        let load = || Load::start(hogs);
        let compared = twice((&mut quiet, &mut disturbed), &schedule, load)?;
        judged.count(&compared.first);
        if let Some(divergence) = compared.divergence {
            tell_leaks(judged.leaks.iter(), output);
            return Ok(diverged(&format!("schedule {}", number + 1), &divergence, number, output));
        }
        if watch.elapsed().saturating_sub(said) >= PROGRESS_EVERY {
            said = watch.elapsed();
            note(format!("{} of {} schedules equal", number + 1, args.schedules));
        }
    }
    let (low, high) = wilson(args.schedules, args.schedules);
    tell_leaks(judged.leaks.iter(), output);
    output.json(&json!({
        "event": "verified", "nodes": nodes, "schedules": args.schedules, "equal": args.schedules, "rate_low": low, "rate_high": high,
        "load": args.load, "control": control.verdict, "judged": judged, "leaks": judged.leaks,
        "elapsed_ms": watch.elapsed_ms(),
    }));
    output.text(format!(
        "{0} of {0} schedules of {1} node{2} ran twice with equal event logs{3}: {4:.1}% to 100% are repeatable (95% \
         confidence)",
        args.schedules,
        nodes,
        if nodes == 1 { "" } else { "s" },
        if args.load { ", under load" } else { "" },
        low * 100.0,
    ));
    output.text(format!("judged: {judged}"));
    output.text(format!("operations: {}", judged.operations));
    let vain = judged.operations.in_vain();
    if let Some(why) = &vain {
        output.text(format!("unknown: {why}"));
    }
    Ok(match control.verdict {
        Verdict::Violation(_) => Exit::Violation,
        Verdict::Unknown { .. } => Exit::Unknown,
        Verdict::Valid if vain.is_some() || judged.unknown * 2 > args.schedules => Exit::Unknown,
        Verdict::Valid => Exit::Clean,
    })
}

/// The run without faults is no finding: where it is bad, nothing that is found means anything.
fn tell_control(control: &Execution, output: &mut Output) {
    match &control.verdict {
        Verdict::Valid => output.text("the run without faults is clean"),
        Verdict::Unknown { why } => output.text(format!("the run without faults is unknown: {why}")),
        Verdict::Violation(violation) => {
            output.text(format!(
                "the run without faults violates {} ({}): the target is broken or the oracle is noisy",
                violation.signature, violation.summary
            ));
            output.text(last_words::of(control));
        }
    }
}

/// What runs used and the sandbox does not own: where two differ, that may be why.
fn tell_leaks<'a>(leaks: impl Iterator<Item = &'a String>, output: &mut Output) {
    for leak in leaks {
        output.text(format!("not the sandbox's own: {leak}"));
    }
}

fn diverged(what: &str, divergence: &Divergence, equal: u64, output: &mut Output) -> Exit {
    output.json(
        &json!({ "event": "diverged", "what": what, "schedules": equal + 1, "equal": equal, "divergence": divergence }),
    );
    output.text(format!("{what} ran differently the second time; {equal} before it were equal"));
    output.text(format!("hashes {} and {}", divergence.hashes.0, divergence.hashes.1));
    match &divergence.difference {
        Some(difference) => output.text(difference.to_string()),
        None => output.text("the event logs are equal line by line: what differs is not in them"),
    }
    output.text(format!("the schedule:\n\n{}", schedule_text::write(&divergence.schedule, &[])));
    Exit::Nondeterminism
}

/// A directory of its own for the second worker, removed at the end.
struct Elsewhere(Scratch);

impl Elsewhere {
    fn make() -> anyhow::Result<Self> {
        Ok(Self(Scratch::make()?))
    }

    fn worker(&self, setup: Setup) -> anyhow::Result<Worker> {
        let (program, dir) = (rig::program()?.path, self.0.path().to_owned());
        Ok(Worker::over(1, Box::new(move || start(&program, &dir)), setup)?)
    }
}

/// A worker with another working directory and another environment than ours.
fn start(program: &Path, dir: &Path) -> std::io::Result<Link> {
    let mut child = Command::new(program)
        .arg("worker")
        .current_dir(dir)
        .env("FUZZ_ELSEWHERE", "x".repeat(777))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let missing = || std::io::Error::other("a pipe of the worker is missing");
    let input = child.stdin.take().ok_or_else(missing)?.into();
    let output = child.stdout.take().ok_or_else(missing)?.into();
    Ok(Link::new(Some(child), input, output))
}
