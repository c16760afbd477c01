//! The generator of each family.

use super::keys::Keys;
use super::{Ask, Family, Shape};
use crate::value::Value;
use rand::{Rng, RngExt};
use std::collections::BTreeMap;

/// Accounts of a bank.
pub const ACCOUNTS: i64 = 5;
/// What is on the first of them in the beginning.
pub const TOTAL: i64 = 100;
/// The most that one transfer moves.
const TRANSFER_MAX: i64 = 10;
/// The most parts of a transaction.
const PARTS_MAX: usize = 4;

/// Says what each client asks next.
#[derive(Clone, Debug)]
pub struct Generator {
    family: Family,
    shape: Shape,
    keys: Keys,
    /// The last unique value.
    value: i64,
    /// What each register was last known to hold.
    known: BTreeMap<Value, Value>,
    /// The lock that each client holds.
    held: BTreeMap<usize, Value>,
}

impl Generator {
    /// A generator that has asked for nothing yet.
    #[must_use]
    pub fn new(family: Family, shape: Shape) -> Self {
        Self {
            family,
            shape,
            keys: Keys::new(&shape),
            value: 0,
            known: BTreeMap::new(),
            held: BTreeMap::new(),
        }
    }

    /// What this client asks next.
    pub fn ask(&mut self, client: usize, rng: &mut dyn Rng) -> Ask {
        let is_read = rng.random_ratio(self.shape.read_percent.min(100), 100);
        let of = |f, key, value| Ask { f, key, value };
        let key = |keys: &mut Keys, rng: &mut dyn Rng| {
            Value::Int(i64::try_from(keys.draw(client, rng)).unwrap_or(i64::MAX))
        };
        match self.family {
            Family::Register => {
                let key = key(&mut self.keys, rng);
                let known = self.known.get(&key).filter(|_| rng.random_ratio(1, 3)).cloned();
                match known {
                    _ if is_read => of("read", Some(key), Value::Nil),
                    Some(old) => of("cas", Some(key), Value::List(vec![old, self.fresh()])),
                    None => of("write", Some(key), self.fresh()),
                }
            }
            Family::Set | Family::Counter if is_read => {
                of("read", Some(key(&mut self.keys, rng)), Value::Nil)
            }
            Family::Set => of("add", Some(key(&mut self.keys, rng)), self.fresh()),
            Family::Counter => {
                let key = key(&mut self.keys, rng);
                of("increment", Some(key), Value::Int(rng.random_range(1..=self.shape.amount_max.max(1))))
            }
            Family::Watch if is_read => of("watch", Some(key(&mut self.keys, rng)), Value::Nil),
            Family::Watch => of("write", Some(key(&mut self.keys, rng)), self.fresh()),
            Family::Log if is_read => of("poll", None, Value::List(vec![part("poll", [])])),
            Family::Log => {
                let send = part("send", [key(&mut self.keys, rng), self.fresh()]);
                of("send", None, Value::List(vec![send]))
            }
            Family::Lock => match self.held.remove(&client) {
                Some(key) => of("release", Some(key), Value::Nil),
                None => of("acquire", Some(key(&mut self.keys, rng)), Value::Nil),
            },
            Family::Queue if is_read => of("dequeue", Some(key(&mut self.keys, rng)), Value::Nil),
            Family::Queue => of("enqueue", Some(key(&mut self.keys, rng)), self.fresh()),
            Family::Bank if is_read => of("read", None, Value::Nil),
            Family::Bank => {
                let from = rng.random_range(0..ACCOUNTS);
                let to = (from + rng.random_range(1..ACCOUNTS)) % ACCOUNTS;
                let fields = [("from", from), ("to", to), ("amount", rng.random_range(1..=TRANSFER_MAX))];
                let fields = fields.map(|(name, number)| (Value::Keyword(name.into()), Value::Int(number)));
                of("transfer", None, Value::Map(fields.to_vec()))
            }
            Family::Transactions => {
                let mut parts = Vec::new();
                for _ in 0..rng.random_range(1..=PARTS_MAX) {
                    let key = key(&mut self.keys, rng);
                    parts.push(match rng.random_ratio(self.shape.read_percent.min(100), 100) {
                        true => part("r", [key, Value::Nil]),
                        false => part("append", [key, self.fresh()]),
                    });
                }
                of("txn", None, Value::List(parts))
            }
        }
    }

