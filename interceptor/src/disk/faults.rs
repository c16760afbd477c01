//! What the sandbox asks before it lets a call reach the disk: may it run, for how many bytes, how late.

use super::Disk;
use crate::time::Span;
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::ops::Range;

/// The faults in force on one node's disk. Counted faults hit the next calls of their kind and run out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiskFaults {
    /// The next so many syncs fail with EIO, once each; their data is never durable, see the
    /// [module](super).
    pub fsync_error: Option<u32>,
    /// The next so many reads fail with EIO.
    pub read_error: Option<u32>,
    /// The next so many writes fail with EIO, before any byte is written.
    pub write_error: Option<u32>,
    /// Bytes by which files may still grow before ENOSPC. Spent by growth in length, given back by
    /// truncation and by the deletion of a last name; holes count as if they were full.
    pub space: Option<u64>,
    /// Every sync takes this much longer.
    pub fsync_delay: Span,
    /// Every write takes this much longer.
    pub write_delay: Span,
    /// Syncs report success and make nothing durable, as a drive with a volatile cache does.
    pub lying_fsync: bool,
    /// Writes and changes of names fail with EROFS.
    pub read_only: bool,
}

/// How a write may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Bytes to let through; fewer than asked for when space runs out within the call.
    pub len: u64,
    /// Virtual time the call takes longer.
    pub delay: Span,
}

/// Proof that faults landed: how many calls each of them met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Landed {
    /// Syncs that failed with EIO.
    pub syncs_failed: u64,
    /// Syncs that took longer.
    pub syncs_delayed: u64,
    /// Syncs that made nothing durable and said they had.
    pub syncs_lied: u64,
    /// Reads that failed with EIO.
    pub reads_failed: u64,
    /// Writes that failed with EIO.
    pub writes_failed: u64,
    /// Writes that took longer.
    pub writes_delayed: u64,
    /// Writes cut short because space ran out within them.
    pub writes_short: u64,
    /// Writes, allocations and creations refused with ENOSPC.
    pub refused_space: u64,
    /// Writes and changes of names refused with EROFS.
    pub refused_read_only: u64,
    /// Power losses that undid at least one operation.
    pub power_losses: u64,
    /// Damages done by [`Disk::corrupt`].
    pub corruptions: u64,
}

impl Disk {
    /// Replaces the faults in force; the default heals.
    pub fn set_faults(&mut self, faults: DiskFaults) {
        self.faults = faults;
    }

    /// The faults in force, counted ones with what is left of them.
    #[must_use]
    pub const fn faults(&self) -> &DiskFaults {
        &self.faults
    }

    /// What the faults have met so far, over the whole run.
    #[must_use]
    pub const fn landed(&self) -> Landed {
        self.landed
    }

    /// May `len` bytes be written to `file` at `offset`? Ask before [`Disk::before_write`], and run the
    /// call with the admitted length.
    ///
    /// # Errors
    /// The errno the guest is to see: EROFS, EIO, or ENOSPC once not even one byte fits (write(2)).
    pub fn admit_write(&mut self, file: &File, offset: u64, len: u64) -> Result<Admitted, Errno> {
        self.refuse_read_only()?;
        if take(&mut self.faults.write_error) {
            self.landed.writes_failed += 1;
            return Err(Errno::EIO);
        }
        let mut admitted = Admitted { len, delay: self.faults.write_delay };
        if let Some(space) = self.faults.space {
            let fits = length(file)?.saturating_add(space).saturating_sub(offset);
            if fits < len {
                if fits == 0 {
                    return Err(self.full());
                }
                self.landed.writes_short += 1;
                admitted.len = fits;
            }
        }
        if admitted.delay != Span::ZERO {
            self.landed.writes_delayed += 1;
        }
        Ok(admitted)
    }

    /// May `file` be allocated up to `end` (fallocate(2))? There is no short answer here.
    ///
    /// # Errors
    /// EROFS or ENOSPC, for the guest.
    pub fn admit_allocate(&mut self, file: &File, end: u64) -> Result<(), Errno> {
        self.refuse_read_only()?;
        match self.faults.space {
            Some(space) if end > length(file)?.saturating_add(space) => Err(self.full()),
            _ => Ok(()),
        }
    }

