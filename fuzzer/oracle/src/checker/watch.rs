//! Watches: each who watches a key is told every change of it once, in the order of revisions.
//!
//! | kind | what was seen |
//! |---|---|
//! | `missed-change` | an answer passes over a revision at which the key was changed |
//! | `out-of-order` | the revisions of an answer do not grow, or begin below the one that it was to begin at |
//! | `two-values` | one revision has two values: those who watch, or who wrote, were told different things |
//! | `repeated-change` | a value is at more revisions than it was written times |
//! | `unwritten-change` | an answer holds a value that nobody had written until then, or whose writing had failed |
//! | `lost-change` | an answer that must be whole (see `final-from`) ends before a change that was acknowledged |
//! | `revision-went-back` | a write began after another had been acknowledged and was given a lower revision |
//!
//! Operations: `write` of a value, each written once, whose `ok` value is `[revision value]` (any other leaves the
//! revision unknown); `watch`, whose `ok` value is `{from, events}`: all that happened from the revision `from` to that
//! of the last event, each event `[revision value]`. Without `from` it begins with its first event. Who watches on
//! after a lost connection asks from the revision after the last that it saw, so nothing falls between two answers.
//!
//! What was changed is known from acknowledged writes and from all answers; a write whose end is unknown may have been
//! made or not. How soon a change is told is not judged, but for watches that were asked in the end, from the entry
//! `final-from` on: they tell all that had been acknowledged before they were asked. n log n in the number of events. Source: etcd's "KV API guarantees" for watches: ordered, unique, reliable, atomic, resumable.

use super::shape::{
    at_ns, by_key, elements, evidence, int, is_ok, not_understood, of_key, some, wrong_value,
};
use crate::check::{Check, Holds, Options, Setting};
use crate::example::Example;
use crate::op::Outcome;
use crate::raw::{Error, Op, ops};
use crate::value::Value;
use crate::verdict::Judgement;
use std::collections::{BTreeMap, BTreeSet};

/// The check `watch`.
pub const CHECK: Check = Check {
    name: "watch",
    about: "a `watch` tells all changes made by `write`, once, in the order of their revisions",
    example: Example {
        settings: &[],
        history: &[
            "0 :invoke :write 5",
            "0 :ok :write [2 5]",
            "0 :invoke :write 7",
            "0 :ok :write [3 7]",
            "0 :invoke :write 9",
            "0 :ok :write [4 9]",
            "1 :invoke :watch nil",
            "1 :ok :watch {:from 2, :events [[2 5] [4 9]]}",
        ],
        finds: "watch/missed-change",
    },
    options: &[Setting {
        name: "final-from",
        about: "the index of an entry: watches asked from there on must tell all that was acknowledged before them",
    }],
    holds: Holds::History,
    run: |source, options| judge(&ops(source)?, options),
};

/// Judges watches and writes.
///
/// # Errors
/// An operation is of another kind, or its value of another shape; a setting cannot be read.
pub fn judge(ops: &[Op], options: &Options) -> Result<Judgement, Error> {
    let final_from = options.number("final-from")?.unwrap_or(u64::MAX);
    let mut judgement = Judgement::new(CHECK.name);
    for (key, ops) in by_key(ops) {
        let changes = Changes::of(key, &ops)?;
        changes.origins(&mut judgement);
        changes.answers(&mut judgement);
        changes.ends(final_from, &mut judgement);
        changes.times(&mut judgement);
        let told = changes.seen.values().filter(|seen| seen.told.is_some()).count();
        let note = format!("{} changes{}, {told} of them told", changes.seen.len(), of_key(key));
        judgement.note(note);
    }
    Ok(judgement)
}

/// What is known of a value.
#[derive(Default)]
struct Seen<'a> {
    /// The first operation that may have written it, else one that failed to.
    written: Option<&'a Op>,
    /// How often it may have been written.
    attempts: usize,
    /// Where it was.
    revisions: BTreeSet<i64>,
    /// The watch that told it first.
    told: Option<&'a Op>,
}

/// A watch that was answered.
struct Answer<'a> {
    op: &'a Op,
    from: Option<i64>,
    events: Vec<(i64, &'a Value)>,
}

/// All changes of one key.
struct Changes<'a> {
    key: Option<&'a Value>,
    seen: BTreeMap<&'a Value, Seen<'a>>,
    /// The values at each revision, with the operation that first showed it.
    revisions: BTreeMap<i64, Vec<(&'a Value, &'a Op)>>,
    /// Writes whose revision is known.
    placed: Vec<(i64, &'a Op)>,
    answers: Vec<Answer<'a>>,
}

