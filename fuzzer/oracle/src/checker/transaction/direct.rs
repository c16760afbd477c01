//! Anomalies that are no cycles: seen in one transaction, one key, or one pair of transactions. Linear, but for the sort
//! of lost updates.

use super::explain::shown;
use super::history::{Action, Datatype, History, Mop, NONE, STRAY};
use super::touched::Touched;
use crate::op::Outcome;
use crate::verdict::Evidence;
use std::collections::BTreeMap;

/// The first finding of an anomaly, and how many there are.
#[derive(Debug)]
pub(super) struct Finding {
    /// When it became certain.
    pub at_ns: u64,
    /// What was seen.
    pub summary: String,
    /// The transactions that prove it.
    pub evidence: Evidence,
    /// How often the anomaly was found.
    pub count: u64,
}

/// Findings by the anomaly's name.
pub(super) type Findings = BTreeMap<&'static str, Finding>;

/// Everything that is wrong and no cycle.
pub(super) fn findings(history: &History) -> Findings {
    let mut judge = Judge { history, found: Findings::new() };
    let suspects = Suspects::new(history);
    for txn in history.acknowledged() {
        judge.reads(txn, &suspects);
        judge.itself(txn);
    }
    if history.datatype == Datatype::List {
        judge.dirty_updates();
    }
    judge.lost_updates();
    judge.found
}

/// Where in the trunk of each key something stands that no read should see; [`NONE`] where nothing does.
struct Suspects {
    failed: Vec<u32>,
    unwritten: Vec<u32>,
    twice: Vec<u32>,
}

impl Suspects {
    fn new(history: &History) -> Self {
        let none = || vec![NONE; history.keys.len()];
        let mut suspects = Self { failed: none(), unwritten: none(), twice: none() };
        for (key, suspect) in history.keys.iter().zip(0..) {
            for (position, version) in (0..).zip(&key.trunk) {
                let version = &history.versions[*version as usize];
                let list = if version.writer == NONE {
                    &mut suspects.unwritten
                } else if history.txns[version.writer as usize].outcome == Outcome::Fail {
                    &mut suspects.failed
                } else {
                    continue;
                };
                let first: &mut u32 = &mut list[suspect];
                *first = position.min(*first);
            }
            let repeated = (0..)
                .zip(&key.trunk)
                .find(|(at, version)| history.versions[**version as usize].position != *at);
            suspects.twice[suspect] = repeated.map_or(NONE, |(at, _)| at);
        }
        suspects
    }
}

struct Judge<'a> {
    history: &'a History,
    found: Findings,
}

