//! Histories of anybody, before it is said what their operations mean: names and [`Value`]s, in Jepsen's shape.
//!
//! Readers of files make [`Entry`]s, [`Pairing`] joins them to [`Op`]s, and each checker takes from their values what
//! it understands. A campaign's own histories ([`crate::history`]) are a special case.

mod clients;

pub use clients::{Clients, clients};

use crate::history::Phase;
use crate::op::{Outcome, seconds};
use crate::value::Value;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Where in a file something stands; both are counted from 1, columns in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// Why something is not a history, or not one that a checker understands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{cause}", .place.map(|at| format!("line {}, column {}: ", at.line, at.column)).unwrap_or_default())]
pub struct Error {
    /// Where it stands, if it came from a file.
    pub place: Option<Place>,
    /// What is wrong, and what was expected.
    pub cause: String,
}

impl Error {
    /// An error at a place.
    #[must_use]
    pub fn at(place: impl Into<Option<Place>>, cause: impl Into<String>) -> Self {
        Self { place: place.into(), cause: cause.into() }
    }
}

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Process {
    /// A client. It has one operation at a time.
    Client(u64),
    /// A client with a name; its number is given by [`clients`].
    Called {
        /// What operations call it.
        number: u64,
        /// What the history calls it.
        name: String,
    },
    /// A client that goes on after an operation whose end is unknown, which makes it a new one: see [`clients`].
    Again {
        /// What operations call it.
        number: u64,
        /// Who it was at first.
        of: Box<Process>,
    },
    /// Somebody else, such as `nemesis`, whose entries are no operations; or one of whom it is not known yet.
    Named(String),
}

impl Process {
    /// The number of a client.
    #[must_use]
    pub const fn client(&self) -> Option<u64> {
        match self {
            Self::Client(number) | Self::Called { number, .. } | Self::Again { number, .. } => Some(*number),
            Self::Named(_) => None,
        }
    }

    /// Who it was at first, as the history calls it.
    #[must_use]
    pub fn original(&self) -> &Self {
        if let Self::Again { of, .. } = self { of } else { self }
    }

    /// It is called `nemesis`, so it is no client whatever it does.
    #[must_use]
    pub fn is_nemesis(&self) -> bool {
        let is_so = |start: &[u8]| start.eq_ignore_ascii_case(b"nemesis");
        matches!(self, Self::Named(name) if name.as_bytes().get(..7).is_some_and(is_so))
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(number) => write!(f, "p{number}"),
            Self::Called { name, .. } | Self::Named(name) => f.write_str(name),
            Self::Again { of, .. } => write!(f, "{of}"),
        }
    }
}

/// One line of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number; numbers grow along the history.
    pub index: u64,
    /// Nanoseconds since some beginning, where the format has times.
    pub at_ns: Option<u64>,
    /// Who acts.
    pub process: Process,
    /// Invocation, or which kind of completion.
    pub phase: Phase,
    /// What is done: Jepsen's `f`.
    pub f: String,
    /// The object it is done to, where the format keeps it apart from the value (`independent` tuples among them).
    pub key: Option<Value>,
    /// With what; in a completion, with what result.
    pub value: Value,
    /// What went wrong.
    pub error: Option<Value>,
    /// Further fields of the format, in the order in which they were written.
    pub extra: Vec<(String, Value)>,
    /// Where it was read.
    pub place: Option<Place>,
}

/// An invocation joined with its completion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Op {
    /// The client that asked.
    pub process: u64,
    /// What is done.
    pub f: String,
    /// The object it is done to, where it stands apart from the value.
    pub key: Option<Value>,
    /// The value of the invocation.
    pub asked: Value,
    /// The value of the completion; `None` while there is none.
    pub answered: Option<Value>,
    /// How it ended; without a completion it is [`Outcome::Info`].
    pub outcome: Outcome,
    /// Index of the invocation. The order of indices is the order of events.
    pub invoke: u64,
    /// When it was asked.
    pub invoked_ns: Option<u64>,
    /// Index of the completion.
    pub complete: Option<u64>,
    /// When it was answered.
    pub completed_ns: Option<u64>,
    /// What went wrong.
    pub error: Option<Value>,
    /// Further fields of the completion (of the invocation, while there is none).
    pub extra: Vec<(String, Value)>,
    /// Where its invocation was read.
    pub place: Option<Place>,
}

impl Op {
    /// The value that counts: the completion's where it took effect, else the invocation's.
    #[must_use]
    pub fn value(&self) -> &Value {
        match (&self.answered, self.outcome) {
            (Some(answered), Outcome::Ok) => answered,
            _ => &self.asked,
        }
    }

    /// The index after which it cannot take effect any more, if there is one.
    #[must_use]
    pub const fn effective_by(&self) -> Option<u64> {
        match self.outcome {
            Outcome::Info => None,
            Outcome::Ok | Outcome::Fail => self.complete,
        }
    }

    /// The client's number, where a campaign recorded it (`c1`).
    #[must_use]
    pub fn client(&self) -> Option<u32> {
        self.numbered("client", 'c')
    }

