//! The pure core in a simulated world: a property test under random faults, and a short script per bug.

mod invariants;
mod random;
mod scripted;
mod world;
