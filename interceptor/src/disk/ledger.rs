//! The undo journal of one file: its durable image and the changes since, in order.

use super::image::{Image, usize_of, zero};
use super::inodes::InodeKey;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// A page of a file, and one of the two sizes in which pieces of writes survive.
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

    /// Memory it takes in the journal.
    pub(super) const fn held(&self) -> u64 {
        self.bytes() + OVERHEAD
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
}

/// What a power loss may do with a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Not synced: may be lost, and the next sync saves it.
    Volatile,
    /// Synced, but kept because an earlier change is not.
    Durable,
    /// Its sync failed: may be lost, and no later sync saves it, unless another change to the same page is synced with it.
    Never,
}

/// Memory that a change takes beside its payload.
pub(super) const OVERHEAD: u64 = 64;

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
    /// Memory held by `base`.
    pub(super) saved: u64,
}

impl Ledger {
    /// A journal that starts from the file as it is.
    pub(super) const fn new(key: InodeKey, base: Image) -> Self {
        Self { key, base, entries: Vec::new(), saved: 0 }
    }

    /// Memory held by `base` and `entries`.
    pub(super) fn held(&self) -> u64 {
        self.saved + self.entries.iter().map(|entry| entry.op.held()).sum::<u64>()
    }

    /// The place of the first change that the next sync saves.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.entries.iter().find(|entry| entry.fate == Fate::Volatile).map(|entry| entry.seq)
    }

    /// Appends a change that has just been made.
    pub(super) fn push(&mut self, seq: u64, op: DataOp) {
        self.entries.push(Entry { seq, fate: Fate::Volatile, op });
    }

    /// A successful sync: nothing is volatile any more. True when all is durable and the journal can go.
    pub(super) fn settle(&mut self) -> bool {
        if self.entries.iter().any(|entry| entry.fate == Fate::Never) {
            return self.settle_range(&(0..u64::MAX));
        }
        self.entries.iter_mut().for_each(|entry| entry.fate = Fate::Durable);
        true
    }

    /// A failed sync of part of the file: the pages that it could not write are taken for clean.
    pub(super) fn poison(&mut self, range: &Range<u64>) {
        self.mark(range, |fate| if fate == Fate::Volatile { Fate::Never } else { fate });
    }

    /// A successful sync of part of the file. Pages are written whole, with all that is in them, be it of a change whose own
    /// sync failed; changes of length are part of every range. True as in [`Self::settle`].
    pub(super) fn settle_range(&mut self, range: &Range<u64>) -> bool {
        self.mark(range, |_| Fate::Durable);
        self.entries.iter().all(|entry| entry.fate == Fate::Durable)
    }

    /// Changes the fate of what is in the dirty pages within reach of `range`, and of changes of length.
    fn mark(&mut self, range: &Range<u64>, to: impl Fn(Fate) -> Fate) {
        let written = self.dirty_pages(range);
        let mut split = Vec::with_capacity(self.entries.len());
        for entry in self.entries.drain(..) {
            if entry.fate == Fate::Durable || matches!(entry.op, DataOp::SetLen(_)) {
                split.push(Entry { fate: to(entry.fate), ..entry });
                continue;
            }
            let whole = entry.op.range();
            let mut at = whole.start;
            let mut piece = |part: Range<u64>, fate| {
                if part == whole {
                    split.push(Entry { seq: entry.seq, fate, op: entry.op.clone() });
                } else if !part.is_empty() {
                    split.push(Entry { seq: entry.seq, fate, op: entry.op.part(&part) });
                }
            };
            for pages in written.iter().filter(|pages| pages.start < whole.end && whole.start < pages.end) {
                piece(at..pages.start.max(at), entry.fate);
                piece(pages.start.max(at)..pages.end.min(whole.end), to(entry.fate));
                at = pages.end.min(whole.end);
            }
            piece(at..whole.end, entry.fate);
        }
        self.entries = split;
    }

    /// The pages within reach of `range` that hold a volatile change, as ranges of bytes in order, apart from each other.
    fn dirty_pages(&self, range: &Range<u64>) -> Vec<Range<u64>> {
        let whole_pages = |range: &Range<u64>| {
            range.start / PAGE * PAGE..range.end.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX)
        };
        let reach = whole_pages(range);
        let volatile = self.entries.iter().filter(|entry| entry.fate == Fate::Volatile);
        let mut dirty: Vec<Range<u64>> = volatile
            .map(|entry| entry.op.range())
            .filter(|bytes| !bytes.is_empty())
            .map(|bytes| whole_pages(&bytes))
            .map(|pages| pages.start.max(reach.start)..pages.end.min(reach.end))
            .filter(|pages| !pages.is_empty())
            .collect();
        dirty.sort_by_key(|pages| pages.start);
        dirty.dedup_by(|next, last| {
            let touches = next.start <= last.end;
            if touches {
                last.end = last.end.max(next.end);
            }
            touches
        });
        dirty
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(writes: &[Range<u64>]) -> Ledger {
        let mut ledger = Ledger::new(InodeKey { dev: 0, ino: 0 }, Image::new(0, None));
        for (seq, write) in writes.iter().enumerate() {
            let data = vec![b'x'; usize_of(write.end - write.start)];
            ledger.push(seq as u64, DataOp::Write { offset: write.start, data });
        }
        ledger
    }

    fn fates(ledger: &Ledger) -> Vec<(Range<u64>, Fate)> {
        ledger.entries.iter().map(|entry| (entry.op.range(), entry.fate)).collect()
    }

    #[test]
    fn a_partial_sync_splits_a_write_between_pages() {
        let mut ledger = ledger(&[4000..9000, 10..20]);
        assert!(!ledger.settle_range(&(4100..4101)));
        let expected = [
            (4000..4096, Fate::Volatile),
            (4096..8192, Fate::Durable),
            (8192..9000, Fate::Volatile),
            (10..20, Fate::Volatile),
        ];
        assert_eq!(fates(&ledger), expected);
        assert!(ledger.settle_range(&(0..9000)));
    }

    #[test]
    fn a_poisoned_change_outlives_later_syncs_of_other_pages() {
        let mut ledger = ledger(std::slice::from_ref(&(0..5000)));
        ledger.poison(&(0..u64::MAX));
        assert!(!ledger.settle());
        assert_eq!(fates(&ledger), [(0..5000, Fate::Never)]);
        // Another change to its second page is written with what is there.
        ledger.push(2, DataOp::Write { offset: 5000, data: vec![1; 10] });
        assert!(!ledger.settle());
        assert_eq!(
            fates(&ledger),
            [(0..4096, Fate::Never), (4096..5000, Fate::Durable), (5000..5010, Fate::Durable)]
        );
        ledger.push(3, DataOp::Zero { offset: 1, len: u64::MAX });
        assert!(ledger.settle());
    }

    #[test]
    fn a_failed_sync_of_a_range_leaves_the_other_pages_to_the_next() {
        let mut ledger = ledger(std::slice::from_ref(&(4000..9000)));
        ledger.poison(&(4100..4101));
        let never = (4096..8192, Fate::Never);
        assert_eq!(
            fates(&ledger),
            [(4000..4096, Fate::Volatile), never.clone(), (8192..9000, Fate::Volatile)]
        );
        assert!(!ledger.settle());
        assert_eq!(fates(&ledger), [(4000..4096, Fate::Durable), never, (8192..9000, Fate::Durable)]);
    }

    #[test]
    fn a_length_is_written_with_the_next_sync() {
        let mut ledger = ledger(&[]);
        ledger.push(1, DataOp::SetLen(3));
        ledger.poison(&(0..u64::MAX));
        assert!(ledger.settle());
    }
}
