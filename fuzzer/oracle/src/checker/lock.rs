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
//! Fencing tokens: Kleppmann, "How to do distributed locking", 2016.

use crate::history::entries_of;
use crate::op::{Call, Grant, Op, Outcome};
use crate::verdict::{Evidence, Judgement};
use std::collections::BTreeMap;

/// The oracle's name.
pub const NAME: &str = "lock";

/// A time in which a process holds a lock.
struct Hold<'a> {
    acquired: &'a Op,
    grant: Grant,
    from_ns: u64,
    until_ns: u64,
}

/// Judges acquisitions and releases, lock by lock.
#[must_use]
pub fn check(ops: &[Op]) -> Judgement {
    let mut judgement = Judgement::new(NAME);
    for holds in holds(ops).values() {
        for (position, hold) in holds.iter().enumerate() {
            let before = &holds[..position];
            if let Some(other) = before.iter().find(|other| other.until_ns > hold.from_ns) {
                let summary = format!(
                    "{} was granted to p{} while p{} held it",
                    hold.acquired.call, hold.acquired.process, other.acquired.process
                );
                judgement.violation("two-holders", hold.from_ns, summary, evidence(other, hold));
            }
            let Some(token) = hold.grant.token else { continue };
            // Only what was granted before this was asked for is certainly earlier.
            let is_earlier = |other: &&Hold<'_>| other.acquired.complete < Some(hold.acquired.invoke);
            let passed = before.iter().filter(is_earlier).find(|other| other.grant.token >= Some(token));
            if let Some(other) = passed {
                let summary =
                    format!("the token {token} comes after {}", other.grant.token.unwrap_or_default());
                judgement.violation("token-not-increasing", hold.from_ns, summary, evidence(other, hold));
            }
        }
    }
    judgement
}

/// The holds of each lock, in the order in which they began.
fn holds(ops: &[Op]) -> BTreeMap<&str, Vec<Hold<'_>>> {
    let mut locks: BTreeMap<&str, Vec<Hold<'_>>> = BTreeMap::new();
    for op in ops {
        match &op.call {
            Call::Acquire { key, grant: Some(grant) } if op.outcome == Outcome::Ok => {
                let Some(from_ns) = op.completed_ns else { continue };
                let lease_ns = grant.lease_ms.map_or(u64::MAX, |ms| ms.saturating_mul(1_000_000));
                let until_ns = from_ns.saturating_add(lease_ns);
                locks.entry(key).or_default().push(Hold { acquired: op, grant: *grant, from_ns, until_ns });
            }
            Call::Release { key } => {
                let own = locks.entry(key).or_default().iter_mut().rev();
                if let Some(hold) = own.into_iter().find(|hold| hold.acquired.process == op.process) {
                    hold.until_ns = hold.until_ns.min(op.invoked_ns);
                }
            }
            _ => {}
        }
    }
    for holds in locks.values_mut() {
        holds.sort_by_key(|hold| hold.acquired.complete);
    }
    locks
}

fn evidence(earlier: &Hold<'_>, later: &Hold<'_>) -> Evidence {
    let ops = [earlier.acquired, later.acquired];
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
            Entry { index: index as u64, at_ns: ms * 1_000_000, process, phase, call, error: None }
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
