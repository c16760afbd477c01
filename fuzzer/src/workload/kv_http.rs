//! The protocol `kv-http`: registers behind HTTP and JSON.
//!
//! | operation | request | done |
//! |---|---|---|
//! | read | `GET /kv/KEY` | 200 `{"value"}`, 404 absent |
//! | write | `PUT /kv/KEY` `{"value"}` | 200 |
//! | swap | `POST /kv/KEY/cas` `{"expect", "value"}` | 200 swapped, 409 `{"actual"}` refused |
//! | delete | `DELETE /kv/KEY` | 200, 404 |
//!
//! Changes carry `client` and `seq`: the target must answer a repeated pair as it did the first time and not do it
//! twice. 421 `{"leader": ID}` sends the client elsewhere and promises that nothing was done; other 4xx and 507
//! promise it too. Everything else leaves a change undecided.

use super::http::{self, Response, Responses};
use super::protocol::{Answer, Nodes};
use oracle::Call;
use serde_json::{Value, json};

/// The client's side of one connection.
#[derive(Clone, Debug, Default)]
pub struct KvHttp {
    /// What has come in.
    pub responses: Responses,
}

/// The bytes that ask for `call` as number `seq` of the session of `client`.
#[must_use]
pub fn request(call: &Call, client: &str, seq: u64) -> Vec<u8> {
    let path = format!("/kv/{}", call.key());
    match call {
        Call::Read { .. } => http::request("GET", &path, ""),
        Call::Write { value, .. } => {
            let body = json!({ "value": value, "client": client, "seq": seq });
            http::request("PUT", &path, &body.to_string())
        }
        Call::Cas { expect, value, .. } => {
            let body = json!({ "expect": expect, "value": value, "client": client, "seq": seq });
            http::request("POST", &format!("{path}/cas"), &body.to_string())
        }
        Call::Delete { .. } => {
            let body = json!({ "client": client, "seq": seq });
            http::request("DELETE", &path, &body.to_string())
        }
        _ => unreachable!("kv-http has registers only"),
    }
}

/// What `response` says of `call`.
#[must_use]
pub fn answer(call: &Call, response: &Response, nodes: &Nodes) -> Answer {
    let body: Value = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
    let said = || match body["error"].as_str() {
        Some(error) => format!("{}: {error}", response.status_line()),
        None => response.status_line(),
    };
    match (response.status, call) {
        (200, Call::Read { key, .. }) => match &body["value"] {
            Value::String(value) => {
                Answer::Done(Call::Read { key: key.clone(), value: Some(Some(value.clone())) })
            }
            _ => Answer::Unclear("200 without a value".into()),
        },
        (404, Call::Read { key, .. }) => Answer::Done(Call::Read { key: key.clone(), value: Some(None) }),
        (200, Call::Cas { .. }) => Answer::Done(swapped(call, true)),
        (409, Call::Cas { .. }) if body.get("actual").is_some() => Answer::Done(swapped(call, false)),
        (200, _) | (404, Call::Delete { .. }) => Answer::Done(call.clone()),
        (421, _) => Answer::Elsewhere(body["leader"].as_u64().and_then(|id| nodes.numbered(id))),
        // A session that has gone on: this number may have been done before it did.
        (409, _) => Answer::Unclear(said()),
        (400..500 | 507, _) => Answer::Refused(said()),
        _ => Answer::Unclear(said()),
    }
}

fn swapped(call: &Call, is_swapped: bool) -> Call {
    let mut answered = call.clone();
    if let Call::Cas { result, .. } = &mut answered {
        *result = Some(is_swapped);
    }
    answered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls() -> [Call; 4] {
        let key = || "k1".to_owned();
        [
            Call::Read { key: key(), value: None },
            Call::Write { key: key(), value: "v1.2".into() },
            Call::Cas { key: key(), expect: None, value: "v1.3".into(), result: None },
            Call::Delete { key: key() },
        ]
    }

    #[test]
    fn requests_carry_the_session() {
        let shown = calls().map(|call| {
            let text = String::from_utf8(request(&call, "c1", 7)).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            format!("{} {body}", head.lines().next().unwrap())
        });
        assert_eq!(
            shown,
            [
                "GET /kv/k1 HTTP/1.1 ",
                r#"PUT /kv/k1 HTTP/1.1 {"client":"c1","seq":7,"value":"v1.2"}"#,
                r#"POST /kv/k1/cas HTTP/1.1 {"client":"c1","expect":null,"seq":7,"value":"v1.3"}"#,
                r#"DELETE /kv/k1 HTTP/1.1 {"client":"c1","seq":7}"#,
            ]
        );
    }

    #[test]
    fn answers_are_read_as_the_protocol_says() {
        let [read, write, cas, delete] = calls();
        let say = |call: &Call, status, body: &str| {
            answer(
                call,
                &Response { status, reason: String::new(), body: body.into(), keep_alive: true },
                &Nodes::new(3),
            )
        };
        let read_as = |value: Option<&str>| {
            Answer::Done(Call::Read { key: "k1".into(), value: Some(value.map(str::to_owned)) })
        };
        assert_eq!(say(&read, 200, r#"{"value":"a"}"#), read_as(Some("a")));
        assert_eq!(say(&read, 404, r#"{"error":"not found"}"#), read_as(None));
        assert_eq!(say(&read, 200, "oops"), Answer::Unclear("200 without a value".into()));
        assert_eq!(say(&write, 200, r#"{"ok":true}"#), Answer::Done(write.clone()));
        assert_eq!(say(&delete, 404, ""), Answer::Done(delete.clone()));
        assert_eq!(say(&cas, 200, ""), Answer::Done(swapped(&cas, true)));
        let mismatch = r#"{"error":"mismatch","actual":null}"#;
        assert_eq!(say(&cas, 409, mismatch), Answer::Done(swapped(&cas, false)));
        let stale = r#"{"error":"stale sequence number"}"#;
        assert_eq!(say(&cas, 409, stale), Answer::Unclear("409: stale sequence number".into()));
        assert_eq!(say(&write, 421, r#"{"leader":2}"#), Answer::Elsewhere(Some(1)));
        for unknown in [r#"{"leader":null}"#, r#"{"leader":4}"#, r#"{"leader":0}"#, "{}", ""] {
            assert_eq!(say(&write, 421, unknown), Answer::Elsewhere(None));
        }
        assert_eq!(
            say(&write, 503, r#"{"error":"unknown outcome"}"#),
            Answer::Unclear("503: unknown outcome".into())
        );
        assert_eq!(say(&write, 507, ""), Answer::Refused("507".into()));
        assert_eq!(say(&write, 404, ""), Answer::Refused("404".into()));
    }
}
