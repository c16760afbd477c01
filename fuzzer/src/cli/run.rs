//! `fuzz run`: a campaign, its findings shrunk and written as they come.

use super::arguments::Run;
use super::exit::Exit;
use super::output::{Output, coloured};
use super::rig::{self, Rig};
use super::shelf::{self, Shelf};
use super::{interrupt, shrink};
use anyhow::Context;
use fuzzer::campaign::{Campaign, CampaignConfig, CampaignEvent, Legacy, Limits, Search, Summary};
use fuzzer::execution::Execution;
use fuzzer::keep::{Found, Kept};
use fuzzer::plain;
use fuzzer::pool::Worker;
use fuzzer::report::stopwatch::Stopwatch;
use fuzzer::report::terminal::Terminal;
use fuzzer::report::{json, summary};
use fuzzer::reproducer::environment::Environment;
use fuzzer::reproducer::quoted;
use fuzzer::shrink as shrinking;
use fuzzer::target::Part;
use interceptor::sandbox::Clock;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Most directories tried when none is named.
const PLACES_MAX: u32 = 1_000;

/// The longest identity of a campaign that is looked at, in bytes.
const IDENTITY_MAX: usize = 1 << 20;

/// Host time spent on shrinking one finding: a search must go on. `fuzz shrink` takes all the time there is.
const SHRINK_TIME_MAX: Duration = Duration::from_secs(60);

/// Runs a campaign.
pub fn main(args: &Run, output: &mut Output) -> anyhow::Result<Exit> {
    let stop = interrupt::flag();
    let rig = Rig::prepare(&args.which)?;
    let manifest = &rig.target.manifest;
    let bugs = match args.bugs.as_slice() {
        [] => manifest.bugs_by_default(),
        words => manifest.bugs_named(words)?,
    };
    let nodes = args.nodes.unwrap_or(manifest.nodes);
    let mut config = rig.campaign(&args.agent, bugs, nodes, PathBuf::new())?;
    config.search = args.search.into();
    config.legacy = args.from.as_deref().map(Legacy::read).transpose()?;
    config.horizon_ms = u64::try_from(args.horizon.as_millis()).unwrap_or(u64::MAX);
    config.limits = Limits { time: args.time, executions: args.executions, stop_after: args.stop_after };
    let fresh = args.seed.map_or_else(fresh_seed, Ok)?;
    settle(&mut config, args.out.as_deref(), args.seed, fresh);
    let plan = Plan { cores: args.cores, shrink: args.shrink, keep: args.keep.as_deref() };
    let summary = campaign(&rig, config, &plan, &stop, output)?;
    Ok(exit_of(&summary, stop.load(Ordering::Relaxed)))
}

/// How a campaign is run, besides what it is.
pub struct Plan<'a> {
    /// Clusters at a time.
    pub cores: Option<u16>,
    /// Executions spent on shrinking a finding.
    pub shrink: u32,
    /// Where runs are kept, whatever they showed.
    pub keep: Option<&'a Path>,
}

/// Runs a campaign, tells of it, and keeps its findings.
///
/// # Errors
/// When it cannot start or go on.
pub fn campaign(
    rig: &Rig,
    mut config: CampaignConfig,
    plan: &Plan<'_>,
    stop: &Arc<AtomicBool>,
    output: &mut Output,
) -> anyhow::Result<Summary> {
    output.text(rig::headline(rig, Some(config.seed)));
    rig::note_clock(rig);
    let bugs = if config.bugs.is_empty() { "none".to_owned() } else { config.bugs.join(", ") };
    output.text(format!("bugs {bugs} · agent {} · out {}", config.agent, rig::typed(&config.out).display()));
    let shelf = Shelf::asked(plan.keep, rig)?;
    let executors = rig.workers(&config.bugs, config.nodes, plan.cores)?;
    config.show = if shelf.is_some() { shelf::RUNS_MAX } else { 0 };
    let (out, limits) = (config.out.clone(), config.limits);
    let mut keeper = Keeper::new(rig, &config, plan, stop);
    let mut campaign = Campaign::open(config, executors)?;
    // By it the target of a schedule in the corpus is found.
    rig.environment()
        .write(&out)
        .with_context(|| format!("cannot write to {}", rig::typed(&out).display()))?;
    campaign.forget(&|slug| out.join("findings").join(slug).is_dir());
    let events = out.join("events.jsonl");
    let file = OpenOptions::new().create(true).append(true).open(&events);
    let mut events = BufWriter::new(file.with_context(|| format!("cannot write {}", events.display()))?);
    let mut terminal = Terminal::new(coloured(), limits);
    let mut last = None;
    let result = campaign.run(stop, &mut |event| {
        let line = json::line(event);
        record(&mut events, &line);
        output.json(&line);
        terminal.event(event);
        if let CampaignEvent::Finding { slug, execution, .. } = event {
            match keeper.keep(slug, execution, &terminal) {
                Ok(kept) => {
                    let line = kept_line(slug, &kept);
                    record(&mut events, &line);
                    output.json(&line);
                    let (steps, before) = (kept.steps, kept.steps_before);
                    let again = kept.rate.map(|rate| format!(", broke again in {rate}")).unwrap_or_default();
                    terminal.say(&format!(
                        "  kept in {} ({steps} of {before} steps{again})",
                        rig::typed(&kept.path).display()
                    ));
                    last = Some(kept.path);
                }
                Err(error) => terminal.say(&format!("warning: {slug}: {error:#}")),
            }
        }
        if let (CampaignEvent::Ran { execution, run }, Some(shelf)) = (event, &shelf) {
            let name = execution.map_or_else(|| "control".to_owned(), |number| format!("run-{number}"));
            if let Err(error) = shelf.put(&name, run) {
                terminal.say(&format!("warning: {name} is not kept: {error}"));
            }
        }
        if output.is_closed() {
            stop.store(true, Ordering::Relaxed);
        }
    });
    terminal.finish();
    let summary = result?;
    shelf.iter().for_each(Shelf::tell);
    let findings = rig::typed(&out.join("findings"));
    output.text(summary::text(&summary, &findings).trim_end());
    let last = last.or_else(|| summary.findings.last().map(|finding| findings.join(&finding.slug)));
    if let Some(path) = last {
        output.text(format!("fuzz replay {}", quoted(&rig::typed(&path))));
    }
    Ok(summary)
}

