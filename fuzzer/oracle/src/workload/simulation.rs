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
    let mut entries = Vec::new();
    let mut clients: Vec<Option<Pending>> = (0..plan.clients).map(|_| None).collect();
    let mut processes: Vec<u64> = (0..plan.clients as u64).collect();
    let mut crashed: Vec<(usize, Ask)> = Vec::new();
    let mut begun = 0;
    while begun < plan.operations || clients.iter().any(Option::is_some) {
        if !crashed.is_empty() && rng.random_ratio(1, 10) {
            let (client, ask) = crashed.swap_remove(rng.random_range(0..crashed.len()));
            world.apply(client, &ask, true);
        }
        let client = rng.random_range(0..plan.clients);
        let process = processes[client];
        match clients[client].take() {
            None if begun < plan.operations => {
                begun += 1;
                let ask = world.ask(client, rng);
                push(&mut entries, process, Phase::Invoke, &ask, ask.value.clone());
                clients[client] = Some(Pending { ask, answer: None });
            }
            None => {}
            Some(Pending { ask, answer: None }) => {
                let drawn = rng.random_range(0..100);
                if drawn < plan.info_percent {
                    push(&mut entries, process, Phase::Info, &ask, ask.value.clone());
                    crashed.push((client, ask));
                    processes[client] += plan.clients as u64;
                } else if drawn < plan.info_percent + plan.fail_percent {
                    push(&mut entries, process, Phase::Fail, &ask, ask.value.clone());
                } else {
                    let answer = world.apply(client, &ask, false);
                    clients[client] = Some(Pending { ask, answer: Some(answer) });
                }
            }
            Some(Pending { ask, answer: Some(answer) }) => match answer {
                Some(value) => {
                    world.hear(client, &ask, &value);
                    push(&mut entries, process, Phase::Ok, &ask, value);
                }
                None => push(&mut entries, process, Phase::Fail, &ask, ask.value.clone()),
            },
        }
    }
    let process = processes.into_iter().max().map_or(0, |process| process + plan.clients as u64);
    for ask in world.last() {
        push(&mut entries, process, Phase::Invoke, &ask, ask.value.clone());
        let (phase, value) = match world.apply(plan.clients, &ask, false) {
            Some(value) => (Phase::Ok, value),
            None => (Phase::Fail, ask.value.clone()),
        };
        push(&mut entries, process, phase, &ask, value);
    }
    entries
}

/// Adds an entry.
pub(crate) fn push(entries: &mut Vec<Entry>, process: u64, phase: Phase, ask: &Ask, value: Value) {
    let index = entries.len() as u64;
    entries.push(Entry {
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
    });
}
