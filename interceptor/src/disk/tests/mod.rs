//! Tests on real directories: calls run natively between the two halves, as they do under the sandbox.

mod faults;
mod model;
mod random;
mod scripted;

use super::{Disk, InodeKey, NameCall};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A disk in a temporary directory, and the calls of an imagined guest.
pub(super) struct Node {
    pub(super) disk: Disk,
    dir: tempfile::TempDir,
}

impl Node {
    pub(super) fn new(seed: u64) -> Self {
        Self::within(&std::env::temp_dir(), seed)
    }

    pub(super) fn within(parent: &Path, seed: u64) -> Self {
        let dir = tempfile::tempdir_in(parent).expect("a temporary directory");
        let disk = Disk::new(dir.path().join("n1"), seed, "n1").expect("an empty directory");
        Self { disk, dir }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("n1").join(name)
    }

    pub(super) fn open(&self, name: &str) -> File {
        File::options().read(true).write(true).open(self.path(name)).expect(name)
    }

    /// open(2) with `O_CREAT`, and `O_TRUNC` if so asked.
    pub(super) fn create(&mut self, name: &str, truncate: bool) -> io::Result<()> {
        let path = self.path(name);
        let pending = self.disk.before_open(&path, true, truncate).expect(name);
        let result = File::options().read(true).write(true).create(true).truncate(truncate).open(&path);
        self.disk.after_open(pending, result.is_ok()).expect(name);
        result.map(drop)
    }

    pub(super) fn write(&mut self, name: &str, offset: u64, data: &[u8]) {
        let file = self.open(name);
        let pending = self.disk.before_write(&file, offset, data.len() as u64).expect(name);
        file.write_all_at(data, offset).expect(name);
        self.disk.after_write(pending, &file, data.len() as u64).expect(name);
    }

    pub(super) fn append(&mut self, name: &str, data: &[u8]) {
        let file = self.open(name);
        let pending = self.disk.before_append(&file, data.len() as u64).expect(name);
        file.write_all_at(data, file.metadata().expect(name).len()).expect(name);
        self.disk.after_write(pending, &file, data.len() as u64).expect(name);
    }

    pub(super) fn truncate(&mut self, name: &str, len: u64) {
        let file = self.open(name);
        let pending = self.disk.before_truncate(&file, len).expect(name);
        file.set_len(len).expect(name);
        self.disk.after_resize(pending, true);
    }

    /// fsync as the sandbox does it: asks first.
    pub(super) fn sync(&mut self, name: &str) -> Result<(), nix::errno::Errno> {
        let file = File::open(self.path(name)).expect(name);
        self.disk.admit_sync(&file)?;
        self.disk.sync(&file).expect(name);
        Ok(())
    }

    pub(super) fn name(&mut self, call: NameCall<'_>) -> io::Result<()> {
        let pending = self.disk.before_name(call).expect("the graveyard is on the same file system");
        let result = match call {
            NameCall::Create(path) => File::create_new(path).map(drop),
            NameCall::Mkdir(path) => fs::create_dir(path),
            NameCall::Unlink(path) => fs::remove_file(path),
            NameCall::Rmdir(path) => fs::remove_dir(path),
            NameCall::Rename { from, to } => fs::rename(from, to),
            NameCall::Link(_) | NameCall::Exchange(..) => unreachable!("made by the tests themselves"),
        };
        self.disk.after_name(pending, result.is_ok()).expect("the disk follows");
        result
    }

    pub(super) fn mkdir(&mut self, name: &str) -> io::Result<()> {
        let path = self.path(name);
        self.name(NameCall::Mkdir(&path))
    }

    pub(super) fn rmdir(&mut self, name: &str) -> io::Result<()> {
        let path = self.path(name);
        self.name(NameCall::Rmdir(&path))
    }

    pub(super) fn unlink(&mut self, name: &str) -> io::Result<()> {
        let path = self.path(name);
        self.name(NameCall::Unlink(&path))
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.path(from), self.path(to));
        self.name(NameCall::Rename { from: &from, to: &to })
    }

    pub(super) fn link(&mut self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.path(from), self.path(to));
        let pending = self.disk.before_name(NameCall::Link(&to)).expect("a lookup");
        let result = fs::hard_link(from, to);
        self.disk.after_name(pending, result.is_ok()).expect("the disk follows");
        result
    }

    /// A file of `data`, with its name, both durable.
    pub(super) fn durable(&mut self, name: &str, data: &[u8]) {
        self.create(name, false).expect(name);
        self.write(name, 0, data);
        self.disk.sync_all().expect("a sync");
    }

    /// Everything under the root: files with their bytes, directories without.
    pub(super) fn tree(&self) -> BTreeMap<String, Option<Vec<u8>>> {
        read_tree(&self.path("")).expect("a readable tree")
    }

    /// The tree in one line: `a=xyz d/`.
    pub(super) fn shown(&self) -> String {
        let entries = self.tree().into_iter().map(|(name, bytes)| match bytes {
            Some(bytes) => format!("{name}={}", String::from_utf8_lossy(&bytes).replace('\0', "_")),
            None => format!("{name}/"),
        });
        entries.collect::<Vec<_>>().join(" ")
    }

    /// The names left in the graveyard.
    pub(super) fn graves(&self) -> usize {
        fs::read_dir(self.dir.path().join("n1.graveyard")).expect("the graveyard").count()
    }
}

/// The real inode behind a name.
fn key(node: &Node, name: &str) -> InodeKey {
    InodeKey::of(&fs::symlink_metadata(node.path(name)).expect(name))
}

fn read_tree(root: &Path) -> io::Result<BTreeMap<String, Option<Vec<u8>>>> {
    let mut tree = BTreeMap::new();
    let mut dirs = vec![root.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for child in fs::read_dir(dir)? {
            let path = child?.path();
            let name = path.strip_prefix(root).expect("a child").to_string_lossy().into_owned();
            let metadata = fs::symlink_metadata(&path)?;
            if metadata.is_dir() {
                tree.insert(name, None);
                dirs.push(path);
            } else if metadata.is_symlink() {
                let target = fs::read_link(&path)?.to_string_lossy().into_owned();
                tree.insert(name, Some(format!("->{target}").into_bytes()));
            } else {
                tree.insert(name, Some(fs::read(&path)?));
            }
        }
    }
    Ok(tree)
}
