//! Keeping findings: each is written as found, then shrunk, run twice more, and written again.

use crate::execution::Execution;
use crate::executor::{Executor, ExecutorError, RunOptions};
use crate::report::story;
use crate::reproducer::environment::Environment;
use crate::reproducer::{Finding, ReproducerError};
use crate::schedule::{Schedule, Step, Trigger};
use crate::shrink::{self, Limits, Progress};
use oracle::{Verdict, Violation};
use std::path::{Path, PathBuf};

/// Why a finding could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// It could not be written.
    #[error(transparent)]
    Reproducer(#[from] ReproducerError),
    /// It could not be run again.
    #[error("while shrinking: {0}")]
    Executor(#[from] ExecutorError),
}

/// A finding on its way to its directory.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Its directory's name.
    pub slug: &'a str,
    /// The run that shows it, with its detail.
    pub execution: &'a Execution,
    /// The schedule that showed it first.
    pub original: &'a Schedule,
    /// What it was found with.
    pub environment: &'a Environment,
}

/// A finding in its directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The directory.
    pub path: PathBuf,
    /// Steps of the schedule that is kept.
    pub steps: usize,
    /// Steps of the schedule as found.
    pub steps_before: usize,
    /// Executions that shrinking took.
    pub executions: u32,
    /// Whether the smaller schedule was kept: it broke the target again, twice in the same way.
    pub shrunk: bool,
}

impl Found<'_> {
    /// Writes it as found.
    ///
    /// # Errors
    /// When it cannot be written.
    ///
    /// # Panics
    /// When the run shows no violation.
    pub fn write(&self, findings: &Path) -> Result<Kept, ReproducerError> {
        let Verdict::Violation(violation) = &self.execution.verdict else {
            panic!("a finding is a violation")
        };
        let path = self.write_run(findings, self.execution, violation)?;
        let steps = self.execution.schedule.steps.len();
        Ok(Kept { path, steps, steps_before: steps, executions: 0, shrunk: false })
    }

    /// Shrinks it and writes it again.
    ///
    /// # Errors
    /// When it cannot be written, or nothing can be run any more; what was written before stays.
    pub fn shrink(
        &self,
        findings: &Path,
        limits: Limits,
        executor: &mut dyn Executor,
        progress: &mut dyn FnMut(Progress) -> bool,
    ) -> Result<Kept, KeepError> {
        let kept = self.write(findings)?;
        let Verdict::Violation(violation) = &self.execution.verdict else { return Ok(kept) };
        let signature = &violation.signature;
        let mut start = self.execution.schedule.clone();
        let mut executions = 0;
        for hint in [without_untouched, without_aftermath] {
            let candidate = hint(self.execution, violation, &start);
            if candidate != start && candidate.check().is_ok() {
                executions += 1;
                if signature_of(executor, &candidate)?.as_ref() == Some(signature) {
                    start = candidate;
                }
            }
        }
        let limits = Limits { executions: limits.executions.saturating_sub(executions), ..limits };
        let mut attempt = |schedule: &Schedule| signature_of(executor, schedule);
        let shrunk = shrink::shrink(&start, signature, limits, &mut attempt, progress)?;
        executions += shrunk.executions;
        let kept = Kept { executions, ..kept };
        if shrunk.schedule == self.execution.schedule {
            return Ok(kept);
        }
        let first = executor.run(&shrunk.schedule, RunOptions { detail: true, calls: false })?;
        let second = executor.run(&shrunk.schedule, RunOptions::default())?;
        match &first.verdict {
            Verdict::Violation(again)
                if again.signature == violation.signature && first.hash == second.hash =>
            {
                let path = self.write_run(findings, &first, again)?;
                Ok(Kept { path, steps: first.schedule.steps.len(), shrunk: true, ..kept })
            }
            _ => Ok(kept),
        }
    }

    fn write_run(
        &self,
        findings: &Path,
        run: &Execution,
        violation: &Violation,
    ) -> Result<PathBuf, ReproducerError> {
        let story = story::tell(run);
        let Self { slug, original, environment, .. } = *self;
        Finding { execution: run, violation, slug, original, environment, story: &story }.write(findings)
    }
}

/// The schedule without steps that never fired or touched nothing.
fn without_untouched(run: &Execution, _: &Violation, schedule: &Schedule) -> Schedule {
    let idle: Vec<&Step> = run.landings.iter().filter(|it| it.touched == 0).map(|it| &it.step).collect();
    let steps = schedule.steps.iter().filter(|step| !idle.contains(step)).cloned().collect();
    Schedule { steps, ..schedule.clone() }
}

/// The schedule without what came after the violation.
fn without_aftermath(run: &Execution, violation: &Violation, schedule: &Schedule) -> Schedule {
    let end_ms = violation.at_ns.saturating_sub(run.statistics.ready_ns) / 1_000_000 + 1;
    let mut cut = Schedule { horizon_ms: schedule.horizon_ms.min(end_ms), ..schedule.clone() };
    cut.steps.retain(|step| !matches!(step.when, Trigger::At { at_ms } if at_ms > end_ms));
    cut
}

/// What a schedule violates. A run that could not be made violates nothing; that nothing can be run is an error.
fn signature_of(executor: &mut dyn Executor, schedule: &Schedule) -> Result<Option<String>, ExecutorError> {
    match executor.run(schedule, RunOptions::default()) {
        Ok(Execution { verdict: Verdict::Violation(violation), .. }) => Ok(Some(violation.signature)),
        Ok(_) | Err(ExecutorError::Run { .. } | ExecutorError::WorkerDied { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;
    use crate::fault::{Fault, Node};
    use crate::reproducer::load;

    #[test]
    fn the_smaller_schedule_takes_the_place_of_the_first_which_stays_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut fake = Fake::breaking("toy/bug");
        let step =
            Step { when: Trigger::At { at_ms: 500 }, fault: Fault::Kill { node: Node(2), down_ms: 100 } };
        let original = Schedule { steps: vec![step], ..Fake::schedule() };
        let execution = fake.run(&original, RunOptions::default()).unwrap();
        let environment = Environment { version: 1, ..Environment::default() };
        let found =
            Found { slug: "bug", execution: &execution, original: &original, environment: &environment };
        let kept = found.shrink(dir.path(), Limits::default(), &mut fake, &mut |_| true).unwrap();
        assert_eq!((kept.steps_before, kept.steps, kept.shrunk), (1, 0, true));
        assert_eq!(load(&kept.path.join("schedule.toml")).unwrap().schedule.steps, vec![]);
        assert_eq!(load(&kept.path.join("original.toml")).unwrap().schedule, original);
    }

    #[test]
    fn what_does_not_repeat_is_kept_as_found() {
        let dir = tempfile::tempdir().unwrap();
        let original = Fake::schedule();
        let execution = Fake::breaking("toy/bug").run(&original, RunOptions::default()).unwrap();
        let environment = Environment { version: 1, ..Environment::default() };
        let found =
            Found { slug: "bug", execution: &execution, original: &original, environment: &environment };
        let kept = found.shrink(dir.path(), Limits::default(), &mut Fake::clean(), &mut |_| true).unwrap();
        assert!(!kept.shrunk && kept.path.join("schedule.toml").exists());
    }
}
