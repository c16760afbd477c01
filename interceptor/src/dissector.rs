//! The dissector: splits one direction of a byte stream into messages and names the kind of each one.
//!
//! It owns what is remembered of a half-read message, never more than [`KEPT_MAX`] bytes a stream. It guesses
//! nothing: the manifest names the protocol of a port, and a stream that breaks the rules of its protocol
//! falls back to [`Dissector::Shape`] for good, from the first byte it could not read on. No input makes it
//! panic.
//!
//! The messages of a stream lie end to end: each one starts where the one before it ended.

mod binary;
mod etcd_raft;
mod field;
mod frame;
mod http;
mod labels;
mod line;
mod nats;
mod redis_bus;
mod resp;
mod shape;
#[cfg(test)]
mod tests;
mod zookeeper;

pub use labels::{DISTINCT_MAX, LABEL_BYTES_MAX, Labels};

use binary::Binary;
use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;
use std::str::FromStr;

/// Most bytes of a half-read message that a stream keeps to find its label; the rest is only counted.
pub const KEPT_MAX: usize = 64 * 1024;

/// Longest frame or line, in bytes, that is believed; a longer one is garbage.
pub const FRAME_MAX: u64 = 16 << 20;

/// How the messages of a port are told apart, as a manifest names it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Dissector {
    /// `frame32-json:FIELD`: a length of four bytes, big end first, then that many bytes of JSON; the label
    /// is the text of that top-level field.
    Frame32Json {
        /// The field.
        field: String,
    },
    /// `frame32-enum:OFFSET`: framed the same way; the label is the byte at that offset after the length.
    Frame32Enum {
        /// The offset.
        offset: u32,
    },
    /// `line-json:FIELD`: one JSON object a line.
    LineJson {
        /// The field.
        field: String,
    },
    /// `http`: HTTP/1 requests (method and route) and responses (status), RFC 9112.
    Http,
    /// `etcd-raft`: HTTP as etcd's servers speak it to each other; messages of Raft by their types.
    EtcdRaft,
    /// `nats`: the protocol of NATS, of clients and between servers; verbs and subjects.
    Nats,
    /// `redis-bus`: the bus of Redis Cluster; types of messages.
    RedisBus,
    /// `resp`: the protocol of Redis, versions 2 and 3; command names and types of replies.
    Resp,
    /// `zookeeper`: the protocol of ZooKeeper's clients; requests, and errors of answers.
    ZooKeeper,
    /// `zookeeper-election`: notifications, by the state of who sends them.
    ZooKeeperElection,
    /// `zookeeper-quorum`: what followers and leader tell each other; types of packets.
    ZooKeeperQuorum,
    /// `shape`: no framing; each write is a message, told apart by direction, size class and the class of its
    /// first two bytes.
    #[default]
    Shape,
}

/// A dissector that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown dissector `{given}`: {why}; use frame32-json:FIELD, frame32-enum:OFFSET, line-json:FIELD, {} or shape",
    plain()
)]
pub struct DissectorError {
    given: String,
    why: &'static str,
}

/// Dissectors without a parameter, by name.
const PLAIN: [(&str, Dissector); 9] = [
    ("etcd-raft", Dissector::EtcdRaft),
    ("http", Dissector::Http),
    ("nats", Dissector::Nats),
    ("redis-bus", Dissector::RedisBus),
    ("resp", Dissector::Resp),
    ("shape", Dissector::Shape),
    ("zookeeper", Dissector::ZooKeeper),
    ("zookeeper-election", Dissector::ZooKeeperElection),
    ("zookeeper-quorum", Dissector::ZooKeeperQuorum),
];

/// The names of all without a parameter but `shape`, with commas.
fn plain() -> String {
    let names: Vec<&str> = PLAIN.iter().map(|(name, _)| *name).filter(|name| *name != "shape").collect();
    names.join(", ")
}

