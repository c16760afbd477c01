//! Who holds a lock when, over positions in a history instead of operations.

use std::collections::BTreeSet;

/// A point of a history: nanoseconds, and the index of the entry where the order within an instant is known.
pub type Point = (u64, u64);

/// A time in which a process holds a lock for certain.
#[derive(Clone, Debug)]
pub struct Hold {
    /// The operation that acquired it.
    pub op: usize,
    /// Who holds it.
    pub process: u64,
    /// How many permits are held.
    pub permits: u64,
    /// The fencing token that came with it.
    pub token: Option<i128>,
    /// Index of the invocation that asked for it.
    pub invoke: u64,
    /// Index of the completion that granted it.
    pub complete: u64,
    /// From here on.
    pub from: Point,
    /// Until here, this point left out.
    pub until: Point,
}

/// What a lock promises.
pub struct Rule<'a> {
    /// How many permits may be held at one instant.
    pub permits: u64,
    /// Several holds of one process count as one.
    pub reentrant: bool,
    /// Spans of nanoseconds, both ends included, in which more may be held; in order, without overlaps.
    pub excused: &'a [(u64, u64)],
}

/// Too many permits were held.
#[derive(Debug, PartialEq, Eq)]
pub struct Excess {
    /// When it became certain: nanoseconds.
    pub at_ns: u64,
    /// It began in an excused span, and did not end with it.
    pub is_overdue: bool,
    /// The holds, by position, in the order in which they began.
    pub holds: Vec<usize>,
    /// How many permits they have together.
    pub permits: u64,
}

/// The first time of each sort (overdue or not) when too many permits were held; the holds are in the order in which
/// they began. n log n.
pub fn excesses(holds: &[Hold], rule: &Rule<'_>) -> Vec<Excess> {
    let mut found: Vec<Excess> = Vec::new();
    let mut active: BTreeSet<(Point, usize)> = BTreeSet::new();
    for (position, hold) in holds.iter().enumerate() {
        while active.first().is_some_and(|(until, _)| *until <= hold.from) {
            active.pop_first();
        }
        if hold.until <= hold.from {
            continue;
        }
        active.insert((hold.until, position));
        let permits = held(holds, active.iter().map(|(_, hold)| *hold), rule);
        if permits <= rule.permits {
            continue;
        }
        let excuse = rule.excused.iter().rev().find(|(from, _)| *from <= hold.from.0);
        let excuse = excuse.filter(|(_, to)| hold.from.0 <= *to);
        let at_ns = match excuse {
            None => hold.from.0,
            Some((_, to)) if ends(holds, &active, rule).0 > *to => *to,
            Some(_) => continue,
        };
        let is_overdue = excuse.is_some();
        if found.iter().all(|other| other.is_overdue != is_overdue) {
            let mut concerned: Vec<usize> = active.iter().map(|(_, hold)| *hold).collect();
            concerned.sort_unstable();
            found.push(Excess { at_ns, is_overdue, holds: concerned, permits });
        }
    }
    found
}

fn held(holds: &[Hold], active: impl Iterator<Item = usize>, rule: &Rule<'_>) -> u64 {
    if rule.reentrant {
        active.map(|hold| holds[hold].process).collect::<BTreeSet<u64>>().len() as u64
    } else {
        active.map(|hold| holds[hold].permits).sum()
    }
}

/// When few enough are left, if nobody comes.
fn ends(holds: &[Hold], active: &BTreeSet<(Point, usize)>, rule: &Rule<'_>) -> Point {
    let mut left = active.clone();
    let mut end = (0, 0);
    while held(holds, left.iter().map(|(_, hold)| *hold), rule) > rule.permits {
        let Some((until, _)) = left.pop_first() else { break };
        end = until;
    }
    end
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
