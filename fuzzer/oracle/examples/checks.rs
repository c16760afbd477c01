//! How long checks take, and how much memory, by the length of the history.
//!
//! `cargo run --release -p oracle --example checks -- [OPERATIONS] [--only CHECK] [--svg FILE]`
//!
//! Histories of an eighth, a quarter, a half and all of the operations (a million without a number) are those of
//! [`oracle::workload`] on a right store, made while they are checked, each in a process of its own. The time to make
//! them is measured before and taken off. Times are of the processor. `--svg` writes memory as a picture.

#![allow(clippy::print_stdout, reason = "it is a program")]

mod figures;

use figures::{Plot, cpu_seconds, machine, mib};
use oracle::check::{self, Options};
use oracle::raw::Entry;
use oracle::value::Value;
use oracle::workload::{Ask, Bench, Family, Flawed, Generator, Plan, Shape, Simulation, World};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::error::Error;
use std::path::Path;
use std::process::Command;

/// Who makes a history.
#[derive(Clone, Copy)]
enum Source {
    /// A family, with the reads of a hundred operations, those after which a key is given up, and the most added at once.
    Family(Family, u32, u64, i64),
    /// One stack.
    Stack,
    /// Ids.
    Ids,
}

/// A check, its history, and the operations of a hundred that crash.
struct Case {
    check: &'static str,
    source: Source,
    info_percent: u32,
}

const fn case(check: &'static str, source: Source, info_percent: u32) -> Case {
    Case { check, source, info_percent }
}

/// Sets are given up before their reads are long. Fast algorithms of queues and stacks are for histories in which nobody
/// may have taken something unseen.
const CASES: &[Case] = &[
    case("fifo-queue", Source::Family(Family::Queue, 50, 0, 1), 0),
    case("stack", Source::Stack, 0),
    case("linearizable-set", Source::Family(Family::Set, 20, 400, 1), 0),
    case("linearizable-counter", Source::Family(Family::Counter, 50, 0, 1), 0),
    case("register", Source::Family(Family::Watch, 0, 0, 1), 1),
    case("cas-register", Source::Family(Family::Register, 50, 200, 1), 1),
    case("set", Source::Family(Family::Set, 20, 400, 1), 1),
    case("set-full", Source::Family(Family::Set, 20, 400, 1), 1),
    case("queue", Source::Family(Family::Queue, 50, 0, 1), 1),
    case("total-queue", Source::Family(Family::Queue, 50, 0, 1), 1),
    case("counter", Source::Family(Family::Counter, 50, 0, 5), 1),
    case("bank", Source::Family(Family::Bank, 50, 0, 5), 1),
    case("mutex", Source::Family(Family::Lock, 0, 0, 5), 1),
    case("semaphore", Source::Family(Family::Lock, 0, 0, 5), 1),
    case("fencing", Source::Family(Family::Lock, 0, 0, 5), 1),
    case("kafka", Source::Family(Family::Log, 30, 0, 5), 1),
    case("watch", Source::Family(Family::Watch, 30, 200, 5), 1),
    case("unique-ids", Source::Ids, 1),
    case("list-append", Source::Family(Family::Transactions, 50, 200, 5), 1),
];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, case, operations] = &arguments[..]
        && mode == "one"
    {
        return one(&CASES[case.parse::<usize>()?], operations.parse()?);
    }
    let (mut operations, mut only, mut svg) = (1_000_000, None, None);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--only" => only = words.next(),
            "--svg" => svg = words.next(),
            number => {
                operations = number.parse().map_err(|_| format!("{number} is no number of operations"))?
            }
        }
    }
    println!("{}", machine());
    println!("{:<20} {:>10} {:>9} {:>9}  result", "check", "operations", "seconds", "MiB");
    let mut plot = Plot::default();
    for (number, case) in CASES.iter().enumerate() {
        if only.is_some_and(|only| only != case.check) {
            continue;
        }
        for operations in [operations / 8, operations / 4, operations / 2, operations] {
            let words = ["one", &number.to_string(), &operations.to_string()];
            let output = Command::new(std::env::current_exe()?).args(words).output()?;
            let text = String::from_utf8_lossy(&output.stdout);
            let [seconds, mib, result] = text.trim().splitn(3, ' ').collect::<Vec<_>>()[..] else {
                return Err(format!("{}: {}", case.check, String::from_utf8_lossy(&output.stderr)).into());
            };
            println!("{:<20} {operations:>10} {seconds:>9} {mib:>9}  {result}", case.check);
            plot.add(case.check, f64::from(operations), mib.parse()?);
        }
    }
    svg.map_or(Ok(()), |path| plot.write(Path::new(path)))
}

