//! Transactions in a compact form: keys, values and lists are numbers, so that a million of them fit into a few hundred
//! megabytes. [`super::intake`] makes it; nothing changes it afterwards.

use crate::op::Outcome;
use crate::raw::{self, Place};
use crate::value::Value;

/// No transaction, no position.
pub(super) const NONE: u32 = u32::MAX;

/// A list that does not fit its key's trunk has this bit set in [`Mop::list`]; the rest is its number.
pub(super) const STRAY: u32 = 1 << 31;

/// What values a history's keys hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Datatype {
    /// Lists, to which elements are appended.
    List,
    /// Registers, which are overwritten.
    Register,
}

/// A transaction.
#[derive(Clone, Debug)]
pub(super) struct Txn {
    /// Its session: the process that asked.
    pub process: u64,
    /// Index of the invocation.
    pub invoke: u64,
    /// Index of the completion; `u64::MAX` without one.
    pub complete: u64,
    /// When it was asked; `u64::MAX` without a time.
    pub invoked_ns: u64,
    /// When it was answered; `u64::MAX` without a time.
    pub completed_ns: u64,
    /// Where its invocation stands.
    pub place: Option<Place>,
    /// Its `f`, by number.
    pub f: u32,
    /// The first of its micro-operations.
    pub first: u32,
    /// How it ended.
    pub outcome: Outcome,
}

/// What a micro-operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Reads, and was told what.
    Read,
    /// Reads; what it saw is unknown, for the transaction's answer is.
    Unanswered,
    /// Appends or writes.
    Write,
}

/// A micro-operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mop {
    /// The key.
    pub key: u32,
    /// The version that it makes, or the newest that it saw (the key's first version where there is none).
    pub version: u32,
    /// The list it saw: so many elements of the key's trunk, or [`STRAY`]. 0 for registers.
    pub list: u32,
    /// What it does.
    pub action: Action,
}

/// A key.
#[derive(Clone, Debug)]
pub(super) struct Key {
    /// Its name.
    pub name: Value,
    /// The version before all writes.
    pub initial: u32,
    /// The longest list that was read and agrees with all of the same key that are no strays.
    pub trunk: Vec<u32>,
    /// The transaction that read the whole trunk first.
    pub trunk_reader: u32,
    /// So much of the trunk is beyond doubt: no stray disagrees with it, and nothing in it is there twice.
    pub trusted: u32,
}

/// A state that a key is brought to by a write.
#[derive(Clone, Debug)]
pub(super) struct Version {
    /// The key.
    pub key: u32,
    /// The transaction that writes it, whatever its outcome; [`NONE`] if nobody does, or it is the first one.
    pub writer: u32,
    /// Where it stands in the trunk first; [`NONE`] if it does not.
    pub position: u32,
    /// Its writer writes the key again.
    pub is_intermediate: bool,
    /// A read that took effect saw it.
    pub is_seen: bool,
    /// What is appended or written.
    pub value: Value,
}

/// All of a history.
#[derive(Debug)]
pub(super) struct History {
    /// What its keys hold.
    pub datatype: Datatype,
    /// In the order of completion, those that never completed last.
    pub txns: Vec<Txn>,
    /// Of all transactions, one after the other.
    pub mops: Vec<Mop>,
    /// By number.
    pub keys: Vec<Key>,
    /// By number.
    pub versions: Vec<Version>,
    /// Lists that contradict their key's trunk.
    pub strays: Vec<Vec<u32>>,
    /// Names of operations.
    pub fs: Vec<String>,
    /// Micro-operations are named by keywords, not by texts.
    pub has_keywords: bool,
    /// By transaction: it took effect, for it was acknowledged or something that it wrote was seen.
    pub counts: Vec<bool>,
}

impl History {
    /// The micro-operations of a transaction.
    pub fn mops_of(&self, txn: u32) -> &[Mop] {
        let end = self.txns.get(txn as usize + 1).map_or(self.mops.len(), |next| next.first as usize);
        &self.mops[self.txns[txn as usize].first as usize..end]
    }

    /// The transactions that were acknowledged, by number.
    pub fn acknowledged(&self) -> impl Iterator<Item = u32> {
        (0..self.txns.len() as u32).filter(|txn| self.txns[*txn as usize].outcome == Outcome::Ok)
    }

    /// The elements of the list that a read of a list saw.
    pub fn list(&self, read: &Mop) -> &[u32] {
        if read.list & STRAY != 0 {
            &self.strays[(read.list & !STRAY) as usize]
        } else {
            &self.keys[read.key as usize].trunk[..read.list as usize]
        }
    }

    /// The transaction that wrote a version and took effect.
    pub fn effective_writer(&self, version: u32) -> Option<u32> {
        let writer = self.versions[version as usize].writer;
        (writer != NONE && self.counts[writer as usize]).then_some(writer)
    }

    /// When a transaction was over, for the order of findings; 0 where there are no times.
    pub fn ended_ns(&self, txn: u32) -> u64 {
        let txn = &self.txns[txn as usize];
        [txn.completed_ns, txn.invoked_ns].into_iter().find(|at| *at != u64::MAX).unwrap_or(0)
    }

    /// A key's name for sentences: as EDN writes it, without a keyword's colon.
    pub fn key_name(&self, key: u32) -> String {
        let name = &self.keys[key as usize].name;
        name.as_name().map_or_else(|| name.to_string(), ToOwned::to_owned)
    }

    /// The value that a read saw.
    pub fn seen(&self, read: &Mop) -> Value {
        match (read.action, self.datatype) {
            (Action::Unanswered, _) => Value::Nil,
            (_, Datatype::Register) => self.versions[read.version as usize].value.clone(),
            (_, Datatype::List) => Value::List(
                self.list(read).iter().map(|v| self.versions[*v as usize].value.clone()).collect(),
            ),
        }
    }

    /// The operation that a transaction was read from.
    pub fn op(&self, number: u32) -> raw::Op {
        let txn = &self.txns[number as usize];
        let name = |name: &str| {
            if self.has_keywords { Value::Keyword(name.to_owned()) } else { Value::text(name) }
        };
        let write = if self.datatype == Datatype::List { "append" } else { "w" };
        let value = |is_answered: bool| {
            let mops = self.mops_of(number).iter().map(|mop| {
                let key = self.keys[mop.key as usize].name.clone();
                Value::List(match mop.action {
                    Action::Write => {
                        vec![name(write), key, self.versions[mop.version as usize].value.clone()]
                    }
                    _ => vec![name("r"), key, if is_answered { self.seen(mop) } else { Value::Nil }],
                })
            });
            Value::List(mops.collect())
        };
        let time = |at: u64| (at != u64::MAX).then_some(at);
        raw::Op {
            process: txn.process,
            f: self.fs[txn.f as usize].clone(),
            key: None,
            asked: value(false),
            answered: (txn.outcome == Outcome::Ok).then(|| value(true)),
            outcome: txn.outcome,
            invoke: txn.invoke,
            invoked_ns: time(txn.invoked_ns),
            complete: time(txn.complete),
            completed_ns: time(txn.completed_ns),
            error: None,
            extra: Vec::new(),
            place: txn.place,
        }
    }
}

impl Version {
    /// A version that nobody has written or seen yet.
    pub const fn new(key: u32, value: Value) -> Self {
        Self { key, writer: NONE, position: NONE, is_intermediate: false, is_seen: false, value }
    }
}
