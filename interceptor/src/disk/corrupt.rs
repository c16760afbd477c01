//! Damage to stored data: bits that rot and files that lose their end.

use super::error::{Naming, Result};
use super::image::read_at;
use super::inodes::InodeKey;
use super::ledger::DataOp;
use super::{Disk, tree};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A kind of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Damage {
    /// So many bits change, each at a seeded place; the same bit may be hit twice.
    BitFlips(u32),
    /// The file is cut at a seeded length, shorter than it was.
    Truncation,
}

/// What was damaged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Corrupted {
    /// The file, relative to the root.
    pub path: PathBuf,
    /// The byte offsets hit, in the order they were hit; for a truncation the new length.
    pub offsets: Vec<u64>,
}

impl Disk {
    /// Damages `file`, or a seeded one when none is named, in the page cache and on the medium alike: an
    /// undo brings the damage back, a later write covers it. `None` when there is no such file with any
    /// bytes in it.
    ///
    /// # Errors
    /// The real file cannot be read or changed.
    pub fn corrupt(&mut self, file: Option<&Path>, damage: Damage) -> Result<Option<Corrupted>> {
        let Some(path) = self.victim(file)? else { return Ok(None) };
        let file = tree::open(&path)?;
        let metadata = file.metadata().naming("stat", &path)?;
        let len = metadata.len();
        let number = self.inodes.number(InodeKey::of(&metadata));
        let mut ledger = self.ledgers.get_mut(&number);
        let mut offsets = Vec::new();
        match damage {
            Damage::Truncation => {
                let cut = self.rot_rng.random_range(0..len);
                file.set_len(cut).naming("cut", &path)?;
                if let Some(ledger) = &mut ledger {
                    ledger.base.cut(cut);
                }
                if let Some(shadow) = self.shadows.get_mut(&number) {
                    shadow.apply(&DataOp::SetLen(cut));
                }
                offsets.push(cut);
                self.spend(len, cut);
            }
            Damage::BitFlips(count) => {
                for _ in 0..count {
                    let offset = self.rot_rng.random_range(0..len);
                    let mask = 1 << self.rot_rng.random_range(0..8u32);
                    let byte = read_at(&file, offset, 1).naming("read", &path)?[0] ^ mask;
                    file.write_all_at(&[byte], offset).naming("damage", &path)?;
                    if let Some(ledger) = &mut ledger {
                        ledger.base.flip(offset, mask);
                    }
                    if let Some(shadow) = self.shadows.get_mut(&number) {
                        shadow.flip(offset, mask);
                    }
                    offsets.push(offset);
                }
            }
        }
        self.landed.corruptions += 1;
        let path = path.strip_prefix(&self.root).map_or_else(|_| path.clone(), Path::to_path_buf);
        Ok(Some(Corrupted { path, offsets }))
    }

    fn victim(&mut self, file: Option<&Path>) -> Result<Option<PathBuf>> {
        if let Some(file) = file {
            let inside = tree::opened(&self.root.join(file)).filter(|path| path.starts_with(&self.root));
            let full = |path: &PathBuf| fs::symlink_metadata(path).is_ok_and(|m| m.is_file() && m.len() > 0);
            return Ok(inside.filter(full));
        }
        let mut full: Vec<PathBuf> =
            tree::files(&self.root)?.into_iter().filter(|(_, m)| m.len() > 0).map(|(path, _)| path).collect();
        if full.is_empty() {
            return Ok(None);
        }
        let chosen = self.rot_rng.random_range(0..full.len() as u64);
        Ok(Some(full.swap_remove(super::image::usize_of(chosen))))
    }
}
