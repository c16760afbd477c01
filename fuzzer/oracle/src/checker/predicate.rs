//! Predicates: of inserts that each look for others first, one succeeds. The check `g2`.
//!
//! | kind | what was seen |
//! |---|---|
//! | `G2` | several inserts of one key were acknowledged, though each had to see that there was none |
//!
//! Adya's `G2` is a cycle of dependencies with an anti-dependency on a *predicate*: a transaction missed what another put
//! among the rows that its condition is about. Reads of single keys cannot show it ([`transaction`](super::transaction)
//! finds `G2-item`, its kind on items); this workload does. Operations: `insert` with a key, whose transaction looks in
//! two tables for rows of that key by a condition and, if there is none, inserts into one of them; the value is a pair of
//! ids of which one is nil, or anything else. A serializable store acknowledges at most one `insert` of a key.
//!
//! Linear in the number of operations. Sources: Adya, "Weak Consistency" (1999), section 4.2; Jepsen's `tests/adya`.

use super::shape::{at_ns, by_key, evidence, is_ok, not_understood, of_key};
use crate::check::{Check, Holds};
use crate::example::Example;
use crate::raw::{Error, Op, ops};
use crate::verdict::Judgement;

/// The check `g2`.
pub const CHECK: Check = Check {
    name: "g2",
    about: "of the `insert`s of a key, each of which looks for others by a predicate first, at most one succeeds",
    example: Example {
        settings: &[],
        history: &[
            "0 :invoke :insert [1 nil]",
            "1 :invoke :insert [nil 2]",
            "0 :ok :insert [1 nil]",
            "1 :ok :insert [nil 2]",
        ],
        finds: "g2/G2",
    },
    options: &[],
    holds: Holds::History,
    run: |source, _| judge(&ops(source)?),
};

/// Judges `insert` operations.
///
/// # Errors
/// An operation is of another kind.
pub fn judge(ops: &[Op]) -> Result<Judgement, Error> {
    let mut judgement = Judgement::new(CHECK.name);
    if let Some(op) = ops.iter().find(|op| op.f != "insert") {
        return Err(not_understood(op, "insert"));
    }
    let (mut keys, mut bad) = (0, 0);
    for (key, ops) in by_key(ops) {
        keys += 1;
        let mut done: Vec<&Op> = ops.into_iter().filter(|op| is_ok(op)).collect();
        done.sort_by_key(|op| op.complete);
        if let [_, second, ..] = done[..] {
            bad += 1;
            let summary = format!("{} inserts{} succeeded, each of which saw none", done.len(), of_key(key));
            judgement.violation("G2", at_ns(second), summary, evidence(&done, []));
        }
    }
    judgement.note(format!("{keys} keys were judged, {bad} of them have several inserts"));
    Ok(judgement)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::simulation::{error, kinds, script};
    use crate::value::Value;

    #[test]
    fn one_insert_of_each_key_may_succeed() {
        let of = |ends: [char; 2], keys: [i64; 2]| {
            let steps = [(0, '+'), (1, '+'), (0, ends[0]), (1, ends[1])];
            let mut entries = script(&steps.map(|(process, what)| (process, what, "insert", Value::Nil)));
            for (at, entry) in entries.iter_mut().enumerate() {
                entry.key = Some(Value::Int(keys[at % 2]));
            }
            kinds(&CHECK, &entries, &[])
        };
        assert_eq!(of(['=', '='], [1, 1]), ["G2"]);
        assert_eq!(of(['=', '='], [1, 2]), [""; 0]);
        assert_eq!(of(['=', '!'], [1, 1]), [""; 0]);
        assert_eq!(of(['=', '?'], [1, 1]), [""; 0]);
        let other = "line 1, column 1: operation 0: `read` is not understood, expected insert";
        assert_eq!(error(&CHECK, &script(&[(0, '+', "read", Value::Nil)]), &[]), other);
    }
}
