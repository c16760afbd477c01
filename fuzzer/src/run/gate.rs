//! The readiness gate: asks every node again and again until all answer 200 and, where they speak of leaders, one
//! knows its leader. A state machine without sockets, like the clients.

use crate::workload::Action;
use crate::workload::http::{self, Response, Responses};
use serde_json::Value;

/// Pause between two questions to one node.
const EVERY_NS: u64 = 20_000_000;
/// How long one question may take.
const PATIENCE_NS: u64 = 500_000_000;

/// What is known of each node.
#[derive(Debug)]
pub(super) struct Gate {
    path: String,
    nodes: Vec<Asked>,
}

#[derive(Debug)]
struct Asked {
    link: Link,
    responses: Responses,
    /// When to ask next, or to stop waiting.
    due_ns: u64,
    is_waiting: bool,
    last: Last,
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
    Status(u16),
    /// 200: whether it knows a leader, if it speaks of one.
    Ready(Option<bool>),
}

impl Gate {
    /// Asks `nodes` for `path` from now on.
    pub fn new(path: &str, nodes: usize, now_ns: u64) -> Self {
        let asked = |_| Asked {
            link: Link::Closed,
            responses: Responses::default(),
            due_ns: now_ns,
            is_waiting: false,
            last: Last::None("it was not reached"),
        };
        Self { path: path.to_owned(), nodes: (0..nodes).map(asked).collect() }
    }

    /// The cluster can be worked with.
    pub fn is_open(&self) -> bool {
        let leaders: Option<Vec<Option<bool>>> = self.nodes.iter().map(|asked| asked.last.leader()).collect();
        leaders.is_some_and(|leaders| leaders.contains(&Some(true)) || leaders.iter().all(Option::is_none))
    }

    /// The first node that is not ready, by position, and what it answered last.
    pub fn holdup(&self) -> (usize, String) {
        let behind = self.nodes.iter().position(|asked| asked.last.leader().is_none());
        match behind {
            Some(node) => (node, format!("GET {}: {}", self.path, self.nodes[node].last.text())),
            None => (0, format!("GET {}: no node knows a leader", self.path)),
        }
    }

    /// When to wake it.
    pub fn deadline_ns(&self) -> Option<u64> {
        self.nodes.iter().map(|asked| asked.due_ns).min()
    }

    /// Time has passed.
    pub fn on_time(&mut self, now_ns: u64) -> Vec<(usize, Action)> {
        let mut actions = Vec::new();
        for (node, asked) in self.nodes.iter_mut().enumerate().filter(|(_, asked)| asked.due_ns <= now_ns) {
            if asked.is_waiting {
                asked.last = Last::None("no answer");
                asked.close(node, &mut actions);
            }
            asked.is_waiting = true;
            asked.due_ns = now_ns.saturating_add(PATIENCE_NS);
            match asked.link {
                Link::Up => actions.push((node, Action::Send(http::request("GET", &self.path, "")))),
                Link::Closed | Link::Connecting => {
                    asked.link = Link::Connecting;
                    actions.push((node, Action::Connect(node)));
                }
            }
        }
        actions
    }

    /// A connection was made, or could not be.
    pub fn on_connected(&mut self, node: usize, is_up: bool, now_ns: u64) -> Vec<(usize, Action)> {
        let asked = &mut self.nodes[node];
        if is_up {
            asked.link = Link::Up;
            return vec![(node, Action::Send(http::request("GET", &self.path, "")))];
        }
        asked.failed("connection refused", now_ns);
        Vec::new()
    }

    /// Bytes arrived.
    pub fn on_bytes(&mut self, node: usize, bytes: &[u8], now_ns: u64) -> Vec<(usize, Action)> {
        let mut actions = Vec::new();
        let asked = &mut self.nodes[node];
        asked.responses.feed(bytes);
        match asked.responses.take() {
            Ok(Some(response)) => {
                if !response.keep_alive {
                    asked.close(node, &mut actions);
                }
                asked.answered(&response, now_ns);
            }
            Ok(None) => {}
            Err(_) => {
                asked.close(node, &mut actions);
                asked.failed("its answer is not HTTP", now_ns);
            }
        }
        actions
    }

    /// A connection has ended.
    pub fn on_closed(&mut self, node: usize, now_ns: u64) -> Vec<(usize, Action)> {
        let asked = &mut self.nodes[node];
        asked.link = Link::Closed;
        match asked.responses.end() {
            Ok(Some(response)) if asked.is_waiting => asked.answered(&response, now_ns),
            _ if asked.is_waiting => asked.failed("connection lost", now_ns),
            _ => {}
        }
        asked.responses = Responses::default();
        Vec::new()
    }
}

impl Asked {
    fn answered(&mut self, response: &Response, now_ns: u64) {
        self.is_waiting = false;
        self.due_ns = now_ns.saturating_add(EVERY_NS);
        self.last = if response.status == 200 {
            let body: Value = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
            Last::Ready(body.get("leader").map(|leader| !leader.is_null()))
        } else {
            Last::Status(response.status)
        };
    }

    fn failed(&mut self, why: &'static str, now_ns: u64) {
        self.link = Link::Closed;
        self.is_waiting = false;
        self.due_ns = now_ns.saturating_add(EVERY_NS);
        self.last = Last::None(why);
    }

    fn close(&mut self, node: usize, actions: &mut Vec<(usize, Action)>) {
        self.responses = Responses::default();
        if self.link != Link::Closed {
            self.link = Link::Closed;
            actions.push((node, Action::Close));
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
            Self::Status(status) => format!("status {status}"),
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

    /// A gate of two nodes that are connected.
    fn gate() -> Gate {
        let mut gate = Gate::new("/status", 2, 0);
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
        assert_eq!(gate.holdup().1, "GET /status: no node knows a leader");
        gate.on_bytes(0, &answer(200, r#"{"leader":2}"#), 24 * MS);
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
