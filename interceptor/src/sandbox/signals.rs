//! Signals: sent by the sandbox in the senders' names, received only at stops.

use super::descriptors::IN;
use super::files::{DescriptionId, FilesId, Kind};
use super::guest::{Handled, Outcome};
use super::log::What;
use super::task::{Call, Key, Process, ProcessId, Sent, SentSignal, State, ThreadId};
use super::{ClockKind, Error, Sandbox};
use tracer::{Registers, Stop, Tid};

const SIG_IGN: u64 = 1;
/// `si_code` of a timer's signal.
pub(super) const SI_TIMER: i32 = -2;
/// Signals that may be queued for a process. It is less than hosts allow a user, so that it is the same on all.
const SIGNALS_MAX: usize = 4_096;
/// The first real-time signal.
const REAL_TIME: i32 = 32;
/// Offset of `uc_sigmask` in the kernel's ucontext: flags, link, stack, 256 bytes of registers.
const UCONTEXT_SIGMASK: u64 = 8 + 8 + 24 + 256;

impl Sandbox {
    /// A thread is about to receive a signal: the one that it goes on with in the same turn, if any.
    pub(super) fn signal_stop(&mut self, id: ThreadId, signal: i32) -> Result<Option<i32>, Error> {
        let tid = self.thread(id).tid;
        if signal == libc::SIGSEGV && (self.emulate_rdtsc(id)? || self.answer_cpuid(id)?) {
            return Ok(None);
        }
        if signal == libc::SIGSTOP {
            // No guest can send it: somebody outside has.
            return Ok(Some(0));
        }
        self.count(id, |who| format!("{who} was taking signal {signal}"));
        self.thread_mut(id).signalled.take_if(|sent| *sent == signal);
        let mut info = tid.signal_info()?;
        self.correct_signal_info(id, signal, &mut info);
        tid.set_signal_info(&info)?;
        self.log_entry(id, What::Signal(signal));
        let process = self.thread(id).process;
        self.process_of_mut(id).fatal = Some(signal);
        let signal = if self.is_stopped_by(process, signal) {
            self.stop_process(process, signal)?;
            0
        } else {
            signal
        };
        match self.thread_mut(id).saved_mask.take() {
            Some(mask) => self.deliver_under_mask(id, signal, mask),
            None => Ok(Some(signal)),
        }
    }

    /// Delivers a signal to a thread whose call had replaced its mask: the handler runs, and what it returns to
    /// has the old mask again. The kernel would requeue a signal that the old mask blocks, so the mask is put
    /// into the frame that the handler returns through.
    fn deliver_under_mask(&mut self, id: ThreadId, signal: i32, mask: u64) -> Result<Option<i32>, Error> {
        let tid = self.thread(id).tid;
        let handled = self.process_of(id).actions.get(&signal).is_some_and(|a| a.handler > SIG_IGN);
        if !handled {
            return Ok(Some(signal));
        }
        self.set_clock_page(self.thread(id).node);
        self.thread_mut(id).after_call = false;
        tid.step(signal)?;
        let mut stop = self.await_stop(id)?;
        while stop == Stop::Fresh {
            // It was interrupted on the way.
            tid.step(0)?;
            stop = self.await_stop(id)?;
        }
        if stop != Stop::Signal(libc::SIGTRAP) {
            return self.handle_stop(id, stop);
        }
        // The third argument of a handler is its ucontext.
        let context = tid.registers()?.0.rdx;
        tid.write(context + UCONTEXT_SIGMASK, &mask.to_le_bytes())?;
        self.thread_mut(id).state = State::Ready;
        Ok(None)
    }

