//! `read-committed`, `read-atomic` and `causal-consistency`: whether some order of commits explains a history of registers.
//!
//! Such an order must hold what processes and reads say, and whatever a transaction can see must be committed before
//! what it read instead. What it can see differs: under read committed, transactions that it read from before; under
//! read atomic, those that it read from at all, and those of its own process before it; under causal consistency, all
//! that lead to it through reads and processes. The order exists if these demands have no cycle. Real time means
//! nothing here.
//!
//! Definitions: Biswas and Enea, "On the Complexity of Checking Transactional Consistency" (OOPSLA 2019). Algorithms:
//! Møldrup and Pavlogiannis, "AWDIT: An Optimal Weak Database Isolation Tester" (PLDI 2025): of the demands only those
//! are made that do not follow from others, which takes `O(n^(3/2))`, and for causal consistency `O(n * k)` with `k`
//! processes.

use super::depend::{self, Groups, group};
use super::explain::{self, Named, Why};
use super::graph::{Arc, Components, Graph, Kind, Kinds};
use super::history::{Action, Datatype, History};
use super::touched::Touched;
use super::{closure, direct};
use super::{intake, search};
use crate::check::{Check, Holds, Options, Source as Entries};
use crate::example::Example;
use crate::raw::Error;
use crate::verdict::{Evidence, Judgement};
use std::collections::BTreeMap;

/// Read committed.
pub const READ_COMMITTED: Check = Check {
    name: "read-committed",
    about: "transactions [[:w k v] [:r k v]], values written once: an order of commits for each read by itself",
    example: Example {
        settings: &[],
        history: &[
            "0 :invoke :txn [[:w x 1]]",
            "0 :fail :txn [[:w x 1]]",
            "1 :invoke :txn [[:r x nil]]",
            "1 :ok :txn [[:r x 1]]",
        ],
        finds: "read-committed/G1a",
    },
    options: &[],
    holds: Holds::History,
    run: |entries, options| run(entries, options, Level::Committed),
};

/// Read atomic.
pub const READ_ATOMIC: Check = Check {
    name: "read-atomic",
    about: "transactions [[:w k v] [:r k v]], values written once: all or nothing of each transaction is seen",
    example: Example {
        settings: &[],
        history: &[
            "0 :invoke :txn [[:w x 1] [:w y 1]]",
            "0 :ok :txn [[:w x 1] [:w y 1]]",
            "0 :invoke :txn [[:w x 2] [:w y 2]]",
            "0 :ok :txn [[:w x 2] [:w y 2]]",
            "1 :invoke :txn [[:r x nil] [:r y nil]]",
            "1 :ok :txn [[:r x 1] [:r y 2]]",
        ],
        finds: "read-atomic/commit-cycle",
    },
    options: &[],
    holds: Holds::History,
    run: |entries, options| run(entries, options, Level::Atomic),
};

/// Causal consistency.
pub const CAUSAL: Check = Check {
    name: "causal-consistency",
    about: "transactions [[:w k v] [:r k v]], values written once: whatever led to something seen is seen",
    example: Example {
        settings: &[],
        history: &[
            "0 :invoke :txn [[:w x 1]]",
            "0 :ok :txn [[:w x 1]]",
            "0 :invoke :txn [[:w x 2]]",
            "0 :ok :txn [[:w x 2]]",
            "1 :invoke :txn [[:r x nil] [:w y 1]]",
            "1 :ok :txn [[:r x 2] [:w y 1]]",
            "2 :invoke :txn [[:r y nil]]",
            "2 :ok :txn [[:r y 1]]",
            "2 :invoke :txn [[:r x nil]]",
            "2 :ok :txn [[:r x 1]]",
        ],
        finds: "causal-consistency/commit-cycle",
    },
    options: &[],
    holds: Holds::History,
    run: |entries, options| run(entries, options, Level::Causal),
};

