//! Replicas that agree once nothing changes any more, and hold what was acknowledged.
//!
//! | check | kind | what a final read showed |
//! |---|---|---|
//! | `g-set`, `broadcast`, `or-set` | `acknowledged-element-missing` | an element is not there that was acknowledged (and surely not removed) |
//! | `g-set`, `broadcast` | `seen-element-missing` | an element is not there that a read held before all was quiet |
//! | `g-set`, `broadcast`, `or-set` | `unexpected-element` | an element that nobody added, or only in vain |
//! | `or-set` | `removed-element-present` | an element that was surely removed |
//! | `g-set`, `broadcast`, `or-set` | `duplicated-element` | an element twice |
//! | `pn-counter`, `g-counter` | `wrong-sum` | a number that no choice of the additions whose end is unknown makes |
//! | all, and `agreement` | `replicas-disagree` | another value than another final read |
//!
//! Operations: `read` of everything; `add` (or `broadcast`) of an element; for `or-set` also `remove`; for counters `add`
//! of a number. `agreement` takes every other operation as a change, and compares the `ok` values of `read`s: sets and
//! maps whatever their order is, lists as they are. Each key is an object of its own.
//!
//! Final reads are those with a true field `final?` (or `final`). Where there is none, they are each client's last one, if
//! it began after every change had ended (that is, its completion; for one without, its invocation) and `settle-ms` more.
//! A change whose end is unknown may take effect at any later time, so what it alone explains is undecided, unless
//! `settled=yes` says that no such change is under way when final reads begin.
//!
//! An element of an `or-set` must be there if an addition was acknowledged and asked for after the end of every removal of
//! it. It must not be there if each addition that may have happened was acknowledged to the same client that then had its
//! removal acknowledged: only then has the removal surely seen it. What is neither may be there or not, but not differ.
//!
//! n log n in the size of the operations and reads; for counters times the number of sums that are possible, up to the
//! budget, beyond which only the least and the greatest are known. Sources: Shapiro et al., "Conflict-free replicated
//! data types", SSS 2011; Maelstrom's workloads `g-set`, `broadcast`, `g-counter` and `pn-counter`.

mod counter;
mod elements;
mod finals;

use super::shape::{at_ns, by_key, evidence, line, of_key};
use crate::check::{Check, Holds, Options, Run, Setting, Source};
use crate::example::Example;
use crate::raw::{Error, Op, ops};
use crate::value::Value;
use crate::verdict::Judgement;
use finals::Finals;

const SETTLE: Setting = Setting {
    name: "settle-ms",
    about: "how long after the last change unmarked final reads begin, in milliseconds; 0 without it",
};
const SETTLED: Setting = Setting {
    name: "settled",
    about: "yes takes changes whose end is unknown as over when final reads begin; no without it",
};

/// A check of the end of a history.
const fn check(name: &'static str, about: &'static str, example: Example, run: Run) -> Check {
    Check { name, about, example, options: &[SETTLE, SETTLED], holds: Holds::History, run }
}

/// The check `g-set`.
pub const G_SET: Check = check(
    "g-set",
    "in the end every replica holds what `add` was acknowledged for, and the same",
    Example {
        settings: &[],
        history: &["0 :invoke :add 1", "0 :ok :add 1", "1 :invoke :read nil", "1 :ok :read []"],
        finds: "g-set/acknowledged-element-missing",
    },
    |source, options| judge("g-set", source, options, elements::judge_growing),
);

/// The check `broadcast`.
pub const BROADCAST: Check = check(
    "broadcast",
    "in the end every node has what `broadcast` was acknowledged for, and the same",
    Example {
        settings: &[],
        history: &["0 :invoke :broadcast 1", "0 :ok :broadcast 1", "1 :invoke :read nil", "1 :ok :read []"],
        finds: "broadcast/acknowledged-element-missing",
    },
    |source, options| judge("broadcast", source, options, elements::judge_growing),
);

/// The check `or-set`.
pub const OR_SET: Check = check(
    "or-set",
    "in the end every replica holds what was added by `add` and not seen by `remove`, and the same",
    Example {
        settings: &[],
        history: &[
            "0 :invoke :add 1",
            "0 :ok :add 1",
            "0 :invoke :remove 1",
            "0 :ok :remove 1",
            "1 :invoke :read nil",
            "1 :ok :read [1]",
        ],
        finds: "or-set/removed-element-present",
    },
    |source, options| judge("or-set", source, options, elements::judge_removing),
);