    /// Replaces what the kernel says of the sender (host ids, host times) by what the receiver may know.
    pub(super) fn correct_signal_info(&mut self, id: ThreadId, signal: i32, info: &mut [u8; 128]) {
        let process = self.thread(id).process;
        let queue = &mut self.process_of_mut(id).sent;
        let position = queue.iter().position(|sent| sent.signal == signal);
        let sent = position.and_then(|position| queue.remove(position));
        let timer = sent.filter(|sent| sent.code == SI_TIMER).map(|sent| sent.sender);
        let overrun = self.timer_is_heard(process, signal, timer);
        if let Some(sent) = sent {
            info[4..].fill(0);
            info[0..4].copy_from_slice(&signal.to_le_bytes());
            info[8..12].copy_from_slice(&sent.code.to_le_bytes());
            info[16..20].copy_from_slice(&sent.sender.to_le_bytes());
            info[20..24].copy_from_slice(&overrun.to_le_bytes());
            info[24..32].copy_from_slice(&sent.value.to_le_bytes());
            return;
        }
        if signal == libc::SIGCHLD {
            let real = i32::from_le_bytes([info[16], info[17], info[18], info[19]]);
            let vpid = self.processes.values().find(|p| p.tid.0 == real).map_or(0, |p| p.vpid);
            info[16..20].copy_from_slice(&vpid.to_le_bytes());
            info[20..24].fill(0); // uid
            info[32..48].fill(0); // user and system time
        }
    }

    /// RDTSC and RDTSCP fault in guests (PR_SET_TSC); they read the monotonic clock instead.
    fn emulate_rdtsc(&mut self, id: ThreadId) -> Result<bool, Error> {
        let tid = self.thread(id).tid;
        let mut registers = tid.registers()?;
        let mut code = [0_u8; 3];
        if tid.read(registers.0.rip, &mut code).is_err() {
            return Ok(false);
        }
        let len = match code {
            [0x0f, 0x31, _] => 2,
            [0x0f, 0x01, 0xf9] => 3,
            _ => return Ok(false),
        };
        self.count(id, |who| format!("{who} was reading the processor's counter"));
        let node = self.thread(id).node;
        let time = self.nodes[node].clock.read(ClockKind::Monotonic, self.now);
        set_counter(&mut registers, time, len);
        tid.set_registers(&registers)?;
        self.thread_mut(id).state = State::Ready;
        Ok(true)
    }

    /// `cpuid` faults in guests where the processor can do that: it says nothing then that tells processors apart which
    /// can do the same.
    pub(super) fn answer_cpuid(&mut self, id: ThreadId) -> Result<bool, Error> {
        let tid = self.thread(id).tid;
        let mut registers = tid.registers()?;
        let mut code = [0_u8; 2];
        if tid.read(registers.0.rip, &mut code).is_err() || code != tracer::CPUID {
            return Ok(false);
        }
        self.count(id, |who| format!("{who} was asking what the processor is"));
        let (leaf, subleaf) = (registers.0.rax as u32, registers.0.rcx as u32);
        let told = crate::cpuid::told(leaf, subleaf, tracer::cpuid(leaf, subleaf)).map(u64::from);
        let r = &mut registers.0;
        [r.rax, r.rbx, r.rcx, r.rdx] = told;
        r.rip += code.len() as u64;
        tid.set_registers(&registers)?;
        self.thread_mut(id).state = State::Ready;
        Ok(true)
    }

