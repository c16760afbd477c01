//! Who holds a lock when, over positions in a history instead of operations.

use std::collections::BTreeSet;

/// A time in which a process holds a lock for certain.
#[derive(Clone, Debug)]
pub struct Hold {
    /// The operation that acquired it.
    pub op: usize,
    /// Who holds it.
    pub process: u64,
    /// The fencing token that came with it.
    pub token: Option<i128>,
    /// Index of the invocation that asked for it.
    pub invoke: u64,
    /// Index of the completion that granted it.
    pub complete: u64,
    /// From this instant on.
    pub from_ns: u64,
    /// Until this one, which is left out.
    pub until_ns: u64,
}

/// Too many processes held a lock.
#[derive(Debug, PartialEq, Eq)]
pub struct Excess {
    /// When it became certain: nanoseconds.
    pub at_ns: u64,
    /// The holds, by position, in the order in which they began.
    pub holds: Vec<usize>,
}

/// The first time when several held the lock; the holds are in the order in which they began. n log n.
pub fn excess(holds: &[Hold]) -> Option<Excess> {
    let mut active: BTreeSet<(u64, usize)> = BTreeSet::new();
    for (position, hold) in holds.iter().enumerate() {
        while active.first().is_some_and(|(until_ns, _)| *until_ns <= hold.from_ns) {
            active.pop_first();
        }
        if hold.until_ns > hold.from_ns {
            active.insert((hold.until_ns, position));
        }
        if active.len() > 1 {
            let mut concerned: Vec<usize> = active.iter().map(|(_, hold)| *hold).collect();
            concerned.sort_unstable();
            return Some(Excess { at_ns: hold.from_ns, holds: concerned });
        }
    }
    None
}

/// The first two holds, by position, of which the later one was asked for after the earlier was granted and bears a
/// token that is not greater. n log n.
pub fn passed_tokens(holds: &[Hold]) -> Option<(usize, usize)> {
    let with_token = || (0..holds.len()).filter(|hold| holds[*hold].token.is_some());
    let mut granted: Vec<usize> = with_token().collect();
    granted.sort_by_key(|hold| holds[*hold].complete);
    let mut asked: Vec<usize> = with_token().collect();
    asked.sort_by_key(|hold| holds[*hold].invoke);
    let mut granted = granted.into_iter().peekable();
    let mut highest: Option<usize> = None;
    let mut passed: Vec<(usize, usize)> = Vec::new();
    for hold in asked {
        while let Some(other) = granted.next_if(|other| holds[*other].complete < holds[hold].invoke) {
            if highest.is_none_or(|high| holds[high].token < holds[other].token) {
                highest = Some(other);
            }
        }
        let is_passed = |high: &usize| holds[*high].token >= holds[hold].token;
        passed.extend(highest.filter(is_passed).map(|high| (high, hold)));
    }
    passed.into_iter().min_by_key(|(_, hold)| holds[*hold].complete)
}
