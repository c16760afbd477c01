//! The agent's table of actions: kind of fault, role of the victim, class of duration.
//!
//! The table is the same for every target, so that an agent's memory fits; what makes no sense in a cluster or
//! a moment is masked. An action becomes concrete [`Fault`]s here: victims are drawn among the nodes that play
//! the role, durations and figures within their class, all from the generator that is handed in.

use crate::fault::{Direction, Fault, Kind, Loss, Node};
use crate::schedule::{STEPS_MAX, Schedule, Step, Trigger};
use agents::{ActionId, ActionInfo, ActionSpace};
use interceptor::rng::Rng;
use rand::RngExt;
use rand::seq::IndexedRandom;
use std::collections::BTreeSet;

/// Most faults in force at once that the agent adds to.
const ACTIVE_MAX: usize = 3;
/// Time between the restarts of nodes that were taken down together, in milliseconds.
const STAGGER_MS: u64 = 150;

/// Whom an action strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Leader,
    Follower,
}

/// How long a fault lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Short,
    Medium,
    Long,
}

/// Between whom: sender and receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    FromLeader,
    ToLeader,
    BetweenFollowers,
}

/// What an action does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Nothing,
    Isolate(Role, Direction),
    /// A larger minority than one node, with or without the leader.
    Split(Role),
    Link(Way),
    Delay(Way),
    Stall(Way),
    Reset,
    Kill(Role),
    KillAll,
    PowerLoss(Role),
    PowerLossAll,
    Pause(Role),
    ClockJump(Role, bool),
    ClockRate(Role, bool),
    SlowFsync(Role),
    FsyncError(Role),
    NoSpace(Role),
}

/// What is known of the cluster when an action is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// What each node last said of its role, if it is up and has said so.
    pub roles: Vec<Option<String>>,
    /// Which nodes run.
    pub up: Vec<bool>,
    /// The faults in force.
    pub active: Vec<Fault>,
}

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
    let more: [(Deed, &[Length]); 3] = [
        (D::FsyncError(Follower), &[Short]),
        (D::NoSpace(Leader), one),
        (D::NoSpace(Follower), one),
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

/// The faults that an action stands for, with victims and figures; none for the action that does nothing, and
/// none when it is not legal.
#[must_use]
pub fn resolve(action: ActionId, view: &View, rng: &mut Rng) -> Vec<Fault> {
    actions().get(action.index()).map_or_else(Vec::new, |action| action.resolve(view, rng))
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
        let down_ms = self.length.range_ms().1 + STAGGER_MS * view.up.len() as u64;
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

    fn resolve(self, view: &View, rng: &mut Rng) -> Vec<Fault> {
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
            Deed::Nothing => Vec::new(),
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
            Deed::KillAll => staggered(&victims, for_ms, rng, |node, down_ms, _| Fault::Kill { node, down_ms }),
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
            Deed::SlowFsync(_) => one(Fault::SlowFsync { node, delay_ms: rng.random_range(20..=400), for_ms }),
            Deed::FsyncError(_) => one(Fault::FsyncError { node, count: rng.random_range(1..=3) }),
            Deed::NoSpace(_) => {
                let bytes = if rng.random() { 0 } else { rng.random_range(1..=16_384) };
                one(Fault::NoSpace { node, bytes, for_ms })
            }
        }
    }
}

impl Length {
    const fn range_ms(self) -> (u64, u64) {
        match self {
            Self::Short => (200, 400),
            Self::Medium => (700, 1_300),
            Self::Long => (2_000, 4_000),
        }
    }
}

impl Deed {
    const fn kind(self) -> Option<Kind> {
        Some(match self {
            Self::Nothing => return None,
            Self::Isolate(..) | Self::Split(_) => Kind::Partition,
            Self::Link(_) => Kind::Link,
            Self::Delay(_) => Kind::Delay,
            Self::Stall(_) => Kind::Stall,
            Self::Reset => Kind::Reset,
            Self::Kill(_) | Self::KillAll => Kind::Kill,
            Self::PowerLoss(_) | Self::PowerLossAll => Kind::PowerLoss,
            Self::Pause(_) => Kind::Pause,
            Self::ClockJump(..) => Kind::ClockJump,
            Self::ClockRate(..) => Kind::ClockRate,
            Self::SlowFsync(_) => Kind::SlowFsync,
            Self::FsyncError(_) => Kind::FsyncError,
            Self::NoSpace(_) => Kind::NoSpace,
        })
    }

    /// The role it strikes, if it strikes one node.
    const fn role(self) -> Option<Role> {
        match self {
            Self::Isolate(role, _)
            | Self::Split(role)
            | Self::Kill(role)
            | Self::PowerLoss(role)
            | Self::Pause(role)
            | Self::ClockJump(role, _)
            | Self::ClockRate(role, _)
            | Self::SlowFsync(role)
            | Self::FsyncError(role)
            | Self::NoSpace(role) => Some(role),
            Self::Nothing
            | Self::Link(_)
            | Self::Delay(_)
            | Self::Stall(_)
            | Self::Reset
            | Self::KillAll
            | Self::PowerLossAll => None,
        }
    }

