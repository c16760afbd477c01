//! Calls about time: the node's clocks, sleeping, timers that send signals.

use crate::sandbox::clock::SLACK;
use crate::sandbox::guest::{Handled, Outcome, returns};
use crate::sandbox::signals::SI_TIMER;
use crate::sandbox::task::{Alarm, Call, PosixTimer, ProcessId, Sent, SentSignal, ThreadId};
use crate::sandbox::timers::{Beat, Due};
use crate::sandbox::{ClockKind, Deadline, Error, Sandbox};
use crate::time::Span;
use nix::errno::Errno;

const SECOND: u64 = 1_000_000_000;
const SI_KERNEL: i32 = 0x80;
/// `struct sigevent`.
const SIGEVENT_BYTES: usize = 64;
/// A timer whose signal nobody wants is not looked at more often.
const TICK: Span = Span::from_millis(1);

/// A timespec as a span.
pub(in crate::sandbox) fn span(seconds: i64, nanoseconds: i64) -> Result<Span, Errno> {
    if seconds < 0 || !(0..SECOND as i64).contains(&nanoseconds) {
        return Err(Errno::EINVAL);
    }
    Ok(Span((seconds as u64).saturating_mul(SECOND).saturating_add(nanoseconds as u64)))
}

/// The clock of a node that a clock id means.
pub(super) fn clock_kind(clock: u64) -> Result<ClockKind, Errno> {
    match clock as i32 {
        libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE | libc::CLOCK_REALTIME_ALARM | libc::CLOCK_TAI => {
            Ok(ClockKind::Realtime)
        }
        libc::CLOCK_MONOTONIC
        | libc::CLOCK_MONOTONIC_RAW
        | libc::CLOCK_MONOTONIC_COARSE
        | libc::CLOCK_BOOTTIME
        | libc::CLOCK_BOOTTIME_ALARM => Ok(ClockKind::Monotonic),
        _ => Err(Errno::EINVAL),
    }
}

/// The clock of a node that somebody may sleep by; the kernel does not have it for all of them.
fn sleeping_clock(clock: u64) -> Result<ClockKind, Errno> {
    match clock as i32 {
        libc::CLOCK_THREAD_CPUTIME_ID
        | libc::CLOCK_MONOTONIC_RAW
        | libc::CLOCK_MONOTONIC_COARSE
        | libc::CLOCK_REALTIME_COARSE => Err(Errno::EOPNOTSUPP),
        _ => clock_kind(clock),
    }
}

/// A timeval as a span.
fn span_of_micros(seconds: i64, microseconds: i64) -> Result<Span, Errno> {
    span(seconds, microseconds.checked_mul(1000).ok_or(Errno::EINVAL)?)
}

impl Sandbox {
    fn shown(&self, id: ThreadId, kind: ClockKind) -> u64 {
        self.nodes[self.thread(id).node].clock.read(kind, self.now)
    }

    /// Processor time is the time since the room was switched on: guests are told they were always busy.
    fn reading(&self, id: ThreadId, clock: u64) -> Result<u64, Errno> {
        match clock as i32 {
            libc::CLOCK_PROCESS_CPUTIME_ID | libc::CLOCK_THREAD_CPUTIME_ID => Ok(self.now.0),
            number @ ..0 if self.is_processor_clock(id, number) => Ok(self.now.0),
            _ => clock_kind(clock).map(|kind| self.shown(id, kind)),
        }
    }

    /// Whether a negative number is the processor clock of a thread of the caller's process, or of a process of its node: the
    /// complement of whose it is, and three bits, of which one says that it is a thread's (clock_getcpuclockid(3)).
    fn is_processor_clock(&self, id: ThreadId, clock: i32) -> bool {
        let (number, of_thread, which) = (!(clock >> 3), clock & 4 != 0, clock & 3);
        let own = self.thread(id).process;
        which != 3
            && (number == 0
                || if of_thread {
                    self.threads.values().any(|thread| thread.process == own && thread.vtid == number)
                } else {
                    self.process_numbered(id, number).is_ok()
                })
    }

