//! Mount namespaces: made and filled by a child, for a process of several threads can enter none.

use crate::{Error, Stop, Tid, wait_for};
use nix::errno::Errno;
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, OwnedFd};

/// open_tree(2): the tree is a copy, and belongs to no namespace yet.
const OPEN_TREE_CLONE: u32 = 1;
/// open_tree(2), mount_setattr(2): with all mounts below.
const AT_RECURSIVE: u32 = 0x8000;
/// move_mount(2): what is moved is the descriptor itself.
const MOVE_MOUNT_F_EMPTY_PATH: u32 = 4;
const AT_FDCWD: i32 = libc::AT_FDCWD;

/// What programs may not do with a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restriction(u64);

impl Restriction {
    /// Gain rights by its programs, or reach devices.
    pub const PLAIN: Self = Self(libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV);
    /// As `PLAIN`, and change it.
    pub const READ_ONLY: Self = Self(Self::PLAIN.0 | libc::MOUNT_ATTR_RDONLY);
    /// Be changed, or gain rights; it is a device that is to be reached.
    pub const DEVICE: Self =
        Self(libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC | libc::MOUNT_ATTR_RDONLY);
}

/// One step in filling a namespace. Mounts are taken into numbered slots, and put from there.
#[derive(Debug)]
pub enum Step {
    /// An empty file system in memory.
    Memory(CString),
    /// A directory that everybody may read.
    Directory(CString),
    /// An empty file.
    File(CString),
    /// A symbolic link.
    Link {
        /// Where it leads.
        to: CString,
        /// Where it is.
        at: CString,
    },
    /// A copy of the mount at this path, or of what lies there.
    Take {
        /// Its slot, below [`Step::SLOTS`].
        slot: usize,
        /// The path.
        from: CString,
        /// With the mounts below.
        all: bool,
    },
    /// The namespace that this descriptor stands for is the one that is filled.
    Enter(OwnedFd),
    /// What was taken covers what is at this path, be that a link.
    Put {
        /// Its slot.
        slot: usize,
        /// The path.
        at: CString,
    },
    /// What programs may not do with the mount at this path.
    Restrict {
        /// The path.
        at: CString,
        /// What.
        how: Restriction,
        /// With the mounts below.
        all: bool,
    },
    /// The mount at this path becomes the root, and nothing else is left.
    Root(CString),
}

impl Step {
    /// How many mounts may be held at a time.
    pub const SLOTS: usize = 32;
}

/// A mount namespace; it lasts as long as this, or as somebody lives in it.
#[derive(Debug)]
pub struct Namespace {
    mounts: OwnedFd,
    users: Option<OwnedFd>,
    root: OwnedFd,
}

impl Namespace {
    /// Takes the steps in a copy of this process's namespace, or in the one that they enter. Without the right to mount
    /// the copy is made in a user namespace of its own, where that is permitted.
    ///
    /// # Errors
    /// Which step the kernel refuses.
    pub fn filled(steps: &[Step]) -> Result<Self, Error> {
        let enters = steps.iter().any(|step| matches!(step, Step::Enter(_)));
        let maps = IdMaps::of_this_process();
        let (told, teller) = pipe()?;
        let (hold, holder) = pipe()?;
        // SAFETY: the child makes plain calls on memory prepared before the fork, and ends.
        let pid = unsafe { libc::fork() };
        if pid < 0 {
            return Err(Error::call("fork", Tid(0)));
        }
        if pid == 0 {
            // SAFETY: we are the fresh child; ends without running anything of the parent's.
            unsafe { fill_and_wait(steps, enters, &maps, teller.as_raw_fd(), &hold, &holder) }
        }
        drop((teller, hold));
        let mut report = Report::default();
        let heard = report.receive(&told);
        let namespace = match heard {
            Ok(()) if report.errno == 0 => opened(pid, report.has_users != 0),
            Ok(()) => Err(Error::Namespace {
                step: match usize::try_from(report.step).ok().and_then(|at| steps.get(at)) {
                    Some(step) => format!("{step:?}"),
                    None => "making it".into(),
                },
                source: Errno::from_raw(report.errno),
            }),
            Err(source) => Err(Error::Namespace { step: "making it".into(), source }),
        };
        drop(holder);
        while !matches!(wait_for(Tid(pid))?, Stop::Exited(_) | Stop::Killed(_)) {}
        namespace
    }

