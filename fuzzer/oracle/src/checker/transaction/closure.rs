//! Which node comes after which, along any path of arcs.

use super::depend::group;
use std::collections::VecDeque;

/// The nodes of a graph in an order that its arcs agree with, and what each leads to.
pub(super) struct Closure {
    /// By node, where it stands.
    pub place: Vec<u32>,
    words: usize,
    /// A row of bits for each node: the events that come after it.
    rows: Vec<u64>,
}

/// How many words of 64 bits the rows of a closure take.
pub(super) const fn words(nodes: u32, events: u32) -> u64 {
    nodes as u64 * (events as u64).div_ceil(64)
}

impl Closure {
    /// The closure of a graph whose nodes below `events` are asked for.
    ///
    /// # Errors
    /// The nodes that no order has a place for, by node: arcs go in a circle somewhere among them.
    pub fn new(nodes: u32, events: u32, arcs: &[(u32, u32)]) -> Result<Self, Vec<bool>> {
        let count = nodes as usize;
        let after = group(count, arcs);
        let mut waits = vec![0_u32; count];
        arcs.iter().for_each(|(_, to)| waits[*to as usize] += 1);
        let mut order: Vec<u32> = (0..nodes).filter(|node| waits[*node as usize] == 0).collect();
        let mut at = 0;
        while let Some(node) = order.get(at) {
            at += 1;
            for next in after.of(*node as usize) {
                waits[*next as usize] -= 1;
                if waits[*next as usize] == 0 {
                    order.push(*next);
                }
            }
        }
        if order.len() < count {
            return Err(waits.into_iter().map(|waits| waits > 0).collect());
        }
        let words = (events as usize).div_ceil(64);
        let mut rows = vec![0_u64; words * count];
        let mut row = vec![0_u64; words];
        for node in order.iter().rev() {
            row.fill(0);
            for next in after.of(*node as usize) {
                if *next < events {
                    row[*next as usize / 64] |= 1 << (next % 64);
                }
                let theirs = &rows[*next as usize * words..][..words];
                row.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine |= theirs);
            }
            rows[*node as usize * words..][..words].copy_from_slice(&row);
        }
        let mut place = vec![0; count];
        (0..).zip(&order).for_each(|(at, node)| place[*node as usize] = at);
        Ok(Self { place, words, rows })
    }

    /// Does a path lead from a node to an event?
    pub fn leads(&self, from: u32, to: u32) -> bool {
        self.rows[from as usize * self.words + to as usize / 64] & 1 << (to % 64) != 0
    }
}

/// A shortest path, as numbers of arcs, of those below `arcs_max`; nodes are taken only if `is_inside` says so.
pub(super) fn path(
    nodes: u32,
    arcs: &[(u32, u32)],
    from: u32,
    to: u32,
    is_inside: impl Fn(u32) -> bool,
) -> Option<Vec<u32>> {
    let numbered: Vec<(u32, u32)> = (0..).zip(arcs).map(|(number, arc)| (arc.0, number)).collect();
    let after = group(nodes as usize, &numbered);
    let mut by: Vec<Option<u32>> = vec![None; nodes as usize];
    let mut open = VecDeque::from([from]);
    while let Some(node) = open.pop_front() {
        for number in after.of(node as usize) {
            let next = arcs[*number as usize].1;
            if by[next as usize].is_some() || !is_inside(next) {
                continue;
            }
            by[next as usize] = Some(*number);
            if next == to {
                let mut path = vec![*number];
                let mut node = node;
                while node != from {
                    let number = by[node as usize]?;
                    path.push(number);
                    node = arcs[number as usize].0;
                }
                path.reverse();
                return Some(path);
            }
            open.push_back(next);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_and_circles_are_told() {
        let arcs = [(0, 1), (1, 2), (0, 3), (3, 2), (2, 70)];
        let closure = Closure::new(71, 71, &arcs).unwrap();
        assert!(closure.leads(0, 70) && closure.leads(3, 2) && !closure.leads(1, 3) && !closure.leads(70, 0));
        assert!(closure.place[0] < closure.place[3] && closure.place[2] < closure.place[70]);
        assert_eq!(path(71, &arcs, 0, 70, |_| true), Some(vec![0, 1, 4]));
        assert_eq!(path(71, &arcs, 0, 70, |node| node != 1), Some(vec![2, 3, 4]));
        assert_eq!(path(71, &arcs, 70, 0, |_| true), None);
        let stuck = Closure::new(4, 4, &[(0, 1), (1, 2), (2, 1), (2, 3)]).err().unwrap();
        assert_eq!(stuck, [false, true, true, true]);
        assert_eq!(path(4, &[(1, 2), (2, 1)], 1, 1, |_| true), Some(vec![0, 1]));
    }
}
