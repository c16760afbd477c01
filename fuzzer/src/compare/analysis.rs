//! What trials amount to: by problem and arm how often and how soon the bug was found, how far an arm is from the baseline, and
//! the same over all problems together.
//!
//! A search that found nothing is censored: its bug would have come later, nobody knows when. Times are executions, which do
//! not depend on the machine; host seconds are told besides. Everything is a function of the trials.

mod against;
mod states;

pub use against::{Against, Pooled};
pub use states::StatesSeen;

use super::cell::{Outcome, Role, Trial};
use super::experiment::{Arm, Budget};
use super::plan::{Plan, Problem};
use agents::statistics::wilson;
use agents::survival::{KaplanMeier, Trial as Time};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What an experiment has come to by now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Analysis {
    /// The experiment's name.
    pub experiment: String,
    /// A sentence for people.
    pub about: String,
    /// SHA-256 of the program that searched, in hex.
    pub fuzz: String,
    /// How it was searched.
    pub arms: Vec<Arm>,
    /// The position of the arm that the others are compared with.
    pub baseline: usize,
    /// Searches that are planned.
    pub planned: usize,
    /// Those that are over.
    pub done: usize,
    /// Host seconds of these together.
    pub seconds: f64,
    /// By problem.
    pub problems: Vec<ProblemResult>,
    /// By arm: over all problems; nothing for the baseline.
    pub pooled: Vec<Option<Pooled>>,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProblemResult {
    /// Its name.
    pub name: String,
    /// What is wrong, in a sentence.
    pub story: String,
    /// The target.
    pub target: String,
    /// Planted bugs.
    pub bugs: Vec<String>,
    /// SHA-256 of its binary, in hex.
    pub binary: String,
    /// How often and how long it is searched.
    pub budget: Budget,
    /// Where mean executions are cut off.
    pub horizon_executions: f64,
    /// Where mean seconds are cut off.
    pub horizon_seconds: f64,
    /// By arm.
    pub arms: Vec<ArmResult>,
}

/// An arm on a problem.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ArmResult {
    /// Searches that are over.
    pub searches: u64,
    /// Those of them that found the bug.
    pub found: u64,
    /// The share that finds it: Wilson's interval.
    pub rate: (f64, f64),
    /// Executions within which half of the searches have found it, by Kaplan and Meier.
    pub median: Option<f64>,
    /// Executions until it is found, on average.
    pub executions: Option<Mean>,
    /// Host seconds until it is found, on average.
    pub seconds: Option<Mean>,
    /// The share that has found it, over executions: the points where it rises.
    pub curve: Vec<(f64, f64)>,
    /// The end of the longest search, in executions.
    pub end: f64,
    /// Against the baseline; nothing for the baseline itself.
    pub against: Option<Against>,
    /// Distinct states.
    pub states: Option<StatesSeen>,
    /// The share of faults that touched anything.
    pub landed: Option<f64>,
    /// The share of executions that could not be judged.
    pub unknown: f64,
    /// What was found, by signature, and how often.
    pub signatures: BTreeMap<String, u64>,
    /// Where there is no bug; nothing without a twin.
    pub twin: Option<TwinResult>,
}

/// A mean, cut off at a horizon, with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Mean {
    /// The restricted mean.
    pub mean: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// What was found where there is nothing to find.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TwinResult {
    /// Searches that are over.
    pub searches: u64,
    /// Those that found something.
    pub alarmed: u64,
    /// Executions of all of them.
    pub executions: u64,
    /// What they found.
    pub signatures: BTreeSet<String>,
}

/// The searches of one arm on one problem.
pub(super) struct Sample<'a> {
    /// For the bug.
    hunts: Vec<&'a Outcome>,
    /// Where there is none.
    twins: Vec<&'a Outcome>,
}

impl<'a> Sample<'a> {
    fn of(plan: &Plan, trials: &'a BTreeMap<String, Trial>, problem: usize, arm: usize) -> Self {
        let over = |role| {
            let keys = plan.keys(problem, arm, role).into_iter();
            keys.filter_map(|key| trials.get(&key)).map(|trial| &trial.outcome).collect()
        };
        Self { hunts: over(Role::Hunt), twins: over(Role::Twin) }
    }

    fn times(&self, value: fn(&Outcome) -> f64) -> Vec<Time> {
        let time = |it: &&Outcome| Time { time: value(it), found: it.found.is_some() };
        self.hunts.iter().map(time).collect()
    }

    fn executions(&self) -> Vec<Time> {
        self.times(|it| count(it.executions))
    }

    fn seconds(&self) -> Vec<Time> {
        self.times(|it| it.seconds)
    }
}

/// A problem's searches, by arm.
pub(super) type Samples<'a> = Vec<Sample<'a>>;

