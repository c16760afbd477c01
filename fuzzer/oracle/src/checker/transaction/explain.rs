//! Why one transaction comes before another, found again in the history itself: neither the graph nor the order it was
//! made from is asked. A cycle is reported only if every edge of it can be explained here.

use super::graph::Kind;
use super::history::{Action, History, Mop, STRAY};
use super::search::Cycle;
use crate::op::Outcome;
use crate::verdict::{Edge, Evidence, Graph};

/// How many elements of a list a sentence shows.
const SHOWN: usize = 8;

/// A transaction and what sentences call it.
pub(super) type Named<'a> = (u32, &'a str);

/// Says why data put the first transaction before the second, in a sentence; `None` if they do not.
pub(super) type Why<'a> = dyn Fn(Named<'_>, Named<'_>, Kind) -> Option<String> + 'a;

/// The evidence of a cycle: operations, sentences and the picture; `None` if an edge cannot be explained.
pub(super) fn cycle(history: &History, cycle: &Cycle, why: &Why<'_>) -> Option<Evidence> {
    let txns: Vec<u32> = cycle.iter().map(|(txn, _)| *txn).collect();
    let edges: Vec<(usize, usize, Kind)> =
        (0..).zip(cycle).map(|(at, (_, kind))| (at, at + 1, *kind)).collect();
    edges_of(history, &txns, &edges, why)
}

/// The evidence of edges between these transactions, by position; the last one leads back to the first transaction.
pub(super) fn edges_of(
    history: &History,
    txns: &[u32],
    edges: &[(usize, usize, Kind)],
    why: &Why<'_>,
) -> Option<Evidence> {
    let mut evidence = Evidence::default();
    let mut graph = Graph::default();
    for (at, txn) in txns.iter().enumerate() {
        let op = history.op(*txn);
        evidence.lines.push(format!("T{} = {op}", at + 1));
        graph.nodes.push(format!("T{}: {op}", at + 1));
        evidence.ops.push(op);
    }
    for (at, (from, to, kind)) in edges.iter().enumerate() {
        let is_last = at + 1 == edges.len();
        let to = if is_last { 0 } else { *to };
        let (a, b) = (format!("T{}", from + 1), format!("T{}", to + 1));
        let why = edge(history, (txns[*from], &a), (txns[to], &b), *kind, why)?;
        let but = if is_last { "but " } else { "" };
        evidence.lines.push(format!("{but}{a} comes before {b} ({}): {why}", kind.name()));
        graph.edges.push(Edge { from: *from, to, kind: kind.name().to_owned(), why });
    }
    evidence.graph = Some(graph);
    Some(evidence)
}

/// Why `a` comes before `b`, in a sentence; `None` if the history does not say so.
pub(super) fn edge(
    history: &History,
    a: Named<'_>,
    b: Named<'_>,
    kind: Kind,
    why: &Why<'_>,
) -> Option<String> {
    let (first, second) = (&history.txns[a.0 as usize], &history.txns[b.0 as usize]);
    if a.0 == b.0 || !history.counts[a.0 as usize] || !history.counts[b.0 as usize] {
        return None;
    }
    match kind {
        Kind::Process => (first.process == second.process && first.invoke < second.invoke)
            .then(|| format!("process {} did {}, then {}", first.process, a.1, b.1)),
        Kind::Realtime => (first.outcome == Outcome::Ok && first.complete < second.invoke).then(|| {
            let (end, begin) = (first.complete, second.invoke);
            format!("{} was over at #{end}, before {} was asked for at #{begin}", a.1, b.1)
        }),
        _ => why(a, b, kind),
    }
}

/// Why lists put `a` before `b`.
pub(super) fn of_lists(history: &History, a: Named<'_>, b: Named<'_>, kind: Kind) -> Option<String> {
    let place = |mop: &Mop| {
        let position = history.versions[mop.version as usize].position;
        (position < history.keys[mop.key as usize].trusted).then_some(position)
    };
    let value = |mop: &Mop| history.versions[mop.version as usize].value.to_string();
    pairs(history, a.0, b.0).find_map(|(old, new)| {
        let key = history.key_name(old.key);
        match (kind, old.action, new.action) {
            (Kind::Ww, Action::Write, Action::Write) => {
                let is_later = place(old)? < place(new).unwrap_or(u32::MAX);
                let (old, new) = (value(old), value(new));
                is_later.then(|| format!("{} appended {new} to {key} after {} appended {old}", b.1, a.1))
            }
            (Kind::Wr, Action::Write, Action::Read) => {
                let is_seen = history.list(new).contains(&old.version);
                is_seen.then(|| format!("{} saw {}'s append of {} to {key}", b.1, a.1, value(old)))
            }
            (Kind::Rw, Action::Read, Action::Write) => {
                let is_trusted = old.list & STRAY == 0 && old.list <= history.keys[old.key as usize].trusted;
                let is_missed = is_trusted && !history.list(old).contains(&new.version);
                let (list, new) = (shown(history, old), value(new));
                is_missed.then(|| format!("{} read {key} as {list}, without {}'s append of {new}", a.1, b.1))
            }
            _ => None,
        }
    })
}

/// All pairs of micro-operations of two transactions on the same key.
pub(super) fn pairs(history: &History, a: u32, b: u32) -> impl Iterator<Item = (&Mop, &Mop)> {
    history.mops_of(a).iter().flat_map(move |old| {
        history.mops_of(b).iter().filter(move |new| new.key == old.key).map(move |new| (old, new))
    })
}

/// A list for sentences: its last elements.
pub(super) fn shown(history: &History, read: &Mop) -> String {
    let list = history.list(read);
    let from = list.len().saturating_sub(SHOWN);
    let values: Vec<String> =
        list[from..].iter().map(|version| history.versions[*version as usize].value.to_string()).collect();
    format!("[{}{}]", if from > 0 { "... " } else { "" }, values.join(" "))
}
