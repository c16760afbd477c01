use super::*;
use crate::checker::fencing::CHECK as FENCING;
use crate::checker::shape::is_ok;
use crate::checker::simulation::{
    Ask, PLAN, Rng, TICK_NS, ask, completions, error, kinds, map, rng, script, simulate,
};
use crate::history::Phase;
use crate::raw::Process;
use rand::RngExt;
use std::cell::RefCell;

/// A semaphore with tokens, which refuses when it has no permits left.
#[derive(Default)]
struct Store {
    left: u64,
    token: i64,
    /// The acquisition of each client that holds a permit, and the last one that it has released.
    held: BTreeMap<i64, i64>,
    released: BTreeMap<i64, i64>,
    /// How many operations each client has asked for: one acquires, the next releases.
    asked: RefCell<BTreeMap<i64, i64>>,
}

fn history(seed: u64, permits: u64) -> Vec<Entry> {
    let next = |store: &Store, client: usize, _: &mut Rng| {
        let mut asked = store.asked.borrow_mut();
        let asked = asked.entry(client as i64).or_default();
        *asked += 1;
        let f = if *asked % 2 == 1 { "acquire" } else { "release" };
        ask(f, map(&[("client", client as i64), ("number", (*asked + 1) / 2)]))
    };
    let apply = |store: &mut Store, ask: &Ask| {
        let field = |name| ask.value.get(name).and_then(Value::as_int).unwrap();
        let (client, number) = (field("client"), field("number"));
        if ask.f == "release" {
            store.released.insert(client, number.max(store.released.get(&client).copied().unwrap_or(0)));
            if store.held.get(&client) == Some(&number) {
                store.held.remove(&client);
                store.left += 1;
            }
            return Some(ask.value.clone());
        }
        let is_late = store.released.get(&client) >= Some(&number);
        let is_granted = store.left > 0 && !is_late && !store.held.contains_key(&client);
        is_granted.then(|| {
            store.held.insert(client, number);
            store.left -= 1;
            store.token += 1;
            map(&[("token", store.token)])
        })
    };
    let mut store = Store { left: permits, ..Store::default() };
    simulate(PLAN, &mut rng(seed), &mut store, next, apply, Vec::new())
}

#[test]
fn locks_and_semaphores_are_right_whatever_crashes() {
    for seed in 0..200 {
        assert_eq!(kinds(&MUTEX, &history(seed, 1), &[]), [""; 0], "seed {seed}");
        let granted = history(seed, 3);
        assert_eq!(kinds(&SEMAPHORE, &granted, &[("permits", "3")]), [""; 0], "seed {seed}");
        assert_eq!(kinds(&FENCING, &granted, &[]), [""; 0]);
    }
}

/// Whether too many hold at some completion, by counting.
fn is_excess(entries: &[Entry], permits: usize) -> bool {
    let mut holders: BTreeMap<&Process, usize> = BTreeMap::new();
    let ends_in = |at: usize, phase: Phase| {
        let process = &entries[at].process;
        entries[at + 1..]
            .iter()
            .find(|entry| entry.process == *process)
            .is_some_and(|entry| entry.phase == phase)
    };
    entries.iter().enumerate().any(|(at, entry)| {
        match (entry.f.as_str(), entry.phase) {
            ("acquire", Phase::Ok) => *holders.entry(&entry.process).or_default() += 1,
            ("release", Phase::Invoke) if !ends_in(at, Phase::Fail) => {
                holders.entry(&entry.process).and_modify(|count| *count = count.saturating_sub(1));
            }
            _ => {}
        }
        holders.values().sum::<usize>() > permits
    })
}

#[test]
fn failures_told_as_grants_are_found_when_they_overlap() {
    let mut found = 0;
    for seed in 0..200 {
        let mut entries = history(seed, 2);
        let failed = completions(&entries, "acquire", Phase::Fail);
        failed.iter().take(3).for_each(|at| entries[*at].phase = Phase::Ok);
        let expected: &[&str] = if is_excess(&entries, 2) { &["too-many-holders"] } else { &[] };
        found += expected.len();
        assert_eq!(kinds(&SEMAPHORE, &entries, &[("permits", "2")]), expected, "seed {seed}");
    }
    assert!((10..190).contains(&found), "{found}");
}

