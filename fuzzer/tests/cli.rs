//! The command line from outside: only the `fuzz` program is run, in a directory with a target whose binary never has to
//! run.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

const TOY: &str = r#"version = 1
name = "toy"
about = "three nodes that agree"
nodes = 3
[build]
command = ["sh", "-c", "mkdir -p out && printf toy > out/toy"]
binary = "out/toy"
[node]
command = ["{bin}", "--id", "{id}"]
[[ready]]
http = "/status"
port = 8000
[client.kv-http]
port = 8000
[sets]
demo = ["stale-read"]
[[bug]]
name = "stale-read"
story = "answers from memory"
level = 1
[[bug]]
name = "lost-write"
story = "acknowledges before fsync"
level = 2
"#;

const SCHEDULE: &str = "version = 1\ntarget = \"toy\"\nbugs = []\nnodes = 3\nseed = 7\nhorizon_ms = 1000\n\
                        [workload]\nclients = 1\nrate = 1\nkeys = 1\n";

/// A checkout with the target `toy`.
fn checkout() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("targets/toy")).unwrap();
    std::fs::write(dir.path().join("targets/toy/target.toml"), TOY).unwrap();
    std::fs::write(dir.path().join("schedule.toml"), SCHEDULE).unwrap();
    dir
}

fn fuzz(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fuzz"));
    command.current_dir(dir).args(arguments).stdin(Stdio::null()).env_remove("FUZZ_LOG").output().unwrap()
}

