//! Allocation: where the next candidate comes from, learnt from what candidates of each source have shown.
//!
//! A candidate is worth its surprise (see [`Coverage`](super::coverage::Coverage)) for what it costs, in intercepted calls:
//! host time would make a campaign depend on who else uses the machine. What that amounts to is held against what
//! candidates have given of late, so that a bandit learns the same on every target and at every stage of a search.

use super::config::Search;
use super::event::Source;
use agents::{Bandit, Pull};
use interceptor::rng::Rng;
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// How much of what is known of late the latest candidate makes.
const RECENT: f64 = 1.0 / 32.0;
/// What every run costs besides its calls, as a number of calls.
const CALLS_BASE: f64 = 20_000.0;

/// The sources, in the order of the bandit's arms.
const ARMS: [Source; 5] = [Source::Explore, Source::Random, Source::Mutate, Source::Prolong, Source::Return];

/// The weights of [`Search::Fixed`].
const FIXED: [u32; 5] = [3, 2, 8, 7, 0];

/// What is known of the sources.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Allocation {
    bandit: Bandit,
    /// What a candidate gave of late: surprise per call.
    usual: f64,
}

impl Default for Allocation {
    fn default() -> Self {
        Self { bandit: Bandit::new(ARMS.len(), &[]), usual: 0.0 }
    }
}

impl Allocation {
    /// The next candidate's source. Nothing is bred from an empty corpus.
    pub(super) fn draw(&self, search: Search, is_corpus_empty: bool, rng: &mut Rng) -> (Source, Pull) {
        let (source, pull) = match search {
            Search::Learned => {
                let pull = self.bandit.pull(rng);
                (ARMS[usize::from(pull.arm)], pull)
            }
            Search::Fixed => (ARMS[draw_weighted(rng)], Pull::default()),
            Search::Explore => (Source::Explore, Pull::default()),
            Search::Random => (Source::Random, Pull::default()),
        };
        match source {
            Source::Mutate | Source::Prolong | Source::Return if is_corpus_empty => {
                (Source::Explore, Pull::default())
            }
            _ => (source, pull),
        }
    }

    /// Tells what the candidate of a pull showed, in bits, and cost, in calls.
    pub(super) fn reward(&mut self, pull: Pull, surprise: f64, calls: u64) {
        #[allow(clippy::cast_precision_loss, reason = "a rate")]
        let given = surprise / (calls as f64 + CALLS_BASE);
        if pull.odds > 0.0 {
            let gain = if given > 0.0 { given / (given + self.usual) } else { 0.0 };
            self.bandit.reward(pull, gain);
        }
        self.usual += RECENT * (given - self.usual);
    }

    /// The probability of each source.
    pub(super) fn shares(&self) -> impl Iterator<Item = (Source, f64)> {
        ARMS.into_iter().zip(self.bandit.odds())
    }
}

fn draw_weighted(rng: &mut Rng) -> usize {
    let mut left = rng.random_range(0..FIXED.iter().sum());
    FIXED
        .iter()
        .position(|weight| {
            let is_here = left < *weight;
            left = left.saturating_sub(*weight);
            is_here
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use interceptor::rng::split;
    use std::collections::BTreeMap;

    /// How often each source is drawn, when only this one ever gives anything.
    fn play(winner: Source) -> BTreeMap<Source, u32> {
        let mut allocation = Allocation::default();
        let mut rng = split(3, "allocation");
        let mut drawn = BTreeMap::new();
        for number in 0..1_200 {
            let (source, pull) = allocation.draw(Search::Learned, false, &mut rng);
            allocation.reward(pull, if source == winner { 5.0 } else { 0.1 }, 10_000);
            if number >= 800 {
                *drawn.entry(source).or_default() += 1;
            }
        }
        drawn
    }

    #[test]
    fn what_gives_most_is_drawn_most_and_nothing_never() {
        for winner in ARMS {
            let drawn = play(winner);
            assert_eq!(drawn.values().max(), drawn.get(&winner), "{winner:?}: {drawn:?}");
            assert_eq!(drawn.len(), ARMS.len(), "{winner:?}: {drawn:?}");
        }
    }

    #[test]
    fn nothing_is_bred_from_an_empty_corpus() {
        let allocation = Allocation::default();
        let mut rng = split(4, "allocation");
        for search in Search::ALL {
            for _ in 0..50 {
                let (source, _) = allocation.draw(search, true, &mut rng);
                assert!(matches!(source, Source::Explore | Source::Random), "{source:?}");
            }
        }
    }

    #[test]
    fn fixed_weights_are_kept() {
        let allocation = Allocation::default();
        let mut rng = split(5, "allocation");
        let mut drawn = BTreeMap::new();
        for _ in 0..20_000 {
            *drawn.entry(allocation.draw(Search::Fixed, false, &mut rng).0).or_insert(0) += 1;
        }
        for (source, weight) in ARMS.into_iter().zip(FIXED) {
            let (drawn, expected): (u32, u32) = (drawn.get(&source).copied().unwrap_or(0), 1_000 * weight);
            assert!(drawn.abs_diff(expected) <= expected / 5, "{source:?}: {drawn} of about {expected}");
        }
    }
}
