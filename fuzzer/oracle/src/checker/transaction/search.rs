//! Cycles of each class, in the strongly connected parts of a graph.
//!
//! A graph without such parts is done in one linear pass. In each part classes are sought from the worst to the
//! mildest, at each strength, and those that are implied by what was found in it are passed over. Breadth-first search
//! from every edge that can close a cycle makes cycles short. Steps are counted; a part that is left without a name
//! when they run out is named after any cycle in it.
//!
//! A cycle through real time uses it once. If there were two such edges, `a -> b` and `c -> d`, then either `a` was over
//! before `d` began, or else `c` before `b`, and what lies between is not needed for the contradiction.

use super::anomaly::{CLASSES, Class, Cyclic, STRENGTHS, Strength};
use super::graph::{Arc, Components, Graph, Kind, Kinds};
use std::collections::VecDeque;

/// How many starting points are tried for a shorter cycle, once one is found.
const TRIES: usize = 16;

/// A cycle: transactions, each with the kind of the edge to the next one; the last one's leads to the first.
pub(super) type Cycle = Vec<(u32, Kind)>;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Cycles {
    /// A cycle for each class of each part.
    pub found: Vec<(Cyclic, Cycle)>,
    /// Not everything was looked at, for steps ran out.
    pub is_cut: bool,
}

const fn base(strength: Strength) -> Kinds {
    match strength {
        Strength::Plain => Kinds::of(&[]),
        Strength::Session => Kinds::of(&[Kind::Process]),
        Strength::Realtime => Kinds::of(&[Kind::Realtime]),
    }
}

/// All classes of cycles in a graph.
pub(super) fn cycles(graph: &Graph, steps_max: u64) -> Cycles {
    let mut all = Cycles::default();
    let everything = [Kind::Ww, Kind::Wr, Kind::Rw, Kind::Process, Kind::Realtime];
    if Components::new(graph, Kinds::of(&everything)).count == graph.nodes() {
        return all;
    }
    let mut place = vec![u32::MAX; graph.nodes() as usize];
    let mut steps = steps_max;
    for strength in STRENGTHS {
        let kinds = base(strength).with(Kind::Ww).with(Kind::Wr).with(Kind::Rw);
        let components = Components::new(graph, kinds);
        let mut known = vec![0_u16; components.count as usize];
        for (anomaly, cycle) in &all.found {
            known[components.of[cycle[0].0 as usize] as usize] |= anomaly.implied();
        }
        for nodes in components.cyclic() {
            let known = known[components.of[nodes[0] as usize] as usize];
            let part = Part {
                graph: graph.part(&nodes, kinds, &mut place),
                nodes: &nodes,
                strength,
                base: base(strength),
            };
            all.is_cut |= part.search(known, &mut steps, &mut all.found);
        }
    }
    all
}

/// A short cycle of edges of these kinds, if there is any cycle of them.
pub(super) fn shortest(graph: &Graph, kinds: Kinds) -> Option<Cycle> {
    let cyclic = Components::new(graph, kinds).cyclic();
    let nodes = cyclic.iter().min_by_key(|nodes| nodes.len())?;
    let mut place = vec![u32::MAX; graph.nodes() as usize];
    let part = graph.part(nodes, kinds, &mut place);
    let part = Part { graph: part, nodes, strength: Strength::Plain, base: kinds };
    let mut walk = Walk::new(&part.graph);
    walk.steps = u64::MAX;
    part.without_misses(&mut walk, kinds)
}

/// Says of a cycle what it is; `None` if it is none of the classes (it consists of orders only).
pub(super) fn classify(cycle: &Cycle) -> Option<Cyclic> {
    let has = |kind: Kind| cycle.iter().any(|(_, other)| *other == kind);
    let misses = cycle.iter().filter(|(_, kind)| *kind == Kind::Rw).count();
    let before = cycle.iter().cycle().skip(cycle.len().saturating_sub(1));
    let is_adjacent = cycle.iter().zip(before).any(|((_, a), (_, b))| *a == Kind::Rw && *b == Kind::Rw);
    let class = match misses {
        0 if has(Kind::Wr) => Class::G1c,
        0 if has(Kind::Ww) => Class::G0,
        0 => return None,
        1 => Class::Single,
        _ if is_adjacent => Class::Item,
        _ => Class::Nonadjacent,
    };
    let strength = if has(Kind::Realtime) {
        Strength::Realtime
    } else if has(Kind::Process) {
        Strength::Session
    } else {
        Strength::Plain
    };
    Some(Cyclic { class, strength })
}

