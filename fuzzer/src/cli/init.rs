//! `fuzz init`: a manifest to begin with, from flags, from a Docker Compose file, or from answers at a terminal.

mod draft;
mod questions;

use super::arguments::Init;
use super::exit::Exit;
use super::output::{Output, note};
use anyhow::{Context, bail};
use draft::Draft;
use fuzzer::compose::{Beside, Cluster, Compose, Variables, yaml};
use fuzzer::plain;
use fuzzer::target::{Manifest, Target};
use serde_json::json;
use std::fs::OpenOptions;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Writes it; never over another.
pub fn main(args: &Init, output: &mut Output) -> anyhow::Result<Exit> {
    let draft = draft(args)?;
    let text = draft.text();
    let directory = args.out.clone().unwrap_or_else(|| place(&args.name));
    let file = directory.join("target.toml");
    let shown = file.display().to_string();
    Manifest::parse(&text, &shown)?;
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let mut made = match OpenOptions::new().write(true).create_new(true).open(&file) {
        Ok(made) => made,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!("{shown} is there already; give another name or --out")
        }
        Err(error) => return Err(error).with_context(|| format!("cannot write {shown}")),
    };
    made.write_all(text.as_bytes()).with_context(|| format!("cannot write {shown}"))?;
    draft.notes.iter().for_each(|line| note(format!("note: {line}")));
    output.json(&json!({ "event": "made", "file": shown, "notes": draft.notes }));
    output.text(format!("{shown} is made; look it over, then"));
    let word = if directory.components().count() > 1 {
        directory.display().to_string()
    } else {
        format!("./{}", directory.display())
    };
    let mut launcher = "";
    match Target::load(&file).and_then(|target| target.check()) {
        Ok(None) => {}
        Ok(Some(told)) => {
            launcher = " --launcher docker";
            note(format!("note: {told}"));
        }
        Err(error) => note(format!("note: it cannot be used yet: {error}")),
    }
    output.text(format!("  fuzz targets --check {shown}\n  fuzz run --target {word}{launcher}"));
    Ok(Exit::Clean)
}

fn draft(args: &Init) -> anyhow::Result<Draft> {
    let mut draft = Draft::example(&args.name);
    if let Some(file) = &args.compose {
        let shown = file.display();
        let text = plain::text(file, yaml::BYTES_MAX).with_context(|| format!("cannot read {shown}"))?;
        let beside = file.parent().unwrap_or(Path::new(""));
        let variables = variables(args, beside)?;
        let read = |path: &str| {
            let path = beside.join(path);
            let told = |error| format!("cannot read {}: {error}", path.display());
            plain::text(&path, yaml::BYTES_MAX).map_err(told)
        };
        let compose = match Compose::parse(&text, &Beside { variables: &variables, read: &read }) {
            Ok(compose) => compose,
            Err(fault) => bail!("{shown}: {fault}"),
        };
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        draft.compose(Cluster::of(&compose), &name);
    } else if args.says_nothing() && std::io::stdin().is_terminal() {
        questions::ask(&mut draft, &mut std::io::stdin().lock(), &mut std::io::stderr())?;
    } else if args.binary.is_none() {
        bail!(
            "give the program with --binary PATH, or a Docker Compose file with --compose FILE; fuzz init --help has examples"
        );
    }
    draft.flags(args);
    Ok(draft)
}

/// What variables of a Compose file stand for: the environment, then `--env-file`, else the `.env` beside the file.
fn variables(args: &Init, beside: &Path) -> anyhow::Result<Variables> {
    // What is no text cannot stand in one.
    let environment = std::env::vars_os();
    let texts =
        environment.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut variables = Variables::of(texts);
    let usual = beside.join(".env");
    let files = match args.env_file.as_slice() {
        [] if std::fs::symlink_metadata(&usual).is_ok() => vec![usual],
        named => named.to_vec(),
    };
    for file in files {
        let shown = file.display();
        let text = plain::text(&file, yaml::BYTES_MAX).with_context(|| format!("cannot read {shown}"))?;
        if let Err(fault) = variables.add(&text) {
            bail!("{shown}: {fault}");
        }
    }
    Ok(variables)
}

fn place(name: &str) -> PathBuf {
    let all = Path::new("targets");
    if all.is_dir() { all.join(name) } else { PathBuf::from(name) }
}