    /// Who asked, by the name that clients of campaigns have everywhere, `c1`; by the process, `p1`, where there is none.
    #[must_use]
    pub fn who(&self) -> String {
        crate::op::Who(self.client(), self.process).to_string()
    }

    /// The number of the node that answered, or was asked last, where a campaign recorded it (`n1`).
    #[must_use]
    pub fn node(&self) -> Option<u32> {
        self.client().and_then(|_| self.numbered("node", 'n'))
    }

    fn numbered(&self, field: &str, letter: char) -> Option<u32> {
        let (_, value) = self.extra.iter().find(|(name, _)| name == field)?;
        value.as_name()?.strip_prefix(letter)?.parse().ok()
    }

    /// An error that stands where the operation does.
    #[must_use]
    pub fn error(&self, cause: impl fmt::Display) -> Error {
        Error::at(self.place, format!("operation {} ({} {}): {cause}", self.invoke, self.f, self.value()))
    }
}

impl fmt::Display for Op {
    /// `p1 write x 3  [0.100000, 0.120000] ok  #4`; without times, `p1 write x 3  ok  #4..7`. With the name of its client
    /// where the history has that, as a campaign's does: `c1 write x 3  [0.100000, 0.120000] ok by n2  #4`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.who(), self.f)?;
        if let Some(key) = &self.key {
            write!(f, " {key}")?;
        }
        write!(f, " {}  ", self.value())?;
        let ends = self.outcome != Outcome::Info;
        match (self.invoked_ns, self.completed_ns) {
            (Some(from), Some(to)) if ends => write!(f, "[{}, {}] ", seconds(from), seconds(to))?,
            (Some(from), _) => write!(f, "[{}, ...] ", seconds(from))?,
            (None, _) => {}
        }
        f.write_str(self.outcome.name())?;
        if let Some(node) = self.node() {
            write!(f, " by n{node}")?;
        }
        write!(f, "  #{}", self.invoke)?;
        match (self.invoked_ns, self.complete) {
            (None, Some(complete)) if ends => write!(f, "..{complete}"),
            _ => Ok(()),
        }
    }
}

/// Whose turn it is: as Jepsen has it, a client has one operation at a time, and after `info` it may not go on (where it
/// does, [`clients`] makes it a new one); entries of named processes are passed over.
#[derive(Debug)]
struct Turns<T> {
    /// What each client has open; `None` if it is dead.
    open: BTreeMap<u64, Option<T>>,
    before: Option<u64>,
}

/// What an entry does.
enum Turn<T> {
    Nothing,
    /// This client invokes.
    Begins(u64),
    /// What was open comes to an end.
    Ends(T),
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self { open: BTreeMap::new(), before: None }
    }
}

/// An operation that is open: itself, or where it is kept.
trait Open {
    fn op<'a>(&'a self, kept: &'a [Op]) -> &'a Op;
}

impl Open for Op {
    fn op<'a>(&'a self, _: &'a [Op]) -> &'a Op {
        self
    }
}

impl Open for usize {
    fn op<'a>(&'a self, kept: &'a [Op]) -> &'a Op {
        &kept[*self]
    }
}

impl<T: Open> Turns<T> {
    /// What the entry does, if it can follow those before.
    fn turn(&mut self, entry: &Entry, kept: &[Op]) -> Result<Turn<T>, Error> {
        let fail = |cause: String| Err(Error::at(entry.place, format!("entry {}: {cause}", entry.index)));
        if let Some(before) = self.before.filter(|before| *before >= entry.index) {
            return fail(format!("its index does not exceed the one before, {before}"));
        }
        self.before = Some(entry.index);
        let Some(process) = entry.process.client() else { return Ok(Turn::Nothing) };
        if entry.phase == Phase::Invoke {
            return match self.open.get(&process) {
                None => Ok(Turn::Begins(process)),
                Some(Some(open)) => fail(format!(
                    "process {process} has another operation open, invoked by entry {}",
                    open.op(kept).invoke
                )),
                Some(None) => fail(format!("process {process} is dead since its operation ended in info")),
            };
        }
        let Some(open) = self.open.remove(&process).flatten() else {
            return fail(format!("process {process} completes an operation that it has not invoked"));
        };
        let invoked = open.op(kept);
        if invoked.f != entry.f {
            return fail(format!(
                "`{}` completes `{}`, invoked by entry {}",
                entry.f, invoked.f, invoked.invoke
            ));
        }
        if entry.phase == Phase::Info {
            self.open.insert(process, None);
        }
        Ok(Turn::Ends(open))
    }
}

impl Op {
    fn begun(process: u64, entry: Entry) -> Self {
        Self {
            process,
            f: entry.f,
            key: entry.key,
            asked: entry.value,
            answered: None,
            outcome: Outcome::Info,
            invoke: entry.index,
            invoked_ns: entry.at_ns,
            complete: None,
            completed_ns: None,
            error: entry.error,
            extra: entry.extra,
            place: entry.place,
        }
    }

