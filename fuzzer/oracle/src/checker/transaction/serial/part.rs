//! Parts of a history that can be ordered each by itself.
//!
//! Processes whose order counts, or else single transactions, are *units*. Units and the keys that they have to do with
//! are a graph. Where it falls apart, or hangs together by a single unit, the orders of its parts are one order: they
//! agree on that unit, whose transactions are in a line (Biswas and Enea, OOPSLA 2019, theorem 5.2, with units that share
//! a key for their communication graph). Real time ties everything to everything.

use super::Held;
use super::access::{Accesses, all};
use std::collections::BTreeMap;

/// Transactions, and the keys that count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// By number, ascending.
    pub txns: Vec<u32>,
    /// By number, ascending; all without them.
    pub keys: Option<Vec<u32>>,
}

/// The parts of a history, the one with the earliest transaction first.
pub(super) fn parts(accesses: &Accesses<'_>, held: Held) -> Vec<Part> {
    let txns: Vec<u32> = all(accesses.history).collect();
    if held == Held::Realtime {
        return vec![Part { txns, keys: None }];
    }
    let unit_of = |txn: u32| match held {
        Held::Process => accesses.history.txns[txn as usize].process,
        _ => u64::from(txn),
    };
    // units first, then keys
    let mut units: BTreeMap<u64, u32> = BTreeMap::new();
    let mut edges: Vec<(u32, u32)> = Vec::new();
    for txn in &txns {
        let next = units.len() as u32;
        let unit = *units.entry(unit_of(*txn)).or_insert(next);
        edges.extend(accesses.keys(*txn).map(|key| (unit, key)));
    }
    edges.sort_unstable();
    edges.dedup();
    let keys = accesses.history.keys.len();
    let mut together = Together::new(keys);
    Blocks::new(units.len(), keys, &edges).each(|keys| {
        keys.windows(2).for_each(|pair| together.join(pair[0], pair[1]));
    });
    let mut parts: BTreeMap<u32, Part> = BTreeMap::new();
    let part = || Part { txns: Vec::new(), keys: Some(Vec::new()) };
    for key in 0..keys as u32 {
        parts.entry(together.root(key)).or_insert_with(part).keys.get_or_insert_default().push(key);
    }
    for txn in &txns {
        for key in accesses.keys(*txn) {
            let txns = &mut parts.entry(together.root(key)).or_insert_with(part).txns;
            if txns.last() != Some(txn) {
                txns.push(*txn);
            }
        }
    }
    let mut parts: Vec<Part> = parts.into_values().filter(|part| part.txns.len() > 1).collect();
    parts.sort_by_key(|part| part.txns[0]);
    parts
}

/// Sets of keys, joined two at a time.
struct Together(Vec<u32>);

impl Together {
    fn new(count: usize) -> Self {
        Self((0..count as u32).collect())
    }

    fn root(&mut self, mut key: u32) -> u32 {
        while self.0[key as usize] != key {
            let above = self.0[self.0[key as usize] as usize];
            self.0[key as usize] = above;
            key = above;
        }
        key
    }

    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b) as usize] = a.min(b);
    }
}

/// The biconnected parts of a graph of units and keys (Hopcroft and Tarjan, 1973), without recursion.
struct Blocks {
    units: u32,
    starts: Vec<u32>,
    targets: Vec<u32>,
}

impl Blocks {
    fn new(units: usize, keys: usize, edges: &[(u32, u32)]) -> Self {
        let units = units as u32;
        let both = edges.iter().flat_map(|(unit, key)| [(*unit, key + units), (key + units, *unit)]);
        let mut both: Vec<(u32, u32)> = both.collect();
        both.sort_unstable();
        let nodes = units as usize + keys;
        let mut starts = vec![0_u32; nodes + 1];
        both.iter().for_each(|(from, _)| starts[*from as usize + 1] += 1);
        (0..nodes).for_each(|node| starts[node + 1] += starts[node]);
        Self { units, starts, targets: both.into_iter().map(|(_, to)| to).collect() }
    }

    /// Tells the keys of each block.
    fn each(&self, mut tell: impl FnMut(&[u32])) {
        let nodes = self.starts.len() - 1;
        // the turn in which a node was found, from 1, and the least that it reaches beside its parent
        let (mut turn, mut low) = (vec![0_u32; nodes], vec![0_u32; nodes]);
        let mut found = 0;
        let mut open: Vec<u32> = Vec::new();
        let mut path: Vec<(u32, u32)> = Vec::new();
        let mut keys: Vec<u32> = Vec::new();
        for root in 0..nodes as u32 {
            if turn[root as usize] != 0 {
                continue;
            }
            found += 1;
            (turn[root as usize], low[root as usize]) = (found, found);
            path.push((root, self.starts[root as usize]));
            open.push(root);
            while let Some((node, edge)) = path.last_mut() {
                let node = *node;
                if *edge < self.starts[node as usize + 1] {
                    let next = self.targets[*edge as usize];
                    *edge += 1;
                    if turn[next as usize] == 0 {
                        found += 1;
                        (turn[next as usize], low[next as usize]) = (found, found);
                        path.push((next, self.starts[next as usize]));
                        open.push(next);
                    } else {
                        low[node as usize] = low[node as usize].min(turn[next as usize]);
                    }
                    continue;
                }
                path.pop();
                let Some((parent, _)) = path.last() else { break };
                low[*parent as usize] = low[*parent as usize].min(low[node as usize]);
                if low[node as usize] >= turn[*parent as usize] {
                    // the parent and what was found since this node are a block
                    keys.clear();
                    while let Some(member) = open.pop() {
                        keys.extend(member.checked_sub(self.units));
                        if member == node {
                            break;
                        }
                    }
                    keys.extend(parent.checked_sub(self.units));
                    tell(&keys);
                }
            }
            open.clear();
        }
    }
}
