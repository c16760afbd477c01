//! Agent memory: an agent together with what it takes to load it again safely.
//!
//! Values are floating point and must come back to the bit, or the agent's choices change: save with a binary
//! format (`postcard`, `bincode`) or one that is known to keep every digit.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    action::ActionSpace,
    any::AnyAgent,
    registry::{self, AgentError},
};

/// The format of what is saved; goes up with every change to it.
pub const VERSION: u16 = 1;

/// Why a saved agent cannot go on.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum MemoryError {
    /// It was saved by another version of this crate.
    #[error("the saved agent has format {found}, this program reads {VERSION}: start a new campaign")]
    Version {
        /// The format it has.
        found: u16,
    },
    /// It learnt another table of actions; its columns would mean something else.
    #[error(
        "the saved agent `{spec}` knows other actions ({saved}) than this target offers ({offered}): \
         resume with the same target and fault settings, or start a new campaign"
    )]
    Space {
        /// The agent as it was asked for.
        spec: String,
        /// How many actions it knows, and the first that differs.
        saved: String,
        /// How many there are now, and the first that differs.
        offered: String,
    },
}

/// What a campaign holds, saves and loads.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AgentMemory {
    version: u16,
    spec: String,
    space: ActionSpace,
    /// The agent itself.
    pub agent: AnyAgent,
}

impl AgentMemory {
    /// A new agent, as [`registry::build`] makes it.
    ///
    /// # Errors
    /// Those of [`registry::build`].
    pub fn build(spec: &str, space: &ActionSpace) -> Result<Self, AgentError> {
        let agent = registry::build(spec, space)?;
        Ok(Self { version: VERSION, spec: spec.to_string(), space: space.clone(), agent })
    }

    /// The agent as it was asked for, parameters included.
    pub fn spec(&self) -> &str {
        &self.spec
    }

    /// Whether a loaded agent can go on with this table of actions.
    ///
    /// # Errors
    /// When it was saved in another format or learnt another table.
    pub fn check(&self, space: &ActionSpace) -> Result<(), MemoryError> {
        if self.version != VERSION {
            return Err(MemoryError::Version { found: self.version });
        }
        if self.space != *space {
            let (ours, theirs) = (self.space.actions(), space.actions());
            let differs = (0..).find(|&i| ours.get(i) != theirs.get(i)).unwrap_or(0);
            let describe = |space: &ActionSpace| match space.actions().get(differs) {
                Some(a) => format!("{}, number {differs} is `{}` of kind {}", space.len(), a.name, a.kind),
                None => format!("{}", space.len()),
            };
            let (saved, offered) = (describe(&self.space), describe(space));
            return Err(MemoryError::Space { spec: self.spec.clone(), saved, offered });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::ActionInfo;

    #[test]
    fn only_the_same_table_in_the_same_format_goes_on() {
        let kill = ActionInfo::fault("kill", 0);
        let space = ActionSpace::new(vec![kill.clone()]).unwrap();
        let mut memory = AgentMemory::build("mallory:temperature=1", &space).unwrap();
        assert_eq!(memory.spec(), "mallory:temperature=1");
        assert_eq!(memory.check(&space), Ok(()));
        let wider = ActionSpace::new(vec![kill, ActionInfo::fault("cut", 1)]).unwrap();
        assert_eq!(
            memory.check(&wider).unwrap_err().to_string(),
            "the saved agent `mallory:temperature=1` knows other actions (1) than this target offers (2, \
             number 1 is `cut` of kind 1): resume with the same target and fault settings, or start a new \
             campaign"
        );
        memory.version = 7;
        assert_eq!(
            memory.check(&space).unwrap_err().to_string(),
            "the saved agent has format 7, this program reads 1: start a new campaign"
        );
    }

    /// When this fails the format has changed: raise [`VERSION`], and say so in the change log.
    #[test]
    fn the_saved_form_of_version_1_is_fixed() {
        use crate::{
            action::ActionId,
            agent::{Agent, StateId, Transition},
        };
        let space = ActionSpace::new(vec![ActionInfo::fault("cut", 2)]).unwrap();
        let mut memory = AgentMemory::build("mallory:alpha=0.5,gamma=0,states=9", &space).unwrap();
        memory.agent.learn(&Transition {
            state: StateId(300),
            action: ActionId(0),
            next: StateId(4),
            seen_before: true,
            visits: 2,
            new_features: 0,
            legal_next: vec![],
        });
        let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let saved = hex(postcard::to_stdvec(&memory).unwrap());
        let spec = hex(b"mallory:alpha=0.5,gamma=0,states=9".to_vec());
        let settings = "000000000000e03f0000000000000000000000000000594009";
        let table = "00000000000000000901010101000000000000e0bf01ac020101";
        assert_eq!(saved, format!("0122{spec}0103637574020203{settings}{table}"));
    }
}
