//! Processes that are stopped and continued (signal(7)), and what their parents learn of that (wait(2)).
//!
//! The kernel is never told: threads of a stopped process are simply not let go.

use super::task::{Key, Process, ProcessId, SentSignal};
use super::{Error, Sandbox};
use nix::errno::Errno;

/// A change of a process that its parent may await.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It has ended: with a status, or 256 and the signal.
    Ended(i32),
    /// This signal has stopped it.
    Stopped(i32),
    /// It goes on.
    Continued,
}

impl Change {
    /// As `wait4` tells it.
    pub fn status(self) -> i32 {
        match self {
            Self::Ended(signal @ 256..) => signal - 256,
            Self::Ended(status) => status << 8,
            Self::Stopped(signal) => signal << 8 | 0x7f,
            Self::Continued => 0xffff,
        }
    }

    /// As `siginfo_t` tells it: `si_code` and `si_status`.
    pub fn told(self) -> (i32, i32) {
        match self {
            Self::Ended(signal @ 256..) => (libc::CLD_KILLED, signal - 256),
            Self::Ended(status) => (libc::CLD_EXITED, status),
            Self::Stopped(signal) => (libc::CLD_STOPPED, signal),
            Self::Continued => (libc::CLD_CONTINUED, libc::SIGCONT),
        }
    }
}

/// Which changes somebody waits for; ends are awaited unless it is said otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Awaited {
    /// Ends.
    pub ends: bool,
    /// Stops (`WUNTRACED`, `WSTOPPED`).
    pub stops: bool,
    /// `WCONTINUED`.
    pub continues: bool,
}

impl Awaited {
    /// The options of `wait4`.
    pub fn by_wait4(options: i32) -> Result<Self, Errno> {
        let known = libc::WNOHANG
            | libc::WUNTRACED
            | libc::WCONTINUED
            | libc::__WALL
            | libc::__WCLONE
            | libc::__WNOTHREAD;
        if options & !known != 0 {
            return Err(Errno::EINVAL);
        }
        Ok(Self {
            ends: true,
            stops: options & libc::WUNTRACED != 0,
            continues: options & libc::WCONTINUED != 0,
        })
    }

    /// The options of `waitid`.
    pub fn by_waitid(options: i32) -> Result<Self, Errno> {
        let known = libc::WNOHANG
            | libc::WNOWAIT
            | libc::WEXITED
            | libc::WSTOPPED
            | libc::WCONTINUED
            | libc::__WALL
            | libc::__WCLONE
            | libc::__WNOTHREAD;
        if options & !known != 0 {
            return Err(Errno::EINVAL);
        }
        let all = Self {
            ends: options & libc::WEXITED != 0,
            stops: options & libc::WSTOPPED != 0,
            continues: options & libc::WCONTINUED != 0,
        };
        if all.ends || all.stops || all.continues { Ok(all) } else { Err(Errno::EINVAL) }
    }

    /// What there is to tell of a process.
    pub fn of(self, process: &Process) -> Option<Change> {
        let ended = process.ended.map(Change::Ended).filter(|_| self.ends);
        ended.or_else(|| {
            process.change.filter(|change| match change {
                Change::Stopped(_) => self.stops,
                _ => self.continues,
            })
        })
    }
}

impl Sandbox {
    /// Whether this signal, when a thread of the process receives it, stops the process. It does not where nobody of its
    /// session could let it go on (orphaned groups, setpgid(2)).
    pub(super) fn is_stopped_by(&self, id: ProcessId, signal: i32) -> bool {
        let process = &self.processes[&id];
        let has_parent = process
            .parent
            .and_then(|parent| self.processes.get(&parent))
            .is_some_and(|parent| parent.session == process.session && parent.group != process.group);
        [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU].contains(&signal)
            && has_parent
            && process.actions.get(&signal).is_none_or(|action| action.handler == 0)
    }

    /// The process does not run until it is continued.
    pub(super) fn stop_process(&mut self, id: ProcessId, signal: i32) -> Result<(), Error> {
        let Some(process) = self.processes.get_mut(&id).filter(|process| !process.stopped) else {
            return Ok(());
        };
        process.stopped = true;
        self.halt(|thread| thread.process == id);
        self.tell_parent(id, Change::Stopped(signal))
    }

    /// The process runs again.
    pub(super) fn continue_process(&mut self, id: ProcessId) -> Result<(), Error> {
        let Some(process) = self.processes.get_mut(&id).filter(|process| process.stopped) else {
            return Ok(());
        };
        process.stopped = false;
        self.tell_parent(id, Change::Continued)
    }

    fn tell_parent(&mut self, id: ProcessId, change: Change) -> Result<(), Error> {
        let process = self.processes.get_mut(&id).expect("a process that changes is known");
        process.change = Some(change);
        let (sender, parent) = (process.vpid, process.parent);
        let Some(parent) = parent.filter(|parent| self.processes.contains_key(parent)) else { return Ok(()) };
        self.wake(Key::Child(parent));
        let action = self.processes[&parent].actions.get(&libc::SIGCHLD);
        if action.is_some_and(|action| action.flags & libc::SA_NOCLDSTOP as u64 != 0) {
            return Ok(());
        }
        let (code, status) = change.told();
        let value = u64::from(status.cast_unsigned());
        self.send(parent, None, SentSignal { signal: libc::SIGCHLD, code, sender, value }).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_as_the_kernel_does() {
        for (change, status) in [
            (Change::Ended(3), 0x300),
            (Change::Ended(256 + libc::SIGKILL), libc::SIGKILL),
            (Change::Stopped(libc::SIGSTOP), 0x137f),
            (Change::Continued, 0xffff),
        ] {
            assert_eq!(change.status(), status, "{change:?}");
        }
        assert!(libc::WIFSTOPPED(Change::Stopped(libc::SIGTSTP).status()));
        assert_eq!(Change::Ended(256 + 9).told(), (libc::CLD_KILLED, 9));
    }

    #[test]
    fn somebody_must_wait_for_something() {
        assert!(Awaited::by_waitid(libc::WNOHANG).is_err() && Awaited::by_wait4(1 << 20).is_err());
        let all = Awaited::by_wait4(libc::WUNTRACED | libc::WNOHANG).unwrap();
        assert!(all.ends && all.stops && !all.continues);
    }
}
