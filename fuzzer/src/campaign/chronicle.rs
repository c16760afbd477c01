//! What a campaign has covered, for people: in words, how often, and what is left by estimate.

use super::Memory;
use super::coverage::Coverage;
use super::error::CampaignError;
use super::store;
use crate::codec;
use interceptor::summary::{CLASSES, class_of};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Names of the classes of features, by their number.
const NAMES: [&str; CLASSES] =
    ["", "events", "orders", "reactions", "concurrent events", "nodes", "clusters", "faults"];

/// What a campaign has covered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Chronicle {
    /// Executions.
    pub executions: u64,
    /// By class of features.
    pub classes: Vec<Class>,
    /// What was seen, in words, and in how many executions: of the classes that come to an end.
    pub seen: Vec<(String, u32)>,
    /// Kinds of events that were seen in some role and not in this one.
    pub never: Vec<String>,
    /// Executions, and features that had been seen by then.
    pub curve: Vec<(u64, u64)>,
}

/// One class of features.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Class {
    /// What it tells.
    pub name: &'static str,
    /// Features seen.
    pub seen: u64,
    /// Of these, in one execution only.
    pub once: u64,
    /// In two only.
    pub twice: u64,
    /// How many there are in all, by estimate (Chao1): at least so many, the seen and the unseen together. Chao:
    /// "Nonparametric Estimation of the Number of Classes in a Population", Scandinavian Journal of Statistics 11, 1984.
    pub estimate: f64,
    /// The probability that the next execution shows one that was never seen, at most (Good and Turing): once / executions.
    pub next_new: f64,
}

impl Chronicle {
    /// Reads the campaign in a directory.
    ///
    /// # Errors
    /// There is none, or its state cannot be read.
    pub fn read(out: &Path) -> Result<Self, CampaignError> {
        let bytes = store::read_state_in(out)?;
        let path = out.to_owned();
        let damaged = |why: String| CampaignError::NoCampaign { path, why };
        let Some(bytes) = bytes else { return Err(damaged("there is no campaign.state in it".into())) };
        let memory =
            super::save::memory_of(&bytes).map_err(|error: codec::CodecError| damaged(error.to_string()))?;
        Ok(Self::of(&memory))
    }

    pub(super) fn of(memory: &Memory) -> Self {
        let coverage = &memory.coverage;
        let mut seen: Vec<(String, u32)> =
            memory.words.iter().map(|(feature, words)| (words.clone(), coverage.count(*feature))).collect();
        seen.sort_by(|a, b| a.1.cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
        Self {
            executions: coverage.runs(),
            classes: classes(coverage),
            never: never(
                memory.words.iter().filter(|(it, _)| class_of(**it) == 1).map(|(_, words)| words.as_str()),
            ),
            seen,
            curve: coverage.curve().to_vec(),
        }
    }
}

fn classes(coverage: &Coverage) -> Vec<Class> {
    let mut counts: BTreeMap<usize, [u64; 3]> = BTreeMap::new();
    for (feature, count) in coverage.counts() {
        let of = counts.entry(class_of(feature)).or_default();
        of[0] += 1;
        of[1] += u64::from(count == 1);
        of[2] += u64::from(count == 2);
    }
    #[allow(clippy::cast_precision_loss, reason = "estimates")]
    let class = |(class, [seen, once, twice]): (usize, [u64; 3])| Class {
        name: NAMES[class],
        seen,
        once,
        twice,
        estimate: seen as f64 + (once * once.saturating_sub(1)) as f64 / (2 * (twice + 1)) as f64,
        next_new: (once as f64 / coverage.runs().max(1) as f64).min(1.0),
    };
    counts.into_iter().map(class).collect()
}

/// Events are written `ROLE KIND`: the pairs of what was seen that were not seen together.
fn never<'a>(events: impl Iterator<Item = &'a str>) -> Vec<String> {
    let pairs: BTreeSet<(&str, &str)> = events.filter_map(|words| words.split_once(' ')).collect();
    let roles: BTreeSet<&str> =
        pairs.iter().map(|(role, _)| *role).filter(|role| *role != "client").collect();
    let of_nodes: BTreeSet<&str> =
        pairs.iter().filter(|(role, _)| *role != "client").map(|(_, kind)| *kind).collect();
    let all = of_nodes.into_iter().flat_map(|kind| roles.iter().map(move |role| (*role, kind)));
    all.filter(|pair| !pairs.contains(pair)).map(|(role, kind)| format!("{role} {kind}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execution::Sighting;

    #[test]
    fn what_is_left_is_estimated_from_what_was_seen_once() {
        let mut coverage = Coverage::default();
        let of = |numbers: &[u64]| -> Vec<Sighting> {
            numbers.iter().map(|number| Sighting { feature: number << 3 | 1, at_ms: 0 }).collect()
        };
        for run in 0..10 {
            // Three come always, ten once.
            coverage.admit(&of(&[1, 2, 3, 100 + run]));
        }
        coverage.admit(&of(&[100]));
        let classes = classes(&coverage);
        let [events] = &classes[..] else { panic!("one class: {classes:?}") };
        assert_eq!((events.name, events.seen, events.once, events.twice), ("events", 13, 9, 1));
        assert!((events.estimate - (13.0 + 72.0 / 4.0)).abs() < 1e-9, "{}", events.estimate);
        assert!((events.next_new - 9.0 / 11.0).abs() < 1e-9);
        assert_eq!(coverage.curve().last(), Some(&(8, 11)), "at powers of two");
    }

    #[test]
    fn pairs_of_role_and_event_that_never_met_are_told() {
        let events =
            ["leader send:append", "follower fsync", "leader fsync", "client client:ok", "node start"];
        assert_eq!(
            never(events.into_iter()),
            ["node fsync", "follower send:append", "node send:append", "follower start", "leader start"]
        );
    }
}
