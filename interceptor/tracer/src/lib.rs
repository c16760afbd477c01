//! The mechanism under the sandbox: processes that stop at system calls.
//!
//! It starts a program under ptrace with a seccomp filter, waits for stops, reads and writes registers and
//! memory, runs calls on a stopped thread's behalf, and builds the vDSO image that serves time inside the
//! guest. It decides nothing: what a call means, what time it is and who runs next is the interceptor's.
//!
//! All functions must be called from the thread that spawned the tracee: the kernel ties ptrace to it.
//! This is the only crate of the workspace with unsafe code.

mod clock;
mod cpuid;
mod filter;
mod guest;
mod inject;
mod limits;
mod memory;
mod namespace;
mod patience;
mod shared;
mod spawn;
mod stop;
pub mod vdso;

pub use clock::{NoTsc, host_ns};
pub use cpuid::{ARCH_CPUID_SET, CPUID, cpuid};
pub use filter::{Filter, Rule};
pub use guest::{Call, Registers, Tid};
pub use inject::Injection;
pub use limits::raise_descriptor_limit;
pub use memory::PAGE;
pub use namespace::{Namespace, Restriction, Step, namespace_of};
pub use patience::Patience;
pub use shared::{SharedPages, Used};
pub use spawn::{Launch, spawn};
pub use stop::{Stop, poll_any, wait_any, wait_for};

/// A failure of the mechanism itself: the call that failed, and why.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call of the tracer failed.
    #[error("{call} on thread {tid} failed: {source}")]
    Call {
        /// The call.
        call: &'static str,
        /// The thread it was about; 0 for none.
        tid: i32,
        /// Why.
        source: nix::errno::Errno,
    },
    /// The program could not be started.
    #[error("cannot start {program}: {step} failed: {source}")]
    Spawn {
        /// The program.
        program: String,
        /// What was being done.
        step: &'static str,
        /// Why.
        source: nix::errno::Errno,
    },
    /// A mount namespace could not be made.
    #[error("cannot make a mount namespace: {step}: {source}")]
    Namespace {
        /// What was being done.
        step: String,
        /// Why.
        source: nix::errno::Errno,
    },
    /// The program ended before its first instruction.
    #[error("cannot start {program}: it ended while being set up ({status})")]
    Died {
        /// The program.
        program: String,
        /// How.
        status: String,
    },
}

impl Error {
    pub(crate) fn call(call: &'static str, tid: Tid) -> Self {
        Self::Call { call, tid: tid.0, source: nix::errno::Errno::last() }
    }

    /// The host has too little of something now.
    #[must_use]
    pub fn is_for_now(&self) -> bool {
        matches!(self, Self::Call { source: nix::errno::Errno::EAGAIN, .. })
    }

    /// The thread is gone: it was killed while it was being looked at.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Call { source: nix::errno::Errno::ESRCH, .. })
    }
}
