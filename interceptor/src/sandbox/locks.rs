//! Who holds which ranges of a file: record locks as fcntl(2) has them. Pure.

use super::files::{DescriptionId, FilesId};
use super::task::{Call, ThreadId};
use std::collections::BTreeMap;
use std::ops::Range;

/// The end of a range that reaches as far as a file can.
pub const END: u64 = i64::MAX as u64 + 1;

/// A file, as locks know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LockedFile {
    /// Its node.
    pub node: usize,
    /// Its device and inode on the host.
    pub inode: (u64, u64),
}

/// Who holds a record lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A table of descriptors, which is a process: POSIX locks.
    Process(FilesId),
    /// An open file description.
    Description(DescriptionId),
}

/// A lock that is held or wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Whose it is.
    pub owner: Owner,
    /// For writing.
    pub exclusive: bool,
    /// The bytes.
    pub range: Range<u64>,
    /// The process that set it, by virtual id.
    pub pid: i32,
}

/// The record locks of one file: those of an owner side by side, in the order of their bytes, and owners in the order in
/// which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records(Vec<Record>);

impl Records {
    /// The first lock that does not go with `wanted`.
    pub fn blocker(&self, wanted: &Record) -> Option<&Record> {
        self.0.iter().find(|held| {
            held.owner != wanted.owner
                && (held.exclusive || wanted.exclusive)
                && held.range.start < wanted.range.end
                && wanted.range.start < held.range.end
        })
    }

    /// Puts `wanted` in the place of what its owner holds of that range.
    pub fn set(&mut self, wanted: &Record) {
        self.clear(wanted.owner, &wanted.range);
        let mut at = self.0.len();
        for (index, held) in self.0.iter().enumerate().filter(|(_, held)| held.owner == wanted.owner) {
            at = index + 1;
            if held.range.start >= wanted.range.end {
                at = index;
                break;
            }
        }
        self.0.insert(at, wanted.clone());
        // Locks of a kind that touch are one.
        for next in [at + 1, at] {
            let Some(before) = next.checked_sub(1) else { continue };
            let (Some(a), Some(b)) = (self.0.get(before), self.0.get(next)) else { continue };
            if a.owner == b.owner && a.exclusive == b.exclusive && a.range.end == b.range.start {
                self.0[before].range.end = b.range.end;
                self.0.remove(next);
            }
        }
    }

    /// Takes a range out of what an owner holds.
    pub fn clear(&mut self, owner: Owner, range: &Range<u64>) {
        let mut kept = Vec::with_capacity(self.0.len() + 1);
        for held in self.0.drain(..) {
            if held.owner != owner || held.range.end <= range.start || range.end <= held.range.start {
                kept.push(held);
                continue;
            }
            if held.range.start < range.start {
                kept.push(Record { range: held.range.start..range.start, ..held.clone() });
            }
            if held.range.end > range.end {
                kept.push(Record { range: range.end..held.range.end, ..held });
            }
        }
        self.0 = kept;
    }
}

/// All file locks of a run.
#[derive(Default)]
pub struct Locks {
    /// Record locks.
    pub records: BTreeMap<LockedFile, Records>,
    /// flock(2): which descriptions hold one, and whether for themselves alone.
    pub whole: BTreeMap<LockedFile, BTreeMap<DescriptionId, bool>>,
    /// The last POSIX lock that each thread waited for, in which call. It does so still if it still waits in that.
    pub waits: BTreeMap<ThreadId, (Call, LockedFile, Record)>,
}

impl Locks {
    /// Whether a wait of `wanted` would never end: who holds it waits, over others perhaps, for `wanted`'s owner. `waits`
    /// says which threads still wait.
    pub fn is_deadlock(
        &self,
        file: LockedFile,
        wanted: &Record,
        waits: impl Fn(ThreadId, &Call) -> bool,
    ) -> bool {
        let blocker = |file, wanted: &Record| self.records.get(&file).and_then(|held| held.blocker(wanted));
        let mut held_by = blocker(file, wanted).map(|held| held.owner);
        // Chains are short; one that goes round without `wanted` is another's.
        for _ in 0..=self.waits.len() {
            let Some(owner) = held_by else { return false };
            if owner == wanted.owner {
                return true;
            }
            let next = self
                .waits
                .iter()
                .find(|(thread, (call, _, record))| record.owner == owner && waits(**thread, call));
            held_by = next.and_then(|(_, (_, file, record))| blocker(*file, record)).map(|held| held.owner);
        }
        false
    }

    /// A description is gone. The nodes of the files whose locks went with it.
    pub fn release_description(&mut self, id: DescriptionId) -> Vec<usize> {
        let mut nodes = Vec::new();
        self.whole.retain(|file, holders| {
            nodes.extend(holders.remove(&id).map(|_| file.node));
            !holders.is_empty()
        });
        nodes.extend(self.release(Owner::Description(id), |_| true));
        nodes
    }

    /// A process closed a descriptor of `file`.
    pub fn release_process(&mut self, id: FilesId, file: LockedFile) -> Vec<usize> {
        self.release(Owner::Process(id), |other| *other == file)
    }

