//! The campaign.

pub mod campaign;
pub mod codec;
pub mod execution;
pub mod executor;
pub mod fault;
pub mod generate;
pub mod mutate;
pub mod pool;
pub mod schedule;
