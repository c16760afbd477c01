//! Counters to which the same amount is added each time, in n log n.
//!
//! The sum then says how many additions came before a read, so reads are in order of their sums, and between one sum
//! and the next so many additions take effect as they differ by. It matters only which: of those that may have begun
//! before every later read must end, the ones to end first. (An order that has another can be changed: the two trade
//! places.) All else happens as early as it can.

use super::NEVER;
use crate::checker::linearizable::decide::Quick;
use crate::checker::linearizable::search::Item;
use crate::model::counter::Action;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Judges a counter; unclear if amounts differ.
pub(in super::super) fn judge(initial: i64, items: &[Item<Action>]) -> Quick {
    let mut amount = None;
    let mut additions: Vec<(u64, u64)> = Vec::new();
    let mut sums: Vec<(i64, u64, u64)> = Vec::new();
    for item in items {
        match (item.action, item.ret) {
            (Action::Add(0), _) | (Action::Read(_), None) => {}
            (Action::Add(own), ret) => {
                if *amount.get_or_insert(own) != own {
                    return Quick::Unclear;
                }
                additions.push((item.call, ret.unwrap_or(NEVER)));
            }
            (Action::Read(sum), Some(ret)) => sums.push((sum, item.call, ret)),
        }
    }
    let amount = i128::from(amount.unwrap_or(1));
    let mut reads: BTreeMap<usize, Vec<(u64, u64)>> = BTreeMap::new();
    let impossible = || Quick::Impossible((0..items.len()).collect());
    for (sum, call, ret) in sums {
        let above = i128::from(sum) - i128::from(initial);
        let count = (above % amount == 0).then_some(above / amount);
        match count.and_then(|count| usize::try_from(count).ok()) {
            Some(count) => reads.entry(count).or_default().push((call, ret)),
            None => return impossible(),
        }
    }
    if has_order(additions, &reads) { Quick::Valid } else { impossible() }
}

/// `reads` by how many additions come before them.
fn has_order(mut additions: Vec<(u64, u64)>, reads: &BTreeMap<usize, Vec<(u64, u64)>>) -> bool {
    additions.sort_unstable();
    let mut additions = additions.into_iter().peekable();
    // for each count, the least by which a read with it or a greater one must end
    let mut by = NEVER;
    let mut groups: Vec<_> = reads
        .iter()
        .rev()
        .map(|(count, reads)| {
            by = reads.iter().map(|(_, ret)| *ret).fold(by, u64::min);
            (*count, reads, by)
        })
        .collect();
    groups.reverse();
    let mut begun: BinaryHeap<Reverse<(u64, u64)>> = BinaryHeap::new();
    let (mut placed, mut now) = (0, 0);
    for (count, reads, by) in groups {
        while let Some((call, ret)) = additions.next_if(|(call, _)| *call < by) {
            begun.push(Reverse((ret, call)));
        }
        let before = now;
        for _ in placed..count {
            let Some(Reverse((ret, call))) = begun.pop() else { return false };
            if before > ret {
                return false;
            }
            now = now.max(call);
        }
        placed = count;
        let added = now;
        for (call, ret) in reads {
            if added > *ret {
                return false;
            }
            now = now.max(*call);
        }
    }
    begun.into_iter().map(|Reverse((ret, _))| ret).chain(additions.map(|(_, ret)| ret)).all(|ret| now < ret)
}