/// The check `pn-counter`.
pub const PN_COUNTER: Check = check(
    "pn-counter",
    "in the end every replica shows the sum of what was added by `add`",
    Example {
        settings: &[],
        history: &[
            "0 :invoke :add 5",
            "0 :ok :add 5",
            "0 :invoke :add -2",
            "0 :ok :add -2",
            "1 :invoke :read nil",
            "1 :ok :read 5",
        ],
        finds: "pn-counter/wrong-sum",
    },
    |source, options| judge("pn-counter", source, options, counter::judge_any),
);

/// The check `g-counter`.
pub const G_COUNTER: Check = check(
    "g-counter",
    "in the end every replica shows the sum of what was added by `add`, of nothing negative",
    Example {
        settings: &[],
        history: &["0 :invoke :add 5", "0 :ok :add 5", "1 :invoke :read nil", "1 :ok :read 4"],
        finds: "g-counter/wrong-sum",
    },
    |source, options| judge("g-counter", source, options, counter::judge_growing),
);

/// The check `agreement`.
pub const AGREEMENT: Check = check(
    "agreement",
    "in the end every `read` of an object gives the same value",
    Example {
        settings: &[],
        history: &["0 :invoke :read nil", "0 :ok :read 1", "1 :invoke :read nil", "1 :ok :read 2"],
        finds: "agreement/replicas-disagree",
    },
    |source, options| judge("agreement", source, options, judge_agreement),
);

/// Judges one object: its operations, and the final reads among them.
type Rule = fn(&Object<'_>, &Options, &mut Judgement) -> Result<(), Error>;

/// What happened to one object.
struct Object<'a> {
    key: Option<&'a Value>,
    ops: &'a [&'a Op],
    finals: Finals<'a>,
}

fn judge(name: &str, source: &mut Source<'_>, options: &Options, rule: Rule) -> Result<Judgement, Error> {
    let mut judgement = Judgement::new(name);
    let ops = ops(source)?;
    for (key, ops) in by_key(&ops) {
        let finals = Finals::of(&ops, options)?;
        if finals.reads.is_empty() {
            judgement.unknown(format!("nobody read{} after the last change", of_key(key)));
        }
        judgement.note(format!("{} final reads{} were judged", finals.reads.len(), of_key(key)));
        rule(&Object { key, ops: &ops, finals }, options, &mut judgement)?;
    }
    Ok(judgement)
}

fn judge_agreement(object: &Object<'_>, _: &Options, judgement: &mut Judgement) -> Result<(), Error> {
    let values: Vec<Value> = object.finals.reads.iter().map(|op| sorted(op.value())).collect();
    let Some(other) = values.iter().position(|value| *value != values[0]) else { return Ok(()) };
    object.disagree(other, None, judgement);
    Ok(())
}

impl Object<'_> {
    /// The first final read and this one differ.
    fn disagree(&self, other: usize, why: Option<String>, judgement: &mut Judgement) {
        let (one, other) = (self.finals.reads[0], self.finals.reads[other]);
        let of_key = of_key(self.key);
        if let Some(open) = self.finals.open {
            judgement.unknown(format!("final reads{of_key} differ, which may be due to {}", line(open)));
            return;
        }
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        let summary = format!("{} and {} differ in the end{of_key}{why}", one.who(), other.who());
        let at = at_ns(one).max(at_ns(other));
        judgement.violation("replicas-disagree", at, summary, evidence(&[one, other], []));
    }
}

/// The value with its sets and maps in order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::List(values) => Value::List(values.iter().map(sorted).collect()),
        Value::Set(values) => {
            let mut values: Vec<Value> = values.iter().map(sorted).collect();
            values.sort_unstable();
            Value::Set(values)
        }
        Value::Map(pairs) => {
            let mut pairs: Vec<(Value, Value)> =
                pairs.iter().map(|(key, value)| (sorted(key), sorted(value))).collect();
            pairs.sort_unstable();
            Value::Map(pairs)
        }
        Value::Tagged(tagged) => Value::Tagged(Box::new((tagged.0.clone(), sorted(&tagged.1)))),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;
