//! The end of a run: final reads, and a second look at what they miss.
//!
//! What a final read misses is late or lost. So the session may ask for a second look: a change goes through each node that
//! missed something, then nothing is asked for a while, then the same nodes are asked again. A change never touches what
//! was missed: it is a further element of a collection, and of registers one that nobody else uses.

use super::{FINAL_PAUSE_NS, Stage, Workload, asked, key};
use crate::schedule::Family;
use oracle::checker::missed::Missed;
use oracle::{Call, Phase};

/// How often one node is asked before any will do.
const FAILURES_MAX: u8 = 3;

/// A question that still wants an answer, or a change that is still to be made.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Who is to ask, if it matters.
    pub client: Option<usize>,
    /// Whom to ask first, if it matters: a position.
    pub node: Option<usize>,
    /// What.
    pub call: Call,
    /// How often it was asked in vain.
    pub failures: u8,
}

/// A second look.
#[derive(Clone, Debug, Default)]
pub(super) struct Second {
    /// What is asked again.
    questions: Vec<Wanted>,
    /// When changes that do not get through are given up; absent once they are.
    changes_until_ns: Option<u64>,
    rest_ns: u64,
    /// When the rest is over, once it has begun.
    rested_ns: Option<u64>,
    /// When the questions were asked again.
    pub from_ns: Option<u64>,
    /// Changes so far; no two are the same.
    changes: u64,
}

impl Workload {
    /// No operation begins any more; when all have ended, every key is read until an answer comes.
    pub fn finish(&mut self, now_ns: u64) {
        self.stage = Stage::Drain;
        let last = self.questions();
        let whole = |call| Wanted { client: None, node: None, call, failures: 0 };
        self.wanted = match self.family {
            // What one client has been told says nothing of what others have.
            Family::Watch => (0..self.clients.len())
                .flat_map(|client| {
                    last.iter().cloned().map(move |call| Wanted { client: Some(client), ..whole(call) })
                })
                .collect(),
            _ => last.into_iter().map(whole).collect(),
        };
        self.take_stock(now_ns);
    }

    fn questions(&self) -> Vec<Call> {
        let keys = (0..self.settings.keys).map(key);
        match (&self.generator, self.family) {
            (Some(generator), _) => generator.last().into_iter().map(asked).collect(),
            (None, Family::Lock) => Vec::new(),
            (None, Family::Register) => keys.map(|key| Call::Read { key, value: None }).collect(),
            (None, _) => keys.map(|key| Call::Elements { key, elements: None }).collect(),
        }
    }

