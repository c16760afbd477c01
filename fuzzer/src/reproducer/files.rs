//! The files of a record, and writing them so that the directory appears whole or not at all.

use super::environment::{self, Environment};
use super::{Record, ReproducerError, quoted, schedule_text};
use crate::execution::{Detail, Execution};
use crate::report::story;
use crate::target::Part;
use interceptor::event::HostId;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Contents by path inside the directory.
pub(super) type Files = BTreeMap<String, String>;

/// Where copies of the target's files lie.
const TARGET: &str = "target";

/// All that a record may consist of.
const OWN: [&str; 16] = [
    "README.md",
    "calls.log",
    "coverage.json",
    environment::FILE,
    "hash.txt",
    "history.jsonl",
    "logs",
    "original.toml",
    SCHEDULE,
    "shiviz.log",
    "sources.toml",
    "story.md",
    TARGET,
    "timeline.jsonl",
    "timeline.svg",
    VERDICT,
];
/// What every record has, by which it is known.
const SCHEDULE: &str = "schedule.toml";
const VERDICT: &str = "verdict.json";

/// What a record consists of that will lie at `place`, an absolute path, but for copies of the target's files.
pub(super) fn of(record: &Record<'_>, place: &Path) -> Files {
    let execution = record.execution;
    let empty = Detail::default();
    let detail = execution.detail.as_deref().unwrap_or(&empty);
    let verdict = &execution.verdict;
    let mut files = Files::new();
    let mut put = |name: &str, text: String| files.insert(name.to_owned(), text);
    let schedule = |schedule, what| schedule_text::write(schedule, &comments(record, place, what));
    let what =
        if record.original.is_some() { "the smallest schedule known" } else { "the executed schedule" };
    put(SCHEDULE, schedule(&execution.schedule, what));
    if let Some(original) = record.original {
        put("original.toml", schedule(original, "the schedule that showed it first"));
    }
    put(VERDICT, serde_json::to_string_pretty(verdict).expect("a verdict is plain data") + "\n");
    put("hash.txt", format!("{}\n", execution.hash));
    let copy = record.parts.first().map_or_else(PathBuf::new, |it| Path::new(TARGET).join(&it.path));
    let environment = Environment { copy, ..record.environment.clone() };
    put(environment::FILE, toml::to_string(&environment).expect("an environment is a table of plain values"));
    put("sources.toml", detail.sources.to_toml());
    put("history.jsonl", oracle::jsonl::to_json_lines(&detail.history));
    put("timeline.jsonl", lines(&detail.events));
    put("coverage.json", coverage(execution));
    put("story.md", record.story.to_owned());
    put("README.md", readme(record, place));
    if !detail.calls.is_empty() {
        put("calls.log", detail.calls.join("\n") + "\n");
    }
    let nodes = usize::from(execution.schedule.nodes);
    for (host, name) in detail.hosts.iter().enumerate() {
        let log = log_of(detail, host);
        // Of clients, those that are programs write.
        if host < nodes || !log.is_empty() {
            files.insert(format!("logs/{name}.log"), log);
        }
    }
    files.extend(crate::report::pictures::of(detail, execution.shown_ns()));
    files
}

fn comments(record: &Record<'_>, place: &Path, what: &str) -> Vec<String> {
    let (title, summary) = story::title(&record.execution.verdict);
    let replay = format!("replay, from everywhere: fuzz replay {}", quoted(place));
    vec![format!("{title}: {what}"), summary, replay]
}

fn lines<T: serde::Serialize>(items: &[T]) -> String {
    items.iter().map(|item| serde_json::to_string(item).expect("events are plain data") + "\n").collect()
}

/// A host's output with virtual times; `err` marks standard error.
fn log_of(detail: &Detail, host: usize) -> String {
    let mut text = String::new();
    for line in detail.logs.iter().filter(|line| line.host == HostId(u16::try_from(host).unwrap_or(u16::MAX)))
    {
        let stream = if line.stderr { "err" } else { "out" };
        let _ = writeln!(text, "{} {stream} {}", line.at, line.text);
    }
    text
}

/// Features in hex, since JSON readers lose the low bits of large numbers.
fn coverage(execution: &Execution) -> String {
    let features: Vec<String> = execution.features.iter().map(|it| format!("{:016x}", it.feature)).collect();
    let coverage = serde_json::json!({
        "version": 1,
        "features": features,
        "landings": execution.landings,
    });
    serde_json::to_string_pretty(&coverage).expect("features and landings are plain data") + "\n"
}

