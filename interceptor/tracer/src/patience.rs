//! Waiting for a stop with a bound on the host's clock, which waitpid(2) does not have.

use crate::stop::wait_once;
use crate::{Error, Stop, Tid, host_ns, poll_any};
use nix::errno::Errno;
use std::marker::PhantomData;
use std::ptr;

/// A timer of the thread that made it: it breaks off a wait.
///
/// It sends SIGALRM, whose handler is empty. Should the signal come just before the wait begins, the next one ends it:
/// the timer goes on every `AGAIN_NS` until it is called off.
#[derive(Debug)]
pub struct Patience {
    timer: libc::timer_t,
    /// The signal is sent to one thread.
    _stays: PhantomData<*const ()>,
}

/// How often the timer fires once it has.
const AGAIN_NS: i64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

extern "C" fn nothing(_: libc::c_int) {}

impl Patience {
    /// A timer that does not run yet.
    ///
    /// # Errors
    /// When the kernel has no timer left.
    pub fn new() -> Result<Self, Error> {
        // SAFETY: plain old data, for which zero is a value: no flag, so that waits are broken off, and no mask.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as usize;
        // SAFETY: plain old data, as above.
        let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = libc::SIGALRM;
        let mut timer = ptr::null_mut();
        // SAFETY: the kernel reads two structures and writes one; the handler touches nothing.
        let made = unsafe {
            event.sigev_notify_thread_id = libc::gettid();
            libc::sigaction(libc::SIGALRM, &raw const action, ptr::null_mut()) == 0
                && libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer) == 0
        };
        if made {
            Ok(Self { timer, _stays: PhantomData })
        } else {
            Err(Error::call("making a timer", Tid(0)))
        }
    }

    /// Waits until any thread traced by this thread stops or ends, at most until the host's monotonic clock shows
    /// `until_ns`. `None`: the time is up.
    ///
    /// # Errors
    /// When waiting fails.
    pub fn wait_any(&self, until_ns: u64) -> Result<Option<(Tid, Stop)>, Error> {
        loop {
            if let Some(found) = poll_any()? {
                return Ok(Some(found));
            }
            if host_ns() >= until_ns {
                return Ok(None);
            }
            self.set(until_ns, AGAIN_NS);
            let waited = wait_once(-1, 0);
            self.set(0, 0);
            match waited {
                Ok(Some(found)) => return Ok(Some(found)),
                Ok(None) | Err(Error::Call { source: Errno::EINTR, .. }) => {}
                Err(Error::Call { source: Errno::ECHILD, .. }) => sleep_until(until_ns),
                Err(error) => return Err(error),
            }
        }
    }

    /// Lets it fire when the host's monotonic clock shows `at_ns`, and on and on; never at 0.
    fn set(&self, at_ns: u64, again_ns: i64) {
        let value = libc::itimerspec {
            it_interval: libc::timespec { tv_sec: 0, tv_nsec: again_ns },
            it_value: timespec(at_ns),
        };
        // SAFETY: the timer is ours; the kernel reads one structure. It cannot fail: the figures are in range.
        unsafe { libc::timer_settime(self.timer, libc::TIMER_ABSTIME, &raw const value, ptr::null_mut()) };
    }
}

impl Drop for Patience {
    fn drop(&mut self) {
        // SAFETY: the timer is ours, and nobody uses it any more.
        unsafe { libc::timer_delete(self.timer) };
    }
}

fn timespec(ns: u64) -> libc::timespec {
    libc::timespec { tv_sec: (ns / SECOND) as i64, tv_nsec: (ns % SECOND) as i64 }
}

/// Nobody is traced, so there is nothing to wait for but time.
fn sleep_until(ns: u64) {
    let at = timespec(ns);
    // SAFETY: the kernel reads one structure. Should a signal end it early, the caller looks at the clock.
    unsafe {
        libc::clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &raw const at, ptr::null_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_for_nobody_ends_in_time() {
        let patience = Patience::new().unwrap();
        let until = host_ns() + 2_000_000;
        assert_eq!(patience.wait_any(until).unwrap(), None);
        assert!(host_ns() >= until);
    }
}
