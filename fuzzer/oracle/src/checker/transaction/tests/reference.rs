//! Tiny random histories, judged by the definitions: every order is tried.

use super::store::{Rng, micro, rng};
use super::*;
use crate::checker::transaction::{append, register, serial, weak};
use rand::RngExt;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
pub enum Mop {
    Write(usize, i64),
    Read(usize, Vec<i64>),
}

#[derive(Clone, Debug)]
pub struct Txn {
    pub process: u64,
    pub from: u64,
    pub to: u64,
    pub mops: Vec<Mop>,
}

/// Two to four transactions on two keys; what they read is drawn, and may be anything that was written.
pub fn tiny(rng: &mut Rng, is_list: bool) -> Vec<Txn> {
    let count = rng.random_range(2..5);
    let mut txns: Vec<Txn> = Vec::new();
    let mut written: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
    let (mut free, mut fresh) = ([0; 3], 0);
    for number in 0..count {
        let process = rng.random_range(0..3);
        let from = free[process] + rng.random_range(1..12);
        let to = from + rng.random_range(1..12);
        free[process] = to;
        let mops = (0..rng.random_range(1..4)).map(|_| {
            let key = rng.random_range(0..2);
            if rng.random_bool(0.5) {
                fresh += 1;
                written.entry(key).or_default().push(fresh);
                Mop::Write(key, fresh)
            } else {
                Mop::Read(key, Vec::new())
            }
        });
        // Instants are unique, and keep their order.
        let instant = |at: u64, end: u64| at * 16 + number * 2 + end;
        txns.push(Txn {
            process: process as u64,
            from: instant(from, 0),
            to: instant(to, 1),
            mops: mops.collect(),
        });
    }
    for values in written.values_mut() {
        for at in (1..values.len()).rev() {
            values.swap(at, rng.random_range(0..=at));
        }
    }
    for txn in &mut txns {
        let mut own: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
        for mop in &mut txn.mops {
            match mop {
                Mop::Write(key, value) => own.entry(*key).or_default().push(*value),
                Mop::Read(key, seen) => {
                    let values = written.get(key).map_or(&[][..], Vec::as_slice);
                    let length = rng.random_range(0..=values.len());
                    let own = own.get(key).map_or(&[][..], Vec::as_slice);
                    // Mostly, a transaction sees its own writes last.
                    let is_sane = rng.random_bool(0.9);
                    *seen = if is_list {
                        let is_own = |value: &&i64| is_sane && own.contains(value);
                        let others = values[..length].iter().filter(|value| !is_own(value));
                        let mut seen: Vec<i64> = others.copied().collect();
                        if is_sane {
                            seen.extend(own);
                        }
                        seen
                    } else if is_sane && !own.is_empty() {
                        own[own.len() - 1..].to_vec()
                    } else {
                        values[..length].last().copied().into_iter().collect()
                    };
                }
            }
        }
    }
    txns
}

pub fn steps_of(txns: &[Txn], is_list: bool) -> Vec<Step> {
    let step = |txn: &Txn| {
        let mops = txn.mops.iter().map(|mop| match mop {
            Mop::Write(key, value) => micro(true, *key, *value, None, is_list),
            Mop::Read(key, seen) => micro(false, *key, 0, Some(seen), is_list),
        });
        Step { process: txn.process, from: txn.from, to: txn.to, phase: Phase::Ok, mops: mops.collect() }
    };
    txns.iter().map(step).collect()
}

/// What an order must hold besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    Nothing,
    Process,
    Realtime,
}

fn is_before(a: &Txn, b: &Txn, held: Held) -> bool {
    let is_over = a.to < b.from;
    match held {
        Held::Nothing => false,
        Held::Process => is_over && a.process == b.process,
        Held::Realtime => is_over,
    }
}

type State = BTreeMap<usize, Vec<i64>>;

