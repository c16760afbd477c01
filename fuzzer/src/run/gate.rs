//! The readiness gate: asks every node every question again and again until all answers are good and, where they
//! speak of leaders, one knows its leader. A state machine without sockets, like the clients.

use super::asker::{Answer, Asker, Pace, Question};
use crate::target::ReadySpec;
use crate::workload::Action;
use crate::workload::http::Response;
use crate::workload::resp::texts;
use redis_protocol::resp2::types::OwnedFrame;
use serde_json::Value;

/// Asked without haste, and without patience.
const PACE: Pace = Pace { every: 20_000_000, patience: 500_000_000 };
/// How much of an answer is shown.
const SHOWN: usize = 120;

/// What is known of each node. A slot is a question to a node: that of question `q` to node `n` has the number
/// `q * nodes + n`.
#[derive(Debug)]
pub(super) struct Gate {
    questions: Vec<ReadySpec>,
    nodes: usize,
    slots: Vec<(Asker, Last)>,
}

/// The last answer of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Last {
    None(&'static str),
    /// Not what it should be.
    Bad(String),
    /// Good: whether it knows a leader, if it speaks of one.
    Ready(Option<bool>),
}

impl Gate {
    /// Asks `nodes` all `questions` from now on.
    pub fn new(questions: &[ReadySpec], nodes: usize, now_ns: u64) -> Self {
        let slot = |question, node| {
            (Asker::new(node, put(question), PACE, now_ns), Last::None("it was not reached"))
        };
        let slots = questions.iter().flat_map(|question| (0..nodes).map(move |node| slot(question, node)));
        Self { questions: questions.to_vec(), nodes, slots: slots.collect() }
    }

    /// The port that a slot asks.
    pub fn port(&self, slot: usize) -> u16 {
        self.question(slot).port
    }

    fn question(&self, slot: usize) -> &ReadySpec {
        &self.questions[slot / self.nodes]
    }

    /// The cluster can be worked with.
    pub fn is_open(&self) -> bool {
        let leaders: Option<Vec<Option<bool>>> = self.slots.iter().map(|(_, last)| last.leader()).collect();
        leaders.is_some_and(|leaders| leaders.contains(&Some(true)) || leaders.iter().all(Option::is_none))
    }

    /// The first node that is not ready, by position, and what it answered last.
    pub fn holdup(&self) -> (usize, String) {
        match self.slots.iter().position(|(_, last)| last.leader().is_none()) {
            Some(slot) => {
                let (asker, last) = &self.slots[slot];
                (asker.node(), format!("{}: {}", name(self.question(slot)), last.text()))
            }
            None => (0, "no node knows a leader".to_owned()),
        }
    }

    /// When to wake it.
    pub fn deadline_ns(&self) -> Option<u64> {
        self.slots.iter().map(|(asker, _)| asker.due_ns()).min()
    }

    /// Time has passed. Actions are by slot; the place of [`Action::Connect`] is the node.
    pub fn on_time(&mut self, now_ns: u64) -> Vec<(usize, Action)> {
        (0..self.slots.len()).flat_map(|slot| self.with(slot, |asker| asker.on_time(now_ns))).collect()
    }

    /// A connection was made, or could not be.
    pub fn on_connected(&mut self, slot: usize, is_up: bool, now_ns: u64) -> Vec<(usize, Action)> {
        self.with(slot, |asker| asker.on_connected(is_up, now_ns))
    }

    /// Bytes arrived.
    pub fn on_bytes(&mut self, slot: usize, bytes: &[u8], now_ns: u64) -> Vec<(usize, Action)> {
        self.with(slot, |asker| asker.on_bytes(bytes, now_ns))
    }

    /// A connection has ended.
    pub fn on_closed(&mut self, slot: usize, now_ns: u64) -> Vec<(usize, Action)> {
        self.with(slot, |asker| (Vec::new(), asker.on_closed(now_ns)))
    }

