//! What libafl sees of an execution, and how it judges it: new features make a corpus entry, a confirmed new
//! violation makes an objective.
//!
//! The campaign works out novelty before it asks (coverage counts every execution, also those that libafl
//! would not show to its feedback because an objective fired); the feedbacks here only read it.

use super::input::ScheduleInput;
use crate::schedule::Schedule;
use libafl::Error;
use libafl::corpus::Testcase;
use libafl::executors::ExitKind;
use libafl::feedbacks::{Feedback, StateInitializer};
use libafl::observers::Observer;
use libafl_bolts::Named;
use libafl_bolts::tuples::{Handle, Handled, MatchName, MatchNameRef};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The name of [`Seen`].
const SEEN: Cow<'static, str> = Cow::Borrowed("seen");

/// What there is to see of one execution.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Seen {
    /// The executed schedule: choices made online would be lost with the input.
    pub executed: Schedule,
    /// It showed features that none did before, and that say something.
    pub is_new: bool,
    /// It showed a violation that none did before, twice.
    pub is_finding: bool,
}

impl Named for Seen {
    fn name(&self) -> &Cow<'static, str> {
        &SEEN
    }
}

impl<I, S> Observer<I, S> for Seen {}

/// The observers of an execution.
pub(super) type Observers = (Seen, ());

/// Which of the two questions a feedback answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    IsNew,
    IsFinding,
}

/// Reads one answer off [`Seen`], and keeps the executed schedule rather than the input.
#[derive(Debug)]
pub(super) struct Reading {
    question: Question,
    seen: Handle<Seen>,
}

impl Reading {
    /// Interesting: new features.
    pub(super) fn features(seen: &Seen) -> Self {
        Self { question: Question::IsNew, seen: seen.handle() }
    }

    /// Interesting: a new finding.
    pub(super) fn findings(seen: &Seen) -> Self {
        Self { question: Question::IsFinding, seen: seen.handle() }
    }

    fn read<'a, OT: MatchName>(&self, observers: &'a OT) -> Result<&'a Seen, Error> {
        observers.get(&self.seen).ok_or_else(|| Error::key_not_found("the execution was not observed"))
    }
}

impl Named for Reading {
    fn name(&self) -> &Cow<'static, str> {
        const FEATURES: Cow<'static, str> = Cow::Borrowed("features");
        const FINDINGS: Cow<'static, str> = Cow::Borrowed("findings");
        match self.question {
            Question::IsNew => &FEATURES,
            Question::IsFinding => &FINDINGS,
        }
    }
}

impl<S> StateInitializer<S> for Reading {}

impl<EM, OT: MatchName, S> Feedback<EM, ScheduleInput, OT, S> for Reading {
    fn is_interesting(
        &mut self,
        _: &mut S,
        _: &mut EM,
        _: &ScheduleInput,
        observers: &OT,
        _: &ExitKind,
    ) -> Result<bool, Error> {
        let seen = self.read(observers)?;
        Ok(match self.question {
            Question::IsNew => seen.is_new,
            Question::IsFinding => seen.is_finding,
        })
    }

    fn append_metadata(
        &mut self,
        _: &mut S,
        _: &mut EM,
        observers: &OT,
        testcase: &mut Testcase<ScheduleInput>,
    ) -> Result<(), Error> {
        testcase.set_input(ScheduleInput(self.read(observers)?.executed.clone()));
        Ok(())
    }
}
