//! Linearizability: all operations took effect one after the other, each at an instant between its invocation and its
//! completion (Herlihy and Wing, "Linearizability", TOPLAS 1990).
//!
//! A history is linearizable if each key's is (ibid., locality), so keys are judged one by one. Failed operations and
//! unanswered questions are left out; an operation that ended in info is optional, always.
//!
//! [`check`] judges registers in a campaign's histories. Kinds of violations:
//!
//! | kind | what was seen |
//! |---|---|
//! | `phantom-read`, `phantom-swap` | a value that no operation can have written |
//! | `stale-read` | a value that had certainly been replaced before the read began |
//! | `lost-write` | so, and the replacing write was acknowledged and never seen, while the old value came again |
//! | `lost-update` | a swap found a value that had certainly been replaced |
//! | `inconsistent-read`, `inconsistent-swap` | a value that no order of the other operations allows |
//! | `swap-refused` | a swap was refused, though the register held what it asked for all the time |

mod classify;
mod core;
mod decide;
mod explain;
mod fast;
mod others;
pub mod raw;
mod reduce;
mod register;
pub mod search;
pub mod sequential;
pub mod session;
pub mod staleness;
mod zones;

use crate::history::entries_of;
use crate::model::register::{Register, Values};
use crate::op::{Call, Op, Outcome, Shown};
use crate::verdict::{Evidence, Judgement};
use classify::{Fact, Why, classify};
use decide::Finding;
use explain::{Story, Told};
use std::collections::BTreeMap;

/// The oracle's name.
pub const NAME: &str = "linearizability";

type Item = search::Item<crate::model::register::Action>;

impl Told for Op {
    fn invoke(&self) -> u64 {
        self.invoke
    }

    fn effective_by(&self) -> Option<u64> {
        Self::effective_by(self)
    }
}

/// Judges `ops` (as [`crate::history::ops`] gives them), with at most `steps_max` attempts to place an
/// operation for each key, and as many again to explain a violation.
///
/// A key whose search runs out of budget is unknown, never valid.
#[must_use]
pub fn check(ops: &[Op], steps_max: u64) -> Judgement {
    let mut judgement = Judgement::new(NAME);
    for (key, ops) in by_key(ops) {
        let items = items(&ops);
        match decide::find(&Register, &items, steps_max) {
            Finding::Valid => {}
            Finding::OutOfBudget { .. } => judgement.unknown(format!(
                "the {} operations on key {key} could not be ordered in {steps_max} steps; raise the budget or use more keys",
                ops.len()
            )),
            Finding::Impossible(found) => {
                let culprit = ops[found.culprit];
                let facts: Vec<Fact> = ops.iter().zip(&items).map(|(op, item)| fact(op, item)).collect();
                let (kind, why) = classify(&facts, found.culprit, found.at);
                let summary = summary(&ops, culprit, why);
                let order = found.order.map(|order| {
                    let settled = |op: &&Op| op.call.leaves().is_some() || op.complete < Some(found.at);
                    let order: Vec<&Op> = order.into_iter().map(|i| ops[i]).filter(settled).collect();
                    let left = order.iter().rev().find_map(|op| op.call.leaves()).flatten();
                    (order, Shown(left).to_string())
                });
                let core: Vec<&Op> = found.core.iter().map(|i| ops[*i]).collect();
                let entries = core.iter().flat_map(|op| entries_of(op)).collect();
                let of_key = format!(" on key {key}");
                let story = Story { ops: &ops, of_key, culprit, cut: found.at, order, core, left_out: 0 };
                let evidence = Evidence { entries, lines: story.lines(), ..Evidence::default() };
                let at_ns = culprit.completed_ns.unwrap_or(culprit.invoked_ns);
                judgement.violation(kind, at_ns, summary, evidence);
            }
        }
    }
    judgement
}

fn summary(ops: &[&Op], culprit: &Op, why: Why) -> String {
    let told = format!("{} {}", culprit.who(), culprit.call);
    match why {
        Why::Held => format!("{told}, though the register held what it asked for all the time"),
        Why::Unwritten => format!("{told}, a value that no operation can have written"),
        Why::Told(why) => format!("{told}, which {why}"),
        Why::Unordered => format!("{told}, which no order of the other operations allows"),
        Why::Replaced(by) => {
            let now = Shown(ops[by].call.leaves().flatten());
            format!("{told}, which {} had replaced by {now} before that began", ops[by].who())
        }
    }
}

/// The operations that say or may do something, in the order of invocation.
fn by_key(ops: &[Op]) -> BTreeMap<&str, Vec<&Op>> {
    let mut keys: BTreeMap<&str, Vec<&Op>> = BTreeMap::new();
    for op in ops.iter().filter(|op| op.call.is_of_register()) {
        let idle = matches!(op.call, Call::Read { .. }) && op.outcome != Outcome::Ok;
        let unanswered = matches!(op.call, Call::Read { value: None, .. });
        if op.outcome != Outcome::Fail && !idle && !unanswered {
            keys.entry(op.call.key()).or_default().push(op);
        }
    }
    keys
}

/// What the operations of one key count as.
fn items(ops: &[&Op]) -> Vec<Item> {
    let mut values = Values::default();
    let mut items = Vec::with_capacity(ops.len());
    for op in ops {
        let action = values.action(&op.call).expect("unanswered reads and other types were left out");
        items.push(Item { action, call: op.invoke, ret: op.effective_by() });
    }
    items
}

fn fact(op: &Op, item: &Item) -> Fact {
    let Op { invoke, complete, .. } = *op;
    Fact { action: item.action, invoke, complete, effective_by: item.ret }
}

#[cfg(test)]
mod tests;
