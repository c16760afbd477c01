//! The census: asks every node again and again what it is, as the manifest's `[[status]]` says, and tells what has changed.
//! It is part of the run, whether anybody chooses faults or not. A state machine without sockets, like the clients.

use super::asker::{Answer, Asker, Pace, Question};
use crate::target::status::{Medium, StatusSpec};
use crate::workload::Action;
use interceptor::event::Report;
use interceptor::role_line::RoleLine;
use redis_protocol::resp2::types::OwnedFrame;
use serde_json::Value;

/// How long an answer may take.
const PATIENCE_NS: u64 = 500_000_000;
/// The same of a program.
const PROGRAM_PATIENCE_NS: u64 = 5_000_000_000;

/// Fills in the placeholders of the node at a position.
pub(super) type Fill = Box<dyn Fn(usize, &str) -> String>;

/// What is asked of each node. A slot is a question to a node: that of question `q` to node `n` has the number
/// `q * nodes + n`.
pub(super) struct Census {
    questions: Vec<StatusSpec>,
    /// Lines that answers may have.
    lines: Vec<RoleLine>,
    nodes: usize,
    /// Who asks, and what was reported last.
    slots: Vec<(Asker, Option<Report>)>,
    /// Fills in the placeholders of a node.
    fill: Fill,
}

/// By what a node is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// At this port.
    Port(u16),
    /// By the program at this position among those that ask.
    Program(usize),
}

/// What to do on the connection of a slot.
pub(super) type Deed = (usize, Action);

/// What a node, by position, has said that is new.
pub(super) type News = Option<(usize, Report)>;

impl Census {
    /// Asks `nodes` all `questions` from now on; `fill` fills in the placeholders of a node.
    pub fn new(
        questions: &[StatusSpec],
        lines: Vec<RoleLine>,
        nodes: usize,
        now_ns: u64,
        fill: Fill,
    ) -> Self {
        let slots = questions.iter().flat_map(|question| {
            let (question, pace) = (put(question), pace(question));
            (0..nodes).map(move |node| (Asker::new(node, question.clone(), pace, now_ns), None))
        });
        Self { questions: questions.to_vec(), lines, nodes, slots: slots.collect(), fill }
    }

    /// By what a slot asks.
    pub fn way(&self, slot: usize) -> Way {
        let (question, node) = (slot / self.nodes, slot % self.nodes);
        match self.questions[question].port {
            Some(port) => Way::Port(port),
            None => {
                let before = self.questions[..question].iter().filter(|it| it.program.is_some()).count();
                Way::Program(before * self.nodes + node)
            }
        }
    }

    /// When to wake it.
    pub fn deadline_ns(&self) -> Option<u64> {
        self.slots.iter().map(|(asker, _)| asker.due_ns()).min()
    }

    /// Time has passed. The place of [`Action::Connect`] is the node.
    pub fn on_time(&mut self, now_ns: u64) -> Vec<Deed> {
        let all = 0..self.slots.len();
        all.flat_map(|slot| self.with(slot, |asker| asker.on_time(now_ns)).0).collect()
    }

    /// A connection was made, or could not be.
    pub fn on_connected(&mut self, slot: usize, is_up: bool, now_ns: u64) -> (Vec<Deed>, News) {
        self.with(slot, |asker| asker.on_connected(is_up, now_ns))
    }

    /// Bytes arrived.
    pub fn on_bytes(&mut self, slot: usize, bytes: &[u8], now_ns: u64) -> (Vec<Deed>, News) {
        self.with(slot, |asker| asker.on_bytes(bytes, now_ns))
    }

    /// A connection has ended.
    pub fn on_closed(&mut self, slot: usize, now_ns: u64) -> (Vec<Deed>, News) {
        self.with(slot, |asker| (Vec::new(), asker.on_closed(now_ns)))
    }

    fn with(
        &mut self,
        slot: usize,
        happening: impl FnOnce(&mut Asker) -> (Vec<Action>, Option<Answer>),
    ) -> (Vec<Deed>, News) {
        let (asker, last) = &mut self.slots[slot];
        let (actions, answer) = happening(asker);
        let node = asker.node();
        let news = answer.and_then(|answer| {
            let fill = |text: &str| (self.fill)(node, text);
            let report = read(&answer, &self.questions[slot / self.nodes], &self.lines, &fill);
            // Who was not reached may be another when it is.
            let before = std::mem::replace(last, report.clone());
            report.filter(|report| before.as_ref() != Some(report)).map(|report| (node, report))
        });
        (actions.into_iter().map(|action| (slot, action)).collect(), news)
    }
}

fn put(question: &StatusSpec) -> Question {
    match question.medium() {
        Medium::Http(request) => Question::http(&request.method, &request.path, &request.body),
        Medium::Resp(words) => Question::resp(words),
        Medium::Program(_) => Question::Program,
    }
}

