//! How a client's operations become bytes, and bytes answers. One value a connection: it holds what has come in and
//! is no whole reply yet.

use super::exec::{self, Exec};
use super::http::HttpError;
use super::kv_http::KvHttp;
use super::resp::Resp;
use super::rest::Rest;
use crate::target::client::ClientSpec;
use oracle::value::Value;
use oracle::{Call, Function};
use std::collections::BTreeMap;

/// What a reply says of the operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It took effect; the call holds the answer.
    Done(Call),
    /// Nothing was done here; the node with this position leads, if it is known.
    Elsewhere(Option<usize>),
    /// Nothing was done, and the same request would fare no better.
    Refused(String),
    /// It may have been done.
    Unclear(String),
}

/// What an answer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// No more than that it was done, or an absent key.
    Nothing,
    /// A value as a text.
    Text(String),
    /// All elements.
    Texts(Vec<String>),
    /// Whether it swapped.
    Word(bool),
    /// Anything.
    Value(Value),
}

impl Answer {
    /// The answer to `call` that holds `found`.
    #[must_use]
    pub fn of(call: &Call, found: Found) -> Self {
        let mut call = call.clone();
        match (&mut call, found) {
            (Call::Read { value, .. }, Found::Text(text)) => *value = Some(Some(text)),
            (Call::Read { value, .. }, _) => *value = Some(None),
            (Call::Elements { elements, .. }, Found::Texts(texts)) => *elements = Some(texts),
            (Call::Elements { elements, .. }, _) => *elements = Some(Vec::new()),
            (Call::Cas { result, .. }, Found::Word(is_swapped)) => *result = Some(is_swapped),
            (Call::Other { answered, .. }, Found::Value(value)) => *answered = Some(value),
            // A counter that nobody has added to is not there.
            (Call::Other { function: Function::Read, answered, .. }, Found::Nothing) => {
                *answered = Some(Value::Int(0));
            }
            (Call::Other { function: Function::Read, answered, .. }, Found::Text(text)) => {
                match text.trim().parse() {
                    Ok(sum) => *answered = Some(Value::Int(sum)),
                    Err(_) => return Self::Unclear(format!("`{text}` was read where a sum was expected")),
                }
            }
            (Call::Other { asked, answered, .. }, _) => *answered = Some(asked.clone()),
            _ => {}
        }
        Self::Done(call)
    }
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug)]
pub enum Asked<'a> {
    /// The answer to the greeting.
    Greeting,
    /// The answer to an operation with this number.
    Call(&'a Call, u64),
}

/// A whole reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The greeting was answered: this is the node to work with.
    Welcome,
    /// The operation was answered, or the greeting was and this is not the node.
    Answer(Answer),
}

/// A reply and whether the connection can be used after it.
pub type Taken = (Reply, bool);

/// The nodes as clients know them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nodes {
    /// How many there are.
    pub count: usize,
    /// Positions by address.
    pub by_ip: BTreeMap<String, usize>,
}

impl Nodes {
    /// Nodes at the addresses that executions give them.
    #[must_use]
    pub fn new(count: usize) -> Self {
        let by_ip =
            (0..count).map(|node| (interceptor::sandbox::node_address(node).to_string(), node)).collect();
        Self { count, by_ip }
    }

    /// The position of the node with this number, from 1.
    #[must_use]
    pub fn numbered(&self, id: u64) -> Option<usize> {
        let position = usize::try_from(id).ok()?.checked_sub(1)?;
        (position < self.count).then_some(position)
    }
}

/// One of the protocols.
#[derive(Clone, Debug)]
pub enum Protocol {
    /// Our own HTTP and JSON.
    KvHttp(KvHttp),
    /// Templated HTTP and JSON.
    Rest(Rest),
    /// RESP.
    Resp(Resp),
    /// A program.
    Exec(Exec),
}

