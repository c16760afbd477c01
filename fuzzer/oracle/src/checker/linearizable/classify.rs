//! Gives a violation of a register its name, from the answer that made the history impossible.
//!
//! A name must not depend on chance, so that a defect found twice is one finding: it is read off the
//! culprit's relation to the writes of its key, not off the path the search happened to take.

use crate::model::register::{Action, Value};
use std::collections::BTreeMap;

/// An operation as far as names depend on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fact {
    /// What it did.
    pub action: Action,
    /// Index of its invocation.
    pub invoke: u64,
    /// Index of its completion, of whatever kind.
    pub complete: Option<u64>,
    /// Index after which it cannot take effect any more.
    pub effective_by: Option<u64>,
}

/// Why an answer cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The register held what it asked for all the time, and it was refused.
    Held,
    /// No operation can have written what it saw.
    Unwritten,
    /// No order of the other operations allows it.
    Unordered,
    /// The change at this position had replaced what it saw before it began.
    Replaced(usize),
    /// Something that stands for itself, as what follows "which".
    Told(&'static str),
}

/// Names what is wrong with the answer of `culprit`, which completed at index `cut`, among all operations of the key.
pub(super) fn classify(facts: &[Fact], culprit: usize, cut: u64) -> (&'static str, Why) {
    let action = facts[culprit].action;
    let swap = matches!(action, Action::Swap(..));
    let Some(seen) = action.seen() else {
        return ("swap-refused", Why::Held);
    };
    let timing = Timing::new(facts, culprit, cut);
    let mut sources: Vec<Option<usize>> =
        timing.others().filter(|i| timing.leaves(*i) == Some(seen)).map(Some).collect();
    if seen == Value::ABSENT {
        sources.push(None);
    }
    if sources.is_empty() {
        return (if swap { "phantom-swap" } else { "phantom-read" }, Why::Unwritten);
    }
    // Each way in which the value may have got there must be undone by a later change known to have happened.
    let undone: Option<Vec<usize>> = sources.iter().map(|source| timing.replaced_by(*source)).collect();
    let Some(replacement) = undone.and_then(|changes| changes.into_iter().max_by_key(|i| facts[*i].complete))
    else {
        return (if swap { "inconsistent-swap" } else { "inconsistent-read" }, Why::Unordered);
    };
    let kind = match (swap, timing.lost(replacement)) {
        (true, _) => "lost-update",
        (false, true) => "lost-write",
        (false, false) => "stale-read",
    };
    (kind, Why::Replaced(replacement))
}

struct Timing<'a> {
    facts: &'a [Fact],
    /// What had begun by the time of the culprit's completion.
    known: Vec<usize>,
    /// Of each value how many of those may have left it, and who of them saw it, the culprit apart.
    values: BTreeMap<Value, (usize, Vec<usize>)>,
    culprit: usize,
}

impl<'a> Timing<'a> {
    fn new(facts: &'a [Fact], culprit: usize, cut: u64) -> Self {
        let known: Vec<usize> = (0..facts.len()).filter(|i| facts[*i].invoke < cut).collect();
        let mut values: BTreeMap<Value, (usize, Vec<usize>)> = BTreeMap::new();
        for &i in &known {
            if let Some(left) = facts[i].action.left() {
                values.entry(left).or_default().0 += 1;
            }
            if let Some(seen) = facts[i].action.seen().filter(|_| i != culprit) {
                values.entry(seen).or_default().1.push(i);
            }
        }
        Self { facts, known, values, culprit }
    }

    fn leaves(&self, i: usize) -> Option<Value> {
        self.facts[i].action.left()
    }

    /// All known but the culprit.
    fn others(&self) -> impl Iterator<Item = usize> {
        self.known.iter().copied().filter(|i| *i != self.culprit)
    }

    fn acknowledged(&self, i: usize) -> bool {
        self.facts[i].effective_by.is_some() && self.leaves(i).is_some()
    }

    /// The replacing write is gone rather than late: it was acknowledged, nobody sees it from then on, and the
    /// old value is seen again.
    fn lost(&self, replacement: usize) -> bool {
        let culprit = self.facts[self.culprit];
        let sees = |fact: &Fact, value: Option<Value>| value.is_some() && fact.action.seen() == value;
        let replaced = self.leaves(replacement);
        let old = culprit.action.seen();
        let seen_later =
            self.facts.iter().any(|fact| sees(fact, replaced) && fact.effective_by > Some(culprit.invoke));
        let old_again = self.facts.iter().any(|fact| sees(fact, old) && Some(fact.invoke) > culprit.complete);
        self.acknowledged(replacement) && !seen_later && old_again
    }

    /// A change that certainly came after `source` (absent: the initial state) and before the culprit; of
    /// several, an acknowledged one, and the last.
    fn replaced_by(&self, source: Option<usize>) -> Option<usize> {
        let source_done = match source {
            Some(source) => self.done_by(source)?,
            None => 0,
        };
        let culprit = self.facts[self.culprit];
        self.others()
            .filter(|i| self.leaves(*i).is_some() && self.leaves(*i) != culprit.action.seen())
            .filter(|i| source.is_none() || source_done < self.alive_at(*i))
            .filter(|i| self.done_by(*i).is_some_and(|done| done < culprit.invoke))
            .max_by_key(|i| (self.acknowledged(*i), self.facts[*i].complete))
    }

    /// The index by which the change has certainly taken effect: its own end, or that of an operation that
    /// saw its value if nobody else can have written it.
    fn done_by(&self, change: usize) -> Option<u64> {
        let seen = self.observers(change).filter_map(|fact| fact.effective_by).min();
        [self.facts[change].effective_by, seen].into_iter().flatten().min()
    }

    /// The latest index at which the change had certainly not been replaced yet or not even happened.
    fn alive_at(&self, change: usize) -> u64 {
        self.observers(change)
            .filter(|fact| fact.effective_by.is_some())
            .map(|fact| fact.invoke)
            .fold(self.facts[change].invoke, u64::max)
    }

    /// Others than the culprit that saw the value of `change`; nobody if it has more than one possible writer.
    fn observers(&self, change: usize) -> impl Iterator<Item = &Fact> {
        let unique = |value: &Value| *value != Value::ABSENT;
        let known = self.leaves(change).filter(unique).and_then(|value| self.values.get(&value));
        let seen = known.filter(|(writers, _)| *writers == 1).map(|(_, observers)| observers);
        seen.into_iter().flatten().map(|i| &self.facts[*i])
    }
}
