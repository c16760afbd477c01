//! Services that speak RESP 2, as Redis does: commands are templates of the manifest.
//!
//! A connection may begin with a question (`ROLE`), as clients of Redis Sentinel must ask it: a node that answers
//! otherwise than expected is not the one to work with, and may name the one that is. Errors that say that nothing
//! was done send the client elsewhere; any other leaves a change undecided.

use super::protocol::{Answer, Asked, Found, Nodes, Reply, Taken};
use super::rest::word;
use crate::target::client::RespSpec;
use crate::target::template;
use oracle::Call;
use redis_protocol::resp2::decode::decode;
use redis_protocol::resp2::types::OwnedFrame as Frame;
use std::sync::Arc;

/// First words of errors by which a server says that it did nothing.
const ELSEWHERE: [&str; 8] =
    ["READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS", "MISCONF", "TRYAGAIN", "OOM"];

/// The most bytes of one reply.
const REPLY_BYTES_MAX: usize = 16 << 20;

/// The client's side of one connection.
#[derive(Clone, Debug)]
pub struct Resp {
    spec: Arc<RespSpec>,
    /// What has come in.
    pub buffer: Vec<u8>,
}

impl Resp {
    /// Clients as the manifest describes them.
    #[must_use]
    pub fn new(spec: &RespSpec) -> Self {
        Self { spec: Arc::new(spec.clone()), buffer: Vec::new() }
    }

    /// The first question of a connection.
    #[must_use]
    pub fn greeting(&self) -> Option<Vec<u8>> {
        self.spec.greeting.as_ref().map(|greeting| command(&greeting.command))
    }

    /// The bytes that ask for `call`.
    ///
    /// # Panics
    /// When the manifest has no template for it: such calls are not drawn.
    #[must_use]
    pub fn request(&self, call: &Call, client: &str, seq: u64) -> Vec<u8> {
        let words = self.spec.ask.of(call).expect("only operations that the manifest describes are drawn");
        let fill = |text: &String| template::fill(text, &|name, _| self::word(call, client, seq, name));
        command(&words.iter().map(fill).collect::<Vec<_>>())
    }

    /// Takes the next reply.
    ///
    /// # Errors
    /// When the bytes are not RESP.
    pub fn take(&mut self, asked: Asked<'_>, nodes: &Nodes) -> Result<Option<Taken>, String> {
        let Some((frame, used)) = decode(&self.buffer).map_err(|error| format!("not RESP: {error}"))? else {
            if self.buffer.len() > REPLY_BYTES_MAX {
                return Err("reply too long".into());
            }
            return Ok(None);
        };
        self.buffer.drain(..used);
        let reply = match asked {
            Asked::Greeting => self.welcome(&frame, nodes),
            Asked::Call(call, _) => Reply::Answer(self.answer(call, frame, nodes)),
        };
        Ok(Some((reply, self.buffer.is_empty())))
    }

    fn welcome(&self, frame: &Frame, nodes: &Nodes) -> Reply {
        let texts = texts(frame);
        let expected = self.spec.greeting.as_ref().map(|greeting| greeting.expect.as_str());
        if texts.first().map(String::as_str) == expected {
            return Reply::Welcome;
        }
        Reply::Answer(Answer::Elsewhere(texts.iter().find_map(|text| nodes.by_ip.get(text).copied())))
    }

    fn answer(&self, call: &Call, frame: Frame, nodes: &Nodes) -> Answer {
        if let Frame::Error(error) = frame {
            return self.failed(error, nodes);
        }
        let found = match (call, frame) {
            (Call::Cas { .. }, Frame::Null | Frame::Integer(0)) => Found::Word(false),
            (Call::Cas { .. }, _) => Found::Word(true),
            (_, Frame::Null) => Found::Nothing,
            (Call::Elements { .. }, frame @ Frame::Array(_)) => Found::Texts(texts(&frame)),
            (_, Frame::Array(_)) => return Answer::Unclear("an array where one text was expected".into()),
            (_, frame) => texts(&frame).pop().map_or(Found::Nothing, Found::Text),
        };
        Answer::of(call, found)
    }

    fn failed(&self, error: String, nodes: &Nodes) -> Answer {
        let mut words = error.split_whitespace();
        let first = words.next().unwrap_or("");
        if first == "MOVED" || first == "ASK" {
            let ip = words.nth(1).and_then(|to| to.rsplit_once(':')).map(|(ip, _)| ip);
            return Answer::Elsewhere(ip.and_then(|ip| nodes.by_ip.get(ip).copied()));
        }
        if ELSEWHERE.contains(&first) || self.spec.elsewhere.iter().any(|word| word == first) {
            return Answer::Elsewhere(None);
        }
        Answer::Unclear(error)
    }
}

/// A command as an array of bulk strings.
pub fn command(words: &[String]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    bytes
}

