//! Raw results: a file of JSON lines, one a search, in the order in which they ended. A line is on disk when the search counts
//! as done, so that nothing but what was under way is lost when the program is killed. A line that was torn then is cut off.

use super::cell::Trial;
use crate::plain;
use nix::fcntl::{Flock, FlockArg};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Its name in the directory of an experiment.
pub const FILE: &str = "raw.jsonl";

/// The longest file that is read, in bytes.
const BYTES_MAX: usize = 1 << 30;

/// The results of an experiment, and where they are.
#[derive(Debug)]
pub struct Raw {
    path: PathBuf,
    file: File,
    trials: BTreeMap<String, Trial>,
    /// Lines in the order of the file that are no results.
    strange: Vec<usize>,
    /// Bytes of a torn line that were cut off.
    torn: usize,
    _lock: Flock<File>,
}

/// What a text of raw results holds.
#[derive(Debug, Default, PartialEq)]
pub struct Read {
    /// By their keys; of equal ones the last.
    pub trials: BTreeMap<String, Trial>,
    /// Numbers of the lines that are no results, from 1.
    pub strange: Vec<usize>,
    /// Where the last line begins, if it was torn.
    pub torn_at: Option<usize>,
    /// The last line is whole, but its end is missing.
    pub is_open: bool,
}

/// Reads what was written, as far as it is there.
#[must_use]
pub fn read(bytes: &[u8]) -> Read {
    let mut read = Read::default();
    let mut at = 0;
    for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let begin = at;
        at += line.len();
        let is_whole = line.ends_with(b"\n");
        match serde_json::from_slice::<Trial>(line) {
            Ok(trial) => {
                read.trials.insert(trial.cell.key(), trial);
                read.is_open = !is_whole;
            }
            Err(_) if !is_whole => read.torn_at = Some(begin),
            Err(_) if line.iter().all(u8::is_ascii_whitespace) => {}
            Err(_) => read.strange.push(number + 1),
        }
    }
    read
}

/// Reads the results in a directory, where there may be none, without holding them.
///
/// # Errors
/// When they cannot be read.
pub fn load(out: &Path) -> io::Result<Read> {
    Ok(read(&bytes(&out.join(FILE))?))
}

/// The content of the file; nothing when it is not there.
fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    match plain::bytes(path, BYTES_MAX) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        bytes => bytes.map_err(named("cannot read", path)),
    }
}

impl Raw {
    /// Opens the results in a directory, which is made if need be, for this process alone.
    ///
    /// # Errors
    /// When another process has them, or they can be neither read nor written.
    pub fn open(out: &Path) -> io::Result<Self> {
        fs::create_dir_all(out).map_err(named("cannot make", out))?;
        let held = out.join("lock");
        let lock = File::create(&held).map_err(named("cannot open", &held))?;
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock).map_err(|_| {
            io::Error::other(format!(
                "{} is in use by another fuzz compare; wait for it, or choose another --out",
                out.display()
            ))
        })?;
        let path = out.join(FILE);
        let bytes = bytes(&path)?;
        let Read { trials, strange, torn_at, is_open } = read(&bytes);
        let torn = torn_at.map_or(0, |at| bytes.len() - at);
        let writable = || -> io::Result<File> {
            let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
            if torn > 0 {
                file.set_len((bytes.len() - torn) as u64)?;
            }
            if is_open {
                file.write_all(b"\n")?;
            }
            file.sync_all()?;
            File::open(out)?.sync_all()?;
            Ok(file)
        };
        let file = writable().map_err(named("cannot write", &path))?;
        Ok(Self { path, file, trials, strange, torn, _lock: lock })
    }

    /// Where they are.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All that are there, by the keys of their cells.
    #[must_use]
    pub fn trials(&self) -> &BTreeMap<String, Trial> {
        &self.trials
    }

    /// What is wrong with the file, in sentences; nothing as a rule.
    #[must_use]
    pub fn news(&self) -> Vec<String> {
        let path = self.path.display();
        let mut news = Vec::new();
        if self.torn > 0 {
            news.push(format!(
                "{path}: its last line was torn when the program was stopped, and is cut off; that search is made again"
            ));
        }
        if let Some(first) = self.strange.first() {
            let count = self.strange.len();
            news.push(format!(
                "{path}: {count} lines are no results of this version and are left out (line {first})"
            ));
        }
        news
    }

    /// Adds a result; it is durable when this returns.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, trial: Trial) -> io::Result<()> {
        let mut line = serde_json::to_vec(&trial).map_err(io::Error::other)?;
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        written.map_err(named("cannot write", &self.path))?;
        self.trials.insert(trial.cell.key(), trial);
        Ok(())
    }
}

/// An error with what was attempted on which file.
fn named(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{what} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::trial;
    use super::*;

    fn line(seed: u64) -> Vec<u8> {
        let mut line = serde_json::to_vec(&trial("a", seed, Some(seed))).unwrap();
        line.push(b'\n');
        line
    }

    #[test]
    fn a_torn_line_is_cut_off_and_the_rest_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("deep/out");
        let mut raw = Raw::open(&out).unwrap();
        raw.add(trial("a", 1, Some(3))).unwrap();
        raw.add(trial("a", 2, None)).unwrap();
        assert!(Raw::open(&out).unwrap_err().to_string().contains("is in use by another fuzz compare"));
        let path = raw.path().to_owned();
        drop(raw);
        let whole = fs::read(&path).unwrap();
        let second = whole.split(|byte| *byte == b'\n').nth(1).unwrap().len();
        for cut in [1, 40, second] {
            fs::write(&path, &whole[..whole.len() - cut]).unwrap();
            let mut raw = Raw::open(&out).unwrap();
            // Without its end alone a line is whole.
            assert_eq!(raw.trials().len(), if cut == 1 { 2 } else { 1 });
            assert_eq!(raw.news().len(), usize::from(cut > 1), "{:?}", raw.news());
            raw.add(trial("a", 3, Some(9))).unwrap();
            drop(raw);
            let again = Raw::open(&out).unwrap();
            assert!(again.news().is_empty(), "{:?}", again.news());
            assert_eq!(again.trials().len(), if cut == 1 { 3 } else { 2 });
        }
    }

    #[test]
    fn lines_of_others_are_left_out() {
        let text = [line(1), b"{\"of\":\"another version\"}\n\n".to_vec(), line(2), line(1)].concat();
        let found = read(&text);
        assert_eq!((found.trials.len(), found.strange, found.torn_at), (2, vec![2], None));
        assert_eq!(read(b""), Read::default());
        assert_eq!(read(b"{\"half").torn_at, Some(0));
    }
}
