//! A picture of a few operations: processes are rows, time goes to the right, who is to blame stands out.
//!
//! The picture has no background of its own and takes its colours from the reader's scheme, light or dark.

use crate::op::Outcome;
use crate::raw::Op;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Pixels: of a row, a step of time, the margin on the left, the shortest bar.
const ROW: usize = 44;
const STEP: usize = 110;
const LEFT: usize = 64;
const BAR: usize = 22;
/// Characters of a label before it is cut.
const LABEL_MAX: usize = 36;

const STYLE: &str = "<style>\
.op{fill:#4f8ef733;stroke:#2f6fd8}.open{stroke-dasharray:5 4}.culprit{fill:#e5484d33;stroke:#e5484d;stroke-width:2.5}\
.line{stroke:#8888}text{font:12px ui-monospace,monospace;fill:#1b1f24}.who{font-weight:bold}\
@media(prefers-color-scheme:dark){text{fill:#e6e6e6}.op{stroke:#7fb0ff}.culprit{stroke:#ff7b80}}\
</style>";

/// An SVG document of `ops`, the one invoked at index `culprit` highlighted.
///
/// Bars reach from invocation to completion, by the order of events rather than to scale; what may take effect at any
/// later time has a dashed bar up to the right end. Texts are escaped; what is cut stands whole in a tooltip.
#[must_use]
pub fn svg(ops: &[Op], culprit: Option<u64>) -> String {
    let ends = |op: &Op| (op.outcome != Outcome::Info).then_some(op.complete).flatten();
    let events: BTreeSet<u64> = ops.iter().flat_map(|op| [Some(op.invoke), ends(op)]).flatten().collect();
    let places: BTreeMap<u64, usize> =
        events.iter().enumerate().map(|(place, index)| (*index, place)).collect();
    let processes: BTreeSet<u64> = ops.iter().map(|op| op.process).collect();
    let rows: BTreeMap<u64, usize> =
        processes.iter().enumerate().map(|(row, process)| (*process, row)).collect();
    let width = LEFT + (events.len() + 1) * STEP;
    let height = (rows.len() + 1) * ROW;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\"><title>{} operations</title>{STYLE}\n",
        ops.len()
    );
    for (process, row) in &rows {
        let y = row * ROW + ROW;
        // writing to a text cannot fail
        let _ = writeln!(
            svg,
            "<line class=\"line\" x1=\"{LEFT}\" y1=\"{y}\" x2=\"{width}\" y2=\"{y}\"/>\
             <text class=\"who\" x=\"8\" y=\"{}\">p{process}</text>",
            y + 4
        );
    }
    for op in ops {
        let from = LEFT + places[&op.invoke] * STEP;
        let to = ends(op).map_or(width - 8, |end| (LEFT + places[&end] * STEP).max(from + BAR));
        let y = rows[&op.process] * ROW + ROW;
        let open = if ends(op).is_none() { " open" } else { "" };
        let blamed = if Some(op.invoke) == culprit { " culprit" } else { "" };
        let key = op.key.as_ref().map(|key| format!(" {key}")).unwrap_or_default();
        let label = format!("{}{key} {}", op.f, op.value());
        let _ = writeln!(
            svg,
            "<g><title>{}</title><rect class=\"op{open}{blamed}\" x=\"{from}\" y=\"{}\" width=\"{}\" height=\"{BAR}\" \
             rx=\"4\"/><text x=\"{}\" y=\"{}\">{}</text></g>",
            escaped(&op.to_string()),
            y - BAR / 2,
            to - from,
            from + 6,
            y + 4,
            escaped(&cut(&label)),
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn cut(label: &str) -> String {
    match label.char_indices().nth(LABEL_MAX) {
        Some((at, _)) => format!("{}…", &label[..at]),
        None => label.to_owned(),
    }
}

/// The text as XML takes it: what it has no word for is a replacement character.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            c if c.is_control() && !matches!(c, '\t' | '\n') => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    fn op(process: u64, value: &str, invoke: u64, complete: Option<u64>) -> Op {
        Op {
            process,
            f: "write".into(),
            key: None,
            asked: Value::text(value),
            answered: None,
            outcome: if complete.is_some() { Outcome::Ok } else { Outcome::Info },
            invoke,
            invoked_ns: None,
            complete,
            completed_ns: None,
            error: None,
            extra: Vec::new(),
            place: None,
        }
    }

    #[test]
    fn who_is_to_blame_stands_out_and_texts_are_escaped() {
        let picture = svg(&[op(1, "<b>&\u{1}", 0, Some(3)), op(2, "x", 1, None)], Some(0));
        assert_eq!(picture.matches("<rect class=\"op culprit\"").count(), 1);
        assert_eq!(picture.matches("<rect class=\"op open\"").count(), 1);
        assert!(picture.contains("&lt;b&gt;&amp;") && !picture.contains("<b>"), "{picture}");
        assert!(!picture.contains('\u{1}') && picture.contains("prefers-color-scheme:dark"));
        assert_eq!(picture.matches("<g>").count(), picture.matches("</g>").count());
        assert_eq!(picture.matches("class=\"who\"").count(), 2);
    }

    #[test]
    fn long_labels_are_cut_and_nothing_is_a_picture() {
        let picture = svg(&[op(1, &"ä".repeat(100), 0, Some(1))], None);
        assert!(picture.contains('…') && picture.contains(&"ä".repeat(100)));
        assert!(svg(&[], None).ends_with("</svg>\n"));
    }
}
