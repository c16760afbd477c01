//! The undo journal of one file: its durable image and the changes since, in order.

use super::image::{Image, read_at, usize_of, zero};
use super::inodes::InodeKey;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// A page of a mapped file, and one of the two sizes in which pieces of writes survive.
pub(super) const PAGE: u64 = 4096;

/// One change of a file's contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DataOp {
    /// These bytes at this offset.
    Write { offset: u64, data: Vec<u8> },
    /// The file gets this length.
    SetLen(u64),
    /// These bytes become zeros as far as the file reaches.
    Zero { offset: u64, len: u64 },
}

impl DataOp {
    /// Memory it holds.
    pub(super) const fn bytes(&self) -> u64 {
        match self {
            Self::Write { data, .. } => data.len() as u64,
            Self::SetLen(_) | Self::Zero { .. } => 0,
        }
    }

    /// The file range it fills; empty for a change of length.
    pub(super) fn range(&self) -> Range<u64> {
        match self {
            Self::Write { offset, data } => *offset..offset + data.len() as u64,
            Self::Zero { offset, len } => *offset..offset.saturating_add(*len),
            Self::SetLen(_) => 0..0,
        }
    }

    /// The part of it that lies inside `range`, which must be inside [`Self::range`].
    pub(super) fn part(&self, range: &Range<u64>) -> Self {
        match self {
            Self::Write { offset, data } => Self::Write {
                offset: range.start,
                data: data[usize_of(range.start - offset)..usize_of(range.end - offset)].to_vec(),
            },
            Self::Zero { .. } => Self::Zero { offset: range.start, len: range.end - range.start },
            Self::SetLen(len) => Self::SetLen(*len),
        }
    }

    /// Does it to the real file.
    pub(super) fn apply(&self, file: &File) -> io::Result<()> {
        match self {
            Self::Write { offset, data } => file.write_all_at(data, *offset),
            Self::SetLen(len) => file.set_len(*len),
            Self::Zero { offset, len } => zero(file, *offset, *len),
        }
    }

    /// Does it to a copy in memory.
    fn apply_to(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write { offset, data } => {
                let start = usize_of(*offset);
                if bytes.len() < start + data.len() {
                    bytes.resize(start + data.len(), 0);
                }
                bytes[start..start + data.len()].copy_from_slice(data);
            }
            Self::SetLen(len) => bytes.resize(usize_of(*len), 0),
            Self::Zero { offset, len } => {
                let end = offset.saturating_add(*len).min(bytes.len() as u64);
                if *offset < end {
                    bytes[usize_of(*offset)..usize_of(end)].fill(0);
                }
            }
        }
    }
}

/// What a power loss may do with a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Not synced: may be lost, and the next sync saves it.
    Volatile,
    /// Synced, but kept because an earlier change is not.
    Durable,
    /// Its sync failed: may be lost, and no later sync saves it.
    Never,
}

/// A change with its place in the node's order of events.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) seq: u64,
    pub(super) fate: Fate,
    pub(super) op: DataOp,
}

/// All that is not durable, or may not be, of one inode.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) key: InodeKey,
    pub(super) base: Image,
    pub(super) entries: Vec<Entry>,
    /// Some guest may change it through memory; then the whole of it is saved in `base`.
    pub(super) mapped: bool,
    /// Memory held by `base` and `entries`.
    pub(super) bytes: u64,
}

impl Ledger {
    /// A journal that starts from the file as it is.
    pub(super) const fn new(key: InodeKey, base: Image) -> Self {
        Self { key, base, entries: Vec::new(), mapped: false, bytes: 0 }
    }

    /// Appends a change that has just been made.
    pub(super) fn push(&mut self, seq: u64, op: DataOp) {
        self.bytes += op.bytes();
        self.entries.push(Entry { seq, fate: Fate::Volatile, op });
    }

    /// A successful sync: nothing is volatile any more. True when all is durable and the journal can go.
    pub(super) fn settle(&mut self) -> bool {
        self.turn(Fate::Durable)
    }

    /// A failed sync: what was volatile can never be made durable.
    pub(super) fn poison(&mut self) {
        self.turn(Fate::Never);
    }

    /// A successful sync of part of the file; changes of length are part of every range. True as in
    /// [`Self::settle`].
    pub(super) fn settle_range(&mut self, range: &Range<u64>) -> bool {
        let mut split = Vec::with_capacity(self.entries.len());
        for entry in self.entries.drain(..) {
            let whole = entry.op.range();
            let inside = whole.start.max(range.start)..whole.end.min(range.end);
            if entry.fate != Fate::Volatile || inside == whole || matches!(entry.op, DataOp::SetLen(_)) {
                let fate = if entry.fate == Fate::Volatile { Fate::Durable } else { entry.fate };
                split.push(Entry { fate, ..entry });
            } else if inside.is_empty() {
                split.push(entry);
            } else {
                for (part, fate) in [
                    (whole.start..inside.start, Fate::Volatile),
                    (inside.clone(), Fate::Durable),
                    (inside.end..whole.end, Fate::Volatile),
                ] {
                    if !part.is_empty() {
                        split.push(Entry { seq: entry.seq, fate, op: entry.op.part(&part) });
                    }
                }
            }
        }
        self.entries = split;
        self.entries.iter().all(|entry| entry.fate == Fate::Durable)
    }

    /// For a mapped file: every page that differs from what the journal expects was stored to through
    /// memory, and is what this returns.
    pub(super) fn stored(&self, file: &File) -> io::Result<Vec<DataOp>> {
        let mut expected = self.base.to_vec();
        for entry in &self.entries {
            entry.op.apply_to(&mut expected);
        }
        let mut pages = Vec::new();
        let len = file.metadata()?.len();
        let mut offset = 0;
        while offset < len {
            let data = read_at(file, offset, PAGE.min(len - offset))?;
            let at = usize_of(offset);
            if expected.get(at..at + data.len()) != Some(&data[..]) {
                pages.push(DataOp::Write { offset, data });
            }
            offset += PAGE;
        }
        Ok(pages)
    }

    fn turn(&mut self, fate: Fate) -> bool {
        for entry in self.entries.iter_mut().filter(|entry| entry.fate == Fate::Volatile) {
            entry.fate = fate;
        }
        self.entries.iter().all(|entry| entry.fate == Fate::Durable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_sync_splits_a_write() {
        let mut ledger = Ledger::new(InodeKey { dev: 0, ino: 0 }, Image::new(0, None));
        ledger.push(1, DataOp::Write { offset: 10, data: b"abcdef".to_vec() });
        assert!(!ledger.settle_range(&(12..14)));
        let parts: Vec<_> = ledger.entries.iter().map(|e| (e.op.range(), e.fate)).collect();
        assert_eq!(parts, [(10..12, Fate::Volatile), (12..14, Fate::Durable), (14..16, Fate::Volatile)]);
        assert!(ledger.settle_range(&(0..100)));
    }

    #[test]
    fn a_poisoned_change_outlives_later_syncs() {
        let mut ledger = Ledger::new(InodeKey { dev: 0, ino: 0 }, Image::new(0, None));
        ledger.push(1, DataOp::SetLen(3));
        ledger.poison();
        assert!(!ledger.settle());
        assert_eq!(ledger.entries[0].fate, Fate::Never);
    }
}
