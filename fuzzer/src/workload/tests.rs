//! Clients against a toy store that answers at once, loses requests, or sends clients away.

use super::*;
use oracle::{Entry, Verdict};

const MS: u64 = 1_000_000;

fn offer() -> Offer {
    let client: ClientSpec = toml::from_str("[kv-http]\nport = 80").unwrap();
    Offer::of(&client, &[Family::Register])
}

/// Registers that keep their sessions, behind a leader that changes.
#[derive(Default)]
struct Toy {
    store: BTreeMap<String, String>,
    done: BTreeMap<(String, u64), (u16, String)>,
    /// Requests so far; every eighth is done and its answer lost.
    requests: u32,
    leader: usize,
    is_dead: bool,
    is_reliable: bool,
    /// What reads are answered from until something is written.
    snapshot: Option<BTreeMap<String, String>>,
}

enum Fate {
    Answer(String),
    Lost,
}

impl Toy {
    fn serve(&mut self, node: usize, bytes: &[u8]) -> Fate {
        self.requests += 1;
        if self.requests.is_multiple_of(20) {
            self.leader = (self.leader + 1) % 3;
        }
        if self.is_dead {
            return Fate::Lost;
        }
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let (status, body) = if node == self.leader {
            let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
            let session = (body["client"].to_string(), body["seq"].as_u64().unwrap_or_default());
            match self.done.get(&session).filter(|_| session.1 > 0) {
                Some(answer) => answer.clone(),
                None => {
                    let answer = self.apply(head, &body);
                    self.done.insert(session, answer.clone());
                    answer
                }
            }
        } else {
            (421, format!("{{\"leader\":{}}}", self.leader + 1))
        };
        if self.requests.is_multiple_of(8) && !self.is_reliable {
            return Fate::Lost;
        }
        Fate::Answer(format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
    }

    fn apply(&mut self, head: &str, body: &serde_json::Value) -> (u16, String) {
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let key = path.strip_prefix("/kv/").unwrap().trim_end_matches("/cas").to_owned();
        let value = body["value"].as_str().unwrap_or_default().to_owned();
        match method {
            "GET" => match self.snapshot.as_ref().unwrap_or(&self.store).get(&key) {
                Some(value) => (200, serde_json::json!({ "value": value }).to_string()),
                None => (404, String::new()),
            },
            "PUT" => {
                self.snapshot = None;
                self.store.insert(key, value);
                (200, String::new())
            }
            "POST" if self.store.get(&key).map(String::as_str) == body["expect"].as_str() => {
                self.store.insert(key, value);
                (200, String::new())
            }
            "POST" => (409, "{\"actual\":null}".into()),
            _ => {
                self.store.remove(&key);
                (200, String::new())
            }
        }
    }
}

/// Drives a workload against the toy; the history and the requests' bytes.
struct Stage {
    workload: Workload,
    toy: Toy,
    at: BTreeMap<usize, usize>,
    history: Vec<Entry>,
    now_ns: u64,
}

impl Stage {
    fn new(settings: schedule::Workload, seed: u64) -> Self {
        let workload = Workload::new(&settings, &offer(), 3, seed, 0);
        Self { workload, toy: Toy::default(), at: BTreeMap::new(), history: Vec::new(), now_ns: 0 }
    }

    fn run_until(&mut self, until_ns: u64) {
        while let Some(at) = self.workload.deadline_ns().filter(|at| *at <= until_ns) {
            // An operation that is overdue begins at once.
            self.now_ns = at.max(self.now_ns);
            let mut commands: VecDeque<Command> = self.workload.on_time(self.now_ns).into();
            while let Some((number, action)) = commands.pop_front() {
                commands.extend(self.carry_out(number, action));
            }
            if self.workload.is_finished() {
                return;
            }
        }
        self.now_ns = until_ns;
    }

    fn carry_out(&mut self, number: usize, action: Action) -> Vec<Command> {
        let now_ns = self.now_ns;
        match action {
            Action::Connect(node) => {
                self.at.insert(number, node);
                self.workload.on_connected(number, true, now_ns)
            }
            Action::Send(bytes) => match self.toy.serve(self.at[&number], &bytes) {
                Fate::Answer(text) => self.workload.on_bytes(number, text.as_bytes(), now_ns),
                Fate::Lost => Vec::new(),
            },
            Action::Close => Vec::new(),
            Action::Invoke { process, call } => {
                self.write_down(number, process, Phase::Invoke, call, (None, None))
            }
            Action::Assert { kind, .. } => panic!("registers assert nothing, but {kind}"),
            Action::Complete { process, phase, call, error, node } => {
                self.write_down(number, process, phase, call, (error, Some(node)))
            }
        }
    }

