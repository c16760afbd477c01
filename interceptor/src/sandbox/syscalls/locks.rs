//! File locks: flock(2) and fcntl(2) record locks, kept by us so that waiting for one is parking.

use crate::sandbox::Sandbox;
use crate::sandbox::files::{DescriptionId, FilesId, Kind};
use crate::sandbox::guest::{Handled, Outcome, Trouble, returns};
use crate::sandbox::locks::{END, LockedFile, Owner, Record};
use crate::sandbox::task::{Call, Key, State, ThreadId};
use nix::errno::Errno;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;

impl Sandbox {
    fn locked_file(&self, id: DescriptionId) -> Result<LockedFile, Trouble> {
        let description = self.files.get(id).ok_or(Errno::EBADF)?;
        let node = description.node;
        let metadata = match &description.kind {
            Kind::Disk { reader, .. } => reader.metadata()?,
            Kind::Directory { path, .. } | Kind::Host { path } => {
                File::from(self.nodes[node].home.entry(path)?).metadata()?
            }
            // A file that no other description is of.
            _ => return Ok(LockedFile { node, inode: (u64::MAX, u64::from(id.0)) }),
        };
        Ok(LockedFile { node, inode: (metadata.dev(), metadata.ino()) })
    }

    pub(super) fn flock(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [fd, operation, ..] = call.args;
        let description = self.description(id, fd)?;
        let waits = operation as i32 & libc::LOCK_NB == 0;
        let exclusive = match operation as i32 & !libc::LOCK_NB {
            libc::LOCK_SH => Some(false),
            libc::LOCK_EX => Some(true),
            libc::LOCK_UN => None,
            _ => return Err(Errno::EINVAL.into()),
        };
        let file = self.locked_file(description)?;
        let holders = self.locks.whole.entry(file).or_default();
        if holders.get(&description).copied() == exclusive {
            return returns(0);
        }
        // What is held goes first: to change its kind is not one step.
        if holders.remove(&description).is_some() {
            self.wake(Key::Lock(file.node));
        }
        let Some(exclusive) = exclusive else { return returns(0) };
        let holders = self.locks.whole.entry(file).or_default();
        if holders.values().any(|&other| other || exclusive) {
            return if waits {
                Ok(Outcome::Park(vec![Key::Lock(file.node)]))
            } else {
                Err(Errno::EWOULDBLOCK.into())
            };
        }
        holders.insert(description, exclusive);
        returns(0)
    }

    /// fcntl's locks. `struct flock`: type and whence of 16 bits, start and length of 64, then a pid.
    pub(super) fn record_lock(
        &mut self,
        id: ThreadId,
        description: DescriptionId,
        command: i32,
        at: u64,
        call: &Call,
    ) -> Handled {
        let bytes = self.load(id, at, 32)?;
        let word = |i: usize| i64::from_le_bytes(bytes[i..i + 8].try_into().expect("eight bytes"));
        let kind = i32::from(i16::from_le_bytes([bytes[0], bytes[1]]));
        let whence = i32::from(i16::from_le_bytes([bytes[2], bytes[3]]));
        let pid = i32::from_le_bytes(bytes[24..28].try_into().expect("four bytes"));
        let asks = [libc::F_GETLK, libc::F_OFD_GETLK].contains(&command);
        let of_description = [libc::F_OFD_GETLK, libc::F_OFD_SETLK, libc::F_OFD_SETLKW].contains(&command);
        if ![libc::F_RDLCK, libc::F_WRLCK, libc::F_UNLCK].contains(&kind)
            || (asks && kind == libc::F_UNLCK)
            || (of_description && pid != 0)
        {
            return Err(Errno::EINVAL.into());
        }
        let base = match (whence, self.files.get(description).map(|d| &d.kind)) {
            (libc::SEEK_SET, _) => 0,
            (libc::SEEK_END, Some(Kind::Disk { reader, .. })) => reader.metadata()?.len() as i64,
            (libc::SEEK_CUR, Some(Kind::Disk { file, .. })) => {
                std::io::Seek::stream_position(&mut file.try_clone()?)? as i64
            }
            (libc::SEEK_CUR | libc::SEEK_END, _) => 0,
            _ => return Err(Errno::EINVAL.into()),
        };
        let file = self.locked_file(description)?;
        let process = self.process_of(id);
        let wanted = Record {
            owner: if of_description {
                Owner::Description(description)
            } else {
                Owner::Process(self.files_of(id))
            },
            exclusive: kind == libc::F_WRLCK,
            range: range(base, word(8), word(16))?,
            pid: if of_description { -1 } else { process.vpid },
        };
        if asks {
            return self.report_lock(id, at, file, &wanted);
        }
        let access = self.files.get(description).map_or(0, |d| d.flags) & libc::O_ACCMODE;
        if (kind == libc::F_RDLCK && access == libc::O_WRONLY)
            || (kind == libc::F_WRLCK && access == libc::O_RDONLY)
        {
            return Err(Errno::EBADF.into());
        }
        let records = self.locks.records.entry(file).or_default();
        if kind == libc::F_UNLCK {
            records.clear(wanted.owner, &wanted.range);
        } else if records.blocker(&wanted).is_some() {
            if ![libc::F_SETLKW, libc::F_OFD_SETLKW].contains(&command) {
                return Err(Errno::EAGAIN.into());
            }
            return self.wait_for_lock(id, call, file, wanted);
        } else {
            records.set(&wanted);
        }
        self.wake(Key::Lock(file.node));
        returns(0)
    }

