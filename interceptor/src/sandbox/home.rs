//! Homes: the root directory that a node's programs live in. Each node has one of its own: the host's files to be read,
//! and directories in the room to be written. A container is another kind of home.

mod furniture;
mod plan;

use super::{Error, Sandbox};
use crate::room::Room;
use furniture::{Furniture, Use};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, open, openat, openat2};
use nix::sys::stat::Mode;
use std::any::Any;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tracer::Namespace;

pub(super) use furniture::Storage;
pub(super) use furniture::Use as PlaceUse;

/// Where a node finds its data directory and the sandbox's copies of programs, by its own names.
pub const BASE: &str = "/srv";
/// Where the sandbox hands files over, for the time of one call; in a node's root.
const PASSING: &str = "/proc/.passing";

/// Gives each node a fresh container whenever it is switched on.
pub trait Homes {
    /// A container for the node with this position.
    ///
    /// # Errors
    /// Why there is none, for people.
    fn open(&mut self, node: usize) -> Result<Container, String>;
}

/// A running container, for as long as it is kept.
pub struct Container {
    /// A process that lives in it, by its number on the host.
    pub pid: i32,
    /// Ends the container when it is dropped.
    pub keeper: Box<dyn Any>,
}

/// A node's root directory, and what is the node's own in it.
#[derive(Debug)]
pub(crate) struct Home {
    /// Absent where the kernel permits none: then the sandbox alone keeps what it is asked for apart.
    namespace: Option<Namespace>,
    root: OwnedFd,
    own: Vec<Furniture>,
    owner: Option<(u32, u32)>,
}

/// Something of a node's own: which directory or file it is in, and where the sandbox finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Own {
    /// The position of what it is in among all.
    mount: usize,
    /// What that is for.
    pub what: Use,
    /// Its name for the sandbox.
    pub path: PathBuf,
}

impl Own {
    /// Whether the node may change it: on its drive, and in its memory.
    pub fn is_writable(&self) -> bool {
        matches!(self.what, Use::Disk | Use::Memory)
    }

    /// Whether a name can be given to it there without a copy (rename(2), link(2)).
    pub fn shares_mount(&self, other: &Self) -> bool {
        self.mount == other.mount
    }
}

impl Home {
    /// A root of a node's own, on this host.
    fn native(room: &Path, storage: &Storage, shown: &[PathBuf]) -> Result<Self, Errno> {
        let own = furniture::all(room, storage, shown);
        let steps = plan::native(room, &own);
        match Namespace::filled(&steps) {
            Ok(namespace) => {
                let root = namespace.root().try_clone().map_err(errno_of)?;
                Ok(Self { namespace: Some(namespace), root, own, owner: None })
            }
            Err(error) => {
                tracing::debug!(%error, "no root for a node; its calls are kept apart by the sandbox alone");
                let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
                Ok(Self { namespace: None, root: open("/", flags, Mode::empty())?, own, owner: None })
            }
        }
    }

    /// The home that a container is, with the node's own in it.
    fn of_container(room: &Path, storage: &Storage, pid: i32) -> Result<Self, Error> {
        let own = furniture::of_container(room, storage, pid);
        let namespace = Namespace::filled(&plan::container(&own, tracer::namespace_of(pid)?))?;
        let failed = |source| Error::Io { what: "cannot look at a container".into(), source };
        let root = namespace.root().try_clone().map_err(failed)?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).map_err(failed)?;
        let id = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().nth(1)).and_then(|id| id.parse().ok()).unwrap_or(0)
        };
        Ok(Self { namespace: Some(namespace), root, own, owner: Some((id("Uid:"), id("Gid:"))) })
    }

    /// The mount namespace, if it has one of its own.
    pub fn namespace(&self) -> Option<&Namespace> {
        self.namespace.as_ref()
    }

    /// The user and group that programs run as; absent: ours.
    pub fn owner(&self) -> Option<(u32, u32)> {
        self.owner
    }

    /// What is there by this name, which no link of /proc is a part of: links lead within the root.
    pub fn open(&self, path: &Path, follow: bool) -> Result<OwnedFd, Errno> {
        let last = if follow { OFlag::empty() } else { OFlag::O_NOFOLLOW };
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_CLOEXEC | last)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        loop {
            match openat2(&self.root, path, how) {
                // Something was renamed or mounted meanwhile, somewhere on this machine.
                Err(Errno::EAGAIN) => {}
                other => return other,
            }
        }
    }

    /// What is there by a name without links or dots, but for its last part.
    pub fn entry(&self, path: &Path) -> Result<OwnedFd, Errno> {
        if self.namespace.is_some() {
            return self.open(path, false);
        }
        let real = self.for_kernel(path);
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(AT_FDCWD, &real, flags, Mode::empty())
    }

    /// What the node calls the thing that is open.
    pub fn name_of(&self, file: &impl AsFd) -> Result<PathBuf, Errno> {
        self.named(&PathBuf::from(format!("/proc/self/fd/{}", file.as_fd().as_raw_fd())))
    }

    /// What the node calls the thing that a link of the kernel's /proc leads to.
    pub fn named(&self, link: &Path) -> Result<PathBuf, Errno> {
        Ok(self.guest_name(&std::fs::read_link(link).map_err(errno_of)?))
    }

    /// What the node calls what the kernel calls this when it speaks of the node's processes.
    pub fn guest_name(&self, path: &Path) -> PathBuf {
        if self.namespace.is_some() {
            return path.to_owned();
        }
        let of = |own: &Furniture| Some(own.at.join(path.strip_prefix(&own.from).ok()?));
        let found = self.own.iter().filter(|own| path.starts_with(&own.from));
        let deepest = found.max_by_key(|own| own.from.as_os_str().len());
        deepest.and_then(of).map_or_else(|| path.to_owned(), plain)
    }

    /// Whose a name without links or dots is, if it is the node's own.
    pub(super) fn own(&self, path: &Path) -> Option<Own> {
        let within = |(_, own): &(usize, &Furniture)| path.starts_with(&own.at);
        let (mount, own) =
            self.own.iter().enumerate().filter(within).max_by_key(|(_, own)| own.at.as_os_str().len())?;
        let rest = path.strip_prefix(&own.at).ok()?;
        let path = if rest.as_os_str().is_empty() { own.from.clone() } else { own.from.join(rest) };
        (own.what != Use::Shown).then_some(Own { mount, what: own.what, path })
    }

    /// What the kernel must be told in the place of a name without links or dots.
    pub fn for_kernel(&self, path: &Path) -> PathBuf {
        match self.namespace {
            Some(_) => path.to_owned(),
            None => self.own(path).map_or_else(|| path.to_owned(), |own| own.path),
        }
    }

    /// Whether the kernel keeps what a node asks for to its root.
    pub fn is_kept_by_kernel(&self) -> bool {
        self.namespace.is_some()
    }
}

