//! The search for an order: Wing and Gong's, with Lowe's linked list and cache of configurations
//! ("Testing for linearizability", Concurrency and Computation 2017), for any [`Model`].
//!
//! Reductions keep it small, each of which leaves the answer as it is; for registers, beside those of
//! `super::reduce`:
//! - A pure operation that fits the state is taken at once. In any order that has it later it can move to
//!   the front: nothing before it needs it, and nothing after it notices.
//! - An optional operation is taken only when it changes the state, and one that looks at the state and fits what it
//!   leaves is free to come directly after it. Were it followed by a blind write, or by nothing, dropping it would
//!   change nothing: it is optional.
//! - Of operations that do the same and are both free to come next, the one that completes first goes first.
//!   Where an order has it the other way round, the two can change places.
//! - States are numbered, so that a configuration is two bitsets and an integer.
//!
//! Memory is linear in the operations, beside the cache of configurations, which has a bound.

use crate::checker::seen::Seen;
use crate::model::Model;
use crate::model::intern::Interner;

/// The bytes that remembered configurations may take: beyond them a search repeats itself rather than grow.
const CACHE_BYTES_MAX: usize = 1 << 29;

/// An operation to be ordered, with its interval as indices of history entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<A> {
    /// What it did.
    pub action: A,
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
    OutOfBudget {
        /// Index of the last completion that was not passed: what completes before it has an order.
        at: u64,
    },
}

/// Looks for an order of `items` that respects their intervals and `model`.
///
/// Each attempt to place a change takes one of `steps`. Those in `used` are looked at, and no others.
#[must_use]
pub fn search<M: Model>(
    model: &M,
    items: &[Item<M::Action>],
    used: impl IntoIterator<Item = usize>,
    steps: &mut u64,
) -> Answer {
    Search::new(model, items, used.into_iter().collect()).run(steps)
}

/// A node of the list of entries, or an operation: positions that fit half a word.
type Number = u32;

const NONE: Number = Number::MAX;

/// What is the same in all operations that do the same.
struct Class<'a, A> {
    action: &'a A,
    pure: bool,
    blind: bool,
    /// Of those free to come next the one to go first, with the number of the round it was found in.
    first: (u64, Number),
}

/// An operation under search.
struct Placeable {
    class: Number,
    required: bool,
    /// Its place in the bitset of its kind.
    bit: Number,
    call_node: Number,
    /// [`NONE`] if it is optional.
    ret_node: Number,
}

struct Frame {
    item: Number,
    state: Number,
    must_observe: bool,
    eager: bool,
    /// Lengths of the bitsets up to the last bit that is set.
    tops: [Number; 2],
}

struct Node {
    next: Number,
    prev: Number,
    item: Number,
    is_ret: bool,
}

struct Search<'a, M: Model> {
    model: &'a M,
    items: &'a [Item<M::Action>],
    /// Positions in `items` of those under search.
    used: Vec<usize>,
    classes: Vec<Class<'a, M::Action>>,
    placeable: Vec<Placeable>,
    /// The list of entries; node 0 is both ends.
    nodes: Vec<Node>,
    // the configuration: bitsets of the required and the optional operations, the state, and what the next must be
    bits: [Vec<u64>; 2],
    tops: [Number; 2],
    /// How many words of the required bitset are full.
    solid: usize,
    required_left: usize,
    state: Number,
    states: Interner<M::State>,
    must_observe: bool,
    seen: Seen,
    stack: Vec<Frame>,
    // buffers: the key of a configuration; those free to come next that look at the state
    key: Vec<u64>,
    observers: Vec<Number>,
    round: u64,
    /// The furthest completion that stood in the way, and the least that was placed then.
    furthest: (Number, Vec<Number>),
    /// The stack has not been below this since `furthest` was noted.
    unchanged: usize,
}

