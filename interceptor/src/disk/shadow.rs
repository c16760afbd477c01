//! What the journal knows of a file that guests change through memory: stores are no calls, so they are found by comparing.

use super::image::{CHUNK, filled, read_at, usize_of};
use super::ledger::{DataOp, PAGE};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;

/// The contents of a mapped file when the journal last looked.
#[derive(Debug)]
pub(super) struct Shadow {
    /// Another description of the file; it outlives its names.
    pub(super) file: File,
    /// Pages that are not all zeros, by their offset.
    pages: BTreeMap<u64, Vec<u8>>,
}

/// A page that was stored to, as far as the file reaches.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) offset: u64,
    pub(super) before: Vec<u8>,
    pub(super) after: Vec<u8>,
}

impl Shadow {
    /// The contents of `file` now; `None` when they take more than `room` bytes of memory.
    pub(super) fn of(file: &File, room: u64) -> io::Result<Option<Self>> {
        let mut shadow = Self { file: file.try_clone()?, pages: BTreeMap::new() };
        let whole: u64 = filled(file, 0, u64::MAX)?.iter().map(|part| part.end - part.start).sum();
        if whole > room {
            return Ok(None);
        }
        for page in shadow.stored(&(0..u64::MAX))? {
            shadow.put(page.offset, &page.after);
        }
        Ok(Some(shadow))
    }

    /// Memory it takes.
    pub(super) fn held(&self) -> u64 {
        self.pages.len() as u64 * PAGE
    }

    /// The file was changed by a call, or a store is taken note of.
    pub(super) fn apply(&mut self, op: &DataOp) {
        match op {
            DataOp::Write { offset, data } => self.put(*offset, data),
            DataOp::SetLen(len) => self.clear(*len..u64::MAX),
            DataOp::Zero { .. } => self.clear(op.range()),
        }
    }

    /// A bit of the file was damaged.
    pub(super) fn flip(&mut self, offset: u64, mask: u8) {
        self.pages.entry(offset / PAGE * PAGE).or_insert_with(empty)[usize_of(offset % PAGE)] ^= mask;
    }

    /// The pages within reach of `range` that are not as they were.
    pub(super) fn stored(&self, range: &Range<u64>) -> io::Result<Vec<Stored>> {
        let len = self.file.metadata()?.len();
        let end = range.end.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX).min(len);
        let mut found = Vec::new();
        let mut at = range.start / PAGE * PAGE;
        for part in filled(&self.file, at, end)? {
            let first = (part.start / PAGE * PAGE).max(at);
            self.emptied(at..first, len, &mut found);
            at = first;
            while at < part.end {
                let data = read_at(&self.file, at, CHUNK.min(end - at))?;
                for (offset, after) in (at..).step_by(usize_of(PAGE)).zip(data.chunks(usize_of(PAGE))) {
                    let before = self.pages.get(&offset).map(|page| &page[..after.len()]);
                    if before.map_or_else(|| after.iter().any(|byte| *byte != 0), |before| before != after) {
                        let before = before.map_or_else(|| vec![0; after.len()], <[u8]>::to_vec);
                        found.push(Stored { offset, before, after: after.to_vec() });
                    }
                }
                at = (at + CHUNK).min(end);
            }
        }
        self.emptied(at..end, len, &mut found);
        Ok(found)
    }

    /// Pages that are a hole now (madvise(2), `MADV_REMOVE`).
    fn emptied(&self, range: Range<u64>, len: u64, found: &mut Vec<Stored>) {
        if range.is_empty() {
            return;
        }
        for (&offset, page) in self.pages.range(range) {
            let before = page[..usize_of(PAGE.min(len - offset))].to_vec();
            if before.iter().any(|byte| *byte != 0) {
                found.push(Stored { offset, after: vec![0; before.len()], before });
            }
        }
    }

    fn put(&mut self, offset: u64, data: &[u8]) {
        let mut done = 0;
        while done < data.len() {
            let at = offset + done as u64;
            let within = usize_of(at % PAGE);
            let step = (usize_of(PAGE) - within).min(data.len() - done);
            let part = &data[done..done + step];
            if part.iter().any(|byte| *byte != 0) || self.pages.contains_key(&(at - at % PAGE)) {
                self.pages.entry(at - at % PAGE).or_insert_with(empty)[within..within + step]
                    .copy_from_slice(part);
            }
            done += step;
        }
    }

    fn clear(&mut self, range: Range<u64>) {
        for (&offset, page) in self.pages.range_mut(range.start / PAGE * PAGE..range.end) {
            let from = usize_of(range.start.max(offset) - offset);
            let to = usize_of(range.end.min(offset + PAGE) - offset);
            page[from..to].fill(0);
        }
        let whole = range.start.next_multiple_of(PAGE)..range.end / PAGE * PAGE;
        if whole.start < whole.end {
            let gone: Vec<u64> = self.pages.range(whole).map(|(&offset, _)| offset).collect();
            gone.iter().for_each(|offset| {
                self.pages.remove(offset);
            });
        }
    }
}

