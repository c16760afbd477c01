//! The contents of files: what the sandbox reports around calls that write, cut, allocate, map and sync.

use super::error::{Naming, Result};
use super::image::{Image, read_at};
use super::inodes::InodeKey;
use super::ledger::{DataOp, Ledger};
use super::{Disk, DiskError, tree};
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
    /// The file cannot be read, or the journal is over its budget.
    pub fn before_write(&mut self, file: &File, offset: u64, len: u64) -> Result<PendingWrite> {
        let Some((number, length)) = self.save(file, offset, offset.saturating_add(len))? else {
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
        self.reserve(written)?;
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
        let Some((number, before)) = self.save(file, len, u64::MAX)? else { return Ok(PendingResize(None)) };
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
        let Some((number, before)) = self.save(file, offset, saved_to)? else {
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

    /// A guest maps `file` shared and writable (mmap, or mprotect later): stores through memory are not
    /// calls, so the whole file is saved now and compared at every sync and at a power loss.
    ///
    /// # Errors
    /// As [`Disk::before_write`]; a mapped file must fit into the budget.
    pub fn mapped(&mut self, file: &File) -> Result<()> {
        let Some((number, len)) = self.save(file, 0, u64::MAX)? else { return Ok(()) };
        self.reserve(len)?;
        self.ledger(number).mapped = true;
        Ok(())
    }

    /// The last such mapping of `file` is gone.
    ///
    /// # Errors
    /// As [`Disk::before_write`].
    pub fn unmapped(&mut self, file: &File) -> Result<()> {
        let Some(number) = self.number_of_open(file)? else { return Ok(()) };
        self.absorb(number, file)?;
        if let Some(ledger) = self.ledgers.get_mut(&number) {
            ledger.mapped = false;
        }
        Ok(())
    }

    /// fsync or fdatasync of `file`, or msync of a mapping of it, has succeeded: its data is durable, except
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

    /// As [`Disk::sync`] for `len` bytes at `offset`: a write with `O_DSYNC` or `RWF_DSYNC`. A change of
    /// length is part of every range. Not for `sync_file_range(2)`, which promises nothing.
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
        let mapped = self.mapped_files()?;
        for (number, file) in &mapped {
            self.absorb(*number, file)?;
        }
        let done: Vec<u64> = self
            .ledgers
            .iter_mut()
            .filter_map(|(number, ledger)| ledger.settle().then_some(*number))
            .collect();
        for number in &done {
            self.discard(*number);
        }
        for (_, file) in mapped.iter().filter(|(number, _)| done.contains(number)) {
            self.mapped(file)?;
        }
        self.settle_names(self.names.len())
    }

    /// A sync of `file` failed: what was volatile will never be durable.
    pub(super) fn poison(&mut self, file: &File) -> Result<()> {
        if let Some(number) = self.number_of_open(file)? {
            self.absorb(number, file)?;
            if let Some(ledger) = self.ledgers.get_mut(&number) {
                ledger.poison();
            }
        }
        Ok(())
    }

    /// A sync of everything failed.
    pub(super) fn poison_all(&mut self) -> Result<()> {
        for (number, file) in self.mapped_files()? {
            self.absorb(number, &file)?;
        }
        self.ledgers.values_mut().for_each(Ledger::poison);
        Ok(())
    }

    /// Records the pages of a mapped file that were stored to through memory since the last look.
    pub(super) fn absorb(&mut self, number: u64, file: &File) -> Result<()> {
        let Some(ledger) = self.ledgers.get(&number).filter(|ledger| ledger.mapped) else { return Ok(()) };
        let pages = ledger.stored(file).naming_file("read", file)?;
        self.reserve(pages.iter().map(DataOp::bytes).sum())?;
        for page in pages {
            self.record(number, page);
        }
        Ok(())
    }

    /// Forgets the journal of one file.
    pub(super) fn discard(&mut self, number: u64) {
        if let Some(ledger) = self.ledgers.remove(&number) {
            self.held -= ledger.bytes;
        }
    }

    /// True when syncs lie at present, counting this one.
    pub(super) fn lie(&mut self) -> bool {
        self.landed.syncs_lied += u64::from(self.faults.lying_fsync);
        self.faults.lying_fsync
    }

    /// The mapped files that still have a name, opened.
    pub(super) fn mapped_files(&self) -> Result<Vec<(u64, File)>> {
        if !self.ledgers.values().any(|ledger| ledger.mapped) {
            return Ok(Vec::new());
        }
        let places = self.places()?;
        let mapped = self.ledgers.iter().filter(|(_, ledger)| ledger.mapped);
        let found = mapped.filter_map(|(number, ledger)| Some((*number, places.get(&ledger.key)?)));
        found.map(|(number, path)| Ok((number, tree::open(path)?))).collect()
    }

    fn settle(&mut self, file: &File, range: Option<Range<u64>>) -> Result<()> {
        if self.lie() {
            return Ok(());
        }
        let Some(number) = self.number_of_open(file)? else { return Ok(()) };
        self.absorb(number, file)?;
        let Some(ledger) = self.ledgers.get_mut(&number) else { return Ok(()) };
        let mapped = ledger.mapped;
        let done = match range {
            Some(range) => ledger.settle_range(&range),
            None => ledger.settle(),
        };
        if done {
            self.discard(number);
            if mapped {
                return self.mapped(file);
            }
        }
        Ok(())
    }

    /// Saves `from..to` of a regular file that has a name, and returns its virtual number and length.
    fn save(&mut self, file: &File, from: u64, to: u64) -> Result<Option<(u64, u64)>> {
        let metadata = file.metadata().naming_file("stat", file)?;
        if !metadata.is_file() || metadata.nlink() == 0 {
            return Ok(None);
        }
        let key = InodeKey::of(&metadata);
        let number = self.inodes.number(key);
        let mtime = self.inodes.mtime(key);
        let fresh = || Ledger::new(key, Image::new(metadata.len(), mtime));
        let room = self.budget.saturating_sub(self.held);
        let ledger = self.ledgers.entry(number).or_insert_with(fresh);
        let saved = ledger.base.save(file, from, to, room).naming_file("read", file)?;
        let Some(taken) = saved else { return Err(self.over_budget()) };
        ledger.bytes += taken;
        self.held += taken;
        Ok(Some((number, metadata.len())))
    }

    fn record(&mut self, number: u64, op: DataOp) {
        self.held += op.bytes();
        let seq = self.next_seq();
        self.ledger(number).push(seq, op);
    }

    fn ledger(&mut self, number: u64) -> &mut Ledger {
        self.ledgers.get_mut(&number).expect("nothing is synced between the two halves of a call")
    }

    fn reserve(&self, bytes: u64) -> Result<()> {
        if self.held.saturating_add(bytes) > self.budget { Err(self.over_budget()) } else { Ok(()) }
    }

    fn over_budget(&self) -> DiskError {
        DiskError::Budget { root: self.root.clone(), budget: self.budget }
    }

    fn number_of_open(&self, file: &File) -> Result<Option<u64>> {
        let metadata = file.metadata().naming_file("stat", file)?;
        Ok(self.inodes.known(InodeKey::of(&metadata)))
    }
}
