//! Visited states: which there were, how often, and what was legal in them.
//!
//! The one account of novelty that all agents are fed from, so that they can be compared. Two bounds: it
//! counts at most a million states, and keeps the legal actions of the first ten thousand, which are the ones
//! that repeat; those serve [`mod@crate::divergence`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{action::ActionId, agent::StateId};

/// How many states are counted.
pub const COUNTED_MAX: usize = 1_000_000;
/// For how many states the legal actions are kept.
pub const SAMPLED_MAX: usize = 10_000;

/// What a visit was, as [`crate::Transition`] wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entered {
    /// Whether the state had been visited before.
    pub seen_before: bool,
    /// How often it has been visited, this time included.
    pub visits: u64,
}

/// Counts visits. Part of a campaign's saved state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Visited {
    counted_max: usize,
    sampled_max: usize,
    counts: BTreeMap<StateId, u64>,
    legal: BTreeMap<StateId, Vec<ActionId>>,
}

impl Default for Visited {
    fn default() -> Self {
        Self::new(COUNTED_MAX, SAMPLED_MAX)
    }
}

impl Visited {
    /// An empty account with these bounds.
    pub fn new(counted_max: usize, sampled_max: usize) -> Self {
        Self { counted_max, sampled_max, counts: BTreeMap::new(), legal: BTreeMap::new() }
    }

    /// The cluster is in `state` now, and `legal` could be done there; the latest set is the one kept.
    ///
    /// Once the account is full, a state that is not in it counts as seen before, with one visit: better no
    /// reward for novelty than the same one for ever.
    pub fn enter(&mut self, state: StateId, legal: &[ActionId]) -> Entered {
        let full = self.is_full();
        let entered = match self.counts.get_mut(&state) {
            Some(visits) => {
                *visits = visits.saturating_add(1);
                Entered { seen_before: true, visits: *visits }
            }
            None if !full => {
                self.counts.insert(state, 1);
                Entered { seen_before: false, visits: 1 }
            }
            None => return Entered { seen_before: true, visits: 1 },
        };
        // Nothing to choose from is nothing to measure a policy on.
        if !legal.is_empty() {
            if let Some(kept) = self.legal.get_mut(&state) {
                kept.clear();
                kept.extend_from_slice(legal);
            } else if self.legal.len() < self.sampled_max {
                self.legal.insert(state, legal.to_vec());
            }
        }
        entered
    }

    /// How many distinct states have been counted.
    pub fn states(&self) -> usize {
        self.counts.len()
    }

    /// Whether new states are no longer told apart.
    pub fn is_full(&self) -> bool {
        self.counts.len() >= self.counted_max
    }

    /// The states whose legal actions are kept: state, visits, legal actions; in the order of their numbers.
    pub fn sample(&self) -> impl Iterator<Item = (StateId, u64, &[ActionId])> {
        self.legal.iter().map(|(&state, legal)| {
            (state, self.counts.get(&state).copied().unwrap_or_default(), legal.as_slice())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_up_to_its_bounds() {
        let mut visited = Visited::new(2, 1);
        let (one, both) = ([ActionId(0)], [ActionId(0), ActionId(1)]);
        assert_eq!(visited.enter(StateId(5), &both), Entered { seen_before: false, visits: 1 });
        assert_eq!(visited.enter(StateId(5), &one), Entered { seen_before: true, visits: 2 });
        assert_eq!(visited.enter(StateId(5), &[]), Entered { seen_before: true, visits: 3 });
        assert_eq!(visited.enter(StateId(3), &both), Entered { seen_before: false, visits: 1 });
        assert!(visited.is_full());
        assert_eq!(visited.enter(StateId(4), &both), Entered { seen_before: true, visits: 1 });
        let sample: Vec<_> = visited.sample().collect();
        assert_eq!(sample, [(StateId(5), 3, one.as_slice())]);
    }
}
