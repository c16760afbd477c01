//! Locks: at most one holder at a time, and tokens that grow.
//!
//! A holder holds from the answer that granted the lock until it asks to release it, or for as long as the grant said
//! that its lease lasts. An acquisition that nobody knows the end of holds nothing for certain.
//!
//! | kind | what was seen |
//! |---|---|
//! | `two-holders` | a lock was granted while another process held it for certain |
//! | `token-not-increasing` | a later grant bears a fencing token that is not greater than an earlier one's |
//!
//! This is how a campaign's own histories are judged; [`semaphore`](super::semaphore) judges anybody's by the same rules.
//! n log n in the number of operations. Fencing tokens: Kleppmann, "How to do distributed locking", 2016.

mod hold;

use hold::{Hold, excess, passed_tokens};

use crate::history::entries_of;
use crate::op::{Call, Op, Outcome};
use crate::verdict::{Evidence, Judgement};
use std::collections::BTreeMap;

/// The oracle's name.
pub const NAME: &str = "lock";

/// Judges acquisitions and releases, lock by lock.
#[must_use]
pub fn check(ops: &[Op]) -> Judgement {
    let mut judgement = Judgement::new(NAME);
    for holds in holds(ops).values() {
        let op = |hold: usize| &ops[holds[hold].op];
        if let Some(excess) = excess(holds)
            && let [other, .., hold] = excess.holds[..]
        {
            let (other, granted) = (op(other), op(hold));
            let summary =
                format!("{} was granted to {} while {} held it", granted.call, granted.who(), other.who());
            judgement.violation("two-holders", excess.at_ns, summary, evidence(other, granted));
        }
        if let Some((high, hold)) = passed_tokens(holds) {
            let token = |hold: usize| holds[hold].token.unwrap_or_default();
            let summary = format!("the token {} comes after {}", token(hold), token(high));
            let at_ns = holds[hold].from_ns;
            judgement.violation("token-not-increasing", at_ns, summary, evidence(op(high), op(hold)));
        }
    }
    judgement
}

/// The holds of each lock, in the order in which they began.
fn holds(ops: &[Op]) -> BTreeMap<&str, Vec<Hold>> {
    let mut locks: BTreeMap<&str, Vec<Hold>> = BTreeMap::new();
    for (position, op) in ops.iter().enumerate() {
        match &op.call {
            Call::Acquire { key, grant: Some(grant) } if op.outcome == Outcome::Ok => {
                let (Some(from_ns), Some(complete)) = (op.completed_ns, op.complete) else { continue };
                let lease_ns = grant.lease_ms.map_or(u64::MAX, |ms| ms.saturating_mul(1_000_000));
                locks.entry(key).or_default().push(Hold {
                    op: position,
                    process: u64::from(op.process),
                    token: grant.token.map(i128::from),
                    invoke: op.invoke,
                    complete,
                    from_ns,
                    until_ns: from_ns.saturating_add(lease_ns),
                });
            }
            Call::Release { key } => {
                let mut own = locks.entry(key).or_default().iter_mut().rev();
                if let Some(hold) = own.find(|hold| hold.process == u64::from(op.process)) {
                    hold.until_ns = hold.until_ns.min(op.invoked_ns);
                }
            }
            _ => {}
        }
    }
    for holds in locks.values_mut() {
        holds.sort_by_key(|hold| hold.complete);
    }
    locks
}

fn evidence(earlier: &Op, later: &Op) -> Evidence {
    let ops = [earlier, later];
    Evidence {
        entries: ops.iter().flat_map(|op| entries_of(op)).collect(),
        lines: ops.iter().map(ToString::to_string).collect(),
        ..Evidence::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Entry, Phase, ops};
    use crate::op::Grant;

    /// `(ms, process, what)`: `+` asks for the lock, `=` has it for 2 s with the next token, `?` does not know, `-` asks
    /// to release it.
    fn judge(script: &[(u64, u32, char)], tokens: &[u64]) -> Vec<String> {
        let mut tokens = tokens.iter().copied();
        let entries = script.iter().enumerate().map(|(index, &(ms, process, what))| {
            let key = || "l".to_owned();
            let (phase, call) = match what {
                '+' => (Phase::Invoke, Call::Acquire { key: key(), grant: None }),
                '=' => {
                    let grant = Grant { lease_ms: Some(2_000), token: tokens.next() };
                    (Phase::Ok, Call::Acquire { key: key(), grant: Some(grant) })
                }
                '?' => (Phase::Info, Call::Acquire { key: key(), grant: None }),
                _ => (Phase::Invoke, Call::Release { key: key() }),
            };
            Entry {
                index: index as u64,
                at_ns: ms * 1_000_000,
                process,
                phase,
                call,
                error: None,
                client: None,
                node: None,
            }
        });
        let entries: Vec<Entry> = entries.collect();
        let judgement = check(&ops(&entries).unwrap());
        judgement.violations.iter().map(|v| v.signature.trim_start_matches("lock/").to_owned()).collect()
    }

    #[test]
    fn one_after_the_other_is_right() {
        let released = [(0, 1, '+'), (1, 1, '='), (2, 2, '+'), (50, 1, '-'), (51, 2, '=')];
        assert_eq!(judge(&released, &[]), [""; 0]);
        let expired = [(0, 1, '+'), (1, 1, '='), (2, 2, '+'), (2_001, 2, '=')];
        assert_eq!(judge(&expired, &[]), [""; 0]);
        let unknown = [(0, 1, '+'), (1, 1, '?'), (2, 2, '+'), (3, 2, '=')];
        assert_eq!(judge(&unknown, &[]), [""; 0]);
    }

    #[test]
    fn two_at_once_is_wrong() {
        assert_eq!(judge(&[(0, 1, '+'), (1, 1, '='), (2, 2, '+'), (2_000, 2, '=')], &[]), ["two-holders"]);
    }

    #[test]
    fn tokens_grow() {
        let script = [(0, 1, '+'), (1, 1, '='), (5, 1, '-'), (6, 2, '+'), (7, 2, '=')];
        assert_eq!(judge(&script, &[4, 5]), [""; 0]);
        assert_eq!(judge(&script, &[5, 5]), ["token-not-increasing"]);
    }
}
