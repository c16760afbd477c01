//! Opening and saving: from the directory to a campaign and back.

use super::allocation::Allocation;
use super::coverage::Coverage;
use super::engine::Engine;
use super::error::CampaignError;
use super::event::CampaignEvent;
use super::findings::Findings;
use super::legacy::Legacy;
use super::store::{Identity, Store};
use super::{Campaign, CampaignConfig, Counters, Memory, Stopwatch};
use crate::codec::{self, CodecError};
use crate::executor::Executor;
use crate::generate::Ground;
use crate::mutate;
use crate::schedule::{HORIZON_MS_MAX, NODES_MAX};
use crate::tally::Tally;
use agents::{AgentMemory, Visited};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The format of the state.
const FORMAT: u32 = 3;

/// The state, to be written.
#[derive(Serialize)]
struct Saving<'a> {
    format: u32,
    engine: Vec<u8>,
    memory: &'a Memory,
}

/// The state, as read.
#[derive(Deserialize)]
struct Saved {
    format: u32,
    engine: Vec<u8>,
    memory: Memory,
}

impl Campaign {
    /// Opens the campaign's directory, new or to be resumed, and gives every executor its agent.
    ///
    /// # Errors
    /// When the settings make no sense, or the directory holds something else, another campaign, or one of a
    /// newer version. Damaged entries and a damaged state are no errors: they are set aside, and what can be
    /// is found again by running the corpus.
    pub fn open(
        config: CampaignConfig,
        mut executors: Vec<Box<dyn Executor>>,
    ) -> Result<Self, CampaignError> {
        check(&config, executors.len())?;
        let (store, was_there) = Store::open(&config.out, &Identity::of(&config))?;
        let mut news = Vec::new();
        let entries = store.read_entries(&mut news)?;
        let saved = load(&store, &config, &mut news)?;
        let resumed = was_there && saved.is_some();
        if saved.is_none()
            && let Some(why) = store.forgotten(was_there, entries.len(), &news)?
        {
            let (schedules, findings) = (entries.len(), store.findings()?);
            news.push(CampaignEvent::Forgotten { why, schedules, findings });
        }
        let (mut engine, mut memory) = match saved {
            Some(saved) => saved,
            None => {
                let mut memory = Memory::new(&config)?;
                news.extend(config.legacy.as_ref().map(|legacy| memory.inherit(legacy, &config)));
                (Engine::new(ground(&config), config.search, config.seed)?, memory)
            }
        };
        engine.remember(memory.event_keys.iter().cloned());
        let mut known = BTreeSet::new();
        for (id, name) in engine.entries()? {
            if entries.contains_key(&name) {
                known.insert(name);
            } else {
                engine.remove(id)?;
            }
        }
        memory.take_in(
            entries.into_iter().filter(|(name, _)| !known.contains(name)).map(|(_, schedule)| schedule),
        );
        for executor in &mut executors {
            executor.adopt(&memory.agent.agent)?;
        }
        let watch = Stopwatch::start();
        Ok(Self { config, executors, store, engine, memory, news, resumed, failures: 0, watch })
    }

    /// Forgets findings whose directories are not `kept` any more: they count no more and are found again.
    pub fn forget(&mut self, kept: &dyn Fn(&str) -> bool) {
        let gone = self.memory.findings.forget(kept).into_iter();
        self.news.extend(gone.map(|(signature, slug)| CampaignEvent::FindingGone { signature, slug }));
    }

    /// Writes the state; durable when it returns.
    pub(super) fn save(&mut self) -> Result<CampaignEvent, CampaignError> {
        self.memory.event_keys = self.engine.ground().event_keys.iter().cloned().collect();
        let counters = self.memory.counters;
        self.memory.counters.elapsed_ms += self.watch.elapsed_ms();
        let engine = self.engine.save().map_err(|e| CampaignError::Corpus(e.to_string()));
        let bytes = engine
            .and_then(|engine| Ok(codec::encode(&Saving { format: FORMAT, engine, memory: &self.memory })?));
        // The watch goes on running.
        self.memory.counters = counters;
        self.store.write_state(&bytes?)?;
        Ok(CampaignEvent::Saved { executions: counters.executions, divergence: self.divergence() })
    }
}

