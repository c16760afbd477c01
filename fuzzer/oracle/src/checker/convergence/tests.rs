use super::*;
use crate::checker::simulation::{
    Ask, PLAN, Plan, Rng, ask, completions, error, ints, kinds, map, rng, script, simulate,
};
use crate::history::Phase;
use crate::raw::Entry;
use rand::RngExt;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

/// Three replicas, each with the additions and removals it has heard of.
#[derive(Default)]
struct Store {
    /// By replica: tags of additions, with the element or number.
    added: [BTreeMap<i64, i64>; 3],
    removed: [BTreeSet<i64>; 3],
    last: Cell<i64>,
}

impl Store {
    fn gossip(&mut self) {
        for from in 0..3 {
            for to in 0..3 {
                let (added, removed) = (self.added[from].clone(), self.removed[from].clone());
                self.added[to].extend(added);
                self.removed[to].extend(removed);
            }
        }
    }

    fn there(&self, replica: usize) -> Vec<i64> {
        let left = self.added[replica].iter().filter(|(tag, _)| !self.removed[replica].contains(tag));
        left.map(|(_, element)| *element).collect()
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Sort {
    GSet,
    OrSet,
    Counter,
}

/// Clients that stay with their replicas; operations carry the replica and a tag, which go no further.
fn history(seed: u64, sort: Sort, plan: Plan) -> Vec<Entry> {
    let with = |replica: i64, tag: i64, value: i64| ints([replica, tag, value]);
    let next = |store: &Store, client: usize, rng: &mut Rng| {
        store.last.set(store.last.get() + 1);
        let (replica, tag) = (client as i64 % 3, store.last.get());
        match rng.random_range(0..4) {
            0 => ask("read", with(replica, tag, 0)),
            1 if sort == Sort::OrSet => ask("remove", with(replica, tag, rng.random_range(0..6))),
            _ if sort == Sort::OrSet => ask("add", with(replica, tag, rng.random_range(0..6))),
            _ if sort == Sort::Counter => ask("add", with(replica, tag, rng.random_range(-9..20))),
            _ => ask("add", with(replica, tag, tag)),
        }
    };
    let apply = |store: &mut Store, ask: &Ask| {
        let fields: Vec<i64> = ask.value.as_elements().unwrap().iter().map(|v| v.as_int().unwrap()).collect();
        let (replica, tag, value) = (fields[0] as usize, fields[1], fields[2]);
        match ask.f {
            "add" => {
                store.added[replica].insert(tag, value);
            }
            "remove" => {
                let seen: Vec<i64> =
                    store.added[replica].iter().filter(|(_, e)| **e == value).map(|(tag, _)| *tag).collect();
                store.removed[replica].extend(seen);
            }
            _ => {
                if tag < 0 {
                    store.gossip();
                }
                let there = store.there(replica);
                let elements: BTreeSet<i64> = there.iter().copied().collect();
                let is_counter = sort == Sort::Counter;
                return Some(if is_counter { Value::Int(there.iter().sum()) } else { ints(elements) });
            }
        }
        if tag % 5 == 0 {
            store.gossip();
        }
        Some(ask.value.clone())
    };
    let last = (0..3).map(|replica| ask("read", with(replica, -1, 0))).collect();
    let mut entries = simulate(plan, &mut rng(seed), &mut Store::default(), next, apply, last);
    let finals = entries.len() - 6;
    for (at, entry) in entries.iter_mut().enumerate() {
        if at >= finals {
            entry.process = crate::raw::Process::Client(90_000 + (at - finals) as u64 / 2);
            entry.extra = vec![("final?".into(), Value::Bool(true))];
        }
        let is_answer = entry.f == "read" && entry.phase == Phase::Ok;
        if let (Value::List(fields), false) = (&entry.value, is_answer) {
            entry.value = if entry.f == "read" { Value::Nil } else { fields[2].clone() };
        }
    }
    entries
}

#[test]
fn replicas_that_gossip_converge_whatever_crashes() {
    for seed in 0..100 {
        let sorts = [
            (Sort::GSet, &G_SET),
            (Sort::GSet, &AGREEMENT),
            (Sort::OrSet, &OR_SET),
            (Sort::Counter, &PN_COUNTER),
        ];
        for (sort, check) in sorts {
            assert_eq!(kinds(check, &history(seed, sort, PLAN), &[]), [""; 0], "{} {seed}", check.name);
        }
    }
}

#[test]
fn what_final_reads_miss_or_invent_is_found() {
    let mut found: BTreeSet<String> = BTreeSet::new();
    let plan = Plan { info_percent: 0, ..PLAN };
    for seed in 0..100 {
        let mut entries = history(seed, Sort::OrSet, plan);
        let reads = completions(&entries, "read", Phase::Ok);
        let at = reads[reads.len() - 1 - seed as usize % 3];
        let Value::List(elements) = &mut entries[at].value else { panic!() };
        // Without crashes each element is decided or must at least be the same everywhere.
        match seed % 2 {
            0 if !elements.is_empty() => {
                elements.remove(0);
            }
            _ => {
                let absent = (0..6).map(Value::Int).find(|element| !elements.contains(element));
                elements.push(absent.unwrap_or(Value::Int(99)));
            }
        }
        let one = kinds(&OR_SET, &entries, &[]);
        assert_eq!(one.len(), 1, "seed {seed}: {one:?}");
        found.extend(one);

        let mut entries = history(seed, Sort::Counter, plan);
        let at = completions(&entries, "read", Phase::Ok);
        let at = at[at.len() - 1 - seed as usize % 3];
        entries[at].value = Value::Int(entries[at].value.as_int().unwrap() + 1 - 2 * (seed as i64 % 2));
        assert_eq!(kinds(&PN_COUNTER, &entries, &[]), ["wrong-sum"]);
        assert_eq!(kinds(&AGREEMENT, &entries, &[]), ["replicas-disagree"]);
    }
    assert!(found.len() >= 3, "{found:?}");
}

#[test]
fn each_kind_of_a_growing_set_has_its_history() {
    let add = |ends| [(0, '+', "add", Value::Int(1)), (0, ends, "add", Value::Int(1))];
    let read = |process, elements: &[i64]| {
        [(process, '+', "read", Value::Nil), (process, '=', "read", ints(elements.iter().copied()))]
    };
    let of = |steps: &[_]| kinds(&G_SET, &script(steps), &[]);
    assert_eq!(of(&[add('='), read(1, &[1]), read(2, &[1])].concat()), [""; 0]);
    assert_eq!(of(&[add('='), read(1, &[1]), read(2, &[])].concat()), ["acknowledged-element-missing"]);
    assert_eq!(of(&[add('='), read(1, &[]), read(1, &[1])].concat()), [""; 0]);
    assert_eq!(of(&[add('='), read(1, &[1, 1])].concat()), ["duplicated-element"]);
    assert_eq!(of(&[add('!'), read(1, &[1])].concat()), ["unexpected-element"]);
    assert_eq!(of(&[add('?'), read(1, &[1]), read(2, &[])].concat()), ["unknown"]);
    assert_eq!(of(&add('=')), ["unknown"]);
    let unsure = script(&[add('?'), read(1, &[1]), read(2, &[])].concat());
    assert_eq!(kinds(&G_SET, &unsure, &[("settled", "yes")]), ["replicas-disagree"]);
    assert_eq!(kinds(&G_SET, &unsure, &[("settle-ms", "1000")]), ["unknown"]);
    assert_eq!(kinds(&AGREEMENT, &unsure, &[]), ["unknown"]);
    assert_eq!(kinds(&AGREEMENT, &unsure, &[("settled", "yes")]), ["replicas-disagree"]);
    let other = [(5, '+', "add", Value::Int(2)), (5, '=', "add", Value::Int(2))];
    assert_eq!(
        of(&[&add('?')[..], &read(1, &[1]), &other, &read(2, &[2])].concat()),
        ["seen-element-missing"]
    );
}

#[test]
fn each_kind_of_a_removing_set_has_its_history() {
    let change = |process, f, ends| [(process, '+', f, Value::Int(1)), (process, ends, f, Value::Int(1))];
    let read =
        |elements: &[i64]| [(7, '+', "read", Value::Nil), (7, '=', "read", ints(elements.iter().copied()))];
    let of = |steps: &[_]| kinds(&OR_SET, &script(steps), &[]);
    let (added, removed) = (change(0, "add", '='), change(0, "remove", '='));
    assert_eq!(of(&[added.clone(), removed.clone(), read(&[])].concat()), [""; 0]);
    assert_eq!(of(&[added.clone(), removed.clone(), read(&[1])].concat()), ["removed-element-present"]);
    assert_eq!(of(&[removed.clone(), added.clone(), read(&[])].concat()), ["acknowledged-element-missing"]);
    // another replica may not have heard of the addition that it removes
    assert_eq!(of(&[added.clone(), change(1, "remove", '='), read(&[1])].concat()), [""; 0]);
    assert_eq!(of(&[added.clone(), change(1, "remove", '?'), read(&[])].concat()), [""; 0]);
    assert_eq!(of(&[removed, read(&[1])].concat()), ["unexpected-element"]);
}

#[test]
fn sums_are_those_that_some_choice_makes() {
    let add = |process, ends, number| {
        [(process, '+', "add", Value::Int(number)), (process, ends, "add", Value::Int(number))]
    };
    let read = |sum| [(9, '+', "read", Value::Nil), (9, '=', "read", Value::Int(sum))];
    let of = |sum| {
        kinds(
            &PN_COUNTER,
            &script(&[add(0, '=', 10), add(1, '?', 3), add(2, '?', -5), read(sum)].concat()),
            &[],
        )
    };
    for sum in 0..20 {
        let is_right = [10, 13, 5, 8].contains(&sum);
        assert_eq!(of(sum), if is_right { vec![] } else { vec!["wrong-sum"] }, "{sum}");
    }
    let sinking = script(&add(0, '=', -1));
    let expected = "line 1, column 1: operation 0 (add): its value is a number (-1), expected a number that is not negative";
    assert_eq!(error(&G_COUNTER, &sinking, &[]), expected);
    let mut few = crate::checker::simulation::settings(&[]);
    few.steps_max = 2;
    let entries = script(&[add(1, '?', 3), add(2, '?', -5), read(1)].concat());
    let judgement = PN_COUNTER.judge(&mut entries.into_iter().map(Ok), &few).unwrap();
    assert_eq!((judgement.violations.len(), judgement.unknown.len()), (0, 1));
}

#[test]
fn values_agree_whatever_the_order_of_sets_and_maps() {
    let read = |process, value: Value| [(process, '+', "read", Value::Nil), (process, '=', "read", value)];
    let set = |numbers: [i64; 2]| Value::Set(numbers.map(Value::Int).to_vec());
    let of =
        |one: Value, other: Value| kinds(&AGREEMENT, &script(&[read(0, one), read(1, other)].concat()), &[]);
    assert_eq!(of(set([1, 2]), set([2, 1])), [""; 0]);
    assert_eq!(of(map(&[("a", 1), ("b", 2)]), map(&[("b", 2), ("a", 1)])), [""; 0]);
    assert_eq!(of(ints([1, 2]), ints([2, 1])), ["replicas-disagree"]);
}
