//! Opening, duplicating and closing descriptors, and what can be asked of them.

use crate::sandbox::Sandbox;
use crate::sandbox::files::{Kind, Slot};
use crate::sandbox::guest::{Handled, Outcome, Trouble, returns};
use crate::sandbox::system_files::{self, Place};
use crate::sandbox::task::{Call, ThreadId};
use nix::errno::Errno;
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

const CLOEXEC: u64 = libc::O_CLOEXEC as u64;
const DIRECT: u64 = libc::O_DIRECT as u64;

impl Sandbox {
    /// An absolute path for a path argument: relative to a directory descriptor or the working directory.
    pub(super) fn resolve(&self, id: ThreadId, directory: u64, path: u64) -> Result<PathBuf, Trouble> {
        let path = self.load_path(id, path)?;
        self.absolute(id, directory, &path)
    }

    pub(super) fn absolute(&self, id: ThreadId, directory: u64, path: &Path) -> Result<PathBuf, Trouble> {
        if path.is_absolute() {
            return Ok(system_files::own(path, self.process_of(id).vpid));
        }
        let base = if directory as i32 == libc::AT_FDCWD {
            self.process_of(id).directory.clone()
        } else {
            let description = self.description(id, directory)?;
            match self.files.get(description).map(|d| &d.kind) {
                Some(Kind::Directory { path, .. } | Kind::Disk { path, .. } | Kind::Host { path }) => {
                    path.clone()
                }
                _ => return Err(Errno::ENOTDIR.into()),
            }
        };
        Ok(base.join(path))
    }

    /// A descriptor for a virtual object: the kernel chooses the number, a placeholder holds it.
    pub(super) fn place(&mut self, id: ThreadId, call: &Call, kind: Kind, flags: u64) -> Handled {
        let close_on_exec = flags & CLOEXEC != 0;
        let cloexec = if close_on_exec { libc::EFD_CLOEXEC as u64 } else { 0 };
        let fd = self.run_instead(id, call, libc::SYS_eventfd2, [0, cloexec, 0, 0, 0, 0])?;
        let Some(fd) = fd else { return Ok(Outcome::Gone) };
        if fd >= 0 {
            let node = self.thread(id).node;
            let description = self.files.add(node, flags as i32, kind);
            let files = self.files_of(id);
            self.bind(files, fd as i32, description, close_on_exec);
        }
        Ok(Outcome::Ran(fd))
    }

    pub(super) fn openat(
        &mut self,
        id: ThreadId,
        call: &Call,
        dir: u64,
        path: u64,
        flags: u64,
        mode: u64,
    ) -> Handled {
        let path = self.resolve(id, dir, path)?;
        match system_files::place(&path) {
            Place::Random => return self.place(id, call, Kind::Random, flags),
            Place::Replaced(name) => {
                let file = self.room.join(system_files::DIRECTORY).join(name);
                return self.open_host(id, call, &file, flags, mode);
            }
            Place::Missing => return Err(Errno::ENOENT.into()),
            Place::Leak => {
                self.leaks.insert(path.to_string_lossy().into_owned());
            }
            Place::Ordinary => {}
        }
        let node = self.thread(id).node;
        let changes = flags as i32 & (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC) != 0;
        // A link on the disk may lead off it, and one of the host's onto it.
        let path =
            if changes && flags as i32 & libc::O_NOFOLLOW == 0 { self.followed(id, path) } else { path };
        if self.nodes[node].disk.covers(&path) {
            return self.open_disk(id, call, &path, flags);
        }
        // What a run leaves on the host, the next one would find.
        if changes && !path.starts_with("/dev/") && !path.starts_with("/proc/self/") {
            return Err(if self.on_host(id, &path).exists() || flags as i32 & libc::O_CREAT != 0 {
                Errno::EROFS
            } else {
                Errno::ENOENT
            }
            .into());
        }
        let fd = self.native_fd(id)?;
        self.bind_host(id, fd, path, flags)
    }