impl Dissector {
    /// Reads the name of a dissector with its parameter.
    ///
    /// # Errors
    /// When there is no such dissector, or its parameter is missing, superfluous or no number where one is
    /// due.
    pub fn parse(spec: &str) -> Result<Self, DissectorError> {
        let refuse = |why| Err(DissectorError { given: spec.to_owned(), why });
        let (name, parameter) = match spec.split_once(':') {
            Some((name, parameter)) => (name, Some(parameter)),
            None => (spec, None),
        };
        match (name, parameter) {
            ("frame32-json" | "line-json", None | Some("")) => refuse("it lacks the field"),
            ("frame32-enum", None | Some("")) => refuse("it lacks the offset"),
            ("frame32-json", Some(field)) => Ok(Self::Frame32Json { field: field.to_owned() }),
            ("line-json", Some(field)) => Ok(Self::LineJson { field: field.to_owned() }),
            ("frame32-enum", Some(offset)) => match offset.parse() {
                Ok(offset) if usize::try_from(offset).is_ok_and(|at: usize| at < KEPT_MAX) => {
                    Ok(Self::Frame32Enum { offset })
                }
                _ => refuse("the offset is not a number below 65536"),
            },
            _ => match PLAIN.iter().find(|(known, _)| *known == name) {
                None => refuse("there is none of this name"),
                Some(_) if parameter.is_some() => refuse("it takes no parameter"),
                Some((_, dissector)) => Ok(dissector.clone()),
            },
        }
    }

    /// The label of a datagram: that of the one message it holds, or else its shape.
    #[must_use]
    pub fn datagram(&self, direction: Direction, bytes: &[u8], labels: &mut Labels) -> Rc<str> {
        let step = Stream::parser(self, direction).feed(bytes);
        match step {
            Step::Message { used, label } if used == bytes.len() => labels.intern(&label),
            _ => labels.intern(&shape::label(direction, bytes.len() as u64, bytes)),
        }
    }
}

impl FromStr for Dissector {
    type Err = DissectorError;
    fn from_str(spec: &str) -> Result<Self, Self::Err> {
        Self::parse(spec)
    }
}

impl fmt::Display for Dissector {
    /// As a manifest names it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame32Json { field } => write!(f, "frame32-json:{field}"),
            Self::Frame32Enum { offset } => write!(f, "frame32-enum:{offset}"),
            Self::LineJson { field } => write!(f, "line-json:{field}"),
            plain => {
                let named = PLAIN.iter().find(|(_, dissector)| dissector == plain);
                f.write_str(named.map_or("shape", |(name, _)| name))
            }
        }
    }
}

/// Which way bytes flow on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the side that connected to the side that listened.
    Request,
    /// From the side that listened.
    Reply,
}

/// A message found in a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Offset of its first byte in the stream.
    pub start: u64,
    /// Offset after its last byte.
    pub end: u64,
    /// Its kind.
    pub label: Rc<str>,
}

/// What a parser made of the bytes it was fed.
enum Step {
    /// It took them all and its message goes on.
    More,
    /// Its message ended after this many of them.
    Message { used: usize, label: Cow<'static, str> },
    /// They are not of its protocol.
    Garbage,
}

enum Parser {
    Frame(frame::Frame),
    Line(line::Line),
    Http(Box<http::Http>),
    Nats(Box<Binary<nats::Nats>>),
    RedisBus(Binary<redis_bus::RedisBus>),
    Resp(Box<resp::Resp>),
    Shape,
    ZooKeeper(Binary<zookeeper::Client>),
    ZooKeeperElection(Binary<zookeeper::Election>),
    ZooKeeperQuorum(Binary<zookeeper::Quorum>),
}

/// One direction of one connection.
pub struct Stream {
    direction: Direction,
    parser: Parser,
    /// Offset of the open message.
    start: u64,
    /// Offset of the next byte.
    at: u64,
    /// First bytes of the open message, in case it ends up as a shape.
    first: [u8; 2],
    first_len: usize,
}

impl Stream {
    /// A stream at offset 0.
    #[must_use]
    pub fn new(dissector: &Dissector, direction: Direction) -> Self {
        let parser = Self::parser(dissector, direction);
        Self { direction, parser, start: 0, at: 0, first: [0; 2], first_len: 0 }
    }

