//! Each family that has checks by name, on a small server: the right one is clean, the one that does several things at
//! once is found out, and what was found breaks again.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

const PYTHON: &str = "/usr/bin/python3";

const TEMPLATES: &str = r#"
[client.http]
port = 8000
[client.http.ask.increment]
method = "POST"
path = "/"
body = '{"f":"increment","key":"{key}","value":{amount}}'
[client.http.ask.read]
method = "POST"
path = "/"
body = '{"f":"read","key":"{key}"}'
answer = "/value"
"#;

const PROGRAM: &str = r#"
[client.exec]
command = ["/usr/bin/python3", "-I", "-S", "{data}/client.py"]
operations = ["increment", "read", "write", "watch", "enqueue", "dequeue", "drain", "transfer", "txn"]
[[client.exec.file]]
path = "client.py"
"#;

const BUGS: [&str; 5] = ["unlocked", "late", "lost", "torn", "minted"];

/// A target whose clients work on `families` and speak as `client` says; its bugs are those of its server.
fn target(client: &str, families: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        r#"
version = 1
name = "families"
nodes = 1
[build]
binary = "{PYTHON}"
[node]
command = ["{{bin}}", "-I", "-S", "{{data}}/server.py", "{{ip}}", "8000", "{{bug}}"]
[[node.file]]
path = "server.py"
[[ready]]
http = "/"
port = 8000
{client}
[workload]
families = {families:?}
[faults]
max_down = 0 # it keeps nothing
# what is left are pauses, after which all clients are served at once
without = ["partition", "link", "delay", "stall", "reset", "clock-jump", "clock-rate", "slow-fsync", "fsync-error", "no-space"]
{bugs}
"#,
        bugs = BUGS.map(|name| format!("[[bug]]\nname = {name:?}\n")).concat()
    );
    std::fs::write(dir.path().join("target.toml"), text).unwrap();
    for name in ["server.py", "client.py"] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/families").join(name);
        std::fs::copy(from, dir.path().join(name)).unwrap();
    }
    dir
}

fn fuzz(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fuzz"));
    command.current_dir(dir).args(arguments).stdin(Stdio::null()).env_remove("FUZZ_LOG").output().unwrap()
}

/// Asserts the exit code.
fn expect(output: &Output, code: i32) -> String {
    let told =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{told}");
    told
}

/// The right server is clean; the other one shows a violation whose signature begins with `signature`, and so does its
/// history, judged once more.
fn tells_right_from_wrong(client: &str, family: &str, signature: &str) {
    // A pause may leave a dequeue without an end, and then nobody can tell whether an element was lost.
    let (clean, settings) = match family {
        "queue" => (&[0, 4][..], &["--set", "duplicates=no"][..]),
        _ => (&[0][..], &[][..]),
    };
    if !Path::new(PYTHON).is_file() {
        println!("skipped: {PYTHON} is not installed");
        return;
    }
    let dir = target(client, &[family]);
    let target = ["run", "--target", "./target.toml", "--horizon", "3s"];
    let search = [&target[..], &["--seed", "3", "--cores", "1", "--shrink", "0"]].concat();
    let right = ["--executions", "3", "--bug", "none", "--out", "right"];
    let output = fuzz(dir.path(), &[&search[..], &right].concat());
    let code = output.status.code().filter(|code| clean.contains(code));
    expect(&output, code.unwrap_or(clean[0]));
    let wrong = ["--executions", "40", "--stop-after", "1", "--bug", "unlocked", "--out", "wrong"];
    let told = expect(&fuzz(dir.path(), &[&search[..], &wrong].concat()), 1);
    assert!(told.contains(&format!(": {signature}")), "{told}");
    let found = std::fs::read_dir(dir.path().join("wrong/findings")).unwrap().next().unwrap().unwrap().path();
    let again =
        expect(&fuzz(dir.path(), &["replay", "--target", "./target.toml", found.to_str().unwrap()]), 1);
    assert!(again.contains("the same run, bit for bit"), "{again}");
    let history = found.join("history.jsonl");
    let told = expect(&fuzz(dir.path(), &[&["check", history.to_str().unwrap()], settings].concat()), 1);
    assert!(told.contains(signature), "{told}");
}

