//! The engine: libafl's fuzzer and state, with the few things the campaign asks of them.

use super::allocation::Allocation;
use super::config::Search;
use super::coverage::{Coverage, News};
use super::error::CampaignError;
use super::event::Source;
use super::feedback::{Observers, Reading, Seen};
use super::input::{ScheduleInput, entry_name};
use super::mutator::{Mutations, SharedGround, mutator};
use super::random::Random;
use super::scheduler::RareFirst;
use crate::draw::log_uniform;
use crate::generate::{self, Ground};
use crate::mutate;
use crate::schedule::Schedule;
use agents::Pull;
use libafl::corpus::{Corpus, CorpusId, InMemoryCorpus, Testcase};
use libafl::events::NopEventManager;
use libafl::executors::ExitKind;
use libafl::fuzzer::{ExecuteInputResult, ExecutionProcessor, HasScheduler, NopInputFilter, StdFuzzer};
use libafl::inputs::BytesInputConverter;
use libafl::mutators::{Mutator, SingleChoiceScheduledMutator};
use libafl::schedulers::Scheduler;
use libafl::state::{HasCorpus, HasExecutions, HasRand, StdState};
use std::cell::RefCell;
use std::rc::Rc;

type State = StdState<InMemoryCorpus<ScheduleInput>, ScheduleInput, Random, InMemoryCorpus<ScheduleInput>>;
type Fuzzer = StdFuzzer<RareFirst, Reading, BytesInputConverter, NopInputFilter, Reading>;

/// The most mutations of one candidate.
const STACKED_MAX: u64 = 4;

/// Draws candidates, judges executions, keeps the corpus.
pub(super) struct Engine {
    state: State,
    fuzzer: Fuzzer,
    manager: NopEventManager,
    mutator: SingleChoiceScheduledMutator<Mutations>,
    ground: SharedGround,
    search: Search,
    seed: u64,
}

/// One execution, for the engine.
pub(super) struct Judged<'a> {
    /// What was drawn.
    pub input: Schedule,
    /// What was executed.
    pub executed: Schedule,
    /// What none showed before.
    pub news: &'a News,
    /// It ends in a violation.
    pub is_violating: bool,
    /// That is new, and was confirmed.
    pub is_finding: bool,
}

impl Engine {
    /// An engine with an empty corpus.
    pub(super) fn new(ground: Ground, search: Search, seed: u64) -> Result<Self, CampaignError> {
        let (mut features, mut findings) = feedbacks(&ground);
        let random = Random::of(seed, 0);
        let (corpus, solutions) = (InMemoryCorpus::new(), InMemoryCorpus::new());
        let state = StdState::new(random, corpus, solutions, &mut features, &mut findings)?;
        Ok(Self::with(state, RareFirst::default(), ground, search, seed))
    }

    /// An engine from what [`Self::save`] wrote.
    pub(super) fn restore(
        saved: &[u8],
        ground: Ground,
        search: Search,
        seed: u64,
    ) -> Result<Self, postcard::Error> {
        let (state, scheduler) = postcard::from_bytes::<(State, RareFirst)>(saved)?;
        Ok(Self::with(state, scheduler, ground, search, seed))
    }

    fn with(state: State, scheduler: RareFirst, ground: Ground, search: Search, seed: u64) -> Self {
        let (features, findings) = feedbacks(&ground);
        let ground = Rc::new(RefCell::new(ground));
        Self {
            state,
            fuzzer: StdFuzzer::new(scheduler, features, findings),
            manager: NopEventManager::new(),
            mutator: mutator(&ground),
            ground,
            search,
            seed,
        }
    }

