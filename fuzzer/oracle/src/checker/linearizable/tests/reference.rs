//! The definition of linearizability, written down as plainly as possible, for small histories.

use crate::op::{Call, Op, Outcome};
use std::collections::BTreeMap;

/// Some order of all that is ok, and of any part of what is in info, respects intervals and the register.
pub fn linearizable(ops: &[Op]) -> bool {
    let kept: Vec<&Op> = ops
        .iter()
        .filter(|op| op.outcome == Outcome::Ok || (op.outcome == Outcome::Info && op.call.leaves().is_some()))
        .collect();
    extend(&kept, &mut vec![false; kept.len()], &BTreeMap::new())
}

fn extend(ops: &[&Op], placed: &mut [bool], store: &BTreeMap<String, String>) -> bool {
    let must = |i: usize| ops[i].outcome == Outcome::Ok;
    if (0..ops.len()).all(|i| placed[i] || !must(i)) {
        return true;
    }
    for i in 0..ops.len() {
        let preceded = (0..ops.len()).any(|j| {
            !placed[j] && must(j) && ops[j].complete.is_some_and(|complete| complete < ops[i].invoke)
        });
        if placed[i] || preceded {
            continue;
        }
        if let Some(after) = apply(&ops[i].call, store) {
            placed[i] = true;
            if extend(ops, placed, &after) {
                return true;
            }
            placed[i] = false;
        }
    }
    false
}

fn apply(call: &Call, store: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    let mut after = store.clone();
    let present = store.get(call.key()).cloned();
    let fits = match call {
        Call::Read { value, .. } => *value == Some(present),
        Call::Write { key, value } => {
            after.insert(key.clone(), value.clone());
            true
        }
        Call::Cas { expect, result: Some(false), .. } => *expect != present,
        Call::Cas { key, expect, value, .. } => {
            after.insert(key.clone(), value.clone());
            *expect == present
        }
        Call::Delete { key } => {
            after.remove(key);
            true
        }
        _ => unreachable!("only registers are drawn"),
    };
    fits.then_some(after)
}
