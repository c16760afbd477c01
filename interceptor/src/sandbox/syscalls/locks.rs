//! File locks: flock(2) and fcntl(2) record locks, kept by us so that waiting for one is parking.

use crate::sandbox::Sandbox;
use crate::sandbox::files::{DescriptionId, Kind};
use crate::sandbox::guest::{Handled, Outcome, Trouble, returns};
use crate::sandbox::task::{Call, Key, ProcessId, ThreadId};
use nix::errno::Errno;
use std::fs::File;
use std::os::unix::fs::MetadataExt;

/// Who holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// flock and open-file-description locks.
    Description(DescriptionId),
    /// POSIX record locks.
    Process(ProcessId),
}

/// A lock that is held.
#[derive(Clone, Copy, Debug)]
pub struct FileLock {
    node: usize,
    device: u64,
    inode: u64,
    /// flock locks and record locks do not see each other.
    flock: bool,
    owner: Owner,
    exclusive: bool,
    start: u64,
    /// One past the last byte.
    end: u64,
}

impl FileLock {
    fn conflicts(&self, other: &Self) -> bool {
        self.same_file(other)
            && self.owner != other.owner
            && (self.exclusive || other.exclusive)
            && self.start < other.end
            && other.start < self.end
    }

    fn same_file(&self, other: &Self) -> bool {
        (self.node, self.device, self.inode, self.flock)
            == (other.node, other.device, other.inode, other.flock)
    }
}

impl Sandbox {
    fn file_identity(&self, id: DescriptionId) -> Result<(u64, u64), Trouble> {
        let metadata = match self.files.get(id).map(|d| (d.node, &d.kind)) {
            Some((_, Kind::Disk { reader, .. })) => reader.metadata()?,
            Some((node, Kind::Directory { path, .. } | Kind::Host { path })) => {
                File::from(self.nodes[node].home.entry(path)?).metadata()?
            }
            _ => return Err(Errno::EBADF.into()),
        };
        Ok((metadata.dev(), metadata.ino()))
    }

    pub(super) fn flock(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [fd, operation, ..] = call.args;
        let description = self.description(id, fd)?;
        let (device, inode) = self.file_identity(description)?;
        let operation = operation as i32;
        let wanted = FileLock {
            node: self.thread(id).node,
            device,
            inode,
            flock: true,
            owner: Owner::Description(description),
            exclusive: operation & libc::LOCK_EX != 0,
            start: 0,
            end: u64::MAX,
        };
        let unlock = operation & libc::LOCK_UN != 0;
        self.lock(&wanted, unlock, operation & libc::LOCK_NB == 0, Errno::EWOULDBLOCK)
    }

    /// fcntl's locks. `struct flock`: type and whence of 16 bits, start and length of 64, then a pid.
    pub(super) fn record_lock(
        &mut self,
        id: ThreadId,
        description: DescriptionId,
        command: i32,
        at: u64,
    ) -> Handled {
        let bytes = self.load(id, at, 32)?;
        let word = |i: usize| i64::from_le_bytes(bytes[i..i + 8].try_into().expect("eight bytes"));
        let kind = i32::from(i16::from_le_bytes([bytes[0], bytes[1]]));
        let whence = i32::from(i16::from_le_bytes([bytes[2], bytes[3]]));
        let base = match (whence, self.files.get(description).map(|d| &d.kind)) {
            (libc::SEEK_SET, _) => 0,
            (libc::SEEK_END, Some(Kind::Disk { reader, .. })) => reader.metadata()?.len() as i64,
            (libc::SEEK_CUR, Some(Kind::Disk { file, .. })) => {
                std::io::Seek::stream_position(&mut file.try_clone()?)? as i64
            }
            _ => return Err(Errno::EINVAL.into()),
        };
        let (device, inode) = self.file_identity(description)?;
        let start = u64::try_from(base + word(8)).map_err(|_| Errno::EINVAL)?;
        let ofd = [libc::F_OFD_GETLK, libc::F_OFD_SETLK, libc::F_OFD_SETLKW].contains(&command);
        let process = self.thread(id).process;
        let wanted = FileLock {
            node: self.thread(id).node,
            device,
            inode,
            flock: false,
            owner: if ofd { Owner::Description(description) } else { Owner::Process(process) },
            exclusive: kind == libc::F_WRLCK,
            start,
            end: if word(16) == 0 { u64::MAX } else { start.saturating_add_signed(word(16)) },
        };
        if [libc::F_GETLK, libc::F_OFD_GETLK].contains(&command) {
            return self.report_lock(id, at, &wanted);
        }
        let waits = [libc::F_SETLKW, libc::F_OFD_SETLKW].contains(&command);
        self.lock(&wanted, kind == libc::F_UNLCK, waits, Errno::EAGAIN)
    }

    fn report_lock(&self, id: ThreadId, at: u64, wanted: &FileLock) -> Handled {
        let Some(held) = self.locks.iter().find(|held| held.conflicts(wanted)) else {
            self.store(id, at, &(libc::F_UNLCK as u16).to_le_bytes())?;
            return returns(0);
        };
        let kind = if held.exclusive { libc::F_WRLCK } else { libc::F_RDLCK };
        let pid = match held.owner {
            Owner::Process(process) => self.processes.get(&process).map_or(-1, |p| p.vpid),
            Owner::Description(_) => -1,
        };
        let len = if held.end == u64::MAX { 0 } else { held.end - held.start };
        self.store(id, at, &(kind as u16).to_le_bytes())?;
        self.store(id, at + 2, &0_u16.to_le_bytes())?;
        self.store_words(id, at + 8, &[held.start, len])?;
        self.store(id, at + 24, &pid.to_le_bytes())?;
        returns(0)
    }

    fn lock(&mut self, wanted: &FileLock, unlock: bool, waits: bool, refused: Errno) -> Handled {
        if !unlock && self.locks.iter().any(|held| held.conflicts(wanted)) {
            if waits {
                return Ok(Outcome::Park(vec![Key::Lock(wanted.node)]));
            }
            return Err(refused.into());
        }
        self.cut_locks(wanted);
        if !unlock {
            self.locks.push(*wanted);
        }
        self.wake(Key::Lock(wanted.node));
        returns(0)
    }

    /// Takes the range of `wanted` out of what its owner holds already.
    fn cut_locks(&mut self, wanted: &FileLock) {
        let mut kept = Vec::new();
        for held in self.locks.drain(..) {
            if !held.same_file(wanted)
                || held.owner != wanted.owner
                || held.end <= wanted.start
                || wanted.end <= held.start
            {
                kept.push(held);
                continue;
            }
            if held.start < wanted.start {
                kept.push(FileLock { end: wanted.start, ..held });
            }
            if held.end > wanted.end {
                kept.push(FileLock { start: wanted.end, ..held });
            }
        }
        self.locks = kept;
    }

    /// A description is gone, and its locks with it.
    pub(in crate::sandbox) fn release_locks(&mut self, id: DescriptionId) {
        self.release(Owner::Description(id));
    }

    /// A process is gone, and its locks with it.
    pub(in crate::sandbox) fn release_locks_of(&mut self, id: ProcessId) {
        self.release(Owner::Process(id));
    }

    fn release(&mut self, owner: Owner) {
        let Some(node) = self.locks.iter().find(|held| held.owner == owner).map(|held| held.node) else {
            return;
        };
        self.locks.retain(|held| held.owner != owner);
        self.wake(Key::Lock(node));
    }
}
