//! AWDIT's test format: a line is a read or a write, `r key value`; a line of `-` ends a transaction, one of `=` a
//! session.
//!
//! Keys and values are whole numbers. Sessions have no names: they are counted from 0. 0 is what a key holds at first:
//! reading it is reading nothing, unless it is written to that key. All transactions are committed.
//!
//! Source: Møldrup, Pavlogiannis: AWDIT, PLDI 2025, and its repository.

use super::scanner::{Scanner, shown};
use super::session::{self, Access, Transaction};
use super::unwritten;
use crate::raw::{Entry, Error};
use std::collections::BTreeMap;
use std::io::{BufRead, Write};

/// The entries of a history; holds all of it.
pub(super) fn read<'a>(source: impl BufRead + 'a) -> Box<dyn Iterator<Item = Result<Entry, Error>> + 'a> {
    session::read(transactions(source))
}

fn transactions(source: impl BufRead) -> Result<Vec<Transaction>, Error> {
    let mut scanner = Scanner::new(source);
    let mut transactions: Vec<Transaction> = Vec::new();
    let (mut session, mut is_session_used, mut is_open) = (0, false, false);
    while let Some((place, line)) = scanner.line()? {
        let line = line.trim();
        let rule = line
            .bytes()
            .next()
            .filter(|first| matches!(first, b'-' | b'=') && line.bytes().all(|byte| byte == *first));
        match rule {
            _ if line.is_empty() => {}
            Some(rule) => {
                is_open = false;
                if rule == b'=' && is_session_used {
                    session += 1;
                    is_session_used = false;
                }
            }
            None => {
                let access = access(line).map_err(|cause| Error::at(place, cause))?;
                match transactions.last_mut().filter(|_| is_open) {
                    Some(transaction) => transaction.accesses.push(access),
                    None => {
                        let place = Some(place);
                        let accesses = vec![access];
                        transactions.push(Transaction {
                            session,
                            is_committed: true,
                            accesses,
                            place,
                            index: 0,
                        });
                    }
                }
                (is_open, is_session_used) = (true, true);
            }
        }
    }
    Ok(transactions)
}

fn access(line: &str) -> Result<Access, String> {
    let wrong =
        || format!("found {}, expected `r key value`, `w key value`, or a line of - or =", shown(line));
    let mut parts = line.split_whitespace();
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(name @ ("r" | "w")), Some(key), Some(value), None) => Ok(Access {
            is_write: name == "w",
            key: session::number_of(key)?,
            value: session::number_of(value)?,
        }),
        _ => Err(wrong()),
    }
}

/// Writes a history, session by session. Transactions without accesses leave no trace.
pub(super) fn write(
    history: &mut dyn Iterator<Item = Result<Entry, Error>>,
    sink: &mut dyn Write,
) -> Result<(), Error> {
    let mut transactions = session::transactions(history)?;
    session::nil_to_zero(&mut transactions)?;
    let mut sessions: BTreeMap<u64, Vec<&Transaction>> = BTreeMap::new();
    for transaction in transactions.iter().filter(|transaction| !transaction.accesses.is_empty()) {
        if !transaction.is_committed {
            return Err(transaction.error("it was aborted, and the format has committed transactions only"));
        }
        sessions.entry(transaction.session).or_default().push(transaction);
    }
    let mut text = String::new();
    for (number, session) in sessions.values().enumerate() {
        if number > 0 {
            text.push_str("=====\n");
        }
        for (position, transaction) in session.iter().enumerate() {
            if position > 0 {
                text.push_str("-----\n");
            }
            for access in &transaction.accesses {
                let named = |value| session::number(value).map_err(|cause| transaction.error(cause));
                let name = if access.is_write { 'w' } else { 'r' };
                text.push_str(&format!("{name} {} {}\n", named(&access.key)?, named(&access.value)?));
            }
        }
        sink.write_all(text.as_bytes()).map_err(unwritten)?;
        text.clear();
    }
    Ok(())
}
