//! The campaign.

pub mod action;
pub mod campaign;
pub mod codec;
pub mod compose;
pub mod doctor;
pub mod exec;
pub mod execution;
pub mod executor;
#[cfg(test)]
mod fake;
pub mod fault;
pub mod generate;
pub mod keep;
pub mod launcher;
pub mod manner;
pub mod mutate;
pub mod nearest;
pub mod nemesis;
pub mod observe;
pub mod plain;
pub mod pool;
pub mod reference;
pub mod replay;
pub mod report;
pub mod reproducer;
pub mod run;
pub mod schedule;
pub mod shrink;
pub mod smoke;
pub mod syntax;
pub mod tally;
pub mod target;
pub mod trials;
pub mod verify;
pub mod workload;