/// What is wrong with a lock, by looking at each grant with all of the history at hand.
fn by_hand(entries: &[Entry], permits: usize, lease_ms: u64, overlap_ms: u64) -> Vec<&'static str> {
    // (process, from, until), by time
    let mut holds: Vec<(&Process, u64, u64)> = Vec::new();
    let mut excused: Vec<(u64, u64)> = Vec::new();
    for entry in entries {
        let at = entry.at_ns.unwrap();
        match (&entry.process, entry.f.as_str(), entry.phase) {
            (Process::Named(_), ..) => match excused.last_mut() {
                Some((_, end)) if *end >= at => *end = at + overlap_ms * MS,
                _ => excused.push((at, at + overlap_ms * MS)),
            },
            (process, "acquire", Phase::Ok) => holds.push((process, at, at + lease_ms * MS)),
            (process, "release", Phase::Invoke) => {
                let is_own = |hold: &&mut (&Process, u64, u64)| hold.0 == process && hold.2 > at;
                holds.iter_mut().rev().find(is_own).into_iter().for_each(|hold| hold.2 = at);
            }
            _ => {}
        }
    }
    let held = |among: &[(&Process, u64, u64)], at: u64| {
        among.iter().filter(|(_, from, until)| *from <= at && at < *until).count()
    };
    let mut found = std::collections::BTreeSet::new();
    for (number, (_, from, _)) in holds.iter().enumerate() {
        let among: Vec<_> = holds[..=number].iter().filter(|hold| hold.2 > *from).copied().collect();
        match excused.iter().find(|(begin, end)| begin <= from && from <= end) {
            _ if among.len() <= permits => {}
            None => drop(found.insert("too-many-holders")),
            Some((_, end)) if held(&among, *end) > permits => drop(found.insert("overlap-not-closed")),
            Some(_) => {}
        }
    }
    found.into_iter().collect()
}

#[test]
fn what_is_found_while_reading_is_what_all_of_the_history_shows() {
    let mut found = BTreeMap::new();
    for seed in 0..500 {
        let mut entries = history(seed, 2);
        let failed = completions(&entries, "acquire", Phase::Fail);
        failed.iter().take(3).for_each(|at| entries[*at].phase = Phase::Ok);
        completions(&entries, "release", Phase::Fail).iter().for_each(|at| entries[*at].phase = Phase::Ok);
        let mut rng = rng(seed);
        for _ in 0..8 {
            let at = rng.random_range(1..entries.len());
            let loss =
                Entry { process: Process::Named("nemesis".into()), f: "kill".into(), ..entries[at].clone() };
            entries.insert(at, loss);
        }
        for (index, entry) in entries.iter_mut().enumerate() {
            (entry.index, entry.at_ns) = (index as u64, Some(index as u64 * MS));
        }
        let (lease_ms, overlap_ms) = (rng.random_range(20..200), rng.random_range(1..25));
        let told = [
            ("permits", "2"),
            ("lease-ms", &*lease_ms.to_string()),
            ("overlap-ms", &*overlap_ms.to_string()),
        ];
        let expected = by_hand(&entries, 2, lease_ms, overlap_ms);
        assert_eq!(kinds(&SEMAPHORE, &entries, &told), expected, "seed {seed}");
        *found.entry(expected).or_insert(0) += 1;
    }
    assert!(found.len() == 4 && found.values().all(|count| *count > 2), "{found:?}");
}

#[test]
fn exchanged_tokens_are_found_when_the_grants_are_ordered() {
    let mut found = 0;
    for seed in 0..100 {
        let mut entries = history(seed, 2);
        let done = completions(&entries, "acquire", Phase::Ok);
        let at = rng(seed).random_range(1..done.len());
        let value = std::mem::take(&mut entries[done[at - 1]].value);
        entries[done[at - 1]].value = std::mem::replace(&mut entries[done[at]].value, value);
        let ops = crate::raw::ops(entries.iter().cloned().map(Ok)).unwrap();
        let token = |op: &Op| op.value().get("token").and_then(Value::as_int);
        let granted: Vec<&Op> = ops.iter().filter(|op| op.f == "acquire" && is_ok(op)).collect();
        let is_passed = |a: &Op, b: &Op| a.complete < Some(b.invoke) && token(a) >= token(b);
        let is_bad = granted.iter().any(|a| granted.iter().any(|b| is_passed(a, b)));
        let expected: &[&str] = if is_bad { &["token-not-increasing"] } else { &[] };
        found += expected.len();
        assert_eq!(kinds(&FENCING, &entries, &[]), expected, "seed {seed}");
    }
    assert!((10..95).contains(&found), "{found}");
}

/// `(process, what, value)`, a millisecond apart: `a` acquires at once, `r` releases.
fn steps(all: &[(u64, char, Value)]) -> Vec<Entry> {
    let mut steps = Vec::new();
    for (process, what, value) in all {
        let f = if *what == 'a' { "acquire" } else { "release" };
        steps.push((*process, '+', f, Value::Nil));
        steps.push((*process, '=', f, value.clone()));
    }
    script(&steps)
}

