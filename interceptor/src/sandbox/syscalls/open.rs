//! Opening: what a path leads to, and the descriptor that it becomes.

use super::descriptor::{CLOEXEC, DIRECT};
use crate::sandbox::Sandbox;
use crate::sandbox::files::Kind;
use crate::sandbox::find::{Found, Named, Spot, Wants};
use crate::sandbox::guest::{Handled, Outcome, Trouble};
use crate::sandbox::home::{Passed, PlaceUse};
use crate::sandbox::process_files::{ProcessFile, takes_settings};
use crate::sandbox::task::{Call, ProcessId, ThreadId};
use nix::errno::Errno;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

impl Sandbox {
    pub(super) fn openat(&mut self, id: ThreadId, call: &Call, named: Named, flags: u64) -> Handled {
        let bits = flags as i32;
        let is_new = bits & (libc::O_CREAT | libc::O_EXCL) == libc::O_CREAT | libc::O_EXCL;
        let spot = match self.find(id, named, bits & libc::O_NOFOLLOW == 0 && !is_new)? {
            Found::Spot(spot) => spot,
            Found::Process(file) => return self.open_process_file(id, call, file, flags),
        };
        let paths = [(named.argument, &spot)];
        if bits & libc::O_PATH != 0 {
            let fd = self.run_with_paths(id, call, &paths)?;
            return self.bind_host(id, fd, spot, flags);
        }
        if spot.is_random() {
            return self.place(id, call, Kind::Random, flags);
        }
        if spot.is_pipe() {
            return Err(Errno::EACCES.into());
        }
        if spot.on_disk().is_some() {
            return self.open_disk(id, call, named, spot, flags);
        }
        if bits & (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC) != 0 && !spot.is_device() {
            self.refuse_host(id, &spot, if bits & libc::O_CREAT != 0 { Wants::Any } else { Wants::There })?;
        }
        let fd = self.run_with_paths(id, call, &paths)?;
        self.bind_host(id, fd, spot, flags)
    }

    fn native_fd(&mut self, id: ThreadId) -> Result<Option<i64>, Trouble> {
        Ok(self.run_call(id)?)
    }

    /// Runs a call; the kernel is told other paths where it would not find those of the guest.
    pub(super) fn run_with_paths(
        &mut self,
        id: ThreadId,
        call: &Call,
        paths: &[(usize, &Spot)],
    ) -> Result<Option<i64>, Trouble> {
        let told: Vec<(usize, &Path)> =
            paths.iter().filter_map(|(at, spot)| Some((*at, spot.told.as_deref()?))).collect();
        if told.is_empty() {
            return Ok(self.run_call(id)?);
        }
        let args = self.tell_paths(id, call, &told)?;
        self.run_instead(id, call, call.number, args)
    }

    /// Puts paths where the guest can read them; the call's arguments with them in place.
    pub(super) fn tell_paths(
        &self,
        id: ThreadId,
        call: &Call,
        paths: &[(usize, &Path)],
    ) -> Result<[u64; 6], Trouble> {
        let mut args = call.args;
        let mut at = self.scratch(id);
        let end = at + tracer::PAGE;
        for (argument, path) in paths {
            let mut name = path.as_os_str().as_bytes().to_vec();
            name.push(0);
            if at + name.len() as u64 > end {
                return Err(Errno::ENAMETOOLONG.into());
            }
            self.store(id, at, &name)?;
            args[*argument] = at;
            at += name.len() as u64;
        }
        Ok(args)
    }

    /// Opens a file of the sandbox's by the name that the node has for it.
    fn open_told(
        &mut self,
        id: ThreadId,
        call: &Call,
        path: &Path,
        flags: u64,
    ) -> Result<Option<i64>, Trouble> {
        let [_, at, ..] = self.tell_paths(id, call, &[(1, path)])?;
        let here = libc::AT_FDCWD as i64 as u64;
        self.run_instead(id, call, libc::SYS_openat, [here, at, flags, 0, 0, 0])
    }

