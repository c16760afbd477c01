//! Calls that change names, and the working directory.

use super::only_known;
use crate::disk::NameCall;
use crate::sandbox::Sandbox;
use crate::sandbox::files::Kind;
use crate::sandbox::find::{Found, Named, Spot, Wants};
use crate::sandbox::guest::{Handled, Outcome, Trouble, returns};
use crate::sandbox::process_files::ProcessFile;
use crate::sandbox::task::{Call, ThreadId};
use nix::errno::Errno;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Parts of a second in a timeval and a timespec.
const MICROS: i64 = 1_000_000;
const NANOS: i64 = 1_000_000_000;

impl Sandbox {
    /// Runs a call that changes names; on the node's drive between the two halves of the journal's account of it.
    fn change_names(
        &mut self,
        id: ThreadId,
        call: &Call,
        paths: &[(usize, &Spot)],
        change: Option<NameCall<'_>>,
        creates: bool,
    ) -> Handled {
        let node = self.thread(id).node;
        let Some(change) = change else {
            let result = self.run_with_paths(id, call, paths)?;
            if result == Some(0) && creates {
                paths.iter().for_each(|(_, spot)| self.note_new(id, spot));
            }
            return Ok(result.map_or(Outcome::Gone, Outcome::Ran));
        };
        let disk = &mut self.nodes[node].disk;
        if creates {
            disk.admit_create()?;
        } else {
            disk.admit_change()?;
        }
        let pending = disk.before_name(change)?;
        let result = self.run_with_paths(id, call, paths)?;
        self.nodes[node].disk.after_name(pending, result == Some(0))?;
        Ok(result.map_or(Outcome::Gone, Outcome::Ran))
    }

    /// A new name for something new.
    fn make(
        &mut self,
        id: ThreadId,
        call: &Call,
        named: Named,
        change: fn(&Path) -> NameCall<'_>,
    ) -> Handled {
        let spot = self.find(id, named, false)?.spot()?;
        self.refuse_host(id, &spot, Wants::Free)?;
        self.change_names(id, call, &[(named.argument, &spot)], spot.on_disk().map(change), true)
    }

    pub(super) fn mkdir(&mut self, id: ThreadId, call: &Call, named: Named) -> Handled {
        // The slash that a name may end with here says nothing of what is there.
        self.make(id, call, named, |path| NameCall::Mkdir(path))
    }

    /// A file, or the name of a socket that nobody listens at. Pipes with names are not carried, and devices are nobody's.
    pub(super) fn mknod(&mut self, id: ThreadId, call: &Call, named: Named, mode: u64) -> Handled {
        match mode as u32 & libc::S_IFMT {
            0 | libc::S_IFREG | libc::S_IFSOCK => self.make(id, call, named, |path| NameCall::Create(path)),
            libc::S_IFIFO | libc::S_IFCHR | libc::S_IFBLK | libc::S_IFDIR => Err(Errno::EPERM.into()),
            _ => Err(Errno::EINVAL.into()),
        }
    }

    pub(super) fn symlink(&mut self, id: ThreadId, call: &Call, named: Named) -> Handled {
        self.make(id, call, named, |path| NameCall::Create(path))
    }

    pub(super) fn rename(
        &mut self,
        id: ThreadId,
        call: &Call,
        from: Named,
        to: Named,
        flags: u64,
    ) -> Handled {
        let replaces = flags as u32 & libc::RENAME_NOREPLACE == 0;
        let known = libc::RENAME_NOREPLACE | libc::RENAME_EXCHANGE | libc::RENAME_WHITEOUT;
        if flags as u32 & !known != 0 || (!replaces && flags as u32 & libc::RENAME_EXCHANGE != 0) {
            return Err(Errno::EINVAL.into());
        }
        let (old, new) = (self.find(id, from, false)?.spot()?, self.find(id, to, false)?.spot()?);
        self.refuse_host(id, &old, Wants::There)?;
        self.refuse_host(id, &new, Wants::Any)?;
        let paths = [(from.argument, &old), (to.argument, &new)];
        if self.is_across(id, &old, &new) {
            return Err(Errno::EXDEV.into());
        }
        let (Some(one), Some(other)) = (old.on_disk(), new.on_disk()) else {
            return self.change_names(id, call, &paths, None, false);
        };
        match flags as u32 {
            0 | libc::RENAME_NOREPLACE => {
                self.change_names(id, call, &paths, Some(NameCall::Rename { from: one, to: other }), true)
            }
            libc::RENAME_EXCHANGE => {
                self.change_names(id, call, &paths, Some(NameCall::Exchange(one, other)), false)
            }
            _ => Err(Errno::EINVAL.into()),
        }
    }

