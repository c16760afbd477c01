//! The loop: draw a batch, run it, admit it in order.

use super::config::Search;
use super::engine::Judged;
use super::error::CampaignError;
use super::event::{CampaignEvent, Source, StopReason, Summary};
use super::{Campaign, Stopwatch};
use crate::execution::{Choice, Execution, Sighting};
use crate::executor::{Executor, ExecutorError, Learned, RunOptions};
use crate::report::last_words;
use crate::schedule::Schedule;
use agents::{Divergence, Pull, Transition, Visited};
use interceptor::event::{Event, EventKind};
use interceptor::rng::split;
use interceptor::sandbox::Clock;
use interceptor::timeline::key;
use oracle::Verdict;
use rand::Rng as _;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

/// One candidate in so many is run with detail, for the event keys it shows.
const DETAIL_EVERY: u64 = 64;
/// So many schedules in a row that cannot be run end a campaign.
const FAILURES_MAX: u32 = 8;

/// Who is told.
pub(super) type Sink<'a> = &'a mut dyn FnMut(&CampaignEvent);

/// What a session has done so far.
struct Session {
    watch: Stopwatch,
    executions: u64,
    /// Virtual time of all of them.
    virtual_ns: u64,
    findings: u32,
    saved: Stopwatch,
    /// Something happened that must not be lost.
    save_soon: bool,
}

/// A candidate on its way.
struct Candidate {
    schedule: Schedule,
    source: Source,
    pull: Pull,
    options: RunOptions,
    /// Its run is told whole.
    is_shown: bool,
}

impl Campaign {
    /// Runs until a limit is reached or `stop` is set, which is looked at between batches. The state is saved
    /// on the way and at the end, also when an error ends it.
    ///
    /// # Errors
    /// When the control run is bad, nothing can be run, or nothing can be written.
    pub fn run(&mut self, stop: &AtomicBool, sink: Sink<'_>) -> Result<Summary, CampaignError> {
        self.watch = Stopwatch::start();
        let mut session = Session {
            watch: self.watch,
            executions: 0,
            virtual_ns: 0,
            findings: 0,
            saved: self.watch,
            save_soon: true,
        };
        sink(&self.started());
        self.news.drain(..).for_each(|event| sink(&event));
        let reason = match self.control(sink) {
            Ok(()) => loop {
                if let Some(reason) = self.over(&session, stop) {
                    break reason;
                }
                match self.batch(&mut session, sink) {
                    Ok(()) => {}
                    // Half a batch is none: the campaign goes on from where it was saved.
                    Err(CampaignError::Executor(ExecutorError::Interrupted)) => {
                        return Ok(self.end(&mut session, StopReason::Interrupted, sink));
                    }
                    Err(error) => {
                        // The error matters more than whether this works too.
                        let _ = self.save();
                        return Err(error);
                    }
                }
                if session.save_soon || session.saved.elapsed() >= self.config.save_every {
                    sink(&self.save()?);
                    session.saved = Stopwatch::start();
                    session.save_soon = false;
                }
            },
            Err(CampaignError::Executor(ExecutorError::Interrupted)) => StopReason::Interrupted,
            Err(error) => return Err(error),
        };
        sink(&self.save()?);
        Ok(self.end(&mut session, reason, sink))
    }

    fn end(&mut self, session: &mut Session, reason: StopReason, sink: Sink<'_>) -> Summary {
        let summary = self.summary(session);
        sink(&CampaignEvent::Stopped { reason, summary: summary.clone() });
        self.memory.counters.elapsed_ms += self.watch.elapsed_ms();
        self.watch = Stopwatch::start();
        summary
    }

    /// How far the master agent is from uniform, over the states it has been in.
    #[must_use]
    pub fn divergence(&self) -> Divergence {
        agents::divergence(&self.memory.agent.agent, self.memory.visited.sample())
    }

    fn over(&self, session: &Session, stop: &AtomicBool) -> Option<StopReason> {
        let limits = self.config.limits;
        if stop.load(Ordering::Relaxed) {
            Some(StopReason::Interrupted)
        } else if limits.stop_after.is_some_and(|max| session.findings >= max) {
            Some(StopReason::Findings)
        } else if limits.executions.is_some_and(|max| session.executions >= max) {
            Some(StopReason::Executions)
        } else if limits.time.is_some_and(|max| session.watch.elapsed() >= max) {
            Some(StopReason::Time)
        } else {
            None
        }
    }

