//! Formats of histories: files of anybody to [`Entry`]s, and back.
//!
//! | format | what it is | held while reading |
//! |---|---|---|
//! | `edn` | Jepsen's and Elle's maps, in sequence or in one vector | one entry |
//! | `json` | the same as JSON, an object a line or in one array; what campaigns write | one entry |
//! | `txt` | Jepsen's `history.txt`: process, type, f, value and error, with tabs between them | one entry |
//! | `kv` | the key-value text of Porcupine: EDN with `get`, `put`, `append` of texts by `:key` | one entry |
//! | `etcd` | the logs of Jepsen's etcd test, as Porcupine has them | one entry |
//! | `plume` | lines `r(key,value,session,transaction)`, of Plume and PolySI | everything |
//! | `awdit` | lines `r key value` between lines of `-` and `=`, AWDIT's test format | everything |
//! | `dbcop` | sessions of transactions of events, dbcop's JSON | everything |
//! | `hist` | sessions of transactions `[x:=1 y==2]`, dbcop's text | everything |
//! | `lines` | any text, for the checks of what processes write; never guessed | one line |
//!
//! A vector, list or array may be the field `history` of a map or an object. `plume`, `awdit`, `dbcop` and `hist` have transactions of sessions without real time: see [`Format::is_timed`].
//!
//! Readers give an error with its place for whatever they do not understand, never a panic; values are nested at most
//! 128 deep, and an entry has at most 256 MiB and 16,777,216 values. Writers refuse what their format has no word for.

mod awdit;
mod dbcop;
mod detect;
pub(crate) mod edn;
mod entry;
mod etcd;
mod hist;
mod json;
mod kv;
mod lines;
mod plume;
mod scanner;
mod session;
mod txt;

pub use detect::{SAMPLE_BYTES, detect, foreign, is_noise};

use crate::raw::{Entry, Error};
use std::io::{BufRead, Write};
use std::iter::FusedIterator;

/// A format of histories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// Jepsen's EDN.
    Edn,
    /// The same as JSON.
    Json,
    /// Jepsen's `history.txt`.
    Txt,
    /// Porcupine's key-value text.
    Kv,
    /// The logs of Jepsen's etcd test.
    Etcd,
    /// Plume's text.
    Plume,
    /// AWDIT's test format.
    Awdit,
    /// dbcop's JSON.
    Dbcop,
    /// dbcop's text.
    Hist,
    /// Any text.
    Lines,
}

/// How a format is read and written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Clients' values are pairs `[key value]`, as Jepsen's `independent` has them.
    pub independent: bool,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Edn,
        Self::Json,
        Self::Txt,
        Self::Kv,
        Self::Etcd,
        Self::Plume,
        Self::Awdit,
        Self::Dbcop,
        Self::Hist,
        Self::Lines,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Edn => "edn",
            Self::Json => "json",
            Self::Txt => "txt",
            Self::Kv => "kv",
            Self::Etcd => "etcd",
            Self::Plume => "plume",
            Self::Awdit => "awdit",
            Self::Dbcop => "dbcop",
            Self::Hist => "hist",
            Self::Lines => "lines",
        }
    }

    /// The format with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// One line of help.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::Edn => "Jepsen's and Elle's maps, in sequence or in one vector",
            Self::Json => "the same as JSON, an object a line or in one array; what campaigns write",
            Self::Txt => "Jepsen's history.txt: process, type, f, value and error, with tabs between them",
            Self::Kv => "Porcupine's key-value text: EDN with get, put and append of texts",
            Self::Etcd => "the logs of Jepsen's etcd test, as Porcupine has them",
            Self::Plume => "lines r(key,value,session,transaction), of Plume and PolySI",
            Self::Awdit => "lines `r key value` between lines of - and =, AWDIT's test format",
            Self::Dbcop => "sessions of transactions of events, dbcop's JSON",
            Self::Hist => "sessions of transactions [x:=1 y==2], dbcop's text",
            Self::Lines => "any text, for the checks of what processes write",
        }
    }

    /// Whether the order of entries is the order of real time.
    ///
    /// Where it is not, a process is a session and each of its transactions an invocation with its completion right
    /// after it: only the order within a process means anything. A check that asks more of such a history than it
    /// holds would find violations that are none, so it is to be told (by the setting `realtime=no`).
    #[must_use]
    pub const fn is_timed(self) -> bool {
        !matches!(self, Self::Plume | Self::Awdit | Self::Dbcop | Self::Hist)
    }
}