fn pace(question: &StatusSpec) -> Pace {
    let patience = if question.program.is_some() { PROGRAM_PATIENCE_NS } else { PATIENCE_NS };
    Pace { every: question.pause_ms().saturating_mul(1_000_000), patience }
}

/// What an answer says of its node.
fn read(
    answer: &Answer,
    question: &StatusSpec,
    lines: &[RoleLine],
    fill: &dyn Fn(&str) -> String,
) -> Option<Report> {
    let of_text = |text: &[u8]| {
        let value = serde_json::from_slice(text).unwrap_or(Value::Null);
        question.read(&value, &String::from_utf8_lossy(text), lines, fill)
    };
    match answer {
        Answer::Http(response) if (200..300).contains(&response.status) => of_text(&response.body),
        Answer::Text(text) => of_text(text),
        Answer::Resp(frame) => {
            let value = value(frame)?;
            question.read(&value, value.as_str().unwrap_or_default(), lines, fill)
        }
        Answer::Accepted | Answer::Http(_) | Answer::None(_) => None,
    }
}

/// A frame as a value; errors are none.
fn value(frame: &OwnedFrame) -> Option<Value> {
    Some(match frame {
        OwnedFrame::SimpleString(bytes) | OwnedFrame::BulkString(bytes) => {
            String::from_utf8_lossy(bytes).into_owned().into()
        }
        OwnedFrame::Integer(number) => (*number).into(),
        OwnedFrame::Array(frames) => {
            Value::Array(frames.iter().map(|frame| value(frame).unwrap_or(Value::Null)).collect())
        }
        OwnedFrame::Null => Value::Null,
        OwnedFrame::Error(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn census(questions: &[&str], nodes: usize) -> Census {
        let questions: Vec<StatusSpec> = questions.iter().map(|text| toml::from_str(text).unwrap()).collect();
        let lines = vec![RoleLine::parse("primary", "role:master").unwrap()];
        let fill = |node: usize, text: &str| text.replace("{id}", &(node + 1).to_string());
        let mut census = Census::new(&questions, lines, nodes, 0, Box::new(fill));
        let connects: Vec<Deed> =
            (0..questions.len() * nodes).map(|slot| (slot, Action::Connect(slot % nodes))).collect();
        assert_eq!(census.on_time(0), connects);
        connects.iter().for_each(|(slot, _)| {
            census.on_connected(*slot, true, MS);
        });
        census
    }

    fn news(census: &mut Census, slot: usize, bytes: &str) -> Option<(usize, String)> {
        let (node, report) = census.on_bytes(slot, bytes.as_bytes(), 2 * MS).1?;
        let fields = report.fields.iter().map(|(name, value)| format!("{name}={value}"));
        Some((node, fields.collect::<Vec<_>>().join(" ")))
    }

    #[test]
    fn what_changes_is_told_once() {
        let mut census = census(&["command = ['ROLE']\nport = 6379\nrole = '/0'\ncommit = '/1'"], 2);
        assert_eq!(census.way(1), Way::Port(6379));
        let master = "*2\r\n$6\r\nmaster\r\n:7\r\n";
        assert_eq!(news(&mut census, 1, master), Some((1, "commit=7 role=master".into())));
        assert_eq!(news(&mut census, 1, master), None);
        assert_eq!(
            news(&mut census, 0, "*2\r\n$5\r\nslave\r\n:7\r\n"),
            Some((0, "commit=7 role=slave".into()))
        );
        assert_eq!(news(&mut census, 0, "-LOADING\r\n"), None);
        // it may have started anew
        assert_eq!(
            news(&mut census, 0, "*2\r\n$5\r\nslave\r\n:7\r\n"),
            Some((0, "commit=7 role=slave".into()))
        );
    }

    #[test]
    fn answers_of_every_medium_are_read() {
        let http = "http = '/s'\nport = 80\nleader = { at = '/leader', is = 'n{id}' }\nterm = '/term'";
        let text = "command = ['INFO']\nport = 6379";
        let program = "program = ['/bin/true']";
        let mut census = census(&[http, text, program, program], 1);
        assert_eq!([2, 3].map(|slot| census.way(slot)), [Way::Program(0), Way::Program(1)]);
        let answer = |status: u16, body: &str| {
            format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        };
        let body = r#"{"leader":"n1","term":4}"#;
        assert_eq!(news(&mut census, 0, &answer(500, body)), None);
        assert_eq!(news(&mut census, 0, &answer(200, body)), Some((0, "role=leader term=4".into())));
        assert_eq!(news(&mut census, 0, &answer(200, "<html>")), None);
        let info = "$15\r\nrole:master\r\nab\r\n";
        assert_eq!(news(&mut census, 1, info), Some((0, "role=primary".into())));
        assert_eq!(news(&mut census, 2, "role:master\n"), None, "more may come");
        let (_, told) = census.on_closed(2, 3 * MS);
        assert_eq!(told.unwrap().1.text("role"), Some("primary"));
        assert_eq!(census.deadline_ns(), Some(252 * MS));
    }
}
