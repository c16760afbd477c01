//! The schedule: the libafl input, and with the target the whole reproducer.

mod check;
mod show;
mod text;
mod trigger;

pub use check::{BYTES_MAX, CLIENTS_MAX, HORIZON_MS_MAX, NAME, NODES_MAX, Refusal, STEPS_MAX, is_name};
pub use text::ScheduleError;

use crate::codec::text_in_binary;
use crate::fault::{Fault, Node};
use oracle::{Function, workload};
use serde::{Deserialize, Serialize};

/// The version of the format that this program writes; older ones are read, newer ones refused.
pub const VERSION: u32 = 1;

/// All that an execution depends on besides the target's binaries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Schedule {
    /// Format version.
    pub version: u32,
    /// The target's name.
    pub target: String,
    /// Planted bugs that are switched on; empty is the correct build.
    #[serde(default)]
    pub bugs: Vec<String>,
    /// Number of nodes.
    pub nodes: u8,
    /// Seeds every random choice of the execution: network, disk, thread order, workload, agent.
    pub seed: u64,
    /// When faults stop and everything heals, in virtual milliseconds after the cluster became ready.
    pub horizon_ms: u64,
    /// What clients do.
    pub workload: Workload,
    /// From this instant on the agent is asked once per window; absent in an executed schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_from_ms: Option<u64>,
    /// Seeds the agent's choices together with `seed`: schedules that differ in nothing else begin alike and go on in other
    /// ways. Absent in an executed schedule.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub agent_salt: u64,
    /// The faults, in the order they are armed.
    #[serde(default, rename = "step")]
    pub steps: Vec<Step>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What clients do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Workload {
    /// Number of clients; each has at most one operation open.
    pub clients: u8,
    /// Operations a second, all clients together.
    pub rate: u32,
    /// Number of keys.
    pub keys: u8,
    /// Bound on the number of operations; absent: as many as fit before the horizon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations: Option<u32>,
    /// What they work on; absent: the first that the target offers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
}

/// A family of operations: the data type that clients work on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Registers: read, write, compare-and-set, delete.
    Register,
    /// Sets that grow: add, elements.
    Set,
    /// Logs that grow, in order: add, elements.
    Log,
    /// Locks: acquire, release.
    Lock,
    /// Counters: increment, read.
    Counter,
    /// Registers that are watched: write, watch.
    Watch,
    /// Queues: enqueue, dequeue, and drain in the end.
    Queue,
    /// Accounts between which money moves: transfer, read.
    Bank,
    /// Lists, in transactions: txn.
    Transactions,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Register,
        Self::Set,
        Self::Log,
        Self::Lock,
        Self::Counter,
        Self::Watch,
        Self::Queue,
        Self::Bank,
        Self::Transactions,
    ];

    /// Its name in manifests and schedules.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Set => "set",
            Self::Log => "log",
            Self::Lock => "lock",
            Self::Counter => "counter",
            Self::Watch => "watch",
            Self::Queue => "queue",
            Self::Bank => "bank",
            Self::Transactions => "transactions",
        }
    }

    /// The operations without which it is none.
    #[must_use]
    pub const fn needs(self) -> &'static [Function] {
        match self {
            Self::Register => &[Function::Read, Function::Write],
            Self::Set | Self::Log => &[Function::Add, Function::Elements],
            Self::Lock => &[Function::Acquire, Function::Release],
            Self::Counter => &[Function::Increment, Function::Read],
            Self::Watch => &[Function::Write, Function::Watch],
            Self::Queue => &[Function::Enqueue, Function::Dequeue, Function::Drain],
            Self::Bank => &[Function::Transfer, Function::Read],
            Self::Transactions => &[Function::Txn],
        }
    }

    /// Who draws its operations where the workload does not do so itself.
    #[must_use]
    pub const fn generated(self) -> Option<workload::Family> {
        match self {
            Self::Register | Self::Set | Self::Log | Self::Lock => None,
            Self::Counter => Some(workload::Family::Counter),
            Self::Watch => Some(workload::Family::Watch),
            Self::Queue => Some(workload::Family::Queue),
            Self::Bank => Some(workload::Family::Bank),
            Self::Transactions => Some(workload::Family::Transactions),
        }
    }

    /// The checks by name that judge it, each with its settings.
    #[must_use]
    pub const fn checks(self) -> &'static [(&'static str, &'static [(&'static str, &'static str)])] {
        match self {
            Self::Register | Self::Set | Self::Log | Self::Lock => &[],
            Self::Counter => &[("counter", &[]), ("linearizable-counter", &[])],
            Self::Watch => &[("watch", &[])],
            Self::Queue => &[("total-queue", &[("duplicates", "no")])],
            Self::Bank => &[("bank", &[("total", "100"), ("accounts", "0,1,2,3,4")])],
            Self::Transactions => &[("list-append", &[])],
        }
    }
}

impl Default for Workload {
    /// Five clients, twenty operations a second, three keys.
    fn default() -> Self {
        Self { clients: 5, rate: 20, keys: 3, operations: None, family: None }
    }
}

/// A fault and when it strikes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// When.
    pub when: Trigger,
    /// What.
    pub fault: Fault,
}

/// When a fault strikes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(remote = "Self", untagged)]
pub enum Trigger {
    /// At a virtual instant, in milliseconds after the cluster became ready.
    At {
        /// The instant.
        at_ms: u64,
    },
    /// Right after the `nth` event (from 1) whose key is `event`, counted from readiness.
    On {
        /// Event key, such as `send:append` or `fsync`; see the interceptor's `Pattern`.
        event: String,
        /// Only events of this node.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node: Option<Node>,
        /// Only messages to or from this node.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peer: Option<Node>,
        /// Which of them, from 1.
        nth: u32,
    },
}

text_in_binary!(Schedule);
text_in_binary!(Workload);
text_in_binary!(Trigger);
