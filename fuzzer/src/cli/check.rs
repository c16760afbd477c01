//! `fuzz check`: judges a history of anybody.

mod finding;

use super::arguments::Check as Arguments;
use super::exit::Exit;
use super::output::{Output, note};
use super::source::{Source, note_untimed, refusal};
use anyhow::{Context, anyhow, bail};
use finding::Finding;
use fuzzer::nearest::suggestion;
use fuzzer::reference;
use oracle::check::{self, ALIASES, ANOMALIES, Anomaly, CHECKS, Check, Holds, Options};
use oracle::format::{self, Format, Options as Reading};
use oracle::inspection;
use oracle::page::{self, Checked};
use oracle::{Judgement, Verdict, Violation};
use serde_json::json;
use std::path::Path;

/// Checks.
pub fn main(args: &Arguments, output: &mut Output) -> anyhow::Result<Exit> {
    if args.list {
        list(output);
        return Ok(Exit::Clean);
    }
    if let Some(name) = &args.explain {
        let name = check::canonical(name);
        match check::anomaly(name) {
            Some(anomaly) => explain_anomaly(anomaly, output)?,
            None => explain(model(name)?, output)?,
        }
        return Ok(Exit::Clean);
    }
    let history =
        args.history.as_deref().ok_or_else(|| anyhow!("name the history, or - for standard input"))?;
    let finding = Finding::at(history)?;
    let judged = judge(history, finding.as_ref(), args, output);
    if let (Err(_), Some(finding)) = (&judged, &finding) {
        note(finding.told());
    }
    judged
}

/// Judges a history that may be that of a finding.
fn judge(
    history: &Path,
    finding: Option<&Finding>,
    args: &Arguments,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let check = args.model.as_deref().map(model).transpose()?;
    let Source { name, history: source } = Source::open(history, args.format)?;
    let format = source.format;
    let mut entries = source.entries(Reading { independent: args.independent });
    let check = match check {
        Some(check) => check,
        None => inspection::guessed(format, &mut entries).map_err(|refused| refusal(&name, refused))?,
    };
    let options = options(check, args, format)?;
    let judged = check.judge_and_count(&mut entries, &options).with_context(|| match args.format {
        Some(_) => name.clone(),
        None => format!("{name} as {}", format.name()),
    });
    let (mut judgement, tally) = judged?;
    if let Some(finding) = finding {
        finding.compare(&mut judgement);
    }
    let checked = Checked {
        history: name,
        format: format.name().to_owned(),
        model: check.name.to_owned(),
        entries: tally.entries,
        operations: tally.operations,
        keys: tally.keys(),
    };
    if let Some(path) = &args.html {
        write(path, &page::html(&checked, &judgement))?;
    }
    tell(&checked, &judgement, args.html.as_deref(), output);
    Ok(match judgement.verdict() {
        Verdict::Valid => Exit::Clean,
        Verdict::Violation(_) => Exit::Violation,
        Verdict::Unknown { .. } => Exit::Unknown,
    })
}

/// All that can be asked for.
fn checks() -> impl Iterator<Item = &'static Check> {
    CHECKS.iter().chain([&reference::CHECK])
}

fn list(output: &mut Output) {
    for check in checks() {
        output.json(&described(check));
        output.text(format!("{:<20} {}", check.name, check.about));
    }
    output.text("\nAnomalies of transactions, which list-append and rw-register find:");
    for anomaly in ANOMALIES {
        output.json(&json!({ "event": "anomaly", "name": anomaly.name, "about": anomaly.about }));
        output.text(format!("{:<22} {}", anomaly.name, anomaly.about));
    }
    output.text("\nOther names, which --explain takes too:");
    for (alias, name) in ALIASES {
        output.json(&json!({ "event": "alias", "name": alias, "of": name }));
        output.text(format!("{alias:<26} {name}"));
    }
    output.text("\nfuzz check --explain NAME tells what each can be told, and shows an example");
}

/// Tells of one anomaly, with transactions that show it.
fn explain_anomaly(anomaly: &Anomaly, output: &mut Output) -> anyhow::Result<()> {
    let (history, check) = (anomaly.history(), anomaly.check());
    let mut text = Vec::new();
    format::write(Format::Edn, &mut history.clone().into_iter().map(Ok), &mut text, Reading::default())?;
    let text = String::from_utf8_lossy(&text);
    let judgement = check.judge(&mut history.into_iter().map(Ok), &anomaly.options())?;
    output.json(&json!({
        "event": "anomaly", "name": anomaly.name, "about": anomaly.about, "model": check.name,
        "example": { "history": text, "settings": anomaly.options().settings, "violations": judgement.violations },
    }));
    output.text(format!("{}: {}", anomaly.name, anomaly.about));
    let told = told(anomaly.settings());
    output.text(format!("\nExample: fuzz check FILE --model {}{told}\n", check.name));
    text.lines().for_each(|line| output.text(format!("  {line}")));
    output.text("");
    tell_findings(&judgement, output);
    Ok(())
}

