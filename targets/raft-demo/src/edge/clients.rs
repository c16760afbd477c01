//! The client edge: an HTTP listener that turns requests into core requests and replies into responses.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

use super::http::{self, Message};
use super::node::Event;
use crate::entry::{Command, Member, NodeId, Session};
use crate::machine::Outcome;
use crate::raft::{Reply, Request};

/// After a failed accept, so that running out of descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const KEY_BYTES_MAX: usize = 256;
const CLIENT_BYTES_MAX: usize = 64;
const VALUE_BYTES_MAX: usize = 64 << 10;

/// Where clients reach each node, for hints to the leader.
pub type ClientAddresses = Arc<BTreeMap<NodeId, String>>;

/// Accepts clients until the node ends.
pub async fn serve(listener: TcpListener, events: mpsc::Sender<Event>, addresses: ClientAddresses) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(converse(stream, events.clone(), Arc::clone(&addresses)));
            }
            // Out of descriptors, or the connection is gone already.
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Answers one client's requests, in order, until it leaves or breaks the protocol.
async fn converse(mut stream: TcpStream, events: mpsc::Sender<Event>, addresses: ClientAddresses) {
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let message = match http::take(&mut buffer) {
            Ok(Some(message)) => message,
            Ok(None) => match stream.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(_) => continue,
            },
            Err(error) => {
                let status = if error == http::HttpError::TooLong { 413 } else { 400 };
                let body = json!({ "error": error.to_string() }).to_string();
                let _ = stream.write_all(&http::response(status, &body, false)).await;
                return;
            }
        };
        let (status, body) = match understand(&message) {
            Ok(request) => {
                let reading = matches!(request, Request::Get { .. });
                let (sender, receiver) = oneshot::channel();
                if events.send(Event::Request(request, sender)).await.is_err() {
                    return;
                }
                let Ok(reply) = receiver.await else { return };
                describe(reply, reading, &addresses)
            }
            Err((status, why)) => (status, json!({ "error": why })),
        };
        let bytes = http::response(status, &body.to_string(), message.keep_alive);
        if stream.write_all(&bytes).await.is_err() || !message.keep_alive {
            return;
        }
    }
}

#[derive(Deserialize)]
struct WriteBody {
    value: Option<String>,
    expect: Option<String>,
    client: Option<String>,
    seq: Option<u64>,
}

#[derive(Deserialize)]
struct MembersBody {
    add: Option<Member>,
    remove: Option<NodeId>,
}

