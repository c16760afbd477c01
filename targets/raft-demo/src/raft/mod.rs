//! The Raft core: a pure state machine. Inputs and the time go in, outputs come out; no I/O, no clock.
//!
//! Its owner must honour one rule: everything the outputs of a step ask to store is durable before any of
//! their messages and replies leave. After the inputs of a turn comes one [`Input::Flush`].
//!
//! Sources: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm" (2014); Ongaro's
//! dissertation (2014); Ongaro, "bug in single-server membership changes" (raft-dev, 2015).

mod election;
mod log;
mod membership;
mod read;
mod replication;
mod snapshot;
mod types;

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::bugs::{Bug, Bugs};
use crate::entry::{Command, Entry, Index, Member, NodeId, Snapshot, Term};
use crate::machine::Machine;
use crate::message::{Body, Frame};
use crate::report::Report;

pub use self::log::Log;
use self::read::Reads;
use self::replication::Progress;
pub use self::types::{Input, Now, Output, ReadMode, Recovered, Reply, Request, Role, Settings};

/// The machine takes no more writes above this many bytes, so that a snapshot fits a frame.
const MACHINE_BYTES_MAX: usize = 4 << 20;
/// Writes waiting for a commit; more are turned away.
const WAITING_MAX: usize = 1024;

/// A write that waits for its entry to be applied.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    token: u64,
    term: Term,
    until_ns: u64,
}

/// One node's Raft state.
#[derive(Debug)]
pub struct Raft {
    settings: Settings,
    bugs: Bugs,
    now: Now,
    role: Role,
    term: Term,
    vote: NodeId,
    meta_changed: bool,
    leader: Option<NodeId>,
    log: Log,
    snapshot: Option<Snapshot>,
    machine: Machine,
    commit: Index,
    applied: Index,
    /// Configurations by the index that brought them, oldest first; the last is in force.
    configs: Vec<(Index, Vec<Member>)>,
    votes: BTreeMap<NodeId, bool>,
    progress: BTreeMap<NodeId, Progress>,
    waiting: BTreeMap<Index, Waiting>,
    reads: Reads,
    election_at_ns: u64,
    heartbeat_at_ns: u64,
    heartbeat_due: bool,
    heard_leader_ns: Option<u64>,
    reported: Option<(Role, Term, NodeId, Index)>,
    rng: ChaCha8Rng,
    out: Vec<Output>,
}

impl Raft {
    /// A node that starts with what its disk had; `seed` decides its election timeouts.
    pub fn new(settings: Settings, disk: Recovered, seed: u64, now: Now) -> Raft {
        let bugs = settings.bugs;
        let term_of = |snap: &Snapshot| if bugs.has(Bug::SnapshotTermLost) { 0 } else { snap.term };
        let (base_index, base_term) =
            disk.snapshot.as_ref().map_or((0, 0), |snap| (snap.index, term_of(snap)));
        let members =
            disk.snapshot.as_ref().map_or_else(|| settings.members.clone(), |snap| snap.members.clone());
        let mut raft = Raft {
            bugs,
            now,
            role: Role::Follower,
            term: disk.term,
            vote: disk.vote,
            meta_changed: false,
            leader: None,
            log: Log::new(base_index, base_term, disk.entries),
            machine: disk.snapshot.as_ref().map(|snap| snap.machine.clone()).unwrap_or_default(),
            snapshot: disk.snapshot,
            commit: base_index,
            applied: base_index,
            configs: vec![(base_index, members)],
            votes: BTreeMap::new(),
            progress: BTreeMap::new(),
            waiting: BTreeMap::new(),
            reads: Reads::default(),
            election_at_ns: 0,
            heartbeat_at_ns: 0,
            heartbeat_due: false,
            // A lease given before the crash may still hold: do not help to elect anyone until it is over.
            heard_leader_ns: (settings.reads == ReadMode::Lease).then_some(now.mono_ns),
            reported: None,
            rng: ChaCha8Rng::seed_from_u64(seed),
            out: Vec::new(),
            settings,
        };
        raft.reload_configs();
        raft.arm_first_election();
        let last = raft.log.last_index();
        let start = Report::Start { term: raft.term, vote: raft.vote, last, snapshot: base_index };
        raft.out.push(Output::Report(start));
        // The disk may hold what was never reported: the node can have died between the two.
        let recovered: Vec<Report> = raft.log.entries().iter().map(Report::append).collect();
        raft.out.extend(recovered.into_iter().map(Output::Report));
        raft
    }

