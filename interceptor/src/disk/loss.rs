//! Power loss: what is not durable is undone, and a seeded part of it survives all the same.

use super::error::{Naming, Result};
use super::inodes::InodeKey;
use super::ledger::{DataOp, Fate, Ledger, PAGE};
use super::lost::{Lost, Share as LostShare, tell};
use super::{Disk, tree};
use crate::rng::Rng;
use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

/// Where writes are mostly torn, and the smaller of the pieces that survive on their own.
const SECTOR: u64 = 512;

/// What of the changes that are not durable survives a power loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// None of them.
    All,
    /// A seeded prefix of all changes, of data and of names, in the order they were made.
    Prefix,
    /// Of data a seeded subset in pieces of 512 bytes or 4 KiB, as write-back in any order leaves it: each piece as it
    /// was after some of the changes to it. Of names a seeded prefix, for the journal of names is written in order.
    Subset,
    /// A seeded prefix that ends in a write of which only the beginning survives.
    Torn,
}

/// How much of one change of contents survives.
#[derive(Debug)]
enum Share {
    None,
    Whole,
    /// These ranges of the file, in order.
    Parts(Vec<Range<u64>>),
}

/// A change that is not durable: of names, or of contents with the file's number and the index in its journal.
#[derive(Debug)]
struct Doubtful {
    seq: u64,
    data: Option<(u64, usize)>,
}

/// What survives: so many changes of names, and these shares of contents.
#[derive(Debug, Default)]
struct Survivors {
    names: usize,
    data: BTreeMap<(u64, usize), Share>,
}

impl Disk {
    /// Power is lost: every process of the node is dead already. Data and names that are not durable are
    /// undone, then what `loss` spares is done again, in order. Modes, owners and extended attributes
    /// are not journaled and stay as they are. Afterwards all that is there is durable.
    ///
    /// # Errors
    /// The real directory cannot be read or changed, or was changed behind the journal's back.
    pub fn power_loss(&mut self, loss: Loss) -> Result<Lost> {
        let before = self.length_if_limited()?;
        self.absorb_all()?;
        self.shadows.clear();
        let survivors = self.draw(loss);
        let names = tree::names(&self.root)?;
        let (mut lost, shares) = self.undo_data(&survivors)?;
        let undone = self.names.split_off(survivors.names);
        lost.name_ops_undone = undone.len() as u64;
        undone.iter().rev().try_for_each(|entry| entry.change.undo(&mut self.inodes))?;
        undone.iter().try_for_each(|entry| self.bury(&entry.change))?;
        self.settle_names(self.names.len())?;
        for grave in std::mem::take(&mut self.unnamed).into_values() {
            self.graveyard.release(&grave).naming("remove the grave", &grave.path)?;
        }
        let after = self.length_if_limited()?;
        self.spend(before, after);
        if lost.data_ops_undone + lost.name_ops_undone > 0 {
            tell(&mut lost, &names, &tree::names(&self.root)?, &shares);
        }
        self.landed.power_losses += u64::from(lost.data_ops_undone + lost.name_ops_undone > 0);
        Ok(lost)
    }

    /// One path of every regular file that has a name, in the node's directory or in the graveyard.
    pub(super) fn places(&self) -> Result<BTreeMap<InodeKey, PathBuf>> {
        let mut files = tree::files(self.graveyard.dir())?;
        files.extend(tree::files(&self.root)?);
        Ok(files.into_iter().map(|(path, metadata)| (InodeKey::of(&metadata), path)).collect())
    }

    fn undo_data(&mut self, survivors: &Survivors) -> Result<(Lost, BTreeMap<InodeKey, LostShare>)> {
        let mut lost = Lost::default();
        let mut shares = BTreeMap::new();
        let ledgers = std::mem::take(&mut self.ledgers);
        self.held = 0;
        let places = if ledgers.is_empty() { BTreeMap::new() } else { self.places()? };
        for (number, ledger) in ledgers {
            // A file without any name is gone with the processes that held it open.
            let Some(path) = places.get(&ledger.key) else { continue };
            let file = tree::open(path)?;
            ledger.base.restore(&file).naming("undo the writes to", path)?;
            let mut unchanged = true;
            let had = (lost.data_ops_undone, lost.bytes);
            let again = surviving(number, &ledger, survivors, &mut lost);
            if lost.data_ops_undone > had.0 {
                let share = LostShare { changes: lost.data_ops_undone - had.0, bytes: lost.bytes - had.1 };
                shares.insert(ledger.key, share);
            }
            for op in again {
                op.apply(&file).naming("write again to", path)?;
                unchanged = false;
            }
            if unchanged {
                self.inodes.set_mtime(ledger.key, ledger.base.mtime());
            }
        }
        Ok((lost, shares))
    }

