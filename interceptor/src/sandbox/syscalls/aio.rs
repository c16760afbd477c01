//! Linux AIO: io_setup, io_submit, io_getevents, io_cancel, io_destroy, on files of the node's disk.
//!
//! Sources: io_submit(2), io_getevents(2), and fs/aio.c of Linux for what these leave open.

use super::disk::Manner;
use crate::event::EventKind;
use crate::sandbox::Sandbox;
use crate::sandbox::aio::{Completion, ContextId, Request, Sync};
use crate::sandbox::descriptors::IN;
use crate::sandbox::files::{DescriptionId, Kind};
use crate::sandbox::guest::{Handled, Outcome, Trouble, returns};
use crate::sandbox::log::checksum;
use crate::sandbox::task::{Call, Key, ProcessId, ThreadId};
use crate::sandbox::timers::Due;
use crate::time::Span;
use nix::errno::Errno;
use rand::RngExt;

/// Events beyond which the kernel does not look at how many there may be (fs/aio.c, `ioctx_alloc`).
const COUNT_MAX: u64 = 0x1000_0000 / 32;
/// Requests that all contexts together may hold (`/proc/sys/fs/aio-max-nr`).
const REQUESTS_MAX: u64 = 65_536;
/// `IOCB_FLAG_RESFD` (linux/aio_abi.h).
const FLAG_RESFD: u32 = 1;
/// How long a device takes, at least and at most.
const LATENCY_NS: std::ops::Range<u64> = 20_000..120_000;

/// `IOCB_CMD_*` (linux/aio_abi.h).
mod command {
    pub const PREAD: u16 = 0;
    pub const PWRITE: u16 = 1;
    pub const FSYNC: u16 = 2;
    pub const FDSYNC: u16 = 3;
    pub const PREADV: u16 = 7;
    pub const PWRITEV: u16 = 8;
}

/// `struct iocb` (linux/aio_abi.h), 64 bytes.
struct Asked {
    data: u64,
    rw_flags: i32,
    command: u16,
    fd: u32,
    buffer: u64,
    count: u64,
    offset: u64,
    reserved: u64,
    flags: u32,
    signals: u32,
}

impl Asked {
    const SIZE: usize = 64;
    /// Where the kernel writes its key, which is 0.
    const KEY: u64 = 8;

    fn parse(bytes: &[u8]) -> Self {
        let u16_at = |at: usize| u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"));
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        Self {
            data: u64_at(0),
            rw_flags: u32_at(12) as i32,
            command: u16_at(16),
            fd: u32_at(20),
            buffer: u64_at(24),
            count: u64_at(32),
            offset: u64_at(40),
            reserved: u64_at(48),
            flags: u32_at(56),
            signals: u32_at(60),
        }
    }
}

/// What a request comes to.
enum Way {
    Read(Vec<(u64, usize)>, Manner),
    Write(Vec<(u64, usize)>, Manner),
    Sync,
}

/// How a request went as far as bytes go: its result, what is to be made durable, how much longer it takes.
type Moved = (i64, Option<Sync>, Span);

impl Sandbox {
    fn context(&self, id: ThreadId, address: u64) -> ContextId {
        (self.process_of(id).memory, address)
    }

    /// A context's name is an address: programs look there for a ring of events that the kernel shares with them, and
    /// find none (libaio goes on with the call then).
    pub(super) fn io_setup(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [count, at, ..] = call.args;
        let count = u64::from(count as u32);
        if count == 0 || self.thread(id).tid.read_u64(at)? != 0 {
            return Err(Errno::EINVAL.into());
        }
        if u64::from((count as u32).wrapping_mul(2)) > COUNT_MAX {
            return Err(Errno::EINVAL.into());
        }
        if count > REQUESTS_MAX {
            return Err(Errno::EAGAIN.into());
        }
        let access = (libc::PROT_READ | libc::PROT_WRITE) as u64;
        let manner = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
        let page =
            self.run_instead(id, call, libc::SYS_mmap, [0, tracer::PAGE, access, manner, u64::MAX, 0])?;
        let Some(page) = page else { return Ok(Outcome::Gone) };
        if page < 0 {
            return Ok(Outcome::Ran(page));
        }
        self.store_words(id, at, &[page as u64])?;
        let context = self.context(id, page as u64);
        self.aio.create(context, capacity(count));
        self.set_result(id, 0)?;
        Ok(Outcome::Ran(0))
    }

    /// Waits for what is on its way, as the kernel does.
    pub(super) fn io_destroy(&mut self, id: ThreadId, call: &Call) -> Handled {
        let context = self.context(id, call.args[0]);
        let waits = self.thread(id).progress > 0;
        if !waits && !self.aio.holds(context) {
            return Err(Errno::EINVAL.into());
        }
        if !self.aio.close(context) {
            self.thread_mut(id).progress = 1;
            return Ok(Outcome::Park(vec![Key::Aio(context)]));
        }
        // Who waits for its events finds it gone.
        self.wake(Key::Aio(context));
        let result = self.run_instead(id, call, libc::SYS_munmap, [context.1, tracer::PAGE, 0, 0, 0, 0])?;
        Ok(result.map_or(Outcome::Gone, Outcome::Ran))
    }