/// Reads are right in this state; it is changed by the writes.
fn apply(txn: &Txn, state: &mut State, is_list: bool) -> bool {
    txn.mops.iter().all(|mop| match mop {
        Mop::Write(key, value) => {
            let now = state.entry(*key).or_default();
            if !is_list {
                now.clear();
            }
            now.push(*value);
            true
        }
        Mop::Read(key, seen) => state.get(key).map_or(&[][..], Vec::as_slice) == seen.as_slice(),
    })
}

/// All orders of so many.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for order in orders(count - 1) {
        for at in 0..count {
            let mut order = order.clone();
            order.insert(at, count - 1);
            all.push(order);
        }
    }
    all
}

pub fn is_serial(txns: &[Txn], held: Held, is_list: bool) -> bool {
    orders(txns.len()).into_iter().any(|order| {
        let holds = order.iter().enumerate().all(|(at, txn)| {
            order[at + 1..].iter().all(|later| !is_before(&txns[*later], &txns[*txn], held))
        });
        let mut state = State::new();
        holds && order.iter().all(|txn| apply(&txns[*txn], &mut state, is_list))
    })
}

/// Events are placed one by one: each transaction takes its snapshot, and later commits.
pub fn is_snapshot(txns: &[Txn], held: Held, is_list: bool) -> bool {
    fn go(txns: &[Txn], held: Held, is_list: bool, phase: &mut [u8], state: &State) -> bool {
        if phase.iter().all(|phase| *phase == 2) {
            return true;
        }
        let keys = |txn: &Txn| -> Vec<usize> {
            txn.mops
                .iter()
                .filter_map(|mop| if let Mop::Write(key, _) = mop { Some(*key) } else { None })
                .collect()
        };
        for at in 0..txns.len() {
            let mut after = state.clone();
            match phase[at] {
                0 => {
                    let waits = (0..txns.len())
                        .any(|other| phase[other] < 2 && is_before(&txns[other], &txns[at], held));
                    let overlaps = (0..txns.len()).any(|other| {
                        phase[other] == 1
                            && keys(&txns[other]).iter().any(|key| keys(&txns[at]).contains(key))
                    });
                    let mut seen = state.clone();
                    if waits || overlaps || !apply(&txns[at], &mut seen, is_list) {
                        continue;
                    }
                }
                1 => {
                    for mop in &txns[at].mops {
                        if let Mop::Write(key, value) = mop {
                            let now = after.entry(*key).or_default();
                            if !is_list {
                                now.clear();
                            }
                            now.push(*value);
                        }
                    }
                }
                _ => continue,
            }
            phase[at] += 1;
            if go(txns, held, is_list, phase, &after) {
                return true;
            }
            phase[at] -= 1;
        }
        false
    }
    go(txns, held, is_list, &mut vec![0; txns.len()], &State::new())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Committed,
    Atomic,
    Causal,
}

