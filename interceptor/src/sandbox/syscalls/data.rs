//! Moving bytes: read and write in all their forms, from and to whatever a description is.

use crate::sandbox::Sandbox;
use crate::sandbox::files::{DescriptionId, Kind, PipeId};
use crate::sandbox::guest::{Handled, MOVE_MAX, Outcome, Trouble, returns};
use crate::sandbox::log::checksum;
use crate::sandbox::task::{Call, Key, ThreadId};
use nix::errno::Errno;
use rand::Rng;
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// A vector of guest buffers: address and length of each.
pub(super) type Vector = [(u64, usize)];

pub(super) fn total(vector: &Vector) -> usize {
    vector.iter().map(|buffer| buffer.1).fold(0, usize::saturating_add).min(MOVE_MAX)
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

    /// The description of `fd`, which has a place `at` in it, if that is asked for (pread(2)).
    fn placed(&self, id: ThreadId, fd: u64, at: Option<u64>) -> Result<DescriptionId, Trouble> {
        if at.is_some_and(|at| i64::try_from(at).is_err()) {
            return Err(Errno::EINVAL.into());
        }
        let description = self.description(id, fd)?;
        let has_places =
            matches!(self.way(description), Way::Disk | Way::Directory | Way::Host | Way::Random);
        if at.is_some() && !has_places { Err(Errno::ESPIPE.into()) } else { Ok(description) }
    }

    /// The path of a description that is a file of a process.
    fn setting(&self, id: DescriptionId) -> Option<PathBuf> {
        match self.files.get(id).map(|description| &description.kind) {
            Some(Kind::Host { path }) if self.is_in_process(path) => Some(path.clone()),
            _ => None,
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
        let from = self.placed(id, fd, at)?;
        let max = total(vector);
        let bytes = match self.way(from) {
            Way::Socket if max == 0 => return returns(0),
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
        let to = self.placed(id, fd, at)?;
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
                // Each buffer is a write of its own (writev(2)).
                let first = vector.get(..1).unwrap_or_default();
                let bytes: [u8; 8] = self.gather(id, first)?.try_into().map_err(|_| Errno::EINVAL)?;
                self.write_event(to, u64::from_le_bytes(bytes))
            }
            Way::Disk => {
                let manner = self.manner(to, rw_flags(call))?;
                self.may_block(id, manner)?;
                let bytes = self.gather(id, vector)?;
                self.write_disk(id, to, (vector, bytes), at, manner)
            }
            Way::Random => returns(total(vector) as u64),
            Way::Host => {
                if let Some(path) = self.setting(to) {
                    let bytes = self.gather(id, vector)?;
                    self.keep_setting(self.thread(id).node, &path, &bytes)?;
                }
                let outcome = self.native(id)?;
                self.bound_files_in_memory(id, to);
                Ok(outcome)
            }
            Way::PipeRead(_) | Way::Directory => Err(Errno::EBADF.into()),
            Way::Timer | Way::Signals(_) | Way::None => Err(Errno::EINVAL.into()),
        }
    }

    /// sendfile(2): from a file to a socket, a pipe or another file.
    pub(super) fn sendfile(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [to, from, offset, count, ..] = call.args;
        let (source, target) = (self.description(id, from)?, self.description(id, to)?);
        let at = if offset == 0 { None } else { Some(self.thread(id).tid.read_u64(offset)?) };
        let on_disk = matches!(self.way(source), Way::Disk);
        let mut file = match self.files.get(source).map(|d| &d.kind) {
            Some(Kind::Disk { file, .. }) => file.try_clone()?,
            Some(Kind::Host { .. }) => File::from(self.copy_of_descriptor(id, from as i32)?),
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
}
