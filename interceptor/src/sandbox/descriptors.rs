//! What descriptors are ready for, who is told when that changes, and what closing the last one means.

use super::epoll::Noted;
use super::files::{Description, DescriptionId, FilesId, Kind, Pipe, PipeId};
use super::guest::Trouble;
use super::task::{Key, State, ThreadId};
use super::timers::Due;
use super::{ClockKind, Deadline, Sandbox};
use crate::event::{EventKind, LogLine, Report};
use crate::time::Span;
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

pub(super) const IN: u32 = libc::EPOLLIN as u32;
pub(super) const OUT: u32 = libc::EPOLLOUT as u32;
pub(super) const ERR: u32 = libc::EPOLLERR as u32;
pub(super) const HUP: u32 = libc::EPOLLHUP as u32;

/// How deep epoll instances may be nested (epoll_ctl(2), ELOOP).
const NESTING_MAX: u32 = 5;

impl Sandbox {
    /// What `fd` of the calling thread stands for.
    pub(super) fn description(&self, id: ThreadId, fd: u64) -> Result<DescriptionId, Trouble> {
        let files = self.files_of(id);
        Ok(self.files.slot(files, fd as i32).ok_or(Errno::EBADF)?.description)
    }

    /// The table of descriptors that a thread uses.
    pub(super) fn files_of(&self, id: ThreadId) -> FilesId {
        self.thread(id).own_files.unwrap_or_else(|| self.process_of(id).files)
    }

    /// A duplicate of a descriptor of the calling thread's.
    pub(super) fn copy_of_descriptor(&self, id: ThreadId, fd: i32) -> Result<OwnedFd, Trouble> {
        Ok(self.thread(id).tid.duplicate_descriptor(self.process_of(id).tid, fd)?)
    }

    /// Nobody of these uses the table any more: the last one closes what is in it.
    pub(super) fn leave_files(&mut self, files: FilesId) {
        for fd in self.files.leave(files) {
            self.close_descriptor(files, fd);
        }
        self.files.drop_table(files);
    }

    /// Poll bits that are true of a description now.
    pub(super) fn readiness(&self, id: DescriptionId) -> u32 {
        self.readiness_within(id, 0)
    }

    fn readiness_within(&self, id: DescriptionId, depth: u32) -> u32 {
        let Some(description) = self.files.get(id) else { return 0 };
        let when = |condition: bool, bits: u32| if condition { bits } else { 0 };
        match &description.kind {
            Kind::Socket(socket) => self.net.readiness(*socket).0,
            Kind::Epoll(epoll) => when(
                depth < NESTING_MAX && epoll.is_ready(|inner| self.readiness_within(inner, depth + 1)),
                IN,
            ),
            Kind::Event { count, .. } => when(*count > 0, IN) | when(*count < u64::MAX - 1, OUT),
            Kind::PipeRead(pipe) => {
                let pipe = &self.files.pipes[pipe];
                when(!pipe.bytes.is_empty(), IN) | when(pipe.writer.is_none(), HUP)
            }
            Kind::PipeWrite(pipe) => {
                let pipe = &self.files.pipes[pipe];
                when(pipe.capacity - pipe.bytes.len() >= Pipe::ATOMIC, OUT) | when(pipe.reader.is_none(), ERR)
            }
            Kind::Timer(timer) => when(timer.expirations > 0, IN),
            Kind::Signals(mask) => when(self.is_signal_queued(id, *mask), IN),
            Kind::Output { .. } => OUT,
            Kind::Random | Kind::Disk { .. } | Kind::Directory { .. } | Kind::Host { .. } => IN | OUT,
        }
    }

    /// Something happened to a description: `bits` just became true (again). Wakes who waits for it, and
    /// tells the epoll instances that watch it.
    pub(super) fn notify(&mut self, id: DescriptionId, bits: u32) {
        let mut queue = vec![(id, bits)];
        while let Some((id, bits)) = queue.pop() {
            self.wake(Key::Description(id));
            let threads = &self.threads;
            let is_awaited = |id| {
                let key = Key::Description(id);
                threads.values().any(|it| matches!(&it.state, State::Parked(keys) if keys.contains(&key)))
            };
            let mut others = true;
            for (outer, epoll) in self.files.epolls() {
                let noted = epoll.notify(id, bits, others);
                if noted != Noted::Nothing {
                    queue.push((outer, IN));
                }
                others &= noted != Noted::Exclusively || !is_awaited(outer);
            }
        }
    }

    /// Hands on what the network says has happened.
    pub(super) fn spread_edges(&mut self) {
        for (socket, ready) in self.net.take_edges() {
            match self.files.sockets.get(&socket) {
                Some(&id) => self.notify(id, ready.0),
                None => self.client_events.push_back((socket, ready.0)),
            }
        }
    }

    /// A number was closed; if it was the last one, so is what it stood for.
    pub(super) fn close_descriptor(&mut self, files: FilesId, fd: i32) {
        if let Some(slot) = self.files.slot(files, fd) {
            self.release_posix_locks(files, slot.description);
        }
        if let Some((id, description)) = self.files.unbind(files, fd) {
            self.closed(id, description);
        }
    }

    /// Binds a number, closing what it stood for.
    pub(super) fn bind(&mut self, files: FilesId, fd: i32, id: DescriptionId, close_on_exec: bool) {
        let before = self.files.slot(files, fd).map(|slot| slot.description);
        if let Some(before) = before {
            self.release_posix_locks(files, before);
        }
        if let Some(description) = self.files.bind(files, fd, id, close_on_exec)
            && let Some(before) = before
        {
            self.closed(before, description);
        }
    }

