//! The agent's table of actions: kind of fault, role of the victim, class of duration.
//!
//! The table is the same for every target, so that an agent's memory fits; what makes no sense in a cluster or
//! a moment is masked. An action becomes concrete [`Fault`]s here: victims are drawn among the nodes that play
//! the role, durations and figures within their class, all from the generator that is handed in.

mod deed;
mod seen;
mod view;

pub use seen::Seen;
pub use view::View;

use crate::draw::log_uniform;
use crate::fault::figures::{self, Length};
use crate::fault::{Direction, Fault, Kind, Loss, Node};
use crate::schedule::{STEPS_MAX, Schedule, Step, Trigger};
use agents::{ActionId, ActionInfo, ActionSpace};
use deed::{Aim, Deed, Role, Way};
use interceptor::rng::{Rng, split};
use rand::RngExt;
use rand::seq::{IndexedRandom, IteratorRandom};
use seen::{ANSWER, REPORT, SYNC};
use std::collections::BTreeSet;

/// Time between the restarts of nodes that were taken down together, in milliseconds.
const STAGGER_MS: u64 = 150;
/// The longest sync that the power fails in, in milliseconds.
const SYNC_MS_MAX: u64 = 400;
/// An action that is aimed strikes at the next event of its kind, or at one of so many.
const AIMED_MAX: u64 = 16;

/// Limits on what an agent may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The kinds of faults it may use.
    pub kinds: BTreeSet<Kind>,
    /// Most nodes that may be down at once; absent: all of them.
    pub max_down: Option<u8>,
    /// Most faults in force at once that the agent adds to.
    pub active_max: usize,
}

impl Default for Bounds {
    /// Everything.
    fn default() -> Self {
        Self { kinds: BTreeSet::from(Kind::ALL), max_down: None, active_max: STEPS_MAX }
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Action {
    deed: Deed,
    length: Length,
    aim: Aim,
}

/// The table: first what strikes at an instant, then what strikes at an event.
fn actions() -> Vec<Action> {
    use Deed as D;
    use Length::{Lasting, Long, Medium, Short};
    use Role::{Follower, Leader};
    use Way::{BetweenFollowers, FromLeader, ToLeader};
    let all = &Length::ALL[..];
    let (brief, most, lasting) = (&[Short, Medium][..], &[Short, Medium, Long][..], &[Medium, Long][..]);
    let (endless, one) = (&[Medium, Long, Lasting][..], &[Medium][..]);
    let (both, outbound, inbound) = (Direction::Both, Direction::Outbound, Direction::Inbound);
    let at_instants: [(Deed, &[Length]); 41] = [
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
        (D::Kill(Leader), most),
        (D::Kill(Follower), all),
        (D::KillAll, &[Short]),
        (D::PowerLoss(Leader), brief),
        (D::PowerLoss(Follower), brief),
        (D::PowerLossAll, &[Short]),
        (D::PowerLossMidSync(Leader), &[Short]),
        (D::PowerLossMidSync(Follower), &[Short]),
        (D::Pause(Leader), all),
        (D::Pause(Follower), &[Short, Medium, Lasting]),
        (D::ClockJump(Leader, true), &[Short]),
        (D::ClockJump(Leader, false), &[Short]),
        (D::ClockJump(Follower, true), &[Short]),
        (D::ClockJump(Follower, false), &[Short]),
        (D::ClockRate(Leader, true), endless),
        (D::ClockRate(Leader, false), endless),
        (D::ClockRate(Follower, true), endless),
        (D::ClockRate(Follower, false), endless),
        (D::SlowFsync(Leader), &[Medium, Lasting]),
        (D::SlowFsync(Follower), one),
        (D::FsyncError(Leader), &[Short]),
        (D::FsyncError(Follower), &[Short]),
        (D::NoSpace(Leader), &[Medium, Lasting]),
        (D::NoSpace(Follower), one),
    ];
    let instant = |(deed, lengths): (Deed, &'static [Length])| {
        lengths.iter().map(move |length| Action { deed, length: *length, aim: Aim::Now })
    };
    let aimed = |role| [D::Kill(role), D::PowerLoss(role), D::Pause(role), D::Isolate(role, both)];
    let aimed = [Leader, Follower].into_iter().flat_map(aimed);
    let aims = [Aim::Sync, Aim::Send, Aim::Receive, Aim::Answer, Aim::Report];
    let event = |deed| aims.map(|aim| Action { deed, length: Medium, aim });
    at_instants.into_iter().flat_map(instant).chain(aimed.flat_map(event)).collect()
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
    let is_full = view.active.len() >= bounds.active_max || schedule.steps.len() + view.up.len() > STEPS_MAX;
    let table = actions();
    let ids = (0..).map(ActionId).zip(&table);
    let is_legal = |action: &Action| !is_full && action.is_legal(view, bounds, schedule, now_ms);
    ids.filter(|(_, action)| action.deed == Deed::Nothing || is_legal(action)).map(|(id, _)| id).collect()
}

/// A fault that an action stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strike {
    /// When.
    pub when: When,
    /// What, with victims and figures.
    pub fault: Fault,
}

/// When a fault of an action strikes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// So many milliseconds after the instant of the action.
    After(u64),
    /// At an event.
    On(Trigger),
}

