//! One client: one connection and at most one open operation, as a state machine without a socket.
//!
//! It is told what happens (connected, bytes, closed, time) and says what to do. An attempt that certainly did
//! nothing is made again elsewhere, unseen by the history, as long as the operation's time lasts. After an
//! attempt that may have done something the same numbered request may be sent again: a target that keeps its
//! promise does it once. What is then still open ends as the protocol says of unanswered operations.

use super::http::Responses;
use super::kv_http::{self, Answer};
use oracle::{Call, Outcome, Phase};

/// The time of an operation in nanoseconds.
pub const OPERATION_NS: u64 = 1_000_000_000;
/// How long a connection may take to be made.
const CONNECT_NS: u64 = 300_000_000;
/// How long an impatient client waits for an answer before it asks again elsewhere.
const ANSWER_NS: u64 = 350_000_000;
/// The first pause after all nodes have turned the client away; each one after it is twice as long, up to a bound.
/// Without that a cluster that has no leader does nothing but turn clients away.
const PAUSE_NS: u64 = 20_000_000;
const PAUSE_NS_MAX: u64 = 160_000_000;
/// How often a request that may have been done is sent again.
const REPEATS_MAX: u8 = 2;

/// What a client does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Begins to connect to the node with this position; the connection before is closed.
    Connect(usize),
    /// Sends on the connection.
    Send(Vec<u8>),
    /// Closes the connection.
    Close,
    /// An operation begins.
    Invoke {
        /// The process it belongs to.
        process: u32,
        /// What is asked.
        call: Call,
    },
    /// The open operation has ended.
    Complete {
        /// The process it belongs to.
        process: u32,
        /// How it ended; never [`Phase::Invoke`].
        phase: Phase,
        /// What was asked, with the answer when it is ok.
        call: Call,
        /// What went wrong.
        error: Option<String>,
    },
}

/// An operation to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// What is asked.
    pub call: Call,
    /// Sends the request again elsewhere when no answer comes; otherwise waits for it to the end.
    pub is_impatient: bool,
    /// Goes to this node first; otherwise to the last one.
    pub start_at: Option<usize>,
}

/// The client.
#[derive(Clone, Debug)]
pub struct Client {
    name: String,
    nodes: usize,
    /// Where it is, or goes.
    node: usize,
    /// A new process takes over after an operation that nobody knows the end of.
    process: u32,
    seq: u64,
    link: Link,
    responses: Responses,
    open: Option<Open>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Closed,
    Connecting,
    Up,
}

#[derive(Clone, Debug)]
struct Open {
    call: Call,
    request: Vec<u8>,
    ends_ns: u64,
    /// When the present stage is over, whatever has happened.
    until_ns: u64,
    stage: Stage,
    answer_ns: u64,
    repeats_left: u8,
    /// Attempts that were turned away, for pauses.
    turned_away: usize,
    pause_ns: u64,
    may_be_done: bool,
    error: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Pausing,
    Connecting,
    Waiting,
}

impl Client {
    /// A client without a connection that starts at the node `node` of `nodes`.
    #[must_use]
    pub fn new(name: String, process: u32, node: usize, nodes: usize) -> Self {
        Self {
            name,
            nodes,
            node,
            process,
            seq: 0,
            link: Link::Closed,
            responses: Responses::default(),
            open: None,
        }
    }

