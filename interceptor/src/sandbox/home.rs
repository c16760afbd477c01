//! Homes: where a node's programs find their files, when that is not the host. A container is one.
//!
//! The node's programs are started by the tracer as ever, and enter the home's mount namespace before they begin. The
//! room is mounted there under its own path, so data directories are where they always are; all else is the home's,
//! and is looked up as a program in it would: links lead within it.

use super::task::ThreadId;
use super::{Error, Sandbox};
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;
use std::any::Any;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Gives each node a fresh home whenever it is switched on.
pub trait Homes {
    /// A home for the node with this position.
    ///
    /// # Errors
    /// Why there is none, for people.
    fn open(&mut self, node: usize) -> Result<Home, String>;
}

/// The files of a running container, for as long as it lives.
pub struct Home {
    namespace: OwnedFd,
    root: OwnedFd,
    /// The same directory by name.
    path: PathBuf,
    owner: (u32, u32),
    /// Ends the container when it is dropped.
    _keeper: Box<dyn Any>,
}

impl Home {
    /// The home that process `pid` of the host lives in; it ends when `keeper` is dropped.
    ///
    /// # Errors
    /// When the process is gone, or may not be looked at.
    pub fn of_process(pid: i32, keeper: Box<dyn Any>) -> std::io::Result<Self> {
        let path = PathBuf::from(format!("/proc/{pid}/root"));
        let opened = |path: &Path, flags: OFlag| open(path, flags | OFlag::O_CLOEXEC, Mode::empty());
        let namespace = opened(Path::new(&format!("/proc/{pid}/ns/mnt")), OFlag::O_RDONLY)?;
        let root = opened(&path, OFlag::O_PATH | OFlag::O_DIRECTORY)?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let id = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().nth(1)).and_then(|id| id.parse().ok()).unwrap_or(0)
        };
        Ok(Self { namespace, root, path, owner: (id("Uid:"), id("Gid:")), _keeper: keeper })
    }

    pub(super) fn namespace(&self) -> BorrowedFd<'_> {
        self.namespace.as_fd()
    }

    /// The effective user and group of the container.
    pub(super) fn owner(&self) -> (u32, u32) {
        self.owner
    }

    /// What `path` leads to, as the home names it.
    fn real(&self, path: &Path) -> std::io::Result<PathBuf> {
        let how =
            OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_IN_ROOT);
        let file = openat2(&self.root, path, how)?;
        std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))
    }

    /// Where the tracer finds what a path of the home leads to; what leads nowhere stays so.
    fn on_host(&self, path: &Path) -> PathBuf {
        let real = self.real(path);
        let inner = real.as_deref().unwrap_or(path);
        self.path.join(inner.strip_prefix("/").unwrap_or(inner))
    }

    /// Where the tracer finds the file with this name, be it a link.
    fn link_on_host(&self, path: &Path) -> PathBuf {
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => self.on_host(parent).join(name),
            _ => self.on_host(path),
        }
    }
}

impl Sandbox {
    /// Lets nodes live elsewhere than on the host; to be called before any is started. Clients stay on the host.
    #[must_use]
    pub fn with_homes(mut self, homes: Box<dyn Homes>) -> Self {
        self.homes = Some(homes);
        self
    }

    /// Gives a node that is about to be switched on a fresh home with the room in it.
    pub(super) fn move_in(&mut self, node: usize) -> Result<(), Error> {
        if self.is_client(node) {
            return Ok(());
        }
        let Some(homes) = &mut self.homes else { return Ok(()) };
        self.nodes[node].home = None;
        let failed = |why: String| Error::Io {
            what: format!("cannot find n{} a home", node + 1),
            source: std::io::Error::other(why),
        };
        let home = homes.open(node).map_err(failed)?;
        let room = CString::new(self.room.as_os_str().as_bytes()).unwrap_or_default();
        tracer::mount_in(home.namespace(), tracer::copy_of_mount(&room)?.as_fd(), &room)?;
        let data = &self.nodes[node].data;
        let given = give(data, home.owner).and_then(|()| {
            std::fs::set_permissions(&self.nodes[node].pages_path, std::fs::Permissions::from_mode(0o666))
        });
        given.map_err(|source| Error::Io { what: format!("cannot give {} away", data.display()), source })?;
        self.nodes[node].home = Some(home);
        Ok(())
    }

    fn home_of(&self, id: ThreadId, path: &Path) -> Option<&Home> {
        self.home_at(self.thread(id).node, path)
    }

    /// The home of a node, if it is there that `path` is looked up.
    fn home_at(&self, node: usize, path: &Path) -> Option<&Home> {
        let home = self.nodes[node].home.as_ref()?;
        (!path.starts_with(&self.room) && !path.starts_with("/proc")).then_some(home)
    }

    /// Where the tracer finds what a path that a node has open leads to.
    pub(super) fn opened_on_host(&self, node: usize, path: &Path) -> PathBuf {
        self.home_at(node, path).map_or_else(|| path.to_path_buf(), |home| home.on_host(path))
    }

    /// Where the tracer finds the file that the guest calls `path`, be it a link: the guest's own process is not the
    /// tracer's.
    pub(super) fn link_on_host(&self, id: ThreadId, path: &Path) -> PathBuf {
        match self.home_of(id, path) {
            Some(home) => home.link_on_host(path),
            None => self.in_proc(id, path),
        }
    }

    /// Where the tracer finds what the guest's `path` leads to.
    pub(super) fn on_host(&self, id: ThreadId, path: &Path) -> PathBuf {
        match self.home_of(id, path) {
            Some(home) => home.on_host(path),
            None => self.in_proc(id, path),
        }
    }

    fn in_proc(&self, id: ThreadId, path: &Path) -> PathBuf {
        let process = self.process_of(id).tid.to_string();
        path.strip_prefix("/proc/self")
            .map_or_else(|_| path.to_path_buf(), |rest| Path::new("/proc").join(process).join(rest))
    }

    /// The path without links, as the guest would name it.
    pub(super) fn real(&self, id: ThreadId, path: &Path) -> std::io::Result<PathBuf> {
        match self.home_of(id, path) {
            Some(home) => home.real(path),
            None => std::fs::canonicalize(path),
        }
    }
}

/// Makes a directory and all in it another user's, if it is not yet.
fn give(path: &Path, (user, group): (u32, u32)) -> std::io::Result<()> {
    if (user, group) == (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw()) {
        return Ok(());
    }
    std::os::unix::fs::lchown(path, Some(user), Some(group))?;
    if path.symlink_metadata()?.is_dir() {
        for entry in std::fs::read_dir(path)? {
            give(&entry?.path(), (user, group))?;
        }
    }
    Ok(())
}