/// So many processes' clocks are kept at a time.
const LANES: usize = 8;
/// So many clocks of that many processes are a step.
const STEP: u64 = 16;

/// How much a transaction has to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Committed,
    Atomic,
    Causal,
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Committed => "read-committed",
            Self::Atomic => "read-atomic",
            Self::Causal => "causal-consistency",
        }
    }
}

fn run(entries: &mut Entries<'_>, options: &Options, level: Level) -> Result<Judgement, Error> {
    let history = intake::read(entries, Datatype::Register)?;
    Ok(judge(level.name(), &history, level, options.steps_max))
}

/// What a level forbids, as a judgement of this oracle.
pub(super) fn judge(oracle: &str, history: &History, level: Level, steps_max: u64) -> Judgement {
    let mut judgement = Judgement::new(oracle);
    for (name, finding) in direct::findings(history) {
        if matches!(name, "G1a" | "G1b" | "thin-air-read" | "future-read") {
            judgement.violation(name, finding.at_ns, finding.summary, finding.evidence);
        }
    }
    let facts = Facts::new(history);
    facts.own_writes(&mut judgement);
    let mut demands = Demands::default();
    match level {
        Level::Committed => facts.committed(&mut demands),
        Level::Atomic => facts.atomic(&mut demands),
        Level::Causal => {
            if let Err(cost) = facts.causal(&mut demands, steps_max) {
                judgement.unknown(format!("{cost} steps are needed, {steps_max} are allowed"));
            }
        }
    }
    demands.made.sort_unstable();
    demands.made.dedup_by_key(|demand| (demand.from, demand.to));
    let ways = Ways::new(&facts, level);
    facts.first_states(&ways, &demands, &mut judgement);
    facts.cycle(&ways, &demands, &mut judgement);
    judgement
}

/// One transaction must be committed before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Demand {
    from: u32,
    to: u32,
    /// Who saw the first, and read the key from the second.
    reader: u32,
    key: u32,
}

#[derive(Default)]
struct Demands {
    made: Vec<Demand>,
    /// The first one is seen by the second, which read a key that the first wrote in its first state.
    first_states: Vec<(u32, u32, u32)>,
}

/// A read of what another transaction wrote, or nobody.
#[derive(Clone, Copy, Debug)]
struct Read {
    key: u32,
    /// `None`: the first state.
    writer: Option<u32>,
}

struct Facts<'a> {
    history: &'a History,
    sessions: Vec<Vec<u32>>,
    /// By transaction, the keys that it writes, ascending; empty unless it took effect.
    keys: Groups,
}

impl<'a> Facts<'a> {
    fn new(history: &'a History) -> Self {
        let mut pairs = Vec::new();
        for txn in (0..history.txns.len() as u32).filter(|txn| history.counts[*txn as usize]) {
            let writes = history.mops_of(txn).iter().filter(|mop| mop.action == Action::Write);
            pairs.extend(writes.map(|mop| (txn, mop.key)));
        }
        pairs.sort_unstable();
        pairs.dedup();
        Self { history, sessions: depend::sessions(history), keys: group(history.txns.len(), &pairs) }
    }

    /// What a transaction read of others, in its order; not what it read after it wrote the key itself.
    fn reads(&self, txn: u32) -> impl Iterator<Item = Read> {
        let history = self.history;
        let mut own = Touched::default();
        history.mops_of(txn).iter().filter_map(move |mop| {
            if mop.action == Action::Write {
                own.put(mop.key, ());
            }
            if mop.action != Action::Read || own.has(mop.key) {
                return None;
            }
            let is_first = mop.version == history.keys[mop.key as usize].initial;
            let writer = history.effective_writer(mop.version);
            let is_others = is_first || writer.is_some_and(|writer| writer != txn);
            is_others.then_some(Read { key: mop.key, writer })
        })
    }

    fn has_written(&self, txn: u32, key: u32) -> bool {
        self.keys.of(txn as usize).binary_search(&key).is_ok()
    }

