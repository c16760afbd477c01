//! The agent's table of actions: kind of fault, role of the victim, class of duration.
//!
//! The table is the same for every target, so that an agent's memory fits; what makes no sense in a cluster or
//! a moment is masked. An action becomes concrete [`Fault`]s here: victims are drawn among the nodes that play
//! the role, durations and figures within their class, all from the generator that is handed in.

mod deed;
mod view;

pub use view::View;

use crate::fault::{Direction, Fault, Kind, Loss, Node};
use crate::schedule::{STEPS_MAX, Schedule, Step, Trigger};
use agents::{ActionId, ActionInfo, ActionSpace};
use deed::{Deed, Length, Role, Way};
use interceptor::rng::Rng;
use rand::RngExt;
use rand::seq::IndexedRandom;
use std::collections::BTreeSet;

/// Most faults in force at once that the agent adds to.
const ACTIVE_MAX: usize = 3;
/// Time between the restarts of nodes that were taken down together, in milliseconds.
const STAGGER_MS: u64 = 150;
/// The longest sync that the power fails in, in milliseconds.
const SYNC_MS_MAX: u64 = 400;

/// Limits on what an agent may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The kinds of faults it may use.
    pub kinds: BTreeSet<Kind>,
    /// Most nodes that may be down at once; absent: all of them.
    pub max_down: Option<u8>,
}

