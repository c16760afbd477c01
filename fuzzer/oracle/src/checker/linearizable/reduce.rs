//! What can be known of the items before any search, none of which changes whether they have an order.

use super::search;
use crate::model::register::{Action, Value};
use std::collections::{BTreeMap, BTreeSet};

type Item = search::Item<Action>;

/// The items with narrower intervals and fewer values, and the positions of those worth ordering.
pub(super) fn reduce(items: &[Item]) -> (Vec<Item>, Vec<usize>) {
    let mut items = items.to_vec();
    tighten(&mut items);
    blur(&mut items);
    let used = useful(&items);
    (items, used)
}

/// Narrows intervals. If only one operation can have written a value, it took effect before anyone who saw
/// the value completed, even if it ended in info itself; and who saw it did so after it was invoked.
fn tighten(items: &mut [Item]) {
    let mut writers: BTreeMap<Value, Option<usize>> = BTreeMap::new();
    for (i, left) in items.iter().enumerate().filter_map(|(i, item)| Some((i, item.action.left()?))) {
        writers.entry(left).and_modify(|only| *only = None).or_insert((left != Value::ABSENT).then_some(i));
    }
    // a swap that has become certain makes certain what it saw: follow the chain
    let mut again = true;
    while again {
        again = false;
        for i in 0..items.len() {
            let Item { action, call, ret: Some(ret) } = items[i] else { continue };
            let Some(Some(writer)) = action.seen().and_then(|seen| writers.get(&seen).copied()) else {
                continue;
            };
            if items[writer].ret.is_none_or(|own| own > ret) {
                items[writer].ret = Some(ret);
                again = true;
            }
            items[i].call = call.max(items[writer].call.min(ret));
        }
    }
}

/// Makes one value of all those that nobody looks at.
fn blur(items: &mut [Item]) {
    let looked_at: BTreeSet<Value> = items
        .iter()
        .filter_map(|item| match item.action {
            Action::Read(value) | Action::Swap(value, _) | Action::Refuse(value) => Some(value),
            Action::Write(_) => None,
        })
        .collect();
    for item in items {
        match &mut item.action {
            Action::Write(left) | Action::Swap(_, left) if !looked_at.contains(left) => *left = Value::UNSEEN,
            _ => {}
        }
    }
}

/// Leaves out optional operations that cannot help: those whose value nobody sees, unless somebody was
/// refused, which any value may explain.
fn useful(items: &[Item]) -> Vec<usize> {
    let refusals = items.iter().any(|item| matches!(item.action, Action::Refuse(_)));
    let seen: BTreeSet<Value> = items.iter().filter_map(|item| item.action.seen()).collect();
    let helps = |item: &Item| {
        item.ret.is_some() || item.action.left().is_some_and(|left| refusals || seen.contains(&left))
    };
    (0..items.len()).filter(|i| helps(&items[*i])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::register::Values;

    #[test]
    fn a_write_that_was_seen_happened_before_it_was_seen() {
        let mut values = Values::default();
        let [a, b] = ["a", "b"].map(|text| values.number(Some(text)));
        let crashed = Item { action: Action::Write(a), call: 4, ret: None };
        let swap = Item { action: Action::Swap(a, b), call: 5, ret: None };
        let read = Item { action: Action::Read(b), call: 1, ret: Some(9) };
        let (items, _) = reduce(&[crashed, swap, read]);
        let intervals: Vec<(u64, Option<u64>)> = items.iter().map(|item| (item.call, item.ret)).collect();
        assert_eq!(intervals, [(4, Some(9)), (5, Some(9)), (5, Some(9))]);
    }

    #[test]
    fn a_value_of_two_writers_says_nothing_of_either() {
        let mut values = Values::default();
        let a = values.number(Some("a"));
        let crashed = Item { action: Action::Write(a), call: 0, ret: None };
        let items = [crashed, crashed, Item { action: Action::Read(a), call: 1, ret: Some(2) }];
        assert_eq!(reduce(&items).0, items);
    }

    #[test]
    fn an_optional_write_that_nobody_sees_is_left_out_unless_somebody_was_refused() {
        let mut values = Values::default();
        let [a, b] = ["a", "b"].map(|text| values.number(Some(text)));
        let crashed = Item { action: Action::Write(a), call: 0, ret: None };
        let write = Item { action: Action::Write(b), call: 1, ret: Some(2) };
        let refused = Item { action: Action::Refuse(b), call: 3, ret: Some(4) };
        assert_eq!(reduce(&[crashed, write]).1, [1]);
        assert_eq!(reduce(&[crashed, write, refused]).1, [0, 1, 2]);
    }
}
