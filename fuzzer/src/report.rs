//! Reports: what people and programs are told of runs. Nothing in here decides anything.

pub mod json;
pub mod junit;
pub mod pictures;
pub mod stopwatch;
pub mod story;
pub mod summary;
pub mod terminal;
