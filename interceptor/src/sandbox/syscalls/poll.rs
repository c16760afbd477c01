//! Waiting for readiness: poll, select, epoll; and the descriptors made to be waited for.

use crate::sandbox::epoll::{self, Epoll, Noted};
use crate::sandbox::files::{DescriptionId, Kind, TimerDescriptor};
use crate::sandbox::guest::{Handled, Outcome, Trouble, returns};
use crate::sandbox::task::{Call, Key, ThreadId};
use crate::sandbox::timers::{Beat, Due};
use crate::sandbox::{ClockKind, Sandbox};
use crate::time::Span;
use nix::errno::Errno;
use std::collections::BTreeSet;

/// Descriptors of one poll or select.
const DESCRIPTORS_MAX: u64 = 4096;
const FD_SETSIZE: u64 = 1024;
/// How many instances of epoll may watch each other in a chain, beside the first (`EP_MAX_NESTS`).
const INSTANCES_MAX: usize = 4;

/// What is reached from an instance, by the number of steps; no further than it matters.
fn levels(
    from: DescriptionId,
    next: impl Fn(DescriptionId) -> Vec<DescriptionId>,
) -> Vec<BTreeSet<DescriptionId>> {
    let mut levels = vec![BTreeSet::from([from])];
    while levels.len() <= INSTANCES_MAX + 1 {
        let level: BTreeSet<DescriptionId> =
            levels[levels.len() - 1].iter().flat_map(|&id| next(id)).collect();
        if level.is_empty() {
            break;
        }
        levels.push(level);
    }
    levels
}

impl Sandbox {
    /// The end of a wait that may have a timeout and a temporary signal mask: `None` while it goes on.
    pub(super) fn wait_over(&mut self, id: ThreadId, timeout: Option<Span>) -> bool {
        timeout.is_some_and(|span| span == Span::ZERO || self.timed_out(id, ClockKind::Monotonic, span))
    }

    fn timeout_ms(ms: i32) -> Option<Span> {
        u64::try_from(ms).ok().map(Span::from_millis)
    }

    pub(super) fn load_timeout(&self, id: ThreadId, at: u64, micros: bool) -> Result<Option<Span>, Trouble> {
        if at == 0 {
            return Ok(None);
        }
        let (seconds, fraction) = self.load_pair(id, at)?;
        Ok(Some(super::span(seconds, if micros { fraction.saturating_mul(1000) } else { fraction })?))
    }

    fn with_mask(&mut self, id: ThreadId, mask: u64, size: u64) -> Result<Option<Outcome>, Trouble> {
        if mask == 0 {
            return Ok(None);
        }
        super::check_signals(size)?;
        let mask = self.thread(id).tid.read_u64(mask)?;
        self.swap_mask(id, mask)
    }

    /// poll and ppoll: `struct pollfd` is the number, the events asked for, the events found.
    pub(super) fn poll(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [at, count, timeout, mask, size, _] = call.args;
        let (most, _) = self.process_of(id).limits[libc::RLIMIT_NOFILE as usize];
        if count > most.min(DESCRIPTORS_MAX) {
            return Err(Errno::EINVAL.into());
        }
        let timeout = if call.number == libc::SYS_poll {
            Self::timeout_ms(timeout as i32)
        } else {
            if let Some(outcome) = self.with_mask(id, mask, size)? {
                return Ok(outcome);
            }
            self.load_timeout(id, timeout, false)?
        };
        let mut entries = self.load(id, at, count as usize * 8)?;
        let (mut found, mut keys) = (0, Vec::new());
        for entry in entries.chunks_exact_mut(8) {
            let fd = i32::from_le_bytes(entry[0..4].try_into().expect("four bytes"));
            let events = u32::from(u16::from_le_bytes([entry[4], entry[5]]));
            let bits = if fd < 0 {
                0
            } else {
                match self.description(id, fd as u64) {
                    Ok(description) => {
                        keys.push(Key::Description(description));
                        self.readiness(description) & (events | (libc::POLLERR | libc::POLLHUP) as u32)
                    }
                    Err(_) => libc::POLLNVAL as u32,
                }
            };
            entry[6..8].copy_from_slice(&(bits as u16).to_le_bytes());
            found += u32::from(bits != 0);
        }
        if found == 0 && !self.wait_over(id, timeout) {
            return Ok(Outcome::Park(keys));
        }
        self.restore_mask(id)?;
        self.store(id, at, &entries)?;
        returns(found)
    }

