//! The four guarantees of sessions (Terry and others, "Session guarantees for weakly consistent replicated data", PDIS
//! 1994), of registers whose writes all leave different values. A process is a session.
//!
//! | kind | what each session may count on |
//! |---|---|
//! | `read-your-writes` | a read sees its earlier writes, or what came after them |
//! | `monotonic-reads` | a read sees what its earlier reads saw, or what came after it |
//! | `monotonic-writes` | its writes take effect in the order in which it made them |
//! | `writes-follow-reads` | a write comes after what its earlier reads saw |
//!
//! "After" is in an order of the versions of a register on which all sessions agree, and in which the initial one is
//! the first. A guarantee holds if there is such an order: if what it asks for is free of cycles. Each register is
//! judged alone; what a session may conclude of one register from another is causal consistency, and not asked here.
//! Kind `sessions` says that each guarantee holds alone, and not all together; kind `phantom-read`, that a value was
//! read that nobody can have written. Linear in the number of operations.

use super::search::Item;
use crate::model::register::Action;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The oracle's name.
pub const NAME: &str = "session";

/// A guarantee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guarantee {
    /// A read sees the session's earlier writes.
    ReadYourWrites,
    /// A read sees what its earlier reads saw.
    MonotonicReads,
    /// Writes take effect in the session's order.
    MonotonicWrites,
    /// A write comes after what was read before it.
    WritesFollowReads,
}

impl Guarantee {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::ReadYourWrites, Self::MonotonicReads, Self::MonotonicWrites, Self::WritesFollowReads];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadYourWrites => "read-your-writes",
            Self::MonotonicReads => "monotonic-reads",
            Self::MonotonicWrites => "monotonic-writes",
            Self::WritesFollowReads => "writes-follow-reads",
        }
    }

    /// The guarantee with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|guarantee| guarantee.name() == name)
    }
}