#[test]
fn counters_by_templates() {
    tells_right_from_wrong(TEMPLATES, "counter", "counter/");
}

#[test]
fn counters_by_a_program() {
    tells_right_from_wrong(PROGRAM, "counter", "counter/");
}

#[test]
fn watches() {
    tells_right_from_wrong(PROGRAM, "watch", "watch/");
}

#[test]
fn queues() {
    tells_right_from_wrong(PROGRAM, "queue", "total-queue/duplicated-element");
}

#[test]
fn banks() {
    tells_right_from_wrong(PROGRAM, "bank", "bank/wrong-total");
}

#[test]
fn transactions() {
    tells_right_from_wrong(PROGRAM, "transactions", "list-append/");
}

/// A server that goes back shortly before final reads, without any fault. `recovery_ms` stands for a target that does not
/// promise fresh answers.
#[test]
fn what_is_late_is_told_from_what_is_lost() {
    if !Path::new(PYTHON).is_file() {
        println!("skipped: {PYTHON} is not installed");
        return;
    }
    for (family, flaw, recovery_ms, expected) in [
        ("counter", "late", None, "counter/too-low"),
        ("counter", "late", Some(2_000), "clean"),
        ("counter", "lost", None, "counter/lost-increment"),
        ("counter", "lost", Some(2_000), "counter/lost-increment"),
        ("queue", "late", None, "clean"),
        ("queue", "lost", None, "total-queue/lost-element"),
        ("watch", "late", None, "clean"),
        ("watch", "lost", None, "watch/missed-change"),
        ("bank", "torn", None, "bank/wrong-total"),
        ("bank", "torn", Some(2_000), "clean"),
        ("bank", "minted", Some(2_000), "bank/wrong-total"),
    ] {
        let dir = target(PROGRAM, &[family]);
        let manifest = dir.path().join("target.toml");
        if let Some(ms) = recovery_ms {
            let text = std::fs::read_to_string(&manifest).unwrap();
            std::fs::write(&manifest, format!("{text}[oracles]\nfresh = false\nrecovery_ms = {ms}\n"))
                .unwrap();
        }
        let schedule = format!(
            "version = 1\ntarget = \"families\"\nbugs = [\"{flaw}\"]\nnodes = 1\nseed = 7\nhorizon_ms = 1000\n\
             [workload]\nclients = 3\nrate = 40\nkeys = 2\n"
        );
        std::fs::write(dir.path().join("schedule.toml"), schedule).unwrap();
        let replay = ["replay", "schedule.toml", "--target", "./target.toml", "--keep", "kept"];
        let code = i32::from(expected != "clean");
        let output = fuzz(dir.path(), &replay);
        let about = format!("{family} {flaw} {recovery_ms:?}");
        let told = expect(&output, code);
        assert!(told.contains(expected), "{about}: {told}");
        let story = std::fs::read_to_string(dir.path().join("kept/story.md")).unwrap_or_default();
        match (family, flaw) {
            ("counter", "late") if code == 1 => assert!(story.contains("it was late"), "{story}"),
            ("counter", "lost") => assert!(story.contains("at least"), "{story}"),
            _ => {}
        }
    }
}

#[test]
fn all_of_them_repeat() {
    if !Path::new(PYTHON).is_file() {
        println!("skipped: {PYTHON} is not installed");
        return;
    }
    let dir = target(PROGRAM, &["counter", "watch", "queue", "bank", "transactions"]);
    let verify =
        ["verify", "--target", "./target.toml", "--schedules", "6", "--horizon", "2s", "--seed", "5"];
    let told = expect(&fuzz(dir.path(), &verify), 0);
    assert!(told.contains("6 of 6 schedules of 1 node ran twice with equal event logs"), "{told}");
}
