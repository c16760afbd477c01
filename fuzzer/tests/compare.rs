//! An experiment from outside: the `fuzz` program compares two ways to search on two bugs of the demo, is killed half-way, goes
//! on, and comes to the same results elsewhere.

#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

mod support;

const EXPERIMENT: &str = r#"version = 1
name = "two-bugs"
about = "Do faults help at all?"
baseline = "uniform"

[search]
seeds = 2
executions = 4
horizon_ms = 2000

[[problem]]
target = "raft-demo"
bugs = ["premature-commit"]
twin = true

[[problem]]
target = "raft-demo"
bugs = ["ack-before-fsync"]

[[arm]]
name = "uniform"
agent = "uniform"
search = "explore"

[[arm]]
name = "off"
faults = false
"#;

/// Two bugs and their one twin, two arms, two seeds.
const SEARCHES: usize = 2 * 2 * 2 + 2 * 2;

fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fuzz"));
    command.current_dir(dir).args(arguments).stdin(Stdio::null()).env_remove("FUZZ_LOG");
    command
}

fn fuzz(dir: &Path, arguments: &[&str]) -> Output {
    command(dir, arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn events(output: &Output, name: &str) -> Vec<Value> {
    let lines = stdout(output);
    let parsed = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    parsed.filter(|event| event["event"] == name).collect()
}

/// What came of each search by its cell, but for the time it took.
fn results(out: &Path) -> BTreeMap<String, Value> {
    let text = std::fs::read_to_string(out.join("raw.jsonl")).unwrap();
    assert!(text.ends_with('\n'), "{text}");
    let trial = |line: &str| {
        let mut trial: Value = serde_json::from_str(line).unwrap();
        trial["outcome"].as_object_mut().unwrap().remove("seconds").unwrap();
        (trial["cell"].to_string(), trial["outcome"].clone())
    };
    let results: BTreeMap<String, Value> = text.lines().map(trial).collect();
    assert_eq!(results.len(), text.lines().count(), "no search was made twice");
    results
}

#[test]
fn an_experiment_goes_on_where_it_was_killed_and_comes_to_the_same_elsewhere() {
    let checkout = support::checkout(&support::manifest());
    let dir = checkout.path();
    std::fs::write(dir.join("two-bugs.toml"), EXPERIMENT).unwrap();
    let always = ["compare", "two-bugs.toml", "--no-build", "--out"];
    let at = |out: &str, more: &[&str]| fuzz(dir, &[&always[..], &[out], more].concat());

    let plan = at("out", &["--plan"]);
    assert_eq!(plan.status.code(), Some(0), "{}", stderr(&plan));
    let told = stdout(&plan);
    for part in
        ["2 problems, 2 arms · 12 searches, 0 done", "arm off: no faults", "at most 48 executions are left"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!dir.join("out").exists(), "a plan writes nothing");

    // killed when three are over, and told so
    let mut child = command(dir, &[&always[..], &["out", "--jobs", "2", "--json"]].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..4 {
        lines.next().unwrap().unwrap();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let raw = dir.join("out/raw.jsonl");
    let before = results(&dir.join("out"));
    assert!((3..SEARCHES).contains(&before.len()), "{}", before.len());
    std::fs::OpenOptions::new().append(true).open(&raw).unwrap().write_all(b"{\"cell\":{\"fu").unwrap();

    let on = at("out", &["--json"]);
    assert_eq!(on.status.code(), Some(0), "{}{}", stdout(&on), stderr(&on));
    assert!(stderr(&on).contains("its last line was torn"), "{}", stderr(&on));
    assert!(stderr(&on).contains(&format!("{SEARCHES} of {SEARCHES}")), "{}", stderr(&on));
    assert_eq!(events(&on, "searched").len(), SEARCHES - before.len());
    let all = results(&dir.join("out"));
    assert_eq!(all.len(), SEARCHES);
    assert!(before.iter().all(|(cell, outcome)| all[cell] == *outcome), "what was there stays");

    // all is there: only the page is made again, and the table is told
    let again = at("out", &[]);
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
    assert!(stdout(&again).contains("12 searches, 12 done"), "{}", stdout(&again));
    assert!(stdout(&again).contains("problem           arm      found"), "{}", stdout(&again));
    assert_eq!(results(&dir.join("out")), all);
    let page = std::fs::read_to_string(dir.join("out/report.html")).unwrap();
    for part in ["<h1>two-bugs</h1>", "Do faults help at all?", "<h3>premature-commit</h3>", "</html>"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("Not finished"));
    let summary: Value =
        serde_json::from_str(&std::fs::read_to_string(dir.join("out/summary.json")).unwrap()).unwrap();
    assert_eq!(summary["done"], SEARCHES);
    let arms = &summary["problems"][0]["arms"];
    assert!(arms[0]["found"].as_u64().unwrap() > 0, "{arms:#}");
    assert_eq!(arms[1]["twin"]["alarmed"], 0, "{arms:#}");
    assert_eq!(arms[1]["landed"], Value::Null, "without faults none lands: {arms:#}");

    // one at a time, elsewhere: the same
    let other = at("other", &["--jobs", "1"]);
    assert_eq!(other.status.code(), Some(0), "{}", stderr(&other));
    assert_eq!(results(&dir.join("other")), all);

    // another setting is another search; what was there counts for nothing, and stays
    std::fs::write(dir.join("two-bugs.toml"), EXPERIMENT.replace("executions = 4", "executions = 5"))
        .unwrap();
    let report = at("out", &["--report"]);
    assert_eq!(report.status.code(), Some(0), "{}", stderr(&report));
    assert!(
        stderr(&report).contains("12 results are of another fuzz, target, setting or seed"),
        "{}",
        stderr(&report)
    );
    assert!(std::fs::read_to_string(dir.join("out/report.html")).unwrap().contains("Not finished: 0 of 12"));
    assert_eq!(results(&dir.join("out")), all);
}

#[test]
fn a_file_that_is_no_experiment_is_refused_with_its_place() {
    let checkout = support::checkout(&support::manifest());
    let dir = checkout.path();
    for (from, to, told) in [
        ("executions = 4", "executions = ", "line 8"),
        ("seeds = 2", "seeds = 0", "bad.toml: line 7, column 9: seeds = 0 is out of range"),
        ("baseline = \"uniform\"", "baseline = \"unifrom\"", "did you mean `uniform`?"),
        (
            "bugs = [\"premature-commit\"]",
            "bugs = [\"premature-comit\"]",
            "bad.toml: line 13, column 9: target `raft-demo` has no bug or set `premature-comit`: did you mean `premature-commit`?",
        ),
        (
            "target = \"raft-demo\"",
            "target = \"raft-dmo\"",
            "bad.toml: line 12, column 10: unknown target `raft-dmo`: did you mean `raft-demo`?",
        ),
        (
            "bugs = [\"ack-before-fsync\"]",
            "binary = \"nowhere\"",
            "bad.toml: line 18, column 10: cannot read the binary",
        ),
        (
            "bugs = [\"ack-before-fsync\"]",
            "bugs = [\"premature-commit\"]",
            "line 17, column 10: there is a problem `premature-commit` already",
        ),
        (
            "bugs = [\"ack-before-fsync\"]",
            "twin = { target = \"raft-demo\" }",
            "line 17, column 10: its twin is the same target",
        ),
    ] {
        let text = EXPERIMENT.replacen(from, to, 1);
        assert_ne!(text, EXPERIMENT, "{from}");
        std::fs::write(dir.join("bad.toml"), text).unwrap();
        let refused = fuzz(dir, &["compare", "bad.toml", "--no-build"]);
        assert_eq!(refused.status.code(), Some(2), "{told}");
        assert!(stderr(&refused).contains(told), "{told}: {}", stderr(&refused));
        assert!(!dir.join("fuzz-out").exists());
    }
    let gone = fuzz(dir, &["compare", "nowhere.toml"]);
    assert_eq!((gone.status.code(), stdout(&gone)), (Some(2), String::new()));
    assert!(stderr(&gone).starts_with("fuzz: cannot read nowhere.toml: "), "{}", stderr(&gone));
}

/// What `--help` shows is an experiment, and so is the file that README's figures are made with.
#[test]
fn experiments_that_are_shown_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let help = stdout(&fuzz(dir.path(), &["compare", "--help"]));
    let begin = help.find("version = 1").unwrap();
    let end = help.find("Each search is a line").unwrap();
    let shown = fuzzer::compare::Experiment::parse(&help[begin..end], "uniform").unwrap();
    assert_eq!((shown.problems.len(), shown.arms.len(), shown.baseline), (2, 3, 0));

    let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../targets/raft-demo");
    let text = std::fs::read_to_string(targets.join("compare.toml")).unwrap();
    let ours = fuzzer::compare::Experiment::parse(&text, "uniform").unwrap();
    let target = fuzzer::target::Target::load(&targets.join("target.toml")).unwrap();
    let bugs: Vec<&String> = ours.problems.iter().flat_map(|it| &it.bugs).map(|bug| bug.get_ref()).collect();
    assert_eq!(target.manifest.bugs_named(&bugs).unwrap().len(), 14);
    let arms: Vec<&str> = ours.arms.iter().map(|arm| arm.name.as_str()).collect();
    assert_eq!(arms, ["learned", "uniform", "fixed", "swarm", "periodic", "off"]);
    assert!(ours.problems.iter().all(|problem| problem.budget.seeds.len() >= 30));
}
