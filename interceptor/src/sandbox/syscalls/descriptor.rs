//! Opening, duplicating and closing descriptors, and what can be asked of them.

use crate::sandbox::Sandbox;
use crate::sandbox::files::{Kind, Slot};
use crate::sandbox::find::{Found, Named, Spot, Wants};
use crate::sandbox::guest::{Handled, Outcome, Trouble, returns};
use crate::sandbox::home::{Passed, PlaceUse};
use crate::sandbox::process_files::{ProcessFile, takes_settings};
use crate::sandbox::task::{Call, ProcessId, ThreadId};
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

const CLOEXEC: u64 = libc::O_CLOEXEC as u64;
const DIRECT: u64 = libc::O_DIRECT as u64;
/// Of fcntl(2): `struct f_owner_ex` is a kind, of which 1 is a process, and its number.
const F_GETOWN_EX: i32 = 16;

impl Sandbox {
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
        if call.number == libc::SYS_dup3 && (flags & !CLOEXEC != 0 || old == new) {
            return Err(Errno::EINVAL.into());
        }
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
                    let args = [fd, command, argument & !DIRECT, 0, 0, 0];
                    let result = self.run_instead(id, call, call.number, args)?;
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
            | libc::F_OFD_SETLKW => self.record_lock(id, description, command as i32, argument, call),
            libc::F_GETPIPE_SZ => self.pipe_size(description, None),
            libc::F_SETPIPE_SZ => self.pipe_size(description, Some(argument)),
            libc::F_SETOWN | libc::F_GETOWN => returns(0),
            F_GETOWN_EX => {
                self.store(id, argument, &[1_u32.to_le_bytes(), [0; 4]].concat())?;
                returns(0)
            }
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
        self.files.get(description).filter(|d| d.flags & libc::O_PATH == 0).ok_or(Errno::EBADF)?;
        let files = self.files_of(id);
        match request {
            libc::FIONBIO => {
                let on = self.thread(id).tid.read_u32(argument)? != 0;
                if let Some(description) = self.files.get_mut(description) {
                    description.nonblocking = on;
                }
                returns(0)
            }
            // Who is to get SIGIO is not kept, and nobody gets it; servers set this up without use for it.
            libc::FIOASYNC => {
                self.load(id, argument, 4)?;
                match self.files.get(description).map(|d| &d.kind) {
                    Some(Kind::Socket(_) | Kind::PipeRead(_) | Kind::PipeWrite(_)) => returns(0),
                    _ => Err(Errno::ENOTTY.into()),
                }
            }
            libc::TIOCOUTQ => {
                let Some(Kind::Socket(socket)) = self.files.get(description).map(|d| &d.kind) else {
                    return Err(Errno::ENOTTY.into());
                };
                let count = self.net.unsent(*socket);
                self.store(id, argument, &(count as u32).to_le_bytes())?;
                returns(0)
            }
            libc::FIONREAD => {
                let count = match self.files.get(description).map(|d| &d.kind) {
                    Some(Kind::Socket(socket)) => self.net.available(*socket),
                    Some(Kind::PipeRead(pipe) | Kind::PipeWrite(pipe)) => self.files.pipes[pipe].bytes.len(),
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
        if flags as i32 & !(libc::O_CLOEXEC | libc::O_NONBLOCK) != 0 {
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
            None => self.list_directory(id, fd, &path)?,
        };
        let is_old = call.number == libc::SYS_getdents;
        let mut bytes = Vec::new();
        let mut taken = position;
        while let Some(entry) = entries.get(taken).filter(|entry| bytes.len() + entry.len() <= size as usize)
        {
            bytes.extend(if is_old { old_entry(entry) } else { entry.clone() });
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
    fn list_directory(&mut self, id: ThreadId, fd: u64, path: &Path) -> Result<Vec<Vec<u8>>, Trouble> {
        let node = self.thread(id).node;
        let mut listed: Vec<(OsString, u64, u8)> = Vec::new();
        if self.is_of_process(path) {
            for name in self.names_in_process(node, path)? {
                listed.push((name.into(), listed.len() as u64 + 3, libc::DT_UNKNOWN));
            }
            listed.extend([(".".into(), 1, libc::DT_DIR), ("..".into(), 2, libc::DT_DIR)]);
        } else {
            let copy = self.copy_of_descriptor(id, fd as i32)?;
            let real = PathBuf::from(format!("/proc/self/fd/{}", copy.as_raw_fd()));
            let names = std::fs::read_dir(&real)?.map(|entry| entry.map(|entry| entry.file_name()));
            let mut names = names.collect::<Result<Vec<OsString>, _>>()?;
            names.retain(|name| !is_hidden(path, name));
            names.sort();
            for name in [".".into(), "..".into()].into_iter().chain(names) {
                let Ok(metadata) = std::fs::symlink_metadata(real.join(&name)) else { continue };
                let number = self.nodes[node].disk.inodes_mut().number(crate::disk::InodeKey::of(&metadata));
                let kind = if metadata.is_dir() {
                    libc::DT_DIR
                } else if metadata.is_symlink() {
                    libc::DT_LNK
                } else if metadata.is_file() {
                    libc::DT_REG
                } else {
                    libc::DT_UNKNOWN
                };
                listed.push((name, number, kind));
            }
            if path == Path::new("/proc") {
                let processes = self.names_of_processes(node);
                listed.extend(processes.into_iter().map(|name| (name.into(), 1, libc::DT_UNKNOWN)));
            }
        }
        listed.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        Ok(listed
            .iter()
            .enumerate()
            .map(|(i, (name, number, kind))| entry(i, name, *number, *kind))
            .collect())
    }
}

/// What of a directory is the sandbox's own.
fn is_hidden(directory: &Path, name: &OsStr) -> bool {
    directory == Path::new("/proc") && name == ".passing"
}

/// The `linux_dirent` that says the same (getdents(2)): it ends with the kind, which the other has before the name.
fn old_entry(entry: &[u8]) -> Vec<u8> {
    let mut entry = entry.to_vec();
    let kind = entry.remove(18);
    entry.push(kind);
    entry
}

/// A `linux_dirent64` (getdents64(2)).
fn entry(position: usize, name: &OsStr, number: u64, kind: u8) -> Vec<u8> {
    let name = name.as_bytes();
    let len = (19 + name.len() + 1).next_multiple_of(8);
    let mut entry = Vec::with_capacity(len);
    entry.extend(number.to_le_bytes());
    entry.extend((position as u64 + 1).to_le_bytes());
    entry.extend((len as u16).to_le_bytes());
    entry.push(kind);
    entry.extend(name);
    entry.resize(len, 0);
    entry
}