/// A strongly connected part of the graph at one strength.
struct Part<'a> {
    graph: Graph,
    /// By node of the part, the node of the whole.
    nodes: &'a [u32],
    strength: Strength,
    base: Kinds,
}

impl Part<'_> {
    /// Seeks all classes that are not `known` already; true if steps ran out.
    fn search(&self, mut known: u16, steps: &mut u64, found: &mut Vec<(Cyclic, Cycle)>) -> bool {
        let mut walk = Walk::new(&self.graph);
        let mut is_cut = false;
        for class in CLASSES {
            let anomaly = Cyclic { class, strength: self.strength };
            if known & anomaly.bit() != 0 {
                continue;
            }
            walk.steps = *steps;
            walk.is_cut = false;
            let cycle = match class {
                Class::G0 => self.without_misses(&mut walk, self.base.with(Kind::Ww)),
                Class::G1c => self.without_misses(&mut walk, self.base.with(Kind::Ww).with(Kind::Wr)),
                Class::Single => self.single(&mut walk),
                Class::Nonadjacent => self.nonadjacent(&mut walk),
                Class::Item => self.adjacent(&mut walk),
            };
            *steps = walk.steps;
            is_cut |= walk.is_cut;
            if let Some((exact, cycle)) = cycle.and_then(|cycle| Some((classify(&cycle)?, cycle)))
                && known & exact.bit() == 0
            {
                known |= exact.implied();
                found.push((exact, cycle));
            }
        }
        if is_cut && known == 0 {
            walk.steps = u64::MAX;
            let all = self.base.with(Kind::Ww).with(Kind::Wr).with(Kind::Rw);
            let edges = self.graph.range(0);
            let rule = Rule { kinds: all, apart: false, last: Last::Any };
            let any = walk.back(0, edges, rule, |_| true);
            let any = any.map(|edges| self.cycle(0, &edges));
            found.extend(any.and_then(|cycle| classify(&cycle).map(|anomaly| (anomaly, cycle))));
        }
        is_cut
    }

    /// A short cycle of these kinds of edges.
    fn without_misses(&self, walk: &mut Walk<'_>, kinds: Kinds) -> Option<Cycle> {
        let components = Components::new(&self.graph, kinds);
        let cyclic = components.cyclic();
        let smallest = cyclic.iter().min_by_key(|nodes| nodes.len())?;
        let rule = Rule { kinds, apart: false, last: Last::Any };
        let inside = components.of[smallest[0] as usize];
        let starts = smallest.iter().copied().filter(|node| !self.graph.is_relay(*node));
        self.shortest(starts.take(TRIES).map(|node| (node, self.graph.range(node))), |node, edges| {
            let edges = edges.filter(|edge| kinds.has(self.graph.kind(*edge)));
            walk.back(node, edges, rule, |node| components.of[node as usize] == inside)
        })
    }

    /// A cycle with one rw.
    fn single(&self, walk: &mut Walk<'_>) -> Option<Cycle> {
        let kinds = self.base.with(Kind::Ww).with(Kind::Wr);
        let order = Components::new(&self.graph, kinds).of;
        let mut starts: Vec<(u32, u32, usize)> = Vec::new();
        for (node, edge) in self.misses() {
            let (here, there) = (order[node as usize], order[self.graph.target(edge) as usize]);
            if there >= here {
                starts.push((there - here, node, edge));
            }
        }
        starts.sort_unstable();
        let rule = Rule { kinds, apart: false, last: Last::Any };
        self.shortest(starts.into_iter().map(|(_, node, edge)| (node, edge..edge + 1)), |start, edges| {
            walk.back(start, edges, rule, |node| order[node as usize] >= order[start as usize])
        })
    }

    /// A cycle with rw edges, none next to another. The walk is over pairs of a node and whether rw led there.
    fn nonadjacent(&self, walk: &mut Walk<'_>) -> Option<Cycle> {
        let kinds = self.base.with(Kind::Ww).with(Kind::Wr).with(Kind::Rw);
        let nodes = self.graph.nodes();
        let mut arcs = Vec::new();
        for node in 0..nodes {
            for (to, kind) in self.graph.out(node) {
                let to = to * 2 + u32::from(kind == Kind::Rw);
                arcs.push(Arc { from: node * 2, to, kind });
                if kind != Kind::Rw || self.graph.is_relay(node) {
                    arcs.push(Arc { from: node * 2 + 1, to, kind });
                }
            }
        }
        let of = Components::new(&Graph::new(nodes * 2, nodes * 2, &arcs), kinds).of;
        let is_start = |(node, edge): &(u32, usize)| {
            of[*node as usize * 2] == of[self.graph.target(*edge) as usize * 2 + 1]
        };
        let rule = Rule { kinds, apart: true, last: Last::NoMiss };
        let starts = self.misses().filter(is_start).map(|(node, edge)| (node, edge..edge + 1));
        self.shortest(starts, |start, edges| walk.back(start, edges, rule, |_| true))
    }

    /// A cycle with two rw edges in a row.
    fn adjacent(&self, walk: &mut Walk<'_>) -> Option<Cycle> {
        let kinds = self.base.with(Kind::Ww).with(Kind::Wr).with(Kind::Rw);
        let rule = Rule { kinds, apart: false, last: Last::Miss };
        let mut is_missed = vec![false; self.graph.nodes() as usize];
        for node in 0..self.graph.nodes() {
            for (to, _) in self.graph.out(node).filter(|(_, kind)| *kind == Kind::Rw) {
                is_missed[to as usize] = true;
            }
        }
        let mut starts: Vec<(u32, usize)> =
            self.misses().filter(|(node, _)| is_missed[*node as usize]).collect();
        starts.dedup_by_key(|(node, _)| *node);
        self.shortest(starts.into_iter().map(|(node, _)| (node, self.graph.range(node))), |start, edges| {
            let edges = edges.filter(|edge| self.graph.kind(*edge) == Kind::Rw);
            walk.back(start, edges, rule, |_| true)
        })
    }

    /// The rw edges out of transactions.
    fn misses(&self) -> impl Iterator<Item = (u32, usize)> {
        (0..self.graph.txns).flat_map(|node| {
            let edges = self.graph.range(node).filter(|edge| self.graph.kind(*edge) == Kind::Rw);
            edges.map(move |edge| (node, edge))
        })
    }

    /// The shortest of the first cycles that a search finds and that are what they should be.
    fn shortest(
        &self,
        starts: impl Iterator<Item = (u32, std::ops::Range<usize>)>,
        mut back: impl FnMut(u32, std::ops::Range<usize>) -> Option<Vec<usize>>,
    ) -> Option<Cycle> {
        let mut best: Option<Cycle> = None;
        let mut tries = TRIES;
        for (start, edges) in starts {
            if let Some(edges) = back(start, edges) {
                let cycle = self.cycle(start, &edges);
                if is_simple(&cycle) && best.as_ref().is_none_or(|best| cycle.len() < best.len()) {
                    best = Some(cycle);
                }
            }
            if let Some(best) = &best {
                tries -= 1;
                if tries == 0 || best.len() == 2 {
                    break;
                }
            }
        }
        best
    }

    /// The transactions along a walk of edges that ends where it starts. Orders in a row are one order.
    fn cycle(&self, start: u32, edges: &[usize]) -> Cycle {
        let mut cycle: Cycle = Vec::new();
        let mut node = start;
        for edge in edges {
            let kind = self.graph.kind(*edge);
            let goes_on = matches!(kind, Kind::Process | Kind::Realtime)
                && cycle.last().is_some_and(|(_, last)| *last == kind);
            if !self.graph.is_relay(node) && !goes_on {
                cycle.push((self.nodes[node as usize], kind));
            }
            node = self.graph.target(*edge);
        }
        let (first, last) = (cycle[0].1, cycle[cycle.len() - 1].1);
        if cycle.len() > 2 && first == last && matches!(first, Kind::Process | Kind::Realtime) {
            cycle.remove(0);
        }
        cycle
    }
}

