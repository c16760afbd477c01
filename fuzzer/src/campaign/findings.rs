//! Findings: violations by signature, so that one defect found often is one finding with a count.

use super::event::FindingSummary;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How often a violation that does not repeat exactly is run again before its signature only counts.
const ATTEMPTS_MAX: u32 = 3;
/// The longest slug, without a number that makes it unique.
const SLUG_MAX: usize = 60;

/// All violations of a campaign.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Findings {
    records: BTreeMap<String, Record>,
}

/// One signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// How often it was seen.
    count: u64,
    /// How often its repetition differed.
    attempts: u32,
    /// What it is as a finding, once confirmed.
    confirmed: Option<Confirmed>,
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Confirmed {
    slug: String,
    /// The execution that showed it first.
    execution: u64,
    /// What that showed, in a sentence.
    summary: String,
}

impl Findings {
    /// Counts one sight; how often it was seen by now, and whether it is still to be confirmed.
    pub(super) fn see(&mut self, signature: &str) -> (u64, bool) {
        let record = self.records.entry(signature.to_owned()).or_insert(Record {
            count: 0,
            attempts: 0,
            confirmed: None,
        });
        record.count += 1;
        (record.count, record.confirmed.is_none() && record.attempts < ATTEMPTS_MAX)
    }

    /// A repetition was exact: from now on it is a finding, with this slug.
    pub(super) fn confirm(&mut self, signature: &str, execution: u64, summary: String) -> String {
        let slug = self.free_slug(signature);
        if let Some(record) = self.records.get_mut(signature) {
            record.confirmed = Some(Confirmed { slug: slug.clone(), execution, summary });
        }
        slug
    }

    /// A repetition differed.
    pub(super) fn differ(&mut self, signature: &str) {
        if let Some(record) = self.records.get_mut(signature) {
            record.attempts += 1;
        }
    }

    /// Forgets findings that are not `kept` any more, as if they had never been seen: signatures and slugs.
    pub(super) fn forget(&mut self, kept: &dyn Fn(&str) -> bool) -> Vec<(String, String)> {
        let gone = |(signature, record): (&String, &Record)| {
            let slug = record.confirmed.as_ref().map(|it| it.slug.clone()).filter(|slug| !kept(slug))?;
            Some((signature.clone(), slug))
        };
        let gone: Vec<(String, String)> = self.records.iter().filter_map(gone).collect();
        gone.iter().for_each(|(signature, _)| drop(self.records.remove(signature)));
        gone
    }

    /// How many findings there are.
    pub(super) fn len(&self) -> usize {
        self.records.values().filter(|record| record.confirmed.is_some()).count()
    }

    /// How many violations were seen and are no findings.
    pub(super) fn unconfirmed(&self) -> u64 {
        self.records.values().filter(|record| record.confirmed.is_none()).count() as u64
    }

    /// All findings, by signature.
    pub(super) fn summaries(&self) -> Vec<FindingSummary> {
        let records = self.records.iter().filter_map(|(signature, record)| {
            let Confirmed { slug, execution, summary } = record.confirmed.clone()?;
            let (signature, count) = (signature.clone(), record.count);
            Some(FindingSummary { signature, slug, summary, count, execution })
        });
        records.collect()
    }

    fn free_slug(&self, signature: &str) -> String {
        let base = slug(signature);
        let taken = |slug: &str| {
            self.records.values().any(|record| record.confirmed.as_ref().is_some_and(|it| it.slug == slug))
        };
        if !taken(&base) {
            return base;
        }
        (2_u64..)
            .map(|n| format!("{base}-{n}"))
            .find(|slug| !taken(slug))
            .expect("there are more numbers than findings")
    }
}

/// Small letters and digits, with single hyphens between words.
fn slug(signature: &str) -> String {
    let mut slug = String::new();
    for c in signature.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() >= SLUG_MAX {
            break;
        }
    }
    let trimmed = slug.trim_end_matches('-');
    if trimmed.is_empty() { "finding".to_owned() } else { trimmed.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_confirmed_once_and_then_counted() {
        let mut findings = Findings::default();
        assert_eq!(findings.see("raft/two-leaders"), (1, true));
        assert_eq!(findings.len(), 0);
        assert_eq!(findings.confirm("raft/two-leaders", 7, String::new()), "raft-two-leaders");
        assert_eq!(findings.see("raft/two-leaders"), (2, false));
        assert_eq!(findings.summaries()[0].execution, 7);
    }

    #[test]
    fn what_is_forgotten_is_found_again() {
        let mut findings = Findings::default();
        for signature in ["a", "b"] {
            findings.see(signature);
            findings.confirm(signature, 1, "it broke".into());
        }
        assert_eq!(findings.forget(&|slug| slug == "b"), [("a".to_owned(), "a".to_owned())]);
        assert_eq!((findings.len(), findings.see("a")), (1, (1, true)));
        assert_eq!(findings.summaries()[0].summary, "it broke");
    }

    #[test]
    fn what_never_repeats_is_given_up_but_counted() {
        let mut findings = Findings::default();
        for sight in 1..=ATTEMPTS_MAX {
            assert_eq!(findings.see("x"), (u64::from(sight), true));
            findings.differ("x");
        }
        assert_eq!(findings.see("x"), (4, false));
        assert_eq!(findings.len(), 0);
    }

    #[test]
    fn slugs_are_directory_names_and_unique() {
        assert_eq!(slug("Linearizability / stale: read!"), "linearizability-stale-read");
        assert_eq!(slug("///"), "finding");
        assert!(slug(&"x/".repeat(99)).len() <= SLUG_MAX);
        let mut findings = Findings::default();
        for signature in ["a/b", "a-b", "a b"] {
            findings.see(signature);
        }
        assert_eq!(
            ["a/b", "a-b", "a b"].map(|s| findings.confirm(s, 1, String::new())),
            ["a-b", "a-b-2", "a-b-3"]
        );
    }
}