    /// Sends a signal to one thread, or to a process as a whole.
    pub(super) fn send(
        &mut self,
        process: ProcessId,
        to: Option<ThreadId>,
        sent: SentSignal,
    ) -> Result<Sent, Error> {
        let signal = sent.signal;
        if self.processes.get(&process).is_none_or(|p| p.ended.is_some()) {
            return Ok(Sent::Ignored);
        }
        match signal {
            0 => return Ok(Sent::Ignored),
            libc::SIGCONT => self.continue_process(process)?,
            libc::SIGSTOP => return self.stop_process(process, signal).map(|()| Sent::Queued),
            libc::SIGKILL => {
                self.note_code(process);
                let target = &self.processes[&process];
                let _gone = target.tid.send_process_signal(libc::SIGKILL);
                self.await_death(process)?;
                return self.process_ended(process, 256 + libc::SIGKILL).map(|()| Sent::Queued);
            }
            _ => {}
        }
        let target = &self.processes[&process];
        let ignored = target.actions.get(&signal).map_or(0, |a| a.handler) == SIG_IGN
            || (target.actions.get(&signal).is_none_or(|a| a.handler == 0) && ignored_by_default(signal));
        let mut candidates: Vec<ThreadId> =
            to.map_or_else(|| target.threads.iter().copied().collect(), |t| vec![t]);
        candidates.retain(|&id| !self.thread(id).left);
        // The kernel does not ask those who stand at a stop as long as somebody runs.
        candidates.sort_by_key(|&id| (self.thread(id).state != State::Free, id));
        let mut receiver = None;
        for &id in &candidates {
            if self.blocked(id)? & bit(signal) == 0 {
                receiver = Some(id);
                break;
            }
        }
        if ignored && receiver.is_some() {
            return Ok(Sent::Ignored);
        }
        let leader = target.tid;
        // Threads that run free come and go: a signal to all of them is the kernel's to hand out.
        let chosen = if self.time.is_real() { to } else { receiver.or(to) };
        let addressee = chosen.filter(|&id| !self.thread(id).left);
        // A signal that is queued already is not queued twice, unless it is a real-time one (signal(7)).
        let queued = match addressee {
            Some(id) => self.queued(id).0,
            None => candidates.first().map_or(0, |&id| self.queued(id).1),
        };
        if signal < REAL_TIME && queued & bit(signal) != 0 {
            return Ok(Sent::Ignored);
        }
        let queue = &mut self.processes.get_mut(&process).expect("just found").sent;
        if queue.len() >= SIGNALS_MAX {
            return Ok(Sent::Full);
        }
        queue.push_back(sent);
        let sent = match addressee {
            Some(id) => self.thread(id).tid.send_signal(leader, signal),
            None => leader.send_process_signal(signal),
        };
        match sent {
            // Whoever is on the way out hears nothing any more.
            Err(error) if error.is_gone() && self.time.is_real() => return Ok(Sent::Ignored),
            // The host's user has too many queued, all programs together.
            Err(error) if error.is_for_now() => {
                self.processes.get_mut(&process).expect("just found").sent.pop_back();
                return Ok(Sent::Full);
            }
            other => other?,
        }
        self.signal_queued(process);
        if let Some(id) = receiver {
            self.interrupt(id, signal)?;
        }
        Ok(Sent::Queued)
    }

    /// Whether a process wants to know nothing of its children's ends: they leave no zombie then (wait(2)).
    pub(super) fn ignores_children(&self, parent: ProcessId) -> bool {
        let action = self.processes.get(&parent).and_then(|p| p.actions.get(&libc::SIGCHLD));
        action.is_some_and(|a| a.handler == SIG_IGN || a.flags & libc::SA_NOCLDWAIT as u64 != 0)
    }

    /// A child of `parent` has ended; the kernel has queued SIGCHLD by itself.
    pub(super) fn child_signal(&mut self, parent: ProcessId) -> Result<(), Error> {
        let Some(process) = self.processes.get(&parent) else { return Ok(()) };
        let handled = process.actions.get(&libc::SIGCHLD).is_some_and(|a| a.handler > SIG_IGN);
        self.signal_queued(parent);
        if !handled {
            return Ok(());
        }
        for id in self.processes[&parent].threads.clone() {
            if !self.thread(id).left && self.blocked(id)? & bit(libc::SIGCHLD) == 0 {
                return self.interrupt(id, libc::SIGCHLD);
            }
        }
        Ok(())
    }

    /// The signals that a thread blocks; all, if it is on the way out.
    fn blocked(&self, id: ThreadId) -> Result<u64, Error> {
        let thread = self.thread(id);
        if thread.state == State::Free {
            return Ok(status_word(thread.tid, "SigBlk:").unwrap_or(u64::MAX));
        }
        match thread.tid.blocked_signals() {
            Err(error) if error.is_gone() && self.is_dying(id) => Ok(u64::MAX),
            other => Ok(other?),
        }
    }

    /// A thread begins to wait: a signal that was sent while it was about to do so ends the wait.
    pub(super) fn heed_signal(&mut self, id: ThreadId) -> Result<(), Error> {
        let Some(signal) = self.thread(id).signalled else { return Ok(()) };
        if self.pending_signals(id) & !self.blocked(id)? & bit(signal) == 0 {
            return Ok(());
        }
        self.thread_mut(id).signalled = None;
        self.interrupt(id, signal)
    }

