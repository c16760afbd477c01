//! What the journal does by itself: it finds stores to memory, and writes back when it holds too much.

use super::error::{Naming, Result};
use super::inodes::InodeKey;
use super::ledger::{DataOp, OVERHEAD};
use super::shadow::Shadow;
use super::{Disk, DiskError};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;

/// Bytes of mapped files that are remembered to compare with.
const SHADOWS_MAX: u64 = 256 * 1024 * 1024;

/// Changes of names in the journal of a file system before the older half is committed.
pub(super) const NAMES_MAX: usize = 1 << 16;

impl Disk {
    /// A guest maps `file` shared and writable: stores through memory are not calls, so the file is remembered
    /// and compared whenever its durability is at issue. A store is one change a page when it is found.
    ///
    /// # Errors
    /// The file cannot be read, or mapped files hold too much.
    pub fn mapped(&mut self, file: &File) -> Result<()> {
        let metadata = file.metadata().naming_file("stat", file)?;
        let number = self.inodes.number(InodeKey::of(&metadata));
        if !metadata.is_file() || metadata.nlink() == 0 || self.shadows.contains_key(&number) {
            return Ok(());
        }
        let held: u64 = self.shadows.values().map(Shadow::held).sum();
        let shadow = Shadow::of(file, SHADOWS_MAX.saturating_sub(held)).naming_file("read", file)?;
        let Some(shadow) = shadow else {
            return Err(DiskError::Mapped { root: self.root.clone(), budget: SHADOWS_MAX });
        };
        self.shadows.insert(number, shadow);
        Ok(())
    }

    /// No guest maps these files shared and writable any more, all but those that `is_mapped`.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn unmapped(&mut self, is_mapped: impl Fn(InodeKey) -> bool) -> Result<()> {
        let mut gone = Vec::new();
        for (number, shadow) in &self.shadows {
            let key = InodeKey::of(&shadow.file.metadata().naming_file("stat", &shadow.file)?);
            if !is_mapped(key) {
                gone.push(*number);
            }
        }
        for number in gone {
            self.absorb(number, &(0..u64::MAX))?;
            self.shadows.remove(&number);
        }
        Ok(())
    }

    /// Whether any file is mapped, as far as is known.
    #[must_use]
    pub fn is_mapped(&self) -> bool {
        !self.shadows.is_empty()
    }

    /// Bytes that are compared when `file` is synced.
    #[must_use]
    pub fn compared(&self, file: &File) -> u64 {
        let number = file.metadata().ok().and_then(|metadata| self.inodes.known(InodeKey::of(&metadata)));
        number.and_then(|number| self.shadows.get(&number)).map_or(0, Shadow::held)
    }

    /// A mapped file by its real number: by the device's, too, unless only the inode's says which.
    #[must_use]
    pub fn mapped_file(&self, key: InodeKey) -> Option<&File> {
        let of = |shadow: &Shadow| shadow.file.metadata().ok().map(|metadata| InodeKey::of(&metadata));
        let files = || self.shadows.values().filter_map(|shadow| Some((of(shadow)?, &shadow.file)));
        let mut alike = files().filter(|(other, _)| other.ino == key.ino);
        match (files().find(|(other, _)| *other == key), alike.next(), alike.next()) {
            (Some((_, file)), ..) | (None, Some((_, file)), None) => Some(file),
            _ => None,
        }
    }

    /// Records the pages within reach of `range` that were stored to through memory since the last look.
    pub(super) fn absorb(&mut self, number: u64, range: &Range<u64>) -> Result<()> {
        let Some(shadow) = self.shadows.get(&number) else { return Ok(()) };
        let stored = shadow.stored(range).naming_file("read", &shadow.file)?;
        if stored.is_empty() {
            return Ok(());
        }
        let metadata = shadow.file.metadata().naming_file("stat", &shadow.file)?;
        if metadata.nlink() == 0 {
            // Gone with the processes that hold it.
            return Ok(());
        }
        let key = InodeKey::of(&metadata);
        for page in stored {
            let need = 2 * page.after.len() as u64 + OVERHEAD;
            while self.held.saturating_add(need) > self.budget && self.write_back(number) {}
            let (_, ledger) = self.begin_ledger(key, metadata.len());
            let kept = ledger.base.keep(page.offset, &page.before);
            ledger.saved += kept;
            self.held += kept;
            self.record(number, DataOp::Write { offset: page.offset, data: page.after });
        }
        Ok(())
    }

    /// As [`Self::absorb`] for all of all files.
    pub(super) fn absorb_all(&mut self) -> Result<()> {
        let numbers: Vec<u64> = self.shadows.keys().copied().collect();
        numbers.into_iter().try_for_each(|number| self.absorb(number, &(0..u64::MAX)))
    }

    /// Write-back under pressure, as the kernel begins it by itself when much is dirty: the file with the oldest change is
    /// written, and with it all that was changed in it. Where none is left to write, what failed syncs left
    /// behind goes to the disk after all. True when there was anything to do but in the file `current`, which a call is about
    /// to change, and which held no change.
    pub(super) fn write_back(&mut self, current: u64) -> bool {
        let idle =
            |(number, ledger): &(&u64, &super::Ledger)| **number != current && ledger.entries.is_empty();
        if let Some((&number, _)) = self.ledgers.iter().find(idle) {
            self.discard(number);
            return true;
        }
        let oldest =
            self.ledgers.iter().filter_map(|(number, ledger)| Some((ledger.oldest()?, *number))).min();
        if let Some((_, number)) = oldest {
            self.settle_ledger(number, None);
            return true;
        }
        let changed =
            self.ledgers.iter().filter_map(|(number, ledger)| Some((ledger.entries.first()?.seq, *number)));
        let Some((_, number)) = changed.min() else { return false };
        self.discard(number);
        true
    }
}
