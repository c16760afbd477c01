//! Sets that only grow, as Jepsen judges them: what was added is there in the end, or at every read.
//!
//! | check | kind | what was seen |
//! |---|---|---|
//! | both | `acknowledged-element-lost` | an `add` was acknowledged before the last read began, and it misses the element |
//! | both | `unexpected-element` | a read holds what nobody added until then, or what was refused for certain |
//! | `set-full` | `seen-element-lost` | a read held an element that the last read misses |
//! | `set-full` | `duplicated-element` | a read holds an element more than once |
//! | `set-full` | `stale-elements` | a read misses what was there for certain before it began, and a later one has it; only with `linearizable=yes` |
//!
//! Operations: `add` (or `broadcast`) of any value; `read` (or `elements`), whose `ok` value is the list or set of all
//! elements. Each key is a set of its own. The last read is the acknowledged one that began last. `set` looks at this
//! one alone, `set-full` at all. An element is there for certain once its `add` was acknowledged or a read that held it
//! has ended. Elements of `add`s whose end is unknown may be there or not. An element is *never read* when it was not
//! there for certain before the last read began; that is counted, not wrong. Without any read, or for `set-full` without
//! any element in the last one, the answer is unknown.
//!
//! n log n in the number of elements, linear in the size of the reads: the rules are those of
//! [`collection`](super::collection). Sources: Jepsen's `checker/set` and `checker/set-full`, Maelstrom's workloads
//! `broadcast` and `g-set`. Unlike there, elements of `add`s that failed are unexpected, and `set-full` looks for
//! unexpected elements and (as Jepsen says, but does not do) duplicates.

use super::collection::{Addition, Answer, Facts, Finding, Growth};
use super::shape::{Ids, at_ns, by_key, elements, evidence, is_ok, not_understood, of_key, some};
use crate::check::{Check, Holds, Options, Setting};
use crate::example::Example;
use crate::op::seconds;
use crate::raw::{Error, Op, ops};
use crate::verdict::Judgement;

/// The check `set`.
pub const SET: Check = Check {
    name: "set",
    about: "the last `read` holds every element that `add` was acknowledged for, and no other",
    example: Example {
        settings: &[],
        history: &[
            "0 :invoke :add 1",
            "0 :ok :add 1",
            "0 :invoke :add 2",
            "0 :ok :add 2",
            "1 :invoke :read nil",
            "1 :ok :read #{2}",
        ],
        finds: "set/acknowledged-element-lost",
    },
    options: &[],
    holds: Holds::History,
    run: |source, _| judge_set(&ops(source)?),
};

/// The check `set-full`.
pub const SET_FULL: Check = Check {
    name: "set-full",
    about: "every `read` holds what was added by `add` before, once, and nothing is lost",
    example: Example {
        settings: &[],
        history: &[
            "0 :invoke :add 1",
            "0 :ok :add 1",
            "1 :invoke :read nil",
            "1 :ok :read #{1}",
            "1 :invoke :read nil",
            "1 :ok :read #{}",
        ],
        finds: "set-full/acknowledged-element-lost",
    },
    options: &[Setting {
        name: "linearizable",
        about: "yes forbids reads that miss what was there before they began; no without it",
    }],
    holds: Holds::History,
    run: |source, options| judge_set_full(&ops(source)?, options),
};

/// Judges the last read.
///
/// # Errors
/// An operation is of another kind, or its value of another shape.
pub fn judge_set(ops: &[Op]) -> Result<Judgement, Error> {
    let mut judgement = Judgement::new(SET.name);
    for (key, ops) in by_key(ops) {
        let set = Set::of(ops)?;
        let growth = Growth::new(&set, &set.additions, &set.answers);
        let Some(last) = set.answers.len().checked_sub(1) else {
            judgement.unknown(format!("the set{} was never read", of_key(key)));
            continue;
        };
        let findings = growth.unexpected_at_last().into_iter().chain(growth.lost(last));
        findings
            .filter(|one| one.kind != "seen-element-lost")
            .for_each(|one| set.report(&mut judgement, one));
        judgement.note(format!(
            "{} elements{} were acknowledged; {} recovered, whose addition was not",
            growth.acknowledged(),
            of_key(key),
            growth.recovered(last)
        ));
    }
    Ok(judgement)
}

