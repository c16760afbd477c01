//! The edges of a node: flags, sockets, HTTP, and the loop around the core.

pub mod client;
pub mod clients;
pub mod http;
pub mod node;
pub mod options;
pub mod peers;