    /// Takes one input. What the outputs store must be durable before their messages and replies leave.
    pub fn step(&mut self, now: Now, input: Input) -> Vec<Output> {
        self.now = now;
        match input {
            Input::Tick => self.on_tick(),
            Input::Message(frame) => self.on_message(frame),
            Input::Request(token, request) => self.on_request(token, request),
            Input::Flush => self.flush(),
        }
        if std::mem::take(&mut self.meta_changed) {
            self.out.push(Output::SaveMeta { term: self.term, vote: self.vote });
        }
        std::mem::take(&mut self.out)
    }

    /// When the next [`Input::Tick`] is due, on the monotonic clock.
    pub fn deadline_ns(&self) -> u64 {
        if self.role == Role::Leader { self.heartbeat_at_ns } else { self.election_at_ns }
    }

    /// The role now.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The term now.
    pub fn term(&self) -> Term {
        self.term
    }

    /// The commit index now.
    pub fn commit(&self) -> Index {
        self.commit
    }

    /// The log after the last snapshot.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The state machine.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The voters in force.
    pub fn members(&self) -> &[Member] {
        self.configs.last().map_or(&[], |(_, members)| members)
    }

    fn on_tick(&mut self) {
        if self.now.mono_ns < self.deadline_ns() {
            return;
        }
        match self.role {
            Role::Leader => self.on_heartbeat_due(),
            _ => self.on_election_due(),
        }
    }

    fn on_message(&mut self, frame: Frame) {
        let Frame { from, term, body } = frame;
        match body {
            Body::PreVote { last_index, last_term } => self.on_pre_vote(from, term, last_index, last_term),
            Body::PreVoteReply { granted } => self.on_pre_vote_reply(from, term, granted),
            Body::Vote { last_index, last_term } => self.on_vote(from, term, last_index, last_term),
            Body::VoteReply { granted } => self.on_vote_reply(from, term, granted),
            Body::Append { prev_index, prev_term, commit, probe, entries } => {
                self.on_append(from, term, (prev_index, prev_term), commit, probe, Some(entries));
            }
            Body::Heartbeat { prev_index, prev_term, commit, probe } => {
                self.on_append(from, term, (prev_index, prev_term), commit, probe, None);
            }
            Body::AppendReply { ok, match_index, hint, heartbeat, probe } => {
                if self.still_leading(from, term, probe) {
                    self.on_append_reply(from, ok, match_index, hint, heartbeat);
                }
            }
            Body::Snapshot { snapshot, probe } => self.on_snapshot(from, term, snapshot, probe),
            Body::SnapshotReply { match_index, probe } => {
                if self.still_leading(from, term, probe) {
                    self.on_snapshot_reply(from, match_index);
                }
            }
            Body::ReadProbe { probe } => self.on_read_probe(from, term, probe),
            Body::ReadProbeReply { probe } => {
                self.still_leading(from, term, probe);
            }
            Body::Join { addr } => self.on_join(Member { id: from, addr }),
        }
    }

    fn on_request(&mut self, token: u64, request: Request) {
        if request == Request::Status {
            let status = self.status();
            return self.reply(token, Reply::Status(status));
        }
        if self.role != Role::Leader {
            return self.reply(token, Reply::NotLeader(self.leader));
        }
        match request {
            Request::Get { key } => self.on_read(token, key),
            Request::Write(command) => self.on_write(token, command),
            Request::Add(member) => self.on_add(token, member),
            Request::Remove(id) => self.on_remove(token, id),
            Request::Status => {}
        }
    }

