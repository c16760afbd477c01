//! The campaign.

pub mod campaign;
pub mod codec;
pub mod doctor;
pub mod execution;
pub mod executor;
#[cfg(test)]
mod fake;
pub mod fault;
pub mod generate;
pub mod keep;
pub mod mutate;
pub mod nearest;
pub mod pool;
pub mod replay;
pub mod report;
pub mod reproducer;
pub mod schedule;
pub mod shrink;
pub mod smoke;
pub mod target;
pub mod verify;
