//! Progress of a campaign on standard error: one moving line on a terminal, a plain line every few seconds elsewhere.

use crate::campaign::{CampaignEvent, Limits, Source};
use crate::report::stopwatch::Stopwatch;
use crate::tally::{self, Counts};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// Host time between two plain lines.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// Follows a campaign.
#[derive(Debug)]
pub struct Terminal {
    /// `None`: plain lines.
    bar: Option<ProgressBar>,
    limits: Limits,
    watch: Stopwatch,
    said: Option<Duration>,
    latest: Latest,
}

/// What is known by now.
#[derive(Clone, Debug, Default, PartialEq)]
struct Latest {
    executions: u64,
    /// Executions before this session.
    before: u64,
    per_second: f64,
    features: usize,
    corpus: usize,
    findings: usize,
    /// Virtual seconds a second.
    speed: f64,
    steps: u64,
    landed: u64,
    operations: Counts,
    /// Where candidates come from, the likeliest first.
    sources: Vec<(Source, f64)>,
    /// How far the agent is from uniform: total variation.
    distance: Option<f64>,
    /// When something new was seen last.
    new: Option<Duration>,
}

impl Terminal {
    /// Begins; `moving` when standard error is a terminal.
    #[must_use]
    pub fn new(moving: bool, limits: Limits) -> Self {
        let bar = moving.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            bar.set_style(
                ProgressStyle::with_template("{spinner} {wide_msg}").expect("the template is fixed"),
            );
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self { bar, limits, watch: Stopwatch::start(), said: None, latest: Latest::default() }
    }

    /// Tells what is worth a line and moves the progress on.
    pub fn event(&mut self, event: &CampaignEvent) {
        let now = self.watch.elapsed();
        match event {
            CampaignEvent::Started { executions, corpus, findings, .. } => {
                self.latest = Latest {
                    executions: *executions,
                    before: *executions,
                    corpus: *corpus,
                    findings: *findings,
                    ..self.latest.clone()
                };
            }
            CampaignEvent::Saved { divergence, .. } => {
                self.latest.distance = (divergence.visits > 0).then_some(divergence.tv);
            }
            CampaignEvent::NewCoverage { .. } => self.latest.new = Some(now),
            CampaignEvent::Executed {
                executions,
                corpus,
                features,
                findings,
                steps,
                landed,
                operations,
                per_second,
                speed,
                sources,
                ..
            } => {
                let mut sources: Vec<(Source, f64)> =
                    sources.iter().map(|(&it, &share)| (it, share)).collect();
                sources.sort_by(|a, b| b.1.total_cmp(&a.1));
                self.latest = Latest {
                    executions: *executions,
                    corpus: *corpus,
                    features: *features,
                    findings: *findings,
                    steps: *steps,
                    landed: *landed,
                    operations: tally::sum(operations.values()),
                    per_second: *per_second,
                    speed: *speed,
                    sources,
                    ..self.latest.clone()
                };
            }
            _ => {}
        }
        if let Some(line) = notable(event) {
            self.say(&line);
        }
        let line = self.latest.line(now, self.limits);
        if let Some(bar) = &self.bar {
            bar.set_message(line);
        } else if self.said.is_none_or(|said| now.saturating_sub(said) >= PLAIN_EVERY)
            && matches!(event, CampaignEvent::Executed { .. })
        {
            self.said = Some(now);
            self.say(&line);
        }
    }

    /// A line that stays.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => say(line),
        }
    }

    /// What goes on apart from the search, for the moving line.
    pub fn busy(&self, what: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(what.to_owned());
        }
    }

    /// Takes the moving line away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Writes to standard error; that nobody reads it is no error.
fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Events that a person wants to know of, in one line.
fn notable(event: &CampaignEvent) -> Option<String> {
    Some(match event {
        CampaignEvent::Started { resumed: true, executions, corpus, .. } => {
            format!("going on after {executions} executions, {corpus} schedules in the corpus")
        }
        CampaignEvent::Control { equal: Some(false), .. } => {
            "warning: runs without faults differ from each other; see `fuzz verify`".to_owned()
        }
        CampaignEvent::Control { leaks, operations, .. } => {
            let vain = operations.in_vain().map(|why| format!("warning: in the run without faults, {why}"));
            let leaks = (!leaks.is_empty()).then(|| leaked(leaks));
            let lines: Vec<String> = vain.into_iter().chain(leaks).collect();
            return (!lines.is_empty()).then(|| lines.join("\n"));
        }
        CampaignEvent::Finding { signature, summary, executions, .. } => {
            format!("found in execution {executions}: {signature}: {summary}")
        }
        CampaignEvent::Diverged { signature, .. } => {
            let what = signature.as_deref().unwrap_or("the control run");
            format!("warning: {what} did not repeat exactly; see `fuzz verify`")
        }
        CampaignEvent::Unrepeated { signature, summary, runs, .. } => {
            format!("seen, and not again in {runs} repetitions: {signature}: {summary}")
        }
        CampaignEvent::Inherited { out, schedules, damaged, without_agent } => {
            let agent = match without_agent {
                None => "and what its agent learnt".to_owned(),
                Some(why) => format!("and nothing of its agent, for {why}"),
            };
            let damaged = if *damaged > 0 {
                format!("; {damaged} files there are no schedules")
            } else {
                String::new()
            };
            format!("beginning with {schedules} schedules of {} {agent}{damaged}", out.display())
        }
        CampaignEvent::FindingGone { signature, slug } => {
            format!("findings/{slug} is gone: {signature} counts no more, and is found again")
        }
        CampaignEvent::WorkerRestarted { worker, why } => {
            format!("warning: worker {worker} was started again: {why}")
        }
        CampaignEvent::Undecided { executions, why, kept: Some(kept), .. } => {
            format!("undecided in execution {executions}: {why}\n  kept in {}", kept.display())
        }
        CampaignEvent::Skipped { why, .. } => format!("warning: a schedule could not be run: {why}"),
        CampaignEvent::Quarantined { file, why, .. } => {
            format!("warning: {} was set aside: {why}", file.display())
        }
        CampaignEvent::Forgotten { why, schedules, findings } => format!(
            "warning: the campaign begins anew, for {why}: what was covered and counted, what the agent had learnt and which \
             findings are known is lost; {schedules} schedules of the corpus are run again first, {findings} findings stay in \
             findings/"
        ),
        _ => return None,
    })
}