    /// The run without faults, on every executor, and at least twice where runs repeat: what is wrong in it is not a finding.
    fn control(&mut self, sink: Sink<'_>) -> Result<(), CampaignError> {
        let schedule = self.engine.ground().control(split(self.config.seed, "control").next_u64());
        let job = (schedule.clone(), RunOptions { detail: true, calls: false });
        let (mut runs, repeats) = (Vec::new(), self.config.clock == Clock::Virtual);
        while runs.len() < 1 + usize::from(repeats) {
            let jobs = vec![job.clone(); self.executors.len()];
            for result in run_all(&mut self.executors, &jobs) {
                runs.push(result?);
            }
        }
        self.tell_restarts(sink);
        let first = runs.swap_remove(0);
        if let Some(violation) = first.verdict.violation() {
            return Err(CampaignError::Control {
                signature: violation.signature.clone(),
                summary: violation.summary.clone(),
                told: last_words::of(&first),
            });
        }
        // A run that was ended early by a measure of the host says nothing of the others.
        let is_whole = |run: &Execution| run.is_in_vain() || !matches!(run.verdict, Verdict::Unknown { .. });
        let other =
            runs.iter().find(|run| repeats && run.hash != first.hash && is_whole(run) && is_whole(&first));
        if let Some(other) = other {
            self.memory.counters.diverged += 1;
            sink(&CampaignEvent::Diverged {
                signature: None,
                schedule: Box::new(schedule),
                first: first.hash.clone(),
                second: other.hash.clone(),
                second_signature: other.verdict.signature().map(str::to_owned),
            });
        }
        sink(&CampaignEvent::Control {
            hash: first.hash.clone(),
            equal: repeats.then_some(other.is_none()),
            verdict: match &first.verdict {
                Verdict::Unknown { why } => format!("unknown: {why}"),
                _ => "valid".into(),
            },
            virtual_ns: first.statistics.virtual_ns,
            wall_ns: first.statistics.wall_ns,
            leaks: first.statistics.leaks.clone(),
            operations: first.statistics.tally.clone(),
        });
        self.engine.remember(event_keys(&first));
        if self.config.show > 0 {
            sink(&CampaignEvent::Ran { execution: None, run: Box::new(first) });
        }
        Ok(())
    }

    fn batch(&mut self, session: &mut Session, sink: Sink<'_>) -> Result<(), CampaignError> {
        let left = self.config.limits.executions.map_or(u64::MAX, |max| max - session.executions);
        let count = self.executors.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let mut candidates = Vec::new();
        for number in (session.executions..).take(count) {
            candidates.push(self.draw(number < self.config.show)?);
        }
        let jobs: Vec<_> = candidates.iter().map(|c| (c.schedule.clone(), c.options)).collect();
        let results = run_all(&mut self.executors, &jobs);
        self.tell_restarts(sink);
        if results.iter().any(|result| matches!(result, Err(ExecutorError::Interrupted))) {
            return Err(ExecutorError::Interrupted.into());
        }
        let mut episodes = Vec::new();
        for (candidate, result) in candidates.into_iter().zip(results) {
            session.executions += 1;
            let checked = result.and_then(|execution| match execution.schedule.check() {
                Ok(()) => Ok(execution),
                Err(e) => {
                    Err(ExecutorError::Run { why: format!("the executed schedule cannot be run again: {e}") })
                }
            });
            match checked {
                Ok(execution) => episodes.extend(self.admit(candidate, execution, session, sink)?),
                Err(error) => self.skip(candidate.schedule, error, sink)?,
            }
        }
        if !episodes.is_empty() {
            for executor in &mut self.executors {
                executor.learn(&episodes)?;
            }
            self.tell_restarts(sink);
        }
        sink(&self.executed(session));
        Ok(())
    }

    /// The next candidate; `is_shown`: its run is told whole.
    fn draw(&mut self, is_shown: bool) -> Result<Candidate, CampaignError> {
        let number = self.memory.counters.drawn;
        self.memory.counters.drawn += 1;
        // Where runs do not repeat, what a finding is made of must be kept at the first time.
        let detail =
            self.config.clock == Clock::Real || is_shown || number % DETAIL_EVERY == DETAIL_EVERY - 1;
        let options = RunOptions { detail, calls: false };
        let (schedule, source, pull) = match self.memory.pending.pop_front() {
            Some(schedule) => (schedule, Source::Given, Pull::default()),
            None => self.engine.draw(number, &self.memory.coverage, &self.memory.allocation)?,
        };
        Ok(Candidate { schedule, source, pull, options, is_shown })
    }