    fn with(
        &mut self,
        slot: usize,
        happening: impl FnOnce(&mut Asker) -> (Vec<Action>, Option<Answer>),
    ) -> Vec<(usize, Action)> {
        let (actions, answer) = happening(&mut self.slots[slot].0);
        if let Some(answer) = answer {
            self.slots[slot].1 = judge(&answer, self.question(slot));
        }
        actions.into_iter().map(|action| (slot, action)).collect()
    }
}

/// The question as it is put.
fn put(question: &ReadySpec) -> Question {
    match (&question.http, &question.command) {
        (Some(path), _) => Question::http("GET", path, ""),
        (None, Some(words)) => Question::resp(words),
        (None, None) => Question::Accepts,
    }
}

/// The question for people.
fn name(question: &ReadySpec) -> String {
    match (&question.http, &question.command) {
        (Some(path), _) => format!("GET {path}"),
        (None, None) => format!("a connection to port {}", question.port),
        (None, words) => words.as_deref().unwrap_or_default().join(" "),
    }
}

fn judge(answer: &Answer, question: &ReadySpec) -> Last {
    match answer {
        Answer::Accepted => Last::Ready(None),
        Answer::Http(response) => of_http(response, question),
        Answer::Resp(frame) => of_resp(frame, question),
        Answer::Text(text) => judged(String::from_utf8_lossy(text).into_owned(), question, None),
        Answer::None(why) => Last::None(why),
    }
}

fn of_http(response: &Response, question: &ReadySpec) -> Last {
    let text = String::from_utf8_lossy(&response.body).into_owned();
    if response.status != question.status {
        return Last::Bad(format!("status {}", response.status));
    }
    let body: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    judged(text, question, body.get("leader").map(|leader| !leader.is_null()))
}

fn of_resp(frame: &OwnedFrame, question: &ReadySpec) -> Last {
    let text = texts(frame).join(" ");
    match frame {
        OwnedFrame::Error(_) => Last::Bad(shown(&text)),
        _ => judged(text, question, None),
    }
}