/// What a campaign's end means.
pub fn exit_of(summary: &Summary, interrupted: bool) -> Exit {
    if !summary.findings.is_empty() {
        Exit::Violation
    } else if summary.diverged > 0 {
        Exit::Nondeterminism
    } else if interrupted {
        Exit::Interrupted
    } else if summary.in_vain().is_some()
        || summary.unrepeated > 0
        || summary.unknown * 2 > summary.executions
    {
        Exit::Unknown
    } else {
        Exit::Clean
    }
}

/// A seed from the system, small enough to be written in TOML.
fn fresh_seed() -> anyhow::Result<u64> {
    let mut bytes = [0; 8];
    let mut source = File::open("/dev/urandom").context("no source of random seeds; pass --seed")?;
    source.read_exact(&mut bytes).context("no source of random seeds; pass --seed")?;
    Ok(u64::from_le_bytes(bytes) >> 1)
}

/// Sets seed and directory. A campaign that is already in the directory gives its seed when none is asked for; when no
/// directory is named, the first that is free or holds the very same campaign is taken.
fn settle(config: &mut CampaignConfig, out: Option<&Path>, seed: Option<u64>, fresh: u64) {
    let target = config.target.clone();
    let mut consider = |place: PathBuf| -> bool {
        let before = Before::read(&place);
        config.seed = seed.or_else(|| before.as_ref().and_then(|it| it.seed())).unwrap_or(fresh);
        config.out = place;
        before.is_none_or(|before| before.is(config))
    };
    match out {
        Some(out) => {
            consider(out.to_owned());
        }
        None => {
            for n in 1..=PLACES_MAX {
                let name = if n == 1 { target.clone() } else { format!("{target}-{n}") };
                if consider(Path::new("fuzz-out").join(name)) {
                    break;
                }
            }
        }
    }
}

/// A campaign that is already in a directory, as far as it is needed to tell whether it is this one.
struct Before(toml::Table);

impl Before {
    fn read(place: &Path) -> Option<Self> {
        let text = plain::text(&place.join("campaign.toml"), IDENTITY_MAX).ok()?;
        text.parse().ok().map(Self)
    }

    fn text(&self, field: &str) -> &str {
        self.0.get(field).and_then(toml::Value::as_str).unwrap_or_default()
    }

    /// An older campaign does not say it: it was by the virtual one.
    fn clock(&self) -> &str {
        Some(self.text("clock")).filter(|name| !name.is_empty()).unwrap_or(Clock::Virtual.name())
    }

    /// An older campaign does not say it: it was by fixed weights.
    fn search(&self) -> &str {
        Some(self.text("search")).filter(|name| !name.is_empty()).unwrap_or(Search::Fixed.name())
    }

    fn seed(&self) -> Option<u64> {
        self.text("seed").parse().ok()
    }

    fn is(&self, config: &CampaignConfig) -> bool {
        let number = |field: &str| self.0.get(field).and_then(toml::Value::as_integer);
        let bugs = self.0.get("bugs").and_then(toml::Value::as_array);
        let bugs: Vec<&str> = bugs.into_iter().flatten().filter_map(toml::Value::as_str).collect();
        self.text("target") == config.target
            && self.text("manifest") == config.target_digest
            && self.text("binary") == config.binary_digest
            && self.text("agent") == config.agent
            && self.search() == config.search.name()
            && self.clock() == config.clock.name()
            && self.seed() == Some(config.seed)
            && bugs == config.bugs
            && number("nodes") == Some(i64::from(config.nodes))
            && number("horizon_ms") == i64::try_from(config.horizon_ms).ok()
    }
}