fn described(check: &Check) -> serde_json::Value {
    let settings: Vec<_> =
        check.options.iter().map(|setting| json!({ "name": setting.name, "about": setting.about })).collect();
    json!({
        "event": "model", "name": check.name, "about": check.about, "settings": settings, "holds": check.holds.name(),
    })
}

/// Tells of one check, and runs it on its example.
fn explain(check: &Check, output: &mut Output) -> anyhow::Result<()> {
    let (example, text) = (&check.example, check.example.edn());
    let mut entries = format::read(Format::Edn, text.as_bytes(), Reading::default());
    let judgement = check.judge(&mut *entries, &example.options())?;
    let mut described = described(check);
    described["example"] = json!({
        "history": text, "settings": example.options().settings, "violations": judgement.violations,
    });
    output.json(&described);
    output.text(format!("{}: {}", check.name, check.about));
    for setting in check.options {
        output.text(format!("  --set {}=...  {}", setting.name, setting.about));
    }
    output.text(match check.holds {
        Holds::Open => "  in memory: operations that are open; a history may be larger than memory",
        Holds::History => "  in memory: something of every operation",
    });
    let told = told(example.settings);
    output.text(format!("\nExample: fuzz check FILE --model {}{told}\n", check.name));
    text.lines().for_each(|line| output.text(format!("  {line}")));
    output.text("");
    tell_findings(&judgement, output);
    Ok(())
}

/// The settings as words of a command.
fn told(settings: &[(&str, &str)]) -> String {
    let word = |(name, value): &(&str, &str)| format!(" --set {}", for_shell(&format!("{name}={value}")));
    settings.iter().map(word).collect()
}

/// A word as a shell takes it.
fn for_shell(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=.,:/".contains(c);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// The check with this name.
fn model(name: &str) -> anyhow::Result<&'static Check> {
    checks().find(|check| check.name == name).ok_or_else(|| {
        let names: Vec<&str> = checks().map(|check| check.name).collect();
        anyhow!(
            "there is no model `{name}`; {} (`fuzz check --list` tells what each is)",
            suggestion(name, &names)
        )
    })
}

/// What the check is told: `--set`, `--steps`, and what the format lacks.
fn options(check: &Check, args: &Arguments, format: Format) -> anyhow::Result<Options> {
    let known: Vec<&str> = check.options.iter().map(|setting| setting.name).collect();
    let mut options = Options::default();
    if let Some(steps) = args.steps {
        options.steps_max = steps;
    }
    for setting in &args.set {
        let (name, value) = setting
            .split_once('=')
            .ok_or_else(|| anyhow!("--set {setting} is no setting; write it as NAME=VALUE"))?;
        if !known.contains(&name) {
            bail!("the model `{}` has no setting `{name}`; {}", check.name, suggestion(name, &known));
        }
        options.settings.insert(name.to_owned(), value.to_owned());
    }
    if let Some((name, value)) = inspection::fill(&mut options, check, format)? {
        note_untimed(format, &format!("checked with --set {name}={value}"));
    }
    Ok(options)
}

fn write(path: &Path, html: &str) -> anyhow::Result<()> {
    std::fs::write(path, html).with_context(|| format!("cannot write {}", path.display()))
}

fn tell(checked: &Checked, judgement: &Judgement, html: Option<&Path>, output: &mut Output) {
    output.json(&json!({
        "event": "checked", "verdict": page::word(judgement), "history": checked.history, "format": checked.format,
        "model": checked.model, "entries": checked.entries, "operations": checked.operations, "keys": checked.keys,
        "violations": judgement.violations, "unknown": judgement.unknown, "notes": judgement.notes,
        "html": html.map(|path| path.display().to_string()),
    }));
    output.text(format!("{}: {}", page::word(judgement), checked));
    tell_findings(judgement, output);
    if let Some(path) = html {
        output.text(format!("the page is {}", path.display()));
    }
}

fn tell_findings(judgement: &Judgement, output: &mut Output) {
    for Violation { signature, summary, evidence, .. } in &judgement.violations {
        output.text(format!("{signature}: {summary}"));
        evidence.lines.iter().for_each(|line| output.text(format!("  {line}")));
    }
    judgement.unknown.iter().for_each(|why| output.text(format!("unknown: {why}")));
    judgement.notes.iter().for_each(|note| output.text(format!("note: {note}")));
}
