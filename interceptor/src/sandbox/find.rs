//! Where the paths of guests lead: looked up by the kernel within the node's root, and walked through here where /proc
//! speaks of processes, which the kernel knows by other numbers.

use super::Sandbox;
use super::files::Kind;
use super::guest::Trouble;
use super::home::{Home, Own, PlaceUse};
use super::process_files::{ProcessFile, Step};
use super::task::{Call, ThreadId};
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// How many symbolic links are followed, as in path_resolution(7).
const LINKS_MAX: usize = 40;

/// An argument of a call that is a path: its value, the directory that it begins in, and which argument it is.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    /// A descriptor, or `AT_FDCWD`.
    pub directory: u64,
    /// Its address.
    pub path: u64,
    /// Its position.
    pub argument: usize,
}

impl Named {
    /// An argument that begins in the working directory.
    pub fn of(call: &Call, argument: usize) -> Self {
        Self { directory: libc::AT_FDCWD as i64 as u64, path: call.args[argument], argument }
    }

    /// An argument that begins in the directory that is the argument before it.
    pub fn at(call: &Call, argument: usize) -> Self {
        Self { directory: call.args[argument - 1], ..Self::of(call, argument) }
    }
}

/// What a path leads to.
pub(super) enum Found {
    /// A file of the node's root, or a name in one of its directories.
    Spot(Spot),
    /// What /proc says of a process of the node.
    Process(ProcessFile),
}

/// A name in a node's root.
pub(super) struct Spot {
    /// The name without links or dots; its last part may be a link that was not to be followed.
    pub path: PathBuf,
    /// What is there, if anything.
    pub file: Option<OwnedFd>,
    /// Whose it is, if it is the node's own.
    pub own: Option<Own>,
    /// What the kernel must be told in its place, if it cannot find what the guest says.
    pub told: Option<PathBuf>,
}

impl Spot {
    /// What is there.
    pub fn metadata(&self) -> Result<Metadata, Trouble> {
        let file = self.file.as_ref().ok_or(Errno::ENOENT)?;
        Ok(File::from(file.try_clone()?).metadata()?)
    }

    /// The name on the node's drive, as the sandbox finds it.
    pub fn on_disk(&self) -> Option<&Path> {
        self.own.as_ref().filter(|own| own.what == PlaceUse::Disk).map(|own| own.path.as_path())
    }

    /// Whether the node may change what is there: on its drive, and in its memory.
    pub fn is_writable(&self) -> bool {
        self.own.as_ref().is_some_and(Own::is_writable)
    }

    /// Whether a device is there, which takes what is written and stays as it is.
    pub fn is_device(&self) -> bool {
        self.own.as_ref().is_some_and(|own| own.what == PlaceUse::Device)
    }

    /// Whether a pipe with a name is there. Nodes cannot make any, so it is the host's: who opened it could speak to programs
    /// outside, or wait for them.
    pub fn is_pipe(&self) -> bool {
        self.metadata().is_ok_and(|metadata| metadata.file_type().is_fifo())
    }

    /// Whether a source of random bytes is there.
    pub fn is_random(&self) -> bool {
        self.metadata().is_ok_and(|metadata| {
            metadata.file_type().is_char_device() && super::system_files::RANDOM.contains(&metadata.rdev())
        })
    }
}

impl Found {
    /// The name in the root; what /proc says of a process cannot be changed.
    pub fn spot(self) -> Result<Spot, Trouble> {
        match self {
            Self::Spot(spot) => Ok(spot),
            Self::Process(_) => Err(Errno::EPERM.into()),
        }
    }
}

/// A walk that has come so far.
struct Walk {
    at: PathBuf,
    /// Parts still to be walked, the next one last.
    left: Vec<OsString>,
    links: usize,
    /// What was walked through is not there for the kernel.
    unseen: bool,
    /// The last part must be a directory.
    enters: bool,
}

impl Walk {
    fn new(path: &Path) -> Self {
        let enters = ends_in_directory(path);
        let mut walk = Self { at: "/".into(), left: Vec::new(), links: 0, unseen: false, enters };
        walk.push(path.as_os_str());
        walk
    }

    fn push(&mut self, path: &OsStr) {
        let bytes = path.as_bytes();
        if bytes.starts_with(b"/") {
            self.at = "/".into();
        }
        let parts = bytes.split(|&byte| byte == b'/').rev().filter(|part| !part.is_empty());
        self.left.extend(parts.map(|part| OsString::from_vec(part.to_vec())));
    }

    /// Goes on with what a link leads to.
    fn follow(&mut self, to: &OsStr) -> Result<(), Errno> {
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(Errno::ELOOP);
        }
        if self.left.is_empty() {
            self.enters |= ends_in_directory(Path::new(to));
        }
        self.push(to);
        Ok(())
    }
}

fn ends_in_directory(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    bytes.ends_with(b"/") || bytes.ends_with(b"/.") || bytes == b"."
}

impl Sandbox {
    /// Where the path of a call leads; whether a link at its end is followed.
    pub(super) fn find(&self, id: ThreadId, named: Named, follow: bool) -> Result<Found, Trouble> {
        let path = self.load_path(id, named.path)?;
        self.find_path(id, named.directory, &path, follow)
    }

