//! Why a key's operations have no order: the answer that made it so, and the few operations it contradicts.

use super::items;
use super::search::Answer;
use crate::history::entries_of;
use crate::op::{Op, Shown};
use crate::verdict::Evidence;
use std::collections::BTreeSet;

/// How many operations of an order or an overlap are worth printing.
const SHOWN_MAX: usize = 4;

/// What is left of a violation after everything that does not matter was taken away.
pub(super) struct Explanation<'a> {
    /// The operation whose completion made the history impossible.
    pub culprit: &'a Op,
    /// Index of that completion; what was not complete by then counts as open.
    pub cut: u64,
    /// An order of what was complete before it.
    pub order: Vec<&'a Op>,
    /// Operations, the culprit among them, that have no order even alone.
    pub core: Vec<&'a Op>,
}

/// Explains why the completion at index `cut` makes `ops` impossible, given an order of what was complete
/// before it, in at most `steps` attempts; a short budget gives a larger core.
pub(super) fn explain<'a>(ops: &[&'a Op], cut: u64, order: Vec<&'a Op>, mut steps: u64) -> Explanation<'a> {
    let culprit =
        ops.iter().find(|op| op.effective_by() == Some(cut)).expect("a completion belongs to an operation");
    let (known, _) = items(ops, cut);
    let pure = |op: &&Op| op.call.leaves().is_none() && op.invoke != culprit.invoke;
    let changes: Vec<&Op> = known.iter().copied().filter(|op| !pure(op)).collect();
    // most often the other answers do not matter at all
    let start = if impossible(&changes, cut, &mut steps) { changes } else { known };
    let core = core(start, culprit, cut, &mut steps);
    let order =
        order.into_iter().filter(|op| op.call.leaves().is_some() || op.complete < Some(cut)).collect();
    Explanation { culprit, cut, order, core }
}

fn impossible(ops: &[&Op], cut: u64, steps: &mut u64) -> bool {
    matches!(super::search_register(&items(ops, cut).1, steps), Answer::Impossible { .. })
}

/// Drops operations in ever smaller blocks for as long as the rest has no order.
fn core<'a>(mut core: Vec<&'a Op>, culprit: &Op, cut: u64, steps: &mut u64) -> Vec<&'a Op> {
    let mut block = core.len().div_ceil(2).max(1);
    loop {
        let mut dropped_any = false;
        let mut start = 0;
        while start < core.len() {
            let end = (start + block).min(core.len());
            let rest = without(&core, start..end, culprit);
            if rest.len() < core.len() && impossible(&rest, cut, steps) {
                dropped_any = true;
                core = rest;
            } else {
                start = end;
            }
        }
        if block == 1 && !dropped_any {
            return core;
        }
        block = (block / 2).max(1);
    }
}

/// `ops` without as many in `range` as may be dropped without making the rest impossible by doing so: answers
/// can always go; a change can go when nobody who stays looks at the value it leaves.
fn without<'a>(ops: &[&'a Op], range: std::ops::Range<usize>, culprit: &Op) -> Vec<&'a Op> {
    let mut stays: Vec<bool> =
        ops.iter().enumerate().map(|(i, op)| !range.contains(&i) || op.invoke == culprit.invoke).collect();
    loop {
        let staying = || ops.iter().zip(&stays).filter(|(_, stays)| **stays).map(|(op, _)| *op);
        let seen: BTreeSet<Option<&str>> = staying().filter_map(|op| op.call.observes()).collect();
        // a refusal looks at every value
        let refusals = staying().any(|op| op.call.leaves().is_none() && op.call.observes().is_none());
        let back = range.clone().find(|i| {
            !stays[*i] && ops[*i].call.leaves().is_some_and(|left| refusals || seen.contains(&left))
        });
        match back {
            Some(i) => stays[i] = true,
            None => return staying().collect(),
        }
    }
}

/// The facts for people and pictures.
pub(super) fn evidence(key: &str, ops: &[&Op], explanation: &Explanation<'_>) -> Evidence {
    let Explanation { culprit, cut, order, core } = explanation;
    let mut lines = vec![
        format!("no order of the {} operations on key {key} explains", ops.len()),
        format!("  {culprit}"),
    ];
    if order.is_empty() {
        lines.push("no operation was complete before it".into());
    } else {
        let left = order.iter().rev().find_map(|op| op.call.leaves()).flatten();
        lines.push(format!(
            "those complete before it have an order, which leaves {} and ends with",
            Shown(left)
        ));
        let tail = order.len().saturating_sub(SHOWN_MAX);
        lines.extend(order[tail..].iter().map(|op| format!("  {op}")));
    }
    lines.push(format!("these {} alone contradict each other", core.len()));
    lines.extend(core.iter().map(|op| format!("  {op}")));
    let in_core: BTreeSet<u64> = core.iter().map(|op| op.invoke).collect();
    let beside: Vec<&&Op> = ops
        .iter()
        .filter(|op| {
            !in_core.contains(&op.invoke)
                && op.invoke < *cut
                && op.effective_by().is_none_or(|complete| complete > culprit.invoke)
        })
        .collect();
    if !beside.is_empty() {
        lines.push(format!("open at the same time, without bearing on it: {}", beside.len()));
        let tail = beside.len().saturating_sub(SHOWN_MAX);
        lines.extend(beside[tail..].iter().map(|op| format!("  {op}")));
    }
    Evidence { entries: core.iter().flat_map(|op| entries_of(op)).collect(), lines, ..Evidence::default() }
}
