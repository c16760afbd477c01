//! How long checks take: `cargo run --release -p oracle --example checks [OPERATIONS]`, a million without it.
//!
//! Histories are those of [`oracle::workload`] on a right store, some operations of which crash.

use oracle::check::{self, Options};
use oracle::raw::Entry;
use oracle::workload::{Bench, Family, Flawed, Generator, Plan, Shape, simulate};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Checks by family, with the reads of a hundred operations. Sets are given up before their reads are long.
const CASES: &[(Family, &[&str], u32, u64)] = &[
    (Family::Set, &["set", "set-full"], 20, 400),
    (Family::Queue, &["queue", "total-queue"], 50, 0),
    (Family::Counter, &["counter"], 50, 0),
    (Family::Bank, &["bank"], 50, 0),
    (Family::Lock, &["mutex", "semaphore", "fencing"], 0, 0),
    (Family::Log, &["kafka"], 30, 0),
];

fn main() {
    let operations = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    println!("{:<14} {:>10} {:>9}  result", "check", "operations", "seconds");
    for (family, names, read_percent, operations_per_key) in CASES {
        let shape = Shape {
            clients: 20,
            clients_per_key: 20,
            keys: 20,
            read_percent: *read_percent,
            operations_per_key: *operations_per_key,
            ..Shape::default()
        };
        let mut bench =
            Bench { generator: Generator::new(*family, shape), store: Flawed::new(*family, None, 1) };
        let plan = Plan { operations, clients: 20, info_percent: 1, fail_percent: 1 };
        let history = simulate(plan, &mut ChaCha8Rng::seed_from_u64(1), &mut bench);
        for name in *names {
            judge(name, &history);
        }
    }
    let ids = generated(operations);
    judge("unique-ids", &ids);
}

#[expect(clippy::disallowed_types, reason = "it measures the host's time")]
fn judge(name: &str, history: &[Entry]) {
    let check = check::named(name).expect("the check is registered");
    let entries: Vec<Entry> = history.to_vec();
    let begun = std::time::Instant::now();
    let judgement = check.judge(&mut entries.into_iter().map(Ok), &Options::default());
    let seconds = begun.elapsed().as_secs_f64();
    let result = match judgement {
        Ok(judgement) => {
            let kinds: Vec<&str> = judgement.violations.iter().map(|one| one.signature.as_str()).collect();
            if kinds.is_empty() {
                format!("valid, {} unknown", judgement.unknown.len())
            } else {
                kinds.join(" ")
            }
        }
        Err(error) => error.to_string(),
    };
    println!("{name:<14} {:>10} {seconds:>9.2}  {result}", history.len() / 2);
}

/// Ids, each generated once: what is enqueued in the history of a queue.
fn generated(operations: usize) -> Vec<Entry> {
    let shape = Shape {
        clients: 20,
        keys: 1,
        clients_per_key: 20,
        read_percent: 0,
        operations_per_key: 0,
        ..Shape::default()
    };
    let mut bench =
        Bench { generator: Generator::new(Family::Queue, shape), store: Flawed::new(Family::Queue, None, 1) };
    let plan = Plan { operations, clients: 20, info_percent: 1, fail_percent: 1 };
    let mut history = simulate(plan, &mut ChaCha8Rng::seed_from_u64(1), &mut bench);
    history.retain(|entry| entry.f == "enqueue");
    history.iter_mut().for_each(|entry| entry.f = "generate".into());
    history
}
