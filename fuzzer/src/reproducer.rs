//! Reproducers: a directory that replays a run. [`Record::write`] makes one, [`load`] reads one back. That of a violation is
//! a finding; a run that shows none is kept where somebody wants to look at it.
//!
//! `schedule.toml` alone suffices to replay; `verdict.json`, `hash.txt` and `environment.toml` say what to expect; the rest
//! is for people: history, logs since the start, timeline and pictures, coverage, the story.

pub mod environment;
mod files;
pub mod inputs;
pub mod schedule_text;
pub mod sources;

use crate::execution::Execution;
use crate::plain;
use crate::schedule::{self, Schedule};
use crate::target::Part;
use environment::Environment;
use oracle::Verdict;
use sources::Sources;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Why a reproducer cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ReproducerError {
    /// A file system call failed.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted, with the path.
        what: String,
        /// The system's word.
        source: std::io::Error,
    },
    /// Something else is where a record is to be.
    #[error("{path}: {why}; name a directory that is not there yet")]
    Taken {
        /// As given.
        path: String,
        /// What is there.
        why: String,
    },
    /// There is nothing to replay.
    #[error("{path}: {why}")]
    Missing {
        /// As given.
        path: String,
        /// What is missing, and what to pass instead.
        why: String,
    },
    /// A file is not what it should be.
    #[error("{file}: {why}")]
    Corrupt {
        /// The file.
        file: String,
        /// Line and column, or what contradicts itself.
        why: String,
    },
    /// A file is of a later format.
    #[error("{file}: version {version} is newer than this program reads ({reads}); update fuzz")]
    Newer {
        /// The file.
        file: String,
        /// Its version.
        version: u32,
        /// The last version that is read.
        reads: u32,
    },
}

/// What `fuzz replay` needs of a reproducer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reproducer {
    /// The schedule.
    pub schedule: Schedule,
    /// What it shows; absent for a bare schedule.
    pub expected: Option<Expected>,
}

/// What a replay must show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// What the oracles said.
    pub verdict: Verdict,
    /// SHA-256 of the event log, in hex.
    pub hash: String,
    /// What it was found with.
    pub environment: Environment,
    /// Files of the host that were a part of the run; of older findings they are not known.
    pub sources: Option<Sources>,
}

impl Expected {
    /// The signature of the violation, if it shows one.
    #[must_use]
    pub fn signature(&self) -> Option<&str> {
        self.verdict.signature()
    }
}

impl Reproducer {
    /// The signature of the violation that it must show, if it is known.
    #[must_use]
    pub fn signature(&self) -> Option<&str> {
        self.expected.as_ref().and_then(Expected::signature)
    }
}

/// Files that a finding holds all of or, a bare schedule, none of.
const EXPECTATIONS: [&str; 3] = ["verdict.json", "hash.txt", "environment.toml"];

/// The longest verdict that is read, in bytes.
const VERDICT_MAX: usize = 64 << 20;
/// The longest file that is read of those that are short, in bytes.
const SMALL_MAX: usize = 1 << 20;

/// Reads a reproducer: the directory of a finding, a directory with a `schedule.toml`, or a schedule itself.
///
/// # Errors
/// What is missing, malformed or newer, by file.
pub fn load(path: &Path) -> Result<Reproducer, ReproducerError> {
    let missing =
        |why: &str| ReproducerError::Missing { path: path.display().to_string(), why: why.to_owned() };
    let pass = "pass the directory of a finding, or a schedule.toml";
    match plain::other(path) {
        Ok(None) => return Ok(Reproducer { schedule: load_schedule(path)?, expected: None }),
        Ok(Some("a directory")) => {}
        Ok(Some(what)) => return Err(missing(&format!("it is {what}; {pass}"))),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(missing(&format!("no such file or directory; {pass}")));
        }
        Err(error) => return Err(missing(&format!("{error}; {pass}"))),
    }
    let file = path.join("schedule.toml");
    if matches!(plain::other(&file), Err(error) if error.kind() == ErrorKind::NotFound) {
        return Err(missing("there is no schedule.toml in it; pass the directory of one finding"));
    }
    let schedule = load_schedule(&file)?;
    let present: Vec<&str> = EXPECTATIONS.into_iter().filter(|name| path.join(name).exists()).collect();
    if present.is_empty() {
        return Ok(Reproducer { schedule, expected: None });
    }
    if let Some(gone) = EXPECTATIONS.into_iter().find(|name| !present.contains(name)) {
        return Err(missing(&format!(
            "{gone} is missing though {} is there; copy the whole finding, or replay its schedule.toml alone",
            present[0]
        )));
    }
    Ok(Reproducer { schedule, expected: Some(expectation(path)?) })
}