    /// It has no operation open.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.open.is_none()
    }

    /// When it wants to be woken.
    #[must_use]
    pub fn deadline_ns(&self) -> Option<u64> {
        self.open.as_ref().map(|open| open.until_ns)
    }

    /// The next operations belong to this process; only between operations.
    pub fn become_process(&mut self, process: u32) {
        debug_assert!(self.is_idle(), "a process ends with its operation");
        self.process = process;
    }

    /// Begins an operation; the one before has ended.
    pub fn begin(&mut self, task: Task, now_ns: u64, out: &mut Vec<Action>) {
        debug_assert!(self.is_idle(), "one operation at a time");
        self.seq += 1;
        out.push(Action::Invoke { process: self.process, call: task.call.clone() });
        if let Some(node) = task.start_at.filter(|node| *node != self.node) {
            self.close(out);
            self.node = node;
        }
        let ends_ns = now_ns.saturating_add(OPERATION_NS);
        self.open = Some(Open {
            request: kv_http::request(&task.call, &self.name, self.seq),
            call: task.call,
            ends_ns,
            until_ns: ends_ns,
            stage: Stage::Pausing,
            answer_ns: if task.is_impatient { ANSWER_NS } else { OPERATION_NS },
            repeats_left: if task.is_impatient { REPEATS_MAX } else { 0 },
            turned_away: 0,
            pause_ns: PAUSE_NS,
            may_be_done: false,
            error: "no time was left".into(),
        });
        self.attempt(now_ns, out);
    }

    /// The connection was made, or could not be.
    pub fn on_connected(&mut self, is_up: bool, now_ns: u64, out: &mut Vec<Action>) {
        if self.link != Link::Connecting {
            return;
        }
        self.link = if is_up { Link::Up } else { Link::Closed };
        if self.open.as_ref().is_some_and(|open| open.stage == Stage::Connecting) {
            if is_up {
                self.send(now_ns, out);
            } else {
                self.turned_away("connection refused".into(), None, now_ns, out);
            }
        }
    }

    /// Bytes arrived.
    pub fn on_bytes(&mut self, bytes: &[u8], now_ns: u64, out: &mut Vec<Action>) {
        if self.link != Link::Up {
            return;
        }
        self.responses.feed(bytes);
        let is_awaited = self.open.as_ref().is_some_and(|open| open.stage == Stage::Waiting);
        match (is_awaited, self.responses.take()) {
            (true, Ok(Some(response))) => {
                if !response.keep_alive || !self.responses.is_empty() {
                    self.close(out);
                }
                self.answered(&response, now_ns, out);
            }
            (true, Ok(None)) => {}
            (true, Err(error)) => self.lost(error.to_string(), now_ns, out),
            // Nobody asked: whatever follows on this connection cannot be told from an answer.
            (false, _) => self.close(out),
        }
    }

    /// The connection has ended, in order or not.
    pub fn on_closed(&mut self, now_ns: u64, out: &mut Vec<Action>) {
        if self.link != Link::Up {
            return self.on_connected(false, now_ns, out);
        }
        self.link = Link::Closed;
        let last = self.responses.end();
        self.responses = Responses::default();
        if self.open.as_ref().is_some_and(|open| open.stage == Stage::Waiting) {
            match last {
                Ok(Some(response)) => self.answered(&response, now_ns, out),
                _ => self.lost("connection lost".into(), now_ns, out),
            }
        }
    }

    /// Time has passed.
    pub fn on_time(&mut self, now_ns: u64, out: &mut Vec<Action>) {
        let Some(open) = self.open.as_ref().filter(|open| open.until_ns <= now_ns) else { return };
        match open.stage {
            Stage::Pausing => self.attempt(now_ns, out),
            Stage::Connecting => {
                self.close(out);
                self.turned_away("connection timed out".into(), None, now_ns, out);
            }
            Stage::Waiting => self.lost("timed out".into(), now_ns, out),
        }
    }

    /// Tries, if there is time.
    fn attempt(&mut self, now_ns: u64, out: &mut Vec<Action>) {
        let Some(open) = &mut self.open else { return };
        if now_ns >= open.ends_ns {
            return self.give_up(out);
        }
        match self.link {
            Link::Up => self.send(now_ns, out),
            Link::Closed | Link::Connecting => {
                open.stage = Stage::Connecting;
                open.until_ns = open.ends_ns.min(now_ns.saturating_add(CONNECT_NS));
                self.responses = Responses::default();
                self.link = Link::Connecting;
                out.push(Action::Connect(self.node));
            }
        }
    }

    fn send(&mut self, now_ns: u64, out: &mut Vec<Action>) {
        let Some(open) = &mut self.open else { return };
        open.stage = Stage::Waiting;
        open.until_ns = open.ends_ns.min(now_ns.saturating_add(open.answer_ns));
        out.push(Action::Send(open.request.clone()));
    }

    fn answered(&mut self, response: &super::http::Response, now_ns: u64, out: &mut Vec<Action>) {
        let Some(open) = &mut self.open else { return };
        match kv_http::answer(&open.call, response, self.nodes) {
            Answer::Done(call) => self.complete(Phase::Ok, call, None, out),
            Answer::Elsewhere(leader) => self.turned_away("not the leader".into(), leader, now_ns, out),
            Answer::Refused(why) => {
                open.error = why;
                self.give_up(out);
            }
            Answer::Unclear(why) => self.lost(why, now_ns, out),
        }
    }

    /// The attempt did nothing: another one, at the node that leads or the next one.
    fn turned_away(&mut self, why: String, leader: Option<usize>, now_ns: u64, out: &mut Vec<Action>) {
        let Some(open) = &mut self.open else { return };
        open.turned_away += 1;
        open.error = why;
        // Two nodes may each believe in the other: a hint is followed at once the first time only.
        let at_once =
            if leader.is_some() { open.turned_away <= 1 } else { open.turned_away % self.nodes != 0 };
        self.move_to(leader.unwrap_or((self.node + 1) % self.nodes), out);
        self.pause_or_attempt(at_once, now_ns, out);
    }

    /// The attempt may have done something.
    fn lost(&mut self, why: String, now_ns: u64, out: &mut Vec<Action>) {
        self.close(out);
        self.node = (self.node + 1) % self.nodes;
        let Some(open) = &mut self.open else { return };
        open.may_be_done = true;
        open.error = why;
        if open.repeats_left == 0 {
            return self.give_up(out);
        }
        open.repeats_left -= 1;
        self.attempt(now_ns, out);
    }

    fn pause_or_attempt(&mut self, at_once: bool, now_ns: u64, out: &mut Vec<Action>) {
        let Some(open) = &mut self.open else { return };
        if at_once {
            return self.attempt(now_ns, out);
        }
        open.stage = Stage::Pausing;
        open.until_ns = open.ends_ns.min(now_ns.saturating_add(open.pause_ns)).max(now_ns);
        open.pause_ns = PAUSE_NS_MAX.min(open.pause_ns * 2);
        if open.until_ns == now_ns {
            self.give_up(out);
        }
    }

    fn give_up(&mut self, out: &mut Vec<Action>) {
        let Some(open) = &self.open else { return };
        let phase = match kv_http::unanswered(&open.call, open.may_be_done) {
            Outcome::Info => Phase::Info,
            _ => Phase::Fail,
        };
        let (call, error) = (open.call.clone(), open.error.clone());
        self.complete(phase, call, Some(error), out);
    }

    fn complete(&mut self, phase: Phase, call: Call, error: Option<String>, out: &mut Vec<Action>) {
        self.open = None;
        out.push(Action::Complete { process: self.process, phase, call, error });
    }

    fn move_to(&mut self, node: usize, out: &mut Vec<Action>) {
        if node != self.node {
            self.close(out);
            self.node = node;
        }
    }

    fn close(&mut self, out: &mut Vec<Action>) {
        self.responses = Responses::default();
        if self.link != Link::Closed {
            self.link = Link::Closed;
            out.push(Action::Close);
        }
    }
}

#[cfg(test)]
mod tests;
