//! A store in memory for every family, and what may be wrong with it.

use super::draw::{ACCOUNTS, TOTAL, part};
use super::{Ask, Family};
use crate::value::Value;
use std::collections::BTreeMap;

/// A sequential store that does all that the generator of a family asks for, rightly.
#[derive(Clone, Debug)]
pub struct Store {
    family: Family,
    registers: BTreeMap<Value, Value>,
    /// Sets, queues, and the lists of transactions.
    lists: BTreeMap<Value, Vec<Value>>,
    logs: BTreeMap<Value, Vec<Value>>,
    /// Where each client is in each log.
    places: BTreeMap<(usize, Value), usize>,
    /// The changes of each register that is watched, as events.
    changes: BTreeMap<Value, Vec<Value>>,
    revision: i64,
    counters: BTreeMap<Value, i64>,
    holders: BTreeMap<Value, usize>,
    token: i64,
    accounts: Vec<i64>,
}

impl Store {
    /// An empty one; a bank has all its money on one account.
    #[must_use]
    pub fn new(family: Family) -> Self {
        Self {
            family,
            registers: BTreeMap::new(),
            lists: BTreeMap::new(),
            logs: BTreeMap::new(),
            places: BTreeMap::new(),
            changes: BTreeMap::new(),
            revision: 0,
            counters: BTreeMap::new(),
            holders: BTreeMap::new(),
            token: 0,
            accounts: (0..ACCOUNTS).map(|account| if account == 0 { TOTAL } else { 0 }).collect(),
        }
    }

    /// Does what a client asks: the answer, or `None` when it is refused and changes nothing.
    ///
    /// A client that has gone away in the meantime (`is_late`) is given no lock, and is told nothing.
    pub fn apply(&mut self, client: usize, ask: &Ask, is_late: bool) -> Option<Value> {
        let key = ask.key.clone().unwrap_or_default();
        match ask.f {
            "read" if ask.key.is_none() => Some(self.balances()),
            "read" => Some(match self.family {
                Family::Counter => Value::Int(self.counters.get(&key).copied().unwrap_or(0)),
                Family::Set => Value::List(self.lists.get(&key).cloned().unwrap_or_default()),
                _ => self.registers.get(&key).cloned().unwrap_or_default(),
            }),
            "write" if self.family == Family::Watch => {
                self.revision += 1;
                let event = Value::List(vec![Value::Int(self.revision), ask.value.clone()]);
                self.changes.entry(key).or_default().push(event.clone());
                Some(event)
            }
            "watch" if is_late => None,
            "watch" => Some(self.told(client, key)),
            "write" => {
                self.registers.insert(key, ask.value.clone());
                Some(ask.value.clone())
            }
            "cas" => {
                let [old, new] = ask.value.as_elements()? else { return None };
                let holds = self.registers.get_mut(&key).filter(|holds| *holds == old)?;
                holds.clone_from(new);
                Some(ask.value.clone())
            }
            "increment" => {
                *self.counters.entry(key).or_default() += ask.value.as_int()?;
                Some(ask.value.clone())
            }
            "add" | "enqueue" => {
                self.lists.entry(key).or_default().push(ask.value.clone());
                Some(ask.value.clone())
            }
            "dequeue" => {
                let elements = self.lists.get_mut(&key).filter(|elements| !elements.is_empty())?;
                Some(elements.remove(0))
            }
            "drain" => Some(Value::List(self.lists.remove(&key).unwrap_or_default())),
            "acquire" => {
                // who holds it already is refused too: as another process it would be another holder
                let is_free = !self.holders.contains_key(&key) && !is_late;
                is_free.then(|| {
                    self.holders.insert(key, client);
                    self.token += 1;
                    Value::Int(self.token)
                })
            }
            "release" => {
                if !is_late && self.holders.get(&key) == Some(&client) {
                    self.holders.remove(&key);
                }
                Some(ask.value.clone())
            }
            "transfer" => self.transfer(&ask.value),
            "txn" => ask
                .value
                .as_elements()?
                .iter()
                .map(|part| self.part(part))
                .collect::<Option<_>>()
                .map(Value::List),
            "poll" if is_late => None,
            "send" | "poll" => {
                let parts = ask.value.as_elements()?;
                parts.iter().map(|part| self.log(client, part)).collect::<Option<_>>().map(Value::List)
            }
            _ => None,
        }
    }

    /// What a client has not been told yet.
    fn told(&mut self, client: usize, key: Value) -> Value {
        let changes = self.changes.get(&key).map_or(&[][..], Vec::as_slice);
        let place = self.places.entry((client, key)).or_default();
        let events = changes[*place..].to_vec();
        // The last event before is the one after which it goes on.
        let before = place.checked_sub(1).and_then(|at| changes[at].as_elements()?.first()?.as_int());
        *place = changes.len();
        let from = Value::Int(before.unwrap_or(0) + 1);
        Value::Map(vec![
            (Value::Keyword("from".into()), from),
            (Value::Keyword("events".into()), Value::List(events)),
        ])
    }