    fn native_fd(&mut self, id: ThreadId) -> Result<Option<i64>, Trouble> {
        Ok(self.run_call(id)?)
    }

    /// Opens another file than the one that was asked for; its name is put where the guest can read it.
    fn open_host(&mut self, id: ThreadId, call: &Call, file: &Path, flags: u64, mode: u64) -> Handled {
        let mut name = file.as_os_str().as_bytes().to_vec();
        name.push(0);
        let scratch = self.scratch(id);
        self.store(id, scratch, &name)?;
        let here = libc::AT_FDCWD as i64 as u64;
        let fd = self.run_instead(id, call, libc::SYS_openat, [here, scratch, flags, mode, 0, 0])?;
        self.bind_host(id, fd, file.to_path_buf(), flags)
    }

    fn bind_host(&mut self, id: ThreadId, fd: Option<i64>, path: PathBuf, flags: u64) -> Handled {
        let Some(fd) = fd else { return Ok(Outcome::Gone) };
        if fd >= 0 {
            let node = self.thread(id).node;
            let kind = if self.on_host(id, &path).is_dir() {
                Kind::Directory { path, entries: None, position: 0 }
            } else {
                Kind::Host { path }
            };
            let description = self.files.add(node, flags as i32, kind);
            let files = self.files_of(id);
            self.bind(files, fd as i32, description, flags & CLOEXEC != 0);
        }
        Ok(Outcome::Ran(fd))
    }

    fn open_disk(&mut self, id: ThreadId, call: &Call, path: &Path, flags: u64) -> Handled {
        let node = self.thread(id).node;
        let now = self.now;
        let bits = flags as i32;
        let (create, truncate) = (bits & libc::O_CREAT != 0, bits & libc::O_TRUNC != 0);
        if bits & libc::O_TMPFILE == libc::O_TMPFILE {
            return Err(Errno::EOPNOTSUPP.into());
        }
        let absent = create && !path.exists();
        if absent {
            self.nodes[node].disk.admit_create()?;
        }
        if truncate {
            self.nodes[node].disk.admit_change()?;
        }
        let writes = create || truncate;
        let pending =
            if writes { Some(self.nodes[node].disk.before_open(path, create, truncate)?) } else { None };
        let fd = self.run_buffered(id, call, flags)?;
        let opened = fd.is_some_and(|fd| fd >= 0);
        if let Some(pending) = pending {
            self.nodes[node].disk.after_open(pending, opened)?;
        }
        let Some(fd) = fd else { return Ok(Outcome::Gone) };
        if opened {
            let kind = if path.is_dir() {
                Kind::Directory { path: path.to_path_buf(), entries: None, position: 0 }
            } else {
                let file = File::from(self.copy_of_descriptor(id, fd as i32)?);
                let reader = File::open(path)?;
                if absent || truncate {
                    let key = crate::disk::InodeKey::of(&reader.metadata()?);
                    self.nodes[node].disk.inodes_mut().touched(key, now);
                }
                let synchronous = bits & (libc::O_SYNC | libc::O_DSYNC) != 0;
                Kind::Disk { file, reader, path: path.to_path_buf(), synchronous }
            };
            let description = self.files.add(node, bits, kind);
            let files = self.files_of(id);
            self.bind(files, fd as i32, description, flags & CLOEXEC != 0);
        }
        Ok(Outcome::Ran(fd))
    }

    /// Runs a call whose flags may ask for direct I/O, without that: not every file system of a host has it, and the
    /// sandbox moves the bytes. It does so by whole blocks then.
    fn run_buffered(&mut self, id: ThreadId, call: &Call, flags: u64) -> Result<Option<i64>, Trouble> {
        if flags & DIRECT == 0 {
            return Ok(self.run_call(id)?);
        }
        let mut args = call.args;
        let at = if call.number == libc::SYS_open { 1 } else { 2 };
        args[at] = flags & !DIRECT;
        self.run_instead(id, call, call.number, args)
    }

