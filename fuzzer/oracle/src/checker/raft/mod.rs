//! Raft's safety properties (Ongaro, "Consensus: Bridging Theory and Practice", figure 3.2), judged from
//! what nodes report of themselves.
//!
//! A node reports after the fact: a vote once it is durable, an entry once it is in its log, an application
//! once it is done. The oracle keeps a shadow of each node's log. Nodes are numbered from 1; a vote of 0
//! is none.

mod judge;
mod shadow;

pub use judge::{NAME, check};

use crate::op::seconds;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A node says something of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Virtual nanoseconds.
    pub at_ns: u64,
    /// The node's number.
    pub node: u32,
    /// What it says.
    pub kind: Kind,
}

/// What a node says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It has started and recovered what its disk holds; the entries of its log follow, each as an [`Kind::Append`].
    /// Of entries that do not follow nothing is known, for what it had reported before it may have changed since.
    Start {
        /// Its term.
        term: u64,
        /// Whom it voted for in that term.
        vote: u32,
        /// The last index of its log.
        last: u64,
        /// The index its snapshot covers, 0 without one.
        snapshot: u64,
    },
    /// Its present state, on every change.
    State {
        /// Its role.
        role: Role,
        /// Its term.
        term: u64,
        /// Whom it voted for in that term.
        vote: u32,
        /// Its commit index.
        commit: u64,
        /// The last index of its log.
        last: u64,
        /// The term of that entry.
        last_term: u64,
        /// The last index it applied.
        applied: u64,
    },
    /// What a program says of itself that reports nothing else: its role in this term.
    Role {
        /// Its role.
        role: Role,
        /// Its term.
        term: u64,
    },
    /// An entry is in its log.
    Append {
        /// The entry's index.
        index: u64,
        /// The entry's term.
        term: u64,
        /// A hash of the entry's content.
        digest: String,
    },
    /// It removed entries from its log.
    Truncate {
        /// The first one removed.
        from: u64,
    },
    /// It applied an entry to its state machine.
    Apply {
        /// The entry's index.
        index: u64,
        /// The entry's term.
        term: u64,
        /// A hash of the entry's content.
        digest: String,
    },
    /// It has a snapshot in place of its log up to `index`.
    Snapshot {
        /// The last index it covers.
        index: u64,
        /// The term of that entry.
        term: u64,
        /// A hash of the state machine's content, equal on all nodes at equal indices.
        digest: String,
        /// It came from another node, in place of what the state machine held.
        installed: bool,
    },
}

/// A node's role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Follows a leader, or waits for one.
    Follower,
    /// Asks for votes, or whether it would get them.
    Candidate,
    /// Leads its term.
    Leader,
}

impl Kind {
    /// Reads a report's fields; `kind` is the text of its field `report`.
    ///
    /// Gives `None` for other kinds of report and for missing or malformed fields. A vote may also be
    /// `null`, `none` or empty, and means 0.
    pub fn from_fields<'a>(kind: &str, get: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let number = |name: &str| get(name)?.parse::<u64>().ok();
        let vote = || match get("vote")? {
            "" | "null" | "none" => Some(0),
            text => text.parse::<u32>().ok(),
        };
        let digest = || get("digest").map(str::to_string);
        let role = || match get("role")? {
            "follower" => Some(Role::Follower),
            "candidate" | "pre-candidate" | "pre_candidate" => Some(Role::Candidate),
            "leader" => Some(Role::Leader),
            _ => None,
        };
        Some(match kind {
            "start" => Self::Start {
                term: number("term")?,
                vote: vote()?,
                last: number("last")?,
                snapshot: number("snapshot")?,
            },
            "role" => Self::Role { role: role()?, term: number("term")? },
            "state" => Self::State {
                role: role()?,
                term: number("term")?,
                vote: vote()?,
                commit: number("commit")?,
                last: number("last")?,
                last_term: number("last_term")?,
                applied: number("applied")?,
            },
            "append" => Self::Append { index: number("index")?, term: number("term")?, digest: digest()? },
            "truncate" => Self::Truncate { from: number("from")? },
            "apply" => Self::Apply { index: number("index")?, term: number("term")?, digest: digest()? },
            "snapshot" => Self::Snapshot {
                index: number("index")?,
                term: number("term")?,
                digest: digest()?,
                installed: get("installed")?.parse().ok()?,
            },
            _ => return None,
        })
    }
}

/// An entry's identity: term and digest at an index that is known from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub term: u64,
    pub digest: String,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "term {} digest {}", self.term, self.digest)
    }
}

/// Who said something and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Witness {
    pub node: u32,
    pub at_ns: u64,
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  n{}", seconds(self.at_ns), self.node)
    }
}

#[cfg(test)]
mod tests;
