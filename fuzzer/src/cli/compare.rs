//! `fuzz compare`: an experiment over searches. Searches run beside each other, each with workers of its own; results are
//! written by one thread, in the order in which searches end.

mod places;
mod progress;

use super::arguments::Compare;
use super::exit::Exit;
use super::interrupt;
use super::output::{Output, coloured, note};
use super::rig::typed;
use super::scratch::Scratch;
use agents::registry;
use anyhow::{Context, anyhow};
use fuzzer::compare::cell::{Outcome, Trial};
use fuzzer::compare::page::{self, Made};
use fuzzer::compare::raw::{self, Raw};
use fuzzer::compare::search::{configure, search};
use fuzzer::compare::{Analysis, Experiment, Plan, Task, estimate, experiment, table};
use fuzzer::plain;
use fuzzer::reproducer::environment;
use places::{Place, Settled};
use progress::Progress;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};

/// The longest program that a digest is taken of, in bytes.
const PROGRAM_MAX: usize = 1 << 31;
/// So many searches that fail, and none that does not, end an experiment: more would fail the same way.
const FAILURES_MAX: usize = 4;

/// Compares.
pub fn main(args: &Compare, output: &mut Output) -> anyhow::Result<Exit> {
    let stop = interrupt::flag();
    let shown = typed(&args.file).display().to_string();
    let text =
        plain::text(&args.file, experiment::BYTES_MAX).with_context(|| format!("cannot read {shown}"))?;
    let experiment =
        Experiment::parse(&text, registry::DEFAULT).map_err(|error| anyhow!("{shown}: {error}"))?;
    let from = args.file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let settled = places::settle(&experiment, from, args.no_build, &own_digest()?)
        .map_err(|error| error.context(shown))?;
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| Path::new("fuzz-out").join(format!("compare-{}", experiment.name)));
    let tasks = settled.plan.tasks();
    let cores = tasks.iter().map(|task| task.cell.cores).max().unwrap_or(1);
    let jobs = args.jobs.map_or_else(|| fuzzer::pool::cpus().len() / usize::from(cores), usize::from).max(1);
    let session = Session { settled, tasks, out, jobs };
    if args.plan {
        session.tell_plan(output)?;
        return Ok(Exit::Clean);
    }
    let mut raw = Raw::open(&session.out)?;
    raw.news().iter().for_each(note);
    session.tell_start(&raw, output);
    let failures = if args.report { Vec::new() } else { session.searches(&mut raw, &stop, output)? };
    session.report(&raw, output)?;
    session.exit(&raw, &failures, args.report)
}

/// Digest of this program: another one searches in another way.
fn own_digest() -> anyhow::Result<String> {
    let what = "cannot read this program";
    let path = std::env::current_exe().context(what)?;
    Ok(fuzzer::target::build::sha256(&plain::bytes(&path, PROGRAM_MAX).context(what)?))
}

/// An experiment on its way.
struct Session {
    settled: Settled,
    tasks: Vec<Task>,
    out: PathBuf,
    jobs: usize,
}

/// What the threads that search have in common.
struct Shared<'a> {
    /// Tasks that are left, by number.
    left: &'a [usize],
    /// The position of the next one.
    next: AtomicUsize,
    /// Processors that searches may use.
    cpus: Vec<usize>,
    /// Where campaigns have their directories.
    scratch: &'a Path,
    /// Set when the user wants it to end.
    stop: &'a AtomicBool,
    /// Set when there is no point in going on.
    over: AtomicBool,
}

impl Shared<'_> {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.over.load(Ordering::Relaxed)
    }
}

/// A search that is over, by its task, or why it is not; absent: it was interrupted.
type Ended = (usize, anyhow::Result<Option<Outcome>>);

impl Session {
    fn plan(&self) -> &Plan {
        &self.settled.plan
    }

    fn left(&self, trials: &BTreeMap<String, Trial>) -> Vec<usize> {
        let is_left = |(number, task): (usize, &Task)| (!trials.contains_key(&task.key)).then_some(number);
        self.tasks.iter().enumerate().filter_map(is_left).collect()
    }

