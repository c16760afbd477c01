//! Locks and semaphores: never too many holders, and fencing tokens that grow (which [`fencing`](super::fencing) alone
//! looks at).
//!
//! | check | kind | what was seen |
//! |---|---|---|
//! | `mutex` | `two-holders` | a process was granted the lock while another held it for certain |
//! | `semaphore` | `too-many-holders` | more permits were held for certain, at one instant, than there are |
//! | both | `overlap-not-closed` | that began in the declared window after a loss, and went on after it |
//! | both | `token-not-increasing` | a grant asked for after another bears a token that is not greater |
//!
//! Operations: `acquire` (or `lock`) and `release` (or `unlock`). The `ok` value of `acquire` may be nil, a whole number
//! that is a fencing token, or a map with `token` (or `fence`) and `lease-ms`; other fields are passed over. For
//! `semaphore` the value that is asked for may be a number of permits, one without it. Each key is a lock of its own.
//!
//! A process holds from the completion that granted the lock until it asks to release it, or its lease ends. An
//! acquisition whose end is unknown holds nothing for certain; a release ends the hold when it is asked for, however it
//! ends. A process that acquires a mutex again while it holds it is one holder. A release by a process that holds nothing
//! changes nothing; with `foreign-release=yes` it gives back what was granted first to anybody.
//!
//! `overlap-ms` declares that a lease may outlive its loss: in so many milliseconds after each entry of the history that
//! is no client's (after each with a name in `losses`, if that is given) more may be held, but not longer.
//!
//! n log n in the number of operations, with few holders at an instant. Sources: Jepsen's tests of locks and semaphores;
//! Kleppmann, "How to do distributed locking", 2016.

use super::lock::{Hold, Point, Rule, excesses, passed_tokens};
use super::shape::{evidence, is_ok, not_understood, of_key, wrong_value};
use crate::check::{Check, Holds, Options, Setting, Source};
use crate::example::Example;
use crate::op::Outcome;
use crate::raw::{Entry, Error, Op, Pairing, Process};
use crate::value::Value;
use crate::verdict::Judgement;
use std::collections::BTreeMap;

/// Nanoseconds in a millisecond.
const MS: u64 = 1_000_000;

const LEASE: Setting = Setting {
    name: "lease-ms",
    about: "how long a grant lasts that does not say it, in milliseconds; until released without it",
};
const OVERLAP: Setting = Setting {
    name: "overlap-ms",
    about: "how long after a loss too many may hold, in milliseconds; not at all without it",
};
const LOSSES: Setting = Setting {
    name: "losses",
    about: "the names of the faults that are losses, separated by commas; all faults without it",
};

/// The check `mutex`.
pub const MUTEX: Check = Check {
    name: "mutex",
    about: "at most one process holds the lock between `acquire` and `release`",
    example: Example {
        settings: &[],
        history: &[
            "0 :invoke :acquire nil",
            "0 :ok :acquire nil",
            "1 :invoke :acquire nil",
            "1 :ok :acquire nil",
        ],
        finds: "mutex/two-holders",
    },
    options: &[LEASE, OVERLAP, LOSSES],
    holds: Holds::History,
    run: |source, options| judge(source, options, Kind::Mutex),
};

/// The check `semaphore`.
pub const SEMAPHORE: Check = Check {
    name: "semaphore",
    about: "at most so many permits are held between `acquire` and `release`",
    example: Example {
        settings: &[("permits", "2")],
        history: &[
            "0 :invoke :acquire nil",
            "0 :ok :acquire nil",
            "1 :invoke :acquire nil",
            "1 :ok :acquire nil",
            "2 :invoke :acquire nil",
            "2 :ok :acquire nil",
        ],
        finds: "semaphore/too-many-holders",
    },
    options: &[
        Setting { name: "permits", about: "how many permits there are; 1 without it" },
        Setting {
            name: "foreign-release",
            about: "yes lets processes release what others acquired; no without it",
        },
        LEASE,
        OVERLAP,
        LOSSES,
    ],
    holds: Holds::History,
    run: |source, options| judge(source, options, Kind::Semaphore),
};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Mutex,
    Semaphore,
}

