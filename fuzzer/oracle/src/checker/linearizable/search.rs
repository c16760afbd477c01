//! The search for an order: Wing and Gong's, with Lowe's linked list and cache of configurations
//! ("Testing for linearizability", Concurrency and Computation 2017).
//!
//! Reductions keep it small, each of which leaves the answer as it is; beside those of [`super::reduce`]:
//! - A pure operation that fits the state is taken at once. In any order that has it later it can move to
//!   the front: nothing before it needs it, and nothing after it notices.
//! - An optional operation is taken only when one that looks at the state and fits what it leaves is free to
//!   come directly after it. Were it followed by a plain write, dropping it would change nothing: it is
//!   optional.
//! - Of operations that do the same and are both free to come next, the one that completes first goes first.
//!   Where an order has it the other way round, the two can change places.
//! - Values are numbers, so that a configuration is two bitsets and an integer.

use super::reduce::reduce;
use crate::model::register::{Action, Value};
use std::collections::{BTreeMap, BTreeSet};

/// An operation to be ordered, with its interval as indices of history entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it did.
    pub action: Action,
    /// Its invocation.
    pub call: u64,
    /// Its completion. `None`: it may have taken effect at any instant after `call`, or never.
    pub ret: Option<u64>,
}

/// What the search found. Numbers are positions in the given items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An order of all items that have a completion, and of such others as it needed.
    Order(Vec<usize>),
    /// There is none.
    Impossible {
        /// Index of the completion that cannot be passed. What completes before it has an order, so this is
        /// the first that makes the items impossible, given how those still open will be answered.
        at: u64,
        /// Such an order, with whatever else was placed in it.
        order: Vec<usize>,
    },
    /// The budget ran out first.
    OutOfBudget,
}

/// Looks for an order of `items` that respects their intervals and the register, which begins absent.
///
/// Each attempt to place a change takes one of `steps`.
#[must_use]
pub fn search(items: &[Item], steps: &mut u64) -> Answer {
    let (items, used) = reduce(items);
    Search::new(&items, &used).run(steps)
}

/// A set of placed operations and the state they leave. Required operations are numbered by invocation, so
/// the placed ones are a solid run with a ragged end: the run is kept as a length.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Configuration {
    state: Value,
    must_observe: bool,
    solid_words: u32,
    ragged: Box<[u64]>,
    optional: Box<[u64]>,
}

struct Frame {
    item: usize,
    before: Value,
    before_must_observe: bool,
    eager: bool,
}

struct Search<'a> {
    items: &'a [Item],
    // the list of entries: node 0 is both ends; nodes of one item are `call_node` and `ret_node`
    next: Vec<usize>,
    prev: Vec<usize>,
    item_at: Vec<usize>,
    is_ret: Vec<bool>,
    call_node: Vec<usize>,
    ret_node: Vec<Option<usize>>,
    // the configuration
    bit: Vec<usize>,
    required: Vec<u64>,
    optional: Vec<u64>,
    required_left: usize,
    state: Value,
    must_observe: bool,
    seen: BTreeSet<Configuration>,
    stack: Vec<Frame>,
    /// Items that do the same bear the same number.
    class: Vec<usize>,
    // buffers for `candidate`: among the operations free to come next, those that look at the state, and of
    // each class the one to go first, with the number of the round it was found in
    observers: Vec<usize>,
    first_of_class: Vec<(u64, usize)>,
    round: u64,
    /// The furthest completion that stood in the way, and the least that was placed then.
    furthest: (usize, Vec<usize>),
}

impl<'a> Search<'a> {
    fn new(items: &'a [Item], used: &[usize]) -> Self {
        let mut events: Vec<(u64, bool, usize)> = Vec::with_capacity(used.len() * 2);
        for &i in used {
            events.push((items[i].call, false, i));
            events.extend(items[i].ret.map(|ret| (ret, true, i)));
        }
        events.sort_unstable();
        let nodes = events.len() + 1;
        let mut search = Search {
            items,
            next: (1..=nodes).map(|n| n % nodes).collect(),
            prev: (0..nodes).map(|n| (n + nodes - 1) % nodes).collect(),
            item_at: vec![usize::MAX; nodes],
            is_ret: vec![false; nodes],
            call_node: vec![0; items.len()],
            ret_node: vec![None; items.len()],
            bit: vec![0; items.len()],
            required: Vec::new(),
            optional: Vec::new(),
            required_left: 0,
            state: Value::ABSENT,
            must_observe: false,
            seen: BTreeSet::new(),
            stack: Vec::new(),
            class: Vec::new(),
            observers: Vec::new(),
            first_of_class: Vec::new(),
            round: 0,
            furthest: (0, Vec::new()),
        };
        let mut optional_count = 0;
        for (n, &(_, is_ret, i)) in events.iter().enumerate() {
            let node = n + 1;
            search.item_at[node] = i;
            search.is_ret[node] = is_ret;
            if is_ret {
                search.ret_node[i] = Some(node);
                continue;
            }
            search.call_node[i] = node;
            let count = if items[i].ret.is_some() { &mut search.required_left } else { &mut optional_count };
            search.bit[i] = *count;
            *count += 1;
        }
        let mut classes: BTreeMap<Action, usize> = BTreeMap::new();
        for item in items {
            let next = classes.len();
            search.class.push(*classes.entry(item.action).or_insert(next));
        }
        search.first_of_class = vec![(0, 0); classes.len()];
        search.required = vec![0; search.required_left.div_ceil(64)];
        search.optional = vec![0; optional_count.div_ceil(64)];
        search
    }

