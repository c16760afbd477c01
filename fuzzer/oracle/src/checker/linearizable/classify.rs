//! Gives a linearizability violation its name, from the answer that made the history impossible.
//!
//! A name must not depend on chance, so that a defect found twice is one finding: it is read off the
//! culprit's relation to the writes of its key, not off the path the search happened to take.

use super::explain::Explanation;
use crate::op::{Call, Op, Shown};

/// A violation's name and one sentence about it.
pub(super) struct Class {
    pub kind: &'static str,
    pub summary: String,
}

/// Names what the explanation found in `ops`, all operations of the key.
pub(super) fn classify(ops: &[&Op], explanation: &Explanation<'_>) -> Class {
    let culprit = explanation.culprit;
    let swap = matches!(culprit.call, Call::Cas { .. });
    let told = format!("p{} {}", culprit.process, culprit.call);
    let Some(seen) = culprit.call.observes() else {
        let summary = format!("{told}, though the register held what it asked for all the time");
        return Class { kind: "swap-refused", summary };
    };
    let known: Vec<&Op> = ops.iter().copied().filter(|op| op.invoke < explanation.cut).collect();
    let mut sources: Vec<Option<&Op>> = sources(&known, seen, culprit).into_iter().map(Some).collect();
    if seen.is_none() {
        sources.push(None);
    }
    if sources.is_empty() {
        let kind = if swap { "phantom-swap" } else { "phantom-read" };
        return Class { kind, summary: format!("{told}, a value that no operation can have written") };
    }
    let timing = Timing { known: &known, culprit };
    // Each way in which the value may have got there must be undone by a later change known to have happened.
    let undone: Option<Vec<&Op>> = sources.iter().map(|source| timing.replaced_by(*source)).collect();
    let Some(replacement) = undone.and_then(|changes| changes.into_iter().max_by_key(|op| op.complete))
    else {
        let kind = if swap { "inconsistent-swap" } else { "inconsistent-read" };
        return Class { kind, summary: format!("{told}, which no order of the other operations allows") };
    };
    let now = Shown(replacement.call.leaves().flatten());
    let summary = format!("{told}, which p{} had replaced by {now} before that began", replacement.process);
    let kind = match (swap, lost(ops, culprit, replacement)) {
        (true, _) => "lost-update",
        (false, true) => "lost-write",
        (false, false) => "stale-read",
    };
    Class { kind, summary }
}

/// The changes that may have left `value` by the time of the culprit's completion.
fn sources<'a>(known: &[&'a Op], value: Option<&str>, culprit: &Op) -> Vec<&'a Op> {
    known
        .iter()
        .copied()
        .filter(|op| op.invoke != culprit.invoke && op.call.leaves() == Some(value))
        .collect()
}

/// The replacing write is gone rather than late: it was acknowledged, nobody sees it from then on, and the
/// old value is seen again.
fn lost(ops: &[&Op], culprit: &Op, replacement: &Op) -> bool {
    let sees = |op: &Op, value: Option<&str>| op.call.observes() == Some(value);
    let replaced = replacement.call.leaves().flatten();
    let old = culprit.call.observes().flatten();
    let seen_later = ops.iter().any(|op| sees(op, replaced) && op.effective_by() > Some(culprit.invoke));
    let old_again = ops.iter().any(|op| sees(op, old) && Some(op.invoke) > culprit.complete);
    replacement.acknowledged_change() && !seen_later && old_again
}

struct Timing<'a, 'o> {
    known: &'a [&'o Op],
    culprit: &'a Op,
}

impl<'o> Timing<'_, 'o> {
    /// A change that certainly came after `source` (absent: the initial state) and before the culprit; of
    /// several, an acknowledged one, and the last.
    fn replaced_by(&self, source: Option<&'o Op>) -> Option<&'o Op> {
        let source_done = match source {
            Some(source) => self.done_by(source)?,
            None => 0,
        };
        self.known
            .iter()
            .copied()
            .filter(|op| op.call.leaves().is_some() && op.call.leaves() != self.culprit.call.observes())
            .filter(|op| op.invoke != self.culprit.invoke)
            .filter(|op| source.is_none() || source_done < self.alive_at(op))
            .filter(|op| self.done_by(op).is_some_and(|done| done < self.culprit.invoke))
            .max_by_key(|op| (op.acknowledged_change(), op.complete))
    }

    /// The index by which the change has certainly taken effect: its own end, or that of an operation that
    /// saw its value if nobody else can have written it.
    fn done_by(&self, change: &Op) -> Option<u64> {
        let seen = self.observers(change).filter_map(Op::effective_by).min();
        [change.effective_by(), seen].into_iter().flatten().min()
    }

    /// The latest index at which the change had certainly not been replaced yet or not even happened.
    fn alive_at(&self, change: &Op) -> u64 {
        self.observers(change)
            .filter(|op| op.effective_by().is_some())
            .map(|op| op.invoke)
            .fold(change.invoke, u64::max)
    }

    /// Others than the culprit that saw the value of `change`; nobody if it has more than one possible writer.
    fn observers(&self, change: &Op) -> impl Iterator<Item = &'o Op> {
        let value = change.call.leaves().flatten();
        let writers = self.known.iter().filter(|op| op.call.leaves() == Some(value)).count();
        let unique = value.is_some() && writers == 1;
        let culprit = self.culprit.invoke;
        self.known
            .iter()
            .copied()
            .filter(move |op| unique && op.invoke != culprit && op.call.observes() == Some(value))
    }
}