/// The faults that an action stands for; none for the action that does nothing, and none when it is not legal.
#[must_use]
pub fn resolve(action: ActionId, view: &View, rng: &mut Rng) -> Vec<Strike> {
    actions().get(action.index()).map_or_else(Vec::new, |action| action.resolve(view, rng))
}

/// The node's disk is slow, and the power fails before the sync that it is in is over. Without the first the second
/// seldom meets a sync: as a rule one takes no time that a fault could fall into.
fn mid_sync(node: Node, length: Length, rng: &mut Rng) -> Vec<Strike> {
    let delay_ms = rng.random_range(100..=SYNC_MS_MAX);
    let slow = Fault::SlowFsync { node, delay_ms, for_ms: 2 * delay_ms };
    let loss = Fault::PowerLoss { node, loss: figures::loss(rng), down_ms: length.range_ms().draw(rng) };
    let later_ms = rng.random_range(1..=2 * delay_ms);
    let strike = |after_ms, fault| Strike { when: When::After(after_ms), fault };
    vec![strike(0, slow), strike(later_ms, loss)]
}

impl Action {
    fn info(self) -> ActionInfo {
        let Some(kind) = self.deed.kind() else { return ActionInfo::nothing("nothing", 0) };
        let mut name = format!("{kind}{}", self.deed.suffix());
        if self.deed.has_length() {
            name = format!("{name} {}", self.length.name());
        }
        name += self.aim.name();
        let number = Kind::ALL.iter().position(|other| *other == kind).unwrap_or_default();
        ActionInfo::fault(name, u16::try_from(number + 1).expect("few kinds"))
    }

    fn is_legal(self, view: &View, bounds: &Bounds, schedule: &Schedule, now_ms: u64) -> bool {
        let Some(kind) = self.deed.kind() else { return true };
        bounds.kinds.contains(&kind)
            && self.deed.is_possible(view)
            && (self.aim == Aim::Now || !self.victims(view).is_empty())
            && bounds.max_down.is_none_or(|max| self.keeps(max, view, schedule, now_ms))
    }

