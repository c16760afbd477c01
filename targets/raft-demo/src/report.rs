//! State reports: what a node tells an observer about itself, one JSON object a line.

use std::fmt::Write;

use crate::entry::{Entry, Index, NodeId, Term};
use crate::raft::Role;

/// One thing that happened inside a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// The node has recovered its disk.
    Start {
        /// The durable term.
        term: Term,
        /// The durable vote in it; 0: none.
        vote: NodeId,
        /// The last entry of the log.
        last: Index,
        /// The last entry in the snapshot; 0: no snapshot.
        snapshot: Index,
    },
    /// Role, term, vote or commit index changed; at most once a turn of the loop.
    State {
        /// The new role.
        role: Role,
        /// The current term.
        term: Term,
        /// The vote in it; 0: none.
        vote: NodeId,
        /// The commit index.
        commit: Index,
        /// The last entry of the log.
        last: Index,
        /// That entry's term.
        last_term: Term,
        /// The last applied entry.
        applied: Index,
    },
    /// An entry was put in the local log.
    Append {
        /// Its position.
        index: Index,
        /// Its term.
        term: Term,
        /// Its digest.
        digest: u32,
    },
    /// Entries from an index on were removed from the local log.
    Truncate {
        /// The first one removed.
        from: Index,
    },
    /// An entry was applied to the machine.
    Apply {
        /// Its position.
        index: Index,
        /// Its term.
        term: Term,
        /// Its digest.
        digest: u32,
        /// The key it touches.
        key: Option<String>,
    },
    /// A snapshot was taken, or one from the leader installed.
    Snapshot {
        /// The last entry it includes.
        index: Index,
        /// That entry's term.
        term: Term,
        /// The digest of its machine.
        digest: u32,
        /// Whether it came from the leader.
        installed: bool,
    },
}

impl Report {
    /// The report on an entry put in the log.
    pub fn append(entry: &Entry) -> Report {
        Report::Append { index: entry.index, term: entry.term, digest: entry.digest() }
    }

    /// Adds the report of `node` to `text` as one line.
    pub fn write_line(&self, node: NodeId, text: &mut String) {
        // Writing to a string cannot fail.
        let _ = match self {
            Report::Start { term, vote, last, snapshot } => writeln!(
                text,
                r#"{{"report":"start","node":{node},"term":{term},"vote":{vote},"last":{last},"snapshot":{snapshot}}}"#
            ),
            Report::State { role, term, vote, commit, last, last_term, applied } => writeln!(
                text,
                r#"{{"report":"state","node":{node},"role":"{}","term":{term},"vote":{vote},"commit":{commit},"last":{last},"last_term":{last_term},"applied":{applied}}}"#,
                role.name()
            ),
            Report::Append { index, term, digest } => writeln!(
                text,
                r#"{{"report":"append","node":{node},"index":{index},"term":{term},"digest":"{digest:08x}"}}"#
            ),
            Report::Truncate { from } => {
                writeln!(text, r#"{{"report":"truncate","node":{node},"from":{from}}}"#)
            }
            Report::Apply { index, term, digest, key } => {
                let key = key.as_ref().map(|key| {
                    format!(r#","key":{}"#, serde_json::to_string(key).expect("a string is plain data"))
                });
                writeln!(
                    text,
                    r#"{{"report":"apply","node":{node},"index":{index},"term":{term},"digest":"{digest:08x}"{}}}"#,
                    key.unwrap_or_default()
                )
            }
            Report::Snapshot { index, term, digest, installed } => writeln!(
                text,
                r#"{{"report":"snapshot","node":{node},"index":{index},"term":{term},"digest":"{digest:08x}","installed":{installed}}}"#
            ),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_json() {
        let reports = [
            Report::Start { term: 1, vote: 0, last: 2, snapshot: 0 },
            Report::State {
                role: Role::PreCandidate,
                term: 1,
                vote: 2,
                commit: 3,
                last: 4,
                last_term: 1,
                applied: 3,
            },
            Report::Append { index: 1, term: 1, digest: 0xab },
            Report::Truncate { from: 4 },
            Report::Apply { index: 1, term: 1, digest: 1, key: Some("a\"b".into()) },
            Report::Snapshot { index: 1, term: 1, digest: 1, installed: true },
        ];
        let mut text = String::new();
        for report in &reports {
            report.write_line(7, &mut text);
        }
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), reports.len());
        assert!(lines.iter().all(|line| line["node"] == 7));
        assert_eq!(lines[1]["role"], "pre_candidate");
        assert_eq!(lines[2]["digest"], "000000ab");
        assert_eq!(lines[4]["key"], "a\"b");
    }
}
