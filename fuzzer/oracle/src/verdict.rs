//! Verdicts: what an oracle says of a run, and how the words of several oracles become one.

use crate::history::Entry;
use crate::raw;
use serde::{Deserialize, Serialize};

/// What is to be said of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything that was looked at is in order.
    Valid,
    /// Something is wrong for certain.
    Violation(Violation),
    /// It could not be decided.
    Unknown {
        /// What stood in the way.
        why: String,
    },
}

impl Verdict {
    /// What is wrong, if anything is for certain.
    #[must_use]
    pub const fn violation(&self) -> Option<&Violation> {
        match self {
            Self::Violation(violation) => Some(violation),
            Self::Valid | Self::Unknown { .. } => None,
        }
    }

    /// The signature of what is wrong.
    #[must_use]
    pub fn signature(&self) -> Option<&str> {
        self.violation().map(|violation| violation.signature.as_str())
    }
}

/// A proven misbehaviour of the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Names the kind of misbehaviour, `ORACLE/KIND`. Free of nodes, keys, values and times, so that
    /// the same defect found twice is one finding.
    pub signature: String,
    /// The oracle that says so.
    pub oracle: String,
    /// One sentence with the particulars.
    pub summary: String,
    /// What proves it.
    pub evidence: Evidence,
    /// Virtual nanoseconds at which it became certain.
    pub at_ns: u64,
}

/// The smallest set of facts that proves a violation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The history entries involved, for pictures; empty for oracles that do not read the history.
    pub entries: Vec<Entry>,
    /// The facts for people, one a line.
    pub lines: Vec<String>,
    /// The operations involved, where the history is not a campaign's own.
    #[serde(default)]
    pub ops: Vec<raw::Op>,
    /// Index of the invocation of the operation that is to blame, where there is one.
    #[serde(default)]
    pub culprit: Option<u64>,
    /// How the operations depend on each other, where that is what is wrong.
    #[serde(default)]
    pub graph: Option<Graph>,
}

/// Operations that depend on each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graph {
    /// What stands in the boxes.
    pub nodes: Vec<String>,
    /// Arrows between them.
    pub edges: Vec<Edge>,
}

/// An arrow of a [`Graph`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// The node that comes first, by position.
    pub from: usize,
    /// The node that comes after it.
    pub to: usize,
    /// What makes it so, in a word: `ww`, `wr`, `rw`, `process`, `realtime`.
    pub kind: String,
    /// The same in a sentence.
    pub why: String,
}

/// What one oracle says: its violations (one a signature, the first) and what it could not decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// The oracle's name.
    pub oracle: String,
    /// In the order in which they were found.
    pub violations: Vec<Violation>,
    /// What stood in the way of a full answer.
    pub unknown: Vec<String>,
    /// What else is worth saying, wrong or not: counts, what was recovered, what was never read.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl Judgement {
    /// Nothing to complain of so far.
    #[must_use]
    pub fn new(oracle: &str) -> Self {
        Self { oracle: oracle.to_string(), violations: Vec::new(), unknown: Vec::new(), notes: Vec::new() }
    }

    /// Adds a violation `ORACLE/kind`; of several of one kind the earliest stays.
    pub fn violation(&mut self, kind: &str, at_ns: u64, summary: String, evidence: Evidence) {
        let signature = format!("{}/{kind}", self.oracle);
        self.add(Violation { signature, oracle: self.oracle.clone(), summary, evidence, at_ns });
    }

    /// Adds all that another judgement of the same oracle says.
    pub fn append(&mut self, other: Self) {
        other.violations.into_iter().for_each(|violation| self.add(violation));
        self.unknown.extend(other.unknown);
        self.notes.extend(other.notes);
    }

    fn add(&mut self, violation: Violation) {
        match self.violations.iter_mut().find(|other| other.signature == violation.signature) {
            Some(other) if other.at_ns <= violation.at_ns => {}
            Some(other) => *other = violation,
            None => self.violations.push(violation),
        }
    }

    /// Adds something that could not be decided.
    pub fn unknown(&mut self, why: impl Into<String>) {
        self.unknown.push(why.into());
    }

    /// Adds something worth saying.
    pub fn note(&mut self, what: impl Into<String>) {
        self.notes.push(what.into());
    }

    /// The oracle's word alone.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        Verdicts { judgements: vec![self.clone()] }.verdict()
    }
}

/// What all oracles say, in the fixed order in which they ran.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdicts {
    /// One an oracle.
    pub judgements: Vec<Judgement>,
}

impl Verdicts {
    /// All violations, the earliest first; at the same instant in the order of the oracles.
    #[must_use]
    pub fn violations(&self) -> Vec<&Violation> {
        let mut all: Vec<&Violation> =
            self.judgements.iter().flat_map(|judgement| &judgement.violations).collect();
        all.sort_by_key(|violation| violation.at_ns);
        all
    }

    /// The verdict of the run: the earliest violation; without one, unknown if anything is; else valid.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if let Some(first) = self.violations().first() {
            return Verdict::Violation((*first).clone());
        }
        let whys: Vec<String> = self
            .judgements
            .iter()
            .flat_map(|judgement| {
                judgement.unknown.iter().map(move |why| format!("{}: {why}", judgement.oracle))
            })
            .collect();
        if whys.is_empty() { Verdict::Valid } else { Verdict::Unknown { why: whys.join("; ") } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judgement(oracle: &str, violations: &[(&str, u64)], unknown: &[&str]) -> Judgement {
        let mut judgement = Judgement::new(oracle);
        for (kind, at_ns) in violations {
            judgement.violation(kind, *at_ns, String::new(), Evidence::default());
        }
        unknown.iter().for_each(|why| judgement.unknown(*why));
        judgement
    }

    #[test]
    fn a_violation_outweighs_unknown_and_unknown_outweighs_valid() {
        let valid = judgement("a", &[], &[]);
        let unknown = judgement("b", &[], &["no budget", "no reads"]);
        let bad = judgement("c", &[("late", 9), ("early", 3)], &[]);
        let of = |judgements: &[&Judgement]| {
            Verdicts { judgements: judgements.iter().map(|one| (*one).clone()).collect() }.verdict()
        };
        assert_eq!(of(&[&valid]), Verdict::Valid);
        assert_eq!(of(&[&valid, &unknown]), Verdict::Unknown { why: "b: no budget; b: no reads".into() });
        let Verdict::Violation(first) = of(&[&valid, &unknown, &bad]) else { panic!("no violation") };
        assert_eq!(first.signature, "c/early");
    }

    #[test]
    fn repeats_of_a_kind_are_one_and_the_earliest_stays() {
        let bad = judgement("c", &[("x", 9), ("y", 5), ("x", 3), ("x", 4)], &[]);
        let kept: Vec<(&str, u64)> = bad.violations.iter().map(|v| (v.signature.as_str(), v.at_ns)).collect();
        assert_eq!(kept, [("c/x", 3), ("c/y", 5)]);
    }

    #[test]
    fn equal_instants_keep_the_order_of_the_oracles() {
        let verdicts =
            Verdicts { judgements: vec![judgement("b", &[("x", 1)], &[]), judgement("a", &[("x", 1)], &[])] };
        let order: Vec<&str> = verdicts.violations().iter().map(|v| v.oracle.as_str()).collect();
        assert_eq!(order, ["b", "a"]);
    }
}
