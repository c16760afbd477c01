//! The demo cluster by the host's clock: what is found has a rate, is shrunk by trials, and nothing is left behind.
//!
//! A busy machine makes everything late here, so only what holds in any case is asserted. The bug of the schedule shows
//! whenever a leader is cut off while clients write, and each node is cut off in its turn.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::disallowed_types, reason = "a bound on waiting for processes")]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

mod support;

const SCHEDULE: &str = r#"
version = 1
target = "raft-demo"
bugs = ["premature-commit"]
nodes = 3
seed = 7
horizon_ms = 1500
workload = { clients = 3, rate = 30, keys = 2 }

[[step]]
when = { at_ms = 150 }
fault = { kind = "partition", side = ["n1"], direction = "both", for_ms = 400 }
[[step]]
when = { at_ms = 600 }
fault = { kind = "partition", side = ["n2"], direction = "both", for_ms = 400 }
[[step]]
when = { at_ms = 1050 }
fault = { kind = "partition", side = ["n3"], direction = "both", for_ms = 400 }
"#;

/// A checkout whose target is the demo's program as the tests are built, with the schedule in it.
fn checkout() -> tempfile::TempDir {
    let text = support::manifest();
    // A busy machine may take its time.
    let patient = "[oracles]\nrecovery_ms = 60000\n\n[client.kv-http]";
    assert!(!text.contains("[oracles]") && text.contains("[client.kv-http]"), "{text}");
    let dir = support::checkout(&text.replace("[client.kv-http]", patient));
    std::fs::write(dir.path().join("schedule.toml"), SCHEDULE).unwrap();
    std::fs::write(dir.path().join("correct.toml"), SCHEDULE.replace("\"premature-commit\"", "")).unwrap();
    dir
}

fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fuzz"));
    command.current_dir(dir).args(arguments).stdin(Stdio::null()).env_remove("FUZZ_LOG");
    command
}

fn fuzz(dir: &Path, arguments: &[&str]) -> Output {
    command(dir, arguments).output().unwrap()
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// How often a replay says that it broke, of how many runs.
fn rate(output: &Output) -> (u64, u64) {
    let text = told(output);
    let line = text.lines().find(|line| line.contains(" runs (")).unwrap_or_else(|| panic!("{text}"));
    let words: Vec<&str> = line.split_whitespace().collect();
    let of = words.iter().position(|word| *word == "of").unwrap();
    (words[of - 1].parse().unwrap(), words[of + 1].parse().unwrap())
}

#[test]
fn a_finding_has_a_rate_and_is_shrunk_by_trials() {
    let dir = checkout();
    let place = dir.path();
    let clock = ["--no-build", "--clock", "real"];
    let replay = || {
        let arguments = ["replay", "schedule.toml", "--times", "1", "--keep", "finding"];
        let again = fuzz(place, &[&arguments[..], &clock].concat());
        let (shown, runs) = rate(&again);
        assert_eq!((runs, again.status.code()), (1, Some(i32::from(shown > 0))), "{}", told(&again));
        assert!(!told(&again).contains("bit for bit ("), "{}", told(&again));
        shown
    };
    assert!((0..5).any(|_| replay() > 0), "a leader that is cut off commits alone");
    let correct = fuzz(place, &[&["replay", "correct.toml", "--times", "1"][..], &clock].concat());
    assert_eq!((rate(&correct), correct.status.code()), ((0, 1), Some(0)), "{}", told(&correct));
    let environment = std::fs::read_to_string(place.join("finding/environment.toml")).unwrap();
    assert!(environment.contains("clock = \"real\""), "{environment}");
    // As recorded: by the real clock, without being told.
    let replay = fuzz(place, &["replay", "finding", "--no-build", "--times", "1"]);
    let (shown, runs) = rate(&replay);
    assert_eq!((runs, told(&replay).contains("clock real")), (1, true), "{}", told(&replay));
    assert!(
        matches!((shown, replay.status.code()), (1, Some(1)) | (0, Some(1 | 3 | 4))),
        "{}",
        told(&replay)
    );
    let shrunk = fuzz(place, &["shrink", "finding", "--no-build", "--executions", "2"]);
    if shrunk.status.code() == Some(1) {
        assert!(told(&shrunk).contains("it broke again in "), "{}", told(&shrunk));
        let story = std::fs::read_to_string(place.join("finding/story.md")).unwrap();
        assert!(story.contains("How surely it breaks again"), "{story}");
    }
}

#[test]
fn nothing_is_verified_by_the_real_clock() {
    let dir = checkout();
    let output = fuzz(dir.path(), &["verify", "--no-build", "--clock", "real"]);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(told(&output).contains("pass --clock virtual"), "{}", told(&output));
    let unknown = fuzz(dir.path(), &["run", "--no-build", "--clock", "atomic"]);
    assert_eq!(unknown.status.code(), Some(2), "{}", told(&unknown));
}

/// Processes whose environment has this text.
fn marked(mark: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let has_it = |entry: &std::fs::DirEntry| {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        environment.windows(mark.len()).any(|window| window == mark.as_bytes())
    };
    entries.filter(has_it).count()
}

#[test]
fn a_killed_run_leaves_no_process() {
    let dir = checkout();
    let manifest = dir.path().join("targets/raft-demo/target.toml");
    let mark = format!("MARK=real-clock-{}", std::process::id());
    let (name, value) = mark.split_once('=').unwrap();
    let text = std::fs::read_to_string(&manifest).unwrap();
    assert!(!text.contains("\nenv ="), "the demo's nodes need no environment");
    std::fs::write(
        &manifest,
        text.replace("[node]\n", &format!("[node]\nenv = {{ {name} = \"{value}\" }}\n")),
    )
    .unwrap();
    let arguments = ["replay", "schedule.toml", "--no-build", "--clock", "real", "--times", "100"];
    let mut child =
        command(dir.path(), &arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let wait = |until: &dyn Fn() -> bool| {
        let begun = Instant::now();
        while !until() && begun.elapsed() < Duration::from_secs(60) {
            std::thread::yield_now();
        }
        assert!(until(), "in a minute");
    };
    wait(&|| marked(&mark) >= 3);
    child.kill().unwrap();
    child.wait().unwrap();
    wait(&|| marked(&mark) == 0);
}
