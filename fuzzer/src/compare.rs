//! Compare: experiments over searches. An experiment says what is searched for (problems), how (arms), how often and how long;
//! each search is a trial of its own, kept as a line of the raw results; what they amount to is a page, a table and a summary.
//!
//! Everything here is pure but [`raw`], which is the file of results, and [`search`], which runs one campaign. What is said of
//! trials depends on the trials alone: resampling has a fixed seed.

pub mod analysis;
pub mod cell;
pub mod estimate;
pub mod experiment;
pub mod outside;
pub mod page;
pub mod plan;
pub mod raw;
pub mod search;
pub mod table;
pub mod told;

#[cfg(test)]
mod tests;

pub use analysis::Analysis;
pub use cell::{Cell, Outcome, Role, Subject, Trial};
pub use experiment::{Experiment, ExperimentError};
pub use plan::{Plan, Problem, Task};
