//! Commands and their outcomes, as async-raft wants its data marked.

use async_raft::{AppData, AppDataResponse};
use kv_edge::machine;
use serde::{Deserialize, Serialize};

/// A command in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command(pub machine::Command);

impl AppData for Command {}

/// What applying a command came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome(pub machine::Outcome);

impl AppDataResponse for Outcome {}
