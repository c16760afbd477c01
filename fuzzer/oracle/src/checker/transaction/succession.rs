//! The order of a register's versions, as far as it can be told, from where Elle takes it.
//!
//! A register does not show what it held before. What is known: its first state comes before all others; a transaction
//! that read a version and then wrote the register made a newer one; and if the user vouches for it, each register by
//! itself follows the order of processes, or real time. An order that would make a version older than itself is left
//! out for that register.

use super::depend::{self, Order};
use super::graph::{Arc, Components, Graph, Kind, Kinds};
use super::history::{Action, History, Mop};
use super::touched::Touched;
use crate::op::Outcome;
use std::collections::BTreeMap;

/// Why a version is newer than another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// A transaction read or wrote the first, then wrote the second.
    Within,
    /// A process had to do with the first, then with the second.
    Process,
    /// A transaction that had to do with the first was over before one that had to do with the second began.
    Realtime,
}

/// A pair of versions of a register, the second newer than the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Newer {
    /// The older one.
    pub from: u32,
    /// The newer one.
    pub to: u32,
    /// Why.
    pub source: Source,
    /// The transaction that had to do with the older one.
    pub before: u32,
    /// The transaction that had to do with the newer one.
    pub after: u32,
}

/// What the user vouches for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vouched {
    /// Within a transaction, what it writes is newer than what it read.
    pub writes_follow_reads: bool,
    /// Each register follows the order of each process.
    pub sequential: bool,
    /// Each register follows real time.
    pub linearizable: bool,
}

/// What is known of all registers.
#[derive(Debug)]
pub(super) struct Succession {
    /// Pairs, ascending; those with a first state are not among them.
    pub newer: Vec<Newer>,
    /// For each register whose order went in a circle, pairs that show it.
    pub circles: Vec<Vec<Newer>>,
}

impl Succession {
    /// Linear in the history, but for sorts; real time costs as many pairs as transactions overlap on a register.
    pub fn new(history: &History, vouched: Vouched) -> Self {
        let mut all = Self { newer: Vec::new(), circles: Vec::new() };
        all.add(history, within(history, vouched.writes_follow_reads));
        if vouched.sequential {
            all.add(history, by_process(history));
        }
        if vouched.linearizable {
            all.add(history, by_realtime(history));
        }
        all.newer.sort_unstable();
        all.newer.dedup_by_key(|pair| (pair.from, pair.to));
        all
    }

    /// Adds pairs, except to registers that would have a circle then.
    fn add(&mut self, history: &History, pairs: Vec<Newer>) {
        let old = self.newer.len();
        self.newer.extend(pairs);
        let arcs = self.newer.iter().map(|pair| Arc { from: pair.from, to: pair.to, kind: Kind::Ww });
        let versions = history.versions.len() as u32;
        let graph = Graph::new(versions, versions, &arcs.collect::<Vec<_>>());
        let components = Components::new(&graph, Kinds::of(&[Kind::Ww]));
        if components.count == versions {
            return;
        }
        let key = |version: u32| history.versions[version as usize].key;
        let is_circular = |pair: &Newer| components.of[pair.from as usize] == components.of[pair.to as usize];
        let mut circles: BTreeMap<u32, Vec<Newer>> = BTreeMap::new();
        for pair in self.newer.iter().filter(|pair| is_circular(pair)) {
            circles.entry(key(pair.from)).or_default().push(*pair);
        }
        let mut at = 0;
        self.newer.retain(|pair| {
            at += 1;
            at <= old || !circles.contains_key(&key(pair.from))
        });
        // What transactions read and wrote goes in a circle only if wr does: that is G1c, and found as such.
        circles.retain(|_, pairs| pairs.iter().any(|pair| pair.source != Source::Within));
        self.circles.extend(circles.into_values());
    }

    /// The order that dependencies are made of.
    pub fn order(&self, history: &History) -> Order {
        let mut order = Order::default();
        for (number, version) in (0..).zip(&history.versions) {
            let initial = history.keys[version.key as usize].initial;
            if number != initial && history.effective_writer(number).is_some() {
                order.next.push((initial, number));
            }
        }
        for pair in &self.newer {
            // ww is wr here anyway, for who wrote the newer version read the older one.
            let list = if pair.source == Source::Within { &mut order.missed } else { &mut order.next };
            list.push((pair.from, pair.to));
        }
        for txn in history.acknowledged() {
            for mop in history.mops_of(txn).iter().filter(|mop| mop.action == Action::Read) {
                match history.effective_writer(mop.version) {
                    Some(writer) if writer == txn => {}
                    Some(writer) => {
                        order.wr.push((writer, txn));
                        order.reads.push((mop.version, txn));
                    }
                    None if mop.version == history.keys[mop.key as usize].initial => {
                        order.reads.push((mop.version, txn));
                    }
                    None => {}
                }
            }
        }
        order
    }