    /// The last number of a description is gone.
    pub(super) fn closed(&mut self, id: DescriptionId, description: Description) {
        for (_, epoll) in self.files.epolls() {
            epoll.forget(id);
        }
        self.release_locks(id);
        self.in_memory.remove(&id);
        match description.kind {
            Kind::Socket(socket) => {
                self.note_disconnect(socket);
                self.net.close(socket, self.now);
            }
            Kind::PipeRead(pipe) => self.pipe_end_closed(pipe, true),
            Kind::PipeWrite(pipe) => self.pipe_end_closed(pipe, false),
            Kind::Timer(timer) => {
                if let Some(timer) = timer.timer {
                    self.timers.cancel(timer);
                }
            }
            _ => {}
        }
        self.wake(Key::Description(id));
    }

    fn pipe_end_closed(&mut self, id: PipeId, read_end: bool) {
        let Some(pipe) = self.files.pipes.get_mut(&id) else { return };
        if read_end {
            pipe.reader = None;
        } else {
            pipe.writer = None;
        }
        let (other, bits) = if read_end { (pipe.writer, ERR | OUT) } else { (pipe.reader, HUP | IN) };
        match other {
            Some(other) => self.notify(other, bits),
            None => {
                self.files.pipes.remove(&id);
            }
        }
    }

    /// A timer descriptor's time has come. Until somebody reads of that, it is not set again (timerfd_create(2)).
    pub(super) fn timer_descriptor_fires(&mut self, id: DescriptionId) {
        let Some(description) = self.files.get_mut(id) else { return };
        let node = description.node;
        let Kind::Timer(timer) = &mut description.kind else { return };
        timer.timer = None;
        timer.expirations += timer.beat.catch_up(self.nodes[node].clock.read(timer.clock, self.now));
        self.notify(id, IN);
    }

    /// What has expired of a timer descriptor is taken note of: from now on it runs again.
    pub(super) fn take_expirations(&mut self, id: DescriptionId) -> Option<u64> {
        let description = self.files.get_mut(id)?;
        let clock = &self.nodes[description.node].clock;
        let Kind::Timer(timer) = &mut description.kind else { return None };
        if timer.expirations == 0 {
            return None;
        }
        let passed = timer.beat.catch_up(clock.read(timer.clock, self.now));
        if let Some(next) = timer.beat.next_ns {
            let at = clock.instant_of(timer.clock, next).max(self.now);
            timer.timer = Some(self.timers.set(at, Due::Descriptor(id)));
        }
        Some(std::mem::take(&mut timer.expirations) + passed)
    }

    /// Sets the calling thread's deadline `span` from now, if it has none yet; whether it has passed.
    pub(super) fn timed_out(&mut self, id: ThreadId, clock: ClockKind, span: Span) -> bool {
        let node = self.thread(id).node;
        let reading = self.nodes[node].clock.read(clock, self.now);
        self.timed_out_at(id, Deadline { clock, ns: reading.saturating_add(span.0) })
    }

    /// Sets the calling thread's deadline, if it has none yet; whether it has passed.
    pub(super) fn timed_out_at(&mut self, id: ThreadId, deadline: Deadline) -> bool {
        let now = self.now;
        let node = self.thread(id).node;
        let Deadline { clock, ns } = *self.thread_mut(id).until.get_or_insert(deadline);
        self.nodes[node].clock.read(clock, now) >= ns
    }

    /// Output of a node: kept by lines; reports among them become events.
    pub(super) fn output(&mut self, node: usize, stderr: bool, bytes: &[u8]) {
        let at = self.now;
        let owner = &mut self.nodes[node];
        owner.output_bytes += bytes.len() as u64;
        if owner.output_bytes > self.config.limits.output_max {
            let why = format!(
                "node n{} wrote more than {} bytes of output",
                node + 1,
                self.config.limits.output_max
            );
            self.stop_run(why);
            return;
        }
        let host = owner.host;
        let pending = &mut owner.output[usize::from(stderr)];
        pending.extend_from_slice(bytes);
        let Some(end) = pending.iter().rposition(|&b| b == b'\n') else { return };
        let rest = pending.split_off(end + 1);
        let whole = std::mem::replace(pending, rest);
        for line in whole[..whole.len() - 1].split(|&b| b == b'\n') {
            self.line(LogLine { at, host, stderr, text: String::from_utf8_lossy(line).into_owned() });
        }
    }

    fn line(&mut self, line: LogLine) {
        let told = || self.config.roles.iter().find_map(|role| role.read(&line.text));
        if let Some(report) = Report::parse(line.text.as_bytes()).or_else(told) {
            self.note(line.host, EventKind::Report(report));
        }
        self.logs.push(line);
    }

    /// The node's last process is gone: an unfinished line is one, too.
    pub(super) fn flush_output(&mut self, node: usize) {
        for stderr in [false, true] {
            let rest = std::mem::take(&mut self.nodes[node].output[usize::from(stderr)]);
            if !rest.is_empty() {
                let text = String::from_utf8_lossy(&rest).into_owned();
                self.line(LogLine { at: self.now, host: self.nodes[node].host, stderr, text });
            }
        }
    }

    /// The number of descriptors of each kind that a node has open; for tests and reports.
    #[must_use]
    pub fn open_descriptions(&self) -> usize {
        self.files.len()
    }

    /// Names of the hosts, by their number.
    #[must_use]
    pub fn host_names(&self) -> BTreeMap<u16, String> {
        let nodes = self
            .nodes
            .iter()
            .filter(|node| !self.clients.contains(&node.host))
            .map(|node| (node.host.0, node.config.name.clone()));
        let clients = self.clients.iter().enumerate().map(|(j, host)| (host.0, format!("c{}", j + 1)));
        nodes.chain(clients).collect()
    }
}
