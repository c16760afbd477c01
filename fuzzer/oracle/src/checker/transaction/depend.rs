//! Which transaction depends on which: from the order of versions to a [`Graph`].
//!
//! Adya's direct dependencies: *ww* to who wrote the next version, *wr* to who read a version, *rw* to who wrote the next
//! version after one that was read. Besides, the order of each process, and the order of real time.

use super::graph::{Arc, Graph, Kind};
use super::history::{Action, History, NONE, STRAY};
use crate::op::Outcome;

/// More transactions than this that read a version and overwrite it are linked in a ring, not each with each.
const RIVALS_MAX: usize = 64;

/// What is known of the order of versions.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// Pairs of versions: the second comes after the first, and no version that counts is known to be between them.
    pub next: Vec<(u32, u32)>,
    /// Pairs that tell who missed a version, but not who wrote after whom.
    pub missed: Vec<(u32, u32)>,
    /// A version, and a transaction that saw it and nothing newer of its key.
    pub reads: Vec<(u32, u32)>,
    /// Writer, reader.
    pub wr: Vec<(u32, u32)>,
}

/// The order of elements in lists: as the longest reads show it. What no read shows comes after.
///
/// Elements of transactions that failed, and elements that nobody appended, have no place in the order; who saw one of
/// them at the end of a list saw the element before it.
pub(super) fn of_lists(history: &History) -> Order {
    let mut order = Order::default();
    // By version, the newest version that counts of a list which ends with it.
    let mut effective: Vec<u32> = vec![NONE; history.versions.len()];
    let mut newest: Vec<u32> = Vec::with_capacity(history.keys.len());
    for key in &history.keys {
        let mut last = key.initial;
        effective[last as usize] = last;
        for version in &key.trunk[..key.trusted as usize] {
            if history.effective_writer(*version).is_some() {
                order.next.push((last, *version));
                last = *version;
            }
            effective[*version as usize] = last;
        }
        newest.push(last);
    }
    for (number, version) in (0..).zip(&history.versions) {
        let is_placed = effective[number as usize] != NONE;
        if !is_placed && history.effective_writer(number).is_some() {
            order.next.push((newest[version.key as usize], number));
        }
    }
    for txn in history.acknowledged() {
        for mop in history.mops_of(txn).iter().filter(|mop| mop.action == Action::Read) {
            let is_trusted = mop.list & STRAY == 0 && mop.list <= history.keys[mop.key as usize].trusted;
            let last = if is_trusted {
                Some(effective[mop.version as usize])
            } else {
                history.list(mop).iter().rev().find(|v| history.effective_writer(**v).is_some()).copied()
            };
            let Some(last) = last else { continue };
            let writer = history.effective_writer(last);
            if writer == Some(txn) {
                continue;
            }
            order.wr.extend(writer.map(|writer| (writer, txn)));
            if is_trusted {
                order.reads.push((last, txn));
            }
        }
    }
    order
}

/// The whole graph: data, processes, and real time if indices mean it.
pub(super) fn graph(history: &History, order: &Order, is_realtime: bool) -> Graph {
    let txns = history.txns.len() as u32;
    let mut builder = Builder { arcs: Vec::new(), txns, nodes: txns };
    builder.arcs.extend(order.wr.iter().map(|(from, to)| Arc { from: *from, to: *to, kind: Kind::Wr }));
    builder.overwrites(history, order);
    builder.processes(history);
    if is_realtime {
        builder.realtime(history);
    }
    Graph::new(builder.nodes, txns, &builder.arcs)
}

/// The transactions that took effect, each process by itself and in its order.
pub(super) fn sessions(history: &History) -> Vec<Vec<u32>> {
    let mut all: Vec<u32> =
        (0..history.txns.len() as u32).filter(|txn| history.counts[*txn as usize]).collect();
    let place = |txn: &u32| (history.txns[*txn as usize].process, history.txns[*txn as usize].invoke);
    all.sort_unstable_by_key(place);
    all.chunk_by(|a, b| place(a).0 == place(b).0).map(<[u32]>::to_vec).collect()
}

struct Builder {
    arcs: Vec<Arc>,
    txns: u32,
    nodes: u32,
}

impl Builder {
    fn arc(&mut self, from: u32, to: u32, kind: Kind) {
        if from != to {
            self.arcs.push(Arc { from, to, kind });
        }
    }

    fn relay(&mut self) -> u32 {
        self.nodes += 1;
        self.nodes - 1
    }

