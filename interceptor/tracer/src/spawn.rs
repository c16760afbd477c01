//! Starting a program as a guest: traced, filtered, with constant addresses and no clock of its own.

use crate::stop::announce_no_stops;
use crate::{Error, Filter, Namespace, Stop, Tid, wait_for};
use nix::errno::Errno;
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// What to start.
pub struct Launch<'a> {
    /// Path of the program.
    pub program: &'a CStr,
    /// Its arguments, its own name first.
    pub arguments: &'a [CString],
    /// Its whole environment, `NAME=VALUE`.
    pub environment: &'a [CString],
    /// Its working directory.
    pub directory: &'a CStr,
    /// Which calls run without a stop.
    pub filter: &'a Filter,
    /// Bound on the bytes of address space; 0: none.
    pub address_space_max: u64,
    /// The mount namespace that it lives in; absent: ours.
    pub namespace: Option<&'a Namespace>,
    /// The user and group that it runs as; absent: ours.
    pub owner: Option<(u32, u32)>,
}

/// Starts the program; it stands at its exec stop, before its first instruction.
///
/// # Errors
/// When the program cannot be started; the child is gone then.
pub fn spawn(launch: &Launch<'_>) -> Result<Tid, Error> {
    announce_no_stops();
    let failed =
        |step, source| Error::Spawn { program: launch.program.to_string_lossy().into_owned(), step, source };
    let (tid, gate) = fork_behind_gate(launch)?;
    let options = libc::PTRACE_O_TRACESECCOMP
        | libc::PTRACE_O_TRACECLONE
        | libc::PTRACE_O_TRACEFORK
        | libc::PTRACE_O_TRACEVFORK
        | libc::PTRACE_O_TRACEEXEC
        | libc::PTRACE_O_TRACESYSGOOD
        | libc::PTRACE_O_EXITKILL;
    // SAFETY: the options are passed by value.
    let seized = unsafe {
        libc::ptrace(
            libc::PTRACE_SEIZE,
            tid.0,
            std::ptr::null_mut::<libc::c_void>(),
            std::ptr::without_provenance_mut::<libc::c_void>(options as usize),
        )
    };
    if seized < 0 {
        let source = Errno::last();
        abandon(tid);
        return Err(failed("tracing it (is ptrace permitted here?)", source));
    }
    if let Err(source) = nix::unistd::write(&gate, b"!") {
        abandon(tid);
        return Err(failed("opening its gate", source));
    }
    drop(gate);
    wait_for_exec(tid, launch)
}

/// The child, which waits until a byte comes through the pipe. Should the pipe close instead, for whoever holds it has ended,
/// the child ends too.
fn fork_behind_gate(launch: &Launch<'_>) -> Result<(Tid, OwnedFd), Error> {
    let failed =
        |step, source| Error::Spawn { program: launch.program.to_string_lossy().into_owned(), step, source };
    let arguments = pointers(launch.arguments);
    let environment = pointers(launch.environment);
    let program = libc::sock_fprog {
        len: launch.filter.0.len() as u16,
        filter: launch.filter.0.as_ptr().cast_mut().cast(),
    };
    let [input, null] = [libc::O_RDONLY, libc::O_RDWR].map(open_null);
    let input = input.map_err(|e| failed("opening /dev/null", e))?;
    let null = null.map_err(|e| failed("opening /dev/null", e))?;
    let (gate_read, gate_write) =
        nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(|e| failed("making a pipe", e))?;

    // SAFETY: between fork and exec the child only makes plain system calls on memory prepared above; it
    // never allocates, locks or unwinds.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        return Err(failed("fork", Errno::last()));
    }
    if pid == 0 {
        let prepared = Prepared {
            launch,
            arguments: &arguments,
            environment: &environment,
            program: &program,
            input: input.as_raw_fd(),
            null: null.as_raw_fd(),
            gate: gate_read.as_raw_fd(),
            opener: gate_write.as_raw_fd(),
        };
        // SAFETY: we are the fresh child; the function ends in exec or _exit.
        unsafe { become_guest(&prepared) }
    }
    Ok((Tid(pid), gate_write))
}

fn abandon(tid: Tid) {
    if tid.send_process_signal(libc::SIGKILL).is_ok() {
        while let Ok(stop) = wait_for(tid) {
            if matches!(stop, Stop::Exited(_) | Stop::Killed(_)) {
                break;
            }
        }
    }
}

fn wait_for_exec(tid: Tid, launch: &Launch<'_>) -> Result<Tid, Error> {
    let died =
        |status: String| Error::Died { program: launch.program.to_string_lossy().into_owned(), status };
    loop {
        match wait_for(tid)? {
            Stop::Exec(_) => return Ok(tid),
            Stop::Exited(code) => {
                let (step, errno) = STEPS
                    .get(usize::from(code as u8 >> 5))
                    .map_or(("setup", code), |step| (*step, code & 0x1f));
                return Err(died(format!("{step}: {}", Errno::from_raw(errno).desc())));
            }
            Stop::Killed(signal) => return Err(died(format!("signal {signal}"))),
            Stop::Signal(signal) => tid.resume(signal)?,
            _ => tid.resume(0)?,
        }
    }
}

