//! `serializable`, `strict-serializable` and `snapshot-isolation` of registers, decided: by an anomaly, by an order of
//! the transactions that explains all reads, or, of a short history, by there being none.
//!
//! To decide is NP-complete (Papadimitriou, 1979), so the search for an order is bounded: out of steps is unknown. There
//! is no search where every transaction has read what it overwrites: then the anomalies are all there is to find. Else it
//! goes forward through the history, nearly in the order of completion, and takes back what leads nowhere. Under
//! snapshot isolation a transaction has two places in the order, where it reads and where it writes, and two that write
//! the same register do not overlap (Cerone, Bernardi and Gotsman, CONCUR 2015).

use super::depend::{self, Groups, Order, group};
use super::graph::{Graph, Kind};
use super::history::{Action, Datatype, History};
use super::report::Demand;
use super::{intake, register};
use crate::check::{Check, Holds, Options, Setting, Source as Entries};
use crate::example::Example;
use crate::raw::Error;
use crate::verdict::{Evidence, Judgement};
use std::collections::{BTreeMap, BTreeSet};

/// `order`
const ORDER: Setting = Setting {
    name: "order",
    about: "what the order of transactions must hold besides: process, or realtime; none without it",
};

/// Serializability.
pub const SERIALIZABLE: Check = Check {
    name: "serializable",
    about: "transactions [[:w k v] [:r k v]], values written once: one after the other in some order; bounded search",
    example: Example {
        settings: &[],
        history: &[
            "0 :invoke :txn [[:r x nil] [:w y 1]]",
            "1 :invoke :txn [[:r y nil] [:w x 1]]",
            "0 :ok :txn [[:r x nil] [:w y 1]]",
            "1 :ok :txn [[:r y nil] [:w x 1]]",
        ],
        finds: "serializable/G2-item",
    },
    options: &[ORDER],
    holds: Holds::History,
    run: |entries, options| {
        let models = ["serializable", "strong-session-serializable", "strict-serializable"];
        run(entries, options, Problem { name: "serializable", models, is_snapshot: false, always: None })
    },
};

/// Strict serializability.
pub const STRICT: Check = Check {
    name: "strict-serializable",
    about: "transactions [[:w k v] [:r k v]], values written once: one after the other in real time; bounded search",
    example: Example {
        settings: &[],
        history: &[
            "0 :invoke :txn [[:w x 1]]",
            "0 :ok :txn [[:w x 1]]",
            "1 :invoke :txn [[:r x nil]]",
            "1 :ok :txn [[:r x nil]]",
        ],
        finds: "strict-serializable/G-single-realtime",
    },
    options: &[],
    holds: Holds::History,
    run: |entries, options| {
        let models = ["strict-serializable"; 3];
        let always = Some(Held::Realtime);
        run(entries, options, Problem { name: "strict-serializable", models, is_snapshot: false, always })
    },
};

/// Snapshot isolation.
pub const SNAPSHOT: Check = Check {
    name: "snapshot-isolation",
    about: "transactions [[:w k v] [:r k v]], values written once: reads of a snapshot, no lost update; bounded search",
    example: Example {
        settings: &[],
        history: &[
            "0 :invoke :txn [[:r x nil] [:w x 1]]",
            "1 :invoke :txn [[:r x nil] [:w x 2]]",
            "0 :ok :txn [[:r x nil] [:w x 1]]",
            "1 :ok :txn [[:r x nil] [:w x 2]]",
        ],
        finds: "snapshot-isolation/lost-update",
    },
    options: &[ORDER],
    holds: Holds::History,
    run: |entries, options| {
        let models = ["snapshot-isolation", "strong-session-snapshot-isolation", "strong-snapshot-isolation"];
        run(entries, options, Problem { name: "snapshot-isolation", models, is_snapshot: true, always: None })
    },
};

/// What the order must hold besides what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Nothing,
    Process,
    Realtime,
}

