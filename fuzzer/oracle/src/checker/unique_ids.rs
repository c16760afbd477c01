//! Unique ids: what is generated is generated once.
//!
//! | kind | what was seen |
//! |---|---|
//! | `duplicated-id` | two acknowledged `generate` operations were answered with the same id |
//!
//! Operations: `generate`, whose `ok` value is the id, of any type; ids are the same when they are written the same.
//! Each key is a generator of its own. Operations that failed or whose end is unknown say nothing. n log n in the
//! number of operations. Source: Jepsen's `checker/unique-ids`, Maelstrom's workload `unique-ids`.

use super::shape::{at_ns, evidence, is_ok, not_understood, some};
use crate::check::{Check, Holds};
use crate::example::Example;
use crate::raw::{Error, Op, ops};
use crate::value::Value;
use crate::verdict::Judgement;

/// The check `unique-ids`.
pub const CHECK: Check = Check {
    name: "unique-ids",
    about: "ids that `generate` answers with are never the same",
    example: Example {
        settings: &[],
        history: &[
            "0 :invoke :generate nil",
            "0 :ok :generate 17",
            "1 :invoke :generate nil",
            "1 :ok :generate 17",
        ],
        finds: "unique-ids/duplicated-id",
    },
    options: &[],
    holds: Holds::History,
    run: |source, _| judge(&ops(source)?),
};

/// Judges `generate` operations.
///
/// # Errors
/// An operation is of another kind.
pub fn judge(ops: &[Op]) -> Result<Judgement, Error> {
    let mut judgement = Judgement::new(CHECK.name);
    if let Some(op) = ops.iter().find(|op| op.f != "generate") {
        return Err(not_understood(op, "generate"));
    }
    let mut ids: Vec<(Option<&Value>, &Value, &Op)> =
        ops.iter().filter(|op| is_ok(op)).map(|op| (op.key.as_ref(), op.value(), op)).collect();
    ids.sort_by_key(|(key, id, op)| (*key, *id, op.complete));
    let twice: Vec<&[(Option<&Value>, &Value, &Op)]> =
        ids.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)).filter(|same| same.len() > 1).collect();
    if let Some(first) = twice.iter().min_by_key(|same| same[1].2.complete) {
        let [(_, id, one), (_, _, other), ..] = first else { return Ok(judgement) };
        let summary = format!("{id} was generated {} times", first.len());
        let all = format!("{} ids were generated more than once: {}", twice.len(), {
            some(twice.iter().map(|same| same[0].1))
        });
        judgement.violation("duplicated-id", at_ns(other), summary, evidence(&[one, other], [all]));
    }
    judgement.note(format!("{} of {} operations were acknowledged with an id", ids.len(), ops.len()));
    Ok(judgement)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::simulation::{PLAN, ask, completions, error, kinds, rng, script, simulate};
    use crate::history::Phase;
    use rand::RngExt;

    #[test]
    fn counters_generate_unique_ids_and_repeating_any_is_found() {
        for seed in 0..50 {
            let mut rng = rng(seed);
            let next = |_: &i64, _, _: &mut _| ask("generate", Value::Nil);
            let count = |last: &mut i64, _: &_| {
                *last += 1;
                Some(Value::Int(*last))
            };
            let mut entries = simulate(PLAN, &mut rng, &mut 0, next, count, Vec::new());
            assert_eq!(kinds(&CHECK, &entries, &[]), [""; 0]);
            let done = completions(&entries, "generate", Phase::Ok);
            let (from, to) = (rng.random_range(0..done.len()), rng.random_range(1..done.len()));
            entries[done[(from + to) % done.len()]].value = entries[done[from]].value.clone();
            assert_eq!(kinds(&CHECK, &entries, &[]), ["duplicated-id"]);
        }
    }

    #[test]
    fn what_failed_generated_nothing() {
        let steps = [
            (0, '+', "generate", Value::Nil),
            (0, '=', "generate", Value::Int(1)),
            (1, '+', "generate", Value::Nil),
            (1, '!', "generate", Value::Int(1)),
            (2, '+', "generate", Value::Nil),
            (2, '?', "generate", Value::Int(1)),
        ];
        assert_eq!(kinds(&CHECK, &script(&steps), &[]), [""; 0]);
        let mut entries = script(&steps[..2]);
        entries[0].key = Some(Value::Int(1));
        entries.extend(script(&[(0, '+', "read", Value::Nil)]).into_iter().map(|mut entry| {
            entry.index = 9;
            entry
        }));
        assert_eq!(
            error(&CHECK, &entries, &[]),
            "line 1, column 1: operation 9: `read` is not understood, expected generate"
        );
    }
}
