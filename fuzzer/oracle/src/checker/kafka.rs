//! Logs in the manner of Kafka: messages are sent to the end of a log, have an offset there, and are polled in order.
//!
//! | kind | what was seen |
//! |---|---|
//! | `inconsistent-offsets` | one offset of a log holds two different messages |
//! | `duplicate` | a message is at more offsets of a log than it was sent to it |
//! | `lost-write` | a message was acknowledged, a later one was polled, and it never was |
//! | `aborted-read` | a message was polled whose sending had failed for certain |
//! | `unexpected-message` | a message was polled that nobody had sent until then |
//! | `precommitted-read` | a transaction polled a message that it sent itself |
//! | `int-nonmonotonic-poll`, `nonmonotonic-poll` | offsets do not grow in one operation; from one to the client's next |
//! | `int-poll-skip`, `poll-skip` | the same, where offsets that hold a message are passed over |
//! | `int-nonmonotonic-send`, `nonmonotonic-send` | the offsets of messages that one client sent do not grow |
//!
//! Operations: `send`, `poll` and `txn`, whose value is a list of `[send key value]` and `[poll]`; when they are `ok`,
//! of `[send key [offset value]]` and `[poll {key [[offset value] ...]}]`, where an offset that is not known is nil.
//! `assign` and `subscribe` of a list of keys end what is known of the client's place in all other logs, and in all of
//! them with a true field `seek-to-beginning?`. The keys of a field `rebalance-log` may be read anew within an operation.
//! `crash` and operations whose name begins with `debug` are passed over. Keys are the same when they are written the
//! same, so that `1` and `"1"` are one.
//!
//! A message whose sending ended in info may be in the log or not. What an operation that ended in info polled was
//! seen. With `subscribe` the system deals out the logs anew at any time, so that in histories that have it `poll-skip`
//! and `nonmonotonic-poll` are noted and not wrong, and so are acknowledged messages that were never polled where no
//! later one was. Cycles of transactions are not looked for: the checks of transactions do that.
//!
//! n log n in the number of messages sent and polled. Source: Jepsen's `tests/kafka`, Maelstrom's workload `kafka`. Unlike
//! there, an operation that failed has polled nothing.

mod decode;

use super::shape::{at_ns, by_key, evidence, is_ok, of_key, some};
use crate::check::{Check, Holds};
use crate::example::Example;
use crate::model::intern::Interner;
use crate::op::Outcome;
use crate::raw::{Error, Op, ops};
use crate::value::Value;
use crate::verdict::Judgement;
use decode::{Action, Keys, action};
use std::collections::{BTreeMap, BTreeSet};

/// The check `kafka`.
pub const CHECK: Check = Check {
    name: "kafka",
    about: "messages that are sent to logs are polled in order, once, and are not lost",
    example: Example {
        settings: &[],
        history: &[
            "0 :invoke :send [[:send x 1]]",
            "0 :ok :send [[:send x [4 1]]]",
            "0 :invoke :send [[:send x 2]]",
            "0 :ok :send [[:send x [5 2]]]",
            "0 :invoke :send [[:send x 3]]",
            "0 :ok :send [[:send x [6 3]]]",
            "2 :invoke :poll [[:poll]]",
            "2 :ok :poll [[:poll {x [[4 1] [5 2] [6 3]]}]]",
            "1 :invoke :poll [[:poll]]",
            "1 :ok :poll [[:poll {x [[4 1] [6 3]]}]]",
        ],
        finds: "kafka/int-poll-skip",
    },
    options: &[],
    holds: Holds::History,
    run: |source, _| judge(&ops(source)?),
};

