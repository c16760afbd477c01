//! `fuzz check`: judges a history of anybody.

use super::arguments::Check as Arguments;
use super::exit::Exit;
use super::output::Output;
use super::source::{Source, note_untimed};
use anyhow::{Context, anyhow, bail};
use fuzzer::nearest::suggestion;
use fuzzer::reference;
use oracle::check::{self, ALIASES, ANOMALIES, Anomaly, CHECKS, Check, Holds, Options};
use oracle::checker::process::{LOG_PATTERN, SANITIZER};
use oracle::checker::transaction::serial::STRICT;
use oracle::format::{self, Format, Options as Reading};
use oracle::guess::{ENTRIES_MAX, Guess};
use oracle::history::Phase;
use oracle::page::{self, Checked};
use oracle::raw::{Entry, Error, Process};
use oracle::value::Value;
use oracle::{Judgement, Verdict, Violation};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;

/// Keys are counted up to here.
const KEYS_MAX: usize = 1_000_000;

/// What lines that are no entries of operations can be judged by.
const OF_LINES: [Check; 2] = [SANITIZER, LOG_PATTERN];

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
    let check = args.model.as_deref().map(model).transpose()?;
    let history =
        args.history.as_deref().ok_or_else(|| anyhow!("name the history, or - for standard input"))?;
    let source = Source::open(history, args.format)?;
    let (name, format) = (source.name.clone(), source.format);
    let mut entries = source.entries(Reading { independent: args.independent });
    let (check, mut entries) = match check {
        Some(check) => (check, entries),
        None if format == Format::Lines => bail!(
            "{name} as lines is what a process wrote, which tells no single model; choose one with --model: {}",
            OF_LINES.map(|check| check.name).join(", ")
        ),
        None => guessed(&name, &mut *entries).map(|(check, first)| (check, chained(first, entries)))?,
    };
    let options = options(check, args, format)?;
    let mut tally = Tally::default();
    let result = (check.run)(&mut entries.by_ref().inspect(|entry| tally.count(entry)), &options);
    // a check may be content with a part; a history is good as a whole
    let judgement = result.and_then(|judgement| {
        entries.by_ref().try_for_each(|entry| {
            tally.count(&entry);
            entry.map(drop)
        })?;
        Ok(judgement)
    });
    let judgement = judgement.with_context(|| match args.format {
        Some(_) => name.clone(),
        None => format!("{name} as {}", format.name()),
    })?;
    let checked = Checked {
        history: name,
        format: format.name().to_owned(),
        model: check.name.to_owned(),
        entries: tally.entries,
        operations: tally.operations,
        keys: tally.keys.len() as u64,
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

/// The check that a history is for, and the entries that were looked at.
#[allow(clippy::type_complexity, reason = "said once")]
fn guessed(
    name: &str,
    entries: &mut dyn Iterator<Item = Result<Entry, Error>>,
) -> anyhow::Result<(&'static Check, Vec<Result<Entry, Error>>)> {
    let mut guess = Guess::default();
    let first: Vec<_> = entries.take(ENTRIES_MAX).collect();
    first.iter().flatten().for_each(|entry| guess.see(entry));
    let checks = guess.checks();
    match (checks.as_slice(), first.last()) {
        ([check], _) => Ok((check, first)),
        // what cannot be read explains best why nothing is clear
        (_, Some(Err(error))) => Err(error.clone()).with_context(|| name.to_owned()),
        ([], None) => bail!("{name} has no entry; say with --model what it is a history of"),
        (checks, _) => {
            let seen = match guess.operations().as_slice() {
                [] => "no operations of clients".to_owned(),
                operations => operations.join(", "),
            };
            let candidates = match checks {
                [] => "`fuzz check --list` shows what there is".to_owned(),
                _ => checks.iter().map(|check| check.name).collect::<Vec<_>>().join(", "),
            };
            bail!("{name} holds {seen}, which tells no single model; choose one with --model: {candidates}")
        }
    }
}

fn chained(
    first: Vec<Result<Entry, Error>>,
    rest: Box<dyn Iterator<Item = Result<Entry, Error>>>,
) -> Box<dyn Iterator<Item = Result<Entry, Error>>> {
    let is_over = matches!(first.last(), Some(Err(_)));
    // after an error a reader has nothing more to say
    Box::new(first.into_iter().chain(rest.take_while(move |_| !is_over)))
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
    if !format.is_timed() && check.name == STRICT.name {
        bail!(
            "{} asks for real time, and {} has sessions without it; check it with --model serializable",
            check.name,
            format.name()
        );
    }
    // without real time, a check that can do without it has to
    let lacks = [("realtime", "no"), ("consistency", "sequential"), ("order", "process")];
    if let Some((name, value)) = lacks.into_iter().find(|(name, _)| known.contains(name))
        && !format.is_timed()
        && !options.settings.contains_key(name)
    {
        note_untimed(format, &format!("checked with --set {name}={value}"));
        options.settings.insert(name.to_owned(), value.to_owned());
    }
    Ok(options)
}

/// What was read.
#[derive(Default)]
struct Tally {
    entries: u64,
    operations: u64,
    keys: BTreeSet<Value>,
}

impl Tally {
    fn count(&mut self, entry: &Result<Entry, Error>) {
        let Ok(entry) = entry else { return };
        self.entries += 1;
        if entry.phase == Phase::Invoke && matches!(entry.process, Process::Client(_)) {
            self.operations += 1;
            if let Some(key) = &entry.key
                && self.keys.len() < KEYS_MAX
                && !self.keys.contains(key)
            {
                self.keys.insert(key.clone());
            }
        }
    }
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