    /// A read after a write of the same transaction sees that write.
    fn own_writes(&self, judgement: &mut Judgement) {
        for txn in self.history.acknowledged() {
            let mut own: BTreeMap<u32, u32> = BTreeMap::new();
            for mop in self.history.mops_of(txn) {
                if mop.action == Action::Write {
                    own.insert(mop.key, mop.version);
                } else if let Some(version) = own.get(&mop.key).filter(|version| **version != mop.version) {
                    let value = &self.history.versions[*version as usize].value;
                    let key = self.history.key_name(mop.key);
                    let summary =
                        format!("T1 read {key} = {} after it wrote {value}", self.history.seen(mop));
                    self.report(judgement, "own-write-unseen", &[txn], Vec::new(), summary);
                }
            }
        }
    }

    fn report(&self, judgement: &mut Judgement, kind: &str, txns: &[u32], why: Vec<String>, summary: String) {
        let mut evidence = Evidence::default();
        for (at, txn) in txns.iter().enumerate() {
            let op = self.history.op(*txn);
            evidence.lines.push(format!("T{} = {op}", at + 1));
            evidence.ops.push(op);
        }
        evidence.lines.extend(why);
        evidence.lines.push(summary.clone());
        let at_ns = txns.iter().map(|txn| self.history.ended_ns(*txn)).max().unwrap_or(0);
        judgement.violation(kind, at_ns, summary, evidence);
    }

    /// `reader` sees `seen`, which wrote the key, and read the key from `writer`.
    fn demand(&self, demands: &mut Demands, seen: u32, reader: u32, read: Read) {
        match read.writer {
            Some(writer) if writer == seen => {}
            Some(to) => demands.made.push(Demand { from: seen, to, reader, key: read.key }),
            None => demands.first_states.push((seen, reader, read.key)),
        }
    }

