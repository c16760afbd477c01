//! The replicated state machine: keys with values, and the session table that makes retries safe.
//!
//! The same entries give the same machine on every node: no clock, no randomness, ordered maps only.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bugs::{Bug, Bugs};
use crate::entry::{Command, Index, Session};

/// How many sessions are kept; the one unused for longest goes first.
const SESSIONS_MAX: usize = 4096;

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
    /// The client has moved on to a later sequence number; nothing happened now.
    Stale,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LastReply {
    seq: u64,
    used: Index,
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
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// Bytes held in keys, values and client names.
    pub fn bytes(&self) -> usize {
        let values: usize = self.values.iter().map(|(key, value)| key.len() + value.len()).sum();
        values + self.sessions.keys().map(|client| client.len() + 32).sum::<usize>()
    }

    /// Applies the command at `index`; a repeated sequence number returns the first outcome again.
    pub fn apply(&mut self, index: Index, command: &Command, bugs: Bugs) -> Outcome {
        let Some(session) = command.session() else { return self.run(command) };
        // Here, not when the request arrives: two copies of a request can be in the log, from two leaders.
        if !bugs.has(Bug::RetryTwice)
            && let Some(outcome) = self.recall(session)
        {
            return outcome;
        }
        let outcome = self.run(command);
        let row = LastReply { seq: session.seq, used: index, outcome: outcome.clone() };
        self.sessions.insert(session.client.clone(), row);
        self.forget_one_session();
        outcome
    }

    /// The outcome a session already has for this sequence number or a later one.
    pub fn recall(&self, session: &Session) -> Option<Outcome> {
        let row = self.sessions.get(&session.client)?;
        match session.seq.cmp(&row.seq) {
            std::cmp::Ordering::Greater => None,
            std::cmp::Ordering::Equal => Some(row.outcome.clone()),
            std::cmp::Ordering::Less => Some(Outcome::Stale),
        }
    }

    /// The machine as a snapshot holds it.
    pub fn for_snapshot(&self, bugs: Bugs) -> Machine {
        if bugs.has(Bug::SnapshotDropsSessions) {
            return Machine { values: self.values.clone(), sessions: BTreeMap::new() };
        }
        self.clone()
    }

    /// CRC-32 of everything in it.
    pub fn digest(&self) -> u32 {
        crc32fast::hash(&serde_json::to_vec(self).expect("the machine is plain data"))
    }

    fn run(&mut self, command: &Command) -> Outcome {
        match command {
            Command::Noop | Command::Config { .. } => {}
            Command::Put { key, value, .. } => {
                self.values.insert(key.clone(), value.clone());
            }
            Command::Cas { key, expect, value, .. } => {
                let actual = self.values.get(key);
                if actual != expect.as_ref() {
                    return Outcome::Mismatch { actual: actual.cloned() };
                }
                self.values.insert(key.clone(), value.clone());
            }
            Command::Delete { key, .. } => {
                self.values.remove(key);
            }
        }
        Outcome::Done
    }

    fn forget_one_session(&mut self) {
        if self.sessions.len() <= SESSIONS_MAX {
            return;
        }
        let oldest = self.sessions.iter().min_by_key(|(_, row)| row.used).map(|(client, _)| client.clone());
        if let Some(client) = oldest {
            self.sessions.remove(&client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cas(expect: Option<&str>, value: &str, seq: u64) -> Command {
        Command::Cas {
            key: "k".into(),
            expect: expect.map(str::to_owned),
            value: value.into(),
            session: Some(Session { client: "c".into(), seq }),
        }
    }

    #[test]
    fn a_retry_gets_the_first_outcome_and_changes_nothing() {
        let mut machine = Machine::default();
        assert_eq!(machine.apply(1, &cas(None, "a", 1), Bugs::NONE), Outcome::Done);
        assert_eq!(machine.apply(2, &cas(Some("a"), "b", 2), Bugs::NONE), Outcome::Done);
        assert_eq!(machine.apply(3, &cas(Some("a"), "b", 2), Bugs::NONE), Outcome::Done);
        assert_eq!(machine.apply(4, &cas(None, "a", 1), Bugs::NONE), Outcome::Stale);
        assert_eq!(machine.get("k"), Some("b"));
    }

    #[test]
    fn retry_twice_runs_the_retry() {
        let mut machine = Machine::default();
        let bugs = Bugs::only(Bug::RetryTwice);
        machine.apply(1, &cas(None, "a", 1), bugs);
        let again = machine.apply(2, &cas(None, "a", 1), bugs);
        assert_eq!(again, Outcome::Mismatch { actual: Some("a".into()) });
    }

    #[test]
    fn a_snapshot_keeps_sessions_unless_planted_otherwise() {
        let mut machine = Machine::default();
        machine.apply(1, &cas(None, "a", 1), Bugs::NONE);
        assert_eq!(machine.for_snapshot(Bugs::NONE), machine);
        let lossy = machine.for_snapshot(Bugs::only(Bug::SnapshotDropsSessions));
        assert_eq!(lossy.recall(&Session { client: "c".into(), seq: 1 }), None);
    }

    #[test]
    fn the_oldest_session_goes_first() {
        let mut machine = Machine::default();
        for number in 0..=SESSIONS_MAX as u64 {
            let session = Some(Session { client: format!("c{number}"), seq: 1 });
            let put = Command::Put { key: "k".into(), value: "v".into(), session };
            machine.apply(number + 1, &put, Bugs::NONE);
        }
        assert_eq!(machine.sessions.len(), SESSIONS_MAX);
        assert!(!machine.sessions.contains_key("c0") && machine.sessions.contains_key("c1"));
    }
}
