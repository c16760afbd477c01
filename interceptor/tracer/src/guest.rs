//! One guest thread: its registers, and how it is resumed.

use crate::Error;
use nix::errno::Errno;
use std::fmt;
use std::ptr;

/// A descriptor of one thread and not of its process (pidfd_open(2)).
const PIDFD_THREAD: i32 = libc::O_EXCL;
/// The general registers among the register sets of ptrace(2).
const NT_PRSTATUS: usize = 1;

/// A kernel thread id in the tracer's namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tid(pub i32);

impl fmt::Display for Tid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The registers of a stopped thread.
#[derive(Clone, Copy, Debug)]
pub struct Registers(pub libc::user_regs_struct);

impl Registers {
    /// The call's result, at a stop after it.
    #[must_use]
    pub fn result(&self) -> i64 {
        self.0.rax as i64
    }

    /// Sets what the call returns.
    pub fn set_result(&mut self, result: i64) {
        self.0.rax = result as u64;
    }

    /// At a stop before or after a call: the thread stands before `call` again, which it makes once it has run a pending
    /// signal's handler.
    pub fn restart_call(&mut self, call: &Call) {
        self.replace_call(-1, call.args);
        self.0.rax = call.number as u64;
        self.0.rip -= 2;
    }

    /// After another call ran in the place of `call`, or at the first stop of a child that it made: the registers that a
    /// call leaves alone are the caller's again.
    pub fn restore_call(&mut self, call: &Call) {
        self.replace_call(-1, call.args);
    }

    /// At a stop before a call: another call runs instead of it.
    pub fn replace_call(&mut self, number: i64, arguments: [u64; 6]) {
        let r = &mut self.0;
        r.orig_rax = number as u64;
        [r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9] = arguments;
    }
}

/// A call before which a thread stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its number.
    pub number: i64,
    /// Its six arguments.
    pub args: [u64; 6],
}

impl Tid {
    /// The call before which the thread stands, stopped by the filter. This costs about half of reading all registers.
    ///
    /// # Errors
    /// When the thread is not stopped there or is gone.
    pub fn call(self) -> Result<Call, Error> {
        // SAFETY: plain old data, for which zero is a value.
        let mut info: libc::ptrace_syscall_info = unsafe { std::mem::zeroed() };
        // SAFETY: the address argument is the size of the buffer that follows.
        let done = unsafe {
            libc::ptrace(
                libc::PTRACE_GET_SYSCALL_INFO,
                self.0,
                ptr::without_provenance_mut::<libc::c_void>(size_of_val(&info)),
                &raw mut info,
            )
        };
        if done < 0 {
            return Err(Error::call("reading a call", self));
        }
        if info.op != libc::PTRACE_SYSCALL_INFO_SECCOMP {
            return Err(Error::Call { call: "reading a call", tid: self.0, source: Errno::EINVAL });
        }
        // SAFETY: the kernel has said which field it filled.
        let call = unsafe { info.u.seccomp };
        Ok(Call { number: call.nr as i64, args: call.args })
    }

    /// At a stop before a call: the call does not run and returns `result`.
    ///
    /// # Errors
    /// When the thread is not stopped or is gone.
    pub fn skip_call(self, result: i64) -> Result<(), Error> {
        self.set_word(std::mem::offset_of!(libc::user_regs_struct, orig_rax), u64::MAX)?;
        self.set_word(std::mem::offset_of!(libc::user_regs_struct, rax), result as u64)
    }

    /// Writes one register, at its offset in `user_regs_struct`.
    fn set_word(self, offset: usize, word: u64) -> Result<(), Error> {
        // SAFETY: the word is passed by value, and the kernel checks the offset.
        let done = unsafe {
            libc::ptrace(
                libc::PTRACE_POKEUSER,
                self.0,
                ptr::without_provenance_mut::<libc::c_void>(offset),
                ptr::without_provenance_mut::<libc::c_void>(word as usize),
            )
        };
        if done < 0 { Err(Error::call("writing a register", self)) } else { Ok(()) }
    }

    /// Reads the registers of the stopped thread.
    ///
    /// # Errors
    /// When the thread is not stopped or is gone.
    pub fn registers(self) -> Result<Registers, Error> {
        // SAFETY: plain old data; the kernel fills all of it on success.
        let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
        // SAFETY: the buffer outlives the call and has the size the request asks for.
        let done = unsafe {
            libc::ptrace(libc::PTRACE_GETREGS, self.0, ptr::null_mut::<libc::c_void>(), &raw mut registers)
        };
        if done < 0 { Err(Error::call("reading registers", self)) } else { Ok(Registers(registers)) }
    }

