//! The graph of dependencies between transactions, as arrays.
//!
//! Nodes below [`Graph::txns`] are transactions. Where many transactions precede many others, a *relay* stands between
//! them, which keeps the graph linear: an edge into a relay is of the relay's kind, and one out of it is the same edge
//! going on. Two relays in a row are one edge still.

/// Why a transaction comes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Kind {
    /// The second overwrote what the first wrote, or appended after it.
    Ww = 0,
    /// The second read what the first wrote.
    Wr = 1,
    /// The second overwrote what the first read.
    Rw = 2,
    /// One process did the first, then the second.
    Process = 3,
    /// The first was over before the second was asked for.
    Realtime = 4,
    /// The first must be committed before, for somebody saw it and read from the second what both wrote.
    Commit = 5,
}

impl Kind {
    /// Its name in pictures and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ww => "ww",
            Self::Wr => "wr",
            Self::Rw => "rw",
            Self::Process => "process",
            Self::Realtime => "realtime",
            Self::Commit => "co",
        }
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kinds(u8);

impl Kinds {
    /// These.
    pub const fn of(kinds: &[Kind]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < kinds.len() {
            bits |= 1 << kinds[at] as u8;
            at += 1;
        }
        Self(bits)
    }

    /// These and another.
    pub const fn with(self, kind: Kind) -> Self {
        Self(self.0 | 1 << kind as u8)
    }

    /// Is this one of them?
    pub const fn has(self, kind: Kind) -> bool {
        self.0 & 1 << kind as u8 != 0
    }
}

/// An edge on its way into a [`Graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Arc {
    /// The node before.
    pub from: u32,
    /// The node after.
    pub to: u32,
    /// Why.
    pub kind: Kind,
}

/// Nodes and edges, the edges of a node side by side.
#[derive(Clone, Debug)]
pub(super) struct Graph {
    /// Nodes below this are transactions, the others relays.
    pub txns: u32,
    /// Where the edges of a node begin; one more than there are nodes.
    starts: Vec<u32>,
    targets: Vec<u32>,
    kinds: Vec<Kind>,
}

impl Graph {
    /// A graph of so many nodes, of which `txns` are transactions. Linear: edges are counted, then placed.
    pub fn new(nodes: u32, txns: u32, arcs: &[Arc]) -> Self {
        let mut starts = vec![0_u32; nodes as usize + 1];
        for arc in arcs {
            starts[arc.from as usize + 1] += 1;
        }
        for node in 0..nodes as usize {
            starts[node + 1] += starts[node];
        }
        let mut next = starts.clone();
        let mut targets = vec![0; arcs.len()];
        let mut kinds = vec![Kind::Ww; arcs.len()];
        for arc in arcs {
            let at = &mut next[arc.from as usize];
            targets[*at as usize] = arc.to;
            kinds[*at as usize] = arc.kind;
            *at += 1;
        }
        Self { txns, starts, targets, kinds }
    }

    /// How many nodes there are.
    pub const fn nodes(&self) -> u32 {
        self.starts.len() as u32 - 1
    }

    /// Is this node a relay?
    pub const fn is_relay(&self, node: u32) -> bool {
        node >= self.txns
    }

    /// The edges out of a node, by number.
    pub fn range(&self, node: u32) -> std::ops::Range<usize> {
        self.starts[node as usize] as usize..self.starts[node as usize + 1] as usize
    }

    /// Where an edge leads.
    pub fn target(&self, edge: usize) -> u32 {
        self.targets[edge]
    }

    /// Of which kind an edge is.
    pub fn kind(&self, edge: usize) -> Kind {
        self.kinds[edge]
    }

    /// The edges out of a node.
    pub fn out(&self, node: u32) -> impl Iterator<Item = (u32, Kind)> {
        self.range(node).map(|edge| (self.targets[edge], self.kinds[edge]))
    }