impl Protocol {
    /// What the manifest asks for.
    #[must_use]
    pub fn new(spec: &ClientSpec) -> Self {
        if let Some(http) = &spec.http {
            return Self::Rest(Rest::new(http));
        }
        if let Some(resp) = &spec.resp {
            return Self::Resp(Resp::new(resp));
        }
        if spec.exec.is_some() { Self::Exec(Exec::default()) } else { Self::KvHttp(KvHttp::default()) }
    }

    /// A change that may have been done can be asked for again: the target does it once.
    #[must_use]
    pub const fn repeats_changes(&self) -> bool {
        matches!(self, Self::KvHttp(_))
    }

    /// The other side is a program on the client's own host, that nodes do not close on.
    #[must_use]
    pub const fn is_program(&self) -> bool {
        matches!(self, Self::Exec(_))
    }

    /// The first bytes on a connection, if it begins with a question.
    #[must_use]
    pub fn greeting(&self) -> Option<Vec<u8>> {
        if let Self::Resp(resp) = self { resp.greeting() } else { None }
    }

    /// The bytes that ask the node at position `node` for `call` as number `seq` of the session of `client`.
    #[must_use]
    pub fn request(&self, call: &Call, client: &str, seq: u64, node: usize) -> Vec<u8> {
        match self {
            Self::KvHttp(_) => super::kv_http::request(call, client, seq),
            Self::Rest(rest) => rest.request(call, client, seq),
            Self::Resp(resp) => resp.request(call, client, seq),
            Self::Exec(_) => exec::request(call, client, seq, node),
        }
    }

    /// Takes the assertions of a program that did not hold: kind and message.
    pub fn take_failed(&mut self) -> Vec<(String, String)> {
        if let Self::Exec(exec) = self { std::mem::take(&mut exec.failed) } else { Vec::new() }
    }

    /// The position of the node that gave the last answer, where a program said so.
    #[must_use]
    pub fn answered_by(&self, nodes: &Nodes) -> Option<usize> {
        if let Self::Exec(exec) = self { nodes.by_ip.get(exec.answered_by.as_ref()?).copied() } else { None }
    }

    /// A new connection: forgets what has come in.
    pub fn clear(&mut self) {
        match self {
            Self::KvHttp(it) => it.responses = super::http::Responses::default(),
            Self::Rest(it) => it.responses = super::http::Responses::default(),
            Self::Resp(it) => it.buffer.clear(),
            Self::Exec(it) => it.buffer.clear(),
        }
    }

    /// Adds what was received.
    pub fn feed(&mut self, bytes: &[u8]) {
        match self {
            Self::KvHttp(it) => it.responses.feed(bytes),
            Self::Rest(it) => it.responses.feed(bytes),
            Self::Resp(it) => it.buffer.extend_from_slice(bytes),
            Self::Exec(it) => it.buffer.extend_from_slice(bytes),
        }
    }

    /// Takes the next reply; `None` while it is not whole. `has_ended`: no more will come.
    ///
    /// # Errors
    /// When the bytes cannot become one; the connection is of no more use then.
    pub fn take(
        &mut self,
        asked: Asked<'_>,
        nodes: &Nodes,
        has_ended: bool,
    ) -> Result<Option<Taken>, String> {
        let responses = match self {
            Self::KvHttp(it) => &mut it.responses,
            Self::Rest(it) => &mut it.responses,
            Self::Resp(resp) => return resp.take(asked, nodes),
            Self::Exec(exec) => {
                let Asked::Call(call, id) = asked else { return Err("an answer to no question".into()) };
                return exec.take(call, id);
            }
        };
        let taken = if has_ended { responses.end() } else { responses.take() };
        let Some(response) = taken.map_err(|error: HttpError| error.to_string())? else { return Ok(None) };
        let keeps = response.keep_alive && responses.is_empty();
        let Asked::Call(call, _) = asked else { return Err("an answer to no question".into()) };
        let answer = match self {
            Self::Rest(rest) => rest.answer(call, &response),
            _ => super::kv_http::answer(call, &response, nodes),
        };
        Ok(Some((Reply::Answer(answer), keeps)))
    }
}
