use super::*;
use crate::checker::simulation::{Ask, PLAN, Rng, ask, completions, error, kinds, rng, script, simulate};
use crate::history::Phase;
use crate::raw::Entry;
use rand::RngExt;
use std::cell::{Cell, RefCell};

fn word(name: &str) -> Value {
    Value::Keyword(name.into())
}

fn list(values: impl IntoIterator<Item = Value>) -> Value {
    Value::List(values.into_iter().collect())
}

fn send(log: i64, value: Value) -> Value {
    list([list([word("send"), Value::Int(log), value])])
}

fn pair(offset: i64, value: i64) -> Value {
    list([Value::Int(offset), Value::Int(value)])
}

fn poll(log: i64, pairs: &[(i64, i64)]) -> Value {
    let pairs = list(pairs.iter().map(|(offset, value)| pair(*offset, *value)));
    list([list([word("poll"), Value::Map(vec![(Value::Int(log), pairs)])])])
}

/// Two logs with gaps in their offsets, and where each client is in them.
#[derive(Default)]
struct Store {
    logs: [Vec<(i64, i64)>; 2],
    places: BTreeMap<(i64, usize), usize>,
    last: Cell<i64>,
    /// How often each consumer has asked.
    asked: RefCell<BTreeMap<i64, i64>>,
}

fn history(seed: u64) -> Vec<Entry> {
    let next = |store: &Store, client: usize, rng: &mut Rng| {
        if rng.random() {
            // The store must know which consumer polls; this goes no further.
            let mut asked = store.asked.borrow_mut();
            let number = asked.entry(client as i64).or_default();
            *number += 1;
            let value = list([list([word("poll")]), Value::Int(client as i64), Value::Int(*number)]);
            return Ask { f: "poll", key: None, value };
        }
        store.last.set(store.last.get() + 1);
        ask("send", send(rng.random_range(0..2), Value::Int(store.last.get())))
    };
    let apply = |store: &mut Store, ask: &Ask| {
        let parts = ask.value.as_elements().unwrap();
        let part = parts[0].as_elements().unwrap();
        if ask.f == "send" {
            let log = part[1].as_int().unwrap();
            let messages = &mut store.logs[log as usize];
            let value = part[2].as_int().unwrap();
            let offset = messages.last().map_or(0, |(offset, _)| offset + 1 + value % 2);
            messages.push((offset, value));
            return Some(send(log, pair(offset, value)));
        }
        let consumer = parts[1].as_int().unwrap();
        // What crashed and comes after a later poll is not served.
        if store.asked.borrow().get(&consumer).copied().unwrap_or(0) != parts[2].as_int().unwrap() {
            return None;
        }
        let mut logs = Vec::new();
        for (log, messages) in store.logs.iter().enumerate() {
            let place = store.places.entry((consumer, log)).or_default();
            let new = &messages[*place..messages.len().min(*place + 3)];
            *place += new.len();
            if !new.is_empty() {
                logs.push((
                    Value::Int(log as i64),
                    list(new.iter().map(|(offset, value)| pair(*offset, *value))),
                ));
            }
        }
        Some(list([list([word("poll"), Value::Map(logs)])]))
    };
    let mut store = Store::default();
    let polls = (0..60).map(|_| Ask {
        f: "poll",
        key: None,
        value: list([list([word("poll")]), Value::Int(-1), Value::Int(0)]),
    });
    let mut entries = simulate(PLAN, &mut rng(seed), &mut store, next, apply, polls.collect());
    // The final polls are another client's; what names the consumer goes no further.
    let last: BTreeSet<u64> = entries.iter().rev().take(120).map(|entry| entry.index).collect();
    for entry in &mut entries {
        if last.contains(&entry.index) {
            entry.process = crate::raw::Process::Client(9_999);
        }
        if let (Value::List(parts), "poll") = (&mut entry.value, entry.f.as_str()) {
            parts.truncate(1);
        }
    }
    entries
}

