//! Calls that the sandbox does not carry: which, how often, and with what they failed. Programs fall back from most of
//! them; one that does not, ends, and this tells why.

use super::Sandbox;
use super::syscalls::{self, Policy};
use super::task::{Call, ThreadId};
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::fmt;

/// A kind of call that failed because it is not carried.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// The position of the node.
    pub node: usize,
    /// The name of the call.
    pub call: &'static str,
    /// What of it is not carried, where a call has many meanings: `request 0x5401` of ioctl(2).
    pub detail: Option<String>,
    /// What it failed with (errno(3)).
    pub errno: i32,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.call)?;
        if let Some(detail) = &self.detail {
            write!(f, " ({detail})")?;
        }
        let errno = Errno::from_raw(self.errno);
        write!(f, ": {errno:?}, {}", errno.desc())
    }
}

/// Kinds that are told apart; a program that tries more is not told of further.
const KINDS_MAX: usize = 256;

impl Sandbox {
    /// Calls that were refused, or failed as what the sandbox does not have, and how often.
    #[must_use]
    pub fn refusals(&self) -> &BTreeMap<Refusal, u64> {
        &self.refusals
    }

    pub(super) fn note_refusal(&mut self, id: ThreadId, call: &Call, errno: Errno) {
        let is_refused = matches!(syscalls::policy(call.number), Some(Policy::Refuse(_))) || makes_pipe(call);
        if is_routine(call) || !(is_refused || is_lacking(errno)) {
            return;
        }
        let refusal = Refusal {
            node: self.thread(id).node,
            call: syscalls::name(call.number),
            detail: detail(call),
            errno: errno as i32,
        };
        if self.refusals.len() < KINDS_MAX || self.refusals.contains_key(&refusal) {
            *self.refusals.entry(refusal).or_default() += 1;
        }
    }
}

/// Whether this says that a kernel does not have what was asked for (errno(3)).
fn is_lacking(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::ENOSYS
            | Errno::ENOTTY
            | Errno::EOPNOTSUPP
            | Errno::EAFNOSUPPORT
            | Errno::EPFNOSUPPORT
            | Errno::EPROTONOSUPPORT
            | Errno::ESOCKTNOSUPPORT
            | Errno::ENOPROTOOPT
    )
}

/// Whether this is to make a pipe with a name, or a device (mknod(2)).
fn makes_pipe(call: &Call) -> bool {
    let mode = match call.number {
        libc::SYS_mknod => call.args[1],
        libc::SYS_mknodat => call.args[2],
        _ => return false,
    };
    ![0, libc::S_IFREG, libc::S_IFSOCK].contains(&(mode as u32 & libc::S_IFMT))
}

/// Whether this says nothing of the program: glibc asks each thread's kernel for restartable sequences and does without,
/// and asks whether descriptors are terminals, which is answered as Linux does (rseq(2), ioctl_tty(2)).
fn is_routine(call: &Call) -> bool {
    let asks_terminal = call.number == libc::SYS_ioctl && call.args[1] >> 8 == u64::from(b'T');
    call.number == libc::SYS_rseq || asks_terminal
}

/// The argument that says what the call is about.
fn detail(call: &Call) -> Option<String> {
    let [first, second, third, ..] = call.args;
    match call.number {
        libc::SYS_ioctl => Some(format!("request {second:#x}")),
        libc::SYS_fcntl => Some(format!("command {second}")),
        libc::SYS_prctl => Some(format!("option {first}")),
        libc::SYS_futex => Some(format!("operation {}", second as i32 & libc::FUTEX_CMD_MASK)),
        libc::SYS_socket | libc::SYS_socketpair => {
            Some(format!("domain {first}, type {}, protocol {third}", second & 0xf))
        }
        libc::SYS_getsockopt | libc::SYS_setsockopt => Some(format!("level {second}, option {third}")),
        _ => None,
    }
}
