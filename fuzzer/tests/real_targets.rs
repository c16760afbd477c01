//! The `fuzz` program on servers that are not ours: those that are installed, a script in Python, and targets that
//! cannot work.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn fuzz(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fuzz"));
    command.current_dir(dir).args(arguments).stdin(Stdio::null()).env_remove("FUZZ_LOG").output().unwrap()
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The directory of a target of ours, if the program that it runs is installed.
fn installed(name: &str, program: &str) -> Option<String> {
    if !Path::new(program).is_file() {
        println!("skipped: {program} is not installed");
        return None;
    }
    Some(repository().join("targets").join(name).display().to_string())
}

/// Random schedules with faults run the same twice, in another process and under another directory; what is told of that,
/// if the program is installed.
fn repeats(name: &str, program: &str) -> Option<String> {
    repeats_with(name, program, &[])
}

/// As [`repeats`], with more arguments.
fn repeats_with(name: &str, program: &str, more: &[&str]) -> Option<String> {
    let target = installed(name, program)?;
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["verify", "--target", &target, "--schedules", "2", "--horizon", "3s", "--seed", "5"];
    let output = fuzz(dir.path(), &[&arguments[..], more].concat());
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let told = told(&output);
    assert!(
        told.contains("2 of 2 schedules of ") && told.contains("ran twice with equal event logs"),
        "{told}"
    );
    Some(told)
}

#[test]
fn five_nodes_of_etcd_repeat() {
    let told = repeats_with("etcd", "/usr/bin/etcd", &["--nodes", "5"]);
    assert!(told.is_none_or(|told| told.contains("of 5 nodes")));
}

#[test]
fn redis_repeats() {
    repeats("redis", "/usr/bin/redis-server");
}

#[test]
fn watches_of_etcd_repeat() {
    repeats("etcd-watch", "/usr/bin/etcd");
}

#[test]
fn transactions_of_etcd_repeat() {
    repeats("etcd-transactions", "/usr/bin/etcd");
}

#[test]
fn redis_as_a_cluster_repeats() {
    repeats("redis-cluster", "/usr/bin/redis-server");
}

#[test]
fn nats_and_its_client_program_repeat() {
    repeats("nats", "/usr/sbin/nats-server");
}

#[test]
fn dqlite_and_its_requests_to_the_disk_repeat() {
    repeats("dqlite", "/usr/bin/dqlite-demo");
}

#[test]
fn tarantool_and_its_failover_repeat() {
    let Some(told) = repeats("tarantool", "/usr/bin/tarantool") else { return };
    // It is linked with OpenSSL's library, which holds the instruction; the C library does not.
    let leaks: Vec<_> = told.lines().filter(|line| line.starts_with("not the sandbox's own: ")).collect();
    assert!(
        leaks.iter().any(|leak| leak.contains("libcrypto") && leak.ends_with("may use RDRAND")),
        "{told}"
    );
    assert!(!leaks.iter().any(|leak| leak.contains("libc.so")), "{told}");
}

