//! Measures the checks of linearizability: CPU time of one thread, and memory.
//!
//! `cargo run --release -p oracle --example linearizability -- [--porcupine DIR] [--knossos DIR] [--svg FILE]`
//!
//! `--svg` writes memory as a picture. DIR is a checkout of `anishathalye/porcupine` or `jepsen-io/knossos`, whose histories are then checked against
//! their published verdicts. Exits with 1 if one differs.

#![allow(clippy::print_stdout, reason = "it is a program")]

mod figures;

use figures::Plot;
use oracle::check::{Options, named};
use oracle::format::{self, Format};
use oracle::history::Phase;
use oracle::raw::{Entry, Op, Process, ops};
use oracle::value::Value;
use oracle::verdict::{Judgement, Verdict};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// How often each thing is measured.
const REPETITIONS: usize = 9;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, operations] = &arguments[..]
        && mode == "peak"
    {
        return peak(operations.parse()?).map(|()| ExitCode::SUCCESS);
    }
    let mut folders: BTreeMap<&str, &Path> = BTreeMap::new();
    for pair in arguments.chunks(2) {
        match pair {
            [name, folder] if ["--porcupine", "--knossos", "--svg"].contains(&name.as_str()) => {
                folders.insert(name.trim_start_matches('-'), Path::new(folder));
            }
            _ => return Err("usage: linearizability [--porcupine DIR] [--knossos DIR] [--svg FILE]".into()),
        }
    }
    println!("{}", figures::machine());
    println!("CPU time of one thread in milliseconds: median (lowest..highest) of {REPETITIONS}");
    registers()?;
    memory(folders.get("svg").copied())?;
    let mut wrong = 0;
    if let Some(folder) = folders.get("porcupine") {
        wrong += etcd(folder)? + kv(folder)?;
    }
    if let Some(folder) = folders.get("knossos") {
        wrong += knossos(folder)?;
    }
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints a line of figures for something done several times, each with something prepared beforehand. The kernel
/// counts coarsely, so what is quick is done many times over.
fn measure<P, R>(what: &str, prepare: impl Fn() -> P, run: impl Fn(P) -> R) -> R {
    let batch = |times: usize| {
        let prepared: Vec<P> = (0..times).map(|_| prepare()).collect();
        let start = figures::cpu_seconds();
        let mut last = None;
        for one in prepared {
            last = Some(run(one));
        }
        ((figures::cpu_seconds() - start) * 1e9 / times as f64, last.expect("it was done at least once"))
    };
    let mut times = 1;
    while times < 1 << 16 && batch(times).0 * (times as f64) < 4e7 {
        times *= 2;
    }
    let (mut figures, mut results): (Vec<f64>, Vec<R>) = (0..REPETITIONS).map(|_| batch(times)).unzip();
    figures.sort_unstable_by(f64::total_cmp);
    let ms = |at: usize| figures[at] / 1e6;
    let (low, median, high) = (ms(0), ms(REPETITIONS / 2), ms(REPETITIONS - 1));
    println!("  {what:56} {median:9.3} ({low:.3}..{high:.3})");
    results.pop().expect("it was done at least once")
}

fn options(settings: &[(&str, &str)]) -> Options {
    let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    let threads = [("threads".to_owned(), "1".to_owned())];
    Options { settings: settings.chain(threads).collect(), ..Options::default() }
}

fn judge(check: &str, entries: Vec<Entry>, settings: &[(&str, &str)]) -> Judgement {
    let check = named(check).expect("the check exists");
    (check.run)(&mut entries.into_iter().map(Ok), &options(settings)).expect("it is understood")
}

fn judge_ops(ops: &[Op]) -> Judgement {
    oracle::checker::linearizable::raw::register(ops, &options(&[]), false).expect("it is understood")
}

/// Clients of an atomic register who write each value once; half of all operations are reads.
struct AtomicRegister {
    rng: ChaCha8Rng,
    operations: usize,
    /// What each client has open: whether it reads, the value (-1: nothing), and whether it took effect.
    open: Vec<Option<(bool, i64, bool)>>,
    content: i64,
    begun: usize,
    ended: usize,
    index: u64,
}

impl AtomicRegister {
    fn new(operations: usize, clients: usize, seed: u64) -> Self {
        let (rng, open) = (ChaCha8Rng::seed_from_u64(seed), vec![None; clients]);
        Self { rng, operations, open, content: -1, begun: 0, ended: 0, index: 0 }
    }
}

