//! The outside abstraction: by which distinct states are counted, the same for all arms and fixed.
//!
//! A state is how all nodes see themselves at the end of a window, together: role, and how far term, log and commits are behind
//! the foremost, in a few steps ([`CLUSTER`] features of the interceptor's summary). No arm is paid for these: agents are paid for
//! visits to states of their own, and searches for news of any class, of which these are less than one in ten.

use crate::execution::Execution;
use crate::executor::{Executor, ExecutorError, Learned, Restart, RunOptions};
use crate::schedule::Schedule;
use agents::AnyAgent;
use interceptor::summary::{CLUSTER, class_of};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The states that a search has seen, shared by its executors.
#[derive(Clone, Debug, Default)]
pub struct States(Arc<Mutex<BTreeSet<u64>>>);

impl States {
    /// How many.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    /// None was seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn see(&self, execution: &Execution) {
        let seen = execution.features.iter().map(|it| it.feature).filter(|it| class_of(*it) == CLUSTER);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(seen);
    }
}

/// An executor whose runs are looked at from outside.
pub struct Watched {
    inner: Box<dyn Executor>,
    states: States,
}

impl Watched {
    /// Looks at the runs of `inner`, into `states`.
    #[must_use]
    pub fn new(inner: Box<dyn Executor>, states: &States) -> Self {
        Self { inner, states: states.clone() }
    }
}

impl Executor for Watched {
    fn adopt(&mut self, agent: &AnyAgent) -> Result<(), ExecutorError> {
        self.inner.adopt(agent)
    }

    fn learn(&mut self, episodes: &[Learned]) -> Result<(), ExecutorError> {
        self.inner.learn(episodes)
    }

    fn run(&mut self, input: &Schedule, options: RunOptions) -> Result<Execution, ExecutorError> {
        let execution = self.inner.run(input, options)?;
        self.states.see(&execution);
        Ok(execution)
    }

    fn restarts(&mut self) -> Vec<Restart> {
        self.inner.restarts()
    }
}

/// Whether the states are noted after so many executions: 1, 2, 5, 10, 20, 50 and so on.
#[must_use]
pub fn is_mark(executions: u64) -> bool {
    let mut scale = 1_u64;
    while scale <= executions / 10 {
        scale = scale.saturating_mul(10);
    }
    [1, 2, 5].into_iter().any(|part| scale.checked_mul(part) == Some(executions))
}

#[cfg(test)]
mod tests {
    use super::is_mark;

    #[test]
    fn marks_are_few_and_round() {
        let marks: Vec<u64> = (0..=2_000).filter(|it| is_mark(*it)).collect();
        assert_eq!(marks, [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000]);
        assert!(!is_mark(u64::MAX));
    }
}
