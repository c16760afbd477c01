//! The contents of files: what the sandbox reports around calls that write, cut, allocate and sync.

use super::Disk;
use super::error::{Naming, Result};
use super::image::{Image, read_at};
use super::inodes::InodeKey;
use super::ledger::{DataOp, Ledger, OVERHEAD};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;

/// A write that is about to run; hand it back to [`Disk::after_write`], or drop it when the call fails.
#[derive(Debug)]
#[must_use]
pub struct PendingWrite(Option<Begun>);

/// A change of length or of allocation that is about to run; hand it back to [`Disk::after_resize`].
#[derive(Debug)]
#[must_use]
pub struct PendingResize(Option<Resize>);

#[derive(Debug)]
struct Begun {
    number: u64,
    offset: u64,
    length: u64,
}

#[derive(Debug)]
struct Resize {
    number: u64,
    before: u64,
    after: u64,
    ops: Vec<DataOp>,
}

/// The kinds of fallocate(2) the journal can undo. `FALLOC_FL_COLLAPSE_RANGE` and
/// `FALLOC_FL_INSERT_RANGE` are to be refused with EOPNOTSUPP, as tmpfs does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallocate {
    /// Mode 0, or `FALLOC_FL_KEEP_SIZE` alone.
    Allocate {
        /// The file does not grow.
        keep_size: bool,
    },
    /// `FALLOC_FL_PUNCH_HOLE`.
    Punch,
    /// `FALLOC_FL_ZERO_RANGE`.
    Zero {
        /// The file does not grow.
        keep_size: bool,
    },
}

