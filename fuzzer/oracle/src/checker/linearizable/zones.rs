//! Registers of which each read can have seen one write only, in n log n (Gibbons and Korach, "Testing shared memories",
//! SIAM Journal on Computing 26, 1997, section 4.1).
//!
//! A write and the reads that saw it follow each other in any order of the whole, so each write has a stretch of time of
//! its own. Its zone lies between the first completion and the last invocation among them. If the completion comes
//! first the zone is *forward*: the register held the value all through it. Else it is *backward*: some instant in it
//! will do. There is an order if and only if no read ends before its write begins, no two forward zones overlap, and no
//! backward zone lies inside a forward one.
//!
//! Where every value is written once, each read's write is known. It is so too if the other writes of the value began
//! after the read had ended, or were certainly replaced before it began: by a write of the same value that came after
//! them and was over by then. Who else wrote what nobody read does not matter.
//!
//! A write without completion that nobody saw is left out; one that was seen ended, at the latest, with the first read
//! of its value. What the register holds first was written before everything.

use super::decide::Quick;
use super::search::Item;
use crate::model::register::{Action, Value};

/// No position.
const NOBODY: u32 = u32::MAX;

/// A write and the reads that saw it. Indices are one more than those of entries, so that 0 is before all.
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

/// Judges reads and writes; unclear if a read may have seen one of several writes, or there are other operations.
pub(super) fn judge(items: &[Item<Action>]) -> Quick {
    let clusters = match clusters(items) {
        Ok(clusters) => clusters,
        Err(answer) => return answer,
    };
    let mut forward: Vec<&Cluster> = Vec::new();
    let mut backward: Vec<&Cluster> = Vec::new();
    for cluster in clusters.iter().filter(|cluster| cluster.is_read || cluster.is_complete) {
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

/// One for what is there first, then one a position, of which only those of writes count; else the answer.
fn clusters(items: &[Item<Action>]) -> Result<Vec<Cluster>, Quick> {
    let writers = Writers::new(items).ok_or(Quick::Unclear)?;
    let mut clusters = vec![EMPTY; items.len() + 1];
    clusters[0].first_ret = (0, NOBODY);
    let mut unwritten: Option<Vec<usize>> = None;
    for (position, item) in items.iter().enumerate() {
        let (call, ret) = times(item);
        let cluster = match item.action {
            Action::Write(_) => {
                let cluster = &mut clusters[position + 1];
                cluster.write = position as u32;
                cluster.is_complete = item.ret.is_some();
                cluster
            }
            Action::Read(value) if item.ret.is_some() => match writers.seen(value, call, ret) {
                Sources::None(later) => {
                    unwritten.get_or_insert_with(|| later.into_iter().chain([position]).collect());
                    continue;
                }
                Sources::One(writer) => {
                    let cluster = &mut clusters[writer.map_or(0, |position| position + 1)];
                    cluster.is_read = true;
                    cluster
                }
                // nothing is said of histories that begin like this one either
                Sources::Several => return Err(Quick::Unclear),
            },
            _ => continue,
        };
        cluster.add(position as u32, call, ret);
    }
    unwritten.map_or(Ok(clusters), |witness| Err(Quick::Impossible(witness)))
}

/// Invocation and completion; one more than the indices of entries.
fn times(item: &Item<Action>) -> (u64, u64) {
    (item.call + 1, item.ret.map_or(u64::MAX, |ret| ret + 1))
}

/// Whom a read can have seen: positions of writes; nobody for what was there first.
enum Sources {
    /// None, for the value's first write, if there is any, begins after it.
    None(Option<usize>),
    One(Option<usize>),
    Several,
}

/// Writes by value, in the order of their invocations and of their completions.
struct Writers {
    /// Value, invocation, position.
    begun: Vec<(Value, u64, u32)>,
    /// Value, completion, and the last invocation of those of the value that were over by then.
    over: Vec<(Value, u64, u64)>,
}

impl Writers {
    /// `None` if there are other operations than reads and writes.
    fn new(items: &[Item<Action>]) -> Option<Self> {
        u32::try_from(items.len()).ok().filter(|count| *count != NOBODY)?;
        let mut begun = vec![(Value::ABSENT, 0, NOBODY)];
        let mut over = vec![(Value::ABSENT, 0, 0)];
        for (position, item) in (0..).zip(items) {
            match item.action {
                Action::Read(_) => {}
                Action::Write(value) => {
                    let (call, ret) = times(item);
                    begun.push((value, call, position));
                    over.push((value, ret, call));
                }
                Action::Swap(..) | Action::Refuse(_) => return None,
            }
        }
        begun.sort_unstable();
        over.sort_unstable();
        for of_value in over.chunk_by_mut(|a, b| a.0 == b.0) {
            let mut last = 0;
            for (.., call) in of_value {
                last = last.max(*call);
                *call = last;
            }
        }
        Some(Self { begun, over })
    }

    /// The writes of this value that a read may have seen.
    fn seen(&self, value: Value, call: u64, ret: u64) -> Sources {
        let first = self.begun.partition_point(|writer| writer.0 < value);
        let begun = self.begun.partition_point(|writer| (writer.0, writer.1) < (value, ret)) - first;
        if begun == 0 {
            let later = self.begun.get(first).filter(|writer| writer.0 == value);
            return Sources::None(later.map(|writer| writer.2 as usize));
        }
        // the last one that was over before the read began: what was over before that one began is replaced
        let first_over = self.over.partition_point(|writer| writer.0 < value);
        let before =
            |at: u64| self.over.partition_point(|writer| (writer.0, writer.1) < (value, at)) - first_over;
        let last = before(call).checked_sub(1).map(|at| self.over[first_over + at].2);
        let replaced = last.map_or(0, before);
        if begun - replaced > 1 {
            return Sources::Several;
        }
        let at = last
            .map_or(first, |last| self.begun.partition_point(|writer| (writer.0, writer.1) < (value, last)));
        let position = self.begun[at].2;
        Sources::One((position != NOBODY).then_some(position as usize))
    }
}
