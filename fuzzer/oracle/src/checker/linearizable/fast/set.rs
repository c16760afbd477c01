//! Sets that only grow and are read whole, in time linear in what was read, but for a sort.
//!
//! Of two reads one has all that the other has, so reads are in order of their sizes; an element goes in between the
//! last read without it and the first with it. All happens as early as it can.

use super::NEVER;
use crate::checker::linearizable::decide::Quick;
use crate::checker::linearizable::search::Item;
use crate::model::set::Action;
use std::collections::BTreeMap;

/// An element: the window in which it first goes in, and whether it must.
struct Element {
    call: u64,
    ret: u64,
    is_in: bool,
}

/// Judges a set; unclear if something is removed or asked for alone.
pub(in super::super) fn judge(items: &[Item<Action>]) -> Quick {
    let mut elements: BTreeMap<u32, Element> = BTreeMap::new();
    let mut reads: Vec<(&[u32], u64, u64)> = Vec::new();
    for item in items {
        match (&item.action, item.ret) {
            (Action::Add(element), ret) => {
                // whoever is first puts it in: any of them may be
                let ret = ret.unwrap_or(NEVER);
                let own = Element { call: item.call, ret, is_in: false };
                let known = elements.entry(*element).or_insert(own);
                (known.call, known.ret) = (known.call.min(item.call), known.ret.min(ret));
            }
            (Action::Read(all), Some(ret)) => reads.push((all, item.call, ret)),
            (Action::Read(_), None) => {}
            (Action::Remove(_) | Action::Contains(..), _) => return Quick::Unclear,
        }
    }
    if has_order(&mut elements, reads) { Quick::Valid } else { Quick::Impossible((0..items.len()).collect()) }
}

fn has_order(elements: &mut BTreeMap<u32, Element>, mut reads: Vec<(&[u32], u64, u64)>) -> bool {
    reads.sort_unstable_by_key(|(all, call, _)| (all.len(), *call));
    let (mut now, mut before): (u64, &[u32]) = (0, &[]);
    for group in reads.chunk_by(|one, other| one.0.len() == other.0.len()) {
        let all = group[0].0;
        if group.iter().any(|(other, ..)| *other != all) || !is_subset(before, all) {
            return false;
        }
        let start = now;
        for element in all.iter().filter(|element| before.binary_search(element).is_err()) {
            let Some(known) = elements.get_mut(element).filter(|known| start <= known.ret) else {
                return false;
            };
            known.is_in = true;
            now = now.max(known.call);
        }
        let added = now;
        for (_, call, ret) in group {
            if added > *ret {
                return false;
            }
            now = now.max(*call);
        }
        before = all;
    }
    elements.values().all(|element| element.is_in || now <= element.ret)
}

/// Both in increasing order.
fn is_subset(few: &[u32], many: &[u32]) -> bool {
    let mut many = many.iter();
    few.iter().all(|element| many.any(|other| other == element))
}