/// What does not hold, and the operations that show it (positions), in the order in which they contradict each other.
pub(super) type Breach = (&'static str, Vec<usize>);

/// Judges the operations on one register; nothing if a value may have been written twice.
pub(super) fn judge(
    items: &[Item<Action>],
    processes: &[u64],
    asked: &BTreeSet<Guarantee>,
) -> Option<Vec<Breach>> {
    let mut writers: BTreeMap<u32, usize> = BTreeMap::new();
    for (i, item) in items.iter().enumerate() {
        if let Some(left) = item.action.left()
            && (left.number() == 0 || writers.insert(left.number(), i).is_some())
        {
            return None;
        }
    }
    let answered = |item: &Item<Action>| item.ret.and(item.action.seen()).map(|seen| seen.number());
    let is_phantom =
        |item: &Item<Action>| answered(item).is_some_and(|seen| seen != 0 && !writers.contains_key(&seen));
    if let Some(phantom) = items.iter().position(is_phantom) {
        return Some(vec![("phantom-read", vec![phantom])]);
    }
    let breach =
        |asked: &BTreeSet<Guarantee>, kind| Some((kind, Versions::new(items, processes, asked).cycle()?));
    let mut breaches: Vec<Breach> =
        asked.iter().filter_map(|one| breach(&BTreeSet::from([*one]), one.name())).collect();
    if breaches.is_empty() && asked.len() > 1 {
        breaches.extend(breach(asked, "sessions"));
    }
    Some(breaches)
}

/// What must come before what: versions, and for each session what it has seen and written so far.
struct Versions {
    /// How many nodes are versions; they are the first.
    versions: usize,
    /// To which node, and which operation says so.
    edges: Vec<Vec<(u32, Option<u32>)>>,
    /// A version that was read before the same session wrote it.
    early: Option<Vec<usize>>,
}

impl Versions {
    fn new(items: &[Item<Action>], processes: &[u64], asked: &BTreeSet<Guarantee>) -> Self {
        let numbers = items.iter().flat_map(|item| [item.action.left(), item.action.seen()]).flatten();
        let versions = numbers.map(|value| value.number() as usize + 1).max().unwrap_or(1);
        let mut graph = Self { versions, edges: vec![Vec::new(); versions], early: None };
        #[derive(Default)]
        struct Session {
            read: Option<(u32, u32)>,
            wrote: Option<(u32, u32)>,
            /// Nodes after all that was read, and after all that was written.
            after_reads: Option<u32>,
            after_writes: Option<u32>,
            saw: BTreeMap<u32, u32>,
        }
        let mut sessions: BTreeMap<u64, Session> = BTreeMap::new();
        let has = |guarantee| asked.contains(&guarantee);
        for (i, (item, process)) in items.iter().zip(processes).enumerate() {
            let session = sessions.entry(*process).or_default();
            let op = i as u32;
            let seen = item.ret.and(item.action.seen()).map(|seen| seen.number());
            if let Some(seen) = seen {
                if let (true, Some((before, by))) = (has(Guarantee::MonotonicReads), session.read)
                    && before != seen
                {
                    graph.step(before, seen, by, op);
                }
                if let (true, Some(after)) = (has(Guarantee::ReadYourWrites), session.after_writes) {
                    graph.edges[after as usize].push((seen, Some(op)));
                }
                session.read = Some((seen, op));
                session.saw.entry(seen).or_insert(op);
                session.after_reads = Some(graph.after(seen, op, session.after_reads));
            }
            if let Some(left) = item.action.left().map(|left| left.number()) {
                graph.edges[0].push((left, Some(op)));
                if let (true, Some((before, by))) = (has(Guarantee::MonotonicWrites), session.wrote) {
                    graph.step(before, left, by, op);
                }
                if let (true, Some(after)) = (has(Guarantee::WritesFollowReads), session.after_reads) {
                    graph.edges[after as usize].push((left, Some(op)));
                    if let Some(read) = session.saw.get(&left) {
                        graph.early.get_or_insert_with(|| vec![*read as usize, i]);
                    }
                }
                session.wrote = Some((left, op));
                session.after_writes = Some(graph.after(left, op, session.after_writes));
            }
        }
        graph
    }

    /// One version is before another, as two operations of a session say.
    fn step(&mut self, before: u32, after: u32, by: u32, op: u32) {
        let node = self.after(before, by, None);
        self.edges[node as usize].push((after, Some(op)));
    }

    /// A node that comes after a version and after another such node.
    fn after(&mut self, version: u32, op: u32, other: Option<u32>) -> u32 {
        let node = self.edges.len() as u32;
        self.edges.push(Vec::new());
        self.edges[version as usize].push((node, Some(op)));
        if let Some(other) = other {
            self.edges[other as usize].push((node, None));
        }
        node
    }

    /// The operations along a shortest way from a version to another one and back.
    fn cycle(&self) -> Option<Vec<usize>> {
        if let Some(early) = &self.early {
            return Some(early.clone());
        }
        let component = self.components();
        let mut first: BTreeMap<u32, usize> = BTreeMap::new();
        let (start, end) = (0..self.versions)
            .find_map(|version| first.insert(component[version], version).map(|other| (other, version)))?;
        let mut ops = self.way(start, end)?;
        ops.extend(self.way(end, start)?);
        ops.dedup();
        Some(ops)
    }

    /// The operations along a shortest way.
    fn way(&self, start: usize, end: usize) -> Option<Vec<usize>> {
        let mut came_from: Vec<Option<(u32, Option<u32>)>> = vec![None; self.edges.len()];
        let mut queue = VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            for &(next, op) in &self.edges[node] {
                if next as usize != start && came_from[next as usize].is_none() {
                    came_from[next as usize] = Some((node as u32, op));
                    queue.push_back(next as usize);
                }
            }
        }
        let mut ops = Vec::new();
        let mut node = end;
        while node != start {
            let (before, op) = came_from[node]?;
            ops.extend(op.map(|op| op as usize));
            node = before as usize;
        }
        ops.reverse();
        Some(ops)
    }

    /// The strongly connected component of each node (Tarjan, 1972), without recursion.
    fn components(&self) -> Vec<u32> {
        const NONE: u32 = u32::MAX;
        let count = self.edges.len();
        let (mut index, mut low) = (vec![NONE; count], vec![0_u32; count]);
        let mut component = vec![NONE; count];
        let (mut next_index, mut next_component) = (0, 0);
        let mut open: Vec<usize> = Vec::new();
        let mut path: Vec<(usize, usize)> = Vec::new();
        for root in 0..count {
            if index[root] != NONE {
                continue;
            }
            path.push((root, 0));
            while let Some((node, edge)) = path.last_mut() {
                let node = *node;
                if index[node] == NONE {
                    (index[node], low[node]) = (next_index, next_index);
                    next_index += 1;
                    open.push(node);
                }
                if let Some(&(to, _)) = self.edges[node].get(*edge) {
                    *edge += 1;
                    let to = to as usize;
                    if index[to] == NONE {
                        path.push((to, 0));
                    } else if component[to] == NONE {
                        low[node] = low[node].min(index[to]);
                    }
                    continue;
                }
                path.pop();
                if let Some((parent, _)) = path.last() {
                    low[*parent] = low[*parent].min(low[node]);
                }
                if low[node] == index[node] {
                    while let Some(member) = open.pop() {
                        component[member] = next_component;
                        if member == node {
                            break;
                        }
                    }
                    next_component += 1;
                }
            }
        }
        component
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::register::Value;

    /// `PROCESS w|r VALUE`, one after the other.
    fn kinds(script: &[(u64, char, u32)]) -> Vec<&'static str> {
        let item = |(i, (_, f, value)): (usize, &(u64, char, u32))| {
            let value = Value::numbered(*value);
            let action = if *f == 'w' { Action::Write(value) } else { Action::Read(value) };
            Item { action, call: i as u64 * 2, ret: Some(i as u64 * 2 + 1) }
        };
        let items: Vec<Item<Action>> = script.iter().enumerate().map(item).collect();
        let processes: Vec<u64> = script.iter().map(|(process, ..)| *process).collect();
        let breaches = judge(&items, &processes, &Guarantee::ALL.into()).unwrap();
        for (kind, ops) in &breaches {
            let few: Vec<Item<Action>> = ops.iter().map(|i| items[*i]).collect();
            assert!(!few.is_empty(), "{kind}: no evidence");
        }
        breaches.into_iter().map(|(kind, _)| kind).collect()
    }

    #[test]
    fn each_guarantee_is_told_apart() {
        assert_eq!(kinds(&[(1, 'w', 1), (1, 'r', 1), (2, 'r', 0), (2, 'r', 1)]), [""; 0]);
        // stale, but no session can tell
        assert_eq!(kinds(&[(1, 'w', 1), (2, 'w', 2), (3, 'r', 1), (3, 'r', 2), (4, 'r', 1)]), [""; 0]);
        assert_eq!(kinds(&[(1, 'w', 1), (1, 'r', 0)]), ["read-your-writes"]);
        assert_eq!(kinds(&[(1, 'w', 1), (2, 'r', 1), (2, 'r', 0)]), ["monotonic-reads"]);
        let both = [(1, 'w', 1), (2, 'w', 2), (3, 'r', 1), (3, 'r', 2), (4, 'r', 2), (4, 'r', 1)];
        assert_eq!(kinds(&both), ["monotonic-reads"]);
        // the first was overwritten by the second, and somebody saw it otherwise
        assert_eq!(kinds(&[(1, 'w', 1), (1, 'w', 2), (3, 'r', 2), (3, 'r', 1)]), ["sessions"]);
        assert_eq!(kinds(&[(1, 'r', 2), (1, 'w', 2)]), ["writes-follow-reads"]);
        let crossed = [(1, 'r', 2), (1, 'w', 1), (2, 'r', 1), (2, 'w', 2)];
        assert_eq!(kinds(&crossed), ["writes-follow-reads"]);
        let own = [(1, 'w', 1), (1, 'r', 2), (2, 'w', 2), (2, 'r', 1)];
        assert_eq!(kinds(&own), ["read-your-writes"]);
        assert_eq!(kinds(&[(1, 'r', 7)]), ["phantom-read"]);
    }

    #[test]
    fn values_written_twice_are_not_judged() {
        let write = Item { action: Action::Write(Value::numbered(1)), call: 0, ret: Some(1) };
        assert_eq!(judge(&[write, write], &[1, 2], &Guarantee::ALL.into()), None);
    }
}
