//! Histories of a simulated store: clients with delays, failures and crashes.

use super::Ask;
use crate::history::Phase;
use crate::raw::{Entry, Process};
use crate::value::Value;
use rand::{Rng, RngExt};

/// The time between two entries.
pub const TICK_NS: u64 = 1_000_000;

/// How much is asked, and what goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Operations of all clients.
    pub operations: usize,
    /// Clients, at least one.
    pub clients: usize,
    /// Operations of a hundred whose end nobody hears of.
    pub info_percent: u32,
    /// Operations of a hundred that fail and change nothing.
    pub fail_percent: u32,
}

impl Default for Plan {
    /// Eighty operations of five clients, some of which crash or fail.
    fn default() -> Self {
        Self { operations: 80, clients: 5, info_percent: 10, fail_percent: 5 }
    }
}

/// What an operation has come to.
struct Pending {
    ask: Ask,
    answer: Option<Option<Value>>,
}

/// Someone who asks, and does what is asked.
pub trait World<R: Rng> {
    /// What this client asks next.
    fn ask(&mut self, client: usize, rng: &mut R) -> Ask;

    /// Does it at one instant; `None` refuses, and nothing is changed. If `is_late` the client has gone away.
    fn apply(&mut self, client: usize, ask: &Ask, is_late: bool) -> Option<Value>;

    /// The client has heard that it is done.
    fn hear(&mut self, _client: usize, _ask: &Ask, _answer: &Value) {}

    /// What is asked in the end, one after the other, without failures, by one more client.
    fn last(&self) -> Vec<Ask> {
        Vec::new()
    }
}

/// A history: clients ask one thing at a time, which takes effect at one instant between invocation and completion.
/// Crashed operations take effect at some later instant or never, and their clients go on as new processes.
pub fn simulate<R: Rng>(plan: Plan, rng: &mut R, world: &mut impl World<R>) -> Vec<Entry> {
    Simulation::new(plan, rng, world).collect()
}

/// The same, made an entry at a time.
pub struct Simulation<'a, R, W> {
    plan: Plan,
    rng: &'a mut R,
    world: &'a mut W,
    clients: Vec<Option<Pending>>,
    processes: Vec<u64>,
    crashed: Vec<(usize, Ask)>,
    begun: usize,
    index: u64,
    /// What is asked in the end, once that has begun.
    last: Option<std::vec::IntoIter<Ask>>,
    /// The answer to what was asked in the end.
    answer: Option<Entry>,
}

impl<'a, R: Rng, W: World<R>> Simulation<'a, R, W> {
    /// Nothing has happened yet.
    pub fn new(plan: Plan, rng: &'a mut R, world: &'a mut W) -> Self {
        Self {
            plan,
            rng,
            world,
            clients: (0..plan.clients).map(|_| None).collect(),
            processes: (0..plan.clients as u64).collect(),
            crashed: Vec::new(),
            begun: 0,
            index: 0,
            last: None,
            answer: None,
        }
    }

    fn entry(&mut self, process: u64, phase: Phase, ask: &Ask, value: Value) -> Entry {
        self.index += 1;
        entry(self.index - 1, process, phase, ask, value)
    }

    /// A client goes a step further, which may be seen.
    fn step(&mut self) -> Option<Entry> {
        let plan = self.plan;
        if !self.crashed.is_empty() && self.rng.random_ratio(1, 10) {
            let (client, ask) = self.crashed.swap_remove(self.rng.random_range(0..self.crashed.len()));
            self.world.apply(client, &ask, true);
        }
        let client = self.rng.random_range(0..plan.clients);
        let process = self.processes[client];
        match self.clients[client].take() {
            None if self.begun < plan.operations => {
                self.begun += 1;
                let ask = self.world.ask(client, self.rng);
                let entry = self.entry(process, Phase::Invoke, &ask, ask.value.clone());
                self.clients[client] = Some(Pending { ask, answer: None });
                Some(entry)
            }
            None => None,
            Some(Pending { ask, answer: None }) => {
                let drawn = self.rng.random_range(0..100);
                if drawn < plan.info_percent {
                    let entry = self.entry(process, Phase::Info, &ask, ask.value.clone());
                    self.crashed.push((client, ask));
                    self.processes[client] += plan.clients as u64;
                    Some(entry)
                } else if drawn < plan.info_percent + plan.fail_percent {
                    Some(self.entry(process, Phase::Fail, &ask, ask.value.clone()))
                } else {
                    let answer = self.world.apply(client, &ask, false);
                    self.clients[client] = Some(Pending { ask, answer: Some(answer) });
                    None
                }
            }
            Some(Pending { ask, answer: Some(answer) }) => Some(match answer {
                Some(value) => {
                    self.world.hear(client, &ask, &value);
                    self.entry(process, Phase::Ok, &ask, value)
                }
                None => self.entry(process, Phase::Fail, &ask, ask.value.clone()),
            }),
        }
    }

    /// Asks the next of what is asked in the end.
    fn ask_last(&mut self) -> Option<Entry> {
        let ask = self.last.get_or_insert_with(|| self.world.last().into_iter()).next()?;
        let clients = self.plan.clients;
        let process = self.processes.iter().max().map_or(0, |process| process + clients as u64);
        let asked = self.entry(process, Phase::Invoke, &ask, ask.value.clone());
        let (phase, value) = match self.world.apply(clients, &ask, false) {
            Some(value) => (Phase::Ok, value),
            None => (Phase::Fail, ask.value.clone()),
        };
        self.answer = Some(self.entry(process, phase, &ask, value));
        Some(asked)
    }
}

impl<R: Rng, W: World<R>> Iterator for Simulation<'_, R, W> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        if let Some(answer) = self.answer.take() {
            return Some(answer);
        }
        while self.last.is_none()
            && (self.begun < self.plan.operations || self.clients.iter().any(Option::is_some))
        {
            if let Some(entry) = self.step() {
                return Some(entry);
            }
        }
        self.ask_last()
    }
}

/// Adds an entry.
#[cfg(test)]
pub(crate) fn push(entries: &mut Vec<Entry>, process: u64, phase: Phase, ask: &Ask, value: Value) {
    entries.push(entry(entries.len() as u64, process, phase, ask, value));
}

fn entry(index: u64, process: u64, phase: Phase, ask: &Ask, value: Value) -> Entry {
    Entry {
        index,
        at_ns: Some(index * TICK_NS),
        process: Process::Client(process),
        phase,
        f: ask.f.into(),
        key: ask.key.clone(),
        value,
        error: None,
        extra: Vec::new(),
        place: None,
    }
}
