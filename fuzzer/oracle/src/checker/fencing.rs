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

use super::semaphore::{Kind, grant, is_acquire};
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

fn judge(source: &mut Source<'_>) -> Result<Judgement, Error> {
    let mut judgement = Judgement::new(CHECK.name);
    let mut locks: BTreeMap<Option<Value>, Tokens> = BTreeMap::new();
    let mut pairing = Pairing::default();
    let mut tokens = 0;
    for entry in source {
        match pairing.step(entry?)? {
            Step::Other(_) => {}
            Step::Begun(op) => match op.f.as_str() {
                "acquire" | "lock" => locks.entry(op.key.clone()).or_default().ask(op),
                "release" | "unlock" => {}
                _ => return Err(not_understood(op, "acquire or release")),
            },
            Step::Ended(op) => {
                let token = if is_ok(&op) && is_acquire(&op) { grant(&op, Kind::Mutex)?.token } else { None };
                tokens += u64::from(token.is_some());
                locks.entry(op.key.clone()).or_default().end(&Rc::new(op), token, &mut judgement);
            }
        }
    }
    if tokens == 0 {
        judgement.unknown("no grant bears a token");
    }
    judgement.note(format!("{tokens} tokens were judged"));
    Ok(judgement)
}

/// A grant with its token.
type Granted = (i128, Rc<Op>);

/// The tokens of one lock.
#[derive(Default)]
pub(super) struct Tokens {
    /// The grant with the greatest token.
    highest: Option<Granted>,
    /// For each acquisition that is open, the greatest when it was asked for.
    open: BTreeMap<u64, Option<Granted>>,
    is_broken: bool,
}

impl Tokens {
    /// The lock is asked for.
    pub(super) fn ask(&mut self, op: &Op) {
        self.open.insert(op.invoke, self.highest.clone());
    }

    /// The operation ended; a grant may bear a token.
    pub(super) fn end(&mut self, op: &Rc<Op>, token: Option<i128>, judgement: &mut Judgement) {
        let Some(before) = self.open.remove(&op.invoke) else { return };
        let Some(token) = token else { return };
        if let Some(high) = before.filter(|high| high.0 >= token && !self.is_broken) {
            self.is_broken = true;
            let summary = format!("the token {token}{} comes after {}", of_key(op.key.as_ref()), high.0);
            judgement.violation("token-not-increasing", at_ns(op), summary, evidence(&[&high.1, op], []));
        }
        if self.highest.as_ref().is_none_or(|high| high.0 < token) {
            self.highest = Some((token, op.clone()));
        }
    }
}