    pub(super) fn select(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [count, read, write, except, timeout, mask] = call.args;
        if count > FD_SETSIZE {
            return Err(Errno::EINVAL.into());
        }
        let micros = call.number == libc::SYS_select;
        if !micros && mask != 0 {
            let (mask, size) = self.load_pair(id, mask)?;
            if let Some(outcome) = self.with_mask(id, mask as u64, size as u64)? {
                return Ok(outcome);
            }
        }
        let timeout = self.load_timeout(id, timeout, micros)?;
        let len = (count as usize).div_ceil(64) * 8;
        // What makes a descriptor readable, writable, exceptional (select(2)).
        let wanted = [
            (read, (libc::POLLIN | libc::POLLHUP | libc::POLLERR) as u32),
            (write, (libc::POLLOUT | libc::POLLERR) as u32),
            (except, libc::POLLPRI as u32),
        ];
        let (mut found, mut keys, mut results) = (0, Vec::new(), Vec::new());
        for (at, bits) in wanted {
            if at == 0 {
                continue;
            }
            let asked = self.load(id, at, len)?;
            let mut result = vec![0_u8; len];
            for fd in 0..count as usize {
                if asked[fd / 8] & 1 << (fd % 8) == 0 {
                    continue;
                }
                let description = self.description(id, fd as u64)?;
                keys.push(Key::Description(description));
                if self.readiness(description) & bits != 0 {
                    result[fd / 8] |= 1 << (fd % 8);
                    found += 1;
                }
            }
            results.push((at, result));
        }
        if found == 0 && !self.wait_over(id, timeout) {
            return Ok(Outcome::Park(keys));
        }
        self.restore_mask(id)?;
        for (at, result) in results {
            self.store(id, at, &result)?;
        }
        returns(found)
    }

    pub(super) fn epoll_create(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [flags, ..] = call.args;
        let flags = match call.number {
            libc::SYS_epoll_create1 if flags & !(libc::EPOLL_CLOEXEC as u64) == 0 => flags,
            libc::SYS_epoll_create if flags as i32 > 0 => 0,
            _ => return Err(Errno::EINVAL.into()),
        };
        self.place(id, call, Kind::Epoll(Epoll::default()), flags)
    }

    pub(super) fn epoll_ctl(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [epoll, operation, fd, event, ..] = call.args;
        let (events, data) = if operation as i32 == libc::EPOLL_CTL_DEL {
            (0, 0)
        } else {
            // Packed: four bytes of events, eight of data.
            let bytes = self.load(id, event, 12)?;
            let events = u32::from_le_bytes(bytes[0..4].try_into().expect("four bytes"));
            (events, u64::from_le_bytes(bytes[4..12].try_into().expect("eight bytes")))
        };
        let instance = self.description(id, epoll)?;
        let watched = self.description(id, fd)?;
        if instance == watched {
            return Err(Errno::EINVAL.into());
        }
        self.files.get(watched).filter(|d| d.flags & libc::O_PATH == 0).ok_or(Errno::EBADF)?;
        let pollable = !matches!(
            self.files.get(watched).map(|d| &d.kind),
            Some(Kind::Disk { .. } | Kind::Directory { .. } | Kind::Host { .. } | Kind::Random)
        );
        if !pollable {
            return Err(Errno::EPERM.into());
        }
        let target = (fd as i32, watched);
        let is_instance = matches!(self.files.get(watched).map(|d| &d.kind), Some(Kind::Epoll(_)));
        if operation as i32 == libc::EPOLL_CTL_ADD && !epoll::can_be_added(events, is_instance) {
            return Err(Errno::EINVAL.into());
        }
        if operation as i32 == libc::EPOLL_CTL_ADD {
            self.check_nesting(instance, watched)?;
        }
        let Some(Kind::Epoll(state)) = self.files.get_mut(instance).map(|d| &mut d.kind) else {
            return Err(Errno::EINVAL.into());
        };
        match operation as i32 {
            libc::EPOLL_CTL_MOD if state.is_exclusive(target) || epoll::is_exclusive(events) => {
                return Err(Errno::EINVAL.into());
            }
            libc::EPOLL_CTL_ADD if !state.add(target, events, data) => return Err(Errno::EEXIST.into()),
            libc::EPOLL_CTL_MOD if !state.modify(target, events, data) => return Err(Errno::ENOENT.into()),
            libc::EPOLL_CTL_DEL if !state.remove(target) => return Err(Errno::ENOENT.into()),
            libc::EPOLL_CTL_ADD | libc::EPOLL_CTL_MOD | libc::EPOLL_CTL_DEL => {}
            _ => return Err(Errno::EINVAL.into()),
        }
        // What is true already counts as having just become so.
        let bits = self.readiness(watched);
        let mut ready = false;
        if let Some(Kind::Epoll(state)) = self.files.get_mut(instance).map(|d| &mut d.kind) {
            ready = operation as i32 != libc::EPOLL_CTL_DEL
                && state.notify(watched, bits, true) != Noted::Nothing;
        }
        if ready {
            self.notify(instance, crate::sandbox::descriptors::IN);
        }
        returns(0)
    }

