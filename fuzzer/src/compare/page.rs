//! The page of an experiment: HTML that needs nothing else, pictures included. Light or dark as the reader has it, fit for
//! paper; no scripts.

mod curves;
mod factors;
mod style;
mod tables;

use super::analysis::{Analysis, ArmResult, Pooled, ProblemResult};
use super::estimate;
use super::told::{self, Word};
use oracle::page::escaped;
use std::fmt::{self, Write};

/// What is told of where it was made.
#[derive(Clone, Debug, Default)]
pub struct Made {
    /// The program's version.
    pub version: String,
    /// Processor, cores, kernel.
    pub machine: String,
    /// Searches at a time.
    pub jobs: usize,
    /// The file of raw results.
    pub raw: String,
}

/// Adds to a text, which takes everything.
fn put(text: &mut String, what: fmt::Arguments<'_>) {
    text.write_fmt(what).expect("a text grows");
}

/// The page.
#[must_use]
pub fn html(analysis: &Analysis, made: &Made) -> String {
    let name = escaped(&analysis.experiment);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{name}: searches compared</title>\n<style>\n{}</style>\n</head>\n<body>\n",
        style::STYLE
    );
    head(&mut page, analysis, made);
    verdicts(&mut page, analysis);
    if let Some(picture) = factors::svg(analysis) {
        put(
            &mut page,
            format_args!(
                "<h2>Against {}, bug by bug</h2>\n<p>Executions that an arm needs for one of {}: a dot left of the line is \
                 sooner, right of it later, with its 95% interval. Filled: the difference is significant (log-rank, \
                 Holm-corrected). A triangle lies beyond the picture, the \
                 diamond is all bugs together.</p>\n<figure class=\"wide\">\n{picture}</figure>\n",
                escaped(&analysis.arms[analysis.baseline].name),
                escaped(&analysis.arms[analysis.baseline].name),
            ),
        );
    }
    page.push_str("<h2>How soon each bug is found</h2>\n");
    legend(&mut page, analysis);
    for problem in &analysis.problems {
        section(&mut page, analysis, problem);
    }
    page.push_str("<h2>Coverage, faults, false alarms</h2>\n");
    tables::besides(&mut page, analysis);
    tables::method(&mut page, analysis, made);
    page.push_str("</body>\n</html>\n");
    page
}

fn head(page: &mut String, analysis: &Analysis, made: &Made) {
    let Analysis { about, done, planned, seconds, .. } = analysis;
    put(page, format_args!("<header>\n<h1>{}</h1>\n", escaped(&analysis.experiment)));
    if !about.is_empty() {
        put(page, format_args!("<p class=\"about\">{}</p>\n", escaped(about)));
    }
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let (problems, arms) = (analysis.problems.len(), analysis.arms.len());
    put(
        page,
        format_args!(
            "<p class=\"faint\">{problems} problem{}, {arms} arm{}, {} searches in {} of searching · fuzz {}</p>\n",
            plural(problems),
            plural(arms),
            told::number(whole(*done)),
            estimate::span(*seconds),
            escaped(&made.version),
        ),
    );
    if done < planned {
        put(
            page,
            format_args!(
                "<p class=\"notice\">Not finished: {done} of {planned} searches. What is said here may change.</p>\n"
            ),
        );
    }
    page.push_str("</header>\n");
}

/// A card for each arm: what all problems say together.
fn verdicts(page: &mut String, analysis: &Analysis) {
    page.push_str("<div class=\"cards\">\n");
    for (number, (arm, pooled)) in analysis.arms.iter().zip(&analysis.pooled).enumerate() {
        let results = || analysis.problems.iter().map(|problem| &problem.arms[number]);
        let (found, searches): (u64, u64) =
            results().fold((0, 0), |sum, arm| (sum.0 + arm.found, sum.1 + arm.searches));
        put(page, format_args!("<div class=\"card\"><h3>{}{}</h3>\n", swatch(number), escaped(&arm.name)));
        put(page, format_args!("<p class=\"setting\">{}</p>\n", escaped(&setting(arm))));
        match pooled {
            _ if number == analysis.baseline => {
                page.push_str("<p class=\"big\">1<small>×</small></p><p>the baseline</p>\n")
            }
            None => page.push_str("<p class=\"big faint\">–</p><p>not compared yet</p>\n"),
            Some(pooled) => card(page, pooled),
        }
        put(page, format_args!("<p class=\"faint\">found in {found} of {searches} searches</p>\n</div>\n"));
    }
    page.push_str("</div>\n");
}

fn card(page: &mut String, pooled: &Pooled) {
    let (class, word) = match Word::of_all(pooled) {
        Word::Faster => ("faster", "sooner than the baseline"),
        Word::Slower => ("slower", "later than the baseline"),
        Word::Even => ("even", "not told apart"),
    };
    put(
        page,
        format_args!(
            "<p class=\"big {class}\">{}<small>×</small></p><p>{word}<br><span class=\"faint\">{} to {}<br>p {}</span></p>\n",
            told::factor(pooled.ratio),
            told::factor(pooled.low),
            told::factor(pooled.high),
            told::p(pooled.p_holm),
        ),
    );
}

fn section(page: &mut String, analysis: &Analysis, problem: &ProblemResult) {
    put(page, format_args!("<section>\n<h3>{}</h3>\n", escaped(&problem.name)));
    if !problem.story.is_empty() {
        put(page, format_args!("<p class=\"story\">{}</p>\n", escaped(&problem.story)));
    }
    put(page, format_args!("<figure>\n{}</figure>\n", curves::svg(analysis, problem)));
    tables::problem(page, analysis, problem);
    page.push_str("</section>\n");
}

fn legend(page: &mut String, analysis: &Analysis) {
    put(
        page,
        format_args!(
            "<p>The share of searches that have found the bug, over executions (Kaplan and Meier; the scale is \
             logarithmic).</p>\n<p class=\"legend\">"
        ),
    );
    for (number, arm) in analysis.arms.iter().enumerate() {
        put(page, format_args!("<span>{}{}</span> ", swatch(number), escaped(&arm.name)));
    }
    page.push_str("</p>\n");
}

/// A short line as the arm's curves are drawn.
fn swatch(arm: usize) -> String {
    format!(
        "<svg class=\"swatch\" width=\"22\" height=\"10\" viewBox=\"0 0 22 10\" aria-hidden=\"true\"><path class=\"curve a{arm}\" \
         d=\"M1 5H21\"/></svg>"
    )
}

/// `agent ucb1, search learned`.
fn setting(arm: &super::experiment::Arm) -> String {
    match (arm.faults, arm.search) {
        (false, _) => "no faults".to_owned(),
        (true, crate::campaign::Search::Random) => "random steps".to_owned(),
        (true, search) => format!("agent {}, search {}", arm.agent, search.name()),
    }
}

#[allow(clippy::cast_precision_loss, reason = "few")]
fn whole(count: usize) -> f64 {
    count as f64
}

/// Whether an arm has searched a problem at all.
fn is_there(arm: &ArmResult) -> bool {
    arm.searches > 0
}

#[cfg(test)]
mod tests;