struct Problem {
    name: &'static str,
    /// The consistency model, by what is held.
    models: [&'static str; 3],
    is_snapshot: bool,
    always: Option<Held>,
}

fn run(entries: &mut Entries<'_>, options: &Options, problem: Problem) -> Result<Judgement, Error> {
    let held = match (problem.always, options.text(ORDER.name)) {
        (Some(held), _) => held,
        (None, None | Some("none")) => Held::Nothing,
        (None, Some("process")) => Held::Process,
        (None, Some("realtime")) => Held::Realtime,
        (None, Some(other)) => {
            let cause = format!("setting `{}` is {other:?}, expected none, process or realtime", ORDER.name);
            return Err(Error::at(None, cause));
        }
    };
    let history = intake::read(entries, Datatype::Register)?;
    let demand = Demand {
        model: problem.models[held as usize],
        is_realtime: held == Held::Realtime,
        steps_max: options.steps_max,
    };
    let mut judgement = register::judge(problem.name, &history, &demand, register::MODEST);
    if !judgement.violations.is_empty() {
        return Ok(judgement);
    }
    judgement.notes.clear();
    // where the order of versions is known, the inference looked at everything that can be wrong
    if judgement.unknown.is_empty() && is_determined(&history) {
        return Ok(judgement);
    }
    judgement.unknown.clear();
    match decide(&history, held, problem.is_snapshot, options.steps_max) {
        Answer::Found => {}
        Answer::None => {
            let mut evidence = Evidence::default();
            for txn in (0..history.txns.len() as u32).filter(|txn| history.counts[*txn as usize]) {
                let op = history.op(txn);
                evidence.lines.push(op.to_string());
                evidence.ops.push(op);
            }
            let summary =
                format!("no order of these {} transactions explains what was read", evidence.ops.len());
            evidence.lines.push(summary.clone());
            let at_ns = (0..history.txns.len() as u32).map(|txn| history.ended_ns(txn)).max().unwrap_or(0);
            judgement.violation("no-order", at_ns, summary, evidence);
        }
        Answer::Unknown => judgement.unknown(format!(
            "no anomaly was found, and {} steps did not find an order of the transactions either",
            options.steps_max
        )),
    }
    Ok(judgement)
}

/// Whether each version says which one it replaced: whoever writes a register has read it before, and no two have read
/// the same version. Then versions of a register are in a line, all dependencies are known, and histories are
/// serializable or have snapshot isolation if no cycle of them says otherwise (Zhang et al., "Fast verification of strong
/// database isolation", VLDB 2023; "MTC", arXiv 2504.02344, for *mini-transactions*, which are such).
fn is_determined(history: &History) -> bool {
    let mut replaced: Vec<(u32, u32)> = Vec::new();
    for txn in (0..history.txns.len() as u32).filter(|txn| history.counts[*txn as usize]) {
        let mops = history.mops_of(txn);
        for (at, mop) in mops.iter().enumerate().filter(|(_, mop)| mop.action == Action::Write) {
            let mut before = mops[..at].iter().filter(|other| other.key == mop.key);
            match before.next() {
                Some(first) if first.action == Action::Read => replaced.push((mop.key, first.version)),
                _ => return false,
            }
        }
    }
    let count = replaced.len();
    replaced.sort_unstable();
    replaced.dedup();
    replaced.len() == count
}

/// Looks for an order. For snapshots it is tried first whether they were taken at the end of each transaction, then at
/// its beginning, with few steps back; then the rest of the steps goes into the latter.
fn decide(history: &History, held: Held, is_snapshot: bool, steps_max: u64) -> Answer {
    if !is_snapshot {
        return Search::new(history, held, false, true).run(steps_max);
    }
    let quick = (history.txns.len() as u64 * 128).min(steps_max / 4);
    for (is_late, steps) in [(true, quick), (false, quick)] {
        match Search::new(history, held, true, is_late).run(steps) {
            Answer::Unknown => {}
            answer => return answer,
        }
    }
    Search::new(history, held, true, false).run(steps_max - 2 * quick)
}

enum Answer {
    Found,
    None,
    Unknown,
}

/// With so many events at most, states are remembered, and having tried everything is an answer.
const REMEMBERED_MAX: usize = 128;

/// Events are numbered twice the transaction: where it reads, and one more where it writes. Without snapshots only the
/// first is used, and is both.
struct Search<'a> {
    history: &'a History,
    is_snapshot: bool,
    /// By node of the graph (events, then relays): how many nodes before it are not placed yet.
    waits: Vec<u32>,
    after: Groups,
    /// Reads of versions of others, by transaction.
    reads: Groups,
    /// Keys and last versions written, by transaction.
    writes: Vec<Vec<(u32, u32)>>,
    /// By event, when it is tried.
    rank: Vec<u32>,
    by_rank: Vec<u32>,
    /// Ranks of events that nothing keeps from being placed but the state.
    ready: BTreeSet<u32>,
    /// By key, the version that it holds.
    holds: Vec<u32>,
    /// By version, how many transactions have yet to read it.
    unread: Vec<u32>,
    /// By key, how many transactions that will write it have read already.
    writing: Vec<u32>,
    left: usize,
    events: usize,
}

