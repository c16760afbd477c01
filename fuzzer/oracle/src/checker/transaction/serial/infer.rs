//! What must hold of every order, inferred: the order of writes as reads tell it, over and over until nothing follows.
//!
//! If a transaction read a key from a write, then another write of the key comes before that write or after the reader.
//! So a write that comes before the reader comes before what was read, and a write that comes after what was read
//! comes after the reader. Under snapshot isolation, of two that write a key one ends before the other begins. An order
//! that must be before itself is a contradiction.
//!
//! What read atomic and causal consistency forbid is found so (Biswas and Enea, OOPSLA 2019: their demands are the first
//! rule), and much of the rest; what is left needs a search.

use super::super::closure::{self, Closure};
use super::super::history::History;
use super::instance::{Instance, Version};
use std::collections::BTreeSet;

/// The memory that a closure may take, in words of 8 bytes.
const WORDS_MAX: u64 = 1 << 25;
/// So many arcs are inferred at most.
const ARCS_MAX: usize = 1 << 22;
/// So many words of a closure, or pairs of transactions, are a step.
const STEP: u64 = 64;
/// Among the last so many writes that a reader was put before, one is sought that makes another arc needless.
const LOOK_BACK: usize = 8;
/// From so many nodes a circle is sought, for a short one.
const TRIES: usize = 64;

/// Why a node comes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The history says so: the number of [`Instance::given`].
    Given(u32),
    /// Both wrote the key, and the first began before the second ended, under snapshot isolation.
    Overlap {
        /// Position of the key.
        key: u32,
        /// Who writes first.
        before: u32,
        /// Who writes second.
        after: u32,
    },
    /// `other` wrote the key and comes before `reader`, which read it from `writer`: so it comes before `writer`.
    Older { key: u32, other: u32, writer: u32, reader: u32 },
    /// `other` wrote the key and comes after `writer` (`None`: the first state), from which `reader` read it: so it comes
    /// after `reader`.
    Newer { key: u32, other: u32, writer: Option<u32>, reader: u32 },
}

/// What follows from an instance.
pub(super) enum Inferred {
    /// Arcs between nodes that every order keeps, and all that follows from them if there was room for it.
    Known { arcs: Vec<(u32, u32)>, closure: Option<Closure> },
    /// There is no order.
    Contradiction(Proof),
}

/// Why there is no order.
pub(super) struct Proof {
    /// Arcs with their reasons, each after those that it follows from.
    pub arcs: Vec<(u32, u32, Why)>,
    /// The last of them that are a circle, by position in `arcs`.
    pub circle: Vec<usize>,
}

impl Proof {
    /// The transactions that it speaks of, by number in the instance.
    pub fn txns(&self, instance: &Instance) -> BTreeSet<u32> {
        let mut all = BTreeSet::new();
        for (from, to, why) in &self.arcs {
            let ends = [*from, *to].into_iter().filter(|node| *node < instance.events());
            all.extend(ends.map(|node| instance.txn_of(node)));
            match *why {
                Why::Given(_) => {}
                Why::Overlap { before, after, .. } => all.extend([before, after]),
                Why::Older { other, writer, reader, .. } => all.extend([other, writer, reader]),
                Why::Newer { other, writer, reader, .. } => {
                    all.extend([other, reader].into_iter().chain(writer))
                }
            }
        }
        all
    }
}

/// Whether the closure of a whole history takes more memory than it may.
pub(super) fn is_too_long(history: &History, is_snapshot: bool) -> bool {
    let events = history.txns.len() as u32 * if is_snapshot { 2 } else { 1 };
    closure::words(events, events) > WORDS_MAX
}

/// Infers what there is to infer, in about `steps`.
pub(super) fn infer(instance: &Instance, steps: &mut u64) -> Inferred {
    let arcs: Vec<(u32, u32)> = instance.given.iter().map(|given| (given.from, given.to)).collect();
    let whys = (0..arcs.len() as u32).map(Why::Given).collect();
    Inference { instance, arcs, whys, rounds: Vec::new() }.run(steps)
}

struct Inference<'a> {
    instance: &'a Instance,
    arcs: Vec<(u32, u32)>,
    whys: Vec<Why>,
    /// How many arcs there were at the beginning of each round.
    rounds: Vec<u32>,
}

