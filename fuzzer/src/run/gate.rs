//! The readiness gate: asks every node every question again and again until all answers are good and, where they
//! speak of leaders, one knows its leader. A state machine without sockets, like the clients.

use crate::target::ReadySpec;
use crate::workload::Action;
use crate::workload::http::{self, Response, Responses};
use crate::workload::resp::{command, texts};
use redis_protocol::resp2::decode::decode;
use redis_protocol::resp2::types::OwnedFrame;
use serde_json::Value;

/// Pause between two questions to one node.
const EVERY_NS: u64 = 20_000_000;
/// How long one question may take.
const PATIENCE_NS: u64 = 500_000_000;
/// How much of an answer is shown.
const SHOWN: usize = 120;

/// What is known of each node. A slot is a question to a node: that of question `q` to node `n` has the number
/// `q * nodes + n`.
#[derive(Debug)]
pub(super) struct Gate {
    questions: Vec<ReadySpec>,
    nodes: usize,
    slots: Vec<Asked>,
}

#[derive(Debug)]
struct Asked {
    link: Link,
    replies: Replies,
    /// When to ask next, or to stop waiting.
    due_ns: u64,
    is_waiting: bool,
    last: Last,
}

/// What has come in and is no whole answer yet.
#[derive(Debug)]
enum Replies {
    Http(Responses),
    Resp(Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Closed,
    Connecting,
    Up,
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
        let slots = questions.iter().flat_map(|question| {
            (0..nodes).map(|_| Asked {
                link: Link::Closed,
                replies: Replies::of(question),
                due_ns: now_ns,
                is_waiting: false,
                last: Last::None("it was not reached"),
            })
        });
        Self { questions: questions.to_vec(), nodes, slots: slots.collect() }
    }

    /// The node and the port that a slot asks.
    pub fn place(&self, slot: usize) -> (usize, u16) {
        (slot % self.nodes, self.question(slot).port)
    }

    fn question(&self, slot: usize) -> &ReadySpec {
        &self.questions[slot / self.nodes]
    }

    /// The cluster can be worked with.
    pub fn is_open(&self) -> bool {
        let leaders: Option<Vec<Option<bool>>> = self.slots.iter().map(|asked| asked.last.leader()).collect();
        leaders.is_some_and(|leaders| leaders.contains(&Some(true)) || leaders.iter().all(Option::is_none))
    }

    /// The first node that is not ready, by position, and what it answered last.
    pub fn holdup(&self) -> (usize, String) {
        match self.slots.iter().position(|asked| asked.last.leader().is_none()) {
            Some(slot) => {
                let (name, last) = (name(self.question(slot)), self.slots[slot].last.text());
                (slot % self.nodes, format!("{name}: {last}"))
            }
            None => (0, "no node knows a leader".to_owned()),
        }
    }

    /// When to wake it.
    pub fn deadline_ns(&self) -> Option<u64> {
        self.slots.iter().map(|asked| asked.due_ns).min()
    }

    /// Time has passed. Actions are by slot; the place of [`Action::Connect`] is the node.
    pub fn on_time(&mut self, now_ns: u64) -> Vec<(usize, Action)> {
        let mut actions = Vec::new();
        for slot in 0..self.slots.len() {
            let (node, ask) = (slot % self.nodes, bytes(self.question(slot)));
            let asked = &mut self.slots[slot];
            if asked.due_ns > now_ns {
                continue;
            }
            if asked.is_waiting {
                asked.last = Last::None("no answer");
                asked.close(slot, &mut actions);
            }
            asked.is_waiting = true;
            asked.due_ns = now_ns.saturating_add(PATIENCE_NS);
            match asked.link {
                Link::Up => actions.push((slot, Action::Send(ask))),
                Link::Closed | Link::Connecting => {
                    asked.link = Link::Connecting;
                    actions.push((slot, Action::Connect(node)));
                }
            }
        }
        actions
    }