/// What `acquire` was answered with.
#[derive(Default)]
pub(super) struct Grant {
    pub token: Option<i128>,
    pub lease_ns: Option<u64>,
}

/// Reads the history, and judges each lock.
fn judge(source: &mut Source<'_>, options: &Options, kind: Kind) -> Result<Judgement, Error> {
    let (check, permits) = match kind {
        Kind::Mutex => (MUTEX, 1),
        Kind::Semaphore => (SEMAPHORE, options.number("permits")?.unwrap_or(1)),
    };
    let mut judgement = Judgement::new(check.name);
    let lease_ns = options.number::<u64>("lease-ms")?.map(|ms| ms.saturating_mul(MS));
    let overlap_ns = options.number::<u64>("overlap-ms")?.map(|ms| ms.saturating_mul(MS));
    let losses: Option<Vec<&str>> =
        options.text("losses").map(|names| names.split(',').map(str::trim).collect());
    let mut excused: Vec<(u64, u64)> = Vec::new();
    let mut pairing = Pairing::default();
    let mut ops = Vec::new();
    for entry in source {
        let entry = entry?;
        let is_loss = matches!(entry.process, Process::Named(_))
            && losses.as_ref().is_none_or(|names| names.contains(&entry.f.as_str()));
        if let Some(overlap_ns) = overlap_ns.filter(|_| is_loss) {
            excuse(&mut excused, &entry, overlap_ns)?;
        }
        ops.extend(pairing.push(entry)?);
    }
    ops.extend(pairing.finish());
    ops.sort_by_key(|op| op.invoke);
    let is_foreign = options.is_set("foreign-release", false)?;
    let mut tokens = 0;
    for (key, holds) in holds(&ops, lease_ns, kind, is_foreign)? {
        let rule = Rule { permits, reentrant: kind == Kind::Mutex, excused: &excused };
        many_holders(&ops, key, &holds, &rule, kind, &mut judgement);
        tokens += holds.iter().filter(|hold| hold.token.is_some()).count();
        if let Some((high, hold)) = passed_tokens(&holds) {
            let token = |hold: usize| holds[hold].token.unwrap_or_default();
            let summary = format!("the token {}{} comes after {}", token(hold), of_key(key), token(high));
            let shows = evidence(&[&ops[holds[high].op], &ops[holds[hold].op]], []);
            judgement.violation("token-not-increasing", holds[hold].from.0, summary, shows);
        }
    }
    judgement.note(format!("{tokens} tokens were judged"));
    Ok(judgement)
}

/// Adds the window after a loss.
fn excuse(excused: &mut Vec<(u64, u64)>, loss: &Entry, overlap_ns: u64) -> Result<(), Error> {
    let Some(at_ns) = loss.at_ns else {
        let cause = format!("entry {}: `overlap-ms` needs the time of the loss", loss.index);
        return Err(Error::at(loss.place, cause));
    };
    let until_ns = at_ns.saturating_add(overlap_ns);
    match excused.last_mut() {
        Some((_, last)) if *last >= at_ns => *last = (*last).max(until_ns),
        _ => excused.push((at_ns, until_ns)),
    }
    Ok(())
}

fn many_holders(
    ops: &[Op],
    key: Option<&Value>,
    holds: &[Hold],
    rule: &Rule<'_>,
    kind: Kind,
    judgement: &mut Judgement,
) {
    for excess in excesses(holds, rule) {
        let concerned: Vec<&Op> = excess.holds.iter().map(|hold| &ops[holds[*hold].op]).collect();
        let [first, .., last] = concerned[..] else { continue };
        let (name, who) = match kind {
            Kind::Mutex => (
                "two-holders",
                format!(
                    "p{} was granted the lock{} while p{} held it",
                    last.process,
                    of_key(key),
                    first.process
                ),
            ),
            _ => (
                "too-many-holders",
                format!("{} permits{} were held at once, of {}", excess.permits, of_key(key), rule.permits),
            ),
        };
        let (name, what) = match excess.is_overdue {
            false => (name, who),
            true => ("overlap-not-closed", format!("{who}, and this outlasted what is allowed after a loss")),
        };
        judgement.violation(name, excess.at_ns, what, evidence(&concerned, []));
    }
}

