//! Random histories: clients of an atomic register with delays, and ways to spoil what they heard.

use crate::history::{Entry, Phase};
use crate::op::Call;
use rand::{Rng, RngExt};
use std::collections::BTreeMap;

/// The time between two entries.
pub const TICK_NS: u64 = 1_000_000;

/// What to generate.
pub struct Shape {
    pub operations: usize,
    pub keys: usize,
    pub clients: u32,
    /// How many operations in a hundred end in info.
    pub info_percent: u32,
    /// Whether each write has a value of its own; else there are three values.
    pub unique: bool,
}

struct Pending {
    process: u32,
    call: Call,
    effective: bool,
}

/// A history of an atomic store: every operation takes effect at one instant between its entries, those in
/// info at some later instant or never.
pub fn history(shape: &Shape, rng: &mut impl Rng) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut store: BTreeMap<String, String> = BTreeMap::new();
    let mut clients: Vec<Option<Pending>> = (0..shape.clients).map(|_| None).collect();
    let mut processes: Vec<u32> = (0..shape.clients).collect();
    let mut crashed: Vec<Call> = Vec::new();
    let mut invoked = 0;
    while invoked < shape.operations || clients.iter().any(Option::is_some) {
        if !crashed.is_empty() && rng.random_range(0..10) == 0 {
            let at = rng.random_range(0..crashed.len());
            effect(&mut crashed.swap_remove(at), &mut store);
        }
        let client = rng.random_range(0..clients.len());
        let process = processes[client];
        match clients[client].take() {
            None if invoked < shape.operations => {
                let call = question(shape, invoked, rng);
                invoked += 1;
                push(&mut entries, process, Phase::Invoke, call.clone());
                clients[client] = Some(Pending { process, call, effective: false });
            }
            None => {}
            Some(mut pending) if !pending.effective => {
                if rng.random_range(0..100) < shape.info_percent {
                    push(&mut entries, pending.process, Phase::Info, pending.call.clone());
                    crashed.push(pending.call);
                    processes[client] += shape.clients;
                } else if rng.random_range(0..20) == 0 {
                    push(&mut entries, pending.process, Phase::Fail, pending.call);
                } else {
                    effect(&mut pending.call, &mut store);
                    pending.effective = true;
                    clients[client] = Some(pending);
                }
            }
            Some(pending) => push(&mut entries, pending.process, Phase::Ok, pending.call),
        }
    }
    entries
}

fn push(entries: &mut Vec<Entry>, process: u32, phase: Phase, call: Call) {
    let index = entries.len() as u64;
    let at_ns = index * TICK_NS;
    entries.push(Entry { index, at_ns, process, phase, call, error: None, client: None, node: None });
}

fn question(shape: &Shape, n: usize, rng: &mut impl Rng) -> Call {
    let key = format!("k{}", rng.random_range(0..shape.keys));
    let old = |rng: &mut dyn Rng| {
        let n = if shape.unique { rng.random_range(n.saturating_sub(6)..=n) } else { rng.random_range(0..4) };
        (n != 3).then(|| format!("v{n}"))
    };
    let value = if shape.unique { format!("v{n}") } else { format!("v{}", rng.random_range(0..3)) };
    match rng.random_range(0..20) {
        0..9 => Call::Read { key, value: None },
        9..16 => Call::Write { key, value },
        16..19 => Call::Cas { key, expect: old(rng), value, result: None },
        _ => Call::Delete { key },
    }
}

fn effect(call: &mut Call, store: &mut BTreeMap<String, String>) {
    match call {
        Call::Read { key, value } => *value = Some(store.get(key).cloned()),
        Call::Write { key, value } => {
            store.insert(key.clone(), value.clone());
        }
        Call::Cas { key, expect, value, result } => {
            let swaps = store.get(key) == expect.as_ref();
            *result = Some(swaps);
            if swaps {
                store.insert(key.clone(), value.clone());
            }
        }
        Call::Delete { key } => {
            store.remove(key);
        }
        _ => unreachable!("only registers are drawn"),
    }
}

/// Changes one answer or one outcome; the history stays well-formed but may have no order any more.
pub fn tamper(entries: &mut [Entry], rng: &mut impl Rng) {
    let at = rng.random_range(0..entries.len());
    let value = rng.random_range(0..entries.len()) as u64;
    let other = entries[value as usize].call.leaves().flatten().map(str::to_string);
    let entry = &mut entries[at];
    if entry.phase == Phase::Invoke {
        return;
    }
    match &mut entry.call {
        Call::Read { value, .. } if entry.phase == Phase::Ok => *value = Some(other),
        Call::Cas { result: Some(result), .. } if entry.phase == Phase::Ok => *result = !*result,
        Call::Write { .. } | Call::Delete { .. } if entry.phase == Phase::Ok => entry.phase = Phase::Fail,
        Call::Write { .. } | Call::Delete { .. } if entry.phase == Phase::Fail => entry.phase = Phase::Ok,
        _ => {}
    }
}
