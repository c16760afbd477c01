//! Causal registers: a client that follows its own writes sees them.
//!
//! | kind | what was seen |
//! |---|---|
//! | `stale-read` | a read holds a value that was overwritten for certain before it began |
//! | `unexpected-value` | a read holds what nobody had written until then, or what was refused for certain |
//! | `broken-link` | an operation follows a position that is not that of the operation before it |
//!
//! Operations: `write` of a value; `read` and `read-init`, whose `ok` value is the register's, or nil when the client does
//! not tell. A register holds 0 in the beginning. Each key is a register of its own, whose operations one client issues
//! one after the other, so that all of them are causally ordered; where operations overlap in time, either order is
//! allowed. A write whose end is unknown may take effect at any later time, or never. Operations may bear a `position`
//! and a `link` (fields of the completion): the link is `init`, or the position of the last acknowledged operation; links
//! are not followed across an operation whose end is unknown.
//!
//! n log n in the number of operations. Source: Jepsen's `tests/causal`, where values must be 1, 2, ... and no
//! operation may end in info; the rule for reads is that of a regular register (Lamport, "On interprocess communication",
//! 1986), which does not need that.

use super::shape::{at_ns, by_key, evidence, is_ok, not_understood, of_key};
use crate::check::{Check, Holds};
use crate::example::Example;
use crate::op::Outcome;
use crate::raw::{Error, Op, ops};
use crate::value::Value;
use crate::verdict::Judgement;
use std::collections::BTreeMap;

/// The check `causal`.
pub const CHECK: Check = Check {
    name: "causal",
    about: "a register's `read` sees the client's `write` that it follows",
    example: Example {
        settings: &[],
        history: &[
            "0 :invoke :write 1",
            "0 :ok :write 1",
            "0 :invoke :write 2",
            "0 :ok :write 2",
            "0 :invoke :read nil",
            "0 :ok :read 1",
        ],
        finds: "causal/stale-read",
    },
    options: &[],
    holds: Holds::History,
    run: |source, _| judge(&ops(source)?),
};

const INITIAL: Value = Value::Int(0);

/// Judges reads of causal registers.
///
/// # Errors
/// An operation is of another kind.
pub fn judge(ops: &[Op]) -> Result<Judgement, Error> {
    let mut judgement = Judgement::new(CHECK.name);
    for (key, ops) in by_key(ops) {
        if let Some(op) = ops.iter().find(|op| !matches!(op.f.as_str(), "write" | "read" | "read-init")) {
            return Err(not_understood(op, "write, read or read-init"));
        }
        reads(key, &ops, &mut judgement);
        links(key, &ops, &mut judgement);
    }
    Ok(judgement)
}

fn reads(key: Option<&Value>, ops: &[&Op], judgement: &mut Judgement) {
    let mut writes: BTreeMap<&Value, Vec<&Op>> = BTreeMap::new();
    // Acknowledged writes in the order of their completions, each with the one of those up to it that began last.
    let mut done: Vec<(&Op, &Op)> = Vec::new();
    for op in ops.iter().filter(|op| op.f == "write" && op.outcome != Outcome::Fail) {
        writes.entry(&op.asked).or_default().push(op);
        if is_ok(op) {
            done.push((op, op));
        }
    }
    done.sort_by_key(|(op, _)| op.complete);
    for at in 1..done.len() {
        if done[at - 1].1.invoke > done[at].1.invoke {
            done[at].1 = done[at - 1].1;
        }
    }
    for read in ops.iter().filter(|op| op.f != "write" && is_ok(op) && *op.value() != Value::Nil) {
        let value = read.value();
        let over = done.partition_point(|(op, _)| op.complete < Some(read.invoke)).checked_sub(1);
        let over = over.map(|at| done[at].1);
        let began = |op: &&&Op| Some(op.invoke) < read.complete;
        let mut writers = writes.get(value).into_iter().flatten().filter(began).peekable();
        let is_initial = *value == INITIAL;
        if writers.peek().is_none() && !is_initial {
            let summary = format!("{value} was read{}, which nobody had written", of_key(key));
            judgement.violation("unexpected-value", at_ns(read), summary, evidence(&[read], []));
            continue;
        }
        let Some(over) = over else { continue };
        let may_last = |op: &&Op| op.effective_by().is_none_or(|done| done >= over.invoke);
        let writer = writers.peek().copied().copied();
        if !writers.any(may_last) {
            let summary = format!("{value} was read{} after {} was written over it", of_key(key), over.asked);
            let ops: Vec<&Op> = writer.into_iter().chain([over, read]).collect();
            judgement.violation("stale-read", at_ns(read), summary, evidence(&ops, []));
        }
    }
}

fn links(key: Option<&Value>, ops: &[&Op], judgement: &mut Judgement) {
    let mut done: Vec<&Op> = ops.iter().copied().filter(|op| is_ok(op)).collect();
    done.sort_by_key(|op| op.complete);
    let unknown: Vec<u64> = ops.iter().filter(|op| op.outcome == Outcome::Info).map(|op| op.invoke).collect();
    for pair in done.windows(2) {
        let [before, op] = pair else { continue };
        let (Some(position), Some(link)) = (field(before, "position"), field(op, "link")) else { continue };
        let is_first = link.as_name() == Some("init");
        let interrupted = unknown.partition_point(|invoke| *invoke < before.invoke)
            < unknown.partition_point(|invoke| Some(*invoke) < op.complete);
        // Operations that overlap may have happened in either order.
        if is_first || interrupted || link == position || Some(op.invoke) < before.complete {
            continue;
        }
        let summary = format!("{link} is followed{}, and the position is {position}", of_key(key));
        judgement.violation("broken-link", at_ns(op), summary, evidence(&[before, op], []));
    }
}