    fn overwrites(&mut self, history: &History, order: &Order) {
        let next = group(history.versions.len(), &order.next);
        let missed = group(history.versions.len(), &order.missed);
        let reads = group(history.versions.len(), &order.reads);
        let (mut writers, mut readers) = (Vec::new(), Vec::new());
        for version in 0..history.versions.len() {
            let writer_of = |version: &u32| history.effective_writer(*version);
            writers.clear();
            writers.extend(next.of(version).iter().filter_map(writer_of));
            sort_dedup(&mut writers);
            if let Some(writer) = history.effective_writer(version as u32) {
                for after in &writers {
                    self.arc(writer, *after, Kind::Ww);
                }
            }
            writers.extend(missed.of(version).iter().filter_map(writer_of));
            if writers.is_empty() {
                continue;
            }
            sort_dedup(&mut writers);
            readers.clear();
            readers.extend_from_slice(reads.of(version));
            sort_dedup(&mut readers);
            self.anti(&mut readers, &writers);
        }
    }

    /// rw from each reader to each writer. Both are ascending.
    fn anti(&mut self, readers: &mut Vec<u32>, writers: &[u32]) {
        if readers.len() * writers.len() <= 2 * (readers.len() + writers.len()) {
            for reader in readers.iter() {
                for writer in writers.iter() {
                    self.arc(*reader, *writer, Kind::Rw);
                }
            }
            return;
        }
        // Who does both must not reach itself through a relay.
        let rivals: Vec<u32> =
            readers.iter().filter(|txn| writers.binary_search(txn).is_ok()).copied().collect();
        if !rivals.is_empty() {
            for (at, rival) in rivals.iter().enumerate() {
                let others = if rivals.len() <= RIVALS_MAX { rivals.len() } else { 2 };
                for other in 1..others {
                    self.arc(*rival, rivals[(at + other) % rivals.len()], Kind::Rw);
                }
            }
            let is_rival = |txn: &u32| rivals.binary_search(txn).is_ok();
            let (from_rivals, to_others) = (&rivals, writers.iter().filter(|txn| !is_rival(txn)));
            self.relayed(from_rivals.iter(), to_others, Kind::Rw);
            readers.retain(|txn| !is_rival(txn));
        }
        self.relayed(readers.iter(), writers.iter(), Kind::Rw);
    }

    fn relayed<'a>(
        &mut self,
        from: impl ExactSizeIterator<Item = &'a u32>,
        to: impl Iterator<Item = &'a u32>,
        kind: Kind,
    ) {
        let mut to = to.peekable();
        if from.len() == 0 || to.peek().is_none() {
            return;
        }
        let relay = self.relay();
        from.for_each(|from| self.arc(*from, relay, kind));
        to.for_each(|to| self.arc(relay, *to, kind));
    }

    fn processes(&mut self, history: &History) {
        for session in sessions(history) {
            for pair in session.windows(2) {
                self.arc(pair[0], pair[1], Kind::Process);
            }
        }
    }

    /// A chain of relays: the instants at which something was over and something new had not begun yet. Linear.
    fn realtime(&mut self, history: &History) {
        let mut events: Vec<(u64, u32)> = Vec::new();
        for (number, txn) in (0..self.txns).zip(&history.txns) {
            if history.counts[number as usize] {
                events.push((txn.invoke, number));
                if txn.outcome == Outcome::Ok {
                    events.push((txn.complete, number));
                }
            }
        }
        events.sort_unstable();
        let (mut instant, mut is_used) = (None, false);
        for (index, txn) in events {
            if history.txns[txn as usize].invoke == index {
                is_used = true;
                instant.into_iter().for_each(|instant| self.arc(instant, txn, Kind::Realtime));
                continue;
            }
            let now = match instant {
                Some(instant) if !is_used => instant,
                _ => {
                    let now = self.relay();
                    instant.into_iter().for_each(|before| self.arc(before, now, Kind::Realtime));
                    now
                }
            };
            (instant, is_used) = (Some(now), false);
            self.arc(txn, now, Kind::Realtime);
        }
    }
}

/// Numbers by number, side by side.
pub(super) struct Groups {
    starts: Vec<u32>,
    members: Vec<u32>,
}

impl Groups {
    /// Those of one.
    pub fn of(&self, group: usize) -> &[u32] {
        &self.members[self.starts[group] as usize..self.starts[group + 1] as usize]
    }
}

/// Groups second numbers by first ones, which are below `groups`; the order within a group stays. Linear.
pub(super) fn group(groups: usize, pairs: &[(u32, u32)]) -> Groups {
    let mut starts = vec![0_u32; groups + 1];
    for (group, _) in pairs {
        starts[*group as usize + 1] += 1;
    }
    for at in 0..groups {
        starts[at + 1] += starts[at];
    }
    let mut next = starts.clone();
    let mut members = vec![0; pairs.len()];
    for (group, member) in pairs {
        let at = &mut next[*group as usize];
        members[*at as usize] = *member;
        *at += 1;
    }
    Groups { starts, members }
}

fn sort_dedup(numbers: &mut Vec<u32>) {
    if numbers.len() > 1 {
        numbers.sort_unstable();
        numbers.dedup();
    }
}
