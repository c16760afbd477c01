//! Sequential consistency: all operations took effect one after the other, those of each process in the order in which
//! it asked for them (Lamport, "How to make a multiprocessor computer that correctly executes multiprocess programs",
//! IEEE Transactions on Computers C-28, 1979). Real time between processes does not count.
//!
//! It is not local: keys that are in order one by one need not be so together, so all are searched at once. To decide
//! it is NP-complete even for registers whose writes all leave different values (Gibbons and Korach, "Testing shared
//! memories", 1997). The search places the next operation of some process, and remembers where each process stood and
//! what that left; an operation that only answers is placed at once, for nothing before it needs it. An optional
//! operation is placed or passed over.

use super::search::Item;
use crate::checker::seen::Seen;
use crate::model::Model;
use crate::model::intern::Interner;

/// The oracle's name.
pub const NAME: &str = "sequential-consistency";

const CACHE_BYTES_MAX: usize = 1 << 29;

/// What the search found. Numbers are positions in the given items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An order of all items that have a completion, and of such others as it needed.
    Order(Vec<usize>),
    /// There is none.
    Impossible {
        /// The longest order that the search met.
        order: Vec<usize>,
    },
    /// The budget ran out first.
    OutOfBudget {
        /// The longest order that the search met.
        order: Vec<usize>,
    },
}

/// Looks for an order of `items`, given in the order of invocation with the process of each, that respects the order
/// within each process and `model`. Each attempt to place a change takes one of `steps`.
#[must_use]
pub fn search<M: Model>(model: &M, items: &[Item<M::Action>], processes: &[u64], steps: &mut u64) -> Answer {
    let mut numbers: Interner<u64> = Interner::default();
    let mut queues: Vec<Vec<usize>> = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let process = numbers.number(processes[i]) as usize;
        queues.resize_with(queues.len().max(process + 1), Vec::new);
        if item.ret.is_some() || !model.is_pure(&item.action) {
            queues[process].push(i);
        }
    }
    let required_left = items.iter().filter(|item| item.ret.is_some()).count();
    let mut states = Interner::default();
    let state = states.number(model.init());
    let search = Search {
        model,
        items,
        heads: vec![0; queues.len()],
        queues,
        required_left,
        states,
        state,
        stack: Vec::new(),
        seen: Seen::new(CACHE_BYTES_MAX),
        longest: Vec::new(),
        unchanged: 0,
    };
    search.run(steps)
}

struct Frame {
    item: usize,
    process: usize,
    head: u32,
    state: u32,
    /// Where the search goes on when this is taken back; nowhere if there was no choice.
    next: Option<(usize, u32)>,
}

struct Search<'a, M: Model> {
    model: &'a M,
    items: &'a [Item<M::Action>],
    /// The operations of each process.
    queues: Vec<Vec<usize>>,
    /// How many of them are behind.
    heads: Vec<u32>,
    required_left: usize,
    states: Interner<M::State>,
    state: u32,
    stack: Vec<Frame>,
    seen: Seen,
    longest: Vec<usize>,
    /// The stack has not been below this since `longest` was noted.
    unchanged: usize,
}

impl<M: Model> Search<'_, M> {
    fn run(mut self, steps: &mut u64) -> Answer {
        let mut from = (0, 0);
        loop {
            while let Some(process) = self.eager() {
                self.place(process, self.heads[process], self.state, None);
                from = (0, 0);
            }
            if self.required_left == 0 {
                return Answer::Order(self.placed());
            }
            match self.candidate(from, steps) {
                Ok(Some((process, at, state))) => {
                    self.place(process, at, state, Some((process, at + 1)));
                    from = (0, 0);
                }
                Ok(None) => {
                    self.note();
                    match self.back() {
                        Some(next) => from = next,
                        None => return Answer::Impossible { order: self.longest },
                    }
                }
                Err(OutOfBudget) => {
                    self.note();
                    return Answer::OutOfBudget { order: self.longest };
                }
            }
        }
    }

    fn placed(&self) -> Vec<usize> {
        self.stack.iter().map(|frame| frame.item).collect()
    }

    /// Keeps the order if it is longer than all before.
    fn note(&mut self) {
        if self.stack.len() > self.longest.len() {
            self.longest.truncate(self.unchanged);
            self.longest.extend(self.stack[self.longest.len()..].iter().map(|frame| frame.item));
            self.unchanged = self.stack.len();
        }
    }

    /// A process whose next operation only answers, and fits.
    fn eager(&self) -> Option<usize> {
        let state = self.states.item(self.state);
        (0..self.queues.len()).find(|process| {
            self.queues[*process].get(self.heads[*process] as usize).is_some_and(|i| {
                let action = &self.items[*i].action;
                self.model.is_pure(action) && self.model.fits(state, action)
            })
        })
    }

    /// The first operation from `from` (a process, and a place in its queue) on that leads somewhere new.
    fn candidate(
        &mut self,
        from: (usize, u32),
        steps: &mut u64,
    ) -> Result<Option<(usize, u32, u32)>, OutOfBudget> {
        for process in from.0..self.queues.len() {
            let head = self.heads[process];
            for at in head..self.queues[process].len() as u32 {
                // what is passed over must be optional
                let skips = at.checked_sub(1).filter(|before| *before >= head);
                if skips.is_some_and(|before| self.items[self.queues[process][before as usize]].ret.is_some())
                {
                    break;
                }
                let item = &self.items[self.queues[process][at as usize]];
                if (process, at) < from {
                    continue;
                }
                let Some(after) = self.model.step(self.states.item(self.state), &item.action) else {
                    continue;
                };
                if *steps == 0 {
                    return Err(OutOfBudget);
                }
                *steps -= 1;
                let after = self.states.number(after);
                if self.is_new(process, at, after) {
                    return Ok(Some((process, at, after)));
                }
            }
        }
        Ok(None)
    }

    fn is_new(&mut self, process: usize, at: u32, after: u32) -> bool {
        let before = std::mem::replace(&mut self.heads[process], at + 1);
        let word = |pair: &[u32]| pair.iter().fold(0, |word, head| word << 32 | u64::from(*head));
        let mut key = vec![u64::from(after)];
        key.extend(self.heads.chunks(2).map(word));
        self.heads[process] = before;
        self.seen.insert(&key)
    }

    fn place(&mut self, process: usize, at: u32, after: u32, next: Option<(usize, u32)>) {
        let item = self.queues[process][at as usize];
        self.stack.push(Frame { item, process, head: self.heads[process], state: self.state, next });
        self.required_left -= usize::from(self.items[item].ret.is_some());
        self.heads[process] = at + 1;
        self.state = after;
    }

    /// Takes back the last choice and what followed from it; gives where the search goes on.
    fn back(&mut self) -> Option<(usize, u32)> {
        loop {
            let Frame { item, process, head, state, next } = self.stack.pop()?;
            self.unchanged = self.unchanged.min(self.stack.len());
            self.required_left += usize::from(self.items[item].ret.is_some());
            (self.heads[process], self.state) = (head, state);
            if next.is_some() {
                return next;
            }
        }
    }
}

struct OutOfBudget;
