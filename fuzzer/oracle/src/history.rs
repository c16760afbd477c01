//! Histories: what clients asked and heard, entry by entry, in the order it happened.
//!
//! The order of entries is authoritative. Two entries may bear the same instant (virtual time stands still
//! while programs run), and then only their order tells which came first; a recorder that cannot tell puts
//! invocations first, which makes the operations concurrent.

use crate::op::{Call, Op, Outcome};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One event of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number; numbers grow along the history.
    pub index: u64,
    /// Virtual nanoseconds; never less than that of the entry before.
    pub at_ns: u64,
    /// The process it belongs to. A process has one operation at a time and is dead after `Info`.
    pub process: u32,
    /// Invocation, or which kind of completion.
    pub phase: Phase,
    /// What was asked, with the answer in an `Ok` entry.
    pub call: Call,
    /// What the client was told went wrong.
    pub error: Option<String>,
    /// The client's number, from 1; absent where only processes are known. A process ends with an operation in info, a
    /// client goes on as another process.
    #[serde(default)]
    pub client: Option<u32>,
    /// In a completion the number of the node that answered, or was asked last, from 1; absent where it is not known.
    #[serde(default)]
    pub node: Option<u32>,
}

impl Entry {
    /// The client's name, the same everywhere: `c1`; the process, `p1`, where clients are not known.
    #[must_use]
    pub fn who(&self) -> String {
        crate::op::Who(self.client, self.process).to_string()
    }
}

/// Jepsen's `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The client asks.
    Invoke,
    /// It took effect.
    Ok,
    /// It did not and will not.
    Fail,
    /// It may have, it may yet.
    Info,
}

impl Phase {
    /// Its name in exported histories.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invoke => "invoke",
            Self::Ok => "ok",
            Self::Fail => "fail",
            Self::Info => "info",
        }
    }
}

/// Why a sequence of entries is not a history. `index` names the entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {index}: {fault}; the recorder must write well-formed histories")]
pub struct HistoryError {
    /// The offending entry's index.
    pub index: u64,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What can be wrong with an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Indices do not grow.
    #[error("its index does not exceed the one before, {before}")]
    Index {
        /// The index before.
        before: u64,
    },
    /// Time runs backwards.
    #[error("its time is before that of the entry before, {before_ns} ns")]
    Time {
        /// The time before.
        before_ns: u64,
    },
    /// A second invocation while one is open.
    #[error("process {process} has another operation open, invoked by entry {open}")]
    Busy {
        /// The process.
        process: u32,
        /// The entry that opened the other operation.
        open: u64,
    },
    /// An invocation after `info`.
    #[error("process {process} is dead since its operation ended in info at entry {since}")]
    Dead {
        /// The process.
        process: u32,
        /// The entry that ended it.
        since: u64,
    },
    /// A completion of nothing.
    #[error("process {process} completes an operation that it has not invoked")]
    Orphan {
        /// The process.
        process: u32,
    },
    /// A completion of something else.
    #[error("`{completed}` completes `{invoked}`")]
    Mismatch {
        /// What was invoked.
        invoked: String,
        /// What was completed.
        completed: String,
    },
    /// An `ok` question without an answer.
    #[error("a question ended in ok without an answer")]
    NoAnswer,
}

enum Process {
    Open(usize),
    Dead(u64),
}

/// Joins invocations with completions, in the order of invocation.
///
/// # Errors
/// The first entry that breaks the rules of a history: see [`Fault`].
pub fn ops(entries: &[Entry]) -> Result<Vec<Op>, HistoryError> {
    let mut ops: Vec<Op> = Vec::with_capacity(entries.len() / 2 + 1);
    let mut processes: BTreeMap<u32, Process> = BTreeMap::new();
    let mut before: Option<&Entry> = None;
    for entry in entries {
        let process = entry.process;
        let fail = |fault| Err(HistoryError { index: entry.index, fault });
        if let Some(before) = before {
            if entry.index <= before.index {
                return fail(Fault::Index { before: before.index });
            }
            if entry.at_ns < before.at_ns {
                return fail(Fault::Time { before_ns: before.at_ns });
            }
        }
        before = Some(entry);
        match (entry.phase, processes.get(&process)) {
            (Phase::Invoke, Some(Process::Open(open))) => {
                return fail(Fault::Busy { process, open: ops[*open].invoke });
            }
            (Phase::Invoke, Some(Process::Dead(since))) => {
                return fail(Fault::Dead { process, since: *since });
            }
            (Phase::Invoke, None) => {
                processes.insert(process, Process::Open(ops.len()));
                ops.push(open(entry));
            }
            (_, None | Some(Process::Dead(_))) => return fail(Fault::Orphan { process }),
            (phase, Some(Process::Open(open))) => {
                let op = &mut ops[*open];
                if let Err(fault) = close(op, entry) {
                    return fail(fault);
                }
                if phase == Phase::Info {
                    processes.insert(process, Process::Dead(entry.index));
                } else {
                    processes.remove(&process);
                }
            }
        }
    }
    Ok(ops)
}