/// Exit code and standard error of a command that is refused; nothing is on standard output.
fn refusal(dir: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = fuzz(dir, arguments);
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn help_teaches_by_example() {
    let dir = checkout();
    for (arguments, parts) in [
        (
            vec!["--help"],
            vec!["Examples:", "fuzz run --target raft-demo --time 60s", "Exit codes:", "130 interrupted"],
        ),
        (
            vec!["run", "--help"],
            vec!["--stop-after", "fuzz run --target raft-demo --seed 7", "none` is the correct build"],
        ),
        (vec!["replay", "--help"], vec!["--allow-changed", "bit for bit"]),
        (vec!["verify", "--help"], vec!["--load", "Exit code 3"]),
    ] {
        let output = fuzz(dir.path(), &arguments);
        assert_eq!(output.status.code(), Some(0));
        for part in parts {
            let text = stdout(&output).split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(text.contains(part), "{arguments:?}: {part}");
        }
    }
    let version = stdout(&fuzz(dir.path(), &["--version"]));
    assert_eq!(version.trim(), format!("fuzz {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn unknown_names_suggest_the_nearest() {
    let dir = checkout();
    for (arguments, message) in [
        (vec!["run", "--target", "tpy"], "fuzz: unknown target `tpy`: did you mean `toy`?\n"),
        (
            vec!["run", "--target", "toy", "--bug", "stale-raed"],
            "fuzz: target `toy` has no bug or set `stale-raed`: did you mean `stale-read`?\n",
        ),
        (
            vec!["run", "--target", "toy", "--bug", "none", "--agent", "unifrom"],
            "fuzz: unknown agent `unifrom`: did you mean `uniform`?\n",
        ),
        (
            vec!["run", "--target", "toy", "--bug", "none", "--workload", "regster"],
            "fuzz: target `toy` has no workload `regster`: did you mean `register`?\n",
        ),
        (
            vec!["run", "--target", "toy", "--bug", "none", "--launcher", "docker"],
            "fuzz: target `toy` has no image: give it a [docker] table in targets/toy/target.toml\n",
        ),
        (vec!["targets", "to"], "fuzz: unknown target `to`: did you mean `toy`?\n"),
    ] {
        assert_eq!(refusal(dir.path(), &arguments), (Some(2), message.to_owned()));
    }
}

#[test]
fn usage_errors_exit_with_2() {
    let dir = checkout();
    for arguments in [
        vec![],
        vec!["rnu"],
        vec!["run", "--time", "60"],
        vec!["run", "--executions", "0"],
        vec!["run", "--seed", "18446744073709551615"],
        vec!["run", "--nodes", "10"],
        vec!["replay"],
    ] {
        assert_eq!(refusal(dir.path(), &arguments).0, Some(2), "{arguments:?}");
    }
    let (_, message) = refusal(dir.path(), &["run", "--time", "60"]);
    assert!(message.contains("`60` is not a duration; write 500ms, 60s, 5m or 1h30m"), "{message}");
}

#[test]
fn a_schedule_that_cannot_be_run_is_refused_with_its_place() {
    let dir = checkout();
    for (from, to, part) in [
        ("version = 1", "version = 2\nwonder = 1", "written by a newer version"),
        ("seed = 7", "seed = ", "line 5"),
        ("nodes = 3", "nodes = 0", "nodes: 0 is out of range"),
        ("bugs = []", "bugs = [\"stale-raed\"]", "did you mean `stale-read`?"),
        ("target = \"toy\"", "target = \"tpy\"", "unknown target `tpy`: did you mean `toy`?"),
    ] {
        std::fs::write(dir.path().join("bad.toml"), SCHEDULE.replacen(from, to, 1)).unwrap();
        let (code, message) = refusal(dir.path(), &["replay", "bad.toml"]);
        assert_eq!(code, Some(2));
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_missing_or_incomplete_finding_says_what_is_missing() {
    let dir = checkout();
    let (code, message) = refusal(dir.path(), &["replay", "nowhere"]);
    assert_eq!(code, Some(2));
    assert!(
        message.contains("nowhere: no such file or directory; pass the directory of a finding"),
        "{message}"
    );
    let finding = dir.path().join("finding");
    std::fs::create_dir(&finding).unwrap();
    std::fs::write(finding.join("hash.txt"), "ab\n").unwrap();
    assert!(refusal(dir.path(), &["replay", "finding"]).1.contains("there is no schedule.toml in it"));
    std::fs::write(finding.join("schedule.toml"), SCHEDULE).unwrap();
    let (code, message) = refusal(dir.path(), &["replay", "finding"]);
    assert_eq!(code, Some(2));
    assert!(message.contains("verdict.json is missing though hash.txt is there"), "{message}");
    assert_eq!(refusal(dir.path(), &["shrink", "schedule.toml"]).0, Some(2));
}

#[test]
fn another_binary_than_the_recorded_one_is_refused_before_anything_runs() {
    let dir = checkout();
    let finding = dir.path().join("finding");
    std::fs::create_dir(&finding).unwrap();
    let digest = "ab".repeat(32);
    let environment = format!(
        "version = 1\nfuzz = \"0.1.0\"\ntarget = \"toy\"\nbinary_sha256 = \"{digest}\"\nmanifest_sha256 = \"{digest}\"\n\
         kernel = \"\"\ncpu = \"\"\ncores = 1\ncommand = []\n"
    );
    let verdict = "{\"violation\":{\"signature\":\"a/b\",\"oracle\":\"a\",\"summary\":\"\",\
                   \"evidence\":{\"entries\":[],\"lines\":[]},\"at_ns\":0}}";
    for (name, text) in [
        ("schedule.toml", SCHEDULE),
        ("hash.txt", &digest),
        ("environment.toml", &environment),
        ("verdict.json", verdict),
    ] {
        std::fs::write(finding.join(name), text).unwrap();
    }
    let (code, message) = refusal(dir.path(), &["replay", "finding"]);
    assert_eq!(code, Some(2));
    assert!(message.contains("the binary of toy is not the recorded one"), "{message}");
    assert!(message.contains("--allow-changed"), "{message}");
}

#[test]
fn targets_are_listed_for_people_and_for_programs() {
    let dir = checkout();
    let text = stdout(&fuzz(dir.path(), &["targets"]));
    insta::assert_snapshot!(text, @"
    toy (3 nodes): three nodes that agree
      set demo: stale-read
      stale-read  level 1  answers from memory
      lost-write  level 2  acknowledges before fsync
    ");
    let json = stdout(&fuzz(&dir.path().join("targets/toy"), &["targets", "--json"]));
    let value: serde_json::Value = serde_json::from_str(json.trim()).unwrap();
    assert_eq!(value["name"], "toy");
    assert_eq!(value["sets"]["demo"][0], "stale-read");
    assert_eq!(value["bugs"][1]["level"], 2);
}

#[test]
fn a_broken_manifest_is_named_with_line_and_column() {
    let dir = checkout();
    std::fs::write(dir.path().join("targets/toy/target.toml"), TOY.replace("nodes = 3", "nodes = \"3\""))
        .unwrap();
    let (code, message) = refusal(dir.path(), &["targets"]);
    assert_eq!(code, Some(2));
    assert!(
        message.starts_with("fuzz: targets/toy/target.toml: TOML parse error at line 4, column 9"),
        "{message}"
    );
    std::fs::write(dir.path().join("targets/toy/target.toml"), TOY.replace("version = 1", "version = 9"))
        .unwrap();
    assert!(
        refusal(dir.path(), &["targets"])
            .1
            .contains("manifest version 9 is newer than this program reads (1)")
    );
}

#[test]
fn a_failed_build_shows_the_end_of_its_output() {
    let dir = checkout();
    let broken = TOY.replace("mkdir -p out && printf toy > out/toy", "echo no compiler >&2; exit 7");
    std::fs::write(dir.path().join("targets/toy/target.toml"), broken).unwrap();
    let (code, message) = refusal(dir.path(), &["run", "--target", "toy"]);
    assert_eq!(code, Some(2));
    assert!(message.contains("exited with 7\nno compiler"), "{message}");
}

#[test]
fn a_junit_report_that_cannot_be_written_is_refused_first() {
    let dir = checkout();
    let (code, message) =
        refusal(dir.path(), &["smoke", "--target", "toy", "--junit", "no/such/dir/out.xml"]);
    assert_eq!(code, Some(2));
    assert!(message.contains("cannot write no/such/dir/out.xml"), "{message}");
}

#[test]
fn the_doctor_reports_every_check() {
    let dir = checkout();
    let output = fuzz(dir.path(), &["doctor", "--json"]);
    assert!(matches!(output.status.code(), Some(0 | 2)));
    let report: serde_json::Value = serde_json::from_str(stdout(&output).trim()).unwrap();
    let names: Vec<&str> =
        report["checks"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    let all = [
        "architecture",
        "processor",
        "kernel",
        "ptrace",
        "seccomp",
        "namespaces",
        "tmpfs",
        "cores",
        "memory",
        "toolchain",
        "containers",
        "target",
    ];
    assert_eq!(names, all);
    assert!(stdout(&fuzz(dir.path(), &["doctor"])).contains("toy: not built"));
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let dir = checkout();
    let mut child = Command::new(env!("CARGO_BIN_EXE_fuzz"))
        .current_dir(dir.path())
        .arg("targets")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(0), String::new()));
}

#[test]
fn a_manifest_is_begun_and_checked() {
    let dir = tempfile::tempdir().unwrap();
    let init = ["init", "shop", "--binary", "sh", "--client", "resp", "--port", "6379", "--ready", "PING"];
    let made = fuzz(dir.path(), &init);
    assert_eq!(made.status.code(), Some(0));
    assert!(stdout(&made).starts_with("shop/target.toml is made"), "{}", stdout(&made));
    let checked = fuzz(dir.path(), &["targets", "--check", "shop/target.toml"]);
    assert_eq!(stdout(&checked), "shop/target.toml: target `shop` can be used\n");
    let (code, told) = refusal(dir.path(), &init);
    assert_eq!((code, told.contains("is there already")), (Some(2), true), "{told}");
    let (code, told) = refusal(dir.path(), &["init", "Shop!", "--binary", "sh"]);
    assert_eq!((code, told.contains("lower-case letters")), (Some(2), true), "{told}");
    let file = dir.path().join("shop/target.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("nodes = 3", "nodes = three")).unwrap();
    let (code, told) = refusal(dir.path(), &["targets", "--check", "shop/target.toml"]);
    assert_eq!((code, told.contains("line 4, column 9")), (Some(2), true), "{told}");
}

const COMPOSE: &str = r#"
x-store: &store
  image: example/store:2
  healthcheck: {test: [CMD, curl, -f, 'http://localhost:8080/ready']}
  ports: ['8080', '7000']
services:
  store1:
    <<: *store
    command: /bin/store --id 1 --listen store1:7000 --join store1:7000,store2:7000 --dir /var/lib/store
    environment: {SELF: store1, LEVEL: "${LEVEL:-info}"}
    volumes: ['one:/var/lib/store']
  store2:
    <<: *store
    command: /bin/store --id 2 --listen store2:7000 --join store1:7000,store2:7000 --dir /var/lib/store
    environment: {SELF: store2, LEVEL: "${LEVEL:-info}"}
    volumes: ['two:/var/lib/store']
  web:
    build: ./web
    privileged: true
"#;

#[test]
fn a_manifest_is_begun_from_a_compose_file() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("compose.yml"), COMPOSE).unwrap();
    let made = fuzz(dir.path(), &["init", "store", "--compose", "compose.yml"]);
    let told = String::from_utf8(made.stderr.clone()).unwrap();
    assert_eq!(made.status.code(), Some(0), "{told}");
    assert!(told.contains("note: nodes are what `store1` is; other services are left out: web"), "{told}");
    let text = std::fs::read_to_string(dir.path().join("store/target.toml")).unwrap();
    for part in [
        "nodes = 2\n",
        r#"command = ["{bin}", "--id", "{id}", "--listen", "{ip}:7000", "--join", "{ip:1}:7000,{ip:2}:7000", "--dir", "{data}"]"#,
        r#"env = { "SELF" = "{ip}", "LEVEL" = "info" }"#,
        "image = \"example/store:2\"\nbinary = \"/bin/store\"",
        "http = \"/ready\"\nport = 8080",
        "# port = 7000",
        "# - nodes are what `store1` is",
        "# - `privileged` of `web` is left out",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    let checked = fuzz(dir.path(), &["targets", "--check", "store/target.toml"]);
    assert_eq!(stdout(&checked), "store/target.toml: target `store` can be used\n");
    let more =
        ["init", "other", "--compose", "compose.yml", "--nodes", "3", "--client", "resp", "--ready", "PING"];
    assert_eq!(fuzz(dir.path(), &more).status.code(), Some(0));
    let text = std::fs::read_to_string(dir.path().join("other/target.toml")).unwrap();
    assert!(text.contains("nodes = 3\n") && text.contains("command = [\"PING\"]"), "{text}");
}

#[test]
fn a_compose_file_that_is_none_is_refused_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    for (text, expected) in [
        ("services:\n  a:\n   - b\n  c: [\n", "compose.yml: line "),
        ("services:\n  a: {ports: [many]}\n", "compose.yml: line 2, column 15: `many` is no port"),
        ("version: '3'\n", "compose.yml: line 1, column 1: there are no `services`"),
    ] {
        std::fs::write(dir.path().join("compose.yml"), text).unwrap();
        let (code, told) = refusal(dir.path(), &["init", "store", "--compose", "compose.yml"]);
        assert_eq!((code, told.contains(expected)), (Some(2), true), "{told}");
    }
    let (code, told) = refusal(dir.path(), &["init", "store", "--compose", "none.yml"]);
    assert_eq!((code, told.contains("cannot read none.yml")), (Some(2), true), "{told}");
}

#[test]
fn nobody_is_asked_who_does_not_sit_at_a_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let (code, told) = refusal(dir.path(), &["init", "store"]);
    assert_eq!(
        (code, told.contains("--binary PATH") && told.contains("--compose FILE")),
        (Some(2), true),
        "{told}"
    );
}

#[test]
fn the_doctor_says_what_brings_a_program() {
    let dir = checkout();
    let file = dir.path().join("targets/toy/target.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace("command = [\"sh\", \"-c\", \"mkdir -p out && printf toy > out/toy\"]\n", "");
    let text = text.replace("binary = \"out/toy\"", "binary = \"no-such-server\"\npackage = \"toy-server\"");
    std::fs::write(&file, text).unwrap();
    let output = fuzz(dir.path(), &["doctor", "--target", "toy"]);
    let told = stdout(&output);
    assert!(told.contains("toy: no-such-server is not installed"), "{told}");
    assert!(told.contains("apt-get install toy-server"), "{told}");
    let (code, told) = refusal(dir.path(), &["run", "--target", "toy"]);
    assert_eq!((code, told.contains("apt-get install toy-server")), (Some(2), true), "{told}");
}

#[test]
fn what_a_call_costs_is_measured_on_this_very_program() {
    let dir = tempfile::tempdir().unwrap();
    let output = fuzz(dir.path(), &["gauge", "calls", "50"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let cost: f64 = stdout(&output).trim().parse().unwrap();
    assert!(cost >= 0.0 && cost.is_finite(), "{cost}");
}