    fn parser(dissector: &Dissector, direction: Direction) -> Parser {
        match dissector {
            Dissector::Frame32Json { field } => Parser::Frame(frame::Frame::json(field)),
            Dissector::Frame32Enum { offset } => Parser::Frame(frame::Frame::byte(*offset as usize)),
            Dissector::LineJson { field } => Parser::Line(line::Line::new(field)),
            Dissector::EtcdRaft => Parser::Http(Box::new(http::Http::of_etcd())),
            Dissector::Http => Parser::Http(Box::default()),
            Dissector::Nats => Parser::Nats(Box::new(Binary::new(nats::Nats::default()))),
            Dissector::RedisBus => Parser::RedisBus(Binary::new(redis_bus::RedisBus)),
            Dissector::Resp => Parser::Resp(Box::new(resp::Resp::new(direction))),
            Dissector::Shape => Parser::Shape,
            Dissector::ZooKeeper => Parser::ZooKeeper(Binary::new(zookeeper::Client::new(direction))),
            Dissector::ZooKeeperElection => {
                Parser::ZooKeeperElection(Binary::new(zookeeper::Election::new(direction)))
            }
            Dissector::ZooKeeperQuorum => Parser::ZooKeeperQuorum(Binary::new(zookeeper::Quorum::default())),
        }
    }

    /// Takes the bytes of one write and appends the messages that end within them to `out`.
    pub fn push(&mut self, bytes: &[u8], labels: &mut Labels, out: &mut Vec<Message>) {
        let mut rest = bytes;
        while !rest.is_empty() {
            for byte in rest.iter().take(self.first.len() - self.first_len) {
                self.first[self.first_len] = *byte;
                self.first_len += 1;
            }
            let (used, label) = match self.parser.feed(rest) {
                Step::More => {
                    self.at += rest.len() as u64;
                    return;
                }
                // A parser that takes nothing would turn in circles here: it is as good as garbage.
                Step::Message { used, label } if used > 0 => (used.min(rest.len()), Some(label)),
                Step::Message { .. } | Step::Garbage => (rest.len(), None),
            };
            self.at += used as u64;
            rest = &rest[used..];
            let label = label.unwrap_or_else(|| {
                self.parser = Parser::Shape;
                shape::label(self.direction, self.at - self.start, &self.first[..self.first_len]).into()
            });
            out.push(Message { start: self.start, end: self.at, label: labels.intern(&label) });
            self.start = self.at;
            self.first_len = 0;
        }
    }

    /// The stream broke the rules of its protocol (or never had any).
    #[must_use]
    pub fn is_shape(&self) -> bool {
        matches!(self.parser, Parser::Shape)
    }

    /// Bytes of the open message that are kept.
    #[cfg(test)]
    fn kept(&self) -> usize {
        match &self.parser {
            Parser::Frame(frame) => frame.kept(),
            Parser::Line(line) => line.kept(),
            Parser::Http(http) => http.kept(),
            Parser::Nats(nats) => nats.kept(),
            Parser::RedisBus(bus) => bus.kept(),
            Parser::Resp(resp) => resp.kept(),
            Parser::Shape => 0,
            Parser::ZooKeeper(client) => client.kept(),
            Parser::ZooKeeperElection(election) => election.kept(),
            Parser::ZooKeeperQuorum(quorum) => quorum.kept(),
        }
    }
}

impl Parser {
    fn feed(&mut self, bytes: &[u8]) -> Step {
        match self {
            Self::Frame(frame) => frame.feed(bytes),
            Self::Line(line) => line.feed(bytes),
            Self::Http(http) => http.feed(bytes),
            Self::Nats(nats) => nats.feed(bytes),
            Self::RedisBus(bus) => bus.feed(bytes),
            Self::Resp(resp) => resp.feed(bytes),
            Self::ZooKeeper(client) => client.feed(bytes),
            Self::ZooKeeperElection(election) => election.feed(bytes),
            Self::ZooKeeperQuorum(quorum) => quorum.feed(bytes),
            // The caller names it: only the stream knows the direction.
            Self::Shape => Step::Garbage,
        }
    }
}