/// All texts and numbers in a frame, in order.
pub fn texts(frame: &Frame) -> Vec<String> {
    match frame {
        Frame::SimpleString(bytes) | Frame::BulkString(bytes) => {
            vec![String::from_utf8_lossy(bytes).into_owned()]
        }
        Frame::Error(text) => vec![text.clone()],
        Frame::Integer(number) => vec![number.to_string()],
        Frame::Array(frames) => frames.iter().flat_map(texts).collect(),
        Frame::Null => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oracle::value::Value;

    fn resp() -> Resp {
        let spec: RespSpec = toml::from_str(
            r#"
            port = 6379
            greeting = { command = ["ROLE"], expect = "master" }
            elsewhere = ["BUSY"]
            [ask]
            read = ["GET", "{key}"]
            write = ["SET", "{key}", "{value}"]
            create = ["SET", "{key}", "{value}", "NX"]
            cas = ["EVAL", "...", "1", "{key}", "{expect}", "{value}"]
            add = ["SADD", "{key}", "{value}"]
            elements = ["SMEMBERS", "{key}"]
            increment = ["INCRBY", "{key}", "{amount}"]
            "#,
        )
        .unwrap();
        Resp::new(&spec)
    }

    fn say(asked: Asked<'_>, text: &str) -> Reply {
        let (mut resp, nodes) = (resp(), Nodes::new(3));
        let (head, tail) = text.as_bytes().split_at(text.len() / 2);
        resp.buffer.extend_from_slice(head);
        assert_eq!(resp.take(asked, &nodes), Ok(None), "half a reply is none");
        resp.buffer.extend_from_slice(tail);
        resp.take(asked, &nodes).unwrap().unwrap().0
    }

    fn read() -> Call {
        Call::Read { key: "k1".into(), value: None }
    }

    #[test]
    fn commands_are_filled_in() {
        let cas = Call::Cas { key: "k".into(), expect: Some("a".into()), value: "b".into(), result: None };
        let text = String::from_utf8(resp().request(&cas, "c1", 1)).unwrap();
        assert!(text.ends_with("$1\r\nk\r\n$1\r\na\r\n$1\r\nb\r\n"), "{text}");
        assert_eq!(resp().request(&read(), "c1", 1), b"*2\r\n$3\r\nGET\r\n$2\r\nk1\r\n");
    }

    #[test]
    fn only_the_expected_role_is_welcome() {
        assert_eq!(say(Asked::Greeting, "*3\r\n$6\r\nmaster\r\n:5\r\n*0\r\n"), Reply::Welcome);
        let replica = "*5\r\n$5\r\nslave\r\n$8\r\n10.0.0.2\r\n:6379\r\n$9\r\nconnected\r\n:7\r\n";
        assert_eq!(say(Asked::Greeting, replica), Reply::Answer(Answer::Elsewhere(Some(1))));
        assert_eq!(say(Asked::Greeting, "-LOADING wait\r\n"), Reply::Answer(Answer::Elsewhere(None)));
    }

    #[test]
    fn replies_are_read_by_their_type() {
        let call = read();
        let done = |value: Option<&str>| {
            Reply::Answer(Answer::Done(Call::Read {
                key: "k1".into(),
                value: Some(value.map(str::to_owned)),
            }))
        };
        assert_eq!(say(Asked::Call(&call, 1), "$2\r\nv1\r\n"), done(Some("v1")));
        assert_eq!(say(Asked::Call(&call, 1), "$-1\r\n"), done(None));
        let create = Call::Cas { key: "k".into(), expect: None, value: "b".into(), result: None };
        for (text, is_swapped) in [("$-1\r\n", false), (":0\r\n", false), ("+OK\r\n", true), (":1\r\n", true)]
        {
            let answer = Answer::of(&create, Found::Word(is_swapped));
            assert_eq!(say(Asked::Call(&create, 1), text), Reply::Answer(answer));
        }
        let all = Call::Elements { key: "s".into(), elements: None };
        let two = Call::Elements { key: "s".into(), elements: Some(vec!["a".into(), "b".into()]) };
        assert_eq!(
            say(Asked::Call(&all, 1), "*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
            Reply::Answer(Answer::Done(two))
        );
    }

    #[test]
    fn counters_are_numbers() {
        let of = |function, asked, answered| Call::Other { function, key: "k".into(), asked, answered };
        let add = |answered| of(oracle::Function::Increment, Value::Int(2), answered);
        let sum = |answered| of(oracle::Function::Read, Value::Nil, answered);
        assert_eq!(resp().request(&add(None), "c1", 1), b"*3\r\n$6\r\nINCRBY\r\n$1\r\nk\r\n$1\r\n2\r\n");
        let done = |call| Reply::Answer(Answer::Done(call));
        assert_eq!(say(Asked::Call(&add(None), 1), ":7\r\n"), done(add(Some(Value::Int(2)))));
        assert_eq!(say(Asked::Call(&sum(None), 1), "$1\r\n7\r\n"), done(sum(Some(Value::Int(7)))));
        assert_eq!(say(Asked::Call(&sum(None), 1), "$-1\r\n"), done(sum(Some(Value::Int(0)))));
        let told = say(Asked::Call(&sum(None), 1), "$1\r\nx\r\n");
        assert_eq!(told, Reply::Answer(Answer::Unclear("`x` was read where a sum was expected".into())));
    }

    #[test]
    fn errors_say_whether_something_was_done() {
        let call = read();
        let say = |text: &str| say(Asked::Call(&call, 1), text);
        assert_eq!(say("-READONLY You can't write\r\n"), Reply::Answer(Answer::Elsewhere(None)));
        assert_eq!(say("-BUSY script\r\n"), Reply::Answer(Answer::Elsewhere(None)));
        assert_eq!(say("-MOVED 866 10.0.0.3:6379\r\n"), Reply::Answer(Answer::Elsewhere(Some(2))));
        assert_eq!(say("-ERR what\r\n"), Reply::Answer(Answer::Unclear("ERR what".into())));
        let mut garbage = resp();
        garbage.buffer.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        assert!(garbage.take(Asked::Call(&call, 1), &Nodes::new(1)).is_err());
    }
}
