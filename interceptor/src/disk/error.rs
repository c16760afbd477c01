//! What can go wrong with the disk itself, as opposed to the faults a run injects on purpose.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// A failure of the journal or of the file system under it; a run that meets one ends as unknown.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The real file system refused what the journal needed.
    #[error("cannot {action} {}: {source}; the node's disk can no longer be trusted, start it afresh", path.display())]
    Io {
        /// What was tried, as a verb: `read`, `link to the graveyard`.
        action: &'static str,
        /// The real path it was tried on.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Files that are mapped for shared writing hold too much to be remembered.
    #[error(
        "the files of {} that are mapped for shared writing hold more than {budget} bytes, more than the sandbox compares; \
         let the program map smaller ones, or write them by calls",
        root.display()
    )]
    Mapped {
        /// The node's directory.
        root: PathBuf,
        /// The limit in bytes.
        budget: u64,
    },
}

/// The result of every operation that touches the journal.
pub type Result<T> = std::result::Result<T, DiskError>;

/// Names the action and the path of a failed system call.
pub(super) trait Naming<T> {
    /// Turns an `io::Error` into a [`DiskError`] that says what was tried on which path.
    fn naming(self, action: &'static str, path: &Path) -> Result<T>;

    /// The same for an open file, whose path is looked up only when it is needed.
    fn naming_file(self, action: &'static str, file: &File) -> Result<T>;
}

impl<T> Naming<T> for io::Result<T> {
    fn naming(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| DiskError::Io { action, path: path.to_path_buf(), source })
    }

    fn naming_file(self, action: &'static str, file: &File) -> Result<T> {
        self.map_err(|source| {
            let link = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
            DiskError::Io { action, path: std::fs::read_link(&link).unwrap_or(link), source }
        })
    }
}
