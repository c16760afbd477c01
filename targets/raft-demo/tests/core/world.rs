//! Nodes, their disks and the wires between them, driven in virtual time from one seed.

use std::collections::{BTreeMap, BTreeSet};

use raft_demo::bugs::{Bug, Bugs};
use raft_demo::entry::{Command, Entry, Member, NodeId, Session, Snapshot};
use raft_demo::message::{Body, Frame};
use raft_demo::raft::{Input, Now, Output, Raft, ReadMode, Recovered, Reply, Request, Role, Settings};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::invariants::Invariants;

pub const MS: u64 = 1_000_000;

/// What a disk holds.
#[derive(Clone, Default)]
struct Files {
    meta: (u64, u64),
    snapshot: Option<Snapshot>,
    entries: Vec<Entry>,
}

/// A disk: what programs see, and what survives power loss.
#[derive(Clone, Default)]
struct Disk {
    cached: Files,
    durable: Files,
    synced_at_ns: u64,
}

struct Letter {
    at_ns: u64,
    number: u64,
    to: NodeId,
    frame: Frame,
}

pub struct World {
    pub now_ns: u64,
    pub rng: ChaCha8Rng,
    pub invariants: Invariants,
    pub replies: BTreeMap<u64, Reply>,
    /// Messages are delayed by up to this much.
    pub latency_ns_max: u64,
    /// One message in so many is lost; 0: none.
    pub loss_one_in: u32,
    pub wall_ns: BTreeMap<NodeId, u64>,
    bugs: Bugs,
    lease: bool,
    autopilot: bool,
    members: Vec<Member>,
    up: BTreeMap<NodeId, Raft>,
    paused: BTreeSet<NodeId>,
    disks: BTreeMap<NodeId, Disk>,
    letters: Vec<Letter>,
    cut: BTreeSet<(NodeId, NodeId)>,
    /// Messages on these wires wait until they are released.
    held: BTreeSet<(NodeId, NodeId)>,
    numbers: u64,
}

impl World {
    /// A cluster of `size` nodes, all started.
    pub fn new(size: u64, bugs: Bugs, seed: u64) -> World {
        World::with(size, bugs, seed, bugs.has(Bug::LeaseWallClock), bugs.has(Bug::EarlyMembership))
    }

    /// A cluster that may serve reads under a lease, and remove silent voters by itself.
    pub fn with(size: u64, bugs: Bugs, seed: u64, lease: bool, autopilot: bool) -> World {
        let members = (1..=size).map(|id| Member { id, addr: format!("10.0.0.{id}:7000") }).collect();
        let mut world = World {
            now_ns: 0,
            rng: ChaCha8Rng::seed_from_u64(seed),
            invariants: Invariants::default(),
            replies: BTreeMap::new(),
            latency_ns_max: MS,
            loss_one_in: 0,
            wall_ns: BTreeMap::new(),
            bugs,
            lease,
            autopilot,
            members,
            up: BTreeMap::new(),
            paused: BTreeSet::new(),
            disks: BTreeMap::new(),
            letters: Vec::new(),
            cut: BTreeSet::new(),
            held: BTreeSet::new(),
            numbers: 0,
        };
        for id in 1..=size {
            world.start(id);
        }
        world
    }

    pub fn ids(&self) -> Vec<NodeId> {
        self.members.iter().map(|member| member.id).collect()
    }

    pub fn node(&self, id: NodeId) -> &Raft {
        &self.up[&id]
    }

    /// The durable vote of a node.
    pub fn vote(&self, id: NodeId) -> NodeId {
        self.disks[&id].durable.meta.1
    }

    pub fn is_up(&self, id: NodeId) -> bool {
        self.up.contains_key(&id)
    }

    pub fn start(&mut self, id: NodeId) {
        let files = &self.disks.entry(id).or_default().cached;
        let base = files.snapshot.as_ref().map_or(0, |snapshot| snapshot.index);
        let disk = Recovered {
            term: files.meta.0,
            vote: files.meta.1,
            snapshot: files.snapshot.clone(),
            entries: files.entries.iter().filter(|entry| entry.index > base).cloned().collect(),
        };
        let settings = Settings {
            id,
            addr: format!("10.0.0.{id}:7000"),
            members: self.members.clone(),
            peers: self.members.clone(),
            bugs: self.bugs,
            reads: if self.lease { ReadMode::Lease } else { ReadMode::ReadIndex },
            heartbeat_ns: 100 * MS,
            election_ns: 300 * MS..600 * MS,
            boot_election_ns: 50 * MS..150 * MS,
            snapshot_every: 8,
            autopilot_ns: if self.autopilot { 800 * MS } else { 0 },
            patience_ns: 2000 * MS,
        };
        let raft = Raft::new(settings, disk, self.rng.random(), self.clock(id));
        self.up.insert(id, raft);
        self.input(id, vec![]);
    }

