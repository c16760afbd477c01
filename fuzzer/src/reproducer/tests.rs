//! Findings: written, read back, damaged.

use super::*;
use crate::execution::{Detail, Landing, Sighting, Statistics};
use crate::fault::{Fault, Node};
use crate::schedule::{Step, Trigger, Workload};
use interceptor::event::{Event, EventKind, HostId, LogLine};
use interceptor::sandbox::Clock;
use interceptor::time::Instant;
use oracle::{Evidence, Violation};

fn violation() -> Violation {
    Violation {
        signature: "register/stale-read".into(),
        oracle: "register".into(),
        summary: "read of k0 returned an old value".into(),
        evidence: Evidence::default(),
        at_ns: 5_000_000_000,
    }
}

fn execution() -> Execution {
    let step =
        Step { when: Trigger::At { at_ms: 1_500 }, fault: Fault::Pause { node: Node(1), for_ms: 800 } };
    let schedule = Schedule {
        version: 1,
        target: "toy".into(),
        bugs: vec!["stale-read".into()],
        nodes: 2,
        seed: 7,
        horizon_ms: 9_000,
        workload: Workload::default(),
        agent_from_ms: None,
        agent_salt: 0,
        steps: vec![step.clone()],
    };
    let line = |host, text: &str| LogLine {
        at: Instant(1_500_000),
        host: HostId(host),
        stderr: true,
        text: text.into(),
    };
    let detail = Detail {
        hosts: ["n1", "n2", "c1", "c2"].map(String::from).into(),
        logs: vec![line(1, "hello"), line(3, "who is there?")],
        events: vec![Event { at: Instant(0), host: HostId(0), kind: EventKind::Start }],
        ..Detail::default()
    };
    Execution {
        schedule,
        clock: Clock::Virtual,
        hash: "ab".repeat(32),
        verdict: Verdict::Violation(violation()),
        features: vec![Sighting { feature: u64::MAX, at_ms: 0 }],
        words: vec![],
        turn: agents::Turn::default(),
        episode: vec![],
        landings: vec![Landing {
            step,
            fired_ns: Some(1_500_000_000),
            touched: 4,
            ended_ns: None,
            took: vec![],
        }],
        statistics: Statistics::default(),
        detail: Some(Box::new(detail)),
    }
}

fn write(to: &Path) -> PathBuf {
    let execution = execution();
    let environment = Environment { version: 1, target: "toy".into(), ..Environment::default() };
    let original = Schedule { seed: 8, ..execution.schedule.clone() };
    let finding = Record {
        execution: &execution,
        slug: "stale-read",
        original: Some(&original),
        environment: &environment,
        story: "once upon a time\n",
        parts: &[],
    };
    finding.write(to).unwrap()
}

#[test]
fn a_finding_survives_its_directory() {
    let dir = tempfile::tempdir().unwrap();
    let place = write(dir.path());
    let loaded = load(&place).unwrap();
    assert_eq!(loaded.schedule, execution().schedule);
    let expected = loaded.expected.unwrap();
    assert_eq!(expected.signature(), Some("register/stale-read"));
    assert_eq!(expected.hash, "ab".repeat(32));
    assert_eq!(expected.environment.target, "toy");
    assert_eq!(load(&place.join("original.toml")).unwrap().schedule.seed, 8);
    assert_eq!(std::fs::read_to_string(place.join("logs/n2.log")).unwrap(), "0.001500 err hello\n");
    assert_eq!(std::fs::read_to_string(place.join("logs/n1.log")).unwrap(), "");
    // The second client is a program and wrote something.
    assert_eq!(std::fs::read_to_string(place.join("logs/c2.log")).unwrap(), "0.001500 err who is there?\n");
    assert!(!place.join("logs/c1.log").exists());
    assert!(std::fs::read_to_string(place.join("coverage.json")).unwrap().contains("ffffffffffffffff"));
}