    /// For each register of which it is not known in what order all its versions came, two that may be either way round.
    pub fn unordered(&self, history: &History) -> Vec<(u32, u32)> {
        let mut versions: Vec<(u32, u32)> = (0..)
            .zip(&history.versions)
            .filter(|(number, version)| {
                *number != history.keys[version.key as usize].initial
                    && history.effective_writer(*number).is_some()
            })
            .map(|(number, version)| (version.key, number))
            .collect();
        versions.sort_unstable();
        let mut older = vec![0_u32; history.versions.len()];
        self.newer.iter().for_each(|pair| older[pair.to as usize] += 1);
        let of = |version: u32| {
            let at = self.newer.partition_point(|pair| pair.from < version);
            self.newer[at..].iter().take_while(move |pair| pair.from == version)
        };
        let mut unordered = Vec::new();
        for key in versions.chunk_by(|a, b| a.0 == b.0) {
            // the order is known if at each step one version only can be the next
            let mut next: Vec<u32> = key
                .iter()
                .map(|(_, version)| *version)
                .filter(|version| older[*version as usize] == 0)
                .collect();
            while let [version] = next[..] {
                next.clear();
                for pair in of(version) {
                    older[pair.to as usize] -= 1;
                    if older[pair.to as usize] == 0 {
                        next.push(pair.to);
                    }
                }
            }
            if let [first, second, ..] = next[..] {
                unordered.push((first, second));
            }
        }
        unordered
    }

    /// The pairs from one version to another.
    pub fn why(&self, from: u32, to: u32) -> Option<&Newer> {
        let at = self.newer.partition_point(|pair| (pair.from, pair.to) < (from, to));
        self.newer.get(at).filter(|pair| (pair.from, pair.to) == (from, to))
    }
}

/// Within a transaction each write is newer than what the transaction read or wrote of the register before.
fn within(history: &History, follows_reads: bool) -> Vec<Newer> {
    let mut pairs = Vec::new();
    for txn in (0..history.txns.len() as u32).filter(|txn| history.counts[*txn as usize]) {
        let mut latest: Touched<&Mop> = Touched::default();
        for mop in history.mops_of(txn) {
            let before = latest.put(mop.key, mop).filter(|_| mop.action == Action::Write);
            let is_known = |other: &&Mop| {
                let initial = history.keys[other.key as usize].initial;
                let is_read = other.action == Action::Read && follows_reads;
                (is_read || other.action == Action::Write)
                    && !matches!(other.version, v if v == initial || v == mop.version)
            };
            if let Some(older) = before.filter(is_known) {
                let (from, to) = (older.version, mop.version);
                pairs.push(Newer { from, to, source: Source::Within, before: txn, after: txn });
            }
        }
    }
    pairs
}

/// What a transaction had to do with a register: its first version, and its last.
struct Touch {
    key: u32,
    txn: u32,
    first: u32,
    last: u32,
}

fn touches(history: &History, txn: u32) -> impl Iterator<Item = Touch> {
    let mut touches: Vec<Touch> = Vec::new();
    let mut places: Touched<usize> = Touched::default();
    for mop in history.mops_of(txn).iter().filter(|mop| mop.action != Action::Unanswered) {
        let (key, version) = (mop.key, mop.version);
        match places.get_mut(key) {
            Some(place) if mop.action == Action::Write => touches[*place].last = version,
            Some(_) => {}
            None => {
                places.put(key, touches.len());
                touches.push(Touch { key, txn, first: version, last: version });
            }
        }
    }
    touches.into_iter()
}

fn by_process(history: &History) -> Vec<Newer> {
    let mut pairs = Vec::new();
    for session in depend::sessions(history) {
        let mut latest: BTreeMap<u32, Touch> = BTreeMap::new();
        for txn in session {
            for touch in touches(history, txn) {
                if let Some(older) = latest.get(&touch.key) {
                    push(history, &mut pairs, older, &touch, Source::Process);
                }
                latest.insert(touch.key, touch);
            }
        }
    }
    pairs
}

fn by_realtime(history: &History) -> Vec<Newer> {
    let mut all: Vec<Touch> = Vec::new();
    for txn in (0..history.txns.len() as u32).filter(|txn| history.counts[*txn as usize]) {
        all.extend(touches(history, txn));
    }
    all.sort_unstable_by_key(|touch| touch.key);
    let mut pairs = Vec::new();
    for touches in all.chunk_by(|a, b| a.key == b.key) {
        let txn = |touch: &Touch| &history.txns[touch.txn as usize];
        let mut events: Vec<(u64, bool, &Touch)> = Vec::new();
        for touch in touches {
            events.push((txn(touch).invoke, false, touch));
            if txn(touch).outcome == Outcome::Ok {
                events.push((txn(touch).complete, true, touch));
            }
        }
        events.sort_unstable_by_key(|(index, ..)| *index);
        // Those that are over, but for those that were over before another one of them began.
        let mut over: Vec<&Touch> = Vec::new();
        for (_, is_end, touch) in events {
            if is_end {
                over.retain(|older| txn(older).complete > txn(touch).invoke);
                over.push(touch);
            } else {
                over.iter().for_each(|older| push(history, &mut pairs, older, touch, Source::Realtime));
            }
        }
    }
    pairs
}

/// The last version of one is older than the first of the other. A first state is old anyway, but not new.
fn push(history: &History, pairs: &mut Vec<Newer>, older: &Touch, newer: &Touch, source: Source) {
    let (from, to) = (older.last, newer.first);
    if from != to && from != history.keys[older.key as usize].initial {
        pairs.push(Newer { from, to, source, before: older.txn, after: newer.txn });
    }
}
