//! Histories as JSON lines with Jepsen's names: `type process f key value time index error`, and with `client` (`c1`)
//! and `node` (`n1`) where they are known.
//!
//! A swap's `value` is `[expected, new]`, and an `ok` swap that was refused has `"result":false`. Numbers
//! and booleans are taken as text. Operations of [`Call::Other`] are written
//! as [`crate::format`] reads them, with the answer alone in their completions, and not read back here. Lines of the process `nemesis` are passed over: they are no operations.

use crate::history::{Entry, HistoryError, Phase, ops};
use crate::op::{Call, Function};
use serde_json::{Map, Value, json};

/// Why a text is not a history.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("history line {line}: {cause}")]
pub struct ImportError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub cause: ImportCause,
}

/// What can be wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportCause {
    /// The line is no JSON object.
    #[error("not a JSON object: {0}")]
    Syntax(String),
    /// A field is absent.
    #[error("field `{0}` is missing")]
    Missing(&'static str),
    /// A field holds something else.
    #[error("field `{field}` holds {found}, expected {expected}")]
    Wrong {
        /// The field.
        field: &'static str,
        /// What it holds, as JSON.
        found: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// The entry does not fit those before it.
    #[error(transparent)]
    Order(#[from] HistoryError),
}

/// Writes one line an entry, each ended by a line feed.
#[must_use]
pub fn to_json_lines(entries: &[Entry]) -> String {
    entries.iter().map(|entry| format!("{}\n", line_of(entry))).collect()
}

fn line_of(entry: &Entry) -> Value {
    let value = match &entry.call {
        Call::Read { value, .. } => json!(value.clone().flatten()),
        Call::Write { value, .. } => json!(value),
        Call::Cas { expect, value, .. } => json!([expect, value]),
        Call::Delete { .. } => Value::Null,
        Call::Add { element, .. } => json!(element),
        Call::Elements { elements, .. } => json!(elements),
        Call::Acquire { grant, .. } => json!(grant),
        Call::Release { .. } => Value::Null,
        Call::Other { asked, answered, .. } => answered.as_ref().unwrap_or(asked).into(),
    };
    let mut line = json!({
        "index": entry.index, "time": entry.at_ns, "process": entry.process, "type": entry.phase.name(),
        "f": entry.call.function().name(), "key": entry.call.key(), "value": value,
    });
    if entry.call.key().is_empty() {
        line["key"] = Value::Null;
    }
    if let Call::Cas { result: Some(result), .. } = &entry.call {
        line["result"] = json!(result);
    }
    if let Some(error) = &entry.error {
        line["error"] = json!(error);
    }
    if let Some(client) = entry.client {
        line["client"] = json!(format!("c{client}"));
    }
    if let Some(node) = entry.node {
        line["node"] = json!(format!("n{node}"));
    }
    line
}

/// Reads what [`to_json_lines`] writes of registers, collections and locks; blank lines are passed over.
///
/// # Errors
/// The first line that is malformed, or whose entry breaks the rules of a history.
pub fn from_json_lines(text: &str) -> Result<Vec<Entry>, ImportError> {
    let mut entries = Vec::new();
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let line_number = number + 1;
        match entry_of(line, entries.len() as u64) {
            Ok(Some(entry)) => {
                entries.push(entry);
                lines.push(line_number);
            }
            Ok(None) => {}
            Err(cause) => return Err(ImportError { line: line_number, cause }),
        }
    }
    if let Err(error) = ops(&entries) {
        // an index may occur twice when it is the index that is wrong: the later entry is at fault
        let position = entries.iter().rposition(|entry| entry.index == error.index).unwrap_or(0);
        return Err(ImportError { line: lines[position], cause: error.into() });
    }
    Ok(entries)
}

fn entry_of(line: &str, count: u64) -> Result<Option<Entry>, ImportCause> {
    let object: Map<String, Value> =
        serde_json::from_str(line).map_err(|error| ImportCause::Syntax(error.to_string()))?;
    let field = |name: &'static str| object.get(name).ok_or(ImportCause::Missing(name));
    let process = match field("process")? {
        Value::String(name) if name == "nemesis" => return Ok(None),
        other => number("process", other)?,
    };
    let process =
        u32::try_from(process).map_err(|_| wrong("process", &json!(process), "a number below 2^32"))?;
    let phase = match field("type")?.as_str() {
        Some("invoke") => Phase::Invoke,
        Some("ok") => Phase::Ok,
        Some("fail") => Phase::Fail,
        Some("info") => Phase::Info,
        _ => return Err(wrong("type", field("type")?, "invoke, ok, fail or info")),
    };
    let function = field("f")?
        .as_str()
        .and_then(Function::named)
        .ok_or_else(|| wrong("f", &object["f"], "the name of an operation, such as read or add"))?;
    let index = object.get("index").map_or(Ok(count), |value| number("index", value))?;
    let at_ns = number("time", field("time")?)?;
    let call = call_of(function, phase, &object)?;
    let error = match object.get("error") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => Some(other.to_string()),
    };
    let (client, node) = (numbered(&object, "client", 'c'), numbered(&object, "node", 'n'));
    Ok(Some(Entry { index, at_ns, process, phase, call, error, client, node }))
}

