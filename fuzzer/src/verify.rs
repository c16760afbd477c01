//! Verifying determinism: each schedule is run twice, the second time under disturbance, and the event logs must be equal.

use crate::execution::Execution;
use crate::executor::{Executor, ExecutorError, RunOptions};
use crate::schedule::Schedule;
use crate::tally::Tally;
use oracle::Verdict;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Lines of context before the first difference.
const CONTEXT: usize = 3;

/// Where two event logs part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Number of the first line that differs, from 1.
    pub line: usize,
    /// The lines before it, which are equal.
    pub before: Vec<String>,
    /// The line of the first log; absent when that log had ended.
    pub first: Option<String>,
    /// The line of the second.
    pub second: Option<String>,
}

impl Difference {
    /// Where `first` and `second` part; `None` when they are equal.
    #[must_use]
    pub fn between(first: &[String], second: &[String]) -> Option<Self> {
        let common = first.iter().zip(second).take_while(|(a, b)| a == b).count();
        if common == first.len() && common == second.len() {
            return None;
        }
        Some(Self {
            line: common + 1,
            before: first[common.saturating_sub(CONTEXT)..common].to_vec(),
            first: first.get(common).cloned(),
            second: second.get(common).cloned(),
        })
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "first difference at event {}", self.line)?;
        for line in &self.before {
            write!(f, "\n    {line}")?;
        }
        let shown = |line: &Option<String>| line.clone().unwrap_or_else(|| "(the log had ended)".into());
        write!(f, "\n  - {}\n  + {}", shown(&self.first), shown(&self.second))
    }
}

/// A schedule whose two runs were not equal.
#[derive(Clone, Debug, Serialize)]
pub struct Divergence {
    /// The schedule.
    pub schedule: Schedule,
    /// Hashes of the two event logs.
    pub hashes: (String, String),
    /// Where they part; absent when the logs are equal though the hashes are not.
    pub difference: Option<Difference>,
}

/// Two runs of a schedule.
#[derive(Clone, Debug)]
pub struct Compared {
    /// How they differ; absent when they are equal.
    pub divergence: Option<Divergence>,
    /// The first of them, without its event log.
    pub first: Execution,
}

/// Runs `schedule` on both executors and compares. `load` makes what weighs on the machine during the second run; it is
/// dropped when that run is over.
///
/// # Errors
/// When a run could not be made.
pub fn twice<L>(
    (quiet, disturbed): (&mut dyn Executor, &mut dyn Executor),
    schedule: &Schedule,
    load: impl FnOnce() -> L,
) -> Result<Compared, ExecutorError> {
    let options = RunOptions { detail: true, calls: true };
    let mut first = quiet.run(schedule, options)?;
    let weight = load();
    let second = disturbed.run(schedule, options);
    drop(weight);
    let mut second = second?;
    let cut = [&first, &second].into_iter().find_map(|run| match &run.verdict {
        // Runs whose clients were never served went on to their end.
        Verdict::Unknown { why } if !run.is_in_vain() => Some(why.clone()),
        _ => None,
    });
    if let Some(why) = cut.filter(|_| first.hash != second.hash) {
        // By a measure of the host: that says nothing of how a run that is let be repeats.
        return Err(ExecutorError::Run {
            why: format!("it was ended early, so there is nothing to compare: {why}"),
        });
    }
    let calls = |execution: &mut Execution| {
        execution.detail.as_deref_mut().map(|detail| std::mem::take(&mut detail.calls)).unwrap_or_default()
    };
    let (calls, others) = (calls(&mut first), calls(&mut second));
    let divergence = (first.hash != second.hash).then(|| Divergence {
        schedule: schedule.clone(),
        difference: Difference::between(&calls, &others),
        hashes: (first.hash.clone(), second.hash),
    });
    Ok(Compared { divergence, first })
}

/// What runs showed, besides being equal.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Judged {
    /// Violations by signature, and how many runs showed each.
    pub violations: BTreeMap<String, u64>,
    /// Runs that could not be judged.
    pub unknown: u64,
    /// Runs that were clean.
    pub clean: u64,
    /// What became of clients' operations.
    pub operations: Tally,
    /// What they used and the sandbox does not own, by name.
    pub leaks: BTreeSet<String>,
}

impl Judged {
    /// Counts a run.
    pub fn count(&mut self, run: &Execution) {
        match &run.verdict {
            Verdict::Valid => self.clean += 1,
            Verdict::Unknown { .. } => self.unknown += 1,
            Verdict::Violation(violation) => {
                *self.violations.entry(violation.signature.clone()).or_default() += 1;
            }
        }
        self.operations.add(&run.statistics.tally);
        self.leaks.extend(run.statistics.leaks.iter().cloned());
    }

    /// How many runs violated something.
    #[must_use]
    pub fn violated(&self) -> u64 {
        self.violations.values().sum()
    }
}

impl std::fmt::Display for Judged {
    /// `12 clean, 3 violated (a/b 2x, c/d 1x), 1 unknown`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} clean, {} violated", self.clean, self.violated())?;
        if !self.violations.is_empty() {
            let all = self.violations.iter().map(|(signature, count)| format!("{signature} {count}x"));
            write!(f, " ({})", all.collect::<Vec<_>>().join(", "))?;
        }
        write!(f, ", {} unknown", self.unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;

    #[test]
    fn equal_runs_are_no_divergence() {
        let (mut a, mut b) = (Fake::clean(), Fake::clean());
        assert!(twice((&mut a, &mut b), &Fake::schedule(), || ()).unwrap().divergence.is_none());
        let (mut a, mut b) = (Fake::fickle(), Fake::fickle());
        b.runs = 4;
        let divergence = twice((&mut a, &mut b), &Fake::schedule(), || ()).unwrap().divergence.unwrap();
        assert_eq!((divergence.hashes, divergence.difference.unwrap().line), (("1".into(), "5".into()), 2));
    }

    #[test]
    fn runs_are_judged_too() {
        let mut judged = Judged::default();
        for mut fake in [Fake::clean(), Fake::breaking("toy/bug"), Fake::breaking("toy/bug")] {
            judged.count(&fake.run(&Fake::schedule(), RunOptions::default()).unwrap());
        }
        assert_eq!(judged.to_string(), "1 clean, 2 violated (toy/bug 2x), 0 unknown");
    }

    fn lines(text: &str) -> Vec<String> {
        text.chars().map(String::from).collect()
    }

    #[test]
    fn the_first_difference_is_shown_with_what_came_before() {
        let difference = Difference::between(&lines("abcdef"), &lines("abcdxf")).unwrap();
        insta::assert_snapshot!(difference.to_string(), @"
    first difference at event 5
        b
        c
        d
      - e
      + x
    ");
        assert_eq!(Difference::between(&lines("abc"), &lines("abc")), None);
    }

    #[test]
    fn a_log_that_ends_early_differs_at_its_end() {
        let difference = Difference::between(&lines("abc"), &lines("ab")).unwrap();
        assert_eq!((difference.line, difference.first.as_deref(), difference.second), (3, Some("c"), None));
    }
}
