//! Bytes that never reach a disk: pipes, counters of events, expirations of timers.

use crate::sandbox::Sandbox;
use crate::sandbox::descriptors::{IN, OUT};
use crate::sandbox::files::{DescriptionId, Kind, Pipe, PipeId};
use crate::sandbox::guest::{Handled, Trouble, returns};
use crate::sandbox::log::checksum;
use crate::sandbox::task::{SentSignal, State, ThreadId};
use nix::errno::Errno;

impl Sandbox {
    pub(super) fn read_pipe(&mut self, id: PipeId, max: usize) -> Option<Vec<u8>> {
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

    /// `F_GETPIPE_SZ`, and `F_SETPIPE_SZ` where a size is wanted: powers of two, in which what is there has room (fcntl(2)).
    pub(super) fn pipe_size(&mut self, id: DescriptionId, wanted: Option<u64>) -> Handled {
        let Some(Kind::PipeRead(pipe) | Kind::PipeWrite(pipe)) = self.files.get(id).map(|d| &d.kind) else {
            return Err(Errno::EBADF.into());
        };
        let (pipe, mut grown) = (*pipe, None);
        let state = self.files.pipes.get_mut(&pipe).ok_or(Errno::EBADF)?;
        if let Some(wanted) = wanted {
            let wanted = wanted as u32 as usize;
            if wanted > 1 << 31 {
                return Err(Errno::EINVAL.into());
            }
            let size = wanted.next_power_of_two().max(*Pipe::CAPACITIES.start());
            if size > *Pipe::CAPACITIES.end() {
                return Err(Errno::EPERM.into());
            }
            if size < state.bytes.len() {
                return Err(Errno::EBUSY.into());
            }
            grown = state.writer.filter(|_| size > state.capacity);
            state.capacity = size;
        }
        let capacity = state.capacity;
        if let Some(writer) = grown {
            self.notify(writer, OUT);
        }
        returns(capacity)
    }

    pub(super) fn write_pipe(
        &mut self,
        id: ThreadId,
        to: DescriptionId,
        pipe: PipeId,
        bytes: &[u8],
    ) -> Handled {
        let Some(state) = self.files.pipes.get_mut(&pipe) else { return Err(Errno::EBADF.into()) };
        let Some(reader) = state.reader else { return self.broken_pipe(id) };
        let room = state.capacity - state.bytes.len();
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

    pub(super) fn read_event(&mut self, id: DescriptionId, max: usize) -> Result<Option<u64>, Trouble> {
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

    pub(super) fn write_event(&mut self, id: DescriptionId, add: u64) -> Handled {
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

    pub(super) fn read_timer(&mut self, id: DescriptionId, max: usize) -> Result<Option<u64>, Trouble> {
        if max < 8 {
            return Err(Errno::EINVAL.into());
        }
        Ok(self.take_expirations(id))
    }
}
