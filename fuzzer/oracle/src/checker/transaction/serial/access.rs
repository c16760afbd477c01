//! What transactions read of others and leave behind: all that an order of them has to explain.

use super::super::depend::{Groups, group};
use super::super::history::{Action, History};
use super::super::touched::Touched;
use std::collections::BTreeMap;

/// The reads and writes of all transactions of a history that took effect.
pub(super) struct Accesses<'a> {
    pub history: &'a History,
    /// By transaction, the versions that it read of others, each once.
    reads: Groups,
    /// By transaction, the last version that it wrote of each key.
    writes: Groups,
}

impl<'a> Accesses<'a> {
    pub fn new(history: &'a History) -> Self {
        let txns = history.txns.len();
        let mut reads = external(history);
        reads.sort_unstable();
        reads.dedup();
        let mut writes: Vec<(u32, u32)> = Vec::new();
        for txn in all(history) {
            let mops = history.mops_of(txn).iter().filter(|mop| mop.action == Action::Write);
            let last: BTreeMap<u32, u32> = mops.map(|mop| (mop.key, mop.version)).collect();
            writes.extend(last.into_values().map(|version| (txn, version)));
        }
        Self { history, reads: group(txns, &reads), writes: group(txns, &writes) }
    }

    /// The versions that a transaction read of others.
    pub fn reads(&self, txn: u32) -> &[u32] {
        self.reads.of(txn as usize)
    }

    /// The versions that it left.
    pub fn writes(&self, txn: u32) -> &[u32] {
        self.writes.of(txn as usize)
    }

    /// The key of a version.
    pub fn key(&self, version: u32) -> u32 {
        self.history.versions[version as usize].key
    }

    /// The keys that a transaction has to do with; one may come twice.
    pub fn keys(&self, txn: u32) -> impl Iterator<Item = u32> {
        self.reads(txn).iter().chain(self.writes(txn)).map(|version| self.key(*version))
    }
}

/// The transactions that took effect.
pub(super) fn all(history: &History) -> impl Iterator<Item = u32> {
    (0..history.txns.len() as u32).filter(|txn| history.counts[*txn as usize])
}

/// Reader and version, of every read of something that the reader did not write before.
fn external(history: &History) -> Vec<(u32, u32)> {
    let mut all = Vec::new();
    for txn in history.acknowledged() {
        let mut own = Touched::default();
        for mop in history.mops_of(txn) {
            match mop.action {
                Action::Write => {
                    own.put(mop.key, ());
                }
                Action::Read if !own.has(mop.key) => all.push((txn, mop.version)),
                Action::Read | Action::Unanswered => {}
            }
        }
    }
    all
}