/// What the child was doing when it gave up, by the upper bits of its status.
const STEPS: [&str; 7] = ["setup", "gate", "directory", "descriptors", "filter", "exec", "entering its root"];

/// Rights over the machine and not over files, by their numbers (capabilities(7)): no guest has them, whoever it is.
const FOREGONE: &[i32] = &[
    2,  // DAC_READ_SEARCH
    9,  // LINUX_IMMUTABLE
    12, // NET_ADMIN
    16, 17, // SYS_MODULE, SYS_RAWIO
    19, 20, 21, 22, // SYS_PTRACE, SYS_PACCT, SYS_ADMIN, SYS_BOOT
    25, 26, 27, // SYS_TIME, SYS_TTY_CONFIG, MKNOD
    30, 32, 33, 34, 35, 36, 37, // AUDIT_CONTROL, MAC_*, SYSLOG, WAKE_ALARM, BLOCK_SUSPEND, AUDIT_READ
    38, 39, 40, // PERFMON, BPF, CHECKPOINT_RESTORE
];

struct Prepared<'a> {
    launch: &'a Launch<'a>,
    arguments: &'a [*const libc::c_char],
    environment: &'a [*const libc::c_char],
    program: &'a libc::sock_fprog,
    input: i32,
    null: i32,
    gate: i32,
    /// The other end of the gate, which is the tracer's alone: should it end, the gate reads as closed.
    opener: i32,
}

/// Turns the forked child into the guest.
///
/// # Safety
/// Must be called in a fresh child of fork, and only makes async-signal-safe calls.
unsafe fn become_guest(p: &Prepared<'_>) -> ! {
    let fail = |step: i32| -> ! {
        let errno = Errno::last_raw();
        // SAFETY: ends the child without running anything of the parent's.
        unsafe { libc::_exit((step << 5) | (errno & 0x1f)) }
    };
    let limit = |resource, value: u64| {
        let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
        // SAFETY: the kernel reads one structure.
        unsafe { libc::setrlimit(resource, &raw const limit) }
    };
    // SAFETY: plain calls with constants or with memory that the parent prepared before the fork.
    unsafe {
        libc::close(p.opener);
        let mut byte = 0_u8;
        if libc::read(p.gate, (&raw mut byte).cast(), 1) != 1 {
            fail(1);
        }
        if p.launch.namespace.is_some_and(|namespace| !namespace.enter()) {
            fail(6);
        }
        // Without the right to drop them there is none of them to lose.
        for capability in FOREGONE {
            libc::prctl(libc::PR_CAPBSET_DROP, *capability, 0, 0, 0);
        }
        if let Some((user, group)) = p.launch.owner {
            let dropped = libc::setgroups(0, std::ptr::null()) == 0
                && libc::setresgid(group, group, group) == 0
                && libc::setresuid(user, user, user) == 0;
            if !dropped {
                fail(6);
            }
        }
        libc::setsid();
        libc::personality(libc::ADDR_NO_RANDOMIZE as libc::c_ulong);
        libc::prctl(libc::PR_SET_TSC, libc::PR_TSC_SIGSEGV, 0, 0, 0);
        libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0);
        libc::umask(0o022);
        limit(libc::RLIMIT_CORE, 0);
        limit(libc::RLIMIT_STACK, 8 << 20);
        limit(libc::RLIMIT_NOFILE, 1024);
        if p.launch.address_space_max > 0 {
            limit(libc::RLIMIT_AS, p.launch.address_space_max);
        }
        for signal in 1..=64 {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        if libc::chdir(p.launch.directory.as_ptr()) < 0 {
            fail(2);
        }
        for fd in 0..3 {
            if libc::dup2(if fd == 0 { p.input } else { p.null }, fd) < 0 {
                fail(3);
            }
        }
        libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0);
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 {
            fail(4);
        }
        let filtered = libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW,
            p.program,
        );
        if filtered < 0 {
            fail(4);
        }
        libc::execve(p.launch.program.as_ptr(), p.arguments.as_ptr(), p.environment.as_ptr());
        fail(5)
    }
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
}

fn open_null(access: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: a constant path; a descriptor of our own comes back.
    let fd = unsafe { libc::open(c"/dev/null".as_ptr(), access | libc::O_CLOEXEC) };
    if fd < 0 {
        return Err(Errno::last());
    }
    // SAFETY: the descriptor was just created and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rule;
    use std::collections::BTreeMap;

    #[test]
    fn a_child_whose_tracer_ends_before_it_opens_the_gate_ends_too() {
        let filter = Filter::allowing(&BTreeMap::from([(libc::SYS_getpid, vec![Rule::Always])]));
        let launch = Launch {
            program: c"/bin/true",
            arguments: &[],
            environment: &[],
            directory: c"/",
            filter: &filter,
            address_space_max: 0,
            namespace: None,
            owner: None,
        };
        let (tid, gate) = fork_behind_gate(&launch).unwrap();
        drop(gate);
        let mut status = 0;
        // SAFETY: the kernel writes one integer.
        assert_eq!(unsafe { libc::waitpid(tid.0, &raw mut status, 0) }, tid.0);
        assert_eq!(libc::WEXITSTATUS(status) >> 5, 1, "the gate is what it failed at");
    }
}
