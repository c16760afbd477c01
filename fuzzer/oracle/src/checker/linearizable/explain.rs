//! Why operations have no order, told to people: the answer that made it so, and the few operations it contradicts.

use std::collections::BTreeSet;
use std::fmt::Display;

/// How many operations of an order or an overlap are worth printing.
const SHOWN_MAX: usize = 4;

/// An operation as far as stories need it; its `Display` is a line of them.
pub(super) trait Told: Display {
    /// Index of its invocation.
    fn invoke(&self) -> u64;
    /// Index after which it cannot take effect any more.
    fn effective_by(&self) -> Option<u64>;
}

/// What is left of a violation after everything that does not matter was taken away.
pub(super) struct Story<'a, O> {
    /// All operations, in the order of invocation.
    pub ops: &'a [&'a O],
    /// ` on key KEY`, or nothing.
    pub of_key: String,
    /// The operation whose completion made the history impossible.
    pub culprit: &'a O,
    /// Index of that completion; what was not complete by then counts as open.
    pub cut: u64,
    /// An order of what was complete before it, if one was looked for, and what it leaves, in words.
    pub order: Option<(Vec<&'a O>, String)>,
    /// Operations, the culprit among them, that have no order even alone.
    pub core: Vec<&'a O>,
    /// How many more there are before these.
    pub left_out: usize,
}

impl<O: Told> Story<'_, O> {
    /// The facts, one a line.
    pub fn lines(&self) -> Vec<String> {
        let Self { ops, of_key, culprit, cut, order, core, left_out } = self;
        let mut lines = vec![
            format!("no order of the {} operations{of_key} explains", ops.len()),
            format!("  {culprit}"),
        ];
        match order {
            None => {
                let before =
                    ops.iter().filter(|op| op.effective_by() < Some(*cut) && op.effective_by().is_some());
                lines.push(format!("the {} that were complete before it have an order", before.count()));
            }
            Some((order, _)) if order.is_empty() => lines.push("no operation was complete before it".into()),
            Some((order, left)) => {
                let leaves = if left.is_empty() { String::new() } else { format!("leaves {left} and ") };
                lines.push(format!("those complete before it have an order, which {leaves}ends with"));
                let tail = order.len().saturating_sub(SHOWN_MAX);
                lines.extend(order[tail..].iter().map(|op| format!("  {op}")));
            }
        }
        lines.push(match left_out {
            0 => format!("these {} alone contradict each other", core.len()),
            more => format!("these {}, and {more} before them, alone contradict each other", core.len()),
        });
        lines.extend(core.iter().map(|op| format!("  {op}")));
        let in_core: BTreeSet<u64> = core.iter().map(|op| op.invoke()).collect();
        let is_beside = |op: &&&O| {
            !in_core.contains(&op.invoke())
                && op.invoke() < *cut
                && op.effective_by().is_none_or(|complete| complete > culprit.invoke())
        };
        let beside: Vec<&&O> = ops.iter().filter(is_beside).collect();
        if !beside.is_empty() {
            lines.push(format!("open at the same time, without bearing on it: {}", beside.len()));
            let tail = beside.len().saturating_sub(SHOWN_MAX);
            lines.extend(beside[tail..].iter().map(|op| format!("  {op}")));
        }
        lines
    }
}