    /// Waits, unless it would be for ever: processes that wait for each other (fcntl(2), EDEADLK).
    fn wait_for_lock(&mut self, id: ThreadId, call: &Call, file: LockedFile, wanted: Record) -> Handled {
        if matches!(wanted.owner, Owner::Process(_)) {
            let waits = |thread: ThreadId, call: &Call| {
                let thread = self.threads.get(&thread).filter(|_| thread != id);
                thread.is_some_and(|thread| {
                    thread.call == Some(*call) && matches!(thread.state, State::Parked(_) | State::Retry)
                })
            };
            if self.locks.is_deadlock(file, &wanted, waits) {
                return Err(Errno::EDEADLK.into());
            }
            self.locks.waits.insert(id, (*call, file, wanted));
        }
        Ok(Outcome::Park(vec![Key::Lock(file.node)]))
    }

    fn report_lock(&self, id: ThreadId, at: u64, file: LockedFile, wanted: &Record) -> Handled {
        let Some(held) = self.locks.records.get(&file).and_then(|records| records.blocker(wanted)) else {
            self.store(id, at, &(libc::F_UNLCK as u16).to_le_bytes())?;
            return returns(0);
        };
        let kind = if held.exclusive { libc::F_WRLCK } else { libc::F_RDLCK };
        let len = if held.range.end == END { 0 } else { held.range.end - held.range.start };
        self.store(id, at, &(kind as u16).to_le_bytes())?;
        self.store(id, at + 2, &(libc::SEEK_SET as u16).to_le_bytes())?;
        self.store_words(id, at + 8, &[held.range.start, len])?;
        self.store(id, at + 24, &held.pid.to_le_bytes())?;
        returns(0)
    }

    /// A process closes a descriptor: its POSIX locks of that file go, by whichever descriptor they were set.
    pub(in crate::sandbox) fn release_posix_locks(&mut self, files: FilesId, id: DescriptionId) {
        if !self.locks.holds(files) {
            return;
        }
        if let Ok(file) = self.locked_file(id) {
            let nodes = self.locks.release_process(files, file);
            nodes.into_iter().for_each(|node| self.wake(Key::Lock(node)));
        }
    }

    /// A description is gone, and its locks with it.
    pub(in crate::sandbox) fn release_locks(&mut self, id: DescriptionId) {
        let nodes = self.locks.release_description(id);
        nodes.into_iter().for_each(|node| self.wake(Key::Lock(node)));
    }
}

/// The bytes of a lock: `len` of them from `start`, before it if that is negative, as far as a file can reach if it is 0.
fn range(base: i64, start: i64, len: i64) -> Result<Range<u64>, Errno> {
    let start = base.checked_add(start).ok_or(Errno::EOVERFLOW)?;
    let from = if len < 0 { start.checked_add(len).ok_or(Errno::EINVAL)? } else { start };
    let from = u64::try_from(from).map_err(|_| Errno::EINVAL)?;
    match len {
        0 => Ok(from..END),
        1.. => {
            let end = from + len.unsigned_abs();
            if end > END { Err(Errno::EOVERFLOW) } else { Ok(from..end) }
        }
        _ => Ok(from..from + len.unsigned_abs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_fcntl() {
        assert_eq!(range(10, 5, 0), Ok(15..END));
        assert_eq!(range(0, 10, -3), Ok(7..10));
        assert_eq!(range(0, 2, -3), Err(Errno::EINVAL));
        assert_eq!(range(0, -1, 5), Err(Errno::EINVAL));
        assert_eq!(range(0, i64::MAX, 1), Ok(END - 1..END));
        assert_eq!(range(0, i64::MAX, 2), Err(Errno::EOVERFLOW));
        assert_eq!(range(i64::MAX, 1, 1), Err(Errno::EOVERFLOW));
    }
}
