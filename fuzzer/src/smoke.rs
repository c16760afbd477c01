//! The smoke test's first half: what is kept under `corpora/<target>` is run before anything new is searched for.
//!
//! A kept schedule with planted bugs switched on must show a violation, and must be clean with them off; one without
//! planted bugs found a defect that has been mended since, and must be clean.

use crate::execution::Execution;
use crate::executor::{Executor, RunOptions};
use crate::report::story;
use crate::reproducer::{self, Reproducer, quoted};
use crate::schedule::Schedule;
use crate::tally::Tally;
use oracle::Verdict;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Directories under `corpora/<target>` whose entries are run.
const KEPT: [&str; 2] = ["regressions", "witness"];

/// One check and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Case {
    /// `regressions/SLUG` or `witness/BUG`, with `, correct build` for the twin; `campaign` for the search.
    pub name: String,
    /// Why it failed; absent when it passed.
    pub failure: Option<Failure>,
    /// What happened and how to see it again, for people: the story of a violation, the command that replays it.
    pub story: String,
    /// What became of clients' operations.
    pub operations: Tally,
    /// Wall milliseconds.
    pub wall_ms: u64,
}

/// Why a case failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// A violation where there should be none.
    Violation(String),
    /// No violation where there should be one.
    Missed(String),
    /// The event log differs from the recorded one.
    Diverged(String),
    /// The oracles could not decide.
    Unknown(String),
    /// It could not be run.
    Error(String),
}

impl Failure {
    /// For people.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Violation(text)
            | Self::Missed(text)
            | Self::Diverged(text)
            | Self::Unknown(text)
            | Self::Error(text) => text,
        }
    }
}

/// Regressions and witnesses of a target, in a fixed order: paths of reproducers by name.
#[must_use]
pub fn kept(corpora: &Path, target: &str) -> Vec<(String, PathBuf)> {
    kept_in(corpora, target, &KEPT)
}

/// What is in the named directories under `corpora/<target>`, in a fixed order.
#[must_use]
pub fn kept_in(corpora: &Path, target: &str, kinds: &[&str]) -> Vec<(String, PathBuf)> {
    let mut all = Vec::new();
    for kind in kinds {
        let Ok(entries) = std::fs::read_dir(corpora.join(target).join(kind)) else { continue };
        for path in entries.flatten().map(|entry| entry.path()) {
            let whole = path.is_dir() || path.extension().is_some_and(|ext| ext == "toml");
            if let Some(stem) = path.file_stem().filter(|_| whole) {
                all.push((format!("{kind}/{}", stem.to_string_lossy()), path.clone()));
            }
        }
    }
    all.sort();
    all
}

/// Runs one kept reproducer: one case, or two when planted bugs are on. What must break may take as many as `tries` runs
/// to do so, where that is a matter of chance. `clock` tells wall milliseconds; `see` is shown the run of each case.
pub fn check(
    executor: &mut dyn Executor,
    name: &str,
    path: &Path,
    tries: u32,
    clock: &mut dyn FnMut() -> u64,
    see: &mut dyn FnMut(&str, &Execution),
) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut begun = clock();
    let mut add = |name: String, shown: Shown| {
        let now = clock();
        let wall_ms = now.saturating_sub(begun);
        if let Some(run) = &shown.run {
            see(&name, run);
        }
        let story = if shown.failure.is_some() { shown.story } else { String::new() };
        cases.push(Case { name, failure: shown.failure, story, operations: shown.operations, wall_ms });
        begun = now;
    };
    let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let replay = format!("Replay it: fuzz replay {}\n", quoted(&place));
    match reproducer::load(path) {
        Err(error) => add(name.to_owned(), Shown::failed(Failure::Error(error.to_string()))),
        Ok(Reproducer { schedule, .. }) if schedule.bugs.is_empty() => {
            add(name.to_owned(), must_be_clean(executor, &schedule, &replay));
        }
        Ok(reproducer) => {
            add(name.to_owned(), must_break(executor, &reproducer, tries, &replay));
            let correct = Schedule { bugs: Vec::new(), ..reproducer.schedule };
            let replay =
                "Replay it: write `bugs = []` into a copy of schedule.toml, and then: fuzz replay COPY\n";
            add(format!("{name}, correct build"), must_be_clean(executor, &correct, replay));
        }
    }
    cases
}

/// What a run showed of what was expected.
#[derive(Debug, Default)]
struct Shown {
    failure: Option<Failure>,
    story: String,
    operations: Tally,
    /// Absent when it could not be run.
    run: Option<Execution>,
}

impl Shown {
    fn failed(failure: Failure) -> Self {
        Self { failure: Some(failure), ..Self::default() }
    }