type ByLock<'a> = BTreeMap<Option<&'a Value>, Vec<Hold>>;

/// The holds of each lock, in the order in which they began.
fn holds(ops: &[Op], lease_ns: Option<u64>, kind: Kind, is_foreign: bool) -> Result<ByLock<'_>, Error> {
    let mut locks: ByLock<'_> = BTreeMap::new();
    // Holds that nobody released yet, by lock.
    let mut open: BTreeMap<Option<&Value>, Vec<usize>> = BTreeMap::new();
    let point = |ns: Option<u64>, index| -> Point { (ns.unwrap_or_default(), index) };
    // Grants count when they are answered, releases when they are asked for.
    let mut events: Vec<(u64, &Op, usize)> = Vec::new();
    for (position, op) in ops.iter().enumerate() {
        match (op.f.as_str(), op.complete) {
            ("acquire" | "lock", Some(complete)) if is_ok(op) => events.push((complete, op, position)),
            ("acquire" | "lock", _) => {}
            ("release" | "unlock", _) => events.push((op.invoke, op, position)),
            _ => return Err(not_understood(op, "acquire or release")),
        }
    }
    events.sort_by_key(|(index, ..)| *index);
    for (index, op, position) in events {
        let key = op.key.as_ref();
        let (holds, open) = (locks.entry(key).or_default(), open.entry(key).or_default());
        if index == op.invoke {
            let own = open.iter().rposition(|hold| holds[*hold].process == op.process);
            let any = (is_foreign && op.outcome != Outcome::Fail && !open.is_empty()).then_some(0);
            if let Some(at) = own.or(any) {
                let hold = &mut holds[open.remove(at)];
                hold.until = hold.until.min(point(op.invoked_ns, index));
            }
            continue;
        }
        let grant = grant(op, kind)?;
        let from = point(op.completed_ns, index);
        let until = match (grant.lease_ns.or(lease_ns), op.completed_ns) {
            (None, _) => (u64::MAX, u64::MAX),
            (Some(lease_ns), Some(from_ns)) => (from_ns.saturating_add(lease_ns), 0),
            (Some(_), None) => return Err(op.error("a lease needs the time of the grant")),
        };
        let permits = match (&op.asked, kind) {
            (Value::Int(count), Kind::Semaphore) => {
                u64::try_from(*count).map_err(|_| wrong_value(op, &op.asked, "a number of permits"))?
            }
            _ => 1,
        };
        open.push(holds.len());
        let (process, token, invoke) = (op.process, grant.token, op.invoke);
        holds.push(Hold { op: position, process, permits, token, invoke, complete: index, from, until });
    }
    Ok(locks)
}

/// What a grant says of itself.
pub(super) fn grant(op: &Op, kind: Kind) -> Result<Grant, Error> {
    let value = op.value();
    let number = |value: &Value| value.as_int().ok_or_else(|| wrong_value(op, value, "a whole number"));
    let field = |name: &str| value.get(name).filter(|value| **value != Value::Nil);
    match value {
        Value::Int(token) if kind != Kind::Semaphore => {
            Ok(Grant { token: Some(i128::from(*token)), lease_ns: None })
        }
        Value::Map(_) => {
            let token = field("token").or_else(|| field("fence")).map(number).transpose()?;
            let lease = field("lease-ms").or_else(|| field("lease_ms"));
            let lease_ns = lease.map(|ms| {
                let ms = u64::try_from(number(ms)?)
                    .map_err(|_| wrong_value(op, ms, "a number of milliseconds"))?;
                Ok(ms.saturating_mul(MS))
            });
            Ok(Grant { token: token.map(i128::from), lease_ns: lease_ns.transpose()? })
        }
        // Nothing that speaks of tokens or leases, such as the name of the lock.
        _ => Ok(Grant::default()),
    }
}

#[cfg(test)]
mod tests;
