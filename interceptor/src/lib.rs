//! The shim under a cluster: it owns the nodes' time, network, disk, randomness and thread order, sees
//! every message, and builds the timeline and its happens-before summary.
//!
//! It knows nothing of agents, of libafl, or of the names of faults; it offers operations, and the
//! nemesis in `fuzzer` turns faults into them.

mod cpuid;
pub mod disk;
pub mod dissector;
mod elf;
pub mod event;
pub mod net;
mod rdpid;
mod rdrand;
pub mod rng;
pub mod role_line;
pub mod room;
pub mod sandbox;
mod scans;
pub mod summary;
pub mod time;
pub mod timeline;