    /// The same for a path that is known.
    pub(super) fn find_path(
        &self,
        id: ThreadId,
        directory: u64,
        path: &Path,
        follow: bool,
    ) -> Result<Found, Trouble> {
        if path.as_os_str().is_empty() {
            return Err(Errno::ENOENT.into());
        }
        let path = if path.is_absolute() {
            path.to_owned()
        } else {
            let mut whole = self.directory_of(id, directory)?.into_os_string();
            whole.push("/");
            whole.push(path);
            whole.into()
        };
        let follow = follow || ends_in_directory(&path);
        match self.look_up(id, &path, follow)? {
            Found::Spot(Spot { own: Some(own), .. }) if own.what == PlaceUse::Passing => {
                Err(Errno::ENOENT.into())
            }
            found => Ok(found),
        }
    }

    fn look_up(&self, id: ThreadId, path: &Path, follow: bool) -> Result<Found, Trouble> {
        let home = self.home_of(id);
        if home.is_kept_by_kernel() {
            match home.open(path, follow) {
                Ok(file) => return Ok(Found::Spot(spot_at(home, home.name_of(&file)?, Some(file)))),
                // It may lead through /proc, or to a name that is free.
                Err(Errno::ENOENT) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        self.walk(id, Walk::new(path), follow)
    }

    fn walk(&self, id: ThreadId, mut walk: Walk, follow: bool) -> Result<Found, Trouble> {
        let home = self.home_of(id);
        while let Some(name) = walk.left.pop() {
            match name.as_bytes() {
                b"." => continue,
                b".." => {
                    walk.at.pop();
                    continue;
                }
                _ => {}
            }
            let is_last = walk.left.is_empty();
            match self.step_in_proc(id, &walk.at, &name)? {
                Step::Elsewhere => {}
                Step::Directory(path) => {
                    walk.unseen = true;
                    walk.at = path;
                    continue;
                }
                Step::Link(to) => {
                    walk.unseen = true;
                    if is_last && !follow && !walk.enters {
                        return Ok(Found::Process(ProcessFile::Link(to)));
                    }
                    walk.follow(&to)?;
                    continue;
                }
                Step::End(file) if is_last => return Ok(Found::Process(file)),
                Step::End(_) => return Err(Errno::ENOTDIR.into()),
            }
            let path = walk.at.join(&name);
            let file = match home.entry(&path) {
                Ok(file) => file,
                Err(Errno::ENOENT) if is_last => {
                    return Ok(Found::Spot(self.spot(id, path, None, walk.unseen)));
                }
                Err(errno) => return Err(errno.into()),
            };
            let metadata = File::from(file.try_clone()?).metadata()?;
            if metadata.is_symlink() && (!is_last || follow || walk.enters) {
                let to = nix::fcntl::readlinkat(&file, "")?;
                walk.follow(&to)?;
            } else if is_last {
                if walk.enters && !metadata.is_dir() {
                    return Err(Errno::ENOTDIR.into());
                }
                return Ok(Found::Spot(self.spot(id, path, Some(file), walk.unseen)));
            } else if metadata.is_dir() {
                walk.at = path;
            } else {
                return Err(Errno::ENOTDIR.into());
            }
        }
        if self.is_of_process(&walk.at) {
            return Ok(Found::Process(ProcessFile::Directory(walk.at)));
        }
        let file = home.entry(&walk.at)?;
        Ok(Found::Spot(self.spot(id, walk.at, Some(file), walk.unseen)))
    }

    fn spot(&self, id: ThreadId, path: PathBuf, file: Option<OwnedFd>, unseen: bool) -> Spot {
        let home = self.home_of(id);
        let mut spot = spot_at(home, path, file);
        if unseen || !home.is_kept_by_kernel() {
            spot.told = Some(home.for_kernel(&spot.path));
        }
        spot
    }

    /// The directory that relative paths begin in, as it is called now.
    pub(super) fn directory_of(&self, id: ThreadId, directory: u64) -> Result<PathBuf, Trouble> {
        let tid = self.thread(id).tid;
        let link = if directory as i32 == libc::AT_FDCWD {
            format!("/proc/{tid}/cwd")
        } else {
            let description = self.description(id, directory)?;
            match self.files.get(description).map(|d| &d.kind) {
                Some(Kind::Directory { path, .. }) if self.is_of_process(path) => return Ok(path.clone()),
                Some(Kind::Directory { .. }) => format!("/proc/{tid}/fd/{}", directory as i32),
                _ => return Err(Errno::ENOTDIR.into()),
            }
        };
        let path = self.home_of(id).named(Path::new(&link))?;
        if path.as_os_str().as_bytes().ends_with(b" (deleted)") && self.home_of(id).entry(&path).is_err() {
            return Err(Errno::ENOENT.into());
        }
        Ok(path)
    }

    /// The home of the thread's node.
    pub(super) fn home_of(&self, id: ThreadId) -> &Home {
        &self.nodes[self.thread(id).node].home
    }

    /// What would be changed is the host's, and the kernel does not keep the node from it: the call fails as it would
    /// where all that is the host's is read only.
    pub(super) fn refuse_host(&self, id: ThreadId, spot: &Spot, wants: Wants) -> Result<(), Trouble> {
        if spot.is_writable() || self.home_of(id).is_kept_by_kernel() {
            return Ok(());
        }
        Err(match (wants, &spot.file) {
            (Wants::There, None) => Errno::ENOENT,
            (Wants::Free, Some(_)) => Errno::EEXIST,
            _ => Errno::EROFS,
        }
        .into())
    }
}

/// What a call needs to find before it changes anything.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wants {
    /// Something that is there.
    There,
    /// A name that is free.
    Free,
    /// Either.
    Any,
}

fn spot_at(home: &Home, path: PathBuf, file: Option<OwnedFd>) -> Spot {
    let own = home.own(&path);
    Spot { path, file, own, told: None }
}