    fn open_process_file(&mut self, id: ThreadId, call: &Call, file: ProcessFile, flags: u64) -> Handled {
        let bits = flags as i32;
        let node = self.thread(id).node;
        let kept = flags & (libc::O_CLOEXEC | libc::O_NONBLOCK) as u64;
        let writes = bits & libc::O_ACCMODE != libc::O_RDONLY || bits & libc::O_TRUNC != 0;
        match file {
            ProcessFile::Link(_) => Err(Errno::ELOOP.into()),
            ProcessFile::Directory(_) if writes => Err(Errno::EISDIR.into()),
            ProcessFile::Directory(path) => {
                let proc = self.home_of(id).for_kernel(Path::new("/proc"));
                let fd = self.open_told(id, call, &proc, kept | libc::O_DIRECTORY as u64)?;
                self.bind_kind(id, fd, Kind::Directory { path, entries: None, position: 0 }, flags)
            }
            _ if bits & libc::O_DIRECTORY != 0 => Err(Errno::ENOTDIR.into()),
            ProcessFile::Descriptor(process, fd) => self.open_again(id, call, (process, fd), flags),
            ProcessFile::File { path, name, .. } if writes => {
                if !takes_settings(name) {
                    return Err(Errno::EACCES.into());
                }
                let null = self.home_of(id).for_kernel(Path::new("/dev/null"));
                let fd = self.open_told(id, call, &null, kept | (bits & libc::O_ACCMODE) as u64)?;
                self.bind_kind(id, fd, Kind::Host { path }, flags)
            }
            ProcessFile::File { path, process, name } => {
                let content = self.content_of((process, &path), name)?;
                let passed = self.pass(node, Passed::Bytes(&content))?;
                let fd = self.open_told(id, call, &passed, kept);
                self.take_back(node)?;
                self.bind_kind(id, fd?, Kind::Host { path }, flags)
            }
        }
    }

    /// Opens what a descriptor of a process stands for, by /proc: streams of its own process only.
    fn open_again(&mut self, id: ThreadId, call: &Call, of: (ProcessId, i32), flags: u64) -> Handled {
        let (process, fd) = of;
        if process != self.thread(id).process {
            return Err(Errno::EACCES.into());
        }
        let files = self.files_of(id);
        let description = self.files.slot(files, fd).ok_or(Errno::ENOENT)?.description;
        match self.files.get(description).map(|d| &d.kind) {
            Some(Kind::Socket(_)) | None => Err(Errno::ENXIO.into()),
            // No name leads there any more, so both share a position.
            Some(_) => {
                let duplicate =
                    if flags & CLOEXEC != 0 { libc::F_DUPFD_CLOEXEC } else { libc::F_DUPFD } as u64;
                let new = self.run_instead(id, call, libc::SYS_fcntl, [fd as u64, duplicate, 0, 0, 0, 0])?;
                let Some(new) = new else { return Ok(Outcome::Gone) };
                if new >= 0 {
                    self.bind(files, new as i32, description, flags & CLOEXEC != 0);
                }
                Ok(Outcome::Ran(new))
            }
        }
    }

    fn bind_host(&mut self, id: ThreadId, fd: Option<i64>, spot: Spot, flags: u64) -> Handled {
        if fd.is_some_and(|fd| fd >= 0) {
            self.note_new(id, &spot);
            if spot.own.is_none() && spot.metadata().is_ok_and(|metadata| metadata.is_file()) {
                self.note_source(self.thread(id).node, &spot.path);
            }
        }
        let is_directory = spot.metadata().is_ok_and(|metadata| metadata.is_dir());
        let kind = if is_directory {
            Kind::Directory { path: spot.path, entries: None, position: 0 }
        } else {
            Kind::Host { path: spot.path }
        };
        self.bind_kind(id, fd, kind, flags)
    }

    /// Something that was made in the node's memory has an inode number of its own, whatever had the real one before.
    pub(super) fn note_new(&mut self, id: ThreadId, spot: &Spot) {
        let memory = spot.own.as_ref().filter(|own| own.what == PlaceUse::Memory && spot.file.is_none());
        if let Some(metadata) = memory.and_then(|own| std::fs::symlink_metadata(&own.path).ok()) {
            let node = self.thread(id).node;
            self.nodes[node].disk.inodes_mut().renew(crate::disk::InodeKey::of(&metadata));
        }
    }

