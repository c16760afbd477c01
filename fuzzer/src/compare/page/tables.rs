//! The tables of the page, and how everything on it was measured.

use super::{Made, is_there, put, setting, swatch};
use crate::compare::analysis::{Analysis, ArmResult, Mean, ProblemResult};
use crate::compare::told;
use oracle::page::escaped;
use std::collections::{BTreeMap, BTreeSet};

/// What is there for what is not known.
const NONE: &str = "<td>–</td>";

/// The arms on one problem.
pub(super) fn problem(page: &mut String, analysis: &Analysis, problem: &ProblemResult) {
    page.push_str(
        "<div class=\"scroll\"><table>\n<tr><th>arm</th><th>found</th><th>share that finds it</th><th>median</th><th>executions to \
         bug</th><th>seconds</th><th>× baseline</th><th>A12</th><th>p</th></tr>\n",
    );
    for (number, (arm, result)) in analysis.arms.iter().zip(&problem.arms).enumerate() {
        let class = if number == analysis.baseline { " class=\"base\"" } else { "" };
        put(page, format_args!("<tr{class}><td>{}{}</td>", swatch(number), escaped(&arm.name)));
        row(page, problem, result);
        page.push_str("</tr>\n");
    }
    page.push_str("</table></div>\n");
    let mut signatures: BTreeMap<&str, u64> = BTreeMap::new();
    for (signature, count) in problem.arms.iter().flat_map(|arm| &arm.signatures) {
        *signatures.entry(signature).or_default() += count;
    }
    if !signatures.is_empty() {
        let mut all: Vec<(&str, u64)> = signatures.into_iter().collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let shown: Vec<String> = all
            .iter()
            .map(|(signature, count)| format!("<code>{}</code> {count}×", escaped(signature)))
            .collect();
        put(page, format_args!("<p class=\"faint\"><small>Shown by {}</small></p>\n", shown.join(", ")));
    }
}

fn row(page: &mut String, problem: &ProblemResult, result: &ArmResult) {
    if !is_there(result) {
        page.push_str(&format!("<td>0 of 0</td>{}", NONE.repeat(7)));
        return;
    }
    put(
        page,
        format_args!(
            "<td>{} of {}</td><td>{} to {}</td><td>{}</td>",
            result.found,
            result.searches,
            told::percent(result.rate.0),
            told::percent(result.rate.1),
            escaped(&told::median(result.median, problem.budget.executions)),
        ),
    );
    mean(page, result.executions.as_ref());
    mean(page, result.seconds.as_ref());
    match &result.against {
        None => page.push_str(&NONE.repeat(3)),
        Some(it) => put(
            page,
            format_args!(
                "<td>{} <small>{} to {}</small></td><td>{:.2}</td><td>{}</td>",
                told::factor(it.ratio),
                told::factor(it.low),
                told::factor(it.high),
                it.a12,
                escaped(&told::p(it.p_holm)),
            ),
        ),
    }
}

fn mean(page: &mut String, mean: Option<&Mean>) {
    match mean {
        None => page.push_str(NONE),
        Some(Mean { mean, low, high }) => put(
            page,
            format_args!(
                "<td>{} <small>{} to {}</small></td>",
                told::number(*mean),
                told::number(*low),
                told::number(*high)
            ),
        ),
    }
}

/// By target and arm: states, landed faults, what could not be judged, false alarms.
pub(super) fn besides(page: &mut String, analysis: &Analysis) {
    page.push_str(
        "<div class=\"scroll\"><table>\n<tr><th>target</th><th class=\"left\">arm</th><th>distinct states</th><th>after \
         executions</th><th>A12</th><th>faults that landed</th><th>not judged</th><th>false alarms on the twin</th></tr>\n",
    );
    let targets: BTreeSet<&str> = analysis.problems.iter().map(|problem| problem.target.as_str()).collect();
    for target in targets {
        let problems: Vec<&ProblemResult> =
            analysis.problems.iter().filter(|it| it.target == target).collect();
        for (number, arm) in analysis.arms.iter().enumerate() {
            let class = if number == analysis.baseline { " class=\"base\"" } else { "" };
            let results: Vec<&ArmResult> = problems.iter().map(|problem| &problem.arms[number]).collect();
            put(
                page,
                format_args!(
                    "<tr{class}><td>{}</td><td class=\"left\">{}{}</td>",
                    escaped(target),
                    swatch(number),
                    escaped(&arm.name)
                ),
            );
            other(page, &results);
            page.push_str("</tr>\n");
        }
    }
    page.push_str("</table></div>\n");
}

