//! Elections: timeouts, pre-votes, votes, and what a change of role drops.

use rand::RngExt;

use super::{Raft, ReadMode, Reply, Role};
use crate::bugs::Bug;
use crate::entry::{Command, Index, NodeId, Term};
use crate::message::Body;

impl Raft {
    /// Draws the first election timeout after a start: short, because nobody leads a new cluster.
    pub(super) fn arm_first_election(&mut self) {
        let range = match self.settings.reads {
            ReadMode::ReadIndex => self.settings.boot_election_ns.clone(),
            ReadMode::Lease => self.settings.election_ns.clone(),
        };
        self.election_at_ns = self.now.mono_ns + self.rng.random_range(range);
    }

    pub(super) fn arm_election(&mut self) {
        self.election_at_ns = self.now.mono_ns + self.rng.random_range(self.settings.election_ns.clone());
    }

    /// No leader was heard for an election timeout.
    pub(super) fn on_election_due(&mut self) {
        self.arm_election();
        self.ask_to_join();
        if !self.is_member(self.settings.id) {
            return;
        }
        self.role = Role::PreCandidate;
        self.leader = None;
        self.votes = [(self.settings.id, true)].into();
        let (last_index, last_term) = (self.log.last_index(), self.log.last_term());
        for id in self.others() {
            self.send_in_term(id, self.term + 1, Body::PreVote { last_index, last_term });
        }
        if self.votes_won() {
            self.become_candidate();
        }
    }

    fn become_candidate(&mut self) {
        self.role = Role::Candidate;
        self.term += 1;
        self.vote = self.settings.id;
        self.meta_changed = true;
        self.votes = [(self.settings.id, true)].into();
        self.arm_election();
        let (last_index, last_term) = (self.log.last_index(), self.log.last_term());
        for id in self.others() {
            self.send(id, Body::Vote { last_index, last_term });
        }
        if self.votes_won() {
            self.become_leader();
        }
    }

    fn become_leader(&mut self) {
        self.role = Role::Leader;
        self.leader = Some(self.settings.id);
        self.heartbeat_at_ns = self.now.mono_ns + self.settings.heartbeat_ns;
        self.reads.clear();
        if self.bugs.has(Bug::ProbeNumbersRepeat) {
            self.reads.renumber();
        }
        self.start_progress();
        // Nothing of an earlier term counts as committed until something of this one is.
        self.propose(None, Command::Noop);
    }

    /// Follows; in a later term if `term` is higher.
    pub(super) fn become_follower(&mut self, term: Term, leader: Option<NodeId>) {
        if term > self.term {
            self.term = term;
            self.vote = 0;
            if !self.bugs.has(Bug::VoteNotPersisted) {
                self.meta_changed = true;
            }
        }
        if self.role == Role::Leader {
            self.arm_election();
            for waiting in std::mem::take(&mut self.waiting).into_values() {
                self.reply(waiting.token, Reply::Unknown);
            }
            for token in self.reads.clear() {
                self.reply(token, Reply::NotLeader(leader));
            }
            if !self.bugs.has(Bug::ProbeNumbersRepeat) {
                self.progress.clear();
            }
            self.heartbeat_due = false;
        }
        self.role = Role::Follower;
        self.leader = leader;
    }

    /// A message carries a higher term than ours.
    pub(super) fn on_higher_term(&mut self, term: Term, leader: Option<NodeId>) {
        if self.role == Role::Leader && self.bugs.has(Bug::LeaderKeepsReign) {
            self.term = term;
            self.vote = 0;
            self.meta_changed = true;
            return;
        }
        self.become_follower(term, leader);
    }

    /// Whether a leader was heard so recently that nobody else should be elected (dissertation, 4.2.3).
    fn leader_is_alive(&self) -> bool {
        let grace_ns = self.settings.election_ns.start;
        self.role == Role::Leader
            || self.heard_leader_ns.is_some_and(|heard_ns| self.now.mono_ns < heard_ns + grace_ns)
    }

    fn log_is_current(&self, last_index: Index, last_term: Term) -> bool {
        if self.bugs.has(Bug::LongestLogWins) {
            return last_index >= self.log.last_index();
        }
        (last_term, last_index) >= (self.log.last_term(), self.log.last_index())
    }

    pub(super) fn on_pre_vote(&mut self, from: NodeId, term: Term, last_index: Index, last_term: Term) {
        let free = term > self.term || (term == self.term && (self.vote == 0 || self.vote == from));
        let granted = free && !self.leader_is_alive() && self.log_is_current(last_index, last_term);
        let term = if granted { term } else { self.term };
        self.send_in_term(from, term, Body::PreVoteReply { granted });
    }

    pub(super) fn on_pre_vote_reply(&mut self, from: NodeId, term: Term, granted: bool) {
        if !granted && term > self.term {
            return self.on_higher_term(term, None);
        }
        if self.role == Role::PreCandidate && granted && term == self.term + 1 {
            self.votes.insert(from, true);
            if self.votes_won() {
                self.become_candidate();
            }
        }
    }

    pub(super) fn on_vote(&mut self, from: NodeId, term: Term, last_index: Index, last_term: Term) {
        if self.leader_is_alive() {
            return;
        }
        if term > self.term {
            self.on_higher_term(term, None);
        }
        let free = self.vote == 0 || self.vote == from || self.bugs.has(Bug::DoubleVote);
        let granted = term == self.term && free && self.log_is_current(last_index, last_term);
        if granted {
            if self.role == Role::PreCandidate {
                self.role = Role::Follower;
            }
            self.vote = from;
            if !self.bugs.has(Bug::VoteNotPersisted) {
                self.meta_changed = true;
            }
            self.arm_election();
        }
        self.send(from, Body::VoteReply { granted });
    }

    pub(super) fn on_vote_reply(&mut self, from: NodeId, term: Term, granted: bool) {
        if term > self.term {
            return self.on_higher_term(term, None);
        }
        if self.role == Role::Candidate && term == self.term && granted {
            self.votes.insert(from, true);
            if self.votes_won() {
                self.become_leader();
            }
        }
    }

    fn votes_won(&self) -> bool {
        self.members().iter().filter(|member| self.votes.contains_key(&member.id)).count() >= self.quorum()
    }
}
