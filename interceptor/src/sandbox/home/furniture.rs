//! What is a node's own in its root: where it is there, and where it lies in the room.

use crate::sandbox::{Error, system_files};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What a directory or file of a node's own is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// On its drive: written through the journal.
    Disk,
    /// In its memory: gone when power is.
    Memory,
    /// Where the sandbox hands it files; there is nothing between calls, and no name leads there.
    Passing,
    /// The same for all nodes and runs, and read only.
    Fixed,
    /// A device of the host.
    Device,
    /// Something of the host that lies where the node's own would cover it; read only.
    Shown,
}

/// A directory or file of a node's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Furniture {
    /// Its name for the node.
    pub at: PathBuf,
    /// Its name for the sandbox.
    pub from: PathBuf,
    /// What it is for.
    pub what: Use,
}

/// Directories of the host that nodes have their own of.
pub const COVERED: [&str; 7] = ["/proc", "/sys", "/dev", "/tmp", "/run", "/srv", "/var/tmp"];

/// Where a node's own lies in the room.
#[derive(Clone, Debug)]
pub struct Storage {
    name: String,
    root: PathBuf,
}

impl Storage {
    /// That of a node of this name, with all directories in it.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn prepare(room: &Path, name: &str) -> Result<Self, Error> {
        let storage = Self { name: name.to_owned(), root: room.join(name) };
        let open = 0o1777;
        let directories = [
            (storage.disk(), 0o755),
            (storage.data(), 0o755),
            (storage.disk().join("tmp"), open),
            (storage.disk().join("var-tmp"), open),
            (storage.root.join("shm"), open),
            (storage.root.join("run"), 0o755),
            (storage.passing(), 0o755),
        ];
        for (path, mode) in directories {
            std::fs::create_dir_all(&path)
                .and_then(|()| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)))
                .map_err(|source| Error::Io { what: format!("cannot make {}", path.display()), source })?;
        }
        let hostname = storage.root.join("hostname");
        std::fs::write(&hostname, format!("{name}\n"))
            .map_err(|source| Error::Io { what: format!("cannot write {}", hostname.display()), source })?;
        // A run that failed may have left something.
        storage.clear()?;
        storage.fresh_memory()?;
        Ok(storage)
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its drive holds.
    pub fn disk(&self) -> PathBuf {
        self.root.join("disk")
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.disk().join("data")
    }

    /// The pages that it shares with the sandbox.
    pub fn pages(&self) -> PathBuf {
        self.root.join("pages")
    }

    /// Where it is handed files.
    pub fn passing(&self) -> PathBuf {
        self.root.join("passing")
    }

    /// Its memory is empty, as after it was switched on.
    ///
    /// # Errors
    /// When that cannot be done.
    pub fn fresh_memory(&self) -> Result<(), Error> {
        for name in ["shm", "run"] {
            empty(&self.root.join(name))?;
        }
        // Where programs lock what they do not share.
        let lock = self.root.join("run/lock");
        std::fs::create_dir(&lock)
            .and_then(|()| std::fs::set_permissions(&lock, std::fs::Permissions::from_mode(0o1777)))
            .map_err(|source| Error::Io { what: format!("cannot make {}", lock.display()), source })
    }

    /// Nothing is left of a run, but the directories that a root may be made of.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn clear(&self) -> Result<(), Error> {
        for name in ["disk/data", "disk/tmp", "disk/var-tmp", "shm", "run", "passing"] {
            empty(&self.root.join(name))?;
        }
        remove(&self.pages())
    }

    /// Which of these paths lie where the node's own covers them; there are places for them afterwards.
    ///
    /// # Errors
    /// When there cannot be.
    pub fn show(&self, paths: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
        let own = self.furniture();
        let mut shown: Vec<PathBuf> = Vec::new();
        for path in paths {
            let Ok(real) = path.canonicalize() else { continue };
            let place =
                own.iter().filter(|own| real.starts_with(&own.at)).max_by_key(|own| own.at.as_os_str().len());
            let Some(place) = place.filter(|place| place.at != real) else { continue };
            if shown.iter().any(|shown| real.starts_with(shown)) {
                continue;
            }
            let at = place.from.join(real.strip_prefix(&place.at).unwrap_or(&real));
            let made = if real.is_dir() {
                std::fs::create_dir_all(&at)
            } else {
                at.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&at, ""))
            };
            made.map_err(|source| Error::Io { what: format!("cannot show {}", path.display()), source })?;
            shown.push(real);
        }
        Ok(shown)
    }

    /// All of it is another user's.
    ///
    /// # Errors
    /// When it cannot be given away.
    pub fn give(&self, owner: (u32, u32)) -> Result<(), Error> {
        give(&self.root, owner)
            .and_then(|()| std::fs::set_permissions(self.pages(), std::fs::Permissions::from_mode(0o666)))
            .map_err(|source| Error::Io { what: format!("cannot give {} away", self.root.display()), source })
    }

    fn furniture(&self) -> Vec<Furniture> {
        let own = |at: &str, name: &str, what| Furniture { at: at.into(), from: self.root.join(name), what };
        vec![
            own(&format!("{}/{}", super::BASE, self.name), "disk/data", Use::Disk),
            own("/tmp", "disk/tmp", Use::Disk),
            own("/var/tmp", "disk/var-tmp", Use::Disk),
            own("/dev/shm", "shm", Use::Memory),
            own("/run", "run", Use::Memory),
            own(super::PASSING, "passing", Use::Passing),
            own("/etc/hostname", "hostname", Use::Fixed),
            own("/proc/sys/kernel/hostname", "hostname", Use::Fixed),
        ]
    }
}

