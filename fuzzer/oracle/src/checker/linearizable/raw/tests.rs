//! Histories as people write them, through the checks by name.

use crate::check::{Options, named};
use crate::format::{self, Format};
use crate::verdict::{Judgement, Verdict};

/// One operation a line: `PROCESS F VALUE -> ANSWER @ FROM..TO`, as EDN; `TO` may be `info` or `fail` after a number.
fn judge(check: &str, settings: &[(&str, &str)], script: &str) -> Result<Judgement, String> {
    let mut entries: Vec<(u64, String)> = Vec::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (what, when) = line.split_once(" @ ").expect("what @ when");
        let (from, to) = when.split_once("..").expect("FROM..TO");
        let (asked, answered) = what.split_once(" -> ").unwrap_or((what, ""));
        let mut words = asked.splitn(3, ' ');
        let (process, f, value) =
            (words.next().unwrap(), words.next().unwrap(), words.next().unwrap_or("nil"));
        let mut entry = |index: &str, kind: &str, value: &str| {
            let index: u64 = index.trim().parse().unwrap();
            let text = format!(
                "{{:process {process}, :type :{kind}, :f :{f}, :value {value}, :index {index}, :time {}}}\n",
                index * 1000
            );
            entries.push((index, text));
        };
        entry(from, "invoke", value);
        let (to, kind) = to.split_once(' ').unwrap_or((to, "ok"));
        if to != "-" {
            entry(to, kind, if answered.is_empty() { value } else { answered });
        }
    }
    entries.sort();
    let text: String = entries.into_iter().map(|(_, text)| text).collect();
    let independent = format::Options { independent: text.contains(":value [:k") };
    let mut source = format::read(Format::Edn, text.as_bytes(), independent);
    let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let options = Options { settings, ..Options::default() };
    (named(check).unwrap().run)(&mut source, &options).map_err(|error| error.to_string())
}

fn word(check: &str, settings: &[(&str, &str)], script: &str) -> String {
    match judge(check, settings, script).unwrap().verdict() {
        Verdict::Valid => "valid".into(),
        Verdict::Violation(violation) => violation.signature,
        Verdict::Unknown { why } => why,
    }
}

/// A check, its settings, a script and what is said of it.
type Case = (&'static str, &'static [(&'static str, &'static str)], &'static str, &'static str);

