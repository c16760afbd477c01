//! `fuzz doctor`: whether this machine can run clusters.

use super::arguments::Doctor;
use super::exit::Exit;
use super::output::Output;
use super::rig;
use fuzzer::doctor::{self, Health};
use fuzzer::target::{Target, discover};
use serde_json::json;

/// Checks and reports; exit code 2 when something fails.
pub fn main(args: &Doctor, output: &mut Output) -> anyhow::Result<Exit> {
    let mut checks = doctor::machine();
    match (&args.target, rig::root()) {
        (Some(word), _) => checks.push(doctor::target(&rig::find(word)?)),
        (None, Ok(root)) => {
            for file in discover::manifests(&root) {
                checks.push(doctor::target(&Target::load(&file)?));
            }
        }
        (None, Err(error)) => super::rig::warn(&error.to_string()),
    }
    let worst = checks.iter().map(|check| check.health).max().unwrap_or(Health::Ok);
    for check in &checks {
        output.text(format!("{:<13} {:<5} {}", check.name, check.health.name(), check.found));
        if !check.next.is_empty() {
            output.text(format!("{:<13} {:<5} -> {}", "", "", check.next));
        }
    }
    output.json(&json!({ "health": worst, "checks": checks }));
    output.text(match worst {
        Health::Ok => {
            let target = args.target.as_deref().unwrap_or("raft-demo");
            format!("\nready: fuzz run --target {target} --time 60s")
        }
        Health::Warn => "\nready, with the warnings above".into(),
        Health::Fail => "\nnot ready: see the failures above".into(),
    });
    Ok(if worst == Health::Fail { Exit::Usage } else { Exit::Clean })
}
