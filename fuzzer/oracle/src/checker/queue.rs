//! Queues: what comes out was put in, and what was put in comes out.
//!
//! | check | kind | what was seen |
//! |---|---|---|
//! | both | `unexpected-element` | an element came out that nobody had put in, or that was refused for certain |
//! | `queue` | `duplicated-element` | an element came out more often than it was put in until then |
//! | `total-queue` | `duplicated-element` | the same, of the whole history; only with `duplicates=no` |
//! | `total-queue` | `lost-element` | an element was acknowledged and never came out, though the queue was emptied |
//!
//! Operations: `enqueue` of any value; `dequeue`, whose `ok` value is the element, or nil of an empty queue; `drain`,
//! whose `ok` value is the list of all elements that came out. Each key is a queue of its own. An enqueue whose end is
//! unknown may have put its element in; a dequeue or drain whose end is unknown may have taken elements out, so lost
//! elements are certain only where there are more of them than such dequeues. A queue counts as emptied after a
//! `drain`, or a `dequeue` that failed or was answered with nil, that began after the element was acknowledged.
//! No order is asked for: for that there is linearizability. n log n in the number of elements.
//!
//! Sources: Jepsen's `checker/queue` with an unordered model, and its `checker/total-queue`, in which duplicates are
//! counted and not wrong. Unlike there, elements of enqueues that failed are unexpected.

use super::shape::{Ids, at_ns, by_key, elements, evidence, is_ok, not_understood, of_key, some};
use crate::check::{Check, Holds, Options, Setting};
use crate::example::Example;
use crate::op::Outcome;
use crate::raw::{Error, Op, ops};
use crate::value::Value;
use crate::verdict::Judgement;

/// The check `queue`.
pub const QUEUE: Check = Check {
    name: "queue",
    about: "what `dequeue` gives was put in by `enqueue` before, at most once each time",
    example: Example {
        settings: &[],
        history: &[
            "0 :invoke :enqueue 1",
            "0 :ok :enqueue 1",
            "1 :invoke :dequeue nil",
            "1 :ok :dequeue 1",
            "2 :invoke :dequeue nil",
            "2 :ok :dequeue 1",
        ],
        finds: "queue/duplicated-element",
    },
    options: &[],
    holds: Holds::History,
    run: |source, _| judge_queue(&ops(source)?),
};

/// The check `total-queue`.
pub const TOTAL_QUEUE: Check = Check {
    name: "total-queue",
    about: "what was acknowledged by `enqueue` comes out by `dequeue` or `drain`, and nothing else does",
    example: Example {
        settings: &[],
        history: &["0 :invoke :enqueue 1", "0 :ok :enqueue 1", "1 :invoke :drain nil", "1 :ok :drain []"],
        finds: "total-queue/lost-element",
    },
    options: &[
        Setting { name: "duplicates", about: "no forbids elements that come out twice; yes without it" },
        Setting {
            name: "drained",
            about: "yes takes the queue as empty at the end, whatever dequeues show; no without it",
        },
    ],
    holds: Holds::History,
    run: |source, options| judge_total(&ops(source)?, options),
};

/// Judges each dequeue by what was put in until it ended.
///
/// # Errors
/// An operation is of another kind, or its value of another shape.
pub fn judge_queue(ops: &[Op]) -> Result<Judgement, Error> {
    let mut judgement = Judgement::new(QUEUE.name);
    for (key, ops) in by_key(ops) {
        let flow = Flow::of(&ops)?;
        let mut inside: Vec<Passage<'_>> = vec![Passage::default(); flow.ids.len()];
        let mut enqueues = flow.into.iter().peekable();
        for (element, op) in &flow.out {
            while let Some((put, by)) = enqueues.next_if(|(_, by)| Some(by.invoke) < op.complete) {
                inside[*put as usize].enter(by);
            }
            let passage = &mut inside[*element as usize];
            passage.out += 1;
            if passage.out > passage.possible {
                flow.report_excess(key, *element, passage, op, &mut judgement);
                passage.out -= 1;
            }
        }
        judgement.note(format!("{} dequeues{} were judged", flow.out.len(), of_key(key)));
    }
    Ok(judgement)
}

