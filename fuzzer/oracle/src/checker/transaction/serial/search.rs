//! The search for an order of events that explains all reads.
//!
//! It goes forward, an event at a time, and takes back what leads nowhere. What it has placed so far is a state: which
//! version each key holds follows from that as far as it matters, for a version that has yet to be read cannot be
//! overwritten. States that led nowhere are remembered, however many events there are, as long as memory lasts.
//!
//! Some events are placed as soon as they can be, without another try: the end of a transaction that has begun, and a
//! transaction whose writes come before all others of the same keys that are left, or that writes nothing. In any order
//! that has them later they can move to the front.

use super::super::closure::Closure;
use super::super::depend::{Groups, group};
use super::instance::Instance;
use crate::checker::seen::Seen;
use std::collections::BTreeSet;

/// The bytes that remembered states may take.
const STATES_BYTES_MAX: usize = 1 << 29;
/// Among so many events at the front some are sought that can be placed without another try.
const EAGER_MAX: usize = 64;
/// So many pairs of transactions whose writes are in no order are kept.
const PAIRS_MAX: usize = 1 << 23;

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// There is an order.
    Order,
    /// There is none.
    None,
    /// Steps ran out, with so many events in place at best.
    Unknown(usize),
}

/// No version.
const NOTHING: u32 = u32::MAX;

/// Looks for an order in at most `steps` attempts to place an event; `arcs` are what is known of it, and events are
/// tried in the order of `ranks`.
pub(super) fn search(
    instance: &Instance,
    arcs: &[(u32, u32)],
    closure: Option<&Closure>,
    ranks: &[(u64, u64)],
    steps: &mut u64,
) -> Answer {
    Search::new(instance, arcs, closure, ranks).run(steps)
}

struct Search<'a> {
    instance: &'a Instance,
    /// By node, how many nodes before it are not placed yet.
    waits: Vec<u32>,
    after: Groups,
    /// By transaction, the versions that it reads; versions are numbered through all keys.
    reads: Groups,
    /// By transaction, the keys that it writes, and then the versions.
    keys: Groups,
    versions: Groups,
    /// By version, its key.
    key_of: Vec<u32>,
    /// By transaction, those that write one of its keys, in no known order with it; nothing if there are too many.
    apart: Option<Groups>,
    /// By transaction, how many of those are not placed yet.
    rivals: Vec<u32>,
    rank: Vec<u32>,
    by_rank: Vec<u32>,
    /// Ranks of events that nothing keeps from being placed but the state.
    ready: BTreeSet<u32>,
    /// By key, the version that it holds; [`NOTHING`] where nobody reads the first state.
    holds: Vec<u32>,
    /// By version, how many transactions have yet to read it.
    unread: Vec<u32>,
    /// By key, whether a transaction that will write it has begun.
    writing: Vec<bool>,
    /// By rank, a bit for what is placed.
    placed: Vec<u64>,
    /// A buffer for states.
    state: Vec<u64>,
    left: usize,
}

/// A placed event: its rank, what it replaced, and whether there was a choice.
struct Move {
    rank: u32,
    replaced: Vec<u32>,
    is_eager: bool,
}

