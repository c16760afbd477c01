//! One question to one node, put again and again on a connection of its own. A state machine without sockets, like the
//! clients: it is told what happens and what time it is, and says what to do and what was answered.

use crate::workload::Action;
use crate::workload::http::{self, Response, Responses};
use crate::workload::resp::command;
use redis_protocol::resp2::decode::decode;
use redis_protocol::resp2::types::OwnedFrame;

/// The longest answer of a program, in bytes; the rest is dropped.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Nothing: it is enough that a connection is accepted.
    Accepts,
    /// A request over HTTP, as it is sent.
    Http(Vec<u8>),
    /// A command of RESP, as it is sent.
    Resp(Vec<u8>),
    /// A program that runs until it has written its answer.
    Program,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    /// A connection was accepted.
    Accepted,
    /// Over HTTP.
    Http(Response),
    /// In RESP.
    Resp(OwnedFrame),
    /// By a program.
    Text(Vec<u8>),
    /// Nothing, and why.
    None(&'static str),
}

/// When to ask, in nanoseconds of the cluster's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// From an answer to the next question.
    pub every: u64,
    /// How long an answer may take.
    pub patience: u64,
}

/// The state of one question to one node.
#[derive(Debug)]
pub(super) struct Asker {
    node: usize,
    question: Question,
    pace: Pace,
    link: Link,
    /// What has come in and is no whole answer yet.
    partial: Partial,
    /// When to ask next, or to stop waiting.
    due_ns: u64,
    is_waiting: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Closed,
    Connecting,
    Up,
}

#[derive(Debug)]
enum Partial {
    Http(Responses),
    Bytes(Vec<u8>),
}

impl Question {
    /// A request over HTTP.
    pub fn http(method: &str, path: &str, body: &str) -> Self {
        Self::Http(http::request(method, path, body))
    }

    /// A command of RESP.
    pub fn resp(words: &[String]) -> Self {
        Self::Resp(command(words))
    }
}

impl Asker {
    /// Asks the node at this position from `due_ns` on.
    pub fn new(node: usize, question: Question, pace: Pace, due_ns: u64) -> Self {
        let partial = Partial::of(&question);
        Self { node, question, pace, link: Link::Closed, partial, due_ns, is_waiting: false }
    }

    /// The node that is asked, by position.
    pub fn node(&self) -> usize {
        self.node
    }

    /// When to wake it.
    pub fn due_ns(&self) -> u64 {
        self.due_ns
    }

    /// Time has passed.
    pub fn on_time(&mut self, now_ns: u64) -> (Vec<Action>, Option<Answer>) {
        if self.due_ns > now_ns {
            return (Vec::new(), None);
        }
        let mut actions = Vec::new();
        let answer = self.is_waiting.then_some(Answer::None("no answer"));
        if self.is_waiting {
            self.close(&mut actions);
        }
        self.is_waiting = true;
        self.due_ns = now_ns.saturating_add(self.pace.patience);
        match self.link {
            Link::Up => actions.extend(self.ask()),
            Link::Closed | Link::Connecting => {
                self.link = Link::Connecting;
                actions.push(Action::Connect(self.node));
            }
        }
        (actions, answer)
    }

    /// A connection was made, or could not be.
    pub fn on_connected(&mut self, is_up: bool, now_ns: u64) -> (Vec<Action>, Option<Answer>) {
        if !is_up {
            self.link = Link::Closed;
            return (Vec::new(), Some(self.answered(Answer::None("connection refused"), now_ns)));
        }
        self.link = Link::Up;
        if self.question != Question::Accepts {
            return (self.ask().into_iter().collect(), None);
        }
        let mut actions = Vec::new();
        self.close(&mut actions);
        (actions, Some(self.answered(Answer::Accepted, now_ns)))
    }

    /// Bytes arrived.
    pub fn on_bytes(&mut self, bytes: &[u8], now_ns: u64) -> (Vec<Action>, Option<Answer>) {
        let mut actions = Vec::new();
        let answer = match self.take(bytes) {
            Ok(None) => return (actions, None),
            Ok(Some((answer, keeps))) => {
                if !keeps {
                    self.close(&mut actions);
                }
                answer
            }
            Err(why) => {
                self.close(&mut actions);
                Answer::None(why)
            }
        };
        (actions, Some(self.answered(answer, now_ns)))
    }

