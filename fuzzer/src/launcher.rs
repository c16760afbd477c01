//! Launchers: where the programs of nodes come from and live. Native ones are files of the host; those of an image
//! live in containers, under the same tracer, in the same sandbox.

pub mod containers;
pub mod engine;
mod entry;

use crate::executor::ExecutorError;
use containers::Containers;
use engine::Image;
use serde::{Deserialize, Serialize};

/// Where the programs of nodes live.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Launcher {
    /// On the host's own file system.
    #[default]
    Native,
    /// In containers of this image.
    Docker(Image),
}

impl Launcher {
    /// Its name on the command line.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Docker(_) => "docker",
        }
    }

    /// What makes containers for a cluster of `nodes` nodes, if that is what it takes.
    ///
    /// # Errors
    /// When the engine cannot be reached, or this process may not enter containers.
    pub fn containers(&self, nodes: u8) -> Result<Option<Containers>, ExecutorError> {
        let Self::Docker(image) = self else { return Ok(None) };
        let containers = Containers::new(image, usize::from(nodes));
        containers.map(Some).map_err(|error| ExecutorError::SetUp { why: error.to_string() })
    }
}
