//! Shrinking: a smaller schedule that breaks the target in the same way.
//!
//! Delta debugging over the steps (Zeller and Hildebrandt, TSE 2002), then every number of the schedule is driven down, pass
//! after pass until nothing gives or the budget is spent. It owns no sandbox: the caller runs each attempt and says
//! whether it showed the violation. Equal answers give equal results: there is no randomness in here.

mod candidates;

use crate::schedule::Schedule;
use crate::trials::Decision;
use std::collections::BTreeSet;

/// Bounds on the work and on what is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most executions.
    pub executions: u32,
    /// Fewest nodes the target runs with.
    pub nodes_min: u8,
}

impl Default for Limits {
    /// 300 executions, three nodes.
    fn default() -> Self {
        Self { executions: 300, nodes_min: 3 }
    }
}

/// How far shrinking is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The pass at work.
    pub pass: &'static str,
    /// Executions so far.
    pub executions: u32,
    /// The bound on them.
    pub limit: u32,
    /// Steps of the best schedule so far.
    pub steps: usize,
}

/// The result of shrinking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrunk {
    /// The smallest schedule found that shows the violation; at worst the one that was given.
    pub schedule: Schedule,
    /// Executions it took.
    pub executions: u32,
    /// Nothing smaller was found by any pass; false when the budget or the caller ended it.
    pub minimal: bool,
}

/// Shrinks `schedule`, which shows a violation. `attempt` runs a schedule, once or as often as it takes to decide, and
/// says whether it shows the same one; `progress` is called after each attempt and says whether to go on.
///
/// # Errors
/// The first error of `attempt`.
pub fn shrink<E>(
    schedule: &Schedule,
    limits: Limits,
    attempt: &mut dyn FnMut(&Schedule) -> Result<Decision, E>,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<Shrunk, E> {
    let mut best = schedule.clone();
    best.agent_from_ms = None;
    best.agent_salt = 0;
    let mut shrinker =
        Shrinker { limits, attempt, progress, best, executions: 0, stopped: false, refused: BTreeSet::new() };
    loop {
        let before = shrinker.best.clone();
        shrinker.ddmin()?;
        for (pass, candidates) in candidates::PASSES {
            shrinker.descend(pass, *candidates)?;
        }
        let minimal = shrinker.best == before && !shrinker.spent();
        if minimal || shrinker.spent() {
            let Shrinker { best, executions, .. } = shrinker;
            return Ok(Shrunk { schedule: best, executions, minimal });
        }
    }
}

struct Shrinker<'a, E> {
    limits: Limits,
    attempt: &'a mut dyn FnMut(&Schedule) -> Result<Decision, E>,
    progress: &'a mut dyn FnMut(Progress) -> bool,
    best: Schedule,
    executions: u32,
    /// Enough, says the caller.
    stopped: bool,
    /// Schedules that were tried and did not show the violation, as text.
    refused: BTreeSet<String>,
}

impl<E> Shrinker<'_, E> {
    fn spent(&self) -> bool {
        self.stopped || self.executions >= self.limits.executions
    }

    /// Runs `candidate` unless it was refused before; keeps it when it shows the violation.
    fn accept(&mut self, pass: &'static str, candidate: Schedule) -> Result<bool, E> {
        let key = format!("{candidate:?}");
        if self.spent() || candidate == self.best || candidate.check().is_err() || self.refused.contains(&key)
        {
            return Ok(false);
        }
        let Decision { shows: holds, runs } = (self.attempt)(&candidate)?;
        self.executions += runs;
        if holds {
            self.best = candidate;
        } else {
            self.refused.insert(key);
        }
        let go_on = (self.progress)(Progress {
            pass,
            executions: self.executions,
            limit: self.limits.executions,
            steps: self.best.steps.len(),
        });
        self.stopped |= !go_on;
        Ok(holds)
    }

    /// Takes away chunks of steps, halves first, down to single ones.
    fn ddmin(&mut self) -> Result<(), E> {
        let mut chunk = self.best.steps.len();
        while chunk > 0 && !self.spent() {
            let mut from = 0;
            let mut removed = false;
            while from < self.best.steps.len() {
                let mut candidate = self.best.clone();
                let to = (from + chunk).min(candidate.steps.len());
                candidate.steps.drain(from..to);
                if self.accept("steps", candidate)? {
                    removed = true;
                } else {
                    from = to;
                }
            }
            chunk = if removed && chunk == 1 { 1 } else { chunk / 2 };
        }
        Ok(())
    }

    /// Tries the candidates of one pass, in order, from the start again after each that holds.
    fn descend(&mut self, pass: &'static str, candidates: candidates::Pass) -> Result<(), E> {
        loop {
            let mut held = false;
            for candidate in candidates(&self.best, self.limits) {
                if self.accept(pass, candidate)? {
                    held = true;
                    break;
                }
            }
            if !held || self.spent() {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests;
