//! The logs of Jepsen's etcd test, as Porcupine has them: `INFO  jepsen.util - 3    :invoke    :cas    [1 4]`.
//!
//! A line is process, type, f and value, perhaps an error after it; lines of other loggers are passed over. Where an
//! operation did not end in `ok`, a keyword as the only value is the error: `:info :write :timed-out`. A swap that ended
//! in `fail` with its value was refused, since the register held something else: that is an answer, so it is read as
//! `ok` with the further field `result` false.

use super::scanner::{Scanner, shown};
use super::{edn, entry::phase_named};
use crate::history::Phase;
use crate::raw::{Entry, Error, Place, Process};
use crate::value::Value;
use std::fmt::Write;
use std::io::BufRead;

/// The logger whose lines are operations.
pub(super) const LOGGER: &str = "jepsen.util";

/// The entries of a log.
#[derive(Debug)]
pub(super) struct Entries<R> {
    scanner: Scanner<R>,
    index: u64,
}

impl<R: BufRead> Entries<R> {
    pub(super) fn new(source: R) -> Self {
        Self { scanner: Scanner::new(source), index: 0 }
    }

    fn advance(&mut self) -> Result<Option<Entry>, Error> {
        while let Some((place, line)) = self.scanner.line()? {
            let Some(start) = line.find(LOGGER) else { continue };
            let start = start + LOGGER.len();
            let rest = line[start..].trim_start();
            let Some(rest) = rest.strip_prefix(['-', ':']) else { continue };
            let column = line[..line.len() - rest.len()].chars().count();
            let column = u32::try_from(column).unwrap_or(u32::MAX).saturating_add(1);
            let values = edn::values_of(rest, Place { column, ..place })?;
            // whatever else that logger says begins with a word
            if let Some(Value::Symbol(_)) = values.first() {
                continue;
            }
            let entry = entry_of(values, self.index, place).map_err(|cause| Error::at(place, cause))?;
            self.index += 1;
            return Ok(Some(entry));
        }
        Ok(None)
    }
}

impl<R: BufRead> Iterator for Entries<R> {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

fn entry_of(values: Vec<Value>, index: u64, place: Place) -> Result<Entry, String> {
    let mut values = values.into_iter();
    let process = match values.next() {
        Some(Value::Int(number)) if number >= 0 => Process::Client(number.unsigned_abs()),
        Some(Value::Keyword(name)) => Process::Named(name),
        other => return Err(wrong("a process: a number of at least 0, or a keyword", other)),
    };
    let phase = match values.next() {
        Some(Value::Keyword(name)) if phase_named(&name).is_some() => phase_named(&name),
        other => return Err(wrong("the type: :invoke, :ok, :fail or :info", other)),
    };
    let f = match values.next() {
        Some(Value::Keyword(name)) => name,
        other => return Err(wrong("what is done, such as :read", other)),
    };
    let mut phase = phase.unwrap_or(Phase::Info);
    let has_failed = matches!(phase, Phase::Fail | Phase::Info);
    let mut extra = Vec::new();
    let (value, error) = match (values.next(), values.next()) {
        (None, _) => return Err(wrong("a value", None)),
        (Some(error @ Value::Keyword(_)), None) if has_failed => (Value::Nil, error),
        (Some(value @ Value::List(_)), None) if phase == Phase::Fail && f == "cas" => {
            phase = Phase::Ok;
            extra.push(("result".to_owned(), Value::Bool(false)));
            (value, Value::Nil)
        }
        (Some(value), error) => (value, error.unwrap_or_default()),
    };
    if let Some(other) = values.next() {
        return Err(format!(
            "found {} after the error, expected the end of the line",
            shown(&other.to_string())
        ));
    }
    let error = Some(error).filter(|error| *error != Value::Nil);
    Ok(Entry { index, at_ns: None, process, phase, f, key: None, value, error, extra, place: Some(place) })
}

fn wrong(expected: &str, found: Option<Value>) -> String {
    let found = found.map_or_else(|| "the end of the line".to_owned(), |value| shown(&value.to_string()));
    format!("found {found}, expected {expected}")
}

/// Appends the entry as a line.
pub(super) fn write(line: &mut String, entry: &Entry) -> Result<(), String> {
    if let Some(key) = &entry.key {
        return Err(format!("etcd's logs have one object only, no key such as {key}"));
    }
    let is_refused = match entry.extra.as_slice() {
        [] => false,
        [(name, Value::Bool(truth))] if name == "result" && entry.f == "cas" && entry.phase == Phase::Ok => {
            !truth
        }
        [(name, _), ..] => return Err(format!("etcd's logs have no further field `{name}`")),
    };
    if is_refused && (entry.error.is_some() || !matches!(entry.value, Value::List(_))) {
        return Err(
            "etcd's logs have a refused swap with its pair of values, and without an error".to_owned()
        );
    }
    let names = [Some(&entry.f), if let Process::Named(name) = &entry.process { Some(name) } else { None }];
    if let Some(name) = names.into_iter().flatten().find(|name| !edn::is_keyword(name)) {
        return Err(format!("EDN cannot write a keyword with the name {name:?}"));
    }
    edn::check(&entry.value)?;
    entry.error.iter().try_for_each(edn::check)?;
    // a text takes everything
    let _ = match &entry.process {
        Process::Client(number) => write!(line, "INFO  {LOGGER} - {number}"),
        Process::Named(name) => write!(line, "INFO  {LOGGER} - :{name}"),
    };
    let phase = if is_refused { Phase::Fail } else { entry.phase };
    let _ = write!(line, "\t:{}\t:{}\t", phase.name(), entry.f);
    let has_failed = matches!(phase, Phase::Fail | Phase::Info);
    // alone, these would be taken for something else
    let is_taken = match &entry.value {
        Value::Keyword(_) => has_failed,
        Value::List(_) => phase == Phase::Fail && entry.f == "cas" && !is_refused,
        _ => false,
    };
    let _ = match (&entry.value, &entry.error) {
        (Value::Nil, Some(error @ Value::Keyword(_))) if has_failed => write!(line, "{error}"),
        (value, Some(error)) => write!(line, "{value}\t{error}"),
        (value, None) if is_taken => write!(line, "{value}\tnil"),
        (value, None) => write!(line, "{value}"),
    };
    Ok(())
}
