//! Descriptors: making, duplicating and closing them, and what can be asked of them.

use crate::sandbox::Sandbox;
use crate::sandbox::files::{Kind, Slot};
use crate::sandbox::guest::{Handled, Outcome, returns};
use crate::sandbox::task::{Call, ThreadId};
use nix::errno::Errno;

pub(super) const CLOEXEC: u64 = libc::O_CLOEXEC as u64;
pub(super) const DIRECT: u64 = libc::O_DIRECT as u64;
/// Of fcntl(2): `struct f_owner_ex` is a kind, of which 1 is a process, and its number.
const F_GETOWN_EX: i32 = 16;

impl Sandbox {
    /// A descriptor for a virtual object: the kernel chooses the number, a placeholder holds it.
    pub(super) fn place(&mut self, id: ThreadId, call: &Call, kind: Kind, flags: u64) -> Handled {
        let close_on_exec = flags & CLOEXEC != 0;
        let cloexec = if close_on_exec { libc::EFD_CLOEXEC as u64 } else { 0 };
        let fd = self.run_instead(id, call, libc::SYS_eventfd2, [0, cloexec, 0, 0, 0, 0])?;
        let Some(fd) = fd else { return Ok(Outcome::Gone) };
        if fd >= 0 {
            let node = self.thread(id).node;
            let description = self.files.add(node, flags as i32, kind);
            let files = self.files_of(id);
            self.bind(files, fd as i32, description, close_on_exec);
        }
        Ok(Outcome::Ran(fd))
    }

    pub(super) fn close(&mut self, id: ThreadId, call: &Call) -> Handled {
        let files = self.files_of(id);
        let result = self.run_call(id)?;
        self.close_descriptor(files, call.args[0] as i32);
        Ok(result.map_or(Outcome::Gone, Outcome::Ran))
    }

    pub(super) fn close_range(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [first, last, flags, ..] = call.args;
        if flags & u64::from(libc::CLOSE_RANGE_UNSHARE) != 0 {
            return Err(Errno::EINVAL.into());
        }
        let files = self.files_of(id);
        let result = self.run_call(id)?;
        for (fd, _) in self.files.slots(files) {
            if fd as u64 >= first && fd as u64 <= last {
                if flags & u64::from(libc::CLOSE_RANGE_CLOEXEC) != 0 {
                    if let Some(slot) = self.files.slot_mut(files, fd) {
                        slot.close_on_exec = true;
                    }
                } else {
                    self.close_descriptor(files, fd);
                }
            }
        }
        Ok(result.map_or(Outcome::Gone, Outcome::Ran))
    }

    pub(super) fn dup(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [old, new, flags, ..] = call.args;
        if call.number == libc::SYS_dup3 && (flags & !CLOEXEC != 0 || old == new) {
            return Err(Errno::EINVAL.into());
        }
        let close_on_exec = call.number == libc::SYS_dup3 && flags & CLOEXEC != 0;
        let same = call.number == libc::SYS_dup2 && old == new;
        self.duplicate(id, old, close_on_exec, same)
    }

    fn duplicate(&mut self, id: ThreadId, old: u64, close_on_exec: bool, same: bool) -> Handled {
        let description = self.description(id, old)?;
        let files = self.files_of(id);
        let Some(fd) = self.run_call(id)? else { return Ok(Outcome::Gone) };
        if fd >= 0 && !same {
            self.bind(files, fd as i32, description, close_on_exec);
        }
        Ok(Outcome::Ran(fd))
    }

    pub(super) fn fcntl(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [fd, command, argument, ..] = call.args;
        let description = self.description(id, fd)?;
        let files = self.files_of(id);
        match command as i32 {
            libc::F_DUPFD => self.duplicate(id, fd, false, false),
            libc::F_DUPFD_CLOEXEC => self.duplicate(id, fd, true, false),
            libc::F_GETFD => {
                let slot: Slot = self.files.slot(files, fd as i32).ok_or(Errno::EBADF)?;
                returns(i64::from(slot.close_on_exec))
            }
            libc::F_SETFD => {
                let result = self.run_call(id)?;
                if let Some(slot) = self.files.slot_mut(files, fd as i32) {
                    slot.close_on_exec = argument & libc::FD_CLOEXEC as u64 != 0;
                }
                Ok(result.map_or(Outcome::Gone, Outcome::Ran))
            }
            libc::F_GETFL => {
                let description = self.files.get(description).ok_or(Errno::EBADF)?;
                let blocking = description.flags
                    & !(libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_CREAT | libc::O_TRUNC | libc::O_EXCL);
                let access = match description.kind {
                    Kind::Socket(_) | Kind::Event { .. } => libc::O_RDWR,
                    _ => 0,
                };
                returns(blocking | access | if description.nonblocking { libc::O_NONBLOCK } else { 0 })
            }
            libc::F_SETFL => {
                if matches!(
                    self.files.get(description).map(|d| &d.kind),
                    Some(Kind::Disk { .. } | Kind::Host { .. })
                ) {
                    let args = [fd, command, argument & !DIRECT, 0, 0, 0];
                    let result = self.run_instead(id, call, call.number, args)?;
                    self.set_status_flags(description, argument as i32);
                    return Ok(result.map_or(Outcome::Gone, Outcome::Ran));
                }
                self.set_status_flags(description, argument as i32);
                returns(0)
            }
            libc::F_GETLK
            | libc::F_SETLK
            | libc::F_SETLKW
            | libc::F_OFD_GETLK
            | libc::F_OFD_SETLK
            | libc::F_OFD_SETLKW => self.record_lock(id, description, command as i32, argument, call),
            libc::F_GETPIPE_SZ => self.pipe_size(description, None),
            libc::F_SETPIPE_SZ => self.pipe_size(description, Some(argument)),
            libc::F_SETOWN | libc::F_GETOWN => returns(0),
            F_GETOWN_EX => {
                self.store(id, argument, &[1_u32.to_le_bytes(), [0; 4]].concat())?;
                returns(0)
            }
            libc::F_ADD_SEALS | libc::F_GET_SEALS => self.native(id),
            _ => Err(Errno::EINVAL.into()),
        }
    }

