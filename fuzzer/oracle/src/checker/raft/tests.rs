//! Each rule broken once, and a correct run that touches all of them.

use super::*;
use crate::verdict::Violation;

struct Script(Vec<Report>);

impl Script {
    fn say(mut self, node: u32, kind: Kind) -> Self {
        let at_ns = self.0.len() as u64 * 100_000_000;
        self.0.push(Report { at_ns, node, kind });
        self
    }

    fn start(self, node: u32, term: u64, vote: u32, last: u64) -> Self {
        self.say(node, Kind::Start { term, vote, last, snapshot: 0 })
    }

    fn state(self, node: u32, role: Role, term: u64, vote: u32, commit: u64, last: u64) -> Self {
        self.say(node, Kind::State { role, term, vote, commit, last, last_term: 0, applied: 0 })
    }

    fn append(self, node: u32, index: u64, term: u64, digest: &str) -> Self {
        self.say(node, Kind::Append { index, term, digest: digest.into() })
    }

    fn apply(self, node: u32, index: u64, term: u64, digest: &str) -> Self {
        self.say(node, Kind::Apply { index, term, digest: digest.into() })
    }

    fn snapshot(self, node: u32, index: u64, term: u64, installed: bool) -> Self {
        self.say(node, Kind::Snapshot { index, term, digest: "s".into(), installed })
    }

    fn violations(&self) -> Vec<Violation> {
        check(&self.0).violations
    }

    fn signatures(&self) -> Vec<String> {
        self.violations().into_iter().map(|violation| violation.signature).collect()
    }
}

fn script() -> Script {
    Script(Vec::new())
}

fn told(violation: &Violation) -> String {
    format!("{}\n{}\n{}", violation.signature, violation.summary, violation.evidence.lines.join("\n"))
}

#[test]
fn of_programs_that_tell_their_role_and_no_more_two_must_not_lead_one_term() {
    let lead = |script: Script, node, term| script.say(node, Kind::Role { role: Role::Leader, term });
    let follow = |script: Script, node, term| script.say(node, Kind::Role { role: Role::Follower, term });
    let right = lead(follow(lead(lead(script(), 1, 1), 1, 1), 2, 1), 2, 2);
    assert_eq!(right.signatures(), Vec::<String>::new());
    let wrong = lead(right, 3, 2);
    assert_eq!(wrong.signatures(), ["raft/election-safety"]);
    assert!(told(&wrong.violations()[0]).contains("n2 and n3 both led term 2"));
}

/// n1 leads term 1 and commits two entries on n1 and n2; n3 has none of them.
fn committed() -> Script {
    script()
        .start(1, 0, 0, 0)
        .start(2, 0, 0, 0)
        .start(3, 0, 0, 0)
        .state(1, Role::Candidate, 1, 1, 0, 0)
        .state(2, Role::Follower, 1, 1, 0, 0)
        .state(1, Role::Leader, 1, 1, 0, 0)
        .append(1, 1, 1, "a")
        .append(1, 2, 1, "b")
        .append(2, 1, 1, "a")
        .append(2, 2, 1, "b")
        .state(1, Role::Leader, 1, 1, 2, 2)
}

#[test]
fn a_correct_run_is_valid() {
    let run = committed()
        .apply(1, 1, 1, "a")
        .apply(1, 2, 1, "b")
        .append(1, 3, 1, "lost")
        // n2 takes over, n1's uncommitted tail is replaced
        .state(2, Role::Candidate, 2, 2, 0, 2)
        .state(3, Role::Follower, 2, 2, 0, 0)
        .state(2, Role::Leader, 2, 2, 0, 2)
        .append(2, 3, 2, "c")
        .state(1, Role::Follower, 2, 0, 2, 3)
        .say(1, Kind::Truncate { from: 3 })
        .append(1, 3, 2, "c")
        .state(2, Role::Leader, 2, 2, 3, 3)
        .apply(2, 1, 1, "a")
        .apply(2, 2, 1, "b")
        .apply(2, 3, 2, "c")
        .snapshot(2, 3, 2, false)
        .snapshot(3, 3, 2, true)
        .append(2, 4, 2, "d")
        .append(3, 4, 2, "d")
        .apply(3, 4, 2, "d")
        // power loss on n2: the tail that was not yet durable is gone, votes are not
        .say(2, Kind::Start { term: 2, vote: 2, last: 3, snapshot: 3 })
        .state(3, Role::Candidate, 3, 3, 4, 4)
        .state(3, Role::Leader, 3, 3, 4, 4)
        .append(2, 4, 2, "d")
        .state(2, Role::Follower, 3, 3, 4, 4)
        .apply(2, 4, 2, "d");
    assert_eq!(run.signatures(), [""; 0]);
}