    fn balances(&self) -> Value {
        let pairs = self.accounts.iter().zip(0..);
        Value::Map(pairs.map(|(balance, account)| (Value::Int(account), Value::Int(*balance))).collect())
    }

    fn transfer(&mut self, value: &Value) -> Option<Value> {
        let field = |name| value.get(name).and_then(Value::as_int);
        let account = |name| field(name).and_then(|account| usize::try_from(account).ok());
        let (from, to, amount) = (account("from")?, account("to")?, field("amount")?);
        if *self.accounts.get(from)? < amount || to >= self.accounts.len() {
            return None;
        }
        self.accounts[from] -= amount;
        self.accounts[to] += amount;
        Some(value.clone())
    }

    /// A part of a transaction on lists.
    fn part(&mut self, asked: &Value) -> Option<Value> {
        let [f, key, value] = asked.as_elements()? else { return None };
        let list = self.lists.entry(key.clone()).or_default();
        if f.as_name() == Some("append") {
            list.push(value.clone());
            return Some(asked.clone());
        }
        Some(part("r", [key.clone(), Value::List(list.clone())]))
    }

    /// A part of an operation on logs.
    fn log(&mut self, client: usize, asked: &Value) -> Option<Value> {
        if let [_, key, value] = asked.as_elements()? {
            let log = self.logs.entry(key.clone()).or_default();
            log.push(value.clone());
            let offset = Value::Int(i64::try_from(log.len()).ok()? - 1);
            return Some(part("send", [key.clone(), Value::List(vec![offset, value.clone()])]));
        }
        let mut polled = Vec::new();
        for (key, log) in &self.logs {
            let place = self.places.entry((client, key.clone())).or_default();
            let new = log.iter().zip(0..).skip(*place);
            let new: Vec<Value> =
                new.map(|(value, at)| Value::List(vec![Value::Int(at), value.clone()])).collect();
            *place = log.len();
            if !new.is_empty() {
                polled.push((key.clone(), Value::List(new)));
            }
        }
        Some(part("poll", [Value::Map(polled)]))
    }
}

/// What a store does wrong now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flaw {
    /// It acknowledges a change and forgets it.
    LostChange,
    /// It makes a change twice.
    ChangeTwice,
    /// It makes a change and says that it has failed.
    ChangeDenied,
    /// It answers a read from a past state.
    StaleRead,
    /// It takes an amount from one account only after it has given it to another, and forgets the former.
    TornTransfer,
}

/// A store with a flaw.
#[derive(Clone, Debug)]
pub struct Flawed {
    store: Store,
    past: Store,
    flaw: Option<Flaw>,
    /// One change, or read, of so many is flawed.
    every: u64,
    changes: u64,
    reads: u64,
}

impl Flawed {
    /// A store that errs in one of so many changes (for stale reads: reads); without a flaw it never does.
    #[must_use]
    pub fn new(family: Family, flaw: Option<Flaw>, every: u64) -> Self {
        let store = Store::new(family);
        Self { past: store.clone(), store, flaw, every: every.max(1), changes: 0, reads: 0 }
    }

    /// As [`Store::apply`].
    pub fn apply(&mut self, client: usize, ask: &Ask, is_late: bool) -> Option<Value> {
        let is_read = matches!(ask.f, "read" | "drain");
        let count = if is_read { &mut self.reads } else { &mut self.changes };
        *count += 1;
        let is_flawed = count.is_multiple_of(self.every) && !is_late;
        let answer = match self.flaw.filter(|_| is_flawed) {
            Some(Flaw::LostChange) if !is_read => self.store.clone().apply(client, ask, is_late),
            Some(Flaw::ChangeTwice) if !is_read => {
                self.store.apply(client, ask, is_late)?;
                self.store.apply(client, ask, is_late)
            }
            Some(Flaw::ChangeDenied) if !is_read => {
                self.store.apply(client, ask, is_late);
                None
            }
            Some(Flaw::StaleRead) if ask.f == "read" => self.past.apply(client, ask, is_late),
            Some(Flaw::TornTransfer) if ask.f == "transfer" => {
                let answer = self.store.apply(client, ask, is_late)?;
                let amount = ask.value.get("amount").and_then(Value::as_int).unwrap_or(0);
                self.store.accounts[0] += amount;
                Some(answer)
            }
            _ => self.store.apply(client, ask, is_late),
        };
        if self.flaw == Some(Flaw::StaleRead) && self.reads % (2 * self.every) == 1 {
            self.past = self.store.clone();
        }
        answer
    }
}
