//! Raft's invariants (figure 3 of the paper), checked from state reports alone.

use std::collections::BTreeMap;

use raft_demo::entry::{Index, NodeId, Term};
use raft_demo::raft::Role;
use raft_demo::report::Report;

#[derive(Default)]
pub struct Invariants {
    leaders: BTreeMap<Term, NodeId>,
    applied: BTreeMap<Index, (Term, u32)>,
    logs: BTreeMap<NodeId, BTreeMap<Index, (Term, u32)>>,
    snapshots: BTreeMap<Index, u32>,
    commits: BTreeMap<NodeId, Index>,
    terms: BTreeMap<NodeId, Term>,
    votes: BTreeMap<(NodeId, Term), NodeId>,
    broken: Option<String>,
}

impl Invariants {
    /// The first invariant that broke.
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    pub fn break_with(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    pub fn observe(&mut self, node: NodeId, report: &Report) {
        match report {
            Report::Start { term, .. } => {
                self.commits.remove(&node);
                self.observe_term(node, *term);
            }
            Report::State { role, term, vote, commit, .. } => {
                self.commits.insert(node, *commit);
                self.observe_term(node, *term);
                if *vote != 0 {
                    let first = *self.votes.entry((node, *term)).or_insert(*vote);
                    if first != *vote {
                        self.break_with(format!("one vote per term: {node} gave two in {term}"));
                    }
                }
                if *role == Role::Leader {
                    let first = *self.leaders.entry(*term).or_insert(node);
                    if first != node {
                        self.break_with(format!("election safety: {first} and {node} lead in term {term}"));
                    }
                }
            }
            Report::Append { index, term, digest } => {
                let entry = (*term, *digest);
                let differs = self
                    .logs
                    .values()
                    .filter_map(|log| log.get(index))
                    .any(|o| o.0 == *term && o.1 != *digest);
                if differs {
                    self.break_with(format!("log matching: two entries at {index} of term {term}"));
                }
                self.logs.entry(node).or_default().insert(*index, entry);
            }
            Report::Truncate { from } => {
                self.logs.entry(node).or_default().split_off(from);
                if self.commits.get(&node).is_some_and(|commit| from <= commit) {
                    self.break_with(format!("what is committed stays: {node} truncates from {from}"));
                }
            }
            Report::Apply { index, term, digest, .. } => {
                let first = *self.applied.entry(*index).or_insert((*term, *digest));
                if first != (*term, *digest) {
                    self.break_with(format!("state machine safety: {node} applies another entry at {index}"));
                }
            }
            Report::Snapshot { index, digest, .. } => {
                let first = *self.snapshots.entry(*index).or_insert(*digest);
                if first != *digest {
                    self.break_with(format!("snapshots at {index} differ"));
                }
            }
        }
    }

    fn observe_term(&mut self, node: NodeId, term: Term) {
        let last = self.terms.insert(node, term).unwrap_or(0);
        if term < last {
            self.break_with(format!("terms grow: {node} went from {last} to {term}"));
        }
    }
}
