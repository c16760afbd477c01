//! Distinct states: what arms have seen after equally many executions. Where there is a twin its searches are counted, for they
//! all go on to their end; otherwise those for the bug, after as many executions as the shortest had.

use super::{Samples, count};
use crate::compare::cell::Outcome;
use agents::statistics::{a12, median};
use serde::Serialize;
use std::collections::BTreeMap;

/// Distinct states of the searches of one arm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct StatesSeen {
    /// After so many executions.
    pub after: u64,
    /// Of the searches of the twin.
    pub is_of_twin: bool,
    /// The median over searches.
    pub median: f64,
    /// The least.
    pub least: u64,
    /// The most.
    pub most: u64,
    /// How likely a search of this arm sees more than one of the baseline, ties counting half.
    pub a12: Option<f64>,
}

/// By arm.
pub(super) fn of(baseline: usize, samples: &Samples<'_>) -> Vec<Option<StatesSeen>> {
    let is_of_twin = samples.iter().any(|sample| !sample.twins.is_empty());
    let searches: Vec<&Vec<&Outcome>> =
        samples.iter().map(|sample| if is_of_twin { &sample.twins } else { &sample.hunts }).collect();
    let mut marks: BTreeMap<u64, usize> = BTreeMap::new();
    for (after, _) in searches.iter().flat_map(|it| it.iter()).flat_map(|it| &it.states) {
        *marks.entry(*after).or_default() += 1;
    }
    let all: usize = searches.iter().map(|it| it.len()).sum();
    let Some(after) = marks.iter().rev().find(|mark| *mark.1 == all).map(|mark| *mark.0) else {
        return vec![None; samples.len()];
    };
    let at = |it: &&Outcome| it.states.iter().find(|mark| mark.0 == after).map(|mark| count(mark.1));
    let seen: Vec<Vec<f64>> = searches.iter().map(|it| it.iter().filter_map(at).collect()).collect();
    let arm = |(arm, values): (usize, &Vec<f64>)| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "they were counts")]
        let whole = |value: f64| value as u64;
        Some(StatesSeen {
            after,
            is_of_twin,
            median: median(values)?,
            least: whole(values.iter().copied().fold(f64::INFINITY, f64::min)),
            most: whole(values.iter().copied().fold(0.0, f64::max)),
            a12: (arm != baseline).then(|| a12(values, &seen[baseline])).flatten(),
        })
    };
    seen.iter().enumerate().map(arm).collect()
}