fn load_schedule(file: &Path) -> Result<Schedule, ReproducerError> {
    Schedule::parse(&read(file, schedule::BYTES_MAX)?)
        .map_err(|why| ReproducerError::Corrupt { file: file.display().to_string(), why: why.to_string() })
}

fn expectation(path: &Path) -> Result<Expected, ReproducerError> {
    let corrupt = |name: &str, why: String| ReproducerError::Corrupt {
        file: path.join(name).display().to_string(),
        why,
    };
    let verdict: Verdict = serde_json::from_str(&read(&path.join("verdict.json"), VERDICT_MAX)?)
        .map_err(|e| corrupt("verdict.json", format!("not a verdict: {e}")))?;
    let hash = read(&path.join("hash.txt"), SMALL_MAX)?.trim().to_owned();
    if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(corrupt("hash.txt", "not a SHA-256 in hex".into()));
    }
    let environment: Environment = toml::from_str(&read(&path.join("environment.toml"), SMALL_MAX)?)
        .map_err(|e| corrupt("environment.toml", e.to_string().trim_end().to_owned()))?;
    if environment.version > environment::VERSION {
        return Err(ReproducerError::Newer {
            file: path.join("environment.toml").display().to_string(),
            version: environment.version,
            reads: environment::VERSION,
        });
    }
    let file = path.join("sources.toml");
    let sources = match file.exists() {
        true => Some(
            toml::from_str(&read(&file, VERDICT_MAX)?)
                .map_err(|e| corrupt("sources.toml", e.to_string().trim_end().to_owned()))?,
        ),
        false => None,
    };
    Ok(Expected { verdict, hash, environment, sources })
}

fn read(file: &Path, max: usize) -> Result<String, ReproducerError> {
    plain::text(file, max)
        .map_err(|source| ReproducerError::Io { what: format!("cannot read {}", file.display()), source })
}

/// A path as a word of a shell's command line.
#[must_use]
pub fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+=:,@%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A run and everything about it, ready to be written.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The run, with its detail.
    pub execution: &'a Execution,
    /// The directory's name.
    pub slug: &'a str,
    /// The schedule that showed the violation first; only of findings.
    pub original: Option<&'a Schedule>,
    /// What it was run with.
    pub environment: &'a Environment,
    /// The story for people.
    pub story: &'a str,
    /// The target's manifest, first, and its files, of which copies are kept.
    pub parts: &'a [Part],
}

/// Whether a run can be kept as the directory `place`: to be asked before there is one.
///
/// # Errors
/// Something else is there.
pub fn check_place(place: &Path) -> Result<(), ReproducerError> {
    files::check_place(place)
}

impl Record<'_> {
    /// Writes it to `parent/SLUG` and returns that path. It appears there whole or not at all; a record of the same name
    /// is replaced, but for what others have put into it.
    ///
    /// # Errors
    /// When the directory cannot be written, or something else is there.
    pub fn write(&self, parent: &Path) -> Result<PathBuf, ReproducerError> {
        // The path is written down, so it must be one that is right from everywhere.
        std::fs::create_dir_all(parent).map_err(|source| ReproducerError::Io {
            what: format!("cannot create {}", parent.display()),
            source,
        })?;
        let absolute = parent.canonicalize().unwrap_or_else(|_| parent.to_owned()).join(self.slug);
        files::write_whole(parent, self.slug, &files::of(self, &absolute), self.parts)
    }
}

#[cfg(test)]
mod tests;
