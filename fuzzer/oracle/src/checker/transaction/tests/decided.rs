//! Levels that are decided, on histories with names.

use super::store::{Isolation, Size, history, rng};
use super::*;
use crate::check;
use crate::checker::transaction::{register, serial, weak};
use crate::value::Value;

fn found(check: &Check, script: &[&str]) -> Vec<String> {
    names(&judge(check, &steps(script, false), &[]))
}

/// What the three weak levels say.
fn weakly(script: &[&str]) -> [Vec<String>; 3] {
    [weak::READ_COMMITTED, weak::READ_ATOMIC, weak::CAUSAL].map(|check| found(&check, script))
}

#[test]
fn weak_levels_differ_as_they_should() {
    let none = Vec::<String>::new;
    let only = |kind: &str| vec![kind.to_owned()];
    let first = || only("first-state-read");
    assert_eq!(weakly(&["wx1 wy1", "rx1 ry1", "rx ry"]), [none(), none(), none()]);
    // What was seen is gone for the next read.
    assert_eq!(weakly(&["wx1 wy1", "ry1 rx"]), [first(), first(), first()]);
    // Half of a transaction.
    assert_eq!(weakly(&["wx1 wy1", "rx ry1"]), [none(), first(), first()]);
    let cycle = || only("commit-cycle");
    assert_eq!(weakly(&["wx1 wy1", "wx2 wy2", "rx1 ry2"]), [none(), cycle(), cycle()]);
    // An effect without its cause.
    assert_eq!(weakly(&["wx1", "rx1 wy1", "ry1 rx"]), [none(), none(), first()]);
    // A process that does not see what it wrote.
    assert_eq!(weakly(&["@1 0-1 wx1", "@1 2-3 rx"]), [none(), first(), first()]);
    // Real time means nothing.
    assert_eq!(weakly(&["@1 0-1 wx1", "@2 2-3 rx"]), [none(), none(), none()]);
    // Write skew and lost updates are causal.
    assert_eq!(weakly(&["rx wy1", "ry wx1"]), [none(), none(), none()]);
    assert_eq!(weakly(&["wx1", "rx1 wx2", "rx1 wx3"]), [none(), none(), none()]);
    for (kind, script) in [
        ("G1a", &["! wx1", "rx1"][..]),
        ("G1b", &["wx1 wx2", "rx1"]),
        ("thin-air-read", &["rx1"]),
        ("future-read", &["rx1 wx1"]),
        ("own-write-unseen", &["wx1 rx2", "wx2"]),
    ] {
        assert_eq!(weakly(script), [only(kind), only(kind), only(kind)]);
    }
}

#[test]
fn a_circle_of_commits_is_told_in_sentences() {
    let judgement = judge(&weak::READ_ATOMIC, &steps(&["wx1 wy1", "wx2 wy2", "rx1 ry2"], false), &[]);
    let violation = &judgement.violations[0];
    assert_eq!(violation.signature, "read-atomic/commit-cycle");
    assert_eq!(
        violation.evidence.lines[3..],
        [
            "T1 comes before T3 (wr): T3 read x from T1",
            "T2 comes before T3 (wr): T3 read y from T2",
            "T1 comes before T2 (co): T3 saw effects of T1, which wrote y, and read y from T2",
            "but T2 comes before T1 (co): T3 saw effects of T2, which wrote x, and read x from T1",
        ]
    );
}

#[test]
fn what_led_to_a_first_state_that_is_gone_is_told() {
    let script = ["@1 0-1 wx1", "@1 2-3 wz1", "@1 4-5 wy1", "@2 6-7 ry1", "@2 8-9 rx"];
    let judgement = judge(&weak::CAUSAL, &steps(&script, false), &[]);
    let violation = &judgement.violations[0];
    assert_eq!(violation.signature, "causal-consistency/first-state-read");
    assert_eq!(
        violation.evidence.lines[4..],
        [
            "T1 comes before T3 (process): process 1 did T1, then T3",
            "T3 comes before T4 (wr): T4 read y from T3",
            "T4 comes before T2 (process): process 2 did T4, then T2",
            "T2 read x in its first state, though T1 had written it, whose effects T2 sees",
        ]
    );
}