impl Default for Bounds {
    /// Everything.
    fn default() -> Self {
        Self { kinds: BTreeSet::from(Kind::ALL), max_down: None }
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
struct Action {
    deed: Deed,
    length: Length,
}

/// The table.
fn actions() -> Vec<Action> {
    use Deed as D;
    use Length::{Long, Medium, Short};
    use Role::{Follower, Leader};
    use Way::{BetweenFollowers, FromLeader, ToLeader};
    let all = &[Short, Medium, Long][..];
    let (brief, lasting, one) = (&[Short, Medium][..], &[Medium, Long][..], &[Medium][..]);
    let (both, outbound, inbound) = (Direction::Both, Direction::Outbound, Direction::Inbound);
    let rows: [(Deed, &[Length]); 33] = [
        (D::Nothing, &[Short]),
        (D::Isolate(Leader, both), all),
        (D::Isolate(Follower, both), all),
        (D::Isolate(Leader, outbound), lasting),
        (D::Isolate(Leader, inbound), lasting),
        (D::Isolate(Follower, outbound), one),
        (D::Isolate(Follower, inbound), lasting),
        (D::Split(Leader), lasting),
        (D::Split(Follower), lasting),
        (D::Link(FromLeader), lasting),
        (D::Link(ToLeader), one),
        (D::Link(BetweenFollowers), one),
        (D::Delay(FromLeader), lasting),
        (D::Delay(ToLeader), one),
        (D::Stall(FromLeader), one),
        (D::Stall(ToLeader), one),
        (D::Reset, &[Short]),
        (D::Kill(Leader), all),
        (D::Kill(Follower), all),
        (D::KillAll, &[Short]),
        (D::PowerLoss(Leader), brief),
        (D::PowerLoss(Follower), brief),
        (D::PowerLossAll, &[Short]),
        (D::Pause(Leader), all),
        (D::Pause(Follower), brief),
        (D::ClockJump(Leader, true), &[Short]),
        (D::ClockJump(Leader, false), &[Short]),
        (D::ClockRate(Leader, true), lasting),
        (D::ClockRate(Leader, false), lasting),
        (D::ClockRate(Follower, true), one),
        (D::SlowFsync(Leader), one),
        (D::SlowFsync(Follower), one),
        (D::FsyncError(Leader), &[Short]),
    ];
    let more: [(Deed, &[Length]); 5] = [
        (D::FsyncError(Follower), &[Short]),
        (D::NoSpace(Leader), one),
        (D::NoSpace(Follower), one),
        (D::PowerLossMidSync(Leader), &[Short]),
        (D::PowerLossMidSync(Follower), &[Short]),
    ];
    let row = |(deed, lengths): (Deed, &[Length])| {
        lengths.iter().map(|length| Action { deed, length: *length }).collect::<Vec<_>>()
    };
    rows.into_iter().chain(more).flat_map(row).collect()
}

/// The table as agents see it.
#[must_use]
pub fn space() -> ActionSpace {
    let infos = actions().into_iter().map(Action::info).collect();
    ActionSpace::new(infos).expect("the table is neither empty nor too long, and its names differ")
}

/// What may be done at `now_ms`, in the order of the table; never empty. `schedule` holds all steps so far.
#[must_use]
pub fn legal(view: &View, bounds: &Bounds, schedule: &Schedule, now_ms: u64) -> Vec<ActionId> {
    let is_full = view.active.len() >= ACTIVE_MAX || schedule.steps.len() + view.up.len() > STEPS_MAX;
    let table = actions();
    let ids = (0..).map(ActionId).zip(&table);
    let is_legal = |action: &Action| !is_full && action.is_legal(view, bounds, schedule, now_ms);
    ids.filter(|(_, action)| action.deed == Deed::Nothing || is_legal(action)).map(|(id, _)| id).collect()
}

/// The faults that an action stands for, with victims and figures, each with the milliseconds after which it
/// strikes; none for the action that does nothing, and none when it is not legal.
#[must_use]
pub fn resolve(action: ActionId, view: &View, rng: &mut Rng) -> Vec<(u64, Fault)> {
    actions().get(action.index()).map_or_else(Vec::new, |action| action.resolve(view, rng))
}

/// The node's disk is slow, and the power fails before the sync that it is in is over. Without the first the second
/// seldom meets a sync: as a rule one takes no time that a fault could fall into.
fn mid_sync(node: Node, length: Length, rng: &mut Rng) -> Vec<(u64, Fault)> {
    let (low, high) = length.range_ms();
    let delay_ms = rng.random_range(100..=SYNC_MS_MAX);
    let slow = Fault::SlowFsync { node, delay_ms, for_ms: 2 * delay_ms };
    let loss = Fault::PowerLoss { node, loss: loss(rng), down_ms: rng.random_range(low..=high) };
    vec![(0, slow), (rng.random_range(1..=2 * delay_ms), loss)]
}

impl Action {
    fn info(self) -> ActionInfo {
        let Some(kind) = self.deed.kind() else { return ActionInfo::nothing("nothing", 0) };
        let mut name = format!("{kind}{}", self.deed.suffix());
        if self.deed.has_length() {
            name += match self.length {
                Length::Short => " short",
                Length::Medium => " medium",
                Length::Long => " long",
            };
        }
        let number = Kind::ALL.iter().position(|other| *other == kind).unwrap_or_default();
        ActionInfo::fault(name, u16::try_from(number + 1).expect("few kinds"))
    }

    fn is_legal(self, view: &View, bounds: &Bounds, schedule: &Schedule, now_ms: u64) -> bool {
        let Some(kind) = self.deed.kind() else { return true };
        bounds.kinds.contains(&kind)
            && self.deed.is_possible(view)
            && bounds.max_down.is_none_or(|max| self.keeps(max, view, schedule, now_ms))
    }

    /// Whether never more than `max` nodes would be down, at worst.
    fn keeps(self, max: u8, view: &View, schedule: &Schedule, now_ms: u64) -> bool {
        let Some(kind) = self.deed.kind().filter(|kind| kind.takes_down()) else { return true };
        let late_ms = if matches!(self.deed, Deed::PowerLossMidSync(_)) { 2 * SYNC_MS_MAX } else { 0 };
        let down_ms = self.length.range_ms().1 + STAGGER_MS * view.up.len() as u64 + late_ms;
        let mut after = schedule.clone();
        let candidates = self.deed.victims(view);
        let one_by_one = !matches!(self.deed, Deed::KillAll | Deed::PowerLossAll);
        let fits = |after: &Schedule| after.check_down(max).is_ok();
        candidates.iter().all(|node| {
            if one_by_one {
                after.steps.truncate(schedule.steps.len());
            }
            let fault = match kind {
                Kind::Kill => Fault::Kill { node: *node, down_ms },
                _ => Fault::PowerLoss { node: *node, loss: Loss::All, down_ms },
            };
            after.steps.push(Step { when: Trigger::At { at_ms: now_ms }, fault });
            fits(&after)
        })
    }

    fn resolve(self, view: &View, rng: &mut Rng) -> Vec<(u64, Fault)> {
        if let Deed::PowerLossMidSync(_) = self.deed {
            let node = self.deed.victims(view).choose(rng).copied();
            return node.map_or_else(Vec::new, |node| mid_sync(node, self.length, rng));
        }
        self.strike(view, rng).into_iter().map(|fault| (0, fault)).collect()
    }

    /// What strikes at once.
    fn strike(self, view: &View, rng: &mut Rng) -> Vec<Fault> {
        if self.deed == Deed::Nothing {
            return Vec::new();
        }
        let (low, high) = self.length.range_ms();
        let for_ms = rng.random_range(low..=high);
        let nodes = view.count();
        let victims = self.deed.victims(view);
        let Some(node) = victims.choose(rng).copied() else { return Vec::new() };
        let pair = |way: Way, rng: &mut Rng| view.pairs(way).choose(rng).copied();
        let one = |fault| vec![fault];
        let between = |pair: Option<(Node, Node)>, make: &dyn Fn(Node, Node) -> Fault| {
            pair.map(|(from, to)| make(from, to)).into_iter().collect::<Vec<_>>()
        };
        match self.deed {
            Deed::Nothing | Deed::PowerLossMidSync(_) => Vec::new(),
            Deed::Isolate(_, direction) => one(Fault::Partition { side: vec![node], direction, for_ms }),
            Deed::Split(role) => {
                let side = view.minority(role, nodes, rng);
                one(Fault::Partition { side, direction: Direction::Both, for_ms })
            }
            Deed::Link(way) => between(pair(way, rng), &|from, to| Fault::Link { from, to, for_ms }),
            Deed::Stall(way) => between(pair(way, rng), &|from, to| Fault::Stall { from, to, for_ms }),
            Deed::Delay(way) => {
                let delay_ms = rng.random_range(50..=400);
                let jitter_ms = if rng.random() { 0 } else { rng.random_range(1..=delay_ms) };
                between(pair(way, rng), &|from, to| Fault::Delay { from, to, delay_ms, jitter_ms, for_ms })
            }
            Deed::Reset => between(pair(Way::FromLeader, rng), &|a, b| Fault::Reset { a, b }),
            Deed::Kill(_) => one(Fault::Kill { node, down_ms: for_ms }),
            Deed::PowerLoss(_) => one(Fault::PowerLoss { node, loss: loss(rng), down_ms: for_ms }),
            Deed::KillAll => {
                staggered(&victims, for_ms, rng, |node, down_ms, _| Fault::Kill { node, down_ms })
            }
            Deed::PowerLossAll => staggered(&victims, for_ms, rng, |node, down_ms, rng| Fault::PowerLoss {
                node,
                loss: loss(rng),
                down_ms,
            }),
            Deed::Pause(_) => one(Fault::Pause { node, for_ms }),
            Deed::ClockJump(_, is_forward) => {
                let by_ms = [300, 1_000, 10_000, 60_000, 3_600_000].choose(rng).copied().unwrap_or(1_000);
                one(Fault::ClockJump { node, by_ms: if is_forward { by_ms } else { -by_ms } })
            }
            Deed::ClockRate(_, is_fast) => {
                let percent = if is_fast { rng.random_range(150..=800) } else { rng.random_range(10..=70) };
                one(Fault::ClockRate { node, percent, for_ms })
            }
            Deed::SlowFsync(_) => {
                one(Fault::SlowFsync { node, delay_ms: rng.random_range(20..=400), for_ms })
            }
            Deed::FsyncError(_) => {
                // A disk that fails once, or one that is broken.
                let count = [1, 2, 5, 50, 200].choose(rng).copied().unwrap_or(1);
                one(Fault::FsyncError { node, count })
            }
            Deed::NoSpace(_) => {
                let bytes = if rng.random() { 0 } else { rng.random_range(1..=16_384) };
                one(Fault::NoSpace { node, bytes, for_ms })
            }
        }
    }
}

fn loss(rng: &mut Rng) -> Loss {
    [Loss::All, Loss::Prefix, Loss::Subset, Loss::Torn].choose(rng).copied().unwrap_or_default()
}

/// The same for all victims at once; they come back one after the other, in an order of their own.
fn staggered(
    victims: &[Node],
    for_ms: u64,
    rng: &mut Rng,
    fault: impl Fn(Node, u64, &mut Rng) -> Fault,
) -> Vec<Fault> {
    let mut later: Vec<u64> = (0..victims.len() as u64).map(|i| for_ms + i * STAGGER_MS).collect();
    let mut faults = Vec::new();
    for node in victims {
        let down_ms = later.swap_remove(rng.random_range(0..later.len()));
        faults.push(fault(*node, down_ms, rng));
    }
    faults
}

#[cfg(test)]
mod tests;
