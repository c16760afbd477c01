//! Plume's text, which PolySI has too: a line is a read or a write, `r(key,value,session,transaction)`.
//!
//! All four are whole numbers. Lines of one session with the same transaction are one transaction; -1 stands for an
//! aborted one, of which nothing but its writes is kept, so each of these lines is a failed transaction of its own. 0 is
//! what a key holds at first: reading it is reading nothing, unless it is written to that key.
//!
//! Source: Liu, Gu, Wei, Basin: Plume, OOPSLA 2024, and its artifact.

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
    let mut positions: BTreeMap<(u64, i64), usize> = BTreeMap::new();
    while let Some((place, line)) = scanner.line()? {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let (access, session, number) = line_of(line).map_err(|cause| Error::at(place, cause))?;
        let fresh = transactions.len();
        let position =
            if number == -1 { fresh } else { *positions.entry((session, number)).or_insert(fresh) };
        if position == fresh {
            let is_committed = number != -1;
            transactions.push(Transaction {
                session,
                is_committed,
                accesses: Vec::new(),
                place: Some(place),
                index: 0,
            });
        }
        transactions[position].accesses.push(access);
    }
    Ok(transactions)
}

fn line_of(line: &str) -> Result<(Access, u64, i64), String> {
    let wrong = || format!("found {}, expected r(key,value,session,transaction) or w(...)", shown(line));
    let (is_write, rest) = match (line.strip_prefix("r("), line.strip_prefix("w(")) {
        (Some(rest), _) => (false, rest),
        (_, Some(rest)) => (true, rest),
        _ => return Err(wrong()),
    };
    let mut parts = rest.strip_suffix(')').ok_or_else(wrong)?.split(',').map(str::trim);
    let mut next = || parts.next().ok_or_else(wrong);
    let (key, value) = (session::number_of(next()?)?, session::number_of(next()?)?);
    let whole =
        |part: &str| format!("found {}, expected the number of a session or transaction", shown(part));
    let (session, number) = (next()?, next()?);
    let session = session.parse::<u64>().map_err(|_| whole(session))?;
    let number = number.parse::<i64>().map_err(|_| whole(number))?;
    if parts.next().is_some() {
        return Err(wrong());
    }
    Ok((Access { is_write, key, value }, session, number))
}

/// Writes a history. Of aborted transactions only writes are kept.
pub(super) fn write(
    history: &mut dyn Iterator<Item = Result<Entry, Error>>,
    sink: &mut dyn Write,
) -> Result<(), Error> {
    let mut transactions = session::transactions(history)?;
    session::nil_to_zero(&mut transactions)?;
    for (number, transaction) in transactions.iter().enumerate() {
        for access in &transaction.accesses {
            if !transaction.is_committed && !access.is_write {
                continue;
            }
            let named = |value| session::number(value).map_err(|cause| transaction.error(cause));
            let (key, value) = (named(&access.key)?, named(&access.value)?);
            let name = if access.is_write { 'w' } else { 'r' };
            let number = if transaction.is_committed { number.to_string() } else { "-1".to_owned() };
            writeln!(sink, "{name}({key},{value},{},{number})", transaction.session).map_err(unwritten)?;
        }
    }
    Ok(())
}