    /// What would be searched.
    fn tell_plan(&self, output: &mut Output) -> anyhow::Result<()> {
        // Nothing is written, and another process may be at it.
        let trials = raw::load(&self.out)?.trials;
        let left = self.left(&trials);
        let seconds = estimate::seconds_left(&self.tasks, &trials);
        #[allow(clippy::cast_precision_loss, reason = "few")]
        let wall = seconds.map(|seconds| seconds / self.jobs as f64);
        let plan = self.plan();
        output.json(&json!({
            "event": "plan", "experiment": plan.name, "searches": self.tasks.len(), "left": left.len(),
            "executions_max": self.executions_max(&left), "jobs": self.jobs, "seconds_left": wall, "out": self.out,
        }));
        output.text(self.headline(&trials));
        for problem in &plan.problems {
            let budget = &problem.budget;
            let seconds = budget.seconds.map(|it| format!(" or {it} s")).unwrap_or_default();
            let twin = if problem.twin.is_some() { ", and its twin as long" } else { "" };
            output.text(format!(
                "  {}: {} seeds, at most {} executions{seconds}{twin}",
                problem.name,
                budget.seeds.len(),
                budget.executions
            ));
        }
        for arm in &plan.arms {
            let how = match arm.faults {
                true => format!("agent {}, search {}", arm.agent, arm.search.name()),
                false => "no faults".to_owned(),
            };
            output.text(format!("  arm {}: {how}", arm.name));
        }
        output.text(format!("at most {} executions are left", self.executions_max(&left)));
        output.text(match wall {
            _ if left.is_empty() => "nothing is left to be searched".to_owned(),
            None => "how long that takes is known when the first searches are over".to_owned(),
            Some(wall) => format!("that may take {}, {} at a time", estimate::span(wall), self.jobs),
        });
        Ok(())
    }

    fn executions_max(&self, left: &[usize]) -> u64 {
        left.iter().map(|task| self.tasks[*task].cell.executions).sum()
    }

    fn headline(&self, trials: &BTreeMap<String, Trial>) -> String {
        let plan = self.plan();
        let (left, all) = (self.left(trials).len(), self.tasks.len());
        format!(
            "fuzz {} · compare {} · {} problems, {} arms · {all} searches, {} done · {} at a time · out {}",
            env!("CARGO_PKG_VERSION"),
            plan.name,
            plan.problems.len(),
            plan.arms.len(),
            all - left,
            self.jobs,
            typed(&self.out).display()
        )
    }

    fn tell_start(&self, raw: &Raw, output: &mut Output) {
        let left = self.left(raw.trials()).len();
        output.json(&json!({
            "event": "started", "experiment": self.plan().name, "searches": self.tasks.len(), "left": left,
            "jobs": self.jobs, "out": self.out,
        }));
        output.text(self.headline(raw.trials()));
        let others = raw.trials().len() - (self.tasks.len() - left);
        if others > 0 {
            note(format!("{others} results are of another fuzz, target, setting or seed, and are left out"));
        }
    }

    /// Makes all searches that are left; those that failed, and why.
    fn searches(&self, raw: &mut Raw, stop: &AtomicBool, output: &mut Output) -> anyhow::Result<Vec<String>> {
        let left = self.left(raw.trials());
        if left.is_empty() {
            return Ok(Vec::new());
        }
        let scratch = Scratch::make()?;
        let shared = Shared {
            left: &left,
            next: AtomicUsize::new(0),
            cpus: fuzzer::pool::cpus(),
            scratch: scratch.path(),
            stop,
            over: AtomicBool::new(false),
        };
        let mut progress = Progress::new(coloured(), self.tasks.len(), self.jobs);
        let (sender, receiver) = channel::<Ended>();
        let mut failures = Vec::new();
        let written = std::thread::scope(|scope| {
            for slot in 0..self.jobs.min(left.len()) {
                let (sender, shared) = (sender.clone(), &shared);
                scope.spawn(move || self.serve(slot, shared, &sender));
            }
            drop(sender);
            let mut written = Ok(());
            let mut succeeded = 0_usize;
            for (number, result) in receiver {
                let task = &self.tasks[number];
                match result {
                    Ok(None) => {}
                    Ok(Some(outcome)) => {
                        succeeded += 1;
                        let trial = Trial { cell: task.cell.clone(), outcome };
                        if let Err(error) = raw.add(trial.clone()) {
                            shared.over.store(true, Ordering::Relaxed);
                            written = Err(error);
                        }
                        self.tell_search(task, &trial, output);
                        let done = self.tasks.len() - self.left(raw.trials()).len();
                        let seconds = estimate::seconds_left(&self.tasks, raw.trials());
                        progress.over(done, &self.named(task), &trial.outcome, seconds);
                    }
                    Err(error) => {
                        let why = format!("{}: {error:#}", self.named(task));
                        progress.say(&format!("failed: {why}"));
                        output.json(&json!({ "event": "failed", "key": task.key, "why": why }));
                        failures.push(why);
                        if succeeded == 0 && failures.len() >= FAILURES_MAX {
                            shared.over.store(true, Ordering::Relaxed);
                        }
                    }
                }
                if output.is_closed() {
                    shared.over.store(true, Ordering::Relaxed);
                }
            }
            written
        });
        progress.finish();
        written?;
        Ok(failures)
    }

