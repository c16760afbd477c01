//! Files on a node's disk: reading and writing them, their lengths, making them durable.

use super::data::{Vector, total};
use crate::disk::Fallocate;
use crate::event::EventKind;
use crate::sandbox::files::{DescriptionId, Kind};
use crate::sandbox::find::{Named, Wants};
use crate::sandbox::guest::{Handled, Outcome, Trouble, returns};
use crate::sandbox::home::PlaceUse;
use crate::sandbox::log::checksum;
use crate::sandbox::task::{Call, ThreadId};
use crate::sandbox::{ClockKind, Sandbox};
use crate::time::Span;
use nix::errno::Errno;
use rand::RngExt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

/// The least that a direct request moves, in bytes.
const BLOCK: u64 = 512;

/// A sync that compares more of a mapped file asks first whether it is mapped yet.
const COMPARED_MAX: u64 = 1 << 20;

/// How bytes are to be moved.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Manner {
    /// They are durable when the call returns.
    pub synchronous: bool,
    /// They go to the end of the file, wherever that is.
    pub append: bool,
    /// The call fails rather than to wait.
    pub nowait: bool,
}

/// A write that the disk has admitted.
pub(super) struct DiskWrite {
    file: File,
    /// Another description of the file, to read with.
    pub reader: File,
    /// Where it goes.
    pub offset: u64,
    bytes: Vec<u8>,
    /// How much longer it takes.
    pub delay: Span,
    /// It moves the file's position (write(2), unlike pwrite(2)).
    at_position: bool,
}

impl Sandbox {
    pub(super) fn disk_file(&self, id: DescriptionId) -> Result<(&File, &File, bool), Trouble> {
        match self.files.get(id).map(|description| &description.kind) {
            Some(Kind::Disk { file, reader, synchronous, .. }) => Ok((file, reader, *synchronous)),
            _ => Err(Errno::EINVAL.into()),
        }
    }

    /// What flags of a call (`RWF_*`, readv(2)) and of the file say of how bytes are to be moved.
    pub(super) fn manner(&self, id: DescriptionId, flags: i32) -> Result<Manner, Trouble> {
        let description = self.files.get(id).ok_or(Errno::EBADF)?;
        let synchronous = matches!(description.kind, Kind::Disk { synchronous: true, .. });
        let direct = description.flags & libc::O_DIRECT != 0;
        let known = libc::RWF_HIPRI | libc::RWF_DSYNC | libc::RWF_SYNC | libc::RWF_NOWAIT | libc::RWF_APPEND;
        // Only direct requests can be told not to wait, as on ext4.
        if flags & !known != 0 || (flags & libc::RWF_NOWAIT != 0 && !direct) {
            return Err(Errno::EOPNOTSUPP.into());
        }
        Ok(Manner {
            synchronous: synchronous || flags & (libc::RWF_DSYNC | libc::RWF_SYNC) != 0,
            append: description.flags & libc::O_APPEND != 0 || flags & libc::RWF_APPEND != 0,
            nowait: flags & libc::RWF_NOWAIT != 0,
        })
    }

    /// A request that must not wait is turned down now and then, whatever the reason: `RWF_NOWAIT` (readv(2)).
    pub(super) fn may_block(&mut self, id: ThreadId, manner: Manner) -> Result<(), Trouble> {
        let node = self.thread(id).node;
        let begins = self.thread(id).until.is_none();
        if manner.nowait && begins && self.nodes[node].device_rng.random_range(0..4) == 0 {
            return Err(Errno::EAGAIN.into());
        }
        Ok(())
    }

    /// A direct request goes by whole blocks of the device, in memory too (open(2), `O_DIRECT`).
    fn check_aligned(&self, id: DescriptionId, vector: &Vector, at: u64) -> Result<(), Trouble> {
        let direct = self.files.get(id).is_some_and(|d| d.flags & libc::O_DIRECT != 0);
        let whole = |value: u64| value.is_multiple_of(BLOCK);
        if direct && !(whole(at) && vector.iter().all(|&(address, len)| whole(address) && whole(len as u64)))
        {
            return Err(Errno::EINVAL.into());
        }
        Ok(())
    }