    fn of(run: Execution, failure: Option<Failure>, replay: &str) -> Self {
        let story = format!("{}\n{replay}", story::tell(&run, None));
        Self { failure, story, operations: run.statistics.tally.clone(), run: Some(run) }
    }
}

/// Why none of the tries broke: what the last one showed.
fn must_break(executor: &mut dyn Executor, reproducer: &Reproducer, tries: u32, replay: &str) -> Shown {
    let mut shown = Shown::default();
    for _ in 0..tries {
        shown = breaks_once(executor, reproducer, replay);
        if shown.failure.is_none() {
            break;
        }
    }
    shown
}

fn breaks_once(executor: &mut dyn Executor, reproducer: &Reproducer, replay: &str) -> Shown {
    let execution = match executor.run(&reproducer.schedule, RunOptions { detail: true, calls: false }) {
        Ok(execution) => execution,
        Err(error) => return Shown::failed(Failure::Error(error.to_string())),
    };
    let failure = match (&execution.verdict, reproducer.signature()) {
        (Verdict::Violation(found), Some(expected)) if found.signature != expected => {
            Some(Failure::Missed(format!("it shows {} instead of {expected}", found.signature)))
        }
        (Verdict::Violation(_), _) => None,
        (Verdict::Valid, _) => Some(Failure::Missed("it no longer breaks the target".into())),
        (Verdict::Unknown { why }, _) => Some(Failure::Unknown(why.clone())),
    };
    Shown::of(execution, failure, replay)
}

fn must_be_clean(executor: &mut dyn Executor, schedule: &Schedule, replay: &str) -> Shown {
    let execution = match executor.run(schedule, RunOptions { detail: true, calls: false }) {
        Ok(execution) => execution,
        Err(error) => return Shown::failed(Failure::Error(error.to_string())),
    };
    let failure = match &execution.verdict {
        Verdict::Valid => None,
        Verdict::Violation(found) => {
            Some(Failure::Violation(format!("{}: {}", found.signature, found.summary)))
        }
        Verdict::Unknown { why } => Some(Failure::Unknown(why.clone())),
    };
    Shown::of(execution, failure, replay)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;
    use crate::reproducer::schedule_text;

    fn corpora(bugs: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("toy/witness/bug");
        std::fs::create_dir_all(&place).unwrap();
        let schedule = Schedule { bugs: bugs.iter().map(|&bug| bug.into()).collect(), ..Fake::schedule() };
        std::fs::write(place.join("schedule.toml"), schedule_text::write(&schedule, &[])).unwrap();
        dir
    }

    fn cases(fake: &mut Fake, bugs: &[&str]) -> String {
        let dir = corpora(bugs);
        let mut told = String::new();
        for (name, path) in kept(dir.path(), "toy") {
            for case in check(fake, &name, &path, 1, &mut || 0, &mut |_, _| ()) {
                told += &format!("{}: {:?}\n", case.name, case.failure);
            }
        }
        told
    }

    #[test]
    fn a_witness_breaks_its_bug_and_spares_the_correct_build() {
        insta::assert_snapshot!(cases(&mut Fake::honest(), &["bug"]), @"
    witness/bug: None
    witness/bug, correct build: None
    ");
        insta::assert_snapshot!(cases(&mut Fake::clean(), &["bug"]), @r#"
    witness/bug: Some(Missed("it no longer breaks the target"))
    witness/bug, correct build: None
    "#);
        insta::assert_snapshot!(cases(&mut Fake::breaking("toy/bug"), &["bug"]), @r#"
    witness/bug: None
    witness/bug, correct build: Some(Violation("toy/bug: it broke"))
    "#);
        insta::assert_snapshot!(cases(&mut Fake::breaking("toy/bug"), &[]), @r#"witness/bug: Some(Violation("toy/bug: it broke"))"#);
    }

    #[test]
    fn a_failure_tells_its_story_and_how_to_see_it_again() {
        let dir = corpora(&[]);
        let (name, path) = kept(dir.path(), "toy").swap_remove(0);
        let cases = check(&mut Fake::breaking("toy/bug"), &name, &path, 1, &mut || 0, &mut |_, _| ());
        let story = &cases[0].story;
        assert!(story.starts_with("# toy/bug\n\nit broke\n"), "{story}");
        assert!(story.ends_with(&format!("Replay it: fuzz replay {}\n", path.display())), "{story}");
        assert!(check(&mut Fake::clean(), &name, &path, 1, &mut || 0, &mut |_, _| ())[0].story.is_empty());
    }

    #[test]
    fn nothing_kept_is_nothing_to_run() {
        assert_eq!(kept(Path::new("/nonexistent"), "toy"), vec![]);
    }
}
