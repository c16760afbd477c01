//! Entries as maps with Jepsen's names: what EDN and JSON have in common.

use super::{Options, edn, json, scanner::shown};
use crate::history::Phase;
use crate::raw::{Entry, Error, Place, Process};
use crate::value::Value;
use std::fmt::Write;

/// Fields of a map that have a place of their own in an [`Entry`].
const FIELDS: [&str; 8] = ["index", "time", "process", "type", "f", "key", "value", "error"];
/// The field of a map around a history that holds it.
pub(super) const HISTORY: &str = "history";
/// The fields of entries, as EDN writes them.
pub(super) const FIELDS_EDN: [&str; 8] =
    [":index", ":time", ":process", ":type", ":f", ":key", ":value", ":error"];
/// They, as JSON writes them.
pub(super) const FIELDS_JSON: [&str; 8] =
    ["\"index\"", "\"time\"", "\"process\"", "\"type\"", "\"f\"", "\"key\"", "\"value\"", "\"error\""];

/// The fields of an entry, as far as they were read.
#[derive(Debug, Default)]
pub(super) struct Draft {
    fields: [Option<Value>; 8],
    /// Further fields, by their names.
    pub(super) extra: Vec<(String, Value)>,
    /// A field that stood twice.
    twice: Option<usize>,
}

impl Draft {
    /// It has what only entries have.
    pub(super) const fn is_entry(&self) -> bool {
        let [_, _, process, phase, ..] = &self.fields;
        process.is_some() || phase.is_some()
    }

    /// Adds the field with this position in [`FIELDS`].
    pub(super) fn put(&mut self, field: usize, value: Value) {
        if self.fields[field].replace(value).is_some() {
            self.twice.get_or_insert(field);
        }
    }

    /// Adds a field by its name.
    pub(super) fn put_named(&mut self, name: Value, value: Value) {
        match name.as_name().and_then(|name| FIELDS.iter().position(|field| *field == name)) {
            Some(field) => self.put(field, value),
            None => self.extra.push((into_name(name), value)),
        }
    }
}

/// What stands where an entry should.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly all are maps, and are taken apart at once")]
pub(super) enum Found {
    /// A map.
    Map(Draft),
    /// Something else.
    Value(Value),
}

/// The map as an entry; `before` is the index of the entry before.
pub(super) fn of(found: Found, place: Place, before: Option<u64>, options: Options) -> Result<Entry, Error> {
    let mut value = match found {
        Found::Map(draft) => return drafted(draft, place, before, options),
        Found::Value(value) => value,
    };
    // records print as tagged maps: #jepsen.history.Op{...}
    while let Value::Tagged(tagged) = value {
        value = tagged.1;
    }
    let Value::Map(pairs) = value else {
        return Err(Error::at(
            place,
            format!("found {}, expected a map with type, process and f", value.kind()),
        ));
    };
    let mut draft = Draft::default();
    pairs.into_iter().for_each(|(name, value)| draft.put_named(name, value));
    drafted(draft, place, before, options)
}

fn drafted(draft: Draft, place: Place, before: Option<u64>, options: Options) -> Result<Entry, Error> {
    let Draft { fields, extra, twice } = draft;
    if let Some(field) = twice {
        return Err(Error::at(place, format!("the field `{}` stands twice", FIELDS[field])));
    }
    let [index, time, process, phase, f, key, value, error] = fields;
    let fault = |cause| Error::at(place, cause);
    let value = value.unwrap_or_default();
    let index = match whole("index", index).map_err(fault)? {
        Some(index) => index,
        None => before
            .map_or(Some(0), |before| before.checked_add(1))
            .ok_or_else(|| fault("too many entries".into()))?,
    };
    let mut entry = Entry {
        index,
        at_ns: at_ns(time).map_err(fault)?,
        process: process_of(process).map_err(fault)?,
        phase: phase_of(phase).map_err(fault)?,
        f: match f {
            Some(Value::Text(name) | Value::Keyword(name) | Value::Symbol(name)) => name,
            // Elle's histories do without
            None | Some(Value::Nil) if is_transaction(&value) => "txn".to_owned(),
            other => return Err(fault(wrong("f", other.as_ref(), "the name of an operation"))),
        },
        key: key.filter(|key| *key != Value::Nil),
        value,
        error: error.filter(|error| *error != Value::Nil),
        extra,
        place: Some(place),
    };
    split(&mut entry, options);
    Ok(entry)
}

