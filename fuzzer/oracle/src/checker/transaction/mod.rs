//! Transactions: histories of Elle's shape, anomalies, and the consistency models that they rule out.
//!
//! [`known`] names the anomalies. `intake` makes a compact `history`; `direct` finds what is wrong without a cycle, `depend` the `graph` of
//! dependencies (for registers after `succession`), `search` its cycles, class by class (`anomaly`); `explain` finds each edge of a cycle again in
//! the history and says why; `report` weighs all of it against a consistency `model`.
//!
//! Where the level asked for can be decided, it is: [`weak`] levels in nearly linear time, [`serial`] ones by a bounded
//! search.

mod anomaly;
pub mod append;
mod closure;
mod depend;
mod direct;
mod explain;
mod graph;
mod history;
mod intake;
pub mod known;
mod model;
pub mod register;
mod report;
mod script;
mod search;
pub mod serial;
mod succession;
mod table;
mod touched;

#[cfg(test)]
mod tests;
pub mod weak;