/// Judges sends and polls.
///
/// # Errors
/// An operation is of another kind, or its value of another shape.
pub fn judge(ops: &[Op]) -> Result<Judgement, Error> {
    let mut judgement = Judgement::new(CHECK.name);
    for (key, ops) in by_key(ops) {
        let mut logs = Logs::default();
        // operations are taken apart twice: together, what they polled is far longer than the history
        for op in &ops {
            let action = action(op, &mut logs.keys)?;
            logs.add(op, &action);
        }
        logs.contents(&mut judgement);
        logs.lost(&mut judgement);
        logs.orders(&ops, &mut judgement)?;
        let polled = logs.messages.iter().filter(|message| message.polled.is_some()).count();
        judgement.note(format!("{} messages{}, {polled} of them polled", logs.messages.len(), of_key(key)));
    }
    Ok(judgement)
}

/// What is known of a message of one log.
#[derive(Default)]
struct Message<'a> {
    /// How often it may have been sent.
    attempts: usize,
    /// The first operation that may have sent it, else one that failed to.
    sent: Option<&'a Op>,
    /// An operation that was acknowledged, with the offset that it gave.
    acknowledged: Option<(&'a Op, Option<i64>)>,
    /// Where it was sent to or polled from, ascending; most often in one place.
    offsets: Vec<i64>,
    /// The first operation that polled it.
    polled: Option<&'a Op>,
}

/// All logs of a history.
#[derive(Default)]
struct Logs<'a> {
    keys: Keys<'a>,
    /// Messages by log and value.
    numbers: Interner<(u32, &'a Value)>,
    messages: Vec<Message<'a>>,
    /// The values at each offset of each log, with the operation that first showed it.
    offsets: BTreeMap<(u32, i64), Vec<(&'a Value, &'a Op)>>,
}

impl<'a> Logs<'a> {
    fn add(&mut self, op: &'a Op, action: &Action<'a>) {
        let Action::Messages { sends, polls, .. } = action else { return };
        for send in sends {
            let message = self.message(send.log, send.value);
            let is_failed = op.outcome == Outcome::Fail;
            if message.sent.is_none() || (message.attempts == 0 && !is_failed) {
                message.sent = Some(op);
            }
            message.attempts += usize::from(!is_failed);
            if is_ok(op) {
                message.acknowledged.get_or_insert((op, send.offset));
                self.place(send.log, send.offset, send.value, op);
            }
        }
        for poll in polls {
            let message = self.message(poll.log, poll.value);
            if message.polled.is_none_or(|first| op.complete < first.complete) {
                message.polled = Some(op);
            }
            self.place(poll.log, poll.offset, poll.value, op);
        }
    }