    fn on_write(&mut self, token: u64, command: Command) {
        if self.waiting.len() >= WAITING_MAX {
            return self.reply(token, Reply::Unknown);
        }
        if self.machine.bytes() >= MACHINE_BYTES_MAX && !matches!(command, Command::Delete { .. }) {
            return self.reply(token, Reply::Full);
        }
        if self.bugs.has(Bug::RetryTwice)
            && let Some(outcome) = command.session().and_then(|session| self.machine.recall(session))
        {
            return self.reply(token, Reply::Applied(outcome));
        }
        self.propose(Some(token), command);
    }

    /// Puts a command at the end of the leader's log; the flush sends it.
    fn propose(&mut self, token: Option<u64>, command: Command) {
        let index = self.log.last_index() + 1;
        if let Some(token) = token {
            let until_ns = self.now.mono_ns + self.settings.patience_ns;
            self.waiting.insert(index, Waiting { token, term: self.term, until_ns });
        }
        self.append(Entry { index, term: self.term, command });
    }

    fn append(&mut self, entry: Entry) {
        self.report(Report::append(&entry));
        if let Command::Config { members } = &entry.command {
            self.configs.push((entry.index, members.clone()));
            self.log.push(entry.clone());
            self.on_config_changed();
        } else {
            self.log.push(entry.clone());
        }
        self.out.push(Output::Append(entry));
    }

    fn truncate(&mut self, from: Index) {
        self.log.truncate(from);
        self.out.push(Output::Truncate { from });
        self.report(Report::Truncate { from });
        self.configs.retain(|(index, _)| *index < from || *index <= self.log.base_index());
        self.on_config_changed();
    }

    fn flush(&mut self) {
        if self.role == Role::Leader {
            self.advance_commit();
        }
        if self.role == Role::Leader {
            self.send_all();
            self.serve_reads();
        }
        let state = (self.role, self.term, self.vote, self.commit);
        if self.reported != Some(state) {
            self.reported = Some(state);
            self.report(Report::State {
                role: self.role,
                term: self.term,
                vote: self.vote,
                commit: self.commit,
                last: self.log.last_index(),
                last_term: self.log.last_term(),
                applied: self.applied,
            });
        }
    }

    /// Applies what is committed and answers the writes that waited for it.
    fn apply_committed(&mut self) {
        while self.applied < self.commit {
            let Some(entry) = self.log.get(self.applied + 1).cloned() else { break };
            self.applied = entry.index;
            let outcome = self.machine.apply(entry.index, &entry.command, self.bugs);
            self.report(Report::Apply {
                index: entry.index,
                term: entry.term,
                digest: entry.digest(),
                key: entry.command.key().map(str::to_owned),
            });
            if let Some(waiting) = self.waiting.remove(&entry.index) {
                let mine = waiting.term == entry.term;
                self.reply(waiting.token, if mine { Reply::Applied(outcome) } else { Reply::Unknown });
            }
            if let Command::Config { members } = &entry.command {
                self.on_config_committed(members);
            }
        }
        if self.applied - self.log.base_index() >= self.settings.snapshot_every {
            self.take_snapshot();
        }
    }

    fn status(&self) -> Value {
        let members: Vec<NodeId> = self.members().iter().map(|member| member.id).collect();
        json!({
            "id": self.settings.id,
            "role": self.role.name(),
            "term": self.term,
            "leader": self.leader,
            "commit": self.commit,
            "applied": self.applied,
            "last": self.log.last_index(),
            "snapshot": self.log.base_index(),
            "members": members,
        })
    }

    fn quorum(&self) -> usize {
        self.members().len() / 2 + 1
    }

    fn is_member(&self, id: NodeId) -> bool {
        self.members().iter().any(|member| member.id == id)
    }

    /// The members other than this node.
    fn others(&self) -> Vec<NodeId> {
        self.members().iter().map(|member| member.id).filter(|id| *id != self.settings.id).collect()
    }

    fn send(&mut self, to: NodeId, body: Body) {
        self.send_in_term(to, self.term, body);
    }

    fn send_in_term(&mut self, to: NodeId, term: Term, body: Body) {
        self.out.push(Output::Send { to, frame: Frame { from: self.settings.id, term, body } });
    }

    fn reply(&mut self, token: u64, reply: Reply) {
        self.out.push(Output::Reply { token, reply });
    }

    fn report(&mut self, report: Report) {
        self.out.push(Output::Report(report));
    }
}