impl Disk {
    /// Before `len` bytes are written to `file` at `offset` by whatever call: write, pwritev, sendfile,
    /// `copy_file_range`. Saves what they overwrite. `file` must be open for reading too.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn before_write(&mut self, file: &File, offset: u64, len: u64) -> Result<PendingWrite> {
        let Some((number, length)) = self.save(file, offset..offset.saturating_add(len), len)? else {
            return Ok(PendingWrite(None));
        };
        Ok(PendingWrite(Some(Begun { number, offset, length })))
    }

    /// As [`Disk::before_write`] for `O_APPEND`: at the end of the file, wherever that is.
    ///
    /// # Errors
    /// As [`Disk::before_write`].
    pub fn before_append(&mut self, file: &File, len: u64) -> Result<PendingWrite> {
        let end = file.metadata().naming_file("stat", file)?.len();
        self.before_write(file, end, len)
    }

    /// After the write: `written` bytes went in, and are read back from the file as the payload.
    ///
    /// # Errors
    /// As [`Disk::before_write`].
    pub fn after_write(&mut self, pending: PendingWrite, file: &File, written: u64) -> Result<()> {
        let Some(Begun { number, offset, length }) = pending.0 else { return Ok(()) };
        if written == 0 {
            return Ok(());
        }
        let data = read_at(file, offset, written).naming_file("read back", file)?;
        self.record(number, DataOp::Write { offset, data });
        self.spend(length, length.max(offset + written));
        Ok(())
    }

    /// Before `file` is cut or grown to `len` bytes (truncate, ftruncate, open with `O_TRUNC`).
    ///
    /// # Errors
    /// As [`Disk::before_write`].
    pub fn before_truncate(&mut self, file: &File, len: u64) -> Result<PendingResize> {
        let Some((number, before)) = self.save(file, len..u64::MAX, 0)? else {
            return Ok(PendingResize(None));
        };
        // The same length again still counts when the change that led to it may be lost and this one not.
        let idle = before == len && self.ledger(number).entries.is_empty();
        let ops = if idle { Vec::new() } else { vec![DataOp::SetLen(len)] };
        Ok(PendingResize(Some(Resize { number, before, after: len, ops })))
    }

    /// Before fallocate(2) on `file`.
    ///
    /// # Errors
    /// As [`Disk::before_write`].
    pub fn before_fallocate(
        &mut self,
        file: &File,
        mode: Fallocate,
        offset: u64,
        len: u64,
    ) -> Result<PendingResize> {
        let end = offset.saturating_add(len);
        let (zeroes, grows) = match mode {
            Fallocate::Allocate { keep_size } => (false, !keep_size),
            Fallocate::Punch => (true, false),
            Fallocate::Zero { keep_size } => (true, !keep_size),
        };
        let saved_to = if zeroes { end } else { offset };
        let Some((number, before)) = self.save(file, offset..saved_to, 0)? else {
            return Ok(PendingResize(None));
        };
        let mut ops = Vec::new();
        if zeroes && offset < before {
            ops.push(DataOp::Zero { offset, len: end.min(before) - offset });
        }
        let after = if grows { before.max(end) } else { before };
        if after != before {
            ops.push(DataOp::SetLen(after));
        }
        Ok(PendingResize(Some(Resize { number, before, after, ops })))
    }

    /// After the truncation or allocation, which has done what it said if `succeeded`.
    pub fn after_resize(&mut self, pending: PendingResize, succeeded: bool) {
        if let (true, Some(resize)) = (succeeded, pending.0) {
            for op in resize.ops {
                self.record(resize.number, op);
            }
            self.spend(resize.before, resize.after);
        }
    }

    /// fsync or fdatasync of `file` has succeeded: its data is durable, except
    /// what an earlier sync failed to write. Of a directory: see [`Disk::sync_dir`].
    ///
    /// # Errors
    /// The file cannot be read, or a grave cannot be removed.
    pub fn sync(&mut self, file: &File) -> Result<()> {
        if file.metadata().naming_file("stat", file)?.is_dir() {
            return self.sync_open_dir(file);
        }
        self.settle(file, None)
    }

    /// As [`Disk::sync`] for `len` bytes at `offset`: a write with `O_DSYNC` or `RWF_DSYNC`, or msync of a mapping. A change
    /// of length is part of every range. Not for `sync_file_range(2)`, which promises nothing.
    ///
    /// # Errors
    /// As [`Disk::sync`].
    pub fn sync_range(&mut self, file: &File, offset: u64, len: u64) -> Result<()> {
        self.settle(file, Some(offset..offset.saturating_add(len)))
    }

    /// sync or syncfs has succeeded: all data and all names are durable, except what an earlier sync failed
    /// to write.
    ///
    /// # Errors
    /// As [`Disk::sync`].
    pub fn sync_all(&mut self) -> Result<()> {
        if self.lie() {
            return Ok(());
        }
        self.absorb_all()?;
        let numbers: Vec<u64> = self.ledgers.keys().copied().collect();
        for number in numbers {
            self.settle_ledger(number, None);
        }
        self.settle_names(self.names.len())
    }

    /// A sync of `file`, or of part of it, failed: what was volatile will never be durable.
    pub(super) fn poison(&mut self, file: &File, range: &Range<u64>) -> Result<()> {
        if let Some(number) = self.number_of_open(file)? {
            self.absorb(number, range)?;
            self.change_ledger(number, |ledger| {
                ledger.poison(range);
                false
            });
        }
        Ok(())
    }

    /// A sync of everything failed.
    pub(super) fn poison_all(&mut self) -> Result<()> {
        self.absorb_all()?;
        self.ledgers.values_mut().for_each(|ledger| ledger.poison(&(0..u64::MAX)));
        Ok(())
    }

    /// Forgets the journal of one file.
    pub(super) fn discard(&mut self, number: u64) {
        if let Some(ledger) = self.ledgers.remove(&number) {
            self.held -= ledger.held();
        }
    }

    /// True when syncs lie at present, counting this one.
    pub(super) fn lie(&mut self) -> bool {
        self.landed.syncs_lied += u64::from(self.faults.lying_fsync);
        self.faults.lying_fsync
    }

    /// All of the file, or a part of it, has reached the disk.
    pub(super) fn settle_ledger(&mut self, number: u64, range: Option<&Range<u64>>) {
        self.change_ledger(number, |ledger| match range {
            Some(range) => ledger.settle_range(range),
            None => ledger.settle(),
        });
    }

    /// Adds a change that has been made.
    pub(super) fn record(&mut self, number: u64, op: DataOp) {
        self.held += op.held();
        if let Some(shadow) = self.shadows.get_mut(&number) {
            shadow.apply(&op);
        }
        let seq = self.next_seq();
        self.ledger(number).push(seq, op);
    }

    /// A journal of the file as it is.
    pub(super) fn begin_ledger(&mut self, key: InodeKey, len: u64) -> (u64, &mut Ledger) {
        let number = self.inodes.number(key);
        let mtime = self.inodes.mtime(key);
        let fresh = || Ledger::new(key, Image::new(len, mtime));
        (number, self.ledgers.entry(number).or_insert_with(fresh))
    }

    /// Changes a journal, which goes when `change` says that all in it is durable.
    fn change_ledger(&mut self, number: u64, change: impl FnOnce(&mut Ledger) -> bool) {
        let Some(ledger) = self.ledgers.get_mut(&number) else { return };
        let before = ledger.held();
        let done = change(ledger);
        self.held = self.held - before + ledger.held();
        if done {
            self.discard(number);
        }
    }

    fn settle(&mut self, file: &File, range: Option<Range<u64>>) -> Result<()> {
        if self.lie() {
            return Ok(());
        }
        let Some(number) = self.number_of_open(file)? else { return Ok(()) };
        self.absorb(number, range.as_ref().unwrap_or(&(0..u64::MAX)))?;
        self.settle_ledger(number, range.as_ref());
        Ok(())
    }

    /// Saves a range of a regular file that has a name, leaves room for so much more, and returns its virtual number and
    /// length. `None`, too, for what the journal could not hold if it held nothing else: that is written at once, with all
    /// that was changed in the file before.
    fn save(&mut self, file: &File, range: Range<u64>, payload: u64) -> Result<Option<(u64, u64)>> {
        let metadata = file.metadata().naming_file("stat", file)?;
        if !metadata.is_file() || metadata.nlink() == 0 {
            return Ok(None);
        }
        let key = InodeKey::of(&metadata);
        let number = self.inodes.number(key);
        self.absorb(number, &range)?;
        // A call is two changes at most.
        let payload = payload.saturating_add(2 * OVERHEAD);
        loop {
            let room = self.budget.checked_sub(self.held.saturating_add(payload));
            if let Some(room) = room {
                let (_, ledger) = self.begin_ledger(key, metadata.len());
                let saved = ledger.base.save(file, range.start, range.end, room).naming_file("read", file)?;
                ledger.saved += saved.taken;
                self.held += saved.taken;
                if saved.whole {
                    return Ok(Some((number, metadata.len())));
                }
            }
            if !self.write_back(number) {
                self.discard(number);
                return Ok(None);
            }
        }
    }

    fn ledger(&mut self, number: u64) -> &mut Ledger {
        self.ledgers.get_mut(&number).expect("nothing is synced between the two halves of a call")
    }

    fn number_of_open(&self, file: &File) -> Result<Option<u64>> {
        let metadata = file.metadata().naming_file("stat", file)?;
        Ok(self.inodes.known(InodeKey::of(&metadata)))
    }
}
