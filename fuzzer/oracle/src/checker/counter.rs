//! Counter: what is added is in what is read, and nothing else.
//!
//! | kind | what was seen |
//! |---|---|
//! | `too-low` | a read is below everything that was certainly added before it began, taken together |
//! | `too-high` | a read is above everything that may have been added before it ended, taken together |
//! | `went-back` | a read is below one that ended before it began, though nothing was ever subtracted |
//!
//! Operations: `add` of a whole number, which may be negative, `increment` of a number or nothing, which is one; `read`,
//! whose `ok` value is the sum. Each key is a
//! counter of its own and begins at 0. An addition counts for certain from its `ok` completion, and possibly from its
//! invocation, for ever; one that failed never counts. The bounds are necessary, not sufficient: which additions make
//! up the sum is not searched for. n log n in the number of operations.
//!
//! Source: Jepsen's `checker/counter`, whose bounds these are where nothing is subtracted; with subtractions the lower
//! bound has all that may have been subtracted, and the upper bound what certainly was.

use super::shape::{at_ns, by_key, evidence, int, is_ok, not_understood, of_key};
use crate::check::Check;
use crate::example::Example;
use crate::op::Outcome;
use crate::raw::{Error, Op, ops};
use crate::value::Value;
use crate::verdict::Judgement;

/// The check `counter`.
pub const CHECK: Check = Check {
    name: "counter",
    about: "a `read` lies between what was certainly and what was possibly added by `add` or `increment`",
    example: Example {
        settings: &[],
        history: &["0 :invoke :add 5", "0 :ok :add 5", "1 :invoke :read nil", "1 :ok :read 4"],
        finds: "counter/too-low",
    },
    options: &[],
    run: |source, _| judge(&ops(source)?),
};

/// What happens at one index.
#[derive(Clone, Copy)]
enum Event {
    /// An addition may count from here.
    May(i64),
    /// It counts for certain.
    Must(i64),
    /// A read begins.
    Begin(usize),
    /// It ends with this answer.
    End(usize, i64),
}

/// The highest answer so far, and the read that was given it.
type Highest = Option<(i64, usize)>;

/// Judges additions and reads.
///
/// # Errors
/// An operation is of another kind, or its value no whole number.
pub fn judge(ops: &[Op]) -> Result<Judgement, Error> {
    let mut judgement = Judgement::new(CHECK.name);
    for (key, ops) in by_key(ops) {
        judge_one(key, &ops, &mut judgement)?;
    }
    Ok(judgement)
}

fn judge_one(key: Option<&Value>, ops: &[&Op], judgement: &mut Judgement) -> Result<(), Error> {
    let events = events(ops)?;
    let only_grows = !events.iter().any(|(_, event)| matches!(event, Event::May(..0)));
    let (mut may, mut must) = (Sums::default(), Sums::default());
    // For each read: what was certain when it began, and the read with the highest answer that had ended by then.
    let mut begun: Vec<(Sums, Highest)> = vec![Default::default(); ops.len()];
    let mut highest: Highest = None;
    let mut reads = 0;
    for (_, event) in events {
        match event {
            Event::May(number) => may.add(number),
            Event::Must(number) => must.add(number),
            Event::Begin(read) => begun[read] = (must, highest),
            Event::End(read, answer) => {
                let (certain, before) = begun[read];
                let op = ops[read];
                reads += 1;
                let low = certain.above + may.below;
                let high = may.above + certain.below;
                let sum = format!("{}{} was read", answer, of_key(key));
                if i128::from(answer) < low {
                    let what = format!("{sum}, at least {low} must be there");
                    judgement.violation("too-low", at_ns(op), what, evidence(&[op], []));
                } else if i128::from(answer) > high {
                    let what = format!("{sum}, at most {high} can be there");
                    judgement.violation("too-high", at_ns(op), what, evidence(&[op], []));
                } else if let Some((most, other)) = before.filter(|(most, _)| only_grows && answer < *most) {
                    let what = format!("{sum} after {most}, and nothing is subtracted");
                    judgement.violation("went-back", at_ns(op), what, evidence(&[ops[other], op], []));
                } else {
                    highest = highest.max(Some((answer, read)));
                }
            }
        }
    }
    judgement.note(format!("{reads} reads{} were judged", of_key(key)));
    Ok(())
}

/// What was added and what was subtracted, apart.
#[derive(Clone, Copy, Default)]
struct Sums {
    above: i128,
    below: i128,
}

impl Sums {
    fn add(&mut self, number: i64) {
        *(if number < 0 { &mut self.below } else { &mut self.above }) += i128::from(number);
    }
}