/// Good when it holds what is expected.
fn judged(text: String, question: &ReadySpec, leader: Option<bool>) -> Last {
    let is_good = question.expect.is_empty() || question.expect.iter().any(|part| text.contains(part));
    if is_good { Last::Ready(leader) } else { Last::Bad(shown(&text)) }
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

impl Last {
    /// Of a ready node, what it says of its leader.
    fn leader(&self) -> Option<Option<bool>> {
        if let Self::Ready(leader) = self { Some(*leader) } else { None }
    }

    fn text(&self) -> String {
        match self {
            Self::None(why) => (*why).to_owned(),
            Self::Bad(text) => text.clone(),
            Self::Ready(_) => "ready".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn answer(status: u16, body: &str) -> Vec<u8> {
        format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }

    fn http(path: &str) -> ReadySpec {
        ReadySpec { http: Some(path.to_owned()), status: 200, command: None, expect: vec![], port: 80 }
    }

    #[test]
    fn every_question_must_be_answered_as_expected() {
        let role = ReadySpec {
            http: None,
            command: Some(vec!["ROLE".into()]),
            status: 200,
            expect: vec!["master".into(), "connected".into()],
            port: 6379,
        };
        let mut gate = Gate::new(&[http("/"), role], 1, 0);
        assert_eq!(gate.on_time(0), [(0, Action::Connect(0)), (1, Action::Connect(0))]);
        assert_eq!((gate.port(0), gate.port(1)), (80, 6379));
        gate.on_connected(0, true, MS);
        assert_eq!(gate.on_connected(1, true, MS), [(1, Action::Send(b"*1\r\n$4\r\nROLE\r\n".to_vec()))]);
        gate.on_bytes(0, &answer(200, ""), 2 * MS);
        gate.on_bytes(1, b"*2\r\n$5\r\nslave\r\n$4\r\nsync\r\n", 2 * MS);
        assert_eq!(gate.holdup(), (0, "ROLE: slave sync".to_owned()));
        gate.on_bytes(1, b"-LOADING\r\n", 30 * MS);
        assert_eq!(gate.holdup().1, "ROLE: LOADING");
        gate.on_bytes(1, b"*1\r\n$6\r\nmaster\r\n", 60 * MS);
        assert!(gate.is_open());
    }

    /// A gate of two nodes that are connected.
    fn gate() -> Gate {
        let mut gate = Gate::new(&[http("/status")], 2, 0);
        assert_eq!(gate.on_time(0), [(0, Action::Connect(0)), (1, Action::Connect(1))]);
        assert_eq!(gate.on_connected(0, true, MS).len(), 1);
        assert_eq!(gate.on_connected(1, true, MS).len(), 1);
        gate
    }

    #[test]
    fn all_must_answer_and_one_must_know_its_leader() {
        let mut gate = gate();
        gate.on_bytes(0, &answer(200, r#"{"leader":null}"#), 2 * MS);
        assert_eq!(gate.holdup(), (1, "GET /status: it was not reached".to_owned()));
        gate.on_bytes(1, &answer(503, ""), 2 * MS);
        assert_eq!(gate.holdup(), (1, "GET /status: status 503".to_owned()));
        assert_eq!(gate.deadline_ns(), Some(22 * MS));
        assert_eq!(gate.on_time(22 * MS).len(), 2);
        gate.on_bytes(1, &answer(200, r#"{"leader":null}"#), 23 * MS);
        assert!(!gate.is_open());
        assert_eq!(gate.holdup().1, "no node knows a leader");
        gate.on_bytes(0, &answer(200, r#"{"leader":2}"#), 24 * MS);
        assert!(gate.is_open());
    }

    #[test]
    fn without_a_question_a_connection_is_enough() {
        let question = ReadySpec { http: None, status: 200, command: None, expect: vec![], port: 7000 };
        let mut gate = Gate::new(&[question], 2, 0);
        assert_eq!(gate.on_time(0), [(0, Action::Connect(0)), (1, Action::Connect(1))]);
        assert_eq!(gate.on_connected(0, true, MS), [(0, Action::Close)]);
        assert!(gate.on_connected(1, false, MS).is_empty() && !gate.is_open());
        assert_eq!(gate.holdup(), (1, "a connection to port 7000: connection refused".to_owned()));
        assert_eq!(gate.on_time(21 * MS).last(), Some(&(1, Action::Connect(1))));
        assert_eq!(gate.on_connected(1, true, 22 * MS), [(1, Action::Close)]);
        assert!(gate.is_open());
    }

    #[test]
    fn a_body_without_leaders_asks_for_none() {
        let mut gate = gate();
        gate.on_bytes(0, &answer(200, "fine"), 2 * MS);
        gate.on_bytes(1, &answer(200, "{}"), 2 * MS);
        assert!(gate.is_open());
    }

    #[test]
    fn failures_are_tried_again() {
        let mut gate = gate();
        gate.on_closed(0, 2 * MS);
        assert_eq!(gate.holdup().1, "GET /status: connection lost");
        assert_eq!(gate.on_time(22 * MS), [(0, Action::Connect(0))]);
        assert!(gate.on_connected(0, false, 23 * MS).is_empty());
        assert_eq!(gate.holdup().1, "GET /status: connection refused");
        assert_eq!(gate.on_bytes(1, b"SSH-2.0\r\n\r\n", 30 * MS), [(1, Action::Close)]);
        gate.on_time(50 * MS);
        let again =
            [(0, Action::Close), (0, Action::Connect(0)), (1, Action::Close), (1, Action::Connect(1))];
        assert_eq!(gate.on_time(600 * MS), again);
        assert_eq!(gate.holdup().1, "GET /status: no answer");
    }
}
