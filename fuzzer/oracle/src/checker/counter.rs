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
//! up the sum is not searched for. Linear in the number of operations, of which it holds those that are open and what
//! happened since the first of them began: an operation that is left open for long makes it hold much.
//!
//! Source: Jepsen's `checker/counter`, whose bounds these are where nothing is subtracted; with subtractions the lower
//! bound has all that may have been subtracted, and the upper bound what certainly was.

use super::shape::{at_ns, evidence, int, is_ok, not_understood, of_key};
use crate::check::{Check, Holds, Source};
use crate::example::Example;
use crate::op::Outcome;
use crate::raw::{Error, Op, Pairing, Step};
use crate::value::Value;
use crate::verdict::Judgement;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

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
    holds: Holds::Open,
    run: |source, _| judge(source),
};

/// What happens, in the order of entries.
enum Event {
    /// An addition may count from here, unless it turns out to have failed; what became of it.
    May(i64, Fate),
    /// It counts for certain.
    Must(i64),
    /// The read with this invocation begins.
    Begin(u64),
    /// It ends with this answer.
    End(Box<Op>, i64),
    /// It ends without one.
    Gone(u64),
}

/// What is known of an addition.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Open,
    Failed,
    Counts,
}

/// The highest answer so far, and the read that was given it.
type Highest = Option<(i64, Rc<Op>)>;

/// Judges additions and reads.
///
/// # Errors
/// What cannot be read, an operation of another kind, or a value that is no whole number.
pub fn judge(source: &mut Source<'_>) -> Result<Judgement, Error> {
    let mut counters: BTreeMap<Option<Value>, Counter> = BTreeMap::new();
    let mut pairing = Pairing::default();
    for entry in source {
        match pairing.step(entry?)? {
            Step::Other(_) => {}
            Step::Begun(op) => of(&mut counters, op).begin(op)?,
            Step::Ended(op) => of(&mut counters, &op).end(op)?,
        }
    }
    // what never ended may count
    for op in pairing.finish() {
        of(&mut counters, &op).end(op)?;
    }
    let mut judgement = Judgement::new(CHECK.name);
    counters.into_iter().for_each(|(key, counter)| judgement.append(counter.finish(key.as_ref())));
    Ok(judgement)
}

fn of<'a>(counters: &'a mut BTreeMap<Option<Value>, Counter>, op: &Op) -> &'a mut Counter {
    if !counters.contains_key(&op.key) {
        counters.insert(op.key.clone(), Counter::default());
    }
    counters.get_mut(&op.key).expect("it was put there")
}

/// One counter. What happens waits in a queue until it is known of all additions before it whether they failed.
struct Counter {
    waiting: VecDeque<Event>,
    /// How many went through the queue.
    passed: u64,
    /// Places in the queue of additions that are open, by invocation.
    open: BTreeMap<u64, u64>,
    may: Sums,
    must: Sums,
    /// For each read that is open: what was certain when it began, and the read with the highest answer by then.
    begun: BTreeMap<u64, (Sums, Highest)>,
    highest: Highest,
    /// Something was subtracted.
    sinks: bool,
    reads: u64,
    judgement: Judgement,
    /// What is wrong if nothing was subtracted.
    back: Judgement,
}

impl Default for Counter {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            passed: 0,
            open: BTreeMap::new(),
            may: Sums::default(),
            must: Sums::default(),
            begun: BTreeMap::new(),
            highest: None,
            sinks: false,
            reads: 0,
            judgement: Judgement::new(CHECK.name),
            back: Judgement::new(CHECK.name),
        }
    }
}

impl Counter {
    fn begin(&mut self, op: &Op) -> Result<(), Error> {
        match op.f.as_str() {
            "add" | "increment" => {
                self.open.insert(op.invoke, self.passed + self.waiting.len() as u64);
                self.waiting.push_back(Event::May(amount(op)?, Fate::Open));
            }
            "read" => self.waiting.push_back(Event::Begin(op.invoke)),
            _ => return Err(not_understood(op, "add, increment or read")),
        }
        Ok(())
    }

