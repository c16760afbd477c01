//! Histories of a simulated store, for tests: clients with delays, failures and crashes.

use crate::check::{Check, Options};
use crate::history::Phase;
use crate::raw::{Entry, Error, Place, Process};
use crate::value::Value;
use crate::verdict::Judgement;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The generator of tests.
pub type Rng = ChaCha8Rng;

/// The time between two entries.
pub const TICK_NS: u64 = 1_000_000;

/// The generator of this seed.
pub fn rng(seed: u64) -> Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Ask {
    pub f: &'static str,
    pub key: Option<Value>,
    pub value: Value,
}

/// Asks something of the only object.
pub fn ask(f: &'static str, value: impl Into<Value>) -> Ask {
    Ask { f, key: None, value: value.into() }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

/// A list of whole numbers.
pub fn ints(numbers: impl IntoIterator<Item = i64>) -> Value {
    Value::List(numbers.into_iter().map(Value::Int).collect())
}

/// A map with keywords for keys, as EDN has it.
pub fn map(pairs: &[(&str, i64)]) -> Value {
    Value::Map(pairs.iter().map(|(key, value)| (Value::Keyword((*key).into()), Value::Int(*value))).collect())
}

/// How much is asked, and what goes wrong.
#[derive(Clone, Copy)]
pub struct Plan {
    pub operations: usize,
    pub clients: usize,
    pub info_percent: u32,
    pub fail_percent: u32,
}

/// Some of everything.
pub const PLAN: Plan = Plan { operations: 80, clients: 5, info_percent: 10, fail_percent: 5 };

struct Pending {
    ask: Ask,
    answer: Option<Option<Value>>,
}

/// A history of a store: `next` says what a client asks, `apply` changes the store at one instant and answers, or
/// refuses with `None`; crashed operations take effect at some later instant or never. At the end `last` is asked, one
/// after the other, without failures.
pub fn simulate<S>(
    plan: Plan,
    rng: &mut Rng,
    store: &mut S,
    mut next: impl FnMut(&S, usize, &mut Rng) -> Ask,
    mut apply: impl FnMut(&mut S, &Ask) -> Option<Value>,
    last: Vec<Ask>,
) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut clients: Vec<Option<Pending>> = (0..plan.clients).map(|_| None).collect();
    let mut processes: Vec<u64> = (0..plan.clients as u64).collect();
    let mut crashed: Vec<Ask> = Vec::new();
    let mut begun = 0;
    while begun < plan.operations || clients.iter().any(Option::is_some) {
        if !crashed.is_empty() && rng.random_ratio(1, 10) {
            let at = rng.random_range(0..crashed.len());
            apply(store, &crashed.swap_remove(at));
        }
        let client = rng.random_range(0..plan.clients);
        let process = processes[client];
        match clients[client].take() {
            None if begun < plan.operations => {
                begun += 1;
                let ask = next(store, client, rng);
                push(&mut entries, process, Phase::Invoke, &ask, ask.value.clone());
                clients[client] = Some(Pending { ask, answer: None });
            }
            None => {}
            Some(Pending { ask, answer: None }) => {
                let drawn = rng.random_range(0..100);
                if drawn < plan.info_percent {
                    push(&mut entries, process, Phase::Info, &ask, ask.value.clone());
                    crashed.push(ask);
                    processes[client] += plan.clients as u64;
                } else if drawn < plan.info_percent + plan.fail_percent {
                    push(&mut entries, process, Phase::Fail, &ask, ask.value.clone());
                } else {
                    let answer = apply(store, &ask);
                    clients[client] = Some(Pending { ask, answer: Some(answer) });
                }
            }
            Some(Pending { ask, answer: Some(answer) }) => match answer {
                Some(value) => push(&mut entries, process, Phase::Ok, &ask, value),
                None => push(&mut entries, process, Phase::Fail, &ask, ask.value.clone()),
            },
        }
    }
    for ask in last {
        push(&mut entries, processes[0], Phase::Invoke, &ask, ask.value.clone());
        let (phase, value) = match apply(store, &ask) {
            Some(value) => (Phase::Ok, value),
            None => (Phase::Fail, ask.value.clone()),
        };
        push(&mut entries, processes[0], phase, &ask, value);
    }
    entries
}

fn push(entries: &mut Vec<Entry>, process: u64, phase: Phase, ask: &Ask, value: Value) {
    let index = entries.len() as u64;
    entries.push(Entry {
        index,
        at_ns: Some(index * TICK_NS),
        process: Process::Client(process),
        phase,
        f: ask.f.into(),
        key: ask.key.clone(),
        value,
        error: None,
        extra: Vec::new(),
        place: Some(Place { line: index as u32 + 1, column: 1 }),
    });
}

/// A history by hand: `(process, phase, f, value)`, in order; `+` invokes, `=` is ok, `!` fails, `?` is info.
pub fn script(steps: &[(u64, char, &'static str, Value)]) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (process, phase, f, value) in steps {
        let phase = match phase {
            '+' => Phase::Invoke,
            '=' => Phase::Ok,
            '!' => Phase::Fail,
            _ => Phase::Info,
        };
        push(&mut entries, *process, phase, &ask(f, Value::Nil), value.clone());
    }
    entries
}

/// The positions of the completions of this kind.
pub fn completions(entries: &[Entry], f: &str, phase: Phase) -> Vec<usize> {
    let is_one = |entry: &Entry| entry.f == f && entry.phase == phase;
    (0..entries.len()).filter(|at| is_one(&entries[*at])).collect()
}

/// Options with these settings.
pub fn settings(settings: &[(&str, &str)]) -> Options {
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Options { settings, ..Options::default() }
}

/// What the check says.
pub fn judge(check: &Check, entries: &[Entry], options: &[(&str, &str)]) -> Result<Judgement, Error> {
    check.judge(&mut entries.iter().cloned().map(Ok), &settings(options))
}

/// The kinds of the violations found, in the order of their names, and `unknown` where something is.
pub fn kinds(check: &Check, entries: &[Entry], options: &[(&str, &str)]) -> Vec<String> {
    let judgement = judge(check, entries, options).unwrap();
    let prefix = format!("{}/", check.name);
    let mut kinds: Vec<String> = judgement
        .violations
        .iter()
        .map(|violation| violation.signature.strip_prefix(&prefix).unwrap().to_owned())
        .collect();
    kinds.sort();
    kinds.extend((!judgement.unknown.is_empty()).then(|| "unknown".to_owned()));
    kinds
}

/// What the check cannot read.
pub fn error(check: &Check, entries: &[Entry], options: &[(&str, &str)]) -> String {
    judge(check, entries, options).unwrap_err().to_string()
}
