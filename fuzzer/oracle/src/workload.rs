//! Workloads: what clients ask, so that histories can be judged fast and show much.
//!
//! One seeded generator for each [`Family`] of operations, reusable by every target that offers them. Values are unique
//! where that makes checking cheap, keys are shared by few clients at a time and given up after a while, so that no
//! object has a long or wide history, reads are mixed in, and some keys are asked more than others.
//!
//! A [`Generator`] is asked by a campaign or by [`simulate`], which runs it against a store in memory: a correct
//! [`Store`], or a [`Flawed`] one. So each generator is tried with the checks of its family, and each check with known
//! faults. All choices come from the generator of random numbers that is passed in. The families that campaigns draw for
//! themselves (their recorded schedules depend on every draw) stay where they are; new ones begin here.
//!
//! | family | operations | checks |
//! |---|---|---|
//! | `register` | `read`, `write`, `cas` | `register`, `cas-register` and the like |
//! | `set` | `add`, `read` | `set`, `set-full` |
//! | `log` | `send`, `poll` | `kafka` |
//! | `lock` | `acquire`, `release` | `mutex`, `fencing` |
//! | `queue` | `enqueue`, `dequeue`, in the end `drain` | `queue`, `total-queue` |
//! | `counter` | `increment`, `read` | `counter`, `linearizable-counter` |
//! | `watch` | `write`, `watch` | `watch` |
//! | `bank` | `transfer`, `read` | `bank` |
//! | `transactions` | `txn` of `[append k v]` and `[r k nil]` | `list-append` |

mod draw;
mod keys;
mod simulation;
mod store;

pub use draw::Generator;
#[cfg(test)]
pub(crate) use simulation::push;
pub use simulation::{Plan, Simulation, TICK_NS, World, simulate};
pub use store::{Flaw, Flawed, Store};

use crate::value::Value;
use rand::Rng;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What is done.
    pub f: &'static str,
    /// The object, where operations have one.
    pub key: Option<Value>,
    /// With what.
    pub value: Value,
}

/// A generator and a store that does what it asks.
#[derive(Clone, Debug)]
pub struct Bench {
    /// Who asks.
    pub generator: Generator,
    /// Who answers.
    pub store: Flawed,
}

impl<R: Rng> World<R> for Bench {
    fn ask(&mut self, client: usize, rng: &mut R) -> Ask {
        self.generator.ask(client, rng)
    }

    fn apply(&mut self, client: usize, ask: &Ask, is_late: bool) -> Option<Value> {
        self.store.apply(client, ask, is_late)
    }

    fn hear(&mut self, client: usize, ask: &Ask, answer: &Value) {
        self.generator.hear(client, ask, answer);
    }

    fn last(&self) -> Vec<Ask> {
        self.generator.last()
    }
}

/// What clients work on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Registers with compare-and-set.
    Register,
    /// Sets that only grow.
    Set,
    /// Logs in the manner of Kafka.
    Log,
    /// Locks with fencing tokens.
    Lock,
    /// Queues.
    Queue,
    /// Counters.
    Counter,
    /// Registers that are watched.
    Watch,
    /// Accounts between which money moves.
    Bank,
    /// Transactions on lists.
    Transactions,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Register,
        Self::Set,
        Self::Log,
        Self::Lock,
        Self::Queue,
        Self::Counter,
        Self::Watch,
        Self::Bank,
        Self::Transactions,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Set => "set",
            Self::Log => "log",
            Self::Lock => "lock",
            Self::Queue => "queue",
            Self::Counter => "counter",
            Self::Watch => "watch",
            Self::Bank => "bank",
            Self::Transactions => "transactions",
        }
    }

    /// The family with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.name() == name)
    }
}

/// How much is asked, of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Clients, at least one.
    pub clients: usize,
    /// Keys in use at one time, at least one.
    pub keys: u64,
    /// The most clients that share a key; there are more keys than [`Shape::keys`] if that needs it.
    pub clients_per_key: usize,
    /// Operations after which a key gives way to a fresh one; 0: never.
    pub operations_per_key: u64,
    /// In this many cases of a hundred the choice of a key is narrowed to the first half of them, again and again: 0 asks
    /// for all alike, 80 for the first of eight in half of all cases.
    pub skew_percent: u32,
    /// Reads of a hundred operations.
    pub read_percent: u32,
    /// The most that is added to a counter at once: with 1 it can be judged exactly, and fast.
    pub amount_max: i64,
    /// Operations of all clients in a second.
    pub rate: u32,
}

impl Default for Shape {
    /// Five clients on four keys, all of them shared, half of it reads, at fifty a second.
    fn default() -> Self {
        Self {
            clients: 5,
            keys: 4,
            clients_per_key: 5,
            operations_per_key: 200,
            skew_percent: 30,
            read_percent: 50,
            amount_max: 5,
            rate: 50,
        }
    }
}

#[cfg(test)]
mod tests;