    /// Writes the registers of the stopped thread, all but the segment registers and their bases.
    ///
    /// The kernel takes a prefix of its register set (`PTRACE_SETREGSET`, ptrace(2)); what is left out is
    /// checked word by word and costs as much as all the rest.
    ///
    /// # Errors
    /// When the thread is not stopped or is gone.
    pub fn set_registers(self, registers: &Registers) -> Result<(), Error> {
        const PREFIX: usize = std::mem::offset_of!(libc::user_regs_struct, ss);
        let vector = libc::iovec { iov_base: (&raw const registers.0).cast_mut().cast(), iov_len: PREFIX };
        // SAFETY: the kernel only reads from the buffer, which is longer than the prefix asked for.
        let done = unsafe {
            libc::ptrace(
                libc::PTRACE_SETREGSET,
                self.0,
                ptr::without_provenance_mut::<libc::c_void>(NT_PRSTATUS),
                (&raw const vector).cast_mut(),
            )
        };
        if done < 0 { Err(Error::call("writing registers", self)) } else { Ok(()) }
    }

    /// Lets the thread run to its next stop; at a signal stop, `signal` is what it receives (0: nothing).
    ///
    /// # Errors
    /// When the thread is not stopped or is gone.
    pub fn resume(self, signal: i32) -> Result<(), Error> {
        self.request("resuming", libc::PTRACE_CONT, signal)
    }

    /// Lets the call before which the thread stopped run, and stops the thread after it.
    ///
    /// # Errors
    /// When the thread is not stopped or is gone.
    pub fn resume_to_exit_of_call(self, signal: i32) -> Result<(), Error> {
        self.request("resuming to the exit of a call", libc::PTRACE_SYSCALL, signal)
    }

    /// Lets the thread receive `signal` and stops it before its handler's first instruction, with SIGTRAP.
    ///
    /// # Errors
    /// When the thread is not stopped or is gone.
    pub fn step(self, signal: i32) -> Result<(), Error> {
        self.request("stepping into a handler", libc::PTRACE_SINGLESTEP, signal)
    }

    /// Stops the thread wherever it runs: it reports a [`crate::Stop::Fresh`] stop, unless it was about to stop
    /// anyway; then it reports that one later.
    ///
    /// # Errors
    /// When the thread is gone.
    pub fn interrupt(self) -> Result<(), Error> {
        self.request("interrupting", libc::PTRACE_INTERRUPT, 0)
    }

    fn request(self, what: &'static str, request: libc::c_uint, signal: i32) -> Result<(), Error> {
        // SAFETY: these requests take a signal number as data and touch no memory of ours.
        let done = unsafe {
            libc::ptrace(
                request,
                self.0,
                ptr::null_mut::<libc::c_void>(),
                ptr::without_provenance_mut::<libc::c_void>(signal as usize),
            )
        };
        if done < 0 { Err(Error::call(what, self)) } else { Ok(()) }
    }

    /// The number that came with the last event: a child's id, or a former thread id.
    ///
    /// # Errors
    /// When the thread is not stopped or is gone.
    pub fn event_message(self) -> Result<u64, Error> {
        let mut message: libc::c_ulong = 0;
        // SAFETY: the kernel writes one unsigned long into the buffer.
        let done = unsafe {
            libc::ptrace(libc::PTRACE_GETEVENTMSG, self.0, ptr::null_mut::<libc::c_void>(), &raw mut message)
        };
        if done < 0 { Err(Error::call("reading an event", self)) } else { Ok(message) }
    }

    /// The set of signals the thread blocks, bit `n - 1` for signal `n`.
    ///
    /// # Errors
    /// When the thread is not stopped or is gone.
    pub fn blocked_signals(self) -> Result<u64, Error> {
        let mut mask: u64 = 0;
        // SAFETY: the address argument is the size of the mask, the buffer has that size.
        let done = unsafe {
            libc::ptrace(
                libc::PTRACE_GETSIGMASK,
                self.0,
                ptr::without_provenance_mut::<libc::c_void>(size_of::<u64>()),
                &raw mut mask,
            )
        };
        if done < 0 { Err(Error::call("reading the signal mask", self)) } else { Ok(mask) }
    }

    /// Replaces the set of signals the thread blocks.
    ///
    /// # Errors
    /// When the thread is not stopped or is gone.
    pub fn set_blocked_signals(self, mask: u64) -> Result<(), Error> {
        let mut mask = mask;
        // SAFETY: the address argument is the size of the mask, the buffer has that size.
        let done = unsafe {
            libc::ptrace(
                libc::PTRACE_SETSIGMASK,
                self.0,
                ptr::without_provenance_mut::<libc::c_void>(size_of::<u64>()),
                &raw mut mask,
            )
        };
        if done < 0 { Err(Error::call("writing the signal mask", self)) } else { Ok(()) }
    }