impl Iterator for AtomicRegister {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        while self.ended < self.operations {
            let client = self.rng.random_range(0..self.open.len());
            let (phase, reads, value) = match self.open[client] {
                None if self.begun < self.operations => {
                    let (reads, value) = (self.rng.random_bool(0.5), self.begun as i64);
                    self.open[client] = Some((reads, value, false));
                    self.begun += 1;
                    (Phase::Invoke, reads, if reads { -1 } else { value })
                }
                None => continue,
                Some((reads, value, false)) => {
                    if !reads {
                        self.content = value;
                    }
                    self.open[client] = Some((reads, self.content, true));
                    continue;
                }
                Some((reads, value, true)) => {
                    self.open[client] = None;
                    self.ended += 1;
                    (Phase::Ok, reads, value)
                }
            };
            let index = self.index;
            self.index += 1;
            return Some(Entry {
                index,
                at_ns: Some(index * 1000),
                process: Process::Client(client as u64),
                phase,
                f: if reads { "read" } else { "write" }.into(),
                key: None,
                value: if value < 0 { Value::Nil } else { Value::Int(value) },
                error: None,
                extra: Vec::new(),
                place: None,
            });
        }
        None
    }
}

fn atomic_register(operations: usize, clients: usize, seed: u64) -> Vec<Entry> {
    AtomicRegister::new(operations, clients, seed).collect()
}

/// The last read that can be spoilt sees what was replaced long before.
fn spoil(entries: &mut [Entry], rng: &mut impl Rng) {
    let start = entries.len() / 2 + rng.random_range(0..100.min(entries.len() / 4));
    let old =
        entries[..start / 2].iter().rev().find(|entry| entry.f == "write").map(|entry| entry.value.clone());
    let read = entries[start..].iter_mut().find(|entry| entry.f == "read" && entry.phase == Phase::Ok);
    if let (Some(old), Some(read)) = (old, read) {
        read.value = old;
    }
}

fn registers() -> Result<(), Box<dyn Error>> {
    println!("registers with unique values");
    for (operations, clients) in [(300, 20), (10_000, 30), (100_000, 30), (1_000_000, 30)] {
        let mut entries = atomic_register(operations, clients, 1);
        let joined = ops(entries.iter().cloned().map(Ok))?;
        let what = |what: &str| format!("{operations} operations, {clients} clients, {what}");
        let valid = measure(&what("valid, operations"), || (), |()| judge_ops(&joined));
        assert_eq!(valid.verdict(), Verdict::Valid);
        measure(&what("valid, entries"), || entries.clone(), |entries| judge("register", entries, &[]));
        spoil(&mut entries, &mut ChaCha8Rng::seed_from_u64(2));
        let joined = ops(entries.iter().cloned().map(Ok))?;
        let invalid = measure(&what("invalid, operations"), || (), |()| judge_ops(&joined));
        assert!(matches!(invalid.verdict(), Verdict::Violation(_)));
    }
    Ok(())
}

/// Peak memory of a process of its own for each size, as a picture too if that is asked for.
fn memory(svg: Option<&Path>) -> Result<(), Box<dyn Error>> {
    println!("peak memory of a process that checks a history while it is made");
    let mut plot = Plot::default();
    for operations in [125_000, 250_000, 375_000, 500_000, 625_000, 750_000, 875_000, 1_000_000] {
        let output =
            Command::new(std::env::current_exe()?).args(["peak", &operations.to_string()]).output()?;
        let mib: f64 = String::from_utf8_lossy(&output.stdout).trim().parse()?;
        println!("  {operations:8} operations {mib:4.0} MiB {}", "#".repeat((mib / 10.0) as usize));
        plot.add("register", f64::from(operations), mib);
    }
    svg.map_or(Ok(()), |path| plot.write(path))
}

fn peak(operations: usize) -> Result<(), Box<dyn Error>> {
    let check = named("register").ok_or("there is no such check")?;
    let judgement = check.judge(&mut AtomicRegister::new(operations, 30, 1).map(Ok), &options(&[]))?;
    assert_eq!(judgement.verdict(), Verdict::Valid);
    println!("{:.0}", figures::mib("VmHWM:"));
    Ok(())
}