    pub(super) fn memfd(&mut self, id: ThreadId, call: &Call) -> Handled {
        let close_on_exec = call.args[1] & u64::from(libc::MFD_CLOEXEC) != 0;
        let fd = self.native_fd(id)?;
        let flags = if close_on_exec { CLOEXEC } else { 0 } | libc::O_RDWR as u64;
        let outcome = self.bind_host(id, fd, PathBuf::from("memfd"), flags)?;
        if let Some(fd) = fd.filter(|&fd| fd >= 0) {
            let file = File::from(self.copy_of_descriptor(id, fd as i32)?);
            let description = self.description(id, fd as u64)?;
            self.in_memory.insert(description, file);
        }
        Ok(outcome)
    }

    pub(super) fn close(&mut self, id: ThreadId, call: &Call) -> Handled {
        let files = self.files_of(id);
        let result = self.run_call(id)?;
        self.close_descriptor(files, call.args[0] as i32);
        Ok(result.map_or(Outcome::Gone, Outcome::Ran))
    }

    pub(super) fn close_range(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [first, last, flags, ..] = call.args;
        if flags & u64::from(libc::CLOSE_RANGE_UNSHARE) != 0 {
            return Err(Errno::EINVAL.into());
        }
        let files = self.files_of(id);
        let result = self.run_call(id)?;
        for (fd, _) in self.files.slots(files) {
            if fd as u64 >= first && fd as u64 <= last {
                if flags & u64::from(libc::CLOSE_RANGE_CLOEXEC) != 0 {
                    if let Some(slot) = self.files.slot_mut(files, fd) {
                        slot.close_on_exec = true;
                    }
                } else {
                    self.close_descriptor(files, fd);
                }
            }
        }
        Ok(result.map_or(Outcome::Gone, Outcome::Ran))
    }

    pub(super) fn dup(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [old, new, flags, ..] = call.args;
        let close_on_exec = call.number == libc::SYS_dup3 && flags & CLOEXEC != 0;
        let same = call.number == libc::SYS_dup2 && old == new;
        self.duplicate(id, old, close_on_exec, same)
    }

    fn duplicate(&mut self, id: ThreadId, old: u64, close_on_exec: bool, same: bool) -> Handled {
        let description = self.description(id, old)?;
        let files = self.files_of(id);
        let Some(fd) = self.run_call(id)? else { return Ok(Outcome::Gone) };
        if fd >= 0 && !same {
            self.bind(files, fd as i32, description, close_on_exec);
        }
        Ok(Outcome::Ran(fd))
    }

    pub(super) fn fcntl(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [fd, command, argument, ..] = call.args;
        let description = self.description(id, fd)?;
        let files = self.files_of(id);
        match command as i32 {
            libc::F_DUPFD => self.duplicate(id, fd, false, false),
            libc::F_DUPFD_CLOEXEC => self.duplicate(id, fd, true, false),
            libc::F_GETFD => {
                let slot: Slot = self.files.slot(files, fd as i32).ok_or(Errno::EBADF)?;
                returns(i64::from(slot.close_on_exec))
            }
            libc::F_SETFD => {
                let result = self.run_call(id)?;
                if let Some(slot) = self.files.slot_mut(files, fd as i32) {
                    slot.close_on_exec = argument & libc::FD_CLOEXEC as u64 != 0;
                }
                Ok(result.map_or(Outcome::Gone, Outcome::Ran))
            }
            libc::F_GETFL => {
                let description = self.files.get(description).ok_or(Errno::EBADF)?;
                let blocking = description.flags
                    & !(libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_CREAT | libc::O_TRUNC | libc::O_EXCL);
                let access = match description.kind {
                    Kind::Socket(_) | Kind::Event { .. } => libc::O_RDWR,
                    _ => 0,
                };
                returns(blocking | access | if description.nonblocking { libc::O_NONBLOCK } else { 0 })
            }
            libc::F_SETFL => {
                if matches!(
                    self.files.get(description).map(|d| &d.kind),
                    Some(Kind::Disk { .. } | Kind::Host { .. })
                ) {
                    let result = self.run_buffered(id, call, argument)?;
                    self.set_status_flags(description, argument as i32);
                    return Ok(result.map_or(Outcome::Gone, Outcome::Ran));
                }
                self.set_status_flags(description, argument as i32);
                returns(0)
            }
            libc::F_GETLK
            | libc::F_SETLK
            | libc::F_SETLKW
            | libc::F_OFD_GETLK
            | libc::F_OFD_SETLK
            | libc::F_OFD_SETLKW => self.record_lock(id, description, command as i32, argument),
            libc::F_GETPIPE_SZ | libc::F_SETPIPE_SZ => returns(crate::sandbox::files::Pipe::CAPACITY as u64),
            libc::F_SETOWN => returns(0),
            libc::F_ADD_SEALS | libc::F_GET_SEALS => self.native(id),
            _ => Err(Errno::EINVAL.into()),
        }
    }

