//! An executor for tests: it runs nothing and answers as told.

use crate::execution::{Choice, Detail, Execution, Statistics};
use crate::executor::{Executor, ExecutorError, Learned, RunOptions};
use crate::schedule::{Schedule, VERSION, Workload};
use agents::Turn;
use interceptor::sandbox::Clock;
use oracle::{Evidence, Verdict, Violation};

/// Answers every run in the same way; a fickle one with another event log each time.
#[derive(Debug)]
pub struct Fake {
    verdict: fn(&Schedule) -> Verdict,
    fickle: bool,
    /// Which runs break, over and over, by the host's clock.
    chances: &'static [bool],
    /// Runs so far.
    pub runs: u32,
}

fn breaks(signature: &str) -> Verdict {
    Verdict::Violation(Violation {
        signature: signature.into(),
        oracle: "toy".into(),
        summary: "it broke".into(),
        evidence: Evidence::default(),
        at_ns: 5,
    })
}

impl Fake {
    /// Breaks with this signature, whatever runs.
    pub fn breaking(signature: &'static str) -> Self {
        match signature {
            "toy/bug" => Self::judging(|_| breaks("toy/bug")),
            _ => Self::judging(|_| breaks("toy/other")),
        }
    }

    /// Breaks when bugs are switched on.
    pub fn honest() -> Self {
        Self::judging(|schedule| if schedule.bugs.is_empty() { Verdict::Valid } else { breaks("toy/bug") })
    }

    /// Never breaks.
    pub fn clean() -> Self {
        Self::judging(|_| Verdict::Valid)
    }

    /// Cannot be judged.
    pub fn undecided() -> Self {
        Self::judging(|_| Verdict::Unknown { why: "node n2, thread 1: it ran 3012 ms".into() })
    }

    /// Never runs the same way twice.
    pub fn fickle() -> Self {
        Self { fickle: true, ..Self::clean() }
    }

    /// Lives by the host's clock, and breaks in these runs, over and over.
    pub fn now_and_then(chances: &'static [bool]) -> Self {
        Self { chances, fickle: true, ..Self::clean() }
    }

    fn judging(verdict: fn(&Schedule) -> Verdict) -> Self {
        Self { verdict, fickle: false, chances: &[], runs: 0 }
    }

    /// What it says of that schedule.
    pub fn verdict(&self) -> Verdict {
        (self.verdict)(&Self::schedule())
    }

    /// A schedule without steps.
    pub fn schedule() -> Schedule {
        Schedule {
            version: VERSION,
            target: "toy".into(),
            bugs: vec!["bug".into()],
            nodes: 3,
            seed: 7,
            horizon_ms: 1_000,
            workload: Workload::default(),
            agent_from_ms: None,
            agent_salt: 0,
            steps: vec![],
        }
    }
}

impl Executor for Fake {
    fn adopt(&mut self, _: &agents::AnyAgent) -> Result<(), ExecutorError> {
        Ok(())
    }

    fn learn(&mut self, _: &[Learned]) -> Result<(), ExecutorError> {
        Ok(())
    }

    fn run(&mut self, schedule: &Schedule, _: RunOptions) -> Result<Execution, ExecutorError> {
        let chance = self.chances.iter().cycle().nth(self.runs as usize);
        self.runs += 1;
        let last = if self.fickle { self.runs.to_string() } else { "end".into() };
        Ok(Execution {
            schedule: schedule.clone(),
            clock: if chance.is_some() { Clock::Real } else { Clock::Virtual },
            hash: if self.fickle { last.clone() } else { "h".into() },
            verdict: if chance == Some(&true) { breaks("toy/bug") } else { (self.verdict)(schedule) },
            features: vec![],
            words: vec![],
            turn: Turn::default(),
            episode: Vec::<Choice>::new(),
            landings: vec![],
            statistics: Statistics::default(),
            detail: Some(Box::new(Detail { calls: vec!["begin".into(), last], ..Detail::default() })),
        })
    }
}
