//! Whether clients were served at all, and whether what they miss is late or lost, through the `fuzz` program and a small
//! server with a flaw that shows without any fault.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

const PYTHON: &str = "/usr/bin/python3";

/// A target whose server has this flaw, and whose changes are asked for at `path`.
fn target(flaw: &str, families: &str, path: &str, oracles: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        r#"
version = 1
name = "served"
nodes = 1
[build]
binary = "{PYTHON}"
[node]
command = ["{{bin}}", "-I", "-S", "{{data}}/server.py", "{{ip}}", "8000", "{{data}}", "{flaw}"]
[[node.file]]
path = "server.py"
[[ready]]
http = "/health"
port = 8000
[client.http]
port = 8000
[client.http.ask.read]
path = "/v/{{key}}"
answer = "/value"
[client.http.ask.write]
method = "PUT"
path = "{path}/{{key}}"
body = '{{"value":"{{value}}"}}'
[client.http.ask.elements]
path = "/s/{{key}}"
answer = "/elements/*"
[client.http.ask.add]
method = "POST"
path = "/s/{{key}}"
body = '{{"value":"{{value}}"}}'
[workload]
families = ["{families}"]
[oracles]
{oracles}
"#
    );
    std::fs::write(dir.path().join("target.toml"), text).unwrap();
    let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/served/server.py");
    std::fs::copy(server, dir.path().join("server.py")).unwrap();
    let schedule = "version = 1\ntarget = \"served\"\nbugs = []\nnodes = 1\nseed = 7\nhorizon_ms = 1000\n\
                    [workload]\nclients = 3\nrate = 40\nkeys = 2\n";
    std::fs::write(dir.path().join("schedule.toml"), schedule).unwrap();
    dir
}

fn fuzz(dir: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fuzz"));
    let output: Output = command
        .current_dir(dir)
        .args(arguments)
        .stdin(Stdio::null())
        .env_remove("FUZZ_LOG")
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn is_missing(program: &str) -> bool {
    let is_missing = !Path::new(program).exists();
    if is_missing {
        eprintln!("skipped: there is no {program}");
    }
    is_missing
}

#[test]
fn a_target_that_refuses_every_write_is_not_clean() {
    if is_missing(PYTHON) {
        return;
    }
    let target = target("none", "register", "/wrong", "");
    let sentence = "no write ever succeeded: ";
    let answer = "most often \"404 Not Found\"";
    let run = [
        "run",
        "--target",
        "./target.toml",
        "--executions",
        "2",
        "--cores",
        "1",
        "--horizon",
        "1s",
        "--seed",
        "1",
    ];
    let (code, out, err) = fuzz(target.path(), &run);
    assert_eq!(code, Some(4), "{out}{err}");
    assert!(out.contains(sentence) && out.contains(answer) && out.contains("look at [client]"), "{out}");
    assert!(out.contains("operations  read ") && err.contains("operations "), "{out}{err}");
    let events = std::fs::read_to_string(target.path().join("fuzz-out/served/events.jsonl")).unwrap();
    let last: serde_json::Value = serde_json::from_str(events.lines().last().unwrap()).unwrap();
    let write = &last["summary"]["operations"]["counts"]["write"];
    assert!(write["ok"] == 0 && write["failed"].as_u64() > Some(0), "{last}");
    let smoke = [
        "smoke",
        "--target",
        "./target.toml",
        "--executions",
        "1",
        "--cores",
        "1",
        "--junit",
        "out.xml",
        "--out",
        "smoke",
    ];
    let (code, out, err) = fuzz(target.path(), &smoke);
    assert_eq!(code, Some(4), "{out}{err}");
    let xml = std::fs::read_to_string(target.path().join("out.xml")).unwrap();
    assert!(xml.contains("type=\"unknown\"") && xml.contains(sentence), "{xml}");
    assert!(xml.contains("<system-out>operations: read "), "{xml}");
    let (code, out, err) = fuzz(target.path(), &["replay", "schedule.toml", "--target", "./target.toml"]);
    assert_eq!(code, Some(4), "{out}{err}");
    assert!(out.contains(sentence) && out.contains(answer) && out.contains("operations: read "), "{out}");
    let (code, out, err) =
        fuzz(target.path(), &["verify", "--target", "./target.toml", "--schedules", "1", "--horizon", "1s"]);
    assert_eq!(code, Some(4), "{out}{err}");
    assert!(out.contains("1 of 1 schedules") && out.contains("the run without faults is unknown: "), "{out}");
}

#[test]
fn a_target_that_serves_is_clean() {
    if is_missing(PYTHON) {
        return;
    }
    let target = target("none", "register", "/v", "");
    let replay = ["replay", "schedule.toml", "--target", "./target.toml", "--times", "2"];
    let (code, out, err) = fuzz(target.path(), &replay);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("2 of 2 runs are the same, bit for bit"), "{out}");
    let verify = ["verify", "--target", "./target.toml", "--schedules", "2", "--horizon", "1s"];
    let (code, out, err) = fuzz(target.path(), &verify);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("the run without faults is clean") && out.contains("judged: "), "{out}");
}

