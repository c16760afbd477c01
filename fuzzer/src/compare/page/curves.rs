//! Curves of one problem: the share of searches that have found the bug, over executions on a logarithmic scale. Each curve bears
//! its arm's name at its end.

use super::{is_there, put};
use crate::compare::analysis::{Analysis, ArmResult, ProblemResult};
use crate::compare::told;
use oracle::page::escaped;

/// Sizes in pixels.
const WIDTH: f64 = 1070.0;
const HEIGHT: f64 = 250.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 40.0;
/// Between two names.
const LINE: f64 = 15.0;

/// From executions and shares to pixels.
struct Scale {
    /// The largest number of executions.
    end: f64,
}

impl Scale {
    fn x(&self, executions: f64) -> f64 {
        let share = executions.max(1.0).log10() / self.end.max(2.0).log10();
        LEFT + (WIDTH - LEFT - RIGHT) * share.min(1.0)
    }

    fn y(share: f64) -> f64 {
        TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - share)
    }
}

/// The picture.
pub(super) fn svg(analysis: &Analysis, problem: &ProblemResult) -> String {
    let longest = problem.arms.iter().map(|arm| arm.end).fold(1.0, f64::max);
    #[allow(clippy::cast_precision_loss, reason = "a count of executions")]
    let scale = Scale { end: longest.max(problem.budget.executions as f64) };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"share of searches that have found {} over executions\">\n",
        escaped(&problem.name)
    );
    axes(&mut svg, &scale);
    let drawn: Vec<(usize, &ArmResult)> =
        problem.arms.iter().enumerate().filter(|(_, arm)| is_there(arm)).collect();
    // The baseline last, on top.
    let (base, others): (Vec<(usize, &ArmResult)>, Vec<_>) =
        drawn.iter().partition(|(number, _)| *number == analysis.baseline);
    for (number, arm) in others.into_iter().chain(base) {
        let class = if number == analysis.baseline { " base" } else { "" };
        let name = escaped(&analysis.arms[number].name);
        put(
            &mut svg,
            format_args!(
                "<path class=\"curve a{number}{class}\" d=\"{}\"><title>{name}: {} of {}</title></path>\n",
                path(arm, &scale),
                arm.found,
                arm.searches
            ),
        );
    }
    names(&mut svg, analysis, &drawn, &scale);
    svg.push_str("</svg>\n");
    svg
}

fn axes(svg: &mut String, scale: &Scale) {
    for quarter in 0..=4_u8 {
        let share = f64::from(quarter) / 4.0;
        let y = Scale::y(share);
        let right = WIDTH - RIGHT;
        put(svg, format_args!("<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/>\n"));
        put(
            svg,
            format_args!(
                "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
                LEFT - 7.0,
                y + 4.0,
                told::percent(share)
            ),
        );
    }
    let bottom = Scale::y(0.0);
    let mut ticks: Vec<f64> =
        (0..9).map(|power| 10_f64.powi(power)).take_while(|at| *at < scale.end).collect();
    // A power of ten that is close to the end would stand in the end's own label.
    ticks.retain(|at| scale.x(scale.end) - scale.x(*at) > 45.0);
    ticks.push(scale.end);
    for at in ticks {
        let x = scale.x(at);
        put(svg, format_args!("<path class=\"axis\" d=\"M{x:.1} {bottom:.1}v5\"/>\n"));
        put(
            svg,
            format_args!(
                "<text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n",
                bottom + 18.0,
                told::number(at)
            ),
        );
    }
    let middle = f64::midpoint(LEFT, WIDTH - RIGHT);
    put(
        svg,
        format_args!(
            "<path class=\"axis\" d=\"M{LEFT} {bottom:.1}H{:.1}\"/>\n<text class=\"tick\" x=\"{middle:.1}\" y=\"{:.1}\" \
             text-anchor=\"middle\">executions</text>\n",
            WIDTH - RIGHT,
            bottom + 33.0
        ),
    );
}

/// A stair, up to the end of the longest search.
fn path(arm: &ArmResult, scale: &Scale) -> String {
    let mut path = format!("M{:.1} {:.1}", scale.x(1.0), Scale::y(0.0));
    for (at, share) in &arm.curve {
        put(&mut path, format_args!("H{:.1}V{:.1}", scale.x(*at), Scale::y(*share)));
    }
    put(&mut path, format_args!("H{:.1}", scale.x(arm.end)));
    path
}

/// Names right of the picture, as high as their curves end, but never over each other.
fn names(svg: &mut String, analysis: &Analysis, drawn: &[(usize, &ArmResult)], scale: &Scale) {
    let share = |arm: &ArmResult| arm.curve.last().map_or(0.0, |step| step.1);
    let mut order: Vec<(f64, usize, f64)> =
        drawn.iter().map(|(number, arm)| (Scale::y(share(arm)), *number, scale.x(arm.end))).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.2.total_cmp(&b.2)).then(a.1.cmp(&b.1)));
    let wanted: Vec<f64> = order.iter().map(|it| it.0).collect();
    for ((y, number, end), place) in order.iter().zip(spread(&wanted, TOP, HEIGHT - BOTTOM)) {
        let x = WIDTH - RIGHT + 26.0;
        put(
            svg,
            format_args!(
                "<path class=\"grid\" d=\"M{end:.1} {y:.1}L{:.1} {place:.1}H{:.1}\" opacity=\".8\"/>\n<text class=\"name f{number}\" x=\"{x}\" \
                 y=\"{:.1}\">{}</text>\n",
                x - 12.0,
                x - 4.0,
                place + 4.0,
                escaped(&analysis.arms[*number].name)
            ),
        );
    }
}

/// Ascending heights, moved apart by at least a line, between `top` and `bottom` as far as there is room.
fn spread(wanted: &[f64], top: f64, bottom: f64) -> Vec<f64> {
    let mut places = wanted.to_vec();
    let mut least = top;
    for place in &mut places {
        *place = place.max(least);
        least = *place + LINE;
    }
    let mut most = bottom;
    for place in places.iter_mut().rev() {
        *place = place.min(most);
        most = *place - LINE;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::{LINE, spread};

    #[test]
    fn names_do_not_cover_each_other() {
        assert_eq!(spread(&[20.0, 100.0], 10.0, 200.0), [20.0, 100.0]);
        assert_eq!(spread(&[20.0, 20.0, 22.0], 10.0, 200.0), [20.0, 20.0 + LINE, 20.0 + 2.0 * LINE]);
        assert_eq!(spread(&[200.0, 200.0], 10.0, 200.0), [200.0 - LINE, 200.0]);
    }
}
