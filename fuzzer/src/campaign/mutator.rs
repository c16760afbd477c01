//! The mutations of [`crate::mutate`] as libafl's mutators.

use super::input::ScheduleInput;
use super::random::Random;
use crate::generate::Ground;
use crate::mutate::{self, Mutation};
use libafl::Error;
use libafl::corpus::{Corpus, CorpusId};
use libafl::mutators::{MutationResult, Mutator, SingleChoiceScheduledMutator};
use libafl::state::{HasCorpus, HasRand};
use libafl_bolts::Named;
use libafl_bolts::tuples::{tuple_list, tuple_list_type};
use rand::RngExt;
use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

/// What is possible, shared by the engine, which learns, and its mutators, which obey.
pub(super) type SharedGround = Rc<RefCell<Ground>>;

/// One mutation.
#[derive(Debug)]
pub(super) struct Change {
    mutation: Mutation,
    name: Cow<'static, str>,
    ground: SharedGround,
}

impl Named for Change {
    fn name(&self) -> &Cow<'static, str> {
        &self.name
    }
}

impl<S: HasRand<Rand = Random>> Mutator<ScheduleInput, S> for Change {
    fn mutate(&mut self, state: &mut S, input: &mut ScheduleInput) -> Result<MutationResult, Error> {
        let rng = &mut state.rand_mut().rng;
        Ok(result(self.mutation.apply(&mut input.0, &self.ground.borrow(), rng)))
    }

    fn post_exec(&mut self, _: &mut S, _: Option<CorpusId>) -> Result<(), Error> {
        Ok(())
    }
}

/// The beginning of this schedule and the end of another.
#[derive(Debug)]
pub(super) struct Splice {
    name: Cow<'static, str>,
    ground: SharedGround,
}

impl Named for Splice {
    fn name(&self) -> &Cow<'static, str> {
        &self.name
    }
}

impl<S> Mutator<ScheduleInput, S> for Splice
where
    S: HasRand<Rand = Random> + HasCorpus<ScheduleInput>,
{
    fn mutate(&mut self, state: &mut S, input: &mut ScheduleInput) -> Result<MutationResult, Error> {
        let count = state.corpus().count();
        if count == 0 {
            return Ok(MutationResult::Skipped);
        }
        let nth = state.rand_mut().rng.random_range(0..count);
        let id = state.corpus().nth(nth);
        let other = state.corpus().cloned_input_for_id(id)?;
        let rng = &mut state.rand_mut().rng;
        Ok(result(mutate::splice(&mut input.0, &other.0, &self.ground.borrow(), rng)))
    }

    fn post_exec(&mut self, _: &mut S, _: Option<CorpusId>) -> Result<(), Error> {
        Ok(())
    }
}

fn result(changed: bool) -> MutationResult {
    if changed { MutationResult::Mutated } else { MutationResult::Skipped }
}

/// All mutations.
pub(super) type Mutations =
    tuple_list_type!(Change, Change, Change, Change, Change, Change, Change, Change, Splice);

/// One of all mutations, each as likely.
pub(super) fn mutator(ground: &SharedGround) -> SingleChoiceScheduledMutator<Mutations> {
    let change = |mutation: Mutation| Change {
        mutation,
        name: Cow::Borrowed(mutation.name()),
        ground: Rc::clone(ground),
    };
    let [a, b, c, d, e, f, g, h] = Mutation::ALL.map(change);
    let splice = Splice { name: Cow::Borrowed("splice"), ground: Rc::clone(ground) };
    SingleChoiceScheduledMutator::new(tuple_list!(a, b, c, d, e, f, g, h, splice))
}
