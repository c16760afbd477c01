//! A contradiction told to people: the transactions, what follows from them step by step, and the circle it ends in.

use super::super::graph::Kind;
use super::super::history::History;
use super::decide::Question;
use super::infer::{Inferred, Proof, Why, infer};
use super::instance::Instance;
use super::part::Part;
use crate::verdict::{Edge, Evidence, Graph};

/// More transactions than this are not told one by one.
const SHOWN_MAX: usize = 50;
/// The steps that an explanation may take.
const STEPS: u64 = 1_000_000;

/// The evidence that these transactions have no order.
pub(super) fn evidence(question: &Question<'_>, part: &Part) -> Evidence {
    let history = question.accesses.history;
    let mut evidence = Evidence::default();
    let left_out = part.txns.len().saturating_sub(SHOWN_MAX);
    if left_out > 0 {
        let count = part.txns.len();
        evidence.lines.push(format!(
            "{count} transactions have no order, and steps were too few to find out which of them matter; the last {SHOWN_MAX} are"
        ));
        evidence.ops.extend(part.txns[left_out..].iter().map(|txn| history.op(*txn)));
        let lines: Vec<String> = evidence.ops.iter().map(ToString::to_string).collect();
        evidence.lines.extend(lines);
        return evidence;
    }
    for (at, txn) in part.txns.iter().enumerate() {
        let op = history.op(*txn);
        evidence.lines.push(format!("T{} = {op}", at + 1));
        evidence.ops.push(op);
    }
    let instance = question.instance(part);
    match infer(&instance, &mut STEPS.clone()) {
        Inferred::Contradiction(proof) => {
            Teller { history, instance: &instance }.proof(&proof, &mut evidence)
        }
        Inferred::Known { .. } => {
            evidence.lines.push("each order of them was tried, and none explains what was read".to_owned());
        }
    }
    evidence
}

struct Teller<'a> {
    history: &'a History,
    instance: &'a Instance,
}

impl Teller<'_> {
    fn proof(&self, proof: &Proof, evidence: &mut Evidence) {
        let mut graph = Graph::default();
        graph.nodes.extend((0..).zip(&evidence.ops).map(|(txn, op)| format!("{}: {op}", name(txn))));
        for (from, to, why) in &proof.arcs {
            let (before, after) = (self.instance.txn_of(*from), self.instance.txn_of(*to));
            if before == after {
                continue;
            }
            let (kind, reason) = self.reason(before, after, *why);
            evidence.lines.push(format!("{} ({}): {reason}", self.relation(*from, *to), kind.name()));
            let (from, to) = (before as usize, after as usize);
            graph.edges.push(Edge { from, to, kind: kind.name().to_owned(), why: reason });
        }
        let mut circle: Vec<String> =
            proof.circle.iter().map(|arc| name(self.instance.txn_of(proof.arcs[*arc].0))).collect();
        circle.dedup();
        circle.extend(circle.first().cloned());
        circle.dedup();
        evidence.lines.push(format!("so {} would come before itself: {}", circle[0], circle.join(", ")));
        evidence.graph = Some(graph);
    }

    fn relation(&self, from: u32, to: u32) -> String {
        let event = |node: u32| {
            let name = name(self.instance.txn_of(node));
            match (self.instance.is_snapshot, node.is_multiple_of(2)) {
                (false, _) => name,
                (true, true) => format!("{name}'s snapshot"),
                (true, false) => format!("{name}'s commit"),
            }
        };
        format!("{} comes before {}", event(from), event(to))
    }

    fn reason(&self, before: u32, after: u32, why: Why) -> (Kind, String) {
        let (a, b) = (name(before), name(after));
        match why {
            Why::Given(number) => match self.instance.given[number as usize].kind {
                Kind::Wr => (Kind::Wr, self.read(before, after, &a, &b)),
                Kind::Realtime => {
                    let (over, begun) = (self.txn(before).complete, self.txn(after).invoke);
                    (Kind::Realtime, format!("{a} was over at #{over}, before {b} was asked for at #{begun}"))
                }
                kind => (kind, format!("process {} did {a}, then {b}", self.txn(before).process)),
            },
            Why::Overlap { key, .. } => {
                let key = self.key(key);
                (
                    Kind::Ww,
                    format!("both wrote {key}, so they do not overlap, and {b} did not end before {a} began"),
                )
            }
            Why::Older { key, reader, .. } => {
                let (key, reader) = (self.key(key), name(reader));
                (
                    Kind::Ww,
                    format!("both wrote {key}, and {reader} read it from {b}, though it comes after {a}"),
                )
            }
            Why::Newer { key, writer: None, .. } => {
                (Kind::Rw, format!("{a} read {} in its first state, which {b} overwrote", self.key(key)))
            }
            Why::Newer { key, writer: Some(writer), .. } => {
                let (key, writer) = (self.key(key), name(writer));
                (
                    Kind::Rw,
                    format!(
                        "{a} read {key} from {writer}, and {b}, which comes after {writer}, overwrote it"
                    ),
                )
            }
        }
    }

    /// Which version the second read of the first.
    fn read(&self, writer: u32, reader: u32, a: &str, b: &str) -> String {
        let version_of = |key: &super::instance::Key| {
            let is_it = |version: &&super::instance::Version| {
                version.writer == Some(writer) && version.readers.contains(&reader)
            };
            key.versions.iter().find(is_it).map(|_| key.number)
        };
        let key = self.instance.keys.iter().find_map(version_of);
        let key = key.map(|key| self.history.key_name(key)).unwrap_or_default();
        format!("{b} read {key} from {a}")
    }

    fn txn(&self, txn: u32) -> &super::super::history::Txn {
        &self.history.txns[self.instance.txns[txn as usize] as usize]
    }

    fn key(&self, position: u32) -> String {
        self.history.key_name(self.instance.keys[position as usize].number)
    }
}

fn name(txn: u32) -> String {
    format!("T{}", txn + 1)
}
