//! `fuzz replay`: runs a reproducer again and says whether it is the same run.

use super::arguments::{LauncherName, Replay};
use super::exit::Exit;
use super::output::{Output, note};
use super::rig::{self, Rig};
use anyhow::bail;
use fuzzer::executor::{Executor, RunOptions};
use fuzzer::launcher::Launcher;
use fuzzer::replay::{Outcome, repeat, replay};
use fuzzer::report::{story, terminal::leaked};
use fuzzer::reproducer::{self, Expected, Finding, Reproducer};
use fuzzer::schedule::Schedule;
use fuzzer::target::Target;
use interceptor::sandbox::Clock;
use oracle::Verdict;
use serde_json::json;

/// Replays.
pub fn main(args: &Replay, output: &mut Output) -> anyhow::Result<Exit> {
    let reproducer = reproducer::load(&args.path)?;
    let schedule = &reproducer.schedule;
    let target = rig::find(args.target.as_deref().unwrap_or(&schedule.target))?;
    let bugs = target.manifest.bugs_named(&schedule.bugs)?;
    let launcher = args.launcher.unwrap_or_else(|| LauncherName::recorded(reproducer.expected.as_ref()));
    let clock = clock(args, &reproducer, &target);
    let rig = Rig::of(target, launcher, clock, args.no_build)?;
    let changed = match &reproducer.expected {
        None => false,
        Some(expected) => changed(expected, &rig, args.allow_changed)?,
    };
    output.text(rig::headline(&rig, Some(schedule.seed)));
    let mut worker = rig.worker(&bugs, schedule.nodes)?;
    if rig.clock == Clock::Real {
        rig::note_clock(&rig);
        let exit = measure(&mut worker, &reproducer, changed, args, output)?;
        return write_if_asked(args, &rig, &mut worker, &reproducer.schedule).map(|()| exit);
    }
    let replay = replay(&mut worker, &reproducer, changed)?;
    output.json(&json!({ "event": "replay", "path": args.path, "result": replay }));
    tell(&replay.verdict, output);
    let verdict = match &replay.verdict {
        Verdict::Valid => Exit::Clean,
        Verdict::Violation(_) => Exit::Violation,
        Verdict::Unknown { .. } => Exit::Unknown,
    };
    let exit = match &replay.outcome {
        Outcome::Reproduced => {
            output.text(format!(
                "reproduced: the same run, bit for bit ({})",
                &replay.hash[..replay.hash.len().min(16)]
            ));
            verdict
        }
        Outcome::Judged | Outcome::Undecided => verdict,
        Outcome::JudgedOtherwise => {
            output.text(
                "the same run, bit for bit, but these oracles judge it otherwise than the recorded ones",
            );
            verdict
        }
        Outcome::Diverged { expected, stable, difference, changed } => {
            output.text(format!("diverged: this run has hash {}, the recorded one {expected}", replay.hash));
            match (difference, stable) {
                (Some(difference), _) => output.text(difference.to_string()),
                (None, true) => causes(&reproducer, &rig, changed.as_deref(), output),
                (None, false) => output.text("two runs of today differ too; `fuzz verify` narrows it down"),
            }
            if !replay.leaks.is_empty() {
                output.text(leaked(&replay.leaks));
            }
            Exit::Nondeterminism
        }
    };
    write_if_asked(args, &rig, &mut worker, &reproducer.schedule)?;
    Ok(exit)
}

/// Lines shown of what is different.
const CHANGES_SHOWN: usize = 8;

/// Two runs of today are equal, and another one was recorded: what is different from then, as far as that is known.
fn causes(reproducer: &Reproducer, rig: &Rig, changed: Option<&[String]>, output: &mut Output) {
    let mut causes = changed.unwrap_or_default().to_vec();
    if let Some(expected) = &reproducer.expected {
        causes.extend(rig.environment().differences(&expected.environment));
    }
    output.text("two runs of today are equal");
    for cause in causes.iter().take(CHANGES_SHOWN) {
        output.text(format!("  {cause}"));
    }
    match (causes.len().checked_sub(CHANGES_SHOWN), changed) {
        (Some(more @ 1..), _) => output.text(format!("  and {more} more")),
        (_, None) => output.text("  which files of the host it read was not recorded then"),
        (_, Some(_)) if causes.is_empty() => {
            output.text("  no file that it read, nor the machine, is known to be another one; `fuzz verify` may find what differs");
        }
        _ => {}
    }
}