#[test]
fn strong_levels_are_decided_where_no_anomaly_can_be_inferred() {
    // Both writes are blind, so their order is unknown; but neither order explains the read.
    let script = ["wx1 wy1", "wx2 wy2", "rx1 ry2"];
    assert_eq!(found(&super::super::register::CHECK, &script), [""; 0]);
    assert_eq!(found(&serial::SERIALIZABLE, &script), ["no-order"]);
    assert_eq!(found(&serial::SNAPSHOT, &script), ["no-order"]);
    let skew = ["rx wy1", "ry wx1"];
    assert_eq!(found(&serial::SERIALIZABLE, &skew), ["G2-item"]);
    assert_eq!(found(&serial::SNAPSHOT, &skew), [""; 0]);
    let stale = ["@1 0-1 wx1", "@2 2-3 rx"];
    assert_eq!(found(&serial::SERIALIZABLE, &stale), [""; 0]);
    assert_eq!(found(&serial::STRICT, &stale), ["G-single-realtime"]);
}

#[test]
fn stores_are_what_they_are() {
    let mut skewed = 0;
    for seed in 0..20 {
        let size = Size { txns: 400, clients: 6, keys: 5, mops_max: 4 };
        let serial = history(&mut rng(seed), Isolation::Serial, size, false);
        for name in [
            "read-committed",
            "read-atomic",
            "causal-consistency",
            "serializable",
            "strict-serializable",
            "snapshot-isolation",
        ] {
            let check = check::named(name).unwrap();
            assert_eq!(names(&judge(check, &serial, &[])), [""; 0], "{name}, seed {seed}");
        }
        let snapshot = history(&mut rng(seed), Isolation::Snapshot, size, false);
        let settings = [("order", "realtime")];
        assert_eq!(names(&judge(&serial::SNAPSHOT, &snapshot, &settings)), [""; 0], "seed {seed}");
        assert_eq!(names(&judge(&weak::CAUSAL, &snapshot, &[])), [""; 0], "seed {seed}");
        let committed = history(&mut rng(seed), Isolation::Committed, size, false);
        assert_eq!(names(&judge(&weak::READ_COMMITTED, &committed, &[])), [""; 0], "seed {seed}");
        skewed += usize::from(!judge(&weak::READ_ATOMIC, &committed, &[]).violations.is_empty());
        // Few steps are enough for an anomaly; where there is none, it may stay unknown.
        let mut entries = entries(&snapshot).into_iter().map(Ok);
        let few = Options { steps_max: 100_000, ..Options::default() };
        skewed += usize::from(!serial::SERIALIZABLE.judge(&mut entries, &few).unwrap().violations.is_empty());
    }
    assert!(skewed > 20, "{skewed}");
}

#[test]
fn out_of_steps_is_unknown() {
    let size = Size { txns: 400, clients: 20, keys: 5, mops_max: 4 };
    let history = history(&mut rng(1), Isolation::Serial, size, false);
    for check in [weak::CAUSAL, serial::SERIALIZABLE, serial::SNAPSHOT] {
        let mut entries = entries(&history).into_iter().map(Ok);
        let judgement = check.judge(&mut entries, &Options { steps_max: 10, ..Options::default() }).unwrap();
        assert!(judgement.violations.is_empty(), "{}", check.name);
        assert_eq!(judgement.unknown.len(), 1, "{}", check.name);
    }
}

/// Each micro-operation is looked at a few times, and not once for each one before it.
#[test]
fn a_transaction_may_touch_many_keys() {
    const KEYS: i64 = 40_000;
    let mop = |name: &str, key: i64, value: i64| {
        Value::List(vec![Value::Keyword(name.into()), Value::Int(key), Value::Int(value)])
    };
    let all = |name: &'static str, value: i64| (0..KEYS).map(move |key| mop(name, key, value));
    let step =
        |at: u64, mops: Vec<Value>| Step { process: at, from: at, to: at + 10, phase: Phase::Ok, mops };
    let history = [
        step(0, all("w", 1).collect()),
        step(20, all("r", 1).chain(all("w", 2)).collect()),
        step(40, all("r", 2).collect()),
    ];
    for check in [
        weak::READ_COMMITTED,
        weak::READ_ATOMIC,
        weak::CAUSAL,
        serial::SERIALIZABLE,
        serial::SNAPSHOT,
        register::CHECK,
    ] {
        assert_eq!(names(&judge(&check, &history, &[])), [""; 0], "{}", check.name);
    }
}
