//! Progress of an experiment on standard error: a line for each search that is over and, on a terminal, one that moves.

use crate::cli::output::note;
use fuzzer::compare::cell::Outcome;
use fuzzer::compare::estimate::span;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// Follows an experiment.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    searches: usize,
    jobs: usize,
}

impl Progress {
    /// Begins; `moving` when standard error is a terminal.
    pub fn new(moving: bool, searches: usize, jobs: usize) -> Self {
        let bar = moving.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            bar.set_style(
                ProgressStyle::with_template("{spinner} {wide_msg}").expect("the template is fixed"),
            );
            bar.enable_steady_tick(Duration::from_millis(200));
            bar.set_message("the first searches are under way");
            bar
        });
        Self { bar, searches, jobs }
    }

    /// A search is over; `done` are by now, and the rest takes `seconds_left` of searching.
    pub fn over(&mut self, done: usize, what: &str, outcome: &Outcome, seconds_left: Option<f64>) {
        let Outcome { found, executions, seconds, .. } = outcome;
        let came = found.as_ref().or(outcome.findings.first()).map_or("nothing", String::as_str);
        #[allow(clippy::cast_precision_loss, reason = "few")]
        let left = seconds_left.map(|seconds| format!(" · {} left", span(seconds / self.jobs as f64)));
        let left = left.filter(|_| done < self.searches).unwrap_or_default();
        self.say(&format!(
            "{done} of {}{left} · {what}: {came} in {executions} executions, {}",
            self.searches,
            span(*seconds)
        ));
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{done} of {} searches{left}", self.searches));
        }
    }

    /// A line that stays.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => note(line),
        }
    }

    /// Takes the moving line away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
