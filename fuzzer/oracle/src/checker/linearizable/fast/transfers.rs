//! What queues and stacks have in common: elements that go in once and come out at most once.

use super::NEVER;
use crate::checker::linearizable::decide::Quick;
use crate::checker::linearizable::search::Item;
use crate::model::sequence::Action;
use std::collections::BTreeMap;

/// An element's way through: the intervals in which it goes in and comes out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub put: usize,
    pub put_call: u64,
    pub put_ret: u64,
    pub take: Option<usize>,
    pub take_call: u64,
    pub take_ret: u64,
}

impl Way {
    /// It is inside for certain between these two.
    pub fn zone(&self) -> Option<(u64, u64)> {
        (self.put_ret < self.take_call).then_some((self.put_ret, self.take_call))
    }

    pub fn witness(&self) -> impl Iterator<Item = usize> + use<> {
        [Some(self.put), self.take].into_iter().flatten()
    }
}

/// The operations sorted out.
pub(super) struct Transfers {
    /// The elements that are inside at some time.
    pub ways: Vec<Way>,
    /// Those who found nothing: position, call, return.
    pub empties: Vec<(usize, u64, u64)>,
    /// Somebody may have taken an element and was not told which.
    pub are_unsure: bool,
}

/// Sorts operations out; an error is the answer.
pub(super) fn sort_out(items: &[Item<Action>]) -> Result<Transfers, Quick> {
    let unanswered = || items.iter().filter(|item| item.action == Action::Unanswered);
    // one that took effect for certain may have had to take an element
    if unanswered().any(|item| item.ret.is_some()) {
        return Err(Quick::Unclear);
    }
    let are_unsure = unanswered().next().is_some();
    match sort_out_sure(items, are_unsure) {
        Err(Quick::Impossible(_)) if are_unsure => Err(Quick::Unclear),
        other => other,
    }
}

/// Leaves out those that may have taken something unseen.
fn sort_out_sure(items: &[Item<Action>], are_unsure: bool) -> Result<Transfers, Quick> {
    let mut puts: BTreeMap<u32, usize> = BTreeMap::new();
    let mut takes: BTreeMap<u32, usize> = BTreeMap::new();
    let mut maybe: BTreeMap<u32, usize> = BTreeMap::new();
    let mut empties = Vec::new();
    let mut twice = None;
    for (i, item) in items.iter().enumerate() {
        match (item.action, item.ret) {
            (Action::Put(element), _) => {
                if puts.insert(element, i).is_some() {
                    return Err(Quick::Unclear);
                }
            }
            // it takes the element at the end of time, if nobody else does
            (Action::Take(element), None) => {
                let first = maybe.entry(element).or_insert(i);
                if item.call < items[*first].call {
                    *first = i;
                }
            }
            (Action::Take(element), Some(_)) => {
                if let Some(first) = takes.insert(element, i) {
                    twice = twice.or(Some((element, first, i)));
                }
            }
            (Action::Empty, Some(ret)) => empties.push((i, item.call, ret)),
            (Action::Empty, None) => {}
            (Action::Unanswered, _) => {}
        }
    }
    if let Some((element, first, second)) = twice {
        return Err(Quick::Impossible(
            puts.get(&element).copied().into_iter().chain([first, second]).collect(),
        ));
    }
    if let Some((_, take)) = takes.iter().find(|(element, _)| !puts.contains_key(element)) {
        return Err(Quick::Impossible(vec![*take]));
    }
    let mut ways = Vec::with_capacity(puts.len());
    for (element, put) in puts {
        let take = takes.get(&element).copied();
        let ret = |i: usize| items[i].ret.unwrap_or(NEVER);
        // who crashed and was not seen may never have put anything in
        if take.is_none() && items[put].ret.is_none() {
            continue;
        }
        let take = take.or_else(|| maybe.get(&element).copied());
        let way = Way {
            put,
            put_call: items[put].call,
            put_ret: ret(put),
            take,
            take_call: take.map_or(NEVER, |take| items[take].call),
            take_ret: take.map_or(NEVER, ret),
        };
        if way.take_ret < way.put_call {
            return Err(Quick::Impossible(way.witness().collect()));
        }
        ways.push(way);
    }
    Ok(Transfers { ways, empties, are_unsure })
}

impl Transfers {
    /// Somebody found nothing, though some element was inside all the time.
    pub fn false_empty(&self) -> Option<Vec<usize>> {
        let mut zones: Vec<(u64, u64)> = self.ways.iter().filter_map(Way::zone).collect();
        zones.sort_unstable();
        let mut covers: Vec<(u64, u64)> = Vec::new();
        for (start, end) in zones {
            match covers.last_mut() {
                Some(last) if start < last.1 => last.1 = last.1.max(end),
                _ => covers.push((start, end)),
            }
        }
        let (empty, call, ret) = self.empties.iter().copied().find(|(_, call, ret)| {
            let after = covers.partition_point(|(start, _)| start < call);
            after.checked_sub(1).is_some_and(|before| covers[before].1 > *ret)
        })?;
        let meets = |way: &&Way| way.zone().is_some_and(|(start, end)| start < ret && end > call);
        Some(self.ways.iter().filter(meets).flat_map(Way::witness).chain([empty]).collect())
    }

    /// The answer, given operations that have no order.
    pub fn answer(&self, witness: Option<Vec<usize>>) -> Quick {
        match witness {
            None => Quick::Valid,
            // an element may have been taken by one of those that were not told
            Some(_) if self.are_unsure => Quick::Unclear,
            Some(witness) => Quick::Impossible(witness),
        }
    }
}