/// Everything that is a node's own on this host; what covers something else comes after it.
pub fn all(room: &Path, storage: &Storage, shown: &[PathBuf]) -> Vec<Furniture> {
    let mut all = common(room, storage);
    let programs = Path::new(super::BASE).join("bin");
    all.push(Furniture { at: programs, from: room.join("bin"), what: Use::Fixed });
    all.extend(settings(room, system_files::etc().chain(system_files::OF_HOST)));
    for path in shown {
        all.push(Furniture { at: path.clone(), from: path.clone(), what: Use::Shown });
    }
    all.retain(|own| own.at != Path::new("/var/tmp") || own.at.is_dir());
    all
}

/// What is a node's own in the container that process `pid` lives in: where there is nothing to put it over it is left out,
/// for nothing can be made in an image.
pub fn of_container(room: &Path, storage: &Storage, pid: i32) -> Vec<Furniture> {
    let root = PathBuf::from(format!("/proc/{pid}/root"));
    let mut all = common(room, storage);
    all.extend(settings(room, system_files::etc()));
    let (ours, theirs): (Vec<Furniture>, Vec<Furniture>) = all
        .into_iter()
        .partition(|own| ["/proc", "/sys", "/dev", super::BASE].iter().any(|at| own.at.starts_with(at)));
    let fits = |own: &Furniture| {
        let there = root.join(own.at.strip_prefix("/").unwrap_or(&own.at)).symlink_metadata();
        there.is_ok_and(|there| there.is_dir() == own.from.is_dir())
    };
    ours.into_iter().chain(theirs.into_iter().filter(fits)).collect()
}

fn settings(room: &Path, names: impl Iterator<Item = &'static str>) -> impl Iterator<Item = Furniture> {
    let from = room.join(system_files::DIRECTORY).join("etc");
    names.map(move |name| Furniture {
        at: Path::new("/etc").join(name),
        from: from.join(name),
        what: Use::Fixed,
    })
}

fn common(room: &Path, storage: &Storage) -> Vec<Furniture> {
    let system = room.join(system_files::DIRECTORY);
    let mut all: Vec<Furniture> = ["proc", "sys", "dev"]
        .map(|name| Furniture { at: Path::new("/").join(name), from: system.join(name), what: Use::Fixed })
        .into();
    all.extend(system_files::DEVICES.map(|name| {
        let at = Path::new("/dev").join(name);
        Furniture { from: at.clone(), at, what: Use::Device }
    }));
    all.extend(storage.furniture());
    all
}

/// Removes what is in a directory.
fn empty(directory: &Path) -> Result<(), Error> {
    let failed = |source| Error::Io { what: format!("cannot clear {}", directory.display()), source };
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(failed)?,
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() {
            unlock(&entry.path());
            std::fs::remove_dir_all(entry.path()).map_err(failed)?;
        } else {
            std::fs::remove_file(entry.path()).map_err(failed)?;
        }
    }
    Ok(())
}

/// Lets a directory that its owner may not change be removed with all in it.
fn unlock(directory: &Path) {
    let _shows_when_it_is_removed =
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700));
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            unlock(&entry.path());
        }
    }
}

fn remove(file: &Path) -> Result<(), Error> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Io { what: format!("cannot remove {}", file.display()), source: error })
        }
        _ => Ok(()),
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