/// Judges every read.
///
/// # Errors
/// An operation is of another kind or its value of another shape, or a setting is none.
pub fn judge_set_full(ops: &[Op], options: &Options) -> Result<Judgement, Error> {
    let mut judgement = Judgement::new(SET_FULL.name);
    let is_linearizable = options.is_set("linearizable", false)?;
    for (key, ops) in by_key(ops) {
        let set = Set::of(ops)?;
        let growth = Growth::new(&set, &set.additions, &set.answers);
        let Some(last) = set.answers.len().checked_sub(1) else {
            judgement.unknown(format!("the set{} was never read", of_key(key)));
            continue;
        };
        if growth.stable() == 0 {
            judgement.unknown(format!("the last read{} holds nothing", of_key(key)));
        }
        let stale = growth.stale(true);
        if let Some(stale) = stale.as_ref().filter(|_| !is_linearizable) {
            judgement.note(format!("stale: {}", stale.summary));
        }
        let mut findings: Vec<Finding> = growth.unexpected().into_iter().chain(growth.duplicated()).collect();
        findings.extend(growth.lost(last));
        findings.extend(stale.filter(|_| is_linearizable));
        findings.into_iter().for_each(|one| set.report(&mut judgement, one));
        judgement.note(format!(
            "{} of {} elements{} were stable, {} never read",
            growth.stable(),
            growth.attempted(),
            of_key(key),
            growth.never_read()
        ));
    }
    Ok(judgement)
}

/// What happened to one set.
struct Set<'a> {
    ops: Vec<&'a Op>,
    ids: Ids<'a>,
    additions: Vec<Addition>,
    answers: Vec<Answer>,
}

impl<'a> Set<'a> {
    fn of(ops: Vec<&'a Op>) -> Result<Self, Error> {
        let (mut ids, mut additions, mut answers) = (Ids::default(), Vec::new(), Vec::new());
        for (position, op) in ops.iter().enumerate() {
            match op.f.as_str() {
                "add" | "broadcast" => additions.push(Addition {
                    element: ids.number(&op.asked),
                    op: position,
                    invoke: op.invoke,
                    complete: op.complete,
                    outcome: op.outcome,
                }),
                "read" | "elements" => {
                    let (true, Some(complete)) = (is_ok(op), op.complete) else { continue };
                    let elements =
                        elements(op, op.value())?.iter().map(|element| ids.number(element)).collect();
                    answers.push(Answer { op: position, invoke: op.invoke, complete, elements });
                }
                _ => return Err(not_understood(op, "add or read")),
            }
        }
        Ok(Self { ops, ids, additions, answers })
    }

    fn report(&self, judgement: &mut Judgement, finding: Finding) {
        let ops: Vec<&Op> = finding.ops.iter().map(|op| self.ops[*op]).collect();
        let all = match finding.elements.len() {
            0 | 1 => None,
            count => {
                let shown = some(finding.elements.iter().map(|element| self.element(*element)));
                Some(format!("{count} elements are concerned: {shown}"))
            }
        };
        let at = at_ns(self.ops[finding.answer]);
        judgement.violation(finding.kind, at, finding.summary, evidence(&ops, all));
    }
}

impl Facts for Set<'_> {
    fn element(&self, element: u32) -> String {
        self.ids.item(element).to_string()
    }

    fn operation(&self, op: usize) -> String {
        let op = self.ops[op];
        format!("{} {}{}", op.f, op.asked, of_key(op.key.as_ref()))
    }

    fn completed(&self, op: usize) -> String {
        let op = self.ops[op];
        match (op.completed_ns, op.complete) {
            (Some(ns), _) => seconds(ns),
            (None, Some(index)) => format!("entry {index}"),
            (None, None) => "an unknown time".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