impl<'a> Search<'a> {
    fn new(history: &'a History, held: Held, is_snapshot: bool, is_late: bool) -> Self {
        let txns = history.txns.len() as u32;
        let order = Order {
            wr: external(history)
                .into_iter()
                .filter_map(|(txn, version)| history.effective_writer(version).map(|writer| (writer, txn)))
                .collect(),
            ..Order::default()
        };
        let graph = depend::graph(history, &order, held == Held::Realtime);
        let (waits, after) = constraints(&graph, held, is_snapshot);
        let mut reads = external(history);
        reads.sort_unstable();
        reads.dedup();
        let mut unread = vec![0; history.versions.len()];
        reads.iter().for_each(|(_, version)| unread[*version as usize] += 1);
        let mut writes = vec![Vec::new(); txns as usize];
        for txn in (0..txns).filter(|txn| history.counts[*txn as usize]) {
            let mut last: BTreeMap<u32, u32> = BTreeMap::new();
            let mops = history.mops_of(txn).iter().filter(|mop| mop.action == Action::Write);
            last.extend(mops.map(|mop| (mop.key, mop.version)));
            writes[txn as usize] = last.into_iter().collect();
        }
        // What is known of a transaction's place is when it completed; if it did not, when it was read first.
        let mut place: Vec<u64> = history.txns.iter().map(|txn| txn.complete).collect();
        for (writer, reader) in &order.wr {
            if history.txns[*writer as usize].outcome == crate::op::Outcome::Info {
                place[*writer as usize] =
                    place[*writer as usize].min(history.txns[*reader as usize].complete);
            }
        }
        let mut events: Vec<(u64, u32)> = Vec::new();
        for txn in (0..txns).filter(|txn| history.counts[*txn as usize]) {
            if is_snapshot {
                let begin = if is_late { place[txn as usize] } else { history.txns[txn as usize].invoke };
                events.push((begin, txn * 2));
                events.push((place[txn as usize], txn * 2 + 1));
            } else {
                events.push((place[txn as usize], txn * 2));
            }
        }
        events.sort_unstable();
        let by_rank: Vec<u32> = events.into_iter().map(|(_, event)| event).collect();
        let mut rank = vec![u32::MAX; txns as usize * 2];
        (0..).zip(&by_rank).for_each(|(at, event)| rank[*event as usize] = at);
        let ready = by_rank.iter().filter(|event| waits[**event as usize] == 0);
        let ready = ready.map(|event| rank[*event as usize]).collect();
        Self {
            history,
            is_snapshot,
            waits,
            after,
            reads: group(txns as usize, &reads),
            writes,
            rank,
            ready,
            holds: history.keys.iter().map(|key| key.initial).collect(),
            unread,
            writing: vec![0; history.keys.len()],
            left: by_rank.len(),
            events: by_rank.len(),
            by_rank,
        }
    }

    /// Depth first; each placed event remembers what it replaced.
    fn run(&mut self, mut steps: u64) -> Answer {
        let is_short = self.events <= REMEMBERED_MAX;
        let mut seen: BTreeSet<(u128, Vec<u32>)> = BTreeSet::new();
        let mut path: Vec<(u32, Vec<u32>)> = Vec::new();
        let mut from = 0;
        while self.left > 0 {
            let next = self.ready.range(from..).copied().find(|rank| {
                steps = steps.saturating_sub(1);
                self.is_possible(self.by_rank[*rank as usize])
            });
            if steps == 0 {
                return Answer::Unknown;
            }
            let Some(rank) = next else {
                let Some((rank, replaced)) = path.pop() else {
                    return if is_short { Answer::None } else { Answer::Unknown };
                };
                self.take_back(rank, &replaced);
                from = rank + 1;
                continue;
            };
            let replaced = self.place(rank);
            path.push((rank, replaced));
            from = 0;
            if is_short {
                let placed = path.iter().fold(0_u128, |bits, (rank, _)| bits | 1 << rank);
                if !seen.insert((placed, self.holds.clone())) {
                    // The same events led to the same state before, and nowhere.
                    if let Some((rank, replaced)) = path.pop() {
                        self.take_back(rank, &replaced);
                        from = rank + 1;
                    }
                }
            }
        }
        Answer::Found
    }

    fn is_read(&self, event: u32) -> bool {
        event.is_multiple_of(2)
    }

    fn is_write(&self, event: u32) -> bool {
        !self.is_snapshot || event % 2 == 1
    }

