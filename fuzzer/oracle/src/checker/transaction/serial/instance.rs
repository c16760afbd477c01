//! Some transactions by themselves: their events, what is given of their order, and who read what from whom.

use super::super::graph::Kind;
use super::Held;
use super::access::Accesses;
use super::part::Part;
use crate::op::Outcome;
use std::collections::BTreeMap;

/// Up to so many transactions, each pair that real time orders has an arc of its own.
const FEW: usize = 64;

/// A question: is there an order of these events?
///
/// A transaction has one event, or under snapshot isolation two: its *begin*, where it reads, and its *end*, where it
/// writes. Transactions are numbered anew, from 0. What they read from one that is not here is left out: less is asked,
/// so what has no order here has none among more transactions either.
pub(super) struct Instance {
    /// The transactions, by number of the history, ascending.
    pub txns: Vec<u32>,
    pub is_snapshot: bool,
    /// Events, then relays: where real time makes many come before many.
    pub nodes: u32,
    pub given: Vec<Given>,
    pub keys: Vec<Key>,
}

/// A node that comes before another, as the history says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Given {
    pub from: u32,
    pub to: u32,
    pub kind: Kind,
}

/// The versions of a key, the first state in front.
pub(super) struct Key {
    /// Its number in the history.
    pub number: u32,
    pub versions: Vec<Version>,
}

/// A version and who read it; transactions are those of the instance.
pub(super) struct Version {
    /// `None`: the first state.
    pub writer: Option<u32>,
    pub readers: Vec<u32>,
}

impl Instance {
    /// The transactions of a part.
    pub fn new(accesses: &Accesses<'_>, part: &Part, held: Held, is_snapshot: bool) -> Self {
        let txns = part.txns.clone();
        let keys = keys(accesses, part);
        let mut all = Self {
            is_snapshot,
            nodes: txns.len() as u32 * if is_snapshot { 2 } else { 1 },
            given: Vec::new(),
            keys,
            txns,
        };
        for txn in 0..all.txns.len() as u32 {
            all.give(all.begin(txn), all.end(txn), Kind::Process);
        }
        let reads: Vec<(u32, u32)> = all
            .keys
            .iter()
            .flat_map(|key| &key.versions)
            .filter_map(|version| Some((version.writer?, &version.readers)))
            .flat_map(|(writer, readers)| readers.iter().map(move |reader| (writer, *reader)))
            .collect();
        for (writer, reader) in reads {
            all.give(all.end(writer), all.begin(reader), Kind::Wr);
        }
        match held {
            Held::Nothing => {}
            Held::Process => all.processes(accesses),
            Held::Realtime => all.realtime(accesses),
        }
        all
    }

    /// The event where a transaction reads.
    pub const fn begin(&self, txn: u32) -> u32 {
        if self.is_snapshot { txn * 2 } else { txn }
    }

    /// The event where it writes.
    pub const fn end(&self, txn: u32) -> u32 {
        if self.is_snapshot { txn * 2 + 1 } else { txn }
    }

    /// How many events there are; nodes from there on are relays.
    pub fn events(&self) -> u32 {
        self.txns.len() as u32 * if self.is_snapshot { 2 } else { 1 }
    }

    /// The transaction of an event.
    pub const fn txn_of(&self, event: u32) -> u32 {
        if self.is_snapshot { event / 2 } else { event }
    }

    fn give(&mut self, from: u32, to: u32, kind: Kind) {
        if from != to {
            self.given.push(Given { from, to, kind });
        }
    }

    fn processes(&mut self, accesses: &Accesses<'_>) {
        let place = |txn: &u32| {
            let txn = &accesses.history.txns[self.txns[*txn as usize] as usize];
            (txn.process, txn.invoke)
        };
        let mut order: Vec<u32> = (0..self.txns.len() as u32).collect();
        order.sort_unstable_by_key(place);
        let pairs: Vec<(u32, u32)> = order
            .windows(2)
            .filter(|pair| place(&pair[0]).0 == place(&pair[1]).0)
            .map(|pair| (pair[0], pair[1]))
            .collect();
        for (before, after) in pairs {
            self.give(self.end(before), self.begin(after), Kind::Process);
        }
    }

    fn realtime(&mut self, accesses: &Accesses<'_>) {
        let times: Vec<(u64, Option<u64>)> = self
            .txns
            .iter()
            .map(|txn| {
                let txn = &accesses.history.txns[*txn as usize];
                (txn.invoke, (txn.outcome == Outcome::Ok).then_some(txn.complete))
            })
            .collect();
        if times.len() <= FEW {
            for (before, (_, over)) in (0..).zip(&times) {
                for (after, (begun, _)) in (0..).zip(&times) {
                    if over.is_some_and(|over| over < *begun) {
                        self.give(self.end(before), self.begin(after), Kind::Realtime);
                    }
                }
            }
            return;
        }
        let mut events: Vec<(u64, bool, u32)> = Vec::new();
        for (txn, (begun, over)) in (0..).zip(&times) {
            events.push((*begun, false, txn));
            events.extend(over.map(|over| (over, true, txn)));
        }
        events.sort_unstable();
        // a chain of instants at which something was over and nothing new had begun yet
        let (mut instant, mut is_used) = (None, false);
        for (_, is_over, txn) in events {
            if !is_over {
                is_used = true;
                instant.into_iter().for_each(|instant| self.give(instant, self.begin(txn), Kind::Realtime));
                continue;
            }
            let now = match instant {
                Some(instant) if !is_used => instant,
                _ => {
                    self.nodes += 1;
                    let now = self.nodes - 1;
                    instant.into_iter().for_each(|before| self.give(before, now, Kind::Realtime));
                    now
                }
            };
            (instant, is_used) = (Some(now), false);
            self.give(self.end(txn), now, Kind::Realtime);
        }
    }
}

fn keys(accesses: &Accesses<'_>, part: &Part) -> Vec<Key> {
    let mut all: BTreeMap<u32, BTreeMap<u32, Version>> = BTreeMap::new();
    let is_of_part = |key: u32| part.keys.as_ref().is_none_or(|keys| keys.binary_search(&key).is_ok());
    for (number, txn) in (0..).zip(&part.txns) {
        for version in accesses.writes(*txn).iter().filter(|version| is_of_part(accesses.key(**version))) {
            let versions = all.entry(accesses.key(*version)).or_default();
            versions.insert(*version, Version { writer: Some(number), readers: Vec::new() });
        }
    }
    for (number, txn) in (0..).zip(&part.txns) {
        for version in accesses.reads(*txn).iter().filter(|version| is_of_part(accesses.key(**version))) {
            let key = accesses.key(*version);
            let Some(versions) = all.get_mut(&key) else { continue };
            if *version == accesses.history.keys[key as usize].initial {
                let first = || Version { writer: None, readers: Vec::new() };
                versions.entry(*version).or_insert_with(first).readers.push(number);
            } else if let Some(version) = versions.get_mut(version) {
                version.readers.push(number);
            }
        }
    }
    let key = |(number, versions): (u32, BTreeMap<u32, Version>)| {
        let mut versions: Vec<Version> = versions.into_values().collect();
        versions.sort_by_key(|version| version.writer);
        Key { number, versions }
    };
    all.into_iter().map(key).collect()
}
