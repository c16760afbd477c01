//! Algorithms better than search, one a data type. They say nothing where they do not apply.

pub(super) mod counter;
pub(super) mod queue;
pub(super) mod set;
pub(super) mod stack;
mod transfers;
mod trees;

/// No completion, or no such operation: later than everything.
const NEVER: u64 = u64::MAX;
