//! Why a campaign cannot start or go on.

use crate::codec::CodecError;
use crate::executor::ExecutorError;
use agents::{AgentError, MemoryError};
use std::io;
use std::path::{Path, PathBuf};

/// Why a campaign cannot start or go on. What was written before stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    /// A file of the campaign cannot be read or written.
    #[error("cannot {what} {path}: {source}{}", hint(source))]
    Io {
        /// What was attempted.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// There is no campaign in a directory, or none that can be read.
    #[error(
        "{path}: no campaign can be read there: {why}; give the directory that `fuzz run` printed as `out`"
    )]
    NoCampaign {
        /// The directory.
        path: PathBuf,
        /// What stands in the way.
        why: String,
    },
    /// Another campaign runs there.
    #[error("{path} is in use by another campaign; wait for it, or choose another --out")]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The directory holds something else.
    #[error("{path} is not empty and holds no campaign (there is `{found}`); choose another --out")]
    NotACampaign {
        /// The directory.
        path: PathBuf,
        /// What is there.
        found: String,
    },
    /// The directory holds another campaign.
    #[error(
        "{path} holds a campaign with {field} = {theirs}, this one has {ours}; choose another --out, or the same settings to resume it"
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Where they differ.
        field: &'static str,
        /// What the directory says.
        theirs: String,
        /// What was asked for.
        ours: String,
    },
    /// The directory was written by a newer version.
    #[error(
        "{path} was written by a newer version of this program (format {found}, this one reads {known}); update fuzz"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The identity file is not what it should be.
    #[error("{path} does not describe a campaign: {why}; restore it, or choose another --out")]
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A setting makes no sense.
    #[error("{0}")]
    Settings(String),
    /// There is no such agent.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The saved agent cannot go on.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The control run, which has no faults, was called bad.
    #[error(
        "the control run, without any fault, violates {signature} ({summary}): the target is broken or the oracle is noisy; nothing can be found until it passes\n{told}"
    )]
    Control {
        /// What was violated.
        signature: String,
        /// How.
        summary: String,
        /// What clients and nodes said last.
        told: String,
    },
    /// Nothing can be run.
    #[error(transparent)]
    Executor(#[from] ExecutorError),
    /// The state cannot be written or read.
    #[error("cannot save the campaign: {0}")]
    Codec(#[from] CodecError),
    /// The library that keeps the corpus refused.
    #[error("corpus: {0}")]
    Corpus(String),
}

impl CampaignError {
    /// For `map_err`: what was attempted on which file.
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, path: path.to_owned(), source }
    }
}

impl From<libafl::Error> for CampaignError {
    fn from(error: libafl::Error) -> Self {
        Self::Corpus(error.to_string())
    }
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; make room and run again with the same --out, nothing written so far is lost"
        }
        _ => "",
    }
}
