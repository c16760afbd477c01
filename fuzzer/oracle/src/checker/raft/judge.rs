//! The rules, each beside the report that can break it.

use super::shadow::{Shadow, Slot};
use super::{Identity, Kind, Report, Role, Witness};
use crate::verdict::{Evidence, Judgement};
use std::collections::BTreeMap;

/// The oracle's name.
pub const NAME: &str = "raft";

/// Judges `reports`, in the order in which they were made.
///
/// Signatures are `raft/` and one of `election-safety`, `log-matching`, `leader-completeness`,
/// `state-machine-safety`, `double-vote`, `vote-forgotten`, `term-regressed`, `log-regressed` (across a restart),
/// `term-decreased`, `commit-decreased` (without one), `commit-beyond-log`, `committed-entry-truncated`,
/// `apply-order`.
#[must_use]
pub fn check(reports: &[Report]) -> Judgement {
    let mut judge = Judge::new();
    for report in reports {
        let by = Witness { node: report.node, at_ns: report.at_ns };
        match &report.kind {
            Kind::Start { term, vote, last, snapshot } => judge.start(by, *term, *vote, *last, *snapshot),
            Kind::State { role, term, vote, commit, last, .. } => {
                judge.vote(by, *term, *vote);
                judge.progress(by, *term, *commit, *last);
                judge.role(by, *role, *term, *last);
                judge.commits(by, *term, *commit, *last);
            }
            Kind::Role { role: Role::Leader, term } => judge.reign(by, *term),
            Kind::Role { .. } => {}
            Kind::Append { index, term, digest } => {
                judge.append(by, *index, Identity { term: *term, digest: digest.clone() });
            }
            Kind::Truncate { from } => judge.truncate(by, *from),
            Kind::Apply { index, term, digest } => {
                judge.apply(by, *index, Identity { term: *term, digest: digest.clone() });
            }
            Kind::Snapshot { index, term, digest, installed } => {
                judge.snapshot(by, *index, Identity { term: *term, digest: digest.clone() }, *installed);
            }
        }
    }
    judge.judgement
}

/// An entry as it was first put into some log.
struct Created {
    digest: String,
    /// The term of the entry before it, if known.
    before: Option<u64>,
    by: Witness,
}

/// An entry that some node held to be committed.
struct Committed {
    entry: Identity,
    /// The lowest term of a node that said so: it was committed in that term or before.
    in_term: u64,
    by: Witness,
}

/// A leader's log at its election.
struct Leader {
    by: Witness,
    log: Shadow,
    last: u64,
}

struct Judge {
    judgement: Judgement,
    nodes: BTreeMap<u32, Shadow>,
    /// By index and term: Raft creates at most one entry for each pair, ever.
    created: BTreeMap<(u64, u64), Created>,
    committed: BTreeMap<u64, Committed>,
    applied: BTreeMap<u64, (Identity, Witness)>,
    snapshots: BTreeMap<u64, (Identity, Witness)>,
    leaders: BTreeMap<u64, Leader>,
    /// By term, who said to lead it and reports nothing else.
    reigns: BTreeMap<u64, Witness>,
}

impl Judge {
    fn new() -> Self {
        Self {
            judgement: Judgement::new(NAME),
            nodes: BTreeMap::new(),
            created: BTreeMap::new(),
            committed: BTreeMap::new(),
            applied: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            leaders: BTreeMap::new(),
            reigns: BTreeMap::new(),
        }
    }

    fn violation(&mut self, kind: &str, at_ns: u64, summary: String, lines: Vec<String>) {
        self.judgement.violation(kind, at_ns, summary, Evidence { lines, ..Evidence::default() });
    }

    fn start(&mut self, by: Witness, term: u64, vote: u32, last: u64, snapshot: u64) {
        let node = self.nodes.entry(by.node).or_default();
        let (held, held_ns) = node.held;
        node.restart(term, last, snapshot);
        let voted = node.votes.last_key_value().map(|(term, vote)| (*term, *vote));
        let ends = last.max(snapshot);
        if ends < held {
            let summary = format!(
                "n{} restarted with a log that ends at {ends} after it had committed up to {held}",
                by.node
            );
            let lines = vec![
                format!(
                    "{}  committed up to index {held}, all of it in its log",
                    Witness { at_ns: held_ns, ..by }
                ),
                format!("{by}  restarted with a log that ends at {ends}"),
            ];
            self.violation("log-regressed", by.at_ns, summary, lines);
        }
        let Some((voted_term, (voted, voted_ns))) = voted else { return };
        let lines = vec![
            format!("{}  voted for n{voted} in term {voted_term}", Witness { at_ns: voted_ns, ..by }),
            format!("{by}  restarted in term {term} with {}", vote_text(vote)),
        ];
        if term < voted_term {
            let summary =
                format!("n{} restarted in term {term} after it had voted in term {voted_term}", by.node);
            self.violation("term-regressed", by.at_ns, summary, lines);
        } else if term == voted_term && vote != voted {
            let summary = format!("n{} restarted without its vote for n{voted} in term {term}", by.node);
            self.violation("vote-forgotten", by.at_ns, summary, lines);
        }
    }