impl<'a, M: Model> Search<'a, M> {
    fn new(model: &'a M, items: &'a [Item<M::Action>], used: Vec<usize>) -> Self {
        let mut events: Vec<(u64, bool, Number)> = Vec::with_capacity(used.len() * 2);
        for (n, &i) in used.iter().enumerate() {
            events.push((items[i].call, false, n as Number));
            events.extend(items[i].ret.map(|ret| (ret, true, n as Number)));
        }
        events.sort_unstable();
        let count = events.len() as Number + 1;
        let mut nodes = Vec::with_capacity(count as usize);
        nodes.push(Node { next: 1 % count, prev: count - 1, item: NONE, is_ret: false });
        let mut numbers = Interner::default();
        let mut classes = Vec::new();
        let mut placeable: Vec<Placeable> = used
            .iter()
            .map(|&i| {
                let action = &items[i].action;
                let class = numbers.number(action);
                if class as usize == classes.len() {
                    let (pure, blind) = (model.is_pure(action), model.is_blind(action));
                    classes.push(Class { action, pure, blind, first: (0, 0) });
                }
                let required = items[i].ret.is_some();
                Placeable { class, required, bit: 0, call_node: 0, ret_node: NONE }
            })
            .collect();
        let mut counts = [0; 2];
        for (n, &(_, is_ret, item)) in events.iter().enumerate() {
            let node = n as Number + 1;
            nodes.push(Node { next: (node + 1) % count, prev: node - 1, item, is_ret });
            let it = &mut placeable[item as usize];
            if is_ret {
                it.ret_node = node;
            } else {
                it.call_node = node;
                let count = &mut counts[usize::from(!it.required)];
                it.bit = *count;
                *count += 1;
            }
        }
        let mut states = Interner::default();
        let state = states.number(model.init());
        Search {
            model,
            items,
            used,
            classes,
            placeable,
            nodes,
            bits: counts.map(|count| vec![0; (count as usize).div_ceil(64)]),
            tops: [0; 2],
            solid: 0,
            required_left: counts[0] as usize,
            state,
            states,
            must_observe: false,
            seen: Seen::new(CACHE_BYTES_MAX),
            stack: Vec::new(),
            key: Vec::new(),
            observers: Vec::new(),
            round: 0,
            furthest: (0, Vec::new()),
            unchanged: 0,
        }
    }

    fn run(&mut self, steps: &mut u64) -> Answer {
        let mut cursor = self.nodes[0].next;
        loop {
            while let Some(item) = self.eager() {
                self.place(item, self.state, true);
                cursor = self.nodes[0].next;
            }
            if self.required_left == 0 {
                let order = self.stack.iter().map(|frame| self.used[frame.item as usize]).collect();
                return Answer::Order(order);
            }
            match self.candidate(cursor, steps) {
                Candidate::Found(item, state) => {
                    self.place(item, state, false);
                    cursor = self.nodes[0].next;
                }
                Candidate::OutOfBudget => {
                    self.note_dead_end();
                    return Answer::OutOfBudget { at: self.ret_at(self.furthest.0) };
                }
                Candidate::None => {
                    self.note_dead_end();
                    match self.back() {
                        Some(node) => cursor = node,
                        None => {
                            let (node, order) = std::mem::take(&mut self.furthest);
                            let order = order.into_iter().map(|item| self.used[item as usize]).collect();
                            return Answer::Impossible { at: self.ret_at(node), order };
                        }
                    }
                }
            }
        }
    }

    /// The index of the completion at a node.
    fn ret_at(&self, node: Number) -> u64 {
        self.items[self.used[self.nodes[node as usize].item as usize]].ret.unwrap_or(u64::MAX)
    }

    fn note_dead_end(&mut self) {
        let mut node = self.nodes[0].next;
        while !self.nodes[node as usize].is_ret {
            node = self.nodes[node as usize].next;
        }
        let (furthest, order) = &mut self.furthest;
        if node > *furthest || (node == *furthest && self.stack.len() < order.len()) {
            *furthest = node;
            order.truncate(self.unchanged);
            order.extend(self.stack[order.len()..].iter().map(|frame| frame.item));
            self.unchanged = self.stack.len();
        }
    }

    /// A pure operation that is free to come next and fits the state.
    fn eager(&self) -> Option<Number> {
        let mut node = self.nodes[0].next;
        while node != 0 && !self.nodes[node as usize].is_ret {
            let item = self.nodes[node as usize].item;
            let class = &self.classes[self.placeable[item as usize].class as usize];
            if class.pure && self.model.fits(self.states.item(self.state), class.action) {
                return Some(item);
            }
            node = self.nodes[node as usize].next;
        }
        None
    }

    /// The first operation from `node` on that may come next and leads somewhere new.
    fn candidate(&mut self, mut node: Number, steps: &mut u64) -> Candidate {
        self.survey();
        while node != 0 && !self.nodes[node as usize].is_ret {
            let item = self.nodes[node as usize].item;
            node = self.nodes[node as usize].next;
            let Placeable { class, required, .. } = self.placeable[item as usize];
            let Class { action, pure, blind, first } = self.classes[class as usize];
            // pure ones that fit were taken eagerly, so those met here do not fit
            if pure || (self.must_observe && blind) || first != (self.round, item) {
                continue;
            }
            let Some(after) = self.model.step(self.states.item(self.state), action) else { continue };
            if !required && !self.is_observed(item, &after) {
                continue;
            }
            if *steps == 0 {
                return Candidate::OutOfBudget;
            }
            *steps -= 1;
            let after = self.states.number(after);
            if !required && after == self.state {
                continue;
            }
            if self.is_new(item, after) {
                return Candidate::Found(item, after);
            }
        }
        Candidate::None
    }

