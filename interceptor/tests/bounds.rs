//! Guests that want too much: the run ends, says why, and leaves nothing behind.

mod support;

use interceptor::room::Room;
use interceptor::sandbox::{Limits, Sandbox};
use support::{cluster, compiled, run_while_up};

/// Small bounds, so that the tests are quick. Who takes memory makes no call either, and may be slow at it.
fn small(what: &str) -> Limits {
    Limits {
        calls_max: 20_000,
        output_max: 1 << 20,
        threads_max: 24,
        memory_max: 96 << 20,
        disk_max: 1 << 20,
        spin_ms_max: if what == "spin" { 150 } else { Limits::default().spin_ms_max },
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

/// Runs a greedy guest next to a modest one; why the run was stopped.
fn stopped(what: &str) -> String {
    let greedy = compiled("greedy.c");
    let modest = compiled("cluster.c");
    let room = Room::directory().expect("a room for the test");
    let mut config = cluster(&[(&modest, &["ticker"]), (&greedy, &[what])], 3, small(what));
    let mark = format!("GUEST_OF=bounds-{}-{what}", std::process::id());
    for node in &mut config.nodes {
        let (name, value) = mark.split_once('=').expect("it has one");
        node.environment.push((name.into(), value.into()));
    }
    let mut sandbox = Sandbox::new(&room, config).expect("a sandbox");
    sandbox.start(0).expect("the modest guest starts");
    sandbox.start(1).expect("the greedy guest starts");
    assert!(!processes_with(&mark).is_empty(), "the search finds guests");
    run_while_up(&mut sandbox, 1, 60);
    let why = sandbox.stopped().unwrap_or("not at all").to_owned();
    drop(sandbox);
    assert_eq!(processes_with(&mark), [""; 0], "still running after {what}");
    let left = std::fs::read_dir(room.root()).expect("the room is there").flatten();
    let names = left.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut left: Vec<String> = names.filter(|name| name != ".owner" && name != ".system").collect();
    left.sort();
    assert_eq!(left, [""; 0], "in the room after {what}");
    std::fs::remove_dir_all(room.root()).expect("the room is ours");
    why
}

fn check(what: &str, expected: &str) {
    let why = stopped(what);
    assert!(why.contains(expected) && why.contains("n2"), "{what}: {why}");
}

#[test]
fn spinning_without_a_call() {
    check("spin", "without a system call");
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
}

#[test]
fn files_without_end() {
    check("file", "more than 1048576 bytes of files");
    check("disk", "more than 1048576 bytes of files");
}

#[test]
fn output_without_end() {
    check("output", "more than 1048576 bytes of output");
}
