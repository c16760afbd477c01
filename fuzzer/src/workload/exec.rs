//! Clients that are programs. One runs for each client, on a host of its own inside the sandbox, for as long as it
//! likes; when it ends it is started again for the next operation.
//!
//! On its standard input it is told what to do, one JSON object a line, one after the other:
//!
//! ```json
//! {"id": 7, "f": "cas", "key": "k1", "value": "v2", "expect": "v1", "node": "10.0.0.2", "client": "c1"}
//! ```
//!
//! `f` is read, write, cas, delete, add, elements, acquire or release, or of the families that have checks by name
//! increment, read, write, watch, enqueue, dequeue, drain, transfer or txn, whose values are those that [`oracle::check`]
//! reads; `expect` is null for an absent key, `key` for what has none; `node` is the one to ask, if it asks one. On its standard output it answers each with the same `id`:
//!
//! ```json
//! {"id": 7, "type": "ok", "value": true}
//! {"id": 7, "type": "fail", "error": "not the leader"}
//! {"id": 7, "type": "info", "error": "no answer"}
//! ```
//!
//! An answer may say that something is there which must never be, whatever the operation's end:
//!
//! ```json
//! {"id": 7, "type": "ok", "assert": "lock-without-owner", "error": "the key of the lock is not there"}
//! ```
//!
//! A client that goes to another node than the one it was given says which one answered, for people:
//!
//! ```json
//! {"id": 7, "type": "ok", "node": "10.0.0.3"}
//! ```
//!
//! `ok`: done, with the text read (null when absent), whether it swapped, the list of elements, or what was
//! granted (`lease_ms` and `token`, as far as there are any); a change needs no value. `fail`: certainly not
//! done, now or ever. `info`: nobody knows. What it answers after its time is over is passed over. Lines that are not
//! JSON objects are a mistake and end the connection. Standard error is kept with the logs.

use super::protocol::{Answer, Found, Reply, Taken};
use oracle::{Call, Grant, value};
use serde_json::{Value, json};

/// The longest line of a program in bytes.
const LINE_BYTES_MAX: usize = 16 << 20;

/// The client's side of the conversation.
#[derive(Clone, Debug, Default)]
pub struct Exec {
    /// What has come in.
    pub buffer: Vec<u8>,
    /// Assertions that did not hold: kind and message.
    pub failed: Vec<(String, String)>,
    /// The address of the node that gave the last answer, if it was said.
    pub answered_by: Option<String>,
}

/// The line that asks for `call` as number `id`, of the node at position `node`.
#[must_use]
pub fn request(call: &Call, client: &str, id: u64, node: usize) -> Vec<u8> {
    let ip = interceptor::sandbox::node_address(node).to_string();
    let mut line =
        json!({ "id": id, "f": call.function().name(), "key": call.key(), "node": ip, "client": client });
    if call.key().is_empty() {
        line["key"] = Value::Null;
    }
    match call {
        Call::Write { value, .. } => line["value"] = json!(value),
        Call::Add { element, .. } => line["value"] = json!(element),
        Call::Cas { expect, value, .. } => {
            line["value"] = json!(value);
            line["expect"] = json!(expect);
        }
        Call::Other { asked, .. } => line["value"] = asked.into(),
        _ => {}
    }
    format!("{line}\n").into_bytes()
}

impl Exec {
    /// Takes the answer to the operation with this number; answers to others are passed over.
    ///
    /// # Errors
    /// When the program speaks nonsense.
    pub fn take(&mut self, call: &Call, id: u64) -> Result<Option<Taken>, String> {
        while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            let line: Value = serde_json::from_slice(&line).map_err(|error| {
                let text: String = String::from_utf8_lossy(&line).trim_end().chars().take(80).collect();
                format!("the client's program wrote `{text}`, which is no JSON: {error}")
            })?;
            if let Some(kind) = line["assert"].as_str() {
                let said = line["error"].as_str().unwrap_or("it did not say what it saw");
                self.failed.push((kind.to_owned(), said.to_owned()));
            }
            if line["id"].as_u64() == Some(id) {
                self.answered_by = line["node"].as_str().map(str::to_owned);
                return Ok(Some((Reply::Answer(answer(call, &line)?), true)));
            }
        }
        if self.buffer.len() > LINE_BYTES_MAX {
            return Err("the client's program writes a line without end".into());
        }
        Ok(None)
    }
}