fn read(path: &Path, format: Format) -> Result<Vec<Entry>, Box<dyn Error>> {
    let source = BufReader::new(File::open(path)?);
    let entries: Result<Vec<Entry>, _> = format::read(format, source, format::Options::default()).collect();
    entries.map_err(|error| format!("{}: {error}", path.display()).into())
}

/// Compares a verdict with what was expected; 1 if it differs.
fn differs(what: &str, judgement: &Judgement, valid: bool) -> usize {
    let agrees = match judgement.verdict() {
        Verdict::Valid => valid,
        Verdict::Violation(_) => !valid,
        Verdict::Unknown { .. } => false,
    };
    if !agrees {
        println!("  DIFFERS: {what}: expected valid: {valid}, found {:?}", judgement.verdict());
    }
    usize::from(!agrees)
}

fn etcd(folder: &Path) -> Result<usize, Box<dyn Error>> {
    println!("Porcupine's etcd logs");
    let tests = fs::read_to_string(folder.join("porcupine_test.go"))?;
    let mut logs = Vec::new();
    for call in tests.split("checkJepsen(t, ").skip(1) {
        let Some((number, rest)) = call.split_once(", ") else { continue };
        let Ok(number) = number.parse::<usize>() else { continue };
        let path = folder.join(format!("test_data/jepsen/etcd_{number:03}.log"));
        logs.push((number, rest.starts_with("true"), ops(read(&path, Format::Etcd)?.into_iter().map(Ok))?));
    }
    let check = |ops: &[Op]| {
        oracle::checker::linearizable::raw::register(ops, &options(&[]), true).expect("it is understood")
    };
    let judgements = measure(
        &format!("{} logs, operations", logs.len()),
        || (),
        |()| logs.iter().map(|(_, _, ops)| check(ops)).collect::<Vec<_>>(),
    );
    let wrong = logs
        .iter()
        .zip(&judgements)
        .map(|((number, valid, _), judgement)| differs(&format!("etcd_{number:03}"), judgement, *valid));
    let wrong = wrong.sum();
    let valid = logs.iter().filter(|(_, valid, _)| *valid).count();
    println!("  {} of {} verdicts as published ({valid} valid)", logs.len() - wrong, logs.len());
    Ok(wrong)
}

fn kv(folder: &Path) -> Result<usize, Box<dyn Error>> {
    println!("Porcupine's key-value histories");
    let mut wrong = 0;
    for partition in ["yes", "no"] {
        for name in ["c01-ok", "c01-bad", "c10-ok", "c10-bad", "c50-ok", "c50-bad"] {
            if partition == "no" && name.starts_with("c50") {
                continue;
            }
            let entries = read(&folder.join(format!("test_data/kv/{name}.txt")), Format::Kv)?;
            let settings = [("partition", partition)];
            let judgement = measure(
                &format!("{name}, partition {partition}, entries"),
                || entries.clone(),
                |entries| judge("map", entries, &settings),
            );
            wrong += differs(name, &judgement, name.ends_with("ok"));
        }
    }
    Ok(wrong)
}

fn knossos(folder: &Path) -> Result<usize, Box<dyn Error>> {
    println!("Knossos's histories");
    let (mut wrong, mut all) = (0, 0);
    for model in ["cas-register", "multi-register"] {
        for verdict in ["good", "bad"] {
            let Ok(files) = fs::read_dir(folder.join("data").join(model).join(verdict)) else { continue };
            let mut files: Vec<PathBuf> =
                files.map(|file| Ok(file?.path())).collect::<std::io::Result<_>>()?;
            files.retain(|path| path.extension().is_some_and(|extension| extension == "edn"));
            files.sort();
            if files.is_empty() {
                continue;
            }
            let mut entries = Vec::new();
            for path in &files {
                entries.push(read(path, Format::Edn)?);
            }
            let settings = [("initial", "0")];
            let judgements = measure(
                &format!("{model}, {verdict}, {} histories, entries", files.len()),
                || entries.clone(),
                |entries| {
                    entries.into_iter().map(|entries| judge(model, entries, &settings)).collect::<Vec<_>>()
                },
            );
            all += files.len();
            for (path, judgement) in files.iter().zip(&judgements) {
                wrong += differs(&path.display().to_string(), judgement, verdict == "good");
            }
        }
    }
    println!("  {} of {all} verdicts as expected", all - wrong);
    Ok(wrong)
}