#[test]
fn two_leaders_in_one_term() {
    let run = script().state(1, Role::Leader, 3, 1, 0, 0).state(2, Role::Leader, 3, 2, 0, 0);
    insta::assert_snapshot!(told(&run.violations()[0]), @r"
    raft/election-safety
    n1 and n2 both led term 3
    0.000000  n1  is leader of term 3
    0.100000  n2  is leader of term 3
    ");
    assert_eq!(
        script().state(1, Role::Leader, 3, 1, 0, 0).state(1, Role::Leader, 3, 1, 0, 1).signatures(),
        [""; 0]
    );
}

#[test]
fn one_entry_with_two_contents_or_two_pasts() {
    let run = script().append(1, 1, 1, "a").append(2, 1, 1, "b");
    insta::assert_snapshot!(told(&run.violations()[0]), @r"
    raft/log-matching
    n1 and n2 hold different entries of term 1 at index 1
    0.000000  n1  appended index 1: term 1 digest a
    0.100000  n2  appended index 1: term 1 digest b
    ");
    let run = script().append(1, 1, 1, "a").append(1, 2, 3, "b").append(2, 1, 2, "x").append(2, 2, 3, "b");
    insta::assert_snapshot!(told(&run.violations()[0]), @r"
    raft/log-matching
    n1 and n2 hold the same entry at index 2 after different ones at 1
    0.100000  n1  appended index 2 (term 3) after an entry of term 1
    0.300000  n2  appended index 2 (term 3) after an entry of term 2
    ");
}

#[test]
fn a_leader_without_a_committed_entry() {
    let run = committed().state(3, Role::Leader, 2, 3, 0, 0);
    insta::assert_snapshot!(told(&run.violations()[0]), @r"
    raft/leader-completeness
    n3 became leader of term 2 without the committed entry 1
    1.000000  n1  committed index 1 in term 1: term 1 digest a
    1.100000  n3  is leader of term 2, but its log ends at 0
    ");
    let run = committed().append(3, 1, 1, "a").append(3, 2, 2, "z").state(3, Role::Leader, 3, 3, 0, 2);
    insta::assert_snapshot!(told(&run.violations()[0]), @r"
    raft/leader-completeness
    n3 became leader of term 3 without the committed entry 2
    1.000000  n1  committed index 2 in term 1: term 1 digest b
    1.300000  n3  is leader of term 3, but its log holds term 2 digest z there
    ");
}

#[test]
fn a_commit_told_late_still_counts_against_the_leader_before() {
    let run =
        script().append(1, 1, 1, "a").state(3, Role::Leader, 2, 3, 0, 0).state(1, Role::Leader, 1, 1, 1, 1);
    assert_eq!(run.signatures(), ["raft/leader-completeness"]);
    // a node that says so in the leader's own term proves nothing about earlier ones
    let run =
        script().append(1, 1, 1, "a").state(3, Role::Leader, 2, 3, 0, 0).state(1, Role::Follower, 2, 0, 1, 1);
    assert_eq!(run.signatures(), [""; 0]);
}

#[test]
fn what_a_snapshot_covers_or_nobody_reported_is_not_missing() {
    assert_eq!(committed().snapshot(3, 2, 1, true).state(3, Role::Leader, 2, 3, 0, 2).signatures(), [""; 0]);
    assert_eq!(committed().start(3, 1, 0, 2).state(3, Role::Leader, 2, 3, 0, 2).signatures(), [""; 0]);
}

#[test]
fn different_entries_applied_at_one_index() {
    let run = script().apply(1, 1, 1, "a").apply(2, 1, 2, "b");
    insta::assert_snapshot!(told(&run.violations()[0]), @r"
    raft/state-machine-safety
    n1 and n2 applied different entries at index 1
    0.000000  n1  applied index 1: term 1 digest a
    0.100000  n2  applied index 1: term 2 digest b
    ");
    let run = script().apply(1, 1, 1, "a").start(1, 1, 0, 1).apply(1, 1, 1, "b");
    assert_eq!(run.violations()[0].summary, "n1 applied two different entries at index 1");
    assert_eq!(script().apply(1, 1, 1, "a").start(1, 1, 0, 1).apply(1, 1, 1, "a").signatures(), [""; 0]);
    assert_eq!(script().apply(1, 1, 1, "a").apply(1, 3, 1, "c").signatures(), ["raft/apply-order"]);
}

#[test]
fn votes_and_terms_survive_restarts() {
    let voted = || script().state(1, Role::Follower, 4, 2, 0, 0);
    assert_eq!(voted().state(1, Role::Follower, 4, 3, 0, 0).signatures(), ["raft/double-vote"]);
    assert_eq!(voted().state(1, Role::Follower, 5, 3, 0, 0).signatures(), [""; 0]);
    assert_eq!(voted().start(1, 4, 2, 0).signatures(), [""; 0]);
    assert_eq!(voted().start(1, 4, 0, 0).signatures(), ["raft/vote-forgotten"]);
    // a term in which it had not voted need not have been durable
    assert_eq!(voted().state(1, Role::Follower, 6, 0, 0, 0).start(1, 4, 2, 0).signatures(), [""; 0]);
    insta::assert_snapshot!(told(&voted().start(1, 3, 0, 0).violations()[0]), @r"
    raft/term-regressed
    n1 restarted in term 3 after it had voted in term 4
    0.000000  n1  voted for n2 in term 4
    0.100000  n1  restarted in term 3 with no vote
    ");
}

#[test]
fn a_restarted_node_still_has_what_it_committed() {
    assert_eq!(committed().start(1, 1, 1, 2).signatures(), [""; 0]);
    let covered = Kind::Start { term: 1, vote: 1, last: 0, snapshot: 2 };
    assert_eq!(committed().say(1, covered).signatures(), [""; 0]);
    // what is only in the log of one node may go
    assert_eq!(committed().append(1, 3, 1, "c").start(1, 1, 1, 2).signatures(), [""; 0]);
    let lost = committed().start(1, 1, 1, 1);
    insta::assert_snapshot!(told(&lost.violations()[0]), @r"
    raft/log-regressed
    n1 restarted with a log that ends at 1 after it had committed up to 2
    1.000000  n1  committed up to index 2, all of it in its log
    1.100000  n1  restarted with a log that ends at 1
    ");
    // told once
    assert_eq!(lost.start(1, 1, 1, 1).signatures(), ["raft/log-regressed"]);
}

#[test]
fn what_a_node_stored_and_did_not_live_to_report_is_no_violation() {
    // n2 holds an entry of term 1 that loses; it takes the snapshot that replaces it and dies before it says so
    let lost = committed().append(1, 3, 2, "c").append(1, 4, 2, "d").append(2, 3, 1, "lost");
    let covered = Kind::Start { term: 2, vote: 0, last: 3, snapshot: 3 };
    let run = lost.say(2, covered).append(2, 4, 2, "d");
    assert_eq!(run.signatures(), [""; 0]);
    // what it does report after the restart counts
    let run = committed().append(1, 3, 1, "c").start(2, 1, 1, 3);
    let run = run.append(2, 1, 1, "a").append(2, 2, 1, "b").append(2, 3, 1, "z");
    assert_eq!(run.signatures(), ["raft/log-matching"]);
}

#[test]
fn terms_and_commits_only_grow_while_a_node_runs() {
    let running = || script().append(1, 1, 1, "a").state(1, Role::Follower, 4, 0, 1, 1);
    assert_eq!(running().state(1, Role::Follower, 3, 0, 1, 1).signatures(), ["raft/term-decreased"]);
    assert_eq!(running().state(1, Role::Follower, 4, 0, 0, 1).signatures(), ["raft/commit-decreased"]);
    assert_eq!(running().state(1, Role::Follower, 4, 0, 2, 1).signatures(), ["raft/commit-beyond-log"]);
    assert_eq!(running().start(1, 4, 0, 1).state(1, Role::Follower, 4, 0, 0, 1).signatures(), [""; 0]);
}

#[test]
fn committed_entries_stay() {
    let run = committed().say(2, Kind::Truncate { from: 2 });
    insta::assert_snapshot!(told(&run.violations()[0]), @r"
    raft/committed-entry-truncated
    n2 removed entry 2, which was committed
    1.000000  n1  committed index 2: term 1 digest b
    1.100000  n2  removed its log from index 2 on
    ");
    let run = committed().append(3, 1, 2, "z").state(3, Role::Follower, 2, 0, 1, 1);
    assert_eq!(run.violations()[0].summary, "n1 and n3 committed different entries at index 1");
}

#[test]
fn fields_become_reports() {
    let fields = |pairs: &'static [(&str, &str)]| {
        move |name: &str| pairs.iter().find(|(field, _)| *field == name).map(|(_, value)| *value)
    };
    let state = fields(&[
        ("node", "1"),
        ("role", "leader"),
        ("term", "3"),
        ("vote", "2"),
        ("commit", "5"),
        ("last", "7"),
        ("last_term", "3"),
        ("applied", "5"),
    ]);
    assert_eq!(
        Kind::from_fields("state", state),
        Some(Kind::State {
            role: Role::Leader,
            term: 3,
            vote: 2,
            commit: 5,
            last: 7,
            last_term: 3,
            applied: 5
        })
    );
    let snapshot = fields(&[("index", "64"), ("term", "3"), ("digest", "ab"), ("installed", "false")]);
    assert_eq!(
        Kind::from_fields("snapshot", snapshot),
        Some(Kind::Snapshot { index: 64, term: 3, digest: "ab".into(), installed: false })
    );
    let start = fields(&[("term", "3"), ("vote", "null"), ("last", "7"), ("snapshot", "0")]);
    assert_eq!(
        Kind::from_fields("start", start),
        Some(Kind::Start { term: 3, vote: 0, last: 7, snapshot: 0 })
    );
    assert_eq!(Kind::from_fields("truncate", fields(&[("from", "x")])), None);
    assert_eq!(Kind::from_fields("metrics", fields(&[])), None);
}
