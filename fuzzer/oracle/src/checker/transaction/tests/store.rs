//! A simulated store of lists or registers under concurrent clients.

use super::{Step, judge, names};
use crate::check::Check;
use crate::history::Phase;
use crate::value::Value;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// The generator of tests.
pub type Rng = ChaCha8Rng;

/// The generator of this seed.
pub fn rng(seed: u64) -> Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// How the store isolates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// A transaction happens at one instant.
    Serial,
    /// It reads what was there when it began, and fails if another one wrote its keys in between.
    Snapshot,
    /// Each read sees what is committed at its instant; then it writes, and all of that appears at its end.
    Committed,
}

/// How large a history is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub txns: usize,
    pub clients: usize,
    pub keys: usize,
    pub mops_max: usize,
}

struct Client {
    process: u64,
    from: u64,
    snapshot: BTreeMap<usize, Vec<i64>>,
    wanted: Vec<(bool, usize, i64)>,
    reads: Vec<Option<Vec<i64>>>,
}

/// A history of a store; some transactions fail, of some nobody knows. Instants are ten apart.
pub fn history(rng: &mut Rng, isolation: Isolation, size: Size, is_list: bool) -> Vec<Step> {
    let mut state: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
    let mut changed: BTreeMap<usize, u64> = BTreeMap::new();
    let mut clients: Vec<Option<Client>> = (0..size.clients).map(|_| None).collect();
    let mut processes: Vec<u64> = (0..size.clients as u64).collect();
    let (mut steps, mut begun, mut now, mut fresh) = (Vec::new(), 0, 0, 0);
    while begun < size.txns || clients.iter().any(Option::is_some) {
        now += 10;
        let at = rng.random_range(0..size.clients);
        let Some(mut client) = clients[at].take() else {
            if begun < size.txns {
                begun += 1;
                let wanted = (0..rng.random_range(1..=size.mops_max)).map(|_| {
                    fresh += 1;
                    (rng.random_bool(0.5), rng.random_range(0..size.keys), fresh)
                });
                let (mut wanted, snapshot): (Vec<_>, _) = (wanted.collect(), state.clone());
                if isolation == Isolation::Committed {
                    wanted.sort_by_key(|(is_write, ..)| *is_write);
                }
                clients[at] =
                    Some(Client { process: processes[at], from: now, snapshot, wanted, reads: Vec::new() });
            }
            continue;
        };
        // Under read committed, each step of the client answers one read.
        if isolation == Isolation::Committed && client.reads.len() < client.wanted.len() {
            let seen = answer(&client.wanted, client.reads.len(), &state);
            client.reads.push(seen);
            clients[at] = Some(client);
            continue;
        }
        if isolation != Isolation::Committed {
            let base = if isolation == Isolation::Serial { &state } else { &client.snapshot };
            client.reads = (0..client.wanted.len()).map(|mop| answer(&client.wanted, mop, base)).collect();
        }
        let writes = client.wanted.iter().filter(|(is_write, ..)| *is_write);
        let is_beaten = isolation == Isolation::Snapshot
            && writes.clone().any(|(_, key, _)| changed.get(key).is_some_and(|at| *at > client.from));
        let luck = rng.random_range(0..20);
        let is_done = !is_beaten && luck != 0;
        if is_done {
            for (_, key, value) in writes {
                state.entry(*key).or_default().push(*value);
                changed.insert(*key, now);
            }
        }
        let phase = match luck {
            1 => Phase::Info,
            _ if is_done => Phase::Ok,
            0 if rng.random_bool(0.5) => Phase::Info,
            _ => Phase::Fail,
        };
        if phase == Phase::Info {
            processes[at] += size.clients as u64;
        }
        let mops = client.wanted.iter().zip(&client.reads);
        let mops = mops
            .map(|((is_write, key, value), seen)| micro(*is_write, *key, *value, seen.as_deref(), is_list));
        steps.push(Step { process: client.process, from: client.from, to: now, phase, mops: mops.collect() });
    }
    steps
}

/// What a read sees: the base, and what the transaction wrote before.
fn answer(wanted: &[(bool, usize, i64)], mop: usize, base: &BTreeMap<usize, Vec<i64>>) -> Option<Vec<i64>> {
    let (is_write, key, _) = wanted[mop];
    if is_write {
        return None;
    }
    let own = wanted[..mop].iter().filter(|(is_write, other, _)| *is_write && *other == key);
    let mut seen = base.get(&key).cloned().unwrap_or_default();
    seen.extend(own.map(|(.., value)| *value));
    Some(seen)
}

/// A micro-operation; reads have seen this.
pub fn micro(is_write: bool, key: usize, value: i64, seen: Option<&[i64]>, is_list: bool) -> Value {
    let (name, value) = match (is_write, is_list) {
        (true, true) => ("append", Value::Int(value)),
        (true, false) => ("w", Value::Int(value)),
        (false, true) => {
            ("r", Value::List(seen.unwrap_or_default().iter().map(|v| Value::Int(*v)).collect()))
        }
        (false, false) => ("r", seen.and_then(<[i64]>::last).map_or(Value::Nil, |v| Value::Int(*v))),
    };
    Value::List(vec![Value::text(name), Value::Int(key as i64), value])
}

/// Judges 60 histories of a store of each isolation, which must be no violation of it: how many show an anomaly of a
/// weaker one. `vouched` is what holds where transactions run one after the other.
pub fn shown(check: &Check, is_list: bool, vouched: &[(&str, &str)]) -> [usize; 3] {
    let cases = [
        (Isolation::Serial, "strict-serializable", vouched),
        (Isolation::Snapshot, "strong-snapshot-isolation", &[]),
        (Isolation::Committed, "strong-read-committed", &[]),
    ];
    let found = cases.map(|(isolation, model, vouched)| {
        let is_shown = |seed: &u64| {
            let size = Size { txns: 80, clients: 6, keys: 3, mops_max: 5 };
            let history = history(&mut rng(*seed), isolation, size, is_list);
            let judgement = judge(check, &history, &[&[("consistency", model)], vouched].concat());
            assert_eq!(names(&judgement), [""; 0], "{isolation:?}, seed {seed}");
            judgement.notes.iter().any(|note| note.contains(" allows G"))
        };
        (0..60).filter(is_shown).count()
    });
    assert_eq!(found[0], 0);
    found
}
