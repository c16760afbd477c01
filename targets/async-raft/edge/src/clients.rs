//! The client edge: HTTP requests become questions to a [`Node`], and its answers become responses.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /kv/KEY` | | 200 `{"value"}`, 404 absent |
//! | `PUT /kv/KEY` | `{"value", "client", "seq"}` | 200 |
//! | `POST /kv/KEY/cas` | `{"expect", "value", "client", "seq"}` | 200 swapped, 409 `{"actual"}` refused |
//! | `DELETE /kv/KEY` | `{"client", "seq"}` | 200 |
//! | `GET /status` | | 200 `{"leader", …}`: what this node believes |
//!
//! 421 `{"leader"}`: this node does not lead, and nothing was done. 503: a change may have been done, or may yet
//! be. Every other status is definite. A repeated (client, seq) gets the first answer again.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use crate::NodeId;
use crate::http::{self, Request};
use crate::machine::{Change, Command, Outcome, Session};

/// How long a client waits for a node before it is told that the outcome is unknown.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// After a failed accept, so that running out of descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What answers clients: a Raft library and the state machine under it.
pub trait Node: Send + Sync + 'static {
    /// What this node believes of the cluster: an object with `leader`, an id or null.
    fn status(&self) -> Value;

    /// Reads a key.
    fn read(&self, key: &str) -> impl Future<Output = Answer> + Send;

    /// Has a command carried out.
    fn write(&self, command: Command) -> impl Future<Output = Answer> + Send;
}

/// A node's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// What a read found.
    Value(Option<String>),
    /// What a command came to.
    Applied(Outcome),
    /// This node certainly did nothing; that one may lead.
    NotLeader(Option<NodeId>),
    /// Whether anything was done is not known, and why.
    Unknown(String),
}

/// Accepts clients until the node ends.
pub async fn serve<N: Node>(listener: TcpListener, node: Arc<N>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(converse(stream, Arc::clone(&node)));
            }
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Answers one client's requests, in order, until it leaves or breaks the protocol.
async fn converse<N: Node>(mut stream: TcpStream, node: Arc<N>) {
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let (status, body, keep_alive) = match http::take(&mut buffer) {
            Ok(Some(request)) => {
                let (status, body) = match understand(&request) {
                    Ok(question) => ask(&*node, question).await,
                    Err((status, why)) => (status, json!({ "error": why })),
                };
                (status, body, request.keep_alive)
            }
            Ok(None) => match stream.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(_) => continue,
            },
            Err(status) => (status, json!({ "error": "malformed request" }), false),
        };
        let bytes = http::response(status, &body.to_string(), keep_alive);
        if stream.write_all(&bytes).await.is_err() || !keep_alive {
            return;
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Question {
    Status,
    Read(String),
    Write(Command),
}

async fn ask<N: Node>(node: &N, question: Question) -> (u16, Value) {
    let answer = match question {
        Question::Status => return (200, node.status()),
        Question::Read(key) => timeout(ANSWER_LIMIT, node.read(&key)).await,
        Question::Write(command) => timeout(ANSWER_LIMIT, node.write(command)).await,
    };
    describe(answer.unwrap_or_else(|_| Answer::Unknown("unknown outcome: no answer in time".to_owned())))
}

/// Status and body of an answer.
fn describe(answer: Answer) -> (u16, Value) {
    match answer {
        Answer::Value(Some(value)) => (200, json!({ "value": value })),
        Answer::Value(None) => (404, json!({ "error": "not found" })),
        Answer::Applied(Outcome::Done) => (200, json!({ "ok": true })),
        Answer::Applied(Outcome::Mismatch { actual }) => {
            (409, json!({ "error": "mismatch", "actual": actual }))
        }
        Answer::Applied(Outcome::Stale) => (409, json!({ "error": "stale sequence number" })),
        Answer::NotLeader(leader) => (421, json!({ "error": "not leader", "leader": leader })),
        Answer::Unknown(why) => (503, json!({ "error": why })),
    }
}

#[derive(Deserialize)]
struct Body {
    value: Option<String>,
    expect: Option<String>,
    client: Option<String>,
    seq: Option<u64>,
}

fn understand(request: &Request) -> Result<Question, (u16, &'static str)> {
    let method = request.method.as_str();
    if request.path == "/status" {
        return if method == "GET" { Ok(Question::Status) } else { Err((405, "method not allowed")) };
    }
    let key = request.path.strip_prefix("/kv/").ok_or((404, "no such path; see /kv/KEY, /status"))?;
    let (key, is_cas) = key.strip_suffix("/cas").map_or((key, false), |key| (key, true));
    let key = http::unescape(key).filter(|key| !key.is_empty()).ok_or((400, "malformed key"))?;
    if (method, is_cas) == ("GET", false) {
        return Ok(Question::Read(key));
    }
    let body = if request.body.is_empty() { b"{}" } else { request.body.as_slice() };
    let body: Body = serde_json::from_slice(body).map_err(|_| (400, "malformed body"))?;
    let session = match (body.client, body.seq) {
        (Some(client), Some(seq)) => Some(Session { client, seq }),
        (None, None) => None,
        _ => return Err((400, "client and seq go together")),
    };
    let value = body.value.ok_or((400, "the body lacks a value"));
    let change = match (method, is_cas) {
        ("PUT", false) => Change::Put { value: value? },
        ("POST", true) => Change::Cas { expect: body.expect, value: value? },
        ("DELETE", false) => Change::Delete,
        _ => return Err((405, "method not allowed")),
    };
    Ok(Question::Write(Command { key, change, session }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(method: &str, path: &str, body: &str) -> Result<Question, u16> {
        let request =
            Request { method: method.into(), path: path.into(), body: body.into(), keep_alive: true };
        understand(&request).map_err(|(status, _)| status)
    }

    #[test]
    fn requests_are_understood() {
        let session = || Some(Session { client: "c1".into(), seq: 7 });
        let write = |change, session| Ok(Question::Write(Command { key: "k".into(), change, session }));
        assert_eq!(parse("GET", "/status", ""), Ok(Question::Status));
        assert_eq!(parse("GET", "/kv/a%20b", ""), Ok(Question::Read("a b".into())));
        assert_eq!(
            parse("PUT", "/kv/k", r#"{"value":"v","client":"c1","seq":7}"#),
            write(Change::Put { value: "v".into() }, session())
        );
        assert_eq!(
            parse("POST", "/kv/k/cas", r#"{"expect":null,"value":"b"}"#),
            write(Change::Cas { expect: None, value: "b".into() }, None)
        );
        assert_eq!(parse("DELETE", "/kv/k", r#"{"client":"c1","seq":7}"#), write(Change::Delete, session()));
    }

    #[test]
    fn nonsense_is_refused() {
        for (method, path, body, status) in [
            ("GET", "/", "", 404),
            ("GET", "/kv/", "", 400),
            ("GET", "/kv/%zz", "", 400),
            ("PUT", "/kv/k", "{", 400),
            ("PUT", "/kv/k", "{}", 400),
            ("PUT", "/kv/k", r#"{"value":"v","seq":7}"#, 400),
            ("POST", "/kv/k", r#"{"value":"v"}"#, 405),
            ("POST", "/status", "", 405),
        ] {
            assert_eq!(parse(method, path, body), Err(status), "{method} {path} {body}");
        }
    }
}