fn empty() -> Vec<u8> {
    vec![0; usize_of(PAGE)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::FileExt;

    #[derive(Clone, Debug)]
    enum Change {
        Store(u64, u16, u8),
        Call(DataOp),
    }

    fn changes() -> impl Strategy<Value = Vec<Change>> {
        let at = || 0..30_000_u64;
        let call = prop_oneof![
            (at(), 1..9000_usize, any::<u8>())
                .prop_map(|(offset, len, fill)| DataOp::Write { offset, data: vec![fill; len] }),
            at().prop_map(DataOp::SetLen),
            (at(), 1..20_000_u64).prop_map(|(offset, len)| DataOp::Zero { offset, len }),
        ];
        let change = prop_oneof![
            (at(), 1..9000_u16, 0..3_u8).prop_map(|(at, len, fill)| Change::Store(at, len, fill)),
            call.prop_map(Change::Call),
        ];
        prop::collection::vec(change, 1..20)
    }

    proptest! {
        /// Against the whole contents, compared page by page: stores are found, calls are not, and nothing is found twice.
        #[test]
        fn what_is_found_is_what_differs(changes in changes(), looks in any::<u32>()) {
            let file = tempfile::tempfile().unwrap();
            file.write_all_at(&[7; 5000], 3000).unwrap();
            let mut shadow = Shadow::of(&file, u64::MAX).unwrap().unwrap();
            let contents = || read_at(&file, 0, file.metadata().unwrap().len()).unwrap();
            for (turn, change) in changes.iter().enumerate() {
                let known = contents();
                match change {
                    Change::Call(op) => {
                        op.apply(&file).unwrap();
                        shadow.apply(op);
                    }
                    Change::Store(at, len, fill) => {
                        let len = u64::from(*len).min((known.len() as u64).saturating_sub(*at));
                        file.write_all_at(&vec![*fill; usize_of(len)], *at).unwrap();
                    }
                }
                let range = if looks >> (turn % 32) & 1 == 1 { 0..u64::MAX } else { 5000..9000 };
                let stored = shadow.stored(&range).unwrap();
                if let Change::Store(..) = change {
                    let now = contents();
                    let pages = (0..now.len()).step_by(usize_of(PAGE)).filter(|page| {
                        (*page as u64) < range.end && *page as u64 + PAGE > range.start
                    });
                    let expected: Vec<Stored> = pages
                        .map(|page| page..(page + usize_of(PAGE)).min(now.len()))
                        .filter(|page| known[page.clone()] != now[page.clone()])
                        .map(|page| Stored {
                            offset: page.start as u64,
                            before: known[page.clone()].to_vec(),
                            after: now[page].to_vec(),
                        })
                        .collect();
                    prop_assert_eq!(&stored, &expected);
                } else {
                    prop_assert_eq!(&stored, &[]);
                }
                for page in shadow.stored(&(0..u64::MAX)).unwrap() {
                    shadow.apply(&DataOp::Write { offset: page.offset, data: page.after });
                }
                prop_assert_eq!(shadow.stored(&(0..u64::MAX)).unwrap(), []);
            }
        }
    }

    #[test]
    fn a_sparse_file_takes_what_it_holds() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 40).unwrap();
        file.write_all_at(b"x", 1 << 39).unwrap();
        let shadow = Shadow::of(&file, CHUNK).unwrap().unwrap();
        assert_eq!(shadow.held(), PAGE);
        assert!(Shadow::of(&file, 100).unwrap().is_none());
    }
}
