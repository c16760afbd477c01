//! Replaying: a reproducer is run and compared with what it expects.

use crate::execution::Execution;
use crate::executor::{Executor, ExecutorError, RunOptions};
use crate::reproducer::Reproducer;
use crate::tally::Tally;
use crate::trials::Rate;
use crate::verify::Difference;
use oracle::Verdict;
use serde::Serialize;
use std::collections::BTreeMap;
use std::mem::discriminant;

/// What a replay showed.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    /// The run is the recorded one, bit for bit, and is judged as that was.
    Reproduced,
    /// There was nothing to compare with, or the target changed: only the verdict counts.
    Judged,
    /// The run is the recorded one, but these oracles judge it otherwise.
    JudgedOtherwise,
    /// The run was ended early, so it is no other one than the recorded: there is nothing to compare.
    Undecided,
    /// The run is not the recorded one.
    Diverged {
        /// The hash that was recorded.
        expected: String,
        /// Two runs of today are equal to each other: what differs is the machine or this program.
        stable: bool,
        /// Where two runs of today part, when they do.
        difference: Option<Difference>,
        /// Files of the host that are not the recorded ones, a line for each; absent where none were recorded.
        changed: Option<Vec<String>>,
    },
}

/// A replay.
#[derive(Clone, Debug, Serialize)]
pub struct Replay {
    /// What it showed.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The event log's hash.
    pub hash: String,
    /// What the oracles say.
    pub verdict: Verdict,
    /// What it used and the sandbox does not own, by name.
    pub leaks: Vec<String>,
    /// What became of clients' operations.
    pub operations: Tally,
}

/// Runs `reproducer`; what that showed, and the run. With `changed` the target is known to be another one than recorded, and
/// hashes are not compared; with `calls` the run has its event log.
///
/// # Errors
/// When a run could not be made.
pub fn replay(
    executor: &mut dyn Executor,
    reproducer: &Reproducer,
    changed: bool,
    calls: bool,
) -> Result<(Replay, Execution), ExecutorError> {
    let options = RunOptions { detail: true, calls: calls || (reproducer.expected.is_some() && !changed) };
    let first = executor.run(&reproducer.schedule, options)?;
    let outcome = match &reproducer.expected {
        None => Outcome::Judged,
        Some(_) if changed => Outcome::Judged,
        Some(expected) if expected.hash == first.hash => {
            let is_same = discriminant(&first.verdict) == discriminant(&expected.verdict)
                && first.verdict.signature() == expected.signature();
            if is_same { Outcome::Reproduced } else { Outcome::JudgedOtherwise }
        }
        Some(_) if matches!(first.verdict, Verdict::Unknown { .. }) => Outcome::Undecided,
        Some(expected) => {
            let second = executor.run(&reproducer.schedule, options)?;
            let calls = |detail: &Option<Box<crate::execution::Detail>>| {
                detail.as_deref().map(|detail| detail.calls.clone()).unwrap_or_default()
            };
            Outcome::Diverged {
                expected: expected.hash.clone(),
                stable: first.hash == second.hash,
                difference: Difference::between(&calls(&first.detail), &calls(&second.detail)),
                changed: expected.sources.as_ref().map(|recorded| {
                    let now =
                        first.detail.as_deref().map(|detail| detail.sources.clone()).unwrap_or_default();
                    recorded.changes(&now)
                }),
            }
        }
    };
    let replay = Replay {
        outcome,
        hash: first.hash.clone(),
        verdict: first.verdict.clone(),
        leaks: first.statistics.leaks.clone(),
        operations: first.statistics.tally.clone(),
    };
    Ok((replay, first))
}

/// What runs of one schedule by the host's clock showed, of which no two are the same.
#[derive(Clone, Debug, Serialize)]
pub struct Repeated {
    /// How often they showed the recorded violation; of a bare schedule, any violation.
    pub rate: Rate,
    /// The interval of [`Rate::interval`].
    pub rate_low: f64,
    /// Its other end.
    pub rate_high: f64,
    /// Other violations, and how often each was seen.
    pub others: BTreeMap<String, u64>,
    /// Runs that could not be judged.
    pub unknown: u64,
    /// What became of clients' operations, in all of them.
    pub operations: Tally,
    /// The verdict of the run to look at.
    pub verdict: Verdict,
    /// The first run that showed what was looked for; else the last one.
    #[serde(skip)]
    pub run: Execution,
}

