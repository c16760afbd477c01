//! The workload: clients that work on registers, sets, counters and so on, as a state machine without sockets.
//!
//! It owns the clients, what they ask next and when, and the numbering of processes. All choices come from one
//! generator of random numbers; what is asked of registers, sets, logs and locks is drawn here, of other families by
//! [`oracle::workload`]. It is told what happens on the clients' connections and what time it is, and says what to do; it
//! does not know what faults there are.

pub mod client;
mod end;
pub mod exec;
pub mod http;
pub mod kv_http;
pub mod protocol;
pub mod resp;
pub mod rest;

pub use client::Action;

use crate::schedule::{self, Family};
use crate::target::client::ClientSpec;
use client::{Client, Task};
use end::{Second, Wanted};
use interceptor::rng::{Rng, split};
use oracle::workload::{Ask, Generator, Shape};
use oracle::{Call, Function, Phase};
use protocol::{Nodes, Protocol};
use rand::RngExt;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Lowest rate while the cluster is watched after the last fault, so that silence is noticed.
const RATE_QUIET_MIN: u32 = 20;
/// Successes of every client after which the cluster counts as settled.
const SETTLED: u32 = 2;
/// Pause before a final read that failed is tried again.
const FINAL_PAUSE_NS: u64 = 50_000_000;
/// One operation in so many goes to a node drawn at random.
const WANDER: u32 = 8;
/// A compare-and-set expects what its own client last saw in one case of so many, otherwise the newest that any saw.
const OWN: u32 = 4;

/// A collection is asked for all it holds in one operation of so many; the others add to it.
const ASK: u32 = 5;

/// Shares of the operations in percent; deletions are the rest.
#[derive(Clone, Copy, Debug)]
struct Mix {
    writes: u32,
    reads: u32,
    swaps: u32,
}

/// One is drawn for each run: which mistakes show depends on what clients mostly do. The first is the usual one.
const MIXES: [Mix; 4] = [
    Mix { writes: 45, reads: 35, swaps: 12 },
    Mix { writes: 15, reads: 30, swaps: 50 },
    Mix { writes: 20, reads: 70, swaps: 5 },
    Mix { writes: 75, reads: 20, swaps: 3 },
];

/// What clients are doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// What the schedule says.
    Load,
    /// The same on and on: does the cluster answer again?
    Probe,
    /// Nothing new begins, for as long as it takes.
    Rest,
    /// Nothing new begins, until all has ended.
    Drain,
    /// Final reads, the first time or again.
    Final,
    /// Changes before a second look.
    Change,
    /// Nothing at all begins before a second look.
    Still,
}

/// An action of the client with this number.
pub type Command = (usize, Action);

/// What clients of a target can do, and how they speak.
#[derive(Clone, Debug)]
pub struct Offer {
    /// How they speak.
    pub protocol: Protocol,
    /// What they can ask.
    pub functions: BTreeSet<Function>,
    /// What they can work on; the first is the usual one.
    pub families: Vec<Family>,
    /// How long an operation may take, in nanoseconds.
    pub patience_ns: u64,
}

impl Offer {
    /// What a manifest offers.
    #[must_use]
    pub fn of(client: &ClientSpec, families: &[Family]) -> Self {
        Self {
            protocol: Protocol::new(client),
            functions: client.functions(),
            families: families.to_vec(),
            patience_ns: client.timeout_ms.saturating_mul(1_000_000),
        }
    }

    /// What a schedule's clients work on.
    #[must_use]
    pub fn family(&self, settings: &schedule::Workload) -> Family {
        settings.family.or(self.families.first().copied()).unwrap_or(Family::Register)
    }
}

/// All clients of one execution.
#[derive(Clone, Debug)]
pub struct Workload {
    settings: schedule::Workload,
    family: Family,
    functions: BTreeSet<Function>,
    nodes: usize,
    rng: Rng,
    mix: Mix,
    clients: Vec<Slot>,
    /// What was last seen of each key by any client.
    newest: BTreeMap<String, Option<String>>,
    next_process: u32,
    begun: u64,
    stage: Stage,
    /// Who draws, for families that are not drawn here.
    generator: Option<Generator>,
    /// Final reads that still want an answer, and changes before a second look.
    wanted: VecDeque<Wanted>,
    final_from_ns: Option<u64>,
    second: Option<Second>,
}

#[derive(Clone, Debug)]
struct Slot {
    client: Client,
    /// When it asks next, if it is idle then.
    next_ns: u64,
    /// Values it made up.
    values: u64,
    /// The lock it has.
    held: Option<String>,
    /// What it last knew of each key.
    known: BTreeMap<String, Option<String>>,
    /// Successes since the last fault.
    successes: u32,
    /// Successes among them that were no reads.
    changes: u32,
    /// What it is asking for, of what is wanted in the end.
    wanted: Option<Wanted>,
}

