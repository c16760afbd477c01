//! The witnesses of the demo's planted bugs: each bug has one; of those that need three steps no step can be left out.
//!
//! `fuzz smoke` runs all of them, and their correct twins. One test function: a process holds one sandbox at a time.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use fuzzer::executor::{Executor, RunOptions};
use fuzzer::launcher::Launcher;
use fuzzer::reproducer;
use fuzzer::run::Runner;
use fuzzer::schedule::Schedule;
use fuzzer::target::Target;
use interceptor::room::Room;
use oracle::Verdict;
use std::path::Path;

/// The bugs of which no one or two faults of their witness show anything.
const THREE_STEPS: [&str; 4] =
    ["fsync-at-commit", "probe-numbers-repeat", "snapshot-term-lost", "torn-tail-kept"];

fn verdict(runner: &mut Runner, schedule: &Schedule) -> Verdict {
    runner.run(schedule, RunOptions { detail: false, calls: false }).unwrap().verdict
}

#[test]
fn each_bug_has_a_witness_and_no_step_of_three_can_be_left_out() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = Target::load(&repository.join("targets/raft-demo/target.toml")).unwrap();
    let read = |bug: &str| {
        let witness = repository.join("corpora/raft-demo/witness").join(bug);
        reproducer::load(&witness).unwrap_or_else(|error| panic!("{bug}: {error}")).schedule
    };
    for bug in &target.manifest.bugs {
        assert_eq!(read(&bug.name).bugs, std::slice::from_ref(&bug.name));
    }

    let room = Room::directory().unwrap();
    let mut runner = Runner::new(&target, &support::program(), &Launcher::Native, None, room).unwrap();
    for bug in THREE_STEPS {
        let witness = read(bug);
        assert!(witness.steps.len() >= 3, "{bug}: {} steps", witness.steps.len());
        let shown = verdict(&mut runner, &witness);
        assert!(matches!(shown, Verdict::Violation(_)), "{bug}: {shown:?}");
        let correct = Schedule { bugs: Vec::new(), ..witness.clone() };
        assert_eq!(verdict(&mut runner, &correct), Verdict::Valid, "{bug}: the correct build");
        for step in 0..witness.steps.len() {
            let mut shorter = witness.clone();
            shorter.steps.remove(step);
            assert_eq!(verdict(&mut runner, &shorter), Verdict::Valid, "{bug} without step {step}");
        }
    }
}
