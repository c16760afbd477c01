//! Names and evidence of known shapes; agreement with a brute-force reference on random histories.

mod agree;
mod random;
mod reference;

use super::*;
use crate::history::ops;
use crate::jsonl::from_json_lines;
use crate::verdict::Violation;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use random::{Shape, history, tamper};

const STEPS: u64 = 100_000;

/// One operation a line: `INVOKE COMPLETE F OUTCOME VALUE`, where the first two are indices (`-` is never) and
/// the value is JSON. Each operation has its own process; an index is 10 ms.
fn judge(script: &str) -> Judgement {
    judge_in(script, STEPS)
}

fn judge_in(script: &str, steps: u64) -> Judgement {
    let mut lines: Vec<(u64, String)> = Vec::new();
    for (process, line) in script.lines().map(str::trim).filter(|line| !line.is_empty()).enumerate() {
        let words: Vec<&str> = line.splitn(5, ' ').collect();
        let [invoke, complete, f, outcome, value] = words[..] else { panic!("bad line: {line}") };
        let mut entry = |index: &str, phase: &str| {
            let index: u64 = index.parse().unwrap();
            let (refused, phase) = if phase == "refused" { (",\"result\":false", "ok") } else { ("", phase) };
            let time = index * 10_000_000;
            lines.push((
                index,
                format!(
                    "{{\"type\":\"{phase}\",\"process\":{process},\"f\":\"{f}\",\"key\":\"x\",\
                     \"value\":{value},\"time\":{time},\"index\":{index}{refused}}}\n"
                ),
            ));
        };
        entry(invoke, "invoke");
        if complete != "-" {
            entry(complete, outcome);
        }
    }
    lines.sort();
    let text: String = lines.into_iter().map(|(_, line)| line).collect();
    check(&ops(&from_json_lines(&text).unwrap()).unwrap(), steps)
}

fn violation(script: &str) -> Violation {
    judge(script).violations.into_iter().next().expect("the script is not linearizable")
}

fn told(violation: &Violation) -> String {
    format!("{}\n{}\n{}", violation.signature, violation.summary, violation.evidence.lines.join("\n"))
}

const STALE: &str = r#"
    0 1 write ok "a"
    2 3 write ok "other"
    4 5 read ok "other"
    6 7 write ok "b"
    8 20 write ok "c"
    9 11 read ok "a"
    12 13 read ok "b"
"#;

#[test]
fn a_stale_read_is_told_with_the_two_writes_it_contradicts() {
    let violation = violation(STALE);
    insta::assert_snapshot!(told(&violation), @r#"
    linearizability/stale-read
    p5 read x -> "a", which p3 had replaced by "b" before that began
    no order of the 7 operations on key x explains
      p5 read x -> "a"  [0.090000, 0.110000] ok  #9
    those complete before it have an order, which leaves "b" and ends with
      p0 write x = "a"  [0.000000, 0.010000] ok  #0
      p1 write x = "other"  [0.020000, 0.030000] ok  #2
      p2 read x -> "other"  [0.040000, 0.050000] ok  #4
      p3 write x = "b"  [0.060000, 0.070000] ok  #6
    these 3 alone contradict each other
      p0 write x = "a"  [0.000000, 0.010000] ok  #0
      p3 write x = "b"  [0.060000, 0.070000] ok  #6
      p5 read x -> "a"  [0.090000, 0.110000] ok  #9
    open at the same time, without bearing on it: 1
      p4 write x = "c"  [0.080000, 0.200000] ok  #8
    "#);
    assert_eq!(violation.at_ns, 110_000_000);
    assert_eq!(violation.evidence.entries.len(), 6);
}

#[test]
fn kinds() {
    let cases = [
        ("0 1 read ok \"a\"", "phantom-read"),
        ("0 1 write fail \"a\"\n2 3 read ok \"a\"", "phantom-read"),
        ("0 1 read ok \"a\"\n2 3 write ok \"a\"", "phantom-read"),
        ("0 1 write ok \"a\"\n2 3 read ok null", "stale-read"),
        // the write is known to have happened although nobody acknowledged it
        ("0 9 write info \"a\"\n1 2 read ok \"a\"\n3 4 read ok null", "stale-read"),
        // two concurrent writes, seen in both orders
        (
            "0 9 write ok \"a\"\n1 10 write ok \"b\"\n2 3 read ok \"a\"\n4 5 read ok \"b\"\n6 7 read ok \"a\"",
            "stale-read",
        ),
        ("0 1 write ok \"a\"\n2 3 write ok \"b\"\n4 5 read ok \"a\"\n6 7 read ok \"a\"", "lost-write"),
        ("0 1 write ok \"a\"\n2 3 write ok \"b\"\n4 5 read ok \"a\"\n6 7 read ok \"b\"", "stale-read"),
        ("0 1 write ok \"a\"\n2 3 delete ok null\n4 5 read ok \"a\"", "stale-read"),
        ("0 1 write ok \"a\"\n2 3 cas ok [\"a\",\"b\"]\n4 5 cas ok [\"a\",\"c\"]", "lost-update"),
        ("0 1 write ok \"a\"\n2 9 cas ok [\"a\",\"b\"]\n3 8 cas ok [\"a\",\"c\"]", "inconsistent-swap"),
        ("0 1 write ok \"a\"\n2 3 cas ok [\"z\",\"b\"]", "phantom-swap"),
        ("0 1 write ok \"a\"\n2 3 cas refused [\"a\",\"b\"]", "swap-refused"),
    ];
    for (script, kind) in cases {
        assert_eq!(violation(script).signature, format!("linearizability/{kind}"), "{script}");
    }
}

#[test]
fn what_may_have_happened_is_allowed() {
    let cases = [
        "0 9 write info \"a\"\n1 2 read ok null\n3 4 read ok \"a\"",
        "0 - write info \"a\"\n1 2 write ok \"b\"\n3 4 read ok \"b\"\n5 6 read ok \"a\"",
        "0 1 write ok \"a\"\n2 3 write fail \"b\"\n4 5 read ok \"a\"",
        "0 1 write ok \"a\"\n2 3 read fail null\n4 5 read info null",
        "0 1 cas refused [\"a\",\"b\"]\n2 3 write ok \"a\"",
        // the swap in info helps the refusal
        "0 1 write ok \"a\"\n2 9 cas info [\"a\",\"z\"]\n3 4 cas refused [\"a\",\"b\"]",
    ];
    for script in cases {
        assert_eq!(judge(script), Judgement::new(NAME), "{script}");
    }
}

#[test]
fn too_small_a_budget_is_unknown() {
    let judgement = check(&ops(&[]).unwrap(), 0);
    assert_eq!(judgement, Judgement::new(NAME));
    // a read that may have seen either of two writes, so that no fast algorithm decides it
    let judgement = judge_in("0 1 write ok \"a\"\n2 4 write ok \"a\"\n3 5 read ok \"a\"", 0);
    assert_eq!(judgement.unknown.len(), 1, "{judgement:?}");
    assert!(judgement.violations.is_empty());
}

#[test]
fn histories_of_an_atomic_register_are_valid() {
    for seed in 0..1000 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let shape = Shape {
            operations: rng.random_range(1..60),
            keys: 2,
            clients: 5,
            info_percent: 15,
            unique: seed % 2 == 0,
        };
        let entries = history(&shape, &mut rng);
        assert_eq!(check(&ops(&entries).unwrap(), STEPS), Judgement::new(NAME), "seed {seed}");
    }
}