    /// May a name be created (open with `O_CREAT`, mkdir, link, symlink, mknod, rename)?
    ///
    /// # Errors
    /// EROFS, or ENOSPC when no space at all is left, for the guest.
    pub fn admit_create(&mut self) -> Result<(), Errno> {
        self.refuse_read_only()?;
        if self.faults.space == Some(0) { Err(self.full()) } else { Ok(()) }
    }

    /// May something be taken away or cut (unlink, rmdir, truncate, open with `O_TRUNC`)?
    ///
    /// # Errors
    /// EROFS, for the guest.
    pub fn admit_change(&mut self) -> Result<(), Errno> {
        self.refuse_read_only()
    }

    /// May a read run?
    ///
    /// # Errors
    /// EIO, for the guest.
    pub fn admit_read(&mut self) -> Result<(), Errno> {
        if take(&mut self.faults.read_error) {
            self.landed.reads_failed += 1;
            return Err(Errno::EIO);
        }
        Ok(())
    }

    /// May this file be synced, and how much longer does it take? On success call [`Disk::sync`] once the
    /// delay has passed. A refusal has already marked the file's volatile data as never durable; a
    /// directory's names only stay volatile.
    ///
    /// # Errors
    /// EIO, for the guest.
    pub fn admit_sync(&mut self, file: &File) -> Result<Span, Errno> {
        self.admit_sync_range(file, 0..u64::MAX)
    }

    /// As [`Disk::admit_sync`] for a part of the file (msync(2)), followed by [`Disk::sync_range`].
    ///
    /// # Errors
    /// EIO, for the guest.
    pub fn admit_sync_range(&mut self, file: &File, range: Range<u64>) -> Result<Span, Errno> {
        self.fail_sync(file, range)?;
        Ok(self.sync_delay())
    }

    /// The half of [`Disk::admit_sync`] that may refuse; for writes that are durable when they return, whose
    /// delay ([`Disk::sync_delay`]) comes before they are made.
    ///
    /// # Errors
    /// EIO, for the guest.
    pub fn fail_sync(&mut self, file: &File, range: Range<u64>) -> Result<(), Errno> {
        if take(&mut self.faults.fsync_error) {
            self.landed.syncs_failed += 1;
            self.poison(file, &range).map_err(|_| Errno::EIO)?;
            return Err(Errno::EIO);
        }
        Ok(())
    }

    /// As [`Disk::admit_sync`], for syncfs(2), which reports errors, and sync(2), which hides them.
    ///
    /// # Errors
    /// EIO, for the guest.
    pub fn admit_sync_all(&mut self) -> Result<Span, Errno> {
        if take(&mut self.faults.fsync_error) {
            self.landed.syncs_failed += 1;
            self.poison_all().map_err(|_| Errno::EIO)?;
            return Err(Errno::EIO);
        }
        Ok(self.sync_delay())
    }

    /// A file changed its length: growth spends space, shrinking gives it back.
    pub(super) fn spend(&mut self, before: u64, after: u64) {
        if let Some(space) = &mut self.faults.space {
            *space = space.saturating_add(before).saturating_sub(after);
        }
    }

    /// How much longer a sync takes at present, counting this one.
    pub fn sync_delay(&mut self) -> Span {
        if self.faults.fsync_delay != Span::ZERO {
            self.landed.syncs_delayed += 1;
        }
        self.faults.fsync_delay
    }

    fn refuse_read_only(&mut self) -> Result<(), Errno> {
        if self.faults.read_only {
            self.landed.refused_read_only += 1;
            return Err(Errno::EROFS);
        }
        Ok(())
    }

    fn full(&mut self) -> Errno {
        self.landed.refused_space += 1;
        Errno::ENOSPC
    }
}

/// Uses up one of the remaining failures, if any.
fn take(left: &mut Option<u32>) -> bool {
    match left {
        Some(n) if *n > 0 => {
            *n -= 1;
            true
        }
        _ => false,
    }
}

fn length(file: &File) -> Result<u64, Errno> {
    let metadata =
        file.metadata().map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
    Ok(metadata.len())
}
