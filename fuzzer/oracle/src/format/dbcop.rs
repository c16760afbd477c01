//! dbcop's JSON: a list of sessions, each a list of transactions `{"events":[...],"committed":true}`; or an object with
//! that list in its field `data`.
//!
//! An event is `{"Read":{"variable":0,"version":1}}` or `{"Write":...}`, or in short `["r",0,1]`, `["w",0,1]`. Version
//! null is nothing yet, and so is 0, unless it is written to that variable. Sessions are counted from 0; a transaction that is not committed has failed.
//!
//! Source: Biswas, Enea: On the Complexity of Checking Transactional Consistency, OOPSLA 2019, and dbcop's
//! documentation of its format.

use super::json::{alone, more, name, opened, quoted, space, value, write as write_value};
use super::scanner::{Scanner, shown};
use super::session::{self, Access, Transaction};
use super::unwritten;
use crate::raw::{Entry, Error, Place};
use crate::value::Value;
use std::collections::BTreeSet;
use std::io::{BufRead, Write};

/// The entries of a history; holds all of it.
pub(super) fn read<'a>(source: impl BufRead + 'a) -> Box<dyn Iterator<Item = Result<Entry, Error>> + 'a> {
    session::read(Transactions::new(source).collect())
}

/// The transactions of a history.
#[derive(Debug)]
struct Transactions<R> {
    scanner: Scanner<R>,
    state: State,
    /// The object around the sessions began here, if there is one.
    around: Option<Place>,
    session: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Start,
    /// In the list of sessions that began here, after a session.
    Sessions(Place),
    /// In the session that began at the second place, before or after a transaction.
    Session(Place, Place, bool),
    Done,
}

impl<R: BufRead> Transactions<R> {
    fn new(source: R) -> Self {
        Self { scanner: Scanner::new(source), state: State::Start, around: None, session: 0 }
    }

    fn advance(&mut self) -> Result<Option<Transaction>, Error> {
        loop {
            let scanner = &mut self.scanner;
            match self.state {
                State::Start => {
                    space(scanner);
                    if scanner.peek() == Some(b'{') {
                        self.around = Some(scanner.place());
                        seek_data(scanner)?;
                    }
                    let open = scanner.place();
                    if scanner.peek() != Some(b'[') {
                        return Err(scanner.unexpected("a list of sessions"));
                    }
                    if !opened(scanner, b']')? {
                        return self.finish();
                    }
                    self.enter(open)?;
                }
                State::Sessions(open) => {
                    if !more(scanner, open, b']')? {
                        return self.finish();
                    }
                    self.session += 1;
                    self.enter(open)?;
                }
                State::Session(sessions, open, is_first) => {
                    let is_more = if is_first { !scanner.take(b']') } else { more(scanner, open, b']')? };
                    if !is_more {
                        self.state = State::Sessions(sessions);
                        continue;
                    }
                    self.state = State::Session(sessions, open, false);
                    scanner.begin();
                    let place = scanner.place();
                    // three levels are around it
                    let value = value(scanner, 3)?;
                    let transaction = transaction(value, self.session, place);
                    return transaction.map(Some).map_err(|cause| Error::at(place, cause));
                }
                State::Done => return Ok(None),
            }
        }
    }

    /// Goes into the session that begins here.
    fn enter(&mut self, sessions: Place) -> Result<(), Error> {
        let open = self.scanner.place();
        if self.scanner.peek() != Some(b'[') {
            return Err(self.scanner.unexpected("a session: a list of transactions"));
        }
        self.scanner.bump();
        space(&mut self.scanner);
        self.state = State::Session(sessions, open, true);
        Ok(())
    }

    /// Reads what follows the list of sessions.
    fn finish(&mut self) -> Result<Option<Transaction>, Error> {
        self.state = State::Done;
        if let Some(open) = self.around {
            while more(&mut self.scanner, open, b'}')? {
                let place = self.scanner.place();
                if name(&mut self.scanner)? == "data" {
                    return Err(Error::at(place, "the field `data` stands twice"));
                }
                value(&mut self.scanner, 1)?;
            }
        }
        alone(&mut self.scanner).map(|()| None)
    }
}

/// Goes to the value of the field `data` of the object that begins here.
fn seek_data<R: BufRead>(scanner: &mut Scanner<R>) -> Result<(), Error> {
    let open = scanner.place();
    let mut is_more = opened(scanner, b'}')?;
    while is_more {
        if name(scanner)? == "data" {
            return Ok(());
        }
        value(scanner, 1)?;
        is_more = more(scanner, open, b'}')?;
    }
    Err(Error::at(open, "the object has no field `data` with the sessions"))
}

