//! What is known of data types other than registers beside their steps.

use super::classify::Why;
use super::decide::{Datatype, Quick};
use super::fast;
use super::search::Item;
use crate::model::keyed::{Keyed, On};
use crate::model::sequence::{self, Sequence};
use crate::model::{counter, map, multi, mutex, set};

const UNORDERED: Why = Why::Told("no order of the other operations allows");

impl Datatype for map::Entry {
    fn blame(&self, _: &[Item<map::Action>], _: usize, _: u64) -> (&'static str, Why) {
        ("inconsistent-get", UNORDERED)
    }
}

impl Datatype for multi::MultiRegister {
    fn blame(&self, _: &[Item<Self::Action>], _: usize, _: u64) -> (&'static str, Why) {
        ("inconsistent-transaction", UNORDERED)
    }
}

impl Datatype for mutex::Mutex {
    fn blame(&self, items: &[Item<mutex::Action>], culprit: usize, _: u64) -> (&'static str, Why) {
        match items[culprit].action {
            mutex::Action::Acquire => ("acquired-twice", Why::Told("the lock cannot have been free for")),
            mutex::Action::Release => ("released-free", Why::Told("nobody can have held the lock for")),
        }
    }
}

impl Datatype for counter::Counter {
    fn quick(&self, items: &[Item<counter::Action>]) -> Quick {
        fast::counter::judge(self.initial, items)
    }

    fn blame(&self, _: &[Item<counter::Action>], _: usize, _: u64) -> (&'static str, Why) {
        ("inconsistent-sum", Why::Told("no order of the additions makes"))
    }
}

impl Datatype for set::Set {
    fn quick(&self, items: &[Item<set::Action>]) -> Quick {
        fast::set::judge(items)
    }

    fn blame(&self, items: &[Item<set::Action>], culprit: usize, at: u64) -> (&'static str, Why) {
        let begun = || items.iter().filter(|item| item.call < at);
        let adds = |item: &Item<set::Action>, element: u32| item.action == set::Action::Add(element);
        let phantom = |element: &u32| !begun().any(|item| adds(item, *element));
        let removals = begun().any(|item| matches!(item.action, set::Action::Remove(_)));
        // what was added for certain before the answer was asked for, and never removed
        let missed = |elements: &dyn Fn(u32) -> bool| {
            !removals
                && begun().any(|item| {
                    matches!(item.action, set::Action::Add(element) if !elements(element))
                        && item.ret < Some(items[culprit].call)
                        && item.ret.is_some()
                })
        };
        let (phantom, missed) = match &items[culprit].action {
            set::Action::Read(all) => {
                (all.iter().any(phantom), missed(&|element| all.binary_search(&element).is_ok()))
            }
            set::Action::Contains(element, true) => (phantom(element), false),
            set::Action::Contains(element, false) => (false, missed(&|other| other != *element)),
            set::Action::Add(_) | set::Action::Remove(_) => (false, false),
        };
        match (phantom, missed) {
            (true, _) => ("phantom-element", Why::Told("has an element that nobody can have added")),
            (_, true) => ("missing-element", Why::Told("misses an element added before")),
            _ => ("inconsistent-elements", UNORDERED),
        }
    }
}

impl Datatype for Sequence {
    fn quick(&self, items: &[Item<sequence::Action>]) -> Quick {
        match self {
            Self::Queue => fast::queue::judge(items),
            Self::Stack => fast::stack::judge(items),
        }
    }

    fn blame(&self, items: &[Item<sequence::Action>], culprit: usize, at: u64) -> (&'static str, Why) {
        let begun = |wanted: sequence::Action| {
            items.iter().filter(|item| item.call < at && item.action == wanted).count()
        };
        match items[culprit].action {
            sequence::Action::Empty => ("false-empty", Why::Told("cannot have found nothing")),
            sequence::Action::Take(element) => match begun(sequence::Action::Put(element)) {
                0 => ("phantom-element", Why::Told("nobody can have put in")),
                puts if puts < begun(sequence::Action::Take(element)) => {
                    ("taken-twice", Why::Told("had been taken out before"))
                }
                _ => ("out-of-order", Why::Told("cannot have been next")),
            },
            sequence::Action::Put(_) | sequence::Action::Unanswered => ("out-of-order", UNORDERED),
        }
    }
}

impl<D: Datatype> Datatype for Keyed<D> {
    fn reduce(&self, items: &[Item<Self::Action>]) -> (Vec<Item<Self::Action>>, Vec<usize>) {
        let (mut reduced, mut used) = (items.to_vec(), Vec::new());
        for (key, model) in self.0.iter().enumerate() {
            let (positions, own) = self.of_key(items, key as u32);
            let (own, own_used) = model.reduce(&own);
            used.extend(own_used.into_iter().map(|i| positions[i]));
            for (position, Item { action, call, ret }) in positions.into_iter().zip(own) {
                reduced[position] = Item { action: On { key: key as u32, action }, call, ret };
            }
        }
        used.sort_unstable();
        (reduced, used)
    }

    /// Keys are in order one by one if and only if all are: the others have no part in it.
    fn suspects(&self, known: &[Item<Self::Action>], culprit: usize) -> Option<Vec<usize>> {
        let key = known[culprit].action.key;
        Some((0..known.len()).filter(|i| known[*i].action.key == key).collect())
    }

    fn blame(&self, items: &[Item<Self::Action>], culprit: usize, at: u64) -> (&'static str, Why) {
        let key = items[culprit].action.key;
        let (positions, own) = self.of_key(items, key);
        let culprit = positions.iter().position(|position| *position == culprit);
        match self.0[key as usize].blame(&own, culprit.expect("its key is its own"), at) {
            (kind, Why::Replaced(by)) => (kind, Why::Replaced(positions[by])),
            other => other,
        }
    }
}

#[allow(private_bounds, reason = "only those who know the trait can call it")]
impl<D: Datatype> Keyed<D> {
    /// The operations on one key, with their positions.
    fn of_key(&self, items: &[Item<On<D::Action>>], key: u32) -> (Vec<usize>, Vec<Item<D::Action>>) {
        let own = |(i, item): (usize, &Item<On<D::Action>>)| {
            let Item { action, call, ret } = item;
            (action.key == key).then(|| (i, Item { action: action.action.clone(), call: *call, ret: *ret }))
        };
        items.iter().enumerate().filter_map(own).unzip()
    }
}
