//! What actions do, to whom, for how long; and to which nodes that can be done now.

use super::view::View;
use crate::fault::{Direction, Kind, Node};

/// Whom an action strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Leader,
    Follower,
}

/// When an action strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// At an instant of the window.
    Now,
    /// Right after one of the victim's next syncs.
    Sync,
    /// Right after one of the victim's next messages, of a kind that it has sent before.
    Send,
    /// Right after one of the next messages that reach the victim, of a kind that has reached it before.
    Receive,
    /// Right after one of the next answers that clients get.
    Answer,
    /// Right after one of the victim's next reports, of a kind that any node has made before: that it leads, or has taken a
    /// snapshot.
    Report,
}

impl Aim {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Now => "",
            Self::Sync => " after-sync",
            Self::Send => " after-send",
            Self::Receive => " after-receive",
            Self::Answer => " after-answer",
            Self::Report => " after-report",
        }
    }
}

/// Between whom: sender and receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    FromLeader,
    ToLeader,
    BetweenFollowers,
}

/// What an action does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
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
    /// The power fails while the disk is busy with a sync.
    PowerLossMidSync(Role),
    Pause(Role),
    ClockJump(Role, bool),
    ClockRate(Role, bool),
    SlowFsync(Role),
    FsyncError(Role),
    NoSpace(Role),
}

impl Deed {
    pub const fn kind(self) -> Option<Kind> {
        Some(match self {
            Self::Nothing => return None,
            Self::Isolate(..) | Self::Split(_) => Kind::Partition,
            Self::Link(_) => Kind::Link,
            Self::Delay(_) => Kind::Delay,
            Self::Stall(_) => Kind::Stall,
            Self::Reset => Kind::Reset,
            Self::Kill(_) | Self::KillAll => Kind::Kill,
            Self::PowerLoss(_) | Self::PowerLossAll | Self::PowerLossMidSync(_) => Kind::PowerLoss,
            Self::Pause(_) => Kind::Pause,
            Self::ClockJump(..) => Kind::ClockJump,
            Self::ClockRate(..) => Kind::ClockRate,
            Self::SlowFsync(_) => Kind::SlowFsync,
            Self::FsyncError(_) => Kind::FsyncError,
            Self::NoSpace(_) => Kind::NoSpace,
        })
    }

    /// The role it strikes, if it strikes one node.
    pub const fn role(self) -> Option<Role> {
        match self {
            Self::Isolate(role, _)
            | Self::Split(role)
            | Self::Kill(role)
            | Self::PowerLoss(role)
            | Self::PowerLossMidSync(role)
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

    pub const fn has_length(self) -> bool {
        !matches!(
            self,
            Self::Nothing
                | Self::Reset
                | Self::KillAll
                | Self::PowerLossAll
                | Self::PowerLossMidSync(_)
                | Self::ClockJump(..)
                | Self::FsyncError(_)
        )
    }

    pub fn suffix(self) -> String {
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
            Self::PowerLossMidSync(of) => format!(" mid-sync {}", role(of)),
            Self::Split(of) => format!(" minority-with-{}", role(of)),
            Self::Isolate(of, Direction::Both) => format!(" {}", role(of)),
            Self::Isolate(of, Direction::Outbound) => format!(" outbound {}", role(of)),
            Self::Isolate(of, Direction::Inbound) => format!(" inbound {}", role(of)),
            Self::ClockJump(of, is_forward) => {
                format!(" {} {}", if is_forward { "forward" } else { "back" }, role(of))
            }
            Self::ClockRate(of, is_fast) => {
                format!(" {} {}", if is_fast { "fast" } else { "slow" }, role(of))
            }
            Self::Kill(of)
            | Self::PowerLoss(of)
            | Self::Pause(of)
            | Self::SlowFsync(of)
            | Self::FsyncError(of)
            | Self::NoSpace(of) => format!(" {}", role(of)),
        }
    }

    pub fn is_possible(self, view: &View) -> bool {
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
    pub fn victims(self, view: &View) -> Vec<Node> {
        let Some(role) = self.role() else { return view.nodes().collect() };
        let suffers = |node: Node| {
            let same = view.active.iter().filter(|fault| Some(fault.kind()) == self.kind());
            same.into_iter().any(|fault| fault.victims().first() == Some(&node))
        };
        view.playing(role).into_iter().filter(|node| !suffers(*node)).collect()
    }
}
