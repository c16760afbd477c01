//! Stacks whose elements all differ, in n log n.
//!
//! An element is inside for certain between the end of its push and the beginning of its pop: its zone. One without a
//! zone can go in and out at one instant, and is in nobody's way. Where no zone covers an instant the stack may as well
//! be empty there (an element that need not be inside can be taken out, or put in later), so each run of zones that
//! overlap is a matter of its own. All through such a run something is inside, so one element lies at the bottom: its
//! push begins before the run and its pop ends after it. Any element of which this can be said will do (it can trade
//! places with whichever does it): take it away and go on with the runs that are left. Without one there is no order.
//!
//! The idea of taking elements away one by one is that of Lee and Mathur, "Efficient decrease-and-conquer
//! linearizability monitoring" (arXiv 2410.04581), and of Abdulla and others, "Efficient linearizability monitoring"
//! (PLDI 2025).

use super::NEVER;
use super::transfers::{Way, sort_out};
use super::trees::{Cover, Peaks};
use crate::checker::linearizable::decide::Quick;
use crate::checker::linearizable::search::Item;
use crate::model::sequence::Action;

/// Judges a stack; unclear if an element may have gone in twice, or a crash may have taken one.
pub(in super::super) fn judge(items: &[Item<Action>]) -> Quick {
    let transfers = match sort_out(items) {
        Ok(transfers) => transfers,
        Err(answer) => return answer,
    };
    let witness = transfers.false_empty().or_else(|| bottomless(&transfers.ways));
    transfers.answer(witness)
}

/// A run of zones without an element for the bottom.
fn bottomless(ways: &[Way]) -> Option<Vec<usize>> {
    let mut zoned: Vec<(&Way, (u64, u64))> = ways.iter().filter_map(|way| Some((way, way.zone()?))).collect();
    zoned.sort_unstable_by_key(|(_, zone)| *zone);
    let mut times: Vec<u64> = zoned.iter().flat_map(|(_, (start, end))| [*start, *end]).collect();
    times.sort_unstable();
    times.dedup();
    let at = |time: u64| times.partition_point(|other| *other < time);
    // cell n lies between times n and n + 1
    let cells: Vec<(usize, usize)> = zoned.iter().map(|(_, (start, end))| (at(*start), at(*end))).collect();
    let starts: Vec<usize> = cells.iter().map(|(start, _)| *start).collect();
    let mut cover = Cover::new(times.len());
    cells.iter().for_each(|(start, end)| cover.add(*start, *end, 1));
    // those whose push may not yet begin before the run, the earliest first; those whose pop may not yet end after it,
    // the latest first; those who are neither
    let mut early = Peaks::new(zoned.iter().map(|(way, _)| u64::MAX - way.put_call).collect());
    let mut late = Peaks::new(zoned.iter().map(|(way, _)| way.take_ret).collect());
    let mut ready = Peaks::new(vec![0; zoned.len()]);
    let mut waits_for = vec![2_u8; zoned.len()];
    let mut alive = vec![true; zoned.len()];
    let mut runs = cover.runs(0, times.len());
    while let Some((start, end)) = runs.pop() {
        let range = starts.partition_point(|cell| *cell < start)..starts.partition_point(|cell| *cell < end);
        let (from, to) = (times[start], times[end]);
        let mut pass = |tree: &mut Peaks, passes: &dyn Fn(&Way) -> bool, ready: &mut Peaks| {
            while let Some(i) = tree.highest(range.clone()).filter(|i| passes(zoned[*i].0)) {
                tree.set(i, 0);
                waits_for[i] -= 1;
                if waits_for[i] == 0 {
                    ready.set(i, 1);
                }
            }
        };
        pass(&mut early, &|way| way.put_call < from, &mut ready);
        pass(&mut late, &|way| way.take_ret > to || way.take_ret == NEVER, &mut ready);
        let Some(bottom) = ready.highest(range.clone()) else {
            let inside = range.filter(|i| alive[*i]);
            return Some(inside.flat_map(|i| zoned[i].0.witness()).collect());
        };
        ready.set(bottom, 0);
        alive[bottom] = false;
        cover.add(cells[bottom].0, cells[bottom].1, -1);
        runs.extend(cover.runs(start, end));
    }
    None
}
