//! Guests by the host's clock: threads run free, and the same calls do the same.

mod support;

use interceptor::disk::Loss;
use interceptor::room::Room;
use interceptor::sandbox::{Operation, Sandbox};
use interceptor::time::Span;
use support::{assert_clean, compiled, free_cluster, run_until_ms, sandboxed_free, stdout_of};

/// A guest that checks itself finds nothing wrong.
fn check(name: &str) {
    assert_clean(&sandboxed_free(&compiled(name), &[]));
}

#[test]
fn files() {
    check("files.c");
}

#[test]
fn pipes() {
    check("pipes.c");
}

#[test]
fn processes() {
    check("processes.c");
}

#[test]
fn signals() {
    check("signals.c");
}

#[test]
fn timers() {
    check("timers.c");
}

#[test]
fn threads() {
    check("threads.c");
}

#[test]
fn sockets() {
    check("sockets.c");
}

#[test]
fn clocks() {
    check("clocks.c");
}

#[test]
fn threads_that_outlive_the_main_one() {
    check("main-gone.c");
}

#[test]
fn stopped_processes() {
    check("jobs.c");
}

#[test]
fn storms_of_faults_timers_and_signals() {
    check("storms.c");
}

#[test]
fn threads_that_run_at_once() {
    check("free.c");
}

/// A server and a client that asks it all the time go through what operations do to them.
#[test]
fn operations_strike_as_ever() {
    let program = compiled("cluster.c");
    let room = Room::directory().expect("a room for the test");
    let guests = [(program.as_path(), &["server"][..]), (program.as_path(), &["client", "10.0.0.1"][..])];
    let mut sandbox = Sandbox::new(&room, free_cluster(&guests)).expect("a sandbox");
    for node in 0..2 {
        sandbox.start(node).expect("the guest starts");
    }
    let answers = |sandbox: &Sandbox| stdout_of(sandbox, 1).len();
    let more = |sandbox: &mut Sandbox| {
        let (before, mut ms) = (answers(sandbox), sandbox.now().0 / 1_000_000);
        while answers(sandbox) == before && ms < 60_000 {
            ms += 50;
            run_until_ms(sandbox, ms);
        }
        answers(sandbox) > before
    };
    assert!(more(&mut sandbox), "the cluster works");
    for (strike, relief) in [
        (Operation::Pause(0), Operation::Resume(0)),
        (Operation::Pause(1), Operation::Resume(1)),
        (Operation::ClockRate(1, 1000), Operation::ClockRate(1, 100)),
        (Operation::ClockJump(1, -5_000_000_000), Operation::ClockJump(1, 5_000_000_000)),
        (Operation::Kill(1), Operation::Start(1)),
    ] {
        let what = format!("{strike:?}");
        let touched = sandbox.operate(strike).expect("the sandbox works");
        assert!(touched > 0, "{what}");
        let (said, later) = (answers(&sandbox), sandbox.now() + Span::from_millis(250));
        run_until_ms(&mut sandbox, later.0 / 1_000_000);
        if what == "Pause(1)" {
            assert_eq!(answers(&sandbox), said, "a paused node says nothing, whatever it was told before");
        }
        sandbox.operate(relief).expect("the sandbox works");
        assert!(more(&mut sandbox), "after {what}");
    }
    assert!(sandbox.operate(Operation::PowerOff(0, Loss::All)).expect("the sandbox works") > 0);
    assert!(!sandbox.is_up(0));
    assert_eq!(sandbox.stopped(), None);
    drop(sandbox);
    std::fs::remove_dir_all(room.root()).expect("the room is ours");
}