/// Shrinks and writes findings, with a worker of its own that is started for the first.
struct Keeper<'a> {
    rig: &'a Rig,
    worker: Option<Worker>,
    environment: Environment,
    parts: Vec<Part>,
    findings: PathBuf,
    bugs: Vec<String>,
    nodes: u8,
    limits: shrinking::Limits,
    stop: Arc<AtomicBool>,
}

impl<'a> Keeper<'a> {
    fn new(rig: &'a Rig, config: &CampaignConfig, plan: &Plan<'_>, stop: &Arc<AtomicBool>) -> Self {
        let nodes_min = rig.target.manifest.nodes.min(3);
        Self {
            rig,
            worker: None,
            environment: rig.environment(),
            parts: rig.parts(),
            findings: config.out.join("findings"),
            bugs: config.bugs.clone(),
            nodes: config.nodes,
            limits: shrinking::Limits { executions: plan.shrink, nodes_min },
            stop: Arc::clone(stop),
        }
    }

    fn keep(&mut self, slug: &str, execution: &Execution, terminal: &Terminal) -> anyhow::Result<Kept> {
        let (environment, parts) = (&self.environment, self.parts.as_slice());
        let found = Found { slug, execution, original: &execution.schedule, environment, parts };
        if self.limits.executions == 0 {
            return Ok(found.write(&self.findings)?);
        }
        let worker = match &mut self.worker {
            Some(worker) => worker,
            None => self.worker.insert(self.rig.worker(&self.bugs, self.nodes)?),
        };
        let watch = Stopwatch::start();
        let mut progress = |progress| terminal.busy(&shrink::line(progress));
        let go_on = || watch.elapsed() < SHRINK_TIME_MAX && !self.stop.load(Ordering::Relaxed);
        match found.shrink(&self.findings, self.limits, worker, &mut progress, &go_on) {
            // What was written before stays; the user wants no more of it.
            Err(_) if self.stop.load(Ordering::Relaxed) => Ok(found.write(&self.findings)?),
            other => Ok(other?),
        }
    }
}

fn kept_line(slug: &str, kept: &Kept) -> serde_json::Value {
    serde_json::json!({
        "event": "kept", "slug": slug, "path": rig::typed(&kept.path), "steps": kept.steps,
        "steps_before": kept.steps_before, "executions": kept.executions, "shrunk": kept.shrunk,
        "rate": kept.rate,
    })
}

/// Appends to the campaign's record; that the disk is full is told by what matters more.
fn record(events: &mut BufWriter<File>, line: &serde_json::Value) {
    let _ = writeln!(events, "{line}").and_then(|()| events.flush());
}

#[cfg(test)]
mod tests {
    use super::*;
    use agents::{ActionInfo, ActionSpace};
    use fuzzer::tally::{Counts, Tally};
    use oracle::Function;
    use std::collections::BTreeMap;

    fn config() -> CampaignConfig {
        let space = ActionSpace::new(vec![ActionInfo::nothing("nothing", 0)]).unwrap();
        CampaignConfig::new("toy", 3, space, PathBuf::new())
    }

    #[test]
    fn a_directory_gives_its_seed_to_the_campaign_that_goes_on_there() {
        let dir = tempfile::tempdir().unwrap();
        let text = "target = \"toy\"\nmanifest = \"\"\nbinary = \"\"\nbugs = []\nnodes = 3\nagent = \"uniform\"\nsearch = \"learned\"\n\
                    seed = \"77\"\nhorizon_ms = 10000\n";
        std::fs::write(dir.path().join("campaign.toml"), text).unwrap();
        let mut config = config();
        settle(&mut config, Some(dir.path()), None, 9);
        assert_eq!(config.seed, 77);
        assert!(Before::read(dir.path()).unwrap().is(&config));
        settle(&mut config, Some(dir.path()), Some(5), 5);
        assert_eq!(config.seed, 5);
        assert!(!Before::read(dir.path()).unwrap().is(&config));
    }

    #[test]
    fn the_end_of_a_campaign_has_one_meaning() {
        let of = |ok, failed| Tally {
            counts: BTreeMap::from([(Function::Write, Counts { ok, failed, unknown: 0 })]),
            ..Tally::default()
        };
        let clean = Summary { executions: 10, operations: of(9, 1), ..Summary::default() };
        assert_eq!(exit_of(&clean, false), Exit::Clean);
        let vain = Summary { operations: of(0, 1), ..clean.clone() };
        assert_eq!(exit_of(&vain, false), Exit::Unknown);
        assert_eq!(exit_of(&clean, true), Exit::Interrupted);
        assert_eq!(exit_of(&Summary { unknown: 6, ..clean.clone() }, false), Exit::Unknown);
        assert_eq!(exit_of(&Summary { diverged: 1, ..clean }, true), Exit::Nondeterminism);
    }
}