#[test]
fn a_release_ends_a_hold_when_it_is_asked_for() {
    let nil = || Value::Nil;
    let one_by_one = steps(&[(0, 'a', nil()), (0, 'r', nil()), (1, 'a', nil())]);
    assert_eq!(kinds(&MUTEX, &one_by_one, &[]), [""; 0]);
    let again = steps(&[(0, 'a', nil()), (0, 'a', nil()), (0, 'r', nil()), (1, 'a', nil())]);
    assert_eq!(kinds(&MUTEX, &again, &[]), ["two-holders"]);
    assert_eq!(kinds(&MUTEX, &again[..6], &[]), [""; 0]);
    assert_eq!(kinds(&SEMAPHORE, &again[..4], &[]), ["too-many-holders"]);
    let for_another = steps(&[(0, 'a', nil()), (1, 'r', nil()), (1, 'a', nil())]);
    assert_eq!(kinds(&SEMAPHORE, &for_another, &[("foreign-release", "yes")]), [""; 0]);
    assert_eq!(kinds(&SEMAPHORE, &for_another, &[]), ["too-many-holders"]);
    assert_eq!(kinds(&MUTEX, &for_another, &[]), ["two-holders"]);
    assert_eq!(kinds(&FENCING, &for_another, &[]), ["unknown"]);
}

#[test]
fn permits_are_counted() {
    let acquire = |process, count| {
        [(process, '+', "acquire", Value::Int(count)), (process, '=', "acquire", Value::Int(count))]
    };
    let entries = script(&[acquire(0, 2), acquire(1, 3)].concat());
    assert_eq!(kinds(&SEMAPHORE, &entries, &[("permits", "5")]), [""; 0]);
    assert_eq!(kinds(&SEMAPHORE, &entries, &[("permits", "4")]), ["too-many-holders"]);
}

#[test]
fn leases_end_and_overlaps_after_a_loss_must_close() {
    let leased = |ms| map(&[("lease-ms", ms)]);
    // granted at 1 ms and at 3 ms
    assert_eq!(kinds(&MUTEX, &steps(&[(0, 'a', leased(2)), (1, 'a', leased(2))]), &[]), [""; 0]);
    assert_eq!(kinds(&MUTEX, &steps(&[(0, 'a', leased(3)), (1, 'a', leased(3))]), &[]), ["two-holders"]);
    let mut lost = steps(&[(0, 'a', leased(10)), (1, 'a', leased(10))]);
    let loss = Entry {
        process: Process::Named("nemesis".into()),
        index: 2,
        at_ns: Some(2 * TICK_NS),
        f: "kill".into(),
        phase: Phase::Info,
        ..lost[0].clone()
    };
    lost[2].index = 3;
    lost[3].index = 4;
    lost.insert(2, loss);
    assert_eq!(kinds(&MUTEX, &lost, &[]), ["two-holders"]);
    assert_eq!(kinds(&MUTEX, &lost, &[("overlap-ms", "9")]), [""; 0]);
    assert_eq!(kinds(&MUTEX, &lost, &[("overlap-ms", "8")]), ["overlap-not-closed"]);
    assert_eq!(kinds(&MUTEX, &lost, &[("overlap-ms", "9"), ("losses", "kill, pause")]), [""; 0]);
    assert_eq!(kinds(&MUTEX, &lost, &[("overlap-ms", "9"), ("losses", "pause")]), ["two-holders"]);
    assert_eq!(kinds(&MUTEX, &lost, &[("lease-ms", "1")]), ["two-holders"]);
}

#[test]
fn other_shapes_are_refused_with_their_place() {
    let lease = steps(&[(0, 'a', Value::Map(vec![(Value::text("lease-ms"), Value::text("x"))]))]);
    let expected =
        "line 1, column 1: operation 0 (acquire): its value is a text (\"x\"), expected a whole number";
    assert_eq!(error(&MUTEX, &lease, &[]), expected);
    let read = script(&[(0, '+', "read", Value::Nil)]);
    let expected = "line 1, column 1: operation 0: `read` is not understood, expected acquire or release";
    assert_eq!(error(&SEMAPHORE, &read, &[]), expected);
    let mut timeless = steps(&[(0, 'a', map(&[("lease-ms", 1)]))]);
    timeless[1].at_ns = None;
    let expected =
        "line 1, column 1: operation 0 (acquire {:lease-ms 1}): a lease needs the time of the grant";
    assert_eq!(error(&MUTEX, &timeless, &[]), expected);
}
