//! Linearizable reads: confirmed by a majority (ReadIndex, dissertation 6.4), or covered by a lease (6.4.1).

use std::collections::{BTreeMap, VecDeque};

use super::{Raft, ReadMode, Reply};
use crate::bugs::Bug;
use crate::entry::{NodeId, Term};
use crate::message::Body;

/// Reads waiting for a confirmation; more are turned away.
const READS_MAX: usize = 1024;
/// Probes whose start is remembered.
const PROBES_MAX: usize = 64;

#[derive(Clone, Debug)]
struct Pending {
    token: u64,
    key: String,
    until_ns: u64,
    /// Served once a majority has answered this probe; `None`: not probed yet.
    probe: Option<u64>,
}

/// Pending reads, and the probes that ask "am I still the leader?".
#[derive(Debug, Default)]
pub(super) struct Reads {
    pending: VecDeque<Pending>,
    probe: u64,
    /// When each recent probe was sent, on the lease's clock.
    sent_ns: BTreeMap<u64, u64>,
    /// When the lease ends, on its clock; moves only forward during a reign.
    lease_until_ns: u64,
}

impl Reads {
    /// The latest probe; answers to it or a later one confirm everything before it.
    pub fn probe(&self) -> u64 {
        self.probe
    }

    /// Drops everything pending and returns its tokens. Probe numbers go on: they never repeat.
    pub fn clear(&mut self) -> Vec<u64> {
        self.sent_ns.clear();
        self.lease_until_ns = 0;
        self.pending.drain(..).map(|read| read.token).collect()
    }

    /// Begins to count from one again: a planted bug.
    pub fn renumber(&mut self) {
        self.probe = 0;
    }
}

impl Raft {
    pub(super) fn on_read(&mut self, token: u64, key: String) {
        if self.bugs.has(Bug::StaleRead) || self.lease_holds() {
            let value = self.machine.get(&key).map(str::to_owned);
            return self.reply(token, Reply::Value(value));
        }
        if self.reads.pending.len() >= READS_MAX {
            return self.reply(token, Reply::Unknown);
        }
        let until_ns = self.now.mono_ns + self.settings.patience_ns;
        self.reads.pending.push_back(Pending { token, key, until_ns, probe: None });
    }

    pub(super) fn on_read_probe(&mut self, from: NodeId, term: Term, probe: u64) {
        // An outdated leader gets the answer too: our term tells it that it is one.
        if self.follow(from, term) || term < self.term {
            self.send(from, Body::ReadProbeReply { probe });
        }
    }

    /// Begins a new probe; what is sent from now on carries it.
    pub(super) fn start_probe(&mut self) {
        self.reads.probe += 1;
        let now_ns = self.lease_clock_ns();
        self.reads.sent_ns.insert(self.reads.probe, now_ns);
        if self.reads.sent_ns.len() > PROBES_MAX {
            self.reads.sent_ns.pop_first();
        }
    }

    /// One probe for all reads of the turn; says whether it must be sent.
    pub(super) fn start_probe_for_reads(&mut self) -> bool {
        // A new leader may not know yet what is committed.
        if !self.term_is_committed() || self.reads.pending.iter().all(|read| read.probe.is_some()) {
            return false;
        }
        self.start_probe();
        let probe = self.reads.probe;
        for read in self.reads.pending.iter_mut().filter(|read| read.probe.is_none()) {
            read.probe = Some(probe);
        }
        true
    }

    /// Answers the reads whose probe a majority has answered. All that was committed then is applied.
    pub(super) fn serve_reads(&mut self) {
        let confirmed = self.confirmed_probe();
        while let Some(read) = self.reads.pending.front() {
            if read.probe.is_none_or(|probe| probe > confirmed) {
                break;
            }
            let value = self.machine.get(&read.key).map(str::to_owned);
            let token = read.token;
            self.reads.pending.pop_front();
            self.reply(token, Reply::Value(value));
        }
    }

    pub(super) fn expire_reads(&mut self) {
        let now_ns = self.now.mono_ns;
        while let Some(token) =
            self.reads.pending.front().filter(|read| read.until_ns <= now_ns).map(|read| read.token)
        {
            self.reads.pending.pop_front();
            self.reply(token, Reply::Unknown);
        }
    }

    /// The latest probe answered by a majority.
    fn confirmed_probe(&self) -> u64 {
        let me = self.settings.id;
        let answered = |id| self.progress.get(&id).map_or(0, |peer| peer.probe);
        let mut probes: Vec<u64> = self
            .members()
            .iter()
            .map(|m| if m.id == me { self.reads.probe } else { answered(m.id) })
            .collect();
        probes.sort_unstable_by(|a, b| b.cmp(a));
        probes.get(self.quorum() - 1).copied().unwrap_or(0)
    }

    fn lease_clock_ns(&self) -> u64 {
        if self.bugs.has(Bug::LeaseWallClock) { self.now.wall_ns } else { self.now.mono_ns }
    }

    /// A peer has answered a probe: the lease runs from when the last confirmed one was sent.
    pub(super) fn renew_lease(&mut self) {
        if self.settings.reads != ReadMode::Lease {
            return;
        }
        // A tenth less, because clocks do not run at quite the same rate.
        let lease_ns = self.settings.election_ns.start / 10 * 9;
        if let Some(start_ns) = self.reads.sent_ns.get(&self.confirmed_probe()) {
            self.reads.lease_until_ns = self.reads.lease_until_ns.max(start_ns.saturating_add(lease_ns));
        }
    }

    /// Whether nobody else can have been elected: voters refuse for `election_ns.start` after hearing from us.
    fn lease_holds(&self) -> bool {
        self.settings.reads == ReadMode::Lease
            && self.term_is_committed()
            && self.lease_clock_ns() < self.reads.lease_until_ns
    }
}