impl<R: BufRead> Iterator for Transactions<R> {
    type Item = Result<Transaction, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

fn transaction(value: Value, session: u64, place: Place) -> Result<Transaction, String> {
    let events = value.get("events").and_then(Value::as_elements);
    let (Some(events), Some(Value::Bool(is_committed))) = (events, value.get("committed")) else {
        return Err(format!(
            "found {}, expected a transaction with `events` and `committed`",
            shown(&value.to_string())
        ));
    };
    let accesses = events.iter().map(access).collect::<Result<_, _>>()?;
    Ok(Transaction { session, is_committed: *is_committed, accesses, place: Some(place), index: 0 })
}

fn access(event: &Value) -> Result<Access, String> {
    let access = match event {
        Value::List(parts) => match parts.as_slice() {
            [Value::Text(name), key, value] if name == "r" || name == "w" => Some((name == "w", key, value)),
            _ => None,
        },
        Value::Map(pairs) => match pairs.as_slice() {
            [(Value::Text(name), fields)] if name == "Read" || name == "Write" => {
                match (fields.get("variable"), fields.get("version")) {
                    (Some(key), Some(value)) => Some((name == "Write", key, value)),
                    _ => None,
                }
            }
            _ => None,
        },
        _ => None,
    };
    match access {
        Some((true, _, Value::Nil)) | None => Err(format!(
            "found {}, expected an event such as {{\"Read\":{{\"variable\":0,\"version\":1}}}}",
            shown(&event.to_string())
        )),
        Some((is_write, key, value)) => Ok(Access { is_write, key: key.clone(), value: value.clone() }),
    }
}

/// Writes a history, with the object around the sessions, as dbcop's own program wants it.
///
/// Sessions are written in the order of their numbers.
pub(super) fn write(
    history: &mut dyn Iterator<Item = Result<Entry, Error>>,
    sink: &mut dyn Write,
) -> Result<(), Error> {
    let transactions = session::transactions(history)?;
    session::no_zero_for_nil(&transactions)?;
    let sessions = session::by_session(&transactions);
    let accesses = transactions.iter().flat_map(|transaction| &transaction.accesses);
    let variables: BTreeSet<&Value> = accesses.map(|access| &access.key).collect();
    let longest = sessions.values().map(Vec::len).max().unwrap_or(0);
    let largest = transactions.iter().map(|transaction| transaction.accesses.len()).max().unwrap_or(0);
    let mut text = format!(
        "{{\"params\":{{\"id\":0,\"n_node\":{},\"n_variable\":{},\"n_transaction\":{longest},\"n_event\":{largest}}},\
         \"info\":\"converted\",\"start\":\"1970-01-01T00:00:00Z\",\"end\":\"1970-01-01T00:00:00Z\",\"data\":[",
        sessions.len(),
        variables.len()
    );
    for (number, session) in sessions.values().enumerate() {
        text.push_str(if number > 0 { ",\n[" } else { "\n[" });
        for (position, transaction) in session.iter().enumerate() {
            text.push_str(if position > 0 { ",\n{\"events\":[" } else { "{\"events\":[" });
            for (at, access) in transaction.accesses.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                append(&mut text, access).map_err(|cause| transaction.error(cause))?;
            }
            text.push_str(if transaction.is_committed {
                "],\"committed\":true}"
            } else {
                "],\"committed\":false}"
            });
        }
        text.push(']');
        sink.write_all(text.as_bytes()).map_err(unwritten)?;
        text.clear();
    }
    text.push_str("\n]}\n");
    sink.write_all(text.as_bytes()).map_err(unwritten)
}

fn append(text: &mut String, access: &Access) -> Result<(), String> {
    let is_number = |value: &Value| matches!(value, Value::Int(number) if *number >= 0);
    if !is_number(&access.key) {
        return Err(format!("dbcop has whole numbers of at least 0 as variables, not {}", access.key));
    }
    if !is_number(&access.value) && (access.is_write || access.value != Value::Nil) {
        return Err(format!("dbcop has whole numbers of at least 0 as versions, not {}", access.value));
    }
    text.push('{');
    quoted(text, if access.is_write { "Write" } else { "Read" });
    text.push_str(":{\"variable\":");
    write_value(text, &access.key)?;
    text.push_str(",\"version\":");
    write_value(text, &access.value)?;
    text.push_str("}}");
    Ok(())
}
