//! Collections: sets and logs that only grow. What was added is there, once, and stays.
//!
//! | kind | what was seen |
//! |---|---|
//! | `acknowledged-element-lost` | the addition was acknowledged, and no final answer holds the element |
//! | `seen-element-lost` | an answer held the element, and no final answer does |
//! | `unexpected-element` | an answer holds what nobody added, or what was refused for certain |
//! | `duplicated-element` | an answer holds an element twice, though it was asked for once |
//! | `reordered-elements` | a log holds two elements against the order in which they were acknowledged |
//! | `stale-elements` | an answer misses what was acknowledged before it was asked for, and later ones have it |
//!
//! The first four are what Jepsen's `set` and `total-queue` look for; the last is its `set-full`. All of it is linear
//! in the size of the answers, but for the sort of a log's elements.

use crate::history::entries_of;
use crate::op::{Call, Op, Outcome, seconds};
use crate::verdict::{Evidence, Judgement};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The oracle's name.
pub const NAME: &str = "collection";

/// How many elements evidence names.
const SHOWN: usize = 8;

/// What a target promises besides keeping what it has acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Answers list elements in the order in which they were added: a log.
    pub ordered: bool,
    /// Answers hold everything acknowledged before they were asked for.
    pub fresh: bool,
}

impl Default for Config {
    /// A set with fresh answers.
    fn default() -> Self {
        Self { ordered: false, fresh: true }
    }
}

/// Judges additions against answers; those asked for at `final_from_ns` or later are final.
///
/// A collection with an acknowledged element but no final answer is unknown.
#[must_use]
pub fn check(ops: &[Op], final_from_ns: Option<u64>, config: Config) -> Judgement {
    let mut judgement = Judgement::new(NAME);
    let mut collections: BTreeMap<&str, Collection<'_>> = BTreeMap::new();
    for op in ops {
        match &op.call {
            Call::Add { key, element } => {
                collections.entry(key).or_default().additions.insert(element, op);
            }
            Call::Elements { key, elements: Some(elements) } if op.outcome == Outcome::Ok => {
                let answer = Answer { op, elements, set: elements.iter().map(String::as_str).collect() };
                collections.entry(key).or_default().answers.push(answer);
            }
            _ => {}
        }
    }
    let mut unread = Vec::new();
    for (key, collection) in &collections {
        collection.unexpected(&mut judgement);
        collection.duplicated(&mut judgement);
        if config.ordered {
            collection.reordered(&mut judgement);
        }
        if let Some(from_ns) = final_from_ns {
            let is_read = collection.lost(from_ns, &mut judgement);
            if !is_read && collection.acknowledged().next().is_some() {
                unread.push(*key);
            }
        }
        if config.fresh {
            collection.stale(&mut judgement);
        }
    }
    if !unread.is_empty() {
        judgement.unknown(format!("no final answer for {}", unread.join(", ")));
    }
    judgement
}

#[derive(Default)]
struct Collection<'a> {
    /// By element.
    additions: BTreeMap<&'a str, &'a Op>,
    /// In the order in which they were asked for.
    answers: Vec<Answer<'a>>,
}

struct Answer<'a> {
    op: &'a Op,
    elements: &'a [String],
    set: BTreeSet<&'a str>,
}

impl<'a> Collection<'a> {
    fn acknowledged(&self) -> impl Iterator<Item = (&'a str, &'a Op)> {
        self.additions.iter().filter(|(_, op)| op.outcome == Outcome::Ok).map(|(element, op)| (*element, *op))
    }

    fn unexpected(&self, judgement: &mut Judgement) {
        for answer in &self.answers {
            let is_foreign =
                |element: &&&str| self.additions.get(**element).is_none_or(|op| op.outcome == Outcome::Fail);
            let foreign: Vec<&str> = answer.set.iter().filter(is_foreign).copied().collect();
            let Some(first) = foreign.first() else { continue };
            let (summary, ops) = match self.additions.get(first) {
                Some(op) => (
                    format!("{first:?} is there, though adding it had failed for certain"),
                    vec![*op, answer.op],
                ),
                None => (format!("{first:?} is there, and nobody added it"), vec![answer.op]),
            };
            report(judgement, "unexpected-element", answer.op, summary, &ops, &foreign);
        }
    }