    /// At a signal stop: the raw description of the signal (128 bytes, `siginfo_t`).
    ///
    /// # Errors
    /// When the thread is not at a signal stop or is gone.
    pub fn signal_info(self) -> Result<[u8; 128], Error> {
        let mut info = [0_u8; 128];
        // SAFETY: siginfo_t is 128 bytes on x86-64, which the buffer has.
        let done = unsafe {
            libc::ptrace(libc::PTRACE_GETSIGINFO, self.0, ptr::null_mut::<libc::c_void>(), info.as_mut_ptr())
        };
        if done < 0 { Err(Error::call("reading a signal", self)) } else { Ok(info) }
    }

    /// At a signal stop: replaces the description of the signal.
    ///
    /// # Errors
    /// When the thread is not at a signal stop or is gone.
    pub fn set_signal_info(self, info: &[u8; 128]) -> Result<(), Error> {
        let mut info = *info;
        // SAFETY: siginfo_t is 128 bytes on x86-64, which the buffer has.
        let done = unsafe {
            libc::ptrace(libc::PTRACE_SETSIGINFO, self.0, ptr::null_mut::<libc::c_void>(), info.as_mut_ptr())
        };
        if done < 0 { Err(Error::call("writing a signal", self)) } else { Ok(()) }
    }

    /// Sends `signal` to this thread of process `process`.
    ///
    /// # Errors
    /// When the thread is gone.
    pub fn send_signal(self, process: Tid, signal: i32) -> Result<(), Error> {
        // SAFETY: no memory is passed.
        let done = unsafe { libc::syscall(libc::SYS_tgkill, process.0, self.0, signal) };
        if done < 0 { Err(Error::call("sending a signal", self)) } else { Ok(()) }
    }

    /// Sends `signal` to the whole process that this thread leads.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn send_process_signal(self, signal: i32) -> Result<(), Error> {
        // SAFETY: no memory is passed.
        let done = unsafe { libc::kill(self.0, signal) };
        if done < 0 { Err(Error::call("sending a signal", self)) } else { Ok(()) }
    }

    /// A duplicate, in the tracer, of file descriptor `fd` of this thread, of a process that `leader` leads: both share
    /// one open file description. Kernels before 6.9 know of the leader's descriptors only.
    ///
    /// # Errors
    /// When the thread is gone or has no such descriptor.
    pub fn duplicate_descriptor(self, leader: Tid, fd: i32) -> Result<std::os::fd::OwnedFd, Error> {
        use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
        // SAFETY: no memory is passed; a descriptor of our own comes back.
        let open = |tid: Tid, flags: i32| unsafe { libc::syscall(libc::SYS_pidfd_open, tid.0, flags) };
        let mut thread = open(self, PIDFD_THREAD);
        if thread < 0 && Errno::last() == Errno::EINVAL {
            thread = open(leader, 0);
        }
        if thread < 0 {
            return Err(Error::call("opening a thread", self));
        }
        // SAFETY: the descriptor was just created and nobody else owns it.
        let thread = unsafe { OwnedFd::from_raw_fd(thread as i32) };
        // SAFETY: no memory is passed; a descriptor of our own comes back.
        let copy = unsafe { libc::syscall(libc::SYS_pidfd_getfd, thread.as_raw_fd(), fd, 0) };
        if copy < 0 {
            return Err(Error::call("duplicating a descriptor", self));
        }
        // SAFETY: the descriptor was just created and nobody else owns it.
        Ok(unsafe { OwnedFd::from_raw_fd(copy as i32) })
    }
}

#[cfg(test)]
mod tests {
    use super::{Call, Registers};

    fn registers() -> Registers {
        // SAFETY: plain old data, for which zero is a value.
        Registers(unsafe { std::mem::zeroed() })
    }

    #[test]
    fn a_restarted_call_stands_at_its_instruction_again_whatever_ran_in_its_place() {
        let call = Call { number: 57, args: [1, 2, 3, 4, 5, 6] };
        let mut r = registers();
        r.replace_call(56, [9; 6]);
        (r.0.rax, r.0.rip) = (-513_i64 as u64, 102);
        r.restart_call(&call);
        assert_eq!((r.0.orig_rax, r.0.rax, r.0.rip), (u64::MAX, 57, 100));
        assert_eq!([r.0.rdi, r.0.rsi, r.0.rdx, r.0.r10, r.0.r8, r.0.r9], call.args);
    }

    #[test]
    fn a_restored_call_keeps_what_came_of_it() {
        let call = Call { number: 57, args: [1, 2, 3, 4, 5, 6] };
        let mut r = registers();
        r.replace_call(61, [9; 6]);
        r.set_result(7);
        r.restore_call(&call);
        assert_eq!((r.0.orig_rax, r.result(), r.0.rdi, r.0.r9), (u64::MAX, 7, 1, 6));
    }
}
