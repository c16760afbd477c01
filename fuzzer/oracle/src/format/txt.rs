//! Jepsen's `history.txt`: a line is process, type, f and value with tabs (or space) between them, perhaps an error.
//!
//! Where an operation did not end in `ok`, a keyword as the only value is the error, and what is no EDN (an object of Java
//! that was printed) is kept as a text. Keys are told from values as everywhere: where `independent` says so.

use super::edn;
use super::entry::{joined, split};
use super::etcd::{self, Manner};
use super::scanner::Scanner;
use super::{Options, entry::phase_named};
use crate::history::Phase;
use crate::raw::{Entry, Error, Place};
use crate::value::Value;
use std::io::BufRead;

const MANNER: Manner = Manner { name: "history.txt", before: "", refusals: false };

/// How many parts come before the error.
const PARTS: usize = 4;

/// The lines of a history; nothing is to be asked of it after an error.
#[derive(Debug)]
pub(super) struct Entries<R> {
    scanner: Scanner<R>,
    options: Options,
    index: u64,
}

impl<R: BufRead> Entries<R> {
    pub(super) fn new(source: R, options: Options) -> Self {
        Self { scanner: Scanner::new(source), options, index: 0 }
    }

    fn advance(&mut self) -> Result<Option<Entry>, Error> {
        while let Some((place, line)) = self.scanner.line()? {
            if line.trim().is_empty() || line.starts_with(';') {
                continue;
            }
            let values =
                if line.contains('\t') { parts(&line, place)? } else { edn::values_of(&line, place)? };
            let entry = etcd::entry_of(values, self.index, place, MANNER);
            let mut entry = entry.map_err(|cause| Error::at(place, cause))?;
            split(&mut entry, self.options);
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

/// The line looks like one of these.
pub(super) fn is_line(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let is_process = |word: &str| {
        word.starts_with(':') || (!word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()))
    };
    words.next().is_some_and(is_process)
        && words.next().is_some_and(|word| word.starts_with(':') && phase_named(word).is_some())
}

/// The values of a line with tabs.
fn parts(line: &str, place: Place) -> Result<Vec<Value>, Error> {
    let mut column = place.column;
    let mut values = Vec::new();
    let mut has_failed = false;
    for (number, part) in line.splitn(PARTS + 1, '\t').enumerate() {
        let at = Place { column, ..place };
        column =
            column.saturating_add(u32::try_from(part.chars().count()).unwrap_or(u32::MAX)).saturating_add(1);
        match edn::values_of(part, at).map(<[Value; 1]>::try_from) {
            Ok(Ok([value])) => values.push(value),
            Ok(Err(none)) if none.is_empty() => {}
            // an error may be any text, and so may be what an operation without an answer holds
            _ if number == PARTS || (number == PARTS - 1 && has_failed) => {
                values.push(Value::text(part.trim()))
            }
            Ok(Err(_)) => return Err(Error::at(at, "there is more than one value between two tabs")),
            Err(error) => return Err(error),
        }
        if let (1, Some(Value::Keyword(name))) = (number, values.last()) {
            has_failed = matches!(phase_named(name), Some(Phase::Fail | Phase::Info));
        }
    }
    Ok(values)
}

/// Appends the entry as a line.
pub(super) fn write(line: &mut String, entry: &Entry, options: Options) -> Result<(), String> {
    let (_, pair) = joined(entry, options)?;
    match pair {
        Some(value) => etcd::write_as(line, &Entry { key: None, value, ..entry.clone() }, MANNER),
        None => etcd::write_as(line, entry, MANNER),
    }
}
