//! Small random graphs, whose cycles are all enumerated: every class that is reported is there, and every class that is
//! there is implied by one that is reported.

use super::store::rng;
use crate::checker::transaction::anomaly::{Class, Cyclic};
use crate::checker::transaction::graph::{Arc, Graph, Kind};
use crate::checker::transaction::search::{Cycle, classify, cycles};
use rand::RngExt;
use std::collections::BTreeSet;

/// The classes of all simple cycles that use real time once at most; each is walked from its least node.
fn all_classes(nodes: u32, arcs: &[Arc]) -> BTreeSet<Cyclic> {
    fn go(arcs: &[Arc], path: &mut Cycle, at: u32, found: &mut BTreeSet<Cyclic>) {
        for arc in arcs.iter().filter(|arc| arc.from == at) {
            let start = path.first().map_or(at, |(txn, _)| *txn);
            path.push((at, arc.kind));
            let orders = path.iter().filter(|(_, kind)| *kind == Kind::Realtime).count();
            if orders < 2 && arc.to == start {
                found.extend(classify(path));
            } else if orders < 2 && arc.to > start && path.iter().all(|(txn, _)| *txn != arc.to) {
                go(arcs, path, arc.to, found);
            }
            path.pop();
        }
    }
    let mut found = BTreeSet::new();
    for start in 0..nodes {
        go(arcs, &mut Vec::new(), start, &mut found);
    }
    found
}

#[test]
fn classes_agree_with_all_cycles_of_small_graphs() {
    let kinds = [Kind::Ww, Kind::Wr, Kind::Rw, Kind::Rw];
    let (mut cyclic, mut missed) = (0, 0);
    for seed in 0..6_000 {
        let mut rng = rng(seed);
        let nodes = rng.random_range(2..7);
        let mut arcs = Vec::new();
        for _ in 0..rng.random_range(1..nodes * 2 + 1) {
            let (from, to) = (rng.random_range(0..nodes), rng.random_range(0..nodes));
            if from != to {
                arcs.push(Arc { from, to, kind: kinds[rng.random_range(0..kinds.len())] });
            }
        }
        let spans: Vec<(u32, u32)> = (0..nodes)
            .map(|_| {
                let from = rng.random_range(0..10);
                (from, from + rng.random_range(1..6))
            })
            .collect();
        for from in 0..nodes {
            for to in 0..nodes {
                if spans[from as usize].1 < spans[to as usize].0 {
                    arcs.push(Arc { from, to, kind: Kind::Realtime });
                    if from % 3 == to % 3 {
                        arcs.push(Arc { from, to, kind: Kind::Process });
                    }
                }
            }
        }
        arcs.sort_unstable();
        let expected = all_classes(nodes, &arcs);
        let found = cycles(&Graph::new(nodes, nodes, &arcs), 1_000_000);
        assert!(!found.is_cut);
        let names: BTreeSet<Cyclic> = found.found.iter().map(|(anomaly, _)| *anomaly).collect();
        for (anomaly, cycle) in &found.found {
            assert_eq!(classify(cycle), Some(*anomaly));
            for (at, (txn, kind)) in cycle.iter().enumerate() {
                let to = cycle[(at + 1) % cycle.len()].0;
                assert!(arcs.contains(&Arc { from: *txn, to, kind: *kind }), "{cycle:?}");
            }
        }
        assert_eq!(names.is_empty(), expected.is_empty(), "{arcs:?}");
        let implied = names.iter().fold(0, |bits, name| bits | name.implied());
        let not_implied: Vec<&Cyclic> = expected.iter().filter(|name| implied & name.bit() == 0).collect();
        cyclic += usize::from(!names.is_empty());
        // Where writes and reads alone make a circle, what is milder may be passed over.
        let is_worse = names.iter().any(|name| name.class <= Class::G1c);
        assert!(not_implied.is_empty() || is_worse, "{arcs:?}: {not_implied:?}");
        missed += usize::from(!not_implied.is_empty());
    }
    assert!(cyclic > 2_000, "{cyclic}");
    assert!(missed < 5, "{missed}");
}
