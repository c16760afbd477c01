//! Histories as files: opened, told apart, read.

use super::output::note;
use anyhow::{Context, anyhow, bail};
use fuzzer::nearest::suggestion;
use oracle::format::{self, Format, Options, SAMPLE_BYTES};
use oracle::raw::{Entry, Error};
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

/// What is read from a file at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// The file of a history in a directory: a finding of ours, a run of Jepsen's.
const NAMES: [&str; 3] = ["history.jsonl", "history.edn", "history.json"];

/// A history that is open.
pub struct Source {
    /// What messages call it.
    pub name: String,
    /// Its format.
    pub format: Format,
    bytes: Box<dyn BufRead>,
}

impl Source {
    /// Opens a file, a directory with a history in it, or standard input (`-`).
    ///
    /// # Errors
    /// It cannot be opened, or its format was not given and cannot be told.
    pub fn open(path: &Path, format: Option<Format>) -> anyhow::Result<Self> {
        let (name, mut reader): (String, Box<dyn Read>) = if path == Path::new("-") {
            ("standard input".to_owned(), Box::new(std::io::stdin()))
        } else {
            let path = inside(path)?;
            let name = path.display().to_string();
            let file = File::open(&path).with_context(|| format!("cannot open {name}"))?;
            (name, Box::new(file))
        };
        let mut sample = Vec::new();
        let mut start = reader.by_ref().take(SAMPLE_BYTES as u64);
        start.read_to_end(&mut sample).with_context(|| format!("cannot read {name}"))?;
        let format = match format.or_else(|| format::detect(&sample)) {
            Some(format) => format,
            None if sample.iter().all(u8::is_ascii_whitespace) => {
                bail!("{name} is empty: there is no history in it")
            }
            None => bail!(
                "{name} begins like no format that is known; if it is one, say which with --format: {}",
                Format::ALL.map(Format::name).join(", ")
            ),
        };
        let rest = BufReader::with_capacity(CHUNK_BYTES, reader);
        Ok(Self { name, format, bytes: Box::new(Cursor::new(sample).chain(rest)) })
    }

    /// Its entries.
    pub fn entries(self, options: Options) -> Box<dyn Iterator<Item = Result<Entry, Error>>> {
        format::read(self.format, self.bytes, options)
    }
}

fn inside(path: &Path) -> anyhow::Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let found = NAMES.iter().map(|name| path.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| {
        anyhow!("{} is a directory without {}; name the file", path.display(), NAMES.join(" or "))
    })
}

/// The format with this name, as an argument.
pub fn format_named(name: &str) -> Result<Format, String> {
    let names = Format::ALL.map(Format::name);
    Format::named(name).ok_or_else(|| format!("there is no such format; {}", suggestion(name, &names)))
}

/// Says that the order of entries means less than it seems to.
pub fn note_untimed(format: Format, consequence: &str) {
    if !format.is_timed() {
        note(format!("{} has sessions without real time: {consequence}", format.name()));
    }
}