    /// Instances watch each other in no ring, and no deeper than in the kernel (fs/eventpoll.c, `ep_loop_check`).
    fn check_nesting(&self, instance: DescriptionId, watched: DescriptionId) -> Result<(), Errno> {
        let inner = |id: DescriptionId| match self.files.get(id).map(|d| &d.kind) {
            Some(Kind::Epoll(epoll)) => epoll.watched().collect(),
            _ => Vec::new(),
        };
        let outer = |id: DescriptionId| {
            let others = self.files.epolls_that_watch(id);
            others.collect::<Vec<DescriptionId>>()
        };
        let is_instance = |id| matches!(self.files.get(id).map(|d| &d.kind), Some(Kind::Epoll(_)));
        if !is_instance(watched) {
            return Ok(());
        }
        let below = levels(watched, |id| inner(id).into_iter().filter(|&id| is_instance(id)).collect());
        let above = levels(instance, outer);
        let is_ring = below.iter().any(|level| level.contains(&instance));
        if is_ring || below.len() + above.len() - 1 > INSTANCES_MAX {
            return Err(Errno::ELOOP);
        }
        Ok(())
    }

    pub(super) fn epoll_wait(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [fd, to, max, timeout, mask, size] = call.args;
        if max as i32 <= 0 {
            return Err(Errno::EINVAL.into());
        }
        let instance = self.description(id, fd)?;
        if call.number != libc::SYS_epoll_wait
            && let Some(outcome) = self.with_mask(id, mask, size)?
        {
            return Ok(outcome);
        }
        let timeout = if call.number == libc::SYS_epoll_pwait2 {
            self.load_timeout(id, timeout, false)?
        } else {
            Self::timeout_ms(timeout as i32)
        };
        let taken = self.take_events(instance, max as usize)?;
        if taken.is_empty() && !self.wait_over(id, timeout) {
            return Ok(Outcome::Park(vec![Key::Description(instance)]));
        }
        self.restore_mask(id)?;
        let bytes: Vec<u8> = taken
            .iter()
            .flat_map(|(bits, data)| [&bits.to_le_bytes()[..], &data.to_le_bytes()[..]].concat())
            .collect();
        self.store(id, to, &bytes)?;
        returns(taken.len() as u64)
    }

    fn take_events(&mut self, instance: DescriptionId, max: usize) -> Result<Vec<(u32, u64)>, Trouble> {
        // Taken out while readiness is asked for: it may ask for other instances.
        let Some(Kind::Epoll(state)) = self.files.get_mut(instance).map(|d| &mut d.kind) else {
            return Err(Errno::EINVAL.into());
        };
        let mut state = std::mem::take(state);
        let taken = state.take(max, |watched| self.readiness(watched));
        if let Some(Kind::Epoll(place)) = self.files.get_mut(instance).map(|d| &mut d.kind) {
            *place = state;
        }
        Ok(taken)
    }

    pub(super) fn eventfd(&mut self, id: ThreadId, call: &Call) -> Handled {
        let flags = if call.number == libc::SYS_eventfd2 { call.args[1] } else { 0 };
        let known = libc::EFD_SEMAPHORE | libc::EFD_CLOEXEC | libc::EFD_NONBLOCK;
        if flags as i32 & !known != 0 {
            return Err(Errno::EINVAL.into());
        }
        let semaphore = flags & libc::EFD_SEMAPHORE as u64 != 0;
        let count = call.args[0] & 0xffff_ffff;
        self.place(id, call, Kind::Event { count, semaphore }, flags & !(libc::EFD_SEMAPHORE as u64))
    }