    fn message(&mut self, log: u32, value: &'a Value) -> &mut Message<'a> {
        let number = self.numbers.number((log, value)) as usize;
        if number == self.messages.len() {
            self.messages.push(Message::default());
        }
        &mut self.messages[number]
    }

    /// A message that was met before is there.
    fn place(&mut self, log: u32, offset: Option<i64>, value: &'a Value, op: &'a Op) {
        let Some(offset) = offset else { return };
        let offsets = &mut self.message(log, value).offsets;
        if let Err(at) = offsets.binary_search(&offset) {
            offsets.insert(at, offset);
            self.offsets.entry((log, offset)).or_default().push((value, op));
        }
    }

    /// All messages, by log and value.
    fn sorted(&self) -> Vec<((u32, &'a Value), &Message<'a>)> {
        let numbered = (0..).zip(&self.messages);
        let mut sorted: Vec<_> = numbered.map(|(at, message)| (*self.numbers.item(at), message)).collect();
        sorted.sort_unstable_by_key(|(name, _)| *name);
        sorted
    }

    /// What is at the offsets, and where it came from.
    fn contents(&self, judgement: &mut Judgement) {
        for ((log, offset), there) in &self.offsets {
            let [(one, first), (other, second), ..] = there[..] else { continue };
            let summary = format!("offset {offset} of {} holds {one} and {other}", self.keys.name(*log));
            let at = at_ns(first).max(at_ns(second));
            judgement.violation("inconsistent-offsets", at, summary, evidence(&[first, second], []));
        }
        for ((log, value), message) in self.sorted() {
            let name = self.keys.name(log);
            if message.offsets.len() > message.attempts.max(1) {
                let summary = format!(
                    "{value} is at offsets {} of {name}, and was sent {} times at most",
                    some(&message.offsets),
                    message.attempts
                );
                let shows = |offset: &i64| {
                    let there = self.offsets.get(&(log, *offset))?;
                    there.iter().find(|(other, _)| *other == value).map(|(_, op)| *op)
                };
                let ops: Vec<&Op> = message.offsets.iter().take(4).filter_map(shows).collect();
                let at = ops.iter().map(|op| at_ns(op)).max().unwrap_or_default();
                judgement.violation("duplicate", at, summary, evidence(&ops, []));
            }
            let Some(polled) = message.polled else { continue };
            let ops: Vec<&Op> = message.sent.into_iter().chain([polled]).collect();
            let (kind, summary) = match message.sent {
                Some(_) if message.attempts == 0 => {
                    ("aborted-read", format!("{value} was polled from {name}, and sending it had failed"))
                }
                Some(sent) if Some(sent.invoke) < polled.complete => continue,
                _ => {
                    ("unexpected-message", format!("{value} was polled from {name}, and nobody had sent it"))
                }
            };
            judgement.violation(kind, at_ns(polled), summary, evidence(&ops, []));
        }
    }

    /// Acknowledged messages that nobody polled.
    fn lost(&self, judgement: &mut Judgement) {
        // The highest offset of each log that was polled.
        let mut bounds: BTreeMap<u32, (i64, &Op)> = BTreeMap::new();
        let sorted = self.sorted();
        for ((log, _), message) in &sorted {
            let (Some(op), Some(highest)) = (message.polled, message.offsets.last()) else { continue };
            let bound = bounds.entry(*log).or_insert((*highest, op));
            if *highest > bound.0 {
                *bound = (*highest, op);
            }
        }
        let (mut lost, mut unseen) = (Vec::new(), 0);
        for ((log, value), message) in &sorted {
            let (Some((op, offset)), None) = (message.acknowledged, message.polled) else { continue };
            match (offset, bounds.get(log)) {
                (Some(offset), Some((bound, later))) if offset < *bound => {
                    lost.push((op.complete, *log, *value, offset, op, *later));
                }
                _ => unseen += 1,
            }
        }
        if unseen > 0 {
            judgement.note(format!("{unseen} acknowledged messages were never polled, nor any after them"));
        }
        if let Some((_, log, value, offset, op, later)) = lost.iter().min_by_key(|one| one.0) {
            let name = self.keys.name(*log);
            let summary = format!(
                "{value} was acknowledged at offset {offset} of {name} and never polled, though a later one was"
            );
            let all = format!("{} messages are lost: {}", lost.len(), some(lost.iter().map(|one| one.2)));
            judgement.violation("lost-write", at_ns(later), summary, evidence(&[op, later], [all]));
        }
    }

    /// The orders in which each client sent and polled.
    fn orders(&mut self, ops: &[&'a Op], judgement: &mut Judgement) -> Result<(), Error> {
        let is_dealt = ops.iter().any(|op| op.f == "subscribe");
        let mut polled: BTreeMap<(u64, u32), (i64, &Op)> = BTreeMap::new();
        let mut sent: BTreeMap<(u64, u32), (i64, &Op)> = BTreeMap::new();
        let mut dealt = 0;
        for op in ops {
            let action = action(op, &mut self.keys)?;
            match &action {
                Action::Other => {}
                Action::Assign { logs, is_rewound } => {
                    if op.outcome != Outcome::Fail {
                        let keeps = |log: &u32| !is_rewound && logs.contains(log);
                        polled.retain(|(process, log), _| *process != op.process || keeps(log));
                    }
                }
                Action::Messages { sends, polls, rebalanced } => {
                    let mut within: BTreeMap<u32, i64> = BTreeMap::new();
                    for send in sends.iter().filter(|_| is_ok(op)) {
                        let Some(offset) = send.offset else { continue };
                        let before = within.insert(send.log, offset);
                        let other = sent.insert((op.process, send.log), (offset, op));
                        if let Some(before) = before.filter(|before| *before >= offset) {
                            self.report(
                                "int-nonmonotonic-send",
                                send.log,
                                (before, op),
                                (offset, op),
                                judgement,
                            );
                        } else if let Some(other) =
                            other.filter(|other| before.is_none() && other.0 >= offset)
                        {
                            self.report("nonmonotonic-send", send.log, other, (offset, op), judgement);
                        }
                        if within.get(&send.log) > Some(&offset) {
                            within.insert(send.log, offset);
                        }
                    }
                    self.own_messages(op, &action, judgement);
                    let mut within: BTreeMap<u32, i64> = BTreeMap::new();
                    for poll in polls {
                        let Some(offset) = poll.offset else { continue };
                        let log = poll.log;
                        let before = within.insert(log, offset);
                        let (kinds, before) = match (before, polled.get(&(op.process, log))) {
                            (Some(before), _) if rebalanced.contains(&log) => ("", (before, *op)),
                            (Some(before), _) => ("int-", (before, *op)),
                            (None, Some(other)) => ("", *other),
                            (None, None) => continue,
                        };
                        let is_excused = rebalanced.contains(&log) && before.1.invoke == op.invoke;
                        let is_skip = before.0.saturating_add(1) < offset
                            && self.between(log, before.0, offset).next().is_some();
                        if is_excused || (before.0 < offset && !is_skip) {
                            continue;
                        }
                        if is_dealt && kinds.is_empty() {
                            dealt += 1;
                            continue;
                        }
                        let kind =
                            format!("{kinds}{}", if is_skip { "poll-skip" } else { "nonmonotonic-poll" });
                        self.report(&kind, log, before, (offset, op), judgement);
                    }
                    if is_ok(op) {
                        polled.extend(
                            within.into_iter().map(|(log, offset)| ((op.process, log), (offset, *op))),
                        );
                    }
                }
            }
        }
        if dealt > 0 {
            judgement.note(format!("{dealt} polls went back or skipped messages, as `subscribe` allows"));
        }
        Ok(())
    }

    /// Messages that an operation polled though it sent them itself.
    fn own_messages(&self, op: &Op, action: &Action<'_>, judgement: &mut Judgement) {
        let Action::Messages { sends, polls, .. } = action else { return };
        if sends.is_empty() || polls.is_empty() {
            return;
        }
        let own: BTreeSet<(u32, &Value)> = sends.iter().map(|send| (send.log, send.value)).collect();
        if let Some(poll) = polls.iter().find(|poll| own.contains(&(poll.log, poll.value))) {
            let name = self.keys.name(poll.log);
            let summary = format!("a transaction polled {} from {name}, which it sent itself", poll.value);
            judgement.violation("precommitted-read", at_ns(op), summary, evidence(&[op], []));
        }
    }

    /// The offsets of a log that hold a message, between two others.
    fn between(&self, log: u32, from: i64, to: i64) -> impl Iterator<Item = i64> + '_ {
        let from = from.saturating_add(1).min(to);
        self.offsets.range((log, from)..(log, to)).map(|((_, offset), _)| *offset)
    }

    fn report(&self, kind: &str, log: u32, from: (i64, &Op), to: (i64, &Op), judgement: &mut Judgement) {
        let ((before, one), (after, other)) = (from, to);
        let name = self.keys.name(log);
        let what = if kind.ends_with("send") { "sent" } else { "polled" };
        let mut summary = format!("{} {what} offset {after} of {name} after {before}", other.who());
        if kind.ends_with("skip") {
            summary.push_str(&format!(", and not {}", some(self.between(log, before, after))));
        }
        judgement.violation(kind, at_ns(other), summary, evidence(&[one, other], []));
    }
}

#[cfg(test)]
mod tests;