    /// Fills the buffers with what is free to come next.
    fn survey(&mut self) {
        self.observers.clear();
        self.round += 1;
        let mut node = self.nodes[0].next;
        while node != 0 && !self.nodes[node as usize].is_ret {
            let item = self.nodes[node as usize].item;
            node = self.nodes[node as usize].next;
            let class = &mut self.classes[self.placeable[item as usize].class as usize];
            if !class.blind {
                self.observers.push(item);
            }
            // an optional operation never completes, and so goes last
            let end = |item: Number| self.placeable[item as usize].ret_node;
            let (round, first) = class.first;
            if round != self.round || end(item) < end(first) {
                class.first = (self.round, item);
            }
        }
    }

    /// Something other than `item` is free to come next and fits the state it leaves.
    fn is_observed(&self, item: Number, after: &M::State) -> bool {
        self.observers.iter().any(|&other| {
            let class = self.placeable[other as usize].class as usize;
            other != item && self.model.fits(after, self.classes[class].action)
        })
    }

    fn place(&mut self, item: Number, after: Number, eager: bool) {
        let (state, must_observe, tops) = (self.state, self.must_observe, self.tops);
        self.stack.push(Frame { item, state, must_observe, eager, tops });
        self.flip(item);
        self.state = after;
        let Placeable { required, call_node, ret_node, bit, .. } = self.placeable[item as usize];
        let top = &mut self.tops[usize::from(!required)];
        *top = (*top).max(bit + 1);
        self.must_observe = !required;
        self.required_left -= usize::from(required);
        self.unlink(call_node);
        if ret_node != NONE {
            self.unlink(ret_node);
        }
    }

    /// Takes back the last choice and what followed from it; gives the node after it, where the search goes on.
    fn back(&mut self) -> Option<Number> {
        loop {
            let Frame { item, state, must_observe, eager, tops } = self.stack.pop()?;
            self.unchanged = self.unchanged.min(self.stack.len());
            let Placeable { required, call_node, ret_node, .. } = self.placeable[item as usize];
            if ret_node != NONE {
                self.relink(ret_node);
            }
            self.relink(call_node);
            self.required_left += usize::from(required);
            (self.must_observe, self.state, self.tops) = (must_observe, state, tops);
            self.flip(item);
            if !eager {
                return Some(self.nodes[call_node as usize].next);
            }
        }
    }

    fn unlink(&mut self, node: Number) {
        let Node { prev, next, .. } = self.nodes[node as usize];
        self.nodes[prev as usize].next = next;
        self.nodes[next as usize].prev = prev;
    }

    fn relink(&mut self, node: Number) {
        let Node { prev, next, .. } = self.nodes[node as usize];
        self.nodes[prev as usize].next = node;
        self.nodes[next as usize].prev = node;
    }

    fn flip(&mut self, item: Number) {
        let Placeable { required, bit, .. } = self.placeable[item as usize];
        let word = bit as usize / 64;
        self.bits[usize::from(!required)][word] ^= 1 << (bit % 64);
        if required {
            self.solid = self.solid.min(word);
            while self.bits[0].get(self.solid) == Some(&u64::MAX) {
                self.solid += 1;
            }
        }
    }

    /// No configuration met so far is that after placing `item`, which leaves the state `after`.
    ///
    /// Required operations are numbered by invocation, so the placed ones are a solid run with a ragged end: the run
    /// is kept as a length.
    fn is_new(&mut self, item: Number, after: Number) -> bool {
        let (tops, solid) = (self.tops, self.solid);
        let Placeable { required, bit, .. } = self.placeable[item as usize];
        self.flip(item);
        let kind = usize::from(!required);
        self.tops[kind] = self.tops[kind].max(bit + 1);
        let ends = self.tops.map(|top| (top as usize).div_ceil(64));
        let ragged = &self.bits[0][self.solid.min(ends[0])..ends[0]];
        self.key.clear();
        self.key.push(u64::from(after) << 1 | u64::from(!required));
        self.key.push((self.solid as u64) << 32 | ragged.len() as u64);
        self.key.extend_from_slice(ragged);
        self.key.extend_from_slice(&self.bits[1][..ends[1]]);
        self.flip(item);
        (self.tops, self.solid) = (tops, solid);
        self.seen.insert(&self.key)
    }
}

enum Candidate {
    Found(Number, Number),
    None,
    OutOfBudget,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::linearizable::reduce::reduce;
    use crate::model::register::{Action, Register, Value, Values};

    fn search(items: &[Item<Action>], steps: &mut u64) -> Answer {
        let (items, used) = reduce(items);
        super::search(&Register, &items, used, steps)
    }

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
        assert_eq!(search(&items, &mut 0), Answer::OutOfBudget { at: 1 });
        assert_eq!(search(&[], &mut 0), Answer::Order(vec![]));
    }
}