    fn duplicated(&self, judgement: &mut Judgement) {
        for answer in self.answers.iter().filter(|answer| answer.set.len() < answer.elements.len()) {
            let mut seen = BTreeSet::new();
            let twice: Vec<&str> =
                answer.elements.iter().map(String::as_str).filter(|element| !seen.insert(*element)).collect();
            let Some(first) = twice.first() else { continue };
            let summary = format!("{first:?} was added once and is there more than once");
            let ops: Vec<&Op> = self.additions.get(first).copied().into_iter().chain([answer.op]).collect();
            report(judgement, "duplicated-element", answer.op, summary, &ops, &twice);
        }
    }

    /// In a log what was acknowledged before another addition began comes before it.
    fn reordered(&self, judgement: &mut Judgement) {
        for answer in &self.answers {
            // Of all elements from here to the end, the one whose addition was acknowledged first.
            let mut earliest: Option<&Op> = None;
            for element in answer.elements.iter().rev() {
                let Some(&op) = self.additions.get(element.as_str()) else { continue };
                if let Some(later) = earliest
                    && later.complete.is_some_and(|done| done < op.invoke)
                {
                    let summary =
                        format!("{} was acknowledged first and comes after {}", later.call, op.call);
                    let both = [later, op, answer.op];
                    report(judgement, "reordered-elements", answer.op, summary, &both, &[]);
                    break;
                }
                let is_earlier = earliest.is_none_or(|other| op.complete < other.complete);
                if op.outcome == Outcome::Ok && is_earlier {
                    earliest = Some(op);
                }
            }
        }
    }

    /// False when no final answer came.
    fn lost(&self, from_ns: u64, judgement: &mut Judgement) -> bool {
        let last: Vec<&Answer<'_>> =
            self.answers.iter().filter(|answer| answer.op.invoked_ns >= from_ns).collect();
        let Some(first) = last.first() else { return false };
        let is_gone = |element: &str| !last.iter().any(|answer| answer.set.contains(element));
        let lost: Vec<(&str, &Op)> = self
            .acknowledged()
            .filter(|(element, op)| {
                op.complete.is_some_and(|done| done < first.op.invoke) && is_gone(element)
            })
            .collect();
        if let Some((_, op)) = lost.iter().min_by_key(|(_, op)| op.complete) {
            let elements: Vec<&str> = lost.iter().map(|(element, _)| *element).collect();
            let at = op.completed_ns.map_or_else(|| "an unknown time".to_owned(), seconds);
            let summary = format!(
                "{} was acknowledged at {at} and is gone; {} of {} acknowledged are",
                op.call,
                lost.len(),
                self.acknowledged().count()
            );
            report(judgement, "acknowledged-element-lost", first.op, summary, &[op, first.op], &elements);
        }
        for answer in self.answers.iter().filter(|answer| answer.op.invoked_ns < from_ns) {
            let is_unsure = |element: &&str| {
                self.additions.get(element).is_some_and(|op| op.outcome != Outcome::Ok) && is_gone(element)
            };
            let vanished: Vec<&str> = answer.set.iter().copied().filter(|e| is_unsure(e)).collect();
            if let Some(element) = vanished.first() {
                let summary = format!("{element:?} was seen and is gone");
                report(judgement, "seen-element-lost", first.op, summary, &[answer.op, first.op], &vanished);
            }
        }
        true
    }

    fn stale(&self, judgement: &mut Judgement) {
        for (position, answer) in self.answers.iter().enumerate() {
            let later = &self.answers[position + 1..];
            let missing: Vec<(&str, &Op)> = self
                .acknowledged()
                .filter(|(element, op)| {
                    op.complete.is_some_and(|done| done < answer.op.invoke)
                        && !answer.set.contains(element)
                        && later.iter().any(|other| other.set.contains(element))
                })
                .collect();
            if let Some((element, op)) = missing.first() {
                let summary =
                    format!("{element:?} was acknowledged before the question, and the answer misses it");
                let elements: Vec<&str> = missing.iter().map(|(element, _)| *element).collect();
                report(judgement, "stale-elements", answer.op, summary, &[op, answer.op], &elements);
            }
        }
    }
}

