//! How fast transactions are checked, and how much memory that takes.
//!
//! `cargo run --release -p oracle --example transactions -- [TRANSACTIONS [ROUNDS [CHECK]]] [--svg FILE]` (a million and
//! five without them, and every check; `--svg` writes memory as a picture)
//! makes histories of Elle's shape: 20 clients, transactions of 1 to 4 micro-operations, half of them appends, ten keys
//! at a time, drawn exponentially and replaced after 32 appends, a percent each of failures and crashes. Entries are
//! made while they are checked, so the time to make them alone is measured too and taken off. Times are of the
//! processor, on one core.

mod figures;

use figures::{Plot, cpu_seconds, machine, mib};
use oracle::check::{self, Check, Options};
use oracle::history::Phase;
use oracle::raw::{Entry, Error, Process};
use oracle::value::Value;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::Path;

const CLIENTS: usize = 20;
const ACTIVE_KEYS: usize = 10;
const APPENDS_PER_KEY: usize = 32;

/// A store of lists or registers in which transactions happen one after the other.
struct Store {
    rng: ChaCha8Rng,
    is_list: bool,
    left: usize,
    index: u64,
    state: BTreeMap<usize, Vec<i64>>,
    keys: Vec<usize>,
    fresh_key: usize,
    clients: Vec<(u64, Option<Vec<Value>>)>,
    ready: VecDeque<Entry>,
}

impl Store {
    fn new(seed: u64, txns: usize, is_list: bool) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            is_list,
            left: txns,
            index: 0,
            state: BTreeMap::new(),
            keys: (0..ACTIVE_KEYS).collect(),
            fresh_key: ACTIVE_KEYS,
            clients: (0..CLIENTS as u64).map(|process| (process, None)).collect(),
            ready: VecDeque::new(),
        }
    }

    fn entry(&mut self, process: u64, phase: Phase, mops: Vec<Value>) -> Entry {
        self.index += 1;
        Entry {
            index: self.index,
            at_ns: Some(self.index * 1_000),
            process: Process::Client(process),
            phase,
            f: "txn".to_owned(),
            key: None,
            value: Value::List(mops),
            error: None,
            extra: Vec::new(),
            place: None,
        }
    }

    fn question(&mut self) -> Vec<Value> {
        let mops = 1 + self.rng.random_range(0..4);
        let mut question = Vec::with_capacity(mops);
        for _ in 0..mops {
            // Each key is half as likely as the one before it.
            let at = (self.rng.next_u32().trailing_zeros() as usize).min(ACTIVE_KEYS - 1);
            let key = self.keys[at];
            let mop = if self.rng.random_bool(0.5) {
                let count = self.state.entry(key).or_default().len();
                if count >= APPENDS_PER_KEY {
                    self.keys[at] = self.fresh_key;
                    self.fresh_key += 1;
                }
                let name = if self.is_list { "append" } else { "w" };
                [
                    Value::text(name),
                    Value::Int(self.keys[at] as i64),
                    Value::Int(self.index as i64 * 8 + question.len() as i64),
                ]
            } else {
                [Value::text("r"), Value::Int(key as i64), Value::Nil]
            };
            question.push(Value::List(mop.to_vec()));
        }
        question
    }

    /// What happens when the transaction takes effect.
    fn answer(&mut self, question: Vec<Value>) -> Vec<Value> {
        let answer = |mop: Value| {
            let Value::List(mut parts) = mop else { return mop };
            let key = parts[1].as_int().unwrap_or_default() as usize;
            let list = self.state.entry(key).or_default();
            match parts[2].as_int() {
                Some(value) => list.push(value),
                None if self.is_list => {
                    parts[2] = Value::List(list.iter().map(|value| Value::Int(*value)).collect());
                }
                None => parts[2] = list.last().map_or(Value::Nil, |value| Value::Int(*value)),
            }
            Value::List(parts)
        };
        question.into_iter().map(answer).collect()
    }

    fn act(&mut self) {
        let at = self.rng.random_range(0..CLIENTS);
        let process = self.clients[at].0;
        let Some(question) = self.clients[at].1.take() else {
            if self.left > 0 {
                self.left -= 1;
                let question = self.question();
                self.clients[at].1 = Some(question.clone());
                let entry = self.entry(process, Phase::Invoke, question);
                self.ready.push_back(entry);
            }
            return;
        };
        let (phase, mops) = match self.rng.random_range(0..100) {
            0 => (Phase::Fail, question),
            1 => {
                self.clients[at].0 += CLIENTS as u64;
                self.answer(question.clone());
                (Phase::Info, question)
            }
            _ => (Phase::Ok, self.answer(question)),
        };
        let entry = self.entry(process, phase, mops);
        self.ready.push_back(entry);
    }
}

