//! Calls: the table, and a handler for each call that is not simply let through, one file a family.

mod aio;
mod arity;
mod data;
mod descriptor;
mod directory;
mod disk;
mod futex;
mod identity;
mod ids;
mod limits;
mod locks;
mod mapping;
mod names;
mod open;
mod pipe;
mod poll;
mod process;
mod scheduling;
mod signal;
mod socket;
mod stat;
mod table;
mod time;

pub use arity::arity;
pub(super) use identity::MEMORY_BYTES;
pub(super) use limits::{LIMITS, Limits};
pub(super) use signal::check_signals;
pub use table::{Policy, filter, policy};
pub(super) use time::span;

use super::Sandbox;
use super::find::Named;
use super::guest::{Handled, Outcome};
use super::task::{Call, ThreadId};

/// The name of a call, for people.
#[must_use]
pub fn name(number: i64) -> &'static str {
    usize::try_from(number).ok().and_then(syscalls::Sysno::new).map_or("unknown call", |call| call.name())
}

/// From here on numbers are those of another table, of programs with short addresses (x32).
const OTHER_TABLE: i64 = 0x4000_0000;

/// Answers a call: the first time, or again after it has waited.
pub(super) fn handle(sandbox: &mut Sandbox, id: ThreadId, call: &Call) -> Handled {
    match policy(call.number) {
        Some(Policy::Refuse(errno)) => Err(errno.into()),
        Some(Policy::Allow) => Ok(Outcome::Continue),
        Some(Policy::AllowPrivate) => sandbox.map_shared_file(id, call),
        // As a kernel that does not know of such registers.
        Some(Policy::AllowCommon) => Err(nix::errno::Errno::EINVAL.into()),
        Some(Policy::Emulate) => dispatch(sandbox, id, call),
        // As a kernel that has no such call (yet): programs ask to find out.
        None if call.number < OTHER_TABLE => Err(nix::errno::Errno::ENOSYS.into()),
        None => unknown(sandbox, id, call),
    }
}

/// Flags of a call: those that it does not know are an error.
fn only_known(flags: u64, known: i32) -> Result<(), nix::errno::Errno> {
    if flags as i32 & !known == 0 { Ok(()) } else { Err(nix::errno::Errno::EINVAL) }
}

fn unknown(sandbox: &mut Sandbox, id: ThreadId, call: &Call) -> Handled {
    let node = sandbox.thread(id).node + 1;
    sandbox
        .stop_run(format!("node n{node} made a call that the sandbox does not know: number {}", call.number));
    Err(nix::errno::Errno::ENOSYS.into())
}

