//! Stops: why a traced thread is not running.

use crate::{Error, Tid};
use nix::errno::Errno;
use std::ptr;
use std::sync::Once;

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

impl Stop {
    /// The thread has ended: it reports nothing more.
    #[must_use]
    pub const fn is_end(&self) -> bool {
        matches!(self, Self::Exited(_) | Self::Killed(_))
    }
}

/// Has the kernel not send SIGCHLD at stops (`SA_NOCLDSTOP`, sigaction(2)): they are awaited, and sending a signal that nobody
/// handles costs a few percent of each. Where somebody handles it, it stays as it is.
pub(crate) fn announce_no_stops() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: plain old data, for which zero is a value; the kernel writes and reads one structure.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            let known = libc::sigaction(libc::SIGCHLD, ptr::null(), &raw mut action) == 0;
            if known && action.sa_sigaction == libc::SIG_DFL {
                action.sa_flags |= libc::SA_NOCLDSTOP;
                libc::sigaction(libc::SIGCHLD, &raw const action, ptr::null_mut());
            }
        }
    });
}

/// Waits until any thread traced by this thread stops or ends. `None`: there is no such thread left.
///
/// # Errors
/// When waiting fails for another reason.
pub fn wait_any() -> Result<Option<(Tid, Stop)>, Error> {
    match wait(-1) {
        Err(Error::Call { source: Errno::ECHILD, .. }) => Ok(None),
        other => other.map(Some),
    }
}

/// What [`wait_any`] would return at once. `None`: nothing, or there is no such thread left.
///
/// # Errors
/// When waiting fails for another reason.
pub fn poll_any() -> Result<Option<(Tid, Stop)>, Error> {
    match wait_once(-1, libc::WNOHANG) {
        Err(Error::Call { source: Errno::ECHILD, .. }) => Ok(None),
        other => other,
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
        match wait_once(which, 0) {
            Ok(Some(found)) => return Ok(found),
            Ok(None) | Err(Error::Call { source: Errno::EINTR, .. }) => {}
            Err(error) => return Err(error),
        }
    }
}

/// One call of waitpid(2); a signal of ours ends it with `EINTR`.
pub(crate) fn wait_once(which: i32, flags: i32) -> Result<Option<(Tid, Stop)>, Error> {
    let mut status = 0;
    // SAFETY: the kernel writes one integer into `status`.
    let tid = unsafe { libc::waitpid(which, &raw mut status, libc::__WALL | libc::__WNOTHREAD | flags) };
    match tid {
        ..0 => Err(Error::call("waiting", Tid(which))),
        0 => Ok(None),
        _ => decode(Tid(tid), status).map(|stop| Some((Tid(tid), stop))),
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
    let other = |make: fn(Tid) -> Stop| match tid.event_message() {
        Ok(other) => Ok(make(Tid(other as i32))),
        // It was killed since: its end is what it reports next.
        Err(error) if error.is_gone() => Ok(Stop::Fresh),
        Err(error) => Err(error),
    };
    Ok(match status >> 16 {
        libc::PTRACE_EVENT_SECCOMP => Stop::BeforeCall,
        libc::PTRACE_EVENT_CLONE | libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK => other(Stop::Child)?,
        libc::PTRACE_EVENT_EXEC => other(Stop::Exec)?,
        libc::PTRACE_EVENT_STOP => Stop::Fresh,
        _ if signal == libc::SIGTRAP | 0x80 => Stop::AfterCall,
        _ => Stop::Signal(signal),
    })
}
