//! Any text: each line is what a process called `log` wrote, for the checks of what processes write.

use super::scanner::Scanner;
use crate::history::Phase;
use crate::raw::{Entry, Error, Process};
use crate::value::Value;
use std::io::BufRead;

/// The lines of a text; nothing is to be asked of it after an error.
pub(super) struct Entries<R> {
    scanner: Scanner<R>,
    index: u64,
}

impl<R: BufRead> Entries<R> {
    pub(super) fn new(source: R) -> Self {
        Self { scanner: Scanner::new(source), index: 0 }
    }
}

impl<R: BufRead> Iterator for Entries<R> {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let (place, text) = match self.scanner.line_lossy() {
            Ok(line) => line?,
            Err(error) => return Some(Err(error)),
        };
        let index = self.index;
        self.index += 1;
        Some(Ok(Entry {
            index,
            at_ns: None,
            process: Process::Named("log".to_owned()),
            phase: Phase::Info,
            f: "log".to_owned(),
            key: None,
            value: Value::Text(text),
            error: None,
            extra: Vec::new(),
            place: Some(place),
        }))
    }
}

/// Appends the line that the entry is.
pub(super) fn write(line: &mut String, entry: &Entry) -> Result<(), String> {
    match (&entry.process, entry.f.as_str(), &entry.value) {
        (Process::Named(_), "log", Value::Text(text)) if !text.contains(['\n', '\r']) => {
            line.push_str(text);
            Ok(())
        }
        (Process::Named(_), "log", Value::Text(_)) => Err("a line cannot hold the end of another".to_owned()),
        _ => Err("lines are what processes wrote: entries `log` of named processes, with a text".to_owned()),
    }
}