/// The entries of a history as they are read. After the last one, or an error, there is nothing more however often it is
/// asked for.
pub type Entries<'a> = Box<dyn FusedIterator<Item = Result<Entry, Error>> + 'a>;

/// Reads a history, an entry at a time. The first error is the last item.
pub fn read<'a>(format: Format, source: impl BufRead + 'a, options: Options) -> Entries<'a> {
    match format {
        Format::Edn | Format::Kv => whole(entries(edn::Values::new(source), options)),
        Format::Json => whole(entries(json::Values::new(source), options)),
        Format::Txt => whole(txt::Entries::new(source, options)),
        Format::Etcd => whole(etcd::Entries::new(source)),
        Format::Plume => whole(plume::read(source)),
        Format::Awdit => whole(awdit::read(source)),
        Format::Dbcop => whole(dbcop::read(source)),
        Format::Hist => whole(hist::read(source)),
        Format::Lines => whole(lines::Entries::new(source)),
    }
}

fn whole<'a>(items: impl Iterator<Item = Result<Entry, Error>> + 'a) -> Entries<'a> {
    Box::new(UntilEnd(Some(items)))
}

/// Items up to the end or the first error; nobody is asked after that.
struct UntilEnd<I>(Option<I>);

impl<T, I: Iterator<Item = Result<T, Error>>> Iterator for UntilEnd<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        let item = self.0.as_mut()?.next();
        if !matches!(item, Some(Ok(_))) {
            self.0 = None;
        }
        item
    }
}

impl<T, I: Iterator<Item = Result<T, Error>>> FusedIterator for UntilEnd<I> {}

fn entries(
    values: impl Iterator<Item = Result<(crate::raw::Place, entry::Found), Error>>,
    options: Options,
) -> impl Iterator<Item = Result<Entry, Error>> {
    let mut before = None;
    values.map(move |value| {
        let (place, value) = value?;
        let entry = entry::of(value, place, before, options)?;
        before = Some(entry.index);
        Ok(entry)
    })
}

/// Writes a history; the formats with sessions hold it all, the others an entry.
///
/// # Errors
/// What cannot be read, and what the format has no word for, with the index of the entry.
pub fn write(
    format: Format,
    history: &mut dyn Iterator<Item = Result<Entry, Error>>,
    sink: &mut dyn Write,
    options: Options,
) -> Result<(), Error> {
    match format {
        Format::Edn => lines(history, sink, |line, entry| entry::to_edn(line, entry, options)),
        Format::Json => lines(history, sink, |line, entry| entry::to_json(line, entry, options)),
        Format::Txt => lines(history, sink, |line, entry| txt::write(line, entry, options)),
        Format::Kv => lines(history, sink, kv::write),
        Format::Etcd => lines(history, sink, etcd::write),
        Format::Plume => plume::write(history, sink),
        Format::Awdit => awdit::write(history, sink),
        Format::Dbcop => dbcop::write(history, sink),
        Format::Hist => hist::write(history, sink),
        Format::Lines => lines(history, sink, lines::write),
    }
}

/// A line for each entry; an empty one is left out.
fn lines(
    history: &mut dyn Iterator<Item = Result<Entry, Error>>,
    sink: &mut dyn Write,
    write: impl Fn(&mut String, &Entry) -> Result<(), String>,
) -> Result<(), Error> {
    let mut line = String::new();
    for entry in history {
        let entry = entry?;
        line.clear();
        write(&mut line, &entry)
            .map_err(|cause| Error::at(entry.place, format!("entry {}: {cause}", entry.index)))?;
        line.push('\n');
        sink.write_all(line.as_bytes()).map_err(unwritten)?;
    }
    Ok(())
}

fn unwritten(error: std::io::Error) -> Error {
    Error::at(None, format!("cannot write: {error}"))
}

#[cfg(test)]
mod tests;