fn is_simple(cycle: &Cycle) -> bool {
    let mut txns: Vec<u32> = cycle.iter().map(|(txn, _)| *txn).collect();
    txns.sort_unstable();
    txns.windows(2).all(|pair| pair[0] != pair[1])
}

/// Which edges a walk may take.
#[derive(Clone, Copy)]
struct Rule {
    kinds: Kinds,
    /// No rw directly after another.
    apart: bool,
    last: Last,
}

/// What the last edge must be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Any,
    Miss,
    NoMiss,
}

/// Breadth-first search, with memory that is used again.
struct Walk<'a> {
    graph: &'a Graph,
    /// By node four times (did rw lead there? was real time used?): the state before, and the edge taken.
    before: Vec<(u32, u32)>,
    touched: Vec<u32>,
    queue: VecDeque<u32>,
    steps: u64,
    is_cut: bool,
}

/// In a state: rw led there, and that matters.
const MISS: u32 = 1;
/// In a state: real time was used.
const USED: u32 = 2;
const UNSEEN: (u32, u32) = (u32::MAX, u32::MAX);

impl<'a> Walk<'a> {
    fn new(graph: &'a Graph) -> Self {
        let before = vec![UNSEEN; graph.nodes() as usize * 4];
        Self { graph, before, touched: Vec::new(), queue: VecDeque::new(), steps: 0, is_cut: false }
    }