    /// The process ends; what it wrote stays.
    pub fn kill(&mut self, id: NodeId) {
        self.up.remove(&id);
        self.paused.remove(&id);
    }

    /// The machine loses power; what was not fsynced is gone.
    pub fn cut_power(&mut self, id: NodeId) {
        self.kill(id);
        let disk = self.disks.entry(id).or_default();
        disk.cached = disk.durable.clone();
    }

    pub fn pause(&mut self, id: NodeId) {
        self.paused.insert(id);
    }

    pub fn resume(&mut self, id: NodeId) {
        self.paused.remove(&id);
    }

    /// Messages between two nodes are lost, both ways.
    pub fn cut(&mut self, a: NodeId, b: NodeId) {
        self.cut.extend([(a, b), (b, a)]);
    }

    pub fn isolate(&mut self, id: NodeId) {
        for other in self.ids() {
            self.cut(id, other);
        }
    }

    /// Messages from and to a node wait, as in a connection that outlives a partition.
    pub fn hold_all(&mut self, id: NodeId) {
        for other in self.ids() {
            self.held.extend([(id, other), (other, id)]);
        }
    }

    /// Messages from `a` to `b` wait.
    pub fn hold(&mut self, a: NodeId, b: NodeId) {
        self.held.insert((a, b));
    }

    pub fn heal(&mut self) {
        self.cut.clear();
        self.held.clear();
    }

    /// Loses what is on its way from `a` to `b`.
    pub fn lose(&mut self, a: NodeId, b: NodeId) {
        self.letters.retain(|letter| (letter.frame.from, letter.to) != (a, b));
    }

    /// Delivers a message made up by a script.
    pub fn inject(&mut self, to: NodeId, from: NodeId, term: u64, body: Body) {
        self.input(to, vec![Input::Message(Frame { from, term, body })]);
    }

    pub fn request(&mut self, id: NodeId, request: Request) -> u64 {
        self.numbers += 1;
        let token = self.numbers;
        if self.up.contains_key(&id) && !self.paused.contains(&id) {
            self.input(id, vec![Input::Request(token, request)]);
        } else {
            self.replies.insert(token, Reply::Unknown);
        }
        token
    }

    pub fn put(&mut self, id: NodeId, key: &str, value: &str) -> u64 {
        let command = Command::Put { key: key.into(), value: value.into(), session: None };
        self.request(id, Request::Write(command))
    }

    pub fn cas(&mut self, id: NodeId, expect: Option<&str>, value: &str, seq: u64) -> u64 {
        let session = Some(Session { client: "c".into(), seq });
        let command =
            Command::Cas { key: "c".into(), expect: expect.map(str::to_owned), value: value.into(), session };
        self.request(id, Request::Write(command))
    }

    pub fn get(&mut self, id: NodeId, key: &str) -> u64 {
        self.request(id, Request::Get { key: key.into() })
    }

    /// The leader of the highest term among running nodes.
    pub fn leader(&self) -> Option<NodeId> {
        let leaders = self.up.iter().filter(|(_, raft)| raft.role() == Role::Leader);
        leaders.max_by_key(|(_, raft)| raft.term()).map(|(id, _)| *id)
    }

    pub fn run_ms(&mut self, ms: u64) {
        let until_ns = self.now_ns + ms * MS;
        while self.step(until_ns) {}
        self.now_ns = until_ns;
    }

    /// Runs until something holds; panics after ten seconds of virtual time.
    pub fn run_until(&mut self, what: &str, holds: impl Fn(&World) -> bool) {
        let until_ns = self.now_ns + 10_000 * MS;
        while !holds(self) {
            assert!(self.step(until_ns), "not within ten seconds: {what}");
        }
    }

    pub fn wait_for_leader(&mut self) -> NodeId {
        self.run_until("a leader with a committed entry", |world| {
            world.leader().is_some_and(|id| {
                let raft = world.node(id);
                raft.log().term_at(raft.commit()) == Some(raft.term())
            })
        });
        self.leader().unwrap()
    }