impl Iterator for Store {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() && (self.left > 0 || self.clients.iter().any(|(_, open)| open.is_some()))
        {
            self.act();
        }
        self.ready.pop_front().map(Ok)
    }
}

/// Processor seconds of the check, and MiB at most.
fn measure(check: &Check, seed: u64, txns: usize, is_list: bool) -> Result<(f64, f64, f64), Error> {
    let begin = cpu_seconds();
    let entries = Store::new(seed, txns, is_list).count();
    let made = cpu_seconds() - begin;
    assert!(entries > txns);
    // From here on the highest mark counts.
    let is_reset = fs::write("/proc/self/clear_refs", "5").is_ok();
    let before = if is_reset { mib("VmRSS:") } else { 0.0 };
    let begin = cpu_seconds();
    let judgement = check.judge(&mut Store::new(seed, txns, is_list), &Options::default())?;
    let checked = cpu_seconds() - begin - made;
    assert!(
        judgement.violations.is_empty(),
        "the store is serializable: {:?}",
        judgement.violations[0].summary
    );
    judgement.unknown.iter().for_each(|why| println!("{} {txns}: unknown: {why}", check.name));
    Ok((made, checked, (mib("VmHWM:") - before).max(0.0)))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let svg = args.iter().position(|arg| arg == "--svg").map(|at| args.drain(at..).nth(1));
    let number = |at: usize| args.get(at).and_then(|arg| arg.parse().ok());
    let (txns, rounds, only) = (number(0).unwrap_or(1_000_000), number(1).unwrap_or(5), args.get(2).cloned());
    println!("{}", machine());
    let mut plot = Plot::default();
    let all = [
        ("list-append", true),
        ("rw-register", false),
        ("read-committed", false),
        ("read-atomic", false),
        ("causal-consistency", false),
        ("serializable", false),
        ("snapshot-isolation", false),
    ];
    for (name, is_list) in
        all.into_iter().filter(|(name, _)| only.as_deref().is_none_or(|only| only == *name))
    {
        let Some(check) = check::named(name) else { continue };
        for size in [txns / 8, txns / 4, txns / 2, txns] {
            let mut times = Vec::new();
            let (mut most, mut making) = (0.0_f64, 0.0);
            for round in 0..rounds {
                let (made, checked, memory) = measure(check, round as u64, size, is_list)?;
                times.push(checked);
                most = most.max(memory);
                making = made;
            }
            times.sort_by(f64::total_cmp);
            let median = times[times.len() / 2];
            println!(
                "{name} {size} transactions: median {median:.2} s of processor ({:.2} to {:.2}, {rounds} rounds; \
                 {making:.2} s more to make the history), {:.0} bytes a transaction, {most:.0} MiB {}",
                times[0],
                times[times.len() - 1],
                most * f64::from(1 << 20) / size as f64,
                "#".repeat(most as usize / 10),
            );
            plot.add(name, size as f64, most);
        }
    }
    match svg {
        Some(Some(path)) => plot.write(Path::new(&path)),
        Some(None) => Err("--svg needs a file".into()),
        None => Ok(()),
    }
}