#[test]
fn a_run_without_violation_is_told_with_its_faults() {
    let dir = tempfile::tempdir().unwrap();
    let execution = Execution { verdict: Verdict::Valid, ..execution() };
    let environment = Environment { version: 1, target: "toy".into(), ..Environment::default() };
    let story = crate::report::story::tell(&execution, None);
    let record = Record {
        execution: &execution,
        slug: "run-1",
        original: None,
        environment: &environment,
        story: &story,
        parts: &[],
    };
    let place = record.write(dir.path()).unwrap();
    let loaded = load(&place).unwrap();
    assert_eq!(loaded.signature(), None);
    assert_eq!(loaded.expected.unwrap().verdict, Verdict::Valid);
    let text = |file: &str| std::fs::read_to_string(place.join(file)).unwrap();
    assert!(text("story.md").contains(" 1. 1.500000  fault: pause n1 for 800ms"), "{}", text("story.md"));
    assert!(text("README.md").starts_with("# No violation\n"), "{}", text("README.md"));
    assert!(text("schedule.toml").starts_with("# No violation: the executed schedule\n"));
    assert!(!place.join("original.toml").exists());
}

#[test]
fn a_finding_says_how_it_is_replayed_from_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let place = write(dir.path()).canonicalize().unwrap();
    let command = format!("fuzz replay {}", place.display());
    for (file, line) in [
        ("README.md", format!("    {command}\n")),
        ("schedule.toml", format!("# replay, from everywhere: {command}\n")),
        ("original.toml", format!("# replay, from everywhere: {command}\n")),
    ] {
        let text = std::fs::read_to_string(place.join(file)).unwrap();
        assert!(text.contains(&line), "{file}: {text}");
    }
    assert_eq!(quoted(Path::new("a b/it's")), "'a b/it'\\''s'");
}

#[test]
fn writing_again_replaces_it_and_leaves_nothing_beside() {
    let dir = tempfile::tempdir().unwrap();
    let place = write(dir.path());
    std::fs::write(place.join("notes"), "mine").unwrap();
    std::fs::write(place.join("logs/stray"), "").unwrap();
    std::fs::write(place.join("hash.txt"), "another").unwrap();
    assert_eq!(write(dir.path()), place);
    assert_eq!(std::fs::read_to_string(place.join("notes")).unwrap(), "mine");
    assert!(!place.join("logs/stray").exists());
    assert_ne!(std::fs::read_to_string(place.join("hash.txt")).unwrap(), "another");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn damage_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let place = write(dir.path());
    let damaged = |file: &str, text: Option<&str>| {
        let path = place.join(file);
        let kept = std::fs::read_to_string(&path).unwrap();
        match text {
            Some(text) => std::fs::write(&path, text).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let message = load(&place).unwrap_err().to_string();
        std::fs::write(&path, kept).unwrap();
        message.replace(&place.display().to_string(), "DIR")
    };
    let messages = [
        damaged("hash.txt", Some("12")),
        damaged("hash.txt", None),
        damaged("schedule.toml", None),
        damaged("verdict.json", Some("{")),
        damaged("schedule.toml", Some("version = 2\nwonder = 1")),
        load(&dir.path().join("nowhere"))
            .unwrap_err()
            .to_string()
            .replace(&dir.path().display().to_string(), "."),
    ];
    insta::assert_snapshot!(messages.join("\n"), @"
    DIR/hash.txt: not a SHA-256 in hex
    DIR: hash.txt is missing though verdict.json is there; copy the whole finding, or replay its schedule.toml alone
    DIR: there is no schedule.toml in it; pass the directory of one finding
    DIR/verdict.json: not a verdict: EOF while parsing an object at line 1 column 1
    DIR/schedule.toml: schedule version 2 was written by a newer version of this program, which reads up to 1; update fuzz
    ./nowhere: no such file or directory; pass the directory of a finding, or a schedule.toml
    ");
    assert!(load(&place).is_ok());
}

#[test]
fn a_schedule_alone_expects_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let place = write(dir.path());
    for gone in EXPECTATIONS {
        std::fs::remove_file(place.join(gone)).unwrap();
    }
    assert_eq!(load(&place).unwrap().expected, None);
}