    const fn has_length(self) -> bool {
        !matches!(
            self,
            Self::Nothing
                | Self::Reset
                | Self::KillAll
                | Self::PowerLossAll
                | Self::ClockJump(..)
                | Self::FsyncError(_)
        )
    }

    fn suffix(self) -> String {
        let role = |role| if role == Role::Leader { "leader" } else { "follower" };
        let way = |way| match way {
            Way::FromLeader => " leader-follower",
            Way::ToLeader => " follower-leader",
            Way::BetweenFollowers => " follower-follower",
        };
        match self {
            Self::Nothing => String::new(),
            Self::Reset => way(Way::FromLeader).to_owned(),
            Self::Link(between) | Self::Delay(between) | Self::Stall(between) => way(between).to_owned(),
            Self::KillAll | Self::PowerLossAll => " all".to_owned(),
            Self::Split(of) => format!(" minority-with-{}", role(of)),
            Self::Isolate(of, Direction::Both) => format!(" {}", role(of)),
            Self::Isolate(of, Direction::Outbound) => format!(" outbound {}", role(of)),
            Self::Isolate(of, Direction::Inbound) => format!(" inbound {}", role(of)),
            Self::ClockJump(of, is_forward) => format!(" {} {}", if is_forward { "forward" } else { "back" }, role(of)),
            Self::ClockRate(of, is_fast) => format!(" {} {}", if is_fast { "fast" } else { "slow" }, role(of)),
            Self::Kill(of)
            | Self::PowerLoss(of)
            | Self::Pause(of)
            | Self::SlowFsync(of)
            | Self::FsyncError(of)
            | Self::NoSpace(of) => format!(" {}", role(of)),
        }
    }

    fn is_possible(self, view: &View) -> bool {
        match self {
            Self::Nothing => true,
            Self::Link(way) | Self::Delay(way) | Self::Stall(way) => !view.pairs(way).is_empty(),
            Self::Reset => !view.pairs(Way::FromLeader).is_empty(),
            Self::Split(_) => view.count() >= 4 && !self.victims(view).is_empty(),
            Self::KillAll | Self::PowerLossAll => view.up.iter().all(|up| *up),
            Self::Isolate(..) => view.count() >= 2 && !self.victims(view).is_empty(),
            _ => !self.victims(view).is_empty(),
        }
    }

    /// Nodes it may strike: those of its role that run and do not suffer the same already.
    fn victims(self, view: &View) -> Vec<Node> {
        let Some(role) = self.role() else { return view.nodes().collect() };
        let suffers = |node: Node| {
            let same = view.active.iter().filter(|fault| Some(fault.kind()) == self.kind());
            same.into_iter().any(|fault| fault.victims().first() == Some(&node))
        };
        view.playing(role).into_iter().filter(|node| !suffers(*node)).collect()
    }
}

impl View {
    fn count(&self) -> usize {
        self.up.len()
    }

    fn nodes(&self) -> impl Iterator<Item = Node> {
        (1..).map(Node).take(self.count())
    }

    /// The nodes that run and play a role. Who has not said what it is counts as a follower.
    fn playing(&self, role: Role) -> Vec<Node> {
        let plays = |index: usize| {
            let leads = self.roles.get(index).and_then(Option::as_deref).is_some_and(leads);
            self.up[index] && leads == (role == Role::Leader)
        };
        self.nodes().filter(|node| plays(usize::from(node.0) - 1)).collect()
    }

    /// Sender and receiver, one of each role.
    fn pairs(&self, way: Way) -> Vec<(Node, Node)> {
        let (leaders, followers) = (self.playing(Role::Leader), self.playing(Role::Follower));
        let (from, to) = match way {
            Way::FromLeader => (&leaders, &followers),
            Way::ToLeader => (&followers, &leaders),
            Way::BetweenFollowers => (&followers, &followers),
        };
        let pairs = from.iter().flat_map(|a| to.iter().map(|b| (*a, *b)));
        pairs.filter(|(a, b)| a != b).collect()
    }

    /// The largest minority that holds the leader, or does not.
    fn minority(&self, role: Role, nodes: usize, rng: &mut Rng) -> Vec<Node> {
        let size = (nodes - 1) / 2;
        let leader = self.playing(Role::Leader).choose(rng).copied();
        let mut side: Vec<Node> = leader.into_iter().filter(|_| role == Role::Leader).collect();
        let mut others: Vec<Node> = self.nodes().filter(|node| Some(*node) != leader).collect();
        while side.len() < size && !others.is_empty() {
            side.push(others.swap_remove(rng.random_range(0..others.len())));
        }
        side.sort();
        side
    }
}

/// Whether a role is that of the node which decides.
fn leads(role: &str) -> bool {
    matches!(role, "leader" | "primary" | "master")
}

fn loss(rng: &mut Rng) -> Loss {
    [Loss::All, Loss::Prefix, Loss::Subset, Loss::Torn].choose(rng).copied().unwrap_or_default()
}

/// The same for all victims at once; they come back one after the other, in an order of their own.
fn staggered(victims: &[Node], for_ms: u64, rng: &mut Rng, fault: impl Fn(Node, u64, &mut Rng) -> Fault) -> Vec<Fault> {
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