impl Workload {
    /// The clients of a schedule with this seed, on a cluster that became ready at `now_ns`.
    #[must_use]
    pub fn new(settings: &schedule::Workload, offer: &Offer, nodes: usize, seed: u64, now_ns: u64) -> Self {
        let known = Arc::new(Nodes::new(nodes));
        let mut rng = split(seed, "workload");
        let is_usual = rng.random();
        let mix = if is_usual { MIXES[0] } else { MIXES[rng.random_range(0..MIXES.len())] };
        let interval_ns = interval_ns(settings.clients, settings.rate);
        let family = offer.family(settings);
        let generator = family.generated().map(|family| Generator::new(family, shape(settings, mix)));
        let clients = (0..settings.clients)
            .map(|number| Slot {
                client: Client::new(
                    format!("c{}", number + 1),
                    u32::from(number),
                    usize::from(number) % nodes,
                    Arc::clone(&known),
                    offer.protocol.clone(),
                    offer.patience_ns,
                ),
                next_ns: now_ns.saturating_add(rng.random_range(0..=interval_ns)),
                values: 0,
                held: None,
                known: BTreeMap::new(),
                successes: 0,
                changes: 0,
                wanted: None,
            })
            .collect();
        Self {
            family,
            generator,
            functions: offer.functions.clone(),
            settings: settings.clone(),
            nodes,
            rng,
            mix,
            clients,
            newest: BTreeMap::new(),
            next_process: u32::from(settings.clients),
            begun: 0,
            stage: Stage::Load,
            wanted: VecDeque::new(),
            final_from_ns: None,
            second: None,
        }
    }

    /// Faults are over: operations go on whatever bound the schedule gives them, and successes are counted.
    pub fn probe(&mut self) {
        self.stage = Stage::Probe;
        self.settings.operations = None;
        self.settings.rate = self.settings.rate.max(RATE_QUIET_MIN);
        self.clients.iter_mut().for_each(|slot| (slot.successes, slot.changes) = (0, 0));
    }

