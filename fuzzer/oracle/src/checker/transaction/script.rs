//! Short histories of transactions in a notation of words.

use crate::history::Phase;
use crate::raw::{Entry, Place, Process};
use crate::value::Value;

/// Why a script can be read.
const NOTATION: &str = "scripts are part of the program, and keep to the notation";

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
            let (begin, end) = words[1].split_once('-').expect(NOTATION);
            let number = |text: &str| text.parse().expect(NOTATION);
            (process, from, to) = (number(name), number(begin), number(end));
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
