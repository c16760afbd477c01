//! From operations in Elle's shape to a compact [`History`], an entry at a time.
//!
//! An operation's value is a list of micro-operations, `[:append k v]`, `[:w k v]` and `[:r k v]`, whatever its `f`.
//! What a transaction read counts only once it is acknowledged; what it wrote is known from its invocation.

use super::history::{Action, Datatype, History, Key, Mop, NONE, STRAY, Txn, Version};
use super::table::{Table, hash_value};
use super::touched::Touched;
use crate::check::Source;
use crate::op::Outcome;
use crate::raw::{Error, Op, Pairing};
use crate::value::Value;

/// Reads a whole history. Linear in its size.
///
/// # Errors
/// An entry that cannot be read, an operation that is no transaction of this datatype, or a value that is written to a
/// key twice: then nobody can tell which of the two a read saw.
pub(super) fn read(entries: &mut Source<'_>, datatype: Datatype) -> Result<History, Error> {
    let mut intake = Intake::new(datatype);
    let mut pairing = Pairing::default();
    for entry in entries {
        if let Some(op) = pairing.push(entry?)? {
            intake.take(op)?;
        }
    }
    for op in pairing.finish() {
        intake.take(op)?;
    }
    Ok(intake.finish())
}

struct Intake {
    history: History,
    keys: Table,
    versions: Table,
    /// The elements of the list at hand that its trunk does not have.
    scratch: Vec<u32>,
}

impl Intake {
    fn new(datatype: Datatype) -> Self {
        let history = History {
            datatype,
            txns: Vec::new(),
            mops: Vec::new(),
            keys: Vec::new(),
            versions: Vec::new(),
            strays: Vec::new(),
            fs: Vec::new(),
            has_keywords: false,
            counts: Vec::new(),
        };
        Self { history, keys: Table::default(), versions: Table::default(), scratch: Vec::new() }
    }

    fn take(&mut self, op: Op) -> Result<(), Error> {
        let number = u32::try_from(self.history.txns.len())
            .ok()
            .filter(|number| *number < STRAY)
            .ok_or_else(|| op.error("this is more than two billion transactions"))?;
        let first = self.history.mops.len();
        let is_ok = op.outcome == Outcome::Ok;
        match op.value() {
            Value::Nil if !is_ok => {}
            value => {
                let mops = value.as_elements().ok_or_else(|| {
                    op.error(format!("expected a list of micro-operations, not {}", value.kind()))
                })?;
                for mop in mops {
                    self.micro(&op, number, mop)?;
                }
            }
        }
        let mut latest = Touched::default();
        for mop in self.history.mops[first..].iter().filter(|mop| mop.action == Action::Write) {
            if let Some(before) = latest.put(mop.key, mop.version) {
                self.history.versions[before as usize].is_intermediate = true;
            }
        }
        let f = match self.history.fs.iter().position(|f| *f == op.f) {
            Some(f) => f,
            None => {
                self.history.fs.push(op.f);
                self.history.fs.len() - 1
            }
        };
        self.history.txns.push(Txn {
            process: op.process,
            invoke: op.invoke,
            complete: op.complete.unwrap_or(u64::MAX),
            invoked_ns: op.invoked_ns.unwrap_or(u64::MAX),
            completed_ns: op.completed_ns.unwrap_or(u64::MAX),
            place: op.place,
            f: f as u32,
            first: first as u32,
            outcome: op.outcome,
        });
        Ok(())
    }

