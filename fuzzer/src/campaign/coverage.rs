//! Coverage: the exact set of happens-before features seen, and how often each was.
//!
//! An exact set, not a folded map: a schedule costs milliseconds to seconds, so a feature lost to a hash
//! collision would cost more than the memory of keeping it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most features that are told apart, about 60 MB; beyond it nothing counts as new.
pub const FEATURES_MAX: usize = 1 << 20;

/// How many executions showed each feature.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Coverage {
    counts: BTreeMap<u64, u32>,
}

impl Coverage {
    /// Counts the features of one execution; those that were new, in order.
    pub(super) fn admit(&mut self, features: &[u64]) -> Vec<u64> {
        let mut new = Vec::new();
        for feature in features {
            if let Some(count) = self.counts.get_mut(feature) {
                *count = count.saturating_add(1);
            } else if self.counts.len() < FEATURES_MAX {
                self.counts.insert(*feature, 1);
                new.push(*feature);
            }
        }
        new
    }

    /// How many executions showed this feature.
    pub(super) fn count(&self, feature: u64) -> u32 {
        self.counts.get(&feature).copied().unwrap_or(0)
    }

    /// How many features there are.
    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_sight_is_new() {
        let mut coverage = Coverage::default();
        assert_eq!(coverage.admit(&[1, 5]), [1, 5]);
        assert_eq!(coverage.admit(&[1, 2]), [2]);
        assert_eq!((coverage.count(1), coverage.count(2), coverage.count(3), coverage.len()), (2, 1, 0, 3));
    }
}
