//! Moving bytes: read and write in all their forms, positions, lengths, making durable.

use crate::disk::Fallocate;
use crate::event::EventKind;
use crate::sandbox::descriptors::{IN, OUT};
use crate::sandbox::files::{DescriptionId, Kind, Pipe, PipeId};
use crate::sandbox::guest::{Handled, MOVE_MAX, Outcome, Trouble, returns};
use crate::sandbox::log::checksum;
use crate::sandbox::task::{Call, Key, SentSignal, State, ThreadId};
use crate::sandbox::{ClockKind, Sandbox};
use crate::time::Span;
use nix::errno::Errno;
use rand::{Rng, RngExt};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

/// A vector of guest buffers: address and length of each.
pub(super) type Vector = [(u64, usize)];

fn total(vector: &Vector) -> usize {
    vector.iter().map(|buffer| buffer.1).fold(0, usize::saturating_add).min(MOVE_MAX)
}

/// The least that a direct request moves, in bytes.
const BLOCK: u64 = 512;

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

/// The flags of a call that has any (`RWF_*`).
fn rw_flags(call: &Call) -> i32 {
    match call.number {
        libc::SYS_preadv2 | libc::SYS_pwritev2 => call.args[5] as i32,
        _ => 0,
    }
}

/// What a description is, as far as moving bytes goes.
enum Way {
    Socket,
    Event,
    PipeRead(PipeId),
    PipeWrite(PipeId),
    Timer,
    Signals(u64),
    Output(bool),
    Random,
    Disk,
    Directory,
    Host,
    None,
}

impl Sandbox {
    fn way(&self, id: DescriptionId) -> Way {
        match self.files.get(id).map(|description| &description.kind) {
            Some(Kind::Socket(_)) => Way::Socket,
            Some(Kind::Event { .. }) => Way::Event,
            Some(Kind::PipeRead(pipe)) => Way::PipeRead(*pipe),
            Some(Kind::PipeWrite(pipe)) => Way::PipeWrite(*pipe),
            Some(Kind::Timer(_)) => Way::Timer,
            Some(Kind::Signals(mask)) => Way::Signals(*mask),
            Some(Kind::Output { stderr }) => Way::Output(*stderr),
            Some(Kind::Random) => Way::Random,
            Some(Kind::Disk { .. }) => Way::Disk,
            Some(Kind::Directory { .. }) => Way::Directory,
            Some(Kind::Host { .. }) => Way::Host,
            Some(Kind::Epoll(_)) | None => Way::None,
        }
    }

    /// Parks the caller until the description changes, unless it does not want to wait.
    pub(super) fn would_block(&self, id: DescriptionId) -> Handled {
        if self.files.get(id).is_none_or(|description| description.nonblocking) {
            return Err(Errno::EAGAIN.into());
        }
        Ok(Outcome::Park(vec![Key::Description(id)]))
    }

    pub(super) fn read(&mut self, id: ThreadId, call: &Call, vector: &Vector, at: Option<u64>) -> Handled {
        let fd = call.args[0];
        let from = self.description(id, fd)?;
        let max = total(vector);
        let bytes = match self.way(from) {
            Way::Socket => return self.recvfrom(id, fd, vector, 0, (0, 0)),
            Way::PipeRead(pipe) => match self.read_pipe(pipe, max) {
                Some(bytes) => bytes,
                None => return self.would_block(from),
            },
            Way::Event => match self.read_event(from, max)? {
                Some(count) => count.to_le_bytes().to_vec(),
                None => return self.would_block(from),
            },
            Way::Timer => match self.read_timer(from, max)? {
                Some(count) => count.to_le_bytes().to_vec(),
                None => return self.would_block(from),
            },
            Way::Signals(mask) => return self.read_signals(id, call, from, mask, vector),
            Way::Random => {
                let mut bytes = vec![0; max];
                let node = self.thread(id).node;
                self.nodes[node].rng.fill_bytes(&mut bytes);
                bytes
            }
            Way::Disk => {
                let manner = self.manner(from, rw_flags(call))?;
                self.may_block(id, manner)?;
                self.read_disk(id, from, vector, at)?
            }
            Way::Directory => return Err(Errno::EISDIR.into()),
            Way::Host => return self.native(id),
            Way::Output(_) | Way::PipeWrite(_) => return Err(Errno::EBADF.into()),
            Way::None => return Err(Errno::EINVAL.into()),
        };
        self.scatter(id, vector, &bytes)?;
        self.moved ^= checksum(&bytes);
        returns(bytes.len() as u64)
    }

