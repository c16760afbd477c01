//! Reports: what people and programs are told of runs. Nothing in here decides anything.

pub mod json;
pub mod junit;
pub mod last_words;
pub mod pictures;
pub mod stopwatch;
pub mod story;
pub mod summary;
pub mod terminal;