    /// Counts an execution, confirms what is new, and keeps what should be kept; what agents can learn of it.
    fn admit(
        &mut self,
        candidate: Candidate,
        execution: Execution,
        session: &mut Session,
        sink: Sink<'_>,
    ) -> Result<Option<Learned>, CampaignError> {
        self.failures = 0;
        session.virtual_ns += execution.statistics.virtual_ns;
        let counters = &mut self.memory.counters;
        counters.executions += 1;
        counters.unknown += u64::from(matches!(execution.verdict, Verdict::Unknown { .. }));
        counters.steps += execution.landings.len() as u64;
        counters.landed += execution.landings.iter().filter(|landing| landing.touched > 0).count() as u64;
        let executions = counters.executions;
        self.memory.tally.add(&execution.statistics.tally);
        self.engine.remember(event_keys(&execution));
        // That clients were never served is told once, of all runs.
        if let Verdict::Unknown { why } = &execution.verdict
            && !execution.is_in_vain()
        {
            self.tell_undecided(&execution.schedule, why, sink)?;
        }
        let is_finding = match execution.verdict.violation() {
            Some(violation) => self.judge(&execution, violation, sink)?,
            None => false,
        };
        session.findings += u32::from(is_finding);
        session.save_soon |= is_finding;
        self.memory.words.extend(execution.words.iter().cloned());
        let mut news = self.memory.coverage.admit(&execution.features);
        news.joins = match self.config.search {
            Search::Fixed => !news.features.is_empty(),
            Search::Learned | Search::Explore | Search::Random => news.joins,
        };
        self.memory.allocation.reward(candidate.pull, news.surprise, execution.statistics.calls);
        let learned = (!execution.episode.is_empty()).then(|| Learned {
            turn: execution.turn,
            transitions: transitions(&execution.episode, &news.features, &mut self.memory.visited),
        });
        if let Some(learned) = &learned {
            learned.teach(&mut self.memory.agent.agent);
        }
        let joined = self.engine.admit(Judged {
            input: candidate.schedule,
            executed: execution.schedule.clone(),
            news: &news,
            is_violating: execution.verdict.violation().is_some(),
            is_finding,
        })?;
        if candidate.is_shown {
            sink(&CampaignEvent::Ran { execution: Some(executions), run: Box::new(execution.clone()) });
        }
        if joined {
            let entry = self.store.write_entry(&execution.schedule)?;
            sink(&CampaignEvent::NewCoverage {
                executions,
                entry,
                new: news.features.len(),
                features: self.memory.coverage.len(),
                source: candidate.source,
            });
        }
        Ok(learned)
    }

    /// A run could not be judged: it is told, and its schedule kept.
    pub(super) fn tell_undecided(
        &mut self,
        schedule: &Schedule,
        why: &str,
        sink: Sink<'_>,
    ) -> Result<(), CampaignError> {
        let kept = self.store.write_undecided(schedule)?;
        let (executions, why) = (self.memory.counters.executions, why.to_owned());
        sink(&CampaignEvent::Undecided { executions, why, schedule: Box::new(schedule.clone()), kept });
        Ok(())
    }

    /// A schedule that could not be run; too many in a row, or a reason that will not pass, end the campaign.
    pub(super) fn skip(
        &mut self,
        schedule: Schedule,
        error: ExecutorError,
        sink: Sink<'_>,
    ) -> Result<(), CampaignError> {
        self.failures += 1;
        let is_lasting = matches!(
            error,
            ExecutorError::SetUp { .. } | ExecutorError::Worker { .. } | ExecutorError::Interrupted
        );
        if is_lasting || self.failures >= FAILURES_MAX {
            return Err(error.into());
        }
        self.memory.counters.skipped += 1;
        sink(&CampaignEvent::Skipped { schedule: Box::new(schedule), why: error.to_string() });
        Ok(())
    }

    pub(super) fn tell_restarts(&mut self, sink: Sink<'_>) {
        for restart in self.executors.iter_mut().flat_map(|executor| executor.restarts()) {
            sink(&CampaignEvent::WorkerRestarted { worker: restart.worker, why: restart.why });
        }
    }

    pub(super) fn elapsed_ms(&self) -> u64 {
        self.memory.counters.elapsed_ms + self.watch.elapsed_ms()
    }

    fn started(&self) -> CampaignEvent {
        CampaignEvent::Started {
            target: self.config.target.clone(),
            bugs: self.config.bugs.clone(),
            nodes: self.config.nodes,
            seed: self.config.seed,
            agent: self.config.agent.clone(),
            cores: self.executors.len(),
            horizon_ms: self.config.horizon_ms,
            clock: self.config.clock,
            resumed: self.resumed,
            executions: self.memory.counters.executions,
            corpus: self.engine.corpus_len(),
            findings: self.memory.findings.len(),
        }
    }

    fn executed(&self, session: &Session) -> CampaignEvent {
        CampaignEvent::Executed {
            executions: self.memory.counters.executions,
            corpus: self.engine.corpus_len(),
            features: self.memory.coverage.len(),
            states: self.memory.visited.states(),
            findings: self.memory.findings.len(),
            steps: self.memory.counters.steps,
            landed: self.memory.counters.landed,
            operations: self.memory.tally.counts.clone(),
            per_second: rate(session.executions, session.watch.elapsed_ms()),
            speed: rate(session.virtual_ns / 1_000_000_000, session.watch.elapsed_ms()),
            elapsed_ms: self.elapsed_ms(),
            sources: match self.config.search {
                Search::Learned => self.memory.allocation.shares().collect(),
                Search::Fixed | Search::Explore | Search::Random => BTreeMap::new(),
            },
        }
    }

