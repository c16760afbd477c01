//! Replication: the leader's view of each peer, appends and their answers, and commitment.

use super::{Raft, Role};
use crate::bugs::Bug;
use crate::entry::{Entry, Index, NodeId, Term};
use crate::message::Body;

/// Entries in one append.
const BATCH_MAX: usize = 64;
/// Append frames sent to a peer and not answered.
const INFLIGHT_MAX: u32 = 4;

/// How a peer is fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Feed {
    /// Where its log ends is a guess: one append at a time.
    Probe,
    /// Its log is known: several appends at a time.
    Replicate,
    /// A snapshot was sent and not answered.
    Snapshot {
        /// When.
        sent_ns: u64,
        /// Up to which entry.
        index: Index,
    },
}

/// What a leader knows of a peer.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    /// The next entry to send.
    pub next: Index,
    /// The last entry known to equal ours.
    pub matched: Index,
    pub feed: Feed,
    pub inflight: u32,
    /// When it last answered us as its leader.
    pub contact_ns: u64,
    /// The last probe it answered.
    pub probe: u64,
}

impl Progress {
    pub fn new(next: Index, now_ns: u64) -> Progress {
        Progress { next, matched: 0, feed: Feed::Probe, inflight: 0, contact_ns: now_ns, probe: 0 }
    }

    fn window_is_open(&self) -> bool {
        self.inflight < if self.feed == Feed::Probe { 1 } else { INFLIGHT_MAX }
    }
}

impl Raft {
    /// Forgets what was known of the peers; they are guessed to have our log.
    pub(super) fn start_progress(&mut self) {
        let next = self.log.last_index() + 1;
        let now_ns = self.now.mono_ns;
        // Empty, but for a planted bug.
        let last_reign = std::mem::take(&mut self.progress);
        let answered = |id| last_reign.get(&id).map_or(0, |peer: &Progress| peer.probe);
        let begin = |id| (id, Progress { probe: answered(id), ..Progress::new(next, now_ns) });
        self.progress = self.others().into_iter().map(begin).collect();
    }