fn call_of(function: Function, phase: Phase, object: &Map<String, Value>) -> Result<Call, ImportCause> {
    let key = match scalar("key", object.get("key").ok_or(ImportCause::Missing("key"))?)? {
        Some(key) => key,
        None => return Err(wrong("key", &Value::Null, "a text")),
    };
    let value = object.get("value").unwrap_or(&Value::Null);
    Ok(match function {
        Function::Read if phase == Phase::Ok => Call::Read { key, value: Some(scalar("value", value)?) },
        Function::Read => Call::Read { key, value: None },
        Function::Write => match scalar("value", value)? {
            Some(value) => Call::Write { key, value },
            None => return Err(wrong("value", value, "a text to write")),
        },
        Function::Cas => {
            let Some([expect, new]) = value.as_array().map(Vec::as_slice) else {
                return Err(wrong("value", value, "a pair [expected, new]"));
            };
            let Some(text) = scalar("value", new)? else {
                return Err(wrong("value", value, "a pair [expected, new] with a text to write"));
            };
            let result = match object.get("result") {
                None | Some(Value::Null) => None,
                Some(Value::Bool(result)) => Some(*result),
                Some(other) => return Err(wrong("result", other, "true or false")),
            };
            Call::Cas { key, expect: scalar("value", expect)?, value: text, result }
        }
        Function::Delete => Call::Delete { key },
        Function::Add => match scalar("value", value)? {
            Some(element) => Call::Add { key, element },
            None => return Err(wrong("value", value, "an element to add")),
        },
        Function::Elements if phase == Phase::Ok => Call::Elements { key, elements: Some(elements(value)?) },
        Function::Elements => Call::Elements { key, elements: None },
        Function::Acquire if phase == Phase::Ok => {
            let grant = serde_json::from_value(value.clone());
            let grant = grant.map_err(|_| wrong("value", value, "lease_ms and token, or nothing of them"))?;
            Call::Acquire { key, grant: Some(grant) }
        }
        Function::Acquire => Call::Acquire { key, grant: None },
        Function::Release => Call::Release { key },
        Function::Increment
        | Function::Watch
        | Function::Enqueue
        | Function::Dequeue
        | Function::Drain
        | Function::Transfer
        | Function::Txn => {
            return Err(wrong("f", &object["f"], "an operation on a register, a collection or a lock"));
        }
    })
}

fn elements(value: &Value) -> Result<Vec<String>, ImportCause> {
    let expected = "a list of texts or numbers";
    let list = value.as_array().ok_or_else(|| wrong("value", value, expected))?;
    list.iter().map(|one| scalar("value", one)?.ok_or_else(|| wrong("value", value, expected))).collect()
}

