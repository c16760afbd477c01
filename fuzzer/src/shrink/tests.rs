//! Shrinking against targets that are a line of code.

use super::*;
use crate::fault::{Fault, Node};
use crate::reproducer::schedule_text;
use crate::schedule::{Step, Trigger, VERSION, Workload};
use crate::trials::{Rate, Trials};
use interceptor::rng::split;
use rand::RngExt;

fn step(at_ms: u64, fault: Fault) -> Step {
    Step { when: Trigger::At { at_ms }, fault }
}

fn pause(node: u8, for_ms: u64) -> Fault {
    Fault::Pause { node: Node(node), for_ms }
}

fn schedule(steps: Vec<Step>) -> Schedule {
    Schedule {
        version: VERSION,
        target: "toy".into(),
        bugs: vec![],
        nodes: 5,
        seed: 7,
        horizon_ms: 20_000,
        workload: Workload::default(),
        agent_from_ms: Some(0),
        agent_salt: 0,
        steps,
    }
}

fn run(start: &Schedule, executions: u32, fails: impl Fn(&Schedule) -> bool) -> Shrunk {
    let limits = Limits { executions, ..Limits::default() };
    let mut attempt = |candidate: &Schedule| Ok::<_, String>(once(fails(candidate)));
    shrink(start, limits, &mut attempt, &mut |_| true).unwrap()
}

fn once(shows: bool) -> Decision {
    Decision { shows, runs: 1 }
}

fn noise() -> Schedule {
    let mut steps: Vec<Step> =
        (0..12).map(|i| step(500 + 1_117 * i, Fault::Reset { a: Node(1), b: Node(2) })).collect();
    steps.insert(
        4,
        step(
            3_333,
            Fault::Partition { side: vec![Node(1), Node(3)], direction: Default::default(), for_ms: 4_000 },
        ),
    );
    steps.insert(9, step(8_765, pause(2, 2_500)));
    schedule(steps)
}

fn isolates_3_then_pauses_2(candidate: &Schedule) -> bool {
    let isolated = candidate.steps.iter().position(
        |s| matches!(&s.fault, Fault::Partition { side, for_ms, .. } if side.contains(&Node(3)) && *for_ms >= 900),
    );
    let paused = candidate
        .steps
        .iter()
        .position(|s| matches!(s.fault, Fault::Pause { node: Node(2), for_ms } if for_ms >= 300));
    isolated.is_some_and(|i| paused.is_some_and(|p| i < p))
}

#[test]
fn only_what_matters_is_left() {
    let shrunk = run(&noise(), 2_000, isolates_3_then_pauses_2);
    assert!(shrunk.minimal);
    insta::assert_snapshot!(schedule_text::write(&shrunk.schedule, &[]), @r#"
    version = 1
    target = "toy"
    bugs = []
    nodes = 3
    seed = 7
    horizon_ms = 8000

    [workload]
    clients = 1
    rate = 1
    keys = 1
    operations = 1

    # at 3s: cut off n3 for 1s
    [[step]]
    when = { at_ms = 3000 }
    fault = { kind = "partition", side = ["n3"], direction = "both", for_ms = 1000 }

    # at 8s: pause n2 for 312ms
    [[step]]
    when = { at_ms = 8000 }
    fault = { kind = "pause", node = "n2", for_ms = 312 }
    "#);
}

#[test]
fn the_same_answers_give_the_same_result() {
    assert_eq!(
        run(&noise(), 2_000, isolates_3_then_pauses_2),
        run(&noise(), 2_000, isolates_3_then_pauses_2)
    );
}

#[test]
fn a_step_that_stands_in_for_luck_goes_with_another_seed() {
    let lucky = |candidate: &Schedule| {
        let has = |fault: &Fault| candidate.steps.iter().any(|step| step.fault.kind() == fault.kind());
        has(&pause(2, 1)) && (candidate.seed == 2 || candidate.steps.len() > 1)
    };
    let start = schedule(vec![step(5, pause(2, 50)), step(700, Fault::Kill { node: Node(1), down_ms: 5 })]);
    assert!(start.seed != 2);
    let shrunk = run(&start, 300, lucky);
    assert_eq!((shrunk.schedule.steps.len(), shrunk.schedule.seed), (1, 2));
}

/// A target that breaks four times out of five when it has what it needs: trials find it all the same.
#[test]
fn what_breaks_now_and_then_is_shrunk_by_trials() {
    let trials = Trials::against(Rate { shown: 4, runs: 5 });
    let mut kept = 0;
    for number in 0..20 {
        let mut rng = split(number, "shrinking by trials");
        let mut attempt = |candidate: &Schedule| {
            let needed = isolates_3_then_pauses_2(candidate);
            trials.decide(|| Ok::<_, String>(Some(needed && rng.random_bool(0.8))))
        };
        let limits = Limits { executions: 3_000, ..Limits::default() };
        let shrunk = shrink(&noise(), limits, &mut attempt, &mut |_| true).unwrap();
        assert!(isolates_3_then_pauses_2(&shrunk.schedule), "what it needs is never taken away");
        kept += shrunk.schedule.steps.len();
    }
    assert!(kept <= 50, "nearly all of the other twelve steps go: {kept} of 280 are left, 40 are needed");
}

#[test]
fn the_budget_is_kept_and_said() {
    let mut seen = 0;
    let mut attempt = |s: &Schedule| Ok::<_, String>(once(isolates_3_then_pauses_2(s)));
    let limits = Limits { executions: 10, ..Limits::default() };
    let shrunk = shrink(&noise(), limits, &mut attempt, &mut |p| {
        seen = p.executions;
        true
    })
    .unwrap();
    assert_eq!((shrunk.executions, shrunk.minimal, seen), (10, false, 10));
    assert!(isolates_3_then_pauses_2(&shrunk.schedule));
}

#[test]
fn the_caller_may_end_it() {
    let mut attempt = |s: &Schedule| Ok::<_, String>(once(isolates_3_then_pauses_2(s)));
    let shrunk = shrink(&noise(), Limits::default(), &mut attempt, &mut |p| p.executions < 5).unwrap();
    assert_eq!((shrunk.executions, shrunk.minimal), (5, false));
}

#[test]
fn nodes_that_steps_name_stay() {
    let start = schedule(vec![step(100, pause(4, 50))]);
    assert_eq!(
        run(&start, 500, |s| s.steps.iter().any(|s| matches!(s.fault, Fault::Pause { node: Node(4), .. })))
            .schedule
            .nodes,
        5
    );
}

#[test]
fn a_failed_run_ends_shrinking() {
    let mut attempt = |_: &Schedule| Err("no room");
    assert_eq!(shrink(&noise(), Limits::default(), &mut attempt, &mut |_| true), Err("no room"));
}

proptest::proptest! {
    /// Whatever subset of the steps is needed, exactly that subset is left.
    #[test]
    fn ddmin_finds_every_subset(needed in proptest::collection::btree_set(0_u64..16, 0..6)) {
        let start = schedule((0..16).map(|i| step(1_000 * i, Fault::ClockJump { node: Node(1), by_ms: i as i64 + 1 })).collect());
        let at = |s: &Schedule| s.steps.iter().map(|s| s.fault.clone()).collect::<Vec<_>>();
        let holds = |s: &Schedule| needed.iter().all(|i| at(s).contains(&Fault::ClockJump { node: Node(1), by_ms: *i as i64 + 1 }));
        let shrunk = run(&start, 5_000, holds);
        proptest::prop_assert_eq!(shrunk.schedule.steps.len(), needed.len());
    }
}