    fn run(&mut self, steps: &mut u64) -> Answer {
        let mut cursor = self.next[0];
        loop {
            while let Some(item) = self.eager() {
                self.place(item, self.state, true);
                cursor = self.next[0];
            }
            if self.required_left == 0 {
                return Answer::Order(self.placed());
            }
            match self.candidate(cursor, steps) {
                Candidate::Found(item, state) => {
                    self.place(item, state, false);
                    cursor = self.next[0];
                }
                Candidate::OutOfBudget => return Answer::OutOfBudget,
                Candidate::None => {
                    self.note_dead_end();
                    match self.back() {
                        Some(node) => cursor = node,
                        None => {
                            let (node, order) = std::mem::take(&mut self.furthest);
                            let at = self.items[self.item_at[node]].ret.unwrap_or(u64::MAX);
                            return Answer::Impossible { at, order };
                        }
                    }
                }
            }
        }
    }

    fn note_dead_end(&mut self) {
        let mut node = self.next[0];
        while !self.is_ret[node] {
            node = self.next[node];
        }
        let (furthest, order) = &self.furthest;
        if node > *furthest || (node == *furthest && self.stack.len() < order.len()) {
            self.furthest = (node, self.placed());
        }
    }

    fn placed(&self) -> Vec<usize> {
        self.stack.iter().map(|frame| frame.item).collect()
    }

    /// A pure operation that is free to come next and fits the state.
    fn eager(&self) -> Option<usize> {
        let mut node = self.next[0];
        while node != 0 && !self.is_ret[node] {
            let item = self.item_at[node];
            let action = self.items[item].action;
            if action.is_pure() && action.step(self.state).is_some() {
                return Some(item);
            }
            node = self.next[node];
        }
        None
    }

    /// The first operation from `node` on that may come next and leads somewhere new.
    fn candidate(&mut self, mut node: usize, steps: &mut u64) -> Candidate {
        self.survey();
        while node != 0 && !self.is_ret[node] {
            let item = self.item_at[node];
            let Item { action, ret, .. } = self.items[item];
            node = self.next[node];
            // pure ones that fit were taken eagerly, so those met here do not fit
            if action.is_pure() || (self.must_observe && !action.is_observer()) {
                continue;
            }
            let Some(after) = action.step(self.state) else { continue };
            if self.first_of_class[self.class[item]] != (self.round, item) {
                continue;
            }
            if ret.is_none() && !self.is_observed(item, after) {
                continue;
            }
            if *steps == 0 {
                return Candidate::OutOfBudget;
            }
            *steps -= 1;
            self.flip(item);
            let configuration = self.configuration(after, ret.is_none());
            self.flip(item);
            if self.seen.insert(configuration) {
                return Candidate::Found(item, after);
            }
        }
        Candidate::None
    }

    /// Fills the buffers with what is free to come next.
    fn survey(&mut self) {
        self.observers.clear();
        self.round += 1;
        let mut node = self.next[0];
        while node != 0 && !self.is_ret[node] {
            let item = self.item_at[node];
            node = self.next[node];
            if self.items[item].action.is_observer() {
                self.observers.push(item);
            }
            let (round, first) = self.first_of_class[self.class[item]];
            // an optional operation never completes, and so goes last
            let end = |item: usize| self.items[item].ret.unwrap_or(u64::MAX);
            if round != self.round || end(item) < end(first) {
                self.first_of_class[self.class[item]] = (self.round, item);
            }
        }
    }

    /// Something other than `item` is free to come next and fits the state it leaves.
    fn is_observed(&self, item: usize, after: Value) -> bool {
        self.observers.iter().any(|other| *other != item && self.items[*other].action.step(after).is_some())
    }