/// What is kept of a target is what it was, as far as its programs are those of then.
#[test]
fn a_failover_of_tarantool_rolls_back_what_was_confirmed() {
    let Some(target) = installed("tarantool", "/usr/bin/tarantool") else { return };
    let version = Command::new("/usr/bin/tarantool").arg("--version").output().unwrap();
    if !String::from_utf8_lossy(&version.stdout).starts_with("Tarantool 2.6.0") {
        println!("skipped: this is not Tarantool 2.6.0");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let kept = repository().join("corpora/tarantool/known/acknowledged-element-lost/schedule.toml");
    let output = fuzz(dir.path(), &["replay", "--target", &target, &kept.display().to_string()]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("collection/acknowledged-element-lost"), "{}", told(&output));
}

#[test]
fn a_failover_of_redis_loses_what_was_acknowledged() {
    let Some(target) = installed("redis", "/usr/bin/redis-server") else { return };
    let dir = tempfile::tempdir().unwrap();
    let search =
        ["run", "--target", &target, "--seed", "1", "--cores", "1", "--executions", "40", "--out", "out"];
    let output = fuzz(dir.path(), &[&search[..], &["--stop-after", "1", "--shrink", "0"]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    let again = fuzz(dir.path(), &["replay", &finding(dir.path())]);
    assert_eq!(again.status.code(), Some(1), "{}", told(&again));
}

/// The only finding of a campaign in `out`.
fn finding(dir: &Path) -> String {
    let findings = std::fs::read_dir(dir.join("out/findings")).unwrap();
    findings.map(|entry| entry.unwrap().path().display().to_string()).next().unwrap()
}

/// The toy's directory with its manifest and its server changed.
fn toy(manifest: &[(&str, &str)], server: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, changes) in [("target.toml", manifest), ("server.py", server)] {
        let mut text = std::fs::read_to_string(repository().join("targets/toy").join(name)).unwrap();
        for (from, to) in changes {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, to);
        }
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn search(dir: &Path, executions: &str) -> Output {
    let bounds = ["--seed", "1", "--cores", "1", "--executions", executions, "--stop-after", "1"];
    fuzz(dir, &[&["run", "--target", "./target.toml", "--out", "out", "--shrink", "0"], &bounds[..]].concat())
}

#[test]
fn the_toy_of_the_tutorial_is_found_out_and_mended() {
    let broken = toy(&[], &[]);
    let output = search(broken.path(), "60");
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    let finding = finding(broken.path());
    assert!(finding.contains("lost"), "{finding}");
    let server = broken.path().join("server.py");
    let text = std::fs::read_to_string(&server).unwrap();
    let synced = "self.file.flush()\n        os.fsync(self.file.fileno())";
    let text = text.replace("self.file.flush()", synced);
    // The name of a new file is durable once its directory is synced.
    let rename = "os.rename(f\"{directory}/new\", f\"{directory}/log\")";
    assert!(text.contains(synced) && text.contains(rename));
    let named = format!("{rename}\n        os.fsync(os.open(directory, os.O_RDONLY))");
    std::fs::write(&server, text.replace(rename, &named)).unwrap();
    let mended = fuzz(broken.path(), &["replay", "--allow-changed", "--target", "./target.toml", &finding]);
    assert_eq!(mended.status.code(), Some(0), "{}", told(&mended));
    std::fs::remove_dir_all(broken.path().join("out")).unwrap();
    let clean = search(broken.path(), "40");
    assert_eq!(clean.status.code(), Some(0), "{}", told(&clean));
}

/// A file of the host that the server reads, and that nobody placed: when it changes, a replay says so.
#[test]
fn a_file_of_the_host_that_changed_is_named() {
    let dir = toy(&[], &[]);
    let setting = dir.path().join("setting");
    std::fs::write(&setting, "as it was").unwrap();
    let server = dir.path().join("server.py");
    let text = std::fs::read_to_string(&server).unwrap();
    let first = "    ip, port, directory = sys.argv[1:]";
    let reads = format!("    open({:?}).read()\n{first}", setting.display().to_string());
    assert!(text.contains(first));
    std::fs::write(&server, text.replace(first, &reads)).unwrap();
    let output = search(dir.path(), "60");
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    let finding = finding(dir.path());
    let replay = || fuzz(dir.path(), &["replay", "--target", "./target.toml", &finding]);
    assert_eq!(replay().status.code(), Some(1), "{}", told(&replay()));
    std::fs::write(&setting, "otherwise, and longer").unwrap();
    let output = replay();
    assert_eq!(output.status.code(), Some(3), "{}", told(&output));
    assert!(told(&output).contains("setting is another file than the recorded one"), "{}", told(&output));
}

/// As the last paragraph of the tutorial says: what is appended to a line that was cut short is lost with it.
#[test]
fn the_toy_that_goes_on_after_what_it_read_is_found_out() {
    let anew = "        self.file = open(f\"{directory}/new\", \"wb\")\n        self.append(self.values)\n        \
                os.rename(f\"{directory}/new\", f\"{directory}/log\")\n";
    let on = "        self.file = open(f\"{directory}/log\", \"ab\")\n        os.fsync(os.open(directory, os.O_RDONLY))\n";
    let synced = "self.file.flush()\n        os.fsync(self.file.fileno())";
    let dir = toy(&[], &[(anew, on), ("self.file.flush()", synced)]);
    let output = search(dir.path(), "60");
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
}

/// Exit code 2 and one message that holds all of `parts`.
fn refused(dir: &Path, parts: &[&str]) {
    let output = search(dir, "1");
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    let missing: Vec<_> = parts.iter().filter(|part| !told(&output).contains(**part)).collect();
    assert!(missing.is_empty(), "{missing:?} in {}", told(&output));
}

#[test]
fn a_node_that_ends_at_once_is_named_with_its_last_words() {
    let dir = toy(&[], &[("    ip, port, directory = sys.argv[1:]", "    sys.exit(\"no such flag\")")]);
    refused(dir.path(), &["n1: it ended before the cluster was ready", "no such flag"]);
}

#[test]
fn a_port_that_is_taken_is_told() {
    let twice = (
        "[[node.file]]",
        "beside = [[\"{bin}\", \"-I\", \"-S\", \"{data}/server.py\", \"{ip}\", \"8000\", \"{data}\"]]\n[[node.file]]",
    );
    refused(toy(&[twice], &[]).path(), &["n1: it ended before", "Address already in use"]);
}

#[test]
fn a_program_that_is_not_there_is_told() {
    let dir = toy(&[("/usr/bin/python3", "/no/such/program"), ("package = \"python3\"\n", "")], &[]);
    refused(dir.path(), &["/no/such/program"]);
    let dir = toy(&[("[\"{bin}\", \"-I\"", "[\"/no/such/python\", \"-I\"")], &[]);
    refused(dir.path(), &["/no/such/python"]);
}

#[test]
fn a_client_that_speaks_nonsense_is_told() {
    let text = std::fs::read_to_string(repository().join("targets/toy/target.toml")).unwrap();
    let clients = &text[text.find("[client.http]").unwrap()..];
    let program = "[client.exec]\ncommand = [\"/bin/echo\", \"hello\"]\noperations = [\"read\", \"write\"]\n";
    refused(toy(&[(clients, program)], &[]).path(), &["hello", "no JSON"]);
}

#[test]
fn a_schedule_that_asks_for_what_the_target_has_not_is_told() {
    let dir = toy(&[], &[]);
    let schedule = "version = 1\ntarget = \"toy\"\nnodes = 1\nseed = 1\nhorizon_ms = 500\n\
                    [workload]\nclients = 1\nrate = 5\nkeys = 1\nfamily = \"set\"\n";
    std::fs::write(dir.path().join("schedule.toml"), schedule).unwrap();
    let output = fuzz(dir.path(), &["replay", "--target", "./target.toml", "schedule.toml"]);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    let message = "the schedule's clients work on a set; target `toy` offers register";
    assert!(told(&output).contains(message) && !told(&output).contains("panicked"), "{}", told(&output));
}