    pub(super) fn write(&mut self, id: ThreadId, call: &Call, vector: &Vector, at: Option<u64>) -> Handled {
        let fd = call.args[0];
        let to = self.description(id, fd)?;
        match self.way(to) {
            Way::Socket => self.sendto(id, fd, vector, 0, 0, 0),
            Way::Output(stderr) => {
                let bytes = self.gather(id, vector)?;
                let node = self.thread(id).node;
                self.moved ^= checksum(&bytes);
                self.output(node, stderr, &bytes);
                returns(bytes.len() as u64)
            }
            Way::PipeWrite(pipe) => {
                let bytes = self.gather(id, vector)?;
                self.write_pipe(id, to, pipe, &bytes)
            }
            Way::Event => {
                let bytes: [u8; 8] = self.gather(id, vector)?.try_into().map_err(|_| Errno::EINVAL)?;
                self.write_event(to, u64::from_le_bytes(bytes))
            }
            Way::Disk => {
                let manner = self.manner(to, rw_flags(call))?;
                self.may_block(id, manner)?;
                let bytes = self.gather(id, vector)?;
                self.write_disk(id, to, (vector, bytes), at, manner)
            }
            Way::Random => returns(total(vector) as u64),
            Way::Host => self.native(id),
            Way::PipeRead(_) | Way::Directory => Err(Errno::EBADF.into()),
            Way::Timer | Way::Signals(_) | Way::None => Err(Errno::EINVAL.into()),
        }
    }

    fn read_pipe(&mut self, id: PipeId, max: usize) -> Option<Vec<u8>> {
        let pipe = self.files.pipes.get_mut(&id)?;
        if pipe.bytes.is_empty() && pipe.writer.is_some() && max > 0 {
            return None;
        }
        let count = max.min(pipe.bytes.len());
        let bytes: Vec<u8> = pipe.bytes.drain(..count).collect();
        if let Some(writer) = pipe.writer.filter(|_| count > 0) {
            self.notify(writer, OUT);
        }
        Some(bytes)
    }

    fn write_pipe(&mut self, id: ThreadId, to: DescriptionId, pipe: PipeId, bytes: &[u8]) -> Handled {
        let Some(state) = self.files.pipes.get_mut(&pipe) else { return Err(Errno::EBADF.into()) };
        let Some(reader) = state.reader else { return self.broken_pipe(id) };
        let room = Pipe::CAPACITY - state.bytes.len();
        let done = self.threads[&id].progress;
        let rest = &bytes[done..];
        if room == 0 || (bytes.len() <= Pipe::ATOMIC && room < bytes.len()) {
            return self.would_block(to);
        }
        let count = room.min(rest.len());
        state.bytes.extend(&rest[..count]);
        self.moved ^= checksum(&rest[..count]);
        self.notify(reader, IN);
        if count < rest.len() && self.files.get(to).is_some_and(|pipe| !pipe.nonblocking) {
            // A write that may wait ends when all is written (pipe(7)).
            self.thread_mut(id).progress = done + count;
            return self.would_block(to);
        }
        returns((done + count) as u64)
    }

    /// Writing where nobody reads: SIGPIPE, and EPIPE for who survives it.
    pub(super) fn broken_pipe(&mut self, id: ThreadId) -> Handled {
        let process = self.thread(id).process;
        let sent = SentSignal { signal: libc::SIGPIPE, code: 0, sender: self.process_of(id).vpid, value: 0 };
        // The call ends here, not because of the signal.
        let thread = self.thread_mut(id);
        thread.state = State::Ready;
        let done = thread.progress;
        self.send(process, Some(id), sent)?;
        if done > 0 { returns(done as u64) } else { Err(Errno::EPIPE.into()) }
    }