    pub(super) fn read_disk(
        &mut self,
        id: ThreadId,
        from: DescriptionId,
        vector: &Vector,
        at: Option<u64>,
    ) -> Result<Vec<u8>, Trouble> {
        let max = total(vector);
        let node = self.thread(id).node;
        self.nodes[node].disk.admit_read()?;
        let (mut file, ..) = self.disk_file(from)?;
        let start = match at {
            Some(at) => at,
            None => file.stream_position()?,
        };
        self.check_aligned(from, vector, start)?;
        let left = file.metadata()?.len().saturating_sub(start);
        let mut bytes = vec![0; max.min(usize::try_from(left).unwrap_or(max))];
        let got = match at {
            Some(at) => file.read_at(&mut bytes, at)?,
            None => file.read(&mut bytes)?,
        };
        bytes.truncate(got);
        Ok(bytes)
    }

    pub(super) fn write_disk(
        &mut self,
        id: ThreadId,
        to: DescriptionId,
        what: (&Vector, Vec<u8>),
        at: Option<u64>,
        manner: Manner,
    ) -> Handled {
        let node = self.thread(id).node;
        let write = self.begin_write(id, to, what, at, manner)?;
        if write.delay > Span::ZERO && !self.timed_out(id, ClockKind::Monotonic, write.delay) {
            return Ok(Outcome::Park(Vec::new()));
        }
        let written = self.carry_out(node, &write)?;
        if manner.synchronous {
            let host = self.nodes[node].host;
            let range = write.offset..write.offset.saturating_add(written);
            if let Err(errno) = self.nodes[node].disk.fail_sync(&write.reader, range) {
                self.note(host, EventKind::Fsync { failed: true });
                return Err(errno.into());
            }
            self.nodes[node].disk.sync_range(&write.reader, write.offset, written)?;
            self.note(host, EventKind::Fsync { failed: false });
        }
        returns(written)
    }

    /// Asks the disk for a write of bytes that lie in these buffers; [`Self::carry_out`] does it, once its delay has
    /// passed.
    pub(super) fn begin_write(
        &mut self,
        id: ThreadId,
        to: DescriptionId,
        (vector, mut bytes): (&Vector, Vec<u8>),
        at: Option<u64>,
        manner: Manner,
    ) -> Result<DiskWrite, Trouble> {
        let node = self.thread(id).node;
        let (file, reader, _) = self.disk_file(to)?;
        let (mut file, reader) = (file.try_clone()?, reader.try_clone()?);
        let offset = match at {
            _ if manner.append => reader.metadata()?.len(),
            Some(at) => at,
            None => file.stream_position()?,
        };
        self.check_aligned(to, vector, offset)?;
        let fits = self.bound_disk(node, &reader, offset, bytes.len() as u64)?;
        bytes.truncate(fits as usize);
        let disk = &mut self.nodes[node].disk;
        let admitted = disk.admit_write(&reader, offset, bytes.len() as u64)?;
        let delay = if manner.synchronous { admitted.delay + disk.sync_delay() } else { admitted.delay };
        bytes.truncate(admitted.len as usize);
        Ok(DiskWrite { file, reader, offset, bytes, delay, at_position: at.is_none() })
    }

    /// Writes what was admitted, and journals it; the bytes that went in.
    pub(super) fn carry_out(&mut self, node: usize, write: &DiskWrite) -> Result<u64, Trouble> {
        let DiskWrite { file, reader, offset, bytes, .. } = write;
        let owner = &mut self.nodes[node];
        let pending = owner.disk.before_write(reader, *offset, bytes.len() as u64)?;
        let mut file: &File = file;
        let written = if write.at_position {
            file.seek(SeekFrom::Start(*offset))?;
            file.write(bytes)?
        } else {
            file.write_at(bytes, *offset)?
        } as u64;
        owner.disk.after_write(pending, reader, written)?;
        let key = crate::disk::InodeKey::of(&reader.metadata()?);
        let now = self.now;
        owner.disk.inodes_mut().touched(key, now);
        self.moved ^= checksum(&bytes[..written as usize]);
        Ok(written)
    }

