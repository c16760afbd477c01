//! The root of a second library, which only `fuzz/` builds: the modules that read what users hand in, without the campaign
//! and what that brings along, so that all of it can be compiled with instrumentation in a minute.

pub mod codec;
pub mod compose;
pub mod draw;
pub mod fault;
pub mod nearest;
pub mod plain;
pub mod schedule;
#[path = "reproducer/sources.rs"]
pub mod sources;
pub mod syntax;
pub mod target;
pub mod workload;
