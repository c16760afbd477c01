//! Where deleted files stay until their deletion is durable: a directory beside the node's own, on the
//! same file system, that holds a hard link to each.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// One hard link in the graveyard; while it exists the file system cannot reuse the inode.
#[derive(Debug)]
pub(super) struct Grave {
    pub(super) path: PathBuf,
    /// The virtual inode number of what lies here.
    pub(super) number: u64,
}

/// The graveyard of one node; removed with it.
#[derive(Debug)]
pub(super) struct Graveyard {
    dir: PathBuf,
    next: u64,
    links: BTreeMap<u64, u64>,
}

impl Graveyard {
    /// An empty graveyard beside `root`; one left by an earlier life of the node is cleared.
    pub(super) fn beside(root: &Path) -> io::Result<Self> {
        let mut name = root.as_os_str().to_os_string();
        name.push(".graveyard");
        let dir = PathBuf::from(name);
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir(&dir)?,
        }
        Ok(Self { dir, next: 0, links: BTreeMap::new() })
    }

    /// Links what is at `path`, not following a symbolic link.
    pub(super) fn inter(&mut self, path: &Path, number: u64) -> io::Result<Grave> {
        let grave = self.dig(number);
        fs::hard_link(path, &grave.path)?;
        *self.links.entry(number).or_default() += 1;
        Ok(grave)
    }

    /// Links a file that has no name (`O_TMPFILE`) and is open as `file`.
    pub(super) fn inter_open(&mut self, file: &File, number: u64) -> io::Result<Grave> {
        let grave = self.dig(number);
        let open = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let cwd = nix::fcntl::AT_FDCWD;
        let follow = nix::fcntl::AtFlags::AT_SYMLINK_FOLLOW;
        nix::unistd::linkat(cwd, &open, cwd, &grave.path, follow)?;
        *self.links.entry(number).or_default() += 1;
        Ok(grave)
    }

    /// Removes a link; true when the inode has no name left anywhere.
    pub(super) fn release(&mut self, grave: &Grave) -> io::Result<bool> {
        let last = fs::symlink_metadata(&grave.path)?.nlink() == 1;
        fs::remove_file(&grave.path)?;
        if let Some(links) = self.links.get_mut(&grave.number) {
            *links -= 1;
            if *links == 0 {
                self.links.remove(&grave.number);
            }
        }
        Ok(last)
    }

    /// How many of the links that `stat` reports for this inode are graves.
    pub(super) fn links(&self, number: u64) -> u64 {
        self.links.get(&number).copied().unwrap_or(0)
    }

    /// The directory the graves lie in.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    fn dig(&mut self, number: u64) -> Grave {
        self.next += 1;
        Grave { path: self.dir.join(self.next.to_string()), number }
    }
}

impl Drop for Graveyard {
    fn drop(&mut self) {
        // Nobody is left to tell: a directory that stays is cleared by the next node of that name.
        let _ = fs::remove_dir_all(&self.dir);
    }
}
