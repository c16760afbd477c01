//! What is replicated: commands, the log entries that carry them, and snapshots of their effect.

use serde::{Deserialize, Serialize};

use crate::machine::Machine;

/// A node's number; 0 means "nobody".
pub type NodeId = u64;
/// A Raft term; 0 is before the first election.
pub type Term = u64;
/// A position in the log, from 1; 0 is before the first entry.
pub type Index = u64;

/// A voter and where its peers reach it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The node's number.
    pub id: NodeId,
    /// `IP:PORT` of its peer listener.
    pub addr: String,
}

/// Identifies a request so that a retry is applied once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Chosen by the client, unique to it.
    pub client: String,
    /// Grows by one with each new request of the client; a retry repeats it.
    pub seq: u64,
}

/// What a log entry does when applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Command {
    /// Nothing; the first entry of every leader.
    Noop,
    /// Replaces the set of voters; in force from the moment it is in the log (Raft dissertation, 4.1).
    Config {
        /// The new voters.
        members: Vec<Member>,
    },
    /// Sets a key.
    Put {
        /// The key.
        key: String,
        /// Its new value.
        value: String,
        /// For retries; optional.
        session: Option<Session>,
    },
    /// Sets a key if it has the expected value.
    Cas {
        /// The key.
        key: String,
        /// The value it must have; `None`: it must be absent.
        expect: Option<String>,
        /// Its new value.
        value: String,
        /// For retries; optional.
        session: Option<Session>,
    },
    /// Removes a key.
    Delete {
        /// The key.
        key: String,
        /// For retries; optional.
        session: Option<Session>,
    },
}

impl Command {
    /// The key the command touches, if any.
    pub fn key(&self) -> Option<&str> {
        match self {
            Command::Noop | Command::Config { .. } => None,
            Command::Put { key, .. } | Command::Cas { key, .. } | Command::Delete { key, .. } => Some(key),
        }
    }

    /// The session the command belongs to, if any.
    pub fn session(&self) -> Option<&Session> {
        match self {
            Command::Noop | Command::Config { .. } => None,
            Command::Put { session, .. } | Command::Cas { session, .. } | Command::Delete { session, .. } => {
                session.as_ref()
            }
        }
    }
}

/// One position of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its position.
    pub index: Index,
    /// The term of the leader that created it.
    pub term: Term,
    /// What it does.
    pub command: Command,
}

impl Entry {
    /// CRC-32 of position, term and command: equal entries, equal digests.
    pub fn digest(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.index.to_le_bytes());
        hasher.update(&self.term.to_le_bytes());
        hasher.update(&serde_json::to_vec(&self.command).expect("commands are plain data"));
        hasher.finalize()
    }
}

/// The state of the machine after an index, in place of the entries up to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The last entry it includes.
    pub index: Index,
    /// That entry's term.
    pub term: Term,
    /// The voters as of that entry.
    pub members: Vec<Member>,
    /// The machine after that entry.
    pub machine: Machine,
}
