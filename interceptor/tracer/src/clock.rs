//! The host's clock around guests that must not read it.
//!
//! Guests may not execute `rdtsc` (prctl(2), PR_SET_TSC). The kernel keeps that in a control register, so each switch
//! between a thread that may and one that may not writes it, which doubles the cost of a stop under a hypervisor. A
//! tracer that may not either costs nothing.

use std::marker::PhantomData;

/// While it lives, the thread that made it cannot execute `rdtsc` either: whoever reads a clock through the vDSO, as
/// [`std::time::Instant::now`] does, is ended by SIGSEGV. See [`host_ns`].
#[derive(Debug)]
pub struct NoTsc(PhantomData<*const ()>);

impl NoTsc {
    /// Begins; threads that this one starts from now on inherit it.
    #[must_use]
    pub fn begin() -> Self {
        set(libc::PR_TSC_SIGSEGV);
        Self(PhantomData)
    }
}

impl Drop for NoTsc {
    fn drop(&mut self) {
        set(libc::PR_TSC_ENABLE);
    }
}

/// Where the kernel refuses, stops cost more and nothing else differs.
fn set(mode: libc::c_int) {
    // SAFETY: no memory is passed.
    unsafe { libc::prctl(libc::PR_SET_TSC, mode, 0, 0, 0) };
}

/// Nanoseconds of the host's monotonic clock, by a system call: good where [`NoTsc`] is in force.
#[must_use]
pub fn host_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one structure.
    unsafe { libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_types, reason = "the usual way to read the clock is what is tested")]
    fn the_clock_can_be_read_while_the_counter_cannot() {
        let before = host_ns();
        let guard = NoTsc::begin();
        let within = host_ns();
        drop(guard);
        // would end the test, were it still in force
        let _now = std::hint::black_box(std::time::Instant::now());
        assert!(before <= within && within <= host_ns());
    }
}
