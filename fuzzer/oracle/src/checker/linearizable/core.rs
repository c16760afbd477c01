//! The few operations that contradict each other, of the many that do.

use super::decide::{Datatype, impossible, known};
use super::search::Item;
use crate::model::{Bond, Model};
use std::collections::BTreeSet;
use std::ops::Range;

/// No attempt costs more than this part of the budget, so that many can be made.
pub(super) const SHARE: u64 = 32;

/// So many operations are tried one by one, so that those who tell the most plainly are found.
const FEW: usize = 400;

/// Operations, the culprit among them, that have no order even alone once entry `cut` is written, found in at most
/// `steps` attempts to place one; a short budget gives more of them.
///
/// Numbers are positions in `items`.
pub(super) fn core<D: Datatype>(
    model: &D,
    items: &[Item<D::Action>],
    culprit: usize,
    cut: u64,
    mut steps: u64,
) -> Vec<usize> {
    let share = steps.div_ceil(SHARE);
    let mut is_impossible = |some: &[usize]| {
        let known: Vec<Item<D::Action>> = some.iter().filter_map(|i| known(model, &items[*i], cut)).collect();
        // what takes too long to tell stays in, and the rest is tried all the same
        let given = share.min(steps);
        let mut left = given;
        let answer = impossible(model, &known, &mut left);
        steps -= given - left;
        (answer || steps > 0).then_some(answer)
    };
    let (all, now): (Vec<usize>, Vec<Item<D::Action>>) =
        (0..items.len()).filter_map(|i| Some((i, known(model, &items[i], cut)?))).unzip();
    let own = all.binary_search(&culprit).expect("the culprit is complete");
    let suspects = if all.len() <= FEW { None } else { model.suspects(&now, own) };
    let suspects = suspects.map(|suspects| {
        let mut suspects: Vec<usize> = suspects.into_iter().map(|i| all[i]).chain([culprit]).collect();
        suspects.sort_unstable();
        suspects.dedup();
        suspects
    });
    // most often the other answers do not matter at all
    let start = suspects.as_ref().unwrap_or(&all);
    let changes: Vec<usize> =
        start.iter().copied().filter(|i| *i == culprit || !model.is_pure(&items[*i].action)).collect();
    let guesses = [(changes.len() < start.len()).then_some(changes), suspects];
    for guess in guesses.into_iter().flatten() {
        if is_impossible(&guess) == Some(true) {
            return shrink(model, items, Some(culprit), guess, is_impossible);
        }
    }
    shrink(model, items, Some(culprit), all, is_impossible)
}

/// Drops operations of `core` in ever smaller blocks, the culprit never, for as long as the rest has no order.
///
/// `is_impossible` says whether operations have none; nothing when it cannot go on.
pub(super) fn shrink<M: Model>(
    model: &M,
    items: &[Item<M::Action>],
    culprit: Option<usize>,
    mut core: Vec<usize>,
    mut is_impossible: impl FnMut(&[usize]) -> Option<bool>,
) -> Vec<usize> {
    let bonds = Bonds { model, items, culprit };
    let mut block = core.len().div_ceil(2).max(1);
    loop {
        let mut dropped_any = false;
        let mut start = 0;
        while start < core.len() {
            let end = (start + block).min(core.len());
            let rest = bonds.without(&core, start..end);
            let goes = rest.len() < core.len();
            match if goes { is_impossible(&rest) } else { Some(false) } {
                Some(true) => {
                    dropped_any = true;
                    core = rest;
                }
                Some(false) => start = end,
                None => return core,
            }
        }
        if block == 1 && !dropped_any {
            return core;
        }
        block = (block / 2).max(1);
    }
}

struct Bonds<'a, M: Model> {
    model: &'a M,
    items: &'a [Item<M::Action>],
    culprit: Option<usize>,
}

impl<M: Model> Bonds<'_, M> {
    /// `core` without as many in `range` as may be dropped without making the rest impossible by doing so.
    fn without(&self, core: &[usize], range: Range<usize>) -> Vec<usize> {
        let bond = |n: usize| self.model.bond(&self.items[core[n]].action);
        let mut stays: Vec<bool> =
            core.iter().enumerate().map(|(n, i)| !range.contains(&n) || Some(*i) == self.culprit).collect();
        // who belongs together goes together
        let together = |n: usize| if let Bond::Together(number) = bond(n) { Some(number) } else { None };
        let gone: BTreeSet<u64> = range.clone().filter(|n| !stays[*n]).filter_map(together).collect();
        let kept = (0..core.len()).find(|n| Some(core[*n]) == self.culprit).and_then(together);
        for (n, stays) in stays.iter_mut().enumerate() {
            if let Some(number) = together(n) {
                *stays = Some(number) == kept || !gone.contains(&number);
            }
        }
        loop {
            let staying = || (0..core.len()).filter(|n| stays[*n]).map(|n| &self.items[core[n]].action);
            let needed: BTreeSet<u64> = staying().flat_map(|action| self.model.needs(action)).collect();
            let all_needed = staying().any(|action| self.model.needs_all(action));
            let is_back = |n: &usize| {
                !stays[*n]
                    && match bond(*n) {
                        Bond::Source(number) => all_needed || needed.contains(&number),
                        Bond::Kept => true,
                        Bond::Free | Bond::Together(_) => false,
                    }
            };
            let back: Vec<usize> = range.clone().filter(is_back).collect();
            match &back[..] {
                [_, ..] => back.into_iter().for_each(|n| stays[n] = true),
                [] => {
                    return core.iter().zip(&stays).filter(|(_, stays)| **stays).map(|(i, _)| *i).collect();
                }
            }
        }
    }
}