/// Prints seconds, MiB and what came out.
fn one(case: &Case, operations: u32) -> Result<(), Box<dyn Error>> {
    let begun = cpu_seconds();
    with_history(case, operations as usize, &mut |history| history.for_each(drop));
    let made = cpu_seconds() - begun;
    // from here on the highest mark counts
    std::fs::write("/proc/self/clear_refs", "5")?;
    let (begun, before) = (cpu_seconds(), mib("VmRSS:"));
    let check = check::named(case.check).ok_or("there is no such check")?;
    let options = Options { steps_max: 1_000_000_000, ..Options::default() };
    let mut judgement = None;
    with_history(case, operations as usize, &mut |history| {
        judgement = Some(check.judge(&mut history.map(Ok), &options));
    });
    let judgement = judgement.ok_or("nothing was judged")??;
    let kinds: Vec<&str> = judgement.violations.iter().map(|one| one.signature.as_str()).collect();
    let result = match (kinds.as_slice(), judgement.unknown.first()) {
        ([], None) => "valid".to_owned(),
        ([], Some(why)) => format!("{} unknown: {why}", judgement.unknown.len()),
        (kinds, _) => kinds.join(" "),
    };
    println!("{:.2} {:.0} {result}", cpu_seconds() - begun - made, (mib("VmHWM:") - before).max(0.0));
    Ok(())
}

/// Makes the history, and hands it on an entry at a time.
fn with_history(case: &Case, operations: usize, take: &mut dyn FnMut(&mut dyn Iterator<Item = Entry>)) {
    let plan = Plan { operations, clients: 20, info_percent: case.info_percent, fail_percent: 1 };
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    match case.source {
        Source::Family(family, read_percent, operations_per_key, amount_max) => {
            let keys = if family == Family::Queue { 1 } else { 20 };
            let shape = Shape {
                clients: 20,
                clients_per_key: 20,
                keys,
                read_percent,
                operations_per_key,
                amount_max,
                ..Shape::default()
            };
            let mut bench =
                Bench { generator: Generator::new(family, shape), store: Flawed::new(family, None, 1) };
            // not every check knows all that a family asks for
            let mut known = Simulation::new(plan, &mut rng, &mut bench).filter(|entry| match case.check {
                "fifo-queue" => entry.f != "drain",
                "register" => entry.f != "watch",
                _ => true,
            });
            take(&mut known);
        }
        Source::Stack => take(&mut Simulation::new(plan, &mut rng, &mut Stack::default())),
        Source::Ids => take(&mut Simulation::new(plan, &mut rng, &mut Ids::default())),
    }
}

/// A stack, filled and emptied.
#[derive(Default)]
struct Stack {
    elements: Vec<Value>,
    last: i64,
}

impl<R: Rng> World<R> for Stack {
    fn ask(&mut self, _: usize, rng: &mut R) -> Ask {
        if rng.random() {
            return Ask { f: "pop", key: None, value: Value::Nil };
        }
        self.last += 1;
        Ask { f: "push", key: None, value: Value::Int(self.last) }
    }

    fn apply(&mut self, _: usize, ask: &Ask, _: bool) -> Option<Value> {
        if ask.f == "pop" {
            return Some(self.elements.pop().unwrap_or_default());
        }
        self.elements.push(ask.value.clone());
        Some(ask.value.clone())
    }
}

/// Ids that count up.
#[derive(Default)]
struct Ids {
    last: i64,
}

impl<R: Rng> World<R> for Ids {
    fn ask(&mut self, _: usize, _: &mut R) -> Ask {
        Ask { f: "generate", key: None, value: Value::Nil }
    }

    fn apply(&mut self, _: usize, _: &Ask, _: bool) -> Option<Value> {
        self.last += 1;
        Some(Value::Int(self.last))
    }
}