    fn micro(&mut self, op: &Op, txn: u32, mop: &Value) -> Result<(), Error> {
        let write = if self.history.datatype == Datatype::List { "append" } else { "w" };
        let parts = mop.as_elements().filter(|parts| matches!(parts.len(), 2 | 3));
        let (name, key, value) = match parts {
            Some([name, key, value]) => (name.as_name(), key, value),
            Some([name, key]) => (name.as_name(), key, &Value::Nil),
            _ => (None, &Value::Nil, &Value::Nil),
        };
        let is_write = name == Some(write);
        if !is_write && name != Some("r") {
            return Err(op.error(format!("expected [{write} key value] or [r key value], not {mop}")));
        }
        self.history.has_keywords |= matches!(parts, Some([Value::Keyword(_), ..]));
        let key = self.key(op, key);
        if is_write {
            let version = self.version(key, value);
            let known = &mut self.history.versions[version as usize];
            if known.writer != NONE || version == self.history.keys[key as usize].initial {
                let name = &self.history.keys[key as usize].name;
                let cause = if value == &Value::Nil { "is what it holds at first" } else { "was so before" };
                return Err(op.error(format!(
                    "{value} is written to {name}, and {cause}; expected every value of a key once"
                )));
            }
            known.writer = txn;
            self.history.mops.push(Mop { key, version, list: 0, action: Action::Write });
        } else if op.outcome != Outcome::Ok {
            let version = self.history.keys[key as usize].initial;
            self.history.mops.push(Mop { key, version, list: 0, action: Action::Unanswered });
        } else if self.history.datatype == Datatype::Register {
            let version = self.version(key, value);
            self.history.versions[version as usize].is_seen = true;
            self.history.mops.push(Mop { key, version, list: 0, action: Action::Read });
        } else {
            let elements = match value {
                Value::Nil => &[],
                Value::List(elements) => elements.as_slice(),
                other => {
                    return Err(op.error(format!("expected a read of a list, not of {}", other.kind())));
                }
            };
            let list = self.list(txn, key, elements);
            let mut mop = Mop { key, version: 0, list, action: Action::Read };
            let initial = self.history.keys[key as usize].initial;
            mop.version = self.history.list(&mop).last().copied().unwrap_or(initial);
            self.history.mops.push(mop);
        }
        Ok(())
    }

    /// The number of a key; operations on independent keys have theirs in front.
    fn key(&mut self, op: &Op, name: &Value) -> u32 {
        let joined = op.key.as_ref().map(|outer| Value::List(vec![outer.clone(), name.clone()]));
        let name = joined.as_ref().unwrap_or(name);
        let History { keys, versions, .. } = &mut self.history;
        let new = keys.len() as u32;
        let key = self.keys.number(hash_value(0, name), new, |at| keys[at as usize].name == *name);
        if key == new {
            let initial = versions.len() as u32;
            let name = name.clone();
            keys.push(Key { name, initial, trunk: Vec::new(), trunk_reader: NONE, trusted: u32::MAX });
            versions.push(Version::new(key, Value::Nil));
        }
        key
    }

    /// The number of a version. A register's `nil` is its first one; a list's is an element as any other.
    fn version(&mut self, key: u32, value: &Value) -> u32 {
        let History { keys, versions, datatype, .. } = &mut self.history;
        if *datatype == Datatype::Register && *value == Value::Nil {
            return keys[key as usize].initial;
        }
        let new = versions.len() as u32;
        let is = |at: u32| versions[at as usize].key == key && versions[at as usize].value == *value;
        let number = self.versions.number(hash_value(key, value), new, is);
        if number == new {
            versions.push(Version::new(key, value.clone()));
        }
        number
    }

    /// What [`Mop::list`] is for these elements. The trunk grows where they go on from it.
    fn list(&mut self, txn: u32, key: u32, elements: &[Value]) -> u32 {
        let known = &self.history.keys[key as usize].trunk;
        let agree = known
            .iter()
            .zip(elements)
            .take_while(|(version, value)| self.history.versions[**version as usize].value == **value)
            .count();
        if agree == elements.len() {
            return agree as u32;
        }
        let (depth, rest) = (known.len(), &elements[agree..]);
        self.scratch.clear();
        for value in rest {
            let version = self.version(key, value);
            self.history.versions[version as usize].is_seen = true;
            self.scratch.push(version);
        }
        let History { keys, versions, strays, .. } = &mut self.history;
        let key = &mut keys[key as usize];
        if agree == depth {
            for (version, position) in self.scratch.iter().zip(depth as u32..) {
                let position_first = &mut versions[*version as usize].position;
                if *position_first == NONE {
                    *position_first = position;
                } else {
                    key.trusted = key.trusted.min(position);
                }
            }
            key.trunk.extend_from_slice(&self.scratch);
            key.trunk_reader = txn;
            return elements.len() as u32;
        }
        let mut stray = key.trunk[..agree].to_vec();
        stray.extend_from_slice(&self.scratch);
        key.trusted = key.trusted.min(agree as u32);
        strays.push(stray);
        STRAY | (strays.len() as u32 - 1)
    }

    fn finish(mut self) -> History {
        let History { txns, mops, keys, versions, counts, .. } = &mut self.history;
        for key in keys {
            key.trusted = key.trusted.min(key.trunk.len() as u32);
        }
        *counts = txns.iter().map(|txn| txn.outcome == Outcome::Ok).collect();
        for version in versions.iter().filter(|version| version.is_seen && version.writer != NONE) {
            counts[version.writer as usize] |= txns[version.writer as usize].outcome == Outcome::Info;
        }
        mops.shrink_to_fit();
        self.history
    }
}
