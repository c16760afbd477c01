//! Membership: one voter added or removed at a time (Raft dissertation, 4.1), by hand or by autopilot.
//!
//! Safe only because any majority of the old voters meets any majority of the new ones. That holds for one
//! change on top of a committed configuration. Counterexample with a change on top of an uncommitted one:
//! the leader of {1, 2, 3} loses both peers, removes 2, then 3, and commits alone.

use super::replication::Progress;
use super::{Output, Raft, Reply, Role};
use crate::bugs::Bug;
use crate::entry::{Command, Member, NodeId};
use crate::message::Body;

impl Raft {
    pub(super) fn on_add(&mut self, token: u64, member: Member) {
        if self.members().contains(&member) {
            return self.reply(token, Reply::Applied(crate::machine::Outcome::Done));
        }
        if self.is_member(member.id) {
            return self.reply(token, Reply::Refused("that id is a member with another address"));
        }
        let mut members = self.members().to_vec();
        members.push(member);
        self.change(Some(token), members);
    }

    pub(super) fn on_remove(&mut self, token: u64, id: NodeId) {
        if !self.is_member(id) {
            return self.reply(token, Reply::Applied(crate::machine::Outcome::Done));
        }
        if self.members().len() == 1 {
            return self.reply(token, Reply::Refused("the last member cannot be removed"));
        }
        let members = self.members().iter().filter(|member| member.id != id).cloned().collect();
        self.change(Some(token), members);
    }

    fn change(&mut self, token: Option<u64>, mut members: Vec<Member>) {
        if !self.bugs.has(Bug::EarlyMembership) {
            let refusal = if self.change_is_pending() {
                Some("another change is under way; try again")
            } else if !self.term_is_committed() {
                Some("the leader is new and has not committed anything yet; try again")
            } else {
                None
            };
            if let Some(why) = refusal {
                return token.map_or((), |token| self.reply(token, Reply::Refused(why)));
            }
        }
        members.sort_by_key(|member| member.id);
        self.propose(token, Command::Config { members });
    }

    /// Brings what depends on the voters in line with the configuration in force.
    pub(super) fn on_config_changed(&mut self) {
        self.out.push(Output::Members(self.members().to_vec()));
        if self.role != Role::Leader {
            return;
        }
        let others = self.others();
        self.progress.retain(|id, _| others.contains(id));
        let (next, now_ns) = (self.log.last_index() + 1, self.now.mono_ns);
        for id in others {
            self.progress.entry(id).or_insert_with(|| Progress::new(next, now_ns));
        }
    }

    /// Autopilot: removes voters that have been silent for too long, but never below two.
    pub(super) fn clean_up_members(&mut self) {
        if self.settings.autopilot_ns == 0 {
            return;
        }
        let now_ns = self.now.mono_ns;
        let silent: Vec<NodeId> = self
            .progress
            .iter()
            .filter(|(_, peer)| now_ns.saturating_sub(peer.contact_ns) >= self.settings.autopilot_ns)
            .map(|(id, _)| *id)
            .collect();
        for id in silent {
            let enough = self.bugs.has(Bug::EarlyMembership) || self.members().len() > 2;
            if enough {
                let members = self.members().iter().filter(|member| member.id != id).cloned().collect();
                self.change(None, members);
            }
        }
    }

    /// Autopilot: a node that hears no leader may have been removed, and may not know; it asks to be taken in.
    pub(super) fn ask_to_join(&mut self) {
        if self.settings.autopilot_ns == 0 {
            return;
        }
        let (me, addr) = (self.settings.id, self.settings.addr.clone());
        let known: Vec<NodeId> =
            self.settings.peers.iter().map(|peer| peer.id).filter(|id| *id != me).collect();
        for id in known {
            self.send(id, Body::Join { addr: addr.clone() });
        }
    }

    pub(super) fn on_join(&mut self, member: Member) {
        if self.role == Role::Leader && self.settings.autopilot_ns > 0 && !self.is_member(member.id) {
            let mut members = self.members().to_vec();
            members.push(member);
            self.change(None, members);
        }
    }

    /// A configuration is committed: a leader that is not in it has done its duty.
    pub(super) fn on_config_committed(&mut self, members: &[Member]) {
        let removed = !members.iter().any(|member| member.id == self.settings.id);
        if self.role == Role::Leader && removed && !self.is_member(self.settings.id) {
            self.become_follower(self.term, None);
        }
    }

    /// Whether the newest configuration is not committed yet.
    pub(super) fn change_is_pending(&self) -> bool {
        self.configs.last().is_some_and(|(index, _)| *index > self.commit)
    }

    /// Rebuilds the list of configurations from the snapshot's and those in the log.
    pub(super) fn reload_configs(&mut self) {
        self.configs.truncate(1);
        for entry in self.log.entries() {
            if let Command::Config { members } = &entry.command {
                self.configs.push((entry.index, members.clone()));
            }
        }
        self.on_config_changed();
    }
}
