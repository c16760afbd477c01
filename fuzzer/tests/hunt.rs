//! A hunt from outside: the `fuzz` program breaks the demo cluster, replays and shrinks what it found, goes on with its
//! campaign, and refuses what it must.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::disallowed_types, reason = "a bound on waiting for processes")]

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

#[path = "support/descendants.rs"]
mod descendants;
mod support;

use descendants::descendants;

/// A checkout whose target is the demo's program as the tests are built.
fn checkout() -> tempfile::TempDir {
    support::checkout(&support::manifest())
}

fn fuzz(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fuzz"));
    let output =
        command.current_dir(dir).args(arguments).stdin(Stdio::null()).env_remove("FUZZ_LOG").output();
    output.unwrap()
}

fn run(dir: &Path, more: &[&str]) -> Output {
    let always = ["run", "--no-build", "--bug", "premature-commit", "--cores", "1", "--out", "out"];
    fuzz(dir, &[&always[..], more].concat())
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The only finding.
fn finding(dir: &Path) -> PathBuf {
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(dir.join("out/findings")).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found.swap_remove(0)
}

/// Events of a campaign, from its `--json` output.
fn events(output: &Output, name: &str) -> Vec<serde_json::Value> {
    let lines = stdout(output);
    let parsed = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    parsed.filter(|event| event["event"] == name).collect()
}

#[test]
fn a_bug_is_found_replayed_and_shrunk_and_the_campaign_goes_on() {
    let checkout = checkout();
    let dir = checkout.path();

    let hunt =
        run(dir, &["--seed", "3", "--executions", "60", "--stop-after", "1", "--shrink", "20", "--json"]);
    assert_eq!(hunt.status.code(), Some(1), "{}{}", stdout(&hunt), stderr(&hunt));
    let found = finding(dir);
    let path = found.to_str().unwrap();
    for file in
        ["schedule.toml", "story.md", "history.jsonl", "timeline.svg", "environment.toml", "verdict.json"]
    {
        assert!(found.join(file).metadata().unwrap().len() > 0, "{file} is empty");
    }

    // bit for bit, and said so
    let verdict = std::fs::read_to_string(found.join("verdict.json")).unwrap();
    for _ in 0..2 {
        let again = fuzz(dir, &["replay", "--no-build", path]);
        assert_eq!(again.status.code(), Some(1), "{}{}", stdout(&again), stderr(&again));
        assert!(stdout(&again).contains("violation: "), "{}", stdout(&again));
    }
    // a replay leaves the finding as it was
    assert_eq!(std::fs::read_to_string(found.join("verdict.json")).unwrap(), verdict);

    // on the correct build the same schedule is clean
    let schedule = std::fs::read_to_string(found.join("schedule.toml")).unwrap();
    std::fs::write(dir.join("clean.toml"), schedule.replace("[\"premature-commit\"]", "[]")).unwrap();
    let clean = fuzz(dir, &["replay", "--no-build", "clean.toml"]);
    assert_eq!(clean.status.code(), Some(0), "{}{}", stdout(&clean), stderr(&clean));

    // what was recorded no longer happens: the hash says so
    let hash = std::fs::read_to_string(found.join("hash.txt")).unwrap();
    std::fs::write(found.join("hash.txt"), "0".repeat(64)).unwrap();
    assert_eq!(fuzz(dir, &["replay", "--no-build", path]).status.code(), Some(3));
    std::fs::write(found.join("hash.txt"), hash).unwrap();

    let steps = |text: &str| text.matches("[[step]]").count();
    let shrunk = fuzz(dir, &["shrink", "--no-build", "--executions", "25", path]);
    assert_eq!(shrunk.status.code(), Some(1), "{}{}", stdout(&shrunk), stderr(&shrunk));
    let smaller = std::fs::read_to_string(found.join("schedule.toml")).unwrap();
    assert!(steps(&smaller) <= steps(&schedule));
    assert_eq!(fuzz(dir, &["replay", "--no-build", path]).status.code(), Some(1));

    // a corrupt entry is set aside, the rest goes on
    let corpus = dir.join("out/corpus");
    std::fs::write(corpus.join("0123456789abcdef.toml"), "version = 1\nnot a schedule").unwrap();
    let before = std::fs::read_dir(&corpus).unwrap().count();
    let on = run(dir, &["--executions", "3", "--json"]);
    assert!(matches!(on.status.code(), Some(0 | 1)), "{}{}", stdout(&on), stderr(&on));
    let started = events(&on, "started");
    assert_eq!(started[0]["resumed"], true);
    assert!(started[0]["executions"].as_u64().unwrap() > 0);
    assert!(started[0]["findings"].as_u64().unwrap() >= 1);
    assert!(!corpus.join("0123456789abcdef.toml").exists(), "the corrupt entry is still there");
    assert!(std::fs::read_dir(&corpus).unwrap().count() + 1 >= before);
    assert!(found.join("schedule.toml").exists());

    // a finding whose directory is gone counts no more, and is found again
    let aside = dir.join("aside");
    std::fs::rename(&found, &aside).unwrap();
    let on = run(dir, &["--executions", "60", "--stop-after", "1", "--shrink", "0", "--json"]);
    assert_eq!(on.status.code(), Some(1), "{}{}", stdout(&on), stderr(&on));
    let gone = events(&on, "finding_gone");
    assert_eq!(gone[0]["slug"], found.file_name().unwrap().to_str().unwrap());
    assert!(stderr(&on).contains("counts no more"), "{}", stderr(&on));
    assert!(events(&on, "finding").len() == 1 && dir.join("out/findings").read_dir().unwrap().count() > 0);
    let _ = std::fs::remove_dir_all(&found);
    std::fs::rename(&aside, &found).unwrap();

    // another binary
    let program = dir.join("raft-demo");
    let mut bytes = std::fs::read(&program).unwrap();
    bytes.push(0);
    std::fs::write(&program, bytes).unwrap();
    let changed = fuzz(dir, &["replay", "--no-build", path]);
    assert_eq!(changed.status.code(), Some(2), "{}{}", stdout(&changed), stderr(&changed));
    let allowed = fuzz(dir, &["replay", "--no-build", "--allow-changed", path]);
    assert_eq!(allowed.status.code(), Some(1), "{}{}", stdout(&allowed), stderr(&allowed));
}

#[test]
fn what_belongs_to_others_is_left_alone() {
    let checkout = checkout();
    let dir = checkout.path();
    std::fs::create_dir(dir.join("out")).unwrap();
    std::fs::write(dir.join("out/thesis.txt"), "mine").unwrap();
    let foreign = run(dir, &["--executions", "1"]);
    assert_eq!(foreign.status.code(), Some(2), "{}{}", stdout(&foreign), stderr(&foreign));
    assert_eq!(std::fs::read_to_string(dir.join("out/thesis.txt")).unwrap(), "mine");
    assert_eq!(std::fs::read_dir(dir.join("out")).unwrap().count(), 1);

    std::fs::write(dir.join("file"), "").unwrap();
    let blocked = fuzz(dir, &["run", "--no-build", "--executions", "1", "--out", "file/out"]);
    assert_eq!(blocked.status.code(), Some(2), "{}{}", stdout(&blocked), stderr(&blocked));
    assert!(stderr(&blocked).starts_with("fuzz: "), "{}", stderr(&blocked));
}

#[test]
fn a_smoke_run_is_the_same_every_time() {
    let checkout = checkout();
    let smoke = || {
        let dir = checkout.path();
        let output = fuzz(
            dir,
            &[
                "smoke",
                "--no-build",
                "--bug",
                "none",
                "--executions",
                "4",
                "--seed",
                "5",
                "--junit",
                "out.xml",
            ],
        );
        assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
        // without the figures of the host's clock
        let seconds = |line: &&str| !line.contains("a second") && !line.contains("/s ");
        let text: Vec<String> = stdout(&output).lines().filter(seconds).map(str::to_owned).collect();
        let junit = std::fs::read_to_string(dir.join("out.xml")).unwrap();
        assert!(junit.contains("<testsuite"), "{junit}");
        text
    };
    assert_eq!(smoke(), smoke());
}

/// A campaign under way, up to its `count`th execution.
fn under_way(dir: &Path, count: usize) -> (std::process::Child, BufReader<ChildStdout>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_fuzz"))
        .current_dir(dir)
        .args(["run", "--no-build", "--bug", "none", "--cores", "1", "--out", "out", "--seed", "9", "--json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    let mut seen = 0;
    while seen < count {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0, "the campaign ended early");
        seen += usize::from(line.contains("\"event\":\"executed\""));
    }
    (child, output)
}

fn is_alive(id: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // The letter after the name: a zombie has ended, whoever has yet to be told.
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

#[test]
fn a_killed_campaign_leaves_nothing_and_goes_on() {
    let checkout = checkout();
    let dir = checkout.path();
    let (mut child, output) = under_way(dir, 3);
    let deadline = Instant::now() + Duration::from_secs(30);
    // a worker and its guests, once the next cluster is up
    let mut below = Vec::new();
    while below.len() < 4 {
        assert!(Instant::now() < deadline, "no cluster came up: {below:?}");
        below = descendants(child.id());
    }
    child.kill().unwrap();
    child.wait().unwrap();
    drop(output);
    while below.iter().any(|id| is_alive(*id)) {
        assert!(Instant::now() < deadline, "still there: {below:?}");
        std::thread::yield_now();
    }
    let on = fuzz(
        dir,
        &[
            "run",
            "--no-build",
            "--bug",
            "none",
            "--cores",
            "1",
            "--out",
            "out",
            "--executions",
            "1",
            "--json",
        ],
    );
    assert_eq!(on.status.code(), Some(0), "{}{}", stdout(&on), stderr(&on));
    assert_eq!(events(&on, "started")[0]["resumed"], true);
    assert!(events(&on, "started")[0]["corpus"].as_u64().unwrap() > 0, "{}", stdout(&on));
}

#[test]
fn an_interrupted_campaign_ends_at_once_with_its_summary() {
    let checkout = checkout();
    let (mut child, mut output) = under_way(checkout.path(), 2);
    let id = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).unwrap();
    let asked = Instant::now();
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    assert!(asked.elapsed() < Duration::from_secs(20), "it took {:?}", asked.elapsed());
    assert!(rest.contains("\"event\":\"stopped\"") && rest.contains("interrupted"), "{rest}");
}

/// The toy store, which writes these lines when it starts, with more for its manifest.
fn talkative(lines: &[&str], more: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let toy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../targets/toy");
    let read = |name: &str| std::fs::read_to_string(toy.join(name)).unwrap();
    let said: String =
        lines.iter().map(|line| format!("    print({line:?}, file=sys.stderr, flush=True)\n")).collect();
    let server = read("server.py").replace("def main():\n", &format!("def main():\n{said}"));
    std::fs::write(dir.path().join("server.py"), server).unwrap();
    std::fs::write(dir.path().join("target.toml"), format!("{}\n{more}", read("target.toml"))).unwrap();
    dir
}

#[test]
fn what_nodes_write_is_judged() {
    let lines = ["corrupt page 7", "store.c:12:5: runtime error: signed integer overflow: 1 + 2"];
    let pattern = "[[oracles.output]]\nname = \"corrupt-page\"\nany = [\"corrupt page *\"]\n";
    let sanitizer = "sanitizer/undefined-behavior-sanitizer:signed-integer-overflow:store.c";
    for (lines, more, expected) in [
        (&lines[..], pattern.to_owned(), Some("output/corrupt-page")),
        (&lines[..], format!("{pattern}except = [\"page 7\"]\n"), Some(sanitizer)),
        (&lines[..], "[oracles]\noff = [\"sanitizer\"]\n".to_owned(), None),
    ] {
        let dir = talkative(lines, &more);
        let arguments =
            ["run", "--target", ".", "--seed", "1", "--executions", "1", "--cores", "1", "--json"];
        let hunt = fuzz(dir.path(), &[&arguments[..], &["--shrink", "0", "--out", "out"]].concat());
        // the run without any fault is judged first
        let error = stderr(&hunt);
        assert_eq!(error.contains("the control run"), expected.is_some(), "{error}");
        assert!(expected.is_none_or(|expected| error.contains(&format!("violates {expected} "))), "{error}");
        // The toy has a defect of its own, which the one execution may show.
        let codes = if expected.is_some() { [2, 2] } else { [0, 1] };
        assert!(hunt.status.code().is_some_and(|code| codes.contains(&code)), "{error}");
    }
}

/// What a directory of a run holds, whatever it showed.
fn is_whole(place: &Path) {
    for file in [
        "schedule.toml",
        "verdict.json",
        "hash.txt",
        "environment.toml",
        "story.md",
        "README.md",
        "history.jsonl",
        "timeline.jsonl",
        "timeline.svg",
        "coverage.json",
        "logs/n1.log",
    ] {
        let length = std::fs::metadata(place.join(file)).map_or(0, |it| it.len());
        assert!(length > 0, "{} is missing or empty", place.join(file).display());
    }
}

#[test]
fn clean_runs_can_be_looked_at() {
    let checkout = checkout();
    let dir = checkout.path();
    let run = ["run", "--no-build", "--bug", "none", "--seed", "4", "--executions", "2", "--cores", "1"];
    let hunt = fuzz(dir, &[&run[..], &["--out", "out", "--keep", "seen"]].concat());
    assert_eq!(hunt.status.code(), Some(0), "{}{}", stdout(&hunt), stderr(&hunt));
    assert!(stderr(&hunt).contains("runs are kept in seen"), "{}", stderr(&hunt));
    for name in ["control", "run-1", "run-2"] {
        is_whole(&dir.join("seen").join(name));
    }
    assert_eq!(std::fs::read_dir(dir.join("seen")).unwrap().count(), 3);
    // By this the target of its schedules is found.
    let environment = std::fs::read_to_string(dir.join("out/environment.toml")).unwrap();
    assert!(environment.contains("targets/raft-demo/target.toml"), "{environment}");

    // What it covered is told in words.
    let coverage = fuzz(dir, &["coverage", "out", "--lines", "500"]);
    assert_eq!(coverage.status.code(), Some(0), "{}{}", stdout(&coverage), stderr(&coverage));
    for part in ["2 executions", "rarest:", "leader send:append", "clusters", "features by execution:"] {
        assert!(stdout(&coverage).contains(part), "{part}: {}", stdout(&coverage));
    }
    let none = fuzz(dir, &["coverage", "seen"]);
    assert_eq!(none.status.code(), Some(2));
    assert!(stderr(&none).contains("no campaign can be read there"), "{}", stderr(&none));

    // Another campaign begins with what it had.
    let next = fuzz(dir, &[&run[..6], &["--executions", "1", "--out", "next", "--from", "out"]].concat());
    assert_eq!(next.status.code(), Some(0), "{}{}", stdout(&next), stderr(&next));
    assert!(
        stderr(&next).contains("beginning with 2 schedules of out and what its agent learnt"),
        "{}",
        stderr(&next)
    );
    let nowhere = fuzz(dir, &["run", "--no-build", "--executions", "1", "--from", "seen"]);
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(stderr(&nowhere).contains("there is no corpus in it"), "{}", stderr(&nowhere));

    // It is a run like any other: the same again, judged, and nothing to be shrunk.
    let again = fuzz(dir, &["replay", "--no-build", "seen/run-1", "--keep", "again/here"]);
    assert_eq!(again.status.code(), Some(0), "{}{}", stdout(&again), stderr(&again));
    assert!(stdout(&again).contains("reproduced: the same run, bit for bit"), "{}", stdout(&again));
    is_whole(&dir.join("again/here"));
    std::fs::write(dir.join("again/here/notes"), "mine").unwrap();
    let again = fuzz(dir, &["replay", "--no-build", "seen/run-1", "--keep", "again/here"]);
    assert_eq!(again.status.code(), Some(0), "{}{}", stdout(&again), stderr(&again));
    assert_eq!(std::fs::read_to_string(dir.join("again/here/notes")).unwrap(), "mine");
    assert!(dir.join("again/here/calls.log").metadata().unwrap().len() > 0);
    let history = |place: &str| std::fs::read_to_string(dir.join(place).join("history.jsonl")).unwrap();
    assert_eq!(history("seen/run-1"), history("again/here"));
    let check = fuzz(dir, &["check", "seen/run-1"]);
    assert_eq!(check.status.code(), Some(0), "{}{}", stdout(&check), stderr(&check));
    let shrink = fuzz(dir, &["shrink", "--no-build", "seen/run-1"]);
    assert_eq!(shrink.status.code(), Some(2));
    assert!(stderr(&shrink).contains("says no violation to keep"), "{}", stderr(&shrink));

    // What is kept in corpora/ too.
    let witness = "corpora/raft-demo/witness/stale-read";
    std::fs::create_dir_all(dir.join(witness)).unwrap();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(witness).join("schedule.toml");
    std::fs::copy(kept, dir.join(witness).join("schedule.toml")).unwrap();
    let smoke = ["smoke", "--no-build", "--executions", "1", "--cores", "1", "--keep", "smoked"];
    let smoke = fuzz(dir, &smoke);
    assert_eq!(smoke.status.code(), Some(0), "{}{}", stdout(&smoke), stderr(&smoke));
    for name in ["witness/stale-read", "witness/stale-read-correct-build", "control", "run-1"] {
        is_whole(&dir.join("smoked").join(name));
    }
}
