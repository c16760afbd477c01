//! Stories: a run in, text out.

use super::*;
use crate::execution::{Landing, Statistics};
use crate::fault::{Fault, Node};
use crate::schedule::{Step, Workload};
use interceptor::event::{Event, Report};
use interceptor::sandbox::Clock;
use oracle::{Call, Entry, Phase};

fn execution(events: Vec<Event>) -> Execution {
    let step = Step {
        when: Trigger::At { at_ms: 1_500 },
        fault: Fault::Partition { side: vec![Node(1)], direction: Default::default(), for_ms: 2_000 },
    };
    let read = |index, at_ns, phase, value: Option<&str>| Entry {
        index,
        at_ns,
        process: 3,
        phase,
        call: Call::Read { key: "k0".into(), value: value.map(|v| Some(v.to_owned())) },
        error: None,
        client: Some(2),
        node: Some(1),
    };
    let write = |index, at_ns, phase| Entry {
        index,
        at_ns,
        process: 1,
        phase,
        call: Call::Write { key: "k0".into(), value: "7".into() },
        error: None,
        client: Some(2),
        node: Some(1),
    };
    let entries = vec![
        write(0, 3_000_000_000, Phase::Invoke),
        write(1, 3_020_000_000, Phase::Ok),
        read(2, 3_100_000_000, Phase::Invoke, None),
        read(3, 3_150_000_000, Phase::Ok, Some("5")),
    ];
    let violation = Violation {
        signature: "register/stale-read".into(),
        oracle: "register".into(),
        summary: "k0 was read as \"5\" after \"7\" had been written".into(),
        evidence: Evidence {
            entries,
            lines: vec!["the write of \"7\" ended at 3.020000".into(), "the read began at 3.100000".into()],
            ..Evidence::default()
        },
        at_ns: 3_150_000_000,
    };
    Execution {
        schedule: Schedule {
            version: 1,
            target: "toy".into(),
            bugs: vec!["stale-read".into()],
            nodes: 3,
            seed: 7,
            horizon_ms: 9_000,
            workload: Workload::default(),
            agent_from_ms: None,
            agent_salt: 0,
            steps: vec![step.clone()],
        },
        clock: Clock::Virtual,
        hash: String::new(),
        verdict: Verdict::Violation(violation),
        features: vec![],
        words: vec![],
        turn: agents::Turn::default(),
        episode: vec![],
        landings: vec![Landing {
            step,
            fired_ns: Some(1_500_000_000),
            touched: 37,
            ended_ns: Some(3_500_000_000),
            took: vec![],
        }],
        statistics: Statistics { ready_ns: 500_000_000, ..Statistics::default() },
        detail: Some(Box::new(Detail {
            hosts: ["n1", "n2", "n3"].map(String::from).to_vec(),
            events,
            ..Detail::default()
        })),
    }
}

fn role(at_ms: u64, host: u16, role: &str, term: u64) -> Event {
    let fields = [("role", role.to_owned()), ("term", term.to_string())];
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Event {
        at: Instant(at_ms * 1_000_000),
        host: HostId(host),
        kind: EventKind::Report(Report { kind: "state".into(), fields }),
    }
}

#[test]
fn a_stale_read_is_told_from_the_cut_to_the_read() {
    let events = vec![
        role(10, 0, "follower", 0),
        role(400, 0, "candidate", 1),
        role(410, 0, "leader", 1),
        role(415, 0, "leader", 1),
        role(2_600, 1, "candidate", 2),
        role(2_700, 1, "leader", 2),
        role(4_000, 0, "follower", 2),
    ];
    insta::assert_snapshot!(tell(&execution(events), None), @r#"
    # register/stale-read

    k0 was read as "5" after "7" had been written

    Target toy (with stale-read), 3 nodes, seed 7; 5 clients, 20 operations a second on 3 keys. Times are virtual seconds since power-on; the cluster was ready at 0.500000.

     1. 0.400000  n1 becomes candidate in term 1
     2. 0.410000  n1 becomes leader in term 1
     3. 2.000000  fault: cut off n1 for 2s (37 packets held back)
     4. 2.600000  n2 becomes candidate in term 2
     5. 2.700000  n2 becomes leader in term 2
     6. 3.020000  c2: write k0 = "7" ok by n1, asked at 3.000000
     7. 3.150000  c2: read k0 -> "5" ok by n1, asked at 3.100000
     8. 3.150000  **violation certain**: register/stale-read

    ## Why this is wrong

    - the write of "7" ended at 3.020000
    - the read began at 3.100000
    "#);
}

#[test]
fn a_long_run_is_told_in_few_lines() {
    let events = (0..500)
        .map(|i| role(i, (i % 3) as u16, ["candidate", "leader", "follower"][(i % 2) as usize], i))
        .collect();
    let text = tell(&execution(events), None);
    assert!(text.lines().count() <= 45, "{text}");
    assert!(text.contains("cut off n1") && text.contains("changes of less weight are left out"), "{text}");
}

#[test]
fn faults_say_what_they_took_away_and_when_they_were_cut_short() {
    let told = |fault: Fault, touched, ended_ns: u64, took: &[&str]| {
        let mut execution = execution(Vec::new());
        let step = Step { when: Trigger::At { at_ms: 1_500 }, fault };
        execution.landings = vec![Landing {
            step,
            fired_ns: Some(1_500_000_000),
            touched,
            ended_ns: Some(ended_ns),
            took: took.iter().map(ToString::to_string).collect(),
        }];
        let text = tell(&execution, None);
        text.lines().find(|line| line.contains("fault: ")).unwrap().trim_start().to_owned()
    };
    let node = Node(1);
    let power = Fault::PowerLoss { node, loss: Default::default(), down_ms: 500 };
    assert_eq!(
        told(power, 9, 2_000_000_000, &["90 bytes of 2 unsynced writes", "1 unsynced changes of names"]),
        "1. 2.000000  fault: power off n1, losing all of its unsynced data, down for 500ms (gone: 90 bytes of 2 unsynced \
         writes, 1 unsynced changes of names)"
    );
    assert_eq!(
        told(Fault::Kill { node, down_ms: 2_252 }, 5, 1_500_000_000, &[]),
        "1. 2.000000  fault: kill n1, down for 2.252s (5 threads ended; over at once, since all faults ended then)"
    );
    assert_eq!(
        told(Fault::Pause { node, for_ms: 800 }, 0, 1_600_000_000, &[]),
        "1. 2.000000  fault: pause n1 for 800ms (it touched nothing; over after 0.100000 s, since all faults ended then)"
    );
}

#[test]
fn all_of_a_contradiction_is_told() {
    let mut execution = execution(Vec::new());
    let Verdict::Violation(violation) = &mut execution.verdict else { unreachable!() };
    violation.evidence.lines = (0..40).map(|number| format!("fact {number}")).collect();
    let text = tell(&execution, None);
    assert!(
        text.contains("- fact 0\n") && text.contains("- fact 39") && !text.contains("verdict.json"),
        "{text}"
    );
}

#[test]
fn what_is_unknown_says_why() {
    let mut execution = execution(Vec::new());
    execution.verdict = Verdict::Unknown { why: "no write ever succeeded".into() };
    assert!(
        tell(&execution, None).starts_with(
            "# Undecided\n\nThe run could not be judged: no write ever succeeded.\n\nTarget toy"
        )
    );
}
