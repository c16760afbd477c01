//! Operations as SVG: a row for each process, from left to right in the order of events.
//!
//! Distances mean nothing but order: a bar is as long as its label needs, and longer where other events come between its
//! ends. A bar without an end never ended, or in `info`: it may take effect at any later time, or never. n log n in the
//! number of operations.

use super::escaped;
use crate::op::Outcome;
use crate::raw::Op;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Operations beyond which a picture shows nothing any more.
const SHOWN_MAX: usize = 100;

/// Sizes in pixels; a character of the monospaced font is 7.9 wide at most.
const CHARACTER: f64 = 7.9;
const ROW: f64 = 34.0;
const BAR: f64 = 24.0;
const STEP: f64 = 14.0;
const PADDING: f64 = 12.0;

/// Characters of a label.
const LABEL_MAX: usize = 40;

/// The picture; `None` of no operations, or of too many. The culprit is shown as such.
pub(super) fn svg(ops: &[Op], culprit: Option<u64>) -> Option<String> {
    if ops.is_empty() || ops.len() > SHOWN_MAX {
        return None;
    }
    let rows: BTreeMap<u64, usize> = {
        let mut processes: Vec<u64> = ops.iter().map(|op| op.process).collect();
        processes.sort_unstable();
        processes.dedup();
        processes.into_iter().enumerate().map(|(row, process)| (process, row)).collect()
    };
    let names = rows.keys().map(|process| format!("p{process}").len()).max().unwrap_or(0);
    let left = PADDING + names as f64 * CHARACTER + PADDING;
    let (places, right) = places(ops, left);
    let (width, height) = (right + PADDING, rows.len() as f64 * ROW + 2.0 * PADDING);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-label=\"operations by process\">\n"
    );
    for (process, row) in &rows {
        let middle = PADDING + (*row as f64 + 0.5) * ROW;
        // a text takes everything
        let _ = writeln!(
            svg,
            "<path class=\"row\" d=\"M{left:.1} {middle:.1}H{right:.1}\"/>\
             <text x=\"{PADDING:.1}\" y=\"{:.1}\">p{process}</text>",
            middle + 4.5
        );
    }
    for op in ops {
        let row = rows.get(&op.process).copied().unwrap_or_default();
        draw(&mut svg, op, row as f64, (&places, right), culprit == Some(op.invoke));
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

/// The end of an operation that a picture shows.
fn end(op: &Op) -> Option<u64> {
    op.complete.filter(|_| op.outcome != Outcome::Info)
}

/// Where each event stands, and where it ends to the right.
fn places(ops: &[Op], left: f64) -> (BTreeMap<u64, f64>, f64) {
    let mut events: BTreeMap<u64, Option<&Op>> = BTreeMap::new();
    for op in ops {
        events.insert(op.invoke, None);
        if let Some(end) = end(op) {
            events.insert(end, Some(op));
        }
    }
    let mut places: BTreeMap<u64, f64> = BTreeMap::new();
    let mut at = left;
    for (index, ended) in events {
        if let Some(op) = ended {
            let begin = places.get(&op.invoke).copied().unwrap_or(left);
            at = at.max(begin + length(op));
        }
        places.insert(index, at);
        at += STEP;
    }
    let open = ops.iter().filter(|op| end(op).is_none());
    let needed = open.map(|op| places.get(&op.invoke).copied().unwrap_or(left) + length(op));
    let right = needed.fold(at, f64::max);
    (places, right)
}

fn length(op: &Op) -> f64 {
    label(op).chars().count() as f64 * CHARACTER + PADDING
}

fn label(op: &Op) -> String {
    let key = op.key.as_ref().map(|key| format!(" {key}")).unwrap_or_default();
    let label = format!("{}{key} {}", op.f, op.value());
    match label.char_indices().nth(LABEL_MAX) {
        Some((cut, _)) => format!("{}...", &label[..cut]),
        None => label,
    }
}

fn draw(svg: &mut String, op: &Op, row: f64, (places, right): (&BTreeMap<u64, f64>, f64), is_culprit: bool) {
    let begin = places.get(&op.invoke).copied().unwrap_or_default();
    let finish = end(op).and_then(|end| places.get(&end)).copied().unwrap_or(right);
    let top = PADDING + row * ROW + (ROW - BAR) / 2.0;
    let class = if is_culprit { "culprit" } else { op.outcome.name() };
    // a text takes everything
    let _ = writeln!(
        svg,
        "<g><title>{}</title><rect class=\"op {class}\" x=\"{begin:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{BAR}\" \
         rx=\"4\"/><text x=\"{:.1}\" y=\"{:.1}\" xml:space=\"preserve\">{}</text></g>",
        escaped(&op.to_string()),
        finish - begin,
        begin + PADDING / 2.0,
        top + 16.5,
        escaped(&label(op)),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Format, Options, read};
    use crate::raw::ops;

    fn history(text: &str) -> Vec<Op> {
        ops(read(Format::Edn, text.as_bytes(), Options::default())).unwrap()
    }

    #[test]
    fn bars_are_in_the_order_of_events_and_hold_their_labels() {
        let ops = history(
            "{:process 0 :type :invoke :f :write :value 1}{:process 3 :type :invoke :f :read}\
             {:process 3 :type :ok :f :read :value \"<x>\"}{:process 0 :type :ok :f :write :value 1}\
             {:process 3 :type :invoke :f :write :value 2}",
        );
        let (places, right) = places(&ops, 0.0);
        let at: Vec<f64> = places.values().copied().collect();
        assert!(at.is_sorted() && at.len() == 5, "{at:?}");
        assert!(at[2] - at[1] >= length(&ops[1]) && right - at[4] >= length(&ops[2]), "{at:?}");
        let picture = svg(&ops, Some(4)).unwrap();
        for part in ["p0</text>", "p3</text>", "read &quot;&lt;x&gt;&quot;</text>", "op culprit", "op ok"] {
            assert!(picture.contains(part), "{part} is not in {picture}");
        }
    }

    #[test]
    fn nothing_and_too_much_have_no_picture() {
        assert!(svg(&[], None).is_none());
        let text: String =
            (0..=SHOWN_MAX).map(|process| format!("{{:process {process} :type :invoke :f :read}}")).collect();
        assert!(svg(&history(&text), None).is_none());
    }
}
