//! Transactions that write what they have not read, so that the order of versions is a riddle: against the definitions,
//! alone and beside many others.

use super::reference::{Held, Mop, Txn, is_serial, is_snapshot, steps_of, tiny};
use super::store::{Rng, rng};
use super::*;
use crate::checker::transaction::serial;
use rand::RngExt;
use std::collections::{BTreeMap, BTreeSet};

const HELD: [(&str, Held); 3] =
    [("none", Held::Nothing), ("process", Held::Process), ("realtime", Held::Realtime)];

/// Up to `most` transactions of blind writes and reads. They ran one after the other, or from snapshots, or with answers
/// that are spoilt.
fn blind(rng: &mut Rng, most: usize) -> Vec<Txn> {
    let count = rng.random_range(3..=most);
    let keys = rng.random_range(2..4);
    let spoilt = [0.0, 0.4, 0.7][rng.random_range(0..3)];
    let mut states: Vec<BTreeMap<usize, i64>> = vec![BTreeMap::new()];
    let mut txns = Vec::new();
    for number in 0..count as u64 {
        let lag = rng.random_range(0..states.len().min(4));
        let seen = &states[states.len() - 1 - if rng.random_bool(spoilt) { lag } else { 0 }];
        let mut mops = Vec::new();
        for key in 0..keys {
            if rng.random_bool(0.4) {
                mops.push(Mop::Read(key, seen.get(&key).copied().into_iter().collect()));
            }
        }
        let mut after = states[states.len() - 1].clone();
        for key in 0..keys {
            let is_read = mops.iter().any(|mop| matches!(mop, Mop::Read(read, _) if *read == key));
            if rng.random_bool(if is_read { 0.1 } else { 0.5 }) {
                let value = number as i64 * 10 + key as i64;
                after.insert(key, value);
                mops.push(Mop::Write(key, value));
            }
        }
        states.push(after);
        if !mops.is_empty() {
            let width = rng.random_range(1..120);
            let (from, to) = (1_000 + number * 40, 1_000 + number * 40 + width);
            txns.push(Txn { process: number, from: from * 8 + number, to: to * 8 + number, mops });
        }
    }
    // processes take turns; who would overlap with itself has another one
    let mut free: BTreeMap<u64, u64> = BTreeMap::new();
    for txn in &mut txns {
        let wanted = rng.random_range(0..3);
        if free.get(&wanted).is_none_or(|free| *free < txn.from) {
            txn.process = wanted;
        } else {
            txn.process += 100;
        }
        free.insert(txn.process, txn.to);
    }
    txns
}

/// The same without reads of what is not there.
fn without_strangers(txns: &[Txn]) -> Vec<Txn> {
    let written: BTreeSet<i64> = txns
        .iter()
        .flat_map(|txn| &txn.mops)
        .filter_map(|mop| if let Mop::Write(_, value) = mop { Some(*value) } else { None })
        .collect();
    let mut txns = txns.to_vec();
    for txn in &mut txns {
        txn.mops.retain(|mop| match mop {
            Mop::Read(_, seen) => seen.iter().all(|value| written.contains(value)),
            Mop::Write(..) => true,
        });
    }
    txns
}

/// Evidence of `no-order` has no order alone, and any less of it has one.
fn is_tight(judgement: &Judgement, txns: &[Txn], is_right: &dyn Fn(&[Txn]) -> bool) -> bool {
    let Some(violation) = judgement.violations.iter().find(|v| v.signature.ends_with("/no-order")) else {
        return false;
    };
    // entries are numbered in the order of instants
    let mut instants: Vec<u64> = txns.iter().flat_map(|txn| [txn.from, txn.to]).collect();
    instants.sort_unstable();
    let ops: Vec<u64> = violation.evidence.ops.iter().map(|op| instants[op.invoke as usize]).collect();
    let few: Vec<Txn> = txns.iter().filter(|txn| ops.contains(&txn.from)).cloned().collect();
    assert_eq!(few.len(), ops.len(), "{ops:?} {txns:?}");
    assert!(!is_right(&without_strangers(&few)), "{few:?}");
    for at in 0..few.len() {
        let mut less = few.clone();
        less.remove(at);
        assert!(is_right(&without_strangers(&less)), "{at} is not needed: {few:?}");
    }
    true
}

#[test]
fn blind_writes_agree_with_all_orders() {
    let (mut valid, mut riddles) = ([0; 2], [0; 2]);
    for seed in 0..600 {
        let txns = blind(&mut rng(seed), 6);
        let steps = steps_of(&txns, false);
        for (name, held) in HELD {
            let is_right = |txns: &[Txn]| is_serial(txns, held, false);
            let judgement = judge(&serial::SERIALIZABLE, &steps, &[("order", name)]);
            let found = names(&judgement);
            assert_eq!(found.is_empty(), is_right(&txns), "seed {seed}, {name}: {found:?} {txns:?}");
            valid[0] += u32::from(found.is_empty());
            riddles[0] += u32::from(is_tight(&judgement, &txns, &is_right));
        }
    }
    for seed in 0..150 {
        let txns = blind(&mut rng(seed), 5);
        let steps = steps_of(&txns, false);
        for (name, held) in HELD {
            let is_right = |txns: &[Txn]| is_snapshot(txns, held, false);
            let judgement = judge(&serial::SNAPSHOT, &steps, &[("order", name)]);
            let found = names(&judgement);
            assert_eq!(found.is_empty(), is_right(&txns), "seed {seed}, {name}: {found:?} {txns:?}");
            valid[1] += u32::from(found.is_empty());
            riddles[1] += u32::from(is_tight(&judgement, &txns, &is_right));
        }
    }
    assert!(valid[0] > 300 && valid[1] > 80 && riddles[0] > 20 && riddles[1] > 5, "{valid:?}, {riddles:?}");
}

/// Beside others a history is what it is alone, also where there are more events than a few words have bits: others that
/// have nothing to do with it, and others that come after it in one of its processes.
#[test]
fn other_transactions_change_nothing() {
    let checks = [serial::SERIALIZABLE, serial::SNAPSHOT];
    let mut wrong = 0;
    for seed in 0..120 {
        let txns = if seed % 2 == 0 { tiny(&mut rng(seed), false) } else { blind(&mut rng(seed), 6) };
        let (name, _) = HELD[seed as usize % 3];
        let end = txns.iter().map(|txn| txn.to).max().unwrap_or_default() + 100;
        let mut apart = txns.clone();
        let mut tied = txns.clone();
        for number in 0..140_u64 {
            let value = 5_000 + number as i64;
            let (from, to) = (end + number * 2, end + number * 2 + 1);
            let own = Mop::Write(10 + number as usize, value);
            apart.push(Txn { process: 1_000 + number, from, to, mops: vec![own] });
            let mut mops: Vec<Mop> =
                (number > 0).then(|| Mop::Read(9, vec![value - 1])).into_iter().collect();
            mops.push(Mop::Write(9, value));
            tied.push(Txn { process: txns[0].process, from, to, mops });
        }
        for check in &checks {
            let alone = names(&judge(check, &steps_of(&txns, false), &[("order", name)]));
            for padded in [&apart, &tied] {
                let beside = names(&judge(check, &steps_of(padded, false), &[("order", name)]));
                assert_eq!(alone, beside, "seed {seed}, {name}, {}: {txns:?}", check.name);
            }
            wrong += u32::from(!alone.is_empty());
        }
    }
    assert!((40..200).contains(&wrong), "{wrong} of 240 are wrong: too uneven to mean much");
}