fn report(
    judgement: &mut Judgement,
    kind: &str,
    answer: &Op,
    summary: String,
    ops: &[&Op],
    elements: &[&str],
) {
    let mut ops = ops.to_vec();
    ops.sort_by_key(|op| op.invoke);
    let mut lines: Vec<String> = ops.iter().map(ToString::to_string).collect();
    if elements.len() > 1 {
        let more = if elements.len() > SHOWN { ", ..." } else { "" };
        let shown = elements[..elements.len().min(SHOWN)].join(", ");
        lines.push(format!("{} elements are concerned: {shown}{more}", elements.len()));
    }
    let entries = ops.iter().flat_map(|op| entries_of(op)).collect();
    let at_ns = answer.completed_ns.unwrap_or(answer.invoked_ns);
    judgement.violation(kind, at_ns, summary, Evidence { entries, lines, ..Evidence::default() });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::ops;
    use crate::jsonl::from_json_lines;

    const LOG: Config = Config { ordered: true, fresh: true };

    /// `OUTCOME:ELEMENT` adds, anything else is an answer of these elements; one after the other, a second apart.
    fn judge(script: &[&str], final_from: usize, config: Config) -> Vec<String> {
        let mut text = String::new();
        for (i, step) in script.iter().enumerate() {
            let (f, outcome, asked, answer) = match step.split_once(':') {
                Some((outcome, element)) => {
                    let element = format!("{element:?}");
                    ("add", outcome, element.clone(), element)
                }
                None => {
                    let list: Vec<&str> = step.split_whitespace().collect();
                    ("elements", "ok", "null".to_owned(), format!("{list:?}"))
                }
            };
            for (n, (phase, value)) in [("invoke", asked), (outcome, answer)].into_iter().enumerate() {
                let time = i as u64 * 1_000_000_000 + n as u64 * 1_000_000;
                let index = i * 2 + n;
                text += &format!(
                    "{{\"type\":\"{phase}\",\"process\":{i},\"f\":\"{f}\",\"key\":\"s\",\"value\":{value},\
                     \"time\":{time},\"index\":{index}}}\n"
                );
            }
        }
        let ops = ops(&from_json_lines(&text).unwrap()).unwrap();
        let judgement = check(&ops, Some(final_from as u64 * 1_000_000_000), config);
        let kinds =
            judgement.violations.iter().map(|v| v.signature.trim_start_matches("collection/").to_owned());
        kinds.chain(judgement.unknown).collect()
    }

    #[test]
    fn what_was_acknowledged_is_there_at_the_end() {
        assert_eq!(judge(&["ok:a", "ok:b", "a b"], 2, LOG), [""; 0]);
        assert_eq!(judge(&["ok:a", "ok:b", "b"], 2, LOG), ["acknowledged-element-lost"]);
        assert_eq!(judge(&["ok:a", "info:b", "a"], 2, LOG), [""; 0]);
        assert_eq!(judge(&["ok:a", "b", "ok:c"], 3, LOG), ["unexpected-element", "no final answer for s"]);
    }

    #[test]
    fn what_was_seen_stays() {
        assert_eq!(judge(&["info:a", "a", "-"], 2, LOG), ["unexpected-element", "seen-element-lost"]);
        assert_eq!(judge(&["info:a", "a", "a"], 2, LOG), [""; 0]);
    }

    #[test]
    fn refused_and_foreign_elements_must_not_be_there() {
        assert_eq!(judge(&["fail:a", "a"], 1, LOG), ["unexpected-element"]);
        assert_eq!(judge(&["ok:a", "a zz"], 1, LOG), ["unexpected-element"]);
    }

    #[test]
    fn an_element_is_there_once() {
        assert_eq!(judge(&["ok:a", "a a"], 1, LOG), ["duplicated-element"]);
    }

    #[test]
    fn order_is_asked_of_logs_only() {
        let script = ["ok:a", "ok:b", "b a"];
        assert_eq!(judge(&script, 2, LOG), ["reordered-elements"]);
        assert_eq!(judge(&script, 2, Config::default()), [""; 0]);
        assert_eq!(judge(&["info:a", "ok:b", "b a"], 2, LOG), [""; 0]);
    }

    #[test]
    fn an_answer_may_not_lag_where_freshness_is_promised() {
        let script = ["ok:a", "ok:b", "a", "a b"];
        assert_eq!(judge(&script, 3, LOG), ["stale-elements"]);
        assert_eq!(judge(&script, 3, Config { fresh: false, ordered: true }), [""; 0]);
    }
}