    fn vote(&mut self, by: Witness, term: u64, vote: u32) {
        if vote == 0 {
            return;
        }
        let node = self.nodes.entry(by.node).or_default();
        let (first, first_ns) = *node.votes.entry(term).or_insert((vote, by.at_ns));
        if first != vote {
            let summary = format!("n{} voted for n{first} and for n{vote} in term {term}", by.node);
            let lines = vec![
                format!("{}  voted for n{first} in term {term}", Witness { at_ns: first_ns, ..by }),
                format!("{by}  voted for n{vote} in term {term}"),
            ];
            self.violation("double-vote", by.at_ns, summary, lines);
        }
    }

    /// Term and commit index only grow while a node runs.
    fn progress(&mut self, by: Witness, term: u64, commit: u64, last: u64) {
        let node = self.nodes.entry(by.node).or_default();
        let (term_before, commit_before, base) = (node.term, node.commit, node.base.0);
        node.term = term;
        node.commit = commit;
        let n = by.node;
        if term < term_before {
            let summary = format!("n{n} went from term {term_before} back to {term} while running");
            self.violation("term-decreased", by.at_ns, summary.clone(), vec![format!("{by}  {summary}")]);
        }
        if commit < commit_before {
            let summary = format!("n{n} took its commit index from {commit_before} back to {commit}");
            self.violation("commit-decreased", by.at_ns, summary.clone(), vec![format!("{by}  {summary}")]);
        }
        if commit > last.max(base) {
            let summary = format!("n{n} committed up to {commit}, though its log ends at {last}");
            self.violation("commit-beyond-log", by.at_ns, summary.clone(), vec![format!("{by}  {summary}")]);
        }
    }

    fn role(&mut self, by: Witness, role: Role, term: u64, last: u64) {
        let node = self.nodes.entry(by.node).or_default();
        let elected = role == Role::Leader && node.role != Some((role, term));
        node.role = Some((role, term));
        if !elected {
            return;
        }
        let leader = Leader { by, log: node.clone(), last };
        if let Some(other) = self.leaders.get(&term).map(|leader| leader.by) {
            self.elected_once(other, by, term);
            return;
        }
        let missing =
            self.committed.iter().find_map(|(index, committed)| absent(term, &leader, *index, committed));
        if let Some((summary, lines)) = missing {
            self.violation("leader-completeness", by.at_ns, summary, lines);
        }
        self.leaders.insert(term, leader);
    }

    /// A node says that it leads this term, and nothing of its log.
    fn reign(&mut self, by: Witness, term: u64) {
        let first = *self.reigns.entry(term).or_insert(by);
        self.elected_once(first, by, term);
    }

    /// Of two that say to lead a term both must be the same node.
    fn elected_once(&mut self, first: Witness, by: Witness, term: u64) {
        if first.node == by.node {
            return;
        }
        let summary = format!("n{} and n{} both led term {term}", first.node, by.node);
        let lines =
            vec![format!("{first}  is leader of term {term}"), format!("{by}  is leader of term {term}")];
        self.violation("election-safety", by.at_ns, summary, lines);
    }

    /// Takes note of what the node holds to be committed.
    fn commits(&mut self, by: Witness, term: u64, commit: u64, last: u64) {
        let node = self.nodes.entry(by.node).or_default();
        let upto = commit.min(last);
        if upto <= node.noted {
            return;
        }
        let news: Vec<(u64, Identity)> =
            node.log.range(node.noted + 1..=upto).map(|(index, entry)| (*index, entry.clone())).collect();
        node.noted = upto;
        if upto > node.held.0 {
            node.held = (upto, by.at_ns);
        }
        for (index, entry) in news {
            self.commit(by, term, index, entry);
        }
    }

    fn commit(&mut self, by: Witness, term: u64, index: u64, entry: Identity) {
        if let Some(known) = self.committed.get_mut(&index) {
            if known.entry != entry {
                let summary = format!(
                    "n{} and n{} committed different entries at index {index}",
                    known.by.node, by.node
                );
                let lines = vec![
                    format!("{}  committed index {index}: {}", known.by, known.entry),
                    format!("{by}  committed index {index}: {entry}"),
                ];
                self.violation("state-machine-safety", by.at_ns, summary, lines);
                return;
            }
            if known.in_term <= term {
                return;
            }
            known.in_term = term;
        } else {
            self.committed.insert(index, Committed { entry, in_term: term, by });
        }
        // a leader of a later term may have been elected before anybody said that this was committed
        let committed = &self.committed[&index];
        let missing = self.leaders.iter().find_map(|(term, leader)| absent(*term, leader, index, committed));
        if let Some((summary, lines)) = missing {
            self.violation("leader-completeness", by.at_ns, summary, lines);
        }
    }

