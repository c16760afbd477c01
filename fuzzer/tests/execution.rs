//! The demo cluster in the sandbox: runs repeat call by call, whether faults are chosen or replayed.
//!
//! One test function: a process holds one sandbox at a time.

use fuzzer::action;
use fuzzer::execution::Execution;
use fuzzer::executor::{Executor, ExecutorError, RunOptions};
use fuzzer::fault::{Fault, Node};
use fuzzer::launcher::Launcher;
use fuzzer::run::Runner;
use fuzzer::schedule::{Schedule, Step, Trigger, VERSION, Workload};
use fuzzer::target::Target;
use interceptor::room::Room;
use oracle::Verdict;
use std::path::{Path, PathBuf};
use std::process::Command;

const DETAIL: RunOptions = RunOptions { detail: true, calls: false };

/// The demo's program, built beside this test's own.
fn program() -> PathBuf {
    let own = std::env::current_exe().expect("a test has a path");
    let profile = own.ancestors().nth(2).expect("tests lie in PROFILE/deps");
    let directory = profile.parent().expect("PROFILE lies in the target directory");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--workspace", "--bin", "raft-demo", "--target-dir"])
        .arg(directory)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo runs");
    assert!(status.success(), "raft-demo cannot be built");
    directory.join("debug/raft-demo")
}

fn target() -> Target {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../targets/raft-demo/target.toml");
    Target::load(&file).expect("the demo's manifest is in order")
}

fn runner(target: &Target, program: &Path) -> Runner {
    let agent = agents::build("uniform", &action::space()).expect("there is a uniform agent");
    let room = Room::directory().expect("a directory for the test");
    Runner::new(target, program, &Launcher::Native, Some(agent), room).expect("the demo can be run")
}

fn schedule(bugs: &[&str], agent_from_ms: Option<u64>, steps: Vec<Step>) -> Schedule {
    Schedule {
        version: VERSION,
        target: "raft-demo".into(),
        bugs: bugs.iter().map(ToString::to_string).collect(),
        nodes: 3,
        seed: 7,
        horizon_ms: 3_000,
        workload: Workload::default(),
        agent_from_ms,
        agent_salt: 0,
        steps,
    }
}

/// The run of what was executed equals the run it came from.
fn assert_repeats(runner: &mut Runner, first: &Execution) {
    let again = runner.run(&first.schedule, DETAIL).expect("what ran once runs again");
    let (detail, other) =
        (first.detail.as_ref().expect("asked for"), again.detail.as_ref().expect("asked for"));
    let differs = detail.events.iter().zip(&other.events).find(|(a, b)| a != b);
    assert_eq!(differs, None);
    assert_eq!(detail.history, other.history);
    assert_eq!(first.hash, again.hash);
    assert_eq!(first.verdict, again.verdict);
    assert_eq!(first.features, again.features);
    assert_eq!(first.landings, again.landings);
    assert_eq!(first.schedule, again.schedule);
}

#[test]
fn runs_of_the_demo_cluster() {
    let (target, program) = (target(), program());
    let mut runner = runner(&target, &program);

    let quiet = runner.run(&schedule(&[], None, vec![]), DETAIL).expect("the control run");
    assert_eq!(quiet.verdict, Verdict::Valid);
    assert!(quiet.statistics.operations > 60 && quiet.statistics.windows >= 12, "{:?}", quiet.statistics);
    assert!(!quiet.features.is_empty() && quiet.statistics.leaks.is_empty(), "{:?}", quiet.statistics);
    assert_repeats(&mut runner, &quiet);

    let explored = runner.run(&schedule(&[], Some(500), vec![]), DETAIL).expect("an exploring run");
    assert_eq!(explored.verdict, Verdict::Valid);
    assert_eq!(explored.schedule.agent_from_ms, None);
    assert_eq!(explored.episode.len(), 10, "one choice a window of 250 ms");
    let chain = explored.episode.windows(2).all(|pair| pair[0].next == pair[1].state);
    assert!(chain, "each choice leads to where the next is made");
    assert!(explored.landings.iter().any(|landing| landing.touched > 0), "{:?}", explored.landings);
    assert_eq!(explored.schedule.check(), Ok(()));
    assert_repeats(&mut runner, &explored);

    waits_for_events(&mut runner);
    finds_a_planted_bug(&mut runner);
    says_what_is_not_ready(target, &program);
}

fn waits_for_events(runner: &mut Runner) {
    let third = Trigger::On { event: "fsync".into(), node: Some(Node(2)), peer: None, nth: 3 };
    let never = Trigger::On { event: "send:nonsense".into(), node: None, peer: None, nth: 1 };
    let kill = |node, when| Step { when, fault: Fault::Kill { node: Node(node), down_ms: 300 } };
    let steps = vec![kill(2, third), kill(1, never)];
    let execution = runner.run(&schedule(&[], None, steps), DETAIL).expect("a run with triggers");
    let [fired, waiting] = &execution.landings[..] else { panic!("two steps") };
    assert!(fired.fired_ns.is_some() && fired.touched > 0, "{fired:?}");
    assert!(waiting.fired_ns.is_none() && waiting.touched == 0, "{waiting:?}");
    assert_eq!(execution.verdict, Verdict::Valid);
    assert_repeats(runner, &execution);
}

fn finds_a_planted_bug(runner: &mut Runner) {
    let kill_all = (1..=3).map(|node| Step {
        when: Trigger::At { at_ms: 1_000 },
        fault: Fault::Kill { node: Node(node), down_ms: 200 * u64::from(node) },
    });
    let found =
        runner.run(&schedule(&["vote-not-persisted"], None, kill_all.collect()), DETAIL).expect("a run");
    assert!(matches!(found.verdict, Verdict::Violation(_)), "{:?}", found.verdict);
    assert_repeats(runner, &found);
}

fn says_what_is_not_ready(mut target: Target, program: &Path) {
    target.manifest.ready[0].http = Some("/nowhere".into());
    let mut runner = runner(&target, program);
    let error = runner.run(&schedule(&[], None, vec![]), DETAIL).expect_err("nothing is there");
    let ExecutorError::SetUp { why } = &error else { panic!("{error}") };
    assert!(why.starts_with("n1: not ready after 30s, GET /nowhere: status 404; its last lines:\n"), "{why}");
    assert!(why.ends_with("check [node] and [[ready]] in target.toml"), "{why}");
}
