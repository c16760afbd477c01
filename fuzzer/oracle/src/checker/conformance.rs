//! Conformance: the system behaves as a reference, which somebody wrote as a small program in any language.
//!
//! | kind | what was seen |
//! |---|---|
//! | `unlike-the-reference` | no order of the operations makes the reference give these answers |
//!
//! The reference is sequential and keeps nothing: it is told a state and an operation, and says the next state and the
//! answer. So it can be asked for any order, and a history of many clients is judged as linearizability is (Herlihy and
//! Wing, TOPLAS 1990), with the reference for a model. Both speak in JSON lines, one question and one reply at a time:
//!
//! ```text
//! {"f":"withdraw","value":30,"state":100}        {"state":70,"value":"done"}
//! {"f":"withdraw","value":90,"state":70}         {"refused":"not enough"}
//! {"f":"balance","value":null,"state":70}        {"state":70,"value":70}
//! ```
//!
//! The state in the beginning is `null`; it may be any JSON. A reply without `value` means that any answer is right; one
//! with `refused` that the operation cannot succeed in this state. The answer of an `ok` operation must be that of the
//! reference, EDN's names and texts being the same, and its sets and maps whatever their order. Operations that failed
//! are left out; those whose end is unknown may have happened at any later time, or never. Each key has a state of its
//! own, and the field `key` says which.
//!
//! Who starts the program and carries lines to and fro is not told here: see [`Reference`]. Replies are remembered, so
//! that a question is asked once. Time is exponential in the worst case, within the budget, and about linear in histories
//! of few clients.

use super::linearizable::search::{Answer, Item, search};
use super::shape::{at_ns, by_key, evidence, is_ok, of_key};
use crate::model::Model;
use crate::model::intern::Interner;
use crate::op::Outcome;
use crate::raw::{Error, Op};
use crate::value::Value;
use crate::verdict::Judgement;
use serde_json::{Value as Json, json};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// The oracle's name.
pub const NAME: &str = "conformance";

/// How many operations before the wrong one are shown.
const BEFORE_MAX: usize = 6;

/// Whoever passes lines to a reference and back.
pub trait Reference {
    /// The reply to a question, both without the end of the line.
    ///
    /// # Errors
    /// There is none: the program has ended, or is too slow.
    fn ask(&mut self, question: &str) -> Result<String, String>;
}

/// What a reference says of an operation.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// It leads to this state, with this answer; `None`: with any.
    Done(Json, Option<Json>),
    /// It cannot succeed.
    Refused(String),
}

/// The question after an operation in a state, as a line.
#[must_use]
pub fn question(op: &Op, state: &Json) -> String {
    let mut line = json!({ "f": op.f, "value": plain(&op.asked), "state": state });
    if let Some(key) = &op.key {
        line["key"] = plain(key);
    }
    line.to_string()
}

/// What a line of the reference says.
///
/// # Errors
/// It is no object with a state, nor a refusal.
pub fn reply(line: &str) -> Result<Reply, String> {
    let wrong = |what: &str| format!("the reference replied {line:?}, {what}");
    let parsed: Json =
        serde_json::from_str(line).map_err(|error| wrong(&format!("which is no JSON: {error}")))?;
    match (parsed.get("refused"), parsed.get("state")) {
        (Some(Json::String(why)), _) => Ok(Reply::Refused(why.clone())),
        (Some(Json::Bool(true)), _) => Ok(Reply::Refused("refused".to_owned())),
        (_, Some(state)) => {
            Ok(Reply::Done(state.clone(), parsed.get("value").map(|value| in_order(value.clone()))))
        }
        _ => Err(wrong("expected an object with `state` and `value`, or with `refused`")),
    }
}