/// A path without the mark that joining nothing leaves.
fn plain(path: PathBuf) -> PathBuf {
    path.components().collect()
}

fn errno_of(error: std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

impl Sandbox {
    /// Lets nodes live in containers; to be called before any is started. Clients stay on the host.
    #[must_use]
    pub fn with_homes(mut self, homes: Box<dyn Homes>) -> Self {
        self.homes = Some(homes);
        self
    }

    /// Gives a node that is about to be switched on a fresh container, where nodes live in such.
    pub(super) fn move_in(&mut self, node: usize) -> Result<(), Error> {
        if self.is_client(node) {
            return Ok(());
        }
        let Some(homes) = &mut self.homes else { return Ok(()) };
        self.nodes[node].keeper = None;
        let failed = |why: String| Error::Io {
            what: format!("cannot find n{} a home", node + 1),
            source: std::io::Error::other(why),
        };
        let Container { pid, keeper } = homes.open(node).map_err(failed)?;
        let storage = &self.nodes[node].storage;
        let home = Home::of_container(&self.room, storage, pid)?;
        if let Some(owner) = home.owner() {
            storage.give(owner)?;
        }
        self.nodes[node].home = Arc::new(home);
        self.nodes[node].keeper = Some(keeper);
        Ok(())
    }

    /// Puts a file of the sandbox's where the node can open it, under the name that is returned, until
    /// [`Self::take_back`].
    pub(super) fn pass(&self, node: usize, content: Passed<'_>) -> Result<PathBuf, Error> {
        let storage = &self.nodes[node].storage;
        let file = storage.passing().join("file");
        let passed = match content {
            Passed::Link(of) => std::fs::hard_link(of, &file),
            Passed::Bytes(bytes) => std::fs::write(&file, bytes),
        };
        passed.map_err(|source| Error::Io { what: format!("cannot write {}", file.display()), source })?;
        Ok(self.nodes[node].home.for_kernel(&Path::new(PASSING).join("file")))
    }

    /// Takes away what was passed.
    pub(super) fn take_back(&self, node: usize) -> Result<(), Error> {
        let file = self.nodes[node].storage.passing().join("file");
        std::fs::remove_file(&file)
            .map_err(|source| Error::Io { what: format!("cannot remove {}", file.display()), source })
    }
}

/// Makes what all homes of a room are made of.
pub(super) fn prepare(room: &Path) -> Result<(), Error> {
    for path in [plan::stage(room), room.join("bin")] {
        std::fs::create_dir_all(&path)
            .map_err(|source| Error::Io { what: format!("cannot make {}", path.display()), source })?;
    }
    Ok(())
}

/// What is passed to a node.
pub(super) enum Passed<'a> {
    /// Another name for this file.
    Link(&'a Path),
    /// A file with this in it.
    Bytes(&'a [u8]),
}

/// The home of a node of this name, made the first time it is asked for. What is `shown` belongs to one run.
pub(super) fn home_in(room: &Room, storage: &Storage, shown: &[PathBuf]) -> Result<Arc<Home>, Error> {
    let failed = |errno: Errno| Error::Io {
        what: format!("cannot make a root for {}", storage.name()),
        source: errno.into(),
    };
    let make = || Home::native(room.root(), storage, shown).map(Arc::new).map_err(failed);
    if !shown.is_empty() {
        return make();
    }
    let homes = room.homes();
    let mut homes = homes.lock().expect("no home panics");
    if let Some(home) = homes.get(storage.name()) {
        return Ok(home.clone());
    }
    let home = make()?;
    homes.insert(storage.name().to_owned(), home.clone());
    Ok(home)
}