impl<'a> Search<'a> {
    fn new(
        instance: &'a Instance,
        arcs: &[(u32, u32)],
        closure: Option<&Closure>,
        ranks: &[(u64, u64)],
    ) -> Self {
        let (txns, events) = (instance.txns.len(), instance.events() as usize);
        let mut waits = vec![0; instance.nodes as usize];
        arcs.iter().for_each(|(_, to)| waits[*to as usize] += 1);
        let (mut reads, mut keys, mut written, mut unread) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut holds, mut key_of) = (vec![NOTHING; instance.keys.len()], Vec::new());
        for (key, of_key) in (0..).zip(&instance.keys) {
            for version in &of_key.versions {
                let number = unread.len() as u32;
                unread.push(version.readers.len() as u32);
                key_of.push(key);
                reads.extend(version.readers.iter().map(|reader| (*reader, number)));
                match version.writer {
                    None => holds[key as usize] = number,
                    Some(writer) => {
                        keys.push((writer, key));
                        written.push((writer, number));
                    }
                }
            }
        }
        let mut by_rank: Vec<u32> = (0..events as u32).collect();
        by_rank.sort_by_key(|event| ranks[*event as usize]);
        let mut rank = vec![0; events];
        (0..).zip(&by_rank).for_each(|(at, event)| rank[*event as usize] = at);
        let ready = by_rank.iter().filter(|event| waits[**event as usize] == 0);
        let ready = ready.map(|event| rank[*event as usize]).collect();
        let apart = closure.and_then(|closure| apart(instance, closure));
        let rivals = match &apart {
            Some(apart) => (0..txns).map(|txn| apart.of(txn).len() as u32).collect(),
            None => vec![u32::MAX; txns],
        };
        Self {
            instance,
            waits,
            after: group(instance.nodes as usize, arcs),
            reads: group(txns, &reads),
            keys: group(txns, &keys),
            versions: group(txns, &written),
            key_of,
            apart,
            rivals,
            rank,
            by_rank,
            ready,
            holds,
            unread,
            writing: vec![false; instance.keys.len()],
            placed: vec![0; events.div_ceil(64)],
            state: Vec::new(),
            left: events,
        }
    }

    fn run(&mut self, steps: &mut u64) -> Answer {
        let mut seen = Seen::new(STATES_BYTES_MAX);
        let mut path: Vec<Move> = Vec::new();
        let (mut from, mut least) = (0, self.left);
        while self.left > 0 {
            if from == 0
                && let Some(rank) = self.eager(steps)
            {
                path.push(self.place(rank, true));
                least = least.min(self.left);
                continue;
            }
            let next = self.ready.range(from..).copied().find(|rank| {
                *steps = steps.saturating_sub(1);
                self.is_possible(self.by_rank[*rank as usize])
            });
            if *steps == 0 {
                return Answer::Unknown(self.by_rank.len() - least);
            }
            if let Some(rank) = next {
                let made = self.place(rank, false);
                least = least.min(self.left);
                if seen.insert(self.state()) {
                    path.push(made);
                    from = 0;
                } else {
                    // what is placed was placed before in another order, and led nowhere
                    self.take_back(&made);
                    from = rank + 1;
                }
                continue;
            }
            loop {
                let Some(made) = path.pop() else { return Answer::None };
                self.take_back(&made);
                if !made.is_eager {
                    from = made.rank + 1;
                    break;
                }
            }
        }
        Answer::Order
    }

    /// The words that tell what is placed: those that are full are counted, those that are empty left out.
    fn state(&mut self) -> &[u64] {
        let full = self.placed.iter().take_while(|word| **word == u64::MAX).count();
        let empty = self.placed[full..].iter().rev().take_while(|word| **word == 0).count();
        self.state.clear();
        self.state.push(full as u64);
        self.state.extend_from_slice(&self.placed[full..self.placed.len() - empty]);
        &self.state
    }

    /// An event that can be placed without another try.
    fn eager(&self, steps: &mut u64) -> Option<u32> {
        let is_eager = |rank: &u32| {
            let event = self.by_rank[*rank as usize];
            let txn = self.instance.txn_of(event) as usize;
            let is_end = self.instance.is_snapshot && event % 2 == 1;
            if !(is_end || self.rivals[txn] == 0 || self.keys.of(txn).is_empty()) {
                return false;
            }
            *steps = steps.saturating_sub(1);
            self.is_possible(event)
        };
        self.ready.iter().take(EAGER_MAX).copied().find(is_eager)
    }

    fn is_read(&self, event: u32) -> bool {
        !self.instance.is_snapshot || event.is_multiple_of(2)
    }

    fn is_write(&self, event: u32) -> bool {
        !self.instance.is_snapshot || event % 2 == 1
    }

    fn is_possible(&self, event: u32) -> bool {
        let txn = self.instance.txn_of(event) as usize;
        let (is_read, is_write) = (self.is_read(event), self.is_write(event));
        let holds = |version: u32| self.holds[self.key_of[version as usize] as usize] == version;
        let is_read_now = || self.reads.of(txn).iter().all(|version| holds(*version));
        let is_free = || self.keys.of(txn).iter().all(|key| !self.writing[*key as usize]);
        let is_done = |key: &u32| match self.holds[*key as usize] {
            NOTHING => true,
            now => {
                let own = is_read && self.reads.of(txn).binary_search(&now).is_ok();
                self.unread[now as usize] == u32::from(own)
            }
        };
        (!is_read || is_read_now())
            && (!is_read || is_write || is_free())
            && (!is_write || self.keys.of(txn).iter().all(is_done))
    }

    fn place(&mut self, rank: u32, is_eager: bool) -> Move {
        let event = self.by_rank[rank as usize];
        let txn = self.instance.txn_of(event) as usize;
        let (is_read, is_write) = (self.is_read(event), self.is_write(event));
        let mut replaced = Vec::new();
        if is_read {
            self.reads.of(txn).iter().for_each(|version| self.unread[*version as usize] -= 1);
        }
        if is_read && !is_write {
            self.keys.of(txn).iter().for_each(|key| self.writing[*key as usize] = true);
        }
        if is_write {
            for (key, version) in self.keys.of(txn).iter().zip(self.versions.of(txn)) {
                replaced.push(std::mem::replace(&mut self.holds[*key as usize], *version));
                self.writing[*key as usize] = false;
            }
            let others = self.apart.iter().flat_map(|apart| apart.of(txn));
            others.for_each(|other| self.rivals[*other as usize] -= 1);
        }
        self.placed[rank as usize / 64] |= 1 << (rank % 64);
        self.ready.remove(&rank);
        self.left -= 1;
        self.release(event);
        Move { rank, replaced, is_eager }
    }

    fn take_back(&mut self, made: &Move) {
        let event = self.by_rank[made.rank as usize];
        let txn = self.instance.txn_of(event) as usize;
        let (is_read, is_write) = (self.is_read(event), self.is_write(event));
        if is_write {
            for (key, before) in self.keys.of(txn).iter().zip(&made.replaced) {
                self.holds[*key as usize] = *before;
                self.writing[*key as usize] = !is_read;
            }
            let others = self.apart.iter().flat_map(|apart| apart.of(txn));
            others.for_each(|other| self.rivals[*other as usize] += 1);
        }
        if is_read && !is_write {
            self.keys.of(txn).iter().for_each(|key| self.writing[*key as usize] = false);
        }
        if is_read {
            self.reads.of(txn).iter().for_each(|version| self.unread[*version as usize] += 1);
        }
        self.placed[made.rank as usize / 64] &= !(1 << (made.rank % 64));
        self.hold(event);
        self.ready.insert(made.rank);
        self.left += 1;
    }

    /// What waited for this node alone is ready, and what waited for a relay that is.
    fn release(&mut self, node: u32) {
        let mut open = vec![node];
        while let Some(node) = open.pop() {
            for next in self.after.of(node as usize) {
                let waits = &mut self.waits[*next as usize];
                *waits -= 1;
                if *waits == 0 {
                    match self.rank.get(*next as usize) {
                        Some(rank) => _ = self.ready.insert(*rank),
                        None => open.push(*next),
                    }
                }
            }
        }
    }

    fn hold(&mut self, node: u32) {
        let mut open = vec![node];
        while let Some(node) = open.pop() {
            for next in self.after.of(node as usize) {
                let waits = &mut self.waits[*next as usize];
                *waits += 1;
                if *waits == 1 {
                    match self.rank.get(*next as usize) {
                        Some(rank) => _ = self.ready.remove(rank),
                        None => open.push(*next),
                    }
                }
            }
        }
    }
}

/// By transaction, those that write one of its keys without being in a known order with it.
fn apart(instance: &Instance, closure: &Closure) -> Option<Groups> {
    let mut pairs: Vec<(u32, u32)> = Vec::new();
    for key in &instance.keys {
        let writers: Vec<u32> = key.versions.iter().filter_map(|version| version.writer).collect();
        for a in &writers {
            let is_before = |a: u32, b: u32| closure.leads(instance.end(a), instance.begin(b));
            let others = writers.iter().filter(|b| a != *b && !is_before(*a, **b) && !is_before(**b, *a));
            pairs.extend(others.map(|b| (*a, *b)));
            if pairs.len() > PAIRS_MAX {
                return None;
            }
        }
    }
    pairs.sort_unstable();
    pairs.dedup();
    Some(group(instance.txns.len(), &pairs))
}
