//! A node's disk: an undo journal over its real data directory.
//!
//! Calls run natively on real files. Around each one that changes something the sandbox calls the two
//! halves of an operation here (`before_…` saves what the call destroys, `after_…` records what it did),
//! so that a power loss can be staged later: what is not durable is undone, and a seeded part of it survives.
//!
//! The journal owns the order of changes, the graveyard and the virtual identity of files. It never decides
//! when a fault happens, never delays anything itself, and sees nothing but what it is told: a change
//! made behind its back (modes, extended attributes, stores to memory that was not announced) survives.
//! Stores to mappings that were announced are found by comparing.
//!
//! What is durable:
//! - The data of a file becomes durable when the file is synced ([`Disk::sync`]); its name does not.
//! - Names (create, link, rename, unlink, mkdir …) are one list in order, like the metadata journal of
//!   ext4 or xfs. Syncing a directory makes durable every change up to the last one that touches it.
//! - A failed sync is reported once. As on Linux ("fsyncgate"), the pages it could not write count as clean
//!   from then on: a later sync succeeds and does not make them durable, though reads still return them, until
//!   something else is written to the same page. A failed sync of a directory only leaves its names volatile.
//! - Pages are written whole: with a change that reached the disk all earlier ones to the same sector have.
//! - An inode whose creation is undone is gone, synced or not.
//! - What is volatile is bounded, as in a kernel: past the budget the file with the oldest change is written back by itself,
//!   and of very many changes of names the older half is committed.

mod corrupt;
mod data;
mod error;
mod faults;
mod graveyard;
mod image;
mod inodes;
mod ledger;
mod loss;
mod lost;
mod memory;
mod names;
mod shadow;
mod space;
#[cfg(test)]
mod tests;
mod tree;

pub use corrupt::{Corrupted, Damage};
pub use data::{Fallocate, PendingResize, PendingWrite};
pub use error::{DiskError, Result};
pub use faults::{Admitted, DiskFaults, Landed};
pub use inodes::{InodeKey, Inodes};
pub use loss::Loss;
pub use lost::Lost;
pub use names::{NameCall, PendingName, PendingOpen};

use crate::rng::{self, Rng};
use error::Naming;
use graveyard::{Grave, Graveyard};
use ledger::Ledger;
use names::NameEntry;
use shadow::Shadow;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Bytes of pre-images and payloads that a node's journal holds unless told otherwise before it writes back.
const BUDGET: u64 = 256 * 1024 * 1024;

/// The disk of one node. All paths it is given are real ones, as the sandbox sees them, not the guest's.
///
/// The two halves of a call belong together: nothing else may be reported between them, which holds
/// because one guest thread runs at a time and calls on regular files do not block.
#[derive(Debug)]
pub struct Disk {
    root: PathBuf,
    graveyard: Graveyard,
    inodes: Inodes,
    /// What is not durable of each file, by virtual inode number.
    ledgers: BTreeMap<u64, Ledger>,
    /// What is known of each mapped file.
    shadows: BTreeMap<u64, Shadow>,
    /// Changes of names that are not durable, in order.
    names: Vec<NameEntry>,
    /// Files that never had a name, kept alive by their graves.
    unnamed: BTreeMap<u64, Grave>,
    /// The last place given out in the order of events.
    seq: u64,
    /// Memory held by all ledgers, and its limit.
    held: u64,
    budget: u64,
    names_max: usize,
    atomic_write: u64,
    faults: DiskFaults,
    landed: Landed,
    /// Losses and damages draw from streams of their own, so that neither shifts the other.
    loss_rng: Rng,
    rot_rng: Rng,
}

impl Disk {
    /// The disk that lives in `root`, which is created if need be; all it holds now is durable. Beside it, as
    /// `<root>.graveyard`, deleted files are kept until their deletion is durable; that directory goes with
    /// the value. `label` tells the random streams of nodes apart.
    ///
    /// # Errors
    /// A directory cannot be created.
    pub fn new(root: impl AsRef<Path>, seed: u64, label: &str) -> Result<Self> {
        let root = root.as_ref();
        fs::create_dir_all(root).naming("create", root)?;
        let root = fs::canonicalize(root).naming("resolve", root)?;
        let graveyard = Graveyard::beside(&root).naming("create the graveyard of", &root)?;
        Ok(Self {
            root,
            graveyard,
            inodes: Inodes::default(),
            ledgers: BTreeMap::new(),
            shadows: BTreeMap::new(),
            names: Vec::new(),
            unnamed: BTreeMap::new(),
            seq: 0,
            held: 0,
            budget: BUDGET,
            names_max: memory::NAMES_MAX,
            atomic_write: 1,
            faults: DiskFaults::default(),
            landed: Landed::default(),
            loss_rng: rng::split(seed, &format!("disk/loss/{label}")),
            rot_rng: rng::split(seed, &format!("disk/rot/{label}")),
        })
    }

    /// The node's directory, resolved.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Is `path` on this disk, as far as its directory resolves to one under the root?
    #[must_use]
    pub fn covers(&self, path: &Path) -> bool {
        tree::entry(path).map_or_else(|| path.starts_with(&self.root), |path| path.starts_with(&self.root))
    }

    /// Sets the limit of [`Disk::held`] in bytes; 256 MiB at first. Past it the oldest changes are written back.
    pub const fn set_budget(&mut self, bytes: u64) {
        self.budget = bytes;
    }

    /// Sets how many bytes, at a multiple of as many, are written whole or not at all when power fails (NVMe's AWUPF); 1
    /// at first.
    pub const fn set_atomic_write(&mut self, bytes: u64) {
        self.atomic_write = bytes;
    }

    /// Bytes of pre-images and payloads in the journal.
    #[must_use]
    pub const fn held(&self) -> u64 {
        self.held
    }

    /// The virtual inode numbers and times of this disk.
    #[must_use]
    pub const fn inodes(&self) -> &Inodes {
        &self.inodes
    }

    /// As [`Disk::inodes`], to give out numbers and record changes.
    pub const fn inodes_mut(&mut self) -> &mut Inodes {
        &mut self.inodes
    }

    const fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }
}