    /// How many of the requests were taken; an error only when the first one is not.
    pub(super) fn io_submit(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [context, count, at, ..] = call.args;
        let context = self.context(id, context);
        if !self.aio.holds(context) || (count as i64) < 0 {
            return Err(Errno::EINVAL.into());
        }
        let mut taken = 0;
        while taken < count {
            let submitted = self
                .thread(id)
                .tid
                .read_u64(at + 8 * taken)
                .map_err(Trouble::from)
                .and_then(|request| self.submit(id, context, request));
            match submitted {
                Ok(()) => taken += 1,
                Err(Trouble::Fails(_)) if taken > 0 => break,
                Err(trouble) => return Err(trouble),
            }
        }
        returns(taken)
    }

    fn submit(&mut self, id: ThreadId, context: ContextId, at: u64) -> Result<(), Trouble> {
        let asked = Asked::parse(&self.load(id, at, Asked::SIZE)?);
        if asked.reserved != 0 || asked.flags & !FLAG_RESFD != 0 {
            return Err(Errno::EINVAL.into());
        }
        if !self.aio.has_room(context) {
            return Err(Errno::EAGAIN.into());
        }
        let file = self.description(id, u64::from(asked.fd))?;
        let signals = if asked.flags & FLAG_RESFD == 0 {
            None
        } else {
            let signals = self.description(id, u64::from(asked.signals))?;
            let is_event = matches!(self.files.get(signals).map(|d| &d.kind), Some(Kind::Event { .. }));
            Some(is_event.then_some(signals).ok_or(Errno::EINVAL)?)
        };
        self.store(id, at + Asked::KEY, &[0; 4])?;
        let node = self.thread(id).node;
        let way = self.way_of(id, file, &asked)?;
        // What was asked for is right; how it goes from here on is the request's result.
        let (result, sync, late) = match self.perform(id, file, &asked, way) {
            Err(Trouble::Fails(errno)) => (-i64::from(errno as i32), None, Span::ZERO),
            other => other?,
        };
        let latency = Span(self.nodes[node].device_rng.random_range(LATENCY_NS));
        let completion = Completion { data: asked.data, request: at, result };
        let number = self.aio.submit(Request { context, node, completion, signals, sync });
        self.timers.set(self.now + latency + late, Due::Aio(number));
        Ok(())
    }

    /// What a request comes to, if it can be made at all.
    fn way_of(&self, id: ThreadId, file: DescriptionId, asked: &Asked) -> Result<Way, Trouble> {
        self.disk_file(file)?;
        let vector = match asked.command {
            command::PREADV | command::PWRITEV => self.load_vector(id, asked.buffer, asked.count)?,
            _ => vec![(asked.buffer, asked.count as usize)],
        };
        let manner = self.manner(file, asked.rw_flags)?;
        let access = self.files.get(file).map_or(0, |d| d.flags & libc::O_ACCMODE);
        match asked.command {
            command::PREAD | command::PREADV if access == libc::O_WRONLY => Err(Errno::EBADF.into()),
            command::PREAD | command::PREADV => Ok(Way::Read(vector, manner)),
            command::PWRITE | command::PWRITEV if access == libc::O_RDONLY => Err(Errno::EBADF.into()),
            command::PWRITE | command::PWRITEV => Ok(Way::Write(vector, manner)),
            command::FSYNC | command::FDSYNC if asked.buffer | asked.offset | asked.count == 0 => {
                Ok(Way::Sync)
            }
            _ => Err(Errno::EINVAL.into()),
        }
    }

    /// Moves the bytes of a request, or says what it will make durable.
    fn perform(
        &mut self,
        id: ThreadId,
        file: DescriptionId,
        asked: &Asked,
        way: Way,
    ) -> Result<Moved, Trouble> {
        let node = self.thread(id).node;
        match way {
            Way::Read(vector, manner) => {
                self.may_block(id, manner)?;
                let bytes = self.read_disk(id, file, &vector, Some(asked.offset))?;
                self.scatter(id, &vector, &bytes)?;
                self.moved ^= checksum(&bytes);
                Ok((bytes.len() as i64, None, Span::ZERO))
            }
            Way::Write(vector, manner) => {
                self.may_block(id, manner)?;
                let bytes = self.gather(id, &vector)?;
                let write = self.begin_write(id, file, (&vector, bytes), Some(asked.offset), manner)?;
                let written = self.carry_out(node, &write)?;
                let range = write.offset..write.offset + written;
                let sync = manner.synchronous.then_some(Sync { file: write.reader, range: Some(range) });
                self.admitted_sync(id, sync, written as i64, write.delay)
            }
            Way::Sync => {
                let (_, reader, _) = self.disk_file(file)?;
                let sync = Some(Sync { file: reader.try_clone()?, range: None });
                let delay = self.nodes[node].disk.sync_delay();
                self.admitted_sync(id, sync, 0, delay)
            }
        }
    }