/// The number in a name such as `c1`; nothing where there is no such name.
fn numbered(object: &Map<String, Value>, field: &str, letter: char) -> Option<u32> {
    object.get(field)?.as_str()?.strip_prefix(letter)?.parse().ok()
}

fn number(field: &'static str, value: &Value) -> Result<u64, ImportCause> {
    value.as_u64().ok_or_else(|| wrong(field, value, "a number of at least 0"))
}

fn scalar(field: &'static str, value: &Value) -> Result<Option<String>, ImportCause> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Number(_) | Value::Bool(_) => Ok(Some(value.to_string())),
        Value::Array(_) | Value::Object(_) => Err(wrong(field, value, "a text, a number or null")),
    }
}

fn wrong(field: &'static str, found: &Value, expected: &'static str) -> ImportCause {
    ImportCause::Wrong { field, found: found.to_string(), expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = r#"{"f":"write","index":0,"key":"x","process":0,"time":5,"type":"invoke","value":"a"}
{"f":"cas","index":1,"key":"x","process":1,"time":6,"type":"invoke","value":[null,"b"]}
{"f":"write","index":2,"key":"x","process":0,"time":7,"type":"ok","value":"a"}
{"f":"cas","index":3,"key":"x","process":1,"result":false,"time":7,"type":"ok","value":[null,"b"]}
{"f":"read","index":4,"key":"y","process":1,"time":8,"type":"invoke","value":null}
{"f":"read","index":5,"key":"y","process":1,"time":9,"type":"ok","value":null}
{"error":"timeout","f":"delete","index":7,"key":"y","process":2,"time":9,"type":"invoke","value":null}
{"error":"timeout","f":"delete","index":8,"key":"y","process":2,"time":9,"type":"info","value":null}
"#;

    #[test]
    fn lines_survive_a_round_trip() {
        assert_eq!(to_json_lines(&from_json_lines(LINES).unwrap()), LINES);
    }

    #[test]
    fn numbers_are_text_and_the_nemesis_is_passed_over() {
        let text = "{\"type\":\"info\",\"process\":\"nemesis\",\"f\":\"kill\",\"value\":null,\"time\":0,\"index\":0}\n\n\
            {\"type\":\"invoke\",\"process\":3,\"f\":\"write\",\"key\":7,\"value\":1,\"time\":0,\"index\":1}";
        let entries = from_json_lines(text).unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].call, Call::Write { key: "7".into(), value: "1".into() });
    }

    #[test]
    fn errors_name_line_and_cause() {
        let good = LINES.lines().next().unwrap();
        let check = |line: String, expected: &str| {
            assert_eq!(from_json_lines(&line).unwrap_err().to_string(), expected);
        };
        check(
            format!("{good}\n{{\"type\":"),
            "history line 2: not a JSON object: EOF while parsing a value at line 1 column 8",
        );
        check(
            good.replace("invoke", "okay"),
            "history line 1: field `type` holds \"okay\", expected invoke, ok, fail or info",
        );
        check(good.replace("\"time\":5,", ""), "history line 1: field `time` is missing");
        check(
            good.replace("\"a\"", "[1]"),
            "history line 1: field `value` holds [1], expected a text, a number or null",
        );
        check(
            good.replace("write", "cas"),
            "history line 1: field `value` holds \"a\", expected a pair [expected, new]",
        );
        check(
            good.replace(":0,\"time", ":-1,\"time"),
            "history line 1: field `process` holds -1, expected a number of at least 0",
        );
        check(
            format!("\n{good}\n{}", good.replace("\"index\":0", "\"index\":4")),
            "history line 3: entry 4: process 0 has another operation open, invoked by entry 0; \
             the recorder must write well-formed histories",
        );
    }
}
