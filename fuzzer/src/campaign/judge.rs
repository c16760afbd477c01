//! What becomes of a violation: whether it is a finding.
//!
//! Where runs repeat, its schedule is run once more and must be the same run. By the host's clock no run is, and a
//! violation is a finding once it was seen twice: when its schedule is repeated, or later, under any schedule.

use super::Campaign;
use super::error::CampaignError;
use super::event::CampaignEvent;
use super::run::Sink;
use crate::execution::Execution;
use crate::executor::{ExecutorError, RunOptions};
use interceptor::sandbox::Clock;
use oracle::{Verdict, Violation};

/// Most repetitions of a schedule by the host's clock before the search goes on.
const REPETITIONS_MAX: u32 = 4;

impl Campaign {
    /// Counts a violation and, if it is new, sees whether it shows again; whether it is a finding from now on.
    pub(super) fn judge(
        &mut self,
        execution: &Execution,
        shown: &Violation,
        sink: Sink<'_>,
    ) -> Result<bool, CampaignError> {
        let signature = &shown.signature;
        let (count, to_confirm) = self.memory.findings.see(signature);
        if !to_confirm {
            sink(&CampaignEvent::Repeat { signature: signature.clone(), count });
            return Ok(false);
        }
        let confirmed = match self.config.clock {
            Clock::Virtual => self.repeat_exactly(execution, signature, sink)?,
            Clock::Real if count > 1 => Some(execution.clone()),
            Clock::Real => self.repeat_somehow(execution, shown, sink)?,
        };
        let Some(execution) = confirmed else {
            self.memory.findings.differ(signature);
            return Ok(false);
        };
        let executions = self.memory.counters.executions;
        let summary =
            execution.verdict.violation().map(|violation| violation.summary.clone()).unwrap_or_default();
        let slug = self.memory.findings.confirm(signature, executions, summary.clone());
        sink(&CampaignEvent::Finding {
            signature: signature.clone(),
            slug,
            summary,
            executions,
            elapsed_ms: self.elapsed_ms(),
            execution: Box::new(execution),
        });
        Ok(true)
    }

    /// Runs the schedule again: the run, if it is the same.
    fn repeat_exactly(
        &mut self,
        execution: &Execution,
        signature: &str,
        sink: Sink<'_>,
    ) -> Result<Option<Execution>, CampaignError> {
        let again = match self.run_again(execution, RunOptions { detail: true, calls: true }, sink) {
            Ok(again) => again,
            Err(error) => {
                self.skip(execution.schedule.clone(), error, sink)?;
                return Ok(None);
            }
        };
        let second_signature = again.verdict.signature().map(str::to_owned);
        if again.hash == execution.hash && second_signature.as_deref() == Some(signature) {
            return Ok(Some(again));
        }
        if let Verdict::Unknown { why } = &again.verdict {
            // Ended early, by a measure of the host: it does not show that runs differ.
            self.memory.counters.unknown += 1;
            self.tell_undecided(&execution.schedule, why, sink)?;
            return Ok(None);
        }
        self.memory.counters.diverged += 1;
        sink(&CampaignEvent::Diverged {
            signature: Some(signature.to_owned()),
            schedule: Box::new(execution.schedule.clone()),
            first: execution.hash.clone(),
            second: again.hash,
            second_signature,
        });
        Ok(None)
    }

    /// Repeats the schedule until a run shows the violation again: that run.
    fn repeat_somehow(
        &mut self,
        execution: &Execution,
        shown: &Violation,
        sink: Sink<'_>,
    ) -> Result<Option<Execution>, CampaignError> {
        for _ in 0..REPETITIONS_MAX {
            match self.run_again(execution, RunOptions { detail: true, calls: false }, sink) {
                Ok(again) if again.verdict.signature() == Some(&shown.signature) => {
                    return Ok(Some(again));
                }
                Ok(_) => {}
                Err(error) => self.skip(execution.schedule.clone(), error, sink)?,
            }
        }
        sink(&CampaignEvent::Unrepeated {
            signature: shown.signature.clone(),
            summary: shown.summary.clone(),
            schedule: Box::new(execution.schedule.clone()),
            runs: REPETITIONS_MAX,
        });
        Ok(None)
    }

    fn run_again(
        &mut self,
        execution: &Execution,
        options: RunOptions,
        sink: Sink<'_>,
    ) -> Result<Execution, ExecutorError> {
        let executor = self.executors.first_mut().expect("a campaign is opened with at least one executor");
        let again = executor.run(&execution.schedule, options);
        self.tell_restarts(sink);
        again
    }
}