    /// How many of `len` bytes at `offset` the node's drive has room for; ENOSPC when it has none for the first.
    fn bound_disk(&mut self, node: usize, file: &File, offset: u64, len: u64) -> Result<u64, Trouble> {
        let owner = &mut self.nodes[node];
        let needed = owner.disk.needed(file, offset, len)?;
        if needed <= owner.unchecked {
            owner.unchecked -= needed;
            return Ok(len);
        }
        // Counting takes a look at every file: the next one is due when half of what is left is used.
        let max = self.config.limits.disk_max;
        let mut left = max.saturating_sub(owner.disk.usage()?);
        if needed > left {
            owner.disk.reclaim()?;
            left = max.saturating_sub(owner.disk.usage()?);
        }
        owner.unchecked = left.saturating_sub(needed) / 2;
        if needed <= left {
            return Ok(len);
        }
        if !std::mem::replace(&mut owner.full, true) {
            let text =
                format!("sandbox: the drive is full: the files of {} hold {max} bytes\n", owner.config.name);
            self.output(node, true, text.as_bytes());
        }
        match self.nodes[node].disk.fitting(file, offset, len, left)? {
            0 if len > 0 => Err(Errno::ENOSPC.into()),
            fits => Ok(fits),
        }
    }

    pub(super) fn lseek(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [fd, offset, whence, ..] = call.args;
        let description = self.description(id, fd)?;
        match self.files.get_mut(description).map(|d| &mut d.kind) {
            Some(Kind::Disk { file, .. }) => {
                let to = match whence as i32 {
                    libc::SEEK_SET => SeekFrom::Start(offset),
                    libc::SEEK_CUR => SeekFrom::Current(offset as i64),
                    libc::SEEK_END => SeekFrom::End(offset as i64),
                    _ => return self.native(id),
                };
                returns(file.seek(to)?)
            }
            Some(Kind::Directory { position, entries, .. }) => {
                *position = offset as usize;
                *entries = None;
                returns(offset)
            }
            Some(Kind::Host { .. }) => self.native(id),
            Some(Kind::Random) => returns(0),
            _ => Err(Errno::ESPIPE.into()),
        }
    }

    pub(super) fn fsync(&mut self, id: ThreadId, fd: u64) -> Handled {
        let description = self.description(id, fd)?;
        let node = self.thread(id).node;
        match self.files.get(description).map(|d| &d.kind) {
            Some(Kind::Disk { reader, .. }) => {
                let file = reader.try_clone()?;
                self.make_durable(id, node, &file)
            }
            Some(Kind::Directory { path, .. }) => match self.home_of(id).own(path) {
                Some(own) if own.what == PlaceUse::Disk => {
                    let file = File::open(&own.path)?;
                    self.make_durable(id, node, &file)
                }
                _ => returns(0),
            },
            Some(Kind::Host { path })
                if self.home_of(id).own(path).is_some_and(|own| own.what == PlaceUse::Device) =>
            {
                Err(Errno::EINVAL.into())
            }
            Some(Kind::Host { .. } | Kind::Output { .. }) => returns(0),
            Some(_) => Err(Errno::EINVAL.into()),
            None => Err(Errno::EBADF.into()),
        }
    }

    fn make_durable(&mut self, id: ThreadId, node: usize, file: &File) -> Handled {
        if self.nodes[node].disk.compared(file) > COMPARED_MAX {
            self.forget_unmapped(node)?;
        }
        // A delayed call comes here again when its time is up; it was admitted the first time.
        if self.thread(id).until.is_none() {
            match self.nodes[node].disk.admit_sync(file) {
                Ok(delay) if delay > Span::ZERO => {
                    self.timed_out(id, ClockKind::Monotonic, delay);
                    return Ok(Outcome::Park(Vec::new()));
                }
                Ok(_) => {}
                Err(errno) => {
                    self.note(self.nodes[node].host, EventKind::Fsync { failed: true });
                    return Err(errno.into());
                }
            }
        }
        self.nodes[node].disk.sync(file)?;
        self.note(self.nodes[node].host, EventKind::Fsync { failed: false });
        returns(0)
    }

    pub(super) fn sync(&mut self, id: ThreadId, call: &Call) -> Handled {
        if call.number == libc::SYS_syncfs {
            self.description(id, call.args[0])?;
        }
        let node = self.thread(id).node;
        let admitted = self.nodes[node].disk.admit_sync_all();
        if call.number == libc::SYS_syncfs {
            admitted?;
        }
        self.nodes[node].disk.sync_all()?;
        returns(0)
    }