    /// Whether never more than `max` nodes would be down, at worst.
    fn keeps(self, max: u8, view: &View, schedule: &Schedule, now_ms: u64) -> bool {
        let Some(kind) = self.deed.kind().filter(|kind| kind.takes_down()) else { return true };
        let late_ms = if matches!(self.deed, Deed::PowerLossMidSync(_)) { 2 * SYNC_MS_MAX } else { 0 };
        let down_ms = self.length.range_ms().high + STAGGER_MS * view.up.len() as u64 + late_ms;
        let mut after = schedule.clone();
        let candidates = self.victims(view);
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
            let now = || Some(Trigger::At { at_ms: now_ms });
            let when = self.trigger(*node, view, &mut split(0, "any")).or_else(now);
            after.steps.extend(when.map(|when| Step { when, fault }));
            fits(&after)
        })
    }

    /// The nodes that it may strike; those that show what it is aimed at.
    fn victims(self, view: &View) -> Vec<Node> {
        let mut victims = self.deed.victims(view);
        victims.retain(|node| match self.aim {
            Aim::Now => true,
            Aim::Sync => view.seen.count(Some(*node), SYNC) > 0,
            Aim::Send => !view.seen.keys(*node, "send").is_empty(),
            Aim::Receive => !view.seen.keys(*node, "receive").is_empty(),
            Aim::Answer => view.seen.count(None, ANSWER) > 0,
            Aim::Report => view.seen.count(None, REPORT) > 0,
        });
        victims
    }

    /// The event that it waits for, if it waits for one.
    fn trigger(self, victim: Node, view: &View, rng: &mut Rng) -> Option<Trigger> {
        let one_of =
            |stem, rng: &mut Rng| view.seen.keys(victim, stem).choose(rng).map(|key| (*key).to_owned());
        let (event, node) = match self.aim {
            Aim::Now => return None,
            Aim::Sync => (SYNC.to_owned(), Some(victim)),
            Aim::Send => (one_of("send", rng)?, Some(victim)),
            Aim::Receive => (one_of("receive", rng)?, Some(victim)),
            Aim::Answer => (ANSWER.to_owned(), None),
            Aim::Report => {
                let keys: BTreeSet<&str> =
                    view.nodes().flat_map(|node| view.seen.keys(node, REPORT)).collect();
                (keys.into_iter().choose(rng)?.to_owned(), Some(victim))
            }
        };
        let ahead = u32::try_from(log_uniform(1, AIMED_MAX, rng)).unwrap_or(1);
        let nth = view.seen.count(node, &event).saturating_add(ahead);
        Some(Trigger::On { event, node, peer: None, nth })
    }

    fn resolve(self, view: &View, rng: &mut Rng) -> Vec<Strike> {
        let victims = self.victims(view);
        let Some(node) = victims.choose(rng).copied() else { return Vec::new() };
        if let Deed::PowerLossMidSync(_) = self.deed {
            return mid_sync(node, self.length, rng);
        }
        let when = self.trigger(node, view, rng).map_or(When::After(0), When::On);
        let strike = |fault| Strike { when: when.clone(), fault };
        self.strike(node, &victims, view, rng).into_iter().map(strike).collect()
    }

    /// The faults, with `node` as their victim where it is one, or all of `victims`.
    fn strike(self, node: Node, victims: &[Node], view: &View, rng: &mut Rng) -> Vec<Fault> {
        let for_ms = self.length.range_ms().draw(rng);
        let nodes = view.count();
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
                let (delay_ms, jitter_ms) = figures::delay(rng);
                between(pair(way, rng), &|from, to| Fault::Delay { from, to, delay_ms, jitter_ms, for_ms })
            }
            Deed::Reset => between(pair(Way::FromLeader, rng), &|a, b| Fault::Reset { a, b }),
            Deed::Kill(_) => one(Fault::Kill { node, down_ms: for_ms }),
            Deed::PowerLoss(_) => one(Fault::PowerLoss { node, loss: figures::loss(rng), down_ms: for_ms }),
            Deed::KillAll => {
                staggered(victims, for_ms, rng, |node, down_ms, _| Fault::Kill { node, down_ms })
            }
            Deed::PowerLossAll => staggered(victims, for_ms, rng, |node, down_ms, rng| Fault::PowerLoss {
                node,
                loss: figures::loss(rng),
                down_ms,
            }),
            Deed::Pause(_) => one(Fault::Pause { node, for_ms }),
            Deed::ClockJump(_, is_forward) => {
                let by_ms = figures::JUMP_MS.draw(rng).cast_signed();
                one(Fault::ClockJump { node, by_ms: if is_forward { by_ms } else { -by_ms } })
            }
            Deed::ClockRate(_, is_fast) => {
                one(Fault::ClockRate { node, percent: figures::percent(is_fast, rng), for_ms })
            }
            Deed::SlowFsync(_) => {
                one(Fault::SlowFsync { node, delay_ms: figures::SYNC_MS.draw(rng), for_ms })
            }
            Deed::FsyncError(_) => one(Fault::FsyncError { node, count: figures::FAILURES.draw_u32(rng) }),
            Deed::NoSpace(_) => one(Fault::NoSpace { node, bytes: figures::room(rng), for_ms }),
        }
    }
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