impl Memory {
    fn new(config: &CampaignConfig) -> Result<Self, CampaignError> {
        let mut memory = Self {
            counters: Counters::default(),
            tally: Tally::default(),
            coverage: Coverage::default(),
            allocation: Allocation::default(),
            findings: Findings::default(),
            agent: AgentMemory::build(&config.agent, &config.actions)?,
            visited: Visited::default(),
            event_keys: Vec::new(),
            words: BTreeMap::new(),
            pending: VecDeque::new(),
        };
        let ground = ground(config);
        memory.take_in(config.seeds.iter().cloned().map(|mut seed| {
            mutate::repair(&mut seed, &ground);
            seed
        }));
        Ok(memory)
    }

    /// Takes over what another campaign had.
    fn inherit(&mut self, legacy: &Legacy, config: &CampaignConfig) -> CampaignEvent {
        let ground = ground(config);
        self.take_in(legacy.schedules.iter().cloned().map(|mut schedule| {
            mutate::repair(&mut schedule, &ground);
            schedule
        }));
        let without_agent = match legacy.agent_for(config) {
            Ok(agent) => {
                self.agent = agent;
                None
            }
            Err(why) => Some(why),
        };
        let (out, schedules, damaged) = (legacy.out.clone(), legacy.schedules.len(), legacy.damaged);
        CampaignEvent::Inherited { out, schedules, damaged, without_agent }
    }

    /// Puts schedules on the list of those to be run first, each once.
    fn take_in(&mut self, schedules: impl IntoIterator<Item = crate::schedule::Schedule>) {
        for schedule in schedules {
            if !self.pending.contains(&schedule) {
                self.pending.push_back(schedule);
            }
        }
    }
}

/// What is possible, before any event is known.
fn ground(config: &CampaignConfig) -> Ground {
    let mut ground = Ground::new(&config.target, &config.bugs, config.nodes, config.horizon_ms);
    ground.kinds.clone_from(&config.kinds);
    ground.max_down = config.max_down;
    ground.families.clone_from(&config.families);
    ground
}

fn check(config: &CampaignConfig, executors: usize) -> Result<(), CampaignError> {
    let refuse = |why: String| Err(CampaignError::Settings(why));
    if executors == 0 {
        return refuse("a campaign needs at least one core; give --cores 1 or more".into());
    }
    if !(1..=NODES_MAX).contains(&config.nodes) {
        return refuse(format!("nodes = {} is out of range; 1 to {NODES_MAX} are possible", config.nodes));
    }
    if !(1..=HORIZON_MS_MAX).contains(&config.horizon_ms) {
        return refuse(format!(
            "a horizon of {} ms is out of range; 1 to {HORIZON_MS_MAX} are possible",
            config.horizon_ms
        ));
    }
    Ok(())
}

/// What is remembered in a saved state.
pub(super) fn memory_of(bytes: &[u8]) -> Result<Memory, CodecError> {
    codec::decode::<Saved>(bytes).map(|saved| saved.memory)
}

/// The saved state; `None` when there is none, or none that can be used.
fn load(
    store: &Store,
    config: &CampaignConfig,
    news: &mut Vec<CampaignEvent>,
) -> Result<Option<(Engine, Memory)>, CampaignError> {
    let Some(bytes) = store.read_state()? else { return Ok(None) };
    let path = store.state_path();
    let newer = |found| CampaignError::Newer { path: path.clone(), found, known: FORMAT };
    let why = match codec::decode::<Saved>(&bytes) {
        Ok(Saved { format, .. }) if format > FORMAT => return Err(newer(format)),
        Ok(Saved { engine, memory, .. }) => {
            memory.agent.check(&config.actions)?;
            match Engine::restore(&engine, ground(config), config.search, config.seed) {
                Ok(engine) => return Ok(Some((engine, memory))),
                Err(error) => format!("the corpus in it cannot be read: {error}"),
            }
        }
        Err(CodecError::Newer { found }) => return Err(newer(found.into())),
        Err(error) => error.to_string(),
    };
    news.push(store.quarantine(&path, why)?);
    Ok(None)
}