/// All events, in the order in which they happened.
fn events(ops: &[&Op]) -> Result<Vec<(u64, Event)>, Error> {
    let mut events = Vec::with_capacity(2 * ops.len());
    for (position, op) in ops.iter().enumerate() {
        match op.f.as_str() {
            "add" | "increment" => {
                let number = match op.asked {
                    Value::Nil if op.f == "increment" => 1,
                    _ => int(op, &op.asked)?,
                };
                if op.outcome != Outcome::Fail {
                    events.push((op.invoke, Event::May(number)));
                }
                if let (Outcome::Ok, Some(complete)) = (op.outcome, op.complete) {
                    events.push((complete, Event::Must(number)));
                }
            }
            "read" => {
                if let (true, Some(complete)) = (is_ok(op), op.complete) {
                    events.push((op.invoke, Event::Begin(position)));
                    events.push((complete, Event::End(position, int(op, op.value())?)));
                }
            }
            _ => return Err(not_understood(op, "add, increment or read")),
        }
    }
    events.sort_by_key(|(index, _)| *index);
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::simulation::{Ask, PLAN, Rng, ask, completions, error, kinds, rng, script, simulate};
    use crate::history::Phase;
    use crate::raw::Entry;
    use rand::RngExt;

    fn history(seed: u64, least: i64) -> Vec<Entry> {
        let next = |_: &i64, _, rng: &mut Rng| match rng.random() {
            true => ask("read", Value::Nil),
            false => ask("add", rng.random_range(least..10)),
        };
        let apply = |sum: &mut i64, ask: &Ask| {
            *sum += ask.value.as_int().unwrap_or(0);
            Some(if ask.f == "read" { Value::Int(*sum) } else { ask.value.clone() })
        };
        simulate(PLAN, &mut rng(seed), &mut 0, next, apply, vec![ask("read", Value::Nil)])
    }

    #[test]
    fn a_counter_is_right_whether_it_sinks_or_not() {
        for seed in 0..200 {
            assert_eq!(kinds(&CHECK, &history(seed, 0), &[]), [""; 0]);
            assert_eq!(kinds(&CHECK, &history(seed, -9), &[]), [""; 0]);
        }
    }

    #[test]
    fn every_answer_out_of_bounds_is_found() {
        for seed in 0..100 {
            let mut entries = history(seed, -9);
            let reads = completions(&entries, "read", Phase::Ok);
            let at = reads[rng(seed).random_range(0..reads.len())];
            let all: i64 = completions(&entries, "add", Phase::Invoke)
                .iter()
                .map(|at| entries[*at].value.as_int().unwrap().abs())
                .sum();
            let (answer, kind) = if seed % 2 == 0 { (all + 1, "too-high") } else { (-all - 1, "too-low") };
            entries[at].value = Value::Int(answer);
            assert_eq!(kinds(&CHECK, &entries, &[]), [kind]);
        }
    }

    #[test]
    fn each_kind_has_its_history() {
        let of = |reads: [i64; 2], ends: char, delta: i64| {
            let nil = Value::Nil;
            script(&[
                (0, '+', "add", Value::Int(delta)),
                (0, ends, "add", Value::Int(delta)),
                (1, '+', "read", nil.clone()),
                (1, '=', "read", Value::Int(reads[0])),
                (1, '+', "read", nil),
                (1, '=', "read", Value::Int(reads[1])),
            ])
        };
        let judged = |reads, ends, delta| kinds(&CHECK, &of(reads, ends, delta), &[]);
        assert_eq!(judged([5, 5], '=', 5), [""; 0]);
        assert_eq!(judged([4, 5], '=', 5), ["too-low"]);
        assert_eq!(judged([5, 6], '=', 5), ["too-high"]);
        assert_eq!(judged([0, 5], '?', 5), [""; 0]);
        assert_eq!(judged([5, 0], '?', 5), ["went-back"]);
        assert_eq!(judged([0, -5], '?', -5), [""; 0]);
        assert_eq!(judged([-5, 0], '?', -5), [""; 0]);
        assert_eq!(judged([0, 5], '!', 5), ["too-high"]);
        assert_eq!(judged([0, 0], '=', -5), ["too-high"]);
        let one = |sum| {
            let steps = [(0, '+', Value::Nil), (0, '=', Value::Nil)].map(|(p, c, v)| (p, c, "increment", v));
            let read = [(1, '+', Value::Nil), (1, '=', Value::Int(sum))].map(|(p, c, v)| (p, c, "read", v));
            kinds(&CHECK, &script(&[steps, read].concat()), &[])
        };
        assert_eq!((one(1), one(0)), (Vec::<String>::new(), vec!["too-low".to_owned()]));
    }

    #[test]
    fn other_shapes_are_refused_with_their_place() {
        assert_eq!(
            error(&CHECK, &script(&[(0, '+', "add", Value::Nil)]), &[]),
            "line 1, column 1: operation 0 (add): its value is nil (nil), expected a whole number"
        );
        assert_eq!(
            error(&CHECK, &script(&[(0, '+', "cas", Value::Nil)]), &[]),
            "line 1, column 1: operation 0: `cas` is not understood, expected add, increment or read"
        );
    }
}
