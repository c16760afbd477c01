//! How many arguments a call takes. What the other registers hold is left over from the code before it: which string
//! functions a library runs depends on the processor, so the event log must not tell it.

/// The number of arguments that a call with these arguments takes, of the six that there could be (syscall(2), and the
/// manual page of each call).
#[must_use]
pub fn arity(number: i64, arguments: &[u64; 6]) -> usize {
    match number {
        libc::SYS_sched_yield
        | libc::SYS_getpid
        | libc::SYS_getppid
        | libc::SYS_gettid
        | libc::SYS_getpgrp
        | libc::SYS_setsid
        | libc::SYS_pause
        | libc::SYS_fork
        | libc::SYS_vfork
        | libc::SYS_sync => 0,
        libc::SYS_close
        | libc::SYS_dup
        | libc::SYS_pipe
        | libc::SYS_alarm
        | libc::SYS_exit
        | libc::SYS_exit_group
        | libc::SYS_uname
        | libc::SYS_fsync
        | libc::SYS_fdatasync
        | libc::SYS_syncfs
        | libc::SYS_chdir
        | libc::SYS_fchdir
        | libc::SYS_chroot
        | libc::SYS_rmdir
        | libc::SYS_unlink
        | libc::SYS_times
        | libc::SYS_time
        | libc::SYS_sysinfo
        | libc::SYS_epoll_create
        | libc::SYS_epoll_create1
        | libc::SYS_eventfd
        | libc::SYS_set_tid_address
        | libc::SYS_getpgid
        | libc::SYS_getsid
        | libc::SYS_io_destroy
        | libc::SYS_timer_delete
        | libc::SYS_timer_getoverrun
        | libc::SYS_sched_getscheduler
        | libc::SYS_sched_get_priority_max
        | libc::SYS_sched_get_priority_min => 1,
        libc::SYS_stat
        | libc::SYS_fstat
        | libc::SYS_lstat
        | libc::SYS_listen
        | libc::SYS_shutdown
        | libc::SYS_kill
        | libc::SYS_tkill
        | libc::SYS_dup2
        | libc::SYS_pipe2
        | libc::SYS_getitimer
        | libc::SYS_nanosleep
        | libc::SYS_truncate
        | libc::SYS_ftruncate
        | libc::SYS_getcwd
        | libc::SYS_rename
        | libc::SYS_mkdir
        | libc::SYS_creat
        | libc::SYS_link
        | libc::SYS_symlink
        | libc::SYS_chmod
        | libc::SYS_fchmod
        | libc::SYS_utime
        | libc::SYS_utimes
        | libc::SYS_gettimeofday
        | libc::SYS_getrusage
        | libc::SYS_flock
        | libc::SYS_statfs
        | libc::SYS_fstatfs
        | libc::SYS_setpgid
        | libc::SYS_timer_gettime
        | libc::SYS_timerfd_create
        | libc::SYS_timerfd_gettime
        | libc::SYS_clock_gettime
        | libc::SYS_clock_getres
        | libc::SYS_eventfd2
        | libc::SYS_memfd_create
        | libc::SYS_io_setup
        | libc::SYS_rt_sigpending
        | libc::SYS_rt_sigsuspend
        | libc::SYS_set_robust_list
        | libc::SYS_sched_getparam
        | libc::SYS_sched_setparam
        | libc::SYS_sched_rr_get_interval
        | libc::SYS_getpriority
        | libc::SYS_ioprio_get
        | libc::SYS_setrlimit
        | libc::SYS_getrlimit
        | libc::SYS_capget
        | libc::SYS_arch_prctl
        | libc::SYS_access
        | libc::SYS_capset => 2,
        // Nothing goes with what is only asked.
        libc::SYS_fcntl if is_asking(arguments[1]) => 2,
        libc::SYS_ioctl if [libc::FIOCLEX, libc::FIONCLEX].contains(&arguments[1]) => 2,
        libc::SYS_prctl if is_short(arguments[0]) => 2,
        // A mode goes with what may be made.
        libc::SYS_open if !is_making(arguments[1]) => 2,
        libc::SYS_openat if !is_making(arguments[2]) => 3,
        libc::SYS_futex if arguments[1] & 0x7f == libc::FUTEX_WAKE as u64 => 3,
        libc::SYS_futex if arguments[1] & 0x7f == libc::FUTEX_WAIT as u64 => 4,
        libc::SYS_read
        | libc::SYS_write
        | libc::SYS_readv
        | libc::SYS_writev
        | libc::SYS_open
        | libc::SYS_poll
        | libc::SYS_lseek
        | libc::SYS_ioctl
        | libc::SYS_fcntl
        | libc::SYS_msync
        | libc::SYS_setitimer
        | libc::SYS_socket
        | libc::SYS_connect
        | libc::SYS_accept
        | libc::SYS_sendmsg
        | libc::SYS_recvmsg
        | libc::SYS_bind
        | libc::SYS_getsockname
        | libc::SYS_getpeername
        | libc::SYS_execve
        | libc::SYS_readlink
        | libc::SYS_chown
        | libc::SYS_fchown
        | libc::SYS_lchown
        | libc::SYS_getdents
        | libc::SYS_getdents64
        | libc::SYS_mknod
        | libc::SYS_mkdirat
        | libc::SYS_unlinkat
        | libc::SYS_symlinkat
        | libc::SYS_fchmodat
        | libc::SYS_futimesat
        | libc::SYS_dup3
        | libc::SYS_getrandom
        | libc::SYS_tgkill
        | libc::SYS_rt_sigqueueinfo
        | libc::SYS_sched_setaffinity
        | libc::SYS_sched_getaffinity
        | libc::SYS_sched_setscheduler
        | libc::SYS_sched_setattr
        | libc::SYS_setpriority
        | libc::SYS_ioprio_set
        | libc::SYS_io_submit
        | libc::SYS_io_cancel
        | libc::SYS_timer_create
        | libc::SYS_readahead
        | libc::SYS_signalfd
        | libc::SYS_get_robust_list
        | libc::SYS_getcpu
        | libc::SYS_faccessat
        | libc::SYS_close_range => 3,
        libc::SYS_rt_sigaction
        | libc::SYS_sendfile
        | libc::SYS_socketpair
        | libc::SYS_wait4
        | libc::SYS_pread64
        | libc::SYS_pwrite64
        | libc::SYS_openat
        | libc::SYS_mknodat
        | libc::SYS_newfstatat
        | libc::SYS_renameat
        | libc::SYS_readlinkat
        | libc::SYS_utimensat
        | libc::SYS_fchmodat2
        | libc::SYS_rt_sigtimedwait
        | libc::SYS_rt_tgsigqueueinfo
        | libc::SYS_fadvise64
        | libc::SYS_fallocate
        | libc::SYS_sync_file_range
        | libc::SYS_timer_settime
        | libc::SYS_timerfd_settime
        | libc::SYS_clock_nanosleep
        | libc::SYS_epoll_wait
        | libc::SYS_epoll_ctl
        | libc::SYS_accept4
        | libc::SYS_signalfd4
        | libc::SYS_sendmmsg
        | libc::SYS_prlimit64
        | libc::SYS_sched_getattr
        | libc::SYS_getxattr
        | libc::SYS_lgetxattr
        | libc::SYS_fgetxattr
        | libc::SYS_faccessat2
        | libc::SYS_rseq => 4,
        libc::SYS_select
        | libc::SYS_clone
        | libc::SYS_setsockopt
        | libc::SYS_getsockopt
        | libc::SYS_prctl
        | libc::SYS_renameat2
        | libc::SYS_linkat
        | libc::SYS_fchownat
        | libc::SYS_waitid
        | libc::SYS_ppoll
        | libc::SYS_recvmmsg
        | libc::SYS_preadv
        | libc::SYS_pwritev
        | libc::SYS_io_getevents
        | libc::SYS_statx
        | libc::SYS_execveat => 5,
        _ => 6,
    }
}

