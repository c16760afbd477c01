//! The logs of Jepsen's etcd test, as Porcupine has them: `INFO  jepsen.util - 3    :invoke    :cas    [1 4]`.
//!
//! A line is process, type, f and value, perhaps an error after it; lines of other loggers are passed over. Where an
//! operation did not end in `ok`, a keyword as the only value is the error: `:info :write :timed-out`. A swap that ended
//! in `fail` with its value was refused, since the register held something else: that is an answer, so it is read as
//! `ok` with the further field `result` false.

use super::edn;
use super::entry::{named, phase_named};
use super::scanner::{Scanner, shown};
use crate::history::Phase;
use crate::raw::{Entry, Error, Place, Process};
use crate::value::Value;
use std::fmt::Write;
use std::io::BufRead;

/// The logger whose lines are operations.
pub(super) const LOGGER: &str = "jepsen.util";

/// How lines of operations are written: here, and in Jepsen's `history.txt`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// What messages call the format.
    pub name: &'static str,
    /// What stands before the process.
    pub before: &'static str,
    /// A swap that ended in `fail` with its value was refused.
    pub refusals: bool,
}

const MANNER: Manner = Manner { name: "etcd's logs", before: "INFO  jepsen.util - ", refusals: true };

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
            let entry =
                entry_of(values, self.index, place, MANNER).map_err(|cause| Error::at(place, cause))?;
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

/// The entry that process, type, f, value and perhaps an error make.
pub(super) fn entry_of(
    values: Vec<Value>,
    index: u64,
    place: Place,
    manner: Manner,
) -> Result<Entry, String> {
    let mut values = values.into_iter();
    let process = match values.next() {
        Some(Value::Int(number)) if number >= 0 => Process::Client(number.unsigned_abs()),
        Some(Value::Keyword(name) | Value::Text(name)) => named(name),
        other => return Err(wrong("a process: a number of at least 0, or a keyword", other)),
    };
    let phase = match values.next() {
        Some(Value::Keyword(name)) if phase_named(&name).is_some() => phase_named(&name),
        other => return Err(wrong("the type: :invoke, :ok, :fail or :info", other)),
    };
    let f = match values.next() {
        Some(Value::Keyword(name) | Value::Text(name)) => name,
        other => return Err(wrong("what is done, such as :read", other)),
    };
    let mut phase = phase.unwrap_or(Phase::Info);
    let has_failed = matches!(phase, Phase::Fail | Phase::Info);
    let mut extra = Vec::new();
    let (value, error) = match (values.next(), values.next()) {
        (None, _) => return Err(wrong("a value", None)),
        (Some(error @ Value::Keyword(_)), None) if has_failed => (Value::Nil, error),
        (Some(value @ Value::List(_)), None) if manner.refusals && phase == Phase::Fail && f == "cas" => {
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
    write_as(line, entry, MANNER)
}

/// Appends the entry as a line in this manner.
pub(super) fn write_as(line: &mut String, entry: &Entry, manner: Manner) -> Result<(), String> {
    let Manner { name: format, before, refusals } = manner;
    if let Some(key) = &entry.key {
        return Err(format!("{format} have one object only, no key such as {key}"));
    }
    let is_refused = match entry.extra.as_slice() {
        [] => false,
        [(name, Value::Bool(truth))]
            if refusals && name == "result" && entry.f == "cas" && entry.phase == Phase::Ok =>
        {
            !truth
        }
        [(name, _), ..] => return Err(format!("{format} have no further field `{name}`")),
    };
    if is_refused && (entry.error.is_some() || !matches!(entry.value, Value::List(_))) {
        return Err(
            "etcd's logs have a refused swap with its pair of values, and without an error".to_owned()
        );
    }
    let process = match entry.process.original() {
        Process::Client(number) | Process::Again { number, .. } => number.to_string(),
        Process::Called { name, .. } | Process::Named(name) => format!(":{name}"),
    };
    let names = [Some(&*entry.f), process.strip_prefix(':')];
    if let Some(name) = names.into_iter().flatten().find(|name| !edn::is_keyword(name)) {
        return Err(format!("EDN cannot write a keyword with the name {name:?}"));
    }
    edn::check(&entry.value)?;
    entry.error.iter().try_for_each(edn::check)?;
    // a text takes everything
    let phase = if is_refused { Phase::Fail } else { entry.phase };
    let _ = write!(line, "{before}{process}\t:{}\t:{}\t", phase.name(), entry.f);
    let has_failed = matches!(phase, Phase::Fail | Phase::Info);
    // alone, these would be taken for something else
    let is_taken = match &entry.value {
        Value::Keyword(_) => has_failed,
        Value::List(_) => refusals && phase == Phase::Fail && entry.f == "cas" && !is_refused,
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