    /// A heartbeat interval is over: step down if nobody answers, else say that we are here.
    pub(super) fn on_heartbeat_due(&mut self) {
        let now_ns = self.now.mono_ns;
        // In step with the last one, unless the node was stopped for a while.
        let next_ns = self.heartbeat_at_ns + self.settings.heartbeat_ns;
        self.heartbeat_at_ns = if next_ns > now_ns { next_ns } else { now_ns + self.settings.heartbeat_ns };
        let silence_ns_max = 2 * self.settings.election_ns.end;
        let alive = |progress: &&Progress| now_ns.saturating_sub(progress.contact_ns) < silence_ns_max;
        let heard =
            self.progress.values().filter(alive).count() + usize::from(self.is_member(self.settings.id));
        if heard < self.quorum() {
            return self.become_follower(self.term, None);
        }
        let late: Vec<Index> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| waiting.until_ns <= now_ns)
            .map(|(at, _)| *at)
            .collect();
        for index in late {
            if let Some(waiting) = self.waiting.remove(&index) {
                self.reply(waiting.token, super::Reply::Unknown);
            }
        }
        self.expire_reads();
        self.clean_up_members();
        self.start_probe();
        self.heartbeat_due = true;
    }

    /// Sends each peer its share of the turn: entries, else a heartbeat or a read probe if one is due.
    pub(super) fn send_all(&mut self) {
        let probing = self.start_probe_for_reads();
        let heartbeat = std::mem::take(&mut self.heartbeat_due);
        for id in self.others() {
            let resend = heartbeat && self.snapshot_is_late(id);
            let fed = self.feed(id, resend);
            if heartbeat && !fed {
                self.send_heartbeat(id);
            } else if probing && !fed {
                self.send(id, Body::ReadProbe { probe: self.reads.probe() });
            }
        }
    }

    fn send_heartbeat(&mut self, id: NodeId) {
        let Some(progress) = self.progress.get(&id) else { return };
        // The last entry *sent*: a peer that missed a frame says so, and is fed again from there.
        let prev_index = if self.bugs.has(Bug::LostWakeup) { progress.matched } else { progress.next - 1 };
        let prev_index = prev_index.max(self.log.base_index());
        let prev_term = self.log.term_at(prev_index).unwrap_or(0);
        let (commit, probe) = (self.commit, self.reads.probe());
        self.send(id, Body::Heartbeat { prev_index, prev_term, commit, probe });
    }

    /// Sends what a peer lacks, as far as its window is open; says whether anything was sent.
    fn feed(&mut self, id: NodeId, resend_snapshot: bool) -> bool {
        let mut sent = false;
        if self.bugs.has(Bug::LostWakeup) && self.progress.get(&id).is_some_and(|peer| !peer.window_is_open())
        {
            return false;
        }
        let now_ns = self.now.mono_ns;
        let last = self.log.last_index();
        let compacted = self.progress.get(&id).is_some_and(|peer| peer.next <= self.log.base_index());
        if (compacted || resend_snapshot)
            && let Some(snapshot) = self.snapshot.clone()
        {
            if let Some(peer) = self.progress.get_mut(&id) {
                peer.feed = Feed::Snapshot { sent_ns: now_ns, index: snapshot.index };
                peer.next = peer.next.max(snapshot.index + 1);
                peer.inflight = 0;
            }
            self.send(id, Body::Snapshot { snapshot, probe: self.reads.probe() });
            sent = true;
        }
        while let Some(peer) = self.progress.get_mut(&id) {
            if peer.next > last || !peer.window_is_open() {
                break;
            }
            let prev_index = peer.next - 1;
            let entries = self.log.batch(peer.next, BATCH_MAX);
            peer.next += entries.len() as Index;
            peer.inflight += 1;
            let prev_term = self.log.term_at(prev_index).unwrap_or(0);
            let (commit, probe) = (self.commit, self.reads.probe());
            self.send(id, Body::Append { prev_index, prev_term, commit, probe, entries });
            sent = true;
        }
        sent
    }

    /// Whether an answer is to our present leadership; notes the contact, and steps down if it is outdated.
    pub(super) fn still_leading(&mut self, from: NodeId, term: Term, probe: u64) -> bool {
        if term > self.term {
            self.on_higher_term(term, None);
            return false;
        }
        if self.role != Role::Leader || term < self.term {
            return false;
        }
        let Some(peer) = self.progress.get_mut(&from) else { return false };
        peer.contact_ns = self.now.mono_ns;
        peer.probe = peer.probe.max(probe);
        self.renew_lease();
        true
    }

    pub(super) fn on_append_reply(
        &mut self,
        from: NodeId,
        ok: bool,
        match_index: Index,
        hint: Index,
        heartbeat: bool,
    ) {
        let last = self.log.last_index();
        let credits_leak = self.bugs.has(Bug::LostWakeup);
        let Some(peer) = self.progress.get_mut(&from) else { return };
        if ok {
            peer.matched = peer.matched.max(match_index.min(last));
            peer.next = peer.next.max(peer.matched + 1);
            match peer.feed {
                Feed::Snapshot { index, .. } if peer.matched < index => {}
                Feed::Probe if heartbeat && credits_leak => {}
                _ => peer.feed = Feed::Replicate,
            }
            if !heartbeat {
                peer.inflight = peer.inflight.saturating_sub(1);
            } else if peer.matched + 1 >= peer.next && !credits_leak {
                peer.inflight = 0;
            }
            return;
        }
        if matches!(peer.feed, Feed::Snapshot { .. }) {
            if self.bugs.has(Bug::PanicOrder) {
                unreachable!("append rejected by node {from} while a snapshot is under way");
            }
            // Said before the snapshot arrived; if that is lost, it is sent again.
            return;
        }
        peer.feed = Feed::Probe;
        peer.next = hint.min(peer.next - 1).max(1);
        if !credits_leak {
            peer.inflight = 0;
        } else if !heartbeat {
            peer.inflight = peer.inflight.saturating_sub(1);
        }
    }

    /// Commits the last entry that a majority has.
    pub(super) fn advance_commit(&mut self) {
        let own = self.log.last_index();
        let me = self.settings.id;
        let copies = |id: NodeId| self.progress.get(&id).map_or(0, |peer| peer.matched);
        let mut matched: Vec<Index> =
            self.members().iter().map(|m| if m.id == me { own } else { copies(m.id) }).collect();
        if self.bugs.has(Bug::PrematureCommit) {
            matched.push(own);
        }
        matched.sort_unstable_by(|a, b| b.cmp(a));
        let Some(&index) = matched.get(self.quorum() - 1) else { return };
        // An entry of an earlier term may still lose, however many have it (Raft paper, 5.4.2).
        let of_this_term = self.log.term_at(index) == Some(self.term);
        if index > self.commit && (of_this_term || self.bugs.has(Bug::Figure8Commit)) {
            self.commit = index;
            self.apply_committed();
        }
    }

    /// Whether an entry of the leader's own term is committed.
    pub(super) fn term_is_committed(&self) -> bool {
        self.log.term_at(self.commit) == Some(self.term)
    }

    /// Takes a leader's append (or heartbeat: no entries) and answers it.
    pub(super) fn on_append(
        &mut self,
        from: NodeId,
        term: Term,
        prev: (Index, Term),
        commit: Index,
        probe: u64,
        entries: Option<Vec<Entry>>,
    ) {
        let heartbeat = entries.is_none();
        if !self.follow(from, term) {
            // Our term tells an outdated leader that it is one. Of two leaders in a term there is nothing to say.
            if term < self.term {
                let hint = self.log.last_index() + 1;
                self.send(from, Body::AppendReply { ok: false, match_index: 0, hint, heartbeat, probe });
            }
            return;
        }
        let (ok, match_index, hint) = match self.accept(prev, commit, entries.unwrap_or_default()) {
            Ok(match_index) => (true, match_index, 0),
            Err(hint) => (false, 0, hint),
        };
        self.send_in_term(from, term, Body::AppendReply { ok, match_index, hint, heartbeat, probe });
    }

    /// Follows the sender of a leader's message, unless its term is over.
    pub(super) fn follow(&mut self, from: NodeId, term: Term) -> bool {
        if term > self.term {
            self.on_higher_term(term, Some(from));
        }
        let outdated = term < self.term && !self.bugs.has(Bug::StaleTermAccepted);
        if outdated || self.role == Role::Leader {
            return false;
        }
        self.become_follower(term, Some(from));
        self.heard_leader_ns = Some(self.now.mono_ns);
        self.arm_election();
        true
    }

    /// Checks the entry before, then takes the entries; the last matching index, or where to go on.
    fn accept(&mut self, prev: (Index, Term), commit: Index, entries: Vec<Entry>) -> Result<Index, Index> {
        let (prev_index, prev_term) = prev;
        let last = self.log.last_index();
        if prev_index > last {
            return Err(last + 1);
        }
        // What is committed is the same everywhere: no need to look.
        let covered = if self.bugs.has(Bug::PrevOffByOne) { self.commit + 1 } else { self.commit };
        if prev_index > covered && self.log.term_at(prev_index) != Some(prev_term) {
            return Err(self.log.run_start(prev_index).max(self.commit + 1));
        }
        let match_index = prev_index + entries.len() as Index;
        for entry in entries {
            self.accept_entry(entry);
        }
        let verified = if self.bugs.has(Bug::CommitTooFar) { self.log.last_index() } else { match_index };
        if commit.min(verified) > self.commit {
            self.commit = commit.min(verified);
            self.apply_committed();
        }
        Ok(match_index)
    }

    fn accept_entry(&mut self, entry: Entry) {
        if entry.index <= self.log.base_index() {
            return;
        }
        match self.log.term_at(entry.index) {
            Some(term) if term == entry.term => {}
            Some(_) if self.bugs.has(Bug::ConflictKept) => {}
            Some(_) => {
                self.truncate(entry.index);
                self.append(entry);
            }
            None => self.append(entry),
        }
    }
}
