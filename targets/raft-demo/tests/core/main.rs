//! The pure core in a simulated world: a property test under random faults, and a short script per bug.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod invariants;
mod random;
mod scripted;
mod world;
