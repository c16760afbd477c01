//! Porcupine's key-value text. It is read as EDN; this writes it the way Porcupine's own reader wants it.

use crate::history::Phase;
use crate::raw::Entry;
use crate::value::Value;
use std::fmt::Write;

/// Appends the entry as a line.
pub(super) fn write(line: &mut String, entry: &Entry) -> Result<(), String> {
    let Some(process) = entry.process.client() else {
        return Err(format!("kv has clients only, no process such as {}", entry.process));
    };
    if !matches!(entry.phase, Phase::Invoke | Phase::Ok) {
        return Err(format!(
            "kv has operations that end in ok only, this one ends in {}",
            entry.phase.name()
        ));
    }
    if !matches!(entry.f.as_str(), "get" | "put" | "append") {
        return Err(format!("kv has get, put and append only, no {}", entry.f));
    }
    let Some(Value::Text(key)) = &entry.key else {
        return Err("kv has a text as key of each operation".to_owned());
    };
    if entry.error.is_some() || !entry.extra.is_empty() {
        return Err("kv has no errors and no further fields".to_owned());
    }
    // a text takes everything
    let _ = write!(
        line,
        "{{:process {process}, :type :{}, :f :{}, :key {}, :value ",
        entry.phase.name(),
        entry.f,
        plain(key)?
    );
    match &entry.value {
        Value::Nil if entry.f == "get" && entry.phase == Phase::Invoke => line.push_str("nil"),
        Value::Text(text) if entry.f != "get" || entry.phase == Phase::Ok => line.push_str(&plain(text)?),
        other => return Err(format!("kv has texts as values, and nil in the question of get, not {other}")),
    }
    line.push('}');
    Ok(())
}

/// Texts without anything that would need an escape: Porcupine's reader knows none.
fn plain(text: &str) -> Result<String, String> {
    match text.chars().find(|c| matches!(c, '"' | '\\') || c.is_control()) {
        None => Ok(format!("\"{text}\"")),
        Some(c) => Err(format!("kv has no escapes, and a text holds {c:?}")),
    }
}
