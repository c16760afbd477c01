//! `fuzz targets`: what there is to break.

use super::arguments::Targets;
use super::exit::Exit;
use super::output::{Output, note};
use super::rig;
use fuzzer::target::{Manifest, Target, discover};
use serde_json::{Value, json};
use std::path::Path;

/// Lists targets.
pub fn main(args: &Targets, output: &mut Output) -> anyhow::Result<Exit> {
    if let Some(file) = &args.check {
        // A word without a slash is a file here, not a name.
        let word = if Path::new(file).is_absolute() { file.clone() } else { format!("./{file}") };
        let target = rig::find(&word)?;
        if let Some(told) = target.check()? {
            note(format!("note: {told}"));
        }
        output.json(&value(&target.manifest));
        output.text(format!("{file}: target `{}` can be used", target.name()));
        return Ok(Exit::Clean);
    }
    let targets = match &args.target {
        Some(word) => vec![rig::find(word)?],
        None => {
            let files = discover::manifests(&rig::root()?);
            files.iter().map(|file| Target::load(file)).collect::<Result<_, _>>()?
        }
    };
    for target in &targets {
        let manifest = &target.manifest;
        output.json(&value(manifest));
        output.text(format!("{} ({} nodes): {}", manifest.name, manifest.nodes, manifest.about));
        for (name, bugs) in &manifest.sets {
            output.text(format!("  set {name}: {}", bugs.join(", ")));
        }
        let width = manifest.bugs.iter().map(|bug| bug.name.len()).max().unwrap_or(0);
        for bug in &manifest.bugs {
            output.text(format!("  {:width$}  level {}  {}", bug.name, bug.level, bug.story).trim_end());
        }
    }
    Ok(Exit::Clean)
}

fn value(manifest: &Manifest) -> Value {
    json!({
        "name": manifest.name,
        "about": manifest.about,
        "nodes": manifest.nodes,
        "families": manifest.workload.families,
        "sets": manifest.sets,
        "bugs": manifest.bugs,
    })
}
