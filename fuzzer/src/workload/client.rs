//! One client: one connection and at most one open operation, as a state machine without a socket.
//!
//! It is told what happens (connected, bytes, closed, time) and says what to do. An attempt that certainly did
//! nothing is made again elsewhere, unseen by the history, as long as the operation's time lasts. After an
//! attempt that may have done something the same numbered request may be sent again: a target that keeps its
//! promise does it once. What is then still open ends as the protocol says of unanswered operations.

use super::protocol::{Answer, Asked, Nodes, Protocol, Reply, Taken};
use oracle::{Call, Phase};
use std::sync::Arc;

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
        /// The position of the node that answered, or was asked or tried last.
        node: usize,
    },
    /// The client's program says that something is there which must never be.
    Assert {
        /// Which assertion did not hold.
        kind: String,
        /// What it saw.
        message: String,
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
    nodes: Arc<Nodes>,
    /// The time of an operation in nanoseconds.
    patience_ns: u64,
    /// Where it is, or goes.
    node: usize,
    /// A new process takes over after an operation that nobody knows the end of.
    process: u32,
    seq: u64,
    link: Link,
    protocol: Protocol,
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
    /// The node that was asked or tried last.
    node: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Pausing,
    Connecting,
    Greeting,
    Waiting,
}

impl Client {
    /// A client without a connection that starts at the node `node` of `nodes` and gives each operation `patience_ns`.
    #[must_use]
    pub fn new(
        name: String,
        process: u32,
        node: usize,
        nodes: Arc<Nodes>,
        protocol: Protocol,
        patience_ns: u64,
    ) -> Self {
        Self { name, nodes, patience_ns, node, process, seq: 0, link: Link::Closed, protocol, open: None }
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
        if let Some(node) = task.start_at {
            self.move_to(node, out);
        }
        let ends_ns = now_ns.saturating_add(self.patience_ns);
        // A change that may have been done is asked for again only where that does no harm.
        let may_repeat = task.is_impatient && (task.call.is_read() || self.protocol.repeats_changes());
        self.open = Some(Open {
            call: task.call,
            ends_ns,
            until_ns: ends_ns,
            stage: Stage::Pausing,
            answer_ns: if may_repeat { ANSWER_NS } else { self.patience_ns },
            repeats_left: if may_repeat { REPEATS_MAX } else { 0 },
            turned_away: 0,
            pause_ns: PAUSE_NS,
            may_be_done: false,
            error: "no time was left".into(),
            node: self.node,
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
                self.greet(now_ns, out);
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
        self.protocol.feed(bytes);
        let taken = self.take(false);
        let failed = self.protocol.take_failed().into_iter();
        out.extend(failed.map(|(kind, message)| Action::Assert { kind, message }));
        match taken {
            // Nobody asked: whatever follows on this connection cannot be told from an answer, but by its number.
            None if self.protocol.is_program() => {}
            None => self.close(out),
            Some(Ok(Some((reply, keeps)))) => {
                if !keeps {
                    self.close(out);
                }
                self.replied(reply, now_ns, out);
            }
            Some(Ok(None)) => {}
            Some(Err(why)) => self.lost(why, now_ns, out),
        }
    }

    /// The connection has ended, in order or not.
    pub fn on_closed(&mut self, now_ns: u64, out: &mut Vec<Action>) {
        if self.link != Link::Up {
            return self.on_connected(false, now_ns, out);
        }
        self.link = Link::Closed;
        let last = self.take(true);
        self.protocol.clear();
        match last {
            None => {}
            Some(Ok(Some((reply, _)))) => self.replied(reply, now_ns, out),
            Some(_) => self.lost("connection lost".into(), now_ns, out),
        }
    }

    /// Takes a reply off the connection; `None` when it waits for none.
    fn take(&mut self, has_ended: bool) -> Option<Result<Option<Taken>, String>> {
        let open = self.open.as_ref()?;
        let asked = match open.stage {
            Stage::Greeting => Asked::Greeting,
            Stage::Waiting => Asked::Call(&open.call, self.seq),
            Stage::Pausing | Stage::Connecting => return None,
        };
        Some(self.protocol.take(asked, &self.nodes, has_ended))
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
            Stage::Waiting if self.protocol.is_program() => self.unanswered(now_ns, out),
            Stage::Greeting | Stage::Waiting => self.lost("timed out".into(), now_ns, out),
        }
    }

    /// Tries, if there is time.
    fn attempt(&mut self, now_ns: u64, out: &mut Vec<Action>) {
        let Some(open) = &mut self.open else { return };
        if now_ns >= open.ends_ns {
            return self.give_up(out);
        }
        open.node = self.node;
        match self.link {
            Link::Up => self.ask(now_ns, out),
            Link::Closed | Link::Connecting => {
                open.stage = Stage::Connecting;
                open.until_ns = open.ends_ns.min(now_ns.saturating_add(CONNECT_NS));
                self.protocol.clear();
                self.link = Link::Connecting;
                out.push(Action::Connect(self.node));
            }
        }
    }

    /// On a new connection: the protocol's first question, if it has one.
    fn greet(&mut self, now_ns: u64, out: &mut Vec<Action>) {
        let Some(greeting) = self.protocol.greeting() else { return self.ask(now_ns, out) };
        let Some(open) = &mut self.open else { return };
        open.stage = Stage::Greeting;
        open.until_ns = open.ends_ns.min(now_ns.saturating_add(ANSWER_NS));
        out.push(Action::Send(greeting));
    }

    fn ask(&mut self, now_ns: u64, out: &mut Vec<Action>) {
        let Some(open) = &mut self.open else { return };
        open.node = self.node;
        open.stage = Stage::Waiting;
        open.until_ns = open.ends_ns.min(now_ns.saturating_add(open.answer_ns));
        let request = self.protocol.request(&open.call, &self.name, self.seq, self.node);
        out.push(Action::Send(request));
    }

    fn replied(&mut self, reply: Reply, now_ns: u64, out: &mut Vec<Action>) {
        let Some(open) = &mut self.open else { return };
        open.node = self.protocol.answered_by(&self.nodes).unwrap_or(open.node);
        match reply {
            Reply::Welcome => self.ask(now_ns, out),
            Reply::Answer(Answer::Done(call)) => self.complete(Phase::Ok, call, None, out),
            Reply::Answer(Answer::Elsewhere(leader)) => {
                self.turned_away("not the leader".into(), leader, now_ns, out);
            }
            Reply::Answer(Answer::Refused(why)) => {
                open.error = why;
                self.give_up(out);
            }
            Reply::Answer(Answer::Unclear(why)) => self.lost(why, now_ns, out),
        }
    }

    /// The attempt did nothing: another one, at the node that leads or the next one.
    fn turned_away(&mut self, why: String, leader: Option<usize>, now_ns: u64, out: &mut Vec<Action>) {
        let Some(open) = &mut self.open else { return };
        open.turned_away += 1;
        open.error = why;
        // Two nodes may each believe in the other: a hint is followed at once the first time only.
        let count = self.nodes.count;
        let at_once = if leader.is_some() { open.turned_away <= 1 } else { open.turned_away % count != 0 };
        // A connection whose greeting was not to its liking is of no use.
        if open.stage == Stage::Greeting {
            self.close(out);
        }
        self.move_to(leader.unwrap_or((self.node + 1) % count), out);
        self.pause_or_attempt(at_once, now_ns, out);
    }

    /// The attempt may have done something.
    fn lost(&mut self, why: String, now_ns: u64, out: &mut Vec<Action>) {
        self.close(out);
        let Some(open) = &mut self.open else { return };
        if open.stage == Stage::Greeting {
            return self.turned_away(why, None, now_ns, out);
        }
        self.node = (self.node + 1) % self.nodes.count;
        open.may_be_done = true;
        open.error = why;
        if open.repeats_left == 0 {
            return self.give_up(out);
        }
        open.repeats_left -= 1;
        self.attempt(now_ns, out);
    }

    /// A program was silent; what it says later is not taken for another answer, so it may go on.
    fn unanswered(&mut self, now_ns: u64, out: &mut Vec<Action>) {
        let Some(open) = &mut self.open else { return };
        open.may_be_done = true;
        open.error = "timed out".into();
        self.node = (self.node + 1) % self.nodes.count;
        if now_ns >= open.ends_ns { self.give_up(out) } else { self.ask(now_ns, out) }
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
        // A question changes nothing, so it has failed at worst.
        let is_unsure = open.may_be_done && !open.call.is_read();
        let phase = if is_unsure { Phase::Info } else { Phase::Fail };
        let (call, error) = (open.call.clone(), open.error.clone());
        self.complete(phase, call, Some(error), out);
    }

    fn complete(&mut self, phase: Phase, call: Call, error: Option<String>, out: &mut Vec<Action>) {
        let node = self.open.take().map_or(self.node, |open| open.node);
        out.push(Action::Complete { process: self.process, phase, call, error, node });
    }

    fn move_to(&mut self, node: usize, out: &mut Vec<Action>) {
        if node != self.node && !self.protocol.is_program() {
            self.close(out);
        }
        self.node = node;
    }

    fn close(&mut self, out: &mut Vec<Action>) {
        self.protocol.clear();
        if self.link != Link::Closed {
            self.link = Link::Closed;
            out.push(Action::Close);
        }
    }
}

#[cfg(test)]
mod tests;