    /// Both names are the node's own, and in different mounts.
    fn is_across(&self, id: ThreadId, one: &Spot, other: &Spot) -> bool {
        let kept = self.home_of(id).is_kept_by_kernel();
        !kept
            && match (&one.own, &other.own) {
                (Some(one), Some(other)) => !one.shares_mount(other),
                (None, None) => false,
                _ => true,
            }
    }

    pub(super) fn remove(&mut self, id: ThreadId, call: &Call, named: Named, is_directory: bool) -> Handled {
        let spot = self.find(id, named, false)?.spot()?;
        self.refuse_host(id, &spot, Wants::There)?;
        let node = self.thread(id).node;
        let change = spot.on_disk().map(|path| match is_directory {
            true => NameCall::Rmdir(path),
            false => NameCall::Unlink(path),
        });
        let outcome = self.change_names(id, call, &[(named.argument, &spot)], change, false)?;
        if matches!(outcome, Outcome::Ran(0)) && self.nodes[node].unix_names.remove(&spot.path).is_some() {
            let host = self.nodes[node].host;
            self.net.unlink(host, spot.path.as_os_str().as_bytes());
        }
        Ok(outcome)
    }

    pub(super) fn hard_link(
        &mut self,
        id: ThreadId,
        call: &Call,
        from: Named,
        to: Named,
        flags: u64,
    ) -> Handled {
        only_known(flags, libc::AT_SYMLINK_FOLLOW | libc::AT_EMPTY_PATH)?;
        let old = self.find(id, from, flags & libc::AT_SYMLINK_FOLLOW as u64 != 0)?.spot()?;
        let new = self.find(id, to, false)?.spot()?;
        self.refuse_host(id, &new, Wants::Free)?;
        if self.is_across(id, &old, &new) {
            return Err(if old.file.is_some() { Errno::EXDEV } else { Errno::ENOENT }.into());
        }
        let change = new.on_disk().map(NameCall::Link);
        let on_disk = change.is_some();
        self.change_names(id, call, &[(from.argument, &old), (to.argument, &new)], change, on_disk)
    }

    /// chmod and chown: neither is journaled.
    pub(super) fn change_inode(&mut self, id: ThreadId, call: &Call, named: Named, follow: bool) -> Handled {
        let spot = self.find(id, named, follow)?.spot()?;
        self.refuse_host(id, &spot, Wants::There)?;
        self.change_names(id, call, &[(named.argument, &spot)], None, false)
    }

    /// fchmod and fchown.
    pub(super) fn change_open_inode(&mut self, id: ThreadId, fd: u64) -> Handled {
        let description = self.description(id, fd)?;
        let path = match self.files.get(description).map(|d| &d.kind) {
            Some(Kind::Disk { path, .. } | Kind::Directory { path, .. } | Kind::Host { path }) => path,
            _ => return returns(0),
        };
        let home = self.home_of(id);
        if !home.is_kept_by_kernel() && !home.own(path).is_some_and(|own| own.is_writable()) {
            return Err(Errno::EROFS.into());
        }
        self.native(id)
    }

    /// utimensat and its like: the times of the node's own files are those of the virtual clock.
    pub(super) fn set_times(&mut self, id: ThreadId, call: &Call, named: Named, follow: bool) -> Handled {
        self.check_times(id, call)?;
        if named.path == 0 && call.number == libc::SYS_utimensat && named.directory as i32 != libc::AT_FDCWD {
            self.description(id, named.directory)?;
            return returns(0);
        }
        let spot = self.find(id, named, follow)?.spot()?;
        match (&spot.file, spot.is_writable()) {
            (None, _) => Err(Errno::ENOENT.into()),
            (Some(_), false) => Err(Errno::EROFS.into()),
            (Some(_), true) => returns(0),
        }
    }

