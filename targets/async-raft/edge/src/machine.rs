//! The replicated state machine: keys with values, and the session table that makes retries safe.
//!
//! The same commands give the same machine on every node: no clock, no randomness, ordered maps only.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How many sessions are kept; the one unused for longest goes first.
const SESSIONS_MAX: usize = 4096;

/// What a client wants changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Which key.
    pub key: String,
    /// What to do with it.
    pub change: Change,
    /// Who asked; without it, a repeated command is done twice.
    pub session: Option<Session>,
}

/// What to do with a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Gives it a value.
    Put {
        /// The value.
        value: String,
    },
    /// Gives it a value if it has the expected one.
    Cas {
        /// The value expected; `None`: the key is absent.
        expect: Option<String>,
        /// The new value.
        value: String,
    },
    /// Removes it.
    Delete,
}

/// A client's numbered command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The client's name.
    pub client: String,
    /// The command's number: a client counts its commands, and repeats the number with the command.
    pub seq: u64,
}

/// What applying a command came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It took effect.
    Done,
    /// A compare-and-set found another value.
    Mismatch {
        /// The value found; `None`: the key is absent.
        actual: Option<String>,
    },
    /// The client has moved on to a later number; nothing happened now.
    Stale,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LastReply {
    seq: u64,
    used: u64,
    outcome: Outcome,
}

/// Values and sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    values: BTreeMap<String, String>,
    sessions: BTreeMap<String, LastReply>,
}

impl Machine {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// Applies the command at `index` of the log; a repeated number gets the first outcome again.
    pub fn apply(&mut self, index: u64, command: &Command) -> Outcome {
        let Some(session) = &command.session else { return self.run(command) };
        if let Some(last) = self.sessions.get(&session.client) {
            match session.seq.cmp(&last.seq) {
                Ordering::Greater => {}
                Ordering::Equal => return last.outcome.clone(),
                Ordering::Less => return Outcome::Stale,
            }
        }
        let outcome = self.run(command);
        let last = LastReply { seq: session.seq, used: index, outcome: outcome.clone() };
        self.sessions.insert(session.client.clone(), last);
        self.forget_one_session();
        outcome
    }

    fn run(&mut self, command: &Command) -> Outcome {
        let key = &command.key;
        match &command.change {
            Change::Put { value } => {
                self.values.insert(key.clone(), value.clone());
            }
            Change::Cas { expect, value } => {
                let actual = self.values.get(key);
                if actual != expect.as_ref() {
                    return Outcome::Mismatch { actual: actual.cloned() };
                }
                self.values.insert(key.clone(), value.clone());
            }
            Change::Delete => {
                self.values.remove(key);
            }
        }
        Outcome::Done
    }

    fn forget_one_session(&mut self) {
        if self.sessions.len() <= SESSIONS_MAX {
            return;
        }
        let oldest = self.sessions.iter().min_by_key(|(_, last)| last.used).map(|(client, _)| client.clone());
        if let Some(client) = oldest {
            self.sessions.remove(&client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cas(expect: Option<&str>, value: &str, client: &str, seq: u64) -> Command {
        let change = Change::Cas { expect: expect.map(str::to_owned), value: value.into() };
        Command { key: "k".into(), change, session: Some(Session { client: client.into(), seq }) }
    }

    #[test]
    fn a_retry_gets_the_first_outcome_and_changes_nothing() {
        let mut machine = Machine::default();
        assert_eq!(machine.apply(1, &cas(None, "a", "c", 1)), Outcome::Done);
        assert_eq!(machine.apply(2, &cas(Some("a"), "b", "c", 2)), Outcome::Done);
        assert_eq!(machine.apply(3, &cas(Some("a"), "b", "c", 2)), Outcome::Done);
        assert_eq!(machine.apply(4, &cas(None, "a", "c", 1)), Outcome::Stale);
        let mismatch = Outcome::Mismatch { actual: Some("b".into()) };
        assert_eq!(machine.apply(5, &cas(None, "x", "c", 3)), mismatch);
        let delete = Command { key: "k".into(), change: Change::Delete, session: None };
        assert_eq!(machine.apply(6, &delete), Outcome::Done);
        assert_eq!(machine.apply(7, &cas(None, "x", "c", 3)), mismatch);
        assert_eq!(machine.get("k"), None);
    }

    #[test]
    fn the_oldest_session_goes_first() {
        let mut machine = Machine::default();
        for number in 0..=SESSIONS_MAX as u64 {
            machine.apply(number + 1, &cas(None, "v", &format!("c{number}"), 1));
        }
        assert_eq!(machine.sessions.len(), SESSIONS_MAX);
        assert!(!machine.sessions.contains_key("c0") && machine.sessions.contains_key("c1"));
    }
}
