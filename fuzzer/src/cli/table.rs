//! `fuzz bench --table`: time to find each bug, by agent. Raw results are kept and never run again.

use super::arguments::Bench;
use super::exit::Exit;
use super::output::{Output, note};
use super::rig::{self, Rig};
use super::scratch::Scratch;
use agents::statistics::median;
use anyhow::{Context, bail};
use fuzzer::campaign::{Campaign, CampaignEvent, Limits, StopReason};
use interceptor::sandbox::Clock;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// One search: a line of the raw results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Trial {
    target: String,
    /// Digest of the binary: results of another one are not mixed in.
    binary: String,
    /// By which clock; older results were of the virtual one.
    #[serde(default)]
    clock: Clock,
    bug: String,
    agent: String,
    seed: u64,
    cores: u16,
    /// The bound on executions.
    bound: u64,
    /// The bound on host seconds.
    bound_seconds: Option<f64>,
    /// What was violated; absent when nothing was.
    signature: Option<String>,
    /// Executions until then, or all there were.
    executions: u64,
    /// Host seconds until then, or in all.
    seconds: f64,
}

impl Trial {
    fn is_same_cell(&self, other: &Self) -> bool {
        let key = |it: &Self| {
            (
                it.target.clone(),
                it.binary.clone(),
                it.clock.name(),
                it.bug.clone(),
                it.agent.clone(),
                it.seed,
                it.cores,
                it.bound,
                it.bound_seconds.map(f64::to_bits),
            )
        };
        key(self) == key(other)
    }
}

/// Searches for every bug with every agent and seed.
pub fn main(args: &Bench, output: &mut Output) -> anyhow::Result<Exit> {
    let rig = Rig::prepare(&args.which)?;
    let manifest = &rig.target.manifest;
    let bugs = match args.bugs.as_slice() {
        [] => manifest.bugs.iter().map(|bug| bug.name.clone()).collect(),
        words => manifest.bugs_named(words)?,
    };
    if bugs.is_empty() {
        bail!("target `{}` has no bugs to find; see: fuzz targets", rig.target.name());
    }
    for agent in &args.agents {
        Rig::actions(agent)?;
    }
    output.text(rig::headline(&rig, None));
    let mut trials = read(&args.raw)?;
    let mut ours = Vec::new();
    let total = bugs.len() as u64 * args.agents.len() as u64 * args.seeds;
    for bug in &bugs {
        for agent in &args.agents {
            for seed in 1..=args.seeds {
                let wanted = Trial {
                    target: rig.target.name().to_owned(),
                    binary: rig.binary.digest.clone(),
                    clock: rig.clock,
                    bug: bug.clone(),
                    agent: agent.clone(),
                    seed,
                    cores: args.cores,
                    bound: args.executions,
                    bound_seconds: args.time.map(|time| time.as_secs_f64()),
                    signature: None,
                    executions: 0,
                    seconds: 0.0,
                };
                let trial = match trials.iter().find(|trial| trial.is_same_cell(&wanted)) {
                    Some(known) => known.clone(),
                    None => {
                        let trial = search(&rig, wanted)?;
                        append(&args.raw, &trial)?;
                        trials.push(trial.clone());
                        trial
                    }
                };
                output.json(&trial);
                ours.push(trial);
                let what = ours.last().and_then(|trial| trial.signature.as_deref()).unwrap_or("nothing");
                note(format!("{} of {total}: {bug}, {agent}, seed {seed}: {what}", ours.len()));
            }
        }
    }
    output.text(table(&ours).trim_end());
    output.text(format!("raw results: {}", args.raw.display()));
    Ok(Exit::Clean)
}

fn search(rig: &Rig, wanted: Trial) -> anyhow::Result<Trial> {
    let nodes = rig.target.manifest.nodes;
    let scratch = Scratch::make()?;
    let work = scratch.path().join("out");
    let mut config = rig.campaign(&wanted.agent, vec![wanted.bug.clone()], nodes, work)?;
    config.seed = wanted.seed;
    config.limits = Limits {
        time: wanted.bound_seconds.map(Duration::from_secs_f64),
        executions: Some(wanted.bound),
        stop_after: Some(1),
    };
    let executors = rig.workers(&config.bugs, nodes, Some(wanted.cores))?;
    let mut campaign = Campaign::open(config, executors)?;
    let mut trial = wanted;
    campaign.run(&AtomicBool::new(false), &mut |event| match event {
        CampaignEvent::Finding { signature, executions, elapsed_ms, .. } => {
            trial.signature = Some(signature.clone());
            trial.executions = *executions;
            trial.seconds = *elapsed_ms as f64 / 1e3;
        }
        CampaignEvent::Stopped { reason, summary } if *reason != StopReason::Findings => {
            trial.executions = summary.executions;
            trial.seconds = summary.elapsed_ms as f64 / 1e3;
        }
        _ => {}
    })?;
    Ok(trial)
}

