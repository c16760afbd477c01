//! What a Raft library needs around it to be a key-value server: [`options`], the sockets between nodes
//! ([`peers`]) and to clients ([`clients`]), the state machine ([`machine`]) and a durable [`journal`].
//!
//! Nothing here knows a Raft library, and nothing here decides: no elections, no terms, no retries.

pub mod clients;
pub mod frame;
pub mod http;
pub mod journal;
pub mod machine;
pub mod options;
pub mod peers;

/// The number of a node, from 1.
pub type NodeId = u64;