    /// The connection has ended.
    pub fn on_closed(&mut self, now_ns: u64) -> Option<Answer> {
        self.link = Link::Closed;
        let answer = match std::mem::replace(&mut self.partial, Partial::of(&self.question)) {
            Partial::Http(mut responses) => responses.end().ok().flatten().map(Answer::Http),
            Partial::Bytes(text) if self.question == Question::Program => Some(Answer::Text(text)),
            Partial::Bytes(_) => None,
        };
        let answer = answer.unwrap_or(Answer::None("connection lost"));
        self.is_waiting.then(|| self.answered(answer, now_ns))
    }

    fn ask(&self) -> Option<Action> {
        match &self.question {
            Question::Http(bytes) | Question::Resp(bytes) => Some(Action::Send(bytes.clone())),
            Question::Accepts | Question::Program => None,
        }
    }

    /// Adds bytes; the answer once it is whole, and whether the connection can be used again.
    fn take(&mut self, bytes: &[u8]) -> Result<Option<(Answer, bool)>, &'static str> {
        match &mut self.partial {
            Partial::Http(responses) => {
                responses.feed(bytes);
                let response = responses.take().map_err(|_| "its answer is not HTTP")?;
                Ok(response.map(|response| {
                    let keeps = response.keep_alive;
                    (Answer::Http(response), keeps)
                }))
            }
            Partial::Bytes(buffer) => {
                buffer.extend_from_slice(bytes);
                if !matches!(self.question, Question::Resp(_)) {
                    buffer.truncate(TEXT_BYTES_MAX);
                    return Ok(None);
                }
                let whole = decode(buffer).map_err(|_| "its answer is not RESP")?;
                let Some((frame, used)) = whole else { return Ok(None) };
                buffer.drain(..used);
                Ok(Some((Answer::Resp(frame), true)))
            }
        }
    }

    fn answered(&mut self, answer: Answer, now_ns: u64) -> Answer {
        self.is_waiting = false;
        self.due_ns = now_ns.saturating_add(self.pace.every);
        answer
    }

    fn close(&mut self, actions: &mut Vec<Action>) {
        self.partial = Partial::of(&self.question);
        if self.link != Link::Closed {
            self.link = Link::Closed;
            actions.push(Action::Close);
        }
    }
}

impl Partial {
    fn of(question: &Question) -> Self {
        match question {
            Question::Http(_) => Self::Http(Responses::default()),
            Question::Accepts | Question::Resp(_) | Question::Program => Self::Bytes(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const PACE: Pace = Pace { every: 250 * MS, patience: 100 * MS };

    #[test]
    fn a_program_has_answered_when_it_ends() {
        let mut asker = Asker::new(2, Question::Program, PACE, 0);
        assert_eq!(asker.on_time(0), (vec![Action::Connect(2)], None));
        assert_eq!(asker.on_connected(true, MS), (vec![], None));
        assert_eq!(asker.on_bytes(b"Mode: ", 2 * MS), (vec![], None));
        assert_eq!(asker.on_bytes(b"leader\n", 3 * MS), (vec![], None));
        assert_eq!(asker.on_closed(4 * MS), Some(Answer::Text(b"Mode: leader\n".to_vec())));
        assert_eq!(asker.due_ns(), 254 * MS);
        assert_eq!(asker.on_time(254 * MS), (vec![Action::Connect(2)], None));
        // it hangs
        asker.on_connected(true, 255 * MS);
        asker.on_bytes(b"M", 256 * MS);
        let again = vec![Action::Close, Action::Connect(2)];
        assert_eq!(asker.on_time(354 * MS), (again, Some(Answer::None("no answer"))));
        asker.on_connected(true, 355 * MS);
        assert_eq!(asker.on_closed(356 * MS), Some(Answer::Text(Vec::new())), "of this time only");
    }

    #[test]
    fn a_connection_is_used_as_long_as_it_lasts() {
        let mut asker = Asker::new(0, Question::resp(&["ROLE".into()]), PACE, 0);
        let ask = Action::Send(b"*1\r\n$4\r\nROLE\r\n".to_vec());
        asker.on_time(0);
        assert_eq!(asker.on_connected(true, MS), (vec![ask.clone()], None));
        let (actions, answer) = asker.on_bytes(b":1\r\n", 2 * MS);
        assert_eq!((actions, answer), (vec![], Some(Answer::Resp(OwnedFrame::Integer(1)))));
        assert_eq!(asker.on_time(100 * MS), (vec![], None), "not yet");
        assert_eq!(asker.on_time(252 * MS), (vec![ask], None));
        assert_eq!(asker.on_closed(253 * MS), Some(Answer::None("connection lost")));
        assert_eq!(asker.on_closed(254 * MS), None, "nobody waits");
    }
}