    /// A connection was made, or could not be.
    pub fn on_connected(&mut self, slot: usize, is_up: bool, now_ns: u64) -> Vec<(usize, Action)> {
        let question = self.question(slot);
        let (ask, is_enough) = (bytes(question), accepts(question));
        let asked = &mut self.slots[slot];
        if is_up {
            asked.link = Link::Up;
            if !is_enough {
                return vec![(slot, Action::Send(ask))];
            }
            let mut actions = Vec::new();
            asked.close(slot, &mut actions);
            asked.answered(Last::Ready(None), now_ns);
            return actions;
        }
        asked.failed("connection refused", now_ns);
        Vec::new()
    }

    /// Bytes arrived.
    pub fn on_bytes(&mut self, slot: usize, bytes: &[u8], now_ns: u64) -> Vec<(usize, Action)> {
        let mut actions = Vec::new();
        let question = self.questions[slot / self.nodes].clone();
        let asked = &mut self.slots[slot];
        match asked.replies.feed(bytes, &question) {
            Ok(Some((last, keeps))) => {
                if !keeps {
                    asked.close(slot, &mut actions);
                }
                asked.answered(last, now_ns);
            }
            Ok(None) => {}
            Err(why) => {
                asked.close(slot, &mut actions);
                asked.failed(why, now_ns);
            }
        }
        actions
    }

    /// A connection has ended.
    pub fn on_closed(&mut self, slot: usize, now_ns: u64) -> Vec<(usize, Action)> {
        let question = self.questions[slot / self.nodes].clone();
        let asked = &mut self.slots[slot];
        asked.link = Link::Closed;
        match asked.replies.end(&question) {
            Some(last) if asked.is_waiting => asked.answered(last, now_ns),
            _ if asked.is_waiting => asked.failed("connection lost", now_ns),
            _ => {}
        }
        asked.replies = Replies::of(&question);
        Vec::new()
    }
}

/// Nothing is asked: it is enough that a connection is accepted.
fn accepts(question: &ReadySpec) -> bool {
    question.http.is_none() && question.command.is_none()
}

/// The question as it is sent.
fn bytes(question: &ReadySpec) -> Vec<u8> {
    match (&question.http, &question.command) {
        (Some(path), _) => http::request("GET", path, ""),
        (None, words) => command(words.as_deref().unwrap_or_default()),
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

impl Replies {
    fn of(question: &ReadySpec) -> Self {
        if question.http.is_some() { Self::Http(Responses::default()) } else { Self::Resp(Vec::new()) }
    }

    fn clear(&mut self) {
        match self {
            Self::Http(responses) => *responses = Responses::default(),
            Self::Resp(buffer) => buffer.clear(),
        }
    }

    /// Adds bytes; what they say once they are whole, and whether the connection can be used again.
    fn feed(&mut self, bytes: &[u8], question: &ReadySpec) -> Result<Option<(Last, bool)>, &'static str> {
        match self {
            Self::Http(responses) => {
                responses.feed(bytes);
                let response = responses.take().map_err(|_| "its answer is not HTTP")?;
                Ok(response.map(|response| (of_http(&response, question), response.keep_alive)))
            }
            Self::Resp(buffer) => {
                buffer.extend_from_slice(bytes);
                let whole = decode(buffer).map_err(|_| "its answer is not RESP")?;
                let Some((frame, used)) = whole else { return Ok(None) };
                buffer.drain(..used);
                Ok(Some((of_resp(&frame, question), true)))
            }
        }
    }

    fn end(&mut self, question: &ReadySpec) -> Option<Last> {
        match self {
            Self::Http(responses) => responses.end().ok().flatten().map(|it| of_http(&it, question)),
            Self::Resp(_) => None,
        }
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

impl Asked {
    fn answered(&mut self, last: Last, now_ns: u64) {
        self.is_waiting = false;
        self.due_ns = now_ns.saturating_add(EVERY_NS);
        self.last = last;
    }

    fn failed(&mut self, why: &'static str, now_ns: u64) {
        self.link = Link::Closed;
        self.is_waiting = false;
        self.due_ns = now_ns.saturating_add(EVERY_NS);
        self.last = Last::None(why);
    }

    fn close(&mut self, slot: usize, actions: &mut Vec<(usize, Action)>) {
        self.replies.clear();
        if self.link != Link::Closed {
            self.link = Link::Closed;
            actions.push((slot, Action::Close));
        }
    }
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
        assert_eq!((gate.place(0), gate.place(1)), ((0, 80), (0, 6379)));
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