/// Commands of fcntl(2) without an argument.
fn is_asking(command: u64) -> bool {
    [libc::F_GETFD, libc::F_GETFL, libc::F_GETOWN, libc::F_GETPIPE_SZ, libc::F_GET_SEALS]
        .contains(&(command as i32))
}

/// Operations of prctl(2) with one argument.
fn is_short(operation: u64) -> bool {
    [
        libc::PR_SET_NAME,
        libc::PR_GET_NAME,
        libc::PR_SET_PDEATHSIG,
        libc::PR_GET_PDEATHSIG,
        libc::PR_SET_DUMPABLE,
        libc::PR_GET_DUMPABLE,
        libc::PR_SET_KEEPCAPS,
        libc::PR_SET_TIMERSLACK,
        libc::PR_GET_TIMERSLACK,
    ]
    .contains(&(operation as i32))
}

/// Flags of open(2) with which it takes a mode.
fn is_making(flags: u64) -> bool {
    flags as i32 & libc::O_CREAT != 0 || flags as i32 & libc::O_TMPFILE == libc::O_TMPFILE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_over_in_registers_is_no_argument() {
        let with = |index: usize, value: i32| {
            let mut arguments = [0; 6];
            arguments[index] = value as u64;
            arguments
        };
        assert_eq!(arity(libc::SYS_close, &[0; 6]), 1);
        assert_eq!(arity(libc::SYS_openat, &with(2, libc::O_RDONLY)), 3);
        assert_eq!(arity(libc::SYS_openat, &with(2, libc::O_CREAT)), 4);
        assert_eq!(arity(libc::SYS_openat, &with(2, libc::O_DIRECTORY)), 3);
        assert_eq!(arity(libc::SYS_fcntl, &with(1, libc::F_GETFL)), 2);
        assert_eq!(arity(libc::SYS_fcntl, &with(1, libc::F_SETFL)), 3);
        let private = libc::FUTEX_PRIVATE_FLAG;
        assert_eq!(arity(libc::SYS_futex, &with(1, libc::FUTEX_WAKE | private)), 3);
        assert_eq!(arity(libc::SYS_futex, &with(1, libc::FUTEX_WAIT_BITSET | private)), 6);
        assert_eq!(arity(libc::SYS_mmap, &[0; 6]), 6);
    }
}