    /// The times that a call gives must be there, and be times (utimensat(2)).
    fn check_times(&self, id: ThreadId, call: &Call) -> Result<(), Trouble> {
        let (at, most) = match call.number {
            libc::SYS_utime if call.args[1] != 0 => return self.load_pair(id, call.args[1]).map(|_| ()),
            libc::SYS_utime | libc::SYS_utimes => (call.args[1], MICROS),
            libc::SYS_futimesat => (call.args[2], MICROS),
            _ => (call.args[2], NANOS),
        };
        if at == 0 {
            return Ok(());
        }
        let [_, access, _, change] = self.load_four(id, at)?;
        let is_part = |part: i64| {
            (0..most).contains(&part)
                || (most == NANOS && [libc::UTIME_NOW, libc::UTIME_OMIT].contains(&part))
        };
        if is_part(access) && is_part(change) { Ok(()) } else { Err(Errno::EINVAL.into()) }
    }

    /// access(2).
    pub(super) fn access(
        &mut self,
        id: ThreadId,
        call: &Call,
        named: Named,
        mode: u64,
        follow: bool,
    ) -> Handled {
        if mode as i32 & !(libc::R_OK | libc::W_OK | libc::X_OK) != 0 {
            return Err(Errno::EINVAL.into());
        }
        let spot = match self.find(id, named, follow)? {
            Found::Spot(spot) => spot,
            Found::Process(_) if mode as i32 & (libc::W_OK | libc::X_OK) == 0 => return returns(0),
            Found::Process(_) => return Err(Errno::EACCES.into()),
        };
        if mode as i32 & libc::W_OK != 0 && !spot.is_device() {
            self.refuse_host(id, &spot, Wants::There)?;
        }
        let result = self.run_with_paths(id, call, &[(named.argument, &spot)])?;
        Ok(result.map_or(Outcome::Gone, Outcome::Ran))
    }

    pub(super) fn chdir(&mut self, id: ThreadId, call: &Call) -> Handled {
        if call.number == libc::SYS_fchdir {
            let description = self.description(id, call.args[0])?;
            return match self.files.get(description).map(|d| &d.kind) {
                // The kernel has no such directory.
                Some(Kind::Directory { path, .. }) if self.is_of_process(path) => Err(Errno::EACCES.into()),
                Some(Kind::Directory { .. }) => self.native(id),
                _ => Err(Errno::ENOTDIR.into()),
            };
        }
        let named = Named::of(call, 0);
        match self.find(id, named, true)? {
            Found::Spot(spot) => {
                let result = self.run_with_paths(id, call, &[(named.argument, &spot)])?;
                Ok(result.map_or(Outcome::Gone, Outcome::Ran))
            }
            Found::Process(ProcessFile::Directory(_)) => Err(Errno::EACCES.into()),
            Found::Process(_) => Err(Errno::ENOTDIR.into()),
        }
    }

    pub(super) fn getcwd(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [buffer, size, ..] = call.args;
        let directory = self.directory_of(id, libc::AT_FDCWD as i64 as u64)?;
        let mut path = directory.as_os_str().as_bytes().to_vec();
        path.push(0);
        if path.len() as u64 > size {
            return Err(Errno::ERANGE.into());
        }
        self.store(id, buffer, &path)?;
        returns(path.len() as u64)
    }

    pub(super) fn readlink(&mut self, id: ThreadId, named: Named, to: u64, size: u64) -> Handled {
        if size as i32 <= 0 {
            return Err(Errno::EINVAL.into());
        }
        let target = match self.find(id, named, false)? {
            Found::Spot(spot) => {
                let file = spot.file.ok_or(Errno::ENOENT)?;
                match nix::fcntl::readlinkat(&file, "") {
                    // What is not a link is not one by that name either.
                    Err(Errno::ENOENT) => return Err(Errno::EINVAL.into()),
                    target => target?,
                }
            }
            Found::Process(ProcessFile::Link(to)) => to,
            Found::Process(ProcessFile::Descriptor(process, fd)) => {
                let of = self.processes.get(&process).ok_or(Errno::ENOENT)?;
                self.descriptor_link(of.node, of, fd)?.0
            }
            Found::Process(_) => return Err(Errno::EINVAL.into()),
        };
        let bytes = target.as_bytes();
        let bytes = &bytes[..bytes.len().min(size as usize)];
        self.store(id, to, bytes)?;
        returns(bytes.len() as u64)
    }
}