    /// The edges of a short walk from a node back to it that begins with one of these edges.
    fn back(
        &mut self,
        start: u32,
        first: impl Iterator<Item = usize>,
        rule: Rule,
        is_inside: impl Fn(u32) -> bool,
    ) -> Option<Vec<usize>> {
        for state in self.touched.drain(..) {
            self.before[state as usize] = UNSEEN;
        }
        self.queue.clear();
        let begin = start * 4;
        for edge in first {
            if let Some(end) = self.take(begin, edge, start, rule, &is_inside, true) {
                return Some(self.trace(begin, end));
            }
        }
        while let Some(state) = self.queue.pop_front() {
            for edge in self.graph.range(state / 4) {
                if self.steps == 0 {
                    self.is_cut = true;
                    return None;
                }
                self.steps -= 1;
                if let Some(end) = self.take(state, edge, start, rule, &is_inside, false) {
                    return Some(self.trace(begin, end));
                }
            }
        }
        None
    }

    /// Takes an edge; the state and the edge, if it closes the walk.
    fn take(
        &mut self,
        state: u32,
        edge: usize,
        start: u32,
        rule: Rule,
        is_inside: &impl Fn(u32) -> bool,
        is_first: bool,
    ) -> Option<(u32, u32)> {
        let (kind, to) = (self.graph.kind(edge), self.graph.target(edge));
        let is_relay = self.graph.is_relay(state / 4);
        let (is_miss, is_order) = (kind == Kind::Rw, kind == Kind::Realtime);
        let is_used = state & USED != 0;
        let is_allowed = is_relay
            || rule.kinds.has(kind)
                && !(rule.apart && is_miss && state & MISS != 0)
                && !(is_order && is_used);
        if !is_first && !is_allowed {
            return None;
        }
        if to == start {
            let closes = match rule.last {
                Last::Any => true,
                Last::Miss => is_miss,
                Last::NoMiss => !is_miss,
            };
            return closes.then_some((state, edge as u32));
        }
        let used = if is_used || is_order { USED } else { 0 };
        let next = to * 4 + used + if rule.apart && is_miss { MISS } else { 0 };
        if self.before[next as usize] == UNSEEN && is_inside(to) {
            self.before[next as usize] = (state, edge as u32);
            self.touched.push(next);
            if is_relay { self.queue.push_front(next) } else { self.queue.push_back(next) }
        }
        None
    }

    fn trace(&self, begin: u32, end: (u32, u32)) -> Vec<usize> {
        let mut edges = vec![end.1 as usize];
        let mut state = end.0;
        while state != begin {
            let (before, edge) = self.before[state as usize];
            edges.push(edge as usize);
            state = before;
        }
        edges.reverse();
        edges
    }
}
