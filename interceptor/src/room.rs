//! The room: a place of our own for the nodes' files, with the same path in every run.
//!
//! Where namespaces are permitted it is a private tmpfs that only this process sees and that the kernel removes with it,
//! however it ends. Otherwise it is a directory that the next start clears. A node sees what is its own of it, in its root.

use crate::sandbox::{BASE, Home};
use crate::scans::Scans;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid, getgid, getuid};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tracer::{Namespace, Restriction, Step};

/// Where the private file system is mounted: the one directory of the hierarchy standard that is for the data
/// of services, and empty on nearly all machines.
const MOUNT_POINT: &str = "/srv";

/// How the room is kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// A mount namespace, made as root.
    Root,
    /// A user and mount namespace.
    User,
    /// None: a plain directory.
    Directory,
}

/// A place for the files of one sandbox at a time.
#[derive(Debug)]
pub struct Room {
    root: PathBuf,
    isolation: Isolation,
    /// What is known of the programs that ran here.
    scans: Arc<Mutex<Scans>>,
    /// The roots of nodes that lived here, by their names.
    homes: Arc<Mutex<BTreeMap<String, Arc<Home>>>>,
}

/// Where the node or client of this name finds its data directory.
#[must_use]
pub fn data_of(name: &str) -> PathBuf {
    Path::new(BASE).join(name)
}

/// Why there is no room.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a room for the nodes in {path}: {source}; set TMPDIR to a directory you can write to")]
pub struct RoomError {
    path: String,
    source: io::Error,
}

impl Room {
    /// Makes a room for this process: in a namespace of its own if permitted, else in a directory. To be
    /// called once, before any other thread runs, for the process itself moves in.
    ///
    /// # Errors
    /// When not even a directory can be made.
    pub fn enter(disk_max: u64) -> Result<Self, RoomError> {
        match private(disk_max) {
            Ok(isolation) => Ok(Self::at(PathBuf::from(MOUNT_POINT), isolation)),
            Err(error) => {
                tracing::debug!(%error, "no namespaces; using a directory");
                Self::directory()
            }
        }
    }

    /// A room in the directory for temporary files, after clearing those that dead processes left.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn directory() -> Result<Self, RoomError> {
        let base = std::env::temp_dir();
        // What the kernel calls it, for nodes' own files are told by that.
        let base = base.canonicalize().unwrap_or(base);
        clear_stale(&base);
        for slot in 0..10_000 {
            // All names have one length, so that no program's stack differs between rooms.
            let root = base.join(format!("fuzz-room-{slot:04}"));
            match fs::create_dir(&root) {
                Ok(()) => {
                    let owner = root.join(OWNER);
                    return fs::write(&owner, std::process::id().to_string())
                        .map(|()| Self::at(root, Isolation::Directory))
                        .map_err(|source| RoomError { path: owner.display().to_string(), source });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(RoomError { path: base.display().to_string(), source }),
            }
        }
        let source = io::Error::from(io::ErrorKind::AlreadyExists);
        Err(RoomError { path: base.display().to_string(), source })
    }

    fn at(root: PathBuf, isolation: Isolation) -> Self {
        Self { root, isolation, scans: Arc::default(), homes: Arc::default() }
    }

    pub(crate) fn scans(&self) -> Arc<Mutex<Scans>> {
        self.scans.clone()
    }

    pub(crate) fn homes(&self) -> Arc<Mutex<BTreeMap<String, Arc<Home>>>> {
        self.homes.clone()
    }

    /// The room's directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// How it is kept apart.
    #[must_use]
    pub fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// Puts a program into the room; nodes find it by the path that is returned, which is the same wherever it came from.
    /// Its name is its own: many a program looks at the name it is called by.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn install(&self, program: &Path) -> io::Result<PathBuf> {
        let name = program.file_name().ok_or(io::ErrorKind::IsADirectory)?;
        let directory = self.root.join("bin");
        fs::create_dir_all(&directory)?;
        fs::copy(program, directory.join(name))?;
        Ok(Path::new(BASE).join("bin").join(name))
    }
}

/// The file in a directory room that names the process it belongs to.
const OWNER: &str = ".owner";

impl Drop for Room {
    fn drop(&mut self) {
        if self.isolation == Isolation::Directory
            && let Err(error) = fs::remove_dir_all(&self.root)
        {
            tracing::debug!(%error, "leaving the room to the next start");
        }
    }
}

/// Whether the kernel lets this process give nodes roots of their own, and how: as root, or in user namespaces.
///
/// # Errors
/// Why it does not; nodes share the host's root then.
pub fn roots() -> Result<Isolation, String> {
    let at = || c"/proc".to_owned();
    let tried = [Step::Memory(at()), Step::Restrict { at: at(), how: Restriction::READ_ONLY, all: false }];
    let namespace = Namespace::filled(&tried).map_err(|error| error.to_string())?;
    Ok(if namespace.has_users() { Isolation::User } else { Isolation::Root })
}

fn private(disk_max: u64) -> io::Result<Isolation> {
    let (uid, gid) = (getuid(), getgid());
    let isolation = if uid.is_root() && unshare(CloneFlags::CLONE_NEWNS).is_ok() {
        Isolation::Root
    } else {
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
        map_ids(uid, gid)?;
        Isolation::User
    };
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    let options = format!("size={disk_max},mode=0755");
    mount(
        Some("fuzz"),
        MOUNT_POINT,
        Some("tmpfs"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
        Some(options.as_str()),
    )?;
    Ok(isolation)
}

fn map_ids(uid: Uid, gid: Gid) -> io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))
}

/// Removes rooms whose processes are gone.
fn clear_stale(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let ours = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("fuzz-room-"));
        let owner = fs::read_to_string(path.join(OWNER)).ok().and_then(|text| text.parse::<u32>().ok());
        let dead = owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists());
        if ours && dead {
            let _left_for_the_next_start = fs::remove_dir_all(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_of_dead_processes_are_cleared_and_others_are_not() {
        let base = tempfile::tempdir().unwrap();
        let room = |name: &str, owner: u32| {
            let path = base.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join(OWNER), owner.to_string()).unwrap();
            path
        };
        let (dead, alive) =
            (room("fuzz-room-0000", u32::MAX - 1), room("fuzz-room-0001", std::process::id()));
        let foreign = room("other", u32::MAX - 1);
        clear_stale(base.path());
        assert_eq!([dead, alive, foreign].map(|path| path.exists()), [false, true, true]);
    }
}
