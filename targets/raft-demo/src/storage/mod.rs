//! A node's disk: term and vote, log, snapshot. Plain synchronous files; no call returns before its data is
//! where it promised.
//!
//! | file | contents | changed by |
//! |---|---|---|
//! | `meta` | term and vote | replacement: write aside, fsync, rename, fsync the directory |
//! | `snapshot` | the last snapshot | replacement |
//! | `log` | the entries after it | appending and fsync; truncation and fsync; replacement after a snapshot |
//!
//! Any failure to write or fsync is final: the node stops, because after a failed fsync the kernel may have
//! dropped the data while a second fsync succeeds (Rebello et al., "Can Applications Recover from fsync
//! Failures?", 2020). For the same reason recovery copies the log instead of trusting the page cache.

mod files;
mod log_file;

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use self::files::Directory;
use self::log_file::LogFile;
use crate::bugs::{Bug, Bugs};
use crate::entry::{Entry, Index, NodeId, Snapshot, Term};
use crate::raft::Recovered;

/// Why the disk cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// A system call failed.
    #[error("cannot {what} {}: {source}; make room or repair the disk, then start the node again", path.display())]
    Io {
        /// What was attempted.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Data that was once durable is damaged.
    #[error("{} is damaged: {why}; remove this node from the cluster and add it again with an empty directory", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// The open disk of a node.
#[derive(Debug)]
pub struct Store {
    directory: Directory,
    log: LogFile,
    bugs: Bugs,
}

impl Store {
    /// Opens a data directory, creating it if it is not there, and reads what it has.
    pub fn open(path: &Path, bugs: Bugs) -> Result<(Store, Recovered), StoreError> {
        let directory = Directory::open(path, !bugs.has(Bug::RenameNotSynced))?;
        let (term, vote) = directory.read_meta()?;
        let snapshot = directory.read_snapshot()?;
        let base = snapshot.as_ref().map_or(0, |snapshot| snapshot.index);
        let mut entries = log_file::recover(&directory, bugs)?;
        let read = entries.len();
        // If the log reaches back under the snapshot, the crash came before it was replaced. What follows the
        // snapshot is kept if it was built on it.
        let replaced = entries.first().is_none_or(|entry| entry.index > base);
        let snapshot_term = snapshot.as_ref().map(|snapshot| snapshot.term);
        let built_on = |entry: &Entry| entry.index == base && Some(entry.term) == snapshot_term;
        let keeps_rest = replaced || entries.iter().any(built_on);
        entries.retain(|entry| keeps_rest && entry.index > base);
        if let Some(first) = entries.first().filter(|entry| entry.index != base + 1) {
            let why = format!("it begins at entry {}, but the snapshot ends at {base}", first.index);
            return Err(StoreError::Damaged { path: directory.path("log"), why });
        }
        let goes_on = bugs.has(Bug::TornTailKept) && !entries.is_empty() && entries.len() == read;
        let log = if goes_on {
            LogFile::reopen(&directory, &entries)?
        } else {
            LogFile::replace(&directory, &entries)?
        };
        Ok((Store { directory, log, bugs }, Recovered { term, vote, snapshot, entries }))
    }

    /// Replaces term and vote; durable on return.
    pub fn save_meta(&mut self, term: Term, vote: NodeId) -> Result<(), StoreError> {
        self.directory.write_meta(term, vote)
    }

    /// Adds an entry at the end of the log; durable after [`Store::sync`].
    pub fn append(&mut self, entry: &Entry) {
        self.log.append(entry);
    }

    /// Removes entries from `from` on; durable on return.
    pub fn truncate(&mut self, from: Index) -> Result<(), StoreError> {
        self.log.truncate(from)
    }

    /// Replaces the snapshot, then the log; durable on return.
    pub fn save_snapshot(&mut self, snapshot: &Snapshot, entries: &[Entry]) -> Result<(), StoreError> {
        self.directory.write_snapshot(snapshot)?;
        self.log = LogFile::replace(&self.directory, entries)?;
        Ok(())
    }

    /// The first entry that was written and is not durable; after a [`Store::sync`] there is none.
    pub fn first_unsynced(&self) -> Option<Index> {
        self.log.first_unsynced()
    }

    /// Makes everything appended durable if an entry up to `commit` is not: what a planted bug does instead of
    /// [`Store::sync`].
    pub fn sync_committed(&mut self, commit: Index, now_ns: u64) -> Result<(), StoreError> {
        self.log.write()?;
        if self.first_unsynced().is_some_and(|first| first <= commit) { self.sync(now_ns) } else { Ok(()) }
    }

    /// Makes everything appended durable. `now_ns` is monotonic.
    pub fn sync(&mut self, now_ns: u64) -> Result<(), StoreError> {
        self.log.write()?;
        if self.bugs.has(Bug::AckBeforeFsync) && !self.log.sync_is_overdue(now_ns) {
            return Ok(());
        }
        match self.log.sync(now_ns) {
            Err(error) if self.bugs.has(Bug::FsyncErrorIgnored) => {
                eprintln!("raft-demo: warning: {error}");
                Ok(())
            }
            result => result,
        }
    }
}