impl Analysis {
    /// What the trials of a plan amount to; others among them are passed over.
    #[must_use]
    pub fn of(plan: &Plan, trials: &BTreeMap<String, Trial>) -> Self {
        let tasks = plan.tasks();
        let over: Vec<&Trial> = tasks.iter().filter_map(|task| trials.get(&task.key)).collect();
        let samples: Vec<Samples<'_>> = (0..plan.problems.len())
            .map(|problem| (0..plan.arms.len()).map(|arm| Sample::of(plan, trials, problem, arm)).collect())
            .collect();
        let mut problems: Vec<ProblemResult> = plan
            .problems
            .iter()
            .zip(&samples)
            .map(|(problem, samples)| result(plan, problem, samples))
            .collect();
        let pooled = against::compare(plan.baseline, &samples, &mut problems);
        Self {
            experiment: plan.name.clone(),
            about: plan.about.clone(),
            fuzz: plan.fuzz.clone(),
            arms: plan.arms.clone(),
            baseline: plan.baseline,
            planned: tasks.len(),
            done: over.len(),
            seconds: over.iter().map(|trial| trial.outcome.seconds).sum(),
            problems,
            pooled,
        }
    }

    /// Its text: `summary.json`.
    ///
    /// # Panics
    /// Never: it is plain data.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("an analysis is plain data");
        text.push('\n');
        text
    }
}

fn result(plan: &Plan, problem: &Problem, samples: &Samples<'_>) -> ProblemResult {
    let Problem { name, story, subject, budget, .. } = problem;
    let subject = &plan.subjects[*subject];
    let executions: Vec<Option<KaplanMeier>> =
        samples.iter().map(|it| KaplanMeier::fit(&it.executions())).collect();
    let seconds: Vec<Option<KaplanMeier>> =
        samples.iter().map(|it| KaplanMeier::fit(&it.seconds())).collect();
    let horizon_executions = horizon(&executions, Some(count(budget.executions)));
    let horizon_seconds = horizon(&seconds, budget.seconds.map(count));
    let mut arms: Vec<ArmResult> = samples
        .iter()
        .zip(executions.iter().zip(&seconds))
        .map(|(sample, (executions, seconds))| {
            let mean = |curve: &Option<KaplanMeier>, horizon| {
                let (mean, low, high) = curve.as_ref()?.restricted_mean_interval(horizon);
                Some(Mean { mean, low, high })
            };
            ArmResult {
                median: executions.as_ref().and_then(KaplanMeier::median),
                executions: mean(executions, horizon_executions),
                seconds: mean(seconds, horizon_seconds),
                curve: executions
                    .iter()
                    .flat_map(|it| it.steps())
                    .map(|step| (step.0, 1.0 - step.1))
                    .collect(),
                end: executions.as_ref().map_or(0.0, KaplanMeier::end),
                ..counts(sample)
            }
        })
        .collect();
    for (arm, seen) in arms.iter_mut().zip(states::of(plan.baseline, samples)) {
        arm.states = seen;
    }
    ProblemResult {
        name: name.clone(),
        story: story.clone(),
        target: subject.target.clone(),
        bugs: subject.bugs.clone(),
        binary: subject.binary.clone(),
        budget: budget.clone(),
        horizon_executions,
        horizon_seconds,
        arms,
    }
}

fn counts(sample: &Sample<'_>) -> ArmResult {
    let hunts = &sample.hunts;
    let searches = hunts.len() as u64;
    let mut signatures: BTreeMap<String, u64> = BTreeMap::new();
    for signature in hunts.iter().filter_map(|it| it.found.as_ref()) {
        *signatures.entry(signature.clone()).or_default() += 1;
    }
    let found = signatures.values().sum();
    let sum = |value: fn(&Outcome) -> u64| hunts.iter().map(|it| value(it)).sum::<u64>();
    let share = |part: u64, whole: u64| (whole > 0).then(|| count(part) / count(whole));
    let twin = (!sample.twins.is_empty()).then(|| TwinResult {
        searches: sample.twins.len() as u64,
        alarmed: sample.twins.iter().filter(|it| !it.findings.is_empty()).count() as u64,
        executions: sample.twins.iter().map(|it| it.executions).sum(),
        signatures: sample.twins.iter().flat_map(|it| it.findings.iter().cloned()).collect(),
    });
    ArmResult {
        searches,
        found,
        rate: wilson(found, searches),
        landed: share(sum(|it| it.landed), sum(|it| it.steps)),
        unknown: share(sum(|it| it.unknown), sum(|it| it.executions)).unwrap_or(0.0),
        signatures,
        twin,
        ..ArmResult::default()
    }
}

/// Where means are cut off: where every search could have got to, at most `budget`.
fn horizon(curves: &[Option<KaplanMeier>], budget: Option<f64>) -> f64 {
    let known = || curves.iter().flatten();
    // A curve that has fallen to 0 stays there.
    let open = known().filter(|curve| curve.survival(curve.end()) > 0.0).map(KaplanMeier::end);
    let least = open.chain(budget).fold(f64::INFINITY, f64::min);
    if least.is_finite() { least } else { known().map(KaplanMeier::end).fold(0.0, f64::max) }
}

#[allow(clippy::cast_precision_loss, reason = "counts of executions are far below 2^53")]
fn count(number: u64) -> f64 {
    number as f64
}