    /// Whether a process holds any.
    pub fn holds(&self, id: FilesId) -> bool {
        self.records.values().any(|records| records.0.iter().any(|held| held.owner == Owner::Process(id)))
    }

    fn release(&mut self, owner: Owner, of: impl Fn(&LockedFile) -> bool) -> Vec<usize> {
        let mut nodes = Vec::new();
        self.records.retain(|file, records| {
            if of(file) && records.0.iter().any(|held| held.owner == owner) {
                records.clear(owner, &(0..END));
                nodes.push(file.node);
            }
            !records.0.is_empty()
        });
        nodes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BYTES: u64 = 24;

    fn record(owner: u32, exclusive: bool, range: Range<u64>) -> Record {
        Record { owner: Owner::Process(FilesId(owner)), exclusive, range, pid: owner as i32 }
    }

    /// What each byte is held as, by owner: the reference.
    type Held = BTreeMap<u32, Vec<Option<bool>>>;

    fn blocked(held: &Held, wanted: &Record, by: u32) -> bool {
        held.iter().any(|(&owner, bytes)| {
            owner != by
                && (wanted.range.start..wanted.range.end)
                    .any(|at| bytes[at as usize].is_some_and(|exclusive| exclusive || wanted.exclusive))
        })
    }

    /// Runs of bytes that one owner holds alike.
    fn runs(held: &Held) -> Vec<(u32, bool, Range<u64>)> {
        let mut runs: Vec<(u32, bool, Range<u64>)> = Vec::new();
        for (&owner, bytes) in held {
            for (at, exclusive) in (0..).zip(bytes).filter_map(|(at, held)| Some((at, (*held)?))) {
                match runs.last_mut().filter(|run| (run.0, run.1, run.2.end) == (owner, exclusive, at)) {
                    Some(run) => run.2.end += 1,
                    None => runs.push((owner, exclusive, at..at + 1)),
                }
            }
        }
        runs
    }

    proptest! {
        #[test]
        fn ranges_are_held_as_bytes_are(
            calls in prop::collection::vec((0..3_u32, prop::option::of(any::<bool>()), 0..BYTES, 1..BYTES), 1..60)
        ) {
            let mut held: Held = (0..3).map(|owner| (owner, vec![None; BYTES as usize])).collect();
            let mut records = Records::default();
            for (owner, kind, start, len) in calls {
                let range = start..(start + len).min(BYTES);
                let wanted = record(owner, kind == Some(true), range.clone());
                if kind.is_some() {
                    let refused = blocked(&held, &wanted, owner);
                    prop_assert_eq!(records.blocker(&wanted).is_some(), refused);
                    if refused {
                        continue;
                    }
                    records.set(&wanted);
                } else {
                    records.clear(wanted.owner, &range);
                }
                held.get_mut(&owner).unwrap()[range.start as usize..range.end as usize].fill(kind);
                let mut now: Vec<_> = records.0.iter().map(|r| (r.pid as u32, r.exclusive, r.range.clone())).collect();
                // An owner's locks are side by side and in order.
                let owners: Vec<u32> = now.iter().map(|run| run.0).collect();
                let mut once = owners.clone();
                once.dedup();
                prop_assert_eq!(once.len(), once.iter().collect::<std::collections::BTreeSet<_>>().len());
                now.sort_by_key(|run| run.0);
                prop_assert_eq!(now, runs(&held));
            }
        }
    }

    fn locks(held: &[(u32, Range<u64>)], waits: &[(u32, Range<u64>)]) -> (Locks, LockedFile) {
        let file = LockedFile { node: 0, inode: (1, 1) };
        let mut locks = Locks::default();
        for (owner, range) in held {
            locks.records.entry(file).or_default().set(&record(*owner, true, range.clone()));
        }
        let call = Call { number: libc::SYS_fcntl, args: [0; 6] };
        for (owner, range) in waits {
            locks.waits.insert(ThreadId(*owner), (call, file, record(*owner, true, range.clone())));
        }
        (locks, file)
    }

    #[test]
    fn a_circle_of_waits_is_a_deadlock() {
        let held = [(1, 0..1), (2, 1..2), (3, 2..3)];
        let (locks, file) = locks(&held, &[(2, 2..3), (3, 0..1)]);
        let wanted = record(1, true, 1..2);
        assert!(locks.is_deadlock(file, &wanted, |_, _| true));
        assert!(!locks.is_deadlock(file, &wanted, |thread, _| thread != ThreadId(3)));
        assert!(
            !locks.is_deadlock(file, &record(4, true, 1..2), |_, _| true),
            "it only waits for those that do"
        );
    }

    #[test]
    fn what_a_process_holds_of_one_file_goes_without_the_rest() {
        let (mut locks, file) = locks(&[(1, 0..1), (2, 1..2)], &[]);
        assert_eq!(locks.release_process(FilesId(1), LockedFile { node: 1, ..file }), [0; 0]);
        assert!(locks.holds(FilesId(1)));
        assert_eq!(locks.release_process(FilesId(1), file), [0]);
        assert!(!locks.holds(FilesId(1)) && locks.holds(FilesId(2)));
    }
}
