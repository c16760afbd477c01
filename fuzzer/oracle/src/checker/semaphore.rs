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
//! acquisition whose end is unknown holds nothing for certain; a release ends the hold when it is asked for, unless it
//! failed: then it did not happen, as in Knossos, and the process held all the time (with `failed-release=frees` it ends
//! the hold all the same). A process that acquires a mutex again while it holds it is one holder. A release by a process that holds nothing
//! changes nothing; with `foreign-release=yes` it gives back what was granted first to anybody.
//!
//! `overlap-ms` declares that a lease may outlive its loss: in so many milliseconds after each entry of the history that
//! is no client's (after each with a name in `losses`, if that is given) more may be held, but not longer.
//!
//! Entries are in the order in which they happened: a time that goes back counts as none that passed. n log n in the number
//! of operations, with few holders at an instant; held are operations that are open, locks that are held (who never
//! releases holds for ever), and what may be too many after a loss, until the window closes. With `foreign-release=yes`
//! what happened since a release that is open waits for its end. Sources: Jepsen's tests of locks and semaphores;
//! Kleppmann, "How to do distributed locking", 2016.

mod holders;
mod losses;

use self::holders::Lock;
use self::losses::Losses;
use super::shape::wrong_value;
use crate::check::{Check, Holds, Options, Setting, Source};
use crate::example::Example;
use crate::raw::{Entry, Error, Op, Pairing, Step};
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

const FAILED: Setting = Setting {
    name: "failed-release",
    about: "holds (a release that failed did not happen, so its process still holds; so without it) or frees (it ended the \
            hold all the same)",
};

/// The check `mutex`.
pub const MUTEX: Check = Check {
    name: "mutex",
    about: "at most one process holds the lock between `acquire` and a `release` that did not fail; who holds it may \
            acquire it again (to linearizable-mutex that is wrong, too)",
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
    options: &[FAILED, LEASE, OVERLAP, LOSSES],
    holds: Holds::Open,
    run: |source, options| judge(source, options, Kind::Mutex),
};

/// The check `semaphore`.
pub const SEMAPHORE: Check = Check {
    name: "semaphore",
    about: "at most so many permits are held between `acquire` and a `release` that did not fail",
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
        FAILED,
        LEASE,
        OVERLAP,
        LOSSES,
    ],
    holds: Holds::Open,
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

/// What holds of all locks.
struct Rules {
    kind: Kind,
    permits: u128,
    lease_ns: Option<u64>,
    overlap_ns: Option<u64>,
    /// The faults that are losses; all without it.
    losses: Option<Vec<String>>,
    is_foreign: bool,
    /// A release that failed ends the hold all the same.
    frees: bool,
}

impl Rules {
    fn new(options: &Options, kind: Kind) -> Result<Self, Error> {
        let ns = |name| Ok(options.number::<u64>(name)?.map(|ms| ms.saturating_mul(MS)));
        let names = |text: &str| text.split(',').map(|name| name.trim().to_owned()).collect();
        let frees = match options.text(FAILED.name) {
            None | Some("holds") => false,
            Some("frees") => true,
            Some(other) => {
                let cause = format!("setting `{}` is {other:?}, expected holds or frees", FAILED.name);
                return Err(Error::at(None, cause));
            }
        };
        Ok(Self {
            frees,
            kind,
            permits: u128::from(options.number::<u64>("permits")?.unwrap_or(1)),
            lease_ns: ns("lease-ms")?,
            overlap_ns: ns("overlap-ms")?,
            losses: options.text("losses").map(names),
            is_foreign: options.is_set("foreign-release", false)?,
        })
    }

    fn is_loss(&self, entry: &Entry) -> bool {
        entry.process.client().is_none() && self.losses.as_ref().is_none_or(|names| names.contains(&entry.f))
    }
}

/// Reads the history, and judges each lock.
fn judge(source: &mut Source<'_>, options: &Options, kind: Kind) -> Result<Judgement, Error> {
    let rules = Rules::new(options, kind)?;
    let mut judgement = Judgement::new(if kind == Kind::Mutex { MUTEX.name } else { SEMAPHORE.name });
    let mut locks: BTreeMap<Option<Value>, Lock> = BTreeMap::new();
    let mut losses = Losses::default();
    let mut pairing = Pairing::default();
    let (mut now_ns, mut tokens) = (0, 0);
    for entry in source {
        let entry = entry?;
        now_ns = entry.at_ns.map_or(now_ns, |at_ns| at_ns.max(now_ns));
        let now = (now_ns, entry.index);
        // who goes on after an operation of unknown end still holds what it held
        let holder = entry.process.original().client();
        match pairing.step(entry)? {
            Step::Other(entry) => {
                if let Some(overlap_ns) = rules.overlap_ns.filter(|_| rules.is_loss(&entry)) {
                    losses.add(&entry, now_ns, overlap_ns)?;
                }
            }
            Step::Begun(op) => {
                let lock = of(&mut locks, op);
                lock.begin(op, holder.unwrap_or(op.process), now, &rules)?;
                lock.go_on(&rules, &losses, &mut judgement);
            }
            Step::Ended(op) => {
                let op = Op { process: holder.unwrap_or(op.process), ..op };
                let lock = of(&mut locks, &op);
                tokens += u64::from(lock.end(op, now, &rules, &mut judgement)?);
                lock.go_on(&rules, &losses, &mut judgement);
            }
        }
    }
    for op in pairing.finish() {
        let lock = of(&mut locks, &op);
        lock.end(op, (now_ns, u64::MAX), &rules, &mut judgement)?;
        lock.go_on(&rules, &losses, &mut judgement);
    }
    locks.values_mut().for_each(|lock| lock.settle(u64::MAX, &rules, &losses, &mut judgement));
    judgement.note(format!("{tokens} tokens were judged"));
    Ok(judgement)
}

fn of<'a>(locks: &'a mut BTreeMap<Option<Value>, Lock>, op: &Op) -> &'a mut Lock {
    if !locks.contains_key(&op.key) {
        locks.insert(op.key.clone(), Lock::default());
    }
    locks.get_mut(&op.key).expect("it was put there")
}

/// It asks for the lock.
pub(super) fn is_acquire(op: &Op) -> bool {
    matches!(op.f.as_str(), "acquire" | "lock")
}

/// What a grant says of itself.
pub(super) fn grant(op: &Op, kind: Kind) -> Result<Grant, Error> {
    let value = op.value();
    let number = |value: &Value| {
        let whole = match value {
            Value::Int(number) => Some(i128::from(*number)),
            Value::Number(text) => text.parse().ok(),
            _ => None,
        };
        whole.ok_or_else(|| wrong_value(op, value, "a whole number"))
    };
    let field = |name: &str| value.get(name).filter(|value| **value != Value::Nil);
    match value {
        Value::Int(_) | Value::Number(_) if kind != Kind::Semaphore => {
            Ok(Grant { token: Some(number(value)?), lease_ns: None })
        }
        Value::Map(_) => {
            let token = field("token").or_else(|| field("fence")).map(number).transpose()?;
            let lease = field("lease-ms").or_else(|| field("lease_ms"));
            let lease_ns = lease.map(|ms| {
                let ms = u64::try_from(number(ms)?)
                    .map_err(|_| wrong_value(op, ms, "a number of milliseconds"))?;
                Ok(ms.saturating_mul(MS))
            });
            Ok(Grant { token, lease_ns: lease_ns.transpose()? })
        }
        // Nothing that speaks of tokens or leases, such as the name of the lock.
        _ => Ok(Grant::default()),
    }
}

#[cfg(test)]
mod tests;
