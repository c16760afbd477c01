//! What each pass of shrinking tries: schedules with one number smaller, the boldest first. Every candidate is smaller
//! than its origin in the number it changes and equal in all others but the seed, so that passes end.

use super::Limits;
use crate::fault::Fault;
use crate::schedule::{Schedule, Trigger};

/// Candidates of one pass.
pub(super) type Pass = fn(&Schedule, Limits) -> Vec<Schedule>;

/// The passes in the order they are tried, with names for progress.
pub(super) const PASSES: &[(&str, Pass)] = &[
    ("seeds", seeds),
    ("nodes", nodes),
    ("horizon", horizon),
    ("clients", clients),
    ("keys", keys),
    ("operations", operations),
    ("rate", rate),
    ("sides", sides),
    ("durations", durations),
    ("instants", instants),
];

/// Other seeds tried for each step.
const SEEDS: u64 = 3;

/// A step less, with another seed: steps that only bring about the one interleaving, or the one moment, that the bug
/// needs are not needed where chance brings it about.
fn seeds(schedule: &Schedule, _: Limits) -> Vec<Schedule> {
    let without = |index: usize, seed: u64| {
        with(schedule, |s| {
            s.steps.remove(index);
            s.seed = seed;
        })
    };
    (1..=SEEDS)
        .flat_map(|seed| (0..schedule.steps.len()).map(move |index| (index, seed)))
        .filter(|(_, seed)| *seed != schedule.seed)
        .map(|(index, seed)| without(index, seed))
        .collect()
}

fn with(schedule: &Schedule, change: impl FnOnce(&mut Schedule)) -> Schedule {
    let mut changed = schedule.clone();
    change(&mut changed);
    changed
}

/// Smaller values of `n`, not below `floor`: the floor, the half, three quarters, one less.
fn lower(n: u64, floor: u64) -> Vec<u64> {
    let mut values = vec![floor, n / 2, n - n / 4, n.saturating_sub(1)];
    values.retain(|v| *v >= floor && *v < n);
    values.sort_unstable();
    values.dedup();
    values
}

/// Fewer nodes when no step names one that would be gone; odd numbers only, so that majorities keep their meaning.
fn nodes(schedule: &Schedule, limits: Limits) -> Vec<Schedule> {
    let named = schedule.steps.iter().flat_map(|step| {
        let (node, peer) = match step.when {
            Trigger::At { .. } => (None, None),
            Trigger::On { node, peer, .. } => (node, peer),
        };
        step.fault.victims().into_iter().chain(node).chain(peer)
    });
    let named = named.map(|node| node.0).max().unwrap_or(1);
    let floor = named.max(limits.nodes_min).max(1);
    (floor..schedule.nodes).filter(|n| n % 2 == 1).map(|n| with(schedule, |s| s.nodes = n)).collect()
}

fn horizon(schedule: &Schedule, _: Limits) -> Vec<Schedule> {
    let last = schedule.steps.iter().filter_map(|step| match step.when {
        Trigger::At { at_ms } => Some(at_ms),
        Trigger::On { .. } => None,
    });
    let floor = last.max().unwrap_or(1).max(1);
    let rounded = schedule.horizon_ms / 1_000 * 1_000;
    let mut values = lower(schedule.horizon_ms, floor);
    values.retain(|v| *v + 50 <= schedule.horizon_ms);
    if rounded < schedule.horizon_ms && rounded >= floor {
        values.push(rounded);
    }
    values.into_iter().map(|n| with(schedule, |s| s.horizon_ms = n)).collect()
}

fn clients(schedule: &Schedule, _: Limits) -> Vec<Schedule> {
    narrow(schedule.workload.clients).map(|n| with(schedule, |s| s.workload.clients = n)).collect()
}

fn keys(schedule: &Schedule, _: Limits) -> Vec<Schedule> {
    narrow(schedule.workload.keys).map(|n| with(schedule, |s| s.workload.keys = n)).collect()
}

fn narrow(n: u8) -> impl Iterator<Item = u8> {
    lower(u64::from(n), 1).into_iter().filter_map(|n| u8::try_from(n).ok())
}