#[test]
fn logs_are_right_whatever_crashes() {
    for seed in 0..100 {
        assert_eq!(kinds(&CHECK, &history(seed), &[]), [""; 0], "seed {seed}");
    }
}

#[test]
fn spoiled_polls_are_found() {
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..200 {
        let mut entries = history(seed);
        let mut rng = rng(seed);
        let polls: Vec<usize> = completions(&entries, "poll", Phase::Ok)
            .into_iter()
            .filter(|at| entries[*at].value.to_string().matches('[').count() >= 6)
            .collect();
        let at = polls[rng.random_range(0..polls.len())];
        let Value::List(parts) = &mut entries[at].value else { panic!() };
        let Value::List(part) = &mut parts[0] else { panic!() };
        let Value::Map(logs) = &mut part[1] else { panic!() };
        let Some((_, Value::List(pairs))) =
            logs.iter_mut().find(|(_, pairs)| pairs.as_elements().unwrap().len() > 1)
        else {
            continue;
        };
        let expected: &[&str] = match seed % 4 {
            0 => {
                pairs.swap(0, 1);
                &["int-nonmonotonic-poll"]
            }
            1 => {
                let Value::List(pair) = &mut pairs[1] else { panic!() };
                pair[1] = Value::Int(7_777);
                &["inconsistent-offsets", "unexpected-message"]
            }
            2 if pairs.len() == 3 => {
                pairs.remove(1);
                &["int-poll-skip"]
            }
            _ => {
                let first = pairs[0].clone();
                pairs.push(first);
                &["int-nonmonotonic-poll"]
            }
        };
        let kinds = kinds(&CHECK, &entries, &[]);
        for kind in expected {
            assert!(kinds.iter().any(|one| one == kind), "seed {seed}: {kinds:?} without {kind}");
            *found.entry((*kind).to_owned()).or_default() += 1;
        }
    }
    assert!(found.len() == 4 && found.values().all(|count| *count > 10), "{found:?}");
}

