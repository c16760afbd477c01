//! The space that files take: whole blocks of what they hold, not their length.

use super::error::{Naming, Result};
use super::image::filled;
use super::inodes::InodeKey;
use super::tree::{self, BLOCK};
use super::{Disk, image};
use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

impl Disk {
    /// What all files hold in bytes, in whole blocks, each inode counted once, holes not counted; with deleted files whose
    /// deletion is not durable.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn usage(&self) -> Result<u64> {
        let mut files = tree::files(&self.root)?;
        files.extend(tree::files(self.graveyard.dir())?);
        let files: BTreeMap<InodeKey, (PathBuf, Metadata)> =
            files.into_iter().map(|(path, metadata)| (InodeKey::of(&metadata), (path, metadata))).collect();
        files.values().map(|(path, metadata)| tree::held(path, metadata)).sum()
    }

    /// Gives back the space of deleted files, as a file system that is full does: it commits its journal of names.
    ///
    /// # Errors
    /// A grave cannot be removed.
    pub fn reclaim(&mut self) -> Result<()> {
        self.settle_names(self.names.len())
    }

    /// Bytes that a write of `len` bytes at `offset` takes of the drive.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn needed(&self, file: &File, offset: u64, len: u64) -> Result<u64> {
        let metadata = file.metadata().naming_file("stat", file)?;
        let blocks = blocks(&(offset..offset.saturating_add(len)));
        if is_dense(&metadata) {
            let first = blocks.start.max(metadata.len().next_multiple_of(BLOCK));
            return Ok(blocks.end.saturating_sub(first));
        }
        let there = filled(file, blocks.start, blocks.end).naming_file("find the holes of", file)?;
        let there: u64 = there.iter().map(self::blocks).map(|part| part.end - part.start).sum();
        Ok(blocks.end.saturating_sub(blocks.start).saturating_sub(there))
    }

    /// How many of `len` bytes at `offset` fit when `left` bytes of the drive are free.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn fitting(&self, file: &File, offset: u64, len: u64, mut left: u64) -> Result<u64> {
        let end = offset.saturating_add(len);
        let there = filled(file, offset / BLOCK * BLOCK, end).naming_file("find the holes of", file)?;
        let mut parts = there.iter().map(blocks).peekable();
        let mut at = offset;
        while at < end {
            while parts.next_if(|part| part.end <= at).is_some() {}
            if parts.peek().is_none_or(|part| at < part.start) {
                if left < BLOCK {
                    break;
                }
                left -= BLOCK;
            }
            at = (at / BLOCK * BLOCK + BLOCK).min(end);
        }
        Ok(at - offset)
    }

    /// Blocks of 512 bytes that a file holds, as stat(2) tells them. Moves the position of the description.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn blocks(file: &File, metadata: &Metadata) -> std::io::Result<u64> {
        let held =
            if is_dense(metadata) { metadata.len().next_multiple_of(BLOCK) } else { tree::held_open(file)? };
        Ok(held / 512)
    }

    /// The length of all files, as [`super::DiskFaults::space`] counts it, if that is limited.
    pub(super) fn length_if_limited(&self) -> Result<u64> {
        if self.faults.space.is_none() {
            return Ok(0);
        }
        let files: BTreeMap<InodeKey, u64> =
            tree::files(&self.root)?.into_iter().map(|(_, m)| (InodeKey::of(&m), m.len())).collect();
        Ok(files.values().sum())
    }
}

/// The count of blocks depends on how a file system keeps them; that there are fewer than the length takes does not.
pub(super) fn is_dense(metadata: &Metadata) -> bool {
    metadata.blocks().saturating_mul(512) >= metadata.len()
}

/// The whole blocks of a range.
pub(super) fn blocks(part: &Range<u64>) -> Range<u64> {
    part.start / BLOCK * BLOCK..part.end.checked_next_multiple_of(BLOCK).unwrap_or(image::LENGTH_MAX)
}

#[cfg(test)]
mod tests {
    use super::super::tests::Node;
    use std::fs::File;

    const K: u64 = 1024;

    fn sparse(node: &Node) -> File {
        let file = node.open("a");
        file.set_len(1 << 30).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &[7; 100], 64 * K).unwrap();
        file
    }

    #[test]
    fn a_sparse_file_takes_what_it_holds() {
        let mut node = Node::new(1);
        node.durable("a", b"");
        let file = sparse(&node);
        assert_eq!(node.disk.usage().unwrap(), 4 * K);
        assert_eq!(super::Disk::blocks(&file, &file.metadata().unwrap()).unwrap(), 8);
        assert_eq!(node.disk.needed(&file, 64 * K - 1, 2).unwrap(), 4 * K);
        assert_eq!(node.disk.needed(&file, 64 * K, 4 * K).unwrap(), 0);
        assert_eq!(node.disk.needed(&file, 0, 1 << 30).unwrap(), (1 << 30) - 4 * K);
    }

    #[test]
    fn what_fits_ends_at_a_block() {
        let mut node = Node::new(1);
        node.durable("a", b"");
        let file = sparse(&node);
        let fits = |offset, len, left| node.disk.fitting(&file, offset, len, left).unwrap();
        assert_eq!(fits(100, 50_000, 8 * K), 8 * K - 100);
        assert_eq!(fits(60 * K, 20 * K, 4 * K), 8 * K);
        assert_eq!(fits(64 * K, 4 * K, 0), 4 * K);
        assert_eq!(fits(1 << 30, 10, 4 * K), 10);
        assert_eq!(fits(1 << 30, 10, 4 * K - 1), 0);
    }

    #[test]
    fn deleted_files_take_space_until_they_are_reclaimed() {
        let mut node = Node::new(1);
        node.durable("a", &[7; 5000]);
        node.unlink("a").unwrap();
        assert_eq!(node.disk.usage().unwrap(), 8 * K);
        node.disk.reclaim().unwrap();
        assert_eq!((node.disk.usage().unwrap(), node.graves()), (0, 0));
    }
}
