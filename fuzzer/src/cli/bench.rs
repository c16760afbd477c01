//! `fuzz bench`: what a run costs on this machine.

use super::arguments::Bench;
use super::exit::Exit;
use super::gauge;
use super::output::Output;
use super::rig::{self, Rig};
use super::scratch::Scratch;
use agents::AnyAgent;
use agents::statistics::median;
use fuzzer::campaign::{Campaign, Limits};
use fuzzer::execution::{Execution, Statistics};
use fuzzer::executor::{Executor, ExecutorError, Learned, Restart, RunOptions};
use fuzzer::pool::Worker;
use fuzzer::reproducer::environment;
use fuzzer::schedule::{Family, Schedule, VERSION, Workload};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A measurement: its name, what runs, and what is read off.
struct Measurement {
    name: &'static str,
    unit: &'static str,
    schedule: Schedule,
    value: fn(&Statistics) -> f64,
}

/// Guest calls and clock reads of a measurement.
const CALLS: u64 = 20_000;
const CLOCK_READS: u64 = 2_000_000;
/// Executions of the campaign whose own share is measured.
const CAMPAIGN: u64 = 24;

/// Measures.
pub fn main(args: &Bench, output: &mut Output) -> anyhow::Result<Exit> {
    let rig = Rig::prepare(&args.which)?;
    output.text(rig::headline(&rig, None));
    let machine =
        format!("{}, {} cores, {}", environment::cpu(), environment::cores(), environment::kernel());
    output.json(&json!({ "event": "machine", "machine": machine }));
    output.text(format!("machine: {machine}"));
    output.text(format!(
        "{:<40} {:>10} {:>10} {:>10}   {} runs each",
        "", "median", "least", "most", args.runs
    ));
    let nodes = rig.target.manifest.nodes;
    let mut worker = rig.worker(&[], nodes)?;
    for measurement in measurements(rig.target.name(), nodes, rig.families.first().copied()) {
        let Measurement { name, unit, schedule, value } = measurement;
        let mut values = Vec::new();
        for _ in 0..args.runs {
            values.push(value(&worker.run(&schedule, RunOptions::default())?.statistics));
        }
        tell(output, name, unit, &values);
    }
    let peak = worker.peak_memory().unwrap_or_default() as f64 / f64::from(1 << 20);
    drop(worker);
    tell(output, "peak memory of these runs, without guests", "MiB", &[peak]);
    for (name, what, repeats) in [
        ("an intercepted call, answered", gauge::What::Calls, CALLS),
        ("a clock read", gauge::What::Clocks, CLOCK_READS),
    ] {
        let costs: Result<Vec<f64>, _> = (0..args.runs).map(|_| gauge::cost_ns(what, repeats)).collect();
        tell(output, name, "us", &costs?.into_iter().map(|ns| ns / 1e3).collect::<Vec<_>>());
    }
    let shares: Result<Vec<f64>, _> = (1..=u64::from(args.runs)).map(|seed| own_share(&rig, seed)).collect();
    tell(output, "campaign outside executions", "%", &shares?);
    Ok(Exit::Clean)
}

fn tell(output: &mut Output, name: &str, unit: &str, values: &[f64]) {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    let middle = median(values).unwrap_or(0.0);
    output.json(
        &json!({ "event": "measured", "name": name, "unit": unit, "median": middle, "values": values }),
    );
    output.text(format!("{name:<40} {middle:>10.2} {least:>10.2} {most:>10.2} {unit}"));
}

/// A worker whose time in executions is summed up.
struct Timed {
    worker: Worker,
    nanoseconds: Arc<AtomicU64>,
}

impl Executor for Timed {
    fn adopt(&mut self, agent: &AnyAgent) -> Result<(), ExecutorError> {
        self.worker.adopt(agent)
    }

    fn learn(&mut self, episodes: &[Learned]) -> Result<(), ExecutorError> {
        self.worker.learn(episodes)
    }

    fn run(&mut self, input: &Schedule, options: RunOptions) -> Result<Execution, ExecutorError> {
        let execution = self.worker.run(input, options)?;
        self.nanoseconds.fetch_add(execution.statistics.wall_ns, Ordering::Relaxed);
        Ok(execution)
    }

