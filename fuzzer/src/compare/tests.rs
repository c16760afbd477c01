//! An experiment that nobody has to run: two problems with one twin, two arms.

use super::analysis::Analysis;
use super::cell::{Outcome, Role, Subject, Trial};
use super::experiment::{Arm, Budget};
use super::plan::{Plan, Problem, Task};
use crate::campaign::Search;
use interceptor::sandbox::Clock;
use std::collections::{BTreeMap, BTreeSet};

/// A plan with so many seeds.
pub fn plan(seeds: u64) -> Plan {
    let subject = |bug: &str| Subject {
        target: "toy".into(),
        manifest: "m".into(),
        binary: "b".into(),
        clock: Clock::Virtual,
        nodes: 3,
        bugs: if bug.is_empty() { Vec::new() } else { vec![bug.into()] },
        workload: None,
    };
    let problem = |name: &str, subject| Problem {
        name: name.into(),
        story: "answers from memory".into(),
        subject,
        twin: Some(2),
        signatures: Vec::new(),
        budget: Budget { seeds: (1..=seeds).collect(), executions: 500, ..Budget::default() },
    };
    let arm = |name: &str, search| Arm { name: name.into(), agent: "uniform".into(), search, faults: true };
    Plan {
        name: "demo".into(),
        about: "Does it pay?".into(),
        fuzz: "f".into(),
        arms: vec![arm("learned", Search::Learned), arm("uniform", Search::Explore)],
        baseline: 0,
        problems: vec![problem("stale-read", 0), problem("lost-write", 1)],
        subjects: ["stale-read", "lost-write", ""].map(subject).to_vec(),
    }
}

/// What came of a search of 500 executions that found its bug then, or not.
fn outcome(found: Option<u64>) -> Outcome {
    let executions = found.unwrap_or(500);
    #[allow(clippy::cast_precision_loss, reason = "small")]
    let seconds = executions as f64 / 10.0;
    Outcome {
        found: found.map(|_| "register/stale".into()),
        findings: found.map(|_| "register/stale".into()).into_iter().collect(),
        executions,
        seconds,
        steps: 2 * executions,
        landed: executions,
        states: vec![(1, 3), (executions, 3 + executions / 10)],
        ..Outcome::default()
    }
}

/// A trial of its own: a search of the toy by this agent.
pub fn trial(agent: &str, seed: u64, found: Option<u64>) -> Trial {
    let mut plan = plan(1);
    plan.arms[0].agent = agent.into();
    plan.problems[0].budget.seeds = vec![seed];
    Trial { cell: plan.tasks()[0].cell.clone(), outcome: outcome(found) }
}

/// All searches of a plan, done; `found` says when hunts find their bug.
pub fn tried(plan: &Plan, found: impl Fn(&Task) -> Option<u64>) -> BTreeMap<String, Trial> {
    let over = |task: Task| {
        let found = if task.cell.role == Role::Hunt { found(&task) } else { None };
        (task.key, Trial { cell: task.cell, outcome: outcome(found) })
    };
    plan.tasks().into_iter().map(over).collect()
}

#[test]
fn problems_share_the_searches_of_their_twin_and_seeds_come_last() {
    let plan = plan(3);
    let tasks = plan.tasks();
    assert_eq!(tasks.len(), 3 * (2 * 2 + 2));
    assert_eq!(tasks.iter().map(|task| &task.key).collect::<BTreeSet<_>>().len(), tasks.len());
    let seeds: Vec<u64> = tasks.iter().map(|task| task.cell.seed).collect();
    assert!(seeds.is_sorted(), "{seeds:?}");
    let twins: Vec<&Task> = tasks.iter().filter(|task| task.cell.role == Role::Twin).collect();
    assert!(twins.iter().all(|task| task.cell.subject.bugs.is_empty() && task.problem == 0));
    assert_eq!(plan.keys(0, 1, Role::Twin), plan.keys(1, 1, Role::Twin));
    assert_eq!(plan.keys(0, 0, Role::Hunt).len(), 3);
}

