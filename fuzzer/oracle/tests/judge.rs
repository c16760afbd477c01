//! All oracles together, through the crate's front door.

use oracle::checker::raft::{Kind, Role};
use oracle::jsonl::from_json_lines;
use oracle::{Config, Entry, Exit, Observations, Phase, ProcessExit, Quiet, Verdict, judge, raft};

const SECOND: u64 = 1_000_000_000;

/// n1 loses an acknowledged write in a failover; the final read shows the value before it.
fn lossy() -> Observations {
    let history = from_json_lines(
        r#"{"type":"invoke","process":0,"f":"write","key":"k","value":"v1","time":1000000000,"index":0}
           {"type":"ok","process":0,"f":"write","key":"k","value":"v1","time":1100000000,"index":1}
           {"type":"invoke","process":0,"f":"write","key":"k","value":"v2","time":2000000000,"index":2}
           {"type":"ok","process":0,"f":"write","key":"k","value":"v2","time":2100000000,"index":3}
           {"type":"invoke","process":1,"f":"read","key":"k","value":null,"time":9000000000,"index":4}
           {"type":"ok","process":1,"f":"read","key":"k","value":"v1","time":9100000000,"index":5}"#,
    )
    .expect("the lines are well-formed");
    let state = |at_ns, node| raft::Report {
        at_ns,
        node,
        kind: Kind::State {
            role: Role::Leader,
            term: 2,
            vote: node,
            commit: 0,
            last: 0,
            last_term: 0,
            applied: 0,
        },
    };
    Observations {
        history,
        reports: vec![state(3 * SECOND, 1), state(4 * SECOND, 2)],
        lines: vec![],
        assertions: vec![],
        exits: vec![ProcessExit {
            at_ns: 5 * SECOND,
            node: 3,
            exit: Exit::Status(101),
            planned: false,
            stderr_tail: vec!["thread 'main' panicked at src/log.rs:9:5:".into(), "no such entry".into()],
        }],
        quiet: Some(Quiet { from_ns: 6 * SECOND, to_ns: 10 * SECOND }),
        final_from_ns: Some(8 * SECOND),
        again_from_ns: Some(8 * SECOND),
    }
}

#[test]
fn violations_come_in_the_order_of_time_then_of_oracles() {
    let verdicts = judge(&lossy(), &Config::default());
    let told: Vec<String> = verdicts
        .violations()
        .iter()
        .map(|violation| {
            format!("{} {} {}", violation.at_ns / SECOND, violation.signature, violation.summary)
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    4 raft/election-safety n1 and n2 both led term 2
    5 crash/panic:src/log.rs:9 n3 exited with status 101 at 5.000000
    9 durability/acknowledged-write-lost write k = "v2" was acknowledged at 2.100000 and is gone
    9 linearizability/stale-read p1 read k -> "v1", which p0 had replaced by "v2" before that began
    "#);
    let Verdict::Violation(first) = verdicts.verdict() else { panic!("no violation") };
    assert_eq!(first.signature, "raft/election-safety");
}

#[test]
fn an_oracle_that_is_off_says_nothing() {
    let off =
        Config { crash: false, raft: false, durability: false, linearizability: false, ..Config::default() };
    assert_eq!(judge(&lossy(), &off).verdict(), Verdict::Valid);
}

#[test]
fn the_same_observations_give_the_same_words() {
    let observations = lossy();
    let text = serde_json::to_string(&observations).unwrap();
    let again: Observations = serde_json::from_str(&text).unwrap();
    assert_eq!(again, observations);
    let [one, two] =
        [&observations, &again].map(|o| serde_json::to_string(&judge(o, &Config::default())).unwrap());
    assert_eq!(one, two);
}

#[test]
fn a_malformed_history_is_unknown_but_hides_no_crash() {
    let mut observations = Observations { reports: Vec::new(), ..lossy() };
    observations.history.remove(0);
    let verdicts = judge(&observations, &Config::default());
    assert_eq!(verdicts.violations().len(), 1);
    observations.exits.clear();
    assert_eq!(
        judge(&observations, &Config::default()).verdict(),
        Verdict::Unknown {
            why: "history: entry 1: process 0 completes an operation that it has not invoked; \
                  the recorder must write well-formed histories"
                .into()
        }
    );
}

#[test]
fn an_empty_run_is_unknown_and_so_is_a_silent_one() {
    let why = |observations: &Observations, config: &Config| match judge(observations, config).verdict() {
        Verdict::Unknown { why } => why,
        other => format!("{other:?}"),
    };
    let nothing = "history: clients did nothing, so nothing that they see was judged";
    assert_eq!(why(&Observations::default(), &Config::default()), nothing);
    // whoever asks for nothing that clients see is told nothing of it
    let off = Config {
        durability: false,
        collections: false,
        lock: false,
        linearizability: false,
        liveness: false,
        ..Config::default()
    };
    assert_eq!(judge(&Observations::default(), &off).verdict(), Verdict::Valid);
    let mut vain = Observations { history: lossy().history, ..Observations::default() };
    vain.history
        .iter_mut()
        .filter(|entry| entry.phase == Phase::Ok)
        .for_each(|entry| entry.phase = Phase::Fail);
    let nothing = "history: none of the 3 operations succeeded, so nothing that clients see was judged";
    assert_eq!(why(&vain, &Config::default()), nothing);
    let silent = Observations { history: Vec::<Entry>::new(), ..lossy() };
    let silent = Observations { exits: Vec::new(), reports: Vec::new(), ..silent };
    let why = why(&silent, &Config::default());
    assert!(why.contains("liveness: 0 attempts"), "{why}");
}

#[test]
fn configuration_is_read_with_defaults_and_without_strangers() {
    let config: Config =
        serde_json::from_str(r#"{"exit_allowed":[0,1],"progress":{"attempts_min":5}}"#).unwrap();
    assert_eq!((config.exit_allowed, config.progress.attempts_min, config.raft), (vec![0, 1], 5, true));
    assert!(serde_json::from_str::<Config>(r#"{"linearisability":true}"#).is_err());
}

#[test]
fn phases_keep_their_names() {
    assert_eq!(
        [Phase::Invoke, Phase::Ok, Phase::Fail, Phase::Info].map(Phase::name),
        ["invoke", "ok", "fail", "info"]
    );
}