    /// The part that lies among these nodes (ascending), with edges of these kinds only; nodes are numbered anew, in
    /// the order given. `place` maps old numbers to new ones and is [`u32::MAX`] everywhere before and after.
    pub fn part(&self, nodes: &[u32], kinds: Kinds, place: &mut [u32]) -> Self {
        for (new, old) in nodes.iter().enumerate() {
            place[*old as usize] = new as u32;
        }
        let mut arcs = Vec::new();
        for (from, old) in nodes.iter().enumerate() {
            for (to, kind) in self.out(*old) {
                let to = place[to as usize];
                if to != u32::MAX && kinds.has(kind) {
                    arcs.push(Arc { from: from as u32, to, kind });
                }
            }
        }
        for old in nodes {
            place[*old as usize] = u32::MAX;
        }
        let txns = nodes.partition_point(|node| *node < self.txns) as u32;
        Self::new(nodes.len() as u32, txns, &arcs)
    }
}

/// Strongly connected components, by Tarjan's algorithm without recursion. Linear.
#[derive(Clone, Debug)]
pub(super) struct Components {
    /// By node, its component. Along an edge between components the number falls.
    pub of: Vec<u32>,
    /// How many there are.
    pub count: u32,
}

impl Components {
    /// The components of a graph with edges of these kinds. An edge out of a relay is taken always.
    ///
    /// Roots are tried from the last node down: nodes come in the order of time, so most edges lead to what was done
    /// before, the search stays shallow, and numbers of components fall with time.
    pub fn new(graph: &Graph, kinds: Kinds) -> Self {
        let nodes = graph.nodes() as usize;
        let mut of = vec![u32::MAX; nodes];
        // The order of discovery, from 1; then the least that is reachable.
        let mut low = vec![0_u32; nodes];
        let (mut found, mut count) = (0_u32, 0_u32);
        let mut open: Vec<u32> = Vec::new();
        let mut path: Vec<(u32, u32, u32)> = Vec::new();
        for root in (0..nodes as u32).rev() {
            if low[root as usize] != 0 {
                continue;
            }
            found += 1;
            low[root as usize] = found;
            open.push(root);
            path.push((root, graph.starts[root as usize], found));
            while let Some((node, edge, order)) = path.last_mut() {
                let (at, is_relay) = (*node as usize, graph.is_relay(*node));
                if *edge == graph.starts[at + 1] {
                    let least = low[at];
                    if least == *order {
                        while let Some(member) = open.pop() {
                            of[member as usize] = count;
                            if member == *node {
                                break;
                            }
                        }
                        count += 1;
                    }
                    path.pop();
                    if let Some((parent, ..)) = path.last() {
                        let parent = &mut low[*parent as usize];
                        *parent = (*parent).min(least);
                    }
                    continue;
                }
                let next = graph.targets[*edge as usize];
                let is_taken = is_relay || kinds.has(graph.kinds[*edge as usize]);
                *edge += 1;
                if !is_taken {
                    continue;
                }
                if low[next as usize] == 0 {
                    found += 1;
                    low[next as usize] = found;
                    open.push(next);
                    path.push((next, graph.starts[next as usize], found));
                } else if of[next as usize] == u32::MAX {
                    low[at] = low[at].min(low[next as usize]);
                }
            }
        }
        Self { of, count }
    }

    /// The components of more than one node, each with its nodes in ascending order; the one with the least node first.
    pub fn cyclic(&self) -> Vec<Vec<u32>> {
        let mut sizes = vec![0_u32; self.count as usize];
        for component in &self.of {
            sizes[*component as usize] += 1;
        }
        let mut place = vec![u32::MAX; self.count as usize];
        let mut cyclic: Vec<Vec<u32>> = Vec::new();
        for (node, component) in self.of.iter().enumerate() {
            let component = *component as usize;
            if sizes[component] < 2 {
                continue;
            }
            if place[component] == u32::MAX {
                place[component] = cyclic.len() as u32;
                cyclic.push(Vec::with_capacity(sizes[component] as usize));
            }
            cyclic[place[component] as usize].push(node as u32);
        }
        cyclic
    }
}
