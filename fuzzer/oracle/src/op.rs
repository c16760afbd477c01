//! Client operations: what was asked of a register, a collection, a lock or something else ([`Call`]) and what became
//! of it ([`Op`]).

use crate::value::Value;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a client asked of one key, with the answer once there is one.
///
/// Values are text; `None` in the place of a value means that the key is absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Asks for the value.
    Read {
        /// The register.
        key: String,
        /// The answer: `None` while unknown, `Some(None)` when the key was absent.
        #[serde(with = "reading")]
        value: Option<Option<String>>,
    },
    /// Sets the value.
    Write {
        /// The register.
        key: String,
        /// The new value.
        value: String,
    },
    /// Sets the value if the present one equals `expect`.
    Cas {
        /// The register.
        key: String,
        /// What the register must hold; `None` asks for an absent key.
        expect: Option<String>,
        /// The new value.
        value: String,
        /// The answer: swapped, or refused because the register held something else. An `ok` entry without
        /// an answer counts as swapped, as in Jepsen.
        result: Option<bool>,
    },
    /// Removes the key.
    Delete {
        /// The register.
        key: String,
    },
    /// Puts an element into a set, or at the end of a log.
    Add {
        /// The collection.
        key: String,
        /// The element; no two additions to a collection are of the same one.
        element: String,
    },
    /// Asks for all elements of a set or log.
    Elements {
        /// The collection.
        key: String,
        /// The answer, in the order in which it came; `None` while unknown.
        elements: Option<Vec<String>>,
    },
    /// Asks for a lock, and waits for it.
    Acquire {
        /// The lock.
        key: String,
        /// What was granted; `None` while unknown.
        grant: Option<Grant>,
    },
    /// Gives a lock back.
    Release {
        /// The lock.
        key: String,
    },
    /// Anything else, which the checks of [`crate::check`] read as they read histories of anybody.
    Other {
        /// What is done.
        function: Function,
        /// The object, or nothing where operations have none.
        key: String,
        /// With what.
        asked: Value,
        /// The answer; `None` while unknown. A change that says no more than that it was done is answered with `asked`.
        answered: Option<Value>,
    },
}

/// What a lock was granted with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grant {
    /// How long nobody else will have it, in milliseconds from the answer; `None`: until it is released.
    pub lease_ms: Option<u64>,
    /// Its fencing token, if it has one.
    pub token: Option<u64>,
}

/// The name of a call: Jepsen's `f`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Function {
    /// [`Call::Read`]
    Read,
    /// [`Call::Write`]
    Write,
    /// [`Call::Cas`]
    Cas,
    /// [`Call::Delete`]
    Delete,
    /// [`Call::Add`]
    Add,
    /// [`Call::Elements`]
    Elements,
    /// [`Call::Acquire`]
    Acquire,
    /// [`Call::Release`]
    Release,
    /// Adds to a counter.
    Increment,
    /// Asks for what has changed since the last time.
    Watch,
    /// Puts an element into a queue.
    Enqueue,
    /// Takes an element out of a queue.
    Dequeue,
    /// Takes all elements out of a queue.
    Drain,
    /// Moves money from one account to another.
    Transfer,
    /// Reads and appends to lists, all at once.
    Txn,
}

impl Function {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Read,
        Self::Write,
        Self::Cas,
        Self::Delete,
        Self::Add,
        Self::Elements,
        Self::Acquire,
        Self::Release,
        Self::Increment,
        Self::Watch,
        Self::Enqueue,
        Self::Dequeue,
        Self::Drain,
        Self::Transfer,
        Self::Txn,
    ];

    /// Its name in exported histories.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Cas => "cas",
            Self::Delete => "delete",
            Self::Add => "add",
            Self::Elements => "elements",
            Self::Acquire => "acquire",
            Self::Release => "release",
            Self::Increment => "increment",
            Self::Watch => "watch",
            Self::Enqueue => "enqueue",
            Self::Dequeue => "dequeue",
            Self::Drain => "drain",
            Self::Transfer => "transfer",
            Self::Txn => "txn",
        }
    }

    /// It asks, and changes nothing.
    #[must_use]
    pub const fn is_read(self) -> bool {
        matches!(self, Self::Read | Self::Elements | Self::Watch)
    }

    /// The function with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|function| function.name() == name)
    }
}

impl Call {
    /// Which of them it is.
    #[must_use]
    pub const fn function(&self) -> Function {
        match self {
            Self::Read { .. } => Function::Read,
            Self::Write { .. } => Function::Write,
            Self::Cas { .. } => Function::Cas,
            Self::Delete { .. } => Function::Delete,
            Self::Add { .. } => Function::Add,
            Self::Elements { .. } => Function::Elements,
            Self::Acquire { .. } => Function::Acquire,
            Self::Release { .. } => Function::Release,
            Self::Other { function, .. } => *function,
        }
    }