fn answer(call: &Call, line: &Value) -> Result<Answer, String> {
    let error = || line["error"].as_str().unwrap_or("it did not say why").to_owned();
    match line["type"].as_str() {
        Some("ok") => {}
        Some("fail") => return Ok(Answer::Refused(error())),
        Some("info") => return Ok(Answer::Unclear(error())),
        _ => return Err(format!("the client's program answered {line}; type must be ok, fail or info")),
    }
    let wrong = |expected| format!("the client's program answered {line}; value must be {expected}");
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let value = &line["value"];
    let found = match call {
        Call::Read { .. } if value.is_null() => Found::Nothing,
        Call::Read { .. } => Found::Text(text(value).ok_or_else(|| wrong("a text or null"))?),
        Call::Cas { .. } => Found::Word(value.as_bool().ok_or_else(|| wrong("true or false"))?),
        Call::Elements { .. } => {
            let list = value.as_array().and_then(|list| list.iter().map(text).collect());
            Found::Texts(list.ok_or_else(|| wrong("a list of texts"))?)
        }
        Call::Acquire { key, .. } => {
            let grant =
                if value.is_null() { Ok(Grant::default()) } else { serde_json::from_value(value.clone()) };
            let grant = grant.map_err(|_| wrong("lease_ms and token, or nothing of them"))?;
            return Ok(Answer::Done(Call::Acquire { key: key.clone(), grant: Some(grant) }));
        }
        Call::Other { .. } if !value.is_null() => Found::Value(value::Value::from(value)),
        _ => Found::Nothing,
    };
    Ok(Answer::of(call, found))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(call: &Call, text: &str) -> Result<Option<Answer>, String> {
        let mut exec = Exec { buffer: text.as_bytes().to_vec(), ..Exec::default() };
        let taken = exec.take(call, 7)?;
        Ok(taken.map(|(reply, _)| match reply {
            Reply::Answer(answer) => answer,
            Reply::Welcome => unreachable!("programs greet nobody"),
        }))
    }

    fn read() -> Call {
        Call::Read { key: "k".into(), value: None }
    }

    #[test]
    fn operations_are_told_in_a_line() {
        let cas = Call::Cas { key: "k".into(), expect: None, value: "b".into(), result: None };
        let line = String::from_utf8(request(&cas, "c1", 7, 1)).unwrap();
        assert_eq!(
            line,
            "{\"client\":\"c1\",\"expect\":null,\"f\":\"cas\",\"id\":7,\"key\":\"k\",\"node\":\"10.0.0.2\",\"value\":\"b\"}\n"
        );
    }

    #[test]
    fn answers_are_those_with_the_number() {
        let done = |value: Option<&str>| {
            Ok(Some(Answer::Done(Call::Read { key: "k".into(), value: Some(value.map(str::to_owned)) })))
        };
        let late = "{\"id\":6,\"type\":\"ok\",\"value\":\"old\"}\n";
        assert_eq!(take(&read(), late), Ok(None));
        assert_eq!(
            take(&read(), &format!("{late}{{\"id\":7,\"type\":\"ok\",\"value\":\"a\"}}\n")),
            done(Some("a"))
        );
        assert_eq!(take(&read(), "{\"id\":7,\"type\":\"ok\"}\n"), done(None));
        assert_eq!(take(&read(), "{\"id\":7,\"type\":\"ok\""), Ok(None));
        let all = Call::Elements { key: "k".into(), elements: None };
        let two = Call::Elements { key: "k".into(), elements: Some(vec!["a".into(), "2".into()]) };
        assert_eq!(
            take(&all, "{\"id\":7,\"type\":\"ok\",\"value\":[\"a\",2]}\n"),
            Ok(Some(Answer::Done(two)))
        );
        assert_eq!(
            take(&read(), "{\"id\":7,\"type\":\"fail\",\"error\":\"no\"}\n"),
            Ok(Some(Answer::Refused("no".into())))
        );
        assert_eq!(
            take(&read(), "{\"id\":7,\"type\":\"info\"}\n"),
            Ok(Some(Answer::Unclear("it did not say why".into())))
        );
    }

    #[test]
    fn other_families_have_values_of_any_shape() {
        let txn = |answered| Call::Other {
            function: oracle::Function::Txn,
            key: String::new(),
            asked: value::Value::from(&json!([["r", 1, null], ["append", 2, 7]])),
            answered,
        };
        let line: Value = serde_json::from_slice(&request(&txn(None), "c1", 7, 0)).unwrap();
        assert_eq!(
            line,
            json!({
                "id": 7, "f": "txn", "key": null, "value": [["r", 1, null], ["append", 2, 7]],
                "node": "10.0.0.1", "client": "c1",
            })
        );
        let answered = |json: Value| txn(Some(value::Value::from(&json)));
        let read = json!([["r", 1, [3]], ["append", 2, 7]]);
        let say = |value: &Value| {
            take(&txn(None), &format!("{}\n", json!({ "id": 7, "type": "ok", "value": value })))
        };
        assert_eq!(say(&read), Ok(Some(Answer::Done(answered(read)))));
        assert_eq!(say(&Value::Null), Ok(Some(Answer::Done(answered(line["value"].clone())))));
    }

    #[test]
    fn nonsense_is_told() {
        assert!(take(&read(), "hello\n").unwrap_err().contains("wrote `hello`"));
        assert!(take(&read(), "{\"id\":7}\n").unwrap_err().contains("type must be"));
        assert!(
            take(&read(), "{\"id\":7,\"type\":\"ok\",\"value\":[]}\n")
                .unwrap_err()
                .contains("a text or null")
        );
    }
}