#[test]
fn each_kind_has_its_history() {
    let sends = |process, ends, value, offset| {
        let answer = if ends == '=' { send(0, pair(offset, value)) } else { send(0, Value::Int(value)) };
        [(process, '+', "send", send(0, Value::Int(value))), (process, ends, "send", answer)]
    };
    let polls = |process, pairs: &[(i64, i64)]| {
        [(process, '+', "poll", list([list([word("poll")])])), (process, '=', "poll", poll(0, pairs))]
    };
    let of = |steps: &[_]| kinds(&CHECK, &script(steps), &[]);
    let three = [sends(0, '=', 1, 0), sends(0, '=', 2, 1), sends(0, '=', 3, 2)].concat();
    let with =
        |more: &[[(u64, char, &'static str, Value); 2]]| of(&[&three[..], &more.concat()[..]].concat());
    assert_eq!(with(&[polls(1, &[(0, 1), (1, 2)]), polls(1, &[(2, 3)])]), [""; 0]);
    assert_eq!(with(&[polls(1, &[(0, 1), (1, 2)])]), [""; 0]);
    assert_eq!(with(&[polls(1, &[(1, 2)]), polls(1, &[(2, 3)])]), ["lost-write"]);
    assert_eq!(with(&[polls(1, &[(0, 1), (1, 2)]), polls(1, &[(1, 2)])]), ["nonmonotonic-poll"]);
    assert_eq!(with(&[polls(1, &[(0, 1)]), polls(1, &[(2, 3)]), polls(2, &[(0, 1), (1, 2)])]), ["poll-skip"]);
    assert_eq!(with(&[polls(1, &[(0, 1), (2, 3)]), polls(2, &[(0, 1), (1, 2)])]), ["int-poll-skip"]);
    assert_eq!(with(&[polls(1, &[(1, 2), (0, 1)])]), ["int-nonmonotonic-poll"]);
    assert_eq!(with(&[sends(3, '=', 4, 2)]), ["inconsistent-offsets"]);
    assert_eq!(with(&[polls(1, &[(0, 1), (1, 2), (2, 3), (3, 3)])]), ["duplicate"]);
    assert_eq!(with(&[sends(3, '=', 3, 3), polls(1, &[(0, 1), (1, 2), (2, 3), (3, 3)])]), [""; 0]);
    assert_eq!(of(&[sends(0, '=', 1, 5), sends(0, '=', 2, 4)].concat()), ["nonmonotonic-send"]);
    assert_eq!(of(&[sends(0, '!', 1, 0), polls(1, &[(0, 1)])].concat()), ["aborted-read"]);
    assert_eq!(of(&[sends(0, '?', 1, 0), polls(1, &[(0, 1)])].concat()), [""; 0]);
    assert_eq!(of(&[polls(1, &[(0, 1)]), sends(0, '=', 1, 0)].concat()), ["unexpected-message"]);

    let assign = |f| [(1, '+', f, list([Value::Int(9)])), (1, '=', f, list([Value::Int(9)]))];
    let again = || [polls(1, &[(0, 1), (1, 2)]), polls(1, &[(0, 1)])];
    assert_eq!(with(&[again()[0].clone(), assign("assign"), again()[1].clone()]), [""; 0]);
    assert_eq!(with(&[again()[0].clone(), again()[1].clone(), assign("subscribe")]), [""; 0]);

    let parts =
        |parts: [Value; 2]| list(parts.into_iter().map(|part| part.as_elements().unwrap()[0].clone()));
    let transaction = |asked, answered| of(&[(0, '+', "txn", asked), (0, '=', "txn", answered)]);
    let asked = || parts([send(0, Value::Int(1)), send(0, Value::Int(2))]);
    assert_eq!(transaction(asked(), parts([send(0, pair(3, 1)), send(0, pair(4, 2))])), [""; 0]);
    let back = parts([send(0, pair(4, 1)), send(0, pair(3, 2))]);
    assert_eq!(transaction(asked(), back), ["int-nonmonotonic-send"]);
    let own = parts([send(0, pair(3, 1)), poll(0, &[(3, 1)])]);
    assert_eq!(
        transaction(parts([send(0, Value::Int(1)), list([list([word("poll")])])]), own),
        ["precommitted-read"]
    );
}

#[test]
fn keys_of_json_are_texts_and_other_shapes_are_refused() {
    let text =
        |log: &str, pairs| list([list([Value::text("poll"), Value::Map(vec![(Value::text(log), pairs)])])]);
    let steps = [
        (0, '+', "send", send(7, Value::Int(1))),
        (0, '=', "send", send(7, pair(0, 1))),
        (1, '+', "poll", list([])),
        (1, '=', "poll", text("7", list([pair(0, 1)]))),
    ];
    assert_eq!(kinds(&CHECK, &script(&steps), &[]), [""; 0]);
    let cases = [
        ("send", send(0, Value::Int(1)), ""),
        (
            "seek",
            Value::Nil,
            "`seek` is not understood, expected send, poll, txn, assign, subscribe or crash",
        ),
        ("send", Value::Int(3), "(send): its value is a number (3), expected a list or a set"),
        (
            "send",
            list([Value::Int(3)]),
            "(send): its value is a number (3), expected [send key value], [send key [offset value]] or [poll {key ...}]",
        ),
    ];
    for (f, value, expected) in cases {
        let entries = script(&[(0, '+', f, value)]);
        if expected.is_empty() {
            // it is understood, but has not ended
            assert_eq!(kinds(&CHECK, &entries, &[]), ["unknown"]);
        } else {
            let got = error(&CHECK, &entries, &[]);
            assert!(got.starts_with("line 1, column 1: operation 0") && got.ends_with(expected), "{got}");
        }
    }
}