impl Inference<'_> {
    fn run(mut self, steps: &mut u64) -> Inferred {
        let (nodes, events) = (self.instance.nodes, self.instance.events());
        let words = closure::words(nodes, events);
        if words > WORDS_MAX {
            return Inferred::Known { arcs: self.arcs, closure: None };
        }
        loop {
            self.rounds.push(self.arcs.len() as u32);
            let closure = match Closure::new(nodes, events, &self.arcs) {
                Ok(closure) => closure,
                Err(stuck) => return Inferred::Contradiction(self.proof(&stuck)),
            };
            let cost = self.arcs.len() as u64 * u64::from(events.div_ceil(64)) + self.pairs();
            if *steps < cost / STEP || self.arcs.len() > ARCS_MAX {
                return Inferred::Known { arcs: self.arcs, closure: Some(closure) };
            }
            *steps -= cost / STEP;
            let before = self.arcs.len();
            (0..self.instance.keys.len()).for_each(|key| self.of_key(key, &closure));
            if self.arcs.len() == before {
                return Inferred::Known { arcs: self.arcs, closure: Some(closure) };
            }
        }
    }

    /// How many pairs a round looks at.
    fn pairs(&self) -> u64 {
        let of_key = |versions: &Vec<Version>| {
            let readers: usize = versions.iter().map(|version| version.readers.len()).sum();
            versions.len() as u64 * (versions.len() + readers) as u64
        };
        self.instance.keys.iter().map(|key| of_key(&key.versions)).sum()
    }

    fn of_key(&mut self, position: usize, closure: &Closure) {
        let instance = self.instance;
        let key = position as u32;
        let versions = &instance.keys[position].versions;
        let mut writers: Vec<u32> = versions.iter().filter_map(|version| version.writer).collect();
        writers.sort_unstable_by_key(|writer| closure.place[instance.end(*writer) as usize]);
        let mut later: Vec<u32> = Vec::new();
        for Version { writer, readers } in versions {
            later.clear();
            for other in writers.iter().copied().filter(|other| Some(*other) != *writer) {
                let begins_before = |txn: u32| closure.leads(instance.begin(txn), instance.end(other));
                if writer.is_none_or(begins_before) {
                    later.push(other);
                    continue;
                }
                let Some(writer) = *writer else { continue };
                let is_after = |reader: &&u32| {
                    **reader != other && closure.leads(instance.end(other), instance.begin(**reader))
                };
                if let Some(reader) = readers.iter().find(is_after) {
                    let why = Why::Older { key, other, writer, reader: *reader };
                    self.add(instance.end(other), instance.begin(writer), why, closure);
                }
            }
            if let Some(writer) = *writer
                && instance.is_snapshot
            {
                let before = |to: u32| (instance.end(writer), instance.begin(to));
                self.add_all(&later, closure, before, |after| Why::Overlap { key, before: writer, after });
            }
            for reader in readers.iter().copied() {
                let before = |to: u32| (instance.begin(reader), instance.end(to));
                let why = |other: u32| Why::Newer { key, other, writer: *writer, reader };
                self.add_all(&later, closure, before, why);
            }
        }
    }

    /// Arcs to all of these, in an order that agrees with the closure, but for those that follow from others.
    fn add_all(
        &mut self,
        others: &[u32],
        closure: &Closure,
        arc: impl Fn(u32) -> (u32, u32),
        why: impl Fn(u32) -> Why,
    ) {
        let start = self.arcs.len();
        for other in others {
            let (from, to) = arc(*other);
            let recent = &self.arcs[start.max(self.arcs.len().saturating_sub(LOOK_BACK))..];
            if from != to && !recent.iter().any(|(_, via)| closure.leads(*via, to)) {
                self.add(from, to, why(*other), closure);
            }
        }
    }

    fn add(&mut self, from: u32, to: u32, why: Why, closure: &Closure) {
        let is_own = self.instance.txn_of(from) == self.instance.txn_of(to);
        if !is_own && !closure.leads(from, to) {
            self.arcs.push((from, to));
            self.whys.push(why);
        }
    }

    /// A short circle among nodes that no order has a place for, and all that its arcs follow from.
    fn proof(&self, stuck: &[bool]) -> Proof {
        let nodes = self.instance.nodes;
        let is_inside = |node: u32| stuck[node as usize];
        let starts = (0..self.instance.events()).filter(|node| is_inside(*node));
        let mut circle: Vec<u32> = Vec::new();
        for start in starts.take(TRIES) {
            let found = closure::path(nodes, &self.arcs, start, start, is_inside);
            if let Some(found) = found.filter(|found| circle.is_empty() || found.len() < circle.len()) {
                circle = found;
            }
        }
        let mut needed: BTreeSet<u32> = circle.iter().copied().collect();
        let mut open = circle.clone();
        while let Some(arc) = open.pop() {
            let Some((from, to)) = self.premise(self.whys[arc as usize]) else { continue };
            // what was known when the round began in which the arc was inferred
            let round = self.rounds.partition_point(|start| *start <= arc);
            let known = &self.arcs[..self.rounds[round.saturating_sub(1)] as usize];
            let path = closure::path(nodes, known, from, to, |_| true).unwrap_or_default();
            open.extend(path.into_iter().filter(|arc| needed.insert(*arc)));
        }
        let place = |arc: u32| needed.range(..arc).count();
        Proof {
            circle: circle.iter().map(|arc| place(*arc)).collect(),
            arcs: needed
                .iter()
                .map(|arc| (self.arcs[*arc as usize].0, self.arcs[*arc as usize].1, self.whys[*arc as usize]))
                .collect(),
        }
    }

    /// The path that an inferred arc follows from.
    fn premise(&self, why: Why) -> Option<(u32, u32)> {
        let instance = self.instance;
        match why {
            Why::Given(_) | Why::Newer { writer: None, .. } => None,
            Why::Overlap { before, after, .. } => Some((instance.begin(before), instance.end(after))),
            Why::Older { other, reader, .. } => Some((instance.end(other), instance.begin(reader))),
            Why::Newer { other, writer: Some(writer), .. } => {
                Some((instance.begin(writer), instance.end(other)))
            }
        }
    }
}