    /// Every key was read, once more if there was a second look.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.stage == Stage::Final
            && self.wanted.is_empty()
            && self.clients.iter().all(|slot| slot.client.is_idle())
    }

    /// When final reads began.
    #[must_use]
    pub fn final_from_ns(&self) -> Option<u64> {
        self.final_from_ns
    }

    /// When final reads were asked once more.
    #[must_use]
    pub fn again_from_ns(&self) -> Option<u64> {
        self.second.as_ref()?.from_ns
    }

    /// Asks again for what final reads missed: after a change through each of the nodes, for which there is time until
    /// `changes_until_ns`, and a rest.
    pub fn look_again(&mut self, missed: &[Missed], changes_until_ns: u64, rest_ns: u64, now_ns: u64) {
        let all = self.questions();
        let mut questions: Vec<Wanted> = Vec::new();
        for Missed { key, node } in missed {
            let node = node.and_then(|number| usize::try_from(number).ok()?.checked_sub(1));
            let of_key = all.iter().filter(|call| call.key() == key.as_str());
            let clients = match self.family {
                Family::Watch => (0..self.clients.len()).map(Some).collect(),
                _ => vec![None],
            };
            questions.extend(of_key.flat_map(|call| {
                clients.iter().map(move |client| Wanted {
                    client: *client,
                    node,
                    call: call.clone(),
                    failures: 0,
                })
            }));
        }
        let changes_until_ns = Some(changes_until_ns);
        let second = Second { questions: questions.clone(), changes_until_ns, rest_ns, ..Second::default() };
        self.second = Some(second);
        self.stage = Stage::Change;
        self.wanted = questions.into_iter().filter_map(|question| self.change_for(&question)).collect();
        self.clients.iter_mut().for_each(|slot| slot.next_ns = now_ns);
        self.take_stock(now_ns);
    }

    /// A change that makes a node which answers from an old state catch up with what `question` asks for.
    fn change_for(&mut self, question: &Wanted) -> Option<Wanted> {
        let second = self.second.as_mut()?;
        second.changes += 1;
        let value = format!("again.{}", second.changes);
        let key = question.call.key().to_owned();
        let call = match (&mut self.generator, self.family) {
            (Some(generator), _) => {
                let last = generator.last();
                let position = last.iter().position(|ask| asked((*ask).clone()).key() == key)?;
                asked(generator.change(&last[position])?)
            }
            (None, Family::Register) => Call::Write { key: self::key(self.settings.keys), value },
            (None, Family::Set | Family::Log) => Call::Add { key, element: value },
            (None, _) => return None,
        };
        Some(Wanted { call, ..question.clone() })
    }

    /// An operation of the end has ended: what had no answer is asked again, what changed nothing for certain or perhaps
    /// is changed otherwise.
    pub(super) fn take_back(&mut self, number: usize, phase: Phase, call: &Call, now_ns: u64) {
        let Some(wanted) = self.clients[number].wanted.take() else { return };
        if phase == Phase::Ok {
            return;
        }
        match self.stage {
            Stage::Final => {
                let failures = wanted.failures.saturating_add(1);
                // A node that never answers is not waited for.
                let node = wanted.node.filter(|_| failures < FAILURES_MAX);
                self.wanted.push_back(Wanted { call: call.question(), node, failures, ..wanted });
            }
            Stage::Change if self.second.as_ref().is_some_and(|it| it.changes_until_ns.is_some()) => {
                let question = self.second.iter().flat_map(|second| &second.questions).find(|question| {
                    question.node == wanted.node
                        && (self.family == Family::Register || question.call.key() == wanted.call.key())
                });
                let question = question.cloned();
                let change = question.and_then(|question| self.change_for(&question));
                self.wanted.extend(change);
            }
            _ => return,
        }
        if phase == Phase::Fail || self.stage == Stage::Change {
            self.clients[number].next_ns = now_ns.saturating_add(FINAL_PAUSE_NS);
        }
    }

    /// When the stage changes though no client does anything.
    pub(super) fn turn_ns(&self) -> Option<u64> {
        let second = self.second.as_ref()?;
        match self.stage {
            Stage::Change => second.changes_until_ns,
            Stage::Still => second.rested_ns,
            _ => None,
        }
    }

    /// Final reads begin when nothing is open any more; a second look goes on in the same way.
    pub(super) fn take_stock(&mut self, now_ns: u64) {
        let is_over = self.clients.iter().all(|slot| slot.client.is_idle() && slot.held.is_none());
        match (self.stage, &mut self.second) {
            (Stage::Drain, _) if is_over => {
                self.stage = Stage::Final;
                self.final_from_ns = Some(now_ns);
                self.clients.iter_mut().for_each(|slot| slot.next_ns = now_ns);
            }
            (Stage::Change, Some(second)) => {
                if second.changes_until_ns.is_some_and(|until| until <= now_ns) {
                    second.changes_until_ns = None;
                    self.wanted.clear();
                }
                if is_over && self.wanted.is_empty() {
                    self.stage = Stage::Still;
                    second.rested_ns = Some(now_ns.saturating_add(second.rest_ns));
                }
            }
            (Stage::Still, Some(second)) if second.rested_ns.is_some_and(|at| at <= now_ns) => {
                self.stage = Stage::Final;
                second.from_ns = Some(now_ns);
                self.wanted.extend(std::mem::take(&mut second.questions));
                self.clients.iter_mut().for_each(|slot| slot.next_ns = now_ns);
            }
            _ => {}
        }
    }
}
