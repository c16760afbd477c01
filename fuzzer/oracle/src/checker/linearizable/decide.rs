//! Whether operations have an order, and if not, which completion is the first that leaves none: the fast algorithm
//! of a data type where it applies, the search where it does not.

use super::classify::Why;
use super::search::{Answer, Item, search};
use crate::model::Model;

/// Above this many operations no order is searched for just to be shown.
const ORDER_MAX: usize = 20_000;

/// A model that histories are checked against, with what is known of it beside its steps.
pub(super) trait Datatype: Model + Sized {
    /// What an algorithm better than search says.
    fn quick(&self, _: &[Item<Self::Action>]) -> Quick {
        Quick::Unclear
    }

    /// Items that are easier to order, and the positions of those worth it; none of it changes whether there is one.
    fn reduce(&self, items: &[Item<Self::Action>]) -> (Vec<Item<Self::Action>>, Vec<usize>) {
        (items.to_vec(), (0..items.len()).collect())
    }

    /// Few of `known` that have no order even alone, if they are easy to tell, given that all of them have none.
    fn suspects(&self, known: &[Item<Self::Action>], _: usize) -> Option<Vec<usize>> {
        match self.quick(known) {
            Quick::Impossible(witness) => Some(witness),
            Quick::Valid | Quick::Unclear => None,
        }
    }

    /// The kind of violation that the completion of `culprit` at index `at` is, free of chance, and what makes it one.
    fn blame(&self, items: &[Item<Self::Action>], culprit: usize, at: u64) -> (&'static str, Why);
}

/// The word of a fast algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Quick {
    /// There is an order.
    Valid,
    /// There is none, not even of these alone (positions).
    Impossible(Vec<usize>),
    /// It does not apply.
    Unclear,
}

/// What was found of the operations of one key.
pub(super) enum Finding {
    Valid,
    /// The operations that complete before index `at` have an order; more is not known.
    OutOfBudget {
        at: u64,
    },
    Impossible(Impossible),
}

/// Why there is no order.
pub(super) struct Impossible {
    /// Index of the first completion that leaves no order.
    pub at: u64,
    /// The operation that it completes, by position.
    pub culprit: usize,
    /// An order of what completes before it, unless it would take too long to find one.
    pub order: Option<Vec<usize>>,
    /// Operations, the culprit among them, that have no order even alone.
    pub core: Vec<usize>,
}

/// What an explanation may cost if the verdict was cheap, in attempts to place an operation.
const EXPLAIN_STEPS: u64 = 50_000;

/// Judges `items` in at most `steps_max` attempts to place an operation. An explanation may cost as much as the verdict
/// did, and [`EXPLAIN_STEPS`] in any case.
pub(super) fn find<D: Datatype>(model: &D, items: &[Item<D::Action>], steps_max: u64) -> Finding {
    let witness = match model.quick(items) {
        Quick::Valid => return Finding::Valid,
        Quick::Impossible(witness) => Some(witness),
        Quick::Unclear => None,
    };
    let mut steps = steps_max;
    let (at, order) = match witness {
        Some(witness) => {
            let at = earliest(model, items, &witness);
            (at, order_before(model, items, at, steps_max))
        }
        None => {
            let (reduced, used) = model.reduce(items);
            match search(model, &reduced, used, &mut steps) {
                Answer::Order(_) => return Finding::Valid,
                Answer::OutOfBudget { at } => return Finding::OutOfBudget { at },
                Answer::Impossible { at, order } => (at, Some(order)),
            }
        }
    };
    let culprit = (0..items.len()).find(|i| items[*i].ret == Some(at));
    let culprit = culprit.expect("a completion belongs to an operation");
    let spent = (steps_max - steps).max(items.len() as u64 * 4);
    let core = super::core::core(model, items, culprit, at, spent.max(EXPLAIN_STEPS).min(steps_max));
    Finding::Impossible(Impossible { at, culprit, order, core })
}

/// An order of what completes before index `at`, if there are few such operations and one is found soon.
fn order_before<D: Datatype>(
    model: &D,
    items: &[Item<D::Action>],
    at: u64,
    steps_max: u64,
) -> Option<Vec<usize>> {
    let (positions, known): (Vec<usize>, Vec<Item<D::Action>>) = items
        .iter()
        .enumerate()
        .filter_map(|(i, item)| Some((i, known(model, item, at.checked_sub(1)?)?)))
        .unzip();
    if known.len() > ORDER_MAX {
        return None;
    }
    let mut steps = steps_max.min(known.len() as u64 * 64 + 1024);
    let (reduced, used) = model.reduce(&known);
    match search(model, &reduced, used, &mut steps) {
        Answer::Order(order) => Some(order.into_iter().map(|i| positions[i]).collect()),
        Answer::Impossible { .. } | Answer::OutOfBudget { .. } => None,
    }
}

/// These operations have no order once entry `cut` is written. False also if that could not be decided.
pub(super) fn impossible<D: Datatype>(model: &D, known: &[Item<D::Action>], steps: &mut u64) -> bool {
    match model.quick(known) {
        answer @ (Quick::Valid | Quick::Impossible(_)) => {
            *steps = steps.saturating_sub(known.len() as u64);
            answer != Quick::Valid
        }
        Quick::Unclear => {
            let (reduced, used) = model.reduce(known);
            matches!(search(model, &reduced, used, steps), Answer::Impossible { .. })
        }
    }
}

/// What is known of an operation once entry `cut` is written; `None` if it says nothing yet.
pub(super) fn known<D: Datatype>(model: &D, item: &Item<D::Action>, cut: u64) -> Option<Item<D::Action>> {
    let ret = item.ret.filter(|ret| *ret <= cut);
    let counts = item.call <= cut && (ret.is_some() || !model.is_pure(&item.action));
    counts.then(|| Item { action: item.action.clone(), call: item.call, ret })
}

/// The first completion that leaves no order, by the fast algorithm, given operations that have none.
fn earliest<D: Datatype>(model: &D, items: &[Item<D::Action>], witness: &[usize]) -> u64 {
    // the last completion that the fast algorithm needs to say no of what is known at `cut`
    let needed = |cut: u64| {
        let (positions, known): (Vec<usize>, Vec<Item<D::Action>>) =
            items.iter().enumerate().filter_map(|(i, item)| Some((i, known(model, item, cut)?))).unzip();
        match model.quick(&known) {
            Quick::Impossible(witness) => last(items, witness.iter().map(|i| positions[*i]), cut),
            Quick::Valid | Quick::Unclear => None,
        }
    };
    let Some(mut bad) = last(items, witness.iter().copied(), u64::MAX) else { return u64::MAX };
    // most often the first guess is it
    for _ in 0..4 {
        match needed(bad - 1) {
            Some(earlier) => bad = earlier,
            None => return bad,
        }
    }
    let mut good = 0;
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        match needed(middle) {
            Some(earlier) => bad = earlier,
            None => good = middle,
        }
    }
    bad
}

/// The last completion up to `cut` of these.
fn last<A>(items: &[Item<A>], some: impl Iterator<Item = usize>, cut: u64) -> Option<u64> {
    some.filter_map(|i| items[i].ret).filter(|ret| *ret <= cut).max()
}
