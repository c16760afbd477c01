//! Why operations have no order, told to people: the answer that made it so, and the few operations it contradicts.

use std::collections::BTreeSet;
use std::fmt::Display;

/// How many operations of an order or an overlap are worth printing.
const SHOWN_MAX: usize = 4;

/// How many operations that contradict each other are printed.
const CORE_SHOWN_MAX: usize = 20;

/// The operations that have no order even alone, a line each, the last of them where they are many; `left_out` more are
/// before these.
pub(super) fn contradiction<O: Display>(core: &[O], left_out: usize) -> Vec<String> {
    let tail = core.len().saturating_sub(CORE_SHOWN_MAX);
    let heading = match left_out + tail {
        0 if core.len() == 1 => "this one has no order even alone".to_owned(),
        0 => format!("these {} alone contradict each other", core.len()),
        more => format!(
            "{} operations contradict each other, and fewer that do so were not found; the last {} of them are",
            core.len() + left_out,
            core.len() + left_out - more
        ),
    };
    std::iter::once(heading).chain(core[tail..].iter().map(|op| format!("  {op}"))).collect()
}

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
        lines.extend(contradiction(core, *left_out));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_contradiction_is_cut_and_says_so() {
        assert_eq!(contradiction(&["a"], 0), ["this one has no order even alone", "  a"]);
        assert_eq!(contradiction(&["a", "b"], 0), ["these 2 alone contradict each other", "  a", "  b"]);
        let many: Vec<usize> = (0..30).collect();
        let lines = contradiction(&many, 70);
        assert!(
            lines[0].starts_with("100 operations contradict each other, ")
                && lines[0].ends_with("the last 20 of them are")
        );
        assert_eq!((lines.len(), lines[1].as_str(), lines[20].as_str()), (21, "  10", "  29"));
    }
}
