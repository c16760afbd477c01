//! Listing directories.

use crate::sandbox::Sandbox;
use crate::sandbox::files::Kind;
use crate::sandbox::guest::{Handled, Trouble, returns};
use crate::sandbox::task::{Call, ThreadId};
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

impl Sandbox {
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