/// By which clock to run: as asked, as recorded, or as the target does.
fn clock(args: &Replay, reproducer: &Reproducer, target: &Target) -> Clock {
    let recorded = reproducer.expected.as_ref().map(|expected| expected.environment.clock());
    args.clock.map(Clock::from).or(recorded).unwrap_or(target.manifest.node.clock)
}

/// Runs by the host's clock as often as asked.
fn measure(
    worker: &mut dyn Executor,
    reproducer: &Reproducer,
    changed: bool,
    args: &Replay,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let mut number = 0;
    let repeated = repeat(worker, reproducer, args.times, &mut |verdict| {
        number += 1;
        let what = match verdict {
            Verdict::Valid => "clean",
            Verdict::Unknown { .. } => "unknown",
            Verdict::Violation(violation) => &violation.signature,
        };
        note(format!("run {number} of {}: {what}", args.times));
    })?;
    output.json(&json!({ "event": "replay", "path": args.path, "clock": "real", "result": repeated }));
    tell(&repeated.verdict, output);
    for (signature, count) in &repeated.others {
        output.text(format!("{count} other runs showed {signature}"));
    }
    let rate = repeated.rate;
    let what = match (&reproducer.expected, rate.shown) {
        (None, _) => "violations",
        (Some(_), 0) => "not reproduced",
        (Some(_), _) => "reproduced",
    };
    output.text(format!("{what}: {rate}"));
    Ok(if rate.shown > 0 || !repeated.others.is_empty() {
        Exit::Violation
    } else if repeated.unknown > 0 {
        Exit::Unknown
    } else if reproducer.expected.is_some() && !changed {
        Exit::Nondeterminism
    } else {
        Exit::Clean
    })
}

/// Whether the target is another one than recorded.
fn changed(expected: &Expected, rig: &Rig, allowed: bool) -> anyhow::Result<bool> {
    let recorded = &expected.environment;
    if recorded.binary_sha256 != rig.binary.digest {
        if !allowed {
            bail!(
                "the {} of {} is not the recorded one (sha256 {:.12}…, recorded {:.12}…), so it cannot run the same way; \
                 check out the recorded version, or pass --allow-changed to see what this one does",
                if rig.launcher == Launcher::Native { "binary" } else { "image" },
                rig.target.name(),
                rig.binary.digest,
                recorded.binary_sha256,
            );
        }
        return Ok(true);
    }
    if recorded.manifest_sha256 != rig.target.digest {
        if allowed {
            return Ok(true);
        }
        rig::warn("the manifest, or a file that it places, is not the recorded one");
    }
    if recorded.fuzz != env!("CARGO_PKG_VERSION") {
        rig::warn(&format!("this was recorded by fuzz {}", recorded.fuzz));
    }
    Ok(false)
}

fn tell(verdict: &Verdict, output: &mut Output) {
    match verdict {
        Verdict::Valid => output.text("clean: no violation"),
        Verdict::Unknown { why } => output.text(format!("unknown: {why}")),
        Verdict::Violation(violation) => {
            output.text(format!("violation: {}: {}", violation.signature, violation.summary));
            for line in violation.evidence.lines.iter().take(12) {
                output.text(format!("  {line}"));
            }
        }
    }
}

/// Writes a run of `schedule` as a finding is written, if that is asked for and it shows a violation.
fn write_if_asked(
    args: &Replay,
    rig: &Rig,
    worker: &mut dyn Executor,
    schedule: &Schedule,
) -> anyhow::Result<()> {
    let Some(out) = &args.out else { return Ok(()) };
    let execution = worker.run(schedule, RunOptions { detail: true, calls: true })?;
    let Verdict::Violation(violation) = &execution.verdict else {
        note("nothing to write: this run shows no violation");
        return Ok(());
    };
    let (parent, slug) = super::shrink::place(out)?;
    let environment = rig.environment();
    let story = story::tell(&execution, None);
    let finding = Finding {
        execution: &execution,
        violation,
        slug,
        original: schedule,
        environment: &environment,
        story: &story,
    };
    let place = finding.write(parent)?;
    note(format!("written to {}", rig::typed(&place).display()));
    Ok(())
}