    /// A thread ends before a signal reached it: one that was sent to its process reaches another one.
    pub(super) fn pass_on_signal(&mut self, id: ThreadId) -> Result<(), Error> {
        let Some(signal) = self.thread_mut(id).signalled.take() else { return Ok(()) };
        for other in self.process_of(id).threads.clone() {
            let is_there = other != id && !self.thread(other).left;
            if is_there && self.queued(other).1 & !self.blocked(other)? & bit(signal) != 0 {
                return self.interrupt(other, signal);
            }
        }
        Ok(())
    }

    /// Whether a call waits for this very signal: it takes it, blocked or not, and no handler does (sigtimedwait(2)).
    fn awaits_signal(&self, id: ThreadId, call: &Call, signal: i32) -> bool {
        call.number == libc::SYS_rt_sigtimedwait
            && self.thread(id).tid.read_u64(call.args[0]).is_ok_and(|set| set & bit(signal) != 0)
    }

    /// A signal reaches a thread: if its call waits, the call ends with EINTR, or is made again after the
    /// handler if the handler asked for that and the call can be (signal(7)).
    fn interrupt(&mut self, id: ThreadId, signal: i32) -> Result<(), Error> {
        if self.thread(id).state == State::Free {
            self.thread_mut(id).signalled = Some(signal);
        }
        let waiting = matches!(self.thread(id).state, State::Parked(_) | State::Retry);
        let Some(call) = self.thread(id).call.filter(|_| waiting) else { return Ok(()) };
        if self.awaits_signal(id, &call, signal) {
            return Ok(());
        }
        let flags = self.process_of(id).actions.get(&signal).map_or(0, |a| a.flags);
        let told = self.store_rest_of_sleep(id, &call);
        let moved = self.thread(id).progress;
        let outcome = if moved > 0 {
            Outcome::Return(moved as i64)
        } else if flags & libc::SA_RESTART as u64 != 0 && restartable(&call) {
            Outcome::Restart
        } else {
            Outcome::Return(-i64::from(told.err().map_or(libc::EINTR, |errno| errno as i32)))
        };
        self.finish_call(id, &call, outcome)
    }

    /// Puts a temporary signal mask in place for the call (ppoll, pselect, epoll_pwait, sigsuspend). A signal
    /// that waits for just that ends the call at once.
    pub(super) fn swap_mask(
        &mut self,
        id: ThreadId,
        mask: u64,
    ) -> Result<Option<Outcome>, super::guest::Trouble> {
        if self.thread(id).saved_mask.is_some() {
            return Ok(None);
        }
        let tid = self.thread(id).tid;
        let old = tid.blocked_signals()?;
        if old == mask {
            return Ok(None);
        }
        let pending = self.pending_signals(id);
        tid.set_blocked_signals(mask)?;
        self.thread_mut(id).saved_mask = Some(old);
        if pending & !mask & old != 0 {
            return Ok(Some(Outcome::Return(-i64::from(libc::EINTR))));
        }
        Ok(None)
    }

    /// Takes a temporary mask away again, when the call ends without a signal.
    pub(super) fn restore_mask(&mut self, id: ThreadId) -> Result<(), super::guest::Trouble> {
        if let Some(mask) = self.thread_mut(id).saved_mask.take() {
            self.thread(id).tid.set_blocked_signals(mask)?;
        }
        Ok(())
    }

    /// Signals that are queued for the thread or its process (proc(5), SigPnd and ShdPnd).
    pub(super) fn pending_signals(&self, id: ThreadId) -> u64 {
        let (own, shared) = self.queued(id);
        own | shared
    }

    /// Signals that are queued for the thread, and for its process.
    fn queued(&self, id: ThreadId) -> (u64, u64) {
        let tid = self.thread(id).tid;
        let field = |name| status_word(tid, name).unwrap_or(0);
        (field("SigPnd:"), field("ShdPnd:"))
    }

    /// Whoever waits for a signal of the process may go on: sigwait, and readers of its signal descriptors.
    fn signal_queued(&mut self, process: ProcessId) {
        self.wake(Key::Signals(process));
        for files in self.files_of_process(process) {
            for (_, slot) in self.files.slots(files) {
                if matches!(self.files.get(slot.description).map(|d| &d.kind), Some(Kind::Signals(_))) {
                    self.notify(slot.description, IN);
                }
            }
        }
    }

