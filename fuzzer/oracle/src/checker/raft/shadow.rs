//! The shadow of one node: what its reports say its log and its state are.

use super::{Identity, Role};
use std::collections::BTreeMap;

/// What is known of one node.
#[derive(Clone, Debug, Default)]
pub(super) struct Shadow {
    /// Its log beyond the snapshot. It may have holes where reports are missing.
    pub log: BTreeMap<u64, Identity>,
    /// The index and, if known, the term that its snapshot covers.
    pub base: (u64, Option<u64>),
    /// Its last reported term in this incarnation, whether or not it has started visibly.
    pub term: u64,
    /// Its role, with the term it has it in; none before the first report of an incarnation.
    pub role: Option<(Role, u64)>,
    /// Its commit index in this incarnation.
    pub commit: u64,
    /// Up to where its commits were taken note of in this incarnation.
    pub noted: u64,
    /// The highest committed index that its own log held, with the time of the report. What was reported is durable,
    /// so it outlives incarnations.
    pub held: (u64, u64),
    /// The last index it applied in this incarnation, if any.
    pub applied: Option<u64>,
    /// Votes it reported, by term, with the time of the report; they outlive incarnations.
    pub votes: BTreeMap<u64, (u32, u64)>,
}

/// What a log says of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Slot<'a> {
    /// Within the snapshot.
    Covered,
    /// This entry.
    Entry(&'a Identity),
    /// Something nobody reported.
    Unreported,
    /// Nothing: the log ends before.
    Beyond,
}

impl Shadow {
    /// Begins a new incarnation with what the disk held. That need not be what was reported before: a node may die
    /// after it has stored something and before it says so.
    pub fn restart(&mut self, term: u64, last: u64, snapshot: u64) {
        let known = if snapshot == self.base.0 { self.base.1 } else { None };
        self.base = (snapshot, if snapshot == 0 { Some(0) } else { known });
        self.log.clear();
        self.term = term;
        self.role = None;
        self.commit = 0;
        self.noted = 0;
        self.held.0 = self.held.0.min(last.max(snapshot));
        self.applied = None;
    }

    /// Puts an entry in its place; one that differs from what is there takes the rest of the log with it.
    pub fn append(&mut self, index: u64, entry: Identity) {
        if self.log.get(&index).is_some_and(|present| *present == entry) {
            return;
        }
        self.log.split_off(&index);
        self.log.insert(index, entry);
    }

    /// Removes everything from `from` on.
    pub fn truncate(&mut self, from: u64) {
        self.log.split_off(&from);
    }

    /// Replaces the log up to `index`. What follows stays only if it follows the same entry: Raft discards
    /// the whole log when an installed snapshot does not agree with it.
    pub fn snapshot(&mut self, index: u64, term: u64, installed: bool) {
        let agrees = self.term_at(index).is_none_or(|present| present == term);
        let beyond = self.log.split_off(&index.saturating_add(1));
        self.log = if installed && !agrees { BTreeMap::new() } else { beyond };
        self.base = (index, Some(term));
        if installed {
            self.applied = Some(index);
        }
    }

    /// The term of the entry at `index`, if known; 0 for the empty place before the log.
    pub fn term_at(&self, index: u64) -> Option<u64> {
        if index == 0 {
            return Some(0);
        }
        if index == self.base.0 {
            return self.base.1;
        }
        self.log.get(&index).map(|entry| entry.term)
    }

    /// What a log that ends at `last` holds at `index`.
    pub fn slot(&self, index: u64, last: u64) -> Slot<'_> {
        if index <= self.base.0 {
            return Slot::Covered;
        }
        match self.log.get(&index) {
            _ if index > last => Slot::Beyond,
            Some(entry) => Slot::Entry(entry),
            None => Slot::Unreported,
        }
    }
}
