//! Snapshots: taking them, and installing the leader's.

use super::replication::Feed;
use super::{Output, Raft, Role};
use crate::bugs::Bug;
use crate::entry::{Index, NodeId, Snapshot, Term};
use crate::message::Body;
use crate::report::Report;

/// A snapshot not answered for this many heartbeats is sent again.
const RESEND_HEARTBEATS: u64 = 5;

impl Raft {
    /// Replaces the applied entries by a snapshot of their effect.
    pub(super) fn take_snapshot(&mut self) {
        let index = self.applied;
        let Some(term) = self.log.term_at(index) else { return };
        let at = self.configs.iter().rposition(|(from, _)| *from <= index).unwrap_or(0);
        self.configs.drain(..at);
        let members = self.configs.first().map(|(_, members)| members.clone()).unwrap_or_default();
        let machine = self.machine.for_snapshot(self.bugs);
        self.log.compact(index, term);
        self.store(Snapshot { index, term, members, machine }, false);
    }

    /// Takes the leader's snapshot, unless the log already has what it covers.
    pub(super) fn on_snapshot(&mut self, from: NodeId, term: Term, snapshot: Snapshot, probe: u64) {
        if !self.follow(from, term) {
            if !(self.role == Role::Leader && term == self.term) {
                self.send(from, Body::SnapshotReply { match_index: 0, probe });
            }
            return;
        }
        let late = snapshot.index <= self.commit;
        if late && !self.bugs.has(Bug::SnapshotOverNewer) {
            let match_index = self.commit;
            return self.send(from, Body::SnapshotReply { match_index, probe });
        }
        let match_index = snapshot.index;
        self.install(snapshot);
        self.send(from, Body::SnapshotReply { match_index, probe });
    }

    fn install(&mut self, snapshot: Snapshot) {
        let (index, term) = (snapshot.index, snapshot.term);
        let keeps_rest = self.log.term_at(index) == Some(term) && !self.bugs.has(Bug::SnapshotOverNewer);
        if keeps_rest {
            self.log.compact(index, term);
        } else {
            if self.log.last_index() > index {
                self.report(Report::Truncate { from: index + 1 });
            }
            self.log.reset(index, term);
        }
        self.machine = snapshot.machine.clone();
        (self.commit, self.applied) = (index, index);
        self.configs = vec![(index, snapshot.members.clone())];
        self.reload_configs();
        self.store(snapshot, true);
    }

    fn store(&mut self, snapshot: Snapshot, installed: bool) {
        let digest = snapshot.machine.digest();
        self.report(Report::Snapshot { index: snapshot.index, term: snapshot.term, digest, installed });
        self.snapshot = Some(snapshot.clone());
        self.out.push(Output::SaveSnapshot { snapshot, entries: self.log.entries().to_vec() });
    }

    pub(super) fn on_snapshot_reply(&mut self, from: NodeId, match_index: Index) {
        let last = self.log.last_index();
        let Some(peer) = self.progress.get_mut(&from) else { return };
        peer.matched = peer.matched.max(match_index.min(last));
        peer.next = peer.next.max(peer.matched + 1);
        peer.feed = Feed::Replicate;
    }

    /// Whether a peer has left a snapshot unanswered for so long that it must have been lost.
    pub(super) fn snapshot_is_late(&self, id: NodeId) -> bool {
        let patience_ns = RESEND_HEARTBEATS * self.settings.heartbeat_ns;
        self.progress.get(&id).is_some_and(|peer| match peer.feed {
            Feed::Snapshot { sent_ns, .. } => self.now.mono_ns >= sent_ns + patience_ns,
            Feed::Probe | Feed::Replicate => false,
        })
    }
}