    fn read_event(&mut self, id: DescriptionId, max: usize) -> Result<Option<u64>, Trouble> {
        if max < 8 {
            return Err(Errno::EINVAL.into());
        }
        let Some(Kind::Event { count, semaphore }) = self.files.get_mut(id).map(|d| &mut d.kind) else {
            return Err(Errno::EBADF.into());
        };
        if *count == 0 {
            return Ok(None);
        }
        let taken = if *semaphore { 1 } else { *count };
        *count -= taken;
        self.notify(id, OUT);
        Ok(Some(taken))
    }

    fn write_event(&mut self, id: DescriptionId, add: u64) -> Handled {
        let Some(Kind::Event { count, .. }) = self.files.get_mut(id).map(|d| &mut d.kind) else {
            return Err(Errno::EBADF.into());
        };
        if add == u64::MAX {
            return Err(Errno::EINVAL.into());
        }
        if u64::MAX - 1 - *count < add {
            return self.would_block(id);
        }
        *count += add;
        self.notify(id, IN);
        returns(8)
    }

    fn read_timer(&mut self, id: DescriptionId, max: usize) -> Result<Option<u64>, Trouble> {
        if max < 8 {
            return Err(Errno::EINVAL.into());
        }
        let Some(Kind::Timer(timer)) = self.files.get_mut(id).map(|d| &mut d.kind) else {
            return Err(Errno::EBADF.into());
        };
        let count = std::mem::take(&mut timer.expirations);
        Ok((count > 0).then_some(count))
    }

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