    fn write_down(
        &mut self,
        number: usize,
        process: u32,
        phase: Phase,
        call: Call,
        (error, node): (Option<String>, Option<usize>),
    ) -> Vec<Command> {
        let index = self.history.len() as u64;
        let (client, node) = (Some(number as u32 + 1), node.map(|node| node as u32 + 1));
        self.history.push(Entry { index, at_ns: self.now_ns, process, phase, call, error, client, node });
        Vec::new()
    }

    fn observations(&self) -> oracle::Observations {
        oracle::Observations {
            history: self.history.clone(),
            final_from_ns: self.workload.final_from_ns(),
            again_from_ns: self.workload.again_from_ns(),
            ..Default::default()
        }
    }

    fn verdict(&self, quiet: Option<oracle::Quiet>) -> Verdict {
        let observations = oracle::Observations { quiet, ..self.observations() };
        oracle::judge(&observations, &oracle::Config::default()).verdict()
    }
}

fn settings(operations: Option<u32>) -> schedule::Workload {
    schedule::Workload { clients: 4, rate: 40, keys: 3, operations, family: None }
}

#[test]
fn a_correct_store_that_loses_answers_is_found_correct() {
    let (mut unknown, mut swaps) = (0, 0);
    for seed in 0..20 {
        let mut stage = Stage::new(settings(None), seed);
        stage.run_until(5_000 * MS);
        stage.workload.probe();
        stage.run_until(10_000 * MS);
        assert!(stage.workload.is_settled(), "seed {seed}");
        stage.workload.finish(stage.now_ns);
        stage.run_until(14_000 * MS);
        assert!(stage.workload.is_finished());
        let quiet = oracle::Quiet { from_ns: 5_000 * MS, to_ns: stage.now_ns };
        assert_eq!(stage.verdict(Some(quiet)), Verdict::Valid, "seed {seed}");
        let of = |phase| stage.history.iter().filter(|entry| entry.phase == phase).count();
        assert!(of(Phase::Ok) > 150, "seed {seed}: {}", of(Phase::Ok));
        unknown += of(Phase::Info);
        let functions: std::collections::BTreeSet<_> =
            stage.history.iter().map(|e| e.call.function()).collect();
        assert_eq!(functions.len(), 4, "seed {seed}");
        swaps +=
            stage.history.iter().filter(|e| matches!(e.call, Call::Cas { result: Some(true), .. })).count();
    }
    assert!(unknown > 100 && swaps > 200, "{unknown} of unknown end, {swaps} swaps");
}

#[test]
fn a_store_that_forgets_sessions_is_caught() {
    let caught = (0..20).filter(|seed| {
        let mut stage = Stage::new(settings(None), *seed);
        for step in 1..=400 {
            stage.run_until(step * 25 * MS);
            stage.toy.done.clear();
        }
        stage.workload.finish(stage.now_ns);
        stage.run_until(15_000 * MS);
        matches!(stage.verdict(None), Verdict::Violation(_))
    });
    assert!(caught.count() > 0);
}

#[test]
fn a_dead_store_is_not_live_and_leaves_keys_unread() {
    let mut stage = Stage::new(settings(None), 1);
    stage.run_until(1_000 * MS);
    stage.toy.is_dead = true;
    stage.workload.probe();
    stage.run_until(6_000 * MS);
    assert!(!stage.workload.is_settled());
    stage.workload.finish(stage.now_ns);
    stage.run_until(11_000 * MS);
    assert!(!stage.workload.is_finished());
    let quiet = oracle::Quiet { from_ns: 1_000 * MS, to_ns: 11_000 * MS };
    let Verdict::Violation(violation) = stage.verdict(Some(quiet)) else {
        panic!("{:?}", stage.verdict(Some(quiet)))
    };
    assert_eq!(violation.signature, "liveness/no-progress-after-heal");
}

#[test]
fn operations_are_bounded_and_the_rate_is_kept() {
    let mut stage = Stage::new(settings(Some(17)), 3);
    stage.run_until(20_000 * MS);
    assert_eq!(stage.history.iter().filter(|entry| entry.phase == Phase::Invoke).count(), 17);
    assert_eq!(stage.workload.deadline_ns(), None);
    let mut stage = Stage::new(settings(None), 3);
    stage.toy.is_reliable = true;
    stage.run_until(10_000 * MS);
    let begun = stage.history.iter().filter(|entry| entry.phase == Phase::Invoke).count();
    assert!((250..=420).contains(&begun), "{begun} operations in 10 s at 40 a second");
}

#[test]
fn who_rests_asks_nothing_until_the_end() {
    let mut stage = Stage::new(settings(None), 3);
    stage.toy.is_reliable = true;
    stage.run_until(2_000 * MS);
    stage.workload.rest();
    stage.run_until(3_000 * MS);
    let begun = |stage: &Stage| stage.history.iter().filter(|e| e.phase == Phase::Invoke).count();
    let before = begun(&stage);
    stage.run_until(30_000 * MS);
    assert_eq!((begun(&stage), stage.workload.deadline_ns()), (before, None));
    stage.workload.finish(stage.now_ns);
    stage.run_until(31_000 * MS);
    assert!(stage.workload.is_finished());
    assert!(begun(&stage) > before, "every key is read");
}

#[test]
fn equal_seeds_ask_the_same() {
    let run = |seed| {
        let mut stage = Stage::new(settings(None), seed);
        stage.run_until(3_000 * MS);
        stage.history
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

/// Final reads of a store that has gone back to what it held a while ago: for good, or until something is written.
fn second_look(is_lost: bool) -> (Stage, Vec<oracle::checker::missed::Missed>) {
    let mut stage = Stage::new(settings(None), 3);
    stage.toy.is_reliable = true;
    stage.run_until(2_000 * MS);
    let old = stage.toy.store.clone();
    stage.run_until(4_000 * MS);
    if is_lost {
        stage.toy.store = old.clone();
    }
    stage.workload.finish(stage.now_ns);
    stage.toy.snapshot = Some(old);
    stage.run_until(6_000 * MS);
    assert!(stage.workload.is_finished());
    let missed = oracle::checker::missed::missed(&stage.observations(), &oracle::Config::default());
    stage.workload.look_again(&missed, 8_000 * MS, 1_000 * MS, stage.now_ns);
    stage.run_until(12_000 * MS);
    assert!(stage.workload.is_finished());
    (stage, missed)
}

#[test]
fn what_final_reads_miss_is_asked_again_after_a_change_and_a_rest() {
    let (stage, missed) = second_look(false);
    assert!(!missed.is_empty() && missed.iter().all(|it| it.node.is_some()));
    let from_ns = stage.workload.again_from_ns().unwrap();
    let change = stage.history.iter().rev().find(|entry| entry.call.function() == Function::Write).unwrap();
    assert_eq!((change.call.key(), change.phase), ("k3", Phase::Ok), "a register that nobody else uses");
    assert!(from_ns >= change.at_ns + 1_000 * MS, "after a rest");
    let Verdict::Violation(late) = stage.verdict(None) else { panic!("{:?}", stage.verdict(None)) };
    assert_eq!(late.signature, "linearizability/stale-read");
    let (stage, _) = second_look(true);
    let Verdict::Violation(lost) = stage.verdict(None) else { panic!("{:?}", stage.verdict(None)) };
    assert_eq!(lost.signature, "durability/acknowledged-write-lost");
}

#[test]
fn a_store_that_takes_no_change_any_more_is_still_asked_again() {
    let mut stage = Stage::new(settings(None), 3);
    stage.toy.is_reliable = true;
    stage.run_until(2_000 * MS);
    stage.workload.finish(stage.now_ns);
    stage.run_until(3_000 * MS);
    stage.toy.is_dead = true;
    let missed = vec![oracle::checker::missed::Missed { key: "k0".into(), node: Some(2) }];
    // An operation is open when time for changes is over.
    stage.workload.look_again(&missed, 6_500 * MS, 1_000 * MS, stage.now_ns);
    stage.run_until(9_000 * MS);
    assert!(stage.workload.again_from_ns().is_some_and(|at| at >= 7_500 * MS));
    stage.toy.is_dead = false;
    stage.run_until(12_000 * MS);
    assert!(stage.workload.is_finished());
}