    fn append(&mut self, by: Witness, index: u64, entry: Identity) {
        let node = self.nodes.entry(by.node).or_default();
        node.append(index, entry.clone());
        let before = index.checked_sub(1).and_then(|previous| node.term_at(previous));
        let Some(known) = self.created.get_mut(&(index, entry.term)) else {
            self.created.insert((index, entry.term), Created { digest: entry.digest, before, by });
            return;
        };
        let (first, term) = (known.by, entry.term);
        if known.digest != entry.digest {
            let summary = format!(
                "n{} and n{} hold different entries of term {term} at index {index}",
                first.node, by.node
            );
            let lines = vec![
                format!("{first}  appended index {index}: term {term} digest {}", known.digest),
                format!("{by}  appended index {index}: {entry}"),
            ];
            self.violation("log-matching", by.at_ns, summary, lines);
            return;
        }
        match (known.before, before) {
            (Some(one), Some(other)) if one != other => {
                let summary = format!(
                    "n{} and n{} hold the same entry at index {index} after different ones at {}",
                    first.node,
                    by.node,
                    index - 1
                );
                let lines = vec![
                    format!("{first}  appended index {index} (term {term}) after an entry of term {one}"),
                    format!("{by}  appended index {index} (term {term}) after an entry of term {other}"),
                ];
                self.violation("log-matching", by.at_ns, summary, lines);
            }
            (None, Some(_)) => {
                known.before = before;
                known.by = by;
            }
            _ => {}
        }
    }

    fn truncate(&mut self, by: Witness, from: u64) {
        let node = self.nodes.entry(by.node).or_default();
        let removed = node.log.range(from..).find_map(|(index, entry)| {
            self.committed.get(index).filter(|known| known.entry == *entry).map(|known| (*index, known))
        });
        if let Some((index, known)) = removed {
            let summary = format!("n{} removed entry {index}, which was committed", by.node);
            let lines = vec![
                format!("{}  committed index {index}: {}", known.by, known.entry),
                format!("{by}  removed its log from index {from} on"),
            ];
            self.judgement.violation(
                "committed-entry-truncated",
                by.at_ns,
                summary,
                Evidence { lines, ..Evidence::default() },
            );
        }
        node.truncate(from);
    }

    fn apply(&mut self, by: Witness, index: u64, entry: Identity) {
        let node = self.nodes.entry(by.node).or_default();
        let before = node.applied.replace(index);
        if let Some(before) = before.filter(|before| before.checked_add(1) != Some(index)) {
            let summary = format!("n{} applied entry {index} after entry {before}", by.node);
            self.violation("apply-order", by.at_ns, summary.clone(), vec![format!("{by}  {summary}")]);
        }
        let (known, first) = self.applied.entry(index).or_insert_with(|| (entry.clone(), by));
        if *known != entry {
            let summary = if first.node == by.node {
                format!("n{} applied two different entries at index {index}", by.node)
            } else {
                format!("n{} and n{} applied different entries at index {index}", first.node, by.node)
            };
            let lines = vec![
                format!("{first}  applied index {index}: {known}"),
                format!("{by}  applied index {index}: {entry}"),
            ];
            self.violation("state-machine-safety", by.at_ns, summary, lines);
        }
    }

    fn snapshot(&mut self, by: Witness, index: u64, state: Identity, installed: bool) {
        self.nodes.entry(by.node).or_default().snapshot(index, state.term, installed);
        let (known, first) = self.snapshots.entry(index).or_insert_with(|| (state.clone(), by));
        if *known != state {
            let summary =
                format!("n{} and n{} hold different snapshots of index {index}", first.node, by.node);
            let lines = vec![
                format!("{first}  snapshot of index {index}: {known}"),
                format!("{by}  snapshot of index {index}: {state}"),
            ];
            self.violation("state-machine-safety", by.at_ns, summary, lines);
        }
    }
}

/// Says how the leader of `term` lacks an entry that was committed before that term, if it does.
fn absent(term: u64, leader: &Leader, index: u64, committed: &Committed) -> Option<(String, Vec<String>)> {
    if committed.in_term >= term {
        return None;
    }
    let found = match leader.log.slot(index, leader.last) {
        Slot::Covered | Slot::Unreported => return None,
        Slot::Entry(entry) if *entry == committed.entry => return None,
        Slot::Entry(entry) => format!("its log holds {entry} there"),
        Slot::Beyond => format!("its log ends at {}", leader.last),
    };
    let summary =
        format!("n{} became leader of term {term} without the committed entry {index}", leader.by.node);
    let lines = vec![
        format!(
            "{}  committed index {index} in term {}: {}",
            committed.by, committed.in_term, committed.entry
        ),
        format!("{}  is leader of term {term}, but {found}", leader.by),
    ];
    Some((summary, lines))
}

fn vote_text(vote: u32) -> String {
    if vote == 0 { "no vote".to_string() } else { format!("a vote for n{vote}") }
}