    /// It asks, and changes nothing.
    #[must_use]
    pub const fn is_read(&self) -> bool {
        self.function().is_read()
    }

    /// It is about a register.
    #[must_use]
    pub const fn is_of_register(&self) -> bool {
        matches!(self, Self::Read { .. } | Self::Write { .. } | Self::Cas { .. } | Self::Delete { .. })
    }

    /// It is a question that has its answer.
    #[must_use]
    pub const fn is_answered(&self) -> bool {
        !matches!(
            self,
            Self::Read { value: None, .. }
                | Self::Elements { elements: None, .. }
                | Self::Acquire { grant: None, .. }
                | Self::Other { answered: None, .. }
        )
    }

    /// The register, collection, lock or other object it is about.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Read { key, .. }
            | Self::Write { key, .. }
            | Self::Cas { key, .. }
            | Self::Delete { key }
            | Self::Add { key, .. }
            | Self::Elements { key, .. }
            | Self::Acquire { key, .. }
            | Self::Release { key }
            | Self::Other { key, .. } => key,
        }
    }

    /// The same question with the answer taken out.
    #[must_use]
    pub fn question(&self) -> Self {
        match self {
            Self::Read { key, .. } => Self::Read { key: key.clone(), value: None },
            Self::Cas { key, expect, value, .. } => {
                Self::Cas { key: key.clone(), expect: expect.clone(), value: value.clone(), result: None }
            }
            Self::Elements { key, .. } => Self::Elements { key: key.clone(), elements: None },
            Self::Acquire { key, .. } => Self::Acquire { key: key.clone(), grant: None },
            Self::Other { function, key, asked, .. } => {
                Self::Other { function: *function, key: key.clone(), asked: asked.clone(), answered: None }
            }
            Self::Write { .. } | Self::Delete { .. } | Self::Add { .. } | Self::Release { .. } => {
                self.clone()
            }
        }
    }

    /// What the register holds once the call took effect; `None` for calls that change nothing.
    #[must_use]
    pub fn leaves(&self) -> Option<Option<&str>> {
        match self {
            Self::Write { value, .. } => Some(Some(value)),
            Self::Cas { value, result, .. } => (*result != Some(false)).then_some(Some(value)),
            Self::Delete { .. } => Some(None),
            Self::Read { .. }
            | Self::Add { .. }
            | Self::Elements { .. }
            | Self::Acquire { .. }
            | Self::Release { .. }
            | Self::Other { .. } => None,
        }
    }

    /// What the register must have held for the call to be answered so; `None` when the answer does not tell.
    #[must_use]
    pub fn observes(&self) -> Option<Option<&str>> {
        match self {
            Self::Read { value, .. } => value.as_ref().map(Option::as_deref),
            Self::Cas { expect, result, .. } => (*result != Some(false)).then_some(expect.as_deref()),
            _ => None,
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { key, value: None } => write!(f, "read {key}"),
            Self::Read { key, value: Some(value) } => write!(f, "read {key} -> {}", Shown(value.as_deref())),
            Self::Write { key, value } => write!(f, "write {key} = {value:?}"),
            Self::Cas { key, expect, value, result } => {
                let answer = if *result == Some(false) { " refused" } else { "" };
                write!(f, "cas {key} {} => {value:?}{answer}", Shown(expect.as_deref()))
            }
            Self::Delete { key } => write!(f, "delete {key}"),
            Self::Add { key, element } => write!(f, "add {element:?} to {key}"),
            Self::Elements { key, elements: None } => write!(f, "elements of {key}"),
            Self::Elements { key, elements: Some(elements) } => {
                write!(f, "elements of {key} -> {}", elements.len())
            }
            Self::Acquire { key, grant } => match grant.and_then(|grant| grant.lease_ms) {
                Some(ms) => write!(f, "lock {key} for {ms} ms"),
                None => write!(f, "lock {key}"),
            },
            Self::Release { key } => write!(f, "unlock {key}"),
            Self::Other { function, key, asked, answered } => {
                f.write_str(function.name())?;
                if !key.is_empty() {
                    write!(f, " {key}")?;
                }
                if *asked != Value::Nil {
                    write!(f, " {asked}")?;
                }
                match answered.as_ref().filter(|answered| *answered != asked) {
                    Some(answered) => write!(f, " -> {answered}"),
                    None => Ok(()),
                }
            }
        }
    }
}

