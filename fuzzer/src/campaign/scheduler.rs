//! The scheduler: which corpus entry is bred from next.
//!
//! Entries that found rare features come more often, and less so each time; entries that end in a violation
//! come less often, because most of what is bred from them ends there too. The same draws give the same
//! choices: everything is in ordered maps.

use super::coverage::Coverage;
use super::input::ScheduleInput;
use super::random::Random;
use crate::execution::Sighting;
use libafl::Error;
use libafl::corpus::{Corpus, CorpusId};
use libafl::schedulers::Scheduler;
use libafl::state::{HasCorpus, HasRand};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The weight of a fresh entry with a feature that nothing else showed.
const WEIGHT_MAX: u64 = 1 << 20;
/// How many features of an entry are watched.
const WATCHED_MAX: usize = 16;
/// How many entries are looked at again per choice: rarity changes slowly.
const REVIEWED: usize = 64;

/// What is known of an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// Features it was the first to show, and when.
    found: Vec<Sighting>,
    /// How many executions showed the rarest of them, when last looked at.
    rarest: u32,
    /// How often it was bred from.
    chosen: u32,
    /// It ends in a violation.
    is_violating: bool,
}

impl Entry {
    fn weight(&self) -> u64 {
        let divisor = u64::from(self.rarest.max(1).ilog2() + 1) * (u64::from(self.chosen) + 1);
        let violating = if self.is_violating { 4 } else { 1 };
        (WEIGHT_MAX / divisor / violating).max(1)
    }
}

/// Favours rare features and entries seldom chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RareFirst {
    entries: BTreeMap<usize, Entry>,
    /// Where the next review begins.
    cursor: usize,
}

impl RareFirst {
    /// Tells what an entry is worth, once it is in the corpus.
    pub(super) fn describe(&mut self, id: CorpusId, found: &[Sighting], is_violating: bool) {
        let found = found.iter().copied().take(WATCHED_MAX).collect();
        self.entries.insert(id.into(), Entry { found, rarest: 1, chosen: 0, is_violating });
    }

    /// Forgets an entry that left the corpus.
    pub(super) fn forget(&mut self, id: CorpusId) {
        self.entries.remove(&id.into());
    }

    /// When an entry first showed the rarest of what it was the first to show, in milliseconds since readiness.
    pub(super) fn rarest_ms(&self, id: CorpusId, coverage: &Coverage) -> Option<u64> {
        let found = &self.entries.get(&id.into())?.found;
        found.iter().min_by_key(|it| coverage.count(it.feature)).map(|it| it.at_ms)
    }

    /// Looks again at how rare some of the entries' features are.
    pub(super) fn review(&mut self, coverage: &Coverage) {
        let next: Vec<usize> = self
            .entries
            .range(self.cursor..)
            .chain(self.entries.range(..self.cursor))
            .map(|(id, _)| *id)
            .take(REVIEWED)
            .collect();
        for id in &next {
            if let Some(entry) = self.entries.get_mut(id) {
                entry.rarest =
                    entry.found.iter().map(|it| coverage.count(it.feature)).min().unwrap_or(u32::MAX);
            }
        }
        self.cursor = next.last().map_or(0, |id| id + 1);
    }
}

impl<S> Scheduler<ScheduleInput, S> for RareFirst
where
    S: HasCorpus<ScheduleInput> + HasRand<Rand = Random>,
{
    fn on_add(&mut self, _: &mut S, id: CorpusId) -> Result<(), Error> {
        self.entries.entry(id.into()).or_default();
        Ok(())
    }

    fn next(&mut self, state: &mut S) -> Result<CorpusId, Error> {
        let total: u64 = self.entries.values().map(Entry::weight).sum();
        if total == 0 {
            return Err(Error::empty("the corpus is empty"));
        }
        let mut left = state.rand_mut().rng.random_range(0..total);
        for (id, entry) in &mut self.entries {
            let weight = entry.weight();
            if left < weight {
                entry.chosen = entry.chosen.saturating_add(1);
                let id = CorpusId::from(*id);
                <Self as Scheduler<ScheduleInput, S>>::set_current_scheduled(self, state, Some(id))?;
                return Ok(id);
            }
            left -= weight;
        }
        Err(Error::illegal_state("weights changed while they were summed"))
    }

    fn set_current_scheduled(&mut self, state: &mut S, next_id: Option<CorpusId>) -> Result<(), Error> {
        *state.corpus_mut().current_mut() = next_id;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_fresh_and_harmless_entries_weigh_most() {
        let entry =
            |rarest, chosen, is_violating| Entry { found: vec![], rarest, chosen, is_violating }.weight();
        assert!(entry(1, 0, false) > entry(8, 0, false));
        assert!(entry(1, 0, false) > entry(1, 1, false));
        assert!(entry(1, 0, false) > entry(1, 0, true));
        assert_eq!(entry(u32::MAX, u32::MAX, true), 1);
    }

    #[test]
    fn reviews_go_round() {
        let mut scheduler = RareFirst::default();
        let mut coverage = Coverage::default();
        for id in 0..100_u64 {
            let seen = [Sighting { feature: id, at_ms: 250 * id }];
            coverage.admit(&seen);
            coverage.admit(&seen);
            scheduler.describe(CorpusId::from(id), &seen, false);
        }
        assert_eq!(scheduler.rarest_ms(CorpusId::from(3_u64), &coverage), Some(750));
        let stale =
            |scheduler: &RareFirst| scheduler.entries.values().filter(|entry| entry.rarest == 1).count();
        assert_eq!(stale(&scheduler), 100);
        scheduler.review(&coverage);
        assert_eq!(stale(&scheduler), 36);
        scheduler.review(&coverage);
        assert_eq!(stale(&scheduler), 0);
    }
}
