//! What is known of registers beside their steps.

use super::classify::{Fact, Why, classify};
use super::decide::{Datatype, Quick};
use super::search::Item;
use super::{reduce, zones};
use crate::model::register::{Action, Register};

impl Datatype for Register {
    fn quick(&self, items: &[Item<Action>]) -> Quick {
        zones::judge(items)
    }

    fn reduce(&self, items: &[Item<Action>]) -> (Vec<Item<Action>>, Vec<usize>) {
        reduce::reduce(items)
    }

    fn blame(&self, items: &[Item<Action>], culprit: usize, at: u64) -> (&'static str, Why) {
        let fact = |item: &Item<Action>| Fact {
            action: item.action,
            invoke: item.call,
            complete: item.ret,
            effective_by: item.ret,
        };
        let facts: Vec<Fact> = items.iter().map(fact).collect();
        classify(&facts, culprit, at)
    }
}
