//! Fencing tokens: a lock that is granted later bears a greater one.
//!
//! | kind | what was seen |
//! |---|---|
//! | `token-not-increasing` | a grant asked for after another bears a token that is not greater |
//!
//! Operations are those of [`semaphore`](super::semaphore): `acquire` (or `lock`), whose `ok` value is the token or a map
//! with `token` or `fence`; `release` (or `unlock`) is passed over. Each key is a lock of its own. Grants that bear no
//! token say nothing; if none does, the answer is unknown. Linear in the number of operations, of which it holds those
//! that are open. Source: Kleppmann, "How to do distributed locking", 2016.

use super::semaphore::{Kind, grant};
use super::shape::{at_ns, evidence, is_ok, not_understood, of_key};
use crate::check::{Check, Holds, Source};
use crate::example::Example;
use crate::raw::{Error, Op, Pairing, Step};
use crate::value::Value;
use crate::verdict::Judgement;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The check `fencing`.
pub const CHECK: Check = Check {
    name: "fencing",
    about: "the tokens that `acquire` is answered with grow, however many hold the lock",
    example: Example {
        settings: &[],
        history: &[
            "0 :invoke :acquire nil",
            "0 :ok :acquire 8",
            "0 :invoke :release nil",
            "0 :ok :release nil",
            "1 :invoke :acquire nil",
            "1 :ok :acquire 8",
        ],
        finds: "fencing/token-not-increasing",
    },
    options: &[],
    holds: Holds::Open,
    run: |source, _| judge(source),
};

/// A grant with its token.
type Granted = Rc<(i128, Op)>;

/// One lock.
#[derive(Default)]
struct Lock {
    /// The grant with the greatest token.
    highest: Option<Granted>,
    /// For each acquisition that is open, the greatest when it was asked for.
    open: BTreeMap<u64, Option<Granted>>,
    is_broken: bool,
}

fn judge(source: &mut Source<'_>) -> Result<Judgement, Error> {
    let mut judgement = Judgement::new(CHECK.name);
    let mut locks: BTreeMap<Option<Value>, Lock> = BTreeMap::new();
    let mut pairing = Pairing::default();
    let mut tokens = 0;
    for entry in source {
        match pairing.step(entry?)? {
            Step::Other(_) => {}
            Step::Begun(op) => match op.f.as_str() {
                "acquire" | "lock" => {
                    let lock = locks.entry(op.key.clone()).or_default();
                    lock.open.insert(op.invoke, lock.highest.clone());
                }
                "release" | "unlock" => {}
                _ => return Err(not_understood(op, "acquire or release")),
            },
            Step::Ended(op) => {
                let lock = locks.entry(op.key.clone()).or_default();
                let Some(before) = lock.open.remove(&op.invoke) else { continue };
                if is_ok(&op) {
                    tokens += u64::from(lock.granted(before, op, &mut judgement)?);
                }
            }
        }
    }
    if tokens == 0 {
        judgement.unknown("no grant bears a token");
    }
    judgement.note(format!("{tokens} tokens were judged"));
    Ok(judgement)
}

impl Lock {
    /// The lock was granted; `before` is the greatest that was granted before it was asked for. Whether it bears a token.
    fn granted(&mut self, before: Option<Granted>, op: Op, judgement: &mut Judgement) -> Result<bool, Error> {
        let Some(token) = grant(&op, Kind::Mutex)?.token else { return Ok(false) };
        if let Some(high) = before.filter(|high| high.0 >= token && !self.is_broken) {
            self.is_broken = true;
            let summary = format!("the token {token}{} comes after {}", of_key(op.key.as_ref()), high.0);
            judgement.violation("token-not-increasing", at_ns(&op), summary, evidence(&[&high.1, &op], []));
        }
        if self.highest.as_ref().is_none_or(|high| high.0 < token) {
            self.highest = Some(Rc::new((token, op)));
        }
        Ok(true)
    }
}