/// Judges a history by a reference, with at most `steps_max` attempts to place an operation for each key.
///
/// # Errors
/// The reference does not reply, or not as it should.
pub fn judge(ops: &[Op], reference: &mut dyn Reference, steps_max: u64) -> Result<Judgement, Error> {
    let mut judgement = Judgement::new(NAME);
    for (key, ops) in by_key(ops) {
        let ops: Vec<&Op> = ops.into_iter().filter(|op| op.outcome != Outcome::Fail).collect();
        let asking = Asking::new(&ops, reference);
        let items: Vec<Item<u32>> = ops
            .iter()
            .zip(&asking.actions)
            .map(|(op, action)| Item { action: *action, call: op.invoke, ret: op.effective_by() })
            .collect();
        let mut steps = steps_max;
        let answer = search(&asking, &items, 0..items.len(), &mut steps);
        if let Some(why) = asking.memory.borrow().trouble.clone() {
            return Err(Error::at(None, why));
        }
        match answer {
            Answer::Order(order) => {
                judgement.note(format!("{} operations{} have an order", order.len(), of_key(key)));
            }
            Answer::OutOfBudget { .. } => judgement.unknown(format!(
                "the {} operations{} could not be ordered in {steps_max} steps",
                ops.len(),
                of_key(key)
            )),
            Answer::Impossible { at, order } => {
                let Some(culprit) = (0..ops.len()).find(|op| ops[*op].complete == Some(at)) else { continue };
                let what = asking.explain(&order, culprit);
                let before = order.iter().filter(|op| **op != culprit).rev().take(BEFORE_MAX);
                let mut shown: Vec<&Op> = before.map(|op| ops[*op]).collect();
                shown.push(ops[culprit]);
                judgement.violation("unlike-the-reference", at_ns(ops[culprit]), what, evidence(&shown, []));
            }
        }
    }
    Ok(judgement)
}

/// The reference as a model: states and operations are numbers.
struct Asking<'a> {
    ops: &'a [&'a Op],
    /// For each operation a number, the same for those that ask and heard the same.
    actions: Vec<u32>,
    /// For each action an operation.
    samples: Vec<usize>,
    memory: RefCell<Memory<'a>>,
}

struct Memory<'a> {
    reference: &'a mut dyn Reference,
    states: Interner<String>,
    replies: BTreeMap<(u32, u32), Option<u32>>,
    /// Why the reference is not asked any more.
    trouble: Option<String>,
}

impl<'a> Asking<'a> {
    fn new(ops: &'a [&'a Op], reference: &'a mut dyn Reference) -> Self {
        let mut same: Interner<(&str, &Value, Option<&Value>)> = Interner::default();
        let mut samples = Vec::new();
        let mut actions = Vec::with_capacity(ops.len());
        for (position, op) in ops.iter().enumerate() {
            let action = same.number((&op.f, &op.asked, op.answered.as_ref().filter(|_| is_ok(op))));
            if action as usize == samples.len() {
                samples.push(position);
            }
            actions.push(action);
        }
        let mut states = Interner::default();
        states.number(Json::Null.to_string());
        let memory = RefCell::new(Memory { reference, states, replies: BTreeMap::new(), trouble: None });
        Self { ops, actions, samples, memory }
    }

    /// What the reference says of an operation in a state.
    fn reply(&self, state: u32, op: &Op) -> Result<Reply, String> {
        let mut memory = self.memory.borrow_mut();
        let state = memory.states.item(state).clone();
        let state = serde_json::from_str(&state).map_err(|error| error.to_string())?;
        let line = memory.reference.ask(&question(op, &state))?;
        reply(&line)
    }

    fn next(&self, state: u32, action: u32) -> Result<Option<u32>, String> {
        let op = self.ops[self.samples[action as usize]];
        let Reply::Done(next, answer) = self.reply(state, op)? else { return Ok(None) };
        let is_right = |answer: Json| !is_ok(op) || in_order(plain_like(op.value(), &answer)) == answer;
        let fits = answer.is_none_or(is_right);
        Ok(fits.then(|| self.memory.borrow_mut().states.number(next.to_string())))
    }

    /// What the reference would have said instead.
    fn explain(&self, order: &[usize], culprit: usize) -> String {
        let op = self.ops[culprit];
        let mut state = self.init();
        for before in order.iter().filter(|before| **before != culprit) {
            state = self.step(&state, &self.actions[*before]).unwrap_or(state);
        }
        let said = match self.reply(state, op) {
            Ok(Reply::Done(_, Some(answer))) => format!("the reference answers {answer}"),
            Ok(Reply::Done(_, None)) => "the reference allows it only later".to_owned(),
            Ok(Reply::Refused(why)) => format!("the reference refuses it ({why})"),
            Err(why) => why,
        };
        let state = self.memory.borrow().states.item(state).clone();
        format!("{} {} was answered with {}; in the state {state} {said}", op.f, op.asked, op.value())
    }
}

