//! Action: one entry of the fixed table an agent chooses from.
//!
//! An action is a fault kind on a victim role for a duration class, or a heal, or nothing. What it does to a
//! cluster is the caller's affair; agents only see its number, its kind and its class.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The number of an action: its index in the [`ActionSpace`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ActionId(pub u16);

impl ActionId {
    /// The same number, as an index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What an action is for. Baselines such as [`crate::periodic`] alternate between classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ActionClass {
    /// Let the window pass without touching the cluster.
    Nothing,
    /// Take back what an earlier fault did.
    Heal,
    /// Break something.
    Fault,
}

/// One action, as agents and reports see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionInfo {
    /// Unique in its space, for example `partition leader short`.
    pub name: String,
    /// The fault kind. Actions that differ only in victim or duration share it; agents that work on kinds
    /// ([`crate::ucb1`], [`crate::swarm`], [`crate::periodic`]) group by it. A heal carries the kind it heals.
    pub kind: u16,
    /// What the action is for.
    pub class: ActionClass,
}

impl ActionInfo {
    /// The action that leaves the cluster alone. Give it a kind of its own.
    pub fn nothing(name: impl Into<String>, kind: u16) -> Self {
        Self { name: name.into(), kind, class: ActionClass::Nothing }
    }

    /// An action that takes back faults of `kind`.
    pub fn heal(name: impl Into<String>, kind: u16) -> Self {
        Self { name: name.into(), kind, class: ActionClass::Heal }
    }

    /// An action that breaks something.
    pub fn fault(name: impl Into<String>, kind: u16) -> Self {
        Self { name: name.into(), kind, class: ActionClass::Fault }
    }
}

/// Why a table of actions was refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ActionSpaceError {
    /// No action at all.
    #[error("the table of actions is empty: give it at least the action that does nothing")]
    Empty,
    /// More actions than [`ActionId`] can number.
    #[error("the table of actions has {0} entries, at most 65536 fit: use fewer victim roles or durations")]
    TooMany(usize),
    /// Two actions share a name.
    #[error("two actions are named `{0}`: rename one, saved agents are matched by name")]
    Duplicate(String),
}

/// The fixed table of actions of a campaign. Never empty; names are unique.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<ActionInfo>", into = "Vec<ActionInfo>")]
pub struct ActionSpace {
    actions: Vec<ActionInfo>,
}

impl ActionSpace {
    /// Checks and keeps the table.
    ///
    /// # Errors
    /// When it is empty, has more than 65,536 entries, or two entries share a name.
    pub fn new(actions: Vec<ActionInfo>) -> Result<Self, ActionSpaceError> {
        if actions.is_empty() {
            return Err(ActionSpaceError::Empty);
        }
        if actions.len() > usize::from(u16::MAX) + 1 {
            return Err(ActionSpaceError::TooMany(actions.len()));
        }
        let mut names = BTreeSet::new();
        for action in &actions {
            if !names.insert(action.name.as_str()) {
                return Err(ActionSpaceError::Duplicate(action.name.clone()));
            }
        }
        Ok(Self { actions })
    }

    /// How many actions there are; at least 1.
    #[allow(clippy::len_without_is_empty, reason = "a space is never empty")]
    pub fn len(&self) -> usize {
        self.actions.len()
    }

    /// All actions, in the order of their numbers.
    pub fn actions(&self) -> &[ActionInfo] {
        &self.actions
    }

    /// All numbers, in order.
    pub fn ids(&self) -> impl Iterator<Item = ActionId> + use<> {
        (0..self.actions.len())
            .map(|index| ActionId(u16::try_from(index).expect("`new` admits at most 65536 actions")))
    }

    /// The action with this number.
    ///
    /// # Panics
    /// When the number is not of this space: legal actions and the space then come from different tables.
    pub fn info(&self, action: ActionId) -> &ActionInfo {
        self.actions
            .get(action.index())
            .unwrap_or_else(|| panic!("action {} is not among the {} of this space", action.0, self.len()))
    }

    /// The kind of an action; panics as [`Self::info`] does.
    pub fn kind(&self, action: ActionId) -> u16 {
        self.info(action).kind
    }

    /// The class of an action; panics as [`Self::info`] does.
    pub fn class(&self, action: ActionId) -> ActionClass {
        self.info(action).class
    }

    /// The kinds of all actions, each once, ascending.
    pub fn kinds(&self) -> Vec<u16> {
        let kinds: BTreeSet<u16> = self.actions.iter().map(|action| action.kind).collect();
        kinds.into_iter().collect()
    }

    /// The kinds that some fault has, each once, ascending.
    pub fn fault_kinds(&self) -> Vec<u16> {
        let faults = self.actions.iter().filter(|action| action.class == ActionClass::Fault);
        let kinds: BTreeSet<u16> = faults.map(|action| action.kind).collect();
        kinds.into_iter().collect()
    }
}

impl TryFrom<Vec<ActionInfo>> for ActionSpace {
    type Error = ActionSpaceError;

    fn try_from(actions: Vec<ActionInfo>) -> Result<Self, Self::Error> {
        Self::new(actions)
    }
}

impl From<ActionSpace> for Vec<ActionInfo> {
    fn from(space: ActionSpace) -> Self {
        space.actions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_sorted_and_faults_are_told_apart() {
        let space = ActionSpace::new(vec![
            ActionInfo::nothing("nothing", 9),
            ActionInfo::fault("kill follower", 4),
            ActionInfo::fault("kill leader", 4),
            ActionInfo::heal("restart", 4),
            ActionInfo::fault("partition leader", 2),
        ])
        .unwrap();
        assert_eq!(space.kinds(), [2, 4, 9]);
        assert_eq!(space.fault_kinds(), [2, 4]);
        assert_eq!(space.ids().count(), 5);
        assert_eq!(space.class(ActionId(3)), ActionClass::Heal);
    }

    #[test]
    fn a_bad_table_is_refused() {
        assert_eq!(ActionSpace::new(vec![]), Err(ActionSpaceError::Empty));
        let twice = vec![ActionInfo::fault("kill", 1), ActionInfo::fault("kill", 2)];
        assert_eq!(ActionSpace::new(twice), Err(ActionSpaceError::Duplicate("kill".into())));
        let many = (0..65_537).map(|i| ActionInfo::fault(format!("f{i}"), 1)).collect();
        assert_eq!(ActionSpace::new(many), Err(ActionSpaceError::TooMany(65_537)));
    }
}
