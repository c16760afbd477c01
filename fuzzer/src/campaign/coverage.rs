//! Coverage: the exact set of happens-before features seen, how often each was, and what is worth keeping.
//!
//! An exact set, not a folded map: a schedule costs milliseconds to seconds, so a feature lost to a hash
//! collision would cost more than the memory of keeping it.
//!
//! Something is new in almost every run: which events were concurrent, and in which order, differs by chance. That says
//! little, and a new colour of a node, which comes once in a hundred runs, says much. So news are weighed by their
//! *surprise*: the bits of information in that a run showed something new of this class at all, as often as runs have done
//! that of late. Only runs whose surprise is among the highest join the corpus: most of the first ones, one in
//! twenty-five later. This holds for every target alike, whatever its features are made of.

use crate::execution::Sighting;
use agents::math::ln;
use interceptor::summary::{CLASSES, class_of};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The most features that are told apart, about 60 MB; beyond it nothing counts as new.
pub const FEATURES_MAX: usize = 1 << 20;

/// How much of what is known of late the latest run makes.
const RECENT: f64 = 1.0 / 64.0;
/// The share of runs that join the corpus in the long run.
const JOINING: f64 = 0.04;
/// After so many runs half of them join.
const EARLY: f64 = 24.0;
/// How fast the bar follows, in bits.
const STEP: f64 = 1.0;

/// How many executions showed each feature.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Coverage {
    counts: BTreeMap<u64, u32>,
    /// By class: the share of late runs that showed something new of it.
    shares: [f64; CLASSES],
    /// Bits of surprise above which a run joins the corpus.
    bar: f64,
    runs: u64,
    /// Executions, and features that had been seen by then, at powers of two.
    curve: Vec<(u64, u64)>,
}

/// What one execution showed that none did before.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct News {
    /// The new features, those of the most surprising class first.
    pub features: Vec<Sighting>,
    /// How much they say, in bits.
    pub surprise: f64,
    /// It is among the most surprising of late.
    pub joins: bool,
}

impl Coverage {
    /// Counts the features of one execution.
    pub(super) fn admit(&mut self, seen: &[Sighting]) -> News {
        let mut new = Vec::new();
        for sighting in seen {
            if let Some(count) = self.counts.get_mut(&sighting.feature) {
                *count = count.saturating_add(1);
            } else if self.counts.len() < FEATURES_MAX {
                self.counts.insert(sighting.feature, 1);
                new.push(*sighting);
            }
        }
        let classes: BTreeSet<usize> = new.iter().map(|it| class_of(it.feature)).collect();
        let surprise = classes.iter().map(|class| self.bits(*class)).sum();
        for (class, share) in self.shares.iter_mut().enumerate() {
            *share += RECENT * (f64::from(u8::from(classes.contains(&class))) - *share);
        }
        // By class first, since a class has one surprise; numbers keep their order within.
        let bits = |it: &Sighting| self.bits(class_of(it.feature));
        new.sort_by(|a, b| bits(b).total_cmp(&bits(a)).then(a.cmp(b)));
        let joins = surprise > self.bar;
        #[allow(clippy::cast_precision_loss, reason = "a rate")]
        let wanted = JOINING.max(EARLY / (EARLY + self.runs as f64));
        self.bar = (self.bar + STEP * (f64::from(u8::from(joins)) - wanted)).max(0.0);
        self.runs += 1;
        if self.runs.is_power_of_two() {
            self.curve.push((self.runs, self.counts.len() as u64));
        }
        News { features: new, surprise, joins }
    }

    /// How much it says that a run showed something new of this class.
    fn bits(&self, class: usize) -> f64 {
        let share = self.shares.get(class).copied().unwrap_or(1.0);
        -ln(share.clamp(RECENT, 1.0)) / std::f64::consts::LN_2
    }

    /// How many executions showed this feature.
    pub(super) fn count(&self, feature: u64) -> u32 {
        self.counts.get(&feature).copied().unwrap_or(0)
    }

    /// All features, and how many executions showed each.
    pub(super) fn counts(&self) -> impl Iterator<Item = (u64, u32)> {
        self.counts.iter().map(|(feature, count)| (*feature, *count))
    }

    /// How many executions were counted.
    pub(super) fn runs(&self) -> u64 {
        self.runs
    }

    /// Executions, and features that had been seen by then, at powers of two.
    pub(super) fn curve(&self) -> &[(u64, u64)] {
        &self.curve
    }

    /// How many features there are.
    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(features: &[u64]) -> Vec<Sighting> {
        features.iter().map(|&feature| Sighting { feature, at_ms: 0 }).collect()
    }

    #[test]
    fn only_the_first_sight_is_new() {
        let mut coverage = Coverage::default();
        assert_eq!(coverage.admit(&seen(&[1, 5])).features, seen(&[1, 5]));
        assert_eq!(coverage.admit(&seen(&[1, 2])).features, seen(&[2]));
        assert_eq!((coverage.count(1), coverage.count(2), coverage.count(3), coverage.len()), (2, 1, 0, 3));
    }

    /// Class 2 is noise: every run shows something new of it. Class 5 shows something new once in two hundred runs.
    #[test]
    fn what_is_always_new_does_not_join_and_what_seldom_is_does() {
        let mut coverage = Coverage::default();
        let (mut joined, mut rare_joined, mut rare) = (0, 0, 0);
        for run in 0..4_000_u64 {
            let noise = run << 3 | 2;
            let is_rare = run % 200 == 199;
            let features = if is_rare { vec![noise, run << 3 | 5] } else { vec![noise] };
            let news = coverage.admit(&seen(&features));
            if run >= 1_000 {
                joined += u32::from(news.joins);
                rare += u32::from(is_rare);
                rare_joined += u32::from(news.joins && is_rare);
                assert!(!is_rare || news.features[0].feature == features[1], "what says most comes first");
            }
        }
        assert_eq!(rare_joined, rare, "all that is rare joins");
        assert!(joined <= 3_000 / 20, "{joined} of 3000");
    }

    #[test]
    fn most_of_the_first_runs_join_and_few_later() {
        let mut coverage = Coverage::default();
        // A class by chance: one new feature of each with its own probability, as a fixed sequence has it.
        let mut joined = Vec::new();
        for run in 0..3_000_u64 {
            let features: Vec<u64> = (1..8)
                .filter(|class| run * 7_919 % 97 < 14 * (class - 1) + 2)
                .map(|class| run << 3 | class)
                .collect();
            joined.push(coverage.admit(&seen(&features)).joins);
        }
        let share = |runs: &[bool]| runs.iter().filter(|joins| **joins).count() * 100 / runs.len();
        assert!(share(&joined[..20]) >= 40, "{}", share(&joined[..20]));
        assert!((1..=5).contains(&share(&joined[1_000..])), "{}", share(&joined[1_000..]));
    }
}