impl Judge<'_> {
    /// Adds a finding; words are made only for the earliest.
    fn note(&mut self, name: &'static str, txns: &[u32], summary: impl FnOnce(&[&str]) -> String) {
        let at_ns = txns.iter().map(|txn| self.history.ended_ns(*txn)).max().unwrap_or(0);
        let count = match self.found.get_mut(name) {
            Some(earlier) if earlier.at_ns <= at_ns => {
                earlier.count += 1;
                return;
            }
            earlier => earlier.map_or(0, |earlier| earlier.count) + 1,
        };
        let mut evidence = Evidence::default();
        for (at, txn) in txns.iter().enumerate() {
            let op = self.history.op(*txn);
            evidence.lines.push(format!("T{} = {op}", at + 1));
            evidence.ops.push(op);
        }
        let summary = summary(&["T1", "T2", "T3"][..txns.len().min(3)]);
        evidence.lines.push(summary.clone());
        self.found.insert(name, Finding { at_ns, summary, evidence, count });
    }

    fn value(&self, version: u32) -> String {
        self.history.versions[version as usize].value.to_string()
    }

    /// What a transaction read.
    fn reads(&mut self, txn: u32, suspects: &Suspects) {
        let history = self.history;
        for mop in history.mops_of(txn).iter().filter(|mop| mop.action == Action::Read) {
            let key = || history.key_name(mop.key);
            match history.datatype {
                Datatype::Register => self.saw(txn, mop, mop.version),
                Datatype::List if mop.list & STRAY == 0 => {
                    let at = mop.key as usize;
                    for first in [suspects.failed[at], suspects.unwritten[at]] {
                        if mop.list > first {
                            self.saw(txn, mop, history.keys[at].trunk[first as usize]);
                        }
                    }
                    if mop.list > suspects.twice[at] {
                        let value = self.value(history.keys[at].trunk[suspects.twice[at] as usize]);
                        self.note("duplicate-elements", &[txn], |names| {
                            format!("{} read {value} twice in {}", names[0], key())
                        });
                    }
                }
                Datatype::List => self.stray(txn, mop),
            }
            let last = &history.versions[mop.version as usize];
            if last.is_intermediate && last.writer != txn {
                let value = self.value(mop.version);
                self.note("G1b", &[last.writer, txn], |names| {
                    let key = key();
                    let then = "which wrote the key again before it ended";
                    format!("{} saw {value} of {} as the last of {key}, {then}", names[1], names[0])
                });
            }
        }
    }

    /// A read of a version that may be nobody's, or of a failed transaction.
    fn saw(&mut self, txn: u32, mop: &Mop, version: u32) {
        let history = self.history;
        let writer = history.versions[version as usize].writer;
        let (key, value) =
            (|| history.key_name(mop.key), || history.versions[version as usize].value.to_string());
        if writer != NONE && history.txns[writer as usize].outcome == Outcome::Fail {
            self.note("G1a", &[writer, txn], |names| {
                format!(
                    "{} saw {} in {}, though {}, which wrote it, failed",
                    names[1],
                    value(),
                    key(),
                    names[0]
                )
            });
        } else if writer == NONE && version != history.keys[mop.key as usize].initial {
            self.note("thin-air-read", &[txn], |names| {
                format!("{} saw {} in {}, which nobody wrote", names[0], value(), key())
            });
        }
    }

    /// A list that contradicts others of its key.
    fn stray(&mut self, txn: u32, mop: &Mop) {
        let history = self.history;
        let list = history.list(mop);
        let is_suspect = |version: &&u32| {
            let writer = history.versions[**version as usize].writer;
            writer == NONE || history.txns[writer as usize].outcome == Outcome::Fail
        };
        if let Some(version) = list.iter().find(is_suspect) {
            self.saw(txn, mop, *version);
        }
        let mut sorted = list.to_vec();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            let value = self.value(pair[0]);
            self.note("duplicate-elements", &[txn], |names| {
                format!("{} read {value} twice in {}", names[0], history.key_name(mop.key))
            });
        }
        let key = &history.keys[mop.key as usize];
        self.note("incompatible-order", &[key.trunk_reader, txn], |names| {
            let mine = shown(history, mop);
            let all = Mop { list: key.trunk.len() as u32, ..*mop };
            let theirs = shown(history, &all);
            let name = history.key_name(mop.key);
            format!(
                "{} read {name} as {theirs}, {} as {mine}; neither begins with the other",
                names[0], names[1]
            )
        });
    }

    /// What a transaction should know of its own doing.
    fn itself(&mut self, txn: u32) {
        let history = self.history;
        let mops = history.mops_of(txn);
        let repeats = |limit: usize| {
            mops.len() > limit
                || (1..mops.len()).any(|at| mops[..at].iter().any(|mop| mop.key == mops[at].key))
        };
        if !repeats(8) {
            return;
        }
        let mut by_key: BTreeMap<u32, Vec<&Mop>> = BTreeMap::new();
        for mop in mops {
            by_key.entry(mop.key).or_default().push(mop);
        }
        for (key, mops) in by_key {
            let key = || history.key_name(key);
            if let Some(mop) = self.contradiction(&mops) {
                let seen = history.seen(mop);
                self.note("internal", &[txn], |names| {
                    format!(
                        "{} read {} as {seen}, against what it had read and written itself",
                        names[0],
                        key()
                    )
                });
            }
            if let Some(version) = self.foreseen(&mops) {
                let value = self.value(version);
                self.note("future-read", &[txn], |names| {
                    format!("{} saw {value} in {} before it wrote it", names[0], key())
                });
            }
        }
    }

    /// A read that does not follow from the micro-operations before it on the same key.
    fn contradiction<'m>(&self, mops: &[&'m Mop]) -> Option<&'m Mop> {
        // What was read last, and what was written since.
        let (mut read, mut own): (Option<&Mop>, Vec<u32>) = (None, Vec::new());
        for mop in mops.iter().copied() {
            if mop.action == Action::Write {
                own.push(mop.version);
                continue;
            }
            let is_right = match (self.history.datatype, read) {
                (Datatype::Register, read) => own
                    .last()
                    .copied()
                    .or(read.map(|read| read.version))
                    .is_none_or(|last| last == mop.version),
                (Datatype::List, None) => self.history.list(mop).ends_with(&own),
                (Datatype::List, Some(read)) => {
                    let (before, now) = (self.history.list(read), self.history.list(mop));
                    now.len() == before.len() + own.len() && now.starts_with(before) && now.ends_with(&own)
                }
            };
            if !is_right {
                return Some(mop);
            }
            (read, own) = (Some(mop), Vec::new());
        }
        None
    }

    /// A version that was read first and written later.
    fn foreseen(&self, mops: &[&Mop]) -> Option<u32> {
        let writes = mops.iter().enumerate().filter(|(_, mop)| mop.action == Action::Write);
        writes.map(|(at, mop)| (at, mop.version)).find_map(|(at, version)| {
            let saw = |read: &&&Mop| match self.history.datatype {
                Datatype::Register => read.version == version,
                Datatype::List => self.history.list(read).contains(&version),
            };
            let before = mops[..at].iter().filter(|mop| mop.action == Action::Read);
            before.clone().any(|read| saw(&read)).then_some(version)
        })
    }

    /// Elements of transactions that took effect, after elements of failed ones in the same list.
    fn dirty_updates(&mut self) {
        let history = self.history;
        for (number, key) in history.keys.iter().enumerate() {
            let mut failed = None;
            for version in &key.trunk {
                let writer = history.versions[*version as usize].writer;
                if writer == NONE {
                    continue;
                }
                match (history.txns[writer as usize].outcome, failed) {
                    (Outcome::Fail, None) => failed = Some(*version),
                    (Outcome::Ok, Some(dirty)) => {
                        let before = history.versions[dirty as usize].writer;
                        let (old, new) = (self.value(dirty), self.value(*version));
                        self.note("dirty-update", &[before, writer], |names| {
                            let key = history.key_name(number as u32);
                            format!(
                                "{} failed, and {} appended {new} to {key} after its {old}",
                                names[0], names[1]
                            )
                        });
                        failed = None;
                    }
                    (Outcome::Ok, None) => failed = None,
                    _ => {}
                }
            }
        }
    }

    /// Transactions that read a key first, and the same version of it, and then wrote it.
    fn lost_updates(&mut self) {
        let history = self.history;
        let mut updates: Vec<(u32, u32)> = Vec::new();
        for txn in history.acknowledged() {
            // The version that each key was read in first, until it is written.
            let mut firsts: Touched<Option<u32>> = Touched::default();
            for mop in history.mops_of(txn) {
                match firsts.get_mut(mop.key) {
                    Some(first) if mop.action == Action::Write => {
                        updates.extend(first.take().map(|version| (version, txn)));
                    }
                    Some(_) => {}
                    None => {
                        firsts.put(mop.key, (mop.action == Action::Read).then_some(mop.version));
                    }
                }
            }
        }
        updates.sort_unstable();
        for pair in updates.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
            let version = &history.versions[pair[0].0 as usize];
            self.note("lost-update", &[pair[0].1, pair[1].1], |names| {
                let key = history.key_name(version.key);
                let state = if pair[0].0 == history.keys[version.key as usize].initial {
                    "its first state".to_owned()
                } else {
                    format!("its state after {}", version.value)
                };
                format!("{} and {} both read {key} in {state}, and both wrote it", names[0], names[1])
            });
        }
    }
}
