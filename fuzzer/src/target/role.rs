//! Lines by which nodes tell their roles.

use super::Manifest;
use crate::schedule;
use interceptor::role_line::RoleLine;
use serde::{Deserialize, Serialize};

/// A line by which a node tells its role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleSpec {
    /// The role, in a word: `leader`, `primary` and `master` are those that decide.
    pub name: String,
    /// Texts that follow each other in the line; see [`RoleLine`].
    pub line: String,
}

impl Manifest {
    /// The lines by which nodes tell their roles.
    ///
    /// # Errors
    /// Which of them is none.
    pub fn role_lines(&self) -> Result<Vec<RoleLine>, String> {
        let read = |role: &RoleSpec| {
            if !schedule::is_name(&role.name) {
                return Err(format!("[[role]] name `{}`: {}", role.name, schedule::NAME));
            }
            let line = RoleLine::parse(&role.name, &role.line);
            line.map_err(|why| format!("[[role]] {}: line: {why}", role.name))
        };
        self.roles.iter().map(read).collect()
    }
}