#[test]
fn results_of_other_programs_and_settings_are_not_mixed_in() {
    let plan = plan(2);
    let trials = tried(&plan, |_| Some(7));
    assert_eq!(Analysis::of(&plan, &trials).done, plan.tasks().len());
    let changes: [fn(&mut Plan); 6] = [
        |plan| plan.fuzz = "another".into(),
        |plan| plan.subjects.iter_mut().for_each(|it| it.binary = "another".into()),
        |plan| plan.subjects.iter_mut().for_each(|it| it.manifest = "another".into()),
        |plan| plan.arms.iter_mut().for_each(|it| it.agent = "ucb1".into()),
        |plan| plan.problems.iter_mut().for_each(|it| it.budget.executions = 501),
        |plan| plan.problems.iter_mut().for_each(|it| it.budget.horizon_ms = 1),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut other = plan.clone();
        change(&mut other);
        assert_eq!(Analysis::of(&other, &trials).done, 0, "change {number}");
    }
    // A name is no setting: more seeds and other names go on with what is there.
    let mut more = plan.clone();
    more.arms[0].name = "ours".into();
    more.problems.iter_mut().for_each(|it| it.budget.seeds = vec![2, 9]);
    assert_eq!(Analysis::of(&more, &trials).done, 6);
}

#[test]
fn an_arm_that_is_ten_times_as_fast_is_told_so() {
    let plan = plan(20);
    let trials = tried(&plan, |task| match task.arm {
        0 => Some(10 + task.cell.seed),
        _ => Some(100 + 10 * task.cell.seed),
    });
    let analysis = Analysis::of(&plan, &trials);
    assert_eq!(analysis.pooled[0], None, "the baseline is not compared with itself");
    let pooled = analysis.pooled[1].unwrap();
    assert!((pooled.ratio - 205.0 / 20.5).abs() < 1e-9 && pooled.low > 8.0, "{pooled:?}");
    assert!(pooled.p_holm < 1e-6 && pooled.problems == 2, "{pooled:?}");
    let slow = &analysis.problems[0].arms[1];
    assert_eq!((slow.found, slow.searches, slow.median), (20, 20, Some(200.0)));
    assert_eq!(slow.against.unwrap().a12, 0.0);
    assert!(slow.against.unwrap().p < slow.against.unwrap().p_holm);
    assert_eq!(slow.landed, Some(0.5));
    let twin = slow.twin.as_ref().unwrap();
    assert_eq!((twin.searches, twin.alarmed, twin.executions), (20, 0, 10_000));
    let states = slow.states.unwrap();
    assert_eq!((states.after, states.median, states.is_of_twin), (500, 53.0, true));
}

#[test]
fn means_are_cut_off_where_every_search_could_have_got_to() {
    let mut plan = plan(4);
    plan.problems.iter_mut().for_each(|it| it.twin = None);
    let mut trials = tried(&plan, |task| (task.arm == 0).then_some(40));
    let analysis = Analysis::of(&plan, &trials);
    assert_eq!(analysis.problems[0].horizon_executions, 500.0);
    assert_eq!(analysis.problems[0].arms[1].executions.unwrap().mean, 500.0);
    // One that a limit in seconds ended earlier.
    for trial in trials.values_mut().filter(|it| it.outcome.found.is_none()) {
        trial.outcome.executions = 300;
    }
    let analysis = Analysis::of(&plan, &trials);
    assert_eq!(analysis.problems[0].horizon_executions, 300.0);
    assert_eq!(analysis.problems[0].arms[0].executions.unwrap().mean, 40.0);
}

#[test]
fn nothing_is_said_of_what_has_not_been_searched() {
    let plan = plan(2);
    let analysis = Analysis::of(&plan, &BTreeMap::new());
    assert_eq!((analysis.done, analysis.planned), (0, 12));
    assert!(analysis.pooled.iter().all(Option::is_none));
    assert!(analysis.problems.iter().flat_map(|it| &it.arms).all(|arm| arm.executions.is_none()));
    assert!(serde_json::from_str::<serde_json::Value>(&analysis.to_json()).is_ok());
}