/// A register's content for people: the value in quotes, or `absent`.
pub(crate) struct Shown<'a>(pub Option<&'a str>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(value) => write!(f, "{value:?}"),
            None => write!(f, "absent"),
        }
    }
}

/// How an operation ended, in Jepsen's sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It took effect between its invocation and its completion.
    Ok,
    /// It took no effect and never will.
    Fail,
    /// Nobody knows: it may take effect at any instant after its invocation, or never.
    Info,
}

impl Outcome {
    /// Its name in exported histories.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Fail => "fail",
            Self::Info => "info",
        }
    }
}

/// An operation: an invocation joined with its completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// The process (a logical thread of one client) that asked.
    pub process: u32,
    /// What was asked; with the answer when the outcome is ok.
    pub call: Call,
    /// How it ended; an operation that never ended is [`Outcome::Info`].
    pub outcome: Outcome,
    /// Index of the invoking entry. The order of indices is the order of events.
    pub invoke: u64,
    /// Virtual nanoseconds of the invocation.
    pub invoked_ns: u64,
    /// Index of the completing entry, absent while the operation is open.
    pub complete: Option<u64>,
    /// Virtual nanoseconds of the completion.
    pub completed_ns: Option<u64>,
    /// What the client was told went wrong.
    pub error: Option<String>,
    /// The client's number, from 1; absent where only processes are known.
    pub client: Option<u32>,
    /// The number of the node that answered, or was asked last, from 1; absent where it is not known.
    pub node: Option<u32>,
}

impl Op {
    /// Who asked, by the name that clients have everywhere: `c1`; by the process, `p1`, where clients are not known.
    #[must_use]
    pub fn who(&self) -> String {
        Who(self.client, self.process).to_string()
    }

    /// Took effect for certain and changed the register.
    #[must_use]
    pub fn acknowledged_change(&self) -> bool {
        self.outcome == Outcome::Ok && self.call.leaves().is_some()
    }

    /// The instant after which it cannot take effect any more (an index), if there is one.
    #[must_use]
    pub fn effective_by(&self) -> Option<u64> {
        if self.outcome == Outcome::Info { None } else { self.complete }
    }
}

impl fmt::Display for Op {
    /// `c1 write k = "a"  [0.100000, 0.120000] ok by n2  #4`; `p1` where clients are not known, and nothing of the node
    /// where that is not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}  [{}, ", Who(self.client, self.process), self.call, seconds(self.invoked_ns))?;
        match self.completed_ns {
            Some(at) if self.outcome != Outcome::Info => write!(f, "{}]", seconds(at))?,
            _ => write!(f, "...")?,
        }
        write!(f, " {}", self.outcome.name())?;
        if let Some(node) = self.node {
            write!(f, " by n{node}")?;
        }
        write!(f, "  #{}", self.invoke)
    }
}

/// Who asked, by the one name that clients have everywhere: `c1`; by the process, `p1`, where clients are not known.
pub(crate) struct Who<P>(pub Option<u32>, pub P);

impl<P: fmt::Display> fmt::Display for Who<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(client) => write!(f, "c{client}"),
            None => write!(f, "p{}", self.1),
        }
    }
}

/// Nanoseconds as seconds with microseconds: `1.250000`.
pub(crate) fn seconds(ns: u64) -> String {
    format!("{}.{:06}", ns / 1_000_000_000, ns % 1_000_000_000 / 1_000)
}

/// An answer to a read as three named cases: JSON alone would turn `Some(None)` into `None`.
mod reading {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Reading {
        Unknown,
        Absent,
        Value(String),
    }

    pub fn serialize<S: Serializer>(value: &Option<Option<String>>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            None => Reading::Unknown,
            Some(None) => Reading::Absent,
            Some(Some(text)) => Reading::Value(text.clone()),
        }
        .serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
        Ok(match Reading::deserialize(from)? {
            Reading::Unknown => None,
            Reading::Absent => Some(None),
            Reading::Value(text) => Some(Some(text)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_answer_survives_json() {
        for value in [None, Some(None), Some(Some("a".to_string()))] {
            let call = Call::Read { key: "k".into(), value };
            let text = serde_json::to_string(&call).unwrap();
            assert_eq!(serde_json::from_str::<Call>(&text).unwrap(), call, "{text}");
        }
    }

    #[test]
    fn a_refused_swap_leaves_and_observes_nothing() {
        let swap = |result| Call::Cas { key: "k".into(), expect: None, value: "b".into(), result };
        assert_eq!((swap(Some(false)).leaves(), swap(Some(false)).observes()), (None, None));
        assert_eq!((swap(None).leaves(), swap(None).observes()), (Some(Some("b")), Some(None)));
    }
}