fn read(raw: &Path) -> anyhow::Result<Vec<Trial>> {
    let Ok(text) = std::fs::read_to_string(raw) else { return Ok(Vec::new()) };
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            let place =
                || format!("{} line {} is not a result; move the file away", raw.display(), number + 1);
            serde_json::from_str(line).with_context(place)
        })
        .collect()
}

fn append(raw: &Path, trial: &Trial) -> anyhow::Result<()> {
    let what = || format!("cannot write {}", raw.display());
    if let Some(dir) = raw.parent() {
        std::fs::create_dir_all(dir).with_context(what)?;
    }
    let mut file = OpenOptions::new().create(true).append(true).open(raw).with_context(what)?;
    writeln!(file, "{}", serde_json::to_string(trial)?).with_context(what)
}

/// A line for each bug and agent. Medians are over all seeds, those that found nothing counted as later than any: a median
/// that is among them is shown as `>`.
fn table(trials: &[Trial]) -> String {
    let mut cells: BTreeMap<(&str, &str), Vec<&Trial>> = BTreeMap::new();
    for trial in trials {
        cells.entry((&trial.bug, &trial.agent)).or_default().push(trial);
    }
    let width = |text: fn(&Trial) -> usize| trials.iter().map(text).max().unwrap_or(0).max(5);
    let (bugs, agents) = (width(|trial| trial.bug.len()), width(|trial| trial.agent.len()));
    let mut text =
        format!("{:bugs$}  {:agents$}  found  {:>22}  {:>24}\n", "bug", "agent", "executions", "seconds");
    for ((bug, agent), trials) in cells {
        let found = trials.iter().filter(|trial| trial.signature.is_some()).count();
        let executions = spread(&trials, |trial| trial.executions as f64, 0);
        let seconds = spread(&trials, |trial| trial.seconds, 1);
        let found = format!("{found}/{}", trials.len());
        text += &format!("{bug:bugs$}  {agent:agents$}  {found:>5}  {executions:>22}  {seconds:>24}\n");
    }
    text
}

/// `median (least to most)`.
fn spread(trials: &[&Trial], value: fn(&Trial) -> f64, digits: usize) -> String {
    let latest = trials.iter().map(|trial| value(trial)).fold(0.0, f64::max);
    let censored: Vec<f64> = trials
        .iter()
        .map(|trial| if trial.signature.is_some() { value(trial) } else { f64::INFINITY })
        .collect();
    let shown = |value: f64| {
        if value.is_finite() { format!("{value:.digits$}") } else { format!(">{latest:.digits$}") }
    };
    let least = censored.iter().copied().fold(f64::INFINITY, f64::min);
    let most = censored.iter().copied().fold(0.0, f64::max);
    format!("{} ({} to {})", shown(median(&censored).unwrap_or(f64::INFINITY)), shown(least), shown(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_that_found_nothing_count_as_late() {
        let trial = |agent: &str, seed, executions, found: bool| Trial {
            target: "toy".into(),
            binary: String::new(),
            clock: Clock::Virtual,
            bug: "stale-read".into(),
            agent: agent.into(),
            seed,
            cores: 1,
            bound: 500,
            bound_seconds: None,
            signature: found.then(|| "register/stale".into()),
            executions,
            seconds: executions as f64 / 10.0,
        };
        let trials = [
            trial("uniform", 1, 40, true),
            trial("uniform", 2, 500, false),
            trial("uniform", 3, 500, false),
            trial("ucb1", 1, 12, true),
            trial("ucb1", 2, 30, true),
            trial("ucb1", 3, 500, false),
        ];
        insta::assert_snapshot!(table(&trials), @"
    bug         agent    found              executions                   seconds
    stale-read  ucb1       2/3         30 (12 to >500)        3.0 (1.2 to >50.0)
    stale-read  uniform    1/3       >500 (40 to >500)      >50.0 (4.0 to >50.0)
    ");
    }
}