/// Its operations have values, or would have.
fn may_be_client(process: &Process) -> bool {
    process.client().is_some() || !process.is_nemesis()
}

/// Splits what `independent` put together: a tagged tuple always, a plain pair where told.
pub(super) fn split(entry: &mut Entry, options: Options) {
    if entry.key.is_some() {
        return;
    }
    let is_client = may_be_client(&entry.process);
    let pair = match &mut entry.value {
        Value::Tagged(tagged)
            if tagged.0.ends_with("independent/tuple") || tagged.0.ends_with("MapEntry") =>
        {
            &mut tagged.1
        }
        value if options.independent && is_client => value,
        _ => return,
    };
    if let Value::List(pair) = pair
        && let [key, value] = pair.as_mut_slice()
        && *key != Value::Nil
    {
        let (key, value) = (std::mem::take(key), std::mem::take(value));
        (entry.key, entry.value) = (Some(key), value);
    }
}

/// A list of micro-operations such as `[:append 1 2]`, or nothing: what is left of one that failed.
fn is_transaction(value: &Value) -> bool {
    let is_micro = |value: &Value| matches!(value, Value::List(parts) if parts.len() > 1 && parts[0].as_name().is_some());
    match value {
        Value::Nil => true,
        Value::List(all) => all.iter().all(is_micro),
        _ => false,
    }
}

/// Nanoseconds. What is given in another way (a fraction, a date) has an order and no unit that is known: it counts as no
/// time, which whoever needs one has to say.
fn at_ns(value: Option<Value>) -> Result<Option<u64>, String> {
    match value {
        Some(Value::Number(_) | Value::Text(_)) => Ok(None),
        Some(Value::Int(number)) if number < 0 => Ok(None),
        Some(Value::Tagged(tagged)) if tagged.1.as_name().is_some() => Ok(None),
        other => whole("time", other),
    }
}

/// Jepsen writes -1 where it has no index or no time.
fn whole(name: &str, value: Option<Value>) -> Result<Option<u64>, String> {
    match value {
        None | Some(Value::Nil | Value::Int(-1)) => Ok(None),
        Some(Value::Int(number)) if number >= 0 => Ok(Some(number.unsigned_abs())),
        other => Err(wrong(name, other.as_ref(), "a whole number of at least 0")),
    }
}

fn process_of(value: Option<Value>) -> Result<Process, String> {
    match value {
        Some(Value::Int(number)) if number >= 0 => Ok(Process::Client(number.unsigned_abs())),
        Some(Value::Text(name) | Value::Keyword(name) | Value::Symbol(name)) => Ok(named(name)),
        // #uuid "..."
        Some(Value::Tagged(tagged)) if tagged.1.as_name().is_some() => process_of(Some(tagged.1)),
        other => Err(wrong("process", other.as_ref(), "a number of at least 0, or a name such as nemesis")),
    }
}

/// The process with this name: a number in quotes is the number.
pub(super) fn named(name: String) -> Process {
    let is_plain = name == "0" || !name.starts_with(['0', '+']);
    match name.parse() {
        Ok(number) if is_plain => Process::Client(number),
        _ => Process::Named(name),
    }
}

/// The phase with this name, however it is written: `ok`, `OK`, or `:ok` in a text.
pub(super) fn phase_named(name: &str) -> Option<Phase> {
    let name = name.strip_prefix(':').unwrap_or(name);
    let all = [Phase::Invoke, Phase::Ok, Phase::Fail, Phase::Info];
    all.into_iter().find(|phase| phase.name().eq_ignore_ascii_case(name))
}

fn phase_of(value: Option<Value>) -> Result<Phase, String> {
    let phase = value.as_ref().and_then(Value::as_name).and_then(phase_named);
    phase.ok_or_else(|| wrong("type", value.as_ref(), "invoke, ok, fail or info"))
}

fn wrong(name: &str, found: Option<&Value>, expected: &str) -> String {
    match found {
        None => format!("the field `{name}` is missing, expected {expected}"),
        Some(found) => format!("the field `{name}` holds {}, expected {expected}", shown(&found.to_string())),
    }
}