#[test]
fn each_check_understands_its_operations() {
    let cases: [Case; 24] = [
        ("register", &[], "1 write 1 @ 0..1\n1 read -> 1 @ 2..3", "valid"),
        ("register", &[], "1 write 1 @ 0..1\n1 read -> nil @ 2..3", "linearizability/stale-read"),
        ("register", &[("initial", "0")], "1 write 1 @ 0..1\n1 read -> nil @ 2..3", "valid"),
        ("register", &[("initial", "0")], "1 read -> 0 @ 0..1", "valid"),
        ("register", &[], "1 read -> 5 @ 0..1", "linearizability/phantom-read"),
        ("cas-register", &[], "1 write 1 @ 0..1\n1 cas [1 2] @ 2..3\n1 read -> 2 @ 4..5", "valid"),
        ("cas-register", &[], "1 write 1 @ 0..1\n1 cas [1 2] @ 2..3 fail", "valid"),
        (
            "cas-register",
            &[("refusals", "yes")],
            "1 write 1 @ 0..1\n1 cas [1 2] @ 2..3 fail",
            "linearizability/swap-refused",
        ),
        (
            "multi-register",
            &[("initial", "0")],
            "1 txn [[:write :x 1] [:write :y 2]] @ 0..1\n2 txn [[:read :x nil] [:r :y nil]] -> [[:read :x 1] [:r :y 2]] @ 2..3",
            "valid",
        ),
        (
            "multi-register",
            &[("initial", "0")],
            "1 txn [[:write :x 1] [:write :y 2]] @ 0..9\n2 txn [[:read :x nil] [:r :y nil]] -> [[:read :x 1] [:r :y 0]] @ 2..3",
            "linearizability/inconsistent-transaction",
        ),
        (
            "multi-register",
            &[],
            "1 write {:x 1, :y 1} @ 0..1\n1 read {:x nil, :y nil} -> {:x 1, :y 1} @ 2..3",
            "valid",
        ),
        (
            "map",
            &[],
            "1 append [:k \"a\"] @ 0..1\n1 append [:k \"b\"] @ 2..3\n1 get [:k nil] -> [:k \"ab\"] @ 4..5",
            "valid",
        ),
        (
            "map",
            &[],
            "1 append [:k \"a\"] @ 0..1\n1 append [:k \"b\"] @ 2..3\n1 get [:k nil] -> [:k \"ba\"] @ 4..5",
            "linearizability/inconsistent-get",
        ),
        ("linearizable-set", &[], "1 add 1 @ 0..1\n1 read -> #{1} @ 2..3", "valid"),
        ("linearizable-set", &[], "1 add 1 @ 0..1\n1 read -> [] @ 2..3", "linearizability/missing-element"),
        (
            "linearizable-set",
            &[],
            "1 add 1 @ 0..1\n1 remove 1 @ 2..3\n1 contains 1 -> [1 true] @ 4..5",
            "linearizability/inconsistent-elements",
        ),
        (
            "fifo-queue",
            &[],
            "1 enqueue 1 @ 0..1\n1 enqueue 2 @ 2..3\n1 dequeue -> 2 @ 4..5",
            "linearizability/out-of-order",
        ),
        (
            "fifo-queue",
            &[],
            "1 enqueue 1 @ 0..1\n1 enqueue 2 @ 2..3\n2 dequeue @ 4..9 info\n1 dequeue -> 2 @ 5..6",
            "valid",
        ),
        ("fifo-queue", &[], "1 enqueue 1 @ 0..1\n1 dequeue -> nil @ 2..3", "linearizability/false-empty"),
        (
            "stack",
            &[],
            "1 push 1 @ 0..1\n1 push 2 @ 2..3\n1 pop -> 2 @ 4..5\n1 pop -> 2 @ 6..7",
            "linearizability/taken-twice",
        ),
        ("linearizable-counter", &[], "1 increment @ 0..1\n1 add 1 @ 2..3\n1 read -> 2 @ 4..5", "valid"),
        (
            "linearizable-counter",
            &[("initial", "5")],
            "1 decrement 2 @ 0..1\n1 read -> 4 @ 4..5",
            "linearizability/inconsistent-sum",
        ),
        ("linearizable-mutex", &[], "1 acquire @ 0..1\n2 acquire @ 2..3", "linearizability/acquired-twice"),
        ("linearizable-mutex", &[], "1 acquire @ 0..1 info\n2 acquire @ 2..3\n2 release @ 4..5", "valid"),
    ];
    for (check, settings, script, expected) in cases {
        assert_eq!(word(check, settings, script), expected, "{check} {settings:?}\n{script}");
        if expected == "valid" {
            let sequential: Vec<_> =
                settings.iter().copied().chain([("consistency", "sequential")]).collect();
            assert_eq!(word(check, &sequential, script), expected, "{check}, sequential\n{script}");
        }
    }
}

#[test]
fn weaker_consistency_allows_what_it_says() {
    let stale = "1 write 1 @ 0..1\n1 write 2 @ 2..3\n2 read -> 1 @ 4..5";
    assert_eq!(word("register", &[], stale), "linearizability/stale-read");
    assert_eq!(word("register", &[("consistency", "sequential")], stale), "valid");
    assert_eq!(word("register", &[("consistency", "session")], stale), "valid");
    assert_eq!(word("register", &[("staleness-ns", "1000")], stale), "valid");
    assert_eq!(word("register", &[("staleness-ns", "999")], stale), "bounded-staleness/stale-read");
    let back = "1 write 1 @ 0..1\n1 write 2 @ 2..3\n2 read -> 2 @ 4..5\n2 read -> 1 @ 6..7";
    assert_eq!(word("register", &[("consistency", "sequential")], back), "sequential-consistency/no-order");
    let session = [("consistency", "session")];
    assert_eq!(word("register", &session, back), "session/sessions");
    let reads = [("consistency", "session"), ("guarantees", "read-your-writes")];
    assert_eq!(word("register", &reads, back), "valid");
}