    /// A relative sleep is interrupted: what is left of it is told, if somebody asked (nanosleep(2)). An address that is not
    /// there is told to the caller.
    pub(in crate::sandbox) fn store_rest_of_sleep(&self, id: ThreadId, call: &Call) -> Result<(), Errno> {
        let [first, flags, _, last, ..] = call.args;
        let to = match call.number {
            libc::SYS_nanosleep => flags,
            libc::SYS_clock_nanosleep if first as i32 >= 0 && flags as i32 & libc::TIMER_ABSTIME == 0 => last,
            _ => return Ok(()),
        };
        let Some(Deadline { clock, ns }) = self.thread(id).until.filter(|_| to != 0) else { return Ok(()) };
        let rest = ns.saturating_sub(self.shown(id, clock));
        self.store_words(id, to, &[rest / SECOND, rest % SECOND]).map_err(|_| Errno::EFAULT)
    }

    pub(super) fn clock_gettime(&mut self, id: ThreadId, clock: u64, to: u64) -> Handled {
        let ns = self.reading(id, clock)?;
        self.store_words(id, to, &[ns / SECOND, ns % SECOND])?;
        returns(0)
    }

    pub(super) fn clock_getres(&mut self, id: ThreadId, clock: u64, to: u64) -> Handled {
        self.reading(id, clock)?;
        self.store_asked(id, to, &[0, 1])?;
        returns(0)
    }

    pub(super) fn gettimeofday(&mut self, id: ThreadId, to: u64, zone: u64) -> Handled {
        let ns = self.shown(id, ClockKind::Realtime);
        self.store_asked(id, to, &[ns / SECOND, ns % SECOND / 1000])?;
        self.store_asked(id, zone, &[0])?;
        returns(0)
    }

    pub(super) fn time(&mut self, id: ThreadId, to: u64) -> Handled {
        let seconds = self.shown(id, ClockKind::Realtime) / SECOND;
        self.store_asked(id, to, &[seconds])?;
        returns(seconds)
    }

    pub(super) fn sleep(
        &mut self,
        id: ThreadId,
        clock: u64,
        flags: u64,
        request: u64,
        _remain: u64,
    ) -> Handled {
        // Only its deadline wakes a sleeper, so what it asked for is read once.
        let over = if let Some(Deadline { clock, ns }) = self.thread(id).until {
            self.shown(id, clock) >= ns
        } else {
            let clock = sleeping_clock(clock)?;
            let (seconds, nanoseconds) = self.load_pair(id, request)?;
            let span = span(seconds, nanoseconds)?;
            if flags as i32 & libc::TIMER_ABSTIME != 0 {
                self.timed_out_at(id, Deadline { clock, ns: span.0.saturating_add(SLACK.0) })
            } else if span == Span::ZERO {
                true
            } else {
                self.timed_out(id, ClockKind::Monotonic, Span(span.0.saturating_add(SLACK.0)))
            }
        };
        if over { returns(0) } else { Ok(Outcome::Park(Vec::new())) }
    }

    pub(super) fn times(&mut self, id: ThreadId, to: u64) -> Handled {
        let ticks = self.now.0 / (SECOND / 100);
        self.store_asked(id, to, &[ticks, 0, 0, 0])?;
        returns(ticks)
    }

    pub(super) fn getrusage(&mut self, id: ThreadId, who: u64, to: u64) -> Handled {
        if ![libc::RUSAGE_SELF, libc::RUSAGE_CHILDREN, libc::RUSAGE_THREAD].contains(&(who as i32)) {
            return Err(Errno::EINVAL.into());
        }
        let mut words = [0; 18];
        (words[0], words[1]) = (self.now.0 / SECOND, self.now.0 % SECOND / 1000);
        words[4] = 10_000;
        self.store_words(id, to, &words)?;
        returns(0)
    }

    pub(super) fn alarm(&mut self, id: ThreadId, seconds: u64) -> Handled {
        let left = self.alarm_left(id);
        self.set_alarm(id, Span::from_secs(seconds & 0xffff_ffff), Span::ZERO);
        returns(left.0.div_ceil(SECOND))
    }

