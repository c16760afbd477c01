//! Calls that change names, and the working directory.

use crate::disk::NameCall;
use crate::sandbox::Sandbox;
use crate::sandbox::files::Kind;
use crate::sandbox::guest::{Handled, Outcome, returns};
use crate::sandbox::system_files::{self, Place};
use crate::sandbox::task::{Call, ThreadId};
use nix::errno::Errno;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

impl Sandbox {
    /// Runs a call that changes names between the two halves of the journal's account of it.
    fn journaled(&mut self, id: ThreadId, change: NameCall<'_>, creates: bool) -> Handled {
        let node = self.thread(id).node;
        let (NameCall::Create(path)
        | NameCall::Mkdir(path)
        | NameCall::Link(path)
        | NameCall::Unlink(path)
        | NameCall::Rmdir(path)
        | NameCall::Exchange(path, _)
        | NameCall::Rename { from: path, .. }) = change;
        if !self.nodes[node].disk.covers(path) {
            // What a run leaves on the host, the next one would find.
            let exists = self.link_on_host(id, path).symlink_metadata().is_ok();
            let needed = matches!(change, NameCall::Unlink(_) | NameCall::Rmdir(_) | NameCall::Rename { .. });
            let errno = match (needed, exists) {
                (true, false) => Errno::ENOENT,
                (false, true) => Errno::EEXIST,
                _ => Errno::EROFS,
            };
            return Err(errno.into());
        }
        let disk = &mut self.nodes[node].disk;
        if creates {
            disk.admit_create()?;
        } else {
            disk.admit_change()?;
        }
        let pending = disk.before_name(change)?;
        let result = self.run_call(id)?;
        self.nodes[node].disk.after_name(pending, result == Some(0))?;
        Ok(result.map_or(Outcome::Gone, Outcome::Ran))
    }

    #[allow(clippy::too_many_arguments, reason = "the arguments of renameat2(2)")]
    pub(super) fn rename(
        &mut self,
        id: ThreadId,
        _: &Call,
        d1: u64,
        p1: u64,
        d2: u64,
        p2: u64,
        flags: u64,
    ) -> Handled {
        let (from, to) = (self.resolve(id, d1, p1)?, self.resolve(id, d2, p2)?);
        let node = self.thread(id).node;
        let disk = &self.nodes[node].disk;
        match (disk.covers(&from), disk.covers(&to)) {
            (false, false) => return Err(Errno::EROFS.into()),
            (true, true) => {}
            _ => return Err(Errno::EXDEV.into()),
        }
        match flags as u32 {
            0 | libc::RENAME_NOREPLACE => self.journaled(id, NameCall::Rename { from: &from, to: &to }, true),
            libc::RENAME_EXCHANGE => self.journaled(id, NameCall::Exchange(&from, &to), false),
            _ => Err(Errno::EINVAL.into()),
        }
    }

    pub(super) fn mkdir(&mut self, id: ThreadId, _: &Call, directory: u64, path: u64) -> Handled {
        let path = self.resolve(id, directory, path)?;
        self.journaled(id, NameCall::Mkdir(&path), true)
    }

    pub(super) fn remove(
        &mut self,
        id: ThreadId,
        _: &Call,
        directory: u64,
        path: u64,
        is_directory: bool,
    ) -> Handled {
        let path = self.resolve(id, directory, path)?;
        let node = self.thread(id).node;
        let bound = self.nodes[node].unix_names.remove(&path).is_some();
        let change = if is_directory { NameCall::Rmdir(&path) } else { NameCall::Unlink(&path) };
        let outcome = self.journaled(id, change, false)?;
        if bound && matches!(outcome, Outcome::Ran(0)) {
            let host = self.nodes[node].host;
            self.net.unlink(host, path.as_os_str().as_bytes());
        }
        Ok(outcome)
    }

    pub(super) fn hard_link(&mut self, id: ThreadId, from: (u64, u64), to: (u64, u64)) -> Handled {
        let (from, path) = (self.resolve(id, from.0, from.1)?, self.resolve(id, to.0, to.1)?);
        let disk = &self.nodes[self.thread(id).node].disk;
        // Through another name of the host's file a guest could write to it.
        if disk.covers(&path) && !disk.covers(&from) {
            return Err(if self.on_host(id, &from).exists() { Errno::EXDEV } else { Errno::ENOENT }.into());
        }
        self.journaled(id, NameCall::Link(&path), true)
    }

    pub(super) fn symlink(&mut self, id: ThreadId, _: &Call, directory: u64, path: u64) -> Handled {
        let path = self.resolve(id, directory, path)?;
        self.journaled(id, NameCall::Create(&path), true)
    }

    pub(super) fn chmod(&mut self, id: ThreadId, directory: u64, path: u64) -> Handled {
        let path = self.resolve(id, directory, path)?;
        let real = self.real(id, &path)?;
        if !self.nodes[self.thread(id).node].disk.covers(&real) {
            return Err(Errno::EROFS.into());
        }
        self.native(id)
    }

    pub(super) fn fchmod(&mut self, id: ThreadId, fd: u64) -> Handled {
        let description = self.description(id, fd)?;
        let disk = &self.nodes[self.thread(id).node].disk;
        match self.files.get(description).map(|d| &d.kind) {
            Some(Kind::Disk { .. }) => self.native(id),
            Some(Kind::Directory { path, .. }) if disk.covers(path) => self.native(id),
            Some(Kind::Directory { .. } | Kind::Host { .. }) => Err(Errno::EROFS.into()),
            _ => returns(0),
        }
    }

    pub(super) fn chdir(&mut self, id: ThreadId, call: &Call) -> Handled {
        let to = if call.number == libc::SYS_fchdir {
            let description = self.description(id, call.args[0])?;
            match self.files.get(description).map(|d| &d.kind) {
                Some(Kind::Directory { path, .. }) => path.clone(),
                _ => return Err(Errno::ENOTDIR.into()),
            }
        } else {
            self.resolve(id, libc::AT_FDCWD as i64 as u64, call.args[0])?
        };
        let result = self.run_call(id)?;
        if result == Some(0) {
            self.process_of_mut(id).directory = plain(&to);
        }
        Ok(result.map_or(Outcome::Gone, Outcome::Ran))
    }

    pub(super) fn getcwd(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [buffer, size, ..] = call.args;
        let mut path = self.process_of(id).directory.as_os_str().as_bytes().to_vec();
        path.push(0);
        if path.len() as u64 > size {
            return Err(Errno::ERANGE.into());
        }
        self.store(id, buffer, &path)?;
        returns(path.len() as u64)
    }

    pub(super) fn readlink(
        &mut self,
        id: ThreadId,
        _: &Call,
        directory: u64,
        path: u64,
        to: u64,
        size: u64,
    ) -> Handled {
        let path = self.resolve(id, directory, path)?;
        match system_files::place(&path) {
            Place::Missing => return Err(Errno::ENOENT.into()),
            Place::Leak => {
                self.leaks.insert(path.to_string_lossy().into_owned());
            }
            _ => {}
        }
        let target = std::fs::read_link(self.link_on_host(id, &path))?;
        let bytes = target.as_os_str().as_bytes();
        let bytes = &bytes[..bytes.len().min(size as usize)];
        self.store(id, to, bytes)?;
        returns(bytes.len() as u64)
    }
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lose_their_dots() {
        assert_eq!(plain(Path::new("/a/./b/../c")), Path::new("/a/c"));
        assert_eq!(plain(Path::new("/../x")), Path::new("/x"));
    }
}
