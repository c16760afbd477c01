//! The words of the core: what it is told, what it wants done, and what it is made with.

use serde_json::Value;

use crate::bugs::Bugs;
use crate::entry::{Command, Entry, Index, Member, NodeId, Snapshot, Term};
use crate::machine::Outcome;
use crate::message::Frame;
use crate::report::Report;

/// What a node is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Follows a leader, or waits for one.
    Follower,
    /// Asks whether an election would succeed.
    PreCandidate,
    /// Asks for votes.
    Candidate,
    /// Leads.
    Leader,
}

impl Role {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Role::Follower => "follower",
            Role::PreCandidate => "pre_candidate",
            Role::Candidate => "candidate",
            Role::Leader => "leader",
        }
    }
}

/// How reads are made linearizable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadMode {
    /// Leadership is confirmed by a majority after the read arrived; needs no clock.
    ReadIndex,
    /// A recent confirmation is good for a while; needs clocks that run at about the same rate.
    Lease,
}

/// What does not change while a node runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This node.
    pub id: NodeId,
    /// Where its peers reach it.
    pub addr: String,
    /// The voters before any configuration is in the log; empty for a node that joins later.
    pub members: Vec<Member>,
    /// Nodes known from the start, voters or not.
    pub peers: Vec<Member>,
    /// Planted bugs.
    pub bugs: Bugs,
    /// How reads are served.
    pub reads: ReadMode,
    /// Between heartbeats.
    pub heartbeat_ns: u64,
    /// Election timeouts are drawn from this range.
    pub election_ns: std::ops::Range<u64>,
    /// The first election timeout after a start is drawn from this range.
    pub boot_election_ns: std::ops::Range<u64>,
    /// Applied entries between snapshots; at least 1.
    pub snapshot_every: u64,
    /// Voters silent for this long are removed, and taken in again when they return; 0: never.
    pub autopilot_ns: u64,
    /// A write not committed by then is answered "unknown".
    pub patience_ns: u64,
}

/// What a disk had.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// The last durable term.
    pub term: Term,
    /// The vote in it; 0: none.
    pub vote: NodeId,
    /// The last snapshot.
    pub snapshot: Option<Snapshot>,
    /// The entries after it.
    pub entries: Vec<Entry>,
}

/// The time a step happens at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Monotonic, from any origin.
    pub mono_ns: u64,
    /// The wall clock; only a planted bug looks at it.
    pub wall_ns: u64,
}

/// A client's request, local to the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Reads a key.
    Get {
        /// The key.
        key: String,
    },
    /// Replicates a command.
    Write(Command),
    /// Adds a voter.
    Add(Member),
    /// Removes a voter.
    Remove(NodeId),
    /// What the node knows about itself.
    Status,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A value read; `None`: no such key.
    Value(Option<String>),
    /// The command was applied.
    Applied(Outcome),
    /// Nothing was done: ask the leader.
    NotLeader(Option<NodeId>),
    /// Nothing was done, for this reason.
    Refused(&'static str),
    /// Nothing was done: the store is full.
    Full,
    /// It may be done, now or later, or never.
    Unknown,
    /// The node's status.
    Status(Value),
}

/// What can happen to a node.
#[derive(Clone, Debug)]
pub enum Input {
    /// Time has passed; see [`Raft::deadline_ns`](super::Raft::deadline_ns).
    Tick,
    /// A message arrived.
    Message(Frame),
    /// A client asks; the token comes back in [`Output::Reply`].
    Request(u64, Request),
    /// The turn is over: send what the inputs of the turn added up to.
    Flush,
}

/// What a node wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Store term and vote.
    SaveMeta {
        /// The term.
        term: Term,
        /// The vote in it; 0: none.
        vote: NodeId,
    },
    /// Store an entry at the end of the log.
    Append(Entry),
    /// Remove stored entries from an index on.
    Truncate {
        /// The first one to go.
        from: Index,
    },
    /// Store a snapshot, then replace the stored log by these entries.
    SaveSnapshot {
        /// The snapshot.
        snapshot: Snapshot,
        /// The entries after it.
        entries: Vec<Entry>,
    },
    /// Send a message; it may be lost.
    Send {
        /// The receiver.
        to: NodeId,
        /// The message.
        frame: Frame,
    },
    /// Answer a client.
    Reply {
        /// The token of the request.
        token: u64,
        /// The answer.
        reply: Reply,
    },
    /// The voters changed; peers are reached at these addresses.
    Members(Vec<Member>),
    /// Tell observers.
    Report(Report),
}