fn other(page: &mut String, results: &[&ArmResult]) {
    // Problems that share a twin share what it showed.
    match results.iter().filter_map(|arm| arm.states).max_by_key(|states| (states.is_of_twin, states.after)) {
        None => page.push_str(&NONE.repeat(3)),
        Some(states) => put(
            page,
            format_args!(
                "<td>{} <small>{} to {}</small></td><td>{}</td><td>{}</td>",
                told::number(states.median),
                states.least,
                states.most,
                states.after,
                states.a12.map_or_else(|| "–".to_owned(), |a12| format!("{a12:.2}")),
            ),
        ),
    }
    let known = || results.iter().filter(|arm| is_there(arm));
    #[allow(clippy::cast_precision_loss, reason = "few")]
    let count = known().count().max(1) as f64;
    match known().filter_map(|arm| arm.landed).collect::<Vec<_>>().as_slice() {
        [] => page.push_str(NONE),
        #[allow(clippy::cast_precision_loss, reason = "few")]
        all => {
            put(page, format_args!("<td>{}</td>", told::percent(all.iter().sum::<f64>() / all.len() as f64)))
        }
    }
    let unknown = known().map(|arm| arm.unknown).sum::<f64>() / count;
    put(page, format_args!("<td>{:.1}%</td>", 100.0 * unknown));
    let twins: Vec<_> = results.iter().filter_map(|arm| arm.twin.as_ref()).collect();
    match twins.iter().max_by_key(|twin| twin.alarmed) {
        None => page.push_str(NONE),
        Some(twin) => {
            let signatures: Vec<String> = twin.signatures.iter().map(|it| escaped(it)).collect();
            let executions = twin.executions.to_string();
            put(
                page,
                format_args!(
                    "<td>{} of {} <small>{executions} executions</small> {}</td>",
                    twin.alarmed,
                    twin.searches,
                    signatures.join(", ")
                ),
            );
        }
    }
}

/// Settings, and what the figures mean.
pub(super) fn method(page: &mut String, analysis: &Analysis, made: &Made) {
    page.push_str("<h2>How it was measured</h2>\n<dl>\n");
    for arm in &analysis.arms {
        put(page, format_args!("<dt>{}</dt><dd>{}</dd>\n", escaped(&arm.name), escaped(&setting(arm))));
    }
    let budgets: BTreeSet<String> = analysis.problems.iter().map(budget).collect();
    put(
        page,
        format_args!("<dt>each search</dt><dd>{}</dd>\n", escaped(&Vec::from_iter(budgets).join("; "))),
    );
    let binaries: BTreeSet<String> = analysis
        .problems
        .iter()
        .map(|problem| format!("{} {}", problem.target, problem.binary.chars().take(12).collect::<String>()))
        .collect();
    let fuzz: String = analysis.fuzz.chars().take(12).collect();
    let programs = format!("fuzz {} {fuzz}; {}", made.version, Vec::from_iter(binaries).join("; "));
    put(page, format_args!("<dt>programs (SHA-256)</dt><dd>{}</dd>\n", escaped(&programs)));
    put(
        page,
        format_args!(
            "<dt>machine</dt><dd>{}; {} searches at a time</dd>\n",
            escaped(&made.machine),
            made.jobs
        ),
    );
    put(page, format_args!("<dt>raw results</dt><dd><code>{}</code></dd>\n</dl>\n", escaped(&made.raw)));
    page.push_str(NOTES);
}

fn budget(problem: &ProblemResult) -> String {
    let budget = &problem.budget;
    let seconds = budget.seconds.map(|seconds| format!(" or {seconds} s")).unwrap_or_default();
    format!(
        "{} seeds, at most {} executions{seconds}, {} core{}, faults for {} ms",
        budget.seeds.len(),
        budget.executions,
        budget.cores,
        if budget.cores == 1 { "" } else { "s" },
        budget.horizon_ms
    )
}

const NOTES: &str = "<ul>
<li><b>Executions</b> are exact: by the virtual clock the same search with the same seed takes the same number on any machine, \
however busy. <b>Seconds</b> depend on the machine and on what runs beside; they are told, and nothing is concluded from them.</li>
<li>A search that found nothing is <b>censored</b>: the bug would have come later. Curves and medians are Kaplan and Meier's; means \
are restricted to the budget, their intervals by Greenwood's variance; shares have Wilson's interval.</li>
<li><b>× baseline</b> is the ratio of restricted means, its interval from 2,000 bootstrap draws with a fixed seed. Over all bugs it is \
the geometric mean, in which a bug that neither arm found counts as 1.</li>
<li><b>A12</b> (Vargha and Delaney) is how likely a search of the arm finds the bug sooner than one of the baseline: 0.5 is no \
difference, 0.56, 0.64 and 0.71 are called small, medium and large.</li>
<li><b>p</b> is the log-rank test's, corrected by Holm over all bugs and arms of this page; over all bugs together each bug is a \
stratum, and the correction is over the arms. Below 0.05 is called significant.</li>
<li><b>Distinct states</b> are counted from outside, alike for all arms: how all nodes see themselves at the end of a window, \
together. No agent is paid for these. Where there is a twin its searches are counted, else those for the bug after as many \
executions as the shortest had.</li>
<li><b>The twin</b> is the same without the bug, searched to the end of the budget: whatever is found there is a false alarm.</li>
</ul>
";