    fn alarm_left(&self, id: ThreadId) -> Span {
        let now = self.shown(id, ClockKind::Monotonic);
        self.process_of(id).alarm.as_ref().map_or(Span::ZERO, |alarm| Span(alarm.beat.left_ns(now)))
    }

    fn set_alarm(&mut self, id: ThreadId, value: Span, interval: Span) {
        let process = self.thread(id).process;
        if let Some(pending) = self.process_of_mut(id).alarm.take().and_then(|alarm| alarm.timer) {
            self.timers.cancel(pending);
        }
        if value > Span::ZERO {
            let next = self.shown(id, ClockKind::Monotonic).saturating_add(value.0);
            let beat = Beat { next_ns: Some(next), interval };
            self.process_of_mut(id).alarm = Some(Alarm { beat, timer: None });
            self.arm_alarm(process, Span::ZERO);
        }
    }

    /// Lets the interval timer run (again), at least so long.
    fn arm_alarm(&mut self, id: ProcessId, at_least: Span) {
        let Some(process) = self.processes.get_mut(&id) else { return };
        let Some(alarm) = &mut process.alarm else { return };
        let clock = &self.nodes[process.node].clock;
        let kind = ClockKind::Monotonic;
        alarm.beat.catch_up(clock.read(kind, self.now + at_least).saturating_sub(1));
        if let Some(next) = alarm.beat.next_ns {
            let at = clock.instant_of(kind, next).max(self.now);
            alarm.timer = Some(self.timers.set(at, Due::Alarm(id)));
        }
    }

    pub(in crate::sandbox) fn alarm_fires(&mut self, id: ProcessId) -> Result<(), Error> {
        let Some(process) = self.processes.get_mut(&id) else { return Ok(()) };
        let Some(alarm) = &mut process.alarm else { return Ok(()) };
        let clock = &self.nodes[process.node].clock;
        alarm.timer = None;
        alarm.beat.catch_up(clock.read(ClockKind::Monotonic, self.now));
        if alarm.beat.next_ns.is_none() {
            process.alarm = None;
        }
        let sent = SentSignal { signal: libc::SIGALRM, code: SI_KERNEL, sender: 0, value: 0 };
        if self.send(id, None, sent)? != Sent::Queued {
            self.arm_alarm(id, TICK);
        }
        Ok(())
    }

    /// A process receives a signal: a timer that sent it runs again. Expirations since, and those that it stood for, but one.
    pub(in crate::sandbox) fn timer_is_heard(
        &mut self,
        id: ProcessId,
        signal: i32,
        timer: Option<i32>,
    ) -> i32 {
        let (now, Some(process)) = (self.now, self.processes.get_mut(&id)) else { return 0 };
        if signal == libc::SIGALRM && process.alarm.as_ref().is_some_and(|alarm| alarm.timer.is_none()) {
            self.arm_alarm(id, Span::ZERO);
            return 0;
        }
        let Some(number) = timer else { return 0 };
        let clock = &self.nodes[process.node].clock;
        let Some(timer) = process.timers.get_mut(&number).filter(|timer| timer.unseen > 0) else { return 0 };
        let passed = timer.unseen - 1 + timer.beat.catch_up(clock.read(timer.clock, now));
        timer.unseen = 0;
        timer.overrun = i32::try_from(passed).unwrap_or(i32::MAX);
        let overrun = timer.overrun;
        self.arm_posix(id, number, Span::ZERO);
        overrun
    }

    pub(super) fn setitimer(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [which, new, old, ..] = call.args;
        if which as i32 != libc::ITIMER_REAL {
            // Processor-time timers would need processor time.
            return Err(Errno::EINVAL.into());
        }
        let (mut interval, mut value) = (Span::ZERO, Span::ZERO);
        if new != 0 {
            let [interval_s, interval_us, value_s, value_us] = self.load_four(id, new)?;
            interval = span_of_micros(interval_s, interval_us)?;
            value = span_of_micros(value_s, value_us)?;
        }
        if old != 0 {
            self.getitimer(id, which, old)?;
        }
        self.set_alarm(id, value, interval);
        returns(0)
    }

