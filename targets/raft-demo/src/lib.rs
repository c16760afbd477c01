//! A replicated key-value store on Raft: linearizable, durable, exactly-once; and with planted bugs to find.
//!
//! [`raft::Raft`] is a pure state machine. Around it are thin edges: [`storage`] (synchronous files),
//! [`edge::peers`] and [`edge::clients`] (sockets), and [`edge::node`], the one loop that turns inputs into
//! outputs. Everything runs on one thread.

pub mod bugs;
pub mod edge;
pub mod entry;
pub mod machine;
pub mod message;
pub mod raft;
pub mod report;
pub mod storage;
