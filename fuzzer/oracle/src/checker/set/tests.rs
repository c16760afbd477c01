use super::*;
use crate::checker::simulation::{
    Ask, PLAN, Rng, ask, completions, error, ints, judge, kinds, rng, script, simulate,
};
use crate::history::Phase;
use crate::op::Outcome;
use crate::raw::{Entry, ops as raw_ops};
use crate::value::Value;
use rand::RngExt;
use std::cell::Cell;
use std::collections::BTreeSet;

const FRESH: &[(&str, &str)] = &[("linearizable", "yes")];

#[derive(Default)]
struct Store {
    elements: Vec<Value>,
    last: Cell<i64>,
}

fn history(seed: u64) -> Vec<Entry> {
    let next = |store: &Store, _, rng: &mut Rng| match rng.random_ratio(1, 3) {
        true => ask("read", Value::Nil),
        false => {
            store.last.set(store.last.get() + 1);
            ask("add", store.last.get())
        }
    };
    let apply = |store: &mut Store, ask: &Ask| {
        if ask.f == "read" {
            return Some(Value::List(store.elements.clone()));
        }
        store.elements.push(ask.value.clone());
        Some(ask.value.clone())
    };
    simulate(PLAN, &mut rng(seed), &mut Store::default(), next, apply, vec![ask("read", Value::Nil)])
}

#[test]
fn a_set_is_right_whatever_crashes() {
    for seed in 0..200 {
        let entries = history(seed);
        assert_eq!(kinds(&SET, &entries, &[]), [""; 0]);
        assert_eq!(kinds(&SET_FULL, &entries, FRESH), [""; 0]);
    }
}

/// The rules of `set-full` as they are defined, element by element and read by read.
fn reference(entries: &[Entry]) -> Vec<String> {
    let ops = raw_ops(entries.iter().cloned().map(Ok)).unwrap();
    let reads: Vec<(&Op, Vec<&Value>)> = ops
        .iter()
        .filter(|op| op.f == "read" && op.outcome == Outcome::Ok)
        .map(|op| (op, op.value().as_elements().unwrap().iter().collect()))
        .collect();
    let mut kinds = BTreeSet::new();
    let adds: Vec<&Op> = ops.iter().filter(|op| op.f == "add").collect();
    for (read, elements) in &reads {
        for (at, element) in elements.iter().enumerate() {
            let may = |op: &&&Op| {
                op.asked == **element && op.outcome != Outcome::Fail && Some(op.invoke) < read.complete
            };
            if !adds.iter().any(|op| may(&op)) {
                kinds.insert("unexpected-element");
            }
            if elements[..at].contains(element) {
                kinds.insert("duplicated-element");
            }
        }
    }
    let all: BTreeSet<&Value> =
        adds.iter().map(|op| &op.asked).chain(reads.iter().flat_map(|(_, e)| e.iter().copied())).collect();
    for element in all {
        let acknowledged = adds
            .iter()
            .filter(|op| op.asked == *element && op.outcome == Outcome::Ok)
            .filter_map(|op| op.complete)
            .min();
        let seen = reads.iter().filter(|(_, e)| e.contains(&element)).filter_map(|(op, _)| op.complete).min();
        let Some((last, held)) = reads.last() else { continue };
        if !held.contains(&element) {
            if acknowledged.is_some_and(|known| known < last.invoke) {
                kinds.insert("acknowledged-element-lost");
            } else if seen.is_some_and(|known| known < last.invoke)
                && adds.iter().any(|op| op.asked == *element)
            {
                kinds.insert("seen-element-lost");
            }
        }
        let known = acknowledged.into_iter().chain(seen).min();
        for (at, (read, held)) in reads.iter().enumerate() {
            let must = known.is_some_and(|known| known < read.invoke);
            if must && !held.contains(&element) && reads[at + 1..].iter().any(|(_, e)| e.contains(&element)) {
                kinds.insert("stale-elements");
            }
        }
    }
    kinds.into_iter().map(str::to_owned).collect()
}