/// Runs `reproducer` by the host's clock `times` times, once at least; `each` is told of every run.
///
/// # Errors
/// When a run could not be made.
pub fn repeat(
    executor: &mut dyn Executor,
    reproducer: &Reproducer,
    times: u64,
    options: RunOptions,
    each: &mut dyn FnMut(&Verdict),
) -> Result<Repeated, ExecutorError> {
    let mut rate = Rate::default();
    let (mut others, mut unknown) = (BTreeMap::new(), 0);
    let (mut to_see, mut operations) = (None, Tally::default());
    for _ in 0..times.max(1) {
        let run = executor.run(&reproducer.schedule, options)?;
        operations.add(&run.statistics.tally);
        each(&run.verdict);
        let (signature, wanted) = (run.verdict.signature(), reproducer.signature());
        let shows = signature.is_some() && (wanted.is_none() || wanted == signature);
        unknown += u64::from(matches!(run.verdict, Verdict::Unknown { .. }));
        if let Some(signature) = signature.filter(|_| !shows) {
            *others.entry(signature.to_owned()).or_default() += 1;
        }
        if rate.shown == 0 {
            to_see = Some(run);
        }
        rate.count(shows);
    }
    let run = to_see.expect("it ran once at least");
    let (rate_low, rate_high) = rate.interval();
    Ok(Repeated { rate, rate_low, rate_high, others, unknown, operations, verdict: run.verdict.clone(), run })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;
    use crate::reproducer::Expected;
    use crate::reproducer::environment::Environment;

    fn reproducer(hash: Option<&str>) -> Reproducer {
        let expected = hash.map(|hash| Expected {
            verdict: Fake::breaking("toy/bug").verdict(),
            hash: hash.into(),
            environment: Environment::default(),
            sources: None,
        });
        Reproducer { schedule: Fake::schedule(), expected }
    }

    fn outcome(fake: &mut Fake, hash: Option<&str>, changed: bool) -> String {
        format!("{:?}", replay(fake, &reproducer(hash), changed, false).unwrap().0.outcome)
    }

    #[test]
    fn only_the_recorded_run_reproduces() {
        assert_eq!(outcome(&mut Fake::breaking("toy/bug"), Some("h"), false), "Reproduced");
        assert_eq!(outcome(&mut Fake::breaking("toy/other"), Some("h"), false), "JudgedOtherwise");
        assert_eq!(outcome(&mut Fake::clean(), None, false), "Judged");
        assert_eq!(outcome(&mut Fake::undecided(), Some("other"), false), "Undecided");
        assert_eq!(outcome(&mut Fake::clean(), Some("other"), true), "Judged");
        let diverged = outcome(&mut Fake::breaking("toy/bug"), Some("other"), false);
        assert_eq!(
            diverged,
            "Diverged { expected: \"other\", stable: true, difference: None, changed: None }"
        );
        let fickle = outcome(&mut Fake::fickle(), Some("other"), false);
        assert!(fickle.contains("stable: false") && fickle.contains("line: 2"), "{fickle}");
    }

    #[test]
    fn runs_by_the_hosts_clock_have_a_rate() {
        let mut fake = Fake::now_and_then(&[false, true, true]);
        let (mut told, none) = (0, RunOptions::default());
        let repeated = repeat(&mut fake, &reproducer(Some("h")), 5, none, &mut |_| told += 1).unwrap();
        assert_eq!((repeated.rate, told), (Rate { shown: 3, runs: 5 }, 5));
        assert!(matches!(repeated.verdict, Verdict::Violation(_)) && repeated.others.is_empty());
        let other =
            repeat(&mut Fake::breaking("toy/other"), &reproducer(Some("h")), 2, none, &mut |_| ()).unwrap();
        assert_eq!((other.rate.shown, other.others["toy/other"]), (0, 2));
        let bare = repeat(&mut Fake::breaking("toy/other"), &reproducer(None), 2, none, &mut |_| ()).unwrap();
        assert_eq!((bare.rate.shown, bare.others.len()), (2, 0));
    }
}
