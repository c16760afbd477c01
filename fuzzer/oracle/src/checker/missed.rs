//! What final reads miss of what was acknowledged. It is late or lost, and a read alone does not tell which: whoever runs
//! the target asks once more, after a change through the same nodes and a rest, and then [`judge`](super::judge) does.

use super::{Config, Observations, collection, durability, named};
use crate::history::ops;
use crate::op::{Call, Op};
use crate::verdict::Judgement;

/// An object of which final reads miss something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missed {
    /// Its key.
    pub key: String,
    /// The number of the node that answered such a read, if it is known.
    pub node: Option<u32>,
}

/// What final reads miss, as far as these oracles judge it: each object and node once, in a fixed order. Nothing of a run
/// that took no final reads.
#[must_use]
pub fn missed(observations: &Observations, config: &Config) -> Vec<Missed> {
    let (Some(from_ns), Ok(ops)) = (observations.final_from_ns, ops(&observations.history)) else {
        return Vec::new();
    };
    let mut missing: Vec<&Op> = Vec::new();
    if config.durability {
        missing.extend(durability::missing(&ops, from_ns));
    }
    if config.collections {
        missing.extend(collection::missing(&ops, from_ns));
    }
    let is_bad = |asked: &named::Asked| {
        let judgement = named::check(observations, asked, config.steps_max);
        judgement.violations.iter().any(|violation| named::is_undecided(&violation.signature))
            || (asked.final_reads && !judgement.violations.is_empty())
    };
    if config.checks.iter().any(is_bad) {
        missing.extend(ops.iter().filter(|op| is_other(op) && op.invoked_ns >= from_ns));
    }
    let mut missed: Vec<Missed> =
        missing.iter().map(|op| Missed { key: op.call.key().to_owned(), node: op.node }).collect();
    missed.sort();
    missed.dedup();
    missed
}

fn is_other(op: &Op) -> bool {
    matches!(op.call, Call::Other { .. })
}

/// Said of what final reads miss and nobody asked for again.
pub(super) fn not_asked_again(judgement: &mut Judgement, key: &str, what: &str) {
    judgement.unknown(format!("final reads of {key} miss {what}; whether it is late or lost was not asked"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonl::from_json_lines;
    use crate::verdict::Verdict;

    const SECOND: u64 = 1_000_000_000;

    /// `(f, value, node)`, one after the other, a second apart; final reads begin at the third second.
    fn observed(script: &[(&str, &str, u32)]) -> Observations {
        let mut text = String::new();
        for (number, (f, value, node)) in script.iter().enumerate() {
            let asked = if matches!(*f, "read" | "elements") { "null" } else { value };
            for (phase, value, ms) in [("invoke", asked, 0), ("ok", *value, 1)] {
                let (time, index) = (number as u64 * SECOND + ms * 1_000_000, number as u64 * 2 + ms);
                text += &format!(
                    "{{\"type\":\"{phase}\",\"process\":0,\"f\":\"{f}\",\"key\":\"k\",\"value\":{value},\
                     \"time\":{time},\"index\":{index},\"client\":\"c1\",\"node\":\"n{node}\"}}\n"
                );
            }
        }
        let history = from_json_lines(&text).unwrap();
        Observations { history, final_from_ns: Some(2 * SECOND), ..Observations::default() }
    }

    fn verdict(observations: &Observations, config: &Config) -> String {
        match super::super::judge(observations, config).verdict() {
            Verdict::Valid => "valid".into(),
            Verdict::Violation(violation) => violation.signature,
            Verdict::Unknown { why } => why,
        }
    }

    #[test]
    fn what_is_missed_is_named_with_the_node_that_missed_it() {
        let config = Config::default();
        let sets = observed(&[("add", "\"a\"", 1), ("add", "\"b\"", 1), ("elements", "[\"a\"]", 3)]);
        let expected = vec![Missed { key: "k".into(), node: Some(3) }];
        assert_eq!(missed(&sets, &config), expected);
        let registers = observed(&[("write", "\"a\"", 1), ("write", "\"b\"", 1), ("read", "\"a\"", 3)]);
        assert_eq!(missed(&registers, &config), expected);
        let fine = observed(&[("add", "\"a\"", 1), ("add", "\"b\"", 1), ("elements", "[\"a\",\"b\"]", 3)]);
        assert_eq!(missed(&fine, &config), []);
        assert_eq!(missed(&Observations { final_from_ns: None, ..sets }, &config), []);
    }

    #[test]
    fn only_what_is_missed_again_is_lost() {
        let lists = |last: &str| {
            let (first, second) = (("add", "\"a\"", 1), ("add", "\"b\"", 1));
            let looks = [("elements", "[\"a\"]", 2), ("add", "\"c\"", 2), ("elements", last, 2)];
            let mut observations = observed(&[first, second, looks[0], looks[1], looks[2]]);
            observations.again_from_ns = Some(4 * SECOND);
            observations
        };
        let fresh = Config::default();
        let mut lax = Config::default();
        lax.collection.fresh = false;
        let (late, lost) = (lists("[\"a\",\"b\",\"c\"]"), lists("[\"a\",\"c\"]"));
        assert_eq!(verdict(&late, &fresh), "collection/stale-elements");
        assert_eq!(verdict(&late, &lax), "valid");
        for config in [&fresh, &lax] {
            assert_eq!(verdict(&lost, config), "collection/acknowledged-element-lost");
            let once = Observations { again_from_ns: None, ..lost.clone() };
            assert!(verdict(&once, config).contains("late or lost was not asked"));
        }
    }

    #[test]
    fn registers_are_late_or_lost_in_the_same_way() {
        let registers = |last: &str| {
            let writes = [("write", "\"a\"", 1), ("write", "\"b\"", 1)];
            let looks = [("read", "\"a\"", 2), ("read", last, 2)];
            let mut observations = observed(&[writes[0], writes[1], looks[0], looks[1]]);
            observations.again_from_ns = Some(3 * SECOND);
            observations
        };
        let config = Config::default();
        assert_eq!(verdict(&registers("\"b\""), &config), "linearizability/stale-read");
        let lost = registers("\"a\"");
        assert_eq!(verdict(&lost, &config), "durability/acknowledged-write-lost");
        let Verdict::Violation(told) = super::super::judge(&lost, &config).verdict() else {
            panic!("a loss")
        };
        insta::assert_snapshot!(told.evidence.lines.join("\n"), @r#"
        acknowledged
          c1 write k = "b"  [1.000000, 1.001000] ok by n1  #2
        but the final reads show
          c1 read k -> "a"  [2.000000, 2.001000] ok by n2  #4
            where "a" came from c1 write k = "a"  [0.000000, 0.001000] ok by n1  #0
        and those asked again, after a change through the same node and a rest,
          c1 read k -> "a"  [3.000000, 3.001000] ok by n2  #6
        "#);
    }
}