#[test]
fn spoiled_reads_are_judged_as_the_definition_does() {
    let mut found = BTreeSet::new();
    for seed in 0..600 {
        let mut entries = history(seed);
        let mut rng = rng(seed);
        let reads = completions(&entries, "read", Phase::Ok);
        for _ in 0..rng.random_range(1..4) {
            let at = reads[rng.random_range(reads.len() / 2..reads.len())];
            let Value::List(elements) = &mut entries[at].value else { panic!() };
            match rng.random_range(0..4) {
                0 => elements.push(Value::Int(rng.random_range(0..60))),
                1 | 2 if !elements.is_empty() => {
                    elements.remove(rng.random_range(0..elements.len()));
                }
                _ => elements.truncate(rng.random_range(0..=elements.len())),
            }
        }
        let expected = reference(&entries);
        let got: Vec<String> =
            kinds(&SET_FULL, &entries, FRESH).into_iter().filter(|kind| kind != "unknown").collect();
        assert_eq!(got, expected, "seed {seed}");
        found.extend(expected);
    }
    assert_eq!(found.len(), 5, "{found:?}");
}

#[test]
fn each_kind_has_its_history() {
    let add = |ends| [(0, '+', "add", Value::Int(1)), (0, ends, "add", Value::Int(1))];
    let read =
        |elements: &[i64]| [(1, '+', "read", Value::Nil), (1, '=', "read", ints(elements.iter().copied()))];
    let set = |steps: &[_]| kinds(&SET, &script(steps), &[]);
    let full = |steps: &[_]| kinds(&SET_FULL, &script(steps), FRESH);
    assert_eq!(set(&[add('='), read(&[1])].concat()), [""; 0]);
    assert_eq!(set(&[add('='), read(&[])].concat()), ["acknowledged-element-lost"]);
    assert_eq!(set(&[read(&[]), add('=')].concat()), [""; 0]);
    assert_eq!(set(&[add('!'), read(&[1])].concat()), ["unexpected-element"]);
    assert_eq!(set(&[add('='), read(&[2]), read(&[1])].concat()), [""; 0]);
    assert_eq!(set(&[add('?'), read(&[1]), read(&[])].concat()), [""; 0]);
    assert_eq!(set(&add('=')), ["unknown"]);
    assert_eq!(full(&[add('?'), read(&[1]), read(&[])].concat()), ["seen-element-lost", "unknown"]);
    assert_eq!(full(&[read(&[1]), add('='), read(&[1])].concat()), ["unexpected-element"]);
    assert_eq!(full(&[add('='), read(&[1, 1])].concat()), ["duplicated-element"]);
    assert_eq!(full(&[add('='), read(&[]), read(&[1])].concat()), ["stale-elements"]);
    let stale = script(&[add('='), read(&[]), read(&[1])].concat());
    assert_eq!(kinds(&SET_FULL, &stale, &[]), [""; 0]);
    let notes = judge(&SET_FULL, &stale, &[]).unwrap().notes;
    let expected = [
        "stale: 1 was acknowledged before the question, and the answer misses it",
        "1 of 1 elements were stable, 0 never read",
    ];
    assert_eq!(notes, expected);
}

#[test]
fn other_shapes_are_refused_with_their_place() {
    let read = script(&[(0, '+', "read", Value::Nil), (0, '=', "read", Value::Nil)]);
    let expected = "line 1, column 1: operation 0 (read): its value is nil (nil), expected a list or a set";
    assert_eq!(error(&SET, &read, &[]), expected);
    let other = script(&[(0, '+', "remove", Value::Nil)]);
    let expected = "line 1, column 1: operation 0: `remove` is not understood, expected add or read";
    assert_eq!(error(&SET_FULL, &other, &[]), expected);
}