    /// One thread: search after search, as long as there are any.
    fn serve(&self, slot: usize, shared: &Shared<'_>, sender: &Sender<Ended>) {
        while !shared.is_over() {
            let Some(number) = shared.left.get(shared.next.fetch_add(1, Ordering::Relaxed)) else { return };
            let task = &self.tasks[*number];
            let cores = usize::from(task.cell.cores);
            let cpus = shared.cpus.iter().copied().cycle();
            let own: Vec<usize> = cpus.skip(slot * cores % shared.cpus.len().max(1)).take(cores).collect();
            // Nobody listens any more only when the program ends.
            if sender.send((*number, self.search(task, &own, shared))).is_err() {
                return;
            }
        }
    }

    fn search(&self, task: &Task, cpus: &[usize], shared: &Shared<'_>) -> anyhow::Result<Option<Outcome>> {
        let Place { rig, nodes, bugs } = &self.settled.places[task.subject];
        let work = shared.scratch.join(&task.key);
        let mut config = rig.campaign(&task.cell.agent, bugs.clone(), *nodes, work.clone())?;
        configure(&mut config, &task.cell);
        let executors = rig.workers_on(bugs, *nodes, cpus)?;
        let result = search(&task.cell, config, executors, &|| shared.is_over());
        if let Err(error) = std::fs::remove_dir_all(&work) {
            tracing::debug!(%error, "leaving a search's directory to the end");
        }
        match result {
            Err(_) if shared.is_over() => Ok(None),
            result => Ok(result?),
        }
    }

    /// `figure8-commit, learned, seed 3`.
    fn named(&self, task: &Task) -> String {
        let plan = self.plan();
        let problem = &plan.problems[task.problem].name;
        let what = match task.cell.role {
            fuzzer::compare::Role::Hunt => problem.clone(),
            fuzzer::compare::Role::Twin => format!("the twin of {problem}"),
        };
        format!("{what}, {}, seed {}", plan.arms[task.arm].name, task.cell.seed)
    }

    fn tell_search(&self, task: &Task, trial: &Trial, output: &mut Output) {
        let plan = self.plan();
        output.json(&json!({
            "event": "searched", "key": task.key, "problem": plan.problems[task.problem].name,
            "arm": plan.arms[task.arm].name, "role": trial.cell.role, "seed": trial.cell.seed, "outcome": trial.outcome,
        }));
    }

    /// Writes page and summary of what is there, and prints the table.
    fn report(&self, raw: &Raw, output: &mut Output) -> anyhow::Result<()> {
        let analysis = Analysis::of(self.plan(), raw.trials());
        let made = Made {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            machine: format!(
                "{}, {} cores, {}",
                environment::cpu(),
                environment::cores(),
                environment::kernel()
            ),
            jobs: self.jobs,
            raw: typed(raw.path()).display().to_string(),
        };
        let page = self.out.join("report.html");
        let summary = self.out.join("summary.json");
        write(&summary, &analysis.to_json())?;
        write(&page, &page::html(&analysis, &made))?;
        output.json(&json!({
            "event": "compared", "done": analysis.done, "searches": analysis.planned, "page": page, "summary": summary,
            "pooled": analysis.pooled,
        }));
        output.text(table::text(&analysis).trim_end());
        output.text(format!("page: {}", typed(&page).display()));
        Ok(())
    }

    fn exit(&self, raw: &Raw, failures: &[String], is_report: bool) -> anyhow::Result<Exit> {
        if let Some(first) = failures.first() {
            return Err(anyhow!(
                "{} searches failed, the first: {first}; run it again to try them once more",
                failures.len()
            ));
        }
        let left = self.left(raw.trials()).len();
        if left > 0 && !is_report {
            note(format!("stopped with {left} searches left; run it again to go on"));
            return Ok(Exit::Interrupted);
        }
        Ok(Exit::Clean)
    }
}

/// Writes a file beside its place and renames it into it: who reads it never sees half of it.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let what = || format!("cannot write {}", path.display());
    let beside = path.with_extension("part");
    let mut file = File::create(&beside).with_context(what)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).with_context(what)?;
    std::fs::rename(&beside, path).with_context(what)
}
