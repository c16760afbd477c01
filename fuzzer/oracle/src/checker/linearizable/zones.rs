//! Registers whose writes all leave different values, in n log n (Gibbons and Korach, "Testing shared memories", SIAM
//! Journal on Computing 26, 1997, section 4.1).
//!
//! A write and the reads that saw its value follow each other in any order of the whole, so each value has a stretch of
//! time of its own. Its zone lies between the first completion and the last invocation among them. If the completion
//! comes first the zone is *forward*: the register held the value all through it. Else it is *backward*: some instant
//! in it will do. There is an order if and only if no read ends before its write begins, no two forward zones
//! overlap, and no backward zone lies inside a forward one.
//!
//! A write without completion that nobody saw is left out; one that was seen ended, at the latest, with the first read
//! of its value. What the register holds first was written before everything.

use super::decide::Quick;
use super::search::Item;
use crate::model::register::{Action, Value};

/// No position.
const NOBODY: u32 = u32::MAX;

/// The operations on one value. Indices are one more than those of entries, so that 0 is before all.
#[derive(Clone, Copy)]
struct Cluster {
    write: u32,
    /// The first completion, and whose it is.
    first_ret: (u64, u32),
    /// The last invocation, and whose it is.
    last_call: (u64, u32),
    is_read: bool,
    is_complete: bool,
}

const EMPTY: Cluster = Cluster {
    write: NOBODY,
    first_ret: (u64::MAX, NOBODY),
    last_call: (0, NOBODY),
    is_read: false,
    is_complete: false,
};

impl Cluster {
    fn add(&mut self, position: u32, call: u64, ret: u64) {
        self.first_ret = self.first_ret.min((ret, position));
        self.last_call = self.last_call.max((call, position));
    }

    fn is_forward(&self) -> bool {
        self.first_ret.0 < self.last_call.0
    }

    /// The operations that make the zone what it is.
    fn witness(&self) -> impl Iterator<Item = usize> {
        let all = [self.write, self.first_ret.1, self.last_call.1];
        all.into_iter().filter(|position| *position != NOBODY).map(|position| position as usize)
    }
}

/// Judges reads and writes; unclear if a value may have been written twice or there are other operations. Values are
/// best numbered from 0 on without holes.
pub(super) fn judge(items: &[Item<Action>]) -> Quick {
    let Some(clusters) = clusters(items) else { return Quick::Unclear };
    let mut forward: Vec<&Cluster> = Vec::new();
    let mut backward: Vec<&Cluster> = Vec::new();
    for (value, cluster) in clusters.iter().enumerate() {
        if cluster.is_read && cluster.write == NOBODY && value != 0 {
            return Quick::Impossible(vec![cluster.first_ret.1 as usize]);
        }
        if !cluster.is_read && !cluster.is_complete {
            continue;
        }
        if cluster.write != NOBODY && cluster.first_ret.0 <= items[cluster.write as usize].call {
            return Quick::Impossible(cluster.witness().take(2).collect());
        }
        if cluster.is_forward() { &mut forward } else { &mut backward }.push(cluster);
    }
    forward.sort_unstable_by_key(|cluster| cluster.first_ret);
    let both = |one: &Cluster, other: &Cluster| {
        let mut witness: Vec<usize> = one.witness().chain(other.witness()).collect();
        witness.sort_unstable();
        witness.dedup();
        Quick::Impossible(witness)
    };
    if let Some(pair) = forward.windows(2).find(|pair| pair[1].first_ret.0 < pair[0].last_call.0) {
        return both(pair[0], pair[1]);
    }
    for inner in backward {
        let after = forward.partition_point(|outer| outer.first_ret.0 < inner.last_call.0);
        if let Some(outer) = after.checked_sub(1).map(|before| forward[before])
            && inner.first_ret.0 < outer.last_call.0
        {
            return both(outer, inner);
        }
    }
    Quick::Valid
}

/// One a value, by number; `None` if the algorithm does not apply.
fn clusters(items: &[Item<Action>]) -> Option<Vec<Cluster>> {
    let mut clusters = vec![EMPTY; items.len() + 1];
    clusters[0].first_ret = (0, NOBODY);
    let initial = Value::ABSENT.number() as usize;
    for (position, item) in items.iter().enumerate() {
        let (Action::Read(value) | Action::Write(value)) = item.action else { return None };
        let value = value.number() as usize;
        if value >= clusters.len() {
            // 2^16 holes are no matter, a bad numbering is
            let length = (value < items.len() * 2 + (1 << 16)).then_some(value + 1)?;
            clusters.resize(length, EMPTY);
        }
        let cluster = &mut clusters[value];
        let position = u32::try_from(position).ok().filter(|position| *position != NOBODY)?;
        let (call, ret) = (item.call + 1, item.ret.map_or(u64::MAX, |ret| ret + 1));
        if matches!(item.action, Action::Write(_)) {
            if value == initial || cluster.write != NOBODY {
                return None;
            }
            cluster.write = position;
            cluster.is_complete = item.ret.is_some();
        } else {
            if item.ret.is_none() {
                continue;
            }
            cluster.is_read = true;
        }
        cluster.add(position, call, ret);
    }
    Some(clusters)
}