fn readme(record: &Record<'_>, place: &Path) -> String {
    let (title, summary) = story::title(&record.execution.verdict);
    let source = if record.parts.is_empty() {
        "The target is found by its name, from a checkout that has it."
    } else {
        "The target is the manifest that environment.toml names; where that is gone, a target of this name in the\n\
         checkout, else the copy in `target/`."
    };
    let schedules = match record.original {
        Some(_) => "`schedule.toml` is the smallest schedule known, `original.toml` the first one",
        None => "`schedule.toml` is what was executed",
    };
    format!(
        "# {title}\n\n{summary}\n\nReplay it, from everywhere:\n\n    fuzz replay {}\n\nor, wherever this directory was moved to, inside \
         of it:\n\n    fuzz replay .\n\n{source}\n\n\
         Begin with `story.md`. {schedules};\n\
         `verdict.json` is what the oracles said, with their proof, `history.jsonl` what clients asked and heard, `logs/` all output of all nodes,\n\
         and of clients that are programs, since the start with its times, `timeline.jsonl` and `timeline.svg` what they said to each other.\n",
        quoted(place),
    )
}

/// Whether a record may be written to `place`: nothing is there, an empty directory, or a record.
///
/// # Errors
/// What is there instead, which nobody asked to lose.
pub(super) fn check_place(place: &Path) -> Result<(), ReproducerError> {
    let taken = |why: &str| ReproducerError::Taken { path: place.display().to_string(), why: why.to_owned() };
    let io = |source| ReproducerError::Io { what: format!("cannot look at {}", place.display()), source };
    let metadata = match place.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(io)?,
    };
    if !metadata.is_dir() {
        return Err(taken("it is there already, and no directory"));
    }
    let is_record = [SCHEDULE, VERDICT, environment::FILE].iter().all(|name| place.join(name).is_file());
    if is_record || place.read_dir().map_err(io)?.next().is_none() {
        return Ok(());
    }
    Err(taken("it is there already, and holds no run that was kept"))
}

/// Writes `files`, and copies of `parts`, into `parent/name`: into a directory beside it first, which then takes its
/// place. What somebody else has put into the record before stays.
pub(super) fn write_whole(
    parent: &Path,
    name: &str,
    files: &Files,
    parts: &[Part],
) -> Result<PathBuf, ReproducerError> {
    let io = |what: &str, path: &Path| {
        let what = format!("cannot {what} {}", path.display());
        move |source| ReproducerError::Io { what, source }
    };
    let fresh = parent.join(format!(".{name}.{}.new", std::process::id()));
    let stale = parent.join(format!(".{name}.{}.old", std::process::id()));
    let place = parent.join(name);
    check_place(&place)?;
    for left in [&fresh, &stale] {
        if left.exists() {
            std::fs::remove_dir_all(left).map_err(io("remove", left))?;
        }
    }
    std::fs::create_dir_all(&fresh).map_err(io("create", &fresh))?;
    for (inner, text) in files {
        let file = fresh.join(inner);
        let dir = file.parent().expect("a file of a record lies in its directory");
        std::fs::create_dir_all(dir).map_err(io("create", dir))?;
        std::fs::write(&file, text).map_err(io("write", &file))?;
    }
    for part in parts {
        let file = fresh.join(TARGET).join(&part.path);
        let dir = file.parent().expect("a copy lies in a directory");
        std::fs::create_dir_all(dir).map_err(io("create", dir))?;
        std::fs::copy(&part.file, &file).map_err(io("copy", &part.file))?;
    }
    let replaced = place.exists();
    if replaced {
        std::fs::rename(&place, &stale).map_err(io("replace", &place))?;
    }
    std::fs::rename(&fresh, &place).map_err(io("create", &place))?;
    if replaced {
        let entries = stale.read_dir().map_err(io("read", &stale))?;
        for entry in entries.flatten().filter(|entry| OWN.iter().all(|own| entry.file_name() != *own)) {
            let kept = place.join(entry.file_name());
            std::fs::rename(entry.path(), &kept).map_err(io("keep", &kept))?;
        }
        std::fs::remove_dir_all(&stale).map_err(io("remove", &stale))?;
    }
    Ok(place)
}
