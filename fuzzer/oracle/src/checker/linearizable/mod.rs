//! Linearizability of registers, key by key (a history is linearizable if each key's is: Herlihy and Wing,
//! "Linearizability", TOPLAS 1990).
//!
//! Failed operations and unanswered reads are left out; an operation that ended in info is optional.

mod classify;
mod explain;
mod reduce;
pub mod search;
mod seen;

use crate::model::register::{Action, Register, Values};
use crate::op::{Call, Op, Outcome};
use crate::verdict::Judgement;
use search::Answer;
use std::collections::BTreeMap;

/// The oracle's name.
pub const NAME: &str = "linearizability";

/// Judges `ops` (as [`crate::history::ops`] gives them), with at most `steps_max` attempts to place an
/// operation for each key, and as many again to explain a violation.
///
/// A key whose search runs out of budget is unknown, never valid.
#[must_use]
pub fn check(ops: &[Op], steps_max: u64) -> Judgement {
    let mut judgement = Judgement::new(NAME);
    for (key, ops) in by_key(ops) {
        let mut steps = steps_max;
        let (kept, items) = items(&ops, u64::MAX);
        match search_register(&items, &mut steps) {
            Answer::Order(_) => {}
            Answer::OutOfBudget { .. } => judgement.unknown(format!(
                "the {} operations on key {key} could not be ordered in {steps_max} steps; raise the budget or use more keys",
                ops.len()
            )),
            Answer::Impossible { at, order } => {
                let order = order.into_iter().map(|i| kept[i]).collect();
                let explanation = explain::explain(&ops, at, order, steps_max);
                let class = classify::classify(&ops, &explanation);
                let at_ns = explanation.culprit.completed_ns.unwrap_or(explanation.culprit.invoked_ns);
                let evidence = explain::evidence(key, &ops, &explanation);
                judgement.violation(class.kind, at_ns, class.summary, evidence);
            }
        }
    }
    judgement
}

type Item = search::Item<Action>;

/// Looks for an order of the operations on one register.
fn search_register(items: &[Item], steps: &mut u64) -> Answer {
    let (items, used) = reduce::reduce(items);
    search::search(&Register, &items, used, steps)
}

/// The operations that say or may do something, in the order of invocation.
fn by_key(ops: &[Op]) -> BTreeMap<&str, Vec<&Op>> {
    let mut keys: BTreeMap<&str, Vec<&Op>> = BTreeMap::new();
    for op in ops.iter().filter(|op| op.call.is_of_register()) {
        let idle = matches!(op.call, Call::Read { .. }) && op.outcome != Outcome::Ok;
        if op.outcome != Outcome::Fail && !idle {
            keys.entry(op.call.key()).or_default().push(op);
        }
    }
    keys
}

/// What was known of `ops` once entry `cut` was written: which of them had begun, and as what they count.
fn items<'a>(ops: &[&'a Op], cut: u64) -> (Vec<&'a Op>, Vec<Item>) {
    let mut values = Values::default();
    let mut kept = Vec::with_capacity(ops.len());
    let mut items = Vec::with_capacity(ops.len());
    for op in ops.iter().filter(|op| op.invoke <= cut) {
        let ret = op.effective_by().filter(|complete| *complete <= cut);
        let Some(action) = values.action(&op.call) else { continue };
        if ret.is_none() && action.is_pure() {
            continue;
        }
        kept.push(*op);
        items.push(Item { action, call: op.invoke, ret });
    }
    (kept, items)
}

#[cfg(test)]
mod tests;