    /// The keys that `txn` wrote and that are in `reads`; looks through the smaller of both.
    fn common<'r, T>(&self, txn: u32, reads: &'r BTreeMap<u32, T>) -> Vec<(u32, &'r T)> {
        let keys = self.keys.of(txn as usize);
        if keys.len() <= reads.len() {
            keys.iter().filter_map(|key| reads.get(key).map(|value| (*key, value))).collect()
        } else {
            let has = |(key, _): &(&u32, &T)| keys.binary_search(key).is_ok();
            reads.iter().filter(has).map(|(key, value)| (*key, value)).collect()
        }
    }

    fn committed(&self, demands: &mut Demands) {
        for txn in self.history.acknowledged() {
            let reads: Vec<Read> = self.reads(txn).collect();
            let mut by_key: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
            let mut first: BTreeMap<u32, usize> = BTreeMap::new();
            for (at, read) in reads.iter().enumerate() {
                by_key.entry(read.key).or_default().push(at);
                if let Some(writer) = read.writer {
                    first.entry(writer).or_insert(at);
                }
            }
            if reads.len() < 2 {
                continue;
            }
            for (seen, at) in first {
                for (_, places) in self.common(seen, &by_key) {
                    let after = &places[places.partition_point(|place| *place <= at)..];
                    if let Some(other) = after.iter().find(|place| reads[**place].writer != Some(seen)) {
                        self.demand(demands, seen, txn, reads[*other]);
                    }
                }
            }
        }
    }

    fn atomic(&self, demands: &mut Demands) {
        for session in &self.sessions {
            let mut latest: BTreeMap<u32, u32> = BTreeMap::new();
            for txn in session {
                let reads: Vec<Read> = self.reads(*txn).collect();
                let mut by_key: BTreeMap<u32, Vec<Read>> = BTreeMap::new();
                for read in &reads {
                    by_key.entry(read.key).or_default().push(*read);
                    if let Some(seen) = latest.get(&read.key) {
                        self.demand(demands, *seen, *txn, *read);
                    }
                }
                let mut seen: Vec<u32> = reads.iter().filter_map(|read| read.writer).collect();
                seen.sort_unstable();
                seen.dedup();
                for seen in seen {
                    for (_, others) in self.common(seen, &by_key) {
                        others.iter().for_each(|read| self.demand(demands, seen, *txn, *read));
                    }
                }
                latest.extend(self.keys.of(*txn as usize).iter().map(|key| (*key, *txn)));
            }
        }
    }

    /// The order of processes and reads, as edges.
    fn arcs(&self) -> Vec<Arc> {
        let mut arcs = Vec::new();
        for session in &self.sessions {
            let pairs = session.windows(2);
            arcs.extend(pairs.map(|pair| Arc { from: pair[0], to: pair[1], kind: Kind::Process }));
        }
        for to in self.history.acknowledged() {
            let writers = self.reads(to).filter_map(|read| read.writer);
            arcs.extend(writers.map(|from| Arc { from, to, kind: Kind::Wr }));
        }
        arcs
    }

    /// Clocks count, by process, the transactions that lead to one. [`LANES`] processes are done at a time, from where
    /// they begin to the last read of a key that they wrote: so processes that come and go cost little.
    ///
    /// # Errors
    /// The steps that it would take, if they are too many: a step sets [`STEP`] clocks of [`LANES`] processes.
    fn causal(&self, demands: &mut Demands, steps_max: u64) -> Result<(), u64> {
        let txns = self.history.txns.len();
        let arcs = self.arcs();
        let components = Components::new(&Graph::new(txns as u32, txns as u32, &arcs), order());
        if components.count < txns as u32 {
            return Ok(());
        }
        let mut sorted: Vec<u32> = (0..txns as u32).collect();
        sorted.sort_unstable_by_key(|txn| std::cmp::Reverse(components.of[*txn as usize]));
        let mut turn = vec![0_u32; txns];
        (0..).zip(&sorted).for_each(|(at, txn)| turn[*txn as usize] = at);
        let before: Vec<(u32, u32)> = arcs.iter().map(|arc| (arc.to, arc.from)).collect();
        let before = group(txns, &before);
        // Lanes are shared by processes that begin at about the same time, so that none waits long for another.
        let mut sessions: Vec<&[u32]> = self.sessions.iter().map(Vec::as_slice).collect();
        sessions.sort_by_key(|session| session.first().map(|txn| turn[*txn as usize]));
        // Of each transaction, its session and its place in it, from 1.
        let mut place = vec![(u32::MAX, 0_u32); txns];
        let mut writers: Vec<(u32, u32, u32, u32)> = Vec::new();
        for (number, session) in (0..).zip(&sessions) {
            for (at, txn) in (1..).zip(*session) {
                place[*txn as usize] = (number, at);
                writers.extend(self.keys.of(*txn as usize).iter().map(|key| (*key, number, at, *txn)));
            }
        }
        writers.sort_unstable();
        let spans = self.spans(&sessions, &turn);
        let cost = spans.iter().map(|span| span.len() as u64).sum::<u64>() / STEP;
        if cost > steps_max {
            return Err(cost);
        }
        let mut clocks = vec![[0_u32; LANES]; txns];
        for (span, first) in spans.into_iter().zip((0..sessions.len()).step_by(LANES)) {
            let lane = |session: u32| (session as usize).checked_sub(first).filter(|lane| *lane < LANES);
            for txn in &sorted[span.clone()] {
                let mut clock = [0_u32; LANES];
                let recent = |other: &&u32| turn[**other as usize] as usize >= span.start;
                for other in before.of(*txn as usize).iter().filter(recent) {
                    for (mine, theirs) in clock.iter_mut().zip(clocks[*other as usize]) {
                        *mine = theirs.max(*mine);
                    }
                    let (session, at) = place[*other as usize];
                    if let Some(lane) = lane(session) {
                        clock[lane] = at.max(clock[lane]);
                    }
                }
                clocks[*txn as usize] = clock;
            }
            for txn in &sorted[span.clone()] {
                let clock = clocks[*txn as usize];
                if clock == [0; LANES] {
                    continue;
                }
                for read in self.reads(*txn) {
                    let begin =
                        writers.partition_point(|writer| (writer.0, writer.1) < (read.key, first as u32));
                    let last = (read.key, (first + LANES) as u32);
                    let of_lanes =
                        writers[begin..].iter().take_while(|writer| (writer.0, writer.1) < last).count();
                    for mine in writers[begin..begin + of_lanes].chunk_by(|a, b| a.1 == b.1) {
                        let Some(lane) = lane(mine[0].1) else { continue };
                        let known = mine.partition_point(|writer| writer.2 <= clock[lane]);
                        let Some((.., at, seen)) = known.checked_sub(1).map(|at| mine[at]) else { continue };
                        let follows = read.writer.is_some_and(|writer| {
                            turn[writer as usize] as usize >= span.start
                                && clocks[writer as usize][lane] >= at
                        });
                        if !follows {
                            self.demand(demands, seen, *txn, read);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// For each [`LANES`] processes, the turns from their first transaction to the last read of a key that they wrote.
    fn spans(&self, sessions: &[&[u32]], turn: &[u32]) -> Vec<std::ops::Range<usize>> {
        let mut last = vec![0_usize; self.history.keys.len()];
        for txn in self.history.acknowledged() {
            for read in self.reads(txn) {
                let key = &mut last[read.key as usize];
                *key = (turn[txn as usize] as usize + 1).max(*key);
            }
        }
        let span = |sessions: &[&[u32]]| {
            let begin = sessions.iter().filter_map(|session| session.first());
            let begin = begin.map(|txn| turn[*txn as usize] as usize).min().unwrap_or(0);
            let keys =
                sessions.iter().flat_map(|session| *session).flat_map(|txn| self.keys.of(*txn as usize));
            begin..keys.map(|key| last[*key as usize]).max().unwrap_or(0).max(begin)
        };
        sessions.chunks(LANES).map(span).collect()
    }

    /// Reads of first states by who saw somebody that had written the key.
    fn first_states(&self, ways: &Ways, demands: &Demands, judgement: &mut Judgement) {
        let ended = |(seen, reader, _): &&(u32, u32, u32)| {
            (self.history.ended_ns(*seen).max(self.history.ended_ns(*reader)), *reader)
        };
        let Some((seen, reader, key)) = demands.first_states.iter().min_by_key(ended) else { return };
        let way = ways.between(*seen, *reader);
        let mut txns = vec![*seen, *reader];
        let why = told(&mut txns, &way);
        let key = self.history.key_name(*key);
        let summary =
            format!("T2 read {key} in its first state, though T1 had written it, whose effects T2 sees");
        let mut lines = Vec::new();
        for (from, to, kind) in why {
            let (a, b) = (format!("T{}", from + 1), format!("T{}", to + 1));
            let (before, after) = ((txns[from], a.as_str()), (txns[to], b.as_str()));
            let why = explain::edge(self.history, before, after, kind, &|a, b, _| self.seen(a, b));
            lines.extend(why.map(|why| format!("{a} comes before {b} ({}): {why}", kind.name())));
        }
        self.report(judgement, "first-state-read", &txns, lines, summary);
    }

    /// That the second read what the first wrote, in a sentence.
    fn seen(&self, a: Named<'_>, b: Named<'_>) -> Option<String> {
        let read = self.reads(b.0).find(|read| read.writer == Some(a.0))?;
        Some(format!("{} read {} from {}", b.1, self.history.key_name(read.key), a.1))
    }

    fn cycle(&self, ways: &Ways, demands: &Demands, judgement: &mut Judgement) {
        let mut arcs = self.arcs();
        arcs.extend(demands.made.iter().map(|demand| Arc {
            from: demand.from,
            to: demand.to,
            kind: Kind::Commit,
        }));
        let txns = self.history.txns.len() as u32;
        let Some(cycle) = search::shortest(&Graph::new(txns, txns, &arcs), order().with(Kind::Commit)) else {
            return;
        };
        // the circle, and before it how who made a demand came to see what it saw
        let demand_of = |from: u32, to: u32| {
            let at = demands.made.partition_point(|demand| (demand.from, demand.to) < (from, to));
            demands.made.get(at).filter(|demand| (demand.from, demand.to) == (from, to))
        };
        let mut members: Vec<u32> = cycle.iter().map(|(txn, _)| *txn).collect();
        let mut edges = Vec::new();
        for (at, (from, kind)) in cycle.iter().enumerate() {
            let to = cycle[(at + 1) % cycle.len()].0;
            if *kind == Kind::Commit
                && let Some(demand) = demand_of(*from, to)
            {
                edges.extend(told(&mut members, &ways.between(*from, demand.reader)));
            }
        }
        edges.dedup();
        edges.extend((0..).zip(&cycle).map(|(at, (_, kind))| (at, at + 1, *kind)));
        let why: &Why<'_> = &|a: Named<'_>, b: Named<'_>, kind: Kind| {
            if kind == Kind::Wr {
                return self.seen(a, b);
            }
            let demand = demand_of(a.0, b.0)?;
            let mut reads = self.reads(demand.reader);
            let is_so = self.has_written(a.0, demand.key)
                && reads.any(|read| (read.key, read.writer) == (demand.key, Some(b.0)));
            let reader = members.iter().position(|txn| *txn == demand.reader)? + 1;
            let key = self.history.key_name(demand.key);
            is_so.then(|| {
                format!("T{reader} saw effects of {}, which wrote {key}, and read {key} from {}", a.1, b.1)
            })
        };
        let Some(evidence) = explain::edges_of(self.history, &members, &edges, why) else {
            judgement.unknown("a cycle of commits could not be explained, and is not reported");
            return;
        };
        let at_ns = cycle.iter().map(|(txn, _)| self.history.ended_ns(*txn)).max().unwrap_or(0);
        let summary =
            format!("no order of commits explains what was read: {} transactions in a circle", cycle.len());
        judgement.violation("commit-cycle", at_ns, summary, evidence);
    }
}

/// How transactions come to see effects of others.
struct Ways {
    txns: u32,
    arcs: Vec<Arc>,
}

impl Ways {
    fn new(facts: &Facts<'_>, level: Level) -> Self {
        let mut arcs = facts.arcs();
        if level == Level::Committed {
            arcs.retain(|arc| arc.kind == Kind::Wr);
        }
        Self { txns: facts.history.txns.len() as u32, arcs }
    }

    /// A shortest way; a process that goes on is one step.
    fn between(&self, from: u32, to: u32) -> Vec<Arc> {
        let pairs: Vec<(u32, u32)> = self.arcs.iter().map(|arc| (arc.from, arc.to)).collect();
        let way = closure::path(self.txns, &pairs, from, to, |_| true).unwrap_or_default();
        let mut steps: Vec<Arc> = Vec::new();
        for arc in way.into_iter().map(|arc| self.arcs[arc as usize]) {
            match steps.last_mut() {
                Some(last) if last.kind == Kind::Process && arc.kind == Kind::Process => last.to = arc.to,
                _ => steps.push(arc),
            }
        }
        steps
    }
}

/// The steps of a way by positions in `txns`, to which transactions are added where they are new.
fn told(txns: &mut Vec<u32>, way: &[Arc]) -> Vec<(usize, usize, Kind)> {
    let mut place = |txn: u32| {
        txns.iter().position(|other| *other == txn).unwrap_or_else(|| {
            txns.push(txn);
            txns.len() - 1
        })
    };
    way.iter().map(|arc| (place(arc.from), place(arc.to), arc.kind)).collect()
}

const fn order() -> Kinds {
    Kinds::of(&[Kind::Process, Kind::Wr])
}
