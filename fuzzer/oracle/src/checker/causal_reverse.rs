//! Causal reverse: a later write that is seen without an earlier one.
//!
//! | kind | what was seen |
//! |---|---|
//! | `earlier-write-missing` | a read holds a value, and misses one that was acknowledged before that one was asked for |
//! | `unexpected-value` | a read holds what nobody had written until then, or what was refused for certain |
//!
//! Operations: `write` of a value that no other write has; `read`, whose `ok` value is the list or set of all values
//! written. Each key is a database of its own. Strict serializability forbids this, serializability does not. How old a
//! read is does not matter. Writes whose end is unknown need not be seen; if they are, so must be what came before them.
//!
//! n log n in the number of writes, linear in the size of the reads: of all values in a read, the one asked for last tells
//! how many acknowledged ones must be there. Source: Jepsen's `tests/causal_reverse`.

use super::shape::{Ids, at_ns, by_key, elements, evidence, is_ok, not_understood, of_key, some};
use crate::check::{Check, Holds};
use crate::example::Example;
use crate::op::Outcome;
use crate::raw::{Error, Op, ops};
use crate::value::Value;
use crate::verdict::Judgement;

/// The check `causal-reverse`.
pub const CHECK: Check = Check {
    name: "causal-reverse",
    about: "a `read` that sees a `write` sees all that were acknowledged before it",
    example: Example {
        settings: &[],
        history: &[
            "0 :invoke :write 1",
            "0 :ok :write 1",
            "1 :invoke :write 2",
            "1 :ok :write 2",
            "2 :invoke :read nil",
            "2 :ok :read [2]",
        ],
        finds: "causal-reverse/earlier-write-missing",
    },
    options: &[],
    holds: Holds::History,
    run: |source, _| judge(&ops(source)?),
};

/// What is known of a value.
#[derive(Clone, Copy, Default)]
struct Written<'a> {
    /// The first write that may have taken effect.
    by: Option<&'a Op>,
    /// The first acknowledgement.
    acknowledged: Option<u64>,
}

/// Judges each read.
///
/// # Errors
/// An operation is of another kind, or its value of another shape.
pub fn judge(ops: &[Op]) -> Result<Judgement, Error> {
    let mut judgement = Judgement::new(CHECK.name);
    for (key, ops) in by_key(ops) {
        judge_one(key, &ops, &mut judgement)?;
    }
    Ok(judgement)
}

