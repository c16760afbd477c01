//! Stops: why a traced thread is not running.

use crate::{Error, Tid};

/// Why a thread stopped, or how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Before a call that the filter does not let through.
    BeforeCall,
    /// After a call, when that was asked for.
    AfterCall,
    /// It made a new thread or process, whose id is given; the new one will report a `Fresh` stop.
    Child(Tid),
    /// A call of the exec family succeeded; the thread that made it had this id before.
    Exec(Tid),
    /// A new thread is there and has not run yet, or a thread was interrupted.
    Fresh,
    /// It is about to receive this signal.
    Signal(i32),
    /// It ended with this status.
    Exited(i32),
    /// This signal ended it.
    Killed(i32),
}

/// Waits until any thread traced by this thread stops or ends. `None`: there is no such thread left.
///
/// # Errors
/// When waiting fails for another reason.
pub fn wait_any() -> Result<Option<(Tid, Stop)>, Error> {
    match wait(-1) {
        Err(Error::Call { source: nix::errno::Errno::ECHILD, .. }) => Ok(None),
        other => other.map(Some),
    }
}

/// Waits until this thread stops or ends.
///
/// # Errors
/// When it is not traced by us.
pub fn wait_for(tid: Tid) -> Result<Stop, Error> {
    wait(tid.0).map(|(_, stop)| stop)
}

fn wait(which: i32) -> Result<(Tid, Stop), Error> {
    loop {
        let mut status = 0;
        // SAFETY: the kernel writes one integer into `status`.
        let tid = unsafe { libc::waitpid(which, &raw mut status, libc::__WALL | libc::__WNOTHREAD) };
        if tid < 0 {
            if nix::errno::Errno::last() == nix::errno::Errno::EINTR {
                continue;
            }
            return Err(Error::call("waiting", Tid(which)));
        }
        return Ok((Tid(tid), decode(Tid(tid), status)?));
    }
}

fn decode(tid: Tid, status: i32) -> Result<Stop, Error> {
    if libc::WIFEXITED(status) {
        return Ok(Stop::Exited(libc::WEXITSTATUS(status)));
    }
    if libc::WIFSIGNALED(status) {
        return Ok(Stop::Killed(libc::WTERMSIG(status)));
    }
    let signal = libc::WSTOPSIG(status);
    Ok(match status >> 16 {
        libc::PTRACE_EVENT_SECCOMP => Stop::BeforeCall,
        libc::PTRACE_EVENT_CLONE | libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK => {
            Stop::Child(Tid(tid.event_message()? as i32))
        }
        libc::PTRACE_EVENT_EXEC => Stop::Exec(Tid(tid.event_message()? as i32)),
        libc::PTRACE_EVENT_STOP => Stop::Fresh,
        _ if signal == libc::SIGTRAP | 0x80 => Stop::AfterCall,
        _ => Stop::Signal(signal),
    })
}