    fn summary(&self, session: &Session) -> Summary {
        let counters = self.memory.counters;
        let elapsed_ms = self.elapsed_ms();
        Summary {
            executions: counters.executions,
            elapsed_ms,
            per_second: rate(counters.executions, elapsed_ms),
            corpus: self.engine.corpus_len(),
            features: self.memory.coverage.len(),
            states: self.memory.visited.states(),
            findings: self.memory.findings.summaries(),
            findings_now: session.findings,
            unknown: counters.unknown,
            diverged: counters.diverged,
            unrepeated: match self.config.clock {
                Clock::Virtual => 0,
                Clock::Real => self.memory.findings.unconfirmed(),
            },
            skipped: counters.skipped,
            steps: counters.steps,
            landed: counters.landed,
            operations: self.memory.tally.clone(),
            divergence: self.divergence(),
        }
    }
}

/// Runs one job per executor, all at once; results in the order of the jobs.
fn run_all(
    executors: &mut [Box<dyn Executor>],
    jobs: &[(Schedule, RunOptions)],
) -> Vec<Result<Execution, ExecutorError>> {
    if let ([executor, ..], [(schedule, options)]) = (&mut *executors, jobs) {
        return vec![executor.run(schedule, *options)];
    }
    // A thread does nothing but wait for its executor; nothing depends on which is done first.
    std::thread::scope(|scope| {
        let started: Vec<_> = executors
            .iter_mut()
            .zip(jobs)
            .map(|(executor, (schedule, options))| scope.spawn(move || executor.run(schedule, *options)))
            .collect();
        let finished = started.into_iter().map(|thread| thread.join());
        finished.map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

/// The choices with what they led to. Each feature that the run was the first to show belongs to the choice whose windows
/// showed it first.
fn transitions(episode: &[Choice], new: &[Sighting], visited: &mut Visited) -> Vec<Transition> {
    if let Some(first) = episode.first() {
        visited.enter(first.state, &first.legal);
    }
    let mut left: BTreeSet<u64> = new.iter().map(|it| it.feature).collect();
    let teach = |choice: &Choice| {
        let entered = visited.enter(choice.next, &choice.legal_next);
        let own = choice.features.iter().filter(|feature| left.remove(feature)).count();
        Transition {
            state: choice.state,
            action: choice.action,
            next: choice.next,
            seen_before: entered.seen_before,
            visits: entered.visits,
            new_features: u32::try_from(own).unwrap_or(u32::MAX),
            legal_next: choice.legal_next.clone(),
        }
    };
    episode.iter().map(teach).collect()
}

/// Keys of the events in the detail, if it was kept; see the interceptor's patterns.
fn event_keys(execution: &Execution) -> BTreeSet<String> {
    let events = execution.detail.iter().flat_map(|detail| &detail.events);
    events.filter_map(event_key).collect()
}

/// The key of an event that a fault may wait for; the campaign's own doings are none.
fn event_key(event: &Event) -> Option<String> {
    match &event.kind {
        EventKind::Fault { .. } | EventKind::Client { .. } => None,
        kind => Some(key::of(kind)),
    }
}

/// A second, to one decimal.
#[allow(clippy::cast_precision_loss, reason = "a rate for people")]
fn rate(count: u64, elapsed_ms: u64) -> f64 {
    if elapsed_ms == 0 { 0.0 } else { (count as f64 * 10_000.0 / elapsed_ms as f64).round() / 10.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agents::{ActionId, StateId};

    #[test]
    fn what_is_new_belongs_to_the_choice_that_showed_it_first() {
        let choice = |state, features: &[u64]| Choice {
            state: StateId(state),
            legal: vec![ActionId(0)],
            action: ActionId(0),
            next: StateId(state + 1),
            legal_next: vec![ActionId(0), ActionId(1)],
            features: features.to_vec(),
        };
        let new = [2, 3, 4, 9].map(|feature| Sighting { feature, at_ms: 0 });
        let episode = [choice(0, &[1, 2]), choice(1, &[2, 3, 4]), choice(2, &[5])];
        let transitions = transitions(&episode, &new, &mut Visited::default());
        let new: Vec<u32> = transitions.iter().map(|it| it.new_features).collect();
        assert_eq!(new, [1, 2, 0]);
        assert!(transitions.iter().all(|it| it.legal_next.len() == 2), "the last one too");
    }
}
