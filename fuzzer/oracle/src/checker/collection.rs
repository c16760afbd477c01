//! Collections: sets and logs that only grow. What was added is there, once, and stays.
//!
//! | kind | what was seen |
//! |---|---|
//! | `acknowledged-element-lost` | the addition was acknowledged, and no final answer holds the element, nor one asked again |
//! | `seen-element-lost` | an answer held the element, and no final answer does, nor one asked again |
//! | `unexpected-element` | an answer holds what nobody added until then, or what was refused for certain |
//! | `duplicated-element` | an answer holds an element twice, though it was asked for once |
//! | `reordered-elements` | a log holds two elements against the order in which they were acknowledged |
//! | `stale-elements` | an answer misses what was acknowledged before it was asked for, and later ones have it |
//!
//! This is how a campaign's own histories are judged; [`set`](super::set) judges anybody's in the same way, where these
//! kinds and their sources are those of Jepsen. All of it is linear in the size of the answers, but for the sorting of
//! what was added.

mod growth;

pub(super) use growth::{Addition, Answer, Facts, Finding, Growth};

use super::missed::not_asked_again;
use crate::history::entries_of;
use crate::op::{Call, Op, Outcome, seconds};
use crate::verdict::{Evidence, Judgement};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;

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

/// Judges additions against answers; those asked for at `final_from_ns` or later are final. What they miss is lost if
/// those asked for at `again_from_ns` or later miss it too.
///
/// A collection with an acknowledged element but no final answer is unknown, and so is one that seems to have lost
/// elements and was not asked for again.
#[must_use]
pub fn check(ops: &[Op], final_from_ns: Option<u64>, again_from_ns: u64, config: Config) -> Judgement {
    let mut judgement = Judgement::new(NAME);
    let mut unread = Vec::new();
    for (key, collection) in &collections(ops) {
        let growth = Growth::new(collection, &collection.additions, &collection.answers);
        let mut findings = vec![growth.unexpected(), growth.duplicated()];
        if config.ordered {
            findings.push(growth.reordered());
        }
        if let Some(from_ns) = final_from_ns {
            let last = collection.asked_from(from_ns);
            let lost = if last.is_empty() { Vec::new() } else { growth.lost(last.start) };
            match lost.first() {
                Some(first) if collection.asked_from(again_from_ns).is_empty() => {
                    not_asked_again(&mut judgement, key, &first.summary);
                }
                _ => findings
                    .extend(lost.into_iter().map(|it| Some(collection.asked_again(it, again_from_ns)))),
            }
            if last.is_empty() && growth.acknowledged() > 0 {
                unread.push(*key);
            }
        }
        if config.fresh {
            findings.push(growth.stale(false));
        }
        for finding in findings.into_iter().flatten() {
            collection.report(&mut judgement, &finding);
        }
    }
    if !unread.is_empty() {
        judgement.unknown(format!("no final answer for {}", unread.join(", ")));
    }
    judgement
}

/// The final answers of collections that seem to have lost something.
pub(super) fn missing(ops: &[Op], final_from_ns: u64) -> Vec<&Op> {
    let mut missing = Vec::new();
    for collection in collections(ops).values() {
        let growth = Growth::new(collection, &collection.additions, &collection.answers);
        let last = collection.asked_from(final_from_ns);
        if !last.is_empty() && !growth.lost(last.start).is_empty() {
            missing.extend(collection.answers[last].iter().map(|answer| collection.ops[answer.op]));
        }
    }
    missing
}

fn collections(ops: &[Op]) -> BTreeMap<&str, Collection<'_>> {
    let mut collections: BTreeMap<&str, Collection<'_>> = BTreeMap::new();
    for op in ops {
        collections.entry(op.call.key()).or_default().push(op);
    }
    collections
}

/// What happened to one collection.
#[derive(Default)]
struct Collection<'a> {
    ops: Vec<&'a Op>,
    elements: Vec<&'a str>,
    ids: BTreeMap<&'a str, u32>,
    additions: Vec<Addition>,
    /// In the order in which they were asked for.
    answers: Vec<Answer>,
}

impl<'a> Collection<'a> {
    fn push(&mut self, op: &'a Op) {
        let position = self.ops.len();
        match &op.call {
            Call::Add { element, .. } => {
                let element = self.id(element);
                self.additions.push(Addition {
                    element,
                    op: position,
                    invoke: op.invoke,
                    complete: op.complete,
                    outcome: op.outcome,
                });
            }
            Call::Elements { elements: Some(elements), .. } if op.outcome == Outcome::Ok => {
                let Some(complete) = op.complete else { return };
                let elements = elements.iter().map(|element| self.id(element)).collect();
                self.answers.push(Answer { op: position, invoke: op.invoke, complete, elements });
            }
            _ => return,
        }
        self.ops.push(op);
    }

    /// The positions of answers that were asked for at this instant or later.
    fn asked_from(&self, from_ns: u64) -> Range<usize> {
        let is_earlier = |answer: &Answer| self.ops[answer.op].invoked_ns < from_ns;
        self.answers.partition_point(is_earlier)..self.answers.len()
    }

    /// A loss, with the last answer that was asked for again.
    fn asked_again(&self, mut lost: Finding, again_from_ns: u64) -> Finding {
        let again = self.answers[self.asked_from(again_from_ns)].last();
        if let Some(again) = again.filter(|again| again.op != lost.answer) {
            let (first, second) = (self.ops[lost.answer], self.ops[again.op]);
            lost.summary += &format!(
                "; it is missing at {} and, after a change through the same node and a rest, at {}",
                seconds(first.invoked_ns),
                seconds(second.invoked_ns)
            );
            lost.ops.push(again.op);
        }
        lost
    }

    fn id(&mut self, element: &'a str) -> u32 {
        *self.ids.entry(element).or_insert_with(|| {
            self.elements.push(element);
            u32::try_from(self.elements.len() - 1).expect("a history has less than 2^32 elements")
        })
    }

    fn report(&self, judgement: &mut Judgement, finding: &Finding) {
        let answer = self.ops[finding.answer];
        let mut ops: Vec<&Op> = finding.ops.iter().map(|op| self.ops[*op]).collect();
        ops.sort_by_key(|op| op.invoke);
        let mut lines: Vec<String> = ops.iter().map(ToString::to_string).collect();
        if finding.elements.len() > 1 {
            let shown = finding.elements.iter().take(SHOWN).map(|element| self.elements[*element as usize]);
            let shown: Vec<&str> = shown.collect();
            let more = if finding.elements.len() > SHOWN { ", ..." } else { "" };
            let (count, shown) = (finding.elements.len(), shown.join(", "));
            lines.push(format!("{count} elements are concerned: {shown}{more}"));
        }
        let entries = ops.iter().flat_map(|op| entries_of(op)).collect();
        let at_ns = answer.completed_ns.unwrap_or(answer.invoked_ns);
        let evidence = Evidence { entries, lines, ..Evidence::default() };
        judgement.violation(finding.kind, at_ns, finding.summary.clone(), evidence);
    }
}

impl Facts for Collection<'_> {
    fn element(&self, element: u32) -> String {
        format!("{:?}", self.elements[element as usize])
    }

    fn operation(&self, op: usize) -> String {
        self.ops[op].call.to_string()
    }

    fn completed(&self, op: usize) -> String {
        self.ops[op].completed_ns.map_or_else(|| "an unknown time".to_owned(), seconds)
    }
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
        let from_ns = final_from as u64 * 1_000_000_000;
        let judgement = check(&ops, Some(from_ns), from_ns, config);
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