    fn set_status_flags(&mut self, id: crate::sandbox::files::DescriptionId, flags: i32) {
        if let Some(description) = self.files.get_mut(id) {
            description.nonblocking = flags & libc::O_NONBLOCK != 0;
            let on_disk = matches!(description.kind, Kind::Disk { .. });
            let settable = libc::O_APPEND | if on_disk { libc::O_DIRECT } else { 0 };
            description.flags = description.flags & !settable | flags & settable;
        }
    }

    pub(super) fn ioctl(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [fd, request, argument, ..] = call.args;
        let description = self.description(id, fd)?;
        self.files.get(description).filter(|d| d.flags & libc::O_PATH == 0).ok_or(Errno::EBADF)?;
        let files = self.files_of(id);
        match request {
            libc::FIONBIO => {
                let on = self.thread(id).tid.read_u32(argument)? != 0;
                if let Some(description) = self.files.get_mut(description) {
                    description.nonblocking = on;
                }
                returns(0)
            }
            // Who is to get SIGIO is not kept, and nobody gets it; servers set this up without use for it.
            libc::FIOASYNC => {
                self.load(id, argument, 4)?;
                match self.files.get(description).map(|d| &d.kind) {
                    Some(Kind::Socket(_) | Kind::PipeRead(_) | Kind::PipeWrite(_)) => returns(0),
                    _ => Err(Errno::ENOTTY.into()),
                }
            }
            libc::TIOCOUTQ => {
                let Some(Kind::Socket(socket)) = self.files.get(description).map(|d| &d.kind) else {
                    return Err(Errno::ENOTTY.into());
                };
                let count = self.net.unsent(*socket);
                self.store(id, argument, &(count as u32).to_le_bytes())?;
                returns(0)
            }
            libc::FIONREAD => {
                let count = match self.files.get(description).map(|d| &d.kind) {
                    Some(Kind::Socket(socket)) => self.net.available(*socket),
                    Some(Kind::PipeRead(pipe) | Kind::PipeWrite(pipe)) => self.files.pipes[pipe].bytes.len(),
                    _ => return self.native(id),
                };
                self.store(id, argument, &(count as u32).to_le_bytes())?;
                returns(0)
            }
            libc::FIOCLEX | libc::FIONCLEX => {
                let result = self.run_call(id)?;
                if let Some(slot) = self.files.slot_mut(files, fd as i32) {
                    slot.close_on_exec = request == libc::FIOCLEX;
                }
                Ok(result.map_or(Outcome::Gone, Outcome::Ran))
            }
            _ => Err(Errno::ENOTTY.into()),
        }
    }

    pub(super) fn pipe(&mut self, id: ThreadId, call: &Call) -> Handled {
        let flags = if call.number == libc::SYS_pipe2 { call.args[1] } else { 0 };
        if flags as i32 & !(libc::O_CLOEXEC | libc::O_NONBLOCK) != 0 {
            return Err(Errno::EINVAL.into());
        }
        let pipe = self.files.add_pipe();
        self.place_pair(id, call, call.args[0], flags, Kind::PipeRead(pipe), Kind::PipeWrite(pipe))
    }

    /// Two descriptors at once; a real pipe holds their numbers.
    pub(super) fn place_pair(
        &mut self,
        id: ThreadId,
        call: &Call,
        to: u64,
        flags: u64,
        a: Kind,
        b: Kind,
    ) -> Handled {
        let close_on_exec = flags & CLOEXEC != 0;
        let result = self.run_instead(id, call, libc::SYS_pipe2, [to, flags & CLOEXEC, 0, 0, 0, 0])?;
        let Some(result) = result else { return Ok(Outcome::Gone) };
        if result == 0 {
            let fds = self.load(id, to, 8)?;
            let node = self.thread(id).node;
            let files = self.files_of(id);
            for (i, (kind, access)) in [(a, libc::O_RDONLY), (b, libc::O_WRONLY)].into_iter().enumerate() {
                let fd = i32::from_le_bytes(fds[4 * i..4 * i + 4].try_into().expect("four bytes"));
                let pipe = match kind {
                    Kind::PipeRead(pipe) => Some((pipe, true)),
                    Kind::PipeWrite(pipe) => Some((pipe, false)),
                    _ => None,
                };
                let access = if pipe.is_some() { access } else { libc::O_RDWR };
                let description = self.files.add(node, flags as i32 | access, kind);
                self.bind(files, fd, description, close_on_exec);
                if let Some((pipe, reads)) = pipe {
                    let pipe = self.files.pipes.get_mut(&pipe).expect("the pipe was just made");
                    *(if reads { &mut pipe.reader } else { &mut pipe.writer }) = Some(description);
                }
            }
        }
        Ok(Outcome::Ran(result))
    }
}