    fn is_possible(&self, event: u32) -> bool {
        let txn = event as usize / 2;
        let reads = self.reads.of(txn);
        let key_of = |version: u32| self.history.versions[version as usize].key as usize;
        let mut possible = true;
        if self.is_read(event) {
            possible &= reads.iter().all(|version| self.holds[key_of(*version)] == *version);
            possible &=
                !self.is_snapshot || self.writes[txn].iter().all(|(key, _)| self.writing[*key as usize] == 0);
        }
        if self.is_write(event) {
            possible &= self.writes[txn].iter().all(|(key, _)| {
                let now = self.holds[*key as usize];
                let own = u32::from(!self.is_snapshot && reads.binary_search(&now).is_ok());
                self.unread[now as usize] == own
            });
        }
        possible
    }

    fn place(&mut self, rank: u32) -> Vec<u32> {
        let event = self.by_rank[rank as usize];
        let txn = event as usize / 2;
        let mut replaced = Vec::new();
        if self.is_read(event) {
            self.reads.of(txn).iter().for_each(|version| self.unread[*version as usize] -= 1);
            if self.is_snapshot {
                self.writes[txn].iter().for_each(|(key, _)| self.writing[*key as usize] += 1);
            }
        }
        if self.is_write(event) {
            for (key, version) in &self.writes[txn] {
                replaced.push(std::mem::replace(&mut self.holds[*key as usize], *version));
                self.writing[*key as usize] -= u32::from(self.is_snapshot);
            }
        }
        self.ready.remove(&rank);
        self.left -= 1;
        self.release(event);
        replaced
    }

    fn take_back(&mut self, rank: u32, replaced: &[u32]) {
        let event = self.by_rank[rank as usize];
        let txn = event as usize / 2;
        if self.is_write(event) {
            for ((key, _), before) in self.writes[txn].iter().zip(replaced) {
                self.holds[*key as usize] = *before;
                self.writing[*key as usize] += u32::from(self.is_snapshot);
            }
        }
        if self.is_read(event) {
            self.reads.of(txn).iter().for_each(|version| self.unread[*version as usize] += 1);
            if self.is_snapshot {
                self.writes[txn].iter().for_each(|(key, _)| self.writing[*key as usize] -= 1);
            }
        }
        self.ready.insert(rank);
        self.left += 1;
        self.hold(event);
    }

    /// What waited for this node alone is ready, and what waited for a relay that is.
    fn release(&mut self, node: u32) {
        let mut open = vec![node];
        while let Some(node) = open.pop() {
            for next in self.after.of(node as usize) {
                let waits = &mut self.waits[*next as usize];
                *waits -= 1;
                if *waits == 0 {
                    match self.rank.get(*next as usize) {
                        Some(rank) => {
                            self.ready.insert(*rank);
                        }
                        None => open.push(*next),
                    }
                }
            }
        }
    }

    fn hold(&mut self, node: u32) {
        let mut open = vec![node];
        while let Some(node) = open.pop() {
            for next in self.after.of(node as usize) {
                let waits = &mut self.waits[*next as usize];
                *waits += 1;
                if *waits == 1 {
                    match self.rank.get(*next as usize) {
                        Some(rank) => {
                            self.ready.remove(rank);
                        }
                        None => open.push(*next),
                    }
                }
            }
        }
    }
}

/// Reader and version, of every read of something that the reader did not write before.
fn external(history: &History) -> Vec<(u32, u32)> {
    let mut all = Vec::new();
    for txn in history.acknowledged() {
        let mops = history.mops_of(txn);
        for (at, mop) in mops.iter().enumerate().filter(|(_, mop)| mop.action == Action::Read) {
            let is_own = |other: &super::history::Mop| other.action == Action::Write && other.key == mop.key;
            if !mops[..at].iter().any(is_own) {
                all.push((txn, mop.version));
            }
        }
    }
    all
}

/// How many nodes each node waits for, and who waits for it. Nodes are events, then relays.
fn constraints(graph: &Graph, held: Held, is_snapshot: bool) -> (Vec<u32>, Groups) {
    let nodes = graph.nodes() + graph.txns;
    let event = |node: u32, is_end: bool| {
        if graph.is_relay(node) { node + graph.txns } else { node * 2 + u32::from(is_end && is_snapshot) }
    };
    let mut pairs = Vec::new();
    for node in 0..graph.nodes() {
        for (to, kind) in graph.out(node) {
            let is_held = match kind {
                Kind::Wr => true,
                Kind::Process => held != Held::Nothing,
                Kind::Realtime => held == Held::Realtime,
                _ => false,
            };
            if is_held {
                pairs.push((event(node, true), event(to, false)));
            }
        }
    }
    if is_snapshot {
        pairs.extend((0..graph.txns).map(|txn| (txn * 2, txn * 2 + 1)));
    }
    let mut waits = vec![0; nodes as usize];
    pairs.iter().for_each(|(_, to)| waits[*to as usize] += 1);
    (waits, group(nodes as usize, &pairs))
}
