//! Mounts of ours in the mount namespaces of others.

use crate::{Error, Stop, Tid, wait_for};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// open_tree(2): the tree is a copy, and belongs to no namespace yet.
const OPEN_TREE_CLONE: libc::c_uint = 1;
/// move_mount(2): what is moved is the descriptor itself.
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 4;

/// A copy of the mount at `path` (or a bind mount of the directory there) that [`mount_in`] can put elsewhere.
///
/// # Errors
/// When the kernel refuses: it takes the right to mount, and Linux 5.2.
pub fn copy_of_mount(path: &CStr) -> Result<OwnedFd, Error> {
    let flags = OPEN_TREE_CLONE | libc::O_CLOEXEC as libc::c_uint;
    // SAFETY: the kernel reads the path, which ends in a zero byte.
    let fd = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) };
    if fd < 0 {
        return Err(Error::call("copying a mount", Tid(0)));
    }
    // SAFETY: the descriptor was just created and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Puts the mount over the directory `target` of another mount namespace. A child process does it, for a process of
/// several threads cannot enter a mount namespace.
///
/// # Errors
/// When the namespace cannot be entered, or there is no such directory in it.
pub fn mount_in(namespace: BorrowedFd<'_>, mount: BorrowedFd<'_>, target: &CStr) -> Result<(), Error> {
    // SAFETY: the child makes plain calls on memory prepared before the fork, and ends.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        return Err(Error::call("fork", Tid(0)));
    }
    if pid == 0 {
        // SAFETY: async-signal-safe calls only; ends without running anything of the parent's.
        unsafe {
            let entered = libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNS) == 0;
            let moved = entered
                && libc::syscall(
                    libc::SYS_move_mount,
                    mount.as_raw_fd(),
                    c"".as_ptr(),
                    libc::AT_FDCWD,
                    target.as_ptr(),
                    MOVE_MOUNT_F_EMPTY_PATH,
                ) == 0;
            libc::_exit(if moved { 0 } else { nix::errno::Errno::last_raw() & 0xff })
        }
    }
    match wait_for(Tid(pid))? {
        Stop::Exited(0) => Ok(()),
        Stop::Exited(errno) => Err(Error::Call {
            call: "mounting the room in a container",
            tid: pid,
            source: nix::errno::Errno::from_raw(errno),
        }),
        _ => Err(Error::call("mounting the room in a container", Tid(pid))),
    }
}