fn open(entry: &Entry) -> Op {
    Op {
        process: entry.process,
        call: entry.call.question(),
        outcome: Outcome::Info,
        invoke: entry.index,
        invoked_ns: entry.at_ns,
        complete: None,
        completed_ns: None,
        error: None,
        client: entry.client,
        node: entry.node,
    }
}

fn close(op: &mut Op, entry: &Entry) -> Result<(), Fault> {
    if entry.call.question() != op.call {
        return Err(Fault::Mismatch { invoked: op.call.to_string(), completed: entry.call.to_string() });
    }
    op.outcome = match entry.phase {
        Phase::Ok => Outcome::Ok,
        Phase::Fail => Outcome::Fail,
        Phase::Info | Phase::Invoke => Outcome::Info,
    };
    if op.outcome == Outcome::Ok {
        if !entry.call.is_answered() {
            return Err(Fault::NoAnswer);
        }
        op.call = entry.call.clone();
    }
    op.complete = Some(entry.index);
    op.completed_ns = Some(entry.at_ns);
    op.error.clone_from(&entry.error);
    op.node = entry.node.or(op.node);
    Ok(())
}

/// The entries an operation was made of.
#[must_use]
pub fn entries_of(op: &Op) -> Vec<Entry> {
    let entry = |index, at_ns, phase, call, error, node| {
        let (process, client) = (op.process, op.client);
        Entry { index, at_ns, process, phase, call, error, client, node }
    };
    let mut entries = vec![entry(op.invoke, op.invoked_ns, Phase::Invoke, op.call.question(), None, None)];
    if let (Some(index), Some(at_ns)) = (op.complete, op.completed_ns) {
        let phase = match op.outcome {
            Outcome::Ok => Phase::Ok,
            Outcome::Fail => Phase::Fail,
            Outcome::Info => Phase::Info,
        };
        entries.push(entry(index, at_ns, phase, op.call.clone(), op.error.clone(), op.node));
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(index: u64, process: u32, phase: Phase, call: Call) -> Entry {
        Entry { index, at_ns: index * 10, process, phase, call, error: None, client: None, node: None }
    }

    fn write(value: &str) -> Call {
        Call::Write { key: "k".into(), value: value.into() }
    }

    fn read(value: Option<Option<&str>>) -> Call {
        Call::Read { key: "k".into(), value: value.map(|v| v.map(str::to_string)) }
    }

    #[test]
    fn an_open_operation_and_one_in_info_are_both_info() {
        let ops = ops(&[
            entry(0, 1, Phase::Invoke, write("a")),
            entry(1, 2, Phase::Invoke, read(None)),
            entry(2, 1, Phase::Info, write("a")),
            entry(3, 3, Phase::Invoke, write("b")),
            entry(4, 2, Phase::Ok, read(Some(None))),
        ])
        .unwrap();
        let shown: Vec<String> = ops.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "p1 write k = \"a\"  [0.000000, ... info  #0",
                "p2 read k -> absent  [0.000000, 0.000000] ok  #1",
                "p3 write k = \"b\"  [0.000000, ... info  #3",
            ]
        );
    }

    #[test]
    fn each_broken_rule_has_its_message() {
        let invoke = entry(0, 1, Phase::Invoke, write("a"));
        let second = |phase, call| entry(1, 1, phase, call);
        let cases: Vec<(Vec<Entry>, &str)> = vec![
            (
                vec![invoke.clone(), second(Phase::Invoke, write("b"))],
                "process 1 has another operation open, invoked by entry 0",
            ),
            (
                vec![invoke.clone(), second(Phase::Ok, write("b"))],
                "`write k = \"b\"` completes `write k = \"a\"`",
            ),
            (vec![second(Phase::Ok, write("b"))], "process 1 completes an operation that it has not invoked"),
            (vec![invoke.clone(), invoke.clone()], "its index does not exceed the one before, 0"),
            (
                vec![invoke.clone(), second(Phase::Info, write("a")), entry(2, 1, Phase::Invoke, read(None))],
                "process 1 is dead since its operation ended in info at entry 1",
            ),
            (
                vec![entry(0, 1, Phase::Invoke, read(None)), second(Phase::Ok, read(None))],
                "a question ended in ok without an answer",
            ),
            (
                vec![Entry { at_ns: 99, ..invoke.clone() }, second(Phase::Ok, write("a"))],
                "its time is before that of the entry before, 99 ns",
            ),
        ];
        for (entries, expected) in cases {
            assert_eq!(ops(&entries).unwrap_err().fault.to_string(), expected);
        }
    }
}