#[test]
fn the_search_agrees_with_brute_force() {
    let mut bad = 0;
    for seed in 0..6000 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let shape = Shape {
            operations: rng.random_range(2..9),
            keys: 1,
            clients: rng.random_range(2..5),
            info_percent: [0, 20, 50][seed as usize % 3],
            unique: seed % 2 == 0,
        };
        let mut entries = history(&shape, &mut rng);
        for _ in 0..rng.random_range(0..8) {
            tamper(&mut entries, &mut rng);
        }
        let ops = ops(&entries).unwrap();
        let expected = reference::linearizable(&ops);
        let judgement = check(&ops, STEPS);
        assert!(judgement.unknown.is_empty());
        let dump = || ops.iter().map(|op| format!("{op}\n")).collect::<String>();
        assert_eq!(judgement.violations.is_empty(), expected, "seed {seed}\n{}", dump());
        let Some(violation) = judgement.violations.first() else { continue };
        bad += 1;
        // it was fine until the very completion that is blamed
        let last = violation.at_ns / random::TICK_NS;
        assert!(reference::linearizable(&known_at(&ops, last - 1)), "seed {seed}\n{}", dump());
        assert!(!reference::linearizable(&known_at(&ops, last)), "seed {seed}\n{}", dump());
        // the evidence stands alone: no order explains it either
        let mut core = ops.clone();
        core.retain(|op| violation.evidence.entries.iter().any(|entry| entry.index == op.invoke));
        assert!(!reference::linearizable(&known_at(&core, last)), "seed {seed}\n{}", dump());
    }
    assert!((1000..5000).contains(&bad), "{bad} of 6000 are violations: too uneven to mean much");
}

/// What is complete by index `last` as it ended, and the rest as open.
fn known_at(ops: &[Op], last: u64) -> Vec<Op> {
    let mut known: Vec<Op> = ops.iter().filter(|op| op.invoke <= last).cloned().collect();
    for op in known.iter_mut().filter(|op| op.outcome == Outcome::Ok && op.complete > Some(last)) {
        op.outcome = Outcome::Info;
    }
    known
}

#[test]
fn a_long_history_needs_few_steps() {
    for operations in [200, 2000, 10_000] {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let shape = Shape { operations, keys: 8, clients: 5, info_percent: 3, unique: true };
        let mut entries = history(&shape, &mut rng);
        let valid = check(&ops(&entries).unwrap(), operations as u64 * 10);
        assert_eq!((valid.violations.len(), &valid.unknown[..]), (0, &[][..]), "{operations}");
        (0..20).for_each(|_| tamper(&mut entries, &mut rng));
        let tampered = check(&ops(&entries).unwrap(), operations as u64 * 10);
        assert_eq!(tampered.unknown, [""; 0], "{operations}");
        let core = tampered.violations[0].evidence.entries.len();
        assert!(core <= 40, "{operations}: {core} entries of evidence");
    }
}
