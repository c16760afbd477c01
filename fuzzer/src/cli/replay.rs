//! `fuzz replay`: runs a reproducer again and says whether it is the same run.

use super::arguments::{LauncherName, Replay};
use super::exit::Exit;
use super::output::{Output, note};
use super::rig::{self, Rig};
use super::shelf::Shelf;
use anyhow::{Context, bail};
use fuzzer::execution::Execution;
use fuzzer::executor::{Executor, RunOptions};
use fuzzer::launcher::Launcher;
use fuzzer::replay::{Outcome, repeat, replay};
use fuzzer::report::terminal::leaked;
use fuzzer::reproducer::inputs::Change;
use fuzzer::reproducer::{self, Reproducer};
use fuzzer::target::Target;
use interceptor::sandbox::Clock;
use oracle::Verdict;
use serde_json::json;
use std::path::Path;

/// How often a schedule is run by the host's clock, if it is not said.
const TIMES: u64 = 5;

/// Replays.
pub fn main(args: &Replay, output: &mut Output) -> anyhow::Result<Exit> {
    if let Some(place) = &args.keep {
        super::shrink::place(place)?;
        reproducer::check_place(place).context("--keep")?;
    }
    let reproducer = reproducer::load(&args.path)?;
    let schedule = &reproducer.schedule;
    let target = rig::target_of(&args.path, schedule, args.target.as_deref())?;
    let bugs = target.manifest.bugs_named(&schedule.bugs)?;
    let launcher = args.launcher.unwrap_or_else(|| LauncherName::recorded(reproducer.expected.as_ref()));
    let clock = clock(args, &reproducer, &target);
    let rig = Rig::of(target, launcher, clock, args.no_build)?;
    let changes = Changes::of(&reproducer, &rig, &args.path);
    let changed = changes.refuse_unless(args.allow_changed, &rig)?;
    output.text(rig::headline(&rig, Some(schedule.seed)));
    let mut worker = rig.worker(&bugs, schedule.nodes)?;
    if rig.clock == Clock::Real {
        rig::note_clock(&rig);
        return measure(&mut worker, &reproducer, changed, args, &rig, output);
    }
    let (replay, run) = replay(&mut worker, &reproducer, changed, args.keep.is_some())?;
    keep_if_asked(args, &rig, &run)?;
    output.json(&json!({ "event": "replay", "path": args.path, "result": replay }));
    tell(&replay.verdict, output);
    let verdict = match &replay.verdict {
        Verdict::Valid => Exit::Clean,
        Verdict::Violation(_) => Exit::Violation,
        Verdict::Unknown { .. } => Exit::Unknown,
    };
    output.text(format!("operations: {}", replay.operations));
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
    if exit == Exit::Nondeterminism {
        return Ok(exit);
    }
    repeat_exactly(&mut worker, &reproducer, &replay, args, exit, output)
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

/// By the virtual clock: runs it as often as asked, once of which is done; all runs must be the same one.
fn repeat_exactly(
    worker: &mut dyn Executor,
    reproducer: &Reproducer,
    first: &fuzzer::replay::Replay,
    args: &Replay,
    exit: Exit,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let times = args.times.unwrap_or(1);
    for number in 2..=times {
        let run = worker.run(&reproducer.schedule, RunOptions::default())?;
        note(format!("run {number} of {times}: {}", &run.hash[..run.hash.len().min(16)]));
        if let Verdict::Unknown { why } = &run.verdict
            && !run.is_in_vain()
        {
            output.text(format!(
                "run {number} of {times} was ended early, so there is nothing to compare: {why}"
            ));
            return Ok(Exit::Unknown);
        }
        if run.hash != first.hash {
            output
                .json(&json!({ "event": "repeated", "times": times, "equal": number - 1, "hash": run.hash }));
            output.text(format!(
                "run {number} of {times} is another one: it has hash {}, those before it {}",
                run.hash, first.hash
            ));
            return Ok(Exit::Nondeterminism);
        }
    }
    if times > 1 {
        output.json(&json!({ "event": "repeated", "times": times, "equal": times }));
        output.text(format!("{times} of {times} runs are the same, bit for bit"));
    }
    Ok(exit)
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
    rig: &Rig,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let (mut number, times) = (0, args.times.unwrap_or(TIMES));
    let options = RunOptions { detail: args.keep.is_some(), calls: args.keep.is_some() };
    let repeated = repeat(worker, reproducer, times, options, &mut |verdict| {
        number += 1;
        let what = match verdict {
            Verdict::Valid => "clean",
            Verdict::Unknown { .. } => "unknown",
            Verdict::Violation(violation) => &violation.signature,
        };
        note(format!("run {number} of {times}: {what}"));
    })?;
    keep_if_asked(args, rig, &repeated.run)?;
    output.json(&json!({ "event": "replay", "path": args.path, "clock": "real", "result": repeated }));
    tell(&repeated.verdict, output);
    for (signature, count) in &repeated.others {
        output.text(format!("{count} other runs showed {signature}"));
    }
    let rate = repeated.rate;
    let what = match (reproducer.signature(), rate.shown) {
        (None, _) => "violations",
        (Some(_), 0) => "not reproduced",
        (Some(_), _) => "reproduced",
    };
    output.text(format!("operations: {}", repeated.operations));
    output.text(format!("{what}: {rate}"));
    Ok(if rate.shown > 0 || !repeated.others.is_empty() {
        Exit::Violation
    } else if repeated.unknown > 0 {
        Exit::Unknown
    } else if reproducer.signature().is_some() && !changed {
        Exit::Nondeterminism
    } else {
        Exit::Clean
    })
}

/// What is not as it was when a finding was recorded.
#[derive(Debug, Default)]
struct Changes {
    /// The binary, or the image: recorded and present digests.
    binary: Option<(String, String)>,
    /// The manifest says something else.
    manifest: bool,
    inputs: Vec<Change>,
    /// The version of this program that recorded it, if that is another one.
    fuzz: Option<String>,
}

impl Changes {
    fn of(reproducer: &Reproducer, rig: &Rig, path: &Path) -> Self {
        let Some(expected) = &reproducer.expected else { return Self::default() };
        let (then, now) = (&expected.environment, rig.environment());
        let copy = path.join(&then.copy);
        let copied = Some(copy).filter(|copy| copy.is_file()).and_then(|copy| Target::load(&copy).ok());
        let manifest = match &copied {
            Some(copied) => copied.manifest != rig.target.manifest,
            // Of older findings only one digest of the manifest and all that it places is known.
            None => then.inputs.is_empty() && then.manifest_sha256 != now.manifest_sha256,
        };
        Self {
            binary: (then.binary_sha256 != now.binary_sha256)
                .then(|| (then.binary_sha256.clone(), now.binary_sha256.clone())),
            manifest,
            inputs: now.inputs.changes_since(&then.inputs),
            fuzz: (then.fuzz != now.fuzz).then(|| then.fuzz.clone()),
        }
    }

    /// What makes it another target, and so another run.
    fn of_target(&self) -> Vec<String> {
        let manifest = self.manifest.then(|| "the manifest changed".to_owned());
        manifest.into_iter().chain(self.inputs.iter().map(ToString::to_string)).collect()
    }

    /// Whether the target is another one than recorded, which is refused unless it is `allowed`.
    fn refuse_unless(&self, allowed: bool, rig: &Rig) -> anyhow::Result<bool> {
        let of_target = self.of_target();
        if let Some((then, now)) = self.binary.as_ref().filter(|_| !allowed) {
            bail!(
                "the {} of {} is not the recorded one (sha256 {now:.12}…, recorded {then:.12}…), so it cannot run the same \
                 way; check out the recorded version, or pass --allow-changed to see what this one does",
                if rig.launcher == Launcher::Native { "binary" } else { "image" },
                rig.target.name(),
            );
        }
        if !allowed && !of_target.is_empty() {
            bail!(
                "{} is not as recorded, so it cannot run the same way: {}; check out the recorded version, or pass \
                 --allow-changed to see what this one does",
                rig.target.name(),
                of_target.join(", "),
            );
        }
        if let Some(then) = &self.fuzz {
            rig::warn(&format!("this was recorded by fuzz {then}"));
        }
        Ok(self.binary.is_some() || !of_target.is_empty())
    }
}

fn tell(verdict: &Verdict, output: &mut Output) {
    match verdict {
        Verdict::Valid => output.text("clean: no violation"),
        Verdict::Unknown { why } => output.text(format!("unknown: {why}")),
        Verdict::Violation(violation) => {
            output.text(format!("violation: {}: {}", violation.signature, violation.summary));
            for line in &violation.evidence.lines {
                output.text(format!("  {line}"));
            }
        }
    }
}

/// Writes the run as a finding is written, whatever it showed, if that is asked for.
fn keep_if_asked(args: &Replay, rig: &Rig, run: &Execution) -> anyhow::Result<()> {
    let Some(place) = &args.keep else { return Ok(()) };
    let (parent, name) = super::shrink::place(place)?;
    if let Some(shelf) = Shelf::asked(Some(parent), rig)? {
        shelf.put(name, run)?;
    }
    note(format!("written to {}", rig::typed(place).display()));
    Ok(())
}
