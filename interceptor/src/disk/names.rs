//! The names of a node's files: one ordered list of changes, like the metadata journal of ext4 or xfs.

use super::Disk;
use super::data::PendingResize;
use super::error::{Naming, Result};
use super::graveyard::Grave;
use super::inodes::{InodeKey, Inodes};
use super::tree;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use std::fs::{self, File, Metadata, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A call that changes names, by real paths. Symbolic links in its last part are not followed; for
/// open(2), which follows them, there is [`Disk::before_open`].
#[derive(Clone, Copy, Debug)]
pub enum NameCall<'a> {
    /// A new entry that is not a directory: mknod, bind of a Unix socket, symlink.
    Create(&'a Path),
    /// mkdir(2).
    Mkdir(&'a Path),
    /// link(2): the new name.
    Link(&'a Path),
    /// unlink(2).
    Unlink(&'a Path),
    /// rmdir(2).
    Rmdir(&'a Path),
    /// rename(2), and renameat2(2) with or without `RENAME_NOREPLACE`.
    Rename {
        /// The old name.
        from: &'a Path,
        /// The new name; what it names now is replaced.
        to: &'a Path,
    },
    /// renameat2(2) with `RENAME_EXCHANGE`. `RENAME_WHITEOUT` is to be refused with EINVAL.
    Exchange(&'a Path, &'a Path),
}

/// A change of names that is about to run; hand it back to [`Disk::after_name`], failed or not.
#[derive(Debug)]
#[must_use]
pub struct PendingName {
    change: Option<Change>,
    /// Virtual numbers of the directories it touches.
    touches: Vec<u64>,
    /// It makes a new inode at this path.
    fresh: Option<PathBuf>,
    /// Space it gives back.
    freed: u64,
}

/// An open(2) that is about to run; hand it back to [`Disk::after_open`], failed or not.
#[derive(Debug)]
#[must_use]
pub struct PendingOpen {
    created: Option<PendingName>,
    truncated: Option<PendingResize>,
}

/// What was done, with all that undoing it takes.
#[derive(Debug)]
pub(super) enum Change {
    /// An entry that is not a directory is there.
    Added(PathBuf),
    Mkdir(PathBuf),
    Unlink(PathBuf, Grave),
    Rmdir(PathBuf, Permissions),
    Rename {
        from: PathBuf,
        to: PathBuf,
        replaced: Option<Replaced>,
    },
    Exchange(PathBuf, PathBuf),
}

/// What a rename removed.
#[derive(Debug)]
pub(super) enum Replaced {
    File(Grave),
    /// It was empty, or the call would have failed.
    Dir(Permissions),
}

/// A change of names in the node's order of events.
#[derive(Debug)]
pub(super) struct NameEntry {
    pub(super) seq: u64,
    touches: Vec<u64>,
    pub(super) change: Change,
}

impl Change {
    /// Takes it back on the real directory; everything after it has been taken back. A directory comes back
    /// as a new inode, whose real number may have meant something else meanwhile.
    pub(super) fn undo(&self, inodes: &mut Inodes) -> Result<()> {
        match self {
            Self::Added(path) => fs::remove_file(path).naming("undo the creation of", path),
            Self::Mkdir(path) => fs::remove_dir(path).naming("undo the creation of", path),
            Self::Unlink(path, grave) => fs::hard_link(&grave.path, path).naming("bring back", path),
            Self::Rmdir(path, mode) => make_dir(path, mode, inodes),
            Self::Rename { from, to, replaced } => {
                fs::rename(to, from).naming("undo the renaming to", to)?;
                match replaced {
                    None => Ok(()),
                    Some(Replaced::File(grave)) => fs::hard_link(&grave.path, to).naming("bring back", to),
                    Some(Replaced::Dir(mode)) => make_dir(to, mode, inodes),
                }
            }
            Self::Exchange(a, b) => {
                let swap = RenameFlags::RENAME_EXCHANGE;
                renameat2(AT_FDCWD, a, AT_FDCWD, b, swap).map_err(Into::into).naming("exchange back", a)
            }
        }
    }

    fn grave(&self) -> Option<&Grave> {
        match self {
            Self::Unlink(_, grave) | Self::Rename { replaced: Some(Replaced::File(grave)), .. } => {
                Some(grave)
            }
            _ => None,
        }
    }
}

impl Disk {
    /// Before a call that changes names. Files that may lose a name are linked into the graveyard. What lies
    /// outside the root is none of this disk's: a rename or link across is to be refused with EXDEV.
    ///
    /// # Errors
    /// The link cannot be made, for one because the path is not on the file system of the root.
    pub fn before_name(&mut self, call: NameCall<'_>) -> Result<PendingName> {
        let (one, other) = match call {
            NameCall::Create(path)
            | NameCall::Mkdir(path)
            | NameCall::Link(path)
            | NameCall::Unlink(path)
            | NameCall::Rmdir(path) => (path, None),
            NameCall::Rename { from, to } => (from, Some(to)),
            NameCall::Exchange(a, b) => (a, Some(b)),
        };
        let nothing = PendingName { change: None, touches: Vec::new(), fresh: None, freed: 0 };
        let Some(path) = tree::entry(one) else { return Ok(nothing) };
        let second = match other.map(tree::entry) {
            Some(None) => return Ok(nothing),
            Some(Some(path)) => path,
            None => path.clone(),
        };
        if !path.starts_with(&self.root) || !second.starts_with(&self.root) {
            return Ok(nothing);
        }
        let mut pending = PendingName {
            touches: vec![self.number_of_dir(&path)?, self.number_of_dir(&second)?],
            ..nothing
        };
        let there = fs::symlink_metadata(&path).ok();
        pending.change = match (call, there) {
            (NameCall::Create(_), None) => {
                pending.fresh = Some(path.clone());
                Some(Change::Added(path))
            }
            (NameCall::Mkdir(_), None) => {
                pending.fresh = Some(path.clone());
                Some(Change::Mkdir(path))
            }
            (NameCall::Link(_), None) => Some(Change::Added(path)),
            (NameCall::Unlink(_), Some(metadata)) if !metadata.is_dir() => {
                pending.freed = self.freed(&metadata);
                let grave = self.inter(&path, &metadata)?;
                Some(Change::Unlink(path, grave))
            }
            (NameCall::Rmdir(_), Some(metadata)) if metadata.is_dir() => {
                Some(Change::Rmdir(path, metadata.permissions()))
            }
            (NameCall::Rename { .. }, Some(metadata)) => {
                self.before_rename(path, second, &metadata, &mut pending)?
            }
            (NameCall::Exchange(..), Some(_)) => Some(Change::Exchange(path, second)),
            _ => None,
        };
        Ok(pending)
    }

    /// After the call, which has done what it said if `succeeded`.
    ///
    /// # Errors
    /// A new entry cannot be found, or a grave cannot be removed.
    pub fn after_name(&mut self, pending: PendingName, succeeded: bool) -> Result<()> {
        let Some(change) = pending.change else { return Ok(()) };
        if !succeeded {
            return self.bury(&change);
        }
        if let Some(path) = &pending.fresh {
            let key = InodeKey::of(&fs::symlink_metadata(path).naming("stat", path)?);
            if let Some(dead) = self.inodes.known(key) {
                self.discard(dead);
            }
            self.inodes.renew(key);
        } else if let Change::Added(path) = &change {
            let key = InodeKey::of(&fs::symlink_metadata(path).naming("stat", path)?);
            let number = self.inodes.number(key);
            if let Some(grave) = self.unnamed.remove(&number) {
                self.graveyard.release(&grave).naming("remove the grave", &grave.path)?;
            }
        }
        self.spend(pending.freed, 0);
        let seq = self.next_seq();
        self.names.push(NameEntry { seq, touches: pending.touches, change });
        if self.names.len() > self.names_max {
            self.settle_names(self.names_max / 2)?;
        }
        Ok(())
    }

    /// Before open(2) of a file for writing: says whether `O_CREAT` would make a new one, and saves what
    /// `O_TRUNC` would cut off.
    ///
    /// # Errors
    /// As [`Disk::before_name`] and [`Disk::before_truncate`].
    pub fn before_open(&mut self, path: &Path, create: bool, truncate: bool) -> Result<PendingOpen> {
        let mut pending = PendingOpen { created: None, truncated: None };
        let Some(path) = tree::opened(path).filter(|path| path.starts_with(&self.root)) else {
            return Ok(pending);
        };
        match fs::symlink_metadata(&path) {
            Err(_) if create => pending.created = Some(self.before_name(NameCall::Create(&path))?),
            Ok(metadata) if truncate && metadata.is_file() => {
                pending.truncated = Some(self.before_truncate(&tree::open_to_read(&path)?, 0)?);
            }
            _ => {}
        }
        Ok(pending)
    }

    /// After the open(2). Call [`Disk::unnamed`] instead of this pair for `O_TMPFILE`.
    ///
    /// # Errors
    /// As [`Disk::after_name`].
    pub fn after_open(&mut self, pending: PendingOpen, succeeded: bool) -> Result<()> {
        if let Some(truncated) = pending.truncated {
            self.after_resize(truncated, succeeded);
        }
        match pending.created {
            Some(created) => self.after_name(created, succeeded),
            None => Ok(()),
        }
    }

    /// `file` was opened with `O_TMPFILE`: it has no name, and may get one by linkat(2).
    ///
    /// # Errors
    /// It cannot be linked into the graveyard, for one because it was opened with `O_EXCL`.
    pub fn unnamed(&mut self, file: &File) -> Result<()> {
        let metadata = file.metadata().naming_file("stat", file)?;
        let number = self.inodes.renew(InodeKey::of(&metadata));
        let grave = self.graveyard.inter_open(file, number).naming_file("link to the graveyard", file)?;
        self.unnamed.insert(number, grave);
        Ok(())
    }

    /// fsync of the directory `dir` has succeeded: every change up to the last one that touches it is
    /// durable, as in a journal that is written in order. That a directory is synced says nothing of its own
    /// name, nor of the data of its files.
    ///
    /// # Errors
    /// The directory cannot be read, or a grave cannot be removed.
    pub fn sync_dir(&mut self, dir: &Path) -> Result<()> {
        let key = InodeKey::of(&fs::metadata(dir).naming("stat", dir)?);
        self.sync_dir_key(key)
    }

    /// The links that `stat` reports for an inode beyond those a guest may know of; subtract them from
    /// `st_nlink`.
    #[must_use]
    pub fn excess_links(&self, key: InodeKey) -> u64 {
        self.inodes.known(key).map_or(0, |number| self.graveyard.links(number))
    }

    /// As [`Disk::sync_dir`] for an open directory.
    pub(super) fn sync_open_dir(&mut self, dir: &File) -> Result<()> {
        let key = InodeKey::of(&dir.metadata().naming_file("stat", dir)?);
        self.sync_dir_key(key)
    }

    /// The first `count` changes of names are durable.
    pub(super) fn settle_names(&mut self, count: usize) -> Result<()> {
        let durable: Vec<NameEntry> = self.names.drain(..count).collect();
        durable.iter().try_for_each(|entry| self.bury(&entry.change))
    }

    /// A change will not be undone any more: what it removed can go.
    pub(super) fn bury(&mut self, change: &Change) -> Result<()> {
        let Some(grave) = change.grave() else { return Ok(()) };
        if self.graveyard.release(grave).naming("remove the grave", &grave.path)? {
            self.discard(grave.number);
        }
        Ok(())
    }

    fn before_rename(
        &mut self,
        from: PathBuf,
        to: PathBuf,
        source: &Metadata,
        pending: &mut PendingName,
    ) -> Result<Option<Change>> {
        let replaced = match fs::symlink_metadata(&to) {
            Err(_) => None,
            // Two names of one file: rename(2) does nothing and succeeds.
            Ok(target) if InodeKey::of(&target) == InodeKey::of(source) => return Ok(None),
            Ok(target) if target.is_dir() => Some(Replaced::Dir(target.permissions())),
            Ok(target) => {
                pending.freed = self.freed(&target);
                Some(Replaced::File(self.inter(&to, &target)?))
            }
        };
        Ok(Some(Change::Rename { from, to, replaced }))
    }

    fn sync_dir_key(&mut self, key: InodeKey) -> Result<()> {
        if self.lie() {
            return Ok(());
        }
        let Some(number) = self.inodes.known(key) else { return Ok(()) };
        match self.names.iter().rposition(|entry| entry.touches.contains(&number)) {
            Some(last) => self.settle_names(last + 1),
            None => Ok(()),
        }
    }

    fn inter(&mut self, path: &Path, metadata: &Metadata) -> Result<Grave> {
        let number = self.inodes.number(InodeKey::of(metadata));
        self.graveyard.inter(path, number).naming("link to the graveyard", path)
    }

    /// The space that the loss of one name gives back.
    fn freed(&self, metadata: &Metadata) -> u64 {
        let graves = self.excess_links(InodeKey::of(metadata));
        let last = metadata.nlink().saturating_sub(graves) <= 1;
        if last && metadata.is_file() { metadata.len() } else { 0 }
    }

    /// The virtual number of the directory that holds `path`.
    fn number_of_dir(&mut self, path: &Path) -> Result<u64> {
        let dir = path.parent().unwrap_or(path);
        let metadata = fs::metadata(dir).naming("stat", dir)?;
        Ok(self.inodes.number(InodeKey::of(&metadata)))
    }
}

fn make_dir(path: &Path, mode: &Permissions, inodes: &mut Inodes) -> Result<()> {
    fs::create_dir(path).naming("bring back", path)?;
    fs::set_permissions(path, Permissions::from_mode(mode.mode())).naming("restore the mode of", path)?;
    inodes.renew(InodeKey::of(&fs::symlink_metadata(path).naming("stat", path)?));
    Ok(())
}
