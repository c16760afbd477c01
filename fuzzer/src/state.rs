//! The agent's state: sixteen small figures about the cluster, the faults in force, and what just happened. Few values each,
//! so that states repeat, and so that an agent that looks at each figure can tell which of them matters.

use crate::action::View;
use crate::fault::{Fault, Kind};
use agents::StateId;
use interceptor::event::{Event, EventKind, Exit};
use interceptor::summary::{LEADS, Standing};

/// What happened in the present window, as far as states tell it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Happened {
    /// Exits and crashes, starts, connections refused, connections lost: a bit each.
    processes: u8,
    /// Syncs that failed, new leaders, other changes of role, answers to clients: a bit each.
    progress: u8,
}

impl Happened {
    /// Takes note of an event.
    pub fn take(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Exit(Exit::Status(_) | Exit::Signal(_)) => self.processes |= 1,
            EventKind::Start => self.processes |= 2,
            EventKind::ConnectFailed { .. } => self.processes |= 4,
            EventKind::Disconnect { .. } => self.processes |= 8,
            EventKind::Fsync { failed: true } => self.progress |= 1,
            EventKind::Report(report) => {
                self.progress |= match report.text("role") {
                    Some(role) if LEADS.contains(&role) => 2,
                    Some("follower" | "replica" | "slave") | None => 0,
                    Some(_) => 4,
                };
            }
            EventKind::Client { label } if label.starts_with("ok") => self.progress |= 8,
            _ => {}
        }
    }
}

/// What a state is made of.
#[derive(Clone, Debug)]
pub struct Situation<'a> {
    /// How the nodes stand to each other.
    pub standing: Standing,
    /// Who runs, who leads, which faults are in force.
    pub view: &'a View,
    /// In the window that is over.
    pub happened: Happened,
    /// Windows since the leader was another one.
    pub reign: u64,
    /// Operations of clients that wait for an answer.
    pub waiting: usize,
    /// How much of the run is over, of 1.
    pub over: f64,
}

impl Situation<'_> {
    /// The state. Its digits from the last: leaders, nodes down, terms behind, commits behind; kinds of faults in force of the
    /// network, and of nodes; the leader struck, followers struck; how long the leader has been one, operations that wait;
    /// what happened to processes, and to progress; how much of the run is over; three are free.
    #[must_use]
    pub fn state(&self) -> StateId {
        let Self { standing, view, happened, reign, waiting, over } = self;
        let mut digits = [0; 16];
        let kinds = |of: fn(Kind) -> u8| view.active.iter().fold(0, |bits, fault| bits | of(fault.kind()));
        let struck = |fault: &Fault| fault.victims();
        let leads = |node: &crate::fault::Node| {
            let role = view.roles.get(usize::from(node.0) - 1).and_then(Option::as_deref);
            role.is_some_and(|role| LEADS.contains(&role))
        };
        let victims: std::collections::BTreeSet<_> = view.active.iter().flat_map(struck).collect();
        let leaders_struck = victims.iter().filter(|node| leads(node)).count();
        let figures = [
            small(standing.leaders, 3),
            small(standing.down, 4),
            standing.term_lag.map_or(0, |lag| 1 + class(lag, &[0, 1])),
            standing.commit_lag.map_or(0, |lag| 1 + class(lag, &[0, 1, 9])),
            kinds(of_network),
            kinds(of_node),
            small(leaders_struck, 2),
            small(victims.len() - leaders_struck, 3),
            class(*reign, &[0, 3, 15]),
            class(*waiting as u64, &[0, 2]),
            happened.processes,
            happened.progress,
            class((over * 4.0) as u64, &[0, 1, 2]),
        ];
        digits[..figures.len()].copy_from_slice(&figures);
        StateId::of(digits)
    }
}

fn of_network(kind: Kind) -> u8 {
    match kind {
        Kind::Partition => 1,
        Kind::Link | Kind::Stall => 2,
        Kind::Delay => 4,
        _ => 0,
    }
}

fn of_node(kind: Kind) -> u8 {
    match kind {
        Kind::Kill | Kind::PowerLoss => 1,
        Kind::Pause => 2,
        Kind::ClockJump | Kind::ClockRate => 4,
        Kind::SlowFsync | Kind::FsyncError | Kind::NoSpace => 8,
        _ => 0,
    }
}

fn small(value: usize, max: u8) -> u8 {
    u8::try_from(value).unwrap_or(max).min(max)
}

/// The position of the first bound that is not exceeded, or behind the last.
fn class(value: u64, bounds: &[u64]) -> u8 {
    small(bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len()), 15)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Seen;
    use crate::fault::Node;
    use interceptor::event::HostId;
    use interceptor::time::Instant;

    fn view(active: Vec<Fault>) -> View {
        let roles = ["follower", "leader", "follower"].map(|role| Some(role.to_owned())).to_vec();
        View { roles, up: vec![true; 3], active, seen: Seen::default() }
    }

    fn digits(view: &View, happened: Happened) -> [u8; 16] {
        let standing = Standing { leaders: 1, down: 0, term_lag: Some(0), commit_lag: Some(4) };
        Situation { standing, view, happened, reign: 5, waiting: 1, over: 0.6 }.state().digits()
    }

    #[test]
    fn each_figure_has_its_digit() {
        let quiet = digits(&view(vec![]), Happened::default());
        assert_eq!(quiet, [1, 0, 1, 3, 0, 0, 0, 0, 2, 1, 0, 0, 2, 0, 0, 0]);
        let pause = Fault::Pause { node: Node(2), for_ms: 5 };
        let cut = Fault::Link { from: Node(1), to: Node(3), for_ms: 5 };
        let struck = digits(&view(vec![pause, cut]), Happened::default());
        assert_eq!((struck[4], struck[5], struck[6], struck[7]), (2, 2, 1, 2));
    }

    #[test]
    fn what_happens_in_a_window_is_told() {
        let mut happened = Happened::default();
        for kind in [EventKind::Start, EventKind::Client { label: "ok:read".into() }] {
            happened.take(&Event { at: Instant(1), host: HostId(0), kind });
        }
        let told = digits(&view(vec![]), happened);
        assert_eq!((told[10], told[11]), (2, 8));
    }
}