impl Model for Asking<'_> {
    type State = u32;
    type Action = u32;

    fn init(&self) -> u32 {
        0
    }

    fn step(&self, state: &u32, action: &u32) -> Option<u32> {
        if let Some(known) = self.memory.borrow().replies.get(&(*state, *action)) {
            return *known;
        }
        if self.memory.borrow().trouble.is_some() {
            return None;
        }
        let next = self.next(*state, *action);
        let mut memory = self.memory.borrow_mut();
        match next {
            Ok(next) => {
                memory.replies.insert((*state, *action), next);
                next
            }
            Err(why) => {
                memory.trouble = Some(why);
                None
            }
        }
    }
}

/// A value as JSON: names are texts, sets are arrays in order.
fn plain(value: &Value) -> Json {
    match value {
        Value::Nil => Json::Null,
        Value::Bool(truth) => json!(truth),
        Value::Int(number) => json!(number),
        Value::Number(text) => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        Value::Text(text) | Value::Keyword(text) | Value::Symbol(text) => json!(text),
        Value::List(values) => values.iter().map(plain).collect(),
        Value::Set(values) => sorted(values.iter().map(plain).collect()),
        Value::Map(pairs) => Json::Object(
            pairs
                .iter()
                .map(|(key, value)| {
                    (key.as_name().map_or_else(|| key.to_string(), str::to_owned), plain(value))
                })
                .collect(),
        ),
        Value::Tagged(tagged) => plain(&tagged.1),
    }
}

/// The same; where it is a set, an answer that is an array is compared in order as well.
fn plain_like(value: &Value, answer: &Json) -> Json {
    match (value, answer) {
        (Value::Set(_), Json::Array(answer)) => {
            let value = plain(value);
            if sorted(answer.clone()) == value { Json::Array(answer.clone()) } else { value }
        }
        _ => plain(value),
    }
}

fn sorted(mut values: Vec<Json>) -> Json {
    values.sort_by_cached_key(ToString::to_string);
    Json::Array(values)
}