fn judge_one(key: Option<&Value>, ops: &[&Op], judgement: &mut Judgement) -> Result<(), Error> {
    let mut ids = Ids::default();
    let mut written: Vec<Written<'_>> = Vec::new();
    let mut reads: Vec<(&Op, Vec<u32>)> = Vec::new();
    for &op in ops {
        match op.f.as_str() {
            "write" if op.outcome == Outcome::Fail => {}
            "write" => {
                let id = ids.number(&op.asked) as usize;
                written.resize(ids.len(), Written::default());
                let one = &mut written[id];
                one.by.get_or_insert(op);
                let done = op.complete.filter(|_| is_ok(op));
                one.acknowledged = one.acknowledged.into_iter().chain(done).min();
            }
            "read" if is_ok(op) => {
                let held = elements(op, op.value())?.iter().map(|value| ids.number(value)).collect();
                reads.push((op, held));
            }
            "read" => {}
            _ => return Err(not_understood(op, "write or read")),
        }
    }
    written.resize(ids.len(), Written::default());
    let mut acknowledged: Vec<u64> = written.iter().filter_map(|one| one.acknowledged).collect();
    acknowledged.sort_unstable();
    let mut stamps = vec![usize::MAX; written.len()];
    for (position, (read, held)) in reads.iter().enumerate() {
        let asked = |id: u32| written[id as usize].by.filter(|op| Some(op.invoke) < read.complete);
        if let Some(id) = held.iter().find(|id| asked(**id).is_none()) {
            let summary = format!("{} was read{}, which nobody had written", ids.item(*id), of_key(key));
            judgement.violation("unexpected-value", at_ns(read), summary, evidence(&[read], []));
            continue;
        }
        let Some(last) = held.iter().filter_map(|id| asked(*id)).max_by_key(|op| op.invoke) else { continue };
        let is_due = |one: &Written<'_>| one.acknowledged.is_some_and(|done| done < last.invoke);
        let mut found = 0;
        for id in held {
            let is_new = std::mem::replace(&mut stamps[*id as usize], position) != position;
            found += usize::from(is_new && is_due(&written[*id as usize]));
        }
        if found == acknowledged.partition_point(|done| *done < last.invoke) {
            continue;
        }
        if judgement.violations.iter().any(|one| one.signature.ends_with("earlier-write-missing")) {
            continue;
        }
        let missing: Vec<&Op> = (0..written.len())
            .filter(|id| stamps[*id] != position && is_due(&written[*id]))
            .filter_map(|id| written[id].by)
            .collect();
        let Some(first) = missing.first() else { continue };
        let summary = format!(
            "{} was acknowledged before {} was asked for, and a read holds the later{} alone",
            first.asked,
            last.asked,
            of_key(key)
        );
        let all = format!("missing: {}", some(missing.iter().map(|op| &op.asked)));
        judgement.violation(
            "earlier-write-missing",
            at_ns(read),
            summary,
            evidence(&[first, last, read], [all]),
        );
    }
    judgement.note(format!("{} reads{} were judged", reads.len(), of_key(key)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::simulation::{
        Ask, PLAN, Rng, ask, error, ints, kinds, rng, script, simulate, spoiled,
    };
    use crate::raw::Entry;
    use rand::RngExt;
    use std::cell::Cell;

    fn history(seed: u64) -> Vec<Entry> {
        let last = Cell::new(0);
        let next = |_: &Vec<Value>, _, rng: &mut Rng| {
            if rng.random() {
                return ask("read", Value::Nil);
            }
            last.set(last.get() + 1);
            ask("write", last.get())
        };
        let apply = |values: &mut Vec<Value>, ask: &Ask| {
            if ask.f == "read" {
                return Some(Value::Set(values.clone()));
            }
            values.push(ask.value.clone());
            Some(ask.value.clone())
        };
        simulate(PLAN, &mut rng(seed), &mut Vec::new(), next, apply, Vec::new())
    }

    /// Write by write, as the definition says.
    fn is_bad(entries: &[Entry]) -> bool {
        let ops = ops(entries.iter().cloned().map(Ok)).unwrap();
        let writes: Vec<&Op> = ops.iter().filter(|op| op.f == "write").collect();
        ops.iter().filter(|op| op.f == "read" && is_ok(op)).any(|read| {
            let held = read.value().as_elements().unwrap();
            let is_held = |op: &Op| held.contains(&op.asked);
            let is_before = |a: &Op, b: &Op| is_ok(a) && a.complete < Some(b.invoke);
            writes.iter().any(|a| !is_held(a) && writes.iter().any(|b| is_held(b) && is_before(a, b)))
        })
    }

    #[test]
    fn spoiled_reads_are_judged_as_the_definition_does() {
        let spoil = |read: &mut Value, rng: &mut Rng| {
            let Value::Set(values) = read else { panic!() };
            if !values.is_empty() {
                values.remove(rng.random_range(0..values.len()));
            }
        };
        let found = spoiled(&CHECK, history, 1, spoil, is_bad, "earlier-write-missing");
        assert!((50..290).contains(&found), "{found}");
    }

    #[test]
    fn each_kind_has_its_history() {
        let write =
            |value, ends| [(0, '+', "write", Value::Int(value)), (0, ends, "write", Value::Int(value))];
        let read =
            |values: &[i64]| [(1, '+', "read", Value::Nil), (1, '=', "read", ints(values.iter().copied()))];
        let of = |steps: &[_]| kinds(&CHECK, &script(steps), &[]);
        assert_eq!(of(&[write(1, '='), write(2, '='), read(&[2])].concat()), ["earlier-write-missing"]);
        assert_eq!(of(&[write(1, '='), write(2, '?'), read(&[2])].concat()), ["earlier-write-missing"]);
        assert_eq!(of(&[write(1, '!'), write(2, '='), read(&[2])].concat()), [""; 0]);
        assert_eq!(of(&[write(1, '='), write(2, '='), read(&[1])].concat()), [""; 0]);
        assert_eq!(of(&[write(1, '='), read(&[2]), write(2, '=')].concat()), ["unexpected-value"]);
        assert_eq!(
            error(&CHECK, &script(&[(0, '+', "add", Value::Nil)]), &[]),
            "line 1, column 1: operation 0: `add` is not understood, expected write or read"
        );
    }
}