    /// The root directory in it.
    #[must_use]
    pub fn root(&self) -> &OwnedFd {
        &self.root
    }

    /// Whether a user namespace was made for it.
    #[must_use]
    pub fn has_users(&self) -> bool {
        self.users.is_some()
    }

    /// Moves the calling process, which has one thread, into it.
    ///
    /// # Safety
    /// Only in a fresh child of fork: the working directory and the root change.
    pub(crate) unsafe fn enter(&self) -> bool {
        // SAFETY: descriptors of our own.
        unsafe {
            self.users.as_ref().is_none_or(|users| libc::setns(users.as_raw_fd(), libc::CLONE_NEWUSER) == 0)
                && libc::setns(self.mounts.as_raw_fd(), libc::CLONE_NEWNS) == 0
        }
    }
}

/// What a process that makes a user namespace writes of itself, so that its ids stay what they are.
struct IdMaps {
    users: CString,
    groups: CString,
}

impl IdMaps {
    fn of_this_process() -> Self {
        let line = |id: u32| CString::new(format!("{id} {id} 1")).unwrap_or_default();
        Self { users: line(nix::unistd::geteuid().as_raw()), groups: line(nix::unistd::getegid().as_raw()) }
    }
}

/// What the child says when it is done.
#[derive(Default)]
#[repr(C)]
struct Report {
    errno: i32,
    step: i32,
    has_users: i32,
}

impl Report {
    fn receive(&mut self, from: &OwnedFd) -> Result<(), Errno> {
        let into = (&raw mut *self).cast();
        // SAFETY: the structure holds plain numbers, and the kernel writes at most its length.
        match unsafe { libc::read(from.as_raw_fd(), into, size_of::<Self>()) } {
            n if n == size_of::<Self>() as isize => Ok(()),
            n if n < 0 => Err(Errno::last()),
            _ => Err(Errno::EPIPE),
        }
    }
}

fn pipe() -> Result<(OwnedFd, OwnedFd), Error> {
    nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(|source| Error::Call {
        call: "making a pipe",
        tid: 0,
        source,
    })
}

fn opened(pid: i32, has_users: bool) -> Result<Namespace, Error> {
    use nix::fcntl::{OFlag, open};
    let of_child = |name: &str, flags: OFlag| {
        let path = format!("/proc/{pid}/{name}");
        open(path.as_str(), flags | OFlag::O_CLOEXEC, nix::sys::stat::Mode::empty())
            .map_err(|source| Error::Namespace { step: format!("opening {path}"), source })
    };
    Ok(Namespace {
        mounts: of_child("ns/mnt", OFlag::O_RDONLY)?,
        users: if has_users { Some(of_child("ns/user", OFlag::O_RDONLY)?) } else { None },
        root: of_child("root", OFlag::O_PATH | OFlag::O_DIRECTORY)?,
    })
}

/// Fills the namespace, says how that went, and waits until nobody needs it any more.
///
/// # Safety
/// Must be called in a fresh child of fork, and only makes async-signal-safe calls.
unsafe fn fill_and_wait(
    steps: &[Step],
    enters: bool,
    maps: &IdMaps,
    teller: i32,
    hold: &OwnedFd,
    holder: &OwnedFd,
) -> ! {
    let mut report = Report { step: -1, ..Report::default() };
    // SAFETY: plain calls on memory that the parent prepared before the fork.
    unsafe {
        // The end that the parent closes is the parent's alone.
        libc::close(holder.as_raw_fd());
        libc::umask(0);
        if enters || leave(maps, &mut report) {
            let mut slots = [-1; Step::SLOTS];
            for (at, step) in steps.iter().enumerate() {
                report.step = at as i32;
                if !take(step, &mut slots) {
                    report.errno = Errno::last_raw();
                    break;
                }
            }
        } else {
            report.errno = Errno::last_raw();
        }
        libc::write(teller, (&raw const report).cast(), size_of::<Report>());
        let mut byte = 0_u8;
        while libc::read(hold.as_raw_fd(), (&raw mut byte).cast(), 1) < 0 && Errno::last() == Errno::EINTR {}
        libc::_exit(0)
    }
}