#[test]
fn what_is_late_is_stale_and_what_is_gone_is_lost() {
    if is_missing(PYTHON) {
        return;
    }
    for (flaw, families, oracles, expected) in [
        ("late", "set", "", "collection/stale-elements"),
        ("late", "set", "fresh = false\nrecovery_ms = 2000", "clean"),
        ("lost", "set", "fresh = false\nrecovery_ms = 2000", "collection/acknowledged-element-lost"),
        ("late", "register", "", "linearizability/stale-read"),
        ("lost", "register", "", "durability/acknowledged-write-lost"),
    ] {
        let target = target(flaw, families, "/v", oracles);
        let replay = ["replay", "schedule.toml", "--target", "./target.toml", "--keep", "found"];
        let (code, out, err) = fuzz(target.path(), &replay);
        let expected_code = if expected == "clean" { 0 } else { 1 };
        assert_eq!(code, Some(expected_code), "{flaw} {families}: {out}{err}");
        assert!(out.contains(expected), "{flaw} {families}: {out}");
        if expected.ends_with("-lost") {
            let story = std::fs::read_to_string(target.path().join("found/story.md")).unwrap();
            assert!(story.contains("after a change"), "{story}");
            assert!(story.contains(" by n1"), "{story}");
        }
    }
}

#[test]
fn a_control_run_that_fails_shows_what_the_crash_said_last() {
    if is_missing(PYTHON) {
        return;
    }
    let target = target("crash", "register", "/v", "");
    let run = ["run", "--target", "./target.toml", "--executions", "1", "--cores", "1", "--horizon", "1s"];
    let (code, out, err) = fuzz(target.path(), &run);
    assert_eq!(code, Some(2), "{out}{err}");
    assert!(
        err.contains("exit/unexpected-status-7") && err.contains("n1: the store is out of ideas"),
        "{err}"
    );
    let verify = ["verify", "--target", "./target.toml", "--schedules", "1", "--horizon", "1s"];
    let (code, out, err) = fuzz(target.path(), &verify);
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(out.contains("the run without faults violates exit/unexpected-status-7"), "{out}");
    assert!(out.contains("n1: the store is out of ideas"), "{out}");
}

#[test]
fn a_line_of_the_log_tells_who_leads() {
    if is_missing(PYTHON) {
        return;
    }
    let target = target("leads", "register", "/v", "");
    let manifest = target.path().join("target.toml");
    let role = |line: &str| {
        let text = std::fs::read_to_string(&manifest).unwrap();
        let head = text.split("[[role]]").next().unwrap();
        std::fs::write(&manifest, format!("{head}[[role]]\nname = \"leader\"\nline = \"{line}\"\n")).unwrap();
    };
    role("became leader at term {term}");
    let replay = ["replay", "schedule.toml", "--target", "./target.toml", "--keep", "seen"];
    let (code, out, err) = fuzz(target.path(), &replay);
    assert_eq!(code, Some(0), "{out}{err}");
    let story = std::fs::read_to_string(target.path().join("seen/story.md")).unwrap();
    assert!(story.contains("n1 becomes leader in term 4"), "{story}");
    // The same run again: what is read of the log is a part of it.
    let (code, out, err) = fuzz(target.path(), &["replay", "seen", "--target", "./target.toml"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("the same run, bit for bit"), "{out}");
    role("became {who}");
    let (code, _, err) = fuzz(target.path(), &["targets", "--check", "./target.toml"]);
    assert!(code == Some(2) && err.contains("[[role]] leader: line: `{who}` is not known"), "{err}");
}

#[test]
fn nodes_are_asked_what_they_are() {
    if is_missing(PYTHON) {
        return;
    }
    let ask = "import sys,urllib.request as r;print('Mode:',eval(r.urlopen('http://'+sys.argv[1]+':8000/status').read()\
               .decode().replace('null','None'))['state'])";
    let program = format!("program = [\"{PYTHON}\", \"-I\", \"-S\", \"-c\", \"\"\"{ask}\"\"\", \"{{ip}}\"]");
    let line = "[[role]]\nname = \"leader\"\nline = \"Mode: Leader\"\n";
    let http = |rest: &str| format!("http = \"/status\"\nport = 8000\n{rest}");
    for (status, becomes) in [
        (http("role = \"/state\"\nterm = \"/term\""), "n1 becomes leader in term 4"),
        (http("leader = { at = \"/leader\", is = \"n{id}\" }"), "n1 becomes leader"),
        (
            http("leader = { at = \"/leader\", is = \"/me\" }\nterm = \"/term\""),
            "n1 becomes leader in term 4",
        ),
        (format!("{program}\nevery_ms = 100\n{line}"), "n1 becomes leader"),
    ] {
        let target = target("leads", "register", "/v", "");
        let manifest = target.path().join("target.toml");
        let text = std::fs::read_to_string(&manifest).unwrap();
        std::fs::write(&manifest, format!("{text}\n[[status]]\n{status}\n")).unwrap();
        let replay = ["replay", "schedule.toml", "--target", "./target.toml", "--keep", "seen"];
        let (code, out, err) = fuzz(target.path(), &replay);
        assert_eq!(code, Some(0), "{status}: {out}{err}");
        let story = std::fs::read_to_string(target.path().join("seen/story.md")).unwrap();
        assert!(story.contains(becomes), "{status}: {story}");
        // Who asks is no part of what clients and nodes do; the questions are a part of the run.
        let seen = std::fs::read_to_string(target.path().join("seen/events.jsonl")).unwrap_or_default();
        assert!(!seen.contains("/status"), "{status}");
        let (code, out, err) = fuzz(target.path(), &["replay", "seen", "--target", "./target.toml"]);
        assert_eq!(code, Some(0), "{status}: {out}{err}");
        assert!(out.contains("the same run, bit for bit"), "{status}: {out}");
    }
}
