//! Oracles: pure functions from what a run left behind to a [`Verdict`].
//!
//! Nothing here sees a process, a clock or a file. The same observations always give the same verdict, with
//! the same evidence in the same order.
//!
//! [`inspection`] reads a history of anybody and judges it. Of a campaign's own runs
//! [`history`] says what clients asked and heard, [`model`] what a data type should have answered, each
//! [`checker`] what it makes of a run, [`verdict`] how their words become one. [`judge`] runs them all.

pub mod check;
pub mod checker;
pub mod example;
pub mod format;
pub mod guess;
pub mod history;
pub mod inspection;
pub mod jsonl;
pub mod model;
pub mod number;
pub mod op;
pub mod page;
pub mod raw;
pub mod value;
pub mod verdict;
pub mod workload;

pub use checker::assertion;
pub use checker::crash::{Exit, ProcessExit};
pub use checker::liveness::Quiet;
pub use checker::{Config, Observations, judge, raft};
pub use history::{Entry, Phase};
pub use op::{Call, Function, Grant, Op, Outcome};
pub use verdict::{Evidence, Judgement, Verdict, Verdicts, Violation};