fn field<'a>(op: &'a Op, name: &str) -> Option<&'a Value> {
    op.extra.iter().find(|(other, value)| other == name && *value != Value::Nil).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::simulation::{
        Ask, PLAN, Plan, Rng, ask, completions, error, kinds, rng, script, simulate,
    };
    use crate::history::Phase;
    use crate::raw::Entry;
    use rand::RngExt;
    use std::cell::Cell;

    fn history(seed: u64, clients: usize) -> Vec<Entry> {
        let last = Cell::new(0);
        let next = |_: &i64, _, rng: &mut Rng| {
            if rng.random() {
                return ask(if rng.random() { "read" } else { "read-init" }, Value::Nil);
            }
            last.set(last.get() + 1);
            ask("write", last.get())
        };
        let apply = |value: &mut i64, ask: &Ask| {
            if let (Some(written), "write") = (ask.value.as_int(), ask.f) {
                *value = written;
            }
            Some(Value::Int(*value))
        };
        let mut entries = simulate(Plan { clients, ..PLAN }, &mut rng(seed), &mut 0, next, apply, Vec::new());
        let mut link = Value::Keyword("init".into());
        for entry in entries.iter_mut().filter(|entry| entry.phase == Phase::Ok) {
            let position = Value::Int(entry.index as i64 * 10);
            entry.extra = vec![("link".into(), link), ("position".into(), position.clone())];
            link = position;
        }
        entries
    }

    #[test]
    fn a_register_is_causal_and_so_is_one_of_several_clients_without_links() {
        for seed in 0..200 {
            assert_eq!(kinds(&CHECK, &history(seed, 1), &[]), [""; 0], "seed {seed}");
            assert_eq!(kinds(&CHECK, &history(seed, 4), &[]), [""; 0], "seed {seed}");
        }
    }

    /// Whether a read of this value is right, by the definition of a regular register.
    fn expected(entries: &[Entry], read: usize) -> Option<&'static str> {
        let ops = ops(entries.iter().cloned().map(Ok)).unwrap();
        let read = ops.iter().find(|op| op.complete == Some(read as u64)).unwrap();
        let writes: Vec<&Op> =
            ops.iter().filter(|op| op.f == "write" && op.outcome != Outcome::Fail).collect();
        let over = |done: Option<u64>| {
            writes.iter().any(|op| {
                is_ok(op) && op.complete < Some(read.invoke) && done.is_none_or(|done| done < op.invoke)
            })
        };
        let mut writers = writes
            .iter()
            .filter(|op| op.asked == *read.value() && Some(op.invoke) < read.complete)
            .peekable();
        if *read.value() == INITIAL {
            return over(None).then_some("stale-read");
        }
        if writers.peek().is_none() {
            return Some("unexpected-value");
        }
        writers.all(|op| op.effective_by().is_some() && over(op.effective_by())).then_some("stale-read")
    }

    #[test]
    fn spoiled_reads_are_judged_as_the_definition_does() {
        let mut found = BTreeMap::new();
        for seed in 0..400 {
            let mut entries = history(seed, 1 + seed as usize % 3);
            let mut rng = rng(seed);
            let reads = completions(&entries, "read", Phase::Ok);
            let at = reads[rng.random_range(0..reads.len())];
            entries[at].value = Value::Int(rng.random_range(0..50));
            let expected: Vec<&str> = expected(&entries, at).into_iter().collect();
            assert_eq!(kinds(&CHECK, &entries, &[]), expected, "seed {seed}");
            *found.entry(expected.first().copied()).or_insert(0) += 1;
        }
        assert!(found.len() == 3 && found.values().all(|count| *count > 20), "{found:?}");
    }

    #[test]
    fn links_that_lead_elsewhere_are_found() {
        let steps = [(0, "write", Value::Int(1)), (0, "read", Value::Int(1)), (0, "read", Value::Int(1))];
        let steps: Vec<_> = steps
            .into_iter()
            .flat_map(|(p, f, value)| [(p, '+', f, value.clone()), (p, '=', f, value)])
            .collect();
        let with = |links: [i64; 3]| {
            let mut entries = script(&steps);
            for (at, link) in links.into_iter().enumerate() {
                let position = ("position".to_owned(), Value::Int(at as i64 + 10));
                entries[2 * at + 1].extra = vec![("link".into(), Value::Int(link)), position];
            }
            kinds(&CHECK, &entries, &[])
        };
        assert_eq!(with([9, 10, 11]), [""; 0]);
        assert_eq!(with([9, 10, 10]), ["broken-link"]);
        assert_eq!(
            error(&CHECK, &script(&[(0, '+', "cas", Value::Nil)]), &[]),
            "line 1, column 1: operation 0: `cas` is not understood, expected write, read or read-init"
        );
    }
}
