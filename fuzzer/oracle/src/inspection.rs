//! Histories of anybody, from bytes to a verdict: which format it is, which check it is for, and what that says.
//!
//! ```
//! use oracle::inspection::{Asked, inspect};
//! use oracle::Verdict;
//!
//! let history = r#"
//!     {:process 0, :type :invoke, :f :write, :value 1}
//!     {:process 0, :type :ok,     :f :write, :value 1}
//!     {:process 1, :type :invoke, :f :read,  :value nil}
//!     {:process 1, :type :ok,     :f :read,  :value 2}"#;
//! let seen = inspect(history.as_bytes(), &Asked::default())?;
//! assert_eq!((seen.format.name(), seen.check.name), ("edn", "register"));
//! let Verdict::Violation(found) = seen.judgement.verdict() else { panic!("it is wrong") };
//! assert_eq!(found.signature, "linearizability/phantom-read");
//! # Ok::<(), oracle::inspection::Refused>(())
//! ```
//!
//! A file is read like any other bytes: `inspect(std::fs::File::open("history.edn")?, &Asked::default())`. What is known
//! beforehand is said: `Asked { check: oracle::check::named("bank"), ..Asked::default() }`.

use crate::check::{Check, Options, Tally};
use crate::checker::transaction::serial::STRICT;
use crate::format::{self, Entries, Format, SAMPLE_BYTES};
use crate::guess::{ENTRIES_MAX, Guess};
use crate::raw::{self, Entry, Error};
use crate::verdict::Judgement;
use std::fmt;
use std::io::{BufRead, BufReader, Cursor, Read};

/// What is read at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// What whoever asks knows already.
#[derive(Clone, Default)]
pub struct Asked {
    /// The format; told from the beginning without it.
    pub format: Option<Format>,
    /// The check; told from the operations without it.
    pub check: Option<&'static Check>,
    /// How the format is to be read.
    pub reading: format::Options,
    /// What the check is told.
    pub options: Options,
}

/// What was found.
#[derive(Clone)]
pub struct Inspection {
    /// The format.
    pub format: Format,
    /// The check that judged.
    pub check: &'static Check,
    /// What was read.
    pub tally: Tally,
    /// What it says.
    pub judgement: Judgement,
}

/// Reads a history, and judges it.
///
/// # Errors
/// What is no history, or does not tell what it is one of; then [`Asked`] has to.
pub fn inspect(source: impl Read, asked: &Asked) -> Result<Inspection, Refused> {
    let history = History::open(source, asked.format)?;
    let format = history.format;
    let mut entries = history.entries(asked.reading);
    let check = match asked.check {
        Some(check) => check,
        None => guessed(format, &mut entries)?,
    };
    let mut options = asked.options.clone();
    fill(&mut options, check, format)?;
    let (judgement, tally) = check.judge_and_count(&mut entries, &options)?;
    Ok(Inspection { format, check, tally, judgement })
}

/// Bytes of which the format is known.
pub struct History<'a> {
    /// The format.
    pub format: Format,
    bytes: Box<dyn BufRead + 'a>,
}

impl<'a> History<'a> {
    /// Looks at the beginning.
    ///
    /// # Errors
    /// There is none, it cannot be read, it is no text, or its format was not given and cannot be told.
    pub fn open(mut source: impl Read + 'a, format: Option<Format>) -> Result<Self, Refused> {
        let mut sample = Vec::new();
        source.by_ref().take(SAMPLE_BYTES as u64).read_to_end(&mut sample).map_err(Refused::Unread)?;
        let format = match format.or_else(|| format::detect(&sample)) {
            // any bytes are lines
            Some(Format::Lines) => Format::Lines,
            found => {
                if let Some((what, next)) = format::foreign(&sample) {
                    return Err(Refused::Foreign { what, next });
                }
                let text = sample.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&sample);
                if text.iter().all(u8::is_ascii_whitespace) || format::is_noise(text) {
                    return Err(Refused::Empty);
                }
                found.ok_or(Refused::NoFormat)?
            }
        };
        let rest = BufReader::with_capacity(CHUNK_BYTES, source);
        Ok(Self { format, bytes: Box::new(Cursor::new(sample).chain(rest)) })
    }

    /// Its entries.
    #[must_use]
    pub fn entries(self, reading: format::Options) -> Entries<'a> {
        format::read(self.format, self.bytes, reading)
    }
}