    fn end(&mut self, entry: Entry) {
        self.outcome = match entry.phase {
            Phase::Ok => Outcome::Ok,
            Phase::Fail => Outcome::Fail,
            Phase::Info | Phase::Invoke => Outcome::Info,
        };
        self.answered = Some(entry.value);
        self.complete = Some(entry.index);
        self.completed_ns = entry.at_ns;
        self.error = entry.error;
        self.extra = entry.extra;
    }
}

/// What an entry comes to.
#[derive(Debug)]
pub enum Step<'a> {
    /// It is of a named process.
    Other(Entry),
    /// An operation begins.
    Begun(&'a Op),
    /// One comes to its end.
    Ended(Op),
}

/// Joins invocations with completions, an entry at a time; holds the open operations only.
#[derive(Debug, Default)]
pub struct Pairing(Turns<Op>);

impl Pairing {
    /// Takes the next entry; gives the operation that it completes.
    ///
    /// # Errors
    /// The entry cannot follow those before it.
    pub fn push(&mut self, entry: Entry) -> Result<Option<Op>, Error> {
        Ok(match self.step(entry)? {
            Step::Ended(op) => Some(op),
            Step::Other(_) | Step::Begun(_) => None,
        })
    }

    /// Takes the next entry; gives what it comes to.
    ///
    /// # Errors
    /// The entry cannot follow those before it.
    pub fn step(&mut self, entry: Entry) -> Result<Step<'_>, Error> {
        match self.0.turn(&entry, &[])? {
            Turn::Nothing => Ok(Step::Other(entry)),
            Turn::Begins(process) => {
                let open = self.0.open.entry(process).or_default();
                Ok(Step::Begun(open.insert(Op::begun(process, entry))))
            }
            Turn::Ends(mut op) => {
                op.end(entry);
                Ok(Step::Ended(op))
            }
        }
    }

    /// The operations that never ended, in the order of invocation.
    #[must_use]
    pub fn finish(self) -> Vec<Op> {
        let mut open: Vec<Op> = self.0.open.into_values().flatten().collect();
        open.sort_by_key(|op| op.invoke);
        open
    }
}

/// All operations of a history in the order of invocation.
///
/// # Errors
/// The first entry that could not be read, or cannot follow those before it.
pub fn ops(entries: impl IntoIterator<Item = Result<Entry, Error>>) -> Result<Vec<Op>, Error> {
    let mut turns = Turns::<usize>::default();
    let mut ops: Vec<Op> = Vec::new();
    for entry in entries {
        let entry = entry?;
        match turns.turn(&entry, &ops)? {
            Turn::Nothing => {}
            Turn::Begins(process) => {
                turns.open.insert(process, Some(ops.len()));
                ops.push(Op::begun(process, entry));
            }
            Turn::Ends(at) => ops[at].end(entry),
        }
    }
    Ok(ops)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(index: u64, process: u64, phase: Phase, f: &str, value: i64) -> Result<Entry, Error> {
        Ok(Entry {
            index,
            at_ns: None,
            process: Process::Client(process),
            phase,
            f: f.into(),
            key: None,
            value: Value::Int(value),
            error: None,
            extra: Vec::new(),
            place: Some(Place { line: index as u32 + 1, column: 1 }),
        })
    }

    #[test]
    fn invocations_are_joined_with_completions() {
        let nemesis = Entry {
            process: Process::Named("nemesis".into()),
            ..entry(2, 0, Phase::Info, "kill", 0).unwrap()
        };
        let ops = ops([
            entry(0, 1, Phase::Invoke, "write", 5),
            entry(1, 2, Phase::Invoke, "read", 0),
            Ok(nemesis),
            entry(3, 2, Phase::Ok, "read", 5),
            entry(4, 1, Phase::Info, "write", 5),
            entry(5, 3, Phase::Invoke, "write", 6),
        ])
        .unwrap();
        let shown: Vec<String> = ops.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["p1 write 5  info  #0", "p2 read 5  ok  #1..3", "p3 write 6  info  #5"]);
    }

    #[test]
    fn each_broken_rule_has_its_message() {
        let invoke = || entry(0, 1, Phase::Invoke, "write", 1);
        let cases = [
            (
                vec![invoke(), entry(1, 1, Phase::Invoke, "read", 0)],
                "line 2, column 1: entry 1: process 1 has another operation open, invoked by entry 0",
            ),
            (
                vec![invoke(), entry(1, 1, Phase::Ok, "read", 0)],
                "line 2, column 1: entry 1: `read` completes `write`, invoked by entry 0",
            ),
            (
                vec![entry(0, 1, Phase::Ok, "read", 0)],
                "line 1, column 1: entry 0: process 1 completes an operation that it has not invoked",
            ),
            (
                vec![invoke(), entry(0, 2, Phase::Invoke, "read", 0)],
                "line 1, column 1: entry 0: its index does not exceed the one before, 0",
            ),
            (
                vec![invoke(), entry(1, 1, Phase::Info, "write", 1), entry(2, 1, Phase::Invoke, "read", 0)],
                "line 3, column 1: entry 2: process 1 is dead since its operation ended in info",
            ),
        ];
        for (entries, expected) in cases {
            assert_eq!(ops(entries).unwrap_err().to_string(), expected);
        }
    }
}