fn into_name(key: Value) -> String {
    match key {
        Value::Text(name) | Value::Keyword(name) | Value::Symbol(name) => name,
        other => other.to_string(),
    }
}

/// Key and value as they are written: together where told.
pub(super) fn joined(entry: &Entry, options: Options) -> Result<(Option<&Value>, Option<Value>), String> {
    if !options.independent || !may_be_client(&entry.process) {
        return Ok((entry.key.as_ref(), None));
    }
    match (&entry.key, &entry.value) {
        (Some(key), value) => Ok((None, Some(Value::List(vec![key.clone(), value.clone()])))),
        (None, Value::List(pair)) if pair.len() == 2 => {
            Err(format!("the value {} without a key cannot be told from a key with its value", entry.value))
        }
        (None, _) => Ok((None, None)),
    }
}

fn check_extra(entry: &Entry) -> Result<(), String> {
    match entry.extra.iter().find(|(name, _)| FIELDS.contains(&name.as_str())) {
        Some((name, _)) => {
            Err(format!("the further field `{name}` has the name of one that every entry has"))
        }
        None => Ok(()),
    }
}

/// Appends the entry as a line of EDN.
pub(super) fn to_edn(line: &mut String, entry: &Entry, options: Options) -> Result<(), String> {
    let (key, pair) = joined(entry, options)?;
    let value = pair.as_ref().unwrap_or(&entry.value);
    check_extra(entry)?;
    [key, entry.error.as_ref(), Some(value)].into_iter().flatten().try_for_each(edn::check)?;
    entry.extra.iter().try_for_each(|(_, value)| edn::check(value))?;
    let name = |line: &mut String, name: &str| {
        let is_plain = edn::is_keyword(name);
        // a text takes everything
        let _ = if is_plain { write!(line, ":{name}") } else { write!(line, "{}", Value::text(name)) };
    };
    let _ = write!(line, "{{:index {}, ", entry.index);
    if let Some(at_ns) = entry.at_ns {
        let _ = write!(line, ":time {at_ns}, ");
    }
    let _ = write!(line, ":type :{}, :process ", entry.phase.name());
    match entry.process.original() {
        Process::Client(number) | Process::Again { number, .. } => {
            let _ = write!(line, "{number}");
        }
        Process::Called { name: process, .. } | Process::Named(process) => name(line, process),
    }
    line.push_str(", :f ");
    name(line, &entry.f);
    if let Some(key) = key {
        let _ = write!(line, ", :key {key}");
    }
    let _ = write!(line, ", :value {value}");
    if let Some(error) = &entry.error {
        let _ = write!(line, ", :error {error}");
    }
    for (field, value) in &entry.extra {
        line.push_str(", ");
        name(line, field);
        let _ = write!(line, " {value}");
    }
    line.push('}');
    Ok(())
}

/// Appends the entry as an object of JSON.
pub(super) fn to_json(line: &mut String, entry: &Entry, options: Options) -> Result<(), String> {
    let (key, pair) = joined(entry, options)?;
    check_extra(entry)?;
    // a text takes everything
    let _ = write!(line, "{{\"index\":{},", entry.index);
    if let Some(at_ns) = entry.at_ns {
        let _ = write!(line, "\"time\":{at_ns},");
    }
    let _ = write!(line, "\"type\":\"{}\",\"process\":", entry.phase.name());
    match entry.process.original() {
        Process::Client(number) | Process::Again { number, .. } => {
            let _ = write!(line, "{number}");
        }
        Process::Called { name, .. } | Process::Named(name) => json::quoted(line, name),
    }
    line.push_str(",\"f\":");
    json::quoted(line, &entry.f);
    if let Some(key) = key {
        line.push_str(",\"key\":");
        json::write(line, key)?;
    }
    line.push_str(",\"value\":");
    json::write(line, pair.as_ref().unwrap_or(&entry.value))?;
    if let Some(error) = &entry.error {
        line.push_str(",\"error\":");
        json::write(line, error)?;
    }
    for (name, value) in &entry.extra {
        line.push(',');
        json::quoted(line, name);
        line.push(':');
        json::write(line, value)?;
    }
    line.push('}');
    Ok(())
}