impl<'a> Changes<'a> {
    fn of(key: Option<&'a Value>, ops: &[&'a Op]) -> Result<Self, Error> {
        let mut changes = Self {
            key,
            seen: BTreeMap::new(),
            revisions: BTreeMap::new(),
            placed: Vec::new(),
            answers: Vec::new(),
        };
        for op in ops {
            match op.f.as_str() {
                "write" => changes.write(op),
                "watch" if is_ok(op) => changes.watch(op)?,
                "watch" => {}
                _ => return Err(not_understood(op, "write or watch")),
            }
        }
        Ok(changes)
    }

    fn write(&mut self, op: &'a Op) {
        let seen = self.seen.entry(&op.asked).or_default();
        let is_failed = op.outcome == Outcome::Fail;
        if seen.written.is_none() || (seen.attempts == 0 && !is_failed) {
            seen.written = Some(op);
        }
        seen.attempts += usize::from(!is_failed);
        if let (true, Some([Value::Int(revision), _])) = (is_ok(op), op.value().as_elements()) {
            self.placed.push((*revision, op));
            self.place(*revision, &op.asked, op);
        }
    }

    fn watch(&mut self, op: &'a Op) -> Result<(), Error> {
        let refuse = |value| wrong_value(op, value, "{from, events}, each event [revision value]");
        let from = match op.value().get("from") {
            None | Some(Value::Nil) => None,
            Some(from) => Some(int(op, from)?),
        };
        let mut events = Vec::new();
        let told = op.value().get("events").ok_or_else(|| refuse(op.value()))?;
        for event in elements(op, told)? {
            let Some([revision, value]) = event.as_elements() else { return Err(refuse(event)) };
            let revision = int(op, revision)?;
            events.push((revision, value));
            self.place(revision, value, op);
            let seen = self.seen.entry(value).or_default();
            if seen.told.is_none_or(|first| op.complete < first.complete) {
                seen.told = Some(op);
            }
        }
        self.answers.push(Answer { op, from, events });
        Ok(())
    }

    fn place(&mut self, revision: i64, value: &'a Value, op: &'a Op) {
        self.seen.entry(value).or_default().revisions.insert(revision);
        let there = self.revisions.entry(revision).or_default();
        if !there.iter().any(|(other, _)| *other == value) {
            there.push((value, op));
        }
    }

    /// Where each change came from, and that it is one.
    fn origins(&self, judgement: &mut Judgement) {
        let of_key = of_key(self.key);
        for (revision, there) in &self.revisions {
            let [(one, first), (other, second), ..] = there[..] else { continue };
            let what = format!("revision {revision}{of_key} is {one} and {other}");
            let at = at_ns(first).max(at_ns(second));
            judgement.violation("two-values", at, what, evidence(&[first, second], []));
        }
        for (value, seen) in &self.seen {
            if seen.revisions.len() > seen.attempts.max(1) {
                let (revisions, attempts) = (some(&seen.revisions), seen.attempts);
                let what = format!(
                    "{value}{of_key} is at revisions {revisions}, and was written {attempts} times at most"
                );
                let shows = |revision: &i64| {
                    let there = self.revisions.get(revision)?;
                    there.iter().find(|(other, _)| other == value).map(|(_, op)| *op)
                };
                let ops: Vec<&Op> = seen.revisions.iter().take(4).filter_map(shows).collect();
                let at = ops.iter().map(|op| at_ns(op)).max().unwrap_or_default();
                judgement.violation("repeated-change", at, what, evidence(&ops, []));
            }
            let Some(told) = seen.told else { continue };
            let ops: Vec<&Op> = seen.written.into_iter().chain([told]).collect();
            let what = match seen.written {
                Some(_) if seen.attempts == 0 => {
                    format!("{value}{of_key} was told, and writing it had failed")
                }
                Some(written) if Some(written.invoke) < told.complete => continue,
                _ => format!("{value}{of_key} was told, and nobody had written it"),
            };
            judgement.violation("unwritten-change", at_ns(told), what, evidence(&ops, []));
        }
    }

    /// Each answer against all changes that are known.
    fn answers(&self, judgement: &mut Judgement) {
        let of_key = of_key(self.key);
        for Answer { op, from, events } in &self.answers {
            let (Some(first), Some(last)) = (events.first(), events.last()) else { continue };
            let mut before = from.map(|from| from.saturating_sub(1));
            for (revision, _) in events {
                if let Some(before) = before.filter(|before| before >= revision) {
                    let what = format!("{} was told revision {revision}{of_key} after {before}", op.who());
                    judgement.violation("out-of-order", at_ns(op), what, evidence(&[op], []));
                }
                before = Some(*revision);
            }
            let told: BTreeSet<i64> = events.iter().map(|(revision, _)| *revision).collect();
            let range = from.unwrap_or(first.0)..=last.0.max(from.unwrap_or(first.0));
            let mut missed =
                self.revisions.range(range).filter(|(revision, _)| !told.contains(revision)).peekable();
            let Some((revision, [(value, shown), ..])) = missed.peek().map(|(at, all)| (**at, &all[..]))
            else {
                continue;
            };
            let what = format!("{} was not told revision {revision}{of_key}, which is {value}", op.who());
            let all = format!("it passed over {}", some(missed.map(|(revision, _)| revision)));
            judgement.violation("missed-change", at_ns(op), what, evidence(&[shown, op], [all]));
        }
    }

    /// Final answers against all that had been acknowledged.
    fn ends(&self, final_from: u64, judgement: &mut Judgement) {
        let of_key = of_key(self.key);
        for Answer { op, from, events } in self.answers.iter().filter(|answer| answer.op.invoke >= final_from)
        {
            let Some(from) = *from else { continue };
            let end = events.last().map_or(from, |(revision, _)| revision.saturating_add(1)).max(from);
            let is_due = |write: &Op| write.complete < Some(op.invoke);
            let lost = self.placed.iter().filter(|(revision, write)| *revision >= end && is_due(write));
            let Some((revision, written)) = lost.clone().min_by_key(|(revision, _)| *revision) else {
                continue;
            };
            let what = format!(
                "revision {revision}{of_key}, which is {}, was acknowledged, and {} was not told it in the end",
                written.asked,
                op.who()
            );
            let revisions: BTreeSet<i64> = lost.map(|(revision, _)| *revision).collect();
            let all = format!("not told: {}", some(&revisions));
            judgement.violation("lost-change", at_ns(op), what, evidence(&[written, op], [all]));
        }
    }

    /// Revisions against real time.
    fn times(&self, judgement: &mut Judgement) {
        let mut begun: Vec<(i64, &Op)> = self.placed.clone();
        begun.sort_by_key(|(_, op)| op.invoke);
        let mut ended: Vec<(i64, &Op)> = self.placed.clone();
        ended.sort_by_key(|(_, op)| op.complete);
        let mut ended = ended.into_iter().peekable();
        let mut highest: Option<(i64, &Op)> = None;
        for (revision, op) in begun {
            while let Some((other, by)) = ended.next_if(|(_, by)| by.complete < Some(op.invoke)) {
                if highest.is_none_or(|(most, _)| most < other) {
                    highest = Some((other, by));
                }
            }
            if let Some((most, earlier)) = highest.filter(|(most, _)| *most > revision) {
                let of_key = of_key(self.key);
                let what = format!(
                    "a write was given revision {revision}{of_key} after one was acknowledged at {most}"
                );
                judgement.violation("revision-went-back", at_ns(op), what, evidence(&[earlier, op], []));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::simulation::{error, kinds, script};

    fn list(values: &[i64]) -> Value {
        Value::List(values.iter().copied().map(Value::Int).collect())
    }

    fn told(from: Option<i64>, events: &[[i64; 2]]) -> Value {
        let events = Value::List(events.iter().map(|event| list(event)).collect());
        let from = from.map_or(Value::Nil, Value::Int);
        Value::Map(vec![(Value::Keyword("from".into()), from), (Value::Keyword("events".into()), events)])
    }

    /// Writes one after the other, `(value, end, revision)`, then watches.
    fn judged(writes: &[(i64, char, i64)], watches: &[Value]) -> Vec<String> {
        let mut steps = Vec::new();
        for (process, (value, end, revision)) in writes.iter().enumerate() {
            let answer = if *end == '=' { list(&[*revision, *value]) } else { Value::Int(*value) };
            steps.push((process as u64, '+', "write", Value::Int(*value)));
            steps.push((process as u64, *end, "write", answer));
        }
        for (process, answer) in watches.iter().enumerate() {
            steps.push((process as u64 + 50, '+', "watch", Value::Nil));
            steps.push((process as u64 + 50, '=', "watch", answer.clone()));
        }
        kinds(&CHECK, &script(&steps), &[])
    }

    #[test]
    fn whoever_is_told_all_in_order_is_told_right() {
        let writes = [(5, '=', 2), (7, '=', 4), (9, '?', 0)];
        assert_eq!(
            judged(&writes, &[told(Some(1), &[[2, 5], [4, 7]]), told(Some(3), &[[4, 7], [6, 9]])]),
            [""; 0]
        );
        // one who is behind has missed nothing yet
        assert_eq!(judged(&writes, &[told(Some(1), &[[2, 5]]), told(Some(3), &[])]), [""; 0]);
        assert_eq!(judged(&writes, &[told(None, &[[4, 7]])]), [""; 0]);
    }

    #[test]
    fn what_is_passed_over_is_missed_by_whoever_knows_of_it() {
        let writes = [(5, '=', 2), (7, '=', 3), (9, '=', 4)];
        assert_eq!(judged(&writes, &[told(Some(1), &[[2, 5], [4, 9]])]), ["missed-change"]);
        assert_eq!(judged(&writes, &[told(Some(1), &[[3, 7], [4, 9]])]), ["missed-change"]);
        assert_eq!(judged(&writes, &[told(None, &[[3, 7], [4, 9]])]), [""; 0]);
        let unsure = [(5, '=', 2), (7, '?', 0), (9, '=', 4)];
        let both = [told(Some(1), &[[2, 5], [3, 7]]), told(Some(1), &[[2, 5], [4, 9]])];
        assert_eq!(judged(&unsure, &both), ["missed-change"]);
    }

    #[test]
    fn in_the_end_all_that_was_acknowledged_is_told() {
        let steps = |second: &[[i64; 2]]| {
            let mut steps = Vec::new();
            for (process, value) in [(0, 5), (1, 7)] {
                steps.push((process, '+', "write", Value::Int(value)));
                steps.push((process, '=', "write", list(&[value, value])));
            }
            for answer in [told(Some(1), &[[5, 5]]), told(Some(6), second)] {
                steps.push((50, '+', "watch", Value::Nil));
                steps.push((50, '=', "watch", answer));
            }
            script(&steps)
        };
        // Entries 4 and 6 ask for a watch.
        for (second, from, expected) in [
            (&[[7, 7]][..], "4", &["lost-change"][..]),
            (&[[7, 7]][..], "6", &[][..]),
            (&[][..], "6", &["lost-change"][..]),
            (&[][..], "7", &[][..]),
        ] {
            let found = kinds(&CHECK, &steps(second), &[("final-from", from)]);
            assert_eq!(found, expected, "{second:?} from {from}");
        }
        assert!(error(&CHECK, &steps(&[]), &[("final-from", "soon")]).contains("final-from"));
    }

    #[test]
    fn each_kind_has_its_history() {
        let writes = [(5, '=', 2), (7, '=', 3)];
        assert_eq!(judged(&writes, &[told(Some(1), &[[3, 7], [2, 5]])]), ["out-of-order"]);
        assert_eq!(judged(&writes, &[told(Some(3), &[[2, 5], [3, 7]])]), ["out-of-order"]);
        assert_eq!(judged(&writes, &[told(Some(1), &[[2, 5], [2, 5]])]), ["out-of-order"]);
        assert_eq!(judged(&writes[..1], &[told(Some(1), &[[2, 5], [4, 5]])]), ["repeated-change"]);
        assert_eq!(judged(&[(5, '=', 2), (7, '?', 0)], &[told(Some(1), &[[2, 7]])]), ["two-values"]);
        assert_eq!(judged(&writes[..1], &[told(Some(1), &[[2, 5], [3, 8]])]), ["unwritten-change"]);
        assert_eq!(judged(&[(5, '!', 0)], &[told(Some(1), &[[2, 5]])]), ["unwritten-change"]);
        assert_eq!(judged(&[(5, '=', 3), (7, '=', 2)], &[]), ["revision-went-back"]);
    }

    #[test]
    fn other_shapes_are_refused_with_their_place() {
        let refused = |f, value| error(&CHECK, &script(&[(0, '+', f, Value::Nil), (0, '=', f, value)]), &[]);
        let cause = refused("watch", Value::Int(3));
        assert!(
            cause.starts_with("line 1, column 1: operation 0 (watch): its value is a number (3)"),
            "{cause}"
        );
        assert!(refused("poll", Value::Nil).contains("`poll` is not understood, expected write or watch"));
    }
}