    pub fn wait_for(&mut self, token: u64) -> Reply {
        self.run_until("a reply", |world| world.replies.contains_key(&token));
        self.replies[&token].clone()
    }

    /// The next delivery or deadline up to `until_ns`; false if there is none.
    fn step(&mut self, until_ns: u64) -> bool {
        let letter = self
            .letters
            .iter()
            .enumerate()
            .filter(|(_, letter)| !self.held.contains(&(letter.frame.from, letter.to)))
            .filter(|(_, letter)| !self.paused.contains(&letter.to))
            .min_by_key(|(_, letter)| (letter.at_ns, letter.number))
            .map(|(position, letter)| (letter.at_ns.max(self.now_ns), position));
        let awake = self.up.iter().filter(|(id, _)| !self.paused.contains(id));
        let timer = awake.map(|(id, raft)| (raft.deadline_ns().max(self.now_ns), *id)).min();
        let letter_first = match (letter, timer) {
            (Some((letter_ns, _)), Some((timer_ns, _))) => letter_ns <= timer_ns,
            (letter, _) => letter.is_some(),
        };
        if letter_first {
            let Some((at_ns, position)) = letter.filter(|(at_ns, _)| *at_ns <= until_ns) else {
                return false;
            };
            self.now_ns = at_ns;
            let Letter { to, frame, .. } = self.letters.remove(position);
            if self.up.contains_key(&to) {
                self.input(to, vec![Input::Message(frame)]);
            }
        } else {
            let Some((at_ns, id)) = timer.filter(|(at_ns, _)| *at_ns <= until_ns) else { return false };
            self.now_ns = at_ns;
            self.input(id, vec![]);
        }
        true
    }

    fn clock(&self, id: NodeId) -> Now {
        let wall_ns = self.now_ns + self.wall_ns.get(&id).copied().unwrap_or(1 << 60);
        Now { mono_ns: self.now_ns, wall_ns }
    }

    /// One turn of a node: time, inputs, flush; then what the outputs ask for.
    fn input(&mut self, id: NodeId, inputs: Vec<Input>) {
        let now = self.clock(id);
        let Some(raft) = self.up.get_mut(&id) else { return };
        let mut outputs = raft.step(now, Input::Tick);
        for input in inputs.into_iter().chain([Input::Flush]) {
            outputs.append(&mut raft.step(now, input));
        }
        let mut sends = Vec::new();
        let disk = self.disks.entry(id).or_default();
        let mut synced = !self.bugs.has(Bug::AckBeforeFsync);
        if self.bugs.has(Bug::FsyncAtCommit) && raft.role() != Role::Leader {
            let durable = disk.durable.entries.last().map_or(0, |entry| entry.index);
            synced = raft.commit() > durable;
        }
        for output in outputs {
            match output {
                Output::SaveMeta { term, vote } => {
                    disk.cached.meta = (term, vote);
                    disk.durable.meta = (term, vote);
                }
                Output::Append(entry) => disk.cached.entries.push(entry),
                Output::Truncate { from } => disk.cached.entries.retain(|entry| entry.index < from),
                Output::SaveSnapshot { snapshot, entries } => {
                    disk.cached.snapshot = Some(snapshot);
                    disk.cached.entries = entries;
                    synced = true;
                }
                Output::Send { to, frame } => sends.push((to, frame)),
                Output::Reply { token, reply } => drop(self.replies.insert(token, reply)),
                Output::Members(_) => {}
                Output::Report(report) => self.invariants.observe(id, &report),
            }
        }
        if synced || self.now_ns - disk.synced_at_ns >= 1000 * MS {
            disk.durable = disk.cached.clone();
            disk.synced_at_ns = self.now_ns;
        }
        for (to, frame) in sends {
            self.post(to, frame);
        }
    }

    fn post(&mut self, to: NodeId, frame: Frame) {
        let lost = self.loss_one_in > 0 && self.rng.random_range(0..self.loss_one_in) == 0;
        if lost || self.cut.contains(&(frame.from, to)) {
            return;
        }
        self.numbers += 1;
        let at_ns = self.now_ns + self.rng.random_range(MS / 2..=self.latency_ns_max);
        self.letters.push(Letter { at_ns, number: self.numbers, to, frame });
    }
}