    /// An operation took effect, with this answer: later operations may build on it.
    pub fn hear(&mut self, client: usize, ask: &Ask, answer: &Value) {
        let Some(key) = &ask.key else { return };
        match (self.family, ask.f) {
            (Family::Register, "read") if *answer != Value::Nil => {
                self.known.insert(key.clone(), answer.clone());
            }
            (Family::Register, "write") => {
                self.known.insert(key.clone(), ask.value.clone());
            }
            (Family::Lock, "acquire") => {
                self.held.insert(client, key.clone());
            }
            _ => {}
        }
    }

    /// What is asked in the end, one after the other, by a client that has asked for nothing before.
    #[must_use]
    pub fn last(&self) -> Vec<Ask> {
        let each = |f| {
            let key = |key| Some(Value::Int(i64::try_from(key).unwrap_or(i64::MAX)));
            (0..self.keys.count()).map(|number| Ask { f, key: key(number), value: Value::Nil }).collect()
        };
        match self.family {
            Family::Register | Family::Set | Family::Counter => each("read"),
            Family::Queue => each("drain"),
            Family::Watch => each("watch"),
            Family::Bank => vec![Ask { f: "read", key: None, value: Value::Nil }],
            Family::Log => {
                vec![Ask { f: "poll", key: None, value: Value::List(vec![part("poll", [])]) }]
            }
            Family::Transactions => {
                let count = i64::try_from(self.keys.count()).unwrap_or(i64::MAX);
                let reads = (0..count).map(|key| part("r", [Value::Int(key), Value::Nil])).collect();
                vec![Ask { f: "txn", key: None, value: Value::List(reads) }]
            }
            Family::Lock => Vec::new(),
        }
    }

    /// A change of the object that this asks for, which says nothing of what was there before: it makes a target that
    /// answers from an old state catch up.
    pub fn change(&mut self, last: &Ask) -> Option<Ask> {
        let of = |f, value| Some(Ask { f, key: last.key.clone(), value });
        match self.family {
            Family::Register | Family::Watch => of("write", self.fresh()),
            Family::Set => of("add", self.fresh()),
            Family::Counter => of("increment", Value::Int(1)),
            Family::Queue => of("enqueue", self.fresh()),
            Family::Log => of("send", Value::List(vec![part("send", [Value::Int(0), self.fresh()])])),
            Family::Bank => {
                let fields = [("from", 0), ("to", 1), ("amount", 1)];
                let fields = fields.map(|(name, number)| (Value::Keyword(name.into()), Value::Int(number)));
                of("transfer", Value::Map(fields.to_vec()))
            }
            Family::Transactions => {
                of("txn", Value::List(vec![part("append", [Value::Int(0), self.fresh()])]))
            }
            Family::Lock => None,
        }
    }

    /// How long a client waits before it asks again, in nanoseconds: half to one and a half of the mean.
    pub fn pause_ns(&self, rng: &mut dyn Rng) -> u64 {
        let mean = self.shape.clients.max(1) as u64 * 1_000_000_000 / u64::from(self.shape.rate.max(1));
        rng.random_range(mean / 2..=mean.saturating_add(mean / 2)).max(1)
    }

    fn fresh(&mut self) -> Value {
        self.value += 1;
        Value::Int(self.value)
    }
}

/// A part of a transaction: `[name ...]`.
pub fn part<const N: usize>(name: &str, values: [Value; N]) -> Value {
    Value::List([Value::Keyword(name.into())].into_iter().chain(values).collect())
}
