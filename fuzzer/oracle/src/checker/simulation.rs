//! Histories of a simulated store, for tests: clients with delays, failures and crashes.

use crate::check::{Check, Options};
use crate::history::Phase;
use crate::raw::{Entry, Error, Place};
use crate::value::Value;
use crate::verdict::Judgement;
use crate::workload::{self, World};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub use crate::workload::{Ask, Plan, TICK_NS};

/// The generator of tests.
pub type Rng = ChaCha8Rng;

/// The generator of this seed.
pub fn rng(seed: u64) -> Rng {
    ChaCha8Rng::seed_from_u64(seed)
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

/// Some of everything.
pub const PLAN: Plan = Plan { operations: 80, clients: 5, info_percent: 10, fail_percent: 5 };

/// A store with the functions that a test gives it.
struct Given<'a, S, N, A> {
    store: &'a mut S,
    next: N,
    apply: A,
    last: Vec<Ask>,
}

impl<S, N, A> World<Rng> for Given<'_, S, N, A>
where
    N: FnMut(&S, usize, &mut Rng) -> Ask,
    A: FnMut(&mut S, &Ask) -> Option<Value>,
{
    fn ask(&mut self, client: usize, rng: &mut Rng) -> Ask {
        (self.next)(self.store, client, rng)
    }

    fn apply(&mut self, _: usize, ask: &Ask, _: bool) -> Option<Value> {
        (self.apply)(self.store, ask)
    }

    fn last(&self) -> Vec<Ask> {
        self.last.clone()
    }
}

/// A history of a store: `next` says what a client asks, `apply` changes the store at one instant and answers, or
/// refuses with `None`; at the end `last` is asked.
pub fn simulate<S>(
    plan: Plan,
    rng: &mut Rng,
    store: &mut S,
    next: impl FnMut(&S, usize, &mut Rng) -> Ask,
    apply: impl FnMut(&mut S, &Ask) -> Option<Value>,
    last: Vec<Ask>,
) -> Vec<Entry> {
    placed(workload::simulate(plan, rng, &mut Given { store, next, apply, last }))
}

/// Each entry has a line of its own.
fn placed(mut entries: Vec<Entry>) -> Vec<Entry> {
    for (line, entry) in (1..).zip(&mut entries) {
        entry.place = Some(Place { line, column: 1 });
    }
    entries
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
        workload::push(&mut entries, *process, phase, &ask(f, Value::Nil), value.clone());
    }
    placed(entries)
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

/// Spoils the answers of `times` reads in each of 300 good histories: the check must report `kind`, and nothing else,
/// exactly where `is_bad`. How many are bad.
pub fn spoiled(
    check: &Check,
    history: impl Fn(u64) -> Vec<Entry>,
    times: usize,
    spoil: impl Fn(&mut Value, &mut Rng),
    is_bad: impl Fn(&[Entry]) -> bool,
    kind: &str,
) -> usize {
    let mut found = 0;
    for seed in 0..300 {
        let mut entries = history(seed);
        assert_eq!(kinds(check, &entries, &[]), [""; 0]);
        let mut rng = rng(seed);
        let reads = completions(&entries, "read", Phase::Ok);
        for _ in 0..times {
            spoil(&mut entries[reads[rng.random_range(0..reads.len())]].value, &mut rng);
        }
        let expected: &[&str] = if is_bad(&entries) { &[kind] } else { &[] };
        found += expected.len();
        assert_eq!(kinds(check, &entries, &[]), expected, "seed {seed}");
    }
    found
}
