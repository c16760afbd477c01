//! Virtual identity of files: small inode numbers in order of first sight, and times of change on the
//! virtual clock, so that the host's numbers and dates never reach a guest.

use crate::time::Instant;
use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// A real inode: device and number as `stat` reports them on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InodeKey {
    /// `st_dev`.
    pub dev: u64,
    /// `st_ino`.
    pub ino: u64,
}

impl InodeKey {
    /// The inode that `metadata` describes.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Self {
        Self { dev: metadata.dev(), ino: metadata.ino() }
    }
}

/// The virtual inode table of one node.
///
/// A real number may be reused by the file system once its last name and descriptor are gone. The table
/// therefore never guesses when an entry dies: a fresh creation calls [`Inodes::renew`], which replaces
/// whatever was known of that number, and until then a deleted but open file keeps its identity.
#[derive(Debug, Default)]
pub struct Inodes {
    entries: BTreeMap<InodeKey, Entry>,
    last: u64,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    mtime: Option<Instant>,
}

impl Inodes {
    /// The virtual number of `key`, from 1 up, given out at first sight.
    pub fn number(&mut self, key: InodeKey) -> u64 {
        self.entry(key).number
    }

    /// The virtual number of `key` when it has been seen before.
    #[must_use]
    pub fn known(&self, key: InodeKey) -> Option<u64> {
        self.entries.get(&key).map(|entry| entry.number)
    }

    /// A new number for a file that was just created, whatever its real number meant earlier.
    pub fn renew(&mut self, key: InodeKey) -> u64 {
        self.entries.remove(&key);
        self.number(key)
    }

    /// The contents of `key` changed at `at`.
    pub fn touched(&mut self, key: InodeKey, at: Instant) {
        self.entry(key).mtime = Some(at);
    }

    /// When `key` last changed; `None` when it has not since the sandbox was switched on.
    #[must_use]
    pub fn mtime(&self, key: InodeKey) -> Option<Instant> {
        self.entries.get(&key).and_then(|entry| entry.mtime)
    }

    /// Drops what is known of `key`; only for an inode that no guest holds open.
    pub fn forget(&mut self, key: InodeKey) {
        self.entries.remove(&key);
    }

    /// Puts back the time of change that a power loss restored.
    pub(super) fn set_mtime(&mut self, key: InodeKey, mtime: Option<Instant>) {
        self.entry(key).mtime = mtime;
    }

    fn entry(&mut self, key: InodeKey) -> &mut Entry {
        let last = &mut self.last;
        self.entries.entry(key).or_insert_with(|| {
            *last += 1;
            Entry { number: *last, mtime: None }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn key(ino: u64) -> InodeKey {
        InodeKey { dev: 1, ino }
    }

    #[test]
    fn numbers_follow_first_sight_and_not_the_host() {
        let mut inodes = Inodes::default();
        let seen = [900, 7, 900, 8].map(|ino| inodes.number(key(ino)));
        assert_eq!(seen, [1, 2, 1, 3]);
    }

    #[test]
    fn a_reused_real_number_is_a_new_file() {
        let mut inodes = Inodes::default();
        inodes.number(key(5));
        inodes.touched(key(5), Instant(9));
        assert_eq!(inodes.renew(key(5)), 2);
        assert_eq!(inodes.mtime(key(5)), None);
        assert_eq!(inodes.known(key(6)), None);
    }
}
