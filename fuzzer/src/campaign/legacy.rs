//! What a new campaign takes over from another: of an older version of the same target, say, or of the night before.

use super::CampaignConfig;
use super::error::CampaignError;
use super::store;
use crate::plain;
use crate::schedule::{self, Schedule};
use agents::AgentMemory;
use std::path::{Path, PathBuf};

/// What there is to take over.
#[derive(Clone, Debug)]
pub struct Legacy {
    /// The other campaign's directory.
    pub out: PathBuf,
    /// Its corpus, in the order of the files' names.
    pub schedules: Vec<Schedule>,
    /// Files of its corpus that are no schedules.
    pub damaged: usize,
    /// What its agent learnt.
    agent: Option<AgentMemory>,
}

impl Legacy {
    /// Reads the campaign in a directory; its corpus is enough.
    ///
    /// # Errors
    /// There is no corpus, or it cannot be read.
    pub fn read(out: &Path) -> Result<Self, CampaignError> {
        let corpus = out.join("corpus");
        if !corpus.is_dir() {
            let why = "there is no corpus in it".to_owned();
            return Err(CampaignError::NoCampaign { path: out.to_owned(), why });
        }
        let mut legacy = Self { out: out.to_owned(), schedules: Vec::new(), damaged: 0, agent: None };
        for path in
            store::files(&corpus)?.into_iter().filter(|path| path.extension().is_some_and(|it| it == "toml"))
        {
            let text = plain::text(&path, schedule::BYTES_MAX).ok();
            match text.and_then(|text| Schedule::parse(&text).ok()) {
                Some(schedule) => legacy.schedules.push(schedule),
                None => legacy.damaged += 1,
            }
        }
        let state = store::read_state_in(out)?;
        legacy.agent = state.and_then(|bytes| super::save::memory_of(&bytes).ok()).map(|memory| memory.agent);
        Ok(legacy)
    }

    /// What the other's agent learnt, if it is of use to an agent of this campaign; else why it is not.
    pub(super) fn agent_for(&self, config: &CampaignConfig) -> Result<AgentMemory, String> {
        let Some(agent) = &self.agent else { return Err("its state cannot be read".into()) };
        if agent.spec() != config.agent {
            return Err(format!("its agent was {}", agent.spec()));
        }
        agent.check(&config.actions).map_err(|error| error.to_string())?;
        Ok(agent.clone())
    }
}