    /// Corpus, solutions and scheduler, in libafl's own format.
    pub(super) fn save(&self) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_allocvec(&(&self.state, scheduler(&self.fuzzer)))
    }

    /// What is possible.
    pub(super) fn ground(&self) -> std::cell::Ref<'_, Ground> {
        self.ground.borrow()
    }

    /// Learns event keys.
    pub(super) fn remember(&self, keys: impl IntoIterator<Item = String>) {
        self.ground.borrow_mut().remember(keys);
    }

    /// Draws the candidate of this number.
    pub(super) fn draw(
        &mut self,
        candidate: u64,
        coverage: &Coverage,
        allocation: &Allocation,
    ) -> Result<(Schedule, Source, Pull), CampaignError> {
        *self.state.rand_mut() = Random::of(self.seed, candidate);
        let is_empty = self.state.corpus().is_empty();
        let (source, pull) = allocation.draw(self.search, is_empty, &mut self.state.rand_mut().rng);
        let schedule = match source {
            Source::Explore | Source::Given => {
                generate::exploring(&self.ground.borrow(), &mut self.state.rand_mut().rng)
            }
            Source::Random => generate::random(&self.ground.borrow(), &mut self.state.rand_mut().rng),
            Source::Mutate => {
                let (_, mut input) = self.pick(coverage)?;
                let rounds = log_uniform(1, STACKED_MAX, &mut self.state.rand_mut().rng);
                for _ in 0..rounds {
                    self.mutator.mutate(&mut self.state, &mut input)?;
                }
                input.0
            }
            Source::Prolong => {
                let (_, mut input) = self.pick(coverage)?;
                mutate::prolong(&mut input.0, &self.ground.borrow(), &mut self.state.rand_mut().rng);
                input.0
            }
            Source::Return => {
                let (id, mut input) = self.pick(coverage)?;
                let at_ms = scheduler(&self.fuzzer).rarest_ms(id, coverage).unwrap_or(0);
                let rng = &mut self.state.rand_mut().rng;
                mutate::return_to(&mut input.0, at_ms, &self.ground.borrow(), rng);
                input.0
            }
        };
        Ok((schedule, source, pull))
    }

    /// A corpus entry, as the scheduler says.
    fn pick(&mut self, coverage: &Coverage) -> Result<(CorpusId, ScheduleInput), CampaignError> {
        let scheduler = scheduler_mut(&mut self.fuzzer);
        scheduler.review(coverage);
        let id = scheduler.next(&mut self.state)?;
        let mut input = self.state.corpus().cloned_input_for_id(id)?;
        // Entries of an earlier session may not fit the present limits.
        mutate::repair(&mut input.0, &self.ground.borrow());
        Ok((id, input))
    }

    /// Judges an execution; whether its schedule joined the corpus.
    pub(super) fn admit(&mut self, judged: Judged<'_>) -> Result<bool, CampaignError> {
        *self.state.executions_mut() += 1;
        let Judged { input, executed, news, is_violating, is_finding } = judged;
        let is_new = news.joins && !self.has(&executed);
        let seen = Seen { executed, is_new, is_finding };
        let exit = if is_violating { ExitKind::Crash } else { ExitKind::Ok };
        let observers: Observers = (seen, ());
        let input = ScheduleInput(input);
        let (result, id) = self.fuzzer.evaluate_execution(
            &mut self.state,
            &mut self.manager,
            &input,
            &observers,
            &exit,
            false,
        )?;
        let (Seen { executed, is_new, .. }, ()) = observers;
        // An objective hides what is new about it from the corpus; there may be more behind it.
        let id = match id {
            None if result == ExecuteInputResult::Solution && is_new => {
                let id = self.state.corpus_mut().add(Testcase::from(ScheduleInput(executed)))?;
                scheduler_mut(&mut self.fuzzer).on_add(&mut self.state, id)?;
                Some(id)
            }
            id => id,
        };
        if let Some(id) = id {
            scheduler_mut(&mut self.fuzzer).describe(id, &news.features, is_violating);
        }
        Ok(id.is_some())
    }

    /// Number of corpus entries.
    pub(super) fn corpus_len(&self) -> usize {
        self.state.corpus().count()
    }

    /// All corpus entries with their names.
    pub(super) fn entries(&self) -> Result<Vec<(CorpusId, String)>, CampaignError> {
        let named = |id| Ok((id, entry_name(&self.state.corpus().cloned_input_for_id(id)?.0)));
        self.state.corpus().ids().map(named).collect()
    }

    /// Takes an entry out of the corpus.
    pub(super) fn remove(&mut self, id: CorpusId) -> Result<(), CampaignError> {
        self.state.corpus_mut().remove(id)?;
        if *self.state.corpus().current() == Some(id) {
            *self.state.corpus_mut().current_mut() = None;
        }
        scheduler_mut(&mut self.fuzzer).forget(id);
        Ok(())
    }

    fn has(&self, schedule: &Schedule) -> bool {
        let corpus = self.state.corpus();
        corpus.ids().any(|id| {
            corpus.get(id).is_ok_and(|testcase| {
                testcase.borrow().input().as_ref().is_some_and(|input| input.0 == *schedule)
            })
        })
    }
}

/// The scheduler inside; its trait leaves open of which state, so it is said here.
fn scheduler(fuzzer: &Fuzzer) -> &RareFirst {
    HasScheduler::<ScheduleInput, State>::scheduler(fuzzer)
}

/// The same, to be changed.
fn scheduler_mut(fuzzer: &mut Fuzzer) -> &mut RareFirst {
    HasScheduler::<ScheduleInput, State>::scheduler_mut(fuzzer)
}

/// What makes an execution a corpus entry, and what an objective. The schedule they are made with is never
/// looked at; only the observer's name is.
fn feedbacks(ground: &Ground) -> (Reading, Reading) {
    let seen = Seen { executed: ground.control(0), is_new: false, is_finding: false };
    (Reading::features(&seen), Reading::findings(&seen))
}
