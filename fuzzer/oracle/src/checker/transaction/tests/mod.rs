//! Histories in a notation, and what checks make of them.

mod cycles;
mod decided;
mod lists;
mod planted;
mod reference;
mod registers;
mod store;

use crate::check::{Check, Options};
use crate::history::Phase;
use crate::raw::{Entry, Place, Process};
use crate::value::Value;
use crate::verdict::{Evidence, Judgement};

/// A transaction of a script: who, when (ordered instants, unique), how it ended, and its micro-operations.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub process: u64,
    pub from: u64,
    pub to: u64,
    pub phase: Phase,
    pub mops: Vec<Value>,
}

/// `[@PROCESS FROM-TO] [!|?] MOPS`: `ax1` appends 1 to x, `wx1` writes it, `rx12` reads `[1 2]` (of registers, 12), `rx`
/// nothing. `!` fails, `?` nobody knows. Without a prefix every transaction has its own process, and all are concurrent.
pub(super) fn steps(script: &[&str], is_list: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    for (at, line) in script.iter().enumerate() {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        let (mut process, mut from, mut to) = (100 + at as u64, at as u64, 1000 + at as u64);
        if let Some(name) = words[0].strip_prefix('@') {
            let (begin, end) = words[1].split_once('-').unwrap();
            (process, from, to) = (name.parse().unwrap(), begin.parse().unwrap(), end.parse().unwrap());
            words.drain(..2);
        }
        let phase = match words[0] {
            "!" => Phase::Fail,
            "?" => Phase::Info,
            _ => Phase::Ok,
        };
        let mops = words.iter().filter(|word| !matches!(**word, "!" | "?")).map(|word| {
            let (name, key, digits) = (&word[..1], &word[1..2], &word[2..]);
            let number = |text: &str| text.parse().map_or(Value::Nil, Value::Int);
            let (name, value) = match (name, is_list) {
                ("a", _) => ("append", number(digits)),
                ("w", _) => ("w", number(digits)),
                (_, true) => ("r", Value::List((0..digits.len()).map(|i| number(&digits[i..=i])).collect())),
                (_, false) => ("r", number(digits)),
            };
            Value::List(vec![Value::Keyword(name.into()), Value::Keyword(key.into()), value])
        });
        steps.push(Step { process, from, to, phase, mops: mops.collect() });
    }
    steps
}

/// Entries in the order of instants; each stands on a line of its own.
pub(super) fn entries(steps: &[Step]) -> Vec<Entry> {
    let mut events: Vec<(u64, Phase, &Step)> = Vec::new();
    for step in steps {
        events.push((step.from, Phase::Invoke, step));
        events.push((step.to, step.phase, step));
    }
    events.sort_by_key(|(at, ..)| *at);
    let unanswered = |mop: &Value| match mop.as_elements() {
        Some([name, key, _]) if name.as_name() == Some("r") => {
            Value::List(vec![name.clone(), key.clone(), Value::Nil])
        }
        _ => mop.clone(),
    };
    let numbered = (0..).zip(events);
    let entry = |(index, (_, phase, step)): (u64, (u64, Phase, &Step))| Entry {
        index,
        at_ns: Some(index * 1_000),
        process: Process::Client(step.process),
        phase,
        f: "txn".into(),
        key: None,
        value: Value::List(match phase {
            Phase::Ok => step.mops.clone(),
            _ => step.mops.iter().map(unanswered).collect(),
        }),
        error: None,
        extra: Vec::new(),
        place: Some(Place { line: index as u32 + 1, column: 1 }),
    };
    numbered.map(entry).collect()
}

/// Options with these settings.
pub(super) fn options(settings: &[(&str, &str)]) -> Options {
    let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Options { settings, ..Options::default() }
}

/// What a check says of these transactions.
pub(super) fn judge(check: &Check, steps: &[Step], settings: &[(&str, &str)]) -> Judgement {
    let mut entries = entries(steps).into_iter().map(Ok);
    let judgement = check.judge(&mut entries, &options(settings)).unwrap();
    judgement.violations.iter().for_each(|violation| sound(&violation.evidence));
    judgement
}

/// The names of the anomalies that are violations, sorted.
pub(super) fn names(judgement: &Judgement) -> Vec<String> {
    assert_eq!(judgement.unknown, [""; 0]);
    let name = |signature: &str| signature.split_once('/').unwrap().1.to_owned();
    let mut names: Vec<String> = judgement.violations.iter().map(|v| name(&v.signature)).collect();
    names.sort();
    names
}

/// What `list-append` finds wrong with a script.
pub(super) fn lists(script: &[&str]) -> Vec<String> {
    names(&judge(&super::append::CHECK, &steps(script, true), &[]))
}

/// Evidence has operations, a line for each, and a picture that is one circle, if it is a cycle.
fn sound(evidence: &Evidence) {
    assert!(!evidence.ops.is_empty() && evidence.lines.len() > evidence.ops.len());
    let Some(graph) = &evidence.graph else { return };
    assert_eq!(graph.nodes.len(), evidence.ops.len());
    for (at, edge) in graph.edges.iter().enumerate() {
        assert_eq!((edge.from, edge.to), (at, (at + 1) % graph.nodes.len()));
    }
}