/// A bound on the operations, first set to what fits before the horizon, then lowered.
fn operations(schedule: &Schedule, _: Limits) -> Vec<Schedule> {
    let fits = u64::from(schedule.workload.rate).saturating_mul(schedule.horizon_ms) / 1_000;
    let now = schedule.workload.operations.map_or(fits, u64::from);
    let bounds = lower(now, 1).into_iter().filter_map(|n| u32::try_from(n).ok());
    bounds.map(|n| with(schedule, |s| s.workload.operations = Some(n))).collect()
}

fn rate(schedule: &Schedule, _: Limits) -> Vec<Schedule> {
    let half = schedule.workload.rate / 2;
    (half >= 1).then(|| with(schedule, |s| s.workload.rate = half)).into_iter().collect()
}

/// Partitions with one node less on the named side.
fn sides(schedule: &Schedule, _: Limits) -> Vec<Schedule> {
    let mut all = Vec::new();
    for (at, step) in schedule.steps.iter().enumerate() {
        let Fault::Partition { side, .. } = &step.fault else { continue };
        for gone in 0..side.len().saturating_sub(1) {
            all.push(with(schedule, |s| {
                if let Fault::Partition { side, .. } = &mut s.steps[at].fault {
                    side.remove(gone);
                }
            }));
        }
    }
    all
}

/// Every duration, delay and count of every step, lowered.
fn durations(schedule: &Schedule, _: Limits) -> Vec<Schedule> {
    let mut all = Vec::new();
    for at in 0..schedule.steps.len() {
        for number in 0..3 {
            let Some((now, floor)) = number_of(&mut schedule.steps[at].fault.clone(), number, None) else {
                continue;
            };
            let finest = (now / 8).clamp(1, 50);
            for value in lower(now, floor).into_iter().filter(|v| now - v >= finest || now <= 10) {
                all.push(with(schedule, |s| {
                    number_of(&mut s.steps[at].fault, number, Some(value));
                }));
            }
        }
    }
    all
}

/// The `index`th number of a fault and its smallest sensible value; set to `value` when one is given.
fn number_of(fault: &mut Fault, index: usize, value: Option<u64>) -> Option<(u64, u64)> {
    let (number, floor) = match (fault, index) {
        (
            Fault::Partition { for_ms, .. }
            | Fault::Link { for_ms, .. }
            | Fault::Delay { for_ms, .. }
            | Fault::Stall { for_ms, .. }
            | Fault::Pause { for_ms, .. }
            | Fault::ClockRate { for_ms, .. }
            | Fault::SlowFsync { for_ms, .. }
            | Fault::NoSpace { for_ms, .. },
            0,
        ) => (for_ms, 1),
        (Fault::Kill { down_ms, .. } | Fault::PowerLoss { down_ms, .. }, 0) => (down_ms, 1),
        (Fault::Delay { jitter_ms, .. }, 1) => (jitter_ms, 0),
        (Fault::Delay { delay_ms, .. }, 2) | (Fault::SlowFsync { delay_ms, .. }, 1) => (delay_ms, 1),
        (Fault::FsyncError { count, .. }, 0) => {
            let now = u64::from(*count);
            if let Some(value) = value {
                *count = u32::try_from(value).unwrap_or(u32::MAX);
            }
            return Some((now, 1));
        }
        (Fault::ClockJump { by_ms, .. }, 0) => {
            let now = by_ms.unsigned_abs();
            if let Some(value) = value {
                *by_ms = i64::try_from(value).unwrap_or(i64::MAX) * by_ms.signum();
            }
            return Some((now, 1));
        }
        _ => return None,
    };
    let now = *number;
    if let Some(value) = value {
        *number = value;
    }
    Some((now, floor))
}

/// Instants rounded down to whole seconds, tenths and hundredths, for people.
fn instants(schedule: &Schedule, _: Limits) -> Vec<Schedule> {
    let mut all = Vec::new();
    for (at, step) in schedule.steps.iter().enumerate() {
        let Trigger::At { at_ms } = step.when else { continue };
        for unit in [1_000, 100, 10] {
            let rounded = at_ms / unit * unit;
            if rounded < at_ms {
                all.push(with(schedule, |s| s.steps[at].when = Trigger::At { at_ms: rounded }));
            }
        }
    }
    all
}