/// Judges what went in against what came out, all in all.
///
/// # Errors
/// An operation is of another kind or its value of another shape, or a setting is none.
pub fn judge_total(ops: &[Op], options: &Options) -> Result<Judgement, Error> {
    let mut judgement = Judgement::new(TOTAL_QUEUE.name);
    let may_repeat = options.is_set("duplicates", true)?;
    let is_drained = options.is_set("drained", false)?;
    for (key, ops) in by_key(ops) {
        let flow = Flow::of(&ops)?;
        let mut inside: Vec<Passage<'_>> = vec![Passage::default(); flow.ids.len()];
        flow.into.iter().for_each(|(element, op)| inside[*element as usize].enter(op));
        let (mut duplicated, mut unexpected) = (0, 0);
        for (element, op) in &flow.out {
            let passage = &mut inside[*element as usize];
            passage.out += 1;
            if passage.out <= passage.possible {
                continue;
            }
            *(if passage.possible == 0 { &mut unexpected } else { &mut duplicated }) += 1;
            if passage.possible == 0 || !may_repeat {
                flow.report_excess(key, *element, passage, op, &mut judgement);
            }
        }
        let recovered: usize =
            inside.iter().map(|one| one.out.min(one.possible).saturating_sub(one.certain)).sum();
        flow.lost(key, &inside, is_drained, &mut judgement);
        judgement.note(format!(
            "{} elements came out{}; {recovered} of them recovered, whose enqueue was not acknowledged; \
             {duplicated} duplicated; {unexpected} unexpected",
            flow.out.len(),
            of_key(key)
        ));
    }
    Ok(judgement)
}

/// What is known of one element.
#[derive(Clone, Default)]
struct Passage<'a> {
    /// How often it may have been put in.
    possible: usize,
    /// How often it certainly was.
    certain: usize,
    /// How often it came out.
    out: usize,
    /// The last of the operations that put it in.
    by: Option<&'a Op>,
}

impl<'a> Passage<'a> {
    fn enter(&mut self, op: &'a Op) {
        self.possible += usize::from(op.outcome != Outcome::Fail);
        self.certain += usize::from(op.outcome == Outcome::Ok);
        self.by = Some(op);
    }
}