    /// Every client has been served since the faults were over, and not with reads alone.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.clients.iter().all(|slot| slot.successes >= SETTLED)
            && self.clients.iter().any(|slot| slot.changes > 0)
    }

    /// No operation begins any more until [`Workload::finish`].
    pub fn rest(&mut self) {
        self.stage = Stage::Rest;
    }

    /// When it wants to be woken.
    #[must_use]
    pub fn deadline_ns(&self) -> Option<u64> {
        (0..self.clients.len()).filter_map(|number| self.deadline_of(number)).chain(self.turn_ns()).min()
    }

    fn deadline_of(&self, number: usize) -> Option<u64> {
        let slot = &self.clients[number];
        if !slot.client.is_idle() {
            return slot.client.deadline_ns();
        }
        let goes_on = match self.stage {
            Stage::Load | Stage::Probe => self.has_more(),
            // Nothing new begins, but nobody keeps a lock.
            Stage::Rest | Stage::Drain => slot.held.is_some(),
            Stage::Final | Stage::Change => self.wanted_by(number).is_some(),
            Stage::Still => false,
        };
        goes_on.then_some(slot.next_ns)
    }

    /// The position of what this client can ask next of what is wanted in the end.
    fn wanted_by(&self, number: usize) -> Option<usize> {
        self.wanted.iter().position(|wanted| wanted.client.is_none_or(|client| client == number))
    }

    fn has_more(&self) -> bool {
        self.settings.operations.is_none_or(|most| self.begun < u64::from(most))
    }

    /// Time has passed.
    pub fn on_time(&mut self, now_ns: u64) -> Vec<Command> {
        let mut commands = Vec::new();
        self.take_stock(now_ns);
        for number in 0..self.clients.len() {
            self.tell(number, now_ns, &mut commands, |client, out| client.on_time(now_ns, out));
            let is_idle = self.clients[number].client.is_idle();
            if is_idle && self.deadline_of(number).is_some_and(|at| at <= now_ns) {
                self.begin(number, now_ns, &mut commands);
            }
        }
        commands
    }

    /// The connection of a client was made, or could not be.
    pub fn on_connected(&mut self, number: usize, is_up: bool, now_ns: u64) -> Vec<Command> {
        let mut commands = Vec::new();
        self.tell(number, now_ns, &mut commands, |client, out| client.on_connected(is_up, now_ns, out));
        commands
    }

    /// Bytes arrived for a client.
    pub fn on_bytes(&mut self, number: usize, bytes: &[u8], now_ns: u64) -> Vec<Command> {
        let mut commands = Vec::new();
        self.tell(number, now_ns, &mut commands, |client, out| client.on_bytes(bytes, now_ns, out));
        commands
    }

    /// The connection of a client has ended.
    pub fn on_closed(&mut self, number: usize, now_ns: u64) -> Vec<Command> {
        let mut commands = Vec::new();
        self.tell(number, now_ns, &mut commands, |client, out| client.on_closed(now_ns, out));
        commands
    }

    /// Lets a client act, and draws the conclusions.
    fn tell(
        &mut self,
        number: usize,
        now_ns: u64,
        commands: &mut Vec<Command>,
        happening: impl FnOnce(&mut Client, &mut Vec<Action>),
    ) {
        let mut actions = Vec::new();
        happening(&mut self.clients[number].client, &mut actions);
        for action in &actions {
            if let Action::Complete { phase, call, .. } = action {
                self.completed(number, *phase, call, now_ns);
            }
        }
        commands.extend(actions.into_iter().map(|action| (number, action)));
    }

    fn completed(&mut self, number: usize, phase: Phase, call: &Call, now_ns: u64) {
        let slot = &mut self.clients[number];
        let key = call.key().to_owned();
        match phase {
            Phase::Ok => {
                slot.successes += 1;
                slot.changes += u32::from(!call.is_read());
                if let Call::Acquire { .. } = call {
                    slot.held = Some(key.clone());
                }
                if let Some(content) = call.leaves().or_else(|| call.observes()) {
                    let content = content.map(str::to_owned);
                    self.newest.insert(key.clone(), content.clone());
                    slot.known.insert(key, content);
                }
            }
            Phase::Info => {
                slot.client.become_process(self.next_process);
                self.next_process += 1;
            }
            Phase::Fail | Phase::Invoke => {}
        }
        self.take_back(number, phase, call, now_ns);
        self.take_stock(now_ns);
    }

    fn begin(&mut self, number: usize, now_ns: u64, commands: &mut Vec<Command>) {
        let task = match self.stage {
            Stage::Final | Stage::Change => {
                let next = self.wanted_by(number).and_then(|at| self.wanted.remove(at));
                let Some(wanted) = next else { return };
                let (call, start_at) = (wanted.call.clone(), wanted.node);
                self.clients[number].wanted = Some(wanted);
                // What is asked of one node in particular is not asked of another because that one is slow.
                let is_impatient = call.function() != Function::Watch && start_at.is_none();
                Task { call, is_impatient, start_at }
            }
            Stage::Still => return,
            Stage::Load | Stage::Probe | Stage::Rest | Stage::Drain => self.draw(number),
        };
        self.begun += 1;
        if !matches!(self.stage, Stage::Final | Stage::Change) {
            let interval_ns = interval_ns(self.settings.clients, self.settings.rate);
            let jittered =
                self.rng.random_range(interval_ns / 2..=interval_ns.saturating_add(interval_ns / 2));
            self.clients[number].next_ns = now_ns.saturating_add(jittered.max(1));
        }
        self.tell(number, now_ns, commands, |client, out| client.begin(task, now_ns, out));
    }

    /// What a client asks next.
    fn draw(&mut self, number: usize) -> Task {
        let call = match &mut self.generator {
            Some(generator) => asked(generator.ask(number, &mut self.rng)),
            None => self.draw_call(number),
        };
        let start_at = self.rng.random_ratio(1, WANDER).then(|| self.rng.random_range(0..self.nodes));
        // A watch that is asked twice is told the rest the second time, and what it was told first is lost.
        let is_impatient = self.rng.random() && call.function() != Function::Watch;
        Task { call, is_impatient, start_at }
    }

    fn draw_call(&mut self, number: usize) -> Call {
        let rng = &mut self.rng;
        let key = key(rng.random_range(0..self.settings.keys));
        let slot = &mut self.clients[number];
        let mut value = || {
            slot.values += 1;
            format!("v{}.{}", number + 1, slot.values)
        };
        match self.family {
            Family::Register => {
                let Mix { writes, reads, swaps } = self.mix;
                let seen = |own: bool| if own { &slot.known } else { &self.newest };
                match rng.random_range(0..100) {
                    n if n < writes => Call::Write { value: value(), key },
                    n if n < writes + reads => Call::Read { key, value: None },
                    n if n < writes + reads + swaps && self.functions.contains(&Function::Cas) => {
                        let value = value();
                        let expect = seen(rng.random_ratio(1, OWN)).get(&key).cloned().flatten();
                        Call::Cas { expect, value, result: None, key }
                    }
                    _ if self.functions.contains(&Function::Delete) => Call::Delete { key },
                    _ => Call::Write { value: value(), key },
                }
            }
            Family::Set | Family::Log if rng.random_ratio(1, ASK) => Call::Elements { key, elements: None },
            Family::Lock => match slot.held.take() {
                Some(key) => Call::Release { key },
                None => Call::Acquire { key, grant: None },
            },
            _ => Call::Add { element: value(), key },
        }
    }
}

/// Mean time between two operations of one client.
fn interval_ns(clients: u8, rate: u32) -> u64 {
    u64::from(clients) * 1_000_000_000 / u64::from(rate.max(1))
}

fn key(number: u8) -> String {
    format!("k{number}")
}

/// What a generator is to draw.
fn shape(settings: &schedule::Workload, mix: Mix) -> Shape {
    Shape {
        clients: settings.clients.into(),
        keys: settings.keys.into(),
        clients_per_key: settings.clients.into(),
        read_percent: mix.reads,
        amount_max: 1,
        rate: settings.rate,
        ..Shape::default()
    }
}

/// What a generator asks, as a call. Its keys are numbers.
fn asked(ask: Ask) -> Call {
    let key = ask.key.map(|key| format!("k{key}")).unwrap_or_default();
    let function = Function::named(ask.f).expect("every operation of a generated family has a name");
    Call::Other { function, key, asked: ask.value, answered: None }
}

#[cfg(test)]
mod tests;