    /// Chooses the survivors; the only place of a power loss that draws random numbers, and it does so in
    /// the order of events, which does not depend on the host.
    fn draw(&mut self, loss: Loss) -> Survivors {
        let doubtful = self.doubtful();
        let atomic = self.atomic_write;
        let rng = &mut self.loss_rng;
        match loss {
            Loss::All => Survivors::default(),
            Loss::Prefix => prefix(&doubtful[..cut(rng, &doubtful)]),
            Loss::Torn => {
                let op = |place: Option<(u64, usize)>| place.map(|(n, i)| &self.ledgers[&n].entries[i].op);
                let long = |d: &&Doubtful| op(d.data).is_some_and(|op| op.bytes() > 1);
                let writes: Vec<&Doubtful> = doubtful.iter().filter(long).collect();
                if writes.is_empty() {
                    return prefix(&doubtful[..cut(rng, &doubtful)]);
                }
                let last = writes[below(rng, writes.len())];
                let kept = doubtful.partition_point(|d| (d.seq, d.data) < (last.seq, last.data));
                let mut survivors = prefix(&doubtful[..kept]);
                if let (Some(place), Some(op)) = (last.data, op(last.data)) {
                    let whole = op.range();
                    let beginning = whole.start..tear(rng, &whole, atomic);
                    let share =
                        if beginning.is_empty() { Share::None } else { Share::Parts(vec![beginning]) };
                    survivors.data.insert(place, share);
                }
                survivors
            }
            Loss::Subset => {
                let names = doubtful.iter().filter(|d| d.data.is_none()).count();
                let names = below(rng, names + 1);
                let grain = [SECTOR, PAGE][below(rng, 2)].max(atomic);
                let odds = 1 + below(rng, 3);
                let op = |place: (u64, usize)| &self.ledgers[&place.0].entries[place.1].op;
                let changes: Vec<_> = doubtful.iter().filter_map(|d| Some((d.data?, op(d.data?)))).collect();
                Survivors { names, data: written_back(rng, &changes, grain, odds) }
            }
        }
    }

    /// All that is not durable, in the order it happened.
    fn doubtful(&self) -> Vec<Doubtful> {
        let mut all: Vec<Doubtful> =
            self.names.iter().map(|entry| Doubtful { seq: entry.seq, data: None }).collect();
        for (number, ledger) in &self.ledgers {
            for (index, entry) in ledger.entries.iter().enumerate() {
                if entry.fate != Fate::Durable {
                    all.push(Doubtful { seq: entry.seq, data: Some((*number, index)) });
                }
            }
        }
        all.sort_by_key(|doubtful| (doubtful.seq, doubtful.data));
        all
    }
}

/// The operations of one file that are to be done again, and the account of the others.
fn surviving(number: u64, ledger: &Ledger, survivors: &Survivors, lost: &mut Lost) -> Vec<DataOp> {
    let mut again = Vec::new();
    for (index, entry) in ledger.entries.iter().enumerate() {
        if entry.fate == Fate::Durable {
            again.push(entry.op.clone());
            continue;
        }
        let kept = match survivors.data.get(&(number, index)) {
            None | Some(Share::None) => Vec::new(),
            Some(Share::Whole) => {
                again.push(entry.op.clone());
                continue;
            }
            Some(Share::Parts(ranges)) => ranges.iter().map(|range| entry.op.part(range)).collect(),
        };
        lost.data_ops_undone += 1;
        lost.bytes += entry.op.bytes() - kept.iter().map(DataOp::bytes).sum::<u64>();
        lost.torn |= kept.iter().any(|part| part.bytes() > 0);
        again.extend(kept);
    }
    again
}

/// How many of `doubtful` survive; the parts into which a range sync split a write go together.
fn cut(rng: &mut Rng, doubtful: &[Doubtful]) -> usize {
    let kept = below(rng, doubtful.len() + 1);
    let Some(last) = kept.checked_sub(1).map(|last| doubtful[last].seq) else { return 0 };
    doubtful.partition_point(|d| d.seq <= last)
}

/// All of `doubtful` survives.
fn prefix(doubtful: &[Doubtful]) -> Survivors {
    let names = doubtful.iter().filter(|d| d.data.is_none()).count();
    let data = doubtful.iter().filter_map(|d| Some((d.data?, Share::Whole))).collect();
    Survivors { names, data }
}