/// JSON with the fields of objects in order.
fn in_order(value: Json) -> Json {
    match value {
        Json::Array(values) => values.into_iter().map(in_order).collect(),
        Json::Object(fields) => {
            let fields: BTreeMap<String, Json> =
                fields.into_iter().map(|(name, value)| (name, in_order(value))).collect();
            Json::Object(fields.into_iter().collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::simulation::{Ask, PLAN, Rng, ask, completions, rng, script, simulate};
    use crate::history::Phase;
    use crate::raw::{Entry, ops};
    use rand::RngExt;

    /// An account, as a user would write it; it counts how often it is asked.
    struct Account {
        asked: usize,
    }

    impl Reference for Account {
        fn ask(&mut self, line: &str) -> Result<String, String> {
            self.asked += 1;
            let question: Json = serde_json::from_str(line).unwrap();
            let balance = question["state"].as_i64().unwrap_or(0);
            let value = question["value"].as_i64().unwrap_or(0);
            Ok(match question["f"].as_str().unwrap() {
                "deposit" => json!({ "state": balance + value }),
                "withdraw" if value > balance => json!({ "refused": "not enough" }),
                "withdraw" => json!({ "state": balance - value, "value": balance - value }),
                "balance" => json!({ "state": balance, "value": balance }),
                _ => return Err("what is that?".to_owned()),
            }
            .to_string())
        }
    }

    fn kinds(entries: &[Entry]) -> Vec<String> {
        let ops = ops(entries.iter().cloned().map(Ok)).unwrap();
        let judgement = judge(&ops, &mut Account { asked: 0 }, 1_000_000).unwrap();
        assert!(judgement.unknown.is_empty());
        judgement.violations.into_iter().map(|violation| violation.signature).collect()
    }

    fn history(seed: u64) -> Vec<Entry> {
        let next = |_: &i64, _, rng: &mut Rng| match rng.random_range(0..3) {
            0 => ask("balance", Value::Nil),
            1 => ask("deposit", rng.random_range(1..50)),
            _ => ask("withdraw", rng.random_range(1..50)),
        };
        let apply = |balance: &mut i64, ask: &Ask| {
            let value = ask.value.as_int().unwrap_or(0);
            match ask.f {
                "deposit" => *balance += value,
                "withdraw" if value > *balance => return None,
                "withdraw" => *balance -= value,
                _ => {}
            }
            Some(if ask.f == "deposit" { Value::Keyword("done".into()) } else { Value::Int(*balance) })
        };
        simulate(PLAN, &mut rng(seed), &mut 0, next, apply, Vec::new())
    }

    #[test]
    fn an_account_conforms_and_a_wrong_balance_does_not() {
        for seed in 0..60 {
            let mut entries = history(seed);
            assert_eq!(kinds(&entries), [""; 0], "seed {seed}");
            let balances = completions(&entries, "balance", Phase::Ok);
            let at = balances[rng(seed).random_range(0..balances.len())];
            // More than everything that was ever put in.
            entries[at].value = Value::Int(100_000);
            assert_eq!(kinds(&entries), ["conformance/unlike-the-reference"], "seed {seed}");
        }
    }

    #[test]
    fn a_violation_says_what_the_reference_answers() {
        let steps = [
            (0, '+', "deposit", Value::Int(5)),
            (0, '=', "deposit", Value::Int(5)),
            (0, '+', "balance", Value::Nil),
            (0, '=', "balance", Value::Int(4)),
        ];
        let ops = ops(script(&steps).into_iter().map(Ok)).unwrap();
        let judgement = judge(&ops, &mut Account { asked: 0 }, 1_000).unwrap();
        let expected = "balance nil was answered with 4; in the state 5 the reference answers 5";
        assert_eq!(judgement.violations[0].summary, expected);
    }

    #[test]
    fn questions_are_asked_once_and_troubles_are_errors() {
        let steps: Vec<_> = (0..100)
            .flat_map(|_| [(0, '+', "balance", Value::Nil), (0, '=', "balance", Value::Int(0))])
            .collect();
        let all = ops(script(&steps).into_iter().map(Ok)).unwrap();
        let mut account = Account { asked: 0 };
        assert_eq!(judge(&all, &mut account, 1_000).unwrap().violations, []);
        // once in the state null, and once in 0
        assert_eq!(account.asked, 2);
        let unknown =
            ops(script(&[(0, '+', "close", Value::Nil), (0, '=', "close", Value::Nil)]).into_iter().map(Ok));
        let error = judge(&unknown.unwrap(), &mut account, 1_000).unwrap_err();
        assert_eq!(error.to_string(), "what is that?");
        let error = reply("{\"value\":3}").unwrap_err();
        assert!(error.ends_with("expected an object with `state` and `value`, or with `refused`"), "{error}");
    }

    #[test]
    fn names_are_texts_and_sets_have_no_order() {
        let value = Value::Map(vec![
            (Value::Keyword("b".into()), Value::Symbol("x".into())),
            (Value::text("a"), Value::Nil),
        ]);
        assert_eq!(plain(&value), json!({ "a": null, "b": "x" }));
        let set = Value::Set(vec![Value::Int(2), Value::Int(1)]);
        for answer in [json!([1, 2]), json!([2, 1])] {
            assert_eq!(plain_like(&set, &answer), answer);
        }
        assert_ne!(plain_like(&set, &json!([2])), json!([2]));
    }
}
