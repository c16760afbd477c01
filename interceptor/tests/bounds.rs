//! Guests that want too much: the run ends, says why, and leaves nothing behind.

mod support;

use interceptor::event::{EventKind, Exit};
use interceptor::room::Room;
use interceptor::sandbox::{Limits, Operation, Sandbox};
use support::{cluster, compiled, left_in, run_while_up, sandboxed};

/// Small bounds, so that the tests are quick. Who takes memory makes no call either, and may be slow at it.
fn small(what: &str) -> Limits {
    let spins = ["spin", "uid", "protect"].contains(&what);
    Limits {
        calls_max: 20_000,
        output_max: 1 << 20,
        threads_max: 24,
        memory_max: 96 << 20,
        disk_max: 1 << 20,
        spin_ms_max: if spins { 150 } else { Limits::default().spin_ms_max },
    }
}

/// Processes that have this text in their environment.
fn processes_with(mark: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").expect("/proc is mounted").flatten();
    let numbered = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let has_it = |pid: &String| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.windows(mark.len()).any(|window| window == mark.as_bytes())
    };
    numbered.filter(|name| name.bytes().all(|b| b.is_ascii_digit())).filter(has_it).collect()
}

/// The process of a run of ours for this purpose whose command ends in these words.
fn process_called(what: &str, words: &str) -> Option<String> {
    processes_with(&mark(what)).into_iter().find(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).ends_with(words)
    })
}

/// By this variable of their environment the guests of a run are told from those of any other.
fn mark(what: &str) -> String {
    format!("GUEST_OF=bounds-{}-{what}", std::process::id())
}

/// Runs a greedy guest next to a modest one; why the run was stopped.
fn stopped(what: &str) -> String {
    stopped_with(&[what], |_| ())
}

/// As [`stopped`], with these arguments, and after something was done to the cluster.
fn stopped_with(arguments: &[&str], first: impl FnOnce(&mut Sandbox)) -> String {
    let what = arguments[0];
    let greedy = compiled("greedy.c");
    let modest = compiled("cluster.c");
    let room = Room::directory().expect("a room for the test");
    let mut config = cluster(&[(&modest, &["ticker"]), (&greedy, arguments)], 3, small(what));
    let mark = mark(what);
    for node in &mut config.nodes {
        let (name, value) = mark.split_once('=').expect("it has one");
        node.environment.push((name.into(), value.into()));
    }
    let mut sandbox = Sandbox::new(&room, config).expect("a sandbox");
    sandbox.start(0).expect("the modest guest starts");
    sandbox.start(1).expect("the greedy guest starts");
    assert!(!processes_with(&mark).is_empty(), "the search finds guests");
    first(&mut sandbox);
    run_while_up(&mut sandbox, 1, 60);
    let why = sandbox.stopped().unwrap_or("not at all").to_owned();
    let ends = sandbox.events().iter().filter(|event| matches!(event.kind, EventKind::Exit(Exit::Signal(_))));
    assert_eq!(ends.count(), 0, "no crash is told of {what}");
    drop(sandbox);
    assert_eq!(processes_with(&mark), [""; 0], "still running after {what}");
    assert_eq!(left_in(&room), [""; 0], "in the room after {what}");
    std::fs::remove_dir_all(room.root()).expect("the room is ours");
    why
}

fn check(what: &str, expected: &str) {
    let why = stopped(what);
    assert!(why.contains(expected) && why.contains("n2"), "{what}: {why}");
}

#[test]
fn spinning_without_a_call() {
    check("spin", "of its processor time without a stop, at instruction 0x");
    let why = stopped("spin");
    assert!(why.contains("thread 1") && why.contains("in /") && why.contains("--clock real"), "{why}");
    assert!(!why.contains("0x0 "), "{why}");
}

/// A program can store to its clock's pages. It takes its own image from itself; time goes on for all others, or nothing is
/// judged.
#[test]
fn stores_to_the_clock() {
    assert_eq!(stopped("image"), "not at all");
    check("page", "stored to the page in which its clock is");
}

/// A program can take away the pages that calls are made with in its place: then its calls fail.
#[test]
fn pages_of_the_sandbox_that_are_gone() {
    assert_eq!(stopped("unmap"), "not at all");
    assert_eq!(stopped("cover"), "not at all");
}

#[test]
fn spinning_after_a_restart_is_no_crash_either() {
    let why = stopped_with(&["spin"], |sandbox| {
        // Before its turn has come.
        assert!(sandbox.operate(Operation::Kill(1)).expect("the sandbox works") > 0);
        assert_eq!(sandbox.operate(Operation::Start(1)).expect("the sandbox works"), 1);
    });
    assert!(why.contains("node n2, thread 1: it ran"), "{why}");
}

#[test]
fn spinning_with_calls_that_need_no_stop() {
    check("uid", "of its processor time without a stop");
    check("protect", "of its processor time without a stop");
}

#[test]
fn stops_that_are_no_calls() {
    check("counter", "more than 20000 calls; node n2 was reading the processor's counter");
    check("faults", "more than 20000 calls; node n2 was taking signal 11");
    check("traps", "more than 20000 calls; node n2 was taking signal 5");
    check("alarms", "more than 20000 calls; node n2 was");
}

#[test]
fn calls_by_other_tables() {
    check("int80", "another table than that of x86-64");
    check("x32", "does not know: number 1073741863");
}

#[test]
fn killed_from_outside() {
    let why = stopped_with(&["rest"], |sandbox| {
        support::run_until_ms(sandbox, 10);
        let victim = process_called("rest", "greedy\0rest\0").expect("the guest runs");
        let victim = tracer::Tid(victim.parse().expect("a number"));
        victim.send_process_signal(libc::SIGKILL).expect("the guest can be killed");
    });
    assert!(why.contains("n2") && why.contains("killed from outside the run"), "{why}");
}

#[test]
fn spinning_with_calls() {
    check("calls", "more than 20000 calls; node n2 was making `sched_yield`");
}

#[test]
fn spinning_on_the_clock() {
    check("clock", "more than 20000 calls; node n2 was making `clock_gettime`");
}

#[test]
fn processes_without_end() {
    check("forks", "more than 24 threads");
    check("bomb", "more than 24 threads");
}

#[test]
fn threads_without_end() {
    check("threads", "more than 24 threads");
}

#[test]
fn memory_without_end() {
    check("memory", "bytes of memory");
    check("populate", "bytes of memory");
    check("memfd", "bytes of memory");
}

#[test]
fn memory_is_counted_over_all_processes_and_what_they_share_once() {
    check("together", "bytes of memory together");
    assert_eq!(stopped("shared"), "not at all");
}

/// Then the drive is full, as a guest sees it: deleted files make room.
#[test]
fn files_without_end() {
    let greedy = compiled("greedy.c");
    for what in ["file", "disk"] {
        let ran = sandboxed(&greedy, &[what], 3, small(what));
        support::assert_clean(&ran);
        assert_eq!(ran.stdout, ["ENOSPC 1 after 1048576", "again 4096"], "{what}");
        assert_eq!(ran.stderr, ["sandbox: the drive is full: the files of n1 hold 1048576 bytes"], "{what}");
    }
}

#[test]
fn output_without_end() {
    check("output", "more than 1048576 bytes of output");
}
