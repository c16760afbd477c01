//! The text table: by problem and arm, then over all problems.

use super::analysis::{Analysis, ArmResult, ProblemResult};
use super::told;

/// Columns that are text; all others are numbers.
const TEXTS: usize = 2;

/// The table, with what it says in sentences below it.
#[must_use]
pub fn text(analysis: &Analysis) -> String {
    let mut rows = vec![
        ["problem", "arm", "found", "median", "executions to bug", "times baseline", "A12", "p"]
            .map(str::to_owned),
    ];
    for problem in &analysis.problems {
        for (arm, result) in analysis.arms.iter().zip(&problem.arms) {
            rows.push(row(problem, &arm.name, result));
        }
    }
    let mut text = laid_out(&rows);
    let baseline = &analysis.arms[analysis.baseline].name;
    text += &format!(
        "\nExecutions to bug: mean, cut off at the budget, with its 95% interval. Times baseline ({baseline}), A12 (0.5: no \
         difference, above: sooner than the baseline) and p (log-rank, Holm over all rows) compare with it.\n"
    );
    for (arm, pooled) in analysis.arms.iter().zip(&analysis.pooled) {
        if let Some(pooled) = pooled {
            text += &format!("{}\n", told::sentence(&arm.name, baseline, pooled));
        }
    }
    text += &alarms(analysis);
    text
}

fn row(problem: &ProblemResult, arm: &str, result: &ArmResult) -> [String; 8] {
    let none = || "-".to_owned();
    let against = result.against.as_ref();
    let (median, executions) = match &result.executions {
        None => (none(), none()),
        Some(mean) => (told::median(result.median, problem.budget.executions), told::mean(mean)),
    };
    [
        problem.name.clone(),
        arm.to_owned(),
        format!("{}/{}", result.found, result.searches),
        median,
        executions,
        against.map_or_else(none, |it| told::factors(it.ratio, it.low, it.high)),
        against.map_or_else(none, |it| format!("{:.2}", it.a12)),
        against.map_or_else(none, |it| told::p(it.p_holm)),
    ]
}

/// What was found where there is no bug.
fn alarms(analysis: &Analysis) -> String {
    let twins = || analysis.problems.iter().flat_map(|it| &it.arms).filter_map(|arm| arm.twin.as_ref());
    let searches: u64 = twins().map(|twin| twin.searches).sum();
    if searches == 0 {
        return String::new();
    }
    let mut text = String::new();
    for problem in &analysis.problems {
        for (arm, result) in analysis.arms.iter().zip(&problem.arms) {
            let Some(twin) = result.twin.as_ref().filter(|twin| twin.alarmed > 0) else { continue };
            let signatures: Vec<&str> = twin.signatures.iter().map(String::as_str).collect();
            text += &format!(
                "false alarm: the twin of {} violated {} in {} of {} searches of {}\n",
                problem.name,
                signatures.join(", "),
                twin.alarmed,
                twin.searches,
                arm.name
            );
        }
    }
    if text.is_empty() {
        text = "No twin was found guilty.\n".into();
    }
    text
}

/// Columns as wide as they must be.
fn laid_out(rows: &[[String; 8]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..8).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(
                |(column, (cell, width))| {
                    if column < TEXTS { format!("{cell:width$}") } else { format!("{cell:>width$}") }
                },
            )
            .collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::{plan, tried};
    use super::*;

    #[test]
    fn all_that_was_compared_is_in_the_table() {
        let plan = plan(12);
        let trials = tried(&plan, |task| match (task.problem, task.arm) {
            (0, 0) => Some(10 + task.cell.seed),
            (0, _) => Some(100 + 10 * task.cell.seed).filter(|_| task.cell.seed < 10),
            (_, 1) if task.cell.seed > 6 => Some(200),
            _ => None,
        });
        insta::assert_snapshot!(text(&Analysis::of(&plan, &trials)), @"
        problem     arm      found  median  executions to bug       times baseline   A12       p
        stale-read  learned  12/12      16      16 (15 to 18)                    -     -       -
        stale-read  uniform   9/12     160   238 (151 to 324)       14 (9.4 to 20)  0.00  <0.001
        lost-write  learned   0/12    >500   500 (500 to 500)                    -     -       -
        lost-write  uniform   6/12     200   350 (265 to 435)  0.70 (0.55 to 0.85)  0.75   0.006

        Executions to bug: mean, cut off at the budget, with its 95% interval. Times baseline (learned), A12 (0.5: no difference, above: sooner than the baseline) and p (log-rank, Holm over all rows) compare with it.
        uniform needs 3.2 times the executions of learned over 2 problems (95% interval 2.5 to 4.0; p 0.008): it is slower
        No twin was found guilty.
        ");
    }
}
