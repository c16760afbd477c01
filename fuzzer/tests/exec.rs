//! `fuzz exec` from outside: what its help promises.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::disallowed_types, reason = "a bound on waiting for processes")]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Exit code, standard output and standard error of `fuzz exec` in a directory.
fn exec_in(dir: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_fuzz"))
        .current_dir(dir)
        .arg("exec")
        .args(arguments)
        .stdin(Stdio::null())
        .env_remove("FUZZ_LOG")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn exec(arguments: &[&str]) -> (i32, String, String) {
    exec_in(tempfile::tempdir().unwrap().path(), arguments)
}

fn shell(script: &str) -> [&str; 4] {
    ["--", "sh", "-c", script]
}

#[test]
fn what_a_program_writes_is_on_its_streams_and_its_end_is_told() {
    let (code, out, err) = exec(&shell("echo out; echo err >&2; exit 3"));
    assert_eq!((code, out.as_str()), (1, "out\n"), "{err}");
    assert!(err.starts_with("err\nended with status 3\n"), "{err}");
    let (code, _, err) = exec(&shell("kill -SEGV $$"));
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("ended by signal 11"), "{err}");
    let (code, _, err) = exec(&shell("true"));
    assert_eq!(code, 0, "{err}");
    assert!(err.contains(" calls · hash ") && !err.contains("refused"), "{err}");
}

#[test]
fn time_is_its_own_and_bounded() {
    let (code, out, err) = exec(&["--time", "2h", "--", "sh", "-c", "sleep 3600; echo over"]);
    assert_eq!((code, out.as_str()), (0, "over\n"), "{err}");
    let (code, out, err) = exec(&["--time", "1s", "--", "sh", "-c", "sleep 3600; echo over"]);
    assert_eq!((code, out.as_str()), (0, ""), "{err}");
    assert!(err.contains("was still running after 1s; --time gives it more"), "{err}");
}

#[test]
fn equal_seeds_give_equal_runs_and_others_do_not() {
    let draw = ["--", "sh", "-c", "od -An -N8 -tx1 /dev/urandom; date +%N"];
    let run = |flags: &[&str]| exec(&[flags, &draw].concat());
    let (code, first, err) = run(&["--times", "3"]);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("3 runs, all the same"), "{err}");
    assert_eq!(first, run(&["--seed", "1"]).1);
    assert_ne!(first, run(&["--seed", "2"]).1);
}

#[test]
fn calls_that_are_not_carried_are_told_by_name() {
    let script = "import socket\ntry: socket.socket(16, 3, 0)\nexcept OSError: pass\n";
    let (code, _, err) = exec(&["--", "python3", "-c", script]);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("refused: socket (domain 16, type 3, protocol 0): EAFNOSUPPORT"), "{err}");
}

#[test]
fn nodes_know_their_places_and_find_their_files() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("greeting"), "hello").unwrap();
    let flags = ["--node-count", "2", "--file", "greeting=etc/greeting", "--env", "WHO=node {id}"];
    let script = "echo $(cat etc/greeting) $WHO {ip} of {nodes}";
    let (code, out, err) = exec_in(dir.path(), &[&flags[..], &shell(script)[..]].concat());
    assert_eq!(code, 0, "{err}");
    let mut lines: Vec<&str> = out.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["n1 hello node 1 10.0.0.1 of 2", "n2 hello node 2 10.0.0.2 of 2"]);
}

#[test]
fn its_calls_are_written_and_machines_read_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let (code, out, err) =
        exec_in(dir.path(), &["--json", "--calls", "calls.log", "--", "sh", "-c", "echo out; exit 1"]);
    assert_eq!(code, 1, "{err}");
    let lines: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines[0]["event"].as_str(), lines[0]["text"].as_str()), (Some("line"), Some("out")));
    let ran = &lines[1]["result"];
    assert_eq!((&ran["ends"][0]["status"], ran["hash"].as_str().unwrap().len()), (&serde_json::json!(1), 64));
    let calls = std::fs::read_to_string(dir.path().join("calls.log")).unwrap();
    assert!(calls.contains("write(0x1, ") && calls.contains("exit_group(0x1)"), "{calls}");
}

#[test]
fn what_cannot_be_run_is_refused_by_name() {
    for (arguments, told) in [
        (&["--", "no-such-program"][..], "no program `no-such-program` in PATH"),
        (&["--", "./nothing"], "No such file"),
        (&["--", "/etc"], "is a directory, and no program"),
        (&["--env", "X", "--", "true"], "write NAME=VALUE"),
        (&["--file", "nothing=x", "--", "true"], "cannot place nothing: No such file"),
        (&["--file", "nothing=../x", "--", "true"], "inside the data directory"),
        (&["--times", "2", "--clock", "real", "--", "true"], "compares nothing"),
        (&[], "PROGRAM"),
    ] {
        let (code, _, err) = exec(arguments);
        assert_eq!(code, 2, "{arguments:?}: {err}");
        assert!(err.contains(told), "{arguments:?}: {err}");
    }
}

/// The last word of what interrupted programs run once they have written what they write.
const MARK: &str = "has-written";

/// Waits until a guest of this `fuzz` runs what ends in [`MARK`].
fn await_mark(child: &Child) {
    let begun = Instant::now();
    let traced = format!("TracerPid:\t{}", child.id());
    let is_marked = |process: &Path| {
        let read = |name| std::fs::read_to_string(process.join(name)).unwrap_or_default();
        read("cmdline").ends_with(&format!("\0{MARK}\0")) && read("status").lines().any(|line| line == traced)
    };
    while !std::fs::read_dir("/proc").unwrap().flatten().any(|entry| is_marked(&entry.path())) {
        assert!(begun.elapsed() < Duration::from_secs(30), "the program does not come up");
        std::thread::yield_now();
    }
}

/// Runs it, and sends this signal when it has written what it writes: exit code, standard output, standard error.
fn interrupted(flags: &[&str], then: &str, signal: Signal) -> (Option<i32>, String, String) {
    let script = format!("echo out {{id}}; echo err >&2; exec sh -c '{then}' {MARK}");
    let child = Command::new(env!("CARGO_BIN_EXE_fuzz"))
        .arg("exec")
        .args(flags)
        .args(shell(&script))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    await_mark(&child);
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn what_was_written_before_an_interruption_is_shown() {
    let (sleeps, spins) = ("while :; do sleep 1; done", "while :; do :; done");
    for (flags, then, signal) in [
        (&["--time", "9000h"][..], sleeps, Signal::SIGINT),
        (&[], spins, Signal::SIGTERM),
        (&["--clock", "real", "--time", "1h"], "sleep 3000; :", Signal::SIGINT),
        (&["--time", "9000h"], sleeps, Signal::SIGHUP),
        (&["--time", "9000h"], sleeps, Signal::SIGQUIT),
    ] {
        let (code, out, err) = interrupted(flags, then, signal);
        assert_eq!((code, out.as_str()), (Some(130), "out 1\n"), "{flags:?} {then}: {err}");
        assert!(err.starts_with("err\nwas still running\nthe run was ended: it was interrupted\n"), "{err}");
        assert!(err.contains(" s of its time · ") && !err.contains("hash"), "{err}");
    }
    let (code, out, err) = interrupted(&["--node-count", "2", "--time", "9000h"], sleeps, Signal::SIGINT);
    assert_eq!(code, Some(130), "{err}");
    assert!(
        out.contains("out ") && err.contains("n1: was still running\nn2: was still running\n"),
        "{out}{err}"
    );
}
