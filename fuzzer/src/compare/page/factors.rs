//! Factors against the baseline: a row for each problem, a panel for each arm, on a logarithmic scale; all problems together in
//! the last row.

use super::put;
use crate::compare::analysis::Analysis;
use crate::compare::told::{self, Word};
use oracle::page::escaped;

/// Sizes in pixels.
const NAMES: f64 = 190.0;
const PANEL: f64 = 150.0;
const GAP: f64 = 18.0;
const TOP: f64 = 34.0;
const ROW: f64 = 25.0;
/// Powers of two on either side of 1, at least and at most: even, so that half of them is a label.
const REACH: (f64, f64) = (2.0, 6.0);

/// A factor with its interval, and how it is told.
struct Mark {
    ratio: f64,
    low: f64,
    high: f64,
    word: Word,
    is_pooled: bool,
    told: String,
}

/// The picture; `None` when there is nothing to compare.
pub(super) fn svg(analysis: &Analysis) -> Option<String> {
    let arms: Vec<usize> = (0..analysis.arms.len()).filter(|arm| analysis.pooled[*arm].is_some()).collect();
    if arms.is_empty() {
        return None;
    }
    let rows = analysis.problems.len() + 1;
    let reach = reach(analysis);
    #[allow(clippy::cast_precision_loss, reason = "few")]
    let (columns, rows_down) = (arms.len() as f64, rows as f64);
    let width = NAMES + columns * (PANEL + GAP);
    let bottom = TOP + rows_down * ROW + 6.0;
    let height = bottom + 44.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-label=\"executions to each bug against the baseline\">\n"
    );
    let y = |row: usize| {
        #[allow(clippy::cast_precision_loss, reason = "few")]
        let row = row as f64;
        TOP + (row + 0.5) * ROW + if row + 1.0 >= rows_down { 6.0 } else { 0.0 }
    };
    put(
        &mut svg,
        format_args!(
            "<rect class=\"band\" x=\"0\" y=\"{:.1}\" width=\"{width}\" height=\"{ROW}\" rx=\"4\"/>\n",
            y(rows - 1) - ROW / 2.0
        ),
    );
    let labels =
        analysis.problems.iter().map(|problem| escaped(&problem.name)).chain(["all together".to_owned()]);
    for (row, label) in labels.enumerate() {
        let class = if row + 1 == rows { " class=\"name\"" } else { "" };
        put(&mut svg, format_args!("<text{class} x=\"8\" y=\"{:.1}\">{label}</text>\n", y(row) + 4.0));
    }
    for (column, arm) in arms.into_iter().enumerate() {
        #[allow(clippy::cast_precision_loss, reason = "few")]
        let left = NAMES + column as f64 * (PANEL + GAP);
        let at = |factor: f64| left + PANEL / 2.0 * (1.0 + (factor.log2() / reach).clamp(-1.0, 1.0));
        let is_beyond = |factor: f64| factor.log2().abs() > reach;
        panel(&mut svg, analysis, arm, left, bottom, reach);
        for (row, mark) in marks(analysis, arm).into_iter().enumerate() {
            if let Some(mark) = mark {
                draw(&mut svg, &mark, arm, y(row), &at, is_beyond(mark.ratio));
            }
        }
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

/// How many powers of two a panel shows on either side: all of what is said over all problems.
fn reach(analysis: &Analysis) -> f64 {
    let pooled = analysis.pooled.iter().flatten().flat_map(|it| [it.low, it.high]);
    let far = pooled.map(|factor| factor.log2().abs()).fold(REACH.0, f64::max);
    (2.0 * (far / 2.0).ceil()).min(REACH.1)
}

fn marks(analysis: &Analysis, arm: usize) -> Vec<Option<Mark>> {
    let each = analysis.problems.iter().map(|problem| {
        problem.arms[arm].against.map(|it| Mark {
            ratio: it.ratio,
            low: it.low,
            high: it.high,
            word: Word::of(&it),
            is_pooled: false,
            told: format!(
                "{}: {}, p {}",
                problem.name,
                told::factors(it.ratio, it.low, it.high),
                told::p(it.p_holm)
            ),
        })
    });
    let pooled = analysis.pooled[arm].map(|it| Mark {
        ratio: it.ratio,
        low: it.low,
        high: it.high,
        word: Word::of_all(&it),
        is_pooled: true,
        told: format!("all together: {}, p {}", told::factors(it.ratio, it.low, it.high), told::p(it.p_holm)),
    });
    each.chain([pooled]).collect()
}

fn panel(svg: &mut String, analysis: &Analysis, arm: usize, left: f64, bottom: f64, reach: f64) {
    let middle = left + PANEL / 2.0;
    put(
        svg,
        format_args!(
            "<text class=\"name f{arm}\" x=\"{middle:.1}\" y=\"14\" text-anchor=\"middle\">{}</text>\n",
            escaped(&analysis.arms[arm].name)
        ),
    );
    for side in [-1.0, -0.5, 0.0, 0.5, 1.0] {
        let power = side * reach;
        let x = middle + side * PANEL / 2.0;
        let class = if side == 0.0 { "axis" } else { "grid" };
        put(svg, format_args!("<path class=\"{class}\" d=\"M{x:.1} {:.1}V{bottom:.1}\"/>\n", TOP - 8.0));
        // At their ends panels would write over each other.
        if side.abs() < 1.0 {
            let label = if power < 0.0 {
                format!("1/{:.0}", (-power).exp2())
            } else {
                format!("{:.0}", power.exp2())
            };
            put(
                svg,
                format_args!(
                    "<text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>\n",
                    bottom + 15.0
                ),
            );
        }
    }
    put(
        svg,
        format_args!(
            "<text class=\"tick\" x=\"{:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">sooner</text>\n<text class=\"tick\" x=\"{:.1}\" \
             y=\"{y:.1}\" text-anchor=\"middle\">later</text>\n",
            middle - PANEL / 4.0,
            middle + PANEL / 4.0,
            y = bottom + 32.0
        ),
    );
}

fn draw(svg: &mut String, mark: &Mark, arm: usize, y: f64, at: &dyn Fn(f64) -> f64, is_beyond: bool) {
    let (low, x, high) = (at(mark.low), at(mark.ratio), at(mark.high));
    put(
        svg,
        format_args!(
            "<g><title>{}</title><path class=\"span a{arm}\" d=\"M{low:.1} {y:.1}H{high:.1}\"/>",
            escaped(&mark.told)
        ),
    );
    let class = if mark.word == Word::Even { "hollow".to_owned() } else { format!("f{arm}") };
    let shape = match (is_beyond, mark.ratio > 1.0) {
        // It points to where the factor lies.
        (true, true) => Some(format!("M{x:.1} {:.1}l8 5 -8 5z", y - 5.0)),
        (true, false) => Some(format!("M{x:.1} {:.1}l-8 5 8 5z", y - 5.0)),
        (false, _) => mark.is_pooled.then(|| format!("M{:.1} {y:.1}l7 -7 7 7 -7 7z", x - 7.0)),
    };
    match shape {
        Some(path) => put(svg, format_args!("<path class=\"dot a{arm} {class}\" d=\"{path}\"/>")),
        None => put(
            svg,
            format_args!("<circle class=\"dot a{arm} {class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\"/>"),
        ),
    }
    svg.push_str("</g>\n");
}