/// What went in and out of one queue.
#[derive(Default)]
struct Flow<'a> {
    ids: Ids<'a>,
    /// Enqueues, in the order of their invocations.
    into: Vec<(u32, &'a Op)>,
    /// Elements that came out, in the order of completions.
    out: Vec<(u32, &'a Op)>,
    /// The last time when somebody saw the queue empty: an invocation.
    empty: Option<&'a Op>,
    /// Dequeues that may have taken an element, each.
    crashed: usize,
    /// Drains that may have taken any number.
    crashed_drains: usize,
}

impl<'a> Flow<'a> {
    fn of(ops: &[&'a Op]) -> Result<Self, Error> {
        let mut flow = Self::default();
        for &op in ops {
            match (op.f.as_str(), op.outcome) {
                ("enqueue", _) => flow.into.push((flow.ids.number(&op.asked), op)),
                ("dequeue", Outcome::Ok) if *op.value() != Value::Nil => {
                    flow.out.push((flow.ids.number(op.value()), op));
                }
                ("dequeue", Outcome::Ok | Outcome::Fail) => flow.empty = Some(op),
                ("dequeue", Outcome::Info) => flow.crashed += 1,
                ("drain", Outcome::Ok) => {
                    for element in elements(op, op.value())? {
                        flow.out.push((flow.ids.number(element), op));
                    }
                    flow.empty = Some(op);
                }
                ("drain", Outcome::Info) => flow.crashed_drains += 1,
                ("drain", Outcome::Fail) => {}
                _ => return Err(not_understood(op, "enqueue, dequeue or drain")),
            }
        }
        flow.out.sort_by_key(|(_, op)| op.complete);
        Ok(flow)
    }

    fn report_excess(
        &self,
        key: Option<&Value>,
        element: u32,
        passage: &Passage<'a>,
        op: &'a Op,
        judgement: &mut Judgement,
    ) {
        let kind = if passage.possible == 0 { "unexpected-element" } else { "duplicated-element" };
        if judgement.violations.iter().any(|one| one.signature.ends_with(kind)) {
            return;
        }
        let shown = self.ids.item(element);
        let others = self.out.iter().filter(|(other, by)| *other == element && by.complete < op.complete);
        let mut ops: Vec<&Op> = passage.by.into_iter().chain(others.map(|(_, by)| *by)).take(8).collect();
        ops.push(op);
        let what = match (passage.possible, passage.by) {
            (0, None) => "nobody had put it in".to_owned(),
            (0, Some(_)) => "putting it in had failed for certain".to_owned(),
            (most, _) => format!("it was put in {most} times at most"),
        };
        let summary = format!("{shown} came out{} {} times, and {what}", of_key(key), passage.out);
        judgement.violation(kind, at_ns(op), summary, evidence(&ops, []));
    }

    fn lost(&self, key: Option<&Value>, inside: &[Passage<'a>], is_drained: bool, judgement: &mut Judgement) {
        let is_gone =
            |op: &Op| is_drained || self.empty.is_some_and(|empty| op.complete < Some(empty.invoke));
        let (mut lost, mut waiting) = (Vec::new(), 0);
        let mut missing: Vec<usize> = inside.iter().map(|one| one.certain.saturating_sub(one.out)).collect();
        for (element, op) in self.into.iter().filter(|(_, op)| is_ok(op)) {
            let missing = &mut missing[*element as usize];
            if *missing > 0 {
                *missing -= 1;
                if is_gone(op) { lost.push((*element, *op)) } else { waiting += 1 }
            }
        }
        let of_key = of_key(key);
        if waiting > 0 {
            judgement.unknown(format!(
                "{waiting} acknowledged elements did not come out{of_key}, and the queue was not emptied after them"
            ));
        }
        let Some((element, op)) = lost.first() else { return };
        if self.crashed_drains > 0 || lost.len() <= self.crashed {
            judgement.unknown(format!(
                "{} acknowledged elements did not come out{of_key}; {} dequeues and {} drains whose end is unknown \
                 may have taken them",
                lost.len(),
                self.crashed,
                self.crashed_drains
            ));
            return;
        }
        let shown = self.ids.item(*element);
        let summary = format!("{shown} was acknowledged and never came out{of_key}");
        let all = some(lost.iter().map(|(element, _)| self.ids.item(*element)));
        let taken = match self.crashed {
            0 => String::new(),
            some => format!("; {some} of them may have been taken by dequeues whose end is unknown"),
        };
        let ops: Vec<&Op> = [*op].into_iter().chain(self.empty).collect();
        let at = at_ns(self.empty.unwrap_or(op));
        let lines = [format!("{} elements are lost: {all}{taken}", lost.len())];
        judgement.violation("lost-element", at, summary, evidence(&ops, lines));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::simulation::{
        Ask, PLAN, Plan, Rng, ask, completions, error, ints, kinds, rng, script, simulate,
    };
    use crate::history::Phase;
    use crate::raw::Entry;
    use rand::RngExt;

    const STRICT: &[(&str, &str)] = &[("duplicates", "no")];

    #[derive(Default)]
    struct Store {
        elements: Vec<Value>,
        last: std::cell::Cell<i64>,
    }

    fn history(seed: u64, plan: Plan) -> Vec<Entry> {
        let next = |store: &Store, _, rng: &mut Rng| match rng.random() {
            true => ask("dequeue", Value::Nil),
            false => {
                store.last.set(store.last.get() + 1);
                ask("enqueue", store.last.get())
            }
        };
        let apply = |store: &mut Store, ask: &Ask| match ask.f {
            "enqueue" => {
                store.elements.push(ask.value.clone());
                Some(ask.value.clone())
            }
            "drain" => Some(Value::List(std::mem::take(&mut store.elements))),
            _ => (!store.elements.is_empty()).then(|| store.elements.swap_remove(0)),
        };
        let drain = vec![ask("drain", Value::Nil)];
        simulate(plan, &mut rng(seed), &mut Store::default(), next, apply, drain)
    }

    #[test]
    fn elements_come_out_of_a_queue_with_a_name() {
        let mut entries = script(&[(0, '+', "enqueue", Value::Int(1)), (0, '=', "enqueue", Value::Int(1))]);
        entries.iter_mut().for_each(|entry| entry.key = Some(Value::Int(7)));
        let judgement = crate::checker::simulation::judge(&TOTAL_QUEUE, &entries, &[]).unwrap();
        let expected =
            "1 acknowledged elements did not come out of 7, and the queue was not emptied after them";
        assert_eq!(judgement.unknown, [expected]);
        assert!(judgement.notes[0].starts_with("0 elements came out of 7; "), "{:?}", judgement.notes);
    }

    #[test]
    fn a_queue_is_right_whatever_crashes() {
        for seed in 0..200 {
            let entries = history(seed, PLAN);
            assert_eq!(kinds(&QUEUE, &entries, &[]), [""; 0]);
            let total = kinds(&TOTAL_QUEUE, &entries, STRICT);
            assert!(total.is_empty() || total == ["unknown"], "{total:?}");
        }
    }

    #[test]
    fn every_lost_duplicated_or_foreign_element_is_found() {
        let plan = Plan { info_percent: 0, ..PLAN };
        for seed in 0..100 {
            let entries = history(seed, plan);
            assert_eq!(kinds(&TOTAL_QUEUE, &entries, STRICT), [""; 0]);
            let out = completions(&entries, "dequeue", Phase::Ok);
            let mut rng = rng(seed);
            let (one, other) = (rng.random_range(0..out.len()), rng.random_range(1..out.len()));
            let (one, other) = (out[one], out[(one + other) % out.len()]);
            let spoiled = |at: usize, value: Value| {
                let mut entries = entries.clone();
                entries[at].value = value;
                entries
            };
            let foreign = spoiled(one, Value::Int(9_999));
            assert_eq!(kinds(&QUEUE, &foreign, &[]), ["unexpected-element"]);
            assert_eq!(kinds(&TOTAL_QUEUE, &foreign, &[]), ["lost-element", "unexpected-element"]);
            let (first, second) = (one.min(other), one.max(other));
            let twice = spoiled(second, entries[first].value.clone());
            assert_eq!(kinds(&QUEUE, &twice, &[]), ["duplicated-element"]);
            assert_eq!(kinds(&TOTAL_QUEUE, &twice, STRICT), ["duplicated-element", "lost-element"]);
            assert_eq!(kinds(&TOTAL_QUEUE, &twice, &[]), ["lost-element"]);
            let gone = spoiled(one, Value::Nil);
            assert_eq!(kinds(&QUEUE, &gone, &[]), [""; 0]);
            assert_eq!(kinds(&TOTAL_QUEUE, &gone, &[]), ["lost-element"]);
        }
    }

    #[test]
    fn each_kind_has_its_history() {
        let put = |ends| [(0, '+', "enqueue", Value::Int(1)), (0, ends, "enqueue", Value::Int(1))];
        let take = |value: Value| [(1, '+', "dequeue", Value::Nil), (1, '=', "dequeue", value)];
        let crash = [(2, '+', "dequeue", Value::Nil), (2, '?', "dequeue", Value::Nil)];
        let drain = |value| [(3, '+', "drain", Value::Nil), (3, '=', "drain", value)];
        let queue = |steps: &[_]| kinds(&QUEUE, &script(steps), &[]);
        let total = |steps: &[_]| kinds(&TOTAL_QUEUE, &script(steps), &[]);
        let one = || take(Value::Int(1));
        assert_eq!(queue(&[one(), put('=')].concat()), ["unexpected-element"]);
        assert_eq!(queue(&[put('!'), one()].concat()), ["unexpected-element"]);
        assert_eq!(queue(&[put('?'), one()].concat()), [""; 0]);
        assert_eq!(queue(&[put('='), put('='), one(), one()].concat()), [""; 0]);
        assert_eq!(queue(&[put('='), one(), drain(ints([1]))].concat()), ["duplicated-element"]);
        assert_eq!(total(&[put('='), one(), one(), drain(ints([]))].concat()), [""; 0]);
        assert_eq!(total(&[put('='), drain(ints([1]))].concat()), [""; 0]);
        assert_eq!(total(&[put('='), drain(ints([]))].concat()), ["lost-element"]);
        assert_eq!(total(&[put('='), take(Value::Nil)].concat()), ["lost-element"]);
        assert_eq!(total(&[put('='), put('='), one(), drain(ints([]))].concat()), ["lost-element"]);
        assert_eq!(total(&[&put('=')[..], &crash, &drain(ints([]))].concat()), ["unknown"]);
        assert_eq!(total(&put('=')), ["unknown"]);
        assert_eq!(kinds(&TOTAL_QUEUE, &script(&put('=')), &[("drained", "yes")]), ["lost-element"]);
        assert_eq!(total(&[put('?'), drain(ints([]))].concat()), [""; 0]);
    }

    #[test]
    fn other_shapes_are_refused_with_their_place() {
        let drain = script(&[(0, '+', "drain", Value::Nil), (0, '=', "drain", Value::Int(1))]);
        let expected =
            "line 1, column 1: operation 0 (drain): its value is a number (1), expected a list or a set";
        assert_eq!(error(&TOTAL_QUEUE, &drain, &[]), expected);
        let peek = script(&[(0, '+', "peek", Value::Nil)]);
        let expected =
            "line 1, column 1: operation 0: `peek` is not understood, expected enqueue, dequeue or drain";
        assert_eq!(error(&QUEUE, &peek, &[]), expected);
    }
}