    /// The tables that threads of a process use.
    fn files_of_process(&self, id: ProcessId) -> Vec<FilesId> {
        let Some(process) = self.processes.get(&id) else { return Vec::new() };
        let own = process.threads.iter().filter_map(|&thread| self.thread(thread).own_files);
        std::iter::once(process.files).chain(own).collect()
    }

    /// Whether a process that has this signal descriptor has one of its signals queued.
    pub(super) fn is_signal_queued(&self, description: DescriptionId, mask: u64) -> bool {
        let is_in =
            |files: FilesId| self.files.slots(files).iter().any(|(_, slot)| slot.description == description);
        let has_it = |&(&id, process): &(&ProcessId, &Process)| {
            process.ended.is_none() && self.files_of_process(id).into_iter().any(is_in)
        };
        let owners = self.processes.iter().filter(has_it).map(|(_, process)| process);
        owners.flat_map(|process| &process.threads).any(|&id| self.pending_signals(id) & mask != 0)
    }

    /// sigwait and its kin: takes a queued signal of `set`, or waits for one.
    pub(super) fn take_signal(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [set, info, timeout, size, ..] = call.args;
        super::syscalls::check_signals(size)?;
        let wanted = self.thread(id).tid.read_u64(set)?;
        if self.pending_signals(id) & wanted != 0 {
            let scratch = self.scratch(id);
            self.store_words(id, scratch, &[0, 0])?;
            let args = [set, scratch + 64, scratch, size, 0, 0];
            self.replace_call(id, libc::SYS_rt_sigtimedwait, args)?;
            let Some(signal) = self.run_call(id)? else { return Ok(Outcome::Gone) };
            self.restore_arguments(id, call)?;
            if signal > 0 && info != 0 {
                let mut bytes: [u8; 128] =
                    self.load(id, scratch + 64, 128)?.try_into().expect("as asked for");
                self.correct_signal_info(id, signal as i32, &mut bytes);
                self.store(id, info, &bytes)?;
            } else if signal > 0 {
                self.correct_signal_info(id, signal as i32, &mut [0; 128]);
            }
            return Ok(Outcome::Ran(signal));
        }
        if timeout != 0 {
            let (seconds, nanoseconds) = self.load_pair(id, timeout)?;
            if self.timed_out(id, ClockKind::Monotonic, super::syscalls::span(seconds, nanoseconds)?) {
                return Err(nix::errno::Errno::EAGAIN.into());
            }
        }
        let process = self.thread(id).process;
        Ok(Outcome::Park(vec![Key::Signals(process)]))
    }

    /// After another call ran in its place: the registers that a call leaves alone are the caller's again.
    pub(super) fn restore_arguments(&mut self, id: ThreadId, call: &Call) -> Result<(), Error> {
        let tid = self.thread(id).tid;
        let mut registers = tid.registers()?;
        registers.restore_call(call);
        Ok(tid.set_registers(&registers)?)
    }
}

fn set_counter(registers: &mut Registers, time: u64, len: u64) {
    let r = &mut registers.0;
    r.rax = time & 0xffff_ffff;
    r.rdx = time >> 32;
    if len == 3 {
        r.rcx = 0;
    }
    r.rip += len;
}

/// A set of signals that the kernel tells of a thread, by its name in /proc/PID/status.
fn status_word(tid: Tid, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// The bit of a signal in a mask.
pub(super) fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

fn ignored_by_default(signal: i32) -> bool {
    [libc::SIGCHLD, libc::SIGURG, libc::SIGWINCH, libc::SIGCONT].contains(&signal)
}

/// Calls that never restart, whatever the handler asked for (signal(7)).
fn restartable(call: &Call) -> bool {
    ![
        libc::SYS_epoll_wait,
        libc::SYS_epoll_pwait,
        libc::SYS_io_getevents,
        libc::SYS_poll,
        libc::SYS_ppoll,
        libc::SYS_select,
        libc::SYS_pselect6,
        libc::SYS_nanosleep,
        libc::SYS_clock_nanosleep,
        libc::SYS_rt_sigtimedwait,
        libc::SYS_rt_sigsuspend,
        libc::SYS_pause,
    ]
    .contains(&call.number)
}