    fn end(&mut self, op: Op) -> Result<(), Error> {
        if let Some(place) = self.open.remove(&op.invoke) {
            if let Some(Event::May(_, fate)) = self.waiting.get_mut((place - self.passed) as usize) {
                *fate = if op.outcome == Outcome::Fail { Fate::Failed } else { Fate::Counts };
            }
            if is_ok(&op) {
                self.waiting.push_back(Event::Must(amount(&op)?));
            }
        } else if is_ok(&op) {
            let answer = int(&op, op.value())?;
            self.waiting.push_back(Event::End(Box::new(op), answer));
        } else {
            self.waiting.push_back(Event::Gone(op.invoke));
        }
        while !matches!(self.waiting.front(), None | Some(Event::May(_, Fate::Open))) {
            self.passed += 1;
            self.waiting.pop_front().into_iter().for_each(|event| self.happen(event));
        }
        Ok(())
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::May(_, Fate::Open | Fate::Failed) => {}
            Event::May(number, Fate::Counts) => {
                self.sinks |= number < 0;
                self.may.add(number);
            }
            Event::Must(number) => self.must.add(number),
            Event::Begin(read) => {
                self.begun.insert(read, (self.must, self.highest.clone()));
            }
            Event::End(op, answer) => self.read(*op, answer),
            Event::Gone(read) => {
                self.begun.remove(&read);
            }
        }
    }

    fn read(&mut self, op: Op, answer: i64) {
        let Some((certain, before)) = self.begun.remove(&op.invoke) else { return };
        self.reads += 1;
        let low = certain.above + self.may.below;
        let high = self.may.above + certain.below;
        let sum = || format!("{answer}{} was read", of_key(op.key.as_ref()));
        if i128::from(answer) < low {
            let what = format!("{}, at least {low} must be there", sum());
            self.judgement.violation("too-low", at_ns(&op), what, evidence(&[&op], []));
        } else if i128::from(answer) > high {
            let what = format!("{}, at most {high} can be there", sum());
            self.judgement.violation("too-high", at_ns(&op), what, evidence(&[&op], []));
        } else if let Some((most, other)) = before.filter(|(most, _)| !self.sinks && answer < *most) {
            let what = format!("{} after {most}, and nothing is subtracted", sum());
            self.back.violation("went-back", at_ns(&op), what, evidence(&[&other, &op], []));
        } else if self.highest.as_ref().is_none_or(|(highest, _)| *highest <= answer) {
            self.highest = Some((answer, Rc::new(op)));
        }
    }

    fn finish(mut self, key: Option<&Value>) -> Judgement {
        if !self.sinks {
            self.judgement.append(self.back);
        }
        self.judgement.note(format!("{} reads{} were judged", self.reads, of_key(key)));
        self.judgement
    }
}

/// What is added.
fn amount(op: &Op) -> Result<i64, Error> {
    match op.asked {
        Value::Nil if op.f == "increment" => Ok(1),
        _ => int(op, &op.asked),
    }
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
    fn only_what_is_open_is_held() {
        let (mut pairing, mut counter) = (Pairing::default(), Counter::default());
        let mut most = 0;
        for entry in history(1, -9).into_iter().chain((0..50).flat_map(|seed| {
            history(seed, 0).into_iter().map(move |mut entry| {
                entry.index += 1_000_000 * (seed + 1);
                if let crate::raw::Process::Client(process) = &mut entry.process {
                    *process += 1_000_000 * (seed + 1);
                }
                entry
            })
        })) {
            match pairing.step(entry).unwrap() {
                Step::Other(_) => {}
                Step::Begun(op) => counter.begin(op).unwrap(),
                Step::Ended(op) => counter.end(op).unwrap(),
            }
            most = most.max(counter.waiting.len() + counter.begun.len() + counter.open.len());
        }
        assert!(counter.reads > 1_500 && most < 100, "{most} of {} reads", counter.reads);
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