    fn set_status_flags(&mut self, id: crate::sandbox::files::DescriptionId, flags: i32) {
        if let Some(description) = self.files.get_mut(id) {
            description.nonblocking = flags & libc::O_NONBLOCK != 0;
            let on_disk = matches!(description.kind, Kind::Disk { .. });
            let settable = libc::O_APPEND | if on_disk { libc::O_DIRECT } else { 0 };
            description.flags = description.flags & !settable | flags & settable;
        }
    }

    pub(super) fn ioctl(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [fd, request, argument, ..] = call.args;
        let description = self.description(id, fd)?;
        let files = self.files_of(id);
        match request {
            libc::FIONBIO => {
                let on = self.thread(id).tid.read_u32(argument)? != 0;
                if let Some(description) = self.files.get_mut(description) {
                    description.nonblocking = on;
                }
                returns(0)
            }
            libc::FIONREAD => {
                let count = match self.files.get(description).map(|d| &d.kind) {
                    Some(Kind::Socket(socket)) => self.net.available(*socket),
                    Some(Kind::PipeRead(pipe)) => self.files.pipes[pipe].bytes.len(),
                    _ => return self.native(id),
                };
                self.store(id, argument, &(count as u32).to_le_bytes())?;
                returns(0)
            }
            libc::FIOCLEX | libc::FIONCLEX => {
                let result = self.run_call(id)?;
                if let Some(slot) = self.files.slot_mut(files, fd as i32) {
                    slot.close_on_exec = request == libc::FIOCLEX;
                }
                Ok(result.map_or(Outcome::Gone, Outcome::Ran))
            }
            _ => Err(Errno::ENOTTY.into()),
        }
    }

    pub(super) fn pipe(&mut self, id: ThreadId, call: &Call) -> Handled {
        let flags = if call.number == libc::SYS_pipe2 { call.args[1] } else { 0 };
        if flags as i32 & libc::O_DIRECT != 0 {
            return Err(Errno::EINVAL.into());
        }
        let pipe = self.files.add_pipe();
        self.place_pair(id, call, call.args[0], flags, Kind::PipeRead(pipe), Kind::PipeWrite(pipe))
    }

    /// Two descriptors at once; a real pipe holds their numbers.
    pub(super) fn place_pair(
        &mut self,
        id: ThreadId,
        call: &Call,
        to: u64,
        flags: u64,
        a: Kind,
        b: Kind,
    ) -> Handled {
        let close_on_exec = flags & CLOEXEC != 0;
        let result = self.run_instead(id, call, libc::SYS_pipe2, [to, flags & CLOEXEC, 0, 0, 0, 0])?;
        let Some(result) = result else { return Ok(Outcome::Gone) };
        if result == 0 {
            let fds = self.load(id, to, 8)?;
            let node = self.thread(id).node;
            let files = self.files_of(id);
            for (i, (kind, access)) in [(a, libc::O_RDONLY), (b, libc::O_WRONLY)].into_iter().enumerate() {
                let fd = i32::from_le_bytes(fds[4 * i..4 * i + 4].try_into().expect("four bytes"));
                let pipe = match kind {
                    Kind::PipeRead(pipe) => Some((pipe, true)),
                    Kind::PipeWrite(pipe) => Some((pipe, false)),
                    _ => None,
                };
                let access = if pipe.is_some() { access } else { libc::O_RDWR };
                let description = self.files.add(node, flags as i32 | access, kind);
                self.bind(files, fd, description, close_on_exec);
                if let Some((pipe, reads)) = pipe {
                    let pipe = self.files.pipes.get_mut(&pipe).expect("the pipe was just made");
                    *(if reads { &mut pipe.reader } else { &mut pipe.writer }) = Some(description);
                }
            }
        }
        Ok(Outcome::Ran(result))
    }

