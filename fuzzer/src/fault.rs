//! Faults: a closed set, each with explicit victims and durations; never "some node" once executed.

mod check;
pub mod figures;
mod kind;
mod show;

pub use check::{DURATION_MS_MAX, JUMP_MS_MAX};
pub use kind::Kind;
pub(crate) use show::Time;

use crate::codec::text_in_binary;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A node by its position in the cluster, written `n1`, `n2`…
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Node(pub u8);

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

impl FromStr for Node {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        text.strip_prefix('n')
            .and_then(|digits| digits.parse().ok())
            .filter(|n| *n >= 1)
            .map(Self)
            .ok_or_else(|| format!("`{text}` is not a node; nodes are written n1, n2, n3"))
    }
}

impl TryFrom<String> for Node {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Node> for String {
    fn from(node: Node) -> Self {
        node.to_string()
    }
}

/// Which packets a partition stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Those in both directions.
    #[default]
    Both,
    /// Only those that leave the named side.
    Outbound,
    /// Only those that reach the named side.
    Inbound,
}

/// What of the data that was not made durable survives a loss of power.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Nothing.
    #[default]
    All,
    /// A seeded prefix of the operations.
    Prefix,
    /// A seeded subset, in sectors and pages, out of order.
    Subset,
    /// A seeded prefix whose last write is torn.
    Torn,
}

/// One fault. Durations are virtual milliseconds; what a fault breaks it mends by itself when its time is up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// The nodes of `side` are cut from all others (clients still reach every node). One node: isolation.
    Partition {
        /// The nodes on one side.
        side: Vec<Node>,
        /// Symmetric, or one way.
        #[serde(default)]
        direction: Direction,
        /// How long.
        for_ms: u64,
    },
    /// Packets from one node to one other are held.
    Link {
        /// The sender.
        from: Node,
        /// The receiver.
        to: Node,
        /// How long.
        for_ms: u64,
    },
    /// Packets from one node to one other take longer.
    Delay {
        /// The sender.
        from: Node,
        /// The receiver.
        to: Node,
        /// Added to the latency.
        delay_ms: u64,
        /// Up to this much more, drawn per packet.
        jitter_ms: u64,
        /// How long.
        for_ms: u64,
    },
    /// Connections from one node to one other stay open but carry no data.
    Stall {
        /// The sender.
        from: Node,
        /// The receiver.
        to: Node,
        /// How long.
        for_ms: u64,
    },
    /// All connections between two nodes are reset.
    Reset {
        /// One end.
        a: Node,
        /// The other.
        b: Node,
    },
    /// The node's processes are killed; what they wrote stays in the page cache. It restarts after `down_ms`.
    Kill {
        /// The victim.
        node: Node,
        /// Time until it starts again.
        down_ms: u64,
    },
    /// The node loses power: what was not made durable is lost as `loss` says; peers see silence.
    PowerLoss {
        /// The victim.
        node: Node,
        /// What survives.
        loss: Loss,
        /// Time until it starts again.
        down_ms: u64,
    },
    /// The node's threads do not run; its clock goes on.
    Pause {
        /// The victim.
        node: Node,
        /// How long.
        for_ms: u64,
    },
    /// The node's wall clock jumps.
    ClockJump {
        /// The victim.
        node: Node,
        /// Forward, or back when negative.
        by_ms: i64,
    },
    /// The node's clocks run at `percent` of the true rate (1 to 1000).
    ClockRate {
        /// The victim.
        node: Node,
        /// 100 is true.
        percent: u32,
        /// How long.
        for_ms: u64,
    },
    /// Each fsync of the node takes longer.
    SlowFsync {
        /// The victim.
        node: Node,
        /// Added to each.
        delay_ms: u64,
        /// How long.
        for_ms: u64,
    },
    /// The node's next fsyncs fail with EIO.
    FsyncError {
        /// The victim.
        node: Node,
        /// How many.
        count: u32,
    },
    /// The node's disk has room for `bytes` more, then writes fail with ENOSPC.
    NoSpace {
        /// The victim.
        node: Node,
        /// Room left.
        bytes: u64,
        /// How long.
        for_ms: u64,
    },
}

text_in_binary!(Fault);
