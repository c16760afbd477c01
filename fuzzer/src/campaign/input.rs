//! The schedule as libafl's input.

use crate::schedule::Schedule;
use libafl::corpus::CorpusId;
use libafl::inputs::Input;
use serde::{Deserialize, Serialize};
use std::hash::{Hash, Hasher};

/// A schedule in libafl's hands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ScheduleInput(pub Schedule);

impl Hash for ScheduleInput {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.0.to_toml().hash(hasher);
    }
}

impl Input for ScheduleInput {
    fn generate_name(&self, _: Option<CorpusId>) -> String {
        entry_name(&self.0)
    }
}

/// The name of a schedule in the corpus: equal schedules have equal names.
pub(super) fn entry_name(schedule: &Schedule) -> String {
    let mut digest = schedule.digest();
    digest.truncate(16);
    digest
}