/// The axioms of Biswas and Enea over every order of commits. Registers only.
fn is_weak(txns: &[Txn], level: Level) -> bool {
    let writer = |value: i64| {
        txns.iter()
            .position(|txn| txn.mops.iter().any(|mop| matches!(mop, Mop::Write(_, other) if *other == value)))
    };
    let last = |txn: usize, key: usize| {
        let writes = txns[txn].mops.iter().rev();
        writes
            .filter_map(|mop| match mop {
                Mop::Write(other, value) if *other == key => Some(*value),
                _ => None,
            })
            .next()
    };
    // Reader, key and writer of all reads of others, each transaction's in its order.
    let mut reads: Vec<(usize, usize, Option<usize>)> = Vec::new();
    for (number, txn) in txns.iter().enumerate() {
        let mut own: State = State::new();
        for mop in &txn.mops {
            match mop {
                Mop::Write(key, value) => {
                    own.insert(*key, vec![*value]);
                }
                Mop::Read(key, seen) => {
                    if let Some(mine) = own.get(key) {
                        if mine != seen {
                            return false;
                        }
                        continue;
                    }
                    let from = seen.first().map(|value| writer(*value).unwrap());
                    if from == Some(number)
                        || from.is_some_and(|from| last(from, *key) != seen.first().copied())
                    {
                        return false;
                    }
                    reads.push((number, *key, from));
                }
            }
        }
    }
    let so = |a: usize, b: usize| is_before(&txns[a], &txns[b], Held::Process);
    let wr = |a: usize, b: usize| reads.iter().any(|(reader, _, from)| *reader == b && *from == Some(a));
    let count = txns.len();
    let row = |a: usize| (0..count).map(|b| so(a, b) || wr(a, b)).collect::<Vec<bool>>();
    let mut leads: Vec<Vec<bool>> = (0..count).map(row).collect();
    let direct = leads.clone();
    for via in 0..count {
        let onward = leads[via].clone();
        for row in leads.iter_mut().filter(|row| row[via]) {
            row.iter_mut().zip(&onward).for_each(|(leads, further)| *leads |= *further);
        }
    }
    orders(count).into_iter().any(|order| {
        let place = |txn: usize| order.iter().position(|other| *other == txn).unwrap();
        let holds = (0..count).all(|a| (0..count).all(|b| !direct[a][b] || place(a) < place(b)));
        holds
            && reads.iter().enumerate().all(|(at, (reader, key, from))| {
                (0..count).all(|other| {
                    let is_seen = match level {
                        Level::Committed => {
                            reads[..at].iter().any(|(r, _, from)| r == reader && *from == Some(other))
                        }
                        Level::Atomic => direct[other][*reader],
                        Level::Causal => leads[other][*reader],
                    };
                    let matters =
                        is_seen && other != *reader && Some(other) != *from && last(other, *key).is_some();
                    !matters || from.is_some_and(|from| place(other) < place(from))
                })
            })
    })
}

/// Histories for levels that are judged fast, and for those that are not.
const TRIES: (u64, u64) = (2_000, 400);

#[test]
fn weak_levels_agree_with_their_axioms() {
    let levels = [
        (Level::Committed, weak::READ_COMMITTED),
        (Level::Atomic, weak::READ_ATOMIC),
        (Level::Causal, weak::CAUSAL),
    ];
    let mut valid = [0; 3];
    for seed in 0..TRIES.0 {
        let txns = tiny(&mut rng(seed), false);
        let steps = steps_of(&txns, false);
        for (at, (level, check)) in levels.iter().enumerate() {
            let is_valid = is_weak(&txns, *level);
            let found = names(&judge(check, &steps, &[]));
            assert_eq!(found.is_empty(), is_valid, "seed {seed}, {level:?}: {found:?} {txns:?}");
            valid[at] += usize::from(is_valid);
        }
    }
    assert!(valid.iter().all(|count| *count > 200 && *count < 1_800), "{valid:?}");
    assert!(valid[0] > valid[1] && valid[1] > valid[2], "{valid:?}");
}

#[test]
fn strong_levels_agree_with_all_orders() {
    let mut valid = 0;
    for seed in 0..TRIES.1 {
        let txns = tiny(&mut rng(seed), false);
        let steps = steps_of(&txns, false);
        for (name, held) in
            [("none", Held::Nothing), ("process", Held::Process), ("realtime", Held::Realtime)]
        {
            let settings = [("order", name)];
            let serial = is_serial(&txns, held, false);
            let found = names(&judge(&serial::SERIALIZABLE, &steps, &settings));
            assert_eq!(found.is_empty(), serial, "seed {seed}, {held:?}: {found:?} {txns:?}");
            let snapshot = is_snapshot(&txns, held, false);
            let found = names(&judge(&serial::SNAPSHOT, &steps, &settings));
            assert_eq!(found.is_empty(), snapshot, "seed {seed}, {held:?}: {found:?} {txns:?}");
            valid += usize::from(serial);
        }
        let found = names(&judge(&serial::STRICT, &steps, &[]));
        assert_eq!(
            found.is_empty(),
            is_serial(&txns, Held::Realtime, false),
            "seed {seed}: {found:?} {txns:?}"
        );
    }
    assert!(valid > 60, "{valid}");
}