    pub(super) fn getitimer(&mut self, id: ThreadId, which: u64, to: u64) -> Handled {
        let (left, interval) = match which as i32 {
            libc::ITIMER_REAL => {
                let alarm = self.process_of(id).alarm.as_ref();
                (self.alarm_left(id), alarm.map_or(Span::ZERO, |alarm| alarm.beat.interval))
            }
            libc::ITIMER_VIRTUAL | libc::ITIMER_PROF => (Span::ZERO, Span::ZERO),
            _ => return Err(Errno::EINVAL.into()),
        };
        let split = |span: Span| [span.0 / SECOND, span.0 % SECOND / 1000];
        self.store_words(id, to, &[split(interval), split(left)].concat())?;
        returns(0)
    }

    /// timer_create: `struct sigevent` is value, signal, notification, thread.
    pub(super) fn timer_create(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [clock, event, to, ..] = call.args;
        let clock = clock_kind(clock)?;
        let (mut signal, mut value, mut thread) = (libc::SIGALRM, 0, 0);
        if event != 0 {
            let bytes = self.load(id, event, SIGEVENT_BYTES)?;
            let word = |at: usize| i32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
            value = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"));
            signal = word(8);
            match word(12) {
                libc::SIGEV_SIGNAL | libc::SIGEV_THREAD => {}
                libc::SIGEV_NONE => signal = 0,
                libc::SIGEV_THREAD_ID => {
                    thread = word(16);
                    let own = self.thread(id).process;
                    if !self.threads.values().any(|t| t.process == own && t.vtid == thread) {
                        return Err(Errno::EINVAL.into());
                    }
                }
                _ => return Err(Errno::EINVAL.into()),
            }
            if word(12) != libc::SIGEV_NONE && !(1..=64).contains(&signal) {
                return Err(Errno::EINVAL.into());
            }
        }
        let process = self.process_of_mut(id);
        let number = process.timers.last_key_value().map_or(0, |(last, _)| last + 1);
        let beat = Beat::default();
        let timer = PosixTimer { clock, signal, value, thread, beat, timer: None, unseen: 0, overrun: 0 };
        process.timers.insert(number, timer);
        if let Err(trouble) = self.store(id, to, &number.to_le_bytes()) {
            self.process_of_mut(id).timers.remove(&number);
            return Err(trouble);
        }
        returns(0)
    }

    pub(super) fn timer_settime(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [number, flags, new, old, ..] = call.args;
        if new == 0 {
            return Err(Errno::EINVAL.into());
        }
        let [interval_s, interval_ns, value_s, value_ns] = self.load_four(id, new)?;
        let (interval, value) = (span(interval_s, interval_ns)?, span(value_s, value_ns)?);
        if old != 0 {
            self.timer_gettime(id, number, old)?;
        }
        let (process, node, now) = (self.thread(id).process, self.thread(id).node, self.now);
        let clock = self.nodes[node].clock.clone();
        let timer = self.processes.get_mut(&process).and_then(|p| p.timers.get_mut(&(number as i32)));
        let timer = timer.ok_or(Errno::EINVAL)?;
        if let Some(pending) = timer.timer.take() {
            self.timers.cancel(pending);
        }
        timer.beat = Beat { next_ns: None, interval };
        (timer.unseen, timer.overrun) = (0, 0);
        if value > Span::ZERO {
            let absolute = flags as i32 & libc::TIMER_ABSTIME != 0;
            let from = if absolute { 0 } else { clock.read(timer.clock, now) };
            timer.beat.next_ns = Some(from.saturating_add(value.0));
            self.arm_posix(process, number as i32, Span::ZERO);
        }
        returns(0)
    }