#[allow(clippy::too_many_lines, reason = "one row a call; the table reads best in one piece")]
fn dispatch(s: &mut Sandbox, id: ThreadId, call: &Call) -> Handled {
    let [a, b, c, d, e, f] = call.args;
    let (here, at) = (|argument| Named::of(call, argument), |argument| Named::at(call, argument));
    let follows = |flags: u64| flags & libc::AT_SYMLINK_NOFOLLOW as u64 == 0;
    match call.number {
        // data.rs
        libc::SYS_read => s.read(id, call, &[(b, c as usize)], None),
        libc::SYS_pread64 => s.read(id, call, &[(b, c as usize)], Some(d)),
        libc::SYS_readv => s.vector_of(id, call).and_then(|v| s.read(id, call, &v, None)),
        libc::SYS_preadv | libc::SYS_preadv2 => {
            let at = (call.number == libc::SYS_preadv || d as i64 != -1).then_some(d);
            s.vector_of(id, call).and_then(|v| s.read(id, call, &v, at))
        }
        libc::SYS_write => s.write(id, call, &[(b, c as usize)], None),
        libc::SYS_pwrite64 => s.write(id, call, &[(b, c as usize)], Some(d)),
        libc::SYS_writev => s.vector_of(id, call).and_then(|v| s.write(id, call, &v, None)),
        libc::SYS_pwritev | libc::SYS_pwritev2 => {
            let at = (call.number == libc::SYS_pwritev || d as i64 != -1).then_some(d);
            s.vector_of(id, call).and_then(|v| s.write(id, call, &v, at))
        }
        libc::SYS_sendfile => s.sendfile(id, call),
        libc::SYS_lseek => s.lseek(id, call),
        libc::SYS_fsync | libc::SYS_fdatasync => s.fsync(id, a),
        libc::SYS_sync | libc::SYS_syncfs => s.sync(id, call),
        // It begins write-back at most, and promises nothing.
        libc::SYS_sync_file_range => s.native(id),
        libc::SYS_ftruncate => s.ftruncate(id, a, b),
        libc::SYS_truncate => s.truncate(id, call),
        libc::SYS_fallocate => s.fallocate(id, call),
        libc::SYS_fadvise64 | libc::SYS_readahead => s.advise(id, call),
        // mapping.rs
        libc::SYS_msync => s.msync(id, call),
        libc::SYS_mincore => s.mincore(id, call),
        // aio.rs
        libc::SYS_io_setup => s.io_setup(id, call),
        libc::SYS_io_destroy => s.io_destroy(id, call),
        libc::SYS_io_submit => s.io_submit(id, call),
        libc::SYS_io_getevents => s.io_getevents(id, call),
        libc::SYS_io_cancel => s.io_cancel(id, call),
        // open.rs
        libc::SYS_open => s.openat(id, call, here(0), b),
        libc::SYS_creat => {
            s.openat(id, call, here(0), (libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC) as u64)
        }
        libc::SYS_openat => s.openat(id, call, at(1), c),
        libc::SYS_memfd_create => s.memfd(id, call),
        // descriptor.rs
        libc::SYS_close => s.close(id, call),
        libc::SYS_close_range => s.close_range(id, call),
        libc::SYS_dup | libc::SYS_dup2 | libc::SYS_dup3 => s.dup(id, call),
        libc::SYS_fcntl => s.fcntl(id, call),
        libc::SYS_ioctl => s.ioctl(id, call),
        libc::SYS_pipe | libc::SYS_pipe2 => s.pipe(id, call),
        // directory.rs
        libc::SYS_getdents | libc::SYS_getdents64 => s.getdents(id, call),
        // locks.rs
        libc::SYS_flock => s.flock(id, call),
        // names.rs
        libc::SYS_rename => s.rename(id, call, here(0), here(1), 0),
        libc::SYS_renameat => s.rename(id, call, at(1), at(3), 0),
        libc::SYS_renameat2 => s.rename(id, call, at(1), at(3), e),
        libc::SYS_mkdir => s.mkdir(id, call, here(0)),
        libc::SYS_mkdirat => s.mkdir(id, call, at(1)),
        libc::SYS_mknod => s.mknod(id, call, here(0), b),
        libc::SYS_mknodat => s.mknod(id, call, at(1), c),
        libc::SYS_rmdir => s.remove(id, call, here(0), true),
        libc::SYS_unlink => s.remove(id, call, here(0), false),
        libc::SYS_unlinkat => {
            only_known(c, libc::AT_REMOVEDIR)?;
            s.remove(id, call, at(1), c & libc::AT_REMOVEDIR as u64 != 0)
        }
        libc::SYS_link => s.hard_link(id, call, here(0), here(1), 0),
        libc::SYS_linkat => s.hard_link(id, call, at(1), at(3), e),
        libc::SYS_symlink => s.symlink(id, call, here(1)),
        libc::SYS_symlinkat => s.symlink(id, call, at(2)),
        libc::SYS_chdir | libc::SYS_fchdir => s.chdir(id, call),
        libc::SYS_getcwd => s.getcwd(id, call),
        libc::SYS_readlink => s.readlink(id, here(0), b, c),
        libc::SYS_readlinkat => s.readlink(id, at(1), c, d),
        libc::SYS_chmod | libc::SYS_chown => s.change_inode(id, call, here(0), true),
        libc::SYS_lchown => s.change_inode(id, call, here(0), false),
        libc::SYS_fchmodat => s.change_inode(id, call, at(1), true),
        libc::SYS_fchmodat2 => s.change_inode(id, call, at(1), follows(d)),
        libc::SYS_fchownat if e & libc::AT_EMPTY_PATH as u64 != 0 => s.change_open_inode(id, a),
        libc::SYS_fchownat => {
            only_known(e, libc::AT_SYMLINK_NOFOLLOW)?;
            s.change_inode(id, call, at(1), follows(e))
        }
        libc::SYS_fchmod | libc::SYS_fchown => s.change_open_inode(id, a),
        libc::SYS_utime | libc::SYS_utimes => s.set_times(id, call, here(0), true),
        libc::SYS_futimesat => s.set_times(id, call, at(1), true),
        libc::SYS_utimensat => {
            only_known(d, libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH)?;
            s.set_times(id, call, at(1), follows(d))
        }
        libc::SYS_access => s.access(id, call, here(0), b, true),
        libc::SYS_faccessat => s.access(id, call, at(1), c, true),
        libc::SYS_faccessat2 => {
            only_known(d, libc::AT_SYMLINK_NOFOLLOW | libc::AT_EACCESS | libc::AT_EMPTY_PATH)?;
            s.access(id, call, at(1), c, follows(d))
        }
        libc::SYS_getxattr | libc::SYS_lgetxattr | libc::SYS_fgetxattr => {
            Err(nix::errno::Errno::ENODATA.into())
        }
        libc::SYS_listxattr | libc::SYS_llistxattr | libc::SYS_flistxattr => super::guest::returns(0),
        // ids.rs
        libc::SYS_setuid
        | libc::SYS_setgid
        | libc::SYS_setreuid
        | libc::SYS_setregid
        | libc::SYS_setresuid
        | libc::SYS_setresgid => s.set_ids(id, call),
        libc::SYS_setfsuid | libc::SYS_setfsgid => s.set_file_id(id, call),
        libc::SYS_setgroups => s.set_groups(id, a, b),
        // stat.rs
        libc::SYS_stat => s.stat_path(id, here(0), b, 0),
        libc::SYS_lstat => s.stat_path(id, here(0), b, libc::AT_SYMLINK_NOFOLLOW as u64),
        libc::SYS_fstat => s.stat_descriptor(id, a, b),
        libc::SYS_newfstatat => s.stat_path(id, at(1), c, d),
        libc::SYS_statx => s.statx(id, call),
        libc::SYS_statfs | libc::SYS_fstatfs => s.statfs(id, call),
        // poll.rs
        libc::SYS_poll | libc::SYS_ppoll => s.poll(id, call),
        libc::SYS_select | libc::SYS_pselect6 => s.select(id, call),
        libc::SYS_epoll_create | libc::SYS_epoll_create1 => s.epoll_create(id, call),
        libc::SYS_epoll_ctl => s.epoll_ctl(id, call),
        libc::SYS_epoll_wait | libc::SYS_epoll_pwait | libc::SYS_epoll_pwait2 => s.epoll_wait(id, call),
        libc::SYS_eventfd | libc::SYS_eventfd2 => s.eventfd(id, call),
        libc::SYS_signalfd | libc::SYS_signalfd4 => s.signalfd(id, call),
        libc::SYS_timerfd_create => s.timerfd_create(id, call),
        libc::SYS_timerfd_settime => s.timerfd_settime(id, call),
        libc::SYS_timerfd_gettime => s.timerfd_gettime(id, a, b),
        // socket.rs
        libc::SYS_socket => s.socket(id, call),
        libc::SYS_socketpair => s.socketpair(id, call),
        libc::SYS_bind => s.bind_socket(id, a, b, c),
        libc::SYS_listen => s.listen(id, a, b),
        libc::SYS_accept => s.accept(id, call, 0),
        libc::SYS_accept4 => s.accept(id, call, d),
        libc::SYS_connect => s.connect(id, a, b, c),
        libc::SYS_shutdown => s.shutdown(id, a, b),
        libc::SYS_sendto => s.sendto(id, a, &[(b, c as usize)], d, e, f),
        libc::SYS_recvfrom => s.recvfrom(id, a, &[(b, c as usize)], d, (e, f)),
        libc::SYS_sendmsg => s.sendmsg(id, a, b, c),
        libc::SYS_recvmsg => s.recvmsg(id, a, b, c),
        libc::SYS_sendmmsg => s.sendmmsg(id, call),
        libc::SYS_recvmmsg => s.recvmmsg(id, call),
        libc::SYS_getsockopt => s.getsockopt(id, call),
        libc::SYS_setsockopt => s.setsockopt(id, call),
        libc::SYS_getsockname => s.socket_name(id, call, false),
        libc::SYS_getpeername => s.socket_name(id, call, true),
        // time.rs
        libc::SYS_clock_gettime => s.clock_gettime(id, a, b),
        libc::SYS_clock_getres => s.clock_getres(id, a, b),
        libc::SYS_gettimeofday => s.gettimeofday(id, a, b),
        libc::SYS_time => s.time(id, a),
        libc::SYS_nanosleep => s.sleep(id, libc::CLOCK_MONOTONIC as u64, 0, a, b),
        libc::SYS_clock_nanosleep => s.sleep(id, a, b, c, d),
        libc::SYS_times => s.times(id, a),
        libc::SYS_getrusage => s.getrusage(id, a, b),
        libc::SYS_alarm => s.alarm(id, a),
        libc::SYS_setitimer => s.setitimer(id, call),
        libc::SYS_getitimer => s.getitimer(id, a, b),
        libc::SYS_timer_create => s.timer_create(id, call),
        libc::SYS_timer_settime => s.timer_settime(id, call),
        libc::SYS_timer_gettime => s.timer_gettime(id, a, b),
        libc::SYS_timer_getoverrun => s.timer_getoverrun(id, a),
        libc::SYS_timer_delete => s.timer_delete(id, a),
        // futex.rs
        libc::SYS_futex => s.futex(id, call),
        libc::SYS_get_robust_list => s.get_robust_list(id, call),
        libc::SYS_set_robust_list => s.set_robust_list(id, a, b),
        libc::SYS_set_tid_address => s.set_tid_address(id, a),
        libc::SYS_sched_yield => super::guest::returns(0),
        // process.rs
        libc::SYS_clone | libc::SYS_fork | libc::SYS_vfork => s.clone_task(id, call),
        libc::SYS_execve => s.exec(id, call, here(0)),
        libc::SYS_execveat => s.exec(id, call, at(1)),
        libc::SYS_exit => s.exit(id, call),
        libc::SYS_exit_group => s.exit_group(id, call),
        libc::SYS_wait4 => s.wait4(id, call),
        libc::SYS_waitid => s.waitid(id, call),
        libc::SYS_getpid => {
            let pid = s.process_of(id).vpid;
            super::guest::returns(pid)
        }
        libc::SYS_gettid => {
            let tid = s.thread(id).vtid;
            super::guest::returns(tid)
        }
        libc::SYS_getppid => s.getppid(id),
        libc::SYS_getpgid | libc::SYS_getpgrp | libc::SYS_getsid => s.group(id, call),
        libc::SYS_setpgid | libc::SYS_setsid => s.set_group(id, call),
        // signal.rs
        libc::SYS_kill => s.kill_process(id, a, b),
        libc::SYS_tkill => s.kill_thread(id, None, a, b),
        libc::SYS_tgkill => s.kill_thread(id, Some(a), b, c),
        libc::SYS_rt_sigqueueinfo => s.queue_signal(id, None, a, b, c),
        libc::SYS_rt_tgsigqueueinfo => s.queue_signal(id, Some(a), b, c, d),
        libc::SYS_rt_sigaction => s.sigaction(id, a, b, d),
        libc::SYS_rt_sigpending => s.native(id),
        libc::SYS_rt_sigtimedwait => s.take_signal(id, call),
        libc::SYS_rt_sigsuspend => s.sigsuspend(id, a, b),
        libc::SYS_pause => Ok(Outcome::Park(Vec::new())),
        // identity.rs
        libc::SYS_getrandom => s.getrandom(id, a, b, c),
        libc::SYS_uname => s.uname(id, a),
        libc::SYS_sysinfo => s.sysinfo(id, a),
        libc::SYS_sched_getaffinity => s.affinity(id, call),
        libc::SYS_getcpu => s.getcpu(id, a, b),
        libc::SYS_prctl => s.prctl(id, call),
        // limits.rs
        libc::SYS_prlimit64 | libc::SYS_setrlimit | libc::SYS_getrlimit => s.limit(id, call),
        libc::SYS_capget => s.capget(id, call),
        // scheduling.rs
        libc::SYS_getpriority | libc::SYS_setpriority => s.priority(id, call),
        libc::SYS_ioprio_get | libc::SYS_ioprio_set => s.io_priority(id, call),
        libc::SYS_sched_get_priority_max
        | libc::SYS_sched_get_priority_min
        | libc::SYS_sched_setaffinity
        | libc::SYS_sched_getparam
        | libc::SYS_sched_setparam
        | libc::SYS_sched_getscheduler
        | libc::SYS_sched_setscheduler
        | libc::SYS_sched_rr_get_interval
        | libc::SYS_sched_getattr
        | libc::SYS_sched_setattr => s.scheduling(id, call),
        _ => unknown(s, id, call),
    }
}

