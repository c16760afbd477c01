//! `fuzz shrink`: makes the schedule of a finding smaller.

use super::arguments::{LauncherName, Shrink};
use super::exit::Exit;
use super::output::Output;
use super::rig::{self, Rig};
use anyhow::{Context, bail};
use fuzzer::campaign;
use fuzzer::execution::Execution;
use fuzzer::executor::{Executor, RunOptions};
use fuzzer::keep::Found;
use fuzzer::report::terminal::Terminal;
use fuzzer::reproducer::{self, quoted};
use fuzzer::schedule::Schedule;
use fuzzer::shrink::{Limits, Progress};
use interceptor::sandbox::Clock;
use serde_json::json;
use std::path::Path;

/// Runs by the host's clock in which a finding must show again before it is shrunk.
const TRIES: u32 = 10;

/// Shrinks.
pub fn main(args: &Shrink, output: &mut Output) -> anyhow::Result<Exit> {
    let reproducer = reproducer::load(&args.path)?;
    let (Some(expected), Some(signature)) = (&reproducer.expected, reproducer.signature()) else {
        bail!(
            "{} says no violation to keep; pass the directory of a finding, or make one of a run that breaks: \
             fuzz replay {0} --keep DIR",
            args.path.display()
        );
    };
    let schedule = &reproducer.schedule;
    let target = rig::target_of(&args.path, schedule, args.target.as_deref())?;
    let bugs = target.manifest.bugs_named(&schedule.bugs)?;
    let rig = Rig::of(
        target,
        args.launcher.unwrap_or_else(|| LauncherName::recorded(Some(expected))),
        args.clock.map_or_else(|| expected.environment.clock(), Into::into),
        args.no_build,
    )?;
    output.text(rig::headline(&rig, Some(schedule.seed)));
    let original = reproducer::load(&args.path.join("original.toml"))
        .map_or_else(|_| schedule.clone(), |it| it.schedule);
    let mut worker = rig.worker(&bugs, schedule.nodes)?;
    rig::note_clock(&rig);
    let tries = if rig.clock == Clock::Real { TRIES } else { 1 };
    let Some(execution) = shown(&mut worker, schedule, signature, tries)? else {
        bail!("it no longer shows {signature}; see: fuzz replay {}", args.path.display())
    };
    let (findings, slug) = place(&args.path)?;
    let environment = rig.environment();
    let parts = rig.parts();
    let found =
        Found { slug, execution: &execution, original: &original, environment: &environment, parts: &parts };
    let terminal = Terminal::new(super::output::coloured(), campaign::Limits::default());
    let limits = Limits { executions: args.executions, nodes_min: rig.target.manifest.nodes.min(3) };
    let mut progress = |progress| terminal.busy(&line(progress));
    let kept = found.shrink(findings, limits, &mut worker, &mut progress, &|| true);
    terminal.finish();
    let kept = kept?;
    output.json(&json!({
        "event": "shrunk", "path": rig::typed(&kept.path), "steps": kept.steps,
        "steps_before": kept.steps_before, "executions": kept.executions, "smaller": kept.shrunk,
        "rate": kept.rate,
    }));
    let what = if kept.shrunk { "smaller" } else { "as small as it gets" };
    output.text(format!(
        "{what}: {} steps of {}, after {} executions",
        kept.steps, kept.steps_before, kept.executions
    ));
    if let Some(rate) = kept.rate {
        output.text(format!("it broke again in {rate}"));
    }
    output.text(format!("fuzz replay {}", quoted(&rig::typed(&kept.path))));
    Ok(Exit::Violation)
}

/// A run that shows the violation, if one of so many does.
fn shown(
    worker: &mut dyn Executor,
    schedule: &Schedule,
    signature: &str,
    tries: u32,
) -> anyhow::Result<Option<Execution>> {
    for _ in 0..tries {
        let run = worker.run(schedule, RunOptions { detail: true, calls: false })?;
        if run.verdict.signature() == Some(signature) {
            return Ok(Some(run));
        }
    }
    Ok(None)
}

/// Progress in one line.
pub fn line(progress: Progress) -> String {
    let Progress { pass, executions, limit, steps } = progress;
    format!("shrinking: {steps} steps · {pass} · {executions} of at most {limit} executions")
}

/// Where a finding lies and its name there.
///
/// # Errors
/// When the path has no last part that is a name.
pub fn place(path: &Path) -> anyhow::Result<(&Path, &str)> {
    let name = path.file_name().and_then(|name| name.to_str()).with_context(|| {
        format!("{} does not end in a name; give the finding's directory by its name", path.display())
    })?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((parent, name))
}