    /// Lets a timer run (again), at least so long; one that sends nothing needs none.
    fn arm_posix(&mut self, id: ProcessId, number: i32, at_least: Span) {
        let Some(process) = self.processes.get_mut(&id) else { return };
        let clock = &self.nodes[process.node].clock;
        let Some(timer) = process.timers.get_mut(&number).filter(|timer| timer.signal != 0) else { return };
        if at_least > Span::ZERO {
            timer.beat.catch_up(clock.read(timer.clock, self.now + at_least));
        }
        if let Some(next) = timer.beat.next_ns {
            let at = clock.instant_of(timer.clock, next).max(self.now);
            timer.timer = Some(self.timers.set(at, Due::Posix(id, number)));
        }
    }

    pub(super) fn timer_getoverrun(&mut self, id: ThreadId, number: u64) -> Handled {
        let timer = self.process_of(id).timers.get(&(number as i32)).ok_or(Errno::EINVAL)?;
        returns(timer.overrun)
    }

    pub(super) fn timer_gettime(&mut self, id: ThreadId, number: u64, to: u64) -> Handled {
        let timer = self.process_of(id).timers.get(&(number as i32)).ok_or(Errno::EINVAL)?;
        let now = self.shown(id, timer.clock);
        let (left, interval) = (timer.beat.left_ns(now), timer.beat.interval.0);
        self.store_words(id, to, &[interval / SECOND, interval % SECOND, left / SECOND, left % SECOND])?;
        returns(0)
    }

    pub(super) fn timer_delete(&mut self, id: ThreadId, number: u64) -> Handled {
        let timer = self.process_of_mut(id).timers.remove(&(number as i32)).ok_or(Errno::EINVAL)?;
        if let Some(pending) = timer.timer {
            self.timers.cancel(pending);
        }
        returns(0)
    }

    pub(in crate::sandbox) fn posix_timer_fires(&mut self, id: ProcessId, number: i32) -> Result<(), Error> {
        let now = self.now;
        let Some(process) = self.processes.get_mut(&id) else { return Ok(()) };
        let clock = &self.nodes[process.node].clock;
        let Some(timer) = process.timers.get_mut(&number) else { return Ok(()) };
        timer.timer = None;
        timer.unseen = timer.beat.catch_up(clock.read(timer.clock, now)).max(1);
        let sent = SentSignal { signal: timer.signal, code: SI_TIMER, sender: number, value: timer.value };
        let thread = timer.thread;
        let to = self.threads.iter().find(|(_, t)| t.process == id && t.vtid == thread).map(|(&id, _)| id);
        if self.send(id, to, sent)? != Sent::Queued {
            if let Some(timer) = self.processes.get_mut(&id).and_then(|p| p.timers.get_mut(&number)) {
                timer.unseen = 0;
            }
            self.arm_posix(id, number, TICK);
        }
        Ok(())
    }

    /// A process is gone, and its timers with it.
    pub(in crate::sandbox) fn cancel_process_timers(&mut self, id: ProcessId) {
        let Some(process) = self.processes.get_mut(&id) else { return };
        let pending = process.timers.values_mut().filter_map(|timer| timer.timer.take());
        for pending in pending.chain(process.alarm.take().and_then(|alarm| alarm.timer)) {
            self.timers.cancel(pending);
        }
        process.timers.clear();
    }

    /// The node's clock was touched: the timers of its processes follow.
    pub(in crate::sandbox) fn rearm_process_timers(&mut self, node: usize) {
        let now = self.now;
        let clock = self.nodes[node].clock.clone();
        for (&id, process) in &mut self.processes {
            if process.node != node {
                continue;
            }
            if let Some(Alarm { beat: Beat { next_ns: Some(next), .. }, timer: Some(pending) }) =
                &mut process.alarm
            {
                self.timers.cancel(*pending);
                *pending =
                    self.timers.set(clock.instant_of(ClockKind::Monotonic, *next).max(now), Due::Alarm(id));
            }
            for (&number, timer) in &mut process.timers {
                if let (Some(pending), Some(next)) = (&mut timer.timer, timer.beat.next_ns) {
                    self.timers.cancel(*pending);
                    *pending =
                        self.timers.set(clock.instant_of(timer.clock, next).max(now), Due::Posix(id, number));
                }
            }
        }
    }
}