    /// What will be read is read by then anyway; arguments are looked at as fadvise64 and readahead do.
    pub(super) fn advise(&mut self, id: ThreadId, call: &Call) -> Handled {
        const NOREUSE: u64 = libc::POSIX_FADV_NOREUSE as u64;
        let [fd, _, len, advice, ..] = call.args;
        let description = self.files.get(self.description(id, fd)?).ok_or(Errno::EBADF)?;
        let is_file = matches!(description.kind, Kind::Disk { .. } | Kind::Host { .. });
        if call.number == libc::SYS_readahead {
            if description.flags & libc::O_ACCMODE == libc::O_WRONLY || description.flags & libc::O_PATH != 0
            {
                return Err(Errno::EBADF.into());
            }
            return if is_file { returns(0) } else { Err(Errno::EINVAL.into()) };
        }
        if matches!(description.kind, Kind::PipeRead(_) | Kind::PipeWrite(_) | Kind::Output { .. }) {
            return Err(Errno::ESPIPE.into());
        }
        if (len as i64) < 0 || advice > NOREUSE {
            return Err(Errno::EINVAL.into());
        }
        returns(0)
    }

    pub(super) fn ftruncate(&mut self, id: ThreadId, fd: u64, len: u64) -> Handled {
        let description = self.description(id, fd)?;
        let node = self.thread(id).node;
        let Some(Kind::Disk { reader, .. }) = self.files.get(description).map(|d| &d.kind) else {
            return self.native(id);
        };
        let reader = reader.try_clone()?;
        self.resize(node, &reader, len, |sandbox| Ok(sandbox.run_call(id)?))
    }

    pub(super) fn truncate(&mut self, id: ThreadId, call: &Call) -> Handled {
        let (named, len) = (Named::of(call, 0), call.args[1]);
        let spot = self.find(id, named, true)?.spot()?;
        self.refuse_host(id, &spot, Wants::There)?;
        let node = self.thread(id).node;
        let reader = match spot.on_disk() {
            Some(path) => File::open(path)?,
            None => {
                let result = self.run_with_paths(id, call, &[(0, &spot)])?;
                return Ok(result.map_or(Outcome::Gone, Outcome::Ran));
            }
        };
        self.resize(node, &reader, len, |sandbox| sandbox.run_with_paths(id, call, &[(0, &spot)]))
    }

    fn resize(
        &mut self,
        node: usize,
        reader: &File,
        len: u64,
        run: impl FnOnce(&mut Self) -> Result<Option<i64>, Trouble>,
    ) -> Handled {
        self.nodes[node].disk.admit_change()?;
        let pending = self.nodes[node].disk.before_truncate(reader, len)?;
        let result = run(self)?;
        self.nodes[node].disk.after_resize(pending, result == Some(0));
        Ok(result.map_or(Outcome::Gone, Outcome::Ran))
    }

    pub(super) fn fallocate(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [fd, mode, offset, len, ..] = call.args;
        let description = self.description(id, fd)?;
        let node = self.thread(id).node;
        let Some(Kind::Disk { reader, .. }) = self.files.get(description).map(|d| &d.kind) else {
            return self.native(id);
        };
        let places = i64::try_from(offset).is_ok() && i64::try_from(len).is_ok_and(|len| len > 0);
        if !places || offset.saturating_add(len) > i64::MAX as u64 {
            // It is refused with its reason.
            return self.native(id);
        }
        let reader = reader.try_clone()?;
        let keep_size = mode as i32 & libc::FALLOC_FL_KEEP_SIZE != 0;
        let kind = match mode as i32 & !libc::FALLOC_FL_KEEP_SIZE {
            0 => Fallocate::Allocate { keep_size },
            libc::FALLOC_FL_PUNCH_HOLE => Fallocate::Punch,
            libc::FALLOC_FL_ZERO_RANGE => Fallocate::Zero { keep_size },
            _ => return Err(Errno::EOPNOTSUPP.into()),
        };
        if kind != Fallocate::Punch && self.bound_disk(node, &reader, offset, len)? < len {
            return Err(Errno::ENOSPC.into());
        }
        self.nodes[node].disk.admit_allocate(&reader, offset.saturating_add(len))?;
        let pending = self.nodes[node].disk.before_fallocate(&reader, kind, offset, len)?;
        let result = self.run_call(id)?;
        self.nodes[node].disk.after_resize(pending, result == Some(0));
        Ok(result.map_or(Outcome::Gone, Outcome::Ran))
    }
}
