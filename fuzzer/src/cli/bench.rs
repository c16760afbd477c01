//! `fuzz bench`: what a run costs on this machine.

use super::arguments::Bench;
use super::exit::Exit;
use super::output::Output;
use super::rig::{self, Rig};
use super::table;
use agents::statistics::median;
use fuzzer::execution::Statistics;
use fuzzer::executor::{Executor, RunOptions};
use fuzzer::reproducer::environment;
use fuzzer::schedule::{Schedule, VERSION, Workload};
use serde_json::json;

/// A measurement: its name, what runs, and what is read off.
struct Measurement {
    name: &'static str,
    unit: &'static str,
    schedule: Schedule,
    value: fn(&Statistics) -> f64,
}

/// Measures.
pub fn main(args: &Bench, output: &mut Output) -> anyhow::Result<Exit> {
    if args.table {
        return table::main(args, output);
    }
    let rig = Rig::prepare(&args.which)?;
    output.text(rig::headline(&rig, None));
    let machine =
        format!("{}, {} cores, {}", environment::cpu(), environment::cores(), environment::kernel());
    output.json(&json!({ "event": "machine", "machine": machine }));
    output.text(format!("machine: {machine}"));
    output.text(format!(
        "{:<34} {:>10} {:>10} {:>10}   {} runs each",
        "", "median", "least", "most", args.runs
    ));
    let nodes = rig.target.manifest.nodes;
    let mut worker = rig.worker(&[], nodes)?;
    for measurement in measurements(rig.target.name(), nodes) {
        let Measurement { name, unit, schedule, value } = measurement;
        let mut values = Vec::new();
        for _ in 0..args.runs {
            values.push(value(&worker.run(&schedule, RunOptions::default())?.statistics));
        }
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(0.0, f64::max);
        let middle = median(&values).unwrap_or(0.0);
        output.json(
            &json!({ "event": "measured", "name": name, "unit": unit, "median": middle, "values": values }),
        );
        output.text(format!("{name:<34} {middle:>10.2} {least:>10.2} {most:>10.2} {unit}"));
    }
    Ok(Exit::Clean)
}

fn measurements(target: &str, nodes: u8) -> Vec<Measurement> {
    let schedule = |horizon_ms, workload| Schedule {
        version: VERSION,
        target: target.to_owned(),
        bugs: Vec::new(),
        nodes,
        seed: 1,
        horizon_ms,
        workload,
        agent_from_ms: None,
        steps: Vec::new(),
    };
    let busy = schedule(10_000, Workload::default());
    let idle = schedule(60_000, Workload { clients: 1, rate: 1, keys: 1, operations: Some(1) });
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
            schedule: idle,
            value: |s| s.virtual_ns as f64 / s.wall_ns.max(1) as f64,
        },
        Measurement {
            name: "intercepted calls of a busy run",
            unit: "calls",
            schedule: busy.clone(),
            value: |s| s.calls as f64,
        },
        Measurement {
            name: "wall time per intercepted call",
            unit: "us",
            schedule: busy.clone(),
            value: |s| s.wall_ns as f64 / 1e3 / s.calls.max(1) as f64,
        },
        Measurement {
            name: "boot until ready, virtual",
            unit: "ms",
            schedule: busy,
            value: |s| s.ready_ns as f64 / 1e6,
        },
        Measurement {
            name: "shortest run (boot, 1 ms, quiet)",
            unit: "ms",
            schedule: schedule(1, Workload { operations: Some(1), ..Workload::default() }),
            value: |s| s.wall_ns as f64 / 1e6,
        },
    ]
}