    fn restarts(&mut self) -> Vec<Restart> {
        self.worker.restarts()
    }
}

/// Percent of a short campaign's time that is not spent in executions: drawing, libafl, learning, files, and the way to the
/// worker and back.
fn own_share(rig: &Rig, seed: u64) -> anyhow::Result<f64> {
    let nodes = rig.target.manifest.nodes;
    let scratch = Scratch::make()?;
    let out = scratch.path().join("out");
    let mut config = rig.campaign(agents::registry::DEFAULT, Vec::new(), nodes, out)?;
    config.seed = seed;
    config.limits = Limits { time: None, executions: Some(CAMPAIGN), stop_after: None };
    let nanoseconds = Arc::new(AtomicU64::new(0));
    let timed = Timed { worker: rig.worker(&config.bugs, nodes)?, nanoseconds: Arc::clone(&nanoseconds) };
    let mut campaign = Campaign::open(config, vec![Box::new(timed)])?;
    let summary = campaign.run(&AtomicBool::new(false), &mut |_| {})?;
    let inside = nanoseconds.load(Ordering::Relaxed) as f64 / 1e6;
    Ok(100.0 * (1.0 - inside / summary.elapsed_ms.max(1) as f64).max(0.0))
}

fn measurements(target: &str, nodes: u8, family: Option<Family>) -> Vec<Measurement> {
    let schedule = |horizon_ms, workload| Schedule {
        version: VERSION,
        target: target.to_owned(),
        bugs: Vec::new(),
        nodes,
        seed: 1,
        horizon_ms,
        workload,
        agent_from_ms: None,
        agent_salt: 0,
        steps: Vec::new(),
    };
    let busy = schedule(10_000, Workload { family, ..Workload::default() });
    let idle = schedule(60_000, Workload { clients: 1, rate: 1, keys: 1, operations: Some(1), family });
    let thinking = Workload { clients: 1, rate: 100, family, ..Workload::default() };
    let brief = schedule(1, Workload { operations: Some(1), family, ..Workload::default() });
    vec![
        Measurement {
            name: "10 virtual s at 20 operations/s",
            unit: "ms",
            schedule: busy.clone(),
            value: |s| s.wall_ns as f64 / 1e6,
        },
        Measurement {
            name: "speed at 20 operations/s",
            unit: "x real time",
            schedule: busy.clone(),
            value: |s| s.virtual_ns as f64 / s.wall_ns.max(1) as f64,
        },
        Measurement {
            name: "speed when idle",
            unit: "x real time",
            schedule: idle.clone(),
            value: |s| s.virtual_ns as f64 / s.wall_ns.max(1) as f64,
        },
        Measurement {
            name: "an idle virtual second",
            unit: "ms",
            schedule: idle,
            value: |s| (s.wall_ns - s.ready_wall_ns) as f64 * 1e3 / (s.virtual_ns - s.ready_ns).max(1) as f64,
        },
        Measurement {
            name: "an operation, one client, 10 ms apart",
            unit: "ms",
            schedule: schedule(10_000, thinking),
            value: |s| (s.wall_ns - s.ready_wall_ns) as f64 / 1e6 / s.operations.max(1) as f64,
        },
        Measurement {
            name: "intercepted calls of a busy run",
            unit: "calls",
            schedule: busy.clone(),
            value: |s| s.calls as f64,
        },
        Measurement {
            name: "wall time per call, all in",
            unit: "us",
            schedule: busy,
            value: |s| s.wall_ns as f64 / 1e3 / s.calls.max(1) as f64,
        },
        Measurement {
            name: "boot until the cluster has a leader",
            unit: "ms",
            schedule: brief.clone(),
            value: |s| s.ready_wall_ns as f64 / 1e6,
        },
        Measurement {
            name: "the same in virtual time",
            unit: "ms",
            schedule: brief.clone(),
            value: |s| s.ready_ns as f64 / 1e6,
        },
        Measurement {
            name: "shortest run (boot, 1 ms, quiet)",
            unit: "ms",
            schedule: brief,
            value: |s| s.wall_ns as f64 / 1e6,
        },
    ]
}
