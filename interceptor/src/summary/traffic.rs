//! Who leads where no node says so: in most protocols one node alone sends to all others, and they answer it.

use crate::event::{Event, EventKind};
use crate::time::{Instant, Span};

/// With fewer nodes beside it whoever sends at all sends to everybody.
const OTHERS_MIN: usize = 2;
/// What was sent longer ago counts no more: a few heartbeats of most protocols.
const RECENT: Span = Span::from_millis(500);

/// Which node last sent to which, and who leads by that.
pub(super) struct Traffic {
    /// By sender, then by receiver.
    sent: Vec<Vec<Option<Instant>>>,
    up: Vec<bool>,
    leader: Option<usize>,
}

impl Traffic {
    pub(super) fn new(nodes: usize) -> Self {
        Self { sent: vec![vec![None; nodes]; nodes], up: vec![true; nodes], leader: None }
    }

    /// Back to the beginning of the run.
    pub(super) fn forget(&mut self) {
        *self = Self::new(self.sent.len());
    }

    /// Takes note of an event. The node that is the only one to have sent to all others that run leads, until another one has
    /// done so too, or it ends.
    pub(super) fn follow(&mut self, event: &Event) {
        let (nodes, host) = (self.sent.len(), usize::from(event.host.0));
        if host >= nodes {
            return;
        }
        match &event.kind {
            EventKind::Start => self.up[host] = true,
            EventKind::Exit(_) => {
                self.up[host] = false;
                self.sent[host].fill(None);
                self.leader = self.leader.filter(|leader| *leader != host);
            }
            EventKind::Send { peer, .. } if usize::from(peer.0) < nodes => {
                self.sent[host][usize::from(peer.0)] = Some(event.at);
                let sends = |node: usize| self.sends_to_all(node, event.at);
                if sends(host) {
                    let is_alone = (0..nodes).all(|other| other == host || !sends(other));
                    self.leader = is_alone.then_some(host);
                }
            }
            _ => {}
        }
    }

    fn sends_to_all(&self, node: usize, now: Instant) -> bool {
        let others = || (0..self.up.len()).filter(|other| *other != node && self.up[*other]);
        let is_recent = |other: usize| self.sent[node][other].is_some_and(|at| now.since(at) <= RECENT);
        self.up[node] && others().count() >= OTHERS_MIN && others().all(is_recent)
    }

    pub(super) fn leader(&self) -> Option<usize> {
        self.leader
    }
}
