//! Workers of several kinds: threads behind a socket, and processes that are no workers at all.

use super::*;
use crate::execution::{Sighting, Statistics};
use crate::executor::{Executor, Restart};
use crate::generate::Ground;
use agents::{ActionId, ActionInfo, ActionSpace, StateId, Transition, Turn};
use interceptor::sandbox::Clock;
use oracle::Verdict;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Answers with its target's name and its agent; dies when a run's seed says so.
struct Echo {
    target: String,
    agent: Option<AnyAgent>,
    /// Deaths left.
    deaths: Arc<AtomicU32>,
}

/// The seed that kills.
const DEADLY: u64 = 666;

impl Executor for Echo {
    fn adopt(&mut self, agent: &AnyAgent) -> Result<(), ExecutorError> {
        self.agent = Some(agent.clone());
        Ok(())
    }

    fn learn(&mut self, episodes: &[Learned]) -> Result<(), ExecutorError> {
        let agent = self.agent.as_mut().ok_or(ExecutorError::Run { why: "no agent".into() })?;
        episodes.iter().for_each(|episode| episode.teach(agent));
        Ok(())
    }

    fn run(&mut self, input: &Schedule, _: RunOptions) -> Result<Execution, ExecutorError> {
        if input.seed == DEADLY {
            let left =
                self.deaths.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
            assert!(left.is_err(), "killed on purpose");
        }
        if input.seed == 1 {
            return Err(ExecutorError::SetUp { why: "n1 did not start".into() });
        }
        Ok(Execution {
            schedule: input.clone(),
            clock: Clock::Virtual,
            hash: format!("{} {:?}", self.target, self.agent),
            verdict: Verdict::Valid,
            features: vec![Sighting { feature: u64::MAX, at_ms: 1 }],
            words: vec![],
            turn: Turn::default(),
            episode: Vec::new(),
            landings: Vec::new(),
            statistics: Statistics::default(),
            detail: None,
        })
    }
}

/// A worker that is a thread: when it panics its end of the socket closes, as a process's pipes would.
fn worker(deaths: u32) -> Worker {
    let deaths = Arc::new(AtomicU32::new(deaths));
    let start = move || {
        let (ours, theirs) = UnixStream::pair()?;
        let deaths = Arc::clone(&deaths);
        std::thread::spawn(move || {
            let make = |setup: &Setup| -> Result<Box<dyn Executor>, ExecutorError> {
                let deaths = Arc::clone(&deaths);
                Ok(Box::new(Echo { target: setup.target.clone(), agent: None, deaths }))
            };
            serve(&theirs, &theirs, make)
        });
        Ok(Link::new(None, ours.try_clone()?.into(), ours.into()))
    };
    let setup = Setup { target: "demo".into(), cpu: cpus().first().copied(), ..Setup::default() };
    Worker::over(3, Box::new(start), setup).unwrap()
}

fn schedule(seed: u64) -> Schedule {
    Schedule { seed, ..Ground::new("demo", &[], 3, 1000).control(0) }
}

fn agent() -> AnyAgent {
    let space = ActionSpace::new(vec![ActionInfo::fault("kill", 0), ActionInfo::fault("cut", 1)]).unwrap();
    agents::build("negative-visits", &space).unwrap()
}

fn lesson() -> Learned {
    let transition = Transition {
        state: StateId(1),
        action: ActionId(0),
        next: StateId(2),
        seen_before: false,
        visits: 1,
        new_features: 3,
        legal_next: vec![ActionId(0), ActionId(1)],
    };
    Learned { turn: Turn::default(), transitions: vec![transition] }
}

#[test]
fn a_worker_does_what_its_runner_does() {
    let mut worker = worker(0);
    let execution = worker.run(&schedule(7), RunOptions::default()).unwrap();
    assert_eq!(
        (execution.schedule, execution.features),
        (schedule(7), vec![Sighting { feature: u64::MAX, at_ms: 1 }])
    );
    let error = worker.run(&schedule(1), RunOptions::default()).unwrap_err();
    assert_eq!(error, ExecutorError::SetUp { why: "n1 did not start".into() });
    assert!(worker.run(&schedule(8), RunOptions::default()).is_ok(), "an error is not the end");
    assert_eq!(worker.restarts(), []);
}

#[test]
fn a_worker_that_dies_once_is_replaced_with_all_its_agent_knew() {
    let mut worker = worker(1);
    worker.adopt(&agent()).unwrap();
    worker.learn(&[lesson(), lesson()]).unwrap();
    let known = worker.run(&schedule(7), RunOptions::default()).unwrap().hash;
    let after = worker.run(&schedule(DEADLY), RunOptions::default()).unwrap().hash;
    assert_eq!(after, known);
    assert!(matches!(&worker.restarts()[..], [Restart { worker: 3, .. }]));
    assert_eq!(worker.restarts(), []);
}

#[test]
fn a_schedule_that_kills_twice_is_given_up() {
    let mut worker = worker(2);
    let error = worker.run(&schedule(DEADLY), RunOptions::default()).unwrap_err();
    assert!(matches!(error, ExecutorError::WorkerDied { worker: 3, .. }), "{error}");
    assert!(matches!(&worker.restarts()[..], [Restart { worker: 3, .. }]));
    assert!(worker.run(&schedule(8), RunOptions::default()).is_ok(), "the next schedule gets a new worker");
}

#[test]
fn programs_that_are_no_workers_are_refused() {
    let spawn = |path: &str, arguments: &[&str]| {
        let arguments = arguments.iter().map(|a| (*a).to_owned()).collect();
        let program = Program { path: path.into(), arguments, log: None, stop: None };
        let error = Worker::spawn(0, program, Setup::default()).err().unwrap();
        assert!(matches!(error, ExecutorError::Worker { worker: 0, .. }), "{error}");
        error.to_string()
    };
    assert!(spawn("/nonexistent", &[]).contains("it cannot be started: No such file"));
    assert!(spawn("true", &[]).contains("cannot move a frame"));
    // An echo answers the request with the request.
    assert!(spawn("cat", &[]).contains("the frame"));
    assert!(spawn("yes", &[]).contains("not a frame"));
}

#[test]
fn there_is_a_processor() {
    assert!(!cpus().is_empty());
}

#[test]
fn a_damaged_request_ends_the_worker() {
    let mut output = Vec::new();
    let make = |_: &Setup| -> Result<Box<dyn Executor>, ExecutorError> { unreachable!("it is never set up") };
    assert!(serve(&b"nonsense of fourteen bytes or more"[..], &mut output, make).is_err());
    let request = crate::codec::encode(&Request::Run(Box::new(schedule(1)), RunOptions::default())).unwrap();
    serve(&request[..], &mut output, make).unwrap();
    let reply: Reply = crate::codec::decode(&output).unwrap();
    assert!(matches!(reply, Reply::Failed(ExecutorError::Run { .. })));
}