/// Leaves the parent's mount namespace for a copy.
unsafe fn leave(maps: &IdMaps, report: &mut Report) -> bool {
    // SAFETY: plain calls on constants and memory that the parent prepared.
    unsafe {
        if libc::unshare(libc::CLONE_NEWNS) != 0 {
            if libc::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWUSER) != 0 {
                return false;
            }
            report.has_users = 1;
            // What changed hands is not ours to look at otherwise, /proc/PID/root for one.
            libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0);
            let written = written(c"/proc/self/setgroups", c"deny")
                && written(c"/proc/self/uid_map", &maps.users)
                && written(c"/proc/self/gid_map", &maps.groups);
            if !written {
                return false;
            }
        }
        let private = libc::MS_REC | libc::MS_PRIVATE;
        libc::mount(std::ptr::null(), c"/".as_ptr(), std::ptr::null(), private, std::ptr::null()) == 0
    }
}

unsafe fn written(path: &CStr, text: &CStr) -> bool {
    // SAFETY: plain calls on constants and memory that the parent prepared.
    unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        let bytes = text.to_bytes();
        let done = fd >= 0 && libc::write(fd, bytes.as_ptr().cast(), bytes.len()) == bytes.len() as isize;
        libc::close(fd);
        done
    }
}

/// Takes one step; `errno` says why it could not be.
unsafe fn take(step: &Step, slots: &mut [i32; Step::SLOTS]) -> bool {
    let deep = |all: bool| if all { AT_RECURSIVE } else { 0 };
    // SAFETY: plain calls on memory that the parent prepared; paths end in a zero byte.
    unsafe {
        match step {
            Step::Memory(at) => {
                let flags = libc::MS_NOSUID | libc::MS_NODEV;
                let (kind, options) = (c"tmpfs".as_ptr(), c"mode=0755".as_ptr().cast());
                libc::mount(c"fuzz".as_ptr(), at.as_ptr(), kind, flags, options) == 0
            }
            Step::Directory(at) => libc::mkdir(at.as_ptr(), 0o755) == 0 || Errno::last() == Errno::EEXIST,
            Step::File(at) => {
                let fd = libc::open(at.as_ptr(), libc::O_CREAT | libc::O_WRONLY | libc::O_CLOEXEC, 0o644);
                libc::close(fd);
                fd >= 0
            }
            Step::Link { to, at } => libc::symlink(to.as_ptr(), at.as_ptr()) == 0,
            Step::Take { slot, from, all } => {
                let flags = OPEN_TREE_CLONE | deep(*all) | libc::O_CLOEXEC as u32;
                slots[*slot] = libc::syscall(libc::SYS_open_tree, AT_FDCWD, from.as_ptr(), flags) as i32;
                slots[*slot] >= 0
            }
            Step::Enter(namespace) => libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNS) == 0,
            Step::Put { slot, at } => {
                let (fd, empty) = (slots[*slot], c"".as_ptr());
                let flags = MOVE_MOUNT_F_EMPTY_PATH;
                let moved = libc::syscall(libc::SYS_move_mount, fd, empty, AT_FDCWD, at.as_ptr(), flags) == 0;
                let errno = Errno::last_raw();
                libc::close(fd);
                Errno::set_raw(errno);
                moved
            }
            Step::Restrict { at, how, all } => {
                let attributes =
                    libc::mount_attr { attr_set: how.0, attr_clr: 0, propagation: 0, userns_fd: 0 };
                libc::syscall(
                    libc::SYS_mount_setattr,
                    AT_FDCWD,
                    at.as_ptr(),
                    deep(*all),
                    &raw const attributes,
                    size_of_val(&attributes),
                ) == 0
            }
            Step::Root(at) => {
                let here = c".".as_ptr();
                libc::chdir(at.as_ptr()) == 0
                    && libc::syscall(libc::SYS_pivot_root, here, here) == 0
                    && libc::umount2(here, libc::MNT_DETACH) == 0
                    && libc::chdir(c"/".as_ptr()) == 0
            }
        }
    }
}

/// Opens the mount namespace of a process that lives.
///
/// # Errors
/// When it is gone, or may not be looked at.
pub fn namespace_of(pid: i32) -> Result<OwnedFd, Error> {
    use nix::fcntl::{OFlag, open};
    let path = format!("/proc/{pid}/ns/mnt");
    open(path.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, nix::sys::stat::Mode::empty())
        .map_err(|source| Error::Namespace { step: format!("opening {path}"), source })
}