type Refusal = (u16, &'static str);

fn understand(message: &Message) -> Result<Request, Refusal> {
    let [method, target, _] = &message.start;
    let path = target.split('?').next().unwrap_or_default();
    match (method.as_str(), path) {
        ("GET", "/status") => return Ok(Request::Status),
        ("POST", "/members") => return understand_members(&message.body),
        (_, "/status" | "/members") => return Err((405, "method not allowed")),
        _ => {}
    }
    let key = path.strip_prefix("/kv/").ok_or((404, "no such path; see /kv/KEY, /status, /members"))?;
    let (key, is_cas) = key.strip_suffix("/cas").map_or((key, false), |key| (key, true));
    let key = http::unescape(key).filter(|key| !key.is_empty()).ok_or((400, "malformed key"))?;
    if key.len() > KEY_BYTES_MAX {
        return Err((400, "key too long; at most 256 bytes"));
    }
    if (method.as_str(), is_cas) == ("GET", false) {
        return Ok(Request::Get { key });
    }
    let body = if message.body.is_empty() { b"{}" } else { message.body.as_slice() };
    let body: WriteBody = serde_json::from_slice(body).map_err(|_| (400, "malformed body"))?;
    let session = match (body.client, body.seq) {
        (Some(client), Some(seq)) => Some(Session { client, seq }),
        (None, None) => None,
        _ => return Err((400, "client and seq go together")),
    };
    if session.as_ref().is_some_and(|session| session.client.len() > CLIENT_BYTES_MAX) {
        return Err((400, "client too long; at most 64 bytes"));
    }
    if method == "DELETE" && !is_cas {
        return Ok(Request::Write(Command::Delete { key, session }));
    }
    let value = body.value.ok_or((400, "the body lacks a value"))?;
    if value.len() > VALUE_BYTES_MAX {
        return Err((413, "value too long; at most 64 KiB"));
    }
    match (method.as_str(), is_cas) {
        ("PUT", false) => Ok(Request::Write(Command::Put { key, value, session })),
        ("POST", true) => Ok(Request::Write(Command::Cas { key, expect: body.expect, value, session })),
        _ => Err((405, "method not allowed")),
    }
}

fn understand_members(body: &[u8]) -> Result<Request, Refusal> {
    let body: MembersBody = serde_json::from_slice(body).map_err(|_| (400, "malformed body"))?;
    match (body.add, body.remove) {
        (Some(member), None) if member.id == 0 || member.addr.parse::<std::net::SocketAddr>().is_err() => {
            Err((400, "a member is an id from 1 and an addr IP:PORT"))
        }
        (Some(member), None) => Ok(Request::Add(member)),
        (None, Some(id)) => Ok(Request::Remove(id)),
        _ => Err((400, "either add or remove")),
    }
}

/// Status and body of a reply. 503 alone means that the request may still take effect.
fn describe(reply: Reply, reading: bool, addresses: &BTreeMap<NodeId, String>) -> (u16, Value) {
    match reply {
        Reply::Value(Some(value)) => (200, json!({ "value": value })),
        Reply::Value(None) => (404, json!({ "error": "not found" })),
        Reply::Applied(Outcome::Done) => (200, json!({ "ok": true })),
        Reply::Applied(Outcome::Mismatch { actual }) => {
            (409, json!({ "error": "mismatch", "actual": actual }))
        }
        Reply::Applied(Outcome::Stale) => (409, json!({ "error": "stale sequence number" })),
        Reply::NotLeader(leader) => {
            let client = leader.and_then(|id| addresses.get(&id));
            (421, json!({ "error": "not leader", "leader": leader, "leader_client": client }))
        }
        Reply::Refused(why) => (409, json!({ "error": why })),
        Reply::Full => (507, json!({ "error": "the store is full; delete something" })),
        Reply::Unknown if reading => (503, json!({ "error": "no majority answered in time" })),
        Reply::Unknown => (503, json!({ "error": "unknown outcome" })),
        Reply::Status(status) => (200, status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(method: &str, target: &str, body: &str) -> Result<Request, u16> {
        let start = [method.into(), target.into(), "HTTP/1.1".into()];
        understand(&Message { start, body: body.into(), keep_alive: true }).map_err(|(status, _)| status)
    }

    #[test]
    fn requests_are_understood() {
        assert_eq!(parse("GET", "/status", ""), Ok(Request::Status));
        assert_eq!(parse("GET", "/kv/a%20b", ""), Ok(Request::Get { key: "a b".into() }));
        let session = Some(Session { client: "c1".into(), seq: 7 });
        let put = Command::Put { key: "k".into(), value: "v".into(), session: session.clone() };
        assert_eq!(parse("PUT", "/kv/k", r#"{"value":"v","client":"c1","seq":7}"#), Ok(Request::Write(put)));
        let cas = Command::Cas { key: "k".into(), expect: None, value: "b".into(), session: None };
        assert_eq!(parse("POST", "/kv/k/cas", r#"{"expect":null,"value":"b"}"#), Ok(Request::Write(cas)));
        let delete = Command::Delete { key: "k".into(), session };
        assert_eq!(parse("DELETE", "/kv/k", r#"{"client":"c1","seq":7}"#), Ok(Request::Write(delete)));
        let member = Member { id: 4, addr: "127.0.0.1:7000".into() };
        let add = r#"{"add":{"id":4,"addr":"127.0.0.1:7000"}}"#;
        assert_eq!(parse("POST", "/members", add), Ok(Request::Add(member)));
        assert_eq!(parse("POST", "/members", r#"{"remove":4}"#), Ok(Request::Remove(4)));
    }

    #[test]
    fn nonsense_is_refused() {
        for (method, target, body, status) in [
            ("GET", "/", "", 404),
            ("GET", "/kv/", "", 400),
            ("GET", "/kv/%zz", "", 400),
            ("PUT", "/kv/k", "{", 400),
            ("PUT", "/kv/k", "{}", 400),
            ("PUT", "/kv/k", r#"{"value":"v","seq":7}"#, 400),
            ("POST", "/kv/k", r#"{"value":"v"}"#, 405),
            ("POST", "/status", "", 405),
            ("POST", "/members", "{}", 400),
            ("POST", "/members", r#"{"add":{"id":4,"addr":"here"}}"#, 400),
        ] {
            assert_eq!(parse(method, target, body), Err(status), "{method} {target} {body}");
        }
    }
}