#[test]
fn keys_are_judged_one_by_one_or_together() {
    let keys = "1 write [:k1 1] @ 0..1\n2 write [:k2 1] @ 2..3\n1 read [:k1 nil] -> [:k1 1] @ 4..5\n\
                2 read [:k2 nil] -> [:k2 nil] @ 6..7";
    for partition in ["yes", "no"] {
        let settings = [("partition", partition), ("threads", "2")];
        let judgement = judge("register", &settings, keys).unwrap();
        assert_eq!(judgement.violations[0].signature, "linearizability/stale-read", "{partition}");
        assert_eq!(judgement.violations[0].evidence.culprit, Some(6));
    }
}

#[test]
fn a_story_names_the_culprit_and_what_it_contradicts() {
    let script = "1 enqueue 1 @ 0..1\n1 enqueue 2 @ 2..3\n2 enqueue 3 @ 4..9\n1 dequeue -> 2 @ 6..7";
    let judgement = judge("fifo-queue", &[], script).unwrap();
    let violation = &judgement.violations[0];
    insta::assert_snapshot!(format!("{}\n{}", violation.summary, violation.evidence.lines.join("\n")), @r"
    p1 dequeue 2, which cannot have been next
    no order of the 4 operations explains
      p1 dequeue 2  [0.000006, 0.000007] ok  #6
    those complete before it have an order, which leaves [1 2] and ends with
      p1 enqueue 1  [0.000000, 0.000001] ok  #0
      p1 enqueue 2  [0.000002, 0.000003] ok  #2
    these 3 alone contradict each other
      p1 enqueue 1  [0.000000, 0.000001] ok  #0
      p1 enqueue 2  [0.000002, 0.000003] ok  #2
      p1 dequeue 2  [0.000006, 0.000007] ok  #6
    open at the same time, without bearing on it: 1
      p2 enqueue 3  [0.000004, 0.000009] ok  #4
    ");
    assert_eq!(violation.evidence.ops.len(), 3);
}

#[test]
fn what_is_not_understood_is_told_with_its_place() {
    let cases = [
        (
            "register",
            "1 cas [1 2] @ 0..1",
            "operation 0: `cas` is not understood, expected read, write or delete (cas-register has cas)",
        ),
        ("cas-register", "1 cas 7 @ 0..1", "operation 0 (cas 7): its value is a number, expected [old new]"),
        (
            "multi-register",
            "1 txn [[:q :x 1]] @ 0..1",
            "operation 0 (txn [[:q :x 1]]): its value is not understood, expected [[f register value] ...] or {register value}",
        ),
        (
            "linearizable-counter",
            "1 add :x @ 0..1",
            "operation 0 (add :x): its value is a keyword, expected a whole number",
        ),
    ];
    for (check, script, expected) in cases {
        assert_eq!(
            judge(check, &[], script).unwrap_err(),
            format!("line 1, column 1: {expected}"),
            "{check}"
        );
    }
}

#[test]
fn out_of_budget_says_what_is_known() {
    let script = "1 write 1 @ 0..1\n2 write 1 @ 2..4\n1 read -> 1 @ 3..5";
    let expected = "the 3 operations could not be ordered in 0 steps; raise the budget or use more keys; \
                    the 0 complete before entry 1 have an order; it got no further than p1 write 1  ok  #0..1";
    assert_eq!(judge_in(0, script), expected);
}

fn judge_in(steps_max: u64, script: &str) -> String {
    let mut lines: Vec<(u64, String)> = Vec::new();
    for line in script.lines() {
        let (what, when) = line.split_once(" @ ").unwrap();
        let (from, to) = when.split_once("..").unwrap();
        let (asked, answer) = what.split_once(" -> ").unwrap_or((what, ""));
        let words: Vec<&str> = asked.split(' ').collect();
        let value = words.get(2).unwrap_or(&"nil");
        let answer = if answer.is_empty() { value } else { answer };
        for (index, phase, value) in [(from, "invoke", value), (to, "ok", &answer)] {
            let (process, f) = (words[0], words[1]);
            lines.push((
                index.parse().unwrap(),
                format!("{{:process {process}, :type :{phase}, :f :{f}, :value {value}, :index {index}}}\n"),
            ));
        }
    }
    lines.sort();
    let text: String = lines.into_iter().map(|(_, line)| line).collect();
    let mut source = format::read(Format::Edn, text.as_bytes(), format::Options::default());
    let options = Options { steps_max, ..Options::default() };
    (named("register").unwrap().run)(&mut source, &options).unwrap().unknown.join("\n")
}