/// What write-back in any order leaves of `changes`, which are in the order they were made. Each piece of a file, `grain`
/// bytes long, has reached the disk with `odds` in 4, after any number of the changes to it: with a change all earlier ones
/// to the same piece survive. A change of length survives with these odds, too.
fn written_back(
    rng: &mut Rng,
    changes: &[((u64, usize), &DataOp)],
    grain: u64,
    odds: usize,
) -> BTreeMap<(u64, usize), Share> {
    let mut shares = BTreeMap::new();
    let mut pieces: BTreeMap<(u64, u64), Vec<usize>> = BTreeMap::new();
    for (index, &(place, op)) in changes.iter().enumerate() {
        let whole = op.range();
        if whole.is_empty() {
            shares.insert(place, if below(rng, 4) < odds { Share::Whole } else { Share::None });
            continue;
        }
        shares.insert(place, Share::None);
        for piece in whole.start / grain..=(whole.end - 1) / grain {
            pieces.entry((place.0, piece)).or_default().push(index);
        }
    }
    for ((_, piece), touching) in pieces {
        let kept = if below(rng, 4) < odds { 1 + below(rng, touching.len()) } else { 0 };
        for &index in &touching[..kept] {
            let (place, op) = changes[index];
            let whole = op.range();
            let part = whole.start.max(piece * grain)..whole.end.min((piece + 1) * grain);
            let share = shares.entry(place).or_insert(Share::None);
            *share = match std::mem::replace(share, Share::None) {
                _ if part == whole => Share::Whole,
                Share::Parts(mut parts) => {
                    match parts.last_mut().filter(|last| last.end == part.start) {
                        Some(last) => last.end = part.end,
                        None => parts.push(part),
                    }
                    if parts.as_slice() == [whole] { Share::Whole } else { Share::Parts(parts) }
                }
                Share::None | Share::Whole => Share::Parts(vec![part]),
            };
        }
    }
    shares
}

/// Where a write is torn: between units of `atomic` bytes; where it lies within one, nothing of it survives. If a
/// byte is such a unit, mostly between sectors, sometimes at any byte, and never at its ends.
fn tear(rng: &mut Rng, whole: &Range<u64>, atomic: u64) -> u64 {
    if atomic > 1 {
        let (first, end) = (whole.start / atomic + 1, (whole.end - 1) / atomic + 1);
        return if first < end { rng.random_range(first..end) * atomic } else { whole.start };
    }
    let first = whole.start / SECTOR + 1;
    let sectors = (whole.end - 1) / SECTOR + 1 - first;
    if below(rng, 4) > 0 && sectors > 0 {
        (first + rng.random_range(0..sectors)) * SECTOR
    } else {
        rng.random_range(whole.start + 1..whole.end)
    }
}

/// A number from 0 up to `n`, exclusive; drawn as 64 bits whatever the machine.
fn below(rng: &mut Rng, n: usize) -> usize {
    super::image::usize_of(rng.random_range(0..n as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::split;

    #[test]
    fn a_tear_is_always_inside_and_mostly_between_sectors() {
        let mut rng = split(1, "tear");
        for whole in [0..2, 511..513, 0..512, 512..1024, 100..5000] {
            let tears: Vec<u64> = (0..200).map(|_| tear(&mut rng, &whole, 1)).collect();
            assert!(tears.iter().all(|at| whole.start < *at && *at < whole.end), "{whole:?}");
        }
        let aligned = (0..1000).filter(|_| tear(&mut rng, &(0..1 << 20), 1).is_multiple_of(SECTOR)).count();
        assert!((650..850).contains(&aligned), "{aligned}");
    }

    #[test]
    fn what_a_drive_writes_whole_is_never_torn() {
        let mut rng = split(1, "tear");
        for (whole, expected) in [
            (0..512, vec![0]),
            (10..300, vec![10]),
            (511..513, vec![512]),
            (100..1025, vec![512, 1024]),
            (512..1024, vec![512]),
        ] {
            let mut tears: Vec<u64> = (0..50).map(|_| tear(&mut rng, &whole, 512)).collect();
            tears.sort_unstable();
            tears.dedup();
            assert_eq!(tears, expected, "{whole:?}");
        }
    }

    #[test]
    fn with_a_change_to_a_sector_all_earlier_ones_survive() {
        let write = |offset: u64, len: usize| DataOp::Write { offset, data: vec![7; len] };
        let ops = [write(0, 100), write(100, 100), write(200, 700), write(150, 10)];
        let changes: Vec<_> = ops.iter().enumerate().map(|(index, op)| ((1, index), op)).collect();
        let mut rng = split(1, "write back");
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..300 {
            let shares = written_back(&mut rng, &changes, 512, 2);
            let kept: Vec<Vec<Range<u64>>> = (0..4)
                .map(|index| match &shares[&(1, index)] {
                    Share::None => vec![],
                    Share::Whole => vec![ops[index].range()],
                    Share::Parts(parts) => parts.clone(),
                })
                .collect();
            // The first sector holds a part of each of them.
            let first: Vec<bool> =
                kept.iter().map(|parts| parts.iter().any(|part| part.start < 512)).collect();
            assert!(first.is_sorted_by(|earlier, later| earlier >= later), "{kept:?}");
            seen.insert((first, kept[2].last().is_some_and(|part| part.end == 900)));
        }
        assert_eq!(seen.len(), 10, "all there is: five states of the first sector, two of the second");
    }

    #[test]
    fn losses_are_written_in_snake_case() {
        assert_eq!(serde_json::to_string(&Loss::Prefix).unwrap(), "\"prefix\"");
    }
}