/// The same with a read of each register before its only write: mini-transactions.
fn mini(rng: &mut Rng) -> Vec<Txn> {
    let mut txns = tiny(rng, false);
    for txn in &mut txns {
        let mut keys: BTreeMap<usize, Mop> = BTreeMap::new();
        for mop in std::mem::take(&mut txn.mops) {
            let (Mop::Write(key, _) | Mop::Read(key, _)) = mop;
            let is_write = matches!(mop, Mop::Write(..));
            if is_write || !keys.contains_key(&key) {
                keys.insert(key, mop);
            }
        }
        for (key, mop) in keys {
            if matches!(mop, Mop::Write(..)) {
                txn.mops.push(Mop::Read(key, Vec::new()));
            }
            txn.mops.push(mop);
        }
    }
    // what is read is one of the versions that are left, or nothing
    let written: Vec<(usize, i64)> = txns
        .iter()
        .flat_map(|txn| &txn.mops)
        .filter_map(|mop| if let Mop::Write(key, value) = mop { Some((*key, *value)) } else { None })
        .collect();
    for txn in &mut txns {
        let own = txn.mops.clone();
        for mop in &mut txn.mops {
            let Mop::Read(key, seen) = mop else { continue };
            let is_own =
                |value: i64| own.iter().any(|mop| matches!(mop, Mop::Write(_, mine) if *mine == value));
            let others = written.iter().filter(|(other, value)| other == key && !is_own(*value));
            let mut all: Vec<Vec<i64>> = others.map(|(_, value)| vec![*value]).collect();
            all.push(Vec::new());
            *seen = all.swap_remove(rng.random_range(0..all.len()));
        }
    }
    txns
}

#[test]
fn mini_transactions_agree_with_all_orders() {
    let (mut serial, mut snapshots) = (0, 0);
    for seed in 0..TRIES.0 {
        let txns = mini(&mut rng(seed));
        let steps = steps_of(&txns, false);
        for (name, held) in
            [("none", Held::Nothing), ("process", Held::Process), ("realtime", Held::Realtime)]
        {
            let settings = [("order", name)];
            let is_serial = is_serial(&txns, held, false);
            let found = names(&judge(&serial::SERIALIZABLE, &steps, &settings));
            assert_eq!(found.is_empty(), is_serial, "seed {seed}, {held:?}: {found:?} {txns:?}");
            let is_snapshot = is_snapshot(&txns, held, false);
            let found = names(&judge(&serial::SNAPSHOT, &steps, &settings));
            assert_eq!(found.is_empty(), is_snapshot, "seed {seed}, {held:?}: {found:?} {txns:?}");
            serial += usize::from(is_serial);
            snapshots += usize::from(is_snapshot && !is_serial);
        }
    }
    assert!(serial > 300 && snapshots > 10, "{serial} are serializable, {snapshots} have snapshots only");
}

/// Whatever Elle's inference reports is forbidden indeed; how much of what is wrong it finds is counted.
#[test]
fn what_is_inferred_is_never_there_where_an_order_exists() {
    let models = [
        ("serializable", Held::Nothing),
        ("strong-session-serializable", Held::Process),
        ("strict-serializable", Held::Realtime),
        ("snapshot-isolation", Held::Nothing),
        ("strong-session-snapshot-isolation", Held::Process),
        ("strong-snapshot-isolation", Held::Realtime),
    ];
    for (check, is_list, least) in [(append::CHECK, true, 95), (register::CHECK, false, 80)] {
        let (mut wrong, mut found) = (0, 0);
        for seed in 0..TRIES.1 {
            let txns = tiny(&mut rng(seed), is_list);
            let steps = steps_of(&txns, is_list);
            for (model, held) in models {
                let is_valid = if model.contains("snapshot") {
                    is_snapshot(&txns, held, is_list)
                } else {
                    is_serial(&txns, held, is_list)
                };
                let names = names(&judge(&check, &steps, &[("consistency", model)]));
                assert!(names.is_empty() || !is_valid, "seed {seed}, {model}: {names:?} {txns:?}");
                wrong += u32::from(!is_valid);
                found += u32::from(!names.is_empty());
            }
        }
        assert!(found * 100 >= wrong * least, "{}: {found} of {wrong}", check.name);
    }
}
