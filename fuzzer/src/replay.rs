//! Replaying: a reproducer is run and compared with what it expects.

use crate::executor::{Executor, ExecutorError, RunOptions};
use crate::reproducer::Reproducer;
use crate::verify::Difference;
use oracle::Verdict;
use serde::Serialize;

/// What a replay showed.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    /// The run is the recorded one, bit for bit, and breaks the target in the same way.
    Reproduced,
    /// There was nothing to compare with, or the target changed: only the verdict counts.
    Judged,
    /// The run is the recorded one, but these oracles judge it otherwise.
    JudgedOtherwise,
    /// The run is not the recorded one.
    Diverged {
        /// The hash that was recorded.
        expected: String,
        /// Two runs of today are equal to each other: what differs is the machine or this program.
        stable: bool,
        /// Where two runs of today part, when they do.
        difference: Option<Difference>,
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
}

/// Runs `reproducer`. With `changed` the target is known to be another one than recorded, and hashes are not compared.
///
/// # Errors
/// When a run could not be made.
pub fn replay(
    executor: &mut dyn Executor,
    reproducer: &Reproducer,
    changed: bool,
) -> Result<Replay, ExecutorError> {
    let options = RunOptions { detail: true, calls: reproducer.expected.is_some() && !changed };
    let first = executor.run(&reproducer.schedule, options)?;
    let outcome = match &reproducer.expected {
        None => Outcome::Judged,
        Some(_) if changed => Outcome::Judged,
        Some(expected) if expected.hash == first.hash => match &first.verdict {
            Verdict::Violation(violation) if violation.signature == expected.signature => Outcome::Reproduced,
            _ => Outcome::JudgedOtherwise,
        },
        Some(expected) => {
            let second = executor.run(&reproducer.schedule, options)?;
            let calls = |detail: &Option<Box<crate::execution::Detail>>| {
                detail.as_deref().map(|detail| detail.calls.clone()).unwrap_or_default()
            };
            Outcome::Diverged {
                expected: expected.hash.clone(),
                stable: first.hash == second.hash,
                difference: Difference::between(&calls(&first.detail), &calls(&second.detail)),
            }
        }
    };
    Ok(Replay { outcome, hash: first.hash, verdict: first.verdict })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;
    use crate::reproducer::Expected;
    use crate::reproducer::environment::Environment;

    fn reproducer(hash: Option<&str>) -> Reproducer {
        let expected = hash.map(|hash| Expected {
            signature: "toy/bug".into(),
            hash: hash.into(),
            environment: Environment::default(),
        });
        Reproducer { schedule: Fake::schedule(), expected }
    }

    fn outcome(fake: &mut Fake, hash: Option<&str>, changed: bool) -> String {
        format!("{:?}", replay(fake, &reproducer(hash), changed).unwrap().outcome)
    }

    #[test]
    fn only_the_recorded_run_reproduces() {
        assert_eq!(outcome(&mut Fake::breaking("toy/bug"), Some("h"), false), "Reproduced");
        assert_eq!(outcome(&mut Fake::breaking("toy/other"), Some("h"), false), "JudgedOtherwise");
        assert_eq!(outcome(&mut Fake::clean(), None, false), "Judged");
        assert_eq!(outcome(&mut Fake::clean(), Some("other"), true), "Judged");
        let diverged = outcome(&mut Fake::breaking("toy/bug"), Some("other"), false);
        assert_eq!(diverged, "Diverged { expected: \"other\", stable: true, difference: None }");
        let fickle = outcome(&mut Fake::fickle(), Some("other"), false);
        assert!(fickle.contains("stable: false") && fickle.contains("line: 2"), "{fickle}");
    }
}