    /// Directory entries in the order of their names, with virtual inode numbers.
    pub(super) fn getdents(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [fd, buffer, size, ..] = call.args;
        let description = self.description(id, fd)?;
        let Some(Kind::Directory { path, entries, position }) = self.files.get(description).map(|d| &d.kind)
        else {
            return Err(Errno::ENOTDIR.into());
        };
        let (path, position) = (path.clone(), *position);
        let entries = match entries {
            Some(entries) => entries.clone(),
            None => self.list_directory(id, &path)?,
        };
        let mut bytes = Vec::new();
        let mut taken = position;
        while let Some(entry) = entries.get(taken).filter(|entry| bytes.len() + entry.len() <= size as usize)
        {
            bytes.extend_from_slice(entry);
            taken += 1;
        }
        if bytes.is_empty() && taken < entries.len() {
            return Err(Errno::EINVAL.into());
        }
        if let Some(Kind::Directory { entries: kept, position, .. }) =
            self.files.get_mut(description).map(|d| &mut d.kind)
        {
            *kept = Some(entries);
            *position = taken;
        }
        self.store(id, buffer, &bytes)?;
        self.moved ^= crate::sandbox::log::checksum(&bytes);
        returns(bytes.len() as u64)
    }

    /// Serialised `linux_dirent64`s of a directory.
    fn list_directory(&mut self, id: ThreadId, path: &Path) -> Result<Vec<Vec<u8>>, Trouble> {
        let node = self.thread(id).node;
        let in_proc = path.starts_with("/proc");
        let path = &self.on_host(id, path);
        let mut names: Vec<OsString> =
            std::fs::read_dir(path)?.map(|e| e.map(|e| e.file_name())).collect::<Result<_, _>>()?;
        names.sort();
        let special = [b".".to_vec(), b"..".to_vec()].map(OsString::from_vec);
        let mut entries = Vec::new();
        for (i, name) in special.into_iter().chain(names).enumerate() {
            let Ok(metadata) = std::fs::symlink_metadata(path.join(&name)) else { continue };
            let number = if in_proc {
                i as u64 + 1
            } else {
                self.nodes[node].disk.inodes_mut().number(crate::disk::InodeKey::of(&metadata))
            };
            let kind = if metadata.is_dir() {
                libc::DT_DIR
            } else if metadata.is_symlink() {
                libc::DT_LNK
            } else if metadata.is_file() {
                libc::DT_REG
            } else {
                libc::DT_UNKNOWN
            };
            let name = name.as_bytes();
            let len = (19 + name.len() + 1).next_multiple_of(8);
            let mut entry = Vec::with_capacity(len);
            entry.extend(number.to_le_bytes());
            entry.extend((i as u64 + 1).to_le_bytes());
            entry.extend((len as u16).to_le_bytes());
            entry.push(kind);
            entry.extend(name);
            entry.resize(len, 0);
            entries.push(entry);
        }
        Ok(entries)
    }

    /// Where a link leads, as far as it does; any other path as it is.
    fn followed(&self, id: ThreadId, path: PathBuf) -> PathBuf {
        let link = self.link_on_host(id, &path);
        if path.starts_with("/proc/") || path.starts_with("/dev/") || !link.is_symlink() {
            return path;
        }
        self.real(id, &path).unwrap_or_else(|_| match (path.parent(), std::fs::read_link(&link)) {
            (Some(parent), Ok(target)) => parent.join(target),
            _ => path,
        })
    }
}
