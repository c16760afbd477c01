//! Keeping findings: each is written as found, then shrunk, run again to be sure of it, and written again.

use crate::execution::Execution;
use crate::executor::{Executor, ExecutorError, RunOptions};
use crate::report::story;
use crate::reproducer::environment::Environment;
use crate::reproducer::{Record, ReproducerError};
use crate::schedule::{Schedule, Step, Trigger};
use crate::shrink::{self, Limits, Progress};
use crate::target::Part;
use crate::trials::{Decision, Rate, Trials};
use interceptor::sandbox::Clock;
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
    /// The target's manifest, first, and its files.
    pub parts: &'a [Part],
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
    /// How often the schedule that is kept broke the target when it was run again; absent where that is not a matter of
    /// chance.
    pub rate: Option<Rate>,
}

/// Runs that measure a rate, if there is time for all of them.
const MEASURED: u64 = 5;

impl Found<'_> {
    /// Writes it as found.
    ///
    /// # Errors
    /// When it cannot be written.
    ///
    /// # Panics
    /// When the run shows no violation.
    pub fn write(&self, findings: &Path) -> Result<Kept, ReproducerError> {
        assert!(self.execution.verdict.signature().is_some(), "a finding is a violation");
        let path = self.write_run(findings, self.execution, None)?;
        let steps = self.execution.schedule.steps.len();
        Ok(Kept { path, steps, steps_before: steps, executions: 0, shrunk: false, rate: None })
    }

    /// Shrinks it and writes it again, as long as `go_on` says so. What is by the host's clock is run several times
    /// first, for its rate; candidates are held against that, and what is written last is run several times again.
    ///
    /// # Errors
    /// When it cannot be written, or nothing can be run any more; what was written before stays.
    pub fn shrink(
        &self,
        findings: &Path,
        limits: Limits,
        executor: &mut dyn Executor,
        progress: &mut dyn FnMut(Progress),
        go_on: &dyn Fn() -> bool,
    ) -> Result<Kept, KeepError> {
        let mut kept = self.write(findings)?;
        let Verdict::Violation(violation) = &self.execution.verdict else { return Ok(kept) };
        let mut attempts =
            Attempts { executor, signature: &violation.signature, trials: None, executions: 0, go_on };
        if self.execution.clock == Clock::Real {
            let (rate, _) = attempts.measure(&self.execution.schedule, limits.executions)?;
            kept = Kept { executions: attempts.executions, rate: Some(rate), ..kept };
            self.write_run(findings, self.execution, Some(rate))?;
            if rate.shown == 0 {
                return Ok(kept);
            }
            attempts.trials = Some(Trials::against(rate));
        }
        let mut start = self.execution.schedule.clone();
        for hint in [without_untouched, without_aftermath] {
            let candidate = hint(self.execution, violation, &start);
            let is_new = candidate != start && candidate.check().is_ok();
            if is_new && attempts.executions < limits.executions && attempts.attempt(&candidate)?.shows {
                start = candidate;
            }
        }
        let limits = Limits { executions: limits.executions.saturating_sub(attempts.executions), ..limits };
        let mut tell = |step| {
            progress(step);
            go_on()
        };
        let shrunk = shrink::shrink(&start, limits, &mut |it| attempts.attempt(it), &mut tell)?.schedule;
        let kept = Kept { executions: attempts.executions, ..kept };
        if shrunk == self.execution.schedule {
            return Ok(kept);
        }
        let Some((run, rate)) = attempts.confirm(&shrunk)? else { return Ok(kept) };
        let path = self.write_run(findings, &run, rate)?;
        let executions = attempts.executions;
        Ok(Kept { path, steps: run.schedule.steps.len(), shrunk: true, executions, rate, ..kept })
    }

    fn write_run(
        &self,
        findings: &Path,
        run: &Execution,
        rate: Option<Rate>,
    ) -> Result<PathBuf, ReproducerError> {
        let story = story::tell(run, rate);
        let Self { slug, original, environment, parts, .. } = *self;
        let original = Some(original);
        Record { execution: run, slug, original, environment, story: &story, parts }.write(findings)
    }
}

/// What decides whether a schedule shows the violation of a finding.
struct Attempts<'a> {
    executor: &'a mut dyn Executor,
    signature: &'a str,
    /// How, where one run does not tell.
    trials: Option<Trials>,
    /// Runs so far, but for those that confirm an exact repetition.
    executions: u32,
    go_on: &'a dyn Fn() -> bool,
}