    pub(super) fn signalfd(&mut self, id: ThreadId, call: &Call) -> Handled {
        let flags = if call.number == libc::SYS_signalfd4 { call.args[3] } else { 0 };
        super::check_signals(call.args[2])?;
        if flags as i32 & !(libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) != 0 {
            return Err(Errno::EINVAL.into());
        }
        let mask = self.thread(id).tid.read_u64(call.args[1])?;
        if call.args[0] as i32 == -1 {
            return self.place(id, call, Kind::Signals(mask), flags);
        }
        let description = self.description(id, call.args[0])?;
        match self.files.get_mut(description).map(|d| &mut d.kind) {
            Some(Kind::Signals(old)) => *old = mask,
            _ => return Err(Errno::EINVAL.into()),
        }
        returns(call.args[0])
    }

    pub(super) fn timerfd_create(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [clock, flags, ..] = call.args;
        if flags as i32 & !(libc::TFD_CLOEXEC | libc::TFD_NONBLOCK) != 0 {
            return Err(Errno::EINVAL.into());
        }
        let clock = super::time::clock_kind(clock)?;
        let timer = TimerDescriptor { clock, beat: Beat::default(), expirations: 0, timer: None };
        self.place(id, call, Kind::Timer(timer), flags)
    }

    pub(super) fn timerfd_settime(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [fd, flags, new, old, ..] = call.args;
        let [interval_s, interval_ns, value_s, value_ns] = self.load_four(id, new)?;
        let (interval, value) = (super::span(interval_s, interval_ns)?, super::span(value_s, value_ns)?);
        if flags as i32 & !(libc::TFD_TIMER_ABSTIME | libc::TFD_TIMER_CANCEL_ON_SET) != 0 {
            return Err(Errno::EINVAL.into());
        }
        let description = self.description(id, fd)?;
        if old != 0 {
            self.timerfd_gettime(id, fd, old)?;
        }
        let node = self.thread(id).node;
        let now = self.now;
        let node_clock = self.nodes[node].clock.clone();
        let Some(Kind::Timer(timer)) = self.files.get_mut(description).map(|d| &mut d.kind) else {
            return Err(Errno::EINVAL.into());
        };
        if let Some(pending) = timer.timer.take() {
            self.timers.cancel(pending);
        }
        timer.expirations = 0;
        timer.beat = Beat { next_ns: None, interval };
        if value > Span::ZERO {
            let absolute = flags & libc::TFD_TIMER_ABSTIME as u64 != 0;
            let from = if absolute { 0 } else { node_clock.read(timer.clock, now) };
            let next = from.saturating_add(value.0);
            timer.beat.next_ns = Some(next);
            let at = node_clock.instant_of(timer.clock, next).max(now);
            timer.timer = Some(self.timers.set(at, Due::Descriptor(description)));
        }
        returns(0)
    }

    pub(super) fn timerfd_gettime(&mut self, id: ThreadId, fd: u64, to: u64) -> Handled {
        let description = self.description(id, fd)?;
        let node = self.thread(id).node;
        let Some(Kind::Timer(timer)) = self.files.get(description).map(|d| &d.kind) else {
            return Err(Errno::EINVAL.into());
        };
        let now = self.nodes[node].clock.read(timer.clock, self.now);
        let left = timer.beat.left_ns(now);
        let (interval, second) = (timer.beat.interval.0, 1_000_000_000);
        self.store_words(id, to, &[interval / second, interval % second, left / second, left % second])?;
        returns(0)
    }

    /// The node's clock was touched: its timer descriptors follow.
    pub(in crate::sandbox) fn rearm_descriptors(&mut self, node: usize) {
        let now = self.now;
        let clock = self.nodes[node].clock.clone();
        let mut again = Vec::new();
        for (id, description) in self.files.all_mut() {
            if let Kind::Timer(timer) = &mut description.kind
                && description.node == node
                && let (Some(pending), Some(next)) = (timer.timer, timer.beat.next_ns)
            {
                again.push((id, pending, clock.instant_of(timer.clock, next).max(now)));
            }
        }
        for (id, pending, at) in again {
            self.timers.cancel(pending);
            let pending = self.timers.set(at, Due::Descriptor(id));
            if let Some(Kind::Timer(timer)) = self.files.get_mut(id).map(|d| &mut d.kind) {
                timer.timer = Some(pending);
            }
        }
    }
}