    fn bind_kind(&mut self, id: ThreadId, fd: Option<i64>, kind: Kind, flags: u64) -> Handled {
        let Some(fd) = fd else { return Ok(Outcome::Gone) };
        if fd >= 0 {
            let node = self.thread(id).node;
            let description = self.files.add(node, flags as i32, kind);
            let files = self.files_of(id);
            self.bind(files, fd as i32, description, flags & CLOEXEC != 0);
        }
        Ok(Outcome::Ran(fd))
    }

    fn open_disk(&mut self, id: ThreadId, call: &Call, named: Named, spot: Spot, flags: u64) -> Handled {
        let node = self.thread(id).node;
        let now = self.now;
        let bits = flags as i32;
        let (create, truncate) = (bits & libc::O_CREAT != 0, bits & libc::O_TRUNC != 0);
        if bits & libc::O_TMPFILE == libc::O_TMPFILE {
            return Err(Errno::EOPNOTSUPP.into());
        }
        let path = spot.on_disk().expect("it is on the disk").to_owned();
        let path = path.as_path();
        let absent = create && spot.file.is_none();
        if absent {
            self.nodes[node].disk.admit_create()?;
        }
        if truncate {
            self.nodes[node].disk.admit_change()?;
        }
        let writes = create || truncate;
        let pending =
            if writes { Some(self.nodes[node].disk.before_open(path, create, truncate)?) } else { None };
        let fd = self.run_buffered(id, call, (named.argument, &spot), flags)?;
        let opened = fd.is_some_and(|fd| fd >= 0);
        if let Some(pending) = pending {
            self.nodes[node].disk.after_open(pending, opened)?;
        }
        let Some(fd) = fd else { return Ok(Outcome::Gone) };
        if opened {
            let kind = if path.is_dir() {
                Kind::Directory { path: spot.path, entries: None, position: 0 }
            } else {
                let file = File::from(self.copy_of_descriptor(id, fd as i32)?);
                let reader = File::open(path)?;
                if absent || truncate {
                    let key = crate::disk::InodeKey::of(&reader.metadata()?);
                    self.nodes[node].disk.inodes_mut().touched(key, now);
                }
                let synchronous = bits & (libc::O_SYNC | libc::O_DSYNC) != 0;
                Kind::Disk { file, reader, path: spot.path, synchronous }
            };
            let description = self.files.add(node, bits, kind);
            let files = self.files_of(id);
            self.bind(files, fd as i32, description, flags & CLOEXEC != 0);
        }
        Ok(Outcome::Ran(fd))
    }

    /// Opens without direct I/O, if that was asked for: not every file system of a host has it, and the sandbox moves
    /// the bytes. It does so by whole blocks then.
    fn run_buffered(
        &mut self,
        id: ThreadId,
        call: &Call,
        path: (usize, &Spot),
        flags: u64,
    ) -> Result<Option<i64>, Trouble> {
        if flags & DIRECT == 0 {
            return self.run_with_paths(id, call, &[path]);
        }
        let told: Vec<(usize, &Path)> =
            path.1.told.as_deref().map(|told| (path.0, told)).into_iter().collect();
        let mut args = self.tell_paths(id, call, &told)?;
        args[path.0 + 1] = flags & !DIRECT;
        self.run_instead(id, call, call.number, args)
    }

    pub(super) fn memfd(&mut self, id: ThreadId, call: &Call) -> Handled {
        let close_on_exec = call.args[1] & u64::from(libc::MFD_CLOEXEC) != 0;
        let fd = self.native_fd(id)?;
        let flags = if close_on_exec { CLOEXEC } else { 0 } | libc::O_RDWR as u64;
        let outcome = self.bind_kind(id, fd, Kind::Host { path: PathBuf::from("/memfd") }, flags)?;
        if let Some(fd) = fd.filter(|&fd| fd >= 0) {
            let file = File::from(self.copy_of_descriptor(id, fd as i32)?);
            let description = self.description(id, fd as u64)?;
            self.in_memory.insert(description, file);
        }
        Ok(outcome)
    }
}