/// What the sandbox does not own and a run used, in a line.
#[must_use]
pub fn leaked(leaks: &[String]) -> String {
    format!("not the sandbox's own: {}", leaks.join(", "))
}

impl Latest {
    fn line(&self, now: Duration, limits: Limits) -> String {
        let mut parts = vec![
            format!("{} executions", self.executions),
            format!("{:.1}/s", self.per_second),
            format!("{:.0}x real time", self.speed),
            format!("{} features", self.features),
            format!("{} in corpus", self.corpus),
            format!("{} faults, {}% landed", self.steps, 100 * self.landed / self.steps.max(1)),
            format!("operations {}", self.operations),
            format!("{} findings", self.findings),
        ];
        if !self.sources.is_empty() {
            let told = |(source, share): &(Source, f64)| format!("{} {:.0}%", source.name(), 100.0 * share);
            parts.push(format!("from {}", self.sources.iter().map(told).collect::<Vec<_>>().join(" ")));
        }
        parts.extend(self.distance.map(|tv| format!("agent {:.0}% from chance", 100.0 * tv)));
        parts.extend(self.new.map(|new| format!("last new {} s ago", now.saturating_sub(new).as_secs())));
        parts.extend(self.left(now, limits).map(|left| format!("{} s left", left.as_secs())));
        parts.join(" · ")
    }

    /// Host time left until a limit is reached.
    fn left(&self, now: Duration, limits: Limits) -> Option<Duration> {
        let by_time = limits.time.map(|limit| limit.saturating_sub(now));
        let by_executions = limits.executions.filter(|_| self.per_second > 0.0).map(|limit| {
            let left = limit.saturating_sub(self.executions.saturating_sub(self.before));
            Duration::from_secs_f64((left as f64 / self.per_second).min(1e9))
        });
        by_time.into_iter().chain(by_executions).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::Tally;
    use oracle::Function;
    use std::collections::BTreeMap;

    #[test]
    fn what_runs_leak_is_told_once_they_repeat() {
        let control = |equal, leaks: &[&str]| CampaignEvent::Control {
            hash: String::new(),
            equal,
            verdict: "valid".into(),
            virtual_ns: 0,
            wall_ns: 0,
            leaks: leaks.iter().map(ToString::to_string).collect(),
            operations: Tally {
                counts: BTreeMap::from([(Function::Read, Counts { ok: 9, failed: 0, unknown: 0 })]),
                ..Tally::default()
            },
        };
        let leaks = ["/proc/self/io", "/usr/lib/libcrypto.so.3 may use RDRAND"];
        insta::assert_snapshot!(notable(&control(Some(true), &leaks)).unwrap(), @"not the sandbox's own: /proc/self/io, /usr/lib/libcrypto.so.3 may use RDRAND");
        assert_eq!(notable(&control(Some(true), &[])), None);
        assert!(notable(&control(Some(false), &leaks)).unwrap().starts_with("warning: "));
    }

    #[test]
    fn the_line_says_how_fast_and_how_far() {
        let latest = Latest {
            executions: 150,
            before: 50,
            per_second: 20.0,
            features: 812,
            corpus: 96,
            findings: 1,
            speed: 240.0,
            steps: 900,
            landed: 783,
            operations: Counts { ok: 30_120, failed: 12, unknown: 345 },
            sources: vec![(Source::Return, 0.412), (Source::Mutate, 0.3)],
            distance: Some(0.213),
            new: Some(Duration::from_secs(4)),
        };
        let limits = Limits { time: Some(Duration::from_secs(60)), executions: Some(300), stop_after: None };
        insta::assert_snapshot!(latest.line(Duration::from_secs(7), limits), @"150 executions · 20.0/s · 240x real time · 812 features · 96 in corpus · 900 faults, 87% landed · operations 30120 ok, 12 failed, 345 unknown · 1 findings · from return 41% mutate 30% · agent 21% from chance · last new 3 s ago · 10 s left");
        insta::assert_snapshot!(Latest::default().line(Duration::ZERO, Limits::default()), @"0 executions · 0.0/s · 0x real time · 0 features · 0 in corpus · 0 faults, 0% landed · operations 0 ok, 0 failed, 0 unknown · 0 findings");
    }
}
