//! dbcop's text: transactions `[x:=1 y==2 z==?]` of one session after the other, with lines of `-` between them.
//!
//! `:=` writes, `==` reads, `?` is nothing yet (and so is 0, unless it is written to that variable), and `!` after a transaction says that it was not committed. `//` begins a
//! comment. Sessions are counted from 0. Names of variables are letters, digits and `_`; those of digits are numbers.
//!
//! Source: the grammar of dbcop's `.hist` files (Biswas and Enea, OOPSLA 2019).

use super::scanner::{Scanner, text};
use super::session::{self, Access, Transaction, number, number_of};
use super::unwritten;
use crate::raw::{Entry, Error};
use crate::value::Value;
use std::io::{BufRead, Write};

/// The entries of a history; holds all of it.
pub(super) fn read<'a>(source: impl BufRead + 'a) -> Box<dyn Iterator<Item = Result<Entry, Error>> + 'a> {
    session::read(Transactions::new(source).collect())
}

/// The transactions of a history.
#[derive(Debug)]
struct Transactions<R> {
    scanner: Scanner<R>,
    session: u64,
}

impl<R: BufRead> Transactions<R> {
    fn new(source: R) -> Self {
        Self { scanner: Scanner::new(source), session: 0 }
    }

    /// The next transaction.
    fn advance(&mut self) -> Result<Option<Transaction>, Error> {
        let scanner = &mut self.scanner;
        loop {
            scanner.begin();
            space(scanner);
            match scanner.peek() {
                None => return scanner.end().map(|()| None),
                Some(b'/') if scanner.peek_second() == Some(b'/') => scanner.skip_while(|byte| byte != b'\n'),
                Some(b'-') => {
                    scanner.skip_while(|byte| byte == b'-');
                    self.session += 1;
                }
                Some(b'[') => return transaction(scanner, self.session).map(Some),
                Some(_) => return Err(scanner.unexpected("a transaction in brackets, or a line of -")),
            }
        }
    }
}

impl<R: BufRead> Iterator for Transactions<R> {
    type Item = Result<Transaction, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

fn space<R: BufRead>(scanner: &mut Scanner<R>) {
    scanner.skip_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
}

/// Whether a byte may stand in the name of a variable.
pub(super) const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn transaction<R: BufRead>(scanner: &mut Scanner<R>, session: u64) -> Result<Transaction, Error> {
    let place = scanner.place();
    scanner.bump();
    let mut accesses = Vec::new();
    loop {
        space(scanner);
        if scanner.take(b']') {
            break;
        }
        if scanner.peek().is_none() {
            return Err(scanner.unclosed(place));
        }
        scanner.value(0)?;
        accesses.push(access(scanner)?);
    }
    let is_committed = !scanner.take(b'!');
    Ok(Transaction { session, is_committed, accesses, place: Some(place), index: 0 })
}

fn access<R: BufRead>(scanner: &mut Scanner<R>) -> Result<Access, Error> {
    let place = scanner.place();
    let token = |scanner: &mut Scanner<R>| {
        let (place, mut bytes) = (scanner.place(), Vec::new());
        scanner.take_while(&mut bytes, is_name);
        text(bytes, place)
    };
    let name = token(scanner)?;
    if name.is_empty() {
        return Err(scanner.unexpected("the name of a variable"));
    }
    let is_write = scanner.take(b':');
    if !(is_write || scanner.take(b'=')) || !scanner.take(b'=') {
        return Err(scanner.unexpected("`:=` or `==` after the name of a variable"));
    }
    let value = if !is_write && scanner.take(b'?') {
        Value::Nil
    } else {
        let digits = token(scanner)?;
        if digits.is_empty() {
            return Err(scanner.unexpected("a version: a whole number"));
        }
        number_of(&digits).map_err(|cause| Error::at(place, cause))?
    };
    // `007` is a name, since it reads back as another number
    let is_number = name == "0" || (!name.starts_with('0') && name.bytes().all(|byte| byte.is_ascii_digit()));
    let key = if is_number {
        number_of(&name).map_err(|cause| Error::at(place, cause))?
    } else {
        Value::Text(name)
    };
    Ok(Access { is_write, key, value })
}

/// Writes a history; sessions are written in the order of their numbers.
pub(super) fn write(
    history: &mut dyn Iterator<Item = Result<Entry, Error>>,
    sink: &mut dyn Write,
) -> Result<(), Error> {
    let transactions = session::transactions(history)?;
    session::no_zero_for_nil(&transactions)?;
    let sessions = session::by_session(&transactions);
    for (number, session) in sessions.values().enumerate() {
        let mut lines = String::from(if number > 0 { "---\n" } else { "" });
        for transaction in session {
            append(&mut lines, transaction).map_err(|cause| transaction.error(cause))?;
        }
        sink.write_all(lines.as_bytes()).map_err(unwritten)?;
    }
    Ok(())
}

fn append(lines: &mut String, transaction: &Transaction) -> Result<(), String> {
    if transaction.accesses.is_empty() {
        return Err("hist has no transaction that does nothing".to_owned());
    }
    for (at, Access { is_write, key, value }) in transaction.accesses.iter().enumerate() {
        lines.push(if at == 0 { '[' } else { ' ' });
        match key {
            Value::Int(0..) => lines.push_str(&key.to_string()),
            _ => match key.as_name().filter(|name| is_variable(name)) {
                Some(name) => lines.push_str(name),
                None => return Err(format!("hist has variables of letters, digits and _, not {key}")),
            },
        }
        lines.push_str(if *is_write { ":=" } else { "==" });
        match value {
            Value::Nil if !is_write => lines.push('?'),
            Value::Int(..0) => return Err(format!("hist has versions of at least 0, not {value}")),
            value => lines.push_str(&number(value)?),
        }
    }
    lines.push_str(if transaction.is_committed { "]\n" } else { "]!\n" });
    Ok(())
}

/// A name that reads back as itself.
fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_name) && !name.bytes().all(|byte| byte.is_ascii_digit())
}