/// The check that a history is for, told from its first entries, which are put back.
///
/// # Errors
/// It is not clear, or these entries cannot be read.
pub fn guessed(format: Format, entries: &mut Entries<'_>) -> Result<&'static Check, Refused> {
    if format == Format::Lines {
        return Err(Refused::Lines);
    }
    let mut guess = Guess::default();
    // who is a client is found out once, for what is looked at here and for the rest
    let mut all = raw::clients(std::mem::replace(entries, Box::new(std::iter::empty())));
    let first: Vec<Result<Entry, Error>> = all.by_ref().take(ENTRIES_MAX).collect();
    first.iter().flatten().for_each(|entry| guess.see(entry));
    let checks = guess.checks();
    match (checks.as_slice(), first.last()) {
        (_, Some(Ok(_))) if guess.holds_only_pairs() => Err(Refused::Pairs),
        ([check], _) => {
            let check = *check;
            *entries = Box::new(first.into_iter().chain(all).fuse());
            Ok(check)
        }
        // what cannot be read explains best why nothing is clear
        (_, Some(Err(error))) => Err(Refused::History(error.clone())),
        ([], None) => Err(Refused::NoEntry),
        (checks, _) => {
            let names = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
            let candidates = checks.iter().map(|check| check.name).collect();
            Err(Refused::Unclear { operations: names(guess.operations()), candidates: names(candidates) })
        }
    }
}

/// Tells the check what the format lacks, where nobody said it: that setting and its value.
///
/// Without real time, a check that can do without it has to.
///
/// # Errors
/// The check cannot do without it.
pub fn fill(
    options: &mut Options,
    check: &Check,
    format: Format,
) -> Result<Option<(&'static str, &'static str)>, Error> {
    if format.is_timed() {
        return Ok(None);
    }
    if check.name == STRICT.name {
        let cause = format!(
            "{} asks for real time, and {} has sessions without it; check it with --model serializable",
            check.name,
            format.name()
        );
        return Err(Error::at(None, cause));
    }
    let has = |name: &str| check.options.iter().any(|setting| setting.name == name);
    let lacks = [("realtime", "no"), ("consistency", "sequential"), ("order", "process")];
    let lacking = lacks.into_iter().find(|(name, _)| has(name));
    let lacking = lacking.filter(|(name, _)| !options.settings.contains_key(*name));
    if let Some((name, value)) = lacking {
        options.settings.insert(name.to_owned(), value.to_owned());
    }
    Ok(lacking)
}

/// Why a history was not judged; its text follows what the history is called.
#[derive(Debug)]
pub enum Refused {
    /// There is nothing in it.
    Empty,
    /// It could not be read.
    Unread(std::io::Error),
    /// It is no text.
    Foreign {
        /// What it is.
        what: &'static str,
        /// What to do about it.
        next: &'static str,
    },
    /// It begins like none of the formats.
    NoFormat,
    /// Lines tell no check.
    Lines,
    /// There is no entry in it.
    NoEntry,
    /// All its values are pairs: they may be keys with values.
    Pairs,
    /// Its operations tell no check, or several.
    Unclear {
        /// The operations.
        operations: Vec<String>,
        /// The checks that understand them.
        candidates: Vec<String>,
    },
    /// It is not well-formed, or not what the check understands.
    History(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::History(error)
    }
}

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty: there is no history in it"),
            Self::Unread(error) => write!(f, "cannot be read: {error}"),
            Self::Foreign { what, next } => write!(f, "is {what}; {next}"),
            Self::NoFormat => write!(
                f,
                "begins like no format that is known; if it is one, say which with --format: {}",
                Format::ALL.map(Format::name).join(", ")
            ),
            Self::Lines => f.write_str(
                "as lines is what a process wrote, which tells no single model; choose one with --model: sanitizer, \
                 log-pattern",
            ),
            Self::NoEntry => f.write_str("has no entry; say with --model what it is a history of"),
            Self::Pairs => f.write_str(
                "tells no model, for every value is a pair; say --independent if they are keys with values, or --model \
                 if they are not",
            ),
            Self::Unclear { operations, candidates } => {
                let seen = match operations.as_slice() {
                    [] => "no operations of clients".to_owned(),
                    operations => operations.join(", "),
                };
                let candidates = match candidates.as_slice() {
                    [] => "`fuzz check --list` shows what there is".to_owned(),
                    candidates => candidates.join(", "),
                };
                write!(
                    f,
                    "holds {seen}, which tells no single model; choose one with --model: {candidates}"
                )
            }
            Self::History(error) => error.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Verdict;

    fn told(text: &str) -> Result<String, String> {
        let seen = inspect(text.as_bytes(), &Asked::default()).map_err(|refused| refused.to_string())?;
        Ok(format!("{} {} {}", seen.format.name(), seen.check.name, seen.tally.operations))
    }

    #[test]
    fn format_and_check_are_told_from_the_bytes() {
        let set = "[{:process 0 :type :invoke :f :add :value 1} {:process 0 :type :ok :f :add :value 1}\n\
                   {:process 0 :type :invoke :f :read} {:process 0 :type :ok :f :read :value #{1}}]";
        assert_eq!(told(set).as_deref(), Ok("edn set 2"));
        assert_eq!(told("w(1,1,0,0)\nr(1,1,1,1)\n").as_deref(), Ok("plume rw-register 2"));
    }

    #[test]
    fn what_is_no_history_is_refused_with_the_next_step() {
        let cases = [
            ("", "is empty: there is no history in it"),
            ("\u{feff} \n", "is empty: there is no history in it"),
            ("\u{1f}", "begins like no format that is known"),
            ("; a comment\n", "is empty: there is no history in it"),
            ("[]", "has no entry; say with --model"),
            (
                "{:process 0 :type :invoke :f :add :value [7 1]}",
                "tells no model, for every value is a pair; say",
            ),
            ("{:process 0 :type :invoke :f :frob}", "holds frob, which tells no single model"),
            (":nemesis :info :kill nil", "holds no operations of clients, which tells no single model"),
            ("{:process 0", "line 1, column 1: the map opened here is never closed"),
        ];
        for (text, expected) in cases {
            let told = told(text).unwrap_err();
            assert!(told.starts_with(expected), "{text}: {told}");
        }
    }

    #[test]
    fn what_is_asked_for_is_not_guessed() {
        let asked =
            Asked { check: crate::check::named("register"), format: Some(Format::Edn), ..Asked::default() };
        let seen = inspect(&b"[]"[..], &asked).unwrap();
        assert!(matches!(seen.judgement.verdict(), Verdict::Unknown { .. }));
    }
}