    /// The disk may fail the sync that ends a request.
    fn admitted_sync(
        &mut self,
        id: ThreadId,
        sync: Option<Sync>,
        result: i64,
        delay: Span,
    ) -> Result<Moved, Trouble> {
        let node = self.thread(id).node;
        if let Some(Sync { file, range }) = &sync
            && let Err(errno) = self.nodes[node].disk.fail_sync(file, range.clone().unwrap_or(0..u64::MAX))
        {
            self.note(self.nodes[node].host, EventKind::Fsync { failed: true });
            return Ok((-i64::from(errno as i32), None, delay));
        }
        Ok((result, sync, delay))
    }

    pub(super) fn io_getevents(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [context, least, most, events, timeout, ..] = call.args;
        let context = self.context(id, context);
        let (least, most) = (least as i64, most as i64);
        if !self.aio.holds(context) || least < 0 || most < least {
            return Err(Errno::EINVAL.into());
        }
        let timeout = self.load_timeout(id, timeout, false)?;
        if (self.aio.ready(context) as i64) < least && !self.wait_over(id, timeout) {
            return Ok(Outcome::Park(vec![Key::Aio(context)]));
        }
        let taken = self.aio.take(context, most as usize);
        let words = taken.iter().flat_map(|it| [it.data, it.request, it.result as u64, 0]);
        let bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        self.store(id, events, &bytes)?;
        returns(taken.len() as u64)
    }

    /// Requests to files cannot be called back (fs/aio.c).
    pub(super) fn io_cancel(&self, id: ThreadId, call: &Call) -> Handled {
        self.load(id, call.args[1], Asked::SIZE)?;
        Err(Errno::EINVAL.into())
    }
}

impl Sandbox {
    /// The device is done with a request.
    pub(in crate::sandbox) fn aio_ends(&mut self, number: u64) -> Result<(), crate::sandbox::Error> {
        let Some(request) = self.aio.end(number) else { return Ok(()) };
        self.make_request_durable(&request)?;
        if let Some(signals) = request.signals
            && let Some(Kind::Event { count, .. }) = self.files.get_mut(signals).map(|d| &mut d.kind)
        {
            *count = count.saturating_add(1).min(u64::MAX - 1);
            self.notify(signals, IN);
        }
        self.wake(Key::Aio(request.context));
        Ok(())
    }

    /// A process's memory is gone: its requests end with it, unseen.
    pub(in crate::sandbox) fn end_aio(&mut self, process: ProcessId) -> Result<(), crate::sandbox::Error> {
        for request in self.aio.forget_process(process) {
            self.make_request_durable(&request)?;
        }
        Ok(())
    }

    fn make_request_durable(&mut self, request: &Request) -> Result<(), crate::sandbox::Error> {
        let Some(Sync { file, range }) = &request.sync else { return Ok(()) };
        let owner = &mut self.nodes[request.node];
        match range {
            Some(range) => owner.disk.sync_range(file, range.start, range.end - range.start)?,
            None => owner.disk.sync(file)?,
        }
        let host = owner.host;
        self.note(host, EventKind::Fsync { failed: false });
        Ok(())
    }
}

/// How many requests a context for `count` of them holds on a machine with one processor: a ring of whole pages, with
/// a header as large as an event (aio_setup_ring of fs/aio.c).
fn capacity(count: u64) -> usize {
    const EVENT: u64 = 32;
    let wanted = count.max(4) * 2 + 2;
    let bytes = ((wanted + 1) * EVENT).next_multiple_of(tracer::PAGE);
    (bytes / EVENT - 2) as usize
}

#[cfg(test)]
mod tests {
    use super::{Asked, capacity};

    #[test]
    fn a_ring_fills_its_pages() {
        assert_eq!([1, 60, 61, 1000].map(capacity), [126, 126, 126, 2046]);
        assert!((1..2000).all(|count| capacity(count) as u64 >= count));
    }

    #[test]
    fn a_request_is_laid_out_as_the_kernel_says() {
        let words = [7_u64, 2 << 32, 8 | 3 << 32, 0x1000, 2, 4096, 0, 1 | 9 << 32];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let asked = Asked::parse(&bytes);
        assert_eq!((asked.data, asked.rw_flags, asked.command, asked.fd), (7, 2, 8, 3));
        assert_eq!((asked.buffer, asked.count, asked.offset), (0x1000, 2, 4096));
        assert_eq!((asked.reserved, asked.flags, asked.signals), (0, 1, 9));
    }
}