impl Sandbox {
    /// The buffers of a call that reads or writes a descriptor, which must be there first.
    fn vector_of(&self, id: ThreadId, call: &Call) -> Result<Vec<(u64, usize)>, super::guest::Trouble> {
        let [fd, address, count, ..] = call.args;
        self.description(id, fd)?;
        self.load_vector(id, address, count)
    }

    /// Runs a call as it is, and looks at nothing but its result.
    fn native(&mut self, id: ThreadId) -> Handled {
        Ok(self.run_call(id)?.map_or(Outcome::Gone, Outcome::Ran))
    }

    /// Another call runs instead of that before which the thread stands.
    pub(super) fn replace_call(
        &self,
        id: ThreadId,
        number: i64,
        args: [u64; 6],
    ) -> Result<(), crate::sandbox::Error> {
        let tid = self.thread(id).tid;
        let mut registers = tid.registers()?;
        registers.replace_call(number, args);
        Ok(tid.set_registers(&registers)?)
    }

    /// Runs another call in the place of this one; afterwards the caller's registers are as it left them.
    fn run_instead(
        &mut self,
        id: ThreadId,
        call: &Call,
        number: i64,
        args: [u64; 6],
    ) -> Result<Option<i64>, super::guest::Trouble> {
        self.replace_call(id, number, args)?;
        let result = self.run_call(id)?;
        if result.is_some() {
            self.restore_arguments(id, call)?;
        }
        Ok(result)
    }
}
