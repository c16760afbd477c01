//! The node's real directory: where a path leads, which files there are, and how they are opened.

use super::error::{Naming, Result};
use super::image::filled;
use super::inodes::InodeKey;
use super::lost::{Entry, Names};
use super::space::{blocks, is_dense};
use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// How many symbolic links are followed at the end of a path, as in path_resolution(7).
const LINKS_MAX: usize = 40;

/// The unit in which files hold space.
pub(super) const BLOCK: u64 = 4096;

/// The path of the directory entry that `path` names: its directory resolved, its last part as it is.
/// `None` when the directory does not exist, so that any call on it fails.
pub(super) fn entry(path: &Path) -> Option<PathBuf> {
    match (path.parent(), path.file_name()) {
        (Some(dir), Some(name)) => fs::canonicalize(dir).ok().map(|dir| dir.join(name)),
        _ => fs::canonicalize(path).ok(),
    }
}

/// The entry that opening `path` would open or create: symbolic links at its end followed.
pub(super) fn opened(path: &Path) -> Option<PathBuf> {
    let mut at = entry(path)?;
    for _ in 0..LINKS_MAX {
        match fs::read_link(&at) {
            Ok(target) => at = entry(&at.parent()?.join(target))?,
            Err(_) => return Some(at),
        }
    }
    None
}

/// All regular files under `dir`, sorted by path, links not followed.
pub(super) fn files(dir: &Path) -> Result<Vec<(PathBuf, Metadata)>> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for child in fs::read_dir(&dir).naming("list", &dir)? {
            let path = child.naming("list", &dir)?.path();
            let metadata = fs::symlink_metadata(&path).naming("stat", &path)?;
            if metadata.is_dir() {
                dirs.push(path);
            } else if metadata.is_file() {
                found.push((path, metadata));
            }
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

/// All names under `root`, relative to it, links not followed.
pub(super) fn names(root: &Path) -> Result<Names> {
    let mut names = Names::new();
    let mut dirs = vec![root.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for child in fs::read_dir(&dir).naming("list", &dir)? {
            let path = child.naming("list", &dir)?.path();
            let metadata = fs::symlink_metadata(&path).naming("stat", &path)?;
            let name = path.strip_prefix(root).unwrap_or(&path).to_path_buf();
            names.insert(name, Entry { key: InodeKey::of(&metadata), is_dir: metadata.is_dir() });
            if metadata.is_dir() {
                dirs.push(path);
            }
        }
    }
    Ok(names)
}

/// What a regular file holds in bytes, in whole blocks of 4 KiB: its length without its holes.
pub(super) fn held(path: &Path, metadata: &Metadata) -> Result<u64> {
    let full = metadata.len().next_multiple_of(BLOCK);
    if is_dense(metadata) {
        return Ok(full);
    }
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(full),
        other => held_open(&other.naming("open", path)?).naming("find the holes of", path),
    }
}

/// As [`held`] for an open file, whose position it moves.
pub(super) fn held_open(file: &File) -> io::Result<u64> {
    let parts = filled(file, 0, u64::MAX)?;
    Ok(parts.iter().map(blocks).map(|part| part.end - part.start).sum())
}

/// Opens a regular file for reading, even one whose mode forbids its owner to; a program that runs may not be written.
pub(super) fn open_to_read(path: &Path) -> Result<File> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => open(path),
        other => other.naming("open", path),
    }
}

/// Opens a regular file for reading and writing, even one whose mode forbids its owner to.
pub(super) fn open(path: &Path) -> Result<File> {
    let both = || File::options().read(true).write(true).open(path);
    match both() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let mode = fs::metadata(path).naming("stat", path)?.permissions();
            fs::set_permissions(path, Permissions::from_mode(mode.mode() | 0o600)).naming("unlock", path)?;
            let file = both().naming("open", path)?;
            fs::set_permissions(path, mode).naming("lock", path)?;
            Ok(file)
        }
        other => other.naming("open", path),
    }
}