    fn write_disk(
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
            if let Err(errno) = self.nodes[node].disk.fail_sync(&write.reader) {
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
        self.bound_disk(node, reader.metadata()?.len(), offset.saturating_add(bytes.len() as u64))?;
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

    /// A file is about to grow from `len` to `end`: ends the run if the node's files would be too large.
    fn bound_disk(&mut self, node: usize, len: u64, end: u64) -> Result<(), Trouble> {
        let grows = end.saturating_sub(len);
        let max = self.config.limits.disk_max;
        let owner = &mut self.nodes[node];
        if grows <= owner.unchecked {
            owner.unchecked -= grows;
            return Ok(());
        }
        // Counting takes a look at every file: the next one is due when half of what is left is used.
        let left = max.saturating_sub(owner.disk.usage()?);
        if grows > left {
            self.stop_run(format!("node n{} has more than {max} bytes of files", node + 1));
            return Err(Errno::ENOSPC.into());
        }
        owner.unchecked = (left - grows) / 2;
        Ok(())
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
            Some(Kind::Directory { path, .. }) => {
                if !self.nodes[node].disk.covers(path) {
                    return returns(0);
                }
                let file = File::open(path)?;
                self.make_durable(id, node, &file)
            }
            Some(Kind::Host { .. } | Kind::Output { .. }) => returns(0),
            Some(_) => Err(Errno::EINVAL.into()),
            None => Err(Errno::EBADF.into()),
        }
    }

    fn make_durable(&mut self, id: ThreadId, node: usize, file: &File) -> Handled {
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
        let node = self.thread(id).node;
        let admitted = self.nodes[node].disk.admit_sync_all();
        if call.number == libc::SYS_syncfs {
            admitted?;
        }
        self.nodes[node].disk.sync_all()?;
        returns(0)
    }

    pub(super) fn ftruncate(&mut self, id: ThreadId, fd: u64, len: u64) -> Handled {
        let description = self.description(id, fd)?;
        let node = self.thread(id).node;
        let Some(Kind::Disk { reader, .. }) = self.files.get(description).map(|d| &d.kind) else {
            return self.native(id);
        };
        let reader = reader.try_clone()?;
        self.resize(id, node, &reader, len)
    }

    pub(super) fn truncate(&mut self, id: ThreadId, path: u64, len: u64) -> Handled {
        let path = self.resolve(id, libc::AT_FDCWD as i64 as u64, path)?;
        let node = self.thread(id).node;
        if !self.nodes[node].disk.covers(&path) {
            return Err(Errno::EROFS.into());
        }
        let reader = File::open(&path)?;
        self.resize(id, node, &reader, len)
    }

    fn resize(&mut self, id: ThreadId, node: usize, reader: &File, len: u64) -> Handled {
        self.bound_disk(node, reader.metadata()?.len(), len)?;
        self.nodes[node].disk.admit_change()?;
        let pending = self.nodes[node].disk.before_truncate(reader, len)?;
        let result = self.run_call(id)?;
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
        let reader = reader.try_clone()?;
        let keep_size = mode as i32 & libc::FALLOC_FL_KEEP_SIZE != 0;
        let kind = match mode as i32 & !libc::FALLOC_FL_KEEP_SIZE {
            0 => Fallocate::Allocate { keep_size },
            libc::FALLOC_FL_PUNCH_HOLE => Fallocate::Punch,
            libc::FALLOC_FL_ZERO_RANGE => Fallocate::Zero { keep_size },
            _ => return Err(Errno::EOPNOTSUPP.into()),
        };
        self.bound_disk(node, reader.metadata()?.len(), offset.saturating_add(len))?;
        self.nodes[node].disk.admit_allocate(&reader, offset.saturating_add(len))?;
        let pending = self.nodes[node].disk.before_fallocate(&reader, kind, offset, len)?;
        let result = self.run_call(id)?;
        self.nodes[node].disk.after_resize(pending, result == Some(0));
        Ok(result.map_or(Outcome::Gone, Outcome::Ran))
    }

    /// sendfile(2): from a file to a socket, a pipe or another file.
    pub(super) fn sendfile(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [to, from, offset, count, ..] = call.args;
        let (source, target) = (self.description(id, from)?, self.description(id, to)?);
        let at = if offset == 0 { None } else { Some(self.thread(id).tid.read_u64(offset)?) };
        let process = self.process_of(id).tid;
        let on_disk = matches!(self.way(source), Way::Disk);
        let mut file = match self.files.get(source).map(|d| &d.kind) {
            Some(Kind::Disk { file, .. }) => file.try_clone()?,
            Some(Kind::Host { .. }) => File::from(process.duplicate_descriptor(from as i32)?),
            _ => return Err(Errno::EINVAL.into()),
        };
        let start = at.map_or_else(|| file.stream_position(), Ok)?;
        let max = (count as usize).min(1 << 20);
        let bytes = if on_disk {
            self.read_disk(id, source, &[(0, max)], Some(start))?
        } else {
            let mut bytes = vec![0; max];
            let got = file.read_at(&mut bytes, start)?;
            bytes.truncate(got);
            bytes
        };
        let outcome = match self.way(target) {
            Way::Socket => self.send_all(id, to, &bytes, 0, None)?,
            Way::PipeWrite(pipe) => self.write_pipe(id, target, pipe, &bytes)?,
            Way::Disk => {
                let manner = self.manner(target, 0)?;
                self.write_disk(id, target, (&[(0, bytes.len())], bytes), None, manner)?
            }
            Way::PipeRead(_) => return Err(Errno::EBADF.into()),
            _ => return Err(Errno::EINVAL.into()),
        };
        if let Outcome::Return(sent) = outcome {
            let end = start + sent.max(0) as u64;
            if offset == 0 {
                file.seek(SeekFrom::Start(end))?;
            } else {
                self.store_words(id, offset, &[end])?;
            }
        }
        Ok(outcome)
    }

    /// mmap of a file for shared writing: stores to it are no calls, so the journal saves the file first.
    pub(super) fn map_shared_file(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [.., flags, fd, _] = call.args;
        if flags & libc::MAP_ANONYMOUS as u64 != 0 {
            return Ok(Outcome::Continue);
        }
        let description = self.description(id, fd)?;
        let node = self.thread(id).node;
        if let Some(Kind::Disk { reader, .. }) = self.files.get(description).map(|d| &d.kind) {
            let reader = reader.try_clone()?;
            self.nodes[node].disk.mapped(&reader)?;
        }
        self.native(id)
    }
}