impl Attempts<'_> {
    fn attempt(&mut self, schedule: &Schedule) -> Result<Decision, ExecutorError> {
        match self.trials {
            None => Ok(Decision { shows: self.shows(schedule)?, runs: 1 }),
            Some(trials) => {
                trials.decide(|| if (self.go_on)() { self.shows(schedule).map(Some) } else { Ok(None) })
            }
        }
    }

    /// A run that could not be made shows nothing; that nothing can be run is an error.
    fn shows(&mut self, schedule: &Schedule) -> Result<bool, ExecutorError> {
        Ok(self.run(schedule, RunOptions::default())?.is_some())
    }

    /// The run, if it shows the violation.
    fn run(&mut self, schedule: &Schedule, options: RunOptions) -> Result<Option<Execution>, ExecutorError> {
        self.executions += 1;
        match self.executor.run(schedule, options) {
            Ok(run) => Ok(Some(run).filter(|run| violates(run, self.signature))),
            Err(
                ExecutorError::Run { .. } | ExecutorError::WorkerDied { .. } | ExecutorError::Interrupted,
            ) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// How often the schedule shows the violation, and a run that does.
    fn measure(
        &mut self,
        schedule: &Schedule,
        runs_max: u32,
    ) -> Result<(Rate, Option<Execution>), ExecutorError> {
        let (mut rate, mut last) = (Rate::default(), None);
        while rate.runs < MEASURED.min(runs_max.into()) && (rate.runs == 0 || (self.go_on)()) {
            let run = self.run(schedule, RunOptions { detail: true, calls: false })?;
            rate.count(run.is_some());
            last = run.or(last);
        }
        Ok((rate, last))
    }

    /// A run of the schedule to be kept, with its rate where it has one: it shows the violation, twice in the same way
    /// where runs repeat.
    fn confirm(&mut self, schedule: &Schedule) -> Result<Option<(Execution, Option<Rate>)>, ExecutorError> {
        if self.trials.is_some() {
            let (rate, run) = self.measure(schedule, u32::MAX)?;
            return Ok(run.map(|run| (run, Some(rate))));
        }
        let first = self.executor.run(schedule, RunOptions { detail: true, calls: false })?;
        let second = self.executor.run(schedule, RunOptions::default())?;
        let is_same = first.hash == second.hash && violates(&first, self.signature);
        Ok(is_same.then_some((first, None)))
    }
}

/// Whether the run shows this violation.
fn violates(run: &Execution, signature: &str) -> bool {
    run.verdict.signature() == Some(signature)
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
        let found = Found {
            slug: "bug",
            execution: &execution,
            original: &original,
            environment: &environment,
            parts: &[],
        };
        let kept = found.shrink(dir.path(), Limits::default(), &mut fake, &mut |_| (), &|| true).unwrap();
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
        let found = Found {
            slug: "bug",
            execution: &execution,
            original: &original,
            environment: &environment,
            parts: &[],
        };
        let kept =
            found.shrink(dir.path(), Limits::default(), &mut Fake::clean(), &mut |_| (), &|| true).unwrap();
        assert!(!kept.shrunk && kept.path.join("schedule.toml").exists());
    }

    /// By the host's clock: a finding that breaks in two runs of three.
    #[test]
    fn what_repeats_now_and_then_is_kept_with_its_rate() {
        let dir = tempfile::tempdir().unwrap();
        let step =
            Step { when: Trigger::At { at_ms: 500 }, fault: Fault::Kill { node: Node(2), down_ms: 100 } };
        let original = Schedule { steps: vec![step], ..Fake::schedule() };
        let mut fake = Fake::now_and_then(&[true, true, false]);
        let execution = fake.run(&original, RunOptions::default()).unwrap();
        let environment = Environment { version: 1, ..Environment::default() };
        let found = Found {
            slug: "bug",
            execution: &execution,
            original: &original,
            environment: &environment,
            parts: &[],
        };
        let kept = found.shrink(dir.path(), Limits::default(), &mut fake, &mut |_| (), &|| true).unwrap();
        assert_eq!((kept.steps_before, kept.steps, kept.shrunk), (1, 0, true));
        let rate = kept.rate.unwrap();
        assert!((3..=4).contains(&rate.shown) && rate.runs == 5, "{rate}");
        let story = std::fs::read_to_string(kept.path.join("story.md")).unwrap();
        assert!(story.contains(&rate.to_string()), "{story}");
        // One that does not break again at all stays as it is.
        let mut never = Fake::now_and_then(&[false]);
        let kept = found.shrink(dir.path(), Limits::default(), &mut never, &mut |_| (), &|| true).unwrap();
        assert_eq!((kept.shrunk, kept.rate, kept.executions), (false, Some(Rate { shown: 0, runs: 5 }), 5));
    }
}