    fn place(&mut self, item: usize, after: Value, eager: bool) {
        self.stack.push(Frame { item, before: self.state, before_must_observe: self.must_observe, eager });
        self.flip(item);
        self.state = after;
        let required = self.items[item].ret.is_some();
        self.must_observe = !required;
        self.required_left -= usize::from(required);
        self.unlink(self.call_node[item]);
        if let Some(node) = self.ret_node[item] {
            self.unlink(node);
        }
    }

    /// Takes back the last choice and what followed from it; gives the node after it, where the search goes on.
    fn back(&mut self) -> Option<usize> {
        loop {
            let Frame { item, before, before_must_observe, eager } = self.stack.pop()?;
            if let Some(node) = self.ret_node[item] {
                self.relink(node);
            }
            self.relink(self.call_node[item]);
            self.required_left += usize::from(self.items[item].ret.is_some());
            self.must_observe = before_must_observe;
            self.state = before;
            self.flip(item);
            if !eager {
                return Some(self.next[self.call_node[item]]);
            }
        }
    }

    fn unlink(&mut self, node: usize) {
        let (prev, next) = (self.prev[node], self.next[node]);
        self.next[prev] = next;
        self.prev[next] = prev;
    }

    fn relink(&mut self, node: usize) {
        let (prev, next) = (self.prev[node], self.next[node]);
        self.next[prev] = node;
        self.prev[next] = node;
    }

    fn flip(&mut self, item: usize) {
        let bit = self.bit[item];
        let set = if self.items[item].ret.is_some() { &mut self.required } else { &mut self.optional };
        set[bit / 64] ^= 1 << (bit % 64);
    }

    fn configuration(&self, state: Value, must_observe: bool) -> Configuration {
        let solid = self.required.iter().take_while(|word| **word == u64::MAX).count();
        let trim = |words: &[u64]| -> Box<[u64]> {
            let len = words.iter().rposition(|word| *word != 0).map_or(0, |last| last + 1);
            words[..len].into()
        };
        Configuration {
            state,
            must_observe,
            solid_words: solid as u32,
            ragged: trim(&self.required[solid..]),
            optional: trim(&self.optional),
        }
    }
}

enum Candidate {
    Found(usize, Value),
    None,
    OutOfBudget,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::register::Values;

    fn value(values: &mut Values<'static>, text: &'static str) -> Value {
        values.number(Some(text))
    }

    #[test]
    fn intervals_are_closed_by_order_not_by_time() {
        let mut values = Values::default();
        let a = value(&mut values, "a");
        let write = Item { action: Action::Write(a), call: 0, ret: Some(1) };
        let late = Item { action: Action::Read(Value::ABSENT), call: 2, ret: Some(3) };
        let overlapping = Item { call: 0, ..late };
        assert_eq!(search(&[write, late], &mut 100), Answer::Impossible { at: 3, order: vec![0] });
        assert_eq!(search(&[write, overlapping], &mut 100), Answer::Order(vec![1, 0]));
    }

    #[test]
    fn an_optional_write_may_happen_late_or_never() {
        let mut values = Values::default();
        let (a, b) = (value(&mut values, "a"), value(&mut values, "b"));
        let crashed = Item { action: Action::Write(a), call: 0, ret: None };
        let write = Item { action: Action::Write(b), call: 1, ret: Some(2) };
        let read = |value, call| Item { action: Action::Read(value), call, ret: Some(call + 1) };
        assert_eq!(search(&[crashed, write, read(b, 3)], &mut 100), Answer::Order(vec![1, 2]));
        assert_eq!(
            search(&[crashed, write, read(b, 3), read(a, 5)], &mut 100),
            Answer::Order(vec![1, 2, 0, 3])
        );
        let blocked = Answer::Impossible { at: 6, order: vec![1, 0, 2] };
        assert_eq!(search(&[crashed, write, read(a, 3), read(b, 5)], &mut 100), blocked);
    }

    #[test]
    fn an_optional_swap_needs_what_it_expects() {
        let mut values = Values::default();
        let (a, b) = (value(&mut values, "a"), value(&mut values, "b"));
        let swap = Item { action: Action::Swap(a, b), call: 0, ret: None };
        let read = Item { action: Action::Read(b), call: 5, ret: Some(6) };
        let write = Item { action: Action::Write(a), call: 1, ret: Some(2) };
        assert_eq!(search(&[swap, read], &mut 100), Answer::Impossible { at: 6, order: vec![] });
        assert_eq!(search(&[swap, write, read], &mut 100), Answer::Order(vec![1, 0, 2]));
    }

    #[test]
    fn no_budget_is_no_answer() {
        let mut values = Values::default();
        let a = value(&mut values, "a");
        let items = [Item { action: Action::Write(a), call: 0, ret: Some(1) }];
        assert_eq!(search(&items, &mut 0), Answer::OutOfBudget);
        assert_eq!(search(&[], &mut 0), Answer::Order(vec![]));
    }
}
